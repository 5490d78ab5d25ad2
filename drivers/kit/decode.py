"""Decides what registers mean: the bytes of all answers of one scan become columns. Pure.

Where the bytes of each value stand is worked out once (``compile_plan``); a scan then costs a few numpy
calls, whatever the number of points, and nothing is done per register in Python.

Scaling: ``raw * scale + offset`` is computed as ``(raw * a + b) / d`` with whole a, b, d taken from the
decimals the user wrote, so that the result is the double nearest to the decimal one: 234 * 0.1 is 23.4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.errors import PointError
from drivers.kit.address import BIT_TABLES, Span, locate
from drivers.kit.planner import Block
from drivers.kit.quality import GOOD, Cause, QualityArray, bad
from drivers.kit.scan import Exact, IndexArray, Point, ValueArray

_DTYPE: Final = {"uint16": "<u2", "int16": "<i2", "uint32": "<u4", "int32": "<i4", "float32": "<f4"}
"""Read little-endian, because the gather has already put the lowest byte first."""
_LOWEST_FIRST: Final = {
    "ABCD": (3, 2, 1, 0),
    "CDAB": (1, 0, 3, 2),
    "BADC": (2, 3, 0, 1),
    "DCBA": (0, 1, 2, 3),
}
"""Bytes of a two-register value as they arrive, from its lowest to its highest.

