"""The four things the demo must show: seen where they are, and red where one piece of the evidence is missing."""

import copy

import pytest

from hil.evidence import Evidence, Received, Taken
from hil.shown import Subjects, judge_shown
from hil.witness import Look, Stood

SUBJECTS = Subjects("LT-1", "LT-2", "plc1", "XG-1", "bureau", "W-1")


def at(second):
    return f"2026-11-22T03:31:{second:02d}.000Z"


def changes(tag, kind, condition, *steps):
    """An excursion: (transition, second, what else) of each change."""
    items = []
    item = {
        "alarm_id": f"{condition}@{steps[0][1]}",
        "type": kind,
        "point_id": tag,
        "source": "plc1",
        "active": True,
        "t_raised": at(steps[0][1]),
        "t_cleared": None,
        "level": {"start": "H", "worst": "H", "current": "H"},
        "last_known": False,
        "shelved_until": None,
        "limit_edge": 85.0,
        "value": 86.0,
        "snapshot_ids": [],
    }
    for number, (transition, second, more) in enumerate(steps, 1):
        cleared = {"active": False, "t_cleared": at(second)} if transition == "clear" else {}
        item = {
            **item,
            "transition": transition,
            "change_no": number,
            "t_changed": at(second),
            **cleared,
            **more,
        }
        items.append(item)
    return items


def level(worst, current):
    return {"level": {"start": "H", "worst": worst, "current": current}}


UP = changes(
    *("LT-1", "limit", "LT-1/high"),
    ("raise", 1, level("H", "H")),
    ("escalate", 3, level("HH", "HH")),
    ("ack", 4, {}),
    ("deescalate", 6, {**level("HH", "H"), "snapshot_ids": ["p1", "p2"]}),
    ("clear", 8, {"value": 80.0}),
)
HIGH = changes(
    *("LT-2", "limit", "LT-2/high"),
    ("raise", 20, {}),
    ("ack", 23, {"last_known": True}),
    ("clear", 26, {"last_known": False, "value": 80.0}),
)
COMM = changes("", "comm", "plc1/comm", ("raise", 22, {}), ("clear", 26, {}))
SHELVED = changes(
    *("XG-1", "digital", "XG-1/state"),
    ("raise", 31, {"shelved_until": at(35)}),
    ("unshelve", 35, {"shelved_until": None}),
    ("clear", 37, {}),
)
SHELF = {"target": "XG-1", "action": "shelve", "by": "wang", "reason": "clamp replaced", "until": at(35)}
WARNING = {"recipient": "bureau", "id": "W-1"}
JOURNAL = [
    ("operator_action", SHELF),
    ("operator_action", {**SHELF, "action": "unshelve", "by": "", "reason": "expired"}),
    ("warning_received", WARNING),
    ("feedback", {**WARNING, "by": "wang", "cause": "seal", "action": "closed", "waited_s": 8}),
]
VALUES = [Taken(at(21), 86.0, True), Taken(at(23), None, False), Taken(at(26), 80.0, True)]
LOST = Stood(COMM[0]["alarm_id"], active=True, last_known=False, shelved=False)
STANDS = Stood(HIGH[0]["alarm_id"], active=True, last_known=True, shelved=False)
HELD = Stood(SHELVED[0]["alarm_id"], active=True, last_known=False, shelved=True)
UNANSWERED, ANSWERED = (("bureau/W-1", "unanswered"),), (("bureau/W-1", "answered"),)


def look(*alarms, warnings=ANSWERED, shelved=0, because=()):
    return Look(alarms, warnings, shelved, because)


def evidence():
    """A run in which everything was seen."""
    got = Received([*UP, *HIGH, *COMM, *SHELVED], JOURNAL, {"p1", "p2"}, {"LT-2": VALUES})
    looks = [
        look(LOST, STANDS, warnings=UNANSWERED),
        look(HELD, shelved=1),
        look(HELD._replace(shelved=False)),
    ]
    received = {name: copy.deepcopy(got) for name in ("province", "bureau")}
    return Evidence(copy.deepcopy(got.alarms), received, [*UP, *SHELVED[1:]], looks)


