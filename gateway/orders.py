"""The four word orders of one 32-bit value side by side, so that a technician can see which one is right. Pure.

A names the highest byte of the value; the letters stand in the order in which the bytes arrive. Each order undoes
itself, so the same rearrangement leads from the value's bytes to the arrived ones and back.
"""

from __future__ import annotations

import math
import struct
from typing import Final

from drivers.kit.scaling import scale_of
from drivers.kit.scan import Point

ORDERS: Final[dict[str, tuple[int, int, int, int]]] = {
    "ABCD": (0, 1, 2, 3),
    "BADC": (1, 0, 3, 2),
    "CDAB": (2, 3, 0, 1),
    "DCBA": (3, 2, 1, 0),
}
_HALF_STEP: Final = 2.0**-25
_SMALLEST: Final = 2.0**-150
"""Half of the distance between neighbouring float32 values: relative, and near zero."""
_FORMATS: Final = {"uint32": ">I", "int32": ">i", "float32": ">f"}


def has_orders(point: Point) -> bool:
    """Is the point wide enough for its word order to matter, and its scale in the point table?"""
    return point.type in _FORMATS and not point.decimals_point


def in_all_orders(arrived: bytes, point: Point) -> dict[str, float | None]:
    """What four bytes mean in each order, in engineering units; None where they are no number.

    Args:
        arrived: the two registers as they came, 4 bytes.
        point: gives type and scaling.
    """
    a, b, d = scale_of(point)
    found: dict[str, float | None] = {}
    for order, places in ORDERS.items():
        (raw,) = struct.unpack(_FORMATS[point.type], bytes(arrived[place] for place in places))
        value = (raw * a + b) / d
        found[order] = value if math.isfinite(value) else None
    return found


def arrived_bytes(value: float, point: Point) -> bytes | None:
    """The two registers a decoded value came from; None if no 32-bit value gives it or several do.

    A float far smaller than the offset leaves no trace in the value; a guess would show wrong orders.
    """
    a, b, d = scale_of(point)
    raw = (value * d - b) / a
    real = point.type == "float32"
    doubt = 4 * math.ulp(max(abs(value), abs(b / d))) / abs(a / d)
    if doubt > (max(abs(raw) * _HALF_STEP, _SMALLEST) if real else 0.5):
        return None
    try:
        packed = struct.pack(_FORMATS[point.type], raw if real else round(raw))
    except (struct.error, OverflowError):
        return None
    return bytes(packed[place] for place in ORDERS[point.order])
