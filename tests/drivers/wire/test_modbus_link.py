"""One connection, used once: the plain answer, what ends it, what no link sends, and an ear that cannot."""

from __future__ import annotations

import asyncio
import struct

import pytest
from hostile_modbus import Asked, identity, peer, right
from ptys import line

from drivers.kit import mbap, rtu
from drivers.kit.errors import SourceError, WriteRefusedError
from drivers.kit.pace import Load
from drivers.kit.planner import Block
from drivers.kit.quality import Cause
from drivers.wire.modbus_link import Ear, Link, RtuLink, SilentError
from drivers.wire.serial import Line, open_line

WRITES = (0, 5, 6, 8, 15, 16, 22, 23, 43, 0x83)


def tcp_question(start: int = 3, count: int = 2) -> mbap.Question:
    block = Block(1, 3, start, count, (0,))
    return mbap.Question(block, struct.pack(">HHBBHH", 0, 6, 1, 3, start, count))


def rtu_question(start: int = 3, count: int = 2) -> rtu.Question:
    body = struct.pack(">BBHH", 1, 3, start, count)
    return rtu.Question(Block(1, 3, start, count, (0,)), body + rtu.crc(body))


async def linked(port: int, load: Load | None = None) -> Link:
    load = load or Load(0.0)
    _, link = await asyncio.get_running_loop().create_connection(lambda: Link(load), "127.0.0.1", port)
    return link


def test_an_answer_its_refusal_and_the_time_it_took() -> None:
    async def story() -> None:
        async with peer(right) as device:
            load = Load(0.0)
            link = await linked(device.port, load)
            assert await link.ask(tcp_question(), 1.0) == struct.pack(">HH", 3, 4)
            assert 0 < load.busy_s < 1

            async def refuse(asked: Asked, writer: asyncio.StreamWriter) -> None:
                writer.write(asked.refuse(2))

            device.behave = refuse
            assert await link.ask(tcp_question(), 1.0) == 2
            assert link.talk.answers == 2
            assert link.transaction == 2
            await link.close()
            with pytest.raises(SourceError, match="closed by the gateway"):
                await link.ask(tcp_question(), 1.0)

    asyncio.run(story())


def test_silence_is_told_in_time_and_a_late_answer_is_not_the_next_ones() -> None:
    async def story() -> None:
        async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.1)
            writer.write(asked.answer(identity))

        async with peer(slow) as device:
            link = await linked(device.port)
            with pytest.raises(SilentError):
                await link.ask(tcp_question(), 0.05)
            await asyncio.sleep(0.1)
            assert link.talk.answers == 0
            assert await link.ask(tcp_question(9), 5.0) == struct.pack(">HH", 9, 10)
            assert link.talk.late == 1
            assert 0.1 <= link.took_s < 5
            await link.close()

    asyncio.run(story())


def test_what_is_garbled_ends_the_connection_and_whoever_waits_is_told() -> None:
    async def story() -> None:
        async def foreign(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(asked.answer(identity, transaction=asked.transaction + 1))

        async with peer(foreign) as device:
            link = await linked(device.port)
            with pytest.raises(SourceError) as caught:
                await link.ask(tcp_question(), 1.0)
            assert caught.value.quality_cause is Cause.GARBLED
            assert "transaction" in link.lost
            await link.close()

    asyncio.run(story())


@pytest.mark.parametrize("function_code", WRITES)
def test_no_link_sends_what_is_not_exactly_one_reading_request(function_code: int) -> None:
    async def story() -> None:
        async with peer(right) as device:
            link = await linked(device.port)
            planted = struct.pack(">HHHBBHH", 1, 0, 6, 1, function_code, 0, 1)
            for adu in (planted, planted + planted, planted[:-1], b""):
                with pytest.raises(WriteRefusedError):
                    link.send(adu)
            await link.close()
            await asyncio.sleep(0.02)
            assert device.asked == []
        with line() as bus:
            on_line = RtuLink(Load(0.0), rtu.Debts(10**8), 0, 0.0)
            open_line(Line(bus.path), on_line)
            body = struct.pack(">BBHH", 1, function_code, 0, 1)
            for adu in (body + rtu.crc(body), body, b"", rtu_question().request * 2):
                with pytest.raises(WriteRefusedError):
                    on_line.send(adu)
            await on_line.close()
            await asyncio.sleep(0.02)
            assert bus.noise == b""
            assert bus.asked == []

    asyncio.run(story())


def test_a_line_is_asked_only_when_it_was_silent_and_settles_before_the_first_question() -> None:
    async def story() -> None:
        with line() as bus:
            link = RtuLink(Load(0.0), rtu.Debts(10**8), 0, 0.0)
            open_line(Line(bus.path), link)
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            bus.later(0.05, b"\0\xff")
            await link.settle(0.1)
            assert loop.time() - begun_s >= 0.15
            assert await link.ask(rtu_question(), 1.0) == struct.pack(">HH", 1003, 1004)
            bus.send(b"\0")
            await asyncio.sleep(0.01)
            noise_s = loop.time()
            assert await link.ask(rtu_question(), 1.0) == struct.pack(">HH", 1003, 1004)
            assert loop.time() - noise_s >= 0.03
            await link.close()

    asyncio.run(story())


def test_a_line_that_is_never_silent_is_no_use() -> None:
    async def story() -> None:
        with line() as bus:
            link = RtuLink(Load(0.0), rtu.Debts(10**8), 0, 0.0)
            open_line(Line(bus.path), link)

            async def chatter() -> None:
                while True:
                    bus.send(b"\0")
                    await asyncio.sleep(0.02)

            task = asyncio.create_task(chatter())
            with pytest.raises(SourceError, match="never silent"):
                await link.settle(0.1)
            with pytest.raises(SourceError, match="never silent"):
                await link.ask(rtu_question(), 0.1)
            assert link.lost
            task.cancel()
            await asyncio.wait({task})
            await link.close()
            assert bus.asked == []

    asyncio.run(story())


def test_an_ear_hears_and_has_nothing_to_speak_with() -> None:
    async def story() -> None:
        with line() as bus:
            heard: list[bytes] = []
            ear = Ear(heard.append)
            open_line(Line(bus.path), ear, listen_only=True)
            bus.send(b"abc")
            async with asyncio.timeout(10):
                while not heard:
                    await asyncio.sleep(0.005)
            assert b"".join(heard) == b"abc"
            assert not hasattr(ear, "send")
            assert ear._transport is not None
            with pytest.raises(WriteRefusedError):
                ear._transport.write(rtu_question().request)
            await ear.close()

    asyncio.run(story())
