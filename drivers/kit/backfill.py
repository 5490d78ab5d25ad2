"""Decides what is asked of a server's history after an outage, in which portions, and when it is enough. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from drivers.kit import news
from drivers.kit.data_value import DataValues
from drivers.kit.quality import BoolArray
from drivers.kit.ua_answer import Remembered

MAX_AGE_S: Final = 86_400.0
"""Of a longer outage the last day is read."""
MAX_VALUES: Final = 500_000
"""Of one outage at most so many values are read."""
NODES: Final = 100
VALUES: Final = 100
"""Nodes in one request, and values of each in one answer; so that live values never wait long."""
PAUSE_S: Final = 0.1
"""Between two requests."""
SLACK_S: Final = 1.0
"""So much earlier than the last word of the server, beyond its intervals, what was not told yet may begin."""
_NO_DATA: Final = 0x809B_0000
"""BadNoData: nothing changed meanwhile."""
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


def _failed(page: Page, answers: list[Remembered]) -> set[int]:
    """Rows that have a history which cannot be read now."""
    bad = (
        row
        for row, answer in zip(page.points, answers, strict=True)
        if answer.status >> 31 and answer.status != _NO_DATA and not offers_none(answer.status)
    )
    return set(bad)


@dataclass(slots=True)
class Backfill:
    """What is still to be read.

    Attributes:
        from_ns, to_ns: the interval, by the server's clock.
        pages: requests to come.
        left: so many values may still come.
        next_at: monotonic seconds before which the next request is not sent.
        given_up: rows whose rest could not be had.
    """

    from_ns: int
    to_ns: int
    pages: list[Page]
    left: int = MAX_VALUES
    next_at: float = 0.0
    given_up: set[int] = field(default_factory=set)

    @classmethod
    def plan(
        cls, said: news.Said, without: BoolArray, lost_ns: int, now_ns: int, interval_s: float, nodes: int
    ) -> Backfill | None:
        """After an outage: which rows are asked for, from when to when; None where there is nothing to ask.

        Args:
            said: what was told before it, and first after it.
            without: bool[n], rows without a history.
            lost_ns: the server's clock when it was heard last, 0 = never.
            now_ns: the server's clock now, 0 = unknown.
            interval_s: how old a value may be when it is told.
            nodes: in one request.
        """
        rows = np.flatnonzero(~without & (said.before_ns > 0) & (said.first_ns > said.before_ns)).tolist()
        if not (lost_ns and now_ns and rows):
            return None
        slack_ns = round((interval_s + SLACK_S) * 1e9)
        from_ns = max(lost_ns - slack_ns, now_ns - round(MAX_AGE_S * 1e9))
        starts = range(0, len(rows), nodes)
        pages = [Page(dict.fromkeys(rows[at : at + nodes], b""), from_ns) for at in starts]
        return cls(from_ns, now_ns + slack_ns, pages)

    @property
    def over(self) -> bool:
        """Everything is read, or enough."""
        return not self.pages or self.left <= 0

    def take(self, page: Page, answers: list[Remembered], without: BoolArray) -> DataValues | None:
        """What came for these rows; where there is more, it is asked for next.

        Args:
            page: as asked.
            answers: as many.
            without: bool[n], changed in place: rows that turn out to have no history.
        """
        self.given_up |= _failed(page, answers)
        more: dict[int, bytes] = {}
        cut: dict[int, bytes] = {}
        last_ns = self.to_ns
        parts = []
        for row, answer in zip(page.points, answers, strict=True):
            if offers_none(answer.status):
                without[row] = True
            elif answer.values is not None and len(answer.values.handles):
                parts.append((row, answer.values))
                if answer.more and answer.more != page.points[row]:
                    more[row] = answer.more
                elif not answer.more and len(answer.values.handles) >= VALUES:
                    row_ns = min(self.to_ns, int(answer.values.source_ns.max()))
                    if row_ns > page.from_ns:  # else it would go round in circles
                        cut[row] = b""
                        last_ns = min(last_ns, row_ns)
        # a server may stop at our number without saying that there is more
        if cut:
            self.pages.insert(0, Page(cut, last_ns))
        if more:
            self.pages.insert(0, Page(more, page.from_ns))
        if not parts:
            return None
        found = news.joined(parts)
        self.left -= len(found.handles)
        return found
