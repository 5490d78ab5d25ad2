"""The whole road for five seconds: everything read is recorded and acknowledged by both authorities."""

from __future__ import annotations

import asyncio
from typing import Final

from hil.modbus_plc import Unit
from hil.scenarios import Figures
from hil.series import series
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan
from hil.verdict import judge_site

SECONDS: Final = 5.0
LONG_SECONDS: Final = 60.0
REGISTERS: Final = 50
STEPS: Final = 600


async def run(*, long: bool) -> Figures:
    """Bring a small site up, let it run, judge it."""
    shown = series(REGISTERS, STEPS)

    def refresh(unit: Unit) -> None:
        unit.registers[2:] = shown[unit.counter % STEPS]

    rows = [{"tag": f"plc1.{i}", "address": f"4{i + 3:04d}"} for i in range(REGISTERS)]
    plan = SitePlan(modbus=[ModbusDevice("plc1", rows, REGISTERS + 2, refresh)])
    async with Site(plan) as site:
        await asyncio.sleep(LONG_SECONDS if long else SECONDS)
        await site.finish()
        judgement = judge_site(site)
    return {**judgement.figures(), "problems": judgement.problems()}
