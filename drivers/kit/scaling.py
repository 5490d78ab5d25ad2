"""Decides which engineering value a raw number is. Pure.

``raw * scale + offset`` is computed as ``(raw * a + b) / d`` with whole a, b, d taken from the decimals the user
wrote, so that the result is the double nearest to the decimal one: 234 * 0.1 is 23.4. The same for the two-point
form (``raw_lo`` and ``raw_hi`` stand for ``range_lo`` and ``range_hi``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

import numpy as np

from drivers.kit.errors import PointError
from drivers.kit.scan import Point, ValueArray

_EXACT: Final = 2**53
_RAW_BITS: Final = 32
_RAW_BITS_OF_TYPE: Final = dict.fromkeys(("bit", "uint16", "int16", "bcd16", "fixed256", "fixed100"), 16)
STEPS_PER_UNIT: Final = {"fixed256": 256, "fixed100": 100}
"""Types whose registers hold fractions: they are read as whole numbers of such steps."""
MEMO_SCALINGS: Final = 1_024
"""A plant knows few scales, and each is worked out in fractions."""


@lru_cache(maxsize=MEMO_SCALINGS)
def scaling(
    scale: float, offset: float, steps: int = 1, raw_bits: int = _RAW_BITS
) -> tuple[float, float, float]:
    """(a, b, d) so that ``(raw * a + b) / d`` is ``raw / steps * scale + offset``, exact where decimals allow it.

    Args:
        scale: as the user wrote it.
        offset: as the user wrote it.
        steps: steps of the raw number per unit.
        raw_bits: no raw number is longer; one that is only loses exactness.

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
    return _in_whole_numbers(factor / steps, Fraction(repr(offset)), raw_bits) or (
        scale / steps,
        offset,
        1.0,
    )


@lru_cache(maxsize=MEMO_SCALINGS)
def _two_point(
    raw: tuple[float, float], span: tuple[float, float], steps: int, raw_bits: int
) -> tuple[float, float, float]:
    """The same for two points of a straight line."""
    (raw_lo, raw_hi), (lo, hi) = map(_fractions, (raw, span))
    factor = (hi - lo) / (raw_hi - raw_lo)
    shift = lo - raw_lo * factor
    factor /= steps
    return _in_whole_numbers(factor, shift, raw_bits) or (float(factor), float(shift), 1.0)


def _fractions(pair: tuple[float, float]) -> tuple[Fraction, Fraction]:
    return Fraction(repr(pair[0])), Fraction(repr(pair[1]))


def _in_whole_numbers(factor: Fraction, shift: Fraction, raw_bits: int) -> tuple[float, float, float] | None:
    """(a, b, d) where no step of the arithmetic leaves the whole numbers a double holds, else None."""
    divisor = math.lcm(factor.denominator, shift.denominator)
    a, b = int(factor * divisor), int(shift * divisor)
    if (abs(a) << raw_bits) + abs(b) < _EXACT and divisor < _EXACT:
        return float(a), float(b), float(divisor)
    return None


def scale_of(point: Point) -> tuple[float, float, float]:
    """(a, b, d) of a point, so that its value is ``(raw * a + b) / d``.

    Raises:
        PointError: its scale, or its two points, cannot be used.
    """
    steps = STEPS_PER_UNIT.get(point.type, 1)
    raw_bits = _RAW_BITS_OF_TYPE.get(point.type, _RAW_BITS)
    given = {field: getattr(point, field) for field in ("raw_lo", "raw_hi", "range_lo", "range_hi")}
    if point.raw_lo is None and point.raw_hi is None:
        return scaling(point.scale, point.offset, steps, raw_bits)
    for field, value in given.items():
        if value is None or not math.isfinite(value):
            raise PointError(
                field,
                {
                    "zh": "原始下限、原始上限、量程下限、量程上限要四个一起写。",
                    "en": "raw_lo, raw_hi, range_lo and range_hi go together, all four.",
                },
                {"zh": "请补上，或清空原始下限和原始上限。", "en": "Fill it in, or empty raw_lo and raw_hi."},
            )
    if (point.scale, point.offset) != (1.0, 0.0):
        field = "scale" if point.scale != 1.0 else "offset"
        raise PointError(
            field,
            {
                "zh": "已有原始下限和原始上限，不能再写系数或偏移。",
                "en": "With raw_lo and raw_hi there is no scale or offset.",
            },
            {"zh": "请只保留一种写法。", "en": "Keep one of the two ways."},
        )
    for low, high in (("raw_lo", "raw_hi"), ("range_lo", "range_hi")):
        if given[low] == given[high]:
            raise PointError(
                high,
                {
                    "zh": f"上下限相同（{given[low]:g}），无法换算。",
                    "en": f"It equals {low}: nothing can be scaled by it.",
                },
                {"zh": "请写两个不同的数。", "en": "Write two different numbers."},
            )
    return _two_point(
        (given["raw_lo"], given["raw_hi"]), (given["range_lo"], given["range_hi"]), steps, raw_bits
    )


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
        rows = np.array([scale_of(point) for point in points], dtype=np.float64)
        a, b, d = rows.reshape(-1, 3).T.copy()
        return cls(
            a if (a != 1).any() else None, b if (b != 0).any() else None, d if (d != 1).any() else None
        )

    def apply(self, values: ValueArray, powers: ValueArray | None = None) -> None:
        """Scale a column in place.

        Args:
            values: raw numbers.
            powers: each raw number is divided by this power of ten first; None: by none.
        """
        if self.a is not None:
            values *= self.a
        if powers is not None:
            values += (0.0 if self.b is None else self.b) * powers
            values /= powers if self.d is None else self.d * powers
            return
        if self.b is not None:
            values += self.b
        if self.d is not None:
            values /= self.d
