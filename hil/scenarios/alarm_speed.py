"""CPU of the alarm system per value beside the speed bench's floor, and beside a bare numpy comparison.

What is measured, and how:

- 100 devices with 100 points each, four limits with a deadband on every point, one scan a second from each: 10,000
  values judged against 40,000 limits a second, by the gateway's own engine, in this process, fed at its own seam.
- Quiet: noisy series within their limits. Busy: one point in a hundred changes its level each second (half of them
  out, half of them back), each a raise or a clear. CPU: process time of ``step`` and of ``tick`` where it was due.
- The floor is that of ``speed`` at the same rate, measured in this run. The bare comparison is four numpy
  comparisons of the same column with four columns of limits and three disjunctions.
- Memory: what Python and numpy hold after busy seconds against what they hold after as many more.
- Restart: 1,000 standing alarms, half of them acknowledged, some shelved or latched, come back from the bytes that a
  spool keeps; every one stands as it stood before the first scan, and the first scan that finds it so changes none.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from dataclasses import dataclass, field, replace
from itertools import pairwise
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import GOOD
from drivers.kit.scan import Point, Scan
from gateway.alarm.conditions import Conditions
from gateway.alarm.life import restore
from gateway.alarm.limits import Limits
from gateway.alarm.people import Acknowledge, Held, Hold, held
from gateway.engine import Engine, WatchedDevice
from gateway.instant import Now
from gateway.plant import PointConfig
from hil.scenarios import Figures
from hil.scenarios.speed import Effort as FloorEffort
from hil.scenarios.speed import floor_us_per_value

POINTS: Final = 100
LIMITS: Final = Limits(ll=5.0, l=10.0, h=80.0, hh=90.0, deadband=2.0)
OUT: Final = 85.0
BUSY_PART: Final = 0.01
STANDING: Final = 1_000
FIRST_NS: Final = 1_790_000_000 * 10**9
SECOND_NS: Final = 10**9

MAX_QUIET: Final = 0.10
MAX_BUSY: Final = 0.50
"""Of the floor's CPU per value."""
MAX_GROWTH_BYTES_PER_S: Final = 64
"""Of busy running: what was held after a stretch against after the one before; a fixed part of it is caches."""
GROWTH_STRETCHES: Final = 3


@dataclass(frozen=True, slots=True)
class Effort:
    """How much.

    Attributes:
        devices: each with ``POINTS`` points.
        seconds: virtual seconds of each stretch.
        stretches: quiet and busy ones, in turn.
        floor: of ``speed``; None leaves it out, and with it the verdict about the cost.
    """

    devices: int = 100
    seconds: int = 120
    stretches: int = 5
    floor: FloorEffort | None = field(default_factory=lambda: FloorEffort(window_s=15.0, floor_windows=3))


FULL: Final = Effort()
LONG: Final = Effort(seconds=600, stretches=9, floor=FloorEffort(window_s=60.0, floor_windows=3))
SHORT: Final = Effort(devices=3, seconds=60, stretches=2, floor=None)


def at(second: float) -> Now:
    """An instant so long after the start."""
    return Now(int(second * SECOND_NS), FIRST_NS + int(second * SECOND_NS))


