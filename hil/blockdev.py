"""A disk of our own, to count what is really written: an ext4 image on a loop device. Touches mounts; needs root."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hil.processes import find_tool

SECTOR_BYTES: Final = 512
"""Unit of /sys/block/*/stat, whatever the device's own (Documentation/block/stat.rst)."""
_SECTORS_WRITTEN: Final = 6
IMAGE_BYTES: Final = 1 << 30
UNMOUNT_TIMEOUT_S: Final = 10.0
UNMOUNT_POLL_S: Final = 0.1


class LoopDiskError(RuntimeError):
    """The disk could not be made or given back; the text quotes the tool."""


def why_not() -> str:
    """Why this machine cannot have such a disk, "" where it can."""
    if os.geteuid() != 0:
        return "a loop-mounted disk needs root"
    if not Path("/dev/loop-control").exists():
        return "there are no loop devices here"
    return ""


class LoopDisk:
    """A sparse image, formatted and mounted; everything is given back at the end of the context.

    Args:
        folder: where image and mount point are made; must exist.
        size_bytes: size of the disk.
    """

    def __init__(self, folder: Path, size_bytes: int = IMAGE_BYTES) -> None:
        self.mount = folder / "disk"
        self._image = folder / "disk.img"
        self._size_bytes = size_bytes
        self._device = ""

    def __enter__(self) -> Self:
        """Make it.

        Raises:
            LoopDiskError: a tool refused.
            ToolMissingError: a program is not installed.
        """
        try:
            with self._image.open("wb") as image:
                image.truncate(self._size_bytes)
            # Nothing is left for the kernel to initialise in the background: it would be counted.
            now = "lazy_itable_init=0,lazy_journal_init=0"
            _run(find_tool("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-E", now, str(self._image))
            self._device = _run(find_tool("losetup", "mount"), "--find", "--show", str(self._image)).strip()
            self.mount.mkdir()
            _run(find_tool("mount", "mount"), self._device, str(self.mount))
        except BaseException:
            self._give_back()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    def written_bytes(self) -> int:
        """What has reached the device so far, journal and metadata included, after everything pending has."""
        _run(find_tool("sync", "coreutils"), "--file-system", str(self.mount))
        fields = Path("/sys/block", Path(self._device).name, "stat").read_text(encoding="ascii").split()
        return int(fields[_SECTORS_WRITTEN]) * SECTOR_BYTES

    def _give_back(self) -> None:
        end = time.monotonic() + UNMOUNT_TIMEOUT_S
        while self.mount.is_mount():
            try:
                _run(find_tool("umount", "mount"), str(self.mount))
            except LoopDiskError:
                if time.monotonic() > end:
                    raise
                time.sleep(UNMOUNT_POLL_S)  # a process that was just killed still lets go
        if self._device:
            _run(find_tool("losetup", "mount"), "--detach", self._device)
            self._device = ""
        if self.mount.exists():
            self.mount.rmdir()
        self._image.unlink(missing_ok=True)


def _run(*argv: str) -> str:
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LoopDiskError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout
