"""Bytes to columns, judged by asyncua's own encoder; torn bytes raise and nothing else."""

from __future__ import annotations

import datetime as dt
import math
import random
import uuid

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.ua_binary import struct_to_binary, to_binary
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.data_value import Bytes, DataValues, TornError, data_values
from drivers.kit.ua_answer import FaultError, history_answer, publish_answer, read_answer

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
NUMBERS = {
    ua.VariantType.Boolean: st.booleans(),
    ua.VariantType.SByte: st.integers(-128, 127),
    ua.VariantType.Byte: st.integers(0, 255),
    ua.VariantType.Int16: st.integers(-(2**15), 2**15 - 1),
    ua.VariantType.UInt16: st.integers(0, 2**16 - 1),
    ua.VariantType.Int32: st.integers(-(2**31), 2**31 - 1),
    ua.VariantType.UInt32: st.integers(0, 2**32 - 1),
    ua.VariantType.Int64: st.integers(-(2**63), 2**63 - 1),
    ua.VariantType.UInt64: st.integers(0, 2**64 - 1),
    ua.VariantType.Float: st.floats(width=32),
    ua.VariantType.Double: st.floats(),
}
OTHERS = [
    ua.Variant("text 文本", ua.VariantType.String),
    ua.Variant(None, ua.VariantType.String),
    ua.Variant(ua.LocalizedText("关", "zh"), ua.VariantType.LocalizedText),
    ua.Variant(b"bytes", ua.VariantType.ByteString),
    ua.Variant(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), ua.VariantType.DateTime),
    ua.Variant(uuid.UUID(int=7), ua.VariantType.Guid),
    ua.Variant(ua.NodeId("a", 3), ua.VariantType.NodeId),
    ua.Variant(ua.NodeId(uuid.UUID(int=9), 3), ua.VariantType.NodeId),
    ua.Variant(ua.QualifiedName("q", 1), ua.VariantType.QualifiedName),
    ua.Variant(ua.StatusCode(ua.UInt32(0x80000000)), ua.VariantType.StatusCode),
    ua.Variant(ua.EUInformation(UnitId=3), ua.VariantType.ExtensionObject),
    ua.Variant(ua.DataValue(ua.Variant(1.0)), ua.VariantType.DataValue),
    ua.Variant([1, 2, 3], ua.VariantType.Int32),
    ua.Variant(["a", "b"], ua.VariantType.String),
    ua.Variant([ua.LocalizedText("a")], ua.VariantType.LocalizedText),
    ua.Variant([[1.0, 2.0], [3.0, 4.0]], ua.VariantType.Double),
    ua.Variant([], ua.VariantType.Double, is_array=True),
    ua.Variant(None),
]
FIRST, LAST = (dt.datetime(year, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None) for year in (1990, 2200))
times = st.none() | st.datetimes(FIRST, LAST, timezones=st.just(dt.UTC))
numbers = st.one_of(
    [values.map(lambda value, kind=kind: ua.Variant(value, kind)) for kind, values in NUMBERS.items()]  # type: ignore[misc]
)
data = st.builds(
    lambda value, status, source, server: ua.DataValue(
        value, StatusCode=ua.StatusCode(ua.UInt32(status)), SourceTimestamp=source, ServerTimestamp=server
    ),
    numbers | st.sampled_from(OTHERS),
    st.sampled_from([0, 0x80340000, 0x40900000]),
    times,
    times,
)


def encoded(values: list[ua.DataValue], *, items: bool) -> bytes:
    if not items:
        return to_binary(list[ua.DataValue], values)
    notification = ua.DataChangeNotification()
    notification.MonitoredItems = [
        ua.MonitoredItemNotification(handle * 7, value) for handle, value in enumerate(values)
    ]
    notification.DiagnosticInfos = []
    return struct_to_binary(notification)


def ns(moment: dt.datetime) -> int:
    return (moment - EPOCH) // dt.timedelta(microseconds=1) * 1000


def check(found: DataValues, values: list[ua.DataValue], *, items: bool) -> None:
    assert found.handles.tolist() == [index * 7 if items else 0 for index in range(len(values))]
    for index, value in enumerate(values):
        assert found.status[index] == value.StatusCode.value  # type: ignore[union-attr]
        moment = value.SourceTimestamp or value.ServerTimestamp
        assert found.source_ns[index] == (0 if moment is None else ns(moment))
        variant = value.Value
        assert variant is not None
        if variant.VariantType in NUMBERS and not isinstance(variant.Value, list):
            sent = float(variant.Value)
            if variant.VariantType is ua.VariantType.Float:
                sent = float(np.float32(sent))
            assert found.numbers[index]
            assert found.values[index] == sent or (math.isnan(sent) and math.isnan(found.values[index]))
            beyond = isinstance(variant.Value, int) and abs(sent) >= 2**53
            assert found.whole.get(index) == (variant.Value if beyond else None)
        else:
            assert not found.numbers[index]
            assert math.isnan(found.values[index])
    texts = {
        index: value.Value.Value if isinstance(value.Value.Value, str) else value.Value.Value.Text
        for index, value in enumerate(values)
        if value.Value is not None and isinstance(value.Value.Value, (str, ua.LocalizedText))
    }
    assert {index: text for index, text in found.texts.items() if text} == texts


