"""Healthy Modbus devices whose registers all show one number the contract suite chooses: TCP, RTU in TCP, RTU."""

from __future__ import annotations

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import hostile_modbus
import ptys
from source_contract import A, Meddle, Subject, wire_to

from drivers.kit.contract import Post, Source

PERIOD_S = 0.1
"""Of every driver before these devices."""


class Registers:
    """What a device's registers hold: one float32 in every two, or two numbers in turn, one per answer."""

    def __init__(self) -> None:
        self.numbers = [A]
        self.answers = 0

    def memory(self) -> Callable[[int], int]:
        """What the registers hold for one answer."""
        self.answers += 1
        words = struct.unpack(">2H", struct.pack(">f", self.numbers[self.answers % len(self.numbers)]))
        return lambda register: words[register % 2]

    async def behave(self, asked: hostile_modbus.Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.answer(self.memory()))

    async def put(self, number: float) -> None:
        self.numbers = [number]

    @asynccontextmanager
    async def restless(self, one: float, other: float) -> AsyncIterator[None]:
        self.numbers = [one, other]
        yield


@asynccontextmanager
async def tcp_device(registers: Registers) -> AsyncIterator[int]:
    async with hostile_modbus.peer(registers.behave) as device:
        yield device.port


@asynccontextmanager
async def converter(registers: Registers) -> AsyncIterator[int]:
    """RTU frames in TCP, as a serial device server passes them on."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while True:
                asked = ptys.Asked(*struct.unpack(">BBHH2x", await reader.readexactly(8)))
                writer.write(asked.answer(registers.memory()))
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


Device = Callable[[Registers], AbstractAsyncContextManager[int]]


@asynccontextmanager
async def registers_device(
    make: Callable[[int, Post], Source], points: int, silent_s: float, device: Device = tcp_device
) -> AsyncIterator[Subject]:
    registers = Registers()
    async with device(registers) as port, wire_to(port) as wire:
        yield Subject(
            make=lambda post: make(wire.port, post),
            line=wire,
            silent_s=silent_s,
            period_s=PERIOD_S,
            put=registers.put,
            truth=lambda number: [number] * points,
            restless=registers.restless,
            has_checksum=device is converter,
        )


class SerialWire:
    """A serial line to one unit; cut, its tty is gone. Has the face of ``source_contract.Wire``."""

    def __init__(self, path: Path, registers: Registers) -> None:
        self.path = path
        self.meddle: Meddle | None = None
        self.answers: deque[bytes] = deque(maxlen=64)
        self.fault: Exception | None = None
        self._registers = registers
        self._held = False
        self._line = ExitStack()
        self._meddling: set[asyncio.Task[Any]] = set()

    async def mend(self) -> None:
        self._held = False
        if not self.path.is_symlink():
            bus = self._line.enter_context(ptys.line(self._behave))
            self.path.symlink_to(bus.path)

    def hold(self) -> None:
        self._held = True

    async def cut(self) -> None:
        for task in list(self._meddling):
            task.cancel()
        self.path.unlink(missing_ok=True)
        self._line.close()

    def _behave(self, bus: ptys.Bus, asked: ptys.Asked) -> None:
        answer = asked.answer(self._registers.memory())
        if self._held:
            return
        if self.meddle is None:
            self.answers.append(answer)
            bus.send(answer)
            return
        task = asyncio.get_running_loop().create_task(self._mangled(self.meddle, answer, bus))
        self._meddling.add(task)
        task.add_done_callback(self._meddling.discard)

    async def _mangled(self, meddle: Meddle, answer: bytes, bus: ptys.Bus) -> None:
        try:
            await meddle(answer, _Sink(bus))  # type: ignore[arg-type]
        except OSError:
            pass  # the line was cut meanwhile
        except Exception as fault:  # noqa: BLE001 - a defect of the suite, raised at its end
            self.fault = fault


class OverheardWire(SerialWire):
    """A line whose master is somebody else: questions and answers are both played, the driver only listens."""

    def __init__(self, path: Path, registers: Registers, questions: Sequence[ptys.Asked]) -> None:
        super().__init__(path, registers)
        self._questions = questions

    async def mend(self) -> None:
        if not self.path.is_symlink():
            bus = self._line.enter_context(ptys.line(_never_asked))
            self.path.symlink_to(bus.path)
            task = asyncio.get_running_loop().create_task(self._play(bus))
            self._meddling.add(task)
            task.add_done_callback(self._meddling.discard)
        self._held = False

    async def _play(self, bus: ptys.Bus) -> None:
        """The master's rounds, with the pauses by which frames are told apart."""
        with suppress(OSError):
            while True:
                for asked in self._questions:
                    head = bytes((asked.unit, asked.function_code))
                    bus.send(ptys.framed(head + struct.pack(">HH", asked.start, asked.count)))
                    await asyncio.sleep(0.005)
                    self._behave(bus, asked)
                    await asyncio.sleep(0.01)


def _never_asked(_bus: ptys.Bus, asked: ptys.Asked) -> None:
    raise AssertionError(f"a listener asked {asked}")


class _Sink:
    """What a ``Meddle`` writes to."""

    def __init__(self, bus: ptys.Bus) -> None:
        self.write = bus.send

    async def drain(self) -> None:
        return

    def close(self) -> None:
        """A serial line has no end that the other side would notice."""


@asynccontextmanager
async def serial_device(
    make: Callable[[str, Post], Source],
    points: int,
    silent_s: float,
    folder: Path,
    overheard: Sequence[ptys.Asked] = (),
) -> AsyncIterator[Subject]:
    """A unit at the end of a tty; with ``overheard`` questions, another master on the line that asks them."""
    registers, path = Registers(), folder / "tty"
    wire = OverheardWire(path, registers, overheard) if overheard else SerialWire(path, registers)
    await wire.mend()
    try:
        yield Subject(
            make=lambda post: make(str(wire.path), post),
            line=wire,
            silent_s=silent_s,
            period_s=PERIOD_S,
            put=registers.put,
            truth=lambda number: [number] * points,
            restless=registers.restless,
            has_checksum=True,
        )
    finally:
        await wire.cut()
    if wire.fault is not None:
        raise wire.fault
