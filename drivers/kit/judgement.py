"""Decides from a scan's columns and those before it whether its values may be trusted. Pure; time is an argument.

What instruments say about themselves: status words, heartbeats, raw bytes that never change; and what lies
outside the engineering range. Where several are true of one value, the gravest is told (``GRAVITY``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.address import REGISTERS_OF_TYPE
from drivers.kit.decode import partner
from drivers.kit.quality import BoolArray, Cause, QualityArray, Status, bad, is_bad, status_of
from drivers.kit.scan import Point, ValueArray
from drivers.kit.status_word import parse_status_bits, severity

RANGE_SLACK: Final = 0.05
"""A value may lie outside its range by this share of the span: instruments reach a little further than they say."""
GRAVITY: Final = (
    Cause.COMM,
    Cause.REFUSED,
    Cause.GARBLED,
    Cause.NOT_READ,
    Cause.STARTUP,
    Cause.CLOCK,
    Cause.DEVICE_FAULT,
    Cause.FROZEN,
    Cause.DISABLED,
    Cause.MAINTENANCE,
    Cause.CALIBRATION,
    Cause.SIMULATION,
    Cause.WARM_UP,
    Cause.MUTED,
    Cause.MANUAL,
    Cause.OVER_RANGE,
    Cause.UNDER_RANGE,
    Cause.NONE,
)
"""Which cause is told of a value that has several; first of all counts how bad it is.

What stands still is told before what people bring about on purpose: the status word of a dead instrument is as old
as its value.
"""
assert set(GRAVITY) == set(Cause), "every cause has its place"

_UNREAD: Final = np.isin(
    np.arange(256), [bad(cause) for cause in (Cause.COMM, Cause.REFUSED, Cause.GARBLED, Cause.NOT_READ)]
)
"""For every quality byte: its value's bytes did not come from the device."""
_NS_PER_S: Final = 1_000_000_000


