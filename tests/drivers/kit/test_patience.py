"""Who is asked now: a silent unit waits its turn, a refused place its minute, everyone else is asked."""

from __future__ import annotations

from drivers.kit.patience import REFUSED_RETRY_NS, Patience, cause_of_exception
from drivers.kit.planner import plan
from drivers.kit.quality import Cause
from drivers.kit.scan import Point

POINTS = (
    Point("a", "FC03/0", unit_id=1),
    Point("b", "FC03/0", unit_id=2),
    Point("c", "FC03/1", unit_id=2),
    Point("d", "FC03/0", unit_id=3),
)
ONE, TWO, THREE = plan(POINTS, 1)


def test_at_ease_everyone_is_asked() -> None:
    patience = Patience(POINTS, 1)
    assert patience.at_ease
    assert [patience.excuse(block, 0) for block in (ONE, TWO, THREE)] == [None, None, None]


def test_silent_units_wait_take_turns_and_come_back_alone() -> None:
    patience = Patience(POINTS, 1)
    patience.fell_silent(2)
    patience.fell_silent(3)
    patience.fell_silent(2)
    assert [patience.excuse(block, 0) for block in (ONE, TWO, THREE)] == [None, Cause.COMM, Cause.COMM]
    assert [patience.probe([ONE, TWO, THREE]).unit_id for _ in range(4)] == [2, 3, 2, 3]
    patience.answered(TWO)
    assert [patience.excuse(block, 0) for block in (ONE, TWO, THREE)] == [None, None, Cause.COMM]


def test_a_refused_block_is_split_and_the_refused_place_waits_its_minute() -> None:
    patience = Patience(POINTS, 1)
    smaller = patience.refusal(TWO, 2, now_ns=100)
    assert [block.rows for block in smaller] == [(1,), (2,)]
    assert patience.refusal(smaller[0], 2, now_ns=100) == ()
    assert patience.excuse(smaller[0], 101) is Cause.REFUSED
    assert patience.excuse(smaller[1], 101) is None
    assert patience.excuse(smaller[0], 100 + REFUSED_RETRY_NS) is None
    assert patience.forget_refusals()
    assert patience.at_ease
    assert not patience.forget_refusals()


def test_an_exception_that_is_not_about_a_place_splits_nothing() -> None:
    patience = Patience(POINTS, 1)
    assert patience.refusal(TWO, 6, now_ns=0) == ()
    assert patience.excuse(TWO, 1) is None


def test_a_gateways_exceptions_mean_the_unit_is_silent() -> None:
    assert {cause_of_exception(code) for code in (0x0A, 0x0B)} == {Cause.COMM}
    assert {cause_of_exception(code) for code in (1, 2, 3, 4, 6)} == {Cause.REFUSED}
