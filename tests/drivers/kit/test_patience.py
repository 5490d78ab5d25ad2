"""Who is asked now: a silent unit waits its turn, a refused place its minute, everyone else is asked."""

from __future__ import annotations

from drivers.kit.patience import FIRST_PAUSE_NS, REFUSED_RETRY_NS, Patience, cause_of_exception
from drivers.kit.planner import Block, plan
from drivers.kit.quality import Cause
from drivers.kit.scan import Point

POINTS = (
    Point("a", "FC03/0", unit_id=1),
    Point("b", "FC03/0", unit_id=2),
    Point("c", "FC03/1", unit_id=2),
    Point("d", "FC03/0", unit_id=3),
)
ONE, TWO, THREE = plan(POINTS, 1)
SECOND = 1_000_000_000


def test_at_ease_everyone_is_asked() -> None:
    patience = Patience(POINTS, 1, SECOND)
    assert patience.at_ease
    assert [patience.excuse(block, 0) for block in (ONE, TWO, THREE)] == [None, None, None]


def test_silent_units_wait_take_turns_and_come_back_alone() -> None:
    patience = Patience(POINTS, 1, SECOND)
    patience.fell_silent(TWO, 0)
    patience.fell_silent(THREE, 0)
    assert [patience.excuse(block, 0) for block in (ONE, TWO, THREE)] == [None, Cause.COMM, Cause.COMM]
    turn = patience.turn(0)
    assert turn == (2, 0, 2)
    patience.fell_silent(TWO, 0)
    assert patience.turn(0) == (3, 0, 1)
    patience.fell_silent(THREE, 10)
    assert patience.turn(20) == (2, FIRST_PAUSE_NS, 0)
    patience.answered(TWO)
    assert [patience.excuse(block, 0) for block in (ONE, TWO, THREE)] == [None, None, Cause.COMM]


def test_pauses_double_up_to_one_period_and_every_scan_gives_a_silent_unit_its_chance() -> None:
    patience = Patience(POINTS, 1, 3 * SECOND)
    pauses, now = [], 0
    for _ in range(6):
        patience.fell_silent(TWO, now)
        turn = patience.turn(now)
        assert turn is not None
        pauses.append(turn.due_ns - now)
        now = turn.due_ns
    assert pauses == [0, FIRST_PAUSE_NS, SECOND, 2 * SECOND, 3 * SECOND, 3 * SECOND]
    patience.fell_silent(TWO, now)
    patience.scanned(now + 1)
    assert patience.turn(now + 1) == (2, now + 1, 1)
    patience.rest(2, now + 5)
    assert patience.turn(now + 1) == (2, now + 5, 0)


def test_a_unit_that_lives_but_is_silent_at_one_block_loses_only_that() -> None:
    patience = Patience(POINTS, 1, SECOND)
    first, second = patience.refusal(TWO, 2, now_ns=0)
    patience.fell_silent(first, 0)
    assert patience.probe(2, (first, second)) == second, "asked where it did not fall"
    patience.answered(second)
    patience.fell_silent(first, 1)
    assert not patience.any_silent, "it answered meanwhile, so it lives"
    assert patience.excuse(first, 2) is Cause.COMM
    assert patience.excuse(second, 2) is None
    assert patience.excuse(first, 1 + REFUSED_RETRY_NS) is None
    patience.answered(first)
    assert patience.at_ease
    patience.fell_silent(first, 5)
    assert patience.any_silent, "the block was read meanwhile: now it is the unit again"


def test_a_unit_with_one_block_is_never_put_off_however_often_it_falls() -> None:
    """It came back without a word of another block: that proves nothing against the block."""
    patience = Patience(POINTS, 1, SECOND)
    for fall in range(5):
        patience.fell_silent(TWO, fall)
        assert patience.any_silent
        assert patience.probe(2, (TWO,)) == TWO
        patience.back(2)
        assert patience.excuse(TWO, fall) is None
    assert not patience.at_ease, "the next answer must be told"
    patience.answered(TWO)
    assert patience.at_ease


def test_a_block_that_was_read_since_is_no_longer_suspect() -> None:
    patience = Patience(POINTS, 1, SECOND)
    first, second = patience.refusal(TWO, 2, now_ns=0)
    patience.fell_silent(first, 0)
    patience.answered(second)
    patience.answered(first)
    assert patience.at_ease
    patience.fell_silent(first, 5)
    assert patience.any_silent
    patience.fell_silent(first, 6)
    patience.vouch(second)
    patience.back(2)
    patience.fell_silent(first, 7)
    assert patience.excuse(first, 8) is Cause.COMM
    assert not patience.any_silent


