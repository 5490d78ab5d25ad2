"""Decides what an OPC UA server's values say of a device's points: scans, ready to be posted. Pure; time is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.kit import news
from drivers.kit.data_value import DataValues
from drivers.kit.judgement import Judge, Ranges
from drivers.kit.quality import BoolArray, Cause, QualityArray, Status, bad
from drivers.kit.scaling import Scaling
from drivers.kit.scan import Device, Point, Scan, ValueArray
from drivers.kit.status_code import overflows, qualities

NODE_UNKNOWN: Final = 0x8034_0000
"""BadNodeIdUnknown: what a server that does not know a namespace would say of its nodes."""


class Taken(NamedTuple):
    """When an answer was complete, as ``Scan`` wants it."""

    ns: int
    mono_ns: int


class Columns:
    """The columns of one device.

    Attributes:
        said: what was posted last.
        overflows: how often values were lost in the server's queues.
    """

    def __init__(self, device: Device) -> None:
        self._device = device
        points = device.points
        self.said = news.Said.nothing(len(points))
        self.overflows = 0
        self._scaling = Scaling.of(points)
        self._scaled = any(part is not None for part in (self._scaling.a, self._scaling.b, self._scaling.d))
        self._plain = np.array(
            [(point.scale, point.offset, point.raw_lo) == (1, 0, None) for point in points], dtype=np.bool_
        )
        self._text = np.array([point.type == "string" for point in points], dtype=np.bool_)
        self._any_text = bool(self._text.any())
        ranges = Ranges.of(points)
        self._ranges = None if ranges.empty else ranges

    def changes(self, found: DataValues, taken: Taken) -> Iterator[Scan]:
        """What is news, noted as said: one scan, or several where a point has several values, in their order.

        Args:
            found: with rows of the point list as handles, any number of times each.
            taken: when.
        """
        self.overflows += overflows(found.status)
        for places in news.in_turn(found.handles):
            one = news.chosen(found, places)
            rows = one.handles.astype(np.intp)
            values, quality, exact = self._judged(one, rows)
            source_ns = one.source_ns.copy()
            keep = self.said.news(rows, values, quality, source_ns)
            if keep is not None:
                if not keep.any():
                    continue
                kept = np.flatnonzero(keep).tolist()
                exact = {to: exact[place] for to, place in enumerate(kept) if place in exact}
                rows, values, quality, source_ns = rows[keep], values[keep], quality[keep], source_ns[keep]
            yield self._scan(rows, values, quality, source_ns, exact, taken)

    def reading(self, found: DataValues, taken: Taken, watch: Watch | None = None) -> Scan:
        """All of these values, each row once and rising, noted as said."""
        rows = found.handles.astype(np.intp)
        values, quality, exact = self._judged(found, rows)
        if watch is not None:
            quality = watch.judge(found.values, values, quality, taken.mono_ns)
            exact = {place: content for place, content in exact.items() if quality[place] & 3 != Status.BAD}
        source_ns = found.source_ns.copy()
        self.said.news(rows, values, quality, source_ns)
        return self._scan(rows, values, quality, source_ns, exact, taken)

    def past(self, found: DataValues, taken: Taken) -> Iterator[Scan]:
        """What a history adds, which is said as it comes and is no news: its rows in their order, any number each."""
        for turn in news.in_turn(found.handles):
            one = news.chosen(found, turn)
            rows = one.handles.astype(np.intp)
            values, quality, exact = self._judged(one, rows)
            yield self._scan(rows, values, quality, one.source_ns, exact, taken, history=True)

    def _scan(
        self,
        rows: NDArray[np.intp],
        values: ValueArray,
        quality: QualityArray,
        source_ns: NDArray[np.int64],
        exact: dict[int, int | str],
        taken: Taken,
        *,
        history: bool = False,
    ) -> Scan:
        return Scan(
            device=self._device.name,
            config_rev=self._device.config_rev,
            points=rows.astype(np.uint16),
            values=values,
            quality=quality,
            taken_ns=taken.ns,
            taken_mono_ns=taken.mono_ns,
            source_ns=source_ns if source_ns.any() else None,
            exact=exact or None,
            history=history,
        )

    def _judged(
        self, one: DataValues, rows: NDArray[np.intp]
    ) -> tuple[ValueArray, QualityArray, dict[int, int | str]]:
        """Values and quality of these rows, and what a double cannot hold."""
        values = self._in_units(one.values, rows)
        quality = qualities(one.status)
        exact: dict[int, int | str] = {
            place: number for place, number in one.whole.items() if self._plain[rows[place]]
        }
        fits = self._texts(one, rows, values, exact) if self._any_text else one.numbers
        usable = (quality & 3) != Status.BAD
        if not fits.all():
            quality[usable & ~fits] = bad(Cause.GARBLED)
            usable &= fits
        finite = np.isfinite(values)
        if not finite.all():
            quality[usable & ~finite] = bad(Cause.DEVICE_FAULT)
        if self._ranges is not None:
            quality = self._ranges.apply(values, quality, rows.astype(np.uint16))
        wrong = (quality & 3) == Status.BAD
        if wrong.any():
            values[wrong] = np.nan
            exact = {place: content for place, content in exact.items() if not wrong[place]}
        return values, quality, exact

    def _in_units(self, raw: ValueArray, rows: NDArray[np.intp]) -> ValueArray:
        if not self._scaled:
            return raw.copy()
        column = np.full(len(self._text), np.nan)
        column[rows] = raw
        with np.errstate(all="ignore"):  # an overflow is judged later, not warned about
            self._scaling.apply(column)
        return column[rows]

    def _texts(
        self, one: DataValues, rows: NDArray[np.intp], values: ValueArray, exact: dict[int, int | str]
    ) -> BoolArray:
        """Put the lengths of texts among the values; which values are what their points want."""
        text = self._text[rows]
        fits: BoolArray = one.numbers & ~text
        for place, words in one.texts.items():
            if text[place]:
                values[place], fits[place], exact[place] = len(words), True, words
        return fits


class Watch:
    """Which of a polled group's values have not changed for too long.

    Args:
        points: the device's.
        rows: those of the group, rising.
    """

    def __init__(self, points: Sequence[Point], rows: Sequence[int]) -> None:
        # judged by the eight bytes of what was sent, whatever its type there
        alike = [replace(point, type="float64", range_lo=None, range_hi=None) for point in points]
        self._judge = Judge.of(tuple(alike), rows)
        self._watched = np.flatnonzero([points[row].frozen_s is not None for row in rows])

    def judge(
        self, sent: ValueArray, values: ValueArray, quality: QualityArray, mono_ns: int
    ) -> QualityArray:
        """Quality with what is frozen bad; ``values`` changed in place."""
        if self._judge is None:
            return quality
        cells = np.ascontiguousarray(sent[self._watched]).view(np.uint8)
        return self._judge.judge(values, quality, cells, mono_ns)[1]

    def interrupted(self) -> None:
        """Nothing could be read: time that passes unseen proves nothing."""
        if self._judge is not None:
            self._judge.interrupted()


def unknown(row: int) -> DataValues:
    """What is read of a node whose namespace the server does not know."""
    return DataValues(
        np.array([row], dtype=np.uint32),
        np.array([np.nan]),
        np.array([NODE_UNKNOWN], dtype=np.uint32),
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.bool_),
    )
