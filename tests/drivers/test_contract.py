"""The contract suite over every driver, and over five broken ones that it must turn red for."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import broken_gauges
import pytest
import source_contract as contract
from added import gauge
from hostile_box import Kernel
from hostile_modbus import Asked, peer
from source_contract import Promise, Subject, wire_to

from drivers import modbus
from drivers.kit.contract import Post, Source
from drivers.kit.scan import Device, Point

PERIOD_S = 0.1
Stage = Callable[[Path], AbstractAsyncContextManager[Subject]]


class Registers:
    """What a device's registers hold: one float32 in every two, or two numbers in turn, one per answer."""

    def __init__(self) -> None:
        self.numbers = [contract.A]
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
async def modbus_device(
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


GAUGES = (Point("a", "0"), Point("b", "100"))


@asynccontextmanager
async def gauges(_folder: Path, kind: type[gauge.GaugeSource] = gauge.GaugeSource) -> AsyncIterator[Subject]:
    def make(port: int, post: Post) -> Source:
        options = gauge.Options("127.0.0.1", port, timeout_s=0.3)
        return kind(Device("hall", GAUGES, PERIOD_S), options, post)

    async with modbus_device(make, len(GAUGES), 0.3 + PERIOD_S) as subject:
        yield subject


FLOATS = (
    *(Point(f"t{k}", f"FC03/{k}", type="float32") for k in (0, 2, 4, 300)),
    Point("u", "FC04/0", type="float32"),
)


@asynccontextmanager
async def modbus_tcp(_folder: Path) -> AsyncIterator[Subject]:
    def make(port: int, post: Post) -> Source:
        options = modbus.Options("127.0.0.1", port, timeout_s=0.2)
        return modbus.connect(Device("plc", FLOATS, PERIOD_S), options, post)

    async with modbus_device(make, len(FLOATS), 0.2 + PERIOD_S) as subject:
        yield subject


@asynccontextmanager
async def this_box(folder: Path) -> AsyncIterator[Subject]:
    kernel = Kernel(folder)
    readings = ("memory.available", "cpu.temperature", "power.fail", "link.eth0", "disk.wear")
    yield Subject(
        make=lambda post: kernel.source(readings, post, period_s=PERIOD_S, timeout_s=0.5),
        line=kernel,
        silent_s=0.5 + PERIOD_S,
    )
    await kernel.mend()


STAGES: dict[str, tuple[Stage, tuple[Promise, ...]]] = {
    "gauge": (gauges, contract.OF_EVERY_SOURCE + contract.OF_A_WIRE),
    "modbus-tcp": (modbus_tcp, contract.OF_EVERY_SOURCE + contract.OF_A_WIRE),
    "host": (this_box, contract.OF_EVERY_SOURCE),
}


def keep(stage: Stage, promise: Promise, folder: Path) -> None:
    async def story() -> None:
        async with stage(folder) as subject:
            await promise(subject)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("driver", "promise"),
    [
        pytest.param(name, promise, id=f"{name}-{promise.__name__}")
        for name, (_, promises) in STAGES.items()
        for promise in promises
    ],
)
def test_every_driver_keeps_every_promise(driver: str, promise: Promise, tmp_path: Path) -> None:
    stage, _ = STAGES[driver]
    keep(stage, promise, tmp_path)


@pytest.mark.parametrize(
    ("broken", "promise", "seen"),
    [
        (
            broken_gauges.AcceptsAForeignTransaction,
            contract.an_old_answer_is_never_taken_for_a_new_one,
            "a number that the device never showed",
        ),
        (
            broken_gauges.TearsAFloat,
            contract.a_value_is_never_torn,
            "a number that the device never showed",
        ),
        (
            broken_gauges.KeepsAStaleValueGood,
            contract.silence_is_told_in_time_and_nothing_stale_is_good,
            "a silent device is not said",
        ),
        (
            broken_gauges.SwallowsCancellation,
            contract.OF_EVERY_SOURCE[0],
            r"run\(\) did not end by cancellation",
        ),
        (
            broken_gauges.LeaksASocket,
            contract.OF_EVERY_SOURCE[0],
            "sockets left behind",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_suite_turns_red_for_a_broken_driver(
    broken: type[gauge.GaugeSource], promise: Promise, seen: str, tmp_path: Path
) -> None:
    leaked: list[gauge.Line] = []
    if broken is broken_gauges.LeaksASocket:
        broken_gauges.LeaksASocket.leaked = leaked

    async def story() -> None:
        async with gauges(tmp_path, broken) as subject:
            try:
                with pytest.raises(AssertionError, match=seen):
                    await promise(subject)
            finally:
                for _, writer in leaked:
                    writer.transport.abort()
                await asyncio.sleep(0.01)

    asyncio.run(story())
