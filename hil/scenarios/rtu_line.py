"""RTU on a paced line, 32 units, one silent, one late, one garbled: no foreign value is ever taken for one's own.

The real gateway reads 32 units of a simulated RS-485 line (``hil.rtu_bus``): over a socat pair at 9600 and at 115200
baud, through a converter that passes RTU frames on over TCP, and listening only while a control system is the
master. RTU answers carry no transaction: one that comes late looks like the answer to the next question. Here every
value says its unit, its place and its answer, and the line knows to which request each answer belonged. Of every
good value in the durable record is asked:

- foreign: does it say another unit, place or answer than it stands for (or is it torn between two)?
- invented: was its answer given at all, sound, and before it was recorded?
- stale: was it the answer to the last question its unit had been asked by then? Where the gateway only listens: was
  it on time, or did another question come before it was through?
- twice: does the same answer stand for two scans? (Not where it listens: there a value stands until the next.)

The late unit answers some of its questions in time, the others up to two and a half time-outs after them, so that its
answers meet other units' questions and its own next one.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from drivers.kit.quality import is_good
from gateway.config import load
from hil.answered import utc_ns
from hil.modbus_plc import Unit
from hil.recorded import recorded_scans
from hil.rtu_bus import Asked, Dcs, RtuBus
from hil.scenarios import Figures
from hil.serial_pair import SerialPair
from hil.site import Site
from hil.site_plan import SitePlan
from hil.speaking import UnitScans, registers, rows_of_unit, speak, unit_scans

DEVICE: Final = "line"
UNITS: Final = range(1, 33)
SILENT: Final = 7
LATE: Final = 19
GARBLED: Final = 28
LIVING: Final = tuple(n for n in UNITS if n not in {SILENT, LATE, GARBLED})
VALUES: Final = 3
TIMEOUT_S: Final = 0.3
ON_TIME_SHARE: Final = 0.4
LATENESS: Final = (0.8, 2.5)
"""In time-outs."""
GARBLED_SHARE: Final = 0.2
SEED: Final = 32
LEAST_LATE: Final = 2
"""Fewer late answers than this show nothing."""
LEAST_GOOD: Final = 2
"""A living unit with fewer good scans was not read."""
MIN_SHARE_LIVING: Final = 0.9
"""Of the scans of a line on which late answers meet others, these are whole for each living unit."""
MIN_SHARE_GARBLED: Final = 0.5
"""Likewise for the unit of which every fifth answer is destroyed."""


@dataclass(frozen=True, slots=True)
class Way:
    """How the gateway comes to the line.

    Attributes:
        transport: as in gateway.toml.
        baud: of the line.
        period_s: time between two scans; the 32 units take half of it or less.
    """

    transport: str
    baud: int
    period_s: float

    @property
    def name(self) -> str:
        """In figures and problems."""
        return f"{self.transport}-{self.baud}"


WAYS: Final = (
    Way("rtu", 9_600, 3.0),
    Way("rtu", 115_200, 1.5),
    Way("rtu_over_tcp", 115_200, 1.5),
    Way("listen", 115_200, 1.5),
)


@dataclass(frozen=True, slots=True)
class Effort:
    """How many scans, and over which ways."""

    scans: int
    ways: tuple[Way, ...] = WAYS


FULL: Final = Effort(30)
LONG: Final = Effort(600)
SHORT: Final = Effort(6)


@dataclass(slots=True)
class Verdict:
    """What became of one way.

    Attributes:
        count: good values by what is wrong with them, and how many scans of units were looked at.
        examples: one of each.
    """

    count: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def note(self, what: str, example: object) -> None:
        """One more of it."""
        self.count[what] += 1
        self.examples.setdefault(what, str(example))


WRONG: Final = ("foreign", "invented", "stale", "twice")


async def run(*, long: bool) -> Figures:
    """Play, and judge how often the units were read, too."""
    figures = await measure(LONG if long else FULL)
    problems = figures["problems"]
    for name, line in figures["lines"].items():
        for of, least in (("living", MIN_SHARE_LIVING), ("garbled_unit", MIN_SHARE_GARBLED)):
            share = line[f"read_share_{of}"]
            if share < least:
                problems.append(
                    f"{name}: {of} was read in {share} of the scans, at least {least:g} is expected"
                )
    return {**figures, "verdict": "fail" if problems else "pass"}


async def measure(effort: Effort) -> Figures:
    """Every way, one after the other.

    Raises:
        ProgramError: the gateway did not come up or end.
        ToolMissingError: socat is not installed.
    """
    lines = {way.name: await _play(way, effort.scans) for way in effort.ways}
    problems = [f"{name}: {problem}" for name, line in lines.items() for problem in line.pop("problems")]
    wrong = {what: sum(line[what] for line in lines.values()) for what in WRONG}
    writes = sum(line["modbus_writes_seen"] for line in lines.values())
    return {
        "verdict": "fail" if problems else "pass",
        **wrong,
        "modbus_writes_seen": writes,
        "lines": lines,
        "problems": problems,
    }


async def _play(way: Way, scans: int) -> Figures:
    dice = random.Random(SEED)

    def late_s() -> float:
        return 0.0 if dice.random() < ON_TIME_SHARE else TIMEOUT_S * dice.uniform(*LATENESS)

    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="plantgate-rtu-line-")))
        bus = RtuBus(
            {n: Unit(f"unit{n}", registers(VALUES), refresh=speak(n)) for n in UNITS}, way.baud, seed=SEED
        )
        stack.callback(bus.close)
        bus.plc.dead_units.add(SILENT)
        bus.late_s[LATE] = late_s
        bus.garbled[GARBLED] = GARBLED_SHARE
        table: dict[str, object] = {
            "name": DEVICE,
            "driver": "modbus",
            "transport": way.transport,
            "baud": way.baud,
            "period_s": way.period_s,
            "timeout_s": TIMEOUT_S,
        }
        table |= await _ends(stack, bus, way, folder)
        rows = [row for n in UNITS for row in rows_of_unit(DEVICE, n, VALUES)]
        site = await stack.enter_async_context(
            Site(SitePlan(recipients=(), devices=[table], rows=rows), folder / "site")
        )
        began, busy_s = time.monotonic(), bus.busy_s
        await asyncio.sleep(scans * way.period_s)
        busy = (bus.busy_s - busy_s) / (time.monotonic() - began)
        status = await site.status()
        await site.finish()
        names = [point.name for point in load(site.configuration).devices[0].device.points]
        told = unit_scans(recorded_scans(site), names, DEVICE, UNITS, VALUES)
    listening = way.transport == "listen"
    verdict = judge(told, bus.asked, listening=listening)
    return _figures(verdict, bus, told, listening=listening) | {
        "bus_busy_percent": round(100 * busy, 1),
        "bus_load_percent_said": status["sources"][0].get("load_percent"),
        "counters": status["sources"][0]["counters"],
    }


async def _ends(stack: AsyncExitStack, bus: RtuBus, way: Way, folder: Path) -> dict[str, object]:
    """Join line and gateway; returns the keys by which the gateway finds it."""
    if way.transport == "rtu_over_tcp":
        server = await stack.enter_async_context(await bus.serve_tcp())
        host, port = server.sockets[0].getsockname()
        return {"host": host, "port": port}
    pair = await stack.enter_async_context(SerialPair(folder))
    stack.enter_context(bus.open_tty(pair.bus))
    if way.transport == "listen":
        reads = [bytes((n, 3, 0, 0, 0, registers(VALUES))) for n in UNITS]
        writes = [
            bytes((1, 6, 0, 2, 0, 7)),
            bytes((2, 5, 0, 1, 0xFF, 0)),
            bytes((3, 16, 0, 2, 0, 1, 2, 0, 7)),
        ]
        master = asyncio.create_task(Dcs(bus, reads, writes, TIMEOUT_S).run())
        stack.push_async_callback(_end, master)
    return {"serial": str(pair.asker)}


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


# -- judging ------------------------------------------------------------------------------------------


def judge(told: dict[int, UnitScans], asked: Sequence[Asked], *, listening: bool) -> Verdict:
    """Ask of every good value where it comes from.

    Args:
        told: the record, by unit.
        asked: every request on the line, in order.
        listening: the gateway asked none of them.
    """
    verdict = Verdict()
    next_ns = [*(one.mono_ns for one in asked[1:]), 2**63 - 1][: len(asked)]
    for unit, scans in told.items():
        mine = [(one, after_ns) for one, after_ns in zip(asked, next_ns, strict=True) if one.unit_id == unit]
        answers = {
            one.counter: (one, after_ns) for one, after_ns in mine if one.counter >= 0 and not one.collided
        }
        seen: set[int] = set()
        foreign = scans.foreign()
        for k, counter in enumerate(scans.counters.tolist()):
            verdict.count["looked_at"] += 1
            where = f"unit {unit}, scan {k}, counter {counter}"
            if foreign[k]:
                verdict.note("foreign", f"{where}: {scans.values[k].tolist()}")
            if counter < 0:
                continue
            taken_ns = int(scans.taken_ns[k]) - utc_ns(0)
            answer, after_ns = answers.get(counter, (None, 0))
            if answer is None or not 0 < answer.done_ns <= taken_ns:
                verdict.note("invented", f"{where}: {answer}, taken {taken_ns}")
            elif listening:
                if answer.done_ns > after_ns:
                    verdict.note("stale", f"{where}: {answer}, the next question came at {after_ns}")
            elif answer is not [one for one, _ in mine if one.mono_ns <= taken_ns][-1]:
                verdict.note("stale", f"{where}: {answer}, taken {taken_ns}")
            if counter in seen and not listening:
                verdict.note("twice", where)
            seen.add(counter)
    return verdict


def _figures(verdict: Verdict, bus: RtuBus, told: dict[int, UnitScans], *, listening: bool) -> dict[str, Any]:
    late = [one for one in bus.asked if one.counter >= 0 and one.done_ns - one.mono_ns > TIMEOUT_S * 1e9]
    good = {n: int(is_good(told[n].quality).all(axis=1).sum()) for n in UNITS}
    problems = [
        f"{verdict.count[what]} {what}: {verdict.examples[what]}" for what in WRONG if verdict.count[what]
    ]
    problems += [f"living unit {n} was read {good[n]} times" for n in LIVING if good[n] < LEAST_GOOD]
    if good[SILENT]:
        problems.append(f"the silent unit has {good[SILENT]} good scans")
    if len(late) < LEAST_LATE:
        problems.append(f"only {len(late)} answers came late: this shows nothing")
    if bus.writes_seen:
        problems.append(f"{bus.writes_seen} requests that do more than read, or are none")
    if listening and bus.taken_bytes:
        problems.append(f"the gateway put {bus.taken_bytes} bytes on a line it only listens to")
    rounds = max(len(scans.taken_ns) for scans in told.values())
    return {
        **{what: verdict.count[what] for what in WRONG},
        "unit_scans": verdict.count["looked_at"],
        "asked": len(bus.asked),
        "late_answers": len(late),
        "collisions": bus.collisions,
        "modbus_writes_seen": bus.writes_seen,
        "scans": rounds,
        "read_share_living": round(min(good[n] for n in LIVING) / max(1, rounds), 3),
        "read_share_late_unit": round(good[LATE] / max(1, rounds), 3),
        "read_share_garbled_unit": round(good[GARBLED] / max(1, rounds), 3),
        "problems": problems,
    }
