"""The storm's oracle against series worked out by hand, and every lie it must find."""

import pytest

from hil.answers import AnswerLog
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.storm import ACROSS, STANDING, Stormy, Transition, compare, due


def blown(levels, of=1, registers=2):
    """What is due of one PLC that was read once before, twelve times during and once after a storm."""
    log, plc = AnswerLog(), Stormy("p", registers)
    index, unit = log.add_device("p"), Unit("p", registers + COUNTER_REGISTERS)
    for answer in range(14):
        if answer == 1:
            plc.begin(levels, of)
        plc.refresh(unit)
        log.append(index, answer + 1, answer, bytes(unit.wire))
    assert plc.over
    return due(log.answers())


def items(wanted):
    """How a gateway without a fault tells it."""
    told = []
    for tag, transitions in wanted.of.items():
        raised, change_no = 0, 0
        for one in transitions:
            raised, change_no = (raised + 1, 1) if one.what == "raise" else (raised, change_no + 1)
            told.append(
                {
                    "type": "limit",
                    "point_id": tag,
                    "alarm_id": f"{tag}@{raised}",
                    "change_no": change_no,
                    "transition": one.what,
                    "value": one.value,
                    "coalesced": 0,
                }
            )
    return told


def test_going_across_makes_ten_transitions_of_each_point():
    wanted = blown(ACROSS)
    assert list(wanted.of) == ["p.000"], "the second point stays where it is"
    what = [one.what for one in wanted.of["p.000"]]
    assert what == [*("raise", "escalate", "deescalate", "clear") * 2, "raise", "clear"]
    assert wanted.of["p.000"][:2] == [Transition("raise", 5001.0), Transition("escalate", 8002.0)]
    assert wanted.at_ns["p.000", 5001.0] == 1
    assert wanted.between(1, 3) == [1, 2]


def test_standing_makes_two_of_every_point():
    wanted = blown(STANDING, of=2)
    assert set(wanted.of) == {"p.000", "p.001"}
    assert wanted.of["p.001"] == [Transition("raise", 5001.0), Transition("clear", 1010.0)]


def test_all_of_it_once_and_in_order_is_clean():
    wanted = blown(ACROSS, of=2)
    found = compare(wanted, [{"type": "quality"}, *items(wanted)])
    assert found.clean
    assert found.told == 20


def lose(told):
    del told[3]


def double(told):
    told.insert(4, told[3])


def double_as_another(told):
    told.insert(4, {**told[3], "alarm_id": "another", "change_no": 1})


def swap(told):
    told[1], told[2] = told[2], told[1]


def invent(told):
    told.append({**told[-1], "value": 5999.0, "change_no": told[-1]["change_no"] + 1})


def miscall(told):
    told[1] = {**told[1], "transition": "deescalate"}


def skip_a_number(told):
    told[3] = {**told[3], "change_no": 5}


@pytest.mark.parametrize(
    ("lie", "seen"),
    [
        (lose, {"lost"}),
        (double, {"doubled", "gaps"}),
        (double_as_another, {"doubled"}),
        (swap, {"disordered", "gaps"}),
        (invent, {"invented"}),
        (miscall, {"invented", "lost"}),
        (skip_a_number, {"gaps"}),
    ],
)
def test_every_lie_is_found(lie, seen):
    wanted = blown(ACROSS, of=2)
    told = items(wanted)
    lie(told)
    found = compare(wanted, told)
    assert not found.clean
    assert {name for name, n in found.figures().items() if n and name != "told"} == seen
    assert found.examples


def test_who_says_how_many_he_was_told_as_one_lost_none():
    wanted = blown(ACROSS)
    told = items(wanted)
    told[2:4] = [{**told[3], "coalesced": 1}]
    found = compare(wanted, told)
    assert found.clean
    assert (found.told, found.coalesced) == (9, 1)
