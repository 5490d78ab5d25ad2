"""What goes up a line and what comes of it. Pure types; knows no transport."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Literal, Protocol, TypeAlias

from buffer.record import Lane, Record
from gateway.codec import Body


@dataclass(frozen=True, slots=True)
class Message:
    """One record in a recipient's dialect, ready to be sent.

    Attributes:
        key: idempotency key ``gateway/spool/lane/seq``; the same key always has the same content.
        lane: lane of the record.
        seq: its number there.
        topic: where it goes.
        payload: bytes as sent.
    """

    key: str
    lane: Lane
    seq: int
    topic: str
    payload: bytes


class Verdict(Enum):
    """What became of a message; the sender's next deed follows from it alone."""

    ACCEPTED = auto()
    """Settle it."""
    REJECTED = auto()
    """The recipient will never take it: keep it apart with the reason, alarm, settle the position."""
    NO_RECEIPT = auto()
    """Nothing came in time: the same key again on the same link."""
    UNAUTHORISED = auto()
    """The broker does not let us publish there: that stream retries slowly, the others go on; an alarm."""


Replay: TypeAlias = Literal["live", "backfill"]
"""Whether a record goes out as it happens or after a time without the recipient; no part of its content."""


class DialectError(ValueError):
    """This record cannot be said in this dialect, or these bytes are no answer of it."""


class TooLargeError(Exception):
    """The line will never take a message of this size: reject it, go on with the next."""


@dataclass(frozen=True, slots=True)
class PointNames:
    """What a device's point indexes mean outside: tags and units, in the order of its point list."""

    names: tuple[str, ...]
    units: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Context:
    """What a dialect must know besides the record.

    Attributes:
        gateway_id: first part of every key; in topics.
        site_id: in topics.
        spool_id: second part of a durable record's key.
        volatile_id: stands there for what could not be written; drawn at every start of the process.
        points: ``(config_rev, device)`` -> names of that version's point list. Raises KeyError where unknown.
    """

    gateway_id: str
    site_id: str
    spool_id: str
    volatile_id: str
    points: Callable[[str, str], PointNames]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One thing the recipient will never take: a whole message, or one item of it (index)."""

    key: str
    item: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """A recipient's word that it has stored these keys, and which it refuses."""

    recipient: str
    accepted: tuple[str, ...]
    rejected: tuple[Rejection, ...] = ()


class Dialect(Protocol):
    """One recipient's language. Pure: the same record gives the same bytes, apart from ``replay``."""

    def encode(
        self, record: Record, body: Body, replay: Replay, *, durable: bool = True, jpeg: bytes = b""
    ) -> Message:
        """Say one record.

        Args:
            record: the record; one that is not durable has its number in ``seq``.
            body: its canonical bytes, decoded.
            replay: live or backfill.
            durable: False where the disk did not take it.
            jpeg: the picture of a snapshot; empty where it was given up.

        Raises:
            DialectError: it cannot be said, e.g. its point list is not known any more, or it is larger than a
                message of this dialect may be.
        """

    def parse_receipt(self, payload: bytes) -> Receipt:
        """Read an answer.

        Raises:
            DialectError: it is not one.
        """

    def client_id(self, recipient: str) -> str:
        """What the gateway calls itself towards this recipient's broker; one broker may serve several."""

    def receipt_topic(self, recipient: str) -> str:
        """Where this recipient answers."""

    def order_topics(self, recipient: str) -> str:
        """Filter of what this recipient sends down, ending in ``/+``; "" where the dialect has no down channel."""

    def status_topic(self) -> str:
        """Where the gateway says whether it is there."""

    def status(self, recipient: str, state: str) -> bytes:
        """What it says there of its connection for this recipient; the last will is one too."""