class Plant:
    """Devices whose values are made second by second, and the engine that judges them."""

    def __init__(self, devices: int, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._devices = devices
        self._names = [f"plc{k}" for k in range(devices)]
        self._points = np.arange(POINTS, dtype=np.uint16)
        self._points.flags.writeable = False
        self._quality = np.full(POINTS, GOOD, dtype=np.uint8)
        self._level = self._random.uniform(30.0, 60.0, devices * POINTS)
        self._out = np.zeros(devices * POINTS, dtype=np.bool_)
        self._second = 0
        self.column = self._level.copy()
        self.engine = Engine(watched(devices), (), at(0))
        self.changes = 0

    def run(self, seconds: int, *, busy: bool) -> float:
        """CPU seconds that the engine took for so many seconds."""
        cpu_s = 0.0
        n = self._devices * POINTS
        for _ in range(seconds):
            self._second += 1
            if busy:
                flipped = self._random.choice(n, max(1, int(n * BUSY_PART)), replace=False)
                self._out[flipped] ^= True
            noisy = self._level + self._random.normal(0.0, 0.5, n)
            self.column = np.where(self._out, OUT, noisy)
            scans, now = self._scans(self.column), at(self._second)
            begun = time.process_time()
            outcome = self.engine.step(scans, now)
            changed = len(outcome.changes)
            if now.mono_ns >= self.engine.next_deadline:
                changed += len(self.engine.tick(now).changes)
            cpu_s += time.process_time() - begun
            self.changes += changed
        return cpu_s

    def live_once(self) -> None:
        """Let every condition have an excursion, so that what a condition needs is there."""
        for out in (True, False):
            self._out[:] = out
            self.run(1, busy=False)

    def _scans(self, column: NDArray[np.float64]) -> list[Scan]:
        now = at(self._second)
        rows = column.reshape(self._devices, POINTS)
        return [
            Scan(name, "rev", self._points, rows[k], self._quality, now.utc_ns, now.mono_ns)
            for k, name in enumerate(self._names)
        ]


def watched(devices: int) -> list[WatchedDevice]:
    """The devices as the engine sees them; every tenth point latches."""
    return [
        WatchedDevice(
            f"plc{k}",
            tuple(
                PointConfig(
                    Point(f"P{k}-{p}", "40001", unit_id=1),
                    limits=LIMITS,
                    conditions=Conditions(latching=p % 10 == 0),
                    area=f"区{k % 10}",
                )
                for p in range(POINTS)
            ),
            1.0,
            polled=True,
        )
        for k in range(devices)
    ]


async def run(*, long: bool) -> Figures:
    """Measure, and judge the cost too."""
    return await measure(LONG if long else FULL)


async def measure(effort: Effort) -> Figures:
    """Everything; without a floor the verdict is about what was done, not about how fast."""
    values = effort.devices * POINTS
    plant = Plant(effort.devices, seed=4)
    plant.run(5, busy=False)
    plant.live_once()
    plant.run(effort.seconds, busy=True)
    quiet_us, busy_us = [], []
    changes = 0
    for _ in range(effort.stretches):
        quiet_us.append(plant.run(effort.seconds, busy=False) * 1e6 / effort.seconds / values)
        before = plant.changes
        busy_us.append(plant.run(effort.seconds, busy=True) * 1e6 / effort.seconds / values)
        changes += plant.changes - before
    floor_us = await floor_us_per_value(effort.devices, effort.floor) if effort.floor else []
    figures: Figures = {
        "values_per_s": values,
        "limits": values * len(LIMITS.levels),
        "quiet_us_per_value": round(median(quiet_us), 4),
        "busy_us_per_value": round(median(busy_us), 4),
        "busy_changes_per_s": round(changes / effort.stretches / effort.seconds, 1),
        "numpy_us_per_value": round(_bare_us(plant.column), 5),
        "growth_bytes_per_s": round(_growth(plant, effort.seconds), 1),
        **_restart(plant.column, effort.devices),
    }
    if floor_us:
        floor = median(floor_us)
        figures |= {
            "floor_us_per_value": round(floor, 3),
            "quiet_part_of_floor": round(median(quiet_us) / floor, 4),
            "busy_part_of_floor": round(median(busy_us) / floor, 4),
        }
    problems = _problems(figures)
    return {**figures, "verdict": "fail" if problems else "pass", "problems": problems}


def _bare_us(column: NDArray[np.float64]) -> float:
    """What the mere comparison of one second costs, microseconds per value."""
    edges = [np.full(len(column), edge) for edge in (LIMITS.ll, LIMITS.l, LIMITS.h, LIMITS.hh)]
    rounds = max(1, 5_000_000 // len(column))
    begun = time.process_time()
    for _ in range(rounds):
        (column <= edges[0]) | (column <= edges[1]) | (column >= edges[2]) | (column >= edges[3])
    return (time.process_time() - begun) * 1e6 / rounds / len(column)


def _growth(plant: Plant, seconds: int) -> float:
    """Bytes that a busy second leaves behind: the least of some stretches, for a leak is in every one of them."""
    tracemalloc.start()
    try:
        held_bytes = []
        for _ in range(2):  # what stood before was not traced, and is replaced by this
            plant.live_once()
        for _ in range(GROWTH_STRETCHES + 1):
            plant.run(seconds, busy=True)
            gc.collect()
            held_bytes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    return min(after - before for before, after in pairwise(held_bytes)) / seconds


def _restart(column: NDArray[np.float64], devices: int) -> Figures:
    """Alarms that stood come back, each as it stood."""
    plant = Plant(devices, seed=5)
    plant.run(2, busy=False)
    count = min(STANDING, devices * POINTS)
    out = np.where(np.arange(len(column)) < count, OUT, plant.column)
    first = plant.engine
    first.step(plant._scans(out), at(100))  # noqa: SLF001 - the same plant, with these values
    states: dict[str, bytes] = {}
    for k, alarm in enumerate(list(first.alarms.values())):
        if k % 2:
            first.command("operator", Acknowledge(alarm.alarm_id), at(101))
        if k % 100 == 0:
            outcome = first.command("operator", Hold("shelve", alarm.condition, "bench", 3600.0), at(101))
            states |= {name: value for e in outcome.entries for name, value in e.state.items() if value}
    # Before the first scan nobody can know better.
    stood = {c: replace(alarm, last_known=alarm.active).state_bytes() for c, alarm in first.alarms.items()}
    shelves: list[Held] = [held(state) for state in states.values()]
    again = Engine(watched(devices), [restore(state) for state in stood.values()], at(200), held=shelves)
    restored = sum(again.alarms[c].state_bytes() == state for c, state in stood.items() if c in again.alarms)
    changed = again.step(plant._scans(out), at(201)).changes  # noqa: SLF001
    return {
        "standing": len(stood),
        "restored": restored,
        "shelves_restored": len(again.register.holds.standing),
        "changed_by_first_scan": len(changed),
    }


def _problems(figures: Figures) -> list[str]:
    found = []
    for name, bound in (("quiet_part_of_floor", MAX_QUIET), ("busy_part_of_floor", MAX_BUSY)):
        if figures.get(name, 0.0) > bound:
            found.append(f"{name} is {figures[name]}, at most {bound:g}")
    if figures["growth_bytes_per_s"] > MAX_GROWTH_BYTES_PER_S:
        found.append(f"a busy second leaves {figures['growth_bytes_per_s']} bytes behind")
    if figures["busy_changes_per_s"] < figures["values_per_s"] * BUSY_PART / 2:
        found.append("the busy seconds were not busy")
    if figures["restored"] != figures["standing"] or figures["changed_by_first_scan"]:
        found.append(
            f"of {figures['standing']} standing alarms {figures['restored']} came back as they stood, "
            f"the first scan changed {figures['changed_by_first_scan']}"
        )
    return found
