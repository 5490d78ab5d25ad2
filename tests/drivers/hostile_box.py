"""A box whose kernel misbehaves on command: a folder of files as /proc and /sys hold them.

A held file is a FIFO that nobody writes: opening it hangs as a question to a dead disk does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from drivers import host
from drivers.kit.contract import Post
from drivers.kit.scan import Device, Point

FILES = {
    "proc/stat": "cpu  100 0 50 800 40 0 5 5 0 0\ncpu0 100 0 50 800 40 0 5 5 0 0\n",
    "proc/meminfo": "MemTotal:  4096 kB\nMemFree:  10 kB\nMemAvailable:  1024 kB\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48312\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "91000\n",
    "sys/class/hwmon/hwmon0/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "0\n",
    "sys/class/net/eth0/flags": "0x1003\n",
    "sys/class/net/eth0/carrier": "1\n",
    "sys/block/mmcblk0/device/life_time": "0x02 0x01\n",
    "ups/online": "1\n",
}


class Kernel:
    """The files of one box under ``root``; has the face of ``source_contract.Wire``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.ticks = 1000
        for name, text in FILES.items():
            self.say(name, text)

    def say(self, name: str, text: str | bytes) -> None:
        """A file says this from now on; whoever hangs on it gets an end of file."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._swap(path, text.encode() if isinstance(text, str) else text)

    def hang(self, *names: str) -> None:
        """Whoever opens one of these files hangs until it says something again."""
        for name in names:
            self._swap(self.root / name, None)

    def lose(self, *names: str) -> None:
        for name in names:
            self._swap(self.root / name, None)
            self._release(self.root / name)
            (self.root / name).unlink()

    def hold(self) -> None:
        self.hang(*FILES)

    async def cut(self) -> None:
        """The files are held as well: a box that is gone cannot tell so."""
        self.hold()

    async def mend(self) -> None:
        for name, text in FILES.items():
            self.say(name, text)

    def roots(self) -> host.Roots:
        return host.Roots(self.root / "proc", self.root / "sys", self.root / "dev", self.root / "mark")

    def source(
        self, addresses: tuple[str, ...], post: Post, *, period_s: float = 0.1, timeout_s: float = 0.5
    ) -> host.HostSource:
        options = host.Options(timeout_s, self.root / "ups/online", power_fail_text="0", power_ok_text="1")
        points = tuple(Point(address, address) for address in addresses)
        return host.HostSource(Device("box", points, period_s, config_rev="r1"), options, post, self.roots())

    def _swap(self, path: Path, content: bytes | None) -> None:
        new = path.with_name("new")
        if content is None:
            os.mkfifo(new)
        else:
            new.write_bytes(content)
        hung = path.with_name("old")
        with suppress(FileNotFoundError):
            path.rename(hung)
        new.rename(path)
        if hung.exists():
            self._release(hung)
            hung.unlink()

    @staticmethod
    def _release(path: Path) -> None:
        """Whoever hangs on opening this FIFO goes on; without anyone there is nothing to do."""
        with suppress(OSError):
            if path.is_fifo():
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
