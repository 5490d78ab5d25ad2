"""The engine as a process engineer would question it."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Point, Scan
from gateway.alarm import people
from gateway.alarm.conditions import Conditions
from gateway.alarm.life import Alarm, restore
from gateway.alarm.limits import Limits
from gateway.alarm.people import Acknowledge, UnknownAlarmError
from gateway.engine import ON_PURPOSE, Capture, Engine, WatchedDevice
from gateway.instant import Now
from gateway.plant import PointConfig

SECOND = 1_000_000_000


def now(second=0.0):
    return Now(int(second * SECOND), 1_790_000_000 * SECOND + int(second * SECOND))


def tank(name="LT-1", unit_id=None, **limits):
    limits = limits or {"ll": 5.0, "l": 10.0, "h": 80.0, "hh": 90.0, "deadband": 2.0}
    return PointConfig(Point(name, "40001", unit_id=unit_id), limits=Limits(**limits), camera="cam")


def scan(values, q=GOOD, device="plc", first=0):
    values = np.atleast_1d(np.asarray(values, dtype=float))
    qualities = np.full(len(values), q, dtype=np.uint8) if np.isscalar(q) else np.asarray(q, np.uint8)
    points = np.arange(first, first + len(values), dtype=np.uint16)
    return Scan(device, "rev", points, values, qualities, 1_790_000_000 * SECOND, 0)


def _said(change):
    return f"{change.transition} {change.alarm.condition} {change.alarm.level_current}"


class Bench:
    """An engine and a clock that goes on by a second a step."""

    def __init__(self, *points, standing=(), polled=False):
        self.engine = Engine([WatchedDevice("plc", tuple(points) or (tank(),), 1.0, polled)], standing, now())
        self.second = 0

    def at(self, second):
        """The clock alone, at this second."""
        self.second = second
        return [_said(c) for c in self.engine.tick(now(second)).changes]

    def see(self, values, q=GOOD, **more):
        self.second += 1
        outcome = self.engine.step([scan(values, q, **more)], now(self.second))
        return [_said(c) for c in outcome.changes]

    def live(self, condition="LT-1/high"):
        return self.engine.alarms[condition]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (79.999, []),
        (80.0, ["raise LT-1/high H"]),
        (90.0, ["raise LT-1/high HH"]),
        (10.001, []),
        (10.0, ["raise LT-1/low L"]),
        (5.0, ["raise LT-1/low LL"]),
    ],
)
def test_a_limit_is_inclusive(value, said):
    assert Bench().see(value) == said


def test_the_deadband_lies_on_the_return_side_only():
    bench = Bench()
    assert bench.see(80.0) == ["raise LT-1/high H"]
    assert bench.see(78.0) == []
    assert bench.see(77.999) == ["clear LT-1/high H"]
    assert bench.see(79.9) == []
    low = Bench()
    assert low.see(10.0) == ["raise LT-1/low L"]
    assert low.see(12.0) == []
    assert low.see(12.001) == ["clear LT-1/low L"]


def test_one_excursion_escalates_in_place_and_keeps_its_worst():
    bench = Bench()
    bench.see(85.0)
    first = bench.live()
    assert bench.see(95.0) == ["escalate LT-1/high HH"]
    assert bench.see(97.0) == []
    assert bench.see(85.0) == ["deescalate LT-1/high H"]
    assert bench.see(20.0) == ["clear LT-1/high H"]
    last = bench.live()
    assert last.alarm_id == first.alarm_id
    assert (last.level_start, last.level_worst, last.peak) == ("H", "HH", 97.0)
    assert last.change_no == 4
    assert not last.active
    assert not last.acknowledged


def test_the_low_side_keeps_the_lowest_value():
    bench = Bench()
    bench.see(9.0)
    bench.see(3.0)
    bench.see(7.5)
    assert bench.live("LT-1/low").peak == 3.0


def test_from_high_to_low_is_two_excursions():
    bench = Bench()
    bench.see(85.0)
    assert bench.see(4.0) == ["raise LT-1/low LL", "clear LT-1/high H"]


def test_a_bad_value_neither_raises_nor_clears_a_limit():
    bench = Bench()
    bench.see(85.0)
    said = bench.see(math.nan, bad(Cause.DEVICE_FAULT))
    assert said == ["raise LT-1/quality BAD"]
    assert bench.see(0.0, bad(Cause.DEVICE_FAULT)) == []
    assert bench.live().active
    assert bench.live("LT-1/quality").cause == "device_fault"
    assert bench.see(85.0) == ["clear LT-1/quality BAD"]
    assert bench.live().active


def test_a_number_that_is_not_finite_is_bad_whatever_its_quality_says():
    bench = Bench()
    bench.see(85.0)
    outcome = bench.engine.step([scan(math.nan)], now(9))
    assert [c.alarm.cause for c in outcome.changes] == ["garbled"]
    assert outcome.scans[0].quality.tolist() == [bad(Cause.GARBLED)]
    assert bench.live().active


def test_an_uncertain_value_may_raise_and_never_clears():
    uncertain = quality(Status.UNCERTAIN, Cause.SIMULATION)
    bench = Bench()
    assert bench.see(85.0, uncertain) == ["raise LT-1/high H"]
    assert bench.see(20.0, uncertain) == []
    assert bench.see(20.0) == ["unsuppress LT-1/high H", "clear LT-1/high H"]


@pytest.mark.parametrize("cause", [Cause.MAINTENANCE, Cause.CALIBRATION, Cause.WARM_UP, Cause.STARTUP])
def test_what_people_do_on_purpose_is_no_alarm(cause):
    assert Bench().see(math.nan, bad(cause)) == []


def test_a_source_without_communication_is_one_alarm_and_not_one_per_point():
    points = [tank(f"LT-{k}") for k in range(100)]
    bench = Bench(*points)
    bench.see(np.full(100, 85.0))
    assert bench.see(np.full(100, math.nan), bad(Cause.COMM)) == ["raise plc/comm COMM"]
    assert bench.see(np.full(100, math.nan), bad(Cause.COMM)) == []
    assert bench.live("LT-7/high").active
    assert bench.see(np.full(100, 85.0)) == ["clear plc/comm COMM"]


def test_units_behind_one_connection_fall_alone():
    bench = Bench(tank("A", unit_id=1), tank("B", unit_id=2))
    assert bench.see([math.nan], bad(Cause.COMM)) == ["raise plc/1/comm COMM"]
    assert bench.see([50.0], first=1) == []


def test_a_point_without_communication_among_others_is_its_own_alarm():
    bench = Bench(tank("A"), tank("B"))
    bench.see([50.0, 50.0])
    assert bench.see([math.nan], bad(Cause.COMM)) == ["raise A/quality BAD"]
    assert bench.see([50.0]) == ["clear A/quality BAD"]


def test_a_source_that_falls_silent_is_told_by_the_clock_alone():
    bench = Bench(polled=True)
    bench.see(50.0)
    early_ns = bench.engine.next_deadline
    assert early_ns <= 11 * SECOND, "what was heard since has only put it off"
    assert bench.engine.tick(now(early_ns / SECOND)).changes == ()
    assert bench.engine.next_deadline == 11 * SECOND, (
        "the stale deadline comes before the one for what was never read"
    )
    bench.see(85.0)
    assert bench.engine.tick(now(11.9)).changes == ()
    changes = bench.engine.tick(now(12)).changes
    assert [c.alarm.condition for c in changes] == ["plc/comm"]
    assert bench.live().active
    assert bench.engine.quality.tolist() == [bad(Cause.NOT_READ)]


@pytest.mark.parametrize("on", [0, 1])
def test_a_contact_is_an_alarm_in_its_named_state(on):
    bench = Bench(tank("GD-1", on=on))
    assert bench.see(1 - on) == []
    assert bench.see(on) == ["raise GD-1/state ON"]
    assert bench.see(1 - on) == ["clear GD-1/state ON"]


def test_acknowledging_is_a_persons_deed_and_ends_a_returned_alarm():
    bench = Bench()
    bench.see(85.0)
    alarm_id = bench.live().alarm_id
    bench.see(20.0)
    outcome = bench.engine.command("wang", Acknowledge(alarm_id, "阀门已关"), now(9))
    assert [c.transition for c in outcome.changes] == ["ack"]
    assert outcome.changes[0].alarm.ack_by == "wang"
    assert bench.engine.alarms == {}
    with pytest.raises(UnknownAlarmError):
        bench.engine.command("wang", Acknowledge(alarm_id, ""), now(10))


def test_an_acknowledged_alarm_that_escalates_wants_to_be_seen_again():
    bench = Bench()
    bench.see(85.0)
    bench.engine.command("wang", Acknowledge(bench.live().alarm_id, ""), now(2))
    assert bench.engine.command("li", Acknowledge(bench.live().alarm_id, ""), now(3)).changes == ()
    bench.see(95.0)
    assert not bench.live().acknowledged
    bench.see(20.0)
    assert not bench.live().active


def test_repeats_are_counted_until_somebody_acknowledges():
    bench = Bench()
    ids = set()
    for _ in range(3):
        bench.see(85.0)
        ids.add(bench.live().alarm_id)
        bench.see(20.0)
    assert bench.live().repeat_count == 2
    assert len(ids) == 3


def test_a_picture_is_wanted_at_the_raise_and_at_each_new_level():
    bench = Bench()
    wishes = [bench.engine.step([scan(v)], now(k)).captures for k, v in enumerate((50.0, 85.0, 86.0, 95.0))]
    assert [[w.camera for w in wish] for wish in wishes] == [[], ["cam"], [], ["cam"]]
    assert isinstance(wishes[1][0], Capture)
    bench.engine.attach(bench.live().alarm_id, "cam@1")
    bench.see(20.0)
    assert bench.live().snapshot_ids == ("cam@1",)


def test_two_scans_of_one_device_are_judged_in_their_order():
    bench = Bench()
    outcome = bench.engine.step([scan(95.0), scan(20.0)], now(1))
    assert [c.transition for c in outcome.changes] == ["raise", "clear"]


def test_scans_of_strangers_are_counted_and_disturb_nobody():
    bench = Bench()
    outcome = bench.engine.step([scan(95.0, device="other"), scan([1.0, 2.0]), scan(50.0)], now(1))
    assert outcome.changes == ()
    assert bench.engine.strangers == 2
    assert len(outcome.scans) == 1


def test_a_part_of_the_gateway_is_an_alarm_once_and_clears_once():
    bench = Bench()
    assert len(bench.engine.condition("disk", "hung", now(1)).changes) == 1
    assert bench.engine.condition("disk", "still hung", now(2)).changes == ()
    assert [c.transition for c in bench.engine.condition("disk", "", now(3)).changes] == ["clear"]


def test_what_is_wrong_with_a_recipient_is_told_again_but_not_at_every_attempt():
    bench = Bench()
    said = []
    for second, cause in enumerate(("silent", "E-TLS-EXPIRED", "silent", "E-TLS-EXPIRED")):
        said += [_said(c) for c in bench.engine.condition("recipient/province", cause, now(second)).changes]
    assert said == ["raise gateway/recipient/province FAULT", "cause gateway/recipient/province FAULT"]
    assert bench.live("gateway/recipient/province").cause == "E-TLS-EXPIRED"
    assert bench.engine.condition("recipient/province", "silent", now(60.9)).changes == ()
    later = bench.engine.condition("recipient/province", "silent", now(61)).changes
    assert [c.alarm.cause for c in later] == ["silent"]


def standing_after(*values, points=(), **kind):
    bench = Bench(*points)
    for value in values:
        bench.see(value, **kind)
    return [restore(alarm.state_bytes()) for alarm in bench.engine.alarms.values()]


def test_a_standing_alarm_survives_a_restart_and_is_not_raised_twice():
    standing = standing_after(85.0, 95.0)
    assert [type(a) for a in standing] == [Alarm]
    bench = Bench(standing=standing)
    assert bench.see(95.0) == []
    assert bench.see(78.5) == ["deescalate LT-1/high H"]
    assert bench.see(77.0) == ["clear LT-1/high H"]
    assert bench.live().alarm_id == standing[0].alarm_id
    assert bench.live().peak == 95.0


def test_a_restart_alone_clears_nothing():
    bench = Bench(standing=standing_after(85.0))
    assert bench.see(math.nan, bad(Cause.COMM)) == ["raise plc/comm COMM"]
    assert bench.live().active


@pytest.mark.parametrize(("cause", "condition"), [(Cause.COMM, "plc/comm"), (Cause.REFUSED, "LT-1/quality")])
def test_a_quality_alarm_survives_a_restart(cause, condition):
    standing = standing_after(math.nan, q=bad(cause))
    bench = Bench(standing=standing)
    assert bench.see(math.nan, bad(cause)) == []
    assert [s.split()[:2] for s in bench.see(50.0)] == [["clear", condition]]


def test_an_alarm_whose_limit_was_taken_out_clears_and_says_why():
    bench = Bench(tank(ll=1.0), standing=standing_after(85.0))
    assert bench.see(85.0) == ["clear LT-1/high H"]
    assert bench.live().clear_kind == "limit_removed"


def test_an_alarm_whose_point_was_taken_out_clears_and_says_why():
    bench = Bench(tank("OTHER"), standing=standing_after(85.0))
    outcome = bench.engine.tick(now(1))
    assert [(c.transition, c.alarm.clear_kind) for c in outcome.changes] == [("clear", "point_removed")]


def test_a_point_that_stays_away_when_its_source_is_back_is_its_own_alarm():
    """OPC UA posts changes only: no scan need ever name the point again."""
    bench = Bench(tank("A"), tank("B"))
    assert bench.see([math.nan, math.nan], bad(Cause.COMM)) == ["raise plc/comm COMM"]
    assert bench.see([50.0], first=1) == []
    assert bench.engine.next_deadline == 8 * SECOND
    assert bench.at(7.9) == []
    assert bench.at(8) == ["clear plc/comm COMM", "raise A/quality BAD"]
    assert bench.see([math.nan], bad(Cause.COMM)) == []
    assert bench.see([50.0]) == ["clear A/quality BAD"]


def test_a_point_of_which_nothing_is_ever_read_does_not_look_safe():
    bench = Bench(tank("A"), tank("B"))
    bench.see([50.0])
    deadline = bench.engine.next_deadline
    assert deadline == 60 * SECOND
    assert bench.engine.tick(now(59)).changes == ()
    changes = bench.engine.tick(now(60)).changes
    assert [(c.transition, c.alarm.condition, c.alarm.cause) for c in changes] == [
        ("raise", "B/quality", "not_read")
    ]
    assert bench.engine.next_deadline == 120 * SECOND
    assert bench.engine.tick(now(120)).changes == ()
    assert bench.see([51.0], first=1) == ["clear B/quality BAD"]


def test_a_point_that_its_server_calls_starting_for_ever_does_not_look_safe():
    bench = Bench(tank("A"), tank("B"))
    bench.see([50.0, 50.0])
    bench.engine.tick(now(60))
    bench.second = 61
    assert bench.see([math.nan], bad(Cause.STARTUP)) == []
    assert bench.engine.tick(now(120)).changes == ()
    assert [c.alarm.condition for c in bench.engine.tick(now(180)).changes] == ["A/quality"]
    assert bench.see([math.nan], bad(Cause.STARTUP)) == []
    assert bench.live("A/quality").active


def test_two_excursions_within_one_step_are_two_alarms():
    bench = Bench()
    outcome = bench.engine.step([scan(95.0), scan(20.0), scan(95.0)], now(1))
    assert [c.transition for c in outcome.changes] == ["raise", "clear", "raise"]
    first, _, second = (c.alarm.alarm_id for c in outcome.changes)
    assert first != second


def test_a_jump_from_high_to_low_keeps_each_sides_own_peak():
    bench = Bench()
    bench.see(95.0)
    bench.see(3.0)
    assert bench.live().peak == 95.0
    assert bench.live("LT-1/low").peak == 3.0


OVER = quality(Status.UNCERTAIN, Cause.OVER_RANGE)
UNDER = quality(Status.UNCERTAIN, Cause.UNDER_RANGE)


def test_out_of_range_may_raise_a_limit_and_never_clears_one_and_is_an_alarm_of_its_own():
    bench = Bench()
    assert bench.see(95.0, OVER) == ["raise LT-1/quality RANGE", "raise LT-1/high HH"]
    assert bench.live("LT-1/quality").cause == "over_range"
    assert bench.see(105.0, OVER) == []
    assert bench.see(-9.0, UNDER) == ["cause LT-1/quality RANGE", "raise LT-1/low LL"], (
        "high stands: no good value has been seen below it"
    )
    assert bench.live().active
    assert bench.see(50.0) == ["clear LT-1/quality RANGE", "clear LT-1/low LL", "clear LT-1/high HH"]
    assert bench.live().peak == 105.0, "the number counts although it is uncertain"


def test_a_broken_loop_without_a_low_limit_is_an_alarm():
    bench = Bench(PointConfig(Point("GT", "40001"), limits=Limits(h=25.0, hh=50.0)))
    assert bench.see(6.0) == []
    assert bench.see(-25.0, UNDER) == ["raise GT/quality RANGE"]
    assert bench.see(-25.0, UNDER) == []
    assert bench.see(6.0) == ["clear GT/quality RANGE"]


def test_out_of_range_does_not_end_the_alarm_of_a_device_fault():
    bench = Bench()
    bench.see(85.0)
    bench.see(math.nan, bad(Cause.DEVICE_FAULT))
    assert bench.see(-1.0, UNDER) == ["cause LT-1/quality RANGE", "raise LT-1/low LL"]
    assert bench.live().active
    assert bench.live("LT-1/quality").active
    assert bench.see(math.nan, bad(Cause.MAINTENANCE)) == [
        "suppress LT-1/low LL",
        "suppress LT-1/high H",
        "suppress LT-1/quality RANGE",
    ], "and work on it clears nothing"


def test_another_uncertain_value_ends_the_alarm_of_a_fault_and_is_none():
    bench = Bench()
    bench.see(math.nan, bad(Cause.DEVICE_FAULT))
    said = bench.see(50.0, quality(Status.UNCERTAIN, Cause.MANUAL))
    assert said == ["suppress LT-1/quality BAD", "clear LT-1/quality BAD"]


ON_PURPOSE_CAUSES = [
    Cause.MAINTENANCE,
    Cause.CALIBRATION,
    Cause.WARM_UP,
    Cause.SIMULATION,
    Cause.MANUAL,
    Cause.DISABLED,
    Cause.MUTED,
]


@pytest.mark.parametrize("cause", ON_PURPOSE_CAUSES)
def test_a_status_word_that_says_maintenance_raises_nothing_and_clears_nothing(cause):
    bench = Bench()
    assert bench.see(85.0) == ["raise LT-1/high H"]
    held = bench.see(math.nan, bad(cause))
    assert held == ["suppress LT-1/high H"], "no quality alarm, and the high alarm stands"
    told = bench.see(math.nan, bad(Cause.DEVICE_FAULT))
    assert told == ["unsuppress LT-1/high H", "raise LT-1/quality BAD"]
    held = bench.see(math.nan, bad(cause))
    assert held == ["suppress LT-1/high H", "suppress LT-1/quality BAD"], "the fault was not seen to be gone"
    assert bench.live().active
    assert bench.live("LT-1/quality").active
    said = bench.see(85.0)
    assert said[:2] == ["unsuppress LT-1/high H", "unsuppress LT-1/quality BAD"]
    assert said[2:] == ["clear LT-1/quality BAD"]


def test_every_cause_people_bring_about_is_in_the_list_of_this_test():
    assert set(ON_PURPOSE_CAUSES) == ON_PURPOSE - {Cause.STARTUP}


def many(count=1000, period_of=lambda k: None, unit_id=None):
    return [
        PointConfig(Point(f"P-{k}", "40001", period_s=period_of(k), unit_id=unit_id), limits=Limits(h=80.0))
        for k in range(count)
    ]


def test_the_return_of_a_thousand_points_in_one_scan_is_one_change():
    bench = Bench(*many())
    bench.see(np.full(1000, 50.0))
    assert bench.see(np.full(1000, math.nan), bad(Cause.COMM)) == ["raise plc/comm COMM"]
    outcome = bench.engine.step([scan(np.full(1000, 50.0))], now(9))
    [change] = outcome.changes
    assert _said(change) == "clear plc/comm COMM"
    assert change.item("rev")["points"] == 1000
    assert outcome.sirens == outcome.changes


def test_the_return_of_a_thousand_points_in_ten_scans_is_one_change_with_the_last():
    bench = Bench(*many())
    bench.see(np.full(1000, math.nan), bad(Cause.COMM))
    said = [bench.see(np.full(100, 50.0), first=first) for first in range(0, 1000, 100)]
    assert said == [[]] * 9 + [["clear plc/comm COMM"]]
    assert bench.at(30) == []


def test_a_source_that_comes_back_in_part_and_falls_again_is_still_one_alarm():
    bench = Bench(*many(100))
    bench.see(np.full(100, math.nan), bad(Cause.COMM))
    assert bench.see(np.full(50, 50.0)) == []
    assert bench.see(np.full(50, math.nan), bad(Cause.COMM)) == []
    assert bench.at(30) == []
    assert bench.see(np.full(100, 50.0)) == ["clear plc/comm COMM"]


def test_a_source_that_goes_in_the_middle_of_a_scan_is_one_alarm():
    bench = Bench(*many(100), polled=True)
    bench.see(np.full(100, 50.0))
    torn = np.where(np.arange(100) < 40, GOOD, bad(Cause.COMM)).astype(np.uint8)
    assert bench.see(np.where(np.arange(100) < 40, 50.0, math.nan), torn) == []
    assert bench.see(np.full(100, math.nan), bad(Cause.COMM)) == ["raise plc/comm COMM"]
    assert bench.at(9) == []
    assert bench.see(np.where(np.arange(100) < 40, 50.0, math.nan), torn) == []
    assert bench.see(np.full(100, 50.0)) == ["clear plc/comm COMM"]


def test_a_part_of_a_polled_source_that_stays_away_is_told_point_by_point_after_a_while():
    bench = Bench(*many(3), polled=True)
    bench.see(np.full(3, 50.0))
    torn = np.array([GOOD, bad(Cause.COMM), bad(Cause.REFUSED)], np.uint8)
    assert bench.see([50.0, math.nan, math.nan], torn) == ["raise P-2/quality BAD"], (
        "who answers so is not away"
    )
    assert bench.engine.next_deadline == 8 * SECOND
    assert bench.at(8) == ["raise P-1/quality BAD"]
    assert bench.see([50.0, math.nan, 50.0], [GOOD, bad(Cause.COMM), GOOD]) == ["clear P-2/quality BAD"]
    assert bench.see(np.full(3, 50.0)) == ["clear P-1/quality BAD"]


def test_a_restart_while_a_source_is_away_changes_nothing_about_its_return():
    standing = standing_after(*[np.full(100, math.nan)], points=many(100), q=bad(Cause.COMM))
    bench = Bench(*many(100), standing=standing)
    assert bench.see(np.full(50, 50.0)) == []
    outcome = bench.engine.step([scan(np.full(50, 50.0), first=50)], now(9))
    assert [(_said(c), c.alarm.points) for c in outcome.changes] == [("clear plc/comm COMM", 100)]


def test_what_never_came_back_after_a_restart_is_told_when_the_rest_has():
    standing = standing_after(*[np.full(2, math.nan)], points=many(2), q=bad(Cause.COMM))
    bench = Bench(*many(2), standing=standing)
    assert bench.see(50.0) == []
    bench.second = 7
    outcome = bench.engine.tick(now(7))
    assert [(_said(c), c.alarm.cause) for c in outcome.changes] == [
        ("clear plc/comm COMM", "comm"),
        ("raise P-1/quality BAD", "not_read"),
    ]


def slow(k):
    """Every second point is read once a minute, the others with the device."""
    return 60.0 if k % 2 else None


def rows(start, values, q=GOOD):
    """A scan of every second point."""
    points = np.arange(start, start + 2 * len(values), 2, dtype=np.uint16)
    qualities = np.full(len(values), q, dtype=np.uint8)
    return Scan("plc", "rev", points, np.asarray(values, dtype=float), qualities, 1_790_000_000 * SECOND, 0)


def seen(bench, second, *scans):
    bench.second = second
    return [_said(c) for c in bench.engine.step(list(scans), now(second)).changes]


def test_a_slow_group_is_not_called_silent_while_the_fast_one_comes():
    bench = Bench(*many(4, slow), polled=True)
    assert seen(bench, 0, rows(0, [1, 2]), rows(1, [3, 4])) == []
    for second in range(1, 300):
        assert bench.at(second) == []
        assert seen(bench, second, rows(0, [1, 2])) == []
    assert bench.engine.quality.tolist() == [GOOD] * 4
    assert bench.engine.next_deadline <= 305 * SECOND


def test_a_group_that_falls_silent_is_noticed_though_the_other_one_comes():
    bench = Bench(*many(4, slow), polled=True)
    seen(bench, 0, rows(0, [1, 2]), rows(1, [3, 4]))
    told = {second: said for second in range(1, 400) if (said := _second_of(bench, second, rows(0, [1, 2])))}
    # At 305 s the group is not read; 65 s later it is settled that the rest of its source goes on.
    assert told == {
        305: ["raise plc/comm COMM"],
        370: ["clear plc/comm COMM", "raise P-1/quality BAD", "raise P-3/quality BAD"],
    }
    assert seen(bench, 400, rows(1, [3, 4])) == ["clear P-1/quality BAD", "clear P-3/quality BAD"]


def test_a_fast_group_that_falls_silent_is_noticed_though_the_slow_one_comes():
    bench = Bench(*many(4, slow), polled=True)
    seen(bench, 0, rows(0, [1, 2]), rows(1, [3, 4]))
    assert bench.at(9) == []
    assert bench.at(10) == ["raise plc/comm COMM"]
    assert bench.engine.quality.tolist() == [bad(Cause.NOT_READ), GOOD] * 2


def _second_of(bench, second, *scans):
    return bench.at(second) + seen(bench, second, *scans)


def test_a_source_of_several_groups_falls_and_comes_back_as_one():
    lost = [math.nan, math.nan]
    bench = Bench(*many(4, slow), polled=True)
    seen(bench, 0, rows(0, [1, 2]), rows(1, [3, 4]))
    assert seen(bench, 1, rows(0, lost, bad(Cause.COMM)), rows(1, lost, bad(Cause.COMM))) == [
        "raise plc/comm COMM"
    ]
    assert seen(bench, 30, rows(0, [1, 2])) == [], "half of it is back: the alarm stands"
    assert seen(bench, 39, rows(0, [1, 2])) == []
    assert seen(bench, 40, rows(1, [3, 4])) == ["clear plc/comm COMM"]
    # The slow group hears of the next loss a minute later: one alarm all the same, and at once.
    assert seen(bench, 62, rows(0, lost, bad(Cause.COMM))) == ["raise plc/comm COMM"]
    assert seen(bench, 121, rows(1, lost, bad(Cause.COMM))) == []
    assert bench.at(200) == []
    assert seen(bench, 201, rows(0, [1, 2]), rows(1, [3, 4])) == ["clear plc/comm COMM"]


def test_a_slow_group_may_take_its_period_until_its_first_reading():
    bench = Bench(*many(2, lambda k: 600.0 if k else None), polled=True)
    for second in range(1, 620):
        assert _second_of(bench, second, scan(50.0)) == []
    assert seen(bench, 620, scan(50.0, first=1)) == []


def exact_scan(exact, values=(0.0, 0.0, 0.0), q=GOOD, points=(0, 1, 2)):
    points = np.asarray(points, dtype=np.uint16)
    values = np.asarray(values, dtype=float)
    return Scan("plc", "rev", points, values, np.full(len(points), q, np.uint8), 1, 0, exact=exact)


def test_texts_and_long_whole_numbers_stand_until_another_good_value():
    bench = Bench(*many(3))
    seen(bench, 1, exact_scan({0: "V1.2", 2: 2**64 - 1}))
    assert bench.engine.exact == {0: "V1.2", 2: 2**64 - 1}
    seen(bench, 2, exact_scan(None, [math.nan] * 3, bad(Cause.COMM)))
    assert bench.engine.exact == {0: "V1.2", 2: 2**64 - 1}, "as with numbers: the last one that was not bad"
    seen(bench, 3, exact_scan({0: "V1.3"}, [4.0], points=[0]))
    assert bench.engine.exact == {0: "V1.3", 2: 2**64 - 1}
    seen(bench, 4, exact_scan(None, [7.0], points=[2]))
    assert bench.engine.exact == {0: "V1.3"}
    assert bench.engine.values[2] == 7.0


def test_a_history_is_recorded_and_says_nothing_about_now():
    bench = Bench(*many(2), polled=True)
    seen(bench, 1, scan([50.0, 50.0]))
    old = replace(scan([95.0, 95.0]), history=True, taken_ns=7, exact={0: "alt"})
    lost = replace(scan([math.nan, math.nan], bad(Cause.COMM)), history=True)
    outcome = bench.engine.step([old, scan([51.0, 51.0]), lost, old], now(2))
    assert outcome.changes == ()
    assert [s.history for s in outcome.scans] == [True, False, True, True], "in the order in which they came"
    assert bench.engine.values.tolist() == [51.0, 51.0]
    assert bench.engine.quality.tolist() == [GOOD, GOOD]
    assert bench.engine.exact == {}
    outcome = bench.engine.step([old], now(11.9))
    assert [c.alarm.condition for c in bench.engine.tick(now(12)).changes] == ["plc/comm"], (
        "silence is silence"
    )


def test_a_history_neither_raises_nor_clears():
    bench = Bench()
    bench.see(85.0)
    bench.engine.step([replace(scan(20.0), history=True), replace(scan(math.nan), history=True)], now(2))
    assert bench.live().active
    assert bench.live().level_current == "H"


def test_a_history_with_a_false_number_is_recorded_as_bad():
    outcome = Bench().engine.step([replace(scan(math.nan), history=True)], now(1))
    assert outcome.scans[0].quality.tolist() == [bad(Cause.GARBLED)]


def test_two_devices_that_share_a_points_column_are_not_mixed_up():
    points = np.arange(1, dtype=np.uint16)
    points.flags.writeable = False
    devices = [WatchedDevice(name, (PointConfig(Point(name, "40001")),)) for name in ("a", "b")]
    engine = Engine(devices, (), now())
    for k in range(3):
        for name, value in (("a", 1.0 + k), ("b", 5.0 + k)):
            engine.step([replace(scan(value, device=name), points=points)], now(k))
        assert engine.values.tolist() == [1.0 + k, 5.0 + k]


QUALITIES = [
    GOOD,
    GOOD,
    GOOD,
    bad(Cause.COMM),
    bad(Cause.REFUSED),
    quality(Status.UNCERTAIN),
    bad(Cause.FROZEN),
]


@settings(max_examples=300)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from([3.0, 7.0, 11.0, 50.0, 79.0, 85.0, 95.0]), st.sampled_from(QUALITIES)),
            st.just("restart"),
            st.just("acknowledge"),
        ),
        max_size=40,
    )
)
def test_no_sequence_clears_without_a_good_value_on_the_safe_side(deeds):
    """Against a plain model: one point, what is known of it, and the four rules."""
    bench = Bench()
    level = {"high": None, "low": None}
    acknowledged: set[str] = set()
    for deed in deeds:
        if deed == "restart":
            standing = [restore(a.state_bytes()) for a in bench.engine.alarms.values()]
            bench_second = bench.second
            bench = Bench(standing=standing)
            bench.second = bench_second
        elif deed == "acknowledge":
            for alarm in list(bench.engine.alarms.values()):
                bench.engine.command("x", Acknowledge(alarm.alarm_id, ""), now(bench.second))
                acknowledged.add(alarm.alarm_id)
        else:
            value, q = deed
            bench.see(value, q)
            usable, clears = q & 3 in (Status.GOOD, Status.UNCERTAIN), q & 3 == Status.GOOD
            if usable:
                level["high"] = _next(level["high"], ((90.0, "HH"), (80.0, "H")), value, clears)
                level["low"] = _next(level["low"], ((-5.0, "LL"), (-10.0, "L")), -value, clears)
        for side in ("high", "low"):
            alarm = bench.engine.alarms.get(f"LT-1/{side}")
            open_level = alarm.level_current if alarm and alarm.active else None
            assert open_level == level[side]
        for alarm in bench.engine.alarms.values():
            assert not alarm.acknowledged or alarm.alarm_id in acknowledged


def _next(level, edges, value, clears):
    rank = {None: 0, "H": 1, "L": 1, "HH": 2, "LL": 2}
    entered = next((name for edge, name in edges if value >= edge), None)
    held = None
    for edge, name in edges:
        if level is not None and rank[name] <= rank[level] and value >= edge - 2.0:
            held = name
            break
    found = max(entered, held, key=lambda name: rank[name])
    if not clears and rank[found] < rank[level]:
        return level
    return found


def test_deviations_that_stand_cost_nothing_while_no_quality_changes(monkeypatch):
    apart = Conditions(deviation=5.0, deviation_from="SP")
    twins = [replace(tank(f"LT-{k}"), conditions=apart, limits=Limits()) for k in range(20)]
    bench = Bench(*twins, replace(tank("SP"), limits=Limits()), replace(tank("X"), limits=Limits()))
    asked = []
    doubted = bench.engine.register.doubted
    monkeypatch.setattr(
        bench.engine.register, "doubted", lambda *told, **more: asked.append(told) or doubted(*told, **more)
    )
    bench.see([90.0] * 20 + [50.0, 1.0])
    fault = bad(Cause.DEVICE_FAULT)
    bench.see([90.0] * 20 + [50.0, math.nan], [GOOD] * 21 + [fault])
    asked.clear()
    bench.see([90.0] * 20 + [50.0, math.nan], [GOOD] * 21 + [fault])
    assert asked == []
    bench.see([90.0] * 20 + [math.nan, math.nan], [GOOD] * 20 + [fault] * 2)
    assert len(asked) == 20
    assert bench.live("LT-0/above").last_known
    bench.see([math.nan, *[90.0] * 19, math.nan, math.nan], [fault, *[GOOD] * 19, fault, fault])
    bench.see([90.0] * 20 + [math.nan, math.nan], [GOOD] * 20 + [fault] * 2)
    assert bench.live("LT-0/above").last_known, "its other end is still bad"
    bench.see([90.0] * 20 + [50.0, math.nan], [GOOD] * 21 + [fault])
    assert not bench.live("LT-0/above").last_known


# -- every row is its own -----------------------------------------------------------------------------


def test_points_of_three_devices_are_judged_with_their_own_limits():
    names = "abc"
    devices = [WatchedDevice(name, (tank(f"{name}-1"), tank(f"{name}-2", h=60.0))) for name in names]
    engine = Engine(devices, (), now())
    for second, name in enumerate(names):
        said = [_said(c) for c in engine.step([scan([70.0, 70.0], device=name)], now(second)).changes]
        assert said == [f"raise {name}-2/high H"]
    assert engine.values.tolist() == [70.0] * 6


def test_a_points_column_that_its_driver_fills_anew_is_read_anew():
    points = np.array([0], dtype=np.uint16)
    engine = Engine([WatchedDevice("plc", (tank("LT-1"), tank("LT-2")))], (), now())
    for row in (0, 1):
        points[0] = row
        engine.step([replace(scan(85.0), points=points)], now(row))
    assert engine.values.tolist() == [85.0, 85.0]


def test_all_scans_of_one_step_are_given_on():
    bench = Bench()
    scans = [scan(50.0), scan(60.0), scan(70.0)]
    assert bench.engine.step(scans, now(1)).scans == tuple(scans)


def test_an_empty_scan_is_a_strangers_and_disturbs_nobody():
    bench = Bench()
    assert bench.see([]) == []
    assert bench.engine.strangers == 1


@pytest.mark.parametrize(("value", "side"), [(30.0, "below"), (70.0, "above")])
def test_a_deviation_is_last_known_while_its_twin_is_bad_on_either_side(value, side):
    apart = Conditions(deviation=10.0, deviation_from="LT-2")
    bench = Bench(replace(tank("LT-1"), conditions=apart), tank("LT-2"))
    bench.see([value, 50.0])
    bench.see([math.nan], bad(Cause.DEVICE_FAULT), first=1)
    assert bench.live(f"LT-1/{side}").last_known
    bench.see([50.0], first=1)
    assert not bench.live(f"LT-1/{side}").last_known


def test_rates_and_deviations_are_told_of_their_own_points():
    conditions = Conditions(rise_per_min=6.0, deviation=10.0, deviation_from="LT-1")
    bench = Bench(tank(), tank("LT-2"), replace(tank("LT-3"), conditions=conditions, limits=Limits()))
    said = [one for k in range(40) for one in bench.see([50.0, 50.0, 50.0 + 0.5 * k])]
    assert said == ["raise LT-3/above ABOVE", "raise LT-3/rise RISE"]


def test_a_forecast_is_of_its_own_point_and_of_its_limits():
    rising = replace(tank("LT-2"), conditions=Conditions(forecast=True))
    bench = Bench(tank(), rising)
    for k in range(400):
        bench.see([50.0, 40.0 + 0.05 * k])
    [(row, one)] = bench.engine.forecasts.items()
    true_s = (80.0 - (40.0 + 0.05 * 399)) / 0.05
    assert (row, one.level) == (1, "H")
    assert one.from_s <= true_s + 1 and one.to_s >= true_s - 1  # noqa: PT018 - one range


# -- what alarms say of themselves ----------------------------------------------------------------------


def test_alarms_of_a_source_and_of_the_gateway_have_no_point_and_say_whose_they_are():
    bench = Bench()
    bench.see(math.nan, bad(Cause.COMM))
    bench.engine.condition("disk", "full", now(2))
    source, disk = bench.live("plc/comm"), bench.live("gateway/disk")
    assert (source.type, source.point_id, source.source, source.text) == ("comm", "", "plc", "plc")
    assert (disk.type, disk.point_id, disk.source, disk.text) == ("gateway", "", "disk", "disk")
    assert (disk.level_current, disk.cause, disk.active) == ("FAULT", "full", True)


def test_an_alarm_shows_its_points_value_now_whatever_its_tag_looks_like():
    contact = PointConfig(Point("XS-1", "1"), limits=Limits(on=0))
    bench = Bench(tank("U1/LT-1"), contact)
    bench.see([85.0, 0.0])
    bench.see([88.0, 0.25])
    assert bench.engine.latest(bench.live("U1/LT-1/high")) == (88.0, 88.0, 80.0)
    assert bench.engine.latest(bench.live("XS-1/state"))[0] == 0.25


def test_a_level_reached_says_its_value():
    bench = Bench()
    bench.see(85.0)
    bench.see(95.0)
    assert (bench.live().value, bench.live().peak, bench.live().limit_edge) == (95.0, 95.0, 90.0)


# -- other limits, tests, suppression -------------------------------------------------------------------


def test_an_alarm_that_stands_on_shows_the_limit_that_holds_now():
    bench = Bench()
    bench.see(85.0)
    assert bench.engine.change_limits("LT-1", Limits(h=82.0), now(9)).changes == ()
    assert bench.engine.live(bench.live()).limit_edge == 82.0
    assert bench.live().limit_edge == 80.0, "as its last change is on record"
    bench.see(85.0, bad(Cause.DEVICE_FAULT))
    bench.engine.change_limits("LT-1", Limits(), now(10))
    assert bench.engine.live(bench.live()).limit_edge == 80.0, "there is none now"


def test_other_limits_are_those_of_the_point_and_their_delay_runs_from_then_on():
    bench = Bench()
    bench.see(70.0)
    limits = Limits(h=60.0, on_delay_s=5.0)
    assert bench.engine.change_limits("LT-1", limits, now(10)).changes == ()
    assert bench.engine.points[0].limits == limits
    assert bench.at(14.9) == []
    assert bench.at(15) == ["raise LT-1/high H"]


def test_other_limits_clear_nothing_while_the_value_is_uncertain_or_bad():
    for q, said in ((quality(Status.UNCERTAIN), []), (bad(Cause.COMM), []), (GOOD, ["clear LT-1/high H"])):
        bench = Bench()
        bench.see(85.0)
        bench.see(85.0, q)
        changes = bench.engine.change_limits("LT-1", Limits(h=90.0), now(9)).changes
        assert [_said(c) for c in changes] == said


def test_a_point_that_hangs_on_others_is_tested_alone():
    hanging = Conditions(deviation=5.0, deviation_from="LT-2", suppressed_by="HS-1")
    bench = Bench(replace(tank(), conditions=hanging), tank("LT-2"), PointConfig(Point("HS-1", "1")))
    outcome = bench.engine.command("li", people.Test("LT-1", 95.0, "试警", 30.0), now(1))
    assert [_said(c) for c in outcome.sirens] == ["raise LT-1/high HH"]


def test_a_quality_alarm_of_a_suppressed_point_is_suppressed_too():
    points = replace(tank(), conditions=Conditions(suppressed_by="HS-1")), PointConfig(Point("HS-1", "1"))
    bench = Bench(*points)
    bench.see([50.0, 1.0])
    assert bench.see([math.nan, 1.0], [bad(Cause.DEVICE_FAULT), GOOD]) == ["raise LT-1/quality BAD"]
    assert bench.live("LT-1/quality").suppressed == "HS-1"


# -- silence and return ---------------------------------------------------------------------------------


def test_one_source_that_comes_back_in_part_says_nothing_of_another():
    points = [tank(f"P-{k}", unit_id=1 + k // 2) for k in range(6)]
    bench = Bench(*points)
    comm = bad(Cause.COMM)
    bench.see([math.nan] * 4, comm)
    assert set(bench.engine.alarms) == {"plc/1/comm", "plc/2/comm"}
    assert bench.see([50.0]) == []
    bench.second = 8
    assert bench.at(8) == ["clear plc/1/comm COMM", "raise P-1/quality BAD"]


def test_a_device_that_falls_silent_and_one_that_never_spoke_are_told_in_one_look():
    devices = [WatchedDevice("old", (tank("A"),), 1.0, polled=True), WatchedDevice("new", (tank("B"),))]
    engine = Engine(devices, (), now())
    engine.step([scan(50.0, device="old")], now(1))
    told = {c.alarm.condition for c in engine.tick(now(60)).changes}
    assert told == {"old/comm", "new/comm"}


def test_an_alarm_says_where_it_is_and_what_people_call_it():
    bench = Bench(replace(tank(), area="罐区", description="1号罐液位"))
    bench.see(85.0)
    assert (bench.live().area, bench.live().text) == ("罐区", "1号罐液位")
    bench.see(math.nan, bad(Cause.DEVICE_FAULT))
    assert (bench.live("LT-1/quality").area, bench.live("LT-1/quality").text) == ("罐区", "1号罐液位")


def test_a_quality_alarm_neither_latches_nor_belongs_to_a_trip_nor_calls_again():
    conditions = Conditions(latching=True, first_out="停车", re_alarm_s=1.0)
    bench = Bench(replace(tank(), conditions=conditions))
    bench.see(math.nan, bad(Cause.DEVICE_FAULT))
    alarm = bench.live("LT-1/quality")
    assert (alarm.latched, alarm.first_out) == (False, False)
    bench.engine.command("li", Acknowledge(alarm.alarm_id), now(2))
    assert bench.at(10) == []
    bench.see(85.0)
    assert (bench.live().latched, bench.live().first_out) == (True, True)


def test_after_a_restart_only_what_was_suppressed_is():
    standing = standing_after(85.0)
    assert Bench(standing=standing).engine.suppressed == {}


def test_what_was_taken_out_keeps_its_peak():
    before = Bench()
    before.see(85.0)
    before.see(88.0)
    before.see(95.0)
    gone = Bench(tank("LT-9"), standing=list(before.engine.alarms.values()))
    [change] = gone.engine.step((), now(5)).changes
    assert (change.alarm.clear_kind, change.alarm.peak) == ("point_removed", 95.0)


def test_of_several_numbers_only_the_false_ones_are_bad():
    bench = Bench(*many(2))
    outcome = bench.engine.step(
        [scan([math.nan, 50.0]), replace(scan([math.inf, 50.0]), history=True)], now(1)
    )
    for told in outcome.scans:
        assert told.quality.tolist() == [bad(Cause.GARBLED), GOOD]


def test_what_is_not_read_is_recorded_as_that():
    bench = Bench(*many(2), polled=True)
    bench.see([50.0, 50.0])
    [told] = bench.engine.tick(now(60)).scans
    assert (told.device, told.config_rev, told.points.tolist()) == ("plc", "", [0, 1])
    assert told.quality.tolist() == [bad(Cause.NOT_READ)] * 2
    assert (told.quality.dtype, told.points.dtype) == (np.uint8, np.uint16)
    assert np.isnan(told.values).all()


def test_the_unit_of_a_point_is_known_by_its_tag():
    engine = Bench(replace(tank(), unit="m")).engine
    assert (engine.unit_of("LT-1"), engine.unit_of("plc")) == ("m", "")


def test_an_excursion_keeps_its_peak_over_a_restart_whatever_it_is_of():
    conditions = Conditions(rise_per_min=6.0, deviation=10.0, deviation_from=30.0)
    point = replace(tank(), conditions=conditions)
    before = Bench(point)
    for k in range(40):
        before.see(60.0 + 0.9 * k)
    assert set(before.engine.alarms) == {"LT-1/high", "LT-1/rise", "LT-1/above"}
    after = Bench(point, standing=list(before.engine.alarms.values()))
    assert after.engine.step((), now(1)).changes == (), "each is still watched"
    said = [one for _ in range(80) for one in after.see(30.0)]
    assert said == ["clear LT-1/high HH", "clear LT-1/above ABOVE", "clear LT-1/rise RISE"]
    for condition, alarm in before.engine.alarms.items():
        assert after.live(condition).peak == alarm.peak, "as the record has it"


def test_a_rate_that_is_not_known_clears_nothing():
    bench = Bench(replace(tank(), conditions=Conditions(rise_per_min=6.0), limits=Limits()))
    for k in range(40):
        bench.see(0.5 * k)
    assert bench.live("LT-1/rise").active
    bench.second = 400
    assert bench.see(20.0) == [], "one reading after a hole has no slope"
    assert bench.live("LT-1/rise").active


def test_a_peak_that_nobody_remembers_is_none():
    [alarm] = standing_after(85.0)
    bench = Bench(standing=[replace(alarm, peak=None)])
    assert bench.engine.latest(bench.live())[1] is None


def test_without_a_point_that_wants_one_there_is_no_forecast():
    bench = Bench()
    bench.see(50.0)
    assert bench.engine.forecasts == {}
    assert bench.engine.quality.dtype == np.uint8


def test_a_shelf_does_not_begin_anew_on_a_box_that_starts_without_the_time():
    since = now(0).utc_ns
    shelf = people.Held("shelve", "LT-1", "wang", "维修", since, since + 60 * SECOND)
    start = Now(5 * SECOND, since - 3600 * SECOND)
    seen_ns = since + 50 * SECOND
    engine = Engine([WatchedDevice("plc", (tank(),))], (), start, held=[shelf], seen_ns=seen_ns)
    assert engine.register.next_deadline == 15 * SECOND
