"""When a clock is so bad that people must know."""

from __future__ import annotations

from gateway.instant import ClockState, Now
from gateway.timekeeping import HOLDOVER_ERROR_MS, HOLDOVER_S, UNSYNCHRONISED_S, Timekeeping

LOST = ClockState("unsynchronised")
SET = ClockState("synchronised", 1.0)


def at(seconds: float, clock: ClockState) -> Now:
    return Now(int(seconds * 1e9), 0, clock)


def test_a_clock_may_take_a_while_to_find_its_time_server() -> None:
    keeping = Timekeeping(at(0, LOST))
    assert keeping.failure(at(UNSYNCHRONISED_S - 1, LOST)) == ""
    assert "not synchronised" in keeping.failure(at(UNSYNCHRONISED_S, LOST))
    assert keeping.failure(at(UNSYNCHRONISED_S + 1, SET)) == ""
    assert keeping.failure(at(UNSYNCHRONISED_S + 2, LOST)) == "", "the time begins anew"


def test_a_clock_on_its_own_is_judged_by_its_error() -> None:
    keeping = Timekeeping(at(0, SET))
    assert keeping.failure(at(1, ClockState("holdover", HOLDOVER_ERROR_MS - 1))) == ""
    assert "wrong by 1 s" in keeping.failure(at(2, ClockState("holdover", HOLDOVER_ERROR_MS)))


def test_where_nobody_knows_the_error_by_the_time_it_has_been_alone() -> None:
    unknown = ClockState("holdover")
    keeping = Timekeeping(at(0, SET))
    assert keeping.failure(at(10, unknown)) == ""
    assert keeping.failure(at(10 + HOLDOVER_S - 1, unknown)) == ""
    assert "24 h" in keeping.failure(at(10 + HOLDOVER_S, unknown))
