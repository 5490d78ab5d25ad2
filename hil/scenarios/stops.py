"""Stops at random moments: each clean within five seconds, no thread, task or socket left, nothing lost.

A whole house runs in a thread of the bench (``hil.house``) against real brokers and receivers and simulated PLCs,
again and again. Half of the stops come at a uniformly random time after the start, half at the beginning of a
phase (the one hit least so far) or a moment after it. A few more stop the installed command by SIGTERM. In the
end everything the PLCs answered must have arrived, what was on the road at a stop excepted, and the record must
know of no unclean stop.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from gateway.config import load
from hil.house import Moment, Stop, live
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.phases import PHASES, WAIT, Phases
from hil.program import ProgramError
from hil.readings import percentile
from hil.recorded import Recorded, recorded
from hil.scenarios import Figures
from hil.site import Site
from hil.site_plan import CameraView, ModbusDevice, OpcuaDevice, SitePlan
from hil.verdict import Judgement, judge_site

SEED: Final = 20
DEVICES: Final = 2
REGISTERS: Final = 10
CAMERA: Final = "cam1"
PERIOD_S: Final = 0.1
FLUSH_S: Final = 0.2
ANSWER_S: Final = 0.01
"""The PLCs take their time, so that a stop may come between question and answer."""
HIGH: Final = 700
WAVE: Final = 5
"""The watched register is high for so many answers, then low for as many."""
LATEST_S: Final = 1.0
"""Random stops come up to so long after the start."""
MOMENT_S: Final = 0.004
MOST_TURNS: Final = 3
SETTLED_S: Final = 0.3
ROAD_S: Final = 0.25
"""An answer given so shortly before a stop may not have been judged and recorded."""
CATCH_UP_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How many stops in this process, and how many of the installed command."""

    stops: int
    commands: int

    @property
    def least_hits(self) -> int:
        """Of each phase."""
        return self.stops // 10


SHORT: Final = Effort(60, 3)
LONG: Final = Effort(300, 20)


async def run(*, long: bool) -> Figures:
    """Stop and judge."""
    return await play(LONG if long else SHORT)


async def play(effort: Effort, seed: int = SEED) -> Figures:
    """Start and stop again and again.

    Args:
        effort: how often.
        seed: of the moments.
    """
    dice = random.Random(seed)
    hits: Counter[str] = Counter(dict.fromkeys(PHASES, 0))
    plan = SitePlan(
        modbus=[_device(n) for n in range(DEVICES)],
        opcua=OpcuaDevice("ua1", [{"tag": "ua1.gas", "address": "gas"}], ("gas",), ()),
        cameras=(CameraView(CAMERA, lambda: 50.0),),
        flush_s=FLUSH_S,
        outputs=({"name": "lamp", "kind": "command", "argv": ["/bin/true"]},),
    )
    async with Site(plan) as site:
        for plc in site.plcs.values():
            plc.delay_s = ANSWER_S
        commands = [await _stop_command(site, dice)]
        stops: list[Stop] = []
        config = load(site.configuration)
        with Phases() as phases:
            for n in range(effort.stops):
                stop = await live(config, _moment(n, dice, hits), phases)
                stop.problems += [f"left: {path}" for path in site.control.parent.iterdir()]
                stops.append(stop)
                hits.update(stop.hit)
        for _ in range(effort.commands - 1):
            await site.start_gateway()
            commands.append(await _stop_command(site, dice))
        await site.start_gateway()
        await site.drain(CATCH_UP_S)
        await site.finish()
        windows = [(one.asked_ns - int(ROAD_S * 1e9), one.ended_ns) for one in (*stops, *commands)]
        kept = recorded(site)
        return _figures(effort, seed, (stops, commands), hits, judge_site(site, windows, kept), kept)


def _device(n: int) -> ModbusDevice:
    name = f"plc{n}"

    def refresh(unit: Unit) -> None:
        unit.registers[COUNTER_REGISTERS] = HIGH + 1 if (unit.counter // WAVE + n) % 2 else 0

    rows: list[dict[str, object]] = [
        {"tag": f"{name}.{i}", "address": f"4{i + 3:04d}"} for i in range(REGISTERS)
    ]
    rows[0].update(h=HIGH, camera=CAMERA)
    return ModbusDevice(name, rows, REGISTERS + COUNTER_REGISTERS, refresh, PERIOD_S)


def _moment(n: int, dice: random.Random, hits: Counter[str]) -> Moment:
    if n % 2 == 0:
        return Moment(after_s=dice.uniform(0.0, LATEST_S))
    phase = min(PHASES, key=lambda one: (hits[one], dice.random()))
    if phase == WAIT:
        return Moment(phase, after_s=dice.uniform(SETTLED_S, LATEST_S))
    # Judging takes no time in which anything else could happen: the stop comes from within.
    after_s = 0.0 if phase == "evaluate" else dice.choice((0.0, dice.uniform(0.0, MOMENT_S)))
    return Moment(phase, dice.randint(1, MOST_TURNS), after_s)


async def _stop_command(site: Site, dice: random.Random) -> Stop:
    """SIGTERM to the running command after a random while."""
    await asyncio.sleep(dice.uniform(0.0, LATEST_S))
    stop = Stop(asked_ns=time.monotonic_ns())
    said = site.gateway.log.stat().st_size
    try:
        await site.stop_gateway()
    except ProgramError as e:
        stop.problems.append(str(e))
    stop.ended_ns = time.monotonic_ns()
    with site.gateway.log.open("rb") as log:
        log.seek(said)
        stop.problems += [line.decode() for line in log if b" ERROR " in line or b"Traceback" in line]
    return stop


def _figures(
    effort: Effort,
    seed: int,
    both: tuple[list[Stop], list[Stop]],
    hits: Counter[str],
    judgement: Judgement,
    kept: Recorded,
) -> Figures:
    stops, commands = both
    problems = judgement.problems()
    unclean = [stop for stop in (*stops, *commands) if stop.problems]
    problems += [
        f"stop during {'+'.join(sorted(stop.hit))}: {'; '.join(stop.problems)}" for stop in unclean[:5]
    ]
    problems += [
        f"only {hits[phase]} stops hit {phase}" for phase in PHASES if hits[phase] < effort.least_hits
    ]
    told = [item for item in kept.items("start") if item["unclean"]] + kept.items("gap")
    problems += [f"the record knows of an unclean stop: {item}" for item in told[:1]]
    took_s = [stop.took_s for stop in (*stops, *commands)]
    left: Counter[str] = Counter(
        line.split()[1] for stop in unclean for line in stop.problems if line.startswith("left: ")
    )
    figures: dict[str, Any] = judgement.figures()
    return {
        **figures,
        "verdict": "fail" if problems else "pass",
        "seed": seed,
        "stops": len(stops),
        "stops_of_the_command": len(commands),
        "unclean": len(unclean),
        "hits": dict(hits),
        "left": dict(left),
        "stop_s_p50": percentile(took_s, 50),
        "stop_s_max": round(max(took_s), 2),
        "problems": problems,
    }
