"""Decides what of a server's values is news, in which order it is said, and what is missing. Pure.

One answer may hold several values of one point (its queue), while a scan has one row per point: the first values
make the first scan, the second ones the second. After an outage a server tells every value anew: what is still the
same is said again, because it was bad meanwhile, but without its source time, which was said with it before.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from drivers.kit.data_value import DataValues
from drivers.kit.quality import BoolArray, QualityArray
from drivers.kit.scan import TimeArray, ValueArray

Places = NDArray[np.intp]


def in_turn(rows: NDArray[np.uint32]) -> list[Places]:
    """Places of first values, of second ones, …; the rows within each rise strictly."""
    if (rows[1:] > rows[:-1]).all():
        return [np.arange(len(rows))] if len(rows) else []
    order = np.argsort(rows, kind="stable")
    ordered = rows[order]
    places = np.arange(len(rows))
    new = np.concatenate(([True], ordered[1:] != ordered[:-1]))
    turn = places - np.maximum.accumulate(np.where(new, places, 0))
    by_turn = np.argsort(turn, kind="stable")
    return np.split(order[by_turn], np.cumsum(np.bincount(turn))[:-1])


def chosen(found: DataValues, places: Places) -> DataValues:
    """These values only, in this order."""
    if len(places) == len(found.handles) and not found.texts and not found.whole and _as_they_are(places):
        return found
    texts: dict[int, str] = {}
    whole: dict[int, int] = {}
    if found.texts or found.whole:
        for to, place in enumerate(places.tolist()):
            if place in found.texts:
                texts[to] = found.texts[place]
            elif place in found.whole:
                whole[to] = found.whole[place]
    return DataValues(
        found.handles[places],
        found.values[places],
        found.status[places],
        found.source_ns[places],
        found.numbers[places],
        texts,
        whole,
    )


def _as_they_are(places: Places) -> bool:
    return bool((places[1:] > places[:-1]).all())


def joined(parts: list[tuple[int, DataValues]]) -> DataValues:
    """Values of several nodes, each part given its node's row."""
    return appended([as_handles(part, [row] * len(part.handles)) for row, part in parts])


def appended(parts: list[DataValues]) -> DataValues:
    """One behind the other."""
    texts: dict[int, str] = {}
    whole: dict[int, int] = {}
    start = 0
    for part in parts:
        texts.update({start + place: text for place, text in part.texts.items()})
        whole.update({start + place: number for place, number in part.whole.items()})
        start += len(part.handles)
    return DataValues(
        np.concatenate([part.handles for part in parts]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.status for part in parts]),
        np.concatenate([part.source_ns for part in parts]),
        np.concatenate([part.numbers for part in parts]),
        texts,
        whole,
    )


def as_handles(found: DataValues, rows: list[int]) -> DataValues:
    """The values of a read, given the rows they were asked for."""
    return replace(found, handles=np.array(rows, dtype=np.uint32))


@dataclass(slots=True, eq=False)
class Said:
    """What was posted last of each of n points.

    Attributes:
        source_ns: int64[n], newest source time posted, 0 = none.
        values, quality: float64[n], uint8[n], as posted then.
        lost: bool[n], said bad since, because the line was down.
        before_ns: int64[n], up to here everything was told when the line was lost, 0 = unknown.
        first_ns: int64[n], source time of the first value told after that, 0 = not told yet.
    """

    source_ns: TimeArray
    values: ValueArray
    quality: QualityArray
    lost: BoolArray
    before_ns: TimeArray
    first_ns: TimeArray

    @classmethod
    def nothing(cls, n: int) -> Said:
        """Before the first word."""
        return cls(
            np.zeros(n, dtype=np.int64),
            np.full(n, np.nan),
            np.zeros(n, dtype=np.uint8),
            np.zeros(n, dtype=np.bool_),
            np.zeros(n, dtype=np.int64),
            np.zeros(n, dtype=np.int64),
        )

    def lose(self, told_until_ns: int) -> None:
        """The line is down and everything was said to be bad.

        Args:
            told_until_ns: what was older than this by the server's clock had been told, 0 = unknown.
        """
        untold = self.lost & (self.before_ns > 0)  # not a word since the line was lost before
        known = (self.source_ns > 0) & (told_until_ns > 0)
        told = np.where(known, np.maximum(self.source_ns, told_until_ns), 0)
        self.before_ns = np.where(untold, self.before_ns, told)
        self.lost[:] = True
        self.first_ns[:] = 0

    def owe(self) -> tuple[TimeArray, TimeArray]:
        """Between which times, int64[n] each, the line was lost, of what was told since; once only."""
        after_ns, until_ns = self.before_ns, self.first_ns.copy()
        self.before_ns = np.where(until_ns > 0, 0, after_ns)
        return after_ns, until_ns

    def news(
        self, rows: NDArray[np.intp], values: ValueArray, quality: QualityArray, source_ns: TimeArray
    ) -> BoolArray | None:
        """Note what is said now, each row once; which rows are news (None: all).

        ``source_ns`` of what is said a second time becomes 0.
        """
        equal = (values == self.values[rows]) | (np.isnan(values) & np.isnan(self.values[rows]))
        again = (
            equal & (quality == self.quality[rows]) & (source_ns == self.source_ns[rows]) & (source_ns != 0)
        )
        lost = self.lost[rows]
        untold = self.first_ns[rows] == 0
        if untold.any():
            self.first_ns[rows[untold]] = source_ns[untold]
        self.lost[rows] = False
        self.values[rows], self.quality[rows] = values, quality
        self.source_ns[rows] = np.maximum(self.source_ns[rows], source_ns)
        if not again.any():
            return None
        source_ns[again & lost] = 0
        keep: BoolArray = ~again | lost
        return keep
