from dataclasses import replace
from itertools import product

import pytest

from gateway.alarm.life import (
    RANK,
    Alarm,
    AlarmChanged,
    acknowledged,
    cleared,
    moved,
    relevelled,
    restore,
)
from gateway.alarm.parts import TRANSITIONS, ImpossibleError, State, step

FIRST = Alarm(
    alarm_id="LT-1/high@1", condition="LT-1/high", type="limit", point_id="LT-1", source="plc", priority=1,
    text="1号罐液位", active=True, acknowledged=False, level_start="H", level_worst="H", level_current="H",
    value=81.0, peak=81.0, limit_edge=80.0, cause="", raised_ns=10**9, changed_ns=10**9,
)  # fmt: skip
FIELDS = {
    "shelve": {"shelved_until_ns": 9},
    "unshelve": {"shelved_until_ns": 0},
    "suppress": {"suppressed": "maintenance"},
    "unsuppress": {"suppressed": ""},
}
"""What a transition must bring along for its part to move."""


def in_state(state):
    return replace(
        FIRST,
        active=state.active,
        acknowledged=state.acknowledged,
        latched=state.latched,
        shelved_until_ns=9 if state.shelved else 0,
        suppressed="maintenance" if state.suppressed else "",
        out_of_service=state.out_of_service,
    )


@pytest.mark.parametrize("transition", TRANSITIONS)
def test_an_alarm_moves_exactly_as_its_tables_say(transition):
    for state in map(State._make, product((False, True), repeat=6)):
        alarm = in_state(state)
        assert alarm.state == state
        try:
            after = step(state, transition)
        except ImpossibleError:
            with pytest.raises(ImpossibleError):
                moved(alarm, transition, 7, **FIELDS.get(transition, {}))
            continue
        change = moved(alarm, transition, 7, by="wang", reason="why", **FIELDS.get(transition, {}))
        assert change.alarm.state == after
        assert (change.transition, change.by, change.reason) == (transition, "wang", "why")
        assert (change.alarm.changed_ns, change.alarm.change_no) == (7, alarm.change_no + 1)


def test_a_transition_whose_fields_do_not_follow_is_a_defect():
    with pytest.raises(AssertionError, match="suppress says"):
        moved(FIRST, "suppress", 7)


def test_it_has_ended_when_it_is_gone_seen_and_not_latched():
    for active, seen, latched in product((False, True), repeat=3):
        alarm = replace(FIRST, active=active, acknowledged=seen, latched=latched)
        assert alarm.ended == (not active and seen and not latched)


def test_whatever_holds_it_back_it_does_not_sound():
    assert FIRST.annunciated
    for held in ({"shelved_until_ns": 1}, {"suppressed": "x"}, {"out_of_service": True}, {"advisory": True}):
        assert not replace(FIRST, **held).annunciated


def test_going_down_a_level_keeps_the_worst_and_the_acknowledgement():
    worse = relevelled(FIRST, "HH", 95.0, 95.0, (90.0, 88.0), 2)
    assert (worse.transition, worse.alarm.level_worst) == ("escalate", "HH")
    assert (worse.alarm.limit_edge, worse.alarm.limit_filed) == (90.0, 88.0)
    seen = acknowledged(worse.alarm, "wang", "去现场", 3).alarm
    milder = relevelled(seen, "H", 85.0, 95.0, (80.0, None), 4)
    assert milder.transition == "deescalate"
    assert (milder.alarm.level_current, milder.alarm.level_worst) == ("H", "HH")
    assert (milder.alarm.limit_edge, milder.alarm.limit_filed) == (80.0, None)
    assert (milder.alarm.value, milder.alarm.peak) == (85.0, 95.0)
    assert milder.alarm.acknowledged


def test_an_acknowledged_alarm_that_escalates_wants_to_be_seen_again():
    seen = acknowledged(FIRST, "wang", "", 2).alarm
    assert not relevelled(seen, "HH", 95.0, 95.0, (90.0, None), 3).alarm.acknowledged


def test_clearing_says_why_and_when_and_acknowledges_nothing():
    gone = cleared(replace(FIRST, last_known=True), "limit_removed", 70.0, 82.0, 5).alarm
    assert (gone.active, gone.acknowledged, gone.last_known) == (False, False, False)
    assert (gone.clear_kind, gone.cleared_ns, gone.changed_ns) == ("limit_removed", 5, 5)
    assert (gone.value, gone.peak) == (70.0, 82.0)


def test_who_acknowledged_is_kept():
    seen = acknowledged(FIRST, "wang", "去现场", 5)
    assert (seen.alarm.ack_by, seen.alarm.ack_ns, seen.alarm.ack_note) == ("wang", 5, "去现场")
    assert (seen.by, seen.reason) == ("wang", "去现场")


