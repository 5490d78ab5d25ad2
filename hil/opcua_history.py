"""What a simulated OPC UA server remembers of its nodes, for HistoryRead (raw). Touches nothing."""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.server.history import HistoryStorageInterface
from asyncua.ua.status_codes import StatusCodes

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
HISTORY_VALUES: Final = 600
"""So many values of each node are kept."""
HISTORY_PAGE: Final = 100
"""So many of them are usually given in one answer; the rest stands behind a continuation point."""


def source_us(moment: dt.datetime) -> int:
    """A time as OPC UA's client library gives it (UTC, with or without saying so), as UTC microseconds."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
    return (aware - EPOCH) // dt.timedelta(microseconds=1)


class NoHistory(HistoryStorageInterface):
    """A server that keeps nothing says so."""

    async def init(self) -> None:
        """Nothing to prepare."""

    async def stop(self) -> None:
        """Nothing to end."""

    async def save_node_value(self, node_id: ua.NodeId, datavalue: ua.DataValue) -> None:
        """Keep nothing."""

    async def read_node_history(self, node_id: ua.NodeId, start: Any, end: Any, nb_values: int) -> Any:
        """Refuse."""
        del node_id, start, end, nb_values
        raise ServiceError(StatusCodes.BadHistoryOperationUnsupported)


class History(NoHistory):
    """What each node showed, oldest first.

    Args:
        given: told of every value that is given out.
        page: so many values of a node are given in one answer at most.

    Attributes:
        continued: answers that left the rest behind a continuation point.
    """

    def __init__(self, given: Callable[[ua.NodeId, ua.DataValue], None], page: int = HISTORY_PAGE) -> None:
        super().__init__(page)
        self.continued = 0
        self._page = page
        self._given = given
        self._kept: dict[ua.NodeId, deque[tuple[int, ua.DataValue]]] = {}

    async def save_node_value(self, node_id: ua.NodeId, datavalue: ua.DataValue) -> None:
        """Keep a value; it has a source time."""
        assert datavalue.SourceTimestamp is not None, "the PLC stamps what it shows"
        kept = self._kept.setdefault(node_id, deque(maxlen=HISTORY_VALUES))
        kept.append((source_us(datavalue.SourceTimestamp), datavalue))

    async def read_node_history(self, node_id: ua.NodeId, start: Any, end: Any, nb_values: int) -> Any:
        """Values from start to end inclusive; an end left out is now (OPC 10000-11 section 6.5.3)."""
        from_us = 0 if start in {None, ua.get_win_epoch()} else source_us(start)
        to_us = None if end in {None, ua.get_win_epoch()} else source_us(end)
        kept = self._kept.get(node_id, ())
        found = [value for at_us, value in kept if from_us <= at_us and (to_us is None or at_us <= to_us)]
        page = min(nb_values or self._page, self._page)
        for value in found[:page]:
            self._given(node_id, value)
        self.continued += len(found) > page
        return found[:page], found[page].SourceTimestamp if len(found) > page else None
