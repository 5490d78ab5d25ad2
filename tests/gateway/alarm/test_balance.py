"""Mass balances of tanks that leak, of tanks that do not, and of tanks nobody can see."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Point, Scan
from gateway.alarm.balance import SAMPLES, Balances
from gateway.alarm.conditions import Balance
from gateway.alarm.life import restore
from gateway.alarm.limits import NEVER
from gateway.engine import Engine, WatchedDevice
from gateway.instant import Now
from gateway.plant import PointConfig

S = 1_000_000_000
TANK = Balance("T-1", "LT", 10.0, ("FI",), ("FO",), window_s=600.0, tolerance=1.0)
ROWS = {"LT": 0, "FI": 1, "FO": 2}


class Plant:
    """A tank of 10 m2 read each second; ``leak`` flows out and no meter sees it."""

    def __init__(self, *balances, start=1000):
        self.balances = Balances(balances or (TANK,), ROWS)
        self.second = start
        self.values = np.array([5.0, 20.0, 20.0])
        self.good = np.ones(3, dtype=bool)
        self.said = []

    def run(self, seconds, flow_in=20.0, flow_out=20.0, leak=0.0):
        before = len(self.said)
        for _ in range(seconds):
            self.second += 1
            self.values[1:] = flow_in, flow_out
            self.values[0] += (flow_in - flow_out - leak) / 3600 / 10
            if self.second * S >= self.balances.next_due_ns:
                self.said += self.balances.judge(self.values, lambda rows: self.good[rows], self.second * S)
        return [one.change for one in self.said[before:]]


def test_a_tank_that_keeps_what_flows_in_is_in_balance():
    plant = Plant()
    assert plant.run(1200, 120.0, 20.0) + plant.run(1200, 0.0, 90.0) + plant.run(1200) == []


def test_a_leak_is_a_misfit_once_its_loss_within_the_window_passes_the_tolerance():
    plant = Plant()
    plant.run(900)
    assert plant.run(590, leak=5.9) == []  # it may be out by 1 m3 in 10 min
    assert plant.run(600, leak=5.9) == []
    assert plant.run(600, leak=6.2) == ["raise"]
    [raised] = plant.said
    assert raised.condition == "T-1/balance"
    assert raised.apart < -1.0
    assert raised.cause == "level says -1 m3, flows say +0 m3 in 10 min: 1 m3 apart"


def test_what_is_apart_by_exactly_the_tolerance_is_no_misfit():
    plant = Plant(Balance("T-1", "LT", 1.0, ("FI",), ("FO",), 600.0, 1.0))
    plant.run(700)
    plant.values[0] += 1.0
    assert plant.run(700) == []
    plant.values[0] += 1.0 + 1e-9
    assert plant.run(700) == ["raise", "clear"]


def test_flows_that_rise_all_the_time_are_integrated_without_a_bias():
    plant = Plant(Balance("T-1", "LT", 10.0, ("FI",), ("FO",), 600.0, 0.1))
    said = [plant.run(1, second * 1000 / 1200) for second in range(1200)]
    assert not any(said)


def test_what_happens_in_a_short_hole_is_not_known_either():
    plant = Plant()
    plant.run(900)
    plant.good[1] = False
    plant.run(20)
    plant.values[0] -= 2.0
    plant.good[1] = True
    assert plant.run(1200) == []


def test_a_misfit_returns_within_half_of_its_tolerance_and_keeps_its_worst():
    plant = Plant()
    plant.run(1200, leak=12.0)
    assert plant.run(1200, leak=4.0) == []  # 0.67 m3: less than the tolerance, more than half
    assert plant.run(900, leak=2.9) == ["clear"]
    cleared = plant.said[-1]
    assert cleared.apart == pytest.approx(-0.5, abs=0.02)
    assert cleared.worst == pytest.approx(-2.0, abs=0.05)


def test_nothing_is_said_before_a_whole_window_was_seen():
    plant = Plant()
    assert plant.run(599, leak=100.0) == []
    assert plant.run(20, leak=100.0) == ["raise"]


@pytest.mark.parametrize("row", [0, 1, 2])
def test_while_a_point_is_not_good_a_balance_keeps_its_state_and_afterwards_sees_a_whole_window_anew(row):
    plant = Plant()
    assert plant.run(900, leak=12.0) == ["raise"]
    plant.good[row] = False
    assert plant.run(1800) == ["doubt"]
    plant.good[row] = True
    assert plant.run(598) == []
    assert plant.run(20) == ["clear"]
    calm = Plant()
    calm.run(900)
    calm.good[row] = False
    assert calm.run(900, leak=100.0) == []
    calm.good[row] = True
    assert calm.run(900) == []  # what was lost meanwhile is not known, and not said


def test_a_misfit_that_can_be_judged_again_and_still_stands_is_trusted():
    plant = Plant()
    plant.run(900, leak=12.0)
    plant.good[0] = False
    plant.run(60, leak=12.0)
    plant.good[0] = True
    assert plant.run(900, leak=12.0) == ["trust"]


def test_a_pause_of_the_evaluation_is_a_hole():
    plant = Plant()
    plant.run(900)
    plant.second += 300
    plant.values[0] -= 2.0
    assert plant.run(598) == []
    assert plant.run(600) == []


def test_a_misfit_outlives_a_restart_without_a_word():
    plant = Plant()
    assert plant.balances.restore("T-1/balance", -3.0)
    assert not plant.balances.restore("T-2/balance", None)
    assert plant.run(590) == []
    assert plant.run(30) == ["clear"]
    assert plant.said[0].worst == -3.0
    other = Plant()
    other.balances.restore("T-1/balance", None)
    assert other.run(900, leak=12.0) == []


def test_without_balances_nothing_is_ever_due():
    assert Balances((), {}).next_due_ns == NEVER


def test_memory_is_bounded_however_often_it_is_asked():
    plant = Plant()
    [tank] = plant.balances._tanks
    for tenth in range(20_000):
        plant.balances.judge(plant.values, lambda rows: plant.good[rows], (1000 * S) + tenth * S // 10)
    assert 61 <= len(tank._window) <= 63


def test_a_tank_without_flows_must_keep_its_level():
    plant = Plant(Balance("T-1", "LT", 10.0))
    assert plant.run(700) + plant.run(700, leak=12.0) == ["raise"]


def test_a_misfit_remembers_its_worst():
    plant = Plant()
    plant.run(900)
    assert plant.run(700, leak=6.2) == ["raise"]
    plant.run(700, leak=12.0)
    assert plant.run(700) == ["clear"]
    assert plant.said[0].apart == pytest.approx(-1.0, abs=0.05)
    assert plant.said[-1].worst == pytest.approx(-2.0, abs=0.05)


def test_a_misfit_whose_worst_is_not_known_has_that_of_what_was_seen_since():
    plant = Plant()
    assert plant.balances.restore("T-1/balance", None)
    assert plant.run(700) == ["clear"]
    assert plant.said[-1].worst == pytest.approx(0.0, abs=0.01)


def test_a_point_that_no_balance_is_drawn_of_puts_none_in_doubt():
    plant = Plant()
    plant.good = np.array([True, True, True, False])
    plant.run(900)
    assert plant.run(700, leak=12.0) == ["raise"]


def test_a_late_sample_does_not_shift_the_next_and_a_very_late_one_begins_anew():
    plant = Plant()
    plant.run(1)
    every_ns = 600 * S // SAMPLES
    first_ns = plant.balances.next_due_ns
    for late_ns, next_ns in (
        (S, first_ns + every_ns),
        (2 * every_ns, first_ns + 3 * every_ns),
        (9 * every_ns, first_ns + 10 * every_ns),
    ):
        plant.balances.judge(plant.values, lambda rows: plant.good[rows], first_ns + late_ns)
        assert plant.balances.next_due_ns == next_ns


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200), st.integers(30, 400)), min_size=3, max_size=8)
)
def test_whatever_flows_a_tank_that_loses_nothing_is_in_balance(phases):
    """Within the trapezoid's own error: half a sample at each jump of a flow."""
    jumps = sum(abs((b[0] - b[1]) - (a[0] - a[1])) / 3600 * 5 for a, b in pairwise(phases))
    plant = Plant(Balance("T-1", "LT", 10.0, ("FI",), ("FO",), 600.0, 0.01 + jumps))
    assert [change for phase in phases for change in plant.run(phase[2], phase[0], phase[1])] == []


