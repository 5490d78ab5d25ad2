"""What the kernel's files about this box mean, and how a point names one of its readings. Pure: ``host.py`` reads.

A text that is not what the kernel writes gives ``garbled``, what a box does not have ``refused``; never a zero.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from drivers.kit.errors import SourceError
from drivers.kit.options import refuse
from drivers.kit.quality import Cause

EARLIEST_TRUSTED_NS: Final = 1_767_225_600 * 10**9
"""2026-01-01: a box whose clock says an earlier date has never been set."""
MARK_FRESH_NS: Final = 2 * 2048 * 10**9
"""timesyncd asks at least every 2048 s; a mark older than two of these is a server that no longer answers."""
COLDEST_C, HOTTEST_C = -100.0, 250.0
"""Outside this a sensor says that it has no reading (drivers use -274 and 255)."""
MIB: Final = 1 << 20

_STA_UNSYNC, _STA_NANO, _TIME_ERROR = 0x0040, 0x2000, 5
_UNDER_VOLTAGE_NOW: Final = 1
_CPU_SENSOR: Final = re.compile(r"cpu|soc|pkg|core|k10temp|zenpower", re.IGNORECASE)
_INTERFACE: Final = re.compile(r"(?!\.{1,2}$)[^\s/:]{1,15}")
_WHOLE: Final = {10: re.compile(r"-?[0-9]{1,18}"), 16: re.compile(r"(0x)?[0-9a-fA-F]{1,16}")}
_NVME_LOG_BYTES: Final = 512


class Kind(NamedTuple):
    """One kind of reading.

    Attributes:
        unit: its engineering unit, "" for a contact.
        argument: must a name follow (``disk.free:/var``), may it, or may it not (None)?
        contact: it is 0 or 1.
    """

    unit: str
    argument: bool | None = None
    contact: bool = False


KINDS: Final = {
    "cpu.load": Kind("%"),
    "cpu.temperature": Kind("℃", argument=False),
    "memory.available": Kind("MiB"),
    "memory.used": Kind("%"),
    "disk.free": Kind("MiB", argument=True),
    "disk.used": Kind("%", argument=True),
    "disk.wear": Kind("%", argument=False),
    "clock.synchronised": Kind("", contact=True),
    "clock.offset": Kind("ms"),
    "clock.error": Kind("ms"),
    "power.under_voltage": Kind("", contact=True),
    "power.fail": Kind("", contact=True),
    "link": Kind("", argument=True, contact=True),
}
"""What can be read of a box; ``argument``: True needed, False optional, None none."""


class Place(NamedTuple):
    """Which reading: its kind, and of what ("" where there is but one)."""

    kind: str
    of: str = ""


def parse_address(address: str) -> Place:
    """A reading as a point names it: ``cpu.load``, ``disk.free:/var/lib/plantgate``, ``link.eth0``.

    Raises:
        PointError: there is no such reading.
    """
    name, _, of = address.partition("." if address.startswith("link.") else ":")
    kind = KINDS.get(name)
    if kind is None:
        known = ", ".join(f"{name}.eth0" if name == "link" else name for name in KINDS)
        zh, en = f"本机没有读数“{address}”。", f'This box has no reading "{address}".'
        refuse("address", zh, en, f"其中之一：{known}", f"one of {known}")
    if (kind.argument is None and of) or (kind.argument and not of):
        zh, en = f"“{address}”的写法不对。", f'"{address}" is not written right.'
        right = {"link": "link.eth0", "disk.free": "disk.free:/var", "disk.used": "disk.used:/var"}
        refuse("address", zh, en, f" {right.get(name, name)}", right.get(name, name))
    if name in ("disk.free", "disk.used"):
        if not PurePosixPath(of).is_absolute():
            zh, en = f"“{of}”不是绝对路径。", f'"{of}" is no absolute path.'
            refuse("address", zh, en, f" {name}:/var/lib/plantgate", f"{name}:/var/lib/plantgate")
    elif of and not _INTERFACE.fullmatch(of) and name != "cpu.temperature":
        zh, en = f"“{of}”不是设备名。", f'"{of}" is no name of a device.'
        refuse("address", zh, en, " link.eth0、disk.wear:mmcblk0", "link.eth0 or disk.wear:mmcblk0")
    return Place(name, of)


def whole(text: str, what: str, radix: int = 10) -> int:
    """A file that holds one whole number.

    Raises:
        SourceError: it holds something else.
    """
    plain = text.strip()
    if not _WHOLE[radix].fullmatch(plain):
        raise SourceError(Cause.GARBLED, f"{what} says {plain[:40]!r} where a number belongs")
    return int(plain, radix)


def contact(text: str, what: str, *, on: str = "1", off: str = "0") -> float:
    """A file that holds one of two words.

    Raises:
        SourceError: it holds neither.
    """
    plain = text.strip()
    if plain not in (on, off):
        raise SourceError(Cause.GARBLED, f"{what} says {plain[:40]!r} where {on!r} or {off!r} belongs")
    return float(plain == on)


class CpuTimes(NamedTuple):
    """What all processors did since the box was started, in ticks."""

    busy: int
    total: int


def cpu_times(stat: str) -> CpuTimes:
    """The first line of /proc/stat (proc_stat(5)): waiting for a disk is idle, guests are in user already.

    Raises:
        SourceError: it is not that line.
    """
    words = stat.partition("\n")[0].split()
    if words[:1] != ["cpu"] or len(words) < 6:
        raise SourceError(Cause.GARBLED, "/proc/stat does not begin with the processors' times")
    ticks = [whole(word, "/proc/stat") for word in words[1:9]]
    idle = ticks[3] + ticks[4]
    return CpuTimes(sum(ticks) - idle, sum(ticks))


def load_percent(before: CpuTimes, after: CpuTimes) -> float:
    """Share of the time between two looks in which the processors worked.

    Raises:
        SourceError: no time passed, or it ran backwards.
    """
    busy, total = after.busy - before.busy, after.total - before.total
    if total <= 0 or not 0 <= busy <= total:
        raise SourceError(Cause.GARBLED, f"/proc/stat counted {busy} busy of {total} ticks")
    return 100 * busy / total


def memory_mib(meminfo: str) -> tuple[float, float]:
    """(available, total) of /proc/meminfo in MiB (proc_meminfo(5)).

    Raises:
        SourceError: one of them is not there.
    """
    lines = dict(line.split(":", 1) for line in meminfo.splitlines() if ":" in line)
    found = []
    for name in ("MemAvailable", "MemTotal"):
        if not lines.get(name, "").endswith(" kB"):
            raise SourceError(Cause.GARBLED, f"/proc/meminfo does not tell {name}")
        found.append(whole(lines[name].removesuffix(" kB"), name) / 1024)
    available, total = found
    if not 0 <= available <= total or total <= 0:
        raise SourceError(Cause.GARBLED, f"/proc/meminfo tells {available} of {total} MiB")
    return available, total


def disk_used_percent(blocks: int, free: int, available: int) -> float:
    """Used of what the gateway may use, as df(1) shows it; the counts of statvfs(3).

    Raises:
        SourceError: the file system has no size.
    """
    used = blocks - free
    if used < 0 or used + available <= 0:
        raise SourceError(Cause.REFUSED, "this file system has no size")
    return 100 * used / (used + available)


def is_cpu_sensor(name: str) -> bool:
    """Does a thermal zone's type or a sensor chip's name speak of the processor?"""
    return _CPU_SENSOR.search(name) is not None


def temperature_c(text: str, what: str) -> float:
    """A sensor's millidegrees (hwmon and thermal sysfs) in ℃.

    Raises:
        SourceError: no number, or one by which the sensor says that it has none.
    """
    value = whole(text, what) / 1000
    if not COLDEST_C <= value <= HOTTEST_C:
        raise SourceError(Cause.DEVICE_FAULT, f"{what} says {value:g} ℃")
    return value


def throttled_under_voltage(text: str, what: str) -> float:
    """Bit 0 of the Raspberry Pi firmware's get_throttled (hexadecimal): is the supply too low now?

    Raises:
        SourceError: it is not a hexadecimal number.
    """
    return float(whole(text, what, 16) & _UNDER_VOLTAGE_NOW)


def emmc_wear_percent(text: str, what: str) -> float:
    """Used-up life of an eMMC: the worse of both memories, the upper end of its tenth (JESD84-B51, 7.4.31).

    0x01 is up to 10 %, 0x0A up to 100 %, 0x0B (110 here) more than that; 0x00 is not told.

    Raises:
        SourceError: neither is told, or a number that means nothing.
    """
    tenths = [whole(word, what, 16) for word in text.split()[:2]]
    if len(tenths) != 2 or max(tenths) > 0x0B:
        raise SourceError(Cause.GARBLED, f"{what} says {text.strip()[:40]!r}")
    if not any(tenths):
        raise SourceError(Cause.REFUSED, f"{what}: this disk does not tell its wear")
    return 10.0 * max(tenths)


def nvme_wear_percent(log: bytes, what: str) -> float:
    """Byte 5 (percentage used, may exceed 100) of the SMART log (NVM Express Base Specification, log page 02h).

    Raises:
        SourceError: it is not such a page; an empty one would read as a new disk.
    """
    if len(log) != _NVME_LOG_BYTES or not any(log):
        raise SourceError(Cause.GARBLED, f"{what}: its SMART log is empty")
    return float(log[5])


class Sync(NamedTuple):
    """What adjtimex(2) told."""

    verdict: int
    status: int
    offset: int
    maxerror_us: int

    @property
    def synchronised(self) -> bool:
        """Does the kernel hold its clock for set?"""
        return self.verdict != _TIME_ERROR and not self.status & _STA_UNSYNC


def clock_is_set(sync: Sync | None, utc_ns: int, mark_ns: int | None) -> float:
    """Is the box's clock synchronised? 0 or 1.

    Args:
        sync: None where the kernel may not be asked (``ProtectClock=``).
        utc_ns: what the clock shows.
        mark_ns: when timesyncd last touched its mark; None: never.
    """
    if utc_ns < EARLIEST_TRUSTED_NS:
        return 0.0
    if sync is not None:
        return float(sync.synchronised)
    return float(mark_ns is not None and abs(utc_ns - mark_ns) < MARK_FRESH_NS)


def clock_ms(sync: Sync | None, kind: str) -> float:
    """``clock.offset``: what the kernel still has to correct; ``clock.error``: what it may be wrong at most.

    Raises:
        SourceError: nobody knows while the clock is not synchronised, or the kernel may not be asked.
    """
    if sync is None:
        raise SourceError(Cause.REFUSED, f"{kind}: this unit may not ask the kernel (ProtectClock=)")
    if not sync.synchronised:
        raise SourceError(Cause.CLOCK, f"{kind}: the clock is not synchronised")
    if kind == "clock.error":
        return sync.maxerror_us / 1000
    return sync.offset / (1_000_000 if sync.status & _STA_NANO else 1000)