def _ranks() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Quality byte -> its place from the gravest on, and back."""
    place = {int(cause): number for number, cause in enumerate(GRAVITY)}
    order = sorted(range(256), key=lambda byte: (_badness(byte), place.get(byte >> 2, -1), byte))
    ranks = np.empty(256, dtype=np.uint8)
    ranks[order] = np.arange(256)
    return ranks, np.array(order, dtype=np.uint8)


def _badness(byte: int) -> int:
    return (Status.BAD, Status.UNCERTAIN, Status.GOOD).index(status_of(byte))


_RANK, _OF_RANK = _ranks()


def graver(quality: QualityArray, rows: NDArray[np.intp], found: QualityArray) -> QualityArray:
    """A new column: in ``rows`` (one may occur repeatedly) the gravest of what stood there and what was found."""
    ranks = _RANK[quality]
    np.minimum.at(ranks, rows, _RANK[found])
    worst: QualityArray = _OF_RANK[ranks]
    return worst


@dataclass(frozen=True, slots=True, eq=False)
class Ranges:
    """Engineering ranges of points, a row each, a little widened (``RANGE_SLACK``); infinite where there is none.

    Attributes:
        low, high: float64[n].
    """

    low: ValueArray
    high: ValueArray

    @classmethod
    def of(cls, points: Iterable[Point]) -> Ranges:
        """Ranges of these points; those without both ends have none."""
        low, high = np.array([_widened(point) for point in points], dtype=np.float64).reshape(-1, 2).T.copy()
        return cls(low, high)

    @property
    def empty(self) -> bool:
        """No point has a range."""
        return not np.isfinite(self.low).any()

    def apply(
        self, values: ValueArray, quality: QualityArray, rows: NDArray[np.uint16] | None = None
    ) -> QualityArray:
        """Quality with what lies outside its range uncertain; the same array where nothing does.

        Args:
            values: float64[n].
            quality: uint8[n], left as it is.
            rows: which of the points the columns hold; None for all.
        """
        low, high = (self.low, self.high) if rows is None else (self.low[rows], self.high[rows])
        over, under = values > high, values < low
        out = over | under
        if not out.any():
            return quality
        causes = np.where(over, severity(Cause.OVER_RANGE), severity(Cause.UNDER_RANGE)).astype(np.uint8)
        (where,) = out.nonzero()
        return graver(quality, where, causes[where])


class _Stillness:
    """For how long groups of cells have not changed, as far as they were seen.

    Time between two looks counts only where both saw the cells: what nobody saw may have changed and come back.
    """

    def __init__(self, widths: Sequence[int]) -> None:
        self._owner = np.repeat(np.arange(len(widths)), widths)
        self._starts = np.cumsum([0, *widths[:-1]])
        self._last: NDArray[np.generic] | None = None
        self._known = np.zeros(len(widths), dtype=np.bool_)
        self._seen = np.zeros(len(widths), dtype=np.bool_)
        self._still_ns = np.zeros(len(widths), dtype=np.int64)

    def after(self, cells: NDArray[np.generic], seen: BoolArray, passed_ns: int) -> NDArray[np.int64]:
        """How long each group is unchanged now, in nanoseconds.

        Args:
            cells: what was read, of one type always.
            seen: which groups were read at all.
            passed_ns: since the look before.
        """
        last = cells if self._last is None else self._last
        changed = seen & (np.logical_or.reduceat(cells != last, self._starts) | ~self._known)
        self._last = np.where(seen[self._owner], cells, last)
        self._still_ns = np.where(changed, 0, self._still_ns + passed_ns * (seen & self._seen))
        self._known, self._seen = self._known | seen, seen
        return self._still_ns


@dataclass(frozen=True, slots=True, eq=False)
class _Beats:
    """Points (``rows``) that live as long as a heartbeat (place in ``sources``) toggles within ``limit_ns``."""

    rows: NDArray[np.intp]
    of: NDArray[np.intp]
    limit_ns: NDArray[np.int64]
    sources: NDArray[np.intp]
    least_ns: int
    stillness: _Stillness

    @classmethod
    def among(cls, points: Sequence[Point], column_of: dict[str, int]) -> _Beats | None:
        rows = [row for row, point in enumerate(points) if point.heartbeat_point]
        if not rows:
            return None
        named = [partner(column_of, points[row], "heartbeat_point") for row in rows]
        sources, of = np.unique(np.array(named, dtype=np.intp), return_inverse=True)
        limits = np.array([_ns(points[row].heartbeat_s) for row in rows], dtype=np.int64)
        still = _Stillness([1] * len(sources))
        return cls(np.array(rows, dtype=np.intp), of, limits, sources, int(limits.min()), still)

    def judge(self, values: ValueArray, quality: QualityArray, passed_ns: int) -> QualityArray:
        still_ns = self.stillness.after(values[self.sources], ~_UNREAD[quality[self.sources]], passed_ns)
        if not (still_ns >= self.least_ns).any():
            return quality
        return _frozen(quality, self.rows[still_ns[self.of] >= self.limit_ns])


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    """Points (``rows``) that are frozen when their bytes are the same for ``limit_ns``."""

    rows: NDArray[np.intp]
    limit_ns: NDArray[np.int64]
    stillness: _Stillness

    @classmethod
    def over(cls, points: Sequence[Point]) -> _Watch | None:
        rows = [row for row, point in enumerate(points) if point.frozen_s is not None]
        if not rows:
            return None
        widths = [_cells(points[row]) for row in rows]
        limits = [_ns(points[row].frozen_s) for row in rows]
        return cls(np.array(rows, dtype=np.intp), np.array(limits, dtype=np.int64), _Stillness(widths))

    def judge(self, cells: NDArray[np.uint8], quality: QualityArray, passed_ns: int) -> QualityArray:
        still_ns = self.stillness.after(cells, ~_UNREAD[quality[self.rows]], passed_ns)
        return _frozen(quality, self.rows[still_ns >= self.limit_ns])


@dataclass(frozen=True, slots=True, eq=False)
class _Entries:
    """Entries of status words, a row each: point ``rows``, place ``of`` its word, and what that must hold."""

    rows: NDArray[np.intp]
    of: NDArray[np.intp]
    shift: NDArray[np.uint32]
    mask: NDArray[np.uint32]
    expected: NDArray[np.uint32]
    found: QualityArray


class _Words:
    """Status words and what they say; worked out anew only when a word has changed, which is rare."""

    def __init__(self, sources: NDArray[np.intp], entries: _Entries) -> None:
        self._sources = sources
        self._entries = entries
        self._heard = b""
        self._rows, self._found = entries.rows[:0], entries.found[:0]

    @classmethod
    def among(cls, points: Sequence[Point], column_of: dict[str, int]) -> _Words | None:
        entries = [
            (
                row,
                partner(column_of, point, "status_point"),
                bits.shift,
                bits.mask,
                bits.expected,
                severity(bits.cause),
            )
            for row, point in enumerate(points)
            if point.status_point
            for bits in parse_status_bits(point.status_bits)
        ]
        if not entries:
            return None
        rows, named, shift, mask, expected, found = np.array(entries, dtype=np.int64).T.copy()
        sources, of = np.unique(named, return_inverse=True)
        shift, mask, expected = (column.astype(np.uint32) for column in (shift, mask, expected))
        return cls(sources, _Entries(rows, of, shift, mask, expected, found.astype(np.uint8)))

    def judge(self, values: ValueArray, quality: QualityArray) -> QualityArray:
        told = ~is_bad(quality[self._sources])
        words = np.where(told, values[self._sources], np.nan)
        if (heard := words.tobytes()) != self._heard:
            self._heard = heard
            entries = self._entries
            cells = np.where(told, words, 0).astype(np.uint32)[entries.of]
            hit = (cells >> entries.shift & entries.mask == entries.expected) & told[entries.of]
            self._rows, self._found = entries.rows[hit], entries.found[hit]
        return graver(quality, self._rows, self._found) if len(self._rows) else quality


class _Heirs:
    """Points (``rows``) that cannot be trusted further than another one (``sources``) they hang on, directly or not."""

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        self._rows, self._sources = np.array(pairs, dtype=np.intp).T.copy()
        self._each = np.unique(self._sources)

    @classmethod
    def among(cls, points: Sequence[Point], column_of: dict[str, int]) -> _Heirs | None:
        pairs = {
            (row, partner(column_of, point, field))
            for row, point in enumerate(points)
            for field in ("status_point", "heartbeat_point", "decimals_point")
            if getattr(point, field)
        }
        return cls(sorted(_onward(pairs))) if pairs else None

    def judge(self, quality: QualityArray) -> QualityArray:
        if not is_bad(quality[self._each]).any():
            return quality
        left = quality[self._sources]
        lost = is_bad(left)
        return graver(quality, self._rows[lost], left[lost])


def _onward(pairs: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """With (a, b) and (b, c) also (a, c), over any number of steps."""
    sources: dict[int, set[int]] = {}
    for row, source in pairs:
        sources.setdefault(row, set()).add(source)
    for row, found in sources.items():
        ahead = list(found)
        while ahead:
            new = sources.get(ahead.pop(), set()) - found - {row}
            found.update(new)
            ahead += new
    return {(row, source) for row, found in sources.items() for source in found}


class Judge:
    """What one scan group's instruments say about themselves, scan after scan.

    It outlives a decoder: a plan whose blocks became smaller has the same columns.
    """

    def __init__(self, points: Sequence[Point]) -> None:
        column_of = {point.name: column for column, point in enumerate(points)}
        self._heirs = _Heirs.among(points, column_of)
        self._beats = _Beats.among(points, column_of)
        self._watch = _Watch.over(points)
        self._words = _Words.among(points, column_of)
        ranges = Ranges.of(points)
        self._ranges = None if ranges.empty else ranges
        self._seen_ns: int | None = None

    @classmethod
    def of(cls, points: tuple[Point, ...], rows: Iterable[int]) -> Judge | None:
        """The judge of these rows (those of ``Decoder.points``); None where nothing needs one.

        Args:
            points: the device's point list, as ``point_check.check_points`` found it right.
            rows: rising.

        Raises:
            PointError: what a point refers to is not among them, or cannot be used.
        """
        judge = cls([points[row] for row in rows])
        parts = (judge._beats, judge._watch, judge._words, judge._ranges)
        return judge if any(part is not None for part in parts) else None

    def judge(
        self, values: ValueArray, quality: QualityArray, watched: NDArray[np.uint8], mono_ns: int
    ) -> tuple[ValueArray, QualityArray]:
        """What ``Decoder.decode`` gave, judged.

        Args:
            values: float64[n], changed in place.
            quality: uint8[n], left as it is.
            watched: ``Decoder.watched`` of the same scan.
            mono_ns: when it was taken, monotonic.
        """
        passed_ns = 0 if self._seen_ns is None else mono_ns - self._seen_ns
        self._seen_ns = mono_ns
        verdict = quality
        if self._beats is not None:
            verdict = self._beats.judge(values, verdict, passed_ns)
        if self._watch is not None:
            verdict = self._watch.judge(watched, verdict, passed_ns)
        if self._words is not None:
            verdict = self._words.judge(values, verdict)
        if self._heirs is not None:
            verdict = self._heirs.judge(verdict)
        if self._ranges is not None:
            verdict = self._ranges.apply(values, verdict)
        if verdict is not quality:
            values[is_bad(verdict)] = np.nan
        return values, verdict

    def interrupted(self) -> None:
        """A scan could not be read at all: time that passes unseen proves nothing."""
        self._seen_ns = None


def _widened(point: Point) -> tuple[float, float]:
    if point.range_lo is None or point.range_hi is None:
        return -np.inf, np.inf
    low, high = sorted((point.range_lo, point.range_hi))
    slack = RANGE_SLACK * (high - low)
    return low - slack, high + slack


def _frozen(quality: QualityArray, rows: NDArray[np.intp]) -> QualityArray:
    if not len(rows):
        return quality
    return graver(quality, rows, np.full(len(rows), bad(Cause.FROZEN), dtype=np.uint8))


def _cells(point: Point) -> int:
    """Bytes of a point in ``Decoder.watched``."""
    return 1 if point.type == "bit" else 2 * (point.length or REGISTERS_OF_TYPE[point.type])


def _ns(seconds: float | None) -> int:
    assert seconds is not None, "a point that names a heartbeat says how long it may be still (point_check)"
    return round(seconds * _NS_PER_S)
