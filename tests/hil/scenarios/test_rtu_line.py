"""RTU on a paced line: no foreign value as it is; a judge that finds every kind of it."""

import asyncio
import time

import numpy as np
import pytest
from pymodbus.framer import FramerRTU

from drivers.kit.quality import GOOD, Cause, bad
from hil.modbus_plc import Unit
from hil.rtu_bus import Asked, RtuBus
from hil.scenarios import rtu_line
from hil.scenarios.rtu_line import SILENT, VALUES, WRONG, Effort, Way
from hil.speaking import UnitScans, spoken


@pytest.mark.scenario
@pytest.mark.parametrize("way", rtu_line.WAYS, ids=[way.name for way in rtu_line.WAYS])
def test_no_foreign_value_is_taken(way):
    figures = asyncio.run(rtu_line.measure(Effort(rtu_line.SHORT.scans, (way,))))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert [figures[what] for what in WRONG] == [0, 0, 0, 0]
    assert figures["modbus_writes_seen"] == 0
    assert figures["lines"][way.name]["late_answers"] >= 2


SECOND = 1_000_000_000
ZERO = time.monotonic_ns() - 100 * SECOND


def at(seconds):
    return ZERO + int(seconds * SECOND)


def asked(unit, seconds, counter, took_s=0.01, **more):
    return Asked(unit, at(seconds), counter, at(seconds + took_s), **more)


def record(unit, *scans):
    """What the record holds of a unit: (seconds, counter, values); no values: it was bad."""
    utc = time.time_ns() - time.monotonic_ns()
    values = np.full((len(scans), VALUES + 1), np.nan)
    quality = np.full(values.shape, bad(Cause.COMM), dtype=np.uint8)
    for k, (_, counter, said) in enumerate(scans):
        if said is not None:
            values[k], quality[k] = [counter, *said], GOOD
    return {unit: UnitScans(unit, np.array([at(t) + utc for t, _, _ in scans]), values, quality)}


def found(told, line, *, listening=False):
    count = rtu_line.judge(told, line, listening=listening).count
    return {what: count[what] for what in WRONG if count[what]}


def own(counter, unit=5):
    return spoken(unit, counter, VALUES)


LINE = [asked(5, 1, 1), asked(6, 1.1, 1), asked(5, 2, 2), asked(6, 2.1, 2), asked(5, 3, 3)]


def test_what_was_answered_to_the_last_question_is_one_s_own():
    told = record(5, (1.5, 1, own(1)), (2.05, 2, own(2)), (2.9, 0, None), (3.5, 3, own(3)))
    assert found(told, LINE) == {}


def test_another_unit_s_value_is_found():
    assert found(record(5, (1.5, 1, own(1, unit=6))), LINE) == {"foreign": 1}


def test_a_torn_value_is_found():
    torn = [*own(1)[:1], *own(2)[1:]]
    assert found(record(5, (2.5, 2, torn)), LINE) == {"foreign": 1}


def test_the_answer_to_an_earlier_question_is_found():
    assert found(record(5, (2.5, 1, own(1))), LINE) == {"stale": 1}


def test_a_late_answer_taken_for_the_next_one_is_found():
    line = [asked(5, 1, 1, took_s=1.2), asked(5, 2, 2, took_s=1.2)]
    assert found(record(5, (2.3, 1, own(1))), line) == {"stale": 1}


def test_a_value_nobody_gave_or_not_yet_is_found():
    assert found(record(5, (3.5, 9, own(9))), LINE) == {"invented": 1}
    assert found(record(5, (2.005, 2, own(2))), LINE) == {"invented": 1}
    assert found(record(5, (1.5, 1, own(1))), [asked(5, 1, 1, collided=True)]) == {"invented": 1}


def test_an_answer_that_stands_for_two_scans_is_found():
    assert found(record(5, (1.5, 1, own(1)), (1.8, 1, own(1))), LINE) == {"twice": 1}
    assert found(record(5, (1.5, 1, own(1)), (1.8, 1, own(1))), LINE, listening=True) == {}


def test_a_line_on_which_nobody_asks_is_judged_too():
    assert found(record(5, (1.5, 1, own(1))), []) == {"invented": 1}


def test_who_listens_must_not_take_an_answer_that_another_question_overtook():
    line = [asked(5, 1, 1, took_s=0.5), asked(6, 1.3, 1), asked(5, 2, 2)]
    assert found(record(5, (2.5, 1, own(1))), line, listening=True) == {"stale": 1}
    assert found(record(5, (2.5, 2, own(2))), line, listening=True) == {}


def test_the_silent_unit_is_known_to_be_silent():
    assert SILENT in rtu_line.UNITS
    assert SILENT not in rtu_line.LIVING
    assert Way("rtu", 9_600, 3.0).name == "rtu-9600"


def test_a_gateway_that_writes_on_the_line_fails():
    request = bytes((SILENT, 6, 0, 2, 0, 7))

    async def story(*, listening):
        bus = RtuBus({n: Unit(f"unit{n}", 4) for n in rtu_line.UNITS}, 115_200)
        bus.take(request + FramerRTU.compute_CRC(request).to_bytes(2, "big"))
        bus.close()
        nobody = {unit: record(unit)[unit] for unit in rtu_line.UNITS}
        figures = rtu_line._figures(rtu_line.Verdict(), bus, nobody, listening=listening)
        assert figures["modbus_writes_seen"] == 1
        return [one for one in figures["problems"] if "more than read" in one or "only listens" in one]

    assert len(asyncio.run(story(listening=False))) == 1
    assert len(asyncio.run(story(listening=True))) == 2
