"""What is kept: the types of the spool and the hash of a record. Pure; knows bytes, not readings.

Keys read ``gateway/spool/lane/seq``. The spool id is drawn when a spool is created, so a key never repeats,
not even after a disk swap. ``seq`` counts from 1 within a lane, without holes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

Lane: TypeAlias = Literal["alarm", "reading", "snapshot", "journal"]
LANES: Final[tuple[Lane, ...]] = get_args(Lane)

LEAF_PREFIX: Final = b"\x00"
"""RFC 6962 section 2.1: a leaf is hashed with a zero byte before it."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A record before it has a place.

    Attributes:
        lane: which lane it joins.
        created_ns: UTC nanoseconds of the newest thing in it.
        body: canonical bytes, uncompressed; what is hashed and proven.
    """

    lane: Lane
    created_ns: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A record in its place; once it exists it never changes."""

    lane: Lane
    seq: int
    created_ns: int
    body: bytes
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Append:
    """What one append writes as one transaction: all of it is durable, or none.

    Attributes:
        drafts: records, in order.
        state: small named values written beside them (None deletes), e.g. an alarm's state.
    """

    drafts: tuple[Draft, ...]
    state: Mapping[str, bytes | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """A page of records of one lane, in rising seq, with holes only where records were given up.

    Attributes:
        records: at most what was asked for.
        next_seq: where the following page starts.
    """

    lane: Lane
    records: tuple[Record, ...]
    next_seq: int


@dataclass(frozen=True, slots=True)
class Ack:
    """A recipient has settled these records of a lane (accepted them, or rejected them for good)."""

    recipient: str
    lane: Lane
    ranges: tuple[tuple[int, int], ...]
    """Inclusive (first, last) pairs."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something is missing, and this says so in its place.

    Attributes:
        lane: which lane lost it.
        first_seq: first record given up, 0 where what is missing never had a seq.
        last_seq: last record given up, 0 likewise.
        from_ns: UTC nanoseconds where the hole begins.
        to_ns: UTC nanoseconds where it ends.
        cause: one word: ``quota``, ``disk``, ``power``, ``overflow``, ``quarantine``.
        dropped: how many scans or records are known to be missing; -1 where nobody can know.
    """

    lane: Lane
    first_seq: int
    last_seq: int
    from_ns: int
    to_ns: int
    cause: str
    dropped: int


def leaf_hash(body: bytes) -> bytes:
    """SHA-256(0x00 || canonical bytes), 32 bytes. Source: RFC 6962 section 2.1."""
    digest = hashlib.sha256(LEAF_PREFIX)
    digest.update(body)
    return digest.digest()


def record_key(gateway_id: str, spool_id: str, lane: Lane, seq: int) -> str:
    """The idempotency key of a record."""
    return f"{gateway_id}/{spool_id}/{lane}/{seq}"
