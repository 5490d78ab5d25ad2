"""One of ten units behind a connection falls silent: the nine others keep their rate, it is back at once.

The real gateway reads ten units through one TCP converter. One of them stops answering, as a unit that is switched
off, and comes back, again and again: once for long, so that the pauses between two questions to it have grown, then
at random times, at some of them for a moment only before it falls again. Everything is judged from the gateway's
durable record against the log of the simulated units:

- rate: good scans of each of the nine by those that are due: while all are alive, and over all the times in which the
  one is dead, its falls included. Of each time whole periods are counted, in which as many scans are due whenever it
  begins: counted by seconds, nine falls of which each ends anywhere between two scans make some percent by themselves.
- back: from the moment the unit would answer to its first good value, in scan periods.
- lost: answers that a unit completed and of which the record holds nothing, or another value.
- false: good values of the dead unit from a time in which it answered nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import Cause, bad
from gateway.config import load
from hil.answered import utc_ns
from hil.answers import AnswerLog, Answers
from hil.modbus_plc import ModbusPlc, Unit
from hil.recorded import recorded_scans
from hil.scenarios import Figures
from hil.site import Site
from hil.site_plan import SitePlan
from hil.speaking import UnitScans, registers, rows_of_unit, speak, unit_scans

UNITS: Final = range(1, 11)
DEAD: Final = 4
VALUES: Final = 10
MAX_REGISTERS: Final = 12
"""Largest request: a unit takes two, of which one may be answered and the other not."""
PERIOD_S: Final = 1.0
DEVICE: Final = "line"
SETTLE_S: Final = 3.0
FALL_S: Final = (3.0, 9.0)
"""How long the later falls last, shortest and longest."""
FLICKER_S: Final = (0.05, 1.5)
"""At every second of the later falls the unit is back for so long in between, so that it may answer once only."""
BETWEEN_S: Final = 4.0
"""Between two falls: more than the two periods in which a return must be seen."""
ROAD_NS: Final = 1_500_000_000
"""By then the answer that was on the road when the unit fell has been read."""
SEED: Final = 4

MIN_RATE: Final = 0.95
MAX_BACK_PERIODS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How long all is well, how long the first fall lasts, and how many falls come in all."""

    healthy_s: float
    dead_s: float
    falls: int


FULL: Final = Effort(20.0, 40.0, 6)
LONG: Final = Effort(60.0, 300.0, 40)
SHORT: Final = Effort(2.0, 4.0, 1)


class Span(NamedTuple):
    """UTC nanoseconds from and to."""

    from_ns: int
    to_ns: int
    stays: bool = True
    """Afterwards the unit is back for good."""

    @property
    def seconds(self) -> float:
        """Its length."""
        return (self.to_ns - self.from_ns) / 1e9

    @property
    def scans_due(self) -> int:
        """So many whole periods it holds."""
        return int(self.seconds / PERIOD_S)


async def run(*, long: bool) -> Figures:
    """Measure, and judge the times too."""
    figures = await measure(LONG if long else FULL)
    problems = figures["problems"]
    for when in ("healthy", "kept"):
        rate = figures[f"rate_{when}"]
        if rate < MIN_RATE:
            problems.append(
                f"rate_{when}: a living unit had {rate} of its rate, at least {MIN_RATE:g} is promised"
            )
    back = figures["back_periods_max"]
    if back > MAX_BACK_PERIODS:
        problems.append(f"the unit was back after {back} periods, at most {MAX_BACK_PERIODS:g} are promised")
    return {**figures, "verdict": "fail" if problems else "pass"}


async def measure(effort: Effort) -> Figures:
    """Let the unit fall and come back; this verdict says what was counted, not how fast it was.

    Raises:
        ProgramError: the gateway did not come up or end.
    """
    dice, log = random.Random(SEED), AnswerLog()
    units = {n: Unit(f"unit{n}", registers(VALUES), refresh=speak(n)) for n in UNITS}
    async with ModbusPlc(units, log) as plc:
        table = {
            "name": DEVICE,
            "driver": "modbus",
            "host": plc.host,
            "port": plc.port,
            "period_s": PERIOD_S,
            "max_registers": MAX_REGISTERS,
        }
        rows = [row for n in UNITS for row in rows_of_unit(DEVICE, n, VALUES)]
        async with Site(SitePlan(recipients=(), devices=[table], rows=rows)) as site:
            await asyncio.sleep(SETTLE_S)
            healthy = await _while(effort.healthy_s)
            falls = []
            for n in range(effort.falls):
                await asyncio.sleep(dice.uniform(0, PERIOD_S))
                if n % 2:
                    falls.append((await _fall(plc, dice.uniform(*FALL_S)))._replace(stays=False))
                    await asyncio.sleep(dice.uniform(*FLICKER_S))
                falls.append(await _fall(plc, dice.uniform(*FALL_S) if n else effort.dead_s))
                await asyncio.sleep(BETWEEN_S)
            await site.finish()
            names = [point.name for point in load(site.configuration).devices[0].device.points]
            told = unit_scans(recorded_scans(site), names, DEVICE, UNITS, VALUES)
            cut_ns = site.cut_ns
    return judge(told, log.answers(), cut_ns, healthy, falls, plc.writes_seen)


