"""The grid: same slot, same float; late reads skip and count; a timer a hair early does not read twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.pace import SLOTS_PER_PERIOD, next_due, period_ns

SECOND = 1_000_000_000
nows = st.integers(0, 2**62)
slots = st.integers(0, 3 * SLOTS_PER_PERIOD)
periods = st.floats(0.05, 3600).map(period_ns)


def test_all_devices_of_a_slot_share_one_deadline() -> None:
    deadlines = {next_due(5 * SECOND + jitter, SECOND, 3).at_s for jitter in range(0, 100_000_000, 999_983)}
    assert deadlines == {5.15}


@given(nows, periods, slots)
def test_due_is_on_the_grid_and_within_one_period(now: int, period: int, slot: int) -> None:
    due = next_due(now, period, slot)
    assert now < due.at_ns <= now + period
    assert (due.at_ns - slot % SLOTS_PER_PERIOD * period // SLOTS_PER_PERIOD) % period == 0


@given(nows, periods, slots, st.integers(0, 50))
def test_an_overrun_skips_and_counts_every_missed_point(now: int, period: int, slot: int, late: int) -> None:
    first = next_due(now, period, slot).at_ns
    due = next_due(first + late * period + period // 2, period, slot, first)
    assert due.at_ns == first + (late + 1) * period
    assert due.skipped == late


def test_an_early_timer_does_not_read_the_same_point_twice() -> None:
    due = next_due(5 * SECOND - 1, SECOND, 0, 5 * SECOND)
    assert due == (6 * SECOND, 0)
