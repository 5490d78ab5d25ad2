"""A healthy Modbus TCP device behind a wire, whose registers all show one number the contract suite chooses."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from hostile_modbus import Asked, peer
from source_contract import A, Subject, wire_to

from drivers.kit.contract import Post, Source


class Registers:
    """What a device's registers hold: one float32 in every two, or two numbers in turn, one per answer."""

    def __init__(self) -> None:
        self.numbers = [A]
        self.answers = 0

    async def behave(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.answers += 1
        words = struct.unpack(">2H", struct.pack(">f", self.numbers[self.answers % len(self.numbers)]))
        writer.write(asked.answer(lambda register: words[register % 2]))

    async def put(self, number: float) -> None:
        self.numbers = [number]

    @asynccontextmanager
    async def restless(self, one: float, other: float) -> AsyncIterator[None]:
        self.numbers = [one, other]
        yield


@asynccontextmanager
async def registers_device(
    make: Callable[[int, Post], Source], points: int, silent_s: float
) -> AsyncIterator[Subject]:
    registers = Registers()
    async with peer(registers.behave) as device, wire_to(device.port) as wire:
        yield Subject(
            make=lambda post: make(wire.port, post),
            line=wire,
            silent_s=silent_s,
            put=registers.put,
            truth=lambda number: [number] * points,
            restless=registers.restless,
        )