async def _while(seconds: float) -> Span:
    from_ns = time.time_ns()
    await asyncio.sleep(seconds)
    return Span(from_ns, time.time_ns())


async def _fall(plc: ModbusPlc, seconds: float) -> Span:
    plc.dead_units.add(DEAD)
    fall = await _while(seconds)
    plc.dead_units.discard(DEAD)
    return fall


# -- judging ------------------------------------------------------------------------------------------


def judge(
    told: dict[int, UnitScans], answers: Answers, cut_ns: int, healthy: Span, falls: list[Span], writes: int
) -> Figures:
    """What the record says against what the units answered.

    Args:
        told: the record, by unit.
        answers: what the units completed.
        cut_ns: CLOCK_MONOTONIC after which an answer need not be in the record.
        healthy: while every unit answered.
        falls: while ``DEAD`` did not.
        writes: requests that do more than read.
    """
    alive = [n for n in UNITS if n != DEAD]
    back = [round(_back_s(told[DEAD], fall) / PERIOD_S, 2) for fall in falls if fall.stays]
    lost = {n: _lost(told[n], answers, cut_ns, falls) for n in UNITS}
    foreign = sum(int(told[n].foreign().sum()) for n in UNITS)
    false = sum(int((told[DEAD].good & _silent(told[DEAD], fall)).sum()) for fall in falls)
    problems = [f"{n} answers of unit {unit} are not in the record" for unit, n in lost.items() if n]
    if foreign:
        problems.append(f"{foreign} scans with a value of another unit, place or answer")
    if false:
        problems.append(f"{false} good scans of the dead unit from a time in which it answered nothing")
    problems += [f"fall {n}: {why}" for n, fall in enumerate(falls) if (why := _unnamed(told[DEAD], fall))]
    if float("inf") in back:
        problems.append("the unit did not come back")
    if not min(_rate(told[n], [healthy]) for n in alive):
        problems.append("a unit was not read at all while all were alive")
    if writes:
        problems.append(f"{writes} requests that do more than read")
    return {
        "verdict": "fail" if problems else "pass",
        "units": len(UNITS),
        "period_s": PERIOD_S,
        "falls": len(falls),
        "dead_s": round(sum(fall.seconds for fall in falls), 1),
        "rate_healthy": round(min(_rate(told[n], [healthy]) for n in alive), 3),
        "rate_kept": round(min(_rate(told[n], falls) for n in alive), 3),
        "scans_due": sum(fall.scans_due for fall in falls),
        "scans_kept": min(_kept(told[n], falls) for n in alive),
        "back_periods_max": max(back),
        "back_periods": back,
        "answers": len(answers.counter),
        "lost": sum(lost.values()),
        "foreign": foreign,
        "false_good": false,
        "modbus_writes_seen": writes,
        "problems": problems,
    }


def _kept(told: UnitScans, spans: list[Span]) -> int:
    """Good scans in the whole periods of all of these times."""
    period_ns = round(PERIOD_S * 1e9)
    ends = [(span.from_ns, span.from_ns + span.scans_due * period_ns) for span in spans]
    return sum(int((told.good & told.between(*end)).sum()) for end in ends)


def _rate(told: UnitScans, spans: list[Span]) -> float:
    """Good scans in all of these times, by those that the configured period makes due."""
    return _kept(told, spans) / sum(span.scans_due for span in spans)


def _silent(told: UnitScans, fall: Span) -> NDArray[np.bool_]:
    """Which scans come from a time in which the unit answered nothing."""
    return told.between(fall.from_ns + ROAD_NS, fall.to_ns)


def _back_s(told: UnitScans, fall: Span) -> float:
    """From the moment the unit would answer to its first good scan."""
    after = told.taken_ns[told.good & (told.taken_ns >= fall.to_ns)]
    return float(after[0] - fall.to_ns) / 1e9 if len(after) else float("inf")


def _lost(told: UnitScans, answers: Answers, cut_ns: int, falls: list[Span]) -> int:
    """Answers the record lacks; one by which a fallen unit is found to be back is a question, not a reading."""
    kept = set(told.counters.tolist())
    mine = answers.device == answers.names.index(f"unit{told.unit_id}")
    lost = 0
    for counter, mono_ns in zip(
        answers.counter[mine].tolist(), answers.monotonic_ns[mine].tolist(), strict=True
    ):
        found_back = told.unit_id == DEAD and any(
            fall.to_ns <= utc_ns(mono_ns) < fall.to_ns + MAX_BACK_PERIODS * PERIOD_S * 1e9 for fall in falls
        )
        lost += counter not in kept and mono_ns <= cut_ns and not found_back
    return lost


def _unnamed(told: UnitScans, fall: Span) -> str:
    """Why the record does not say plainly that the unit was dead, "" if it does."""
    seen = told.quality[_silent(told, fall)]
    if not len(seen):
        return "no scan says anything of the dead unit"
    if (seen != bad(Cause.COMM)).any():
        return f"the dead unit's points are not all bad by communication: {np.unique(seen).tolist()}"
    return ""