@given(st.lists(data, max_size=60), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_values_are_what_was_encoded(values: list[ua.DataValue], items: bool) -> None:
    found = data_values(Bytes(encoded(values, items=items)), with_handle=items)
    check(found, values, items=items)


def test_long_runs_and_changing_layouts() -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    plain = [
        ua.DataValue(ua.Variant(float(n)), SourceTimestamp=moment, ServerTimestamp=moment) for n in range(700)
    ]
    mixed = plain.copy()
    for place in range(100, 700, 37):
        mixed[place] = ua.DataValue(ua.Variant(place % 2 == 0), SourceTimestamp=moment)
    for values in (plain, mixed, plain[:1], []):
        check(data_values(Bytes(encoded(values, items=True)), with_handle=True), values, items=True)


def test_picoseconds_stand_where_the_standard_has_them() -> None:
    """OPC 10000-6 table 26: each behind its own time; asyncua encodes them in another order."""
    ticks = (116_444_736_000_000_000 + 17).to_bytes(8, "little")
    one = bytes([0x3D, 11]) + bytes(8) + ticks + b"\x11\x22" + ticks + b"\x33\x44"
    found = data_values(Bytes((2).to_bytes(4, "little") + one + one), with_handle=False)
    assert found.source_ns.tolist() == [1700, 1700]


@pytest.mark.parametrize("items", [True, False])
def test_torn_bytes_raise_and_nothing_else(items: bool) -> None:
    dice = random.Random(5)
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    values = [ua.DataValue(variant, SourceTimestamp=moment) for variant in OTHERS] * 2
    values += [ua.DataValue(ua.Variant(1.0), SourceTimestamp=moment) for _ in range(30)]
    whole = encoded(values, items=items)
    for end in range(0, len(whole) - 8, 7):
        with pytest.raises(TornError):
            data_values(Bytes(whole[:end]), with_handle=items)
    for _ in range(3000):
        broken = bytearray(whole)
        for _ in range(dice.randrange(1, 4)):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        try:
            found = data_values(Bytes(bytes(broken)), with_handle=items)
        except TornError:
            continue
        assert len(found.values) == len(found.status) == len(found.source_ns)


def response(kind: type, **fields: object) -> bytes:
    made = kind()
    for name, value in fields.items():
        setattr(made, name, value)
    return struct_to_binary(made)


def test_a_publish_answer_tells_all_of_it() -> None:
    change = ua.DataChangeNotification()
    change.MonitoredItems = [ua.MonitoredItemNotification(3, ua.DataValue(ua.Variant(1.5)))]
    change.DiagnosticInfos = []
    ended = ua.StatusChangeNotification(ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTimeout)))
    result = ua.PublishResult()
    result.SubscriptionId, result.AvailableSequenceNumbers, result.MoreNotifications = 7, [4, 5], True
    result.NotificationMessage = ua.NotificationMessage(
        5, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), [change, ended]
    )
    found = publish_answer(response(ua.PublishResponse, Parameters=result))
    assert (found.subscription_id, found.sequence, found.more, found.data) == (7, 5, True, True)
    assert found.published_ns == 1_767_225_600_000_000_000
    assert [part.handles.tolist() for part in found.changes] == [[3]]
    assert found.ended == ua.StatusCodes.BadTimeout
    result.NotificationMessage = ua.NotificationMessage(6, dt.datetime(2026, 1, 1, tzinfo=dt.UTC), [])
    assert not publish_answer(response(ua.PublishResponse, Parameters=result)).data


def test_read_and_history_answers() -> None:
    assert read_answer(
        response(ua.ReadResponse, Results=[ua.DataValue(ua.Variant(2.5))])
    ).values.tolist() == [2.5]
    good = ua.HistoryReadResult(ContinuationPoint=b"more")
    good.HistoryData = ua.HistoryData([ua.DataValue(ua.Variant(1.0)), ua.DataValue(ua.Variant(2.0))])
    none = ua.HistoryReadResult(StatusCode=ua.StatusCode(ua.UInt32(ua.StatusCodes.BadNoData)))
    first, second = history_answer(response(ua.HistoryReadResponse, Results=[good, none]))
    assert first.values is not None
    assert (first.more, first.values.values.tolist()) == (b"more", [1.0, 2.0])
    assert (second.status, second.more, second.values) == (ua.StatusCodes.BadNoData, b"", None)


def test_a_fault_and_a_foreign_answer_are_told_apart() -> None:
    header = ua.ResponseHeader(ServiceResult=ua.StatusCode(ua.UInt32(ua.StatusCodes.BadTooManyOperations)))
    with pytest.raises(FaultError) as caught:
        read_answer(response(ua.ServiceFault, ResponseHeader=header))
    assert caught.value.status == ua.StatusCodes.BadTooManyOperations
    with pytest.raises(TornError):
        publish_answer(response(ua.ReadResponse, Results=[]))
    with pytest.raises(TornError):
        publish_answer(b"")
