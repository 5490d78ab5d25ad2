"""Decides what OPC UA answers with values in them say: publish, read, history. Pure; bytes in, columns out.

Other answers are small and rare, and the protocol library decodes them. Layouts: OPC 10000-4 sections 5.11.2 (Read),
5.11.3 (HistoryRead), 5.14.5 (Publish), 7.33 (ResponseHeader).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from drivers.kit.data_value import Bytes, DataValues, TornError, data_values, skip_diagnostics, skip_node_id

_READ_RESPONSE: Final = 634
_HISTORY_READ_RESPONSE: Final = 667
_PUBLISH_RESPONSE: Final = 829
_DATA_CHANGE: Final = 811
_STATUS_CHANGE: Final = 820
_HISTORY_DATA: Final = 658
_BAD_DECODING: Final = 0x8007_0000


class FaultError(Exception):
    """The server answers with a status code instead of a result."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:#010x}")
        self.status = status


@dataclass(frozen=True, slots=True, eq=False)
class Published:
    """One answer to a publish request.

    Attributes:
        subscription_id: whose it is.
        more: has the server more to tell at once?
        sequence: number of the message; a keep-alive bears the number the next one will have.
        published_ns: UTC nanoseconds by the server's clock, 0 = none.
        data: is there anything to acknowledge?
        changes: the items' new values, in the order of the wire; usually one block.
        ended: status with which the server ended the subscription, 0 if it did not.
    """

    subscription_id: int
    more: bool
    sequence: int
    published_ns: int
    data: bool
    changes: tuple[DataValues, ...]
    ended: int


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """What a server's history has of one node.

    Attributes:
        status: of this node's answer; BadDecodingError where something else came than raw values.
        more: continuation point, empty at the end.
        values: None where there is nothing.
    """

    status: int
    more: bytes
    values: DataValues | None


def read_answer(content: bytes) -> DataValues:
    """Values of a read request, in its order.

    Raises:
        TornError: it is no such answer.
        FaultError: the server refuses the request as a whole.
    """
    message = _opened(content, _READ_RESPONSE)
    return data_values(message, with_handle=False)


def publish_answer(content: bytes) -> Published:
    """What a subscription tells.

    Raises:
        TornError: it is no such answer.
        FaultError: the server refuses the request as a whole.
    """
    message = _opened(content, _PUBLISH_RESPONSE)
    subscription_id = message.u32()
    message.skip(4 * message.count(4))
    more = message.byte() != 0
    sequence = message.u32()
    published_ns = message.ticks_ns()
    changes: list[DataValues] = []
    ended = 0
    n = message.count(3)
    for _ in range(n):
        kind, body = _extension(message)
        if kind == _DATA_CHANGE:
            changes.append(data_values(body, with_handle=True))
        elif kind == _STATUS_CHANGE:
            ended = body.u32()
    return Published(subscription_id, more, sequence, published_ns, n > 0, tuple(changes), ended)


def history_answer(content: bytes) -> list[Remembered]:
    """Results of a history read, a node each.

    Raises:
        TornError: it is no such answer.
        FaultError: the server refuses the request as a whole.
    """
    message = _opened(content, _HISTORY_READ_RESPONSE)
    found = []
    for _ in range(message.count(11)):
        status = message.u32()
        more = message.counted()
        kind, body = _extension(message)
        values = data_values(body, with_handle=False) if kind == _HISTORY_DATA else None
        foreign = values is None and kind != 0 and not status >> 31
        found.append(Remembered(_BAD_DECODING if foreign else status, more, values))
    return found


def _opened(content: bytes, expected: int) -> Bytes:
    """The message behind its type and header."""
    message = Bytes(content)
    kind = skip_node_id(message)
    message.skip(12)  # time and request handle; the channel has matched the request already
    status = message.u32()
    skip_diagnostics(message)
    for _ in range(message.count(4)):
        message.counted()
    _extension(message)
    if status >> 30:
        raise FaultError(status)
    if kind != expected:
        raise TornError(f"answer of type {kind} where {expected} was asked for")
    return message


def _extension(message: Bytes) -> tuple[int, Bytes]:
    """An extension object: its type's number and its body (OPC 10000-6 section 5.2.2.15)."""
    kind = skip_node_id(message)
    if message.byte() == 0:
        return kind, message.part(0)
    return kind, message.part(max(0, message.i32()))
