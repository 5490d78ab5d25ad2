"""Answers with values in them, judged by asyncua's encoder; what is no such answer raises and gives no number."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from ua_bytes import S, answer, changed, code, data, history, published, read

from drivers.kit.data_value import DataValues, TornError
from drivers.kit.ua_answer import FaultError, history_answer, publish_answer, read_answer

READERS: list[Callable[[bytes], object]] = [read_answer, publish_answer, history_answer]
SECRET = 4711.25
"""A number that must never come out of a message that does not hold it."""
HEADER = 28
"""Bytes of type, time, handle, status, diagnostics, strings and additional header where the last three are empty."""


def a_read() -> bytes:
    return read([data(SECRET, S), data("文本", S, kind=ua.VariantType.String), data(7, S)])


def a_publish() -> bytes:
    return published(changed((1, data(1.5, S)), (2, data(2.5))), changed((1, data(SECRET, 2 * S))))


def a_history() -> bytes:
    return history(
        (0, b"more", ua.HistoryData([data(1.0, S), data(SECRET, 2 * S)])), (0x809B_0000, None, None)
    )


WHOLE = [
    pytest.param(read_answer, a_read, 4, id="read"),
    pytest.param(publish_answer, a_publish, 8, id="publish"),
    pytest.param(history_answer, a_history, 4, id="history"),
]
"""With how many bytes of each are left unread behind what it says: empty lists of diagnostics."""


@pytest.mark.parametrize(("reader", "whole", "unread"), WHOLE)
def test_an_answer_torn_anywhere_raises(
    reader: Callable[[bytes], object], whole: Callable[[], bytes], unread: int
) -> None:
    content = whole()
    reader(content)
    for end in range(len(content) - unread):
        with pytest.raises(TornError):
            reader(content[:end])


@pytest.mark.parametrize("reader", READERS)
def test_random_bytes_raise(reader: Callable[[bytes], object]) -> None:
    dice = random.Random(3)
    for size in range(400):
        with pytest.raises((TornError, FaultError)):
            reader(dice.randbytes(size))
        with pytest.raises((TornError, FaultError)):
            reader(bytes(size))


@pytest.mark.parametrize(("reader", "whole", "unread"), WHOLE)
def test_random_bytes_behind_a_right_header_give_no_number(
    reader: Callable[[bytes], object], whole: Callable[[], bytes], unread: int
) -> None:
    dice = random.Random(unread)
    header = whole()[:HEADER]
    raised = 0
    for _ in range(2000):
        try:
            found = reader(header + dice.randbytes(dice.randrange(200)))
        except TornError:
            raised += 1
        else:
            assert not any(len(values.handles) for values in _columns(found))
    assert raised > 500, "the others announce a list of less than nothing, which is null"


def _columns(found: object) -> list[DataValues]:
    if isinstance(found, DataValues):
        return [found]
    if isinstance(found, list):
        return [one.values for one in found if one.values is not None]
    return list(found.changes)  # type: ignore[attr-defined]


def test_values_of_random_bytes_are_as_many_as_announced_or_none() -> None:
    dice = random.Random(8)
    header = read([])[:HEADER] + (3).to_bytes(4, "little")
    raised = 0
    for _ in range(3000):
        try:
            found = read_answer(header + dice.randbytes(dice.randrange(120)))
        except TornError:
            raised += 1
        else:
            assert len(found.handles) == len(found.values) == len(found.status) == len(found.numbers) == 3
            assert np.isnan(found.values[~found.numbers]).all()
    assert 2000 < raised < 3000


@pytest.mark.parametrize("n", [1001, 0x7FFF_FFFF])
@pytest.mark.parametrize(
    ("reader", "before"),
    [
        (read_answer, read([])[:HEADER]),
        (publish_answer, published()[:61]),
        (history_answer, history()[:HEADER]),
    ],
    ids=["read", "publish", "history"],
)
def test_a_list_that_announces_more_than_can_follow_raises_at_once(
    reader: Callable[[bytes], object], before: bytes, n: int
) -> None:
    reader(before + bytes(1000))
    with pytest.raises(TornError, match=f"announces {n}"):
        reader(before + n.to_bytes(4, "little") + bytes(1000))


@pytest.mark.parametrize("length", [b"\xff\xff\xff\xff", b"\0\0\0\0"], ids=["null", "empty"])
def test_no_results_are_none(length: bytes) -> None:
    assert len(read_answer(read([])[:HEADER] + length).handles) == 0
    assert history_answer(history()[:HEADER] + length) == []


def test_a_notification_does_not_reach_into_the_one_behind_it() -> None:
    whole = published(changed((1, data(1.5))), changed((9, data(SECRET))))
    body = len(published(changed((1, data(1.5))))) - len(published()) - 9  # 9: type, encoding, length
    at = whole.index((body).to_bytes(4, "little"), 54)
    assert [part.values.tolist() for part in publish_answer(whole).changes] == [[1.5], [SECRET]]
    two = whole[: at + 4] + (2).to_bytes(4, "little") + whole[at + 8 :]
    with pytest.raises(TornError):
        publish_answer(two)
    for size in (0, 3, body - 5):
        with pytest.raises(TornError):
            publish_answer(whole[:at] + size.to_bytes(4, "little") + whole[at + 4 :])


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 2**32 - 1), st.floats(allow_nan=False)), max_size=20), max_size=4
    ),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_what_is_published_comes_in_the_order_of_the_wire(
    blocks: list[list[tuple[int, float]]], sequence: int, more: bool
) -> None:
    told = [changed(*((handle, data(value)) for handle, value in block)) for block in blocks]
    found = publish_answer(published(*told, sequence=sequence, more=more))
    assert (found.subscription_id, found.sequence, found.more) == (7, sequence, more)
    assert found.published_ns == 7 * S
    assert found.data is bool(blocks)
    assert found.ended == 0
    assert [
        list(zip(part.handles.tolist(), part.values.tolist(), strict=True)) for part in found.changes
    ] == blocks


def test_a_keep_alive_has_nothing_to_thank_for() -> None:
    found = publish_answer(published(sequence=12))
    assert (found.data, found.changes, found.sequence) == (False, (), 12)


def test_events_are_passed_over_and_an_end_is_told_beside_values() -> None:
    events = ua.EventNotificationList([ua.EventFieldList(3, [ua.Variant(SECRET)])])
    ended = ua.StatusChangeNotification(code(StatusCodes.BadTimeout))
    found = publish_answer(published(events, changed((4, data(1.0))), ended))
    assert found.data
    assert [part.handles.tolist() for part in found.changes] == [[4]]
    assert [part.values.tolist() for part in found.changes] == [[1.0]]
    assert found.ended == StatusCodes.BadTimeout
    assert publish_answer(published(events)).changes == ()


def test_each_nodes_history_keeps_its_place_status_and_continuation() -> None:
    modified = ua.HistoryModifiedData([data(SECRET)], [])
    found = history_answer(
        history(
            (0, b"a", ua.HistoryData([data(1.0, 5 * S), data(2.0, 6 * S)])),
            (StatusCodes.BadNodeIdUnknown, None, None),
            (0, b"", ua.HistoryData([])),
            (0, b"\0" * 300, modified),
        )
    )
    foreign = StatusCodes.BadDecodingError
    assert [one.status for one in found] == [0, StatusCodes.BadNodeIdUnknown, 0, foreign]
    assert [one.more for one in found] == [b"a", b"", b"", b"\0" * 300]
    first, unknown, empty, other = (one.values for one in found)
    assert first is not None
    assert (first.values.tolist(), first.source_ns.tolist()) == ([1.0, 2.0], [5 * S, 6 * S])
    assert unknown is None
    assert empty is not None
    assert len(empty.values) == 0
    assert other is None, "changed values are not what was asked for"


def test_a_history_without_its_body_raises() -> None:
    whole = history((0, None, ua.HistoryData([data(1.0)])))
    at = whole.index(b"\x01\x00\x92\x02\x01") + 4  # i=658, then how its body is encoded
    with pytest.raises(TornError):
        history_answer(whole[:at] + b"\0" + whole[at + 1 :])


def test_what_a_header_may_carry_is_passed_over() -> None:
    diagnostics = ua.DiagnosticInfo(
        SymbolicId=ua.Int32(1),
        NamespaceURI=ua.Int32(2),
        Locale=ua.Int32(3),
        LocalizedText=ua.Int32(4),
        AdditionalInfo=ua.String("why 为何"),
        InnerStatusCode=code(0x8000_0000),
    )
    content = read(
        [data(SECRET)],
        ServiceDiagnostics=diagnostics,
        StringTable=["a", None, "文" * 40],
        AdditionalHeader=ua.EUInformation(UnitId=3),
        RequestHandle=0xFFFF_FFFF,
    )
    assert read_answer(content).values.tolist() == [SECRET]


def test_diagnostics_within_diagnostics_end() -> None:
    """asyncua encodes them in another way than OPC 10000-6 section 5.2.2.12: these are ours."""
    content = read([data(SECRET)])
    assert read_answer(content[:20] + b"\x40" * 5 + content[20:]).values.tolist() == [SECRET]
    with pytest.raises(TornError):
        read_answer(content[:20] + b"\x40" * 100_000 + content[20:])


@pytest.mark.parametrize(
    "type_id",
    [b"\x02\x00\x00\x7a\x02\x00\x00", b"\x82\x00\x00\x7a\x02\x00\x00\xff\xff\xff\xff"],
    ids=["numeric", "expanded"],
)
def test_the_type_may_be_written_longer_than_needed(type_id: bytes) -> None:
    assert read_answer(type_id + read([data(SECRET)])[4:]).values.tolist() == [SECRET]


@pytest.mark.parametrize(
    "type_id",
    [
        b"\x01\x01\x7a\x02",
        b"\x02\x01\x00\x7a\x02\x00\x00",
        b"\x00\x7a",
        b"\x03\x00\x00\x01\x00\x00\x00a",
        b"\x3f\0\0\0",
    ],
    ids=["namespace", "namespace-numeric", "two-byte", "text", "unknown"],
)
def test_a_type_that_only_looks_alike_is_foreign(type_id: bytes) -> None:
    with pytest.raises(TornError):
        read_answer(type_id + read([data(SECRET)])[4:])


@pytest.mark.parametrize(("reader", "whole", "unread"), WHOLE)
def test_one_answer_is_not_taken_for_another(
    reader: Callable[[bytes], object], whole: Callable[[], bytes], unread: int
) -> None:
    for other in READERS:
        if other is not reader:
            with pytest.raises(TornError, match="asked for"):
                other(whole())


@pytest.mark.parametrize("status", [0x8010_0000, 0x8010_0480, 0x4000_0000, 0xFFFF_FFFF])
@pytest.mark.parametrize("reader", READERS)
def test_a_refusal_is_a_fault_with_its_status_even_where_values_follow(
    reader: Callable[[bytes], object], status: int
) -> None:
    with pytest.raises(FaultError) as caught:
        reader(answer(ua.ServiceFault(), ServiceResult=code(status)))
    assert caught.value.status == status
    assert f"{status:#010x}" in str(caught.value)
    with pytest.raises(FaultError):
        read_answer(read([data(SECRET)], ServiceResult=code(status)))


def test_a_good_status_with_information_is_no_fault() -> None:
    found = read_answer(read([data(SECRET)], ServiceResult=code(StatusCodes.GoodClamped)))
    assert found.values.tolist() == [SECRET]
    with pytest.raises(TornError):
        read_answer(answer(ua.ServiceFault()))


def test_a_bad_value_says_so_beside_its_neighbours() -> None:
    found = read_answer(read([data(1.0), data(SECRET, S, StatusCodes.BadSensorFailure), data(3.0)]))
    assert found.status.tolist() == [0, StatusCodes.BadSensorFailure, 0]
    assert found.source_ns.tolist() == [0, S, 0]
    assert np.array_equal(found.numbers, [True] * 3)
