"""The grid: same slot, same float; late reads skip and count; a timer a hair early does not read twice."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.pace import LOAD_WINDOW_S, SLOTS_PER_PERIOD, Agenda, Load, next_due, period_ns

SECOND = 1_000_000_000
nows = st.integers(0, 2**62)
slots = st.integers(0, 3 * SLOTS_PER_PERIOD)
periods = st.floats(0.05, 3600).map(period_ns)


def test_all_devices_of_a_slot_share_one_deadline() -> None:
    deadlines = {next_due(5 * SECOND + jitter, SECOND, 3).at_s for jitter in range(0, 100_000_000, 999_983)}
    assert deadlines == {5.75}


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


def opened(agenda: Agenda) -> list[int]:
    found = []
    while (group := agenda.turn()) is not None:
        found.append(group)
        agenda.close(group)
    return found


def test_slow_groups_are_read_with_the_fastest_and_wake_nobody() -> None:
    agenda = Agenda([2 * SECOND, SECOND, 5 * SECOND], 3, 0)
    seen = [(agenda.at_ns / SECOND, opened_at(agenda)) for _ in range(8)]
    assert [at for at, _ in seen] == [k + 0.75 for k in range(8)]
    assert [groups for _, groups in seen] == [[1], [0, 1], [1], [0, 1, 2], [1], [0, 1], [1], [0, 1]], (
        "the most important first, each as often as its own period says"
    )
    assert agenda.overruns == 0


def opened_at(agenda: Agenda) -> list[int]:
    agenda.strike(agenda.at_ns)
    return opened(agenda)


def test_a_group_still_being_read_is_not_begun_again_but_counted() -> None:
    agenda = Agenda([SECOND, 2 * SECOND], 0, 0)
    agenda.strike(SECOND)
    assert agenda.turn() == 0
    agenda.strike(2 * SECOND)
    assert agenda.overruns == 1
    agenda.close(0)
    assert agenda.turn() == 1
    agenda.strike(3 * SECOND)
    assert agenda.turn() == 0, "the more important one goes first, though the other is under way"
    agenda.strike(int(6.5 * SECOND))
    assert agenda.at_ns == 7 * SECOND
    assert agenda.overruns == 1 + 4, (
        "the first at 4 to 6, and the second once, its turns while it waits being one"
    )


def test_everything_is_read_at_once_when_a_device_is_back() -> None:
    agenda = Agenda([SECOND, 60 * SECOND], 0, 0)
    assert opened(agenda) == []
    agenda.open_all()
    assert opened(agenda) == [0, 1]
    agenda.open(1)
    assert opened(agenda) == [1]


def test_the_load_is_that_of_the_last_whole_window() -> None:
    load = Load(100.0)
    assert load.percent(100.0) is None
    load.busy_s += 0.5
    assert load.percent(102.0) == 25
    load.busy_s += 0.5
    assert load.percent(100.0 + LOAD_WINDOW_S) == 10
    assert load.percent(101.0 + LOAD_WINDOW_S) == 10
    load.busy_s += 2 * LOAD_WINDOW_S
    assert load.percent(100.0 + 2 * LOAD_WINDOW_S) == 100