def test_a_unit_that_owes_an_answer_is_silent_even_where_a_block_of_it_is_put_off() -> None:
    patience = Patience(POINTS, 1, SECOND)
    first, second = patience.refusal(TWO, 2, now_ns=0)
    patience.fell_silent(first, 0, owes=True)
    patience.answered(second)
    patience.fell_silent(first, 1, owes=True)
    assert patience.excuse(second, 2) is Cause.COMM
    assert patience.probe(2, (first, second)) == second
    patience.back(2)
    assert patience.excuse(second, 3) is None
    assert patience.excuse(first, 3) is Cause.COMM, "it fell there again"


def test_a_unit_that_is_back_is_asked_for_what_it_did_not_answer_before_it_fell() -> None:
    patience = Patience(POINTS, 1, SECOND)
    first, second = patience.refusal(TWO, 2, now_ns=0)
    patience.fell_silent(first, 0)
    patience.answered(second)
    patience.fell_silent(first, 1)
    assert patience.excuse(first, 2) is Cause.COMM
    patience.fell_silent(second, 2)
    assert patience.probe(2, (first, second)) == second, "what was put off proves nothing"
    patience.answered(second)
    assert patience.excuse(first, 3) is None
    patience.answered(first)
    assert patience.at_ease


def fallen(patience: Patience, *blocks: Block) -> None:
    """The unit fell at these, and answered none since."""
    for block in blocks:
        patience.fell_silent(block, 0, owes=True)


def test_a_unit_lost_at_a_block_that_was_put_off_is_asked_for_it_as_soon_as_it_is_back() -> None:
    patience = Patience(POINTS, 1, SECOND)
    first, second = patience.refusal(TWO, 2, now_ns=0)
    fallen(patience, first)
    patience.answered(second)
    fallen(patience, first, second)
    assert patience.excuse(first, 1) is Cause.COMM
    patience.vouch(second)
    patience.back(2)
    assert patience.excuse(first, 1) is None, "the second had been silent, too: it was the unit"
    fallen(patience, first)
    patience.vouch(second)
    patience.back(2)
    assert patience.excuse(first, 1) is Cause.COMM, "the second had not: it is the block"


def test_blocks_of_a_silent_unit_are_asked_in_turn_and_several_bad_ones_are_all_found() -> None:
    points = tuple(Point(f"p{k}", f"FC03/{500 * k}") for k in range(4))
    patience, blocks = Patience(points, 1, SECOND), plan(points, 1)
    *bad_ones, good = blocks
    for _ in range(len(bad_ones)):
        fell_at = next(block for block in blocks if patience.excuse(block, 0) is None)
        fallen(patience, fell_at)
        for _ in blocks:
            block = patience.probe(1, blocks)
            assert block != fell_at
            if block == good:
                break
            fallen(patience, block)
        patience.vouch(block)
        patience.back(1)
    fallen(patience, bad_ones[-1])
    patience.vouch(good)
    patience.back(1)
    assert [patience.excuse(block, 0) for block in blocks] == [Cause.COMM] * 3 + [None]


def test_a_refused_block_is_split_and_the_refused_place_waits_its_minute() -> None:
    patience = Patience(POINTS, 1, SECOND)
    smaller = patience.refusal(TWO, 2, now_ns=100)
    assert [block.rows for block in smaller] == [(1,), (2,)]
    assert patience.refusal(smaller[0], 2, now_ns=100) == ()
    assert patience.excuse(smaller[0], 101) is Cause.REFUSED
    assert patience.excuse(smaller[1], 101) is None
    assert patience.excuse(smaller[0], 100 + REFUSED_RETRY_NS) is None
    assert not patience.answered(smaller[1])
    assert patience.answered(smaller[0]), "the last that was put off"
    patience.refusal(smaller[0], 2, now_ns=200)
    patience.forget_refusals()
    assert patience.at_ease


def test_an_exception_that_is_not_about_a_place_splits_nothing() -> None:
    patience = Patience(POINTS, 1, SECOND)
    assert patience.refusal(TWO, 6, now_ns=0) == ()
    assert patience.excuse(TWO, 1) is None


def test_a_gateways_exceptions_mean_the_unit_is_silent() -> None:
    assert {cause_of_exception(code) for code in (0x0A, 0x0B)} == {Cause.COMM}
    assert {cause_of_exception(code) for code in (1, 2, 3, 4, 6)} == {Cause.REFUSED}
