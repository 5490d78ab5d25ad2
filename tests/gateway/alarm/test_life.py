import pytest

from gateway.alarm.life import Alarm, AlarmChanged, acknowledged, cleared, escalated, restore

FIRST = Alarm(
    alarm_id="LT-1/high@1", condition="LT-1/high", type="limit", point_id="LT-1", source="plc", priority=1,
    text="1号罐液位", active=True, acknowledged=False, level_start="H", level_worst="H", level_current="H",
    value=81.0, peak=81.0, limit_edge=80.0, cause="", raised_ns=10**9, changed_ns=10**9,
)  # fmt: skip
UNLESS_SEEN = {"active": True, "acknowledged": False}


def parts(alarm):
    return (alarm.active, alarm.acknowledged)


def test_every_change_of_every_part():
    """(active, acknowledged) before, the event, and after; what is not listed is refused."""
    seen = acknowledged(FIRST, "wang", "", 2).alarm
    gone = cleared(FIRST, "returned", 70.0, 81.0, 3).alarm
    up = ("HH", 91.0, 90.0, 91.0, 2)
    table = [
        (FIRST, lambda a: escalated(a, *up), (True, False)),
        (FIRST, lambda a: acknowledged(a, "wang", "", 2), (True, True)),
        (FIRST, lambda a: cleared(a, "returned", 70.0, 81.0, 2), (False, False)),
        (seen, lambda a: escalated(a, *up), (True, False)),
        (seen, lambda a: acknowledged(a, "li", "", 3), None),
        (seen, lambda a: cleared(a, "returned", 70.0, 81.0, 3), (False, True)),
        (gone, lambda a: escalated(a, *up), None),
        (gone, lambda a: acknowledged(a, "wang", "", 4), (False, True)),
        (gone, lambda a: cleared(a, "returned", 70.0, 81.0, 4), None),
    ]
    for before, event, after in table:
        if after is None:
            with pytest.raises(AssertionError):
                event(before)
        else:
            change = event(before)
            assert parts(change.alarm) == after
            assert change.alarm.change_no == before.change_no + 1
            assert change.alarm.ended == (after == (False, True))


def test_going_down_a_level_keeps_the_worst_and_the_acknowledgement():
    worse = escalated(FIRST, "HH", 95.0, 90.0, 95.0, 2)
    assert (worse.transition, worse.alarm.level_worst) == ("escalate", "HH")
    seen = acknowledged(worse.alarm, "wang", "去现场", 3).alarm
    milder = escalated(seen, "H", 85.0, 80.0, 95.0, 4)
    assert milder.transition == "deescalate"
    assert (milder.alarm.level_current, milder.alarm.level_worst) == ("H", "HH")
    assert (milder.alarm.limit_edge, milder.alarm.peak) == (80.0, 95.0)
    assert milder.alarm.acknowledged


def test_an_alarm_comes_back_from_its_state_and_from_nothing_else():
    alarm = acknowledged(FIRST, "wang", "已到场", 5).alarm
    assert restore(alarm.state_bytes()) == alarm
    for noise in (b"", b"[]", b"{}", b'{"alarm_id":1}', alarm.state_bytes()[:-2]):
        with pytest.raises(ValueError, match="not an alarm's state"):
            restore(noise)


def test_an_item_has_the_fields_recipients_know():
    change = AlarmChanged("clear", cleared(FIRST, "returned", 70.0, 81.0, 2 * 10**9).alarm, coalesced=2)
    item = change.item("rev")
    assert item["level"] == {"start": "H", "worst": "H", "current": "H"}
    assert (item["transition"], item["coalesced"], item["config_rev"]) == ("clear", 2, "rev")
    assert item["t_cleared"] == "1970-01-01T00:00:02.000Z"
    assert item["ack"] is None