def problems(of, name):
    found = judge_shown(of, SUBJECTS)
    assert all(not one.problems for other, one in found.items() if other != name), "it touches another part"
    return found[name].problems


def test_what_was_shown_is_seen():
    found = judge_shown(evidence(), SUBJECTS)
    assert set(found) == {"escalation", "lost_plc", "shelf", "warning"}
    assert not any(one.problems for one in found.values())
    assert found["escalation"].figures == {
        "seen": True,
        "tag": "LT-1",
        "alarm_id": "LT-1/high@1",
        "levels": ["H", "HH", "H", "clear"],
        "changes": 5,
        "snapshots": 2,
    }
    assert found["lost_plc"].figures["cleared_by"] == 80.0
    assert found["lost_plc"].figures["last_known"]
    assert found["shelf"].figures["ended_by_itself"]
    assert found["shelf"].figures["by"] == "wang"
    assert found["warning"].figures["feedback_at"] == ["province", "bureau"]
    assert found["warning"].figures["waited_s"] == 8


def test_of_nothing_nothing_is_seen():
    nothing = Evidence([], {"province": Received(), "bureau": Received()}, [], [])
    found = judge_shown(nothing, SUBJECTS)
    assert all(one.problems and not one.figures["seen"] for one in found.values())


# -- every piece of evidence taken away, one at a time ------------------------------------------------


def edit(got, tag, transition, **fields):
    for item in got.alarms:
        if item["point_id"] == tag and item["transition"] == transition:
            item.update(fields)


def drop(got, tag, transition):
    got.alarms = [i for i in got.alarms if (i["point_id"], i["transition"]) != (tag, transition)]


def split(made):
    for got in made.received.values():
        edit(got, "LT-1", "clear", alarm_id="LT-1/high@2")


ESCALATION = {
    "two records": split,
    "a change is missing": lambda made: drop(made.received["bureau"], "LT-1", "ack"),
    "never HH": lambda made: drop(made.received["bureau"], "LT-1", "escalate"),
    "never cleared": lambda made: drop(made.received["province"], "LT-1", "clear"),
    "began at HH": lambda made: edit(
        made.received["bureau"], "LT-1", "clear", level={"start": "HH", "worst": "HH", "current": "H"}
    ),
    "no picture named": lambda made: edit(made.received["bureau"], "LT-1", "clear", snapshot_ids=[]),
    "a picture did not arrive": lambda made: made.received["province"].pictures.discard("p2"),
    "not in the record": lambda made: made.record.__delitem__(slice(0, 5)),
    "other than in the record": lambda made: edit(made.received["bureau"], "LT-1", "raise", value=99.0),
}


@pytest.mark.parametrize("harm", ESCALATION.values(), ids=ESCALATION)
def test_no_escalation_in_place_without(harm):
    made = evidence()
    harm(made)
    assert problems(made, "escalation")


def cleared_meanwhile(made):
    for got in made.received.values():
        edit(got, "LT-2", "clear", t_changed=at(24), t_cleared=at(24))


def looks_without(made, **fields):
    made.looks = [
        one._replace(
            alarms=tuple(
                alarm._replace(**fields) if alarm.alarm_id == STANDS.alarm_id else alarm
                for alarm in one.alarms
            )
        )
        for one in made.looks
    ]


def unknown_value(made):
    for got in made.received.values():
        got.values["LT-2"] = VALUES[:2]


def bad_value(made):
    made.received["bureau"].values["LT-2"] = [*VALUES[:2], VALUES[2]._replace(good=False)]


def unsafe_value(made):
    edit(made.received["bureau"], "LT-2", "clear", value=85.5)
    made.received["bureau"].values["LT-2"] = [*VALUES[:2], VALUES[2]._replace(value=85.5)]


def never_lost(made):
    for got in made.received.values():
        got.alarms = [item for item in got.alarms if item["type"] != "comm"]


