"""A disk that hangs and then is gone while limits are crossed: sirens sound, alarms arrive, nothing is hidden.

The record lies on a loop-mounted ext4 of its own, the siren writes elsewhere. The story: one alarm on a good disk
(control); the disk freezes; limits are crossed before and after the gateway notices; the disk dies and every call
fails; more limits are crossed and one returns; the same file system is mounted again after its journal's replay.

Demanded: every change that the siren sounded is in the record, in order, and reached both receivers exactly once
in effect (an alarm sent from memory does not come again from the disk); those decided while the disk was away
arrived before it was back, marked not durable; the readings that are missing are exactly those that the record
declares; watching and polling went on. Needs root.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.control import watch
from gateway.errors import UserFacingError
from gateway.receive.store import arrivals
from hil.answered import Window, utc_ns
from hil.blockdev import LoopDisk, why_not
from hil.judge import Reading
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.recorded import Recorded, alarm_reading, recorded, strays, unrecorded
from hil.scenarios import Figures
from hil.series import series
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan
from hil.verdict import judge_site

DEVICES: Final = 4
REGISTERS: Final = 20
STEPS: Final = 600
PERIOD_S: Final = 0.25
MEMORY_ROWS: Final = 1_000
"""Three seconds of this site's readings: the outage is longer, so readings are lost for certain."""
DISK_BYTES: Final = 128 << 20
NORMAL, HIGH, VERY_HIGH = 500, 850, 950
LIMITS: Final = {"h": 80, "hh": 90, "deadband": 1}
"""On the watched point of each device, a tenth of its register."""
BEFORE_S: Final = 2.0
AFTER_S: Final = 2.0
POLL_S: Final = 0.1
CATCH_UP_S: Final = 60.0
LEAST_RATE: Final = 0.8
"""Of the polls that were due during the outage."""


@dataclass(frozen=True, slots=True)
class Story:
    """How long the disk hangs at least, how long it is gone after that, and the patience with each expectation."""

    frozen_s: float
    gone_s: float
    patience_s: float = 15.0


SHORT: Final = Story(frozen_s=10.0, gone_s=6.0)
LONG: Final = Story(frozen_s=10.0, gone_s=20.0)


@dataclass(slots=True)
class _Times:
    """UTC nanoseconds of what was done to the disk."""

    frozen_ns: int = 0
    gone_ns: int = 0
    back_ns: int = 0


@dataclass(slots=True)
class _Eye:
    """Somebody who runs ``plantgate watch`` all the while; a line a second.

    Attributes:
        lines: (UTC nanoseconds of arrival, state of the spool, newest reading shown).
    """

    lines: list[tuple[int, str, str]] = field(default_factory=list)
    closed: bool = False

    def look(self, socket: Path) -> None:
        """Until ``closed`` or the gateway ends; blocks."""
        with contextlib.suppress(UserFacingError):
            for line in watch(socket):
                newest = max(point["taken_at"] or "" for point in line["points"])
                self.lines.append((time.time_ns(), line["spool"]["state"], newest))
                if self.closed:
                    return


async def run(*, long: bool) -> Figures:
    """Play and judge."""
    return await play(LONG if long else SHORT)


async def play(story: Story, *, siren_on_the_disk: bool = False) -> Figures:
    """Freeze the disk, tear it away and plug it in again while limits are crossed.

    Args:
        story: how long.
        siren_on_the_disk: a negative control: the siren's file lies on the disk that hangs.
    """
    if why_not():
        return {"verdict": "fail", "problems": [why_not()]}
    with tempfile.TemporaryDirectory(prefix="plantgate-disk-") as made:
        folder = Path(made)
        with LoopDisk(folder, DISK_BYTES) as disk:
            siren = (disk.mount if siren_on_the_disk else folder) / "siren.log"
            levels = [NORMAL] * DEVICES
            plan = SitePlan(
                modbus=[_device(n, levels) for n in range(DEVICES)],
                storage_folder=disk.mount / "data",
                storage_settings={"quota": "64 MiB", "snapshot_quota": "8 MiB", "memory_rows": MEMORY_ROWS},
                outputs=({"name": "siren", "kind": "file", "path": siren},),
            )
            try:
                async with Site(plan, folder / "site") as site:
                    return await _Run(story, disk, site, siren, levels).play()
            finally:
                disk.thaw()


