"""Decides from a scan's columns and those before it whether its values may be trusted: pure, time is an argument."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import QualityArray
from drivers.kit.scan import Point, ValueArray


class Judge:
    """What one scan group's instruments say about themselves, scan after scan.

    It outlives a decoder: a plan whose blocks became smaller has the same columns.
    """

    @classmethod
    def of(cls, points: tuple[Point, ...], rows: Iterable[int]) -> Judge | None:
        """The judge of these rows (those of ``Decoder.points``); None where nothing needs one.

        Raises:
            PointError: what a point refers to is not among them.
        """
        return None

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
        return values, quality

    def interrupted(self) -> None:
        """A scan could not be read at all: time that passes unseen proves nothing."""


class Ranges:
    """Engineering ranges of points, a row each."""

    @classmethod
    def of(cls, points: Iterable[Point]) -> Ranges:
        """Ranges of these points; those without both ends have none."""
        return cls()

    def apply(self, values: ValueArray, quality: QualityArray) -> QualityArray:
        """Quality with what lies outside its range uncertain; the same array where nothing does."""
        return quality
