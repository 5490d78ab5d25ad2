"""Snapshot files: kept by content, durable before they are named. Blocks; the gateway calls it in a thread.

What must hold:

1. A file that has its name is complete and durable: temporary file, fsync, rename, fsync of the folder.
2. The name is the SHA-256 of the content, so the same picture is kept once and damage shows at reading.
3. The bytes kept stay within the quota; the oldest go first, and the caller learns which.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from buffer.disk import disk_error, sync_folder
from buffer.errors import SnapshotError, SpoolFolderError

SUFFIX: Final = ".jpg"
_TEMPORARY: Final = ".part"
_NAME: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Stored:
    """What one ``store`` did.

    Attributes:
        sha256: the name, 64 hexadecimal digits.
        deleted: names given up for the quota, oldest first; the new one among them if it alone is too large.
    """

    sha256: str
    deleted: tuple[str, ...]


class SnapshotFiles:
    """One folder of pictures; its methods may be called from any thread.

    Args:
        folder: made if its parent exists.
        quota_bytes: what all pictures may take up.
    """

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        self._folder = folder
        self._quota_bytes = quota_bytes
        self._busy = threading.Lock()
        self._kept: dict[str, int] | None = None

    def store(self, jpeg: bytes) -> Stored:
        """Keep a picture; it is durable when this returns.

        Raises:
            SpoolFolderError: the folder cannot be made or written.
            SpoolFullError: the disk is full.
            DiskError: the disk did not do it.
        """
        name = hashlib.sha256(jpeg).hexdigest()
        with self._busy:
            kept = self._known()
            if name not in kept or not self._path(name).exists():
                self._write(name, jpeg)
            kept.pop(name, None)  # seen again: the newest once more
            kept[name] = len(jpeg)
            return Stored(name, self._shrink(kept))

    def read(self, sha256: str) -> bytes:
        """A picture, its content checked against its name.

        Raises:
            SnapshotError: no such picture any more, or its content is damaged.
            DiskError: the disk did not answer.
        """
        path = self._path(sha256)
        try:
            content = path.read_bytes()
        except FileNotFoundError as e:
            raise SnapshotError(f"{path}: the picture is gone (given up for the quota, or removed)") from e
        except OSError as e:
            raise disk_error(path, e) from e
        if hashlib.sha256(content).hexdigest() != sha256:
            raise SnapshotError(f"{path}: the picture's content does not match its name; it is damaged")
        return content

    def size_bytes(self) -> int:
        """What the pictures take up.

        Raises:
            SpoolFolderError, DiskError: as ``store``.
        """
        with self._busy:
            return sum(self._known().values())

    def _path(self, sha256: str) -> Path:
        if _NAME.fullmatch(sha256) is None:
            raise SnapshotError(f"{sha256!r} is not the name of a picture")
        return self._folder / (sha256 + SUFFIX)

    def _known(self) -> dict[str, int]:
        """Names and sizes, oldest first; read from the folder once, leftovers of a crash removed."""
        if self._kept is not None:
            return self._kept
        found: list[tuple[int, str, int]] = []
        try:
            self._folder.mkdir(mode=0o750, exist_ok=True)
            for path in self._folder.iterdir():
                if path.suffix == _TEMPORARY:
                    path.unlink()
                elif path.suffix == SUFFIX and _NAME.fullmatch(path.stem):
                    seen = path.stat()
                    found.append((seen.st_mtime_ns, path.stem, seen.st_size))
        except (FileNotFoundError, FileExistsError, NotADirectoryError, PermissionError) as e:
            raise SpoolFolderError(
                f"{self._folder}: the folder for snapshots cannot be made or written ({e.strerror}); "
                "create it and give it to the service's user"
            ) from e
        except OSError as e:
            raise disk_error(self._folder, e) from e
        self._kept = {name: size for _, name, size in sorted(found)}
        return self._kept

    def _write(self, name: str, jpeg: bytes) -> None:
        path = self._path(name)
        temporary = path.with_suffix(_TEMPORARY)
        try:
            try:
                with temporary.open("wb") as file:
                    file.write(jpeg)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.rename(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        except PermissionError as e:
            raise SpoolFolderError(f"{path}: the folder for snapshots may not be written") from e
        except OSError as e:
            raise disk_error(path, e) from e
        sync_folder(self._folder)

    def _shrink(self, kept: dict[str, int]) -> tuple[str, ...]:
        total = sum(kept.values())
        deleted: list[str] = []
        while total > self._quota_bytes and kept:
            name = next(iter(kept))
            try:
                self._path(name).unlink(missing_ok=True)
            except OSError as e:
                raise disk_error(self._path(name), e) from e
            total -= kept.pop(name)
            deleted.append(name)
        return tuple(deleted)
