"""Decides which bytes of a point are no measurement but a fault its instrument tells by them. Pure.

Each entry of ``fault_values`` becomes the very bits that stand for it in the point's type, so that a scan is
compared bit by bit: no rounding, and a NaN can be told from another NaN.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.address import REGISTERS_OF_TYPE
from drivers.kit.errors import PointError
from drivers.kit.quality import Cause, QualityArray, bad, is_bad
from drivers.kit.scaling import STEPS_PER_UNIT, scale_of
from drivers.kit.scan import Point, ValueArray
from drivers.kit.status_word import FaultValue, parse_fault_values, severity

_FLOATS: Final = {"float32": ">f", "float64": ">d"}
_WITHOUT: Final = frozenset({"bit", "string"})
_BITS_PER_REGISTER: Final = 16


def fault_patterns(point: Point) -> dict[int, int]:
    """The bits of a point, read as one unsigned number, that are no measurement -> quality byte.

    Raises:
        PointError: an entry cannot stand in the point's type.
    """
    patterns = {}
    for fault in parse_fault_values(point.fault_values):
        if point.type in _WITHOUT:
            _refuse(point, fault)
        found = _patterns_of(point.type, fault)
        if not found:
            _refuse(point, fault)
        for pattern in found:
            patterns[pattern] = _quality_of(point, pattern, fault.cause)
    return patterns


def _patterns_of(kind: str, fault: FaultValue) -> tuple[int, ...]:
    """The bits an entry means in a type; () where it cannot occur there."""
    bits = _BITS_PER_REGISTER * REGISTERS_OF_TYPE[kind]
    if fault.pattern is not None:
        return (fault.pattern,) if fault.pattern < 1 << bits else ()
    assert fault.number is not None, "an entry is a pattern or a number (status_word)"
    if kind in _FLOATS:
        return _float_patterns(kind, fault.number)
    number = fault.number * STEPS_PER_UNIT.get(kind, 1)
    if number.denominator != 1:
        return ()
    whole = int(number)
    if kind.startswith("bcd"):
        return (int(str(whole), 16),) if 0 <= whole < 10 ** (bits // 4) else ()
    if kind == "fixed100":
        return (whole // 100 << 8 | whole % 100,) if 0 <= whole < 100 << 8 else ()
    least = -(1 << bits - 1) if kind.startswith("int") else 0
    return (whole % (1 << bits),) if least <= whole < least + (1 << bits) else ()


def _float_patterns(kind: str, number: Fraction) -> tuple[int, ...]:
    """The nearest number the type holds (an entry's 20 digits are in reach of each); zero has two signs."""
    pattern = int.from_bytes(struct.pack(_FLOATS[kind], float(number)), "big")
    if number:
        return (pattern,)
    return (0, 1 << _BITS_PER_REGISTER * REGISTERS_OF_TYPE[kind] - 1)


def _number(kind: str, pattern: int) -> float:
    """The raw number these bits are; NaN where they are none."""
    bits = _BITS_PER_REGISTER * REGISTERS_OF_TYPE[kind]
    if kind in _FLOATS:
        (number,) = struct.unpack(_FLOATS[kind], pattern.to_bytes(bits // 8, "big"))
        return float(number)
    if kind.startswith("bcd"):
        return float(digits) if (digits := f"{pattern:x}").isdecimal() else math.nan
    if kind == "fixed100":
        return (pattern >> 8) * 100 + (pattern & 0xFF) if pattern & 0xFF <= 99 else math.nan
    return float(pattern - (1 << bits) if kind.startswith("int") and pattern >> bits - 1 else pattern)


def _quality_of(point: Point, pattern: int, cause: Cause) -> int:
    """Only a number that lies where its cause says is kept: 0x8000 for "over range" reads as the lowest of all.

    How large the number is whose decimals another point tells is not known here.
    """
    if point.decimals_point:
        return bad(cause)
    a, b, d = scale_of(point)
    number = (_number(point.type, pattern) * a + b) / d
    end = {Cause.OVER_RANGE: point.range_hi, Cause.UNDER_RANGE: point.range_lo}.get(cause)
    beyond = end is None or (number >= end if cause is Cause.OVER_RANGE else number <= end)
    return severity(cause) if math.isfinite(number) and beyond else bad(cause)


def _refuse(point: Point, fault: FaultValue) -> None:
    raise PointError(
        "fault_values",
        {
            "zh": f"{point.type} 里不会出现“{fault.text}”。",
            "en": f'"{fault.text}" cannot occur in a {point.type}.',
        },
        {
            "zh": "请写缩放前的原始数，或 0x 开头的位模式；有负数时数据类型应为有符号的。",
            "en": "Write the raw number before scaling, or its bits with 0x; a negative one needs a signed type.",
        },
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Look:
    """Entries of one width: where their bytes are, lowest first, and what they must not be."""

    index: NDArray[np.intp]
    dtype: str
    patterns: NDArray[np.uint64]
    columns: NDArray[np.intp]
    qualities: QualityArray


@dataclass(frozen=True, slots=True, eq=False)
class Faults:
    """Fault values of a plan's points."""

    _looks: tuple[_Look, ...]

    @classmethod
    def of(cls, points: Sequence[Point], places: Sequence[tuple[int, ...]]) -> Faults | None:
        """Fault values of these points, a column each; None where none has any.

        Args:
            points: one per column.
            places: for each where its bytes are, lowest first.

        Raises:
            PointError: an entry cannot be used.
        """
        entries: dict[int, list[tuple[tuple[int, ...], int, int, int]]] = {}
        for column, point in enumerate(points):
            if point.fault_values:
                for pattern, quality in fault_patterns(point).items():
                    place = places[column]
                    entries.setdefault(len(place), []).append((place, pattern, column, quality))
        looks = tuple(
            _Look(
                np.array([place for place, _, _, _ in group], dtype=np.intp),
                f"<u{width}",
                np.array([pattern for _, pattern, _, _ in group], dtype=f"<u{width}"),
                np.array([column for _, _, column, _ in group], dtype=np.intp),
                np.array([quality for _, _, _, quality in group], dtype=np.uint8),
            )
            for width, group in entries.items()
        )
        return cls(looks) if looks else None

    def apply(self, data: NDArray[np.uint8], values: ValueArray, quality: QualityArray) -> QualityArray:
        """Quality with the faults found; values of bad ones become NaN in place.

        Args:
            data: a scan's bytes.
            values: float64[n].
            quality: uint8[n], left as it is.
        """
        for look in self._looks:
            hit = data[look.index].view(look.dtype).ravel() == look.patterns
            if hit.any():
                quality = quality.copy()
                columns, found = look.columns[hit], look.qualities[hit]
                quality[columns] = found
                values[columns[is_bad(found)]] = np.nan
        return quality
