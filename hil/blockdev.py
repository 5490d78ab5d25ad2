"""A disk of our own: an ext4 image on a loop device. Counts what is written, hangs, goes and comes back on command.

Touches mounts; needs root.
"""

from __future__ import annotations

import fcntl
import os
import struct
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

# linux/fs.h: _IOWR('X', 119, int) and 120.
FIFREEZE: Final = 0xC0045877
FITHAW: Final = 0xC0045878
# fs/ext4/ext4.h: _IOR('X', 125, __u32); without flushing the log, as when the power goes.
EXT4_IOC_SHUTDOWN: Final = 0x8004587D
NO_LOG_FLUSH: Final = struct.pack("I", 2)


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
        self._frozen = False

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
            self._mount()
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

    def freeze(self) -> None:
        """From now on whoever writes waits, uninterruptibly, until ``thaw``: a disk that hangs."""
        self._control(FIFREEZE, b"")
        self._frozen = True

    def thaw(self) -> None:
        """Let those who wait go on; nothing happens where it is not frozen."""
        if self._frozen:
            self._control(FITHAW, b"")
            self._frozen = False

    def tear_away(self) -> None:
        """The disk is gone: whatever was not flushed is lost, every call fails until ``plug_in``."""
        self._control(EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH)
        self.thaw()

    def plug_in(self) -> None:
        """The same disk is back, its journal replayed.

        Raises:
            LoopDiskError: somebody still holds a file of it.
        """
        self._unmount()
        self._mount()

    def _control(self, request: int, argument: bytes) -> None:
        top = os.open(self.mount, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(top, request, argument)
        finally:
            os.close(top)

    def _mount(self) -> None:
        _run(find_tool("mount", "mount"), self._device, str(self.mount))

    def _unmount(self) -> None:
        end = time.monotonic() + UNMOUNT_TIMEOUT_S
        while self.mount.is_mount():
            try:
                _run(find_tool("umount", "mount"), str(self.mount))
            except LoopDiskError:
                if time.monotonic() > end:
                    raise
                time.sleep(UNMOUNT_POLL_S)  # a process that was just killed still lets go

    def _give_back(self) -> None:
        self.thaw()
        self._unmount()
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
