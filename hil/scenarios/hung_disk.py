"""A disk that hangs for 5 s and dead brokers while 200 limits are crossed: sirens at once, the whole record afterwards.

The record lies on a loop-mounted ext4 of its own, which freezes; both brokers are dead meanwhile. While it hangs 200
points cross H, then HH, then return, 50 points of one PLC in one answer each time: 600 changes. The siren is a file
output whose file is a pipe; another process stamps every line that comes out of it.

Times: ``siren_ms`` is the stamp less ``t_changed`` of the change, which is the instant at which the scan was judged,
cut to a millisecond: too long by at most one. ``answer_to_siren_ms`` is the stamp less the instant at which the
simulator had answered the value: the way to the gateway and the wait for neighbouring answers are in it.

Demanded: the 99th percentile of ``siren_ms`` is at most 20 ms; everything decided while the disk hung was told while it
hung; what was told is what the record holds, in the same order, none twice; both receivers have it. Needs root.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson

from hil.answered import answered
from hil.blockdev import LoopDisk, why_not
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.program import Program
from hil.readings import percentile
from hil.recorded import recorded, recorded_alarms
from hil.scenarios import Figures
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan
from hil.stamped import stamps
from hil.verdict import judge_site

DEVICES: Final = 4
POINTS: Final = 50
PERIOD_S: Final = 0.25
DISK_BYTES: Final = 128 << 20
NORMAL, HIGH, VERY_HIGH = 500, 850, 950
SCALE: Final = 0.1
LIMITS: Final = {"h": 80, "hh": 90, "deadband": 1}
BEFORE_S: Final = 3.0
STEP_S: Final = 0.3
"""Between two bursts: each meets another answer."""
AFTER_S: Final = 2.0
POLL_S: Final = 0.1
PATIENCE_S: Final = 15.0
CATCH_UP_S: Final = 60.0
MAX_SIREN_P99_MS: Final = 20.0
LEAST_SAMPLES: Final = 500


@dataclass(frozen=True, slots=True)
class Story:
    """How long the disk hangs, how often, and whether times are judged."""

    hung_s: float = 5.0
    times: int = 1
    timed: bool = True


FULL: Final = Story()
LONG: Final = Story(times=5)
SHORT: Final = Story(timed=False)


@dataclass(frozen=True, slots=True)
class _Told:
    """A change as it came out of the siren."""

    at_ns: int
    item: dict[str, Any]

    @property
    def decided_ns(self) -> int:
        moment = dt.datetime.fromisoformat(self.item["t_changed"])
        return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1) * 1_000_000


async def run(*, long: bool) -> Figures:
    """Play and judge."""
    return await play(LONG if long else FULL)


async def play(story: Story, *, siren_on_the_disk: bool = False) -> Figures:
    """Let the disk hang while limits are crossed.

    Args:
        story: how long and how often.
        siren_on_the_disk: a negative control: the siren is a command that notes each change on the disk first.
    """
    if why_not():
        return {"verdict": "fail", "problems": [why_not()]}
    with tempfile.TemporaryDirectory(prefix="plantgate-hung-") as made:
        folder = Path(made)
        pipe, stamped = folder / "siren", folder / "stamped"
        os.mkfifo(pipe)
        reader = Program(
            [sys.executable, "-m", "hil.stamped", str(pipe), str(stamped)], folder / "reader.log"
        )
        reader.start()
        try:
            with LoopDisk(folder, DISK_BYTES) as disk:
                siren: Mapping[str, object] = {"kind": "file", "path": pipe}
                if siren_on_the_disk:
                    note = f"cat > {disk.mount}/note && cat {disk.mount}/note > {pipe}"
                    siren = {"kind": "command", "argv": ["/bin/sh", "-c", note]}
                levels = [NORMAL] * DEVICES
                plan = SitePlan(
                    modbus=[_device(n, levels) for n in range(DEVICES)],
                    storage_folder=disk.mount / "data",
                    storage_settings={"quota": "64 MiB", "snapshot_quota": "8 MiB"},
                    outputs=({"name": "siren", **siren},),
                )
                try:
                    async with Site(plan, folder / "site") as site:
                        return await _Run(story, disk, site, stamped, levels).play()
                finally:
                    disk.thaw()
        finally:
            reader.kill()


def _device(n: int, levels: list[int]) -> ModbusDevice:
    name = f"plc{n}"

    def refresh(unit: Unit) -> None:
        unit.registers[COUNTER_REGISTERS:] = levels[n]

    rows = [
        {"tag": f"{name}.{i:02d}", "address": f"4{i + COUNTER_REGISTERS + 1:04d}", "scale": SCALE, **LIMITS}
        for i in range(POINTS)
    ]
    return ModbusDevice(name, rows, POINTS + COUNTER_REGISTERS, refresh, PERIOD_S)


class _Run:
    """One telling of the story."""

    def __init__(self, story: Story, disk: LoopDisk, site: Site, stamped: Path, levels: list[int]) -> None:
        self._story = story
        self._disk = disk
        self._site = site
        self._stamped = stamped
        self._levels = levels
        self._hung: list[tuple[int, int]] = []
        self._missed: list[str] = []

    async def play(self) -> Figures:
        site = self._site
        await asyncio.sleep(BEFORE_S)
        for name in site.plan.recipients:
            site.kill_broker(name)
        for _ in range(self._story.times):
            await self._hang()
            await asyncio.sleep(AFTER_S)
        for name in site.plan.recipients:
            await site.restart_broker(name)
        await site.drain(CATCH_UP_S)
        await site.finish()
        return self._judge()

    async def _hang(self) -> None:
        """The disk freezes, every limit is crossed and every point returns, the disk goes on."""
        told = len(self._told())
        frozen_ns = time.time_ns()
        self._disk.freeze()
        thaw_at_s = time.monotonic() + self._story.hung_s
        try:
            for level in (HIGH, VERY_HIGH, NORMAL):
                for n in range(DEVICES):
                    self._levels[n] = level
                    await asyncio.sleep(STEP_S)
            await asyncio.sleep(max(0.0, thaw_at_s - time.monotonic()))
        finally:
            self._hung.append((frozen_ns, time.time_ns()))
            self._disk.thaw()
        wanted = told + 3 * DEVICES * POINTS
        await self._until(f"{wanted} changes are told", lambda: len(self._told()) >= wanted)

    async def _until(self, what: str, holds: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE_S
        while not holds():
            if time.monotonic() > end:
                self._missed.append(f"in vain waited until {what}")
                return
            await asyncio.sleep(POLL_S)

    def _told(self) -> list[_Told]:
        return [_Told(at_ns, orjson.loads(line)) for at_ns, line in stamps(self._stamped)]

    # -- judging --------------------------------------------------------------------------------------

    def _judge(self) -> Figures:
        site = self._site
        kept = recorded(site)
        judgement = judge_site(site, (), kept)
        told, items = self._told(), recorded_alarms(site)
        crossings = [one for one in told if one.item["type"] == "limit"]
        siren_ms = [(one.at_ns - one.decided_ns) / 1e6 for one in crossings]
        answer_ms = self._since_answer_ms(crossings)
        problems = [*judgement.problems(), *self._missed, *_record_problems(told, items, self._story.times)]
        late = [one for one in told if self._was_late(one)]
        if late:
            problems.append(f"{len(late)} changes decided while the disk hung were told when it was back")
        if kept.items("gap"):
            problems.append(f"readings were given up: {kept.items('gap')[:1]}")
        if len(kept.items("disk_outage")) != self._story.times:
            problems.append(f"{len(kept.items('disk_outage'))} outages are declared")
        p99 = percentile(siren_ms, 99)
        if self._story.timed and (len(siren_ms) < LEAST_SAMPLES or p99 is None or p99 > MAX_SIREN_P99_MS):
            problems.append(f"siren p99 is {p99} ms of {len(siren_ms)} changes, at most {MAX_SIREN_P99_MS:g}")
        return {
            **judgement.figures(),
            "verdict": "fail" if problems else "pass",
            "hung_s": [round((to_ns - from_ns) / 1e9, 2) for from_ns, to_ns in self._hung],
            "limits": DEVICES * POINTS,
            "changes_told": len(told),
            "changes_recorded": len(items),
            "told_late": len(late),
            "siren_samples": len(siren_ms),
            "siren_ms_p50": percentile(siren_ms, 50),
            "siren_ms_p99": p99,
            "siren_ms_max": percentile(siren_ms, 100),
            "answer_to_siren_samples": len(answer_ms),
            "answer_to_siren_ms_p50": percentile(answer_ms, 50),
            "answer_to_siren_ms_p99": percentile(answer_ms, 99),
            "problems": problems,
        }

    def _was_late(self, one: _Told) -> bool:
        return any(from_ns < one.decided_ns < to_ns <= one.at_ns for from_ns, to_ns in self._hung)

    def _since_answer_ms(self, crossings: list[_Told]) -> list[float]:
        """From the first answer with a change's value to its stamp."""
        trails = answered(self._site).trails
        found = []
        for one in crossings:
            trail = trails[one.item["point_id"]]
            known = trail.values[: int(np.searchsorted(trail.at_ns, one.at_ns))]
            same = np.isclose(known, one.item["value"])
            begun = np.flatnonzero(same & ~np.concatenate(([False], same[:-1])))
            found += [(one.at_ns - int(trail.at_ns[begun[-1]])) / 1e6] if len(begun) else []
        return found