def _device(n: int, levels: list[int]) -> ModbusDevice:
    shown = series(REGISTERS, STEPS, seed=n)
    name = f"plc{n}"

    def refresh(unit: Unit) -> None:
        unit.registers[COUNTER_REGISTERS:] = shown[unit.counter % STEPS]
        unit.registers[COUNTER_REGISTERS] = levels[n]

    rows: list[dict[str, object]] = [
        {"tag": f"{name}.{i}", "address": f"4{i + 3:04d}"} for i in range(1, REGISTERS)
    ]
    rows.insert(0, {"tag": _watched(n), "address": "40003", "scale": 0.1, **LIMITS})
    return ModbusDevice(name, rows, REGISTERS + COUNTER_REGISTERS, refresh, PERIOD_S)


def _watched(n: int) -> str:
    return f"plc{n}.level"


class _Run:
    """One telling of the story."""

    def __init__(self, story: Story, disk: LoopDisk, site: Site, siren: Path, levels: list[int]) -> None:
        self._story = story
        self._disk = disk
        self._site = site
        self._siren = siren
        self._levels = levels
        self._times = _Times()
        self._eye = _Eye()
        self._missed: list[str] = []

    async def play(self) -> Figures:
        site, disk, times = self._site, self._disk, self._times
        looking = asyncio.create_task(asyncio.to_thread(self._eye.look, site.control))
        try:
            await asyncio.sleep(BEFORE_S)
            await self._crossing(0, HIGH, "raise")

            times.frozen_ns = time.time_ns()
            disk.freeze()
            thaw_at_s = time.monotonic() + self._story.frozen_s
            await self._crossing(1, HIGH, "raise")
            await self._until("the outage is noticed", lambda: self._said("stalled"))
            await self._crossing(2, HIGH, "raise")
            await self._until("alarms arrive while the disk hangs", lambda: self._arrived({1, 2}))
            await asyncio.sleep(max(0.0, thaw_at_s - time.monotonic()))

            times.gone_ns = time.time_ns()
            disk.tear_away()
            back_at_s = time.monotonic() + self._story.gone_s
            await self._crossing(2, VERY_HIGH, "escalate")
            await self._crossing(3, VERY_HIGH, "raise")
            await self._crossing(1, NORMAL, "clear")
            await self._until("the dead disk is told", lambda: self._said("dead"))
            await asyncio.sleep(max(0.0, back_at_s - time.monotonic()))
            times.back_ns = time.time_ns()
            await asyncio.to_thread(disk.plug_in)
            await self._until("the record goes on", lambda: self._said("ok"))
            await self._crossing(0, NORMAL, "clear")
            await asyncio.sleep(AFTER_S)
        finally:
            self._eye.closed = True
            disk.thaw()
            await looking
        await site.drain(CATCH_UP_S)
        await site.finish()
        return self._judge()

    async def _crossing(self, n: int, level: int, transition: str) -> None:
        """Move the level and wait for the siren, a bounded time."""
        self._levels[n] = level
        wanted = (_watched(n), transition)
        await self._until(
            f"the siren sounds {transition} of {_watched(n)}",
            lambda: wanted in [(item["point_id"], item["transition"]) for item in self._sounded()],
        )

    async def _until(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + self._story.patience_s
        while not holds():
            if time.monotonic() > end:
                self._missed.append(f"in vain waited until {what}")
                return
            await asyncio.sleep(POLL_S)

    def _arrived(self, devices: set[int]) -> bool:
        """Whether every receiver has an alarm of each of these devices, marked not durable."""
        wanted = {_watched(n) for n in devices}
        return all(
            wanted <= {item["point_id"] for item, _ in _volatile(store)}
            for store in self._site.stores.values()
        )

    def _said(self, state: str) -> bool:
        return bool(self._eye.lines) and self._eye.lines[-1][1] == state

    def _sounded(self) -> list[dict[str, Any]]:
        """What the siren's file holds; nothing where it lies on a disk that is gone."""
        try:
            return [orjson.loads(line) for line in self._siren.read_bytes().splitlines()]
        except OSError:
            return []

    # -- judging --------------------------------------------------------------------------------------

    def _judge(self) -> Figures:
        site, times = self._site, self._times
        kept = recorded(site)
        gaps = [item for item in kept.items("gap") if item["lane"] == "reading"]
        judgement = judge_site(site, [_window(gap) for gap in gaps], kept)
        lost = unrecorded(site, kept)
        declared = sum(gap["dropped"] for gap in gaps)
        outages = kept.items("disk_outage")
        sounded = [alarm_reading(item) for item in self._sounded()]
        away = [change for change, at_ns in kept.alarms.items() if times.frozen_ns < at_ns < times.back_ns]
        volatile = {
            name: {alarm_reading(item) for item, at_ns in _volatile(store) if at_ns < times.back_ns}
            for name, store in site.stores.items()
        }
        rate = self._rate()
        problems = [*judgement.problems(), *self._missed]
        problems += _record_problems(kept, sounded)
        problems += [
            f"{name}: did not arrive before the disk was back: {change}"
            for name, arrived in volatile.items()
            for change in [one for one in away if one not in arrived][:1]
        ]
        if declared != len(lost) or not lost:
            problems.append(f"{len(lost)} answers are not recorded, {declared} declared as given up")
        told = [(item["alarm_changes_sent_from_memory"], item["scans_given_up"]) for item in outages]
        if told != [(len(away), declared)]:
            problems.append(f"disk_outage says {told}, it was {(len(away), declared)}")
        if rate < LEAST_RATE:
            problems.append(f"only {rate:.0%} of the polls due while the disk was away were answered")
        problems += self._watch_problems()
        problems += [f"sent before it was durable: {key}" for n in volatile for key in strays(site, n, kept)][
            :1
        ]
        return {
            **judgement.figures(),
            "verdict": "fail" if problems else "pass",
            "frozen_s": (times.gone_ns - times.frozen_ns) / 1e9,
            "gone_s": (times.back_ns - times.gone_ns) / 1e9,
            "alarm_changes_while_away": len(away),
            "alarm_changes_sounded": len(sounded),
            "not_durable": {name: len(arrived) for name, arrived in volatile.items()},
            "outages_declared": len(outages),
            "scans_lost": len(lost),
            "scans_declared": declared,
            "poll_rate": round(rate, 3),
            "watch_lines_while_away": len(self._lines_away()),
            "problems": problems,
        }

    def _rate(self) -> float:
        """Answered polls of those due while the disk was away."""
        at_ns = utc_ns(0) + self._site.answers.answers().monotonic_ns
        times = self._times
        due = DEVICES * (times.back_ns - times.frozen_ns) / 1e9 / PERIOD_S
        return float(((at_ns > times.frozen_ns) & (at_ns < times.back_ns)).sum() / due)

    def _lines_away(self) -> list[tuple[int, str, str]]:
        return [one for one in self._eye.lines if self._times.frozen_ns < one[0] < self._times.back_ns]

    def _watch_problems(self) -> list[str]:
        lines = self._lines_away()
        newest = [one[2] for one in lines]
        if len(lines) < 2 or sorted(set(newest)) != newest:
            return [f"watching stood still while the disk was away: {newest}"]
        return []


def _record_problems(kept: Recorded, sounded: Sequence[Reading]) -> list[str]:
    """Every change that was sounded is in the record, nothing else, and in the order in which it happened."""
    problems = []
    if set(sounded) != set(kept.alarms) or len(sounded) != len(kept.alarms):
        problems.append(f"the siren sounded {len(sounded)} changes, the record holds {len(kept.alarms)}")
    times = list(kept.alarms.values())
    if times != sorted(times):
        problems.append("alarm changes stand in the record in another order than they happened")
    return problems


def _window(gap: dict[str, Any]) -> Window:
    # The gateway dates a reading when it has the answer, the simulator when it gave it: just before.
    period_ns, to_mono_ns = int(PERIOD_S * 1e9), -utc_ns(0)
    return gap["from_ns"] + to_mono_ns - period_ns, gap["to_ns"] + to_mono_ns


def _volatile(store: Path) -> list[tuple[dict[str, Any], int]]:
    """Alarm items that a receiver got marked not durable, and when (UTC nanoseconds)."""
    found: list[tuple[dict[str, Any], int]] = []
    for one in arrivals(store):
        if one.key and one.key.split("/")[2] == "alarm":
            envelope = orjson.loads(one.payload)
            if not envelope["durable"]:
                found += [(item, one.received_ns) for item in envelope["items"]]
    return found
