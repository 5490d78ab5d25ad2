"""Reads the box itself: processor, memory, disks, clock, links, power. Owns its threads; decides no value.

What the kernel shows is read in threads of its own, because a dead disk answers a question about its free space
never, and a sensor behind a stuck bus late: the loop waits ``timeout_s`` and no longer, and never twice for the
same answer. Readings that can hang together share a *lane*, a lane has at most one thread, and a lane whose thread
hangs holds up no other. A thread that hangs in the kernel cannot be ended; it ends with the answer, which is
thrown away, and a stop does not wait for it.

Longer than 400 lines, because a driver is one file: options, lanes, and every reading of the box.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import fcntl
import logging
import os
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from drivers.kit import box
from drivers.kit.box import KINDS, Place, parse_address
from drivers.kit.contract import Post, SourceState
from drivers.kit.errors import SourceError
from drivers.kit.judgement import Ranges
from drivers.kit.options import judge, refuse, within
from drivers.kit.pace import next_due, period_ns
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scaling import Scaling, scaling
from drivers.kit.scan import Device, Point, Scan
from drivers.wire import kernel_clock
from drivers.wire.lane import Lane

FIRST_LOOK_S: Final = 0.2
"""The first processor load is measured over this time."""
LEAVE_S: Final = 0.5
"""At a stop, threads that are reading get this long to end."""
MAX_FILE_BYTES: Final = 4096
"""So much of a file is read; what is asked for stands at the top of all of them."""
MAX_TEXT_CHARS: Final = 40
MAX_TOLD: Final = 3
"""So many troubles are told in one sentence."""

_ABSENT: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ENODEV, errno.ENXIO, errno.ENODATA, errno.ENOTTY, errno.EOPNOTSUPP}
    | {errno.EACCES, errno.EPERM}
)
"""What the box does not have, or not for this user; every other failure is its fault."""
_IFF_UP: Final = 1
_APPLYING: Final = {
    "name",
    "address",
    "type",
    "scale",
    "offset",
    "range_lo",
    "range_hi",
    "period_s",
    "alarmed",
}
_NVME: Final = re.compile(r"(nvme\d+)n\d+")
_NVME_ADMIN_COMMAND: Final = 0xC0484E41
_SMART_LOG_BYTES: Final = 512

Ask: TypeAlias = Callable[[], float]
"""One reading; blocks, and raises SourceError where there is none."""
Told: TypeAlias = float | SourceError

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """A device's own keys in gateway.toml.

    Attributes:
        timeout_s: how long a reading may take before its points are bad.
        power_fail_file: a file that tells whether the supply has failed (a GPIO's value, a UPS's state).
        power_fail_text: what it says then.
        power_ok_text: what it says while all is well; anything else is no answer.
    """

    timeout_s: float = 2.0
    power_fail_file: Path | None = None
    power_fail_text: str = "1"
    power_ok_text: str = "0"

    def __post_init__(self) -> None:
        judge(
            partial(within, "timeout_s", self.timeout_s, 0.5, 60),
            partial(_check_text, "power_fail_text", self.power_fail_text),
            partial(_check_text, "power_ok_text", self.power_ok_text),
            self._check_texts,
        )

    def _check_texts(self) -> None:
        if self.power_fail_text == self.power_ok_text:
            zh, en = "断电与正常的内容相同。", "Failure and well-being read the same."
            refuse("power_ok_text", zh, en, "另一个内容", "something else")


def _check_text(key: str, text: str) -> None:
    if not 0 < len(text.strip()) <= MAX_TEXT_CHARS or text != text.strip():
        zh, en = f"“{text}”不可用。", f'"{text}" cannot be used.'
        refuse(key, zh, en, "文件内容，前后不留空格", "what the file says, without spaces around it")


@dataclass(frozen=True, slots=True)
class Roots:
    """Where the kernel shows itself; other places than these are for tests."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    timesync_mark: Path = kernel_clock.TIMESYNC_MARK


def polled(options: Options) -> bool:
    """Every point is posted in every period; see ``kit.contract``."""
    del options
    return True


