"""The farm's point table is right by the gateway's own judgement, and its PLC shows the plant."""

import asyncio

import numpy as np
import pytest

from gateway.config import load
from hil.farm import LEVEL_H, LEVEL_HH, PACE, Farm, tag_of
from hil.modbus_plc import Unit
from hil.plant import QUANTITIES, REGISTERS
from hil.site import Site
from hil.site_plan import point_rows


def test_tags_are_unique_and_every_tank_level_has_four_limits_and_a_camera():
    rows = point_rows(Farm().plan())
    assert len({row["tag"] for row in rows}) == len(rows) == 1 + 50 + 6 + 4
    levels = [row for row in rows if str(row["tag"]).startswith("LT-")]
    assert len(levels) == 10
    assert all({"ll", "l", "h", "hh"} <= row.keys() and row["camera"] == "cam1" for row in levels)


def test_the_registers_carry_the_plant():
    farm = Farm("en")
    device = farm.plan().modbus[0]
    unit = Unit("plc1", REGISTERS)
    farm.plant.step(1.0)
    device.refresh(unit)
    row = next(row for row in device.rows if row["tag"] == tag_of(farm.tank, 0))
    raw = int(unit.registers[int(row["address"][1:]) - 1])
    assert np.isclose(raw * row["scale"] + row["offset"], farm.level(), atol=0.2)
    assert row["description"] == f"tank {farm.tank + 1} level"


def test_an_overfilled_tank_reaches_its_upper_limits_and_comes_back():
    farm = Farm()
    farm.plant.overfill(farm.tank)
    seconds = 0
    while farm.level() < LEVEL_HH:
        farm.plant.step(60.0)
        seconds += 1
        assert seconds < 20, "the story of the demo has no longer"
    farm.plant.stop(farm.tank)
    for _ in range(10):
        farm.plant.step(60.0)
    assert farm.level() < 83.0
    others = np.delete(farm.plant.level_percent, farm.tank)
    assert (others < 80).all()
    assert (others > 25).all()
    assert len(QUANTITIES) == 5


def test_how_long_a_tank_takes_to_its_limit_is_known():
    farm = Farm()
    tank = farm.fullest_beside()
    seconds = farm.seconds_to_high(tank)
    farm.plant.overfill(tank)
    farm.plant.step(seconds * PACE)
    assert float(farm.plant.level_percent[tank]) == pytest.approx(LEVEL_H, abs=0.2)
    assert farm.seconds_to_high(tank) < 0.1


def test_the_gateway_takes_the_farm_s_configuration(tmp_path):
    site = Site(Farm().plan(), tmp_path)

    async def written():
        from contextlib import AsyncExitStack

        async with AsyncExitStack() as stack:
            await site._start_field(stack)
            site.plan = site.plan.__class__(
                **{name: getattr(site.plan, name) for name in site.plan.__slots__} | {"recipients": ()}
            )
            site._write()

    asyncio.run(written())
    config = load(site.configuration)
    assert [len(device.points) for device in config.devices] == [51, 10]
