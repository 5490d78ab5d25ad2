"""Decides what registers mean: the bytes of all answers of one scan become columns. Pure.

Where the bytes of each value stand is worked out once (``compile_plan``); a scan then costs a few numpy
calls, whatever the number of points, and nothing is done per register in Python. Whatever no point of a plan
needs is None or empty in its decoder and costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.address import BIT_TABLES, Span, locate, order_of
from drivers.kit.errors import PointError
from drivers.kit.fault_value import Faults
from drivers.kit.planner import Block
from drivers.kit.quality import GOOD, Cause, QualityArray, bad, is_bad
from drivers.kit.readers import BYTE_WORTH, Bits, Decimals, Digits, Numbers, Text, text_of
from drivers.kit.scaling import Scaling, scale_of, scaling
from drivers.kit.scan import Exact, IndexArray, Point, ValueArray

__all__ = ["Decoder", "Scaling", "compile_plan", "partner", "scaling"]

_DTYPE: Final = {
    "uint16": "<u2",
    "fixed256": "<u2",
    "int16": "<i2",
    "uint32": "<u4",
    "int32": "<i4",
    "float32": "<f4",
    "uint64": "<u8",
    "int64": "<i8",
    "float64": "<f8",
}
"""Read little-endian, because the gather has already put the lowest byte first."""
_MAY_BE_UNREAL: Final = frozenset({"float32", "float64", "bcd16", "bcd32", "fixed100", "string"})
_WHOLE_64: Final = frozenset({"uint64", "int64"})
_EXACT: Final = 2**53
_HUGE: Final = 1e270
"""A whole number times less than this is no infinity."""


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
    _numbers: tuple[Numbers, ...]
    _digits: tuple[Digits, ...]
    _bits: tuple[Bits, ...]
    _texts: tuple[Text, ...]
    _wholes: tuple[Numbers, ...]
    _watched: tuple[NDArray[np.intp], NDArray[np.uint8]]
    _scaling: Scaling
    _decimals: Decimals | None
    _faults: Faults | None
    _may_be_unreal: bool
    _good: QualityArray

    def decode(self, raw: bytes, failed: Sequence[tuple[int, Cause]] = ()) -> tuple[ValueArray, QualityArray]:
        """Turn one scan's data into columns.

        Args:
            raw: data of every block in plan order; a failed block's place is filled with anything.
            failed: (block number, cause) of blocks without a usable answer.

        Returns:
            values float64[n], NaN where bad; quality uint8[n], read-only where every row is good. A point whose
            instrument says by its raw value that it is out of range is uncertain; all else a ``Judge`` finds.
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
        if self._faults is not None:
            quality = self._faults.apply(np.frombuffer(raw, dtype=np.uint8), values, quality)
        if failed:
            quality = quality.copy()
            for block, cause in failed:
                values[self.block_rows[block]] = np.nan
                quality[self.block_rows[block]] = bad(cause)
        if self._decimals is not None:
            quality = self._decimals.inherit(values, quality)
        return values, quality

    @property
    def is_plain(self) -> bool:
        """Numbers and bits alone: one scan's columns follow from ``decode_many``."""
        special = self._digits or self._texts or self._wholes or len(self._watched[0])
        return not special and self._decimals is None and self._faults is None

    def decode_many(self, raws: Sequence[bytes]) -> tuple[ValueArray, QualityArray] | None:
        """The columns of many scans at once, of a plain plan: what numpy costs is a call, not a value.

        Args:
            raws: data of each scan, every block read.

        Returns:
            values float64[scans, n]; quality uint8[n], read-only, of each of them. None where a value is no number:
            then each scan must be decoded by itself.
        """
        data = np.frombuffer(b"".join(raws), dtype=np.uint8).reshape(len(raws), self.byte_count)
        if not self._may_be_unreal:
            return self._numbers_of_many(data), self._good
        with np.errstate(all="ignore"):  # as in decode
            values = self._numbers_of_many(data)
        return (values, self._good) if np.isfinite(values).all() else None

    def _numbers_of_many(self, data: NDArray[np.uint8]) -> ValueArray:
        values = np.empty((len(data), len(self.points)))
        for number in self._numbers:
            if number.start >= 0:
                width = number.index.shape[1]
                run = data[:, number.start : number.start + width * number.count]
                values[:, number.rows] = run.view(number.dtype)
            else:
                values[:, number.rows] = data.take(number.index, axis=1).view(number.dtype)[..., 0]
        for bit in self._bits:
            values[:, bit.rows] = data[:, bit.index] >> bit.shift & 1
        self._scaling.apply(values)
        return values

    def exact(self, raw: bytes, quality: QualityArray) -> Exact | None:
        """What float64 cannot hold of this scan, for rows that are not bad; None for nothing.

        Whole numbers beyond 2**53 are told of points that are not scaled: of others the value is the answer.

        Args:
            raw: as for ``decode``.
            quality: the final one.
        """
        if not self._texts and not self._wholes:
            return None
        data = np.frombuffer(raw, dtype=np.uint8)
        found: dict[int, int | str] = {}
        usable = ~is_bad(quality)
        for text in self._texts:
            if usable[text.column] and (said := text_of(data[text.index].tobytes())) is not None:
                found[text.column] = said
        for whole in self._wholes:
            numbers = data[whole.index].view(whole.dtype).ravel()
            columns = np.arange(len(quality))[whole.rows]
            told = ((numbers > _EXACT) | (numbers < -_EXACT)) & usable[columns]
            found.update(zip(columns[told].tolist(), numbers[told].tolist(), strict=True))
        return found or None

    def watched(self, raw: bytes) -> NDArray[np.uint8]:
        """The bytes of every point with ``frozen_s``, one behind the other: what ``Judge.judge`` is given."""
        index, mask = self._watched
        return np.frombuffer(raw, dtype=np.uint8)[index] & mask if len(index) else mask

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
        for digit in self._digits:
            values[digit.rows] = digit.numbers(data)
        for text in self._texts:
            said = text_of(data[text.index].tobytes())
            values[text.column] = np.nan if said is None else len(said)
        self._scaling.apply(values, None if self._decimals is None else self._decimals.powers(values))
        return values


