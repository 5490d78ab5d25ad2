import math

import numpy as np

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Point, Scan
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.alarm.people import Acknowledge
from gateway.engine import Engine, WatchedDevice
from gateway.instant import Now
from gateway.live_list import LiveList
from gateway.plant import PointConfig

FAST_AND_FAR = Conditions(rise_per_min=10.0, rate_window_s=3.0, deviation=1.0, deviation_from=1.0)
POINTS = tuple(PointConfig(Point(n, "40001"), unit="m", limits=Limits(h=5.0, hh=6.0), priority=p) for n, p in
               (("A", 2), ("B", 1), ("C", 2)))  # fmt: skip


def engine():
    made = Engine([WatchedDevice("plc", POINTS)], (), Now(0, 0))
    quality = np.array([GOOD, GOOD, bad(Cause.REFUSED)], dtype=np.uint8)
    points = np.arange(3, dtype=np.uint16)
    made.step([Scan("plc", "r", points, np.array([5.5, 6.5, math.nan]), quality, 10**9, 0)], Now(1, 10**9))
    return made


def test_alarms_come_unacknowledged_first_then_by_priority():
    made = engine()
    assert [alarm["condition"] for alarm in LiveList().view(made)] == ["B/high", "A/high", "C/quality"]
    made.command("x", Acknowledge(made.alarms["B/high"].alarm_id), Now(2, 2))
    assert [alarm["condition"] for alarm in LiveList().view(made)] == ["A/high", "C/quality", "B/high"]


def test_each_value_has_the_unit_it_is_in():
    points = (
        PointConfig(Point("L", "40001"), unit="m", limits=Limits(h=8.0), conditions=FAST_AND_FAR),
        PointConfig(Point("X", "40002"), limits=Limits(on=1.0)),
    )
    made = Engine([WatchedDevice("plc", points)], (), Now(0, 0))
    made.condition("spool", "full", Now(1, 1))
    for second in range(1, 6):
        at_ns = second * 10**9
        points, good = np.arange(2, dtype=np.uint16), np.full(2, GOOD, dtype=np.uint8)
        scan = Scan("plc", "r", points, np.array([2.0 * second, 1.0]), good, at_ns, at_ns)
        made.step([scan], Now(at_ns, at_ns))
    assert {alarm["condition"]: alarm["unit"] for alarm in LiveList().view(made)} == {
        "L/high": "m",
        "L/rise": "m/min",
        "L/above": "m",
        "X/state": "",
        "gateway/spool": "",
    }


def told(made, values, second, quality=GOOD):
    """A scan of the first points, taken so many seconds in."""
    points = np.arange(len(values), dtype=np.uint16)
    column = np.full(len(values), quality, dtype=np.uint8)
    now = Now(second, second * 10**9)
    return made.step([Scan("plc", "r", points, np.array(values), column, now.utc_ns, now.mono_ns)], now)


def shown(made, condition, looking=None):
    (alarm,) = [a for a in (looking or LiveList()).view(made) if a["condition"] == condition]
    return alarm["value"], alarm["peak"], alarm["change_no"]


def test_a_standing_limit_alarm_shows_what_is_now_and_the_peak_so_far_and_its_record_stays():
    made = engine()
    assert shown(made, "A/high") == (5.5, 5.5, 1)
    told(made, [5.9], 2)
    told(made, [5.2], 3)
    assert shown(made, "A/high") == (5.2, 5.9, 1)
    assert (made.alarms["A/high"].value, made.alarms["A/high"].peak) == (5.5, 5.5)
    told(made, [math.nan], 4, bad(Cause.COMM))
    assert shown(made, "A/high") == (5.2, 5.9, 1)
    (cleared,) = [c for c in told(made, [1.0], 5).changes if c.alarm.type == "limit"]
    assert (cleared.alarm.value, cleared.alarm.peak) == (1.0, 5.9)
    told(made, [2.0], 6)
    assert shown(made, "A/high") == (1.0, 5.9, 2)


def test_each_side_and_each_kind_of_standing_alarm_shows_its_own():
    points = (
        PointConfig(Point("L", "40001"), limits=Limits(l=2.0, h=8.0)),
        PointConfig(Point("X", "40002"), limits=Limits(on=1.0)),
    )
    made = Engine([WatchedDevice("plc", points)], (), Now(0, 0))
    made.condition("spool", "full", Now(1, 1))
    for second, value in enumerate((9.0, 1.5, 0.5, 1.0), 1):
        told(made, [value, 1.0], second)
    assert shown(made, "L/low") == (1.0, 0.5, 1)
    assert shown(made, "L/high") == (1.5, 9.0, 2)
    assert shown(made, "X/state") == (1.0, 1.0, 1)
    assert shown(made, "gateway/spool") == (None, None, 1)


def test_after_a_restart_a_standing_alarm_shows_its_record_until_the_first_scan():
    before = engine()
    made = Engine([WatchedDevice("plc", POINTS)], before.alarms.values(), Now(2, 2))
    assert shown(made, "B/high") == (6.5, 6.5, 1)
    told(made, [5.5, 6.2], 3)
    assert shown(made, "B/high") == (6.2, 6.5, 1)


def test_who_looks_again_and_again_sees_what_a_first_look_sees():
    made, looking = engine(), LiveList()
    for second, values in enumerate(([5.5], [5.8], [5.8, 6.6], [math.nan], [7.0], [1.0], [1.0], [5.1]), 2):
        told(made, values, second, bad(Cause.COMM) if math.isnan(values[0]) else GOOD)
        made.attach(made.alarms["B/high"].alarm_id, f"cam@{second}")
        assert looking.view(made) == LiveList().view(made), second
    assert shown(made, "A/high", looking) == (5.1, 5.1, 1)


def test_what_did_not_change_is_not_said_anew():
    made, looking = engine(), LiveList()
    before = looking.view(made)
    told(made, [5.6], 2)
    after = looking.view(made)
    assert [one is other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_of_an_alarm_that_ended_nothing_is_kept():
    made, looking = engine(), LiveList()
    looking.view(made)
    told(made, [1.0, 1.0, 1.0], 2)
    for alarm in list(made.alarms.values()):
        made.command("x", Acknowledge(alarm.alarm_id), Now(3, 3))
    assert looking.view(made) == []
    assert not looking._said


def test_an_alarm_that_stands_on_shows_the_limit_that_holds_now():
    made, shown = engine(), LiveList()
    shown.view(made)
    made.change_limits("A", Limits(h=5.2, hh=6.0), Now(2, 2))
    [seen] = [alarm for alarm in shown.view(made) if alarm["condition"] == "A/high"]
    assert (seen["value"], seen["limit_edge"]) == (5.5, 5.2)
