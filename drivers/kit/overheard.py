"""Decides which points of a group are told when nobody asks for them: the news, and what was unheard too long. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from drivers.kit.decode import compile_plan
from drivers.kit.judgement import Judge
from drivers.kit.overhear import Notebook
from drivers.kit.quality import Cause, QualityArray
from drivers.kit.scan import Device, Scan, missed

OVERHEARD_PERIODS: Final = 3
"""A point that was not overheard for so many periods of its group is bad."""


class Overheard:
    """Points told together, of which each was overheard at its own time.

    Args:
        device: whose.
        unit_id: unit identifier of points that name none.
        period: nanoseconds between two scans.
        rows: which of the device's points, rising.

    Attributes:
        period_ns: see ``period``.
        notebook: takes what is overheard.
    """

    def __init__(self, device: Device, unit_id: int, period: int, rows: Sequence[int]) -> None:
        self.period_ns = period
        self._device = device
        self.notebook = Notebook(device.points, unit_id, rows)
        self._decoder = compile_plan(device.points, unit_id, self.notebook.blocks)
        self._judge = Judge.of(device.points, rows)
        self._told_ns = 0
        self._told = np.zeros(len(rows), dtype=np.bool_)
        self._quality: QualityArray = np.zeros(len(rows), dtype=np.uint8)

    @property
    def is_complete(self) -> bool:
        """Every point was overheard."""
        return bool((self.notebook.heard_ns > self._told_ns).all())

    def opened(self, now_ns: int) -> None:
        """The line was opened: what is not overheard from now on for too long is bad."""
        self.notebook.begin(now_ns)
        self._told_ns = now_ns
        self._told[:] = False

    def is_heard(self, now_ns: int) -> bool:
        """Something was, not too long ago."""
        return self.notebook.newest_ns > now_ns - OVERHEARD_PERIODS * self.period_ns

    def is_overdue(self, now_ns: int) -> bool:
        """Nothing was, for too long."""
        return bool((self.notebook.heard_ns <= now_ns - OVERHEARD_PERIODS * self.period_ns).all())

    def missed(self, taken_ns: int, mono_ns: int) -> Scan:
        """The line is not open."""
        if self._judge is not None:
            self._judge.interrupted()
        return missed(self._device, self._decoder.points, Cause.COMM, taken_ns, mono_ns)

    def scan(self, now_ns: int, taken_ns: int, mono_ns: int) -> Scan:
        """What was overheard since the last one, and what was not for too long.

        Args:
            now_ns: monotonic nanoseconds by which it is judged what was unheard too long.
            taken_ns: UTC nanoseconds.
            mono_ns: the same instant, monotonic.
        """
        book, decoder = self.notebook, self._decoder
        overdue = book.heard_ns <= now_ns - OVERHEARD_PERIODS * self.period_ns
        failed = [(int(block), Cause.COMM) for block in np.flatnonzero(overdue)]
        failed += [(int(block), Cause.REFUSED) for block in np.flatnonzero(book.refused & ~overdue)]
        raw = bytes(book.raw)
        values, quality = decoder.decode(raw, failed)
        is_told = overdue | (book.heard_ns > self._told_ns)
        if self._judge is not None and book.newest_ns > self._told_ns:  # bytes nobody sent do not stand still
            values, quality = self._judge.judge(values, quality, decoder.watched(raw), mono_ns)
            is_told |= self._told & (quality != self._quality)  # a status word speaks of others, too
        elif self._judge is not None and overdue.all():
            self._judge.interrupted()
        self._told |= is_told
        self._quality[is_told] = quality[is_told]
        exact = decoder.exact(raw, quality)
        told = np.flatnonzero(is_told)
        self._told_ns = now_ns
        if exact is not None:
            place = {int(row): at for at, row in enumerate(told)}
            exact = {place[row]: value for row, value in exact.items() if row in place} or None
        scan = Scan(
            *(self._device.name, self._device.config_rev, decoder.points, values, quality),
            *(taken_ns, mono_ns, None, raw, exact),
        )
        if len(told) == len(values):
            return scan
        return replace(scan, points=decoder.points[told], values=values[told], quality=quality[told])
