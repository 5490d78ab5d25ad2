"""How far a recipient has settled a lane: a low-water mark and a few ranges above it. Pure; knows no disk.

Live and backfill are settled independently, so settled sequence numbers need not be contiguous. The ranges
are bounded; what is forgotten beyond the bound is sent once more, which the receiver absorbs by key.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

MAX_RANGES: Final = 256
"""Settled ranges remembered above the low-water mark; beyond it the shortest is forgotten."""

Range = tuple[int, int]
"""Inclusive (first, last)."""


@dataclass(frozen=True, slots=True)
class Position:
    """One recipient's place in one lane; once it exists it never changes.

    Attributes:
        low: every seq up to and including this one is settled.
        ranges: settled ranges above ``low + 1``, rising, neither touching nor overlapping.
    """

    low: int = 0
    ranges: tuple[Range, ...] = ()

    def settle(self, ranges: Iterable[Range]) -> Position:
        """The position after these inclusive ranges are settled too.

        Raises:
            ValueError: a range that ends before it begins, or begins before 1.
        """
        fresh = tuple(ranges)
        for first, last in fresh:
            if first < 1 or last < first:
                raise ValueError(f"settled range ({first}, {last}) is not a range of sequence numbers")
        low, kept = _joined([(1, self.low), *self.ranges, *fresh])
        while len(kept) > MAX_RANGES:
            kept.remove(min(kept, key=_length))
        return Position(low, tuple(kept))

    @property
    def settled(self) -> tuple[Range, ...]:
        """All that is settled, rising."""
        return ((1, self.low), *self.ranges) if self.low else self.ranges

    def is_settled(self, seq: int) -> bool:
        """Whether this seq needs no sending any more."""
        if seq <= self.low:
            return True
        at = bisect_right(self.ranges, seq, key=_first) - 1
        return at >= 0 and seq <= self.ranges[at][1]

    def next_unsettled(self, from_seq: int = 1) -> int:
        """The first seq at or after ``from_seq`` that still has to be settled."""
        seq = max(from_seq, self.low + 1)
        at = bisect_right(self.ranges, seq, key=_first) - 1
        return self.ranges[at][1] + 1 if at >= 0 and seq <= self.ranges[at][1] else seq

    def next_settled(self, from_seq: int) -> int | None:
        """The first settled seq at or after ``from_seq``, None where all that follows is unsettled."""
        if self.is_settled(from_seq):
            return from_seq
        at = bisect_right(self.ranges, from_seq, key=_first)
        return self.ranges[at][0] if at < len(self.ranges) else None

    def count_settled(self, first: int, last: int) -> int:
        """How many of the records ``first`` … ``last`` are settled."""
        spans = ((1, self.low), *self.ranges)
        return sum(max(0, min(last, end) - max(first, begin) + 1) for begin, end in spans)

    def up_to(self, head: int) -> Position:
        """The same place without what lies beyond ``head``: nothing unrecorded can be settled."""
        kept = tuple((first, min(last, head)) for first, last in self.ranges if first <= head)
        return Position(min(self.low, head), kept)

    def pack_ranges(self) -> bytes:
        """The ranges in few bytes: per range the distance from the one before and its length, LEB128."""
        out = bytearray()
        for before, (first, last) in pairwise(((0, self.low), *self.ranges)):
            _put(out, first - before[1])
            _put(out, last - first)
        return bytes(out)

    @classmethod
    def unpack(cls, low: int, packed: bytes) -> Position:
        """The inverse of ``pack_ranges``.

        Raises:
            ValueError: bytes that ``pack_ranges`` never makes.
        """
        numbers = _numbers(packed)
        if len(numbers) % 2 or len(numbers) > 2 * MAX_RANGES or low < 0:
            raise ValueError("a position is damaged")
        ranges: list[Range] = []
        end = low
        for distance, length in zip(numbers[::2], numbers[1::2], strict=True):
            if distance < 2:
                raise ValueError("a position's ranges touch")
            ranges.append((end + distance, end + distance + length))
            end = ranges[-1][1]
        return cls(low, tuple(ranges))


def settled_by_all(positions: Iterable[Position]) -> Position | None:
    """What every one of these has settled; None where there is nobody to wait for."""
    common: Position | None = None
    for position in positions:
        common = position if common is None else _intersection(common, position)
    return common


def _intersection(a: Position, b: Position) -> Position:
    left, right = [(1, a.low), *a.ranges], [(1, b.low), *b.ranges]
    both: list[Range] = []
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            both.append((first, last))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    low, kept = _joined(both)
    return Position(low, tuple(kept))


def _joined(spans: list[Range]) -> tuple[int, list[Range]]:
    """Touching and overlapping spans made one; what starts at 1 becomes the low-water mark."""
    low = 0
    kept: list[Range] = []
    for first, last in sorted(spans):
        if first <= low + 1:
            low = max(low, last)
        elif kept and first <= kept[-1][1] + 1:
            kept[-1] = (kept[-1][0], max(kept[-1][1], last))
        else:
            kept.append((first, last))
    return low, kept


def _first(span: Range) -> int:
    return span[0]


def _length(span: Range) -> int:
    return span[1] - span[0]


def _put(out: bytearray, number: int) -> None:
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)


def _numbers(packed: bytes) -> list[int]:
    numbers: list[int] = []
    number = shift = 0
    for byte in packed:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(number)
            number = shift = 0
    if shift:
        raise ValueError("a position is cut short")
    return numbers
