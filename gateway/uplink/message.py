"""What goes up a line and what comes of it. Pure types; knows no transport."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from buffer.record import Lane


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
    LINK_DOWN = auto()
    """The link is gone: a new one after the back-off, then the same key."""
    UNAUTHORISED = auto()
    """The broker or the certificate says no: retry slowly and call the technician."""
