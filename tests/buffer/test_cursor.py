"""A position against a plain set of settled numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.cursor import MAX_RANGES, Position, settled_by_all

TOP = 60
ranges = st.tuples(st.integers(1, TOP), st.integers(0, 8)).map(lambda at: (at[0], at[0] + at[1]))
acks = st.lists(st.lists(ranges, max_size=4), max_size=12)


def settled_set(position: Position, top: int = TOP + 10) -> set[int]:
    return {seq for seq in range(1, top) if position.is_settled(seq)}


def played(settlements: list[list[tuple[int, int]]]) -> tuple[Position, set[int]]:
    position, plain = Position(), set()
    for settlement in settlements:
        position = position.settle(settlement)
        plain |= {seq for first, last in settlement for seq in range(first, last + 1)}
    return position, plain


@given(acks)
def test_settles_like_a_set(settlements):
    position, plain = played(settlements)
    assert settled_set(position) == plain
    assert position.low == next(seq for seq in range(TOP + 20) if seq + 1 not in plain)
    for start in range(1, TOP):
        assert position.next_unsettled(start) == next(s for s in range(start, 200) if s not in plain)
        assert position.next_settled(start) == next((s for s in range(start, 200) if s in plain), None)
        assert position.count_settled(start, start + 7) == len(plain & set(range(start, start + 8)))


@given(acks, st.integers(0, TOP))
def test_nothing_beyond_the_head_is_settled(settlements, head):
    position, plain = played(settlements)
    assert settled_set(position.up_to(head)) == {seq for seq in plain if seq <= head}


@given(acks)
def test_packs_and_unpacks(settlements):
    position, _ = played(settlements)
    assert Position.unpack(position.low, position.pack_ranges()) == position


@given(st.lists(acks, min_size=1, max_size=3))
def test_settled_by_all_is_the_intersection(everyone):
    places = [played(settlements) for settlements in everyone]
    common = settled_by_all(position for position, _ in places)
    assert common is not None
    assert settled_set(common) == set.intersection(*(plain for _, plain in places))


def test_nobody_to_wait_for():
    assert settled_by_all([]) is None


def test_the_ranges_are_bounded_and_only_ever_forget():
    position = Position().settle((seq, seq) for seq in range(3, 3 + 4 * MAX_RANGES, 2)).settle([(5000, 6000)])
    assert len(position.ranges) == MAX_RANGES
    assert position.is_settled(5500), "the long range is worth keeping"
    assert not position.is_settled(4)
    assert len(position.pack_ranges()) < 3 * MAX_RANGES


@pytest.mark.parametrize("wrong", [(0, 3), (5, 4), (-2, -1)])
def test_a_range_that_is_none(wrong):
    with pytest.raises(ValueError, match="not a range"):
        Position().settle([wrong])


@pytest.mark.parametrize("damaged", [b"\x80", b"\x03", b"\x01\x00", b"\x02\x00" * (MAX_RANGES + 1)])
def test_damaged_bytes_are_refused(damaged):
    with pytest.raises(ValueError, match="position"):
        Position.unpack(4, damaged)
