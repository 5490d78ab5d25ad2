"""The Modbus driver before the contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import source_contract as contract
from float_registers import registers_device
from source_contract import Subject

from drivers import modbus
from drivers.kit.contract import Post, Source
from drivers.kit.scan import Device, Point

PERIOD_S = 0.1
FLOATS = (
    *(Point(f"t{k}", f"FC03/{k}", type="float32") for k in (0, 2, 4, 300)),
    Point("u", "FC04/0", type="float32"),
)


@asynccontextmanager
async def tcp(_folder: Path) -> AsyncIterator[Subject]:
    def make(port: int, post: Post) -> Source:
        options = modbus.Options("127.0.0.1", port, timeout_s=0.2)
        return modbus.connect(Device("plc", FLOATS, PERIOD_S), options, post)

    async with registers_device(make, len(FLOATS), 0.2 + PERIOD_S) as subject:
        yield subject


STAGES = {"modbus-tcp": (tcp, contract.OF_EVERY_SOURCE + contract.OF_A_WIRE)}