def test_an_alarm_comes_back_from_its_state_and_from_nothing_else():
    alarm = replace(acknowledged(FIRST, "wang", "已到场", 5).alarm, snapshot_ids=("a", "b"), latched=True)
    assert restore(alarm.state_bytes()) == alarm
    newer = alarm.state_bytes()[:-1] + b',"of_a_newer_version":1}'
    assert restore(newer) == alarm
    for noise in (b"", b"[]", b"{}", b'{"alarm_id":1}', alarm.state_bytes()[:-2]):
        with pytest.raises(ValueError, match="not an alarm's state"):
            restore(noise)


def test_a_state_of_the_first_version_is_still_one():
    old = (
        b'{"alarm_id":"A/high@1","condition":"A/high","type":"limit","point_id":"A","source":"plc","priority":2,'
        b'"text":"","active":true,"acknowledged":false,"level_start":"H","level_worst":"H","level_current":"H",'
        b'"value":81.0,"peak":81.0,"limit_edge":80.0,"cause":"","raised_ns":1,"changed_ns":1,"cleared_ns":0,'
        b'"ack_by":"","ack_ns":0,"ack_note":"","clear_kind":"","repeat_count":0,"change_no":1,"snapshot_ids":[],'
        b'"points":0}'
    )
    alarm = restore(old)
    assert (alarm.condition, alarm.latched, alarm.suppressed) == ("A/high", False, "")


def test_an_item_has_the_fields_recipients_know():
    held = replace(FIRST, shelved_until_ns=3 * 10**9, suppressed="maintenance", area="罐区", points=4)
    change = AlarmChanged(
        "clear", cleared(held, "returned", 70.0, 81.0, 2 * 10**9).alarm, coalesced=2, by="wang", reason="why"
    )
    item = change.item("rev")
    assert item["level"] == {"start": "H", "worst": "H", "current": "H"}
    assert (item["transition"], item["coalesced"], item["config_rev"]) == ("clear", 2, "rev")
    assert (item["by"], item["reason"], item["points"], item["area"]) == ("wang", "why", 4, "罐区")
    assert item["t_cleared"] == "1970-01-01T00:00:02.000Z"
    assert item["shelved_until"] == "1970-01-01T00:00:03.000Z"
    assert item["ack"] is None
    assert FIRST.item()["t_cleared"] is None
    assert FIRST.item()["shelved_until"] is None
    assert "points" not in FIRST.item()
    told = acknowledged(FIRST, "wang", "看到", 5 * 10**9).alarm.item()["ack"]
    assert told == {"by": "wang", "at": "1970-01-01T00:00:05.000Z", "note": "看到"}


def test_an_item_says_every_field_under_the_name_of_the_wire():
    alarm = replace(
        FIRST, value=70.0, peak=82.0, limit_filed=75.0, area="罐区", cause="comm", latched=True, last_known=True,
        out_of_service=True, clear_kind="returned", repeat_count=3, change_no=5, first_out=True, at_start=True,
        advisory=True, test=True, snapshot_ids=("cam@1",), changed_ns=2 * 10**9, suppressed="maintenance",
    )  # fmt: skip
    assert alarm.item() == {
        "alarm_id": "LT-1/high@1", "change_no": 5, "type": "limit", "condition": "LT-1/high", "point_id": "LT-1",
        "source": "plc", "area": "罐区", "priority": 1, "text": "1号罐液位", "active": True, "acknowledged": False,
        "latched": True, "shelved_until": None, "suppressed": "maintenance", "out_of_service": True,
        "level": {"start": "H", "worst": "H", "current": "H"}, "value": 70.0, "last_known": True, "peak": 82.0,
        "limit_edge": 80.0, "limit_filed": 75.0, "cause": "comm", "t_raised": "1970-01-01T00:00:01.000Z",
        "t_changed": "1970-01-01T00:00:02.000Z", "t_cleared": None, "ack": None, "clear_kind": "returned",
        "repeat_count": 3, "first_out": True, "at_start": True, "advisory": True, "test": True,
        "snapshot_ids": ["cam@1"],
    }  # fmt: skip


def test_what_nobody_did_bears_no_name_and_no_reason():
    change = moved(replace(FIRST, acknowledged=True), "realarm", 7)
    assert (change.by, change.reason) == ("", "")


def test_a_change_is_named_by_its_alarm_and_its_number():
    assert AlarmChanged("raise", FIRST).name == "LT-1/high@1#1"


def test_outer_levels_are_worse_than_inner_ones():
    assert RANK["HH"] > RANK["H"]
    assert RANK["LL"] > RANK["L"]