def _record_problems(told: list[_Told], items: list[dict[str, Any]], times: int) -> list[str]:
    """What was told is what is recorded, in its order; each point raised, escalated and cleared each time, once."""
    problems = []
    names_told = [_name(one.item) for one in told]
    names_kept = [_name(item) for item in items]
    if names_told != names_kept:
        problems.append(f"the siren told {len(names_told)} changes, the record holds {len(names_kept)}")
        pairs = zip(names_told, names_kept, strict=False)
        problems += [f"the siren told {a} where the record says {b}" for a, b in pairs if a != b][:1]
    if len(set(names_kept)) != len(names_kept):
        problems.append("a change is in the record twice")
    counted = Counter((item["point_id"], item["transition"]) for item in items if item["type"] == "limit")
    tags = [f"plc{n}.{i:02d}" for n in range(DEVICES) for i in range(POINTS)]
    due = {(tag, word): times for tag in tags for word in ("raise", "escalate", "clear")}
    if dict(counted) != due:
        problems.append(f"{counted.total()} changes of limits are recorded, {sum(due.values())} happened")
    stamps_kept = [item["t_changed"] for item in items]
    if stamps_kept != sorted(stamps_kept):
        problems.append("changes stand in the record in another order than they happened")
    return problems


def _name(item: Mapping[str, Any]) -> str:
    return f"{item['alarm_id']}#{item['change_no']} {item['transition']}"