LOST_PLC = {
    "it cleared by silence": cleared_meanwhile,
    "it never cleared": lambda made: drop(made.received["bureau"], "LT-2", "clear"),
    "cleared by no value": unknown_value,
    "cleared by a bad value": bad_value,
    "cleared by a value beyond the limit": unsafe_value,
    "never marked at a receiver": lambda made: edit(made.received["bureau"], "LT-2", "ack", last_known=False),
    "never marked in the status": lambda made: looks_without(made, last_known=False),
    "gone from the status": lambda made: looks_without(made, active=False),
    "no alarm of the loss": never_lost,
    "no loss in the status": lambda made: made.looks.__setitem__(0, look(STANDS, warnings=UNANSWERED)),
    "two records": lambda made: edit(made.received["bureau"], "LT-2", "clear", alarm_id="LT-2/high@9"),
    "raised only afterwards": lambda made: drop(made.received["bureau"], "LT-2", "raise"),
}


@pytest.mark.parametrize("harm", LOST_PLC.values(), ids=LOST_PLC)
def test_no_alarm_kept_over_a_lost_plc_without(harm):
    made = evidence()
    harm(made)
    assert problems(made, "lost_plc")


def told(made, kind, **fields):
    got = made.received["bureau"]
    got.journal = [(k, {**item, **fields} if k == kind else item) for k, item in got.journal]


def ended_by_hand(made):
    got = made.received["bureau"]
    got.journal[1] = ("operator_action", {**SHELF, "action": "unshelve", "by": "wang"})


SHELF_HARMS = {
    "nobody on record": lambda made: made.received["bureau"].journal.pop(0),
    "no reason": lambda made: made.received["province"].journal[0][1].update(reason=""),
    "the raise is missing": lambda made: drop(made.received["bureau"], "XG-1", "raise"),
    "the raise is unmarked": lambda made: edit(made.received["bureau"], "XG-1", "raise", shelved_until=None),
    "it never ended": lambda made: made.received["bureau"].journal.pop(1),
    "it was ended by hand": ended_by_hand,
    "the alarm was over before": lambda made: drop(made.received["bureau"], "XG-1", "unshelve"),
    "it sounded": lambda made: made.sounded.insert(0, SHELVED[0]),
    "it was not heard afterwards": lambda made: made.sounded.__delitem__(slice(5, None)),
    "it was never shown": lambda made: made.looks.__delitem__(1),
    "no shelf was counted": lambda made: made.looks.__setitem__(1, look(HELD)),
    "a horn was on for it": lambda made: made.looks.__setitem__(
        1, look(HELD, shelved=1, because=(HELD.alarm_id,))
    ),
    "it was never shown without": lambda made: made.looks.__delitem__(2),
}


@pytest.mark.parametrize("harm", SHELF_HARMS.values(), ids=SHELF_HARMS)
def test_no_shelf_without(harm):
    made = evidence()
    harm(made)
    assert problems(made, "shelf")


def all_looks(made, warnings):
    made.looks = [one._replace(warnings=warnings) for one in made.looks]


def alone(made):
    made.looks.insert(0, Look((), UNANSWERED, 0, ()))
    made.looks[1] = made.looks[1]._replace(warnings=ANSWERED)


WARNING_HARMS = {
    "it was never shown": lambda made: all_looks(made, ()),
    "it was never unanswered": lambda made: all_looks(made, ANSWERED),
    "it was never answered": lambda made: all_looks(made, UNANSWERED),
    "no alarm beside it": alone,
    "not on record": lambda made: made.received["bureau"].journal.pop(2),
    "no feedback": lambda made: made.received["bureau"].journal.pop(3),
    "feedback to another": lambda made: told(made, "feedback", id="W-2"),
    "feedback for another": lambda made: told(made, "feedback", recipient="province"),
    "feedback of nobody": lambda made: told(made, "feedback", by=""),
    "feedback without a cause": lambda made: told(made, "feedback", cause=""),
    "feedback without an action": lambda made: told(made, "feedback", action=""),
}


@pytest.mark.parametrize("harm", WARNING_HARMS.values(), ids=WARNING_HARMS)
def test_no_warning_answered_without(harm):
    made = evidence()
    harm(made)
    assert problems(made, "warning")
