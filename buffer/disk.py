"""The files around the database: lock, write-ahead room, quarantine, free space. Touches no SQLite.

None of these functions opens the database file while SQLite has it open: closing any descriptor of it would
drop SQLite's own locks.
"""

from __future__ import annotations

import datetime as dt
import errno
import fcntl
import os
import struct
from pathlib import Path
from typing import Final

from buffer.errors import DiskError, SpoolBusyError, SpoolFolderError, SpoolFullError, SpoolNewerError

SQLITE_MAGIC: Final = b"SQLite format 3\x00"
USER_VERSION_AT: Final = 60
"""Offset of PRAGMA user_version in the file header. Source: sqlite.org/fileformat2.html section 1.3."""
HEADER_BYTES: Final = 100
QUARANTINE_MAX: Final = 2
"""Damaged spools kept for the laboratory; beyond it the oldest goes, or they would fill the disk."""
SIDECARS: Final = ("", "-wal", "-shm", "-journal")


def lock(path: Path) -> int:
    """Hold the spool for this process alone, until the returned descriptor is closed.

    Raises:
        SpoolFolderError: the folder is missing or may not be written.
        SpoolBusyError: another process holds it.
        DiskError: the disk did not answer.
    """
    try:
        held = os.open(beside(path, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except (FileNotFoundError, NotADirectoryError, PermissionError) as e:
        raise SpoolFolderError(
            f"{path.parent}: the spool's folder is missing or may not be written ({e.strerror}); "
            "create it and give it to the service's user"
        ) from e
    except OSError as e:
        raise disk_error(path, e) from e
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e:
        os.close(held)
        raise SpoolBusyError(f"{path}: another process holds this spool; stop it first") from e
    except OSError as e:
        os.close(held)
        raise disk_error(path, e) from e
    return held


def beside(path: Path, suffix: str) -> Path:
    """The file of the same name with something behind it."""
    return path.with_name(path.name + suffix)


def disk_error(path: Path, cause: OSError) -> DiskError | SpoolFullError:
    """What the operating system said, as the buffer says it."""
    if cause.errno in (errno.ENOSPC, errno.EDQUOT):
        return SpoolFullError(f"{path}: the disk is full; free space or lower the quota")
    return DiskError(f"{path}: the disk did not answer ({cause.strerror}); nothing of this call is recorded")


def looks_damaged(path: Path, version: int) -> bool:
    """Whether an existing database file is not even the beginning of one.

    Raises:
        SpoolNewerError: a version above ``version`` wrote it; nothing was touched.
        DiskError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER_BYTES)
    except OSError as e:
        raise disk_error(path, e) from e
    if not header:
        wal = beside(path, "-wal")
        return wal.exists() and wal.stat().st_size > 0
    if len(header) < HEADER_BYTES or not header.startswith(SQLITE_MAGIC):
        return True
    found = struct.unpack_from(">I", header, USER_VERSION_AT)[0]
    if found > version:
        raise newer(path, found, version)
    return False


def newer(path: Path, found: int, version: int) -> SpoolNewerError:
    """The one sentence for a spool of a later version."""
    return SpoolNewerError(
        f"{path}: written by a newer version (schema {found}, this one knows {version}); "
        "it is untouched: install the newer version, or name another spool"
    )


def pregrow(path: Path, size_bytes: int) -> bool:
    """Give the write-ahead log its room now, so that commits later change no file size. False: no room.

    Zeros behind the last frame end recovery there (a frame's page number is never 0), so this is safe on a
    log that still holds frames. Source: sqlite.org/fileformat2.html section 4.
    """
    wal = beside(path, "-wal")
    try:
        with wal.open("ab", buffering=0) as file:
            missing = size_bytes - file.tell()
            while missing > 0:
                missing -= file.write(bytes(min(missing, 1 << 20)))
            os.fsync(file.fileno())
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            return False
        raise disk_error(wal, e) from e
    sync_folder(path.parent)
    return True


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as e:
        raise disk_error(folder, e) from e


def free_bytes(folder: Path) -> int:
    """What this file system still gives to this user."""
    try:
        found = os.statvfs(folder)
    except OSError as e:
        raise disk_error(folder, e) from e
    return found.f_bavail * found.f_frsize


def quarantine(path: Path) -> Path:
    """Set a damaged spool aside under a name with the time; only the newest few are kept."""
    now = dt.datetime.now(dt.UTC)
    aside = f".quarantine-{now:%Y%m%dT%H%M%S.%fZ}"
    try:
        for suffix in SIDECARS:
            source = beside(path, suffix)
            if source.exists():
                source.rename(beside(path, aside + suffix))
        earlier = sorted(
            found for found in path.parent.glob(f"{path.name}.quarantine-*Z") if found != beside(path, aside)
        )
        for old in earlier[: max(0, len(earlier) - QUARANTINE_MAX + 1)]:
            for suffix in SIDECARS:
                beside(old, suffix).unlink(missing_ok=True)
    except OSError as e:
        raise disk_error(path, e) from e
    sync_folder(path.parent)
    return beside(path, aside)