def check_point(point: Point, options: Options) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: it cannot be read as written.
    """
    judge(
        partial(_check_place, point, options),
        partial(scaling, point.scale, point.offset),
        *(partial(_check_empty, point, field.name) for field in fields(Point) if field.name not in _APPLYING),
    )


def _check_place(point: Point, options: Options) -> None:
    place = parse_address(point.address)
    if place.kind == "power.fail" and options.power_fail_file is None:
        zh, en = "没有配置断电输入。", "No power-fail input is configured."
        refuse("address", zh, en, "设备的 power_fail_file", "power_fail_file in the device's table")
    types = {"uint16", "bool"} if KINDS[place.kind].contact else {"uint16"}
    if point.type not in types:
        zh, en = (
            f"“{point.address}”没有数据类型“{point.type}”。",
            f'"{point.address}" has no type {point.type}.',
        )
        refuse("type", zh, en, "空，触点可写 bool", "nothing, or bool for a contact")


def _check_empty(point: Point, column: str) -> None:
    if getattr(point, column) != getattr(Point(point.name, point.address), column):
        zh, en = "本机的读数没有这一项。", "A reading of the box has no such thing."
        refuse(column, zh, en, "空", "nothing")


def connect(device: Device, options: Options, post: Post) -> HostSource:
    """A source for this box; opens nothing yet.

    Raises:
        PointError: a point cannot be read as written.
    """
    return HostSource(device, options, post)


class HostSource:
    """The box being read; see ``kit.contract.Source``."""

    def __init__(self, device: Device, options: Options, post: Post, roots: Roots | None = None) -> None:
        for point in device.points:
            check_point(point, options)
        self._device = device
        self._options = options
        self._post = post
        self._scaling = Scaling.of(device.points)
        self._ranges = Ranges.of(device.points)
        self._rows = np.arange(len(device.points), dtype=np.uint16)
        self._lanes = _lanes(device.points, _Box(roots or Roots(), options))
        self._connected = False
        self._since_ns = time.time_ns()
        self._detail = "this box: not read yet"
        self._counters = dict.fromkeys(("answers", "misses", "overruns"), 0)

    def state(self) -> SourceState:
        """How the source is now."""
        return SourceState(self._connected, self._since_ns, self._detail, dict(self._counters))

    async def read(self) -> Scan:
        """Read every point once."""
        try:
            return await self._scan()
        finally:
            await self._leave()

    async def run(self) -> None:
        """Read for ever and post scans; ends by cancellation only."""
        period, last_ns = period_ns(self._device.period_s), None
        try:
            while True:
                self._post(await self._scan())
                due = next_due(time.monotonic_ns(), period, self._device.slot, last_ns)
                self._counters["overruns"] += due.skipped
                last_ns = due.at_ns
                await asyncio.sleep(due.at_s - time.monotonic())
        finally:
            await self._leave()

    async def _scan(self) -> Scan:
        """Ask every lane that has nothing out; a lane without an answer makes its own points bad and no others."""
        waiting = [answer for lane in self._lanes if (answer := lane.ask()) is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=self._options.timeout_s)
        taken_ns, taken_mono_ns = time.time_ns(), time.monotonic_ns()
        values = np.full(len(self._rows), np.nan)
        quality = np.full(len(self._rows), GOOD, dtype=np.uint8)
        troubles = []
        for lane in self._lanes:
            for rows, told in zip(lane.rows, lane.told(), strict=True):
                if isinstance(told, SourceError):
                    quality[rows] = bad(told.quality_cause)
                    troubles += [told.detail] * len(rows)
                else:
                    values[rows] = told
        self._scaling.apply(values)
        quality[(quality == GOOD) & ~np.isfinite(values)] = bad(Cause.DEVICE_FAULT)
        values[quality != GOOD] = np.nan
        quality = self._ranges.apply(values, quality)
        self._judge(troubles)
        device = self._device
        return Scan(device.name, device.config_rev, self._rows, values, quality, taken_ns, taken_mono_ns)

    def _judge(self, troubles: Sequence[str]) -> None:
        """Connected means: the box told at least one of its readings."""
        self._counters["misses"] += len(troubles)
        self._counters["answers"] += len(self._rows) - len(troubles)
        told = list(dict.fromkeys(troubles))
        more = f"; and {len(told) - MAX_TOLD} more" if len(told) > MAX_TOLD else ""
        detail = "; ".join(told[:MAX_TOLD]) + more or "this box"
        if detail != self._detail:
            self._detail = detail
            log.log(logging.WARNING if told else logging.INFO, "%s: %s", self._device.name, detail)
        connected = len(troubles) < len(self._rows)
        if connected != self._connected:
            self._connected, self._since_ns = connected, time.time_ns()

    async def _leave(self) -> None:
        """Wait for threads that can end; one that hangs in the kernel ends when the kernel answers."""
        waiting = [lane.out for lane in self._lanes if lane.out is not None]
        if waiting:
            await asyncio.wait(waiting, timeout=LEAVE_S)
        for lane in self._lanes:
            lane.leave()


class _Readings:
    """Readings that can hang together, and the lane in which they are asked for.

    Attributes:
        rows: the rows of the column they fill, for each reading.
        out: the answer under way; None when nothing is asked.
    """

    def __init__(self, name: str) -> None:
        self.rows: list[list[int]] = []
        self.out: asyncio.Future[list[Told]] | None = None
        self._name = name
        self._asks: dict[Place, Callable[[], Told]] = {}
        self._lane: Lane[list[Told]] = Lane(f"host {name}")

    def add(self, row: int, place: Place, ask: Callable[[], Told]) -> None:
        """One more point; points that name the same share one reading: a load is over the time since the last."""
        if place not in self._asks:
            self._asks[place] = ask
            self.rows.append([])
        self.rows[list(self._asks).index(place)].append(row)

    def ask(self) -> asyncio.Future[list[Told]] | None:
        """Start asking; None while an earlier question hangs."""
        try:
            # an answer that came after it was given up is old by now: it is dropped and asked for again
            answer = self._lane.ask(lambda: [ask() for ask in self._asks.values()])
        except OSError as error:
            answer = asyncio.get_running_loop().create_future()
            answer.set_result(self._silent(str(error.strerror)))
        self.out = answer or self.out
        return answer

    def told(self) -> Sequence[Told]:
        """What came of it, for each of ``rows``."""
        assert self.out is not None, "asked before"
        if self.out.done():
            told, self.out = self.out.result(), None
            return told
        return self._silent("the kernel does not answer in time")

    def leave(self) -> None:
        """Collect a thread that has answered; what was asked is of no interest any more."""
        self._lane.leave()
        if self.out is not None and self.out.done():
            self.out = None

    def _silent(self, why: str) -> list[Told]:
        return [SourceError(Cause.COMM, f"{self._name}: {why}")] * len(self._asks)


def _told(address: str, ask: Ask) -> Told:
    """A number or why there is none; here, and nowhere else, errors of the kernel become those of a source."""
    try:
        return ask()
    except SourceError as error:
        return error
    except OSError as error:
        cause = Cause.REFUSED if error.errno in _ABSENT else Cause.DEVICE_FAULT
        return SourceError(cause, f"{address}: {error.filename or 'reading'}: {error.strerror or error}")
    except UnicodeDecodeError:
        return SourceError(Cause.GARBLED, f"{address}: what is read is no text")


def _lanes(points: Sequence[Point], here: _Box) -> list[_Readings]:
    lanes: dict[str, _Readings] = {}
    for row, point in enumerate(points):
        place = parse_address(point.address)
        name, ask = here.reading(place)
        lanes.setdefault(name, _Readings(name)).add(row, place, partial(_told, point.address, ask))
    return list(lanes.values())


class _AdminCommand(ctypes.Structure):
    """struct nvme_admin_cmd of linux/nvme_ioctl.h."""

    _fields_ = (
        ("opcode", ctypes.c_uint8),
        ("flags", ctypes.c_uint8),
        ("reserved", ctypes.c_uint16),
        ("namespace", ctypes.c_uint32),
        ("cdw2_3", ctypes.c_uint32 * 2),
        ("metadata", ctypes.c_uint64),
        ("address", ctypes.c_uint64),
        ("metadata_bytes", ctypes.c_uint32),
        ("data_bytes", ctypes.c_uint32),
        ("cdw10_15", ctypes.c_uint32 * 6),
        ("timeout_ms", ctypes.c_uint32),
        ("result", ctypes.c_uint32),
    )


class _Box:
    """The blocking reads, each called in a lane's thread."""

    def __init__(self, roots: Roots, options: Options) -> None:
        self._roots = roots
        self._options = options
        self._cpu: box.CpuTimes | None = None

    def reading(self, place: Place) -> tuple[str, Ask]:
        """Which lane a reading belongs to, and how it is asked for."""
        asks: dict[str, tuple[str, Callable[[str], float]]] = {
            "cpu.load": ("kernel", self._cpu_load),
            "cpu.temperature": ("sensors", self._temperature),
            "memory.available": ("kernel", lambda _: self._memory()[0]),
            "memory.used": ("kernel", self._memory_used),
            "disk.free": (f"disk {place.of}", _disk_free),
            "disk.used": (f"disk {place.of}", _disk_used),
            "disk.wear": ("wear", self._wear),
            "clock.synchronised": ("kernel", self._clock_is_set),
            "clock.offset": ("kernel", lambda _: box.clock_ms(kernel_clock.sync(), "clock.offset")),
            "clock.error": ("kernel", lambda _: box.clock_ms(kernel_clock.sync(), "clock.error")),
            "power.under_voltage": ("sensors", self._under_voltage),
            "power.fail": ("power.fail", self._power_fail),
            "link": ("kernel", self._link),
        }
        lane, ask = asks[place.kind]
        return lane, partial(ask, place.of)

    def _cpu_load(self, _of: str) -> float:
        path = self._roots.proc / "stat"
        before = self._cpu
        if before is None:
            before = box.cpu_times(_text(path))
            time.sleep(FIRST_LOOK_S)
        self._cpu = box.cpu_times(_text(path))
        return box.load_percent(before, self._cpu)

    def _memory(self) -> tuple[float, float]:
        return box.memory_mib(_text(self._roots.proc / "meminfo"))

    def _memory_used(self, _of: str) -> float:
        available, total = self._memory()
        return 100 * (total - available) / total

    def _temperature(self, name: str) -> float:
        """The hottest of the sensors by this name, or of all that speak of the processor."""
        found: list[Path] = []
        chips = [(zone, "type", "temp") for zone in self._listed("class/thermal", "thermal_zone*")]
        chips += [(chip, "name", "temp*_input") for chip in self._listed("class/hwmon", "hwmon*")]
        for folder, label, inputs in chips:
            called = _label(folder / label)
            if called == name if name else box.is_cpu_sensor(called):
                found += folder.glob(inputs)
        if not found:
            what = f"no temperature sensor “{name}”" if name else "no temperature of its processor"
            raise SourceError(Cause.REFUSED, f"cpu.temperature: this box shows {what}")
        return max(box.temperature_c(_text(path), str(path)) for path in found)

    def _under_voltage(self, _of: str) -> float:
        """The Raspberry Pi's: its kernel driver remembers dips between two looks, the bare firmware does not."""
        for chip in self._listed("class/hwmon", "hwmon*"):
            path = chip / "in0_lcrit_alarm"
            if path.exists() and _label(chip / "name") == "rpi_volt":
                return box.contact(_text(path), str(path))
        for path in self._listed("devices/platform", "*firmware/get_throttled", "*/*firmware/get_throttled"):
            return box.throttled_under_voltage(_text(path), str(path))
        raise SourceError(Cause.REFUSED, "power.under_voltage: this box does not watch its supply voltage")

    def _wear(self, name: str) -> float:
        """The most worn of all disks that tell, or the one by this name."""
        disks = [self._roots.sys / "block" / name] if name else self._listed("block", "*")
        tell = [disk for disk in disks if (disk / "device/life_time").exists() or _NVME.match(disk.name)]
        if not tell:
            which = f"{name}: this disk tells" if name else "this box has no disk that tells"
            raise SourceError(Cause.REFUSED, f"disk.wear: {which} no wear (SD cards and many others do not)")
        return max(self._wear_of(disk) for disk in tell)

    def _wear_of(self, disk: Path) -> float:
        controller = _NVME.match(disk.name)
        if controller is None:
            path = disk / "device/life_time"
            return box.emmc_wear_percent(_text(path), str(path))
        path = self._roots.dev / controller[1]
        return box.nvme_wear_percent(_smart_log(path), str(path))

    def _clock_is_set(self, _of: str) -> float:
        mark_ns = kernel_clock.mark_ns(self._roots.timesync_mark)
        return box.clock_is_set(kernel_clock.sync(), time.time_ns(), mark_ns)

    def _link(self, name: str) -> float:
        """Is it up, and does the other end answer? 0 for one that is switched off."""
        folder = self._roots.sys / "class/net" / name
        if not box.whole(_text(folder / "flags"), str(folder / "flags"), 16) & _IFF_UP:
            return 0.0  # its carrier cannot even be asked for
        return box.contact(_text(folder / "carrier"), str(folder / "carrier"))

    def _power_fail(self, _of: str) -> float:
        path, options = self._options.power_fail_file, self._options
        assert path is not None, "check_point has looked"
        return box.contact(_text(path), str(path), on=options.power_fail_text, off=options.power_ok_text)

    def _listed(self, folder: str, *patterns: str) -> list[Path]:
        return sorted(path for pattern in patterns for path in (self._roots.sys / folder).glob(pattern))