class Watched:
    """The same tank behind the engine."""

    def __init__(self, *standing, balances=(TANK,)):
        self.second = 1000
        points = tuple(PointConfig(Point(tag, "1"), area="罐区", priority=3) for tag in ROWS)
        device = WatchedDevice("plc", points)
        self.engine = Engine([device], standing, self.now, balances=balances)
        self.changes = list(self.engine.step((), self.now).changes)
        self.level = 5.0

    @property
    def now(self):
        return Now(self.second * S, 1_790_000_000 * S + self.second * S)

    def run(self, seconds, leak=0.0, level_quality=GOOD):
        before, sirens = len(self.changes), 0
        for _ in range(seconds):
            self.second += 1
            self.level -= leak / 3600 / 10
            quality = np.array([level_quality, GOOD, GOOD], dtype=np.uint8)
            values = np.array([self.level, 20.0, 20.0])
            points = np.arange(3, dtype=np.uint16)
            scan = Scan("plc", "rev", points, values, quality, self.now.utc_ns, self.now.mono_ns)
            outcome = self.engine.step([scan], self.now)
            self.changes += outcome.changes
            sirens += any(change.alarm.type == "discrepancy" for change in outcome.sirens)
        assert not sirens
        return [f"{c.transition} {c.alarm.condition}" for c in self.changes[before:]]