ABCD names the bytes as they arrive, A the highest of the value."""
_EXACT: Final = 2**53
_RAW_BITS: Final = 32
MEMO_SCALINGS: Final = 1_024
"""A plant knows few scales, and each is worked out in fractions."""


@lru_cache(maxsize=MEMO_SCALINGS)
def scaling(scale: float, offset: float) -> tuple[float, float, float]:
    """(a, b, d) so that ``(raw * a + b) / d`` is ``raw * scale + offset``, exact where decimals allow it.

    Raises:
        PointError: scale is zero, or one of them is not a finite number.
    """
    if scale == 0 or not math.isfinite(scale):
        raise PointError(
            "scale",
            {"zh": f"系数 {scale} 不可用。", "en": f"The scale {scale} cannot be used."},
            {"zh": "请写一个不为零的数。", "en": "Write a number other than zero."},
        )
    if not math.isfinite(offset):
        raise PointError(
            "offset",
            {"zh": f"偏移 {offset} 不可用。", "en": f"The offset {offset} cannot be used."},
            {"zh": "请写一个普通的数。", "en": "Write an ordinary number."},
        )
    inverse = 1 / scale
    whole = math.isfinite(inverse) and inverse == round(inverse)
    factor = Fraction(1, round(inverse)) if whole else Fraction(repr(scale))
    shift = Fraction(repr(offset))
    divisor = math.lcm(factor.denominator, shift.denominator)
    a, b = int(factor * divisor), int(shift * divisor)
    if (abs(a) << _RAW_BITS) + abs(b) < _EXACT and divisor < _EXACT:
        return float(a), float(b), float(divisor)
    return scale, offset, 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """Column-wise ``(raw * a + b) / d``; an operation nobody needs is None.

    Attributes:
        a, b, d: float64[n] or None.
    """

    a: ValueArray | None
    b: ValueArray | None
    d: ValueArray | None

    @classmethod
    def of(cls, points: Sequence[Point]) -> Scaling:
        """Scaling of these points, a row each.

        Raises:
            PointError: one of them cannot be scaled.
        """
        rows = np.array([scaling(point.scale, point.offset) for point in points], dtype=np.float64)
        a, b, d = rows.reshape(-1, 3).T.copy()
        return cls(
            a if (a != 1).any() else None, b if (b != 0).any() else None, d if (d != 1).any() else None
        )

    def apply(self, values: ValueArray) -> None:
        """Scale a column in place."""
        if self.a is not None:
            values *= self.a
        if self.b is not None:
            values += self.b
        if self.d is not None:
            values /= self.d


@dataclass(frozen=True, slots=True, eq=False)
class _Numbers:
    """Points of one type: each of ``rows`` of the column comes from a row of ``index``, bytes lowest first.

    Attributes:
        start: where they stand one behind the other in the order of the wire, the usual case, they begin here
            and ``dtype`` is big-endian; else -1.
    """

    rows: NDArray[np.intp] | slice
    index: NDArray[np.intp]
    dtype: str
    start: int = -1

    @property
    def count(self) -> int:
        """How many."""
        return len(self.index)


@dataclass(frozen=True, slots=True, eq=False)
class _Bits:
    """Points of one bit: byte and place within it."""

    rows: NDArray[np.intp] | slice
    index: NDArray[np.intp]
    shift: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """A compiled plan.

    Attributes:
        points: uint16[n], the rows of the device's point list that the plan reads, rising; read-only.
        byte_count: length of the answers' data, all blocks one behind the other.
        block_rows: for each block the rows of the column (not of the point list) it fills.
    """

    points: IndexArray
    byte_count: int
    block_rows: tuple[NDArray[np.intp], ...]
    _numbers: tuple[_Numbers, ...]
    _bits: tuple[_Bits, ...]
    _scaling: Scaling
    _may_be_unreal: bool
    _good: QualityArray

    def decode(self, raw: bytes, failed: Sequence[tuple[int, Cause]] = ()) -> tuple[ValueArray, QualityArray]:
        """Turn one scan's data into columns.

        Args:
            raw: data of every block in plan order; a failed block's place is filled with anything.
            failed: (block number, cause) of blocks without a usable answer.

        Returns:
            values float64[n], NaN where bad; quality uint8[n], read-only where every row is good.
        """
        assert len(raw) == self.byte_count, "a block's data has another length than was asked for"
        if self._may_be_unreal:
            with np.errstate(
                all="ignore"
            ):  # a signalling NaN or an overflow is judged below, not warned about
                values = self._numbers_of(raw)
        else:
            values = self._numbers_of(raw)
        quality = self._good
        if self._may_be_unreal and not (finite := np.isfinite(values)).all():
            quality = np.where(finite, quality, np.uint8(bad(Cause.DEVICE_FAULT)))
            values[~finite] = np.nan
        if failed:
            quality = quality.copy()
            for block, cause in failed:
                values[self.block_rows[block]] = np.nan
                quality[self.block_rows[block]] = bad(cause)
        return values, quality

    def exact(self, raw: bytes, quality: QualityArray) -> Exact | None:
        """What float64 cannot hold of this scan, for rows that are not bad; None for nothing.

        Args:
            raw: as for ``decode``.
            quality: the final one.
        """
        return None

    def watched(self, raw: bytes) -> NDArray[np.uint8]:
        """The bytes of every point with ``frozen_s``, one behind the other: what ``Judge.judge`` is given."""
        return np.frombuffer(raw, dtype=np.uint8)[:0]

    def _numbers_of(self, raw: bytes) -> ValueArray:
        data = np.frombuffer(raw, dtype=np.uint8)
        values = np.empty(len(self.points))
        for number in self._numbers:
            if number.start >= 0:
                values[number.rows] = np.frombuffer(raw, number.dtype, number.count, number.start)
            else:
                values[number.rows] = data[number.index].view(number.dtype).ravel()
        for bit in self._bits:
            values[bit.rows] = data[bit.index] >> bit.shift & 1
        self._scaling.apply(values)
        return values


def compile_plan(points: tuple[Point, ...], unit_id: int, blocks: Sequence[Block]) -> Decoder:
    """Work out once where every value's bytes stand in the blocks' data.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        blocks: a plan over these points; each point in at most one block.
    """
    base: dict[int, int] = {}
    home: dict[int, int] = {}
    byte_count = 0
    for number, block in enumerate(blocks):
        for row in block.rows:
            base[row], home[row] = byte_count, number
        byte_count += block.byte_count
    rows = sorted(base)
    column = {row: place for place, row in enumerate(rows)}
    numbers: dict[str, list[tuple[int, tuple[int, ...]]]] = {}
    bits: list[tuple[int, int, int]] = []
    for row in rows:
        point = points[row]
        span = locate(point, unit_id)
        start = span.offset - blocks[home[row]].start
        if point.type == "bit":
            byte, shift = _bit_place(point, span, start)
            bits.append((column[row], base[row] + byte, shift))
        else:
            first = base[row] + 2 * start
            order = (1, 0) if span.width == 1 else _LOWEST_FIRST[point.order]
            numbers.setdefault(point.type, []).append((column[row], tuple(first + k for k in order)))
    good = np.full(len(rows), GOOD, dtype=np.uint8)
    good.flags.writeable = False
    index = np.array(rows, dtype=np.uint16)
    index.flags.writeable = False
    scaled = Scaling.of([points[row] for row in rows])
    return Decoder(
        points=index,
        byte_count=byte_count,
        block_rows=tuple(np.array([column[row] for row in block.rows], dtype=np.intp) for block in blocks),
        _numbers=tuple(
            _numbers([row for row, _ in group], np.array([b for _, b in group]), _DTYPE[kind])
            for kind, group in numbers.items()
        ),
        _bits=(
            _Bits(
                _run([row for row, _, _ in bits]),
                np.array([byte for _, byte, _ in bits]),
                np.array([shift for _, _, shift in bits], dtype=np.uint8),
            ),
        )
        if bits
        else (),
        _scaling=scaled,
        _may_be_unreal="float32" in numbers or any(abs(points[row].scale) > 1e270 for row in rows),
        _good=good,
    )


def _bit_place(point: Point, span: Span, start: int) -> tuple[int, int]:
    """Byte within the block and place within the byte, lowest first (V1.1b3 sections 6.1 and 4.2)."""
    if span.function_code in BIT_TABLES:
        return start // 8, start % 8
    assert point.bit is not None, "a bit of a register has a number (planner.locate)"
    return 2 * start + (0 if point.bit >= 8 else 1), point.bit % 8


def _numbers(rows: list[int], index: NDArray[np.intp], dtype: str) -> _Numbers:
    """Points of one type, bytes lowest first in ``index``; found out here whether they follow one another."""
    first = int(index[0, -1])
    as_sent = np.arange(first, first + index.size).reshape(index.shape)[:, ::-1]
    if np.array_equal(index, as_sent):
        return _Numbers(_run(rows), index, dtype.replace("<", ">"), first)
    return _Numbers(_run(rows), index, dtype)


def _run(indexes: list[int]) -> NDArray[np.intp] | slice:
    """The same indexes as a slice where they follow one another, because numpy is faster with it."""
    if indexes == list(range(indexes[0], indexes[0] + len(indexes))):
        return slice(indexes[0], indexes[0] + len(indexes))
    return np.array(indexes, dtype=np.intp)
