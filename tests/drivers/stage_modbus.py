"""The Modbus driver before the contract suite."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import float_registers
import ptys
import source_contract as contract
from float_registers import PERIOD_S, registers_device, serial_device
from source_contract import Subject

from drivers import modbus
from drivers.kit.contract import Post, Source
from drivers.kit.overheard import OVERHEARD_PERIODS
from drivers.kit.scan import Device, Point

FLOATS = (
    *(Point(f"t{k}", f"FC03/{k}", type="float32") for k in (0, 2, 4, 300)),
    Point("u", "FC04/0", type="float32"),
)


TIMEOUT_S = 0.2


def source(post: Post, **keys: Any) -> Source:
    return modbus.connect(Device("plc", FLOATS, PERIOD_S), modbus.Options(timeout_s=TIMEOUT_S, **keys), post)


@asynccontextmanager
async def over_tcp(_folder: Path, transport: str, device: float_registers.Device) -> AsyncIterator[Subject]:
    def make(port: int, post: Post) -> Source:
        return source(post, host="127.0.0.1", port=port, transport=transport, baud=115_200)

    async with registers_device(make, len(FLOATS), TIMEOUT_S + PERIOD_S, device) as subject:
        yield subject


@asynccontextmanager
async def on_a_line(folder: Path) -> AsyncIterator[Subject]:
    def make(path: str, post: Post) -> Source:
        return source(post, serial=path, transport="rtu", baud=115_200)

    async with serial_device(make, len(FLOATS), TIMEOUT_S + PERIOD_S, folder) as subject:
        yield subject


HEARD = (ptys.Asked(1, 3, 0, 6), ptys.Asked(1, 3, 300, 2), ptys.Asked(1, 4, 0, 2))


@asynccontextmanager
async def overheard(folder: Path) -> AsyncIterator[Subject]:
    def make(path: str, post: Post) -> Source:
        return source(post, serial=path, transport="listen", baud=115_200)

    silent_s = OVERHEARD_PERIODS * PERIOD_S + TIMEOUT_S
    async with serial_device(make, len(FLOATS), silent_s, folder, HEARD) as subject:
        yield subject


WITHOUT_TRANSACTIONS = tuple(
    promise
    for promise in contract.OF_A_WIRE
    if promise is not contract.an_old_answer_is_never_taken_for_a_new_one
)
"""An RTU answer names no question: a repeated one cannot be told. That a late one is never taken is in
``test_modbus_rtu.py``."""

POLLED = contract.OF_EVERY_SOURCE + contract.OF_A_POLLED_SOURCE

STAGES = {
    "modbus-tcp": (
        partial(over_tcp, transport="tcp", device=float_registers.tcp_device),
        POLLED + contract.OF_A_WIRE,
    ),
    "modbus-rtu_over_tcp": (
        partial(over_tcp, transport="rtu_over_tcp", device=float_registers.converter),
        POLLED + WITHOUT_TRANSACTIONS,
    ),
    "modbus-listen": (overheard, POLLED + WITHOUT_TRANSACTIONS),
    "modbus-rtu": (on_a_line, POLLED + WITHOUT_TRANSACTIONS),
}
