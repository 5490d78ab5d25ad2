"""CPU per value of the Modbus driver alone beside bare block reads with one ``struct`` call, at two rates.

What is measured, and how:

- Level: 100 and 400 PLCs, a connection each, one block of 100 scaled uint16 registers behind the answer counter,
  every second: 10,000 and 40,000 values a second. The bench's own process plays the PLCs, outside every sum.
- CPU: user and system time of a process (``hil.column_path``) that does nothing but run the driver's sources, and of
  one that does the bare work on the same PLCs in the same slots, over windows of steady reading, per value the PLCs
  answered meanwhile. Order: driver, bare, bare, driver, so that drift of the machine falls on both; medians.
- Honest: every answer was posted as a scan, all good, and the last scan of each PLC says what its bytes say.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from hil.answers import AnswerLog
from hil.column_path import Plan, Plc
from hil.modbus_plc import COUNTER_REGISTERS, ModbusPlc, Unit
from hil.processes import TICK_S, start
from hil.program import ProgramError
from hil.scenarios import Figures
from hil.series import series

VALUES: Final = 100
PERIOD_S: Final = 1.0
UNITS_PER_PORT: Final = 200
ORDER: Final = ("driver", "bare", "bare", "driver")
MAX_RATIO: Final = 1.5
ROUNDS_ON_THE_WAY: Final = 1
"""Answers given when a process is told to stop need not have been taken."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How many PLCs per level, how long each window is and how long it runs before, and how often it is repeated."""

    plcs: tuple[int, ...] = (100, 400)
    window_s: float = 20.0
    warm_up_s: float = 4.0
    turns: int = 1


FULL: Final = Effort()
LONG: Final = Effort(window_s=60.0, turns=2)
SHORT: Final = Effort(plcs=(3,), window_s=2.0, warm_up_s=1.5)


@dataclass(slots=True)
class Level:
    """What one level gave.

    Attributes:
        us: per mode, microseconds of CPU per value, of each window.
        switches_per_s: likewise, context switches a second.
        writes: requests that do more than read.
    """

    plcs: int
    us: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in ORDER})
    switches_per_s: dict[str, list[float]] = field(default_factory=lambda: {mode: [] for mode in ORDER})
    writes: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        """The driver's cost in bare reads."""
        return round(median(self.us["driver"]) / median(self.us["bare"]), 3)

    def figures(self) -> Figures:
        """As they stand in the verdict."""
        return {
            "values_per_s": self.plcs * VALUES,
            "ratio": self.ratio,
            **{f"{mode}_us_per_value": round(median(us), 4) for mode, us in self.us.items()},
            **{f"{mode}_windows_us": [round(one, 4) for one in us] for mode, us in self.us.items()},
            **{f"{mode}_switches_per_s": median(all_) for mode, all_ in self.switches_per_s.items()},
        }


async def run(*, long: bool) -> Figures:
    """Measure, and judge the ratios too."""
    figures = await measure(LONG if long else FULL)
    problems = figures["problems"]
    for level in figures["levels"]:
        if level["ratio"] > MAX_RATIO:
            problems.append(
                f"at {level['values_per_s']} values/s {level['ratio']} bare reads, at most {MAX_RATIO}"
            )
    return {**figures, "verdict": "fail" if problems else "pass"}


async def measure(effort: Effort) -> Figures:
    """Every level; this verdict says whether the work was done, not how fast.

    Raises:
        ProgramError: a process did not do its work, so there is nothing to judge.
    """
    levels = [await _level(count, effort) for count in effort.plcs]
    problems = [problem for level in levels for problem in level.problems]
    return {
        "verdict": "fail" if problems else "pass",
        "levels": [level.figures() for level in levels],
        "modbus_writes_seen": sum(level.writes for level in levels),
        "problems": problems,
    }


async def _level(count: int, effort: Effort) -> Level:
    level, log = Level(count), AnswerLog(keep_registers=False)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="plantgate-modbus-speed-")))
        simulators = [
            await stack.enter_async_context(ModbusPlc(units, log, seed=n))
            for n, units in enumerate(_units(count))
        ]
        plcs = tuple(Plc(one.host, one.port, unit_id) for one in simulators for unit_id in one.units)
        plan = folder / "plan.json"
        Plan(plcs, VALUES, PERIOD_S).write(plan)
        for mode in ORDER * effort.turns:
            await _window(mode, plan, level, log, effort)
        level.writes = sum(one.writes_seen for one in simulators)
    if level.writes:
        level.problems.append(f"{level.writes} requests that do more than read")
    return level


def _units(count: int) -> Iterator[dict[int, Unit]]:
    """Units by port, as many ports as are needed."""
    for first in range(0, count, UNITS_PER_PORT):
        chosen = range(first, min(count, first + UNITS_PER_PORT))
        yield {n - first + 1: _unit(n) for n in chosen}


def _unit(number: int) -> Unit:
    unit = Unit(f"plc{number}", COUNTER_REGISTERS + VALUES)
    unit.registers[COUNTER_REGISTERS:] = series(VALUES, 1, seed=number)[0]
    return unit


async def _window(mode: str, plan: Path, level: Level, log: AnswerLog, effort: Effort) -> None:
    """One window of one process, from its start to its stop."""
    at_start = len(log)
    said, talk = plan.with_name("said"), plan.with_name("log")
    with said.open("wb") as out:
        argv = [sys.executable, "-m", "hil.column_path", mode, str(plan)]
        tree = start(argv, log=talk, stdout=out.fileno())
    try:
        await asyncio.sleep(effort.warm_up_s)
        before, answered, from_s = tree.usage(), len(log), time.monotonic()
        await asyncio.sleep(effort.window_s)
        after, answers, seconds = tree.usage(), len(log) - answered, time.monotonic() - from_s
    finally:
        status = await tree.stop()
    if status != 0 or answers == 0:
        raise ProgramError(f"{mode} ended with {status} after {answers} answers: {talk.read_text()[-500:]}")
    cpu_s = max(TICK_S, after.cpu_s - before.cpu_s)
    level.us[mode].append(cpu_s * 1e6 / (answers * VALUES))
    switches = (after.context_switches - before.context_switches) / seconds
    level.switches_per_s[mode].append(round(switches, 1))
    level.problems += undone(mode, json.loads(said.read_bytes()), len(log) - at_start, level.plcs)
    due = level.plcs * effort.window_s / PERIOD_S
    if answers < due - level.plcs:
        level.problems.append(f"{mode} read {answers} answers in a window in which {due:g} were due")


def undone(mode: str, said: dict[str, int], answers: int, plcs: int) -> list[str]:
    """Work that the PLCs answered and a process did not do.

    Args:
        mode: the process.
        said: see ``column_path.Columns.said``.
        answers: what the PLCs completed.
        plcs: how many there are.
    """
    found = []
    if not answers - ROUNDS_ON_THE_WAY * plcs <= said["scans"] <= answers:
        found.append(f"{mode} took {said['scans']} scans of {answers} answers")
    if said["bad"] or said["wrong"]:
        found.append(f"{mode}: {said['bad']} scans not all good, {said['wrong']} say other than their bytes")
    return found