def _text(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return (file.read(MAX_FILE_BYTES) or b"").decode()


def _label(path: Path) -> str:
    """What a sensor calls itself; "" for one that does not say: the others are asked all the same."""
    try:
        return _text(path).strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _disk_free(path: str) -> float:
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize / box.MIB


def _disk_used(path: str) -> float:
    found = os.statvfs(path)
    return box.disk_used_percent(found.f_blocks, found.f_bfree, found.f_bavail)


def _smart_log(path: Path) -> bytes:
    """The SMART log of an NVMe controller: a Get Log Page (02h), which reads and changes nothing.

    Raises:
        SourceError: the controller does not give it.
    """
    page = ctypes.create_string_buffer(_SMART_LOG_BYTES)
    command = _AdminCommand(
        opcode=0x02, namespace=0xFFFFFFFF, address=ctypes.addressof(page), data_bytes=_SMART_LOG_BYTES
    )
    command.cdw10_15[0] = (_SMART_LOG_BYTES // 4 - 1) << 16 | 0x02
    with path.open("rb", buffering=0) as device:
        refused = fcntl.ioctl(device, _NVME_ADMIN_COMMAND, command)
    if refused:
        raise SourceError(Cause.REFUSED, f"{path}: the controller answers status {refused:#x}")
    return page.raw
