"""Every PLC is away for an hour: memory stays flat, one log line down and one up per device, no storm at the return.

The real gateway runs with its clocks accelerated (``hil.accelerated``: its own timers, time-outs and pauses, only
faster), so an hour takes two minutes. One device has 1,000 points, nine have a hundred. A third of them is switched
off (nothing is heard of them), a third refuses connections, a third accepts them and answers nothing. The large one
goes in the middle of a scan, some of its blocks read and some not. A point of it stands beyond its limit all the
while. The record lies in memory, for a disk cannot be accelerated.

Counted from the gateway's log and durable record: lines of the log by device, and whatever else it has to complain
of; changes of alarms; in which periods each device's points were said to be bad. Memory is the resident size of the
gateway's process tree. What fills up once and then stays (caches of the record) is over by the middle of the outage;
what still grows after it is a leak.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from drivers.kit.quality import is_bad, is_good
from drivers.kit.scan import Scan
from gateway.instant import rfc3339
from hil.accelerated import environment
from hil.answers import AnswerLog
from hil.modbus_plc import COUNTER_REGISTERS, ModbusPlc, Unit
from hil.program import ProgramError
from hil.recorded import recorded_alarms, recorded_scans
from hil.scenarios import Figures
from hil.site import Site
from hil.site_plan import SitePlan
from hil.switched_off import SwitchedOff

LARGE: Final = "plc0"
POINTS: Final = {LARGE: 1_000, **{f"plc{n}": 100 for n in range(1, 10)}}
WAYS: Final = ("switched off", "refuses", "silent")
PERIOD_S: Final = 1.0
TIMEOUT_S: Final = 5.0
"""Longer than usual: accelerated, it is a sixth of a second in which the simulators must have answered."""
HIGH: Final = 900.0
"""The last register of the large device stands above it."""
UP_S: Final = 60.0
"""Simulated seconds before and after the outage."""
FIRST_UP_S: Final = 30.0
SAMPLE_S: Final = 0.25
MID_SCAN: Final = 4
"""Of the large device's nine questions, so many are answered when it goes."""
QUIET_S: Final = 0.004
MEMORY: Final = Path("/dev/shm")  # noqa: S108 - the folder made in it is private to its owner
STOP_S: Final = 15.0

MAX_GROWTH_MB: Final = 2.0
MIN_SAID: Final = 0.9
"""A device is said to be bad in at least so many of the outage's periods. All are due; but at thirty times the speed a
period is a thirtieth of a second, and whenever this machine has no time for so long one is honestly skipped. A driver
that speaks up only at each time-out or at each new try would come to a fifth."""
MILD: Final = frozenset({"DEBUG", "INFO"})
"""Levels of lines about no device that are no complaint; a line without a level is part of a traceback."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long the outage is, in simulated seconds, and how many of them pass in one."""

    outage_s: float
    rate: float


FULL: Final = Effort(3_600.0, 30.0)
LONG: Final = Effort(6 * 3_600.0, 30.0)
SHORT: Final = Effort(120.0, 20.0)


@dataclass(slots=True)
class Story:
    """What was seen.

    Attributes:
        outage_s: how long it was, simulated.
        memory_bytes: resident size at equal distances during the outage.
        log: lines of the gateway's log from the beginning of the outage.
        alarms: items of every alarm change since then.
        scans: the whole record.
        writes: requests that do more than read.
        cpu_percent: of one core, during the outage, real time.
    """

    outage_s: float
    memory_bytes: list[int] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    alarms: list[dict[str, Any]] = field(default_factory=list)
    scans: list[Scan] = field(default_factory=list)
    writes: int = 0
    cpu_percent: float = 0.0


async def run(*, long: bool) -> Figures:
    """Play, and judge the memory too."""
    figures = judge(await play(LONG if long else FULL))
    problems = figures["problems"]
    if figures["memory_grew_mb"] > MAX_GROWTH_MB:
        problems.append(
            f"memory grew by {figures['memory_grew_mb']} MB in the second half, at most {MAX_GROWTH_MB}"
        )
    return {**figures, "verdict": "fail" if problems else "pass"}