def test_the_engine_makes_an_advisory_of_a_misfit_that_no_siren_hears():
    plant = Watched()
    assert plant.run(1200, leak=12.0) == ["raise T-1/balance"]
    alarm = plant.engine.alarms["T-1/balance"]
    assert (alarm.type, alarm.level_current, alarm.advisory) == ("discrepancy", "MISFIT", True)
    assert (alarm.point_id, alarm.area, alarm.priority, alarm.source) == ("LT", "罐区", 3, "plc")
    assert (alarm.limit_edge, alarm.cause[:6]) == (1.0, "level ")
    plant.run(60, leak=12.0, level_quality=bad(Cause.MAINTENANCE))
    assert plant.engine.alarms["T-1/balance"].last_known
    assert plant.run(1300) == ["clear T-1/balance"]
    gone = plant.changes[-1].alarm
    assert (gone.last_known, gone.peak) == (False, pytest.approx(-1.8, abs=0.4))
    assert (gone.clear_kind, gone.value) == ("returned", pytest.approx(0.0, abs=0.1))


def test_the_engine_takes_a_misfit_up_after_a_restart_unless_nobody_balances_any_more():
    before = Watched()
    before.run(1200, leak=12.0)
    standing = restore(before.changes[-1].alarm.state_bytes())
    after = Watched(standing)
    assert after.run(590) == []
    assert after.run(60) == ["clear T-1/balance"]
    assert (after.changes[-1].alarm.peak, after.changes[-1].alarm.text) == (standing.peak, "T-1")
    [change] = Watched(standing, balances=()).changes
    assert (change.transition, change.alarm.clear_kind) == ("clear", "point_removed")


def test_the_engine_wants_to_be_asked_when_a_balance_is_due():
    plant = Watched()
    plant.run(20)
    assert plant.engine.next_deadline <= plant.now.mono_ns + 10 * S
