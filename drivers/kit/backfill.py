"""Decides what is asked of a server's history after outages, in which portions, and when it is enough. Pure.

An outage is over once its points were told again; what lies between is owed until it is read. Where the line is lost
again before that, the rest stays owed, and is asked for in the next session, from where each point was read to.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.kit import news
from drivers.kit.data_value import DataValues
from drivers.kit.quality import BoolArray
from drivers.kit.scan import TimeArray
from drivers.kit.ua_answer import Remembered

MAX_AGE_S: Final = 86_400.0
"""What is older is not asked for."""
MAX_VALUES: Final = 500_000
"""Of one outage at most so many values are read."""
MAX_OWED: Final = 8
"""So many outages may be owed at once; of more the oldest is given up."""
MAX_BROKEN: Final = 3
"""So many requests in a row that met the end of their session: the server does not stand to be asked."""
NODES: Final = 100
VALUES: Final = 100
"""Nodes in one request, and values of each in one answer; so that live values never wait long."""
PAUSE_S: Final = 0.1
"""Between two requests."""
SLACK_S: Final = 1.0
"""So much earlier than the last word of the server, beyond its intervals, what was not told yet may begin."""
_NO_DATA: Final = 0x809B_0000
"""BadNoData: nothing changed meanwhile."""
_CONTINUATION: Final = frozenset({0x804A_0000, 0x804B_0000})
"""BadContinuationPointInvalid, BadNoContinuationPoints: too many nodes at once for a server that keeps few."""
_NONE: Final = frozenset(
    {
        0x8072_0000,  # BadHistoryOperationUnsupported
        0x8071_0000,  # BadHistoryOperationInvalid
        0x800B_0000,  # BadServiceUnsupported
        0x803D_0000,  # BadNotSupported
        0x803A_0000,  # BadNotReadable
        0x801F_0000,  # BadUserAccessDenied
        0x8034_0000,  # BadNodeIdUnknown
        0x8033_0000,  # BadNodeIdInvalid
    }
)


class Page(NamedTuple):
    """One request.

    Attributes:
        points: rows, each with its continuation point; empty before the first.
        from_ns: UTC nanoseconds from which on values are wanted.
    """

    points: Mapping[int, bytes]
    from_ns: int


def offers_none(status: int) -> bool:
    """Does this status mean that there is no history, now and later?"""
    return status in _NONE


def told_until_ns(server_ns: int, interval_s: float) -> int:
    """Before this everything was told when the line was lost; 0 where that cannot be known.

    Args:
        server_ns: the server's clock when it was heard last, 0 = never.
        interval_s: how old a value may be when it is told.
    """
    return max(0, server_ns - round((interval_s + SLACK_S) * 1e9))


@dataclass(slots=True, eq=False)
class Backfill:
    """One outage: what of it is still to be read.

    Attributes:
        after_ns: int64[n], up to here nothing is missing: told before the outage, or read since.
        until_ns: int64[n], told again from here on.
        pages: requests to come; before ``begin`` only the rows in them count.
        to_ns: until when they ask.
        asked: the one under way.
        left: so many values may still come.
        given_up: rows whose rest could not be had.
    """

    after_ns: TimeArray
    until_ns: TimeArray
    pages: list[Page]
    to_ns: int = 0
    asked: Page | None = None
    left: int = MAX_VALUES
    given_up: set[int] = field(default_factory=set)

    @classmethod
    def plan(cls, said: news.Said, without: BoolArray) -> Backfill | None:
        """What is missing between before and after an outage, noted as owed; None where that is nothing.

        Args:
            said: what was told before it, and first after it.
            without: bool[n], rows without a history.
        """
        after_ns, until_ns = said.owe()
        rows = np.flatnonzero(~without & (after_ns > 0) & (until_ns > after_ns)).tolist()
        if not rows:
            return None
        return cls(after_ns, until_ns, [Page(dict.fromkeys(rows, b""), 0)])

    def begin(self, now_ns: int, nodes: int, readable: BoolArray) -> None:
        """In a fresh session: ask for what was not read yet. Continuation points ended with their session.

        Args:
            now_ns: the server's clock, 0 = unknown.
            nodes: in one request.
            readable: bool[n], rows that can be asked for now; the rest is given up.
        """
        owed = self._owed()
        np.maximum(self.after_ns, now_ns - round(MAX_AGE_S * 1e9), out=self.after_ns)
        can = readable & (self.until_ns > self.after_ns)
        rows = [row for row in owed if can[row]]
        self.given_up |= set(owed) - set(rows)
        rows.sort(key=self.after_ns.__getitem__)  # who was read equally far shares a request
        pages = [rows[at : at + nodes] for at in range(0, len(rows), nodes)]
        self.asked = None
        self.pages = [Page(dict.fromkeys(page, b""), int(self.after_ns[page].min())) for page in pages]
        self.to_ns = int(self.until_ns[rows].max()) if rows else 0

    def _owed(self) -> list[int]:
        pages = self.pages if self.asked is None else [self.asked, *self.pages]
        return sorted({row for page in pages for row in page.points})

    @property
    def over(self) -> bool:
        """Everything is read, or enough."""
        return not self.pages or self.left <= 0

    def ask(self) -> Page:
        """The next request."""
        self.asked = self.pages.pop(0)
        return self.asked

    def give_up(self) -> None:
        """What is asked for is not to be had."""
        if self.asked is not None:
            self.given_up |= set(self.asked.points)
            self.asked = None

    def forgo(self) -> None:
        """Nothing of the rest is to be had."""
        self.given_up |= set(self._owed())
        self.asked, self.pages = None, []

    def take(self, answers: list[Remembered], without: BoolArray) -> DataValues | None:
        """What was missing of the rows asked for, each value once, in each row's order; the rest is asked for next.

        Args:
            answers: to what is asked; another number of them says nothing of any row.
            without: bool[n], changed in place: rows that turn out to have no history.
        """
        page = self.asked
        if page is None or len(answers) != len(page.points):
            self.give_up()
            return None
        self.asked = None
        answered = dict(zip(page.points, answers, strict=True))
        for row, answer in answered.items():
            if offers_none(answer.status):
                without[row] = True
            elif answer.status >> 31 and answer.status != _NO_DATA:
                self._refused(page, row, answer.status)
        parts = [
            (row, answer.values)
            for row, answer in answered.items()
            if answer.values is not None and len(answer.values.handles) and not answer.status >> 31
        ]
        self._go_on(page, parts, answered)
        if not parts:
            return None
        found = news.joined(parts)
        self.left -= len(found.handles)
        return self._missing(found)

    def _refused(self, page: Page, row: int, status: int) -> None:
        """A row that has a history which cannot be read so."""
        from_ns = int(self.after_ns[row])
        if status in _CONTINUATION and (len(page.points) > 1 or from_ns > page.from_ns):
            self.pages.append(Page({row: b""}, from_ns))  # alone, and when those before it have let theirs go
        else:
            self.given_up.add(row)

    def _go_on(
        self, page: Page, parts: list[tuple[int, DataValues]], answered: dict[int, Remembered]
    ) -> None:
        """Ask next for what did not fit into these answers."""
        more: dict[int, bytes] = {}
        cut: dict[int, bytes] = {}
        last_ns = self.to_ns
        for row, values in parts:
            goes_on = answered[row].more
            if goes_on and goes_on != page.points[row]:
                more[row] = goes_on
            elif not goes_on and len(values.handles) >= VALUES:
                row_ns = min(self.to_ns, int(values.source_ns.max()))
                if row_ns > page.from_ns:  # else it would go round in circles
                    cut[row] = b""
                    last_ns = min(last_ns, row_ns)
        # a server may stop at our number without saying that there is more
        if cut:
            self.pages.insert(0, Page(cut, last_ns))
        if more:
            self.pages.insert(0, Page(more, page.from_ns))

    def _missing(self, found: DataValues) -> DataValues | None:
        """Of these values what is missing, noted as read."""
        rows: NDArray[np.intp] = found.handles.astype(np.intp)
        between = (found.source_ns > self.after_ns[rows]) & (found.source_ns < self.until_ns[rows])
        places = np.flatnonzero(between)
        order = np.lexsort(
            (found.source_ns[places], rows[places])
        )  # a server may tell them in any order, and twice
        places = places[order]
        new = np.ones(len(places), dtype=np.bool_)
        new[1:] = (np.diff(rows[places]) != 0) | (np.diff(found.source_ns[places]) != 0)
        places = places[new]
        if not len(places):
            return None
        np.maximum.at(self.after_ns, rows[places], found.source_ns[places])
        return news.chosen(found, places)


class Owed:
    """The outages whose history is still to be read, oldest first."""

    def __init__(self) -> None:
        self._plans: list[Backfill] = []
        self._broken = 0

    @property
    def first(self) -> Backfill | None:
        """What is read now."""
        return self._plans[0] if self._plans else None

    def add(self, plan: Backfill | None) -> Iterable[Backfill]:
        """One more outage; returns those that are forgone for it."""
        if plan is not None:
            self._plans.append(plan)
        forgone, self._plans = self._plans[:-MAX_OWED], self._plans[-MAX_OWED:]
        for one in forgone:
            one.forgo()
        return forgone

    def begin(self, now_ns: int, nodes: int, readable: BoolArray) -> None:
        """In a fresh session; see ``Backfill.begin``."""
        for plan in self._plans:
            plan.begin(now_ns, nodes, readable)

    def done(self) -> None:
        """The first is read, or given up."""
        del self._plans[0]

    def clear(self) -> list[Backfill]:
        """Nothing more is asked for; returns what was still owed, forgone."""
        forgone, self._plans = self._plans, []
        for one in forgone:
            one.forgo()
        return forgone

    def answered(self) -> None:
        """The server stands to be asked."""
        self._broken = 0

    def broken_off(self) -> bool:
        """The session ended: has it ended so often at a request for history that no more should be asked?"""
        if self._plans and self._plans[0].asked is not None:
            self._broken += 1
        return self._broken >= MAX_BROKEN
