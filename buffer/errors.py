"""Errors of the buffer, typed by what the caller must do. Touches nothing."""

from __future__ import annotations

from buffer.record import Lane


class SpoolError(Exception):
    """Whatever the buffer refuses; the text names place, cause and remedy."""


class DiskError(SpoolError):
    """The disk did not do it: nothing of this call is on record. Keep the data and try again later."""


class SpoolCorruptError(DiskError):
    """The file's content is damaged: close the writer and start it anew, which quarantines the file."""


class RecordDamagedError(SpoolCorruptError):
    """One record's bytes do not give its leaf; the others are sound.

    Attributes:
        lane: its lane.
        seq: its place.
        created_ns: its time, UTC nanoseconds.
    """

    def __init__(self, lane: Lane, seq: int, created_ns: int, detail: str) -> None:
        super().__init__(f"{lane}/{seq}: {detail}")
        self.lane = lane
        self.seq = seq
        self.created_ns = created_ns


class SpoolFullError(SpoolError):
    """No room for this append; nothing of it is recorded.

    Attributes:
        retry_without_bulk: it held readings or snapshots, which leave the reserve alone: drop and count those
            and append the rest again at once. False: even alarms and journal have no room; keep them, try again
            later, and call ``purge``.
    """

    def __init__(self, text: str, *, retry_without_bulk: bool = False) -> None:
        super().__init__(text)
        self.retry_without_bulk = retry_without_bulk


class SpoolNewerError(SpoolError):
    """The spool was written by a newer version; the file is untouched: install that version."""


class SpoolFolderError(SpoolError):
    """The folder is missing or may not be written: the installation must be mended."""


class SpoolBusyError(SpoolError):
    """Another process holds this spool: stop it, or name another folder."""


class QueueFullError(SpoolError):
    """The writer's queue is at its bound: the disk is slower than the caller; drop, count and declare."""


class SnapshotError(SpoolError):
    """A snapshot file is missing or its content does not match its name: report it, send the others."""
