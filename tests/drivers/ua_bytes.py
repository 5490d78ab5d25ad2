"""Answers as asyncua's own encoder writes them, for the tests of the code that reads them without asyncua."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
S = 10**9


def data(
    content: Any, stamp_ns: int | None = None, status: int = 0, kind: ua.VariantType = ua.VariantType.Double
) -> ua.DataValue:
    """A value, with its source's time in whole microseconds."""
    return ua.DataValue(
        ua.Variant(content, kind),
        StatusCode=code(status),
        SourceTimestamp=None if stamp_ns is None else EPOCH + dt.timedelta(microseconds=stamp_ns // 1000),  # type: ignore[arg-type]
    )


def code(status: int) -> ua.StatusCode:
    return ua.StatusCode(ua.UInt32(status))


def answer(made: Any, **header: Any) -> bytes:
    """An answer's bytes, its header's fields as given."""
    for name, content in header.items():
        setattr(made.ResponseHeader, name, content)
    encoded: bytes = struct_to_binary(made)
    return encoded


def read(values: Sequence[ua.DataValue], **header: Any) -> bytes:
    made = ua.ReadResponse()
    made.Results = list(values)
    return answer(made, **header)


def changed(*items: tuple[int, ua.DataValue]) -> ua.DataChangeNotification:
    """Handles and their values."""
    made = ua.DataChangeNotification()
    made.MonitoredItems = [ua.MonitoredItemNotification(handle, one) for handle, one in items]
    made.DiagnosticInfos = []
    return made


def published(
    *told: Any,
    sequence: int = 5,
    more: bool = False,
    moment: dt.datetime | None = EPOCH + dt.timedelta(seconds=7),
) -> bytes:
    made = ua.PublishResponse()
    made.Parameters.SubscriptionId = 7
    made.Parameters.AvailableSequenceNumbers = [3, 4, sequence]
    made.Parameters.MoreNotifications = more
    made.Parameters.NotificationMessage = ua.NotificationMessage(sequence, moment, list(told))
    return answer(made)


def history(*results: tuple[int, bytes | None, Any]) -> bytes:
    """Status, continuation point and history of each node."""
    made = ua.HistoryReadResponse()
    made.Results = [
        ua.HistoryReadResult(code(status), more, ua.ExtensionObject() if found is None else found)
        for status, more, found in results
    ]
    return answer(made)