async def play(effort: Effort) -> Story:
    """Take every PLC away and give all back.

    Raises:
        ProgramError: the gateway did not come up, did not reach a PLC, or did not end.
        ToolMissingError: libfaketime is not installed.
    """
    story = Story(effort.outage_s)
    async with AsyncExitStack() as stack:
        kept = stack.enter_context(
            TemporaryDirectory(prefix="plantgate-", dir=MEMORY if MEMORY.is_dir() else None)
        )
        log = AnswerLog(keep_registers=False)
        plcs = {name: await stack.enter_async_context(_plc(name, log)) for name in POINTS}
        plan = SitePlan(
            recipients=(),
            storage_folder=Path(kept),
            devices=[_table(name, plc) for name, plc in plcs.items()],
            rows=[row for name in POINTS for row in _rows(name)],
            environment=environment(effort.rate),
        )
        site = await stack.enter_async_context(Site(plan))
        await _until_connected(site, effort)
        await asyncio.sleep(UP_S / effort.rate)
        began = (await site.status())["now"]
        said_bytes = site.gateway.log.stat().st_size
        await _outage(site, plcs, story, effort)
        await _until_connected(site, effort)
        await asyncio.sleep(UP_S / effort.rate)
        await site.stop_gateway(STOP_S)
        story.log = site.gateway.log.read_bytes()[said_bytes:].decode().splitlines()
        # Whether this machine's clock is synchronised is no matter of the PLCs; the gateway says it after a while.
        story.alarms = [
            item
            for item in recorded_alarms(site)
            if item["t_changed"] >= began and item["condition"] != "gateway/clock"
        ]
        story.scans = [scan for scan in recorded_scans(site) if rfc3339(scan.taken_ns) >= began]
        story.writes = sum(plc.writes_seen for plc in plcs.values())
    return story


def _plc(name: str, log: AnswerLog) -> ModbusPlc:
    unit = Unit(name, COUNTER_REGISTERS + POINTS[name])
    unit.registers[-1] = HIGH + 1
    return ModbusPlc({1: unit}, log)


def _table(name: str, plc: ModbusPlc) -> dict[str, object]:
    place = {"name": name, "driver": "modbus", "host": plc.host, "port": plc.port}
    return {**place, "period_s": PERIOD_S, "timeout_s": TIMEOUT_S}


def _rows(name: str) -> list[dict[str, object]]:
    first = 40_001 + COUNTER_REGISTERS
    rows: list[dict[str, object]] = [
        {"tag": f"{name}.{k}", "device": name, "address": str(first + k)} for k in range(POINTS[name])
    ]
    if name == LARGE:
        rows[-1]["h"] = HIGH
    return rows


async def _until_connected(site: Site, effort: Effort) -> None:
    end = time.monotonic() + FIRST_UP_S
    while any(source["bad"] for source in (await site.status())["sources"]):
        if time.monotonic() > end:
            raise ProgramError(f"the gateway does not reach every PLC. Its log ends: {site.gateway.tail()}")
        await asyncio.sleep(1 / effort.rate)


async def _outage(site: Site, plcs: dict[str, ModbusPlc], story: Story, effort: Effort) -> None:
    began, cpu_s = time.monotonic(), site.gateway.tree.usage().cpu_s
    ways = {name: WAYS[n % len(WAYS)] for n, name in enumerate(plcs)}
    with ExitStack() as dark:
        await _until_mid_scan(plcs[LARGE])
        for name, plc in plcs.items():
            plc.silent = ways[name] == "silent"
            if not plc.silent:
                await plc.refuse()
            if ways[name] == "switched off":
                dark.enter_context(SwitchedOff(plc.port))
        while (lived := time.monotonic() - began) < effort.outage_s / effort.rate:
            await asyncio.sleep(SAMPLE_S)
            usage = site.gateway.tree.usage()
            story.memory_bytes.append(usage.rss_bytes)
        story.cpu_percent = round(100 * (usage.cpu_s - cpu_s) / lived, 1)
    for plc in plcs.values():
        plc.silent = False
        await plc.accept()


async def _until_mid_scan(plc: ModbusPlc) -> None:
    """Wait for a pause between two scans, then for some questions of the next; it goes on in this very turn."""
    asked = -1
    while asked != plc.functions.total():
        asked = plc.functions.total()
        await asyncio.sleep(QUIET_S)
    while plc.functions.total() < asked + MID_SCAN:  # noqa: ASYNC110 - seen in the very turn of the answer
        await asyncio.sleep(0)


