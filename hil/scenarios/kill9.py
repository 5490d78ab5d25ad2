"""SIGKILL in the middle of a broker's outage: everything recorded arrives once, and the hole is declared.

Ten devices with a hundred registers each, every second. The province's broker is away; the bureau's is not, so
that messages are on the road when the kill comes. What may be missing is what was answered within the last flush
interval before a kill, and nothing else; each such answer must lie within a gap that the record declares.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hil.answered import Window, utc_ns
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.recorded import Recorded, Unrecorded, recorded, strays, unrecorded
from hil.scenarios import Figures
from hil.series import series
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan
from hil.verdict import Judgement, judge_site

DEVICES: Final = 10
REGISTERS: Final = 100
STEPS: Final = 600
FLUSH_S: Final = 1.0
OUT: Final = "province"
BEFORE_S: Final = 3.0
DEAD_S: Final = 0.5
"""Between a kill and the start after it."""
AFTER_S: Final = 4.0
COMMIT_S: Final = 0.5
"""A flush begins at its interval; so long may evaluation and commit take until what it took is durable."""
CATCH_UP_S: Final = 120.0
"""The back-off of a long outage may have grown to a minute by its end."""
SEED: Final = 9

Tamper = Callable[[Site], None]
"""Done to a site between a kill and the start after it."""


@dataclass(frozen=True, slots=True)
class Story:
    """How long the broker is away, and how often the gateway is killed meanwhile."""

    outage_s: float
    kills: int


SHORT: Final = Story(outage_s=30.0, kills=1)
LONG: Final = Story(outage_s=30.0, kills=4)


async def run(*, long: bool) -> Figures:
    """Play and judge."""
    return await play(LONG if long else SHORT)


async def play(story: Story, tamper: Tamper | None = None) -> Figures:
    """Kill and start the gateway while the broker is away, then let everything arrive.

    Args:
        story: how long and how often.
        tamper: what a negative control does to the site between kill and start.
    """
    dice = random.Random(SEED)
    async with Site(SitePlan(modbus=[_device(n) for n in range(DEVICES)], flush_s=FLUSH_S)) as site:
        await asyncio.sleep(BEFORE_S)
        site.kill_broker(OUT)
        back_at_s = time.monotonic() + story.outage_s
        pause_s = story.outage_s / (story.kills + 1)
        windows: list[Window] = []
        for _ in range(story.kills):
            await asyncio.sleep(pause_s + dice.uniform(-FLUSH_S, FLUSH_S) / 2)
            windows.append(await _kill_and_start(site, tamper))
        await asyncio.sleep(max(0.0, back_at_s - time.monotonic()))
        assert site.gateway.running, "the broker comes back only after the restart"
        await site.restart_broker(OUT)
        await asyncio.sleep(AFTER_S)
        await site.drain(CATCH_UP_S)
        await site.finish()
        kept = recorded(site)
        return _figures(site, judge_site(site, windows, kept), kept, windows)


def _device(n: int) -> ModbusDevice:
    shown = series(REGISTERS, STEPS, seed=n)
    name = f"plc{n:02d}"

    def refresh(unit: Unit) -> None:
        unit.registers[COUNTER_REGISTERS:] = shown[unit.counter % STEPS]

    rows = [{"tag": f"{name}.{i}", "address": f"4{i + 3:04d}"} for i in range(REGISTERS)]
    return ModbusDevice(name, rows, REGISTERS + COUNTER_REGISTERS, refresh)


async def _kill_and_start(site: Site, tamper: Tamper | None) -> Window:
    """Returns the time whose answers may be missing: the last flush interval, and what was on the road."""
    from_ns = time.monotonic_ns() - int((FLUSH_S + COMMIT_S) * 1e9)
    site.gateway.kill()
    await asyncio.sleep(DEAD_S)
    to_ns = time.monotonic_ns()
    if tamper is not None:
        tamper(site)
    await site.start_gateway()
    return from_ns, to_ns


def _figures(site: Site, judgement: Judgement, kept: Recorded, windows: list[Window]) -> Figures:
    gaps = [item for item in kept.items("gap") if item["cause"] == "killed"]
    lost = unrecorded(site, kept)
    undeclared = [one for one in lost if not any(_covers(gap, one) for gap in gaps)]
    foreign = [key for name in site.plan.recipients for key in strays(site, name, kept)]
    unclean = sum(bool(item["unclean"]) for item in kept.items("start"))
    problems = judgement.problems()
    if not len(windows) == len(gaps) == unclean:
        problems.append(f"{len(windows)} kills, {unclean} starts that say so, {len(gaps)} gaps declared")
    problems += [f"lost and not declared: {one}" for one in undeclared[:1]]
    problems += [f"sent before it was durable: {key}" for key in foreign[:1]]
    return {
        **judgement.figures(),
        "verdict": "fail" if problems else "pass",
        "kills": len(windows),
        "gaps_declared": len(gaps),
        "answers_lost": len(lost),
        "answers_lost_undeclared": len(undeclared),
        "lost_s_before_kill": _oldest_s(lost, windows),
        "sent_before_durable": len(foreign),
        "problems": problems,
    }


def _covers(gap: dict[str, Any], one: Unrecorded) -> bool:
    return bool(gap["from_ns"] <= one.at_ns <= gap["to_ns"])


def _oldest_s(lost: list[Unrecorded], windows: list[Window]) -> float:
    """How long before its kill the oldest lost answer was complete; what was on the road counts as 0."""
    kills_ns = [utc_ns(from_ns) + int((FLUSH_S + COMMIT_S) * 1e9) for from_ns, _ in windows]
    before = [min((kill - one.at_ns for kill in kills_ns if kill >= one.at_ns), default=0) for one in lost]
    return round(max(before, default=0) / 1e9, 3)
