"""The spool's bounds, and what its owner knows about it. Pure; touches no disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from buffer.cursor import Position
from buffer.record import Lane, Record

PositionKey: TypeAlias = tuple[str, Lane]
"""Recipient and lane."""

RETENTION_MIN_S: Final = 30 * 86_400.0
FRAME_HEADER_BYTES: Final = 24
"""Each page in the write-ahead log has this before it. Source: sqlite.org/fileformat2.html section 4.1."""


@dataclass(frozen=True, slots=True)
class SpoolSettings:
    """The spool's bounds.

    Attributes:
        quota_bytes: what all records may take up; keep it below the partition, for even deleting needs room.
        reserve_bytes: how much of the quota readings and snapshots leave to alarms and journal.
        retention_s: how long a settled record stays, at least 30 days.
        page_bytes: page size of a new spool; small pages write less per commit.
        wal_pregrow_bytes: size of the write-ahead log, given at open.
        cache_bytes: newest bodies kept in memory.
        queue_max: jobs that may wait for the disk.
        settle_s: how long a settlement may wait for an append to travel with.
        close_s: how long closing may take before a hung disk is left behind.
    """

    quota_bytes: int = 8 << 30
    reserve_bytes: int = 256 << 20
    retention_s: float = 90 * 86_400.0
    page_bytes: int = 1_024
    wal_pregrow_bytes: int = 8 << 20
    cache_bytes: int = 2 << 20
    queue_max: int = 1_024
    settle_s: float = 1.0
    close_s: float = 3.0

    def __post_init__(self) -> None:
        if self.retention_s < RETENTION_MIN_S:
            raise ValueError(f"retention_s is {self.retention_s:.0f}; at least 30 days are kept")
        if not 0 <= self.reserve_bytes < self.quota_bytes:
            raise ValueError(
                f"reserve_bytes {self.reserve_bytes} must be below quota_bytes {self.quota_bytes}"
            )

    @property
    def checkpoint_pages(self) -> int:
        """Pages in the log at which it is copied back: late, for hot pages are copied once."""
        return max(64, self.wal_pregrow_bytes * 7 // 8 // (self.page_bytes + FRAME_HEADER_BYTES))


@dataclass(frozen=True, slots=True)
class Resume:
    """What must be found again after a disk came back: only the very same spool.

    Attributes:
        spool_id: its id.
        heads: the last seq of each lane that was acknowledged to a caller.
        next_leaf_no: likewise over all lanes.
        last_ns: the newest creation time that was acknowledged, UTC nanoseconds.
    """

    spool_id: str
    heads: Mapping[Lane, int]
    next_leaf_no: int
    last_ns: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How full it is.

    Attributes:
        used_bytes: pages in use.
        file_bytes: the database file, free pages inside it included.
        free_bytes: what the file system still gives.
    """

    used_bytes: int
    file_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True)
class LaneState:
    """A lane as the owner knows it without asking the disk.

    Attributes:
        oldest: oldest kept seq, 0 where the lane is empty.
        head: newest seq ever given, 0 where there was none.
        stored_bytes: what its kept records take up, packed.
        counted_to: the seq up to which the file's own tally counts.
        last_ns: creation time of the newest record, UTC nanoseconds, 0 where the lane is empty.
    """

    oldest: int = 0
    head: int = 0
    stored_bytes: int = 0
    counted_to: int = 0
    last_ns: int = 0


@dataclass(frozen=True, slots=True)
class Purged:
    """What one purge step did.

    Attributes:
        up_to: per lane the last seq deleted.
        declared: the journal records that say what was given up.
        more: there is more to delete; call again.
    """

    up_to: Mapping[Lane, int]
    declared: tuple[Record, ...]
    more: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """What was found at start.

    Attributes:
        spool_id: 16 hexadecimal digits.
        heads: newest seq of each lane, 0 where there is none.
        state: the small named values.
        positions: where each recipient stands.
        quarantined: the damaged predecessor's new name, None where there was none.
        unclean: the last owner was killed, or power was lost.
        last_ns: newest creation time on record, UTC nanoseconds, 0 where there is none.
        pregrown: the write-ahead log has its room; False: the disk is nearly full.
    """

    spool_id: str
    heads: Mapping[Lane, int]
    state: Mapping[str, bytes]
    positions: Mapping[PositionKey, Position]
    quarantined: Path | None
    unclean: bool
    last_ns: int
    pregrown: bool


@dataclass(frozen=True, slots=True)
class SpoolStats:
    """The spool as last seen; asking costs nothing and waits for nothing.

    Attributes:
        bytes: taken up by records.
        quota_bytes: what they may take up.
        free_bytes: what the file system still gives.
        lanes: oldest, newest and packed bytes of each lane.
        state: ``failing`` from a disk error until a commit succeeds again; ``full`` from a refusal for want of
            room until there is room for what was refused; else ``ok``.
        detail: why, empty while ``ok``.
        queued: jobs that wait.
        busy_s: how long the job in hand has been running; large: the disk hangs.
    """

    bytes: int
    quota_bytes: int
    free_bytes: int
    lanes: Mapping[Lane, LaneState]
    state: str
    detail: str
    queued: int
    busy_s: float
