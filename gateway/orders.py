"""The four word orders of one value of 32 or 64 bits side by side: a technician sees which one is right. Pure.

A names the highest byte of the value; the letters stand in the order in which the bytes arrive. Each order undoes
itself, so the same rearrangement leads from the value's bytes to the arrived ones and back.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from drivers.kit.address import LONG_ORDERS
from drivers.kit.scaling import scale_of
from drivers.kit.scan import Point

ORDERS: Final = ("ABCD", "BADC", "CDAB", "DCBA")
"""Of eight bytes the same names: words forward or backward, bytes within a word straight or swapped."""
_HALF_STEPS: Final = {"float32": (2.0**-25, 2.0**-150), "float64": (2.0**-54, 0.0)}
"""Half of the distance between neighbouring values: relative, and near zero."""
_FORMATS: Final = {
    "uint32": ">I",
    "int32": ">i",
    "float32": ">f",
    "uint64": ">Q",
    "int64": ">q",
    "float64": ">d",
}
_WHOLE: Final = 1 << 53
"""From here on a double does not hold every whole number."""


def has_orders(point: Point) -> bool:
    """Is the point wide enough for its word order to matter, and its scale in the point table?"""
    return point.type in _FORMATS and not point.decimals_point


def width_bytes(point: Point) -> int:
    """How many bytes a point with orders has: 4 or 8."""
    return struct.calcsize(_FORMATS[point.type])


def in_all_orders(arrived: bytes, point: Point) -> dict[str, float | None]:
    """What four or eight bytes mean in each order, in engineering units; None where they are no number.

    Args:
        arrived: the registers as they came.
        point: gives type and scaling.
    """
    a, b, d = scale_of(point)
    found: dict[str, float | None] = {}
    for order in ORDERS:
        (raw,) = struct.unpack(_FORMATS[point.type], _rearranged(arrived, order))
        exact = isinstance(raw, int) and abs(raw) >= _WHOLE and (a, b, d) == (1, 0, 1)
        value = raw if exact else (raw * a + b) / d
        found[order] = value if math.isfinite(value) else None
    return found


def arrived_bytes(value: float, point: Point) -> bytes | None:
    """The registers a decoded value came from; None if no raw value gives it or several do.

    A float far smaller than the offset leaves no trace in the value; a guess would show wrong orders.
    """
    a, b, d = scale_of(point)
    real = point.type in _HALF_STEPS
    if (a, b, d) == (1, 0, 1) and (point.type == "float64" or isinstance(value, int)):
        raw: float = value
    else:
        raw = (value * d - b) / a
        doubt = 4 * math.ulp(max(abs(value), abs(b / d))) / abs(a / d)
        relative, near_zero = _HALF_STEPS.get(point.type, (0.0, 0.5))
        if doubt > max(abs(raw) * relative, near_zero):
            return None
    try:
        packed = struct.pack(_FORMATS[point.type], raw if real else round(raw))
    except (struct.error, OverflowError):
        return None
    return _rearranged(packed, LONG_ORDERS.get(point.order, point.order))


def _rearranged(content: bytes, order: str) -> bytes:
    """From the value's bytes to the arrived ones, and back."""
    words = content[::-1] if order in ("CDAB", "DCBA") else content
    # Backward, the bytes within a word are swapped already.
    swapped = order in ("BADC", "CDAB")
    return bytes(words[place ^ swapped] for place in range(len(words)))