def compile_plan(points: tuple[Point, ...], unit_id: int, blocks: Sequence[Block]) -> Decoder:
    """Work out once where every value's bytes stand in the blocks' data.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        blocks: a plan over these points; each point in at most one block.

    Raises:
        PointError: a point cannot be read as written.
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
    chosen = [points[row] for row in rows]
    bits: dict[int, int] = {}
    places: list[tuple[int, ...]] = []
    kinds: dict[str, list[int]] = {}
    for row, point in zip(rows, chosen, strict=True):
        span = locate(point, unit_id)
        start = span.offset - blocks[home[row]].start
        if point.type == "bit":
            byte, bits[column[row]] = _bit_place(point, span, start)
            places.append((base[row] + byte,))
        else:
            places.append(tuple(base[row] + 2 * start + k for k in _byte_order(point, span.width)))
            kinds.setdefault(_DTYPE.get(point.type, point.type), []).append(column[row])
    index = np.array(rows, dtype=np.uint16)
    good = np.full(len(rows), GOOD, dtype=np.uint8)
    index.flags.writeable = good.flags.writeable = False
    decimals = _decimals(chosen)
    return Decoder(
        points=index,
        byte_count=byte_count,
        block_rows=tuple(np.array([column[row] for row in block.rows], dtype=np.intp) for block in blocks),
        _numbers=tuple(_numbers(kinds[kind], places, kind) for kind in kinds if kind.startswith("<")),
        _digits=tuple(
            Digits(_run(columns), _index(columns, places), BYTE_WORTH[kind])
            for kind, columns in kinds.items()
            if kind in BYTE_WORTH
        ),
        _bits=(_bits(bits, places),) if bits else (),
        _texts=tuple(
            Text(place, np.array(places[place], dtype=np.intp)) for place in kinds.get("string", ())
        ),
        _wholes=_wholes(chosen, places),
        _watched=_watched(chosen, places, bits),
        _scaling=Scaling.of(chosen),
        _decimals=decimals,
        _faults=Faults.of(chosen, places),
        _may_be_unreal=decimals is not None or any(_unreal(point) for point in chosen),
        _good=good,
    )


def partner(columns: Mapping[str, int], point: Point, field: str) -> int:
    """Column of the point that ``field`` of another one names.

    Raises:
        PointError: it is not read in the same scan.
    """
    name = getattr(point, field)
    if name in columns:
        return columns[name]
    raise PointError(
        field,
        {"zh": f"同一设备、同一采集周期里没有“{name}”。", "en": f'"{name}" is not read together with it.'},
        {
            "zh": "请写同一设备上采集周期相同的位号。",
            "en": "Write the tag of a point of the same device and period.",
        },
        point.name,
    )


def _byte_order(point: Point, registers: int) -> tuple[int, ...]:
    """A number's bytes as they arrive, from its lowest to its highest; a text's in reading order.

    The letters name the bytes as they arrive, A the highest: CDAB and DCBA begin with the lowest word, BADC and
    DCBA have the lower byte of each word first. So a value of one register knows two: ABCD is CDAB, BADC is DCBA.
    """
    order = order_of(point)
    if point.type == "string":
        return tuple(k ^ (order == "BADC") for k in range(2 * registers))
    words = range(registers) if order in ("CDAB", "DCBA") else reversed(range(registers))
    first = 0 if order in ("BADC", "DCBA") else 1
    return tuple(byte for word in words for byte in (2 * word + first, 2 * word + 1 - first))


def _bit_place(point: Point, span: Span, start: int) -> tuple[int, int]:
    """Byte within the block and place within the byte, lowest first (V1.1b3 sections 6.1 and 4.2)."""
    if span.function_code in BIT_TABLES:
        return start // 8, start % 8
    assert point.bit is not None, "a bit of a register has a number (address.locate)"
    return 2 * start + _byte_order(point, 1)[point.bit // 8], point.bit % 8


def _index(columns: list[int], places: list[tuple[int, ...]]) -> NDArray[np.intp]:
    return np.array([places[column] for column in columns], dtype=np.intp)


def _numbers(columns: list[int], places: list[tuple[int, ...]], dtype: str) -> Numbers:
    """Points of one type, bytes lowest first; found out here whether they follow one another."""
    index = _index(columns, places)
    first = int(index[0, -1])
    as_sent = np.arange(first, first + index.size).reshape(index.shape)[:, ::-1]
    if np.array_equal(index, as_sent):
        return Numbers(_run(columns), index, dtype.replace("<", ">"), first)
    return Numbers(_run(columns), index, dtype)


def _bits(shifts: dict[int, int], places: list[tuple[int, ...]]) -> Bits:
    columns = list(shifts)
    byte = np.array([places[column][0] for column in columns], dtype=np.intp)
    return Bits(_run(columns), byte, np.array(list(shifts.values()), dtype=np.uint8))


def _wholes(points: list[Point], places: list[tuple[int, ...]]) -> tuple[Numbers, ...]:
    """Points whose whole numbers may be beyond what float64 holds."""
    kinds: dict[str, list[int]] = {}
    for column, point in enumerate(points):
        if point.type in _WHOLE_64 and scale_of(point) == (1.0, 0.0, 1.0) and not point.decimals_point:
            kinds.setdefault(_DTYPE[point.type], []).append(column)
    return tuple(Numbers(_run(columns), _index(columns, places), kind) for kind, columns in kinds.items())


def _watched(
    points: list[Point], places: list[tuple[int, ...]], bits: dict[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.uint8]]:
    """Index and mask of the bytes of points with ``frozen_s``."""
    cells = [
        (byte, 1 << bits[column] if column in bits else 0xFF)
        for column, point in enumerate(points)
        if point.frozen_s is not None
        for byte in places[column]
    ]
    return (
        np.array([byte for byte, _ in cells], dtype=np.intp),
        np.array([mask for _, mask in cells], dtype=np.uint8),
    )


def _decimals(points: list[Point]) -> Decimals | None:
    column_of = {point.name: column for column, point in enumerate(points)}
    pairs = [
        (column, partner(column_of, point, "decimals_point"))
        for column, point in enumerate(points)
        if point.decimals_point
    ]
    if not pairs:
        return None
    rows, sources = np.array(pairs, dtype=np.intp).T.copy()
    return Decimals(rows, sources)


def _unreal(point: Point) -> bool:
    """May it be no number, or grow into infinity by its scale?"""
    a, _, d = scale_of(point)
    return point.type in _MAY_BE_UNREAL or abs(a / d) > _HUGE


def _run(indexes: list[int]) -> NDArray[np.intp] | slice:
    """The same indexes as a slice where they follow one another, because numpy is faster with it."""
    if indexes == list(range(indexes[0], indexes[0] + len(indexes))):
        return slice(indexes[0], indexes[0] + len(indexes))
    return np.array(indexes, dtype=np.intp)