# -- judging ------------------------------------------------------------------------------------------


def judge(story: Story) -> Figures:
    """What was counted; the memory's growth is a figure, no verdict."""
    lines, others = _lines(story.log)
    problems = [f"{name}: log lines {said}, one WARNING and one INFO are due" for name, said in lines.items()
                if said != ["WARNING", "INFO"]]  # fmt: skip
    changes = Counter(_change(item) for item in story.alarms)
    due = Counter(("comm", name, change) for name in POINTS for change in ("raise", "clear"))
    problems += [f"alarm changes: {n} x {change}, {due[change]} are due" for change, n in changes.items()
                 if n != due[change]][:5]  # fmt: skip
    problems += [f"missing: {change}" for change in due if not changes[change]][:5]
    said = {name: _said_bad_s(story.scans, name) for name in POINTS}
    for name, (seconds, share) in said.items():
        if seconds < story.outage_s - 2 * (TIMEOUT_S + PERIOD_S) or share < MIN_SAID:
            problems.append(f"{name}: said to be bad over {seconds:.0f} s, in {share:.0%} of the periods")
    complaints = [line for line in others if _level(line) not in MILD]
    problems += [f"{len(complaints)} other log lines complain: {line}" for line in complaints[:1]]
    last = {scan.device: scan for scan in story.scans}
    problems += [f"{name} is not all good in the end" for name in POINTS
                 if name not in last or not is_good(last[name].quality).all()]  # fmt: skip
    if story.writes:
        problems.append(f"{story.writes} requests that do more than read")
    grew = memory_grew_mb(story.memory_bytes)
    return {
        "verdict": "fail" if problems else "pass",
        "simulated_s": story.outage_s,
        "devices": len(POINTS),
        "points": sum(POINTS.values()),
        "alarm_changes": sum(changes.values()),
        "alarm_changes_of_1000_points": sum(
            n for (_, of, _), n in changes.items() if of.partition(".")[0] == LARGE
        ),
        "log_lines": sum(len(one) for one in lines.values()),
        "other_log_lines": len(others),
        "other_log_lines_complaining": len(complaints),
        "other_log_lines_first": (complaints or others)[:3],
        "bad_scans": sum(bool(is_bad(scan.quality).all()) for scan in story.scans),
        "least_said_bad": round(min(share for _, share in said.values()), 3),
        "memory_mb_begin": round(story.memory_bytes[0] / 1e6, 1),
        "memory_mb_end": round(story.memory_bytes[-1] / 1e6, 1),
        "memory_grew_mb": grew,
        "cpu_percent": story.cpu_percent,
        "modbus_writes_seen": story.writes,
        "problems": problems,
    }


def memory_grew_mb(samples: Sequence[int]) -> float:
    """From the sixth tenth of the samples to the last one, by medians."""
    tenth = max(1, len(samples) // 10)
    middle = len(samples) // 2
    return round((median(samples[-tenth:]) - median(samples[middle : middle + tenth])) / 1e6, 2)


def _lines(log: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """Levels of the lines about each device, and all other lines."""
    found: dict[str, list[str]] = {name: [] for name in POINTS}
    others = []
    for line in log:
        words = line.split(maxsplit=5)
        device = words[4].removesuffix(":") if len(words) == 6 else ""
        if device in found:
            found[device].append(words[2])
        else:
            others.append(line)
    return found, others


def _level(line: str) -> str:
    words = line.split(maxsplit=3)
    return words[2] if len(words) == 4 else ""


def _change(item: dict[str, Any]) -> tuple[str, str, str]:
    return item["type"], item["point_id"] or item["source"], item["transition"]


def _said_bad_s(scans: Sequence[Scan], device: str) -> tuple[float, float]:
    """From the first to the last scan of a device in which all is bad, and in which share of the periods between."""
    bad = [scan.taken_ns for scan in scans if scan.device == device and is_bad(scan.quality).all()]
    if len(bad) < 2:
        return 0.0, 0.0
    seconds = (bad[-1] - bad[0]) / 1e9
    skipped = np.maximum(
        np.round(np.diff(bad) / (PERIOD_S * 1e9)) - 1, 0
    ).sum()  # more scans make up for none
    return seconds, 1 - float(skipped) * PERIOD_S / seconds
