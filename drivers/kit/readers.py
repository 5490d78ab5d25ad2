"""Decides how each kind of point is read from a scan's bytes: numbers, digits, bits, texts, decimals. Pure.

Each of these serves all points of its kind with a few numpy calls; ``kit.decode`` puts them together.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import QualityArray, is_bad
from drivers.kit.scan import ValueArray

MAX_DECIMALS: Final = 6
_POWERS: Final = 10.0 ** np.arange(MAX_DECIMALS + 1)
MEMO_TEXTS: Final = 1_024
"""Texts hardly ever change."""


def _bcd(weight: float) -> ValueArray:
    """What a byte of two decimal digits is worth; NaN where it is none."""
    high, low = np.divmod(np.arange(256), 16)
    return np.where((high < 10) & (low < 10), high * 10 + low, np.nan) * weight


BYTE_WORTH: Final = {
    "bcd16": np.stack([_bcd(1), _bcd(100)]),
    "bcd32": np.stack([_bcd(1), _bcd(100), _bcd(10_000), _bcd(1_000_000)]),
    "fixed100": np.stack([np.where(np.arange(256) < 100, np.arange(256), np.nan), np.arange(256) * 100.0]),
}
"""For every byte of these types, lowest first, what it adds to the value: a look-up instead of arithmetic."""


@lru_cache(maxsize=MEMO_TEXTS)
def text_of(raw: bytes) -> str | None:
    """The text of a string point: up to the first NUL, without trailing spaces; None if it is no printable UTF-8."""
    try:
        text = raw.split(b"\0", 1)[0].decode().rstrip(" ")
    except UnicodeDecodeError:
        return None
    return text if text.isprintable() else None


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
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
class Digits:
    """Points of a type whose bytes are looked up: ``table`` float64[bytes, 256], see ``BYTE_WORTH``."""

    rows: NDArray[np.intp] | slice
    index: NDArray[np.intp]
    table: ValueArray

    def numbers(self, data: NDArray[np.uint8]) -> ValueArray:
        """Their raw numbers."""
        worth: ValueArray = self.table[np.arange(len(self.table)), data[self.index]].sum(axis=1)
        return worth


@dataclass(frozen=True, slots=True, eq=False)
class Bits:
    """Points of one bit: byte and place within it."""

    rows: NDArray[np.intp] | slice
    index: NDArray[np.intp]
    shift: NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Text:
    """A string: its column, and its bytes in reading order."""

    column: int
    index: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Decimals:
    """Points (``rows``) whose number of decimals another one (``sources``) holds."""

    rows: NDArray[np.intp]
    sources: NDArray[np.intp]

    def powers(self, values: ValueArray) -> ValueArray:
        """Power of ten to divide each raw number by; a number of decimals that is none makes it NaN."""
        decimals = values[self.sources]
        known = (decimals >= 0) & (decimals <= MAX_DECIMALS)
        powers = np.ones(len(values))
        powers[self.rows] = np.where(known, _POWERS[np.where(known, decimals, 0).astype(np.intp)], np.nan)
        return powers

    def inherit(self, values: ValueArray, quality: QualityArray) -> QualityArray:
        """Nobody knows how large a number is whose decimals could not be read."""
        lost = is_bad(quality[self.sources])
        if lost.any():
            quality = quality.copy()
            quality[self.rows[lost]] = quality[self.sources[lost]]
            values[self.rows[lost]] = np.nan
        return quality
