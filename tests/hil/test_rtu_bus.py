"""The simulated RS-485 line: bytes take their time, absent units are silent, two at once destroy each other."""

import asyncio
import os
import time
import tty
from contextlib import asynccontextmanager

import pytest
from pymodbus.framer import FramerRTU

from hil.modbus_plc import Unit
from hil.rtu_bus import BITS_PER_BYTE, Dcs, RtuBus
from hil.serial_pair import SerialPair
from hil.speaking import registers, speak


def frame(*data):
    return bytes(data) + FramerRTU.compute_CRC(bytes(data)).to_bytes(2, "big")


def question(unit, count=4):
    return frame(unit, 3, 0, 0, 0, count)


ANSWER_BYTES = 3 + 8 + 2


class Asker:
    """Hears what is on the line, with the time of each byte."""

    def __init__(self, bus):
        self.heard = []
        self._bus = bus
        bus.attach(self.hear)

    def hear(self, data):
        now_s = time.monotonic()
        self.heard += [(now_s, byte) for byte in data]

    @property
    def data(self):
        return bytes(byte for _, byte in self.heard)

    async def ask(self, request, wait_s=0.2):
        self.heard.clear()
        self._bus.take(request)
        await asyncio.sleep(wait_s)
        return self.data


@asynccontextmanager
async def line(baud=9600, units=(1, 2, 3)):
    bus = RtuBus({n: Unit(f"unit{n}", registers(2), refresh=speak(n)) for n in units}, baud)
    try:
        yield bus
    finally:
        bus.close()


def is_answer_of(unit, data):
    return data[:3] == bytes((unit, 3, 8)) and data == frame(*data[:-2])


@pytest.mark.parametrize("baud", [9600, 115_200])
def test_no_byte_comes_before_its_time(baud):
    async def story():
        async with line(baud) as bus:
            asker, begun = Asker(bus), time.monotonic()
            assert is_answer_of(2, await asker.ask(question(2)))
            for n, (at_s, _) in enumerate(asker.heard, 1):
                assert at_s - begun >= (8 + n) * BITS_PER_BYTE / baud
            (asked,) = bus.asked
            assert asked.counter == 1
            assert asked.mono_ns < asked.done_ns
            assert bus.busy_s == pytest.approx((8 + ANSWER_BYTES) * BITS_PER_BYTE / baud)
            assert bus.collisions == bus.unreadable == bus.writes_seen == 0
            assert bus.functions == {3: 1}

    asyncio.run(story())


def test_an_absent_unit_a_silent_one_and_a_spoiled_request_get_no_answer():
    async def story():
        async with line(115_200) as bus:
            asker = Asker(bus)
            bus.plc.dead_units.add(3)
            assert await asker.ask(question(9), 0.05) == b""
            assert await asker.ask(question(3), 0.05) == b""
            assert await asker.ask(question(1)[:-1] + b"\0", 0.05) == b""
            assert bus.unreadable == bus.writes_seen == 1
            assert [one.counter for one in bus.asked] == [-1, -1]
            bus.plc.dead_units.clear()
            assert is_answer_of(3, await asker.ask(question(3), 0.1))

    asyncio.run(story())


def test_a_write_is_seen_whoever_it_names_and_another_master_s_is_not_the_asker_s():
    async def story():
        async with line(115_200) as bus:
            asker = Asker(bus)
            bus.plc.dead_units.add(3)
            for unit in (1, 3, 9):
                await asker.ask(frame(unit, 6, 0, 2, 0, 7), 0.05)
            await asker.ask(frame(1, 16, 0, 2, 0, 1, 2, 0, 7), 0.05)
            bus.say(frame(1, 6, 0, 2, 0, 7))
            assert bus.functions == {6: 3, 16: 1}
            assert bus.writes_seen == 4

    asyncio.run(story())


def test_a_request_may_come_in_pieces_but_not_with_a_long_pause():
    async def story():
        async with line(115_200) as bus:
            asker, request = Asker(bus), question(1)
            bus.take(request[:3])
            assert is_answer_of(1, await asker.ask(request[3:], 0.05))
            bus.take(request[:3])
            await asyncio.sleep(0.1)
            assert await asker.ask(request[3:], 0.05) == b""

    asyncio.run(story())


def test_a_late_unit_answers_late_what_it_knew_when_it_was_asked():
    async def story():
        async with line(115_200) as bus:
            asker = Asker(bus)
            bus.late_s[2] = lambda: 0.1
            assert await asker.ask(question(2), 0.05) == b""
            await asyncio.sleep(0.1)
            assert is_answer_of(2, asker.data)
            assert bus.asked[0].done_ns - bus.asked[0].mono_ns > 100_000_000

    asyncio.run(story())


def test_a_garbled_answer_is_no_sound_frame_and_counts_as_none():
    async def story():
        async with line(115_200) as bus:
            asker = Asker(bus)
            bus.garbled[1] = 1.0
            data = await asker.ask(question(1), 0.05)
            assert len(data) == ANSWER_BYTES
            assert data != frame(*data[:-2])
            assert bus.asked[0].counter == -1

    asyncio.run(story())


def test_who_speaks_while_another_does_destroys_both():
    async def story():
        async with line() as bus:
            asker = Asker(bus)
            await asker.ask(question(1), 0.015)
            assert 0 < len(asker.data) < ANSWER_BYTES
            bus.take(question(2))
            await asyncio.sleep(0.1)
            assert bus.collisions == 1
            assert len(asker.data) == ANSWER_BYTES
            assert not is_answer_of(1, asker.data)
            assert bus.asked[1].collided
            assert bus.asked[1].counter == -1

    asyncio.run(story())


def test_two_late_units_meet():
    async def story():
        async with line() as bus:
            asker = Asker(bus)
            bus.late_s[1] = lambda: 0.030
            await asker.ask(question(1), 0.030)
            assert asker.data == b""
            bus.take(question(2))
            await asyncio.sleep(0.1)
            assert bus.collisions >= 1
            assert not is_answer_of(1, asker.data[:ANSWER_BYTES])
            assert bus.asked[0].collided

    asyncio.run(story())


def test_over_a_tty_which_may_be_opened_again(tmp_path):
    async def story():
        async with SerialPair(tmp_path) as pair, line(115_200) as bus:
            with bus.open_tty(pair.bus):
                for _ in range(2):
                    file = os.open(pair.asker, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
                    try:
                        tty.setraw(file)
                        os.write(file, question(2))
                        await asyncio.sleep(0.2)
                        assert is_answer_of(2, os.read(file, 100))
                    finally:
                        os.close(file)

    asyncio.run(story())


def test_behind_a_converter():
    async def story():
        async with line(115_200) as bus:
            server = await bus.serve_tcp()
            async with server:
                reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
                writer.write(question(3))
                async with asyncio.timeout(10):
                    assert is_answer_of(3, await reader.readexactly(ANSWER_BYTES))
                writer.close()
                await writer.wait_closed()

    asyncio.run(story())


def test_another_master_is_heard_with_question_and_answer_and_its_writes():
    async def story():
        async with line(115_200) as bus:
            asker = Asker(bus)
            dcs = Dcs(
                bus, reads=[bytes((1, 3, 0, 0, 0, 4))], writes=[bytes((2, 6, 0, 2, 0, 7))], timeout_s=0.1
            )
            running = asyncio.create_task(dcs.run())
            await asyncio.sleep(0.3)
            running.cancel()
            await asyncio.wait({running})
            assert asker.data.startswith(question(1))
            assert is_answer_of(1, asker.data[8 : 8 + ANSWER_BYTES])
            assert frame(2, 6, 0, 2, 0, 7) in asker.data
            assert bus.taken_bytes == 0
            assert len(bus.asked) >= 3

    asyncio.run(story())


def test_a_unit_is_silent_where_it_is_told_to_be():
    async def story():
        async with line(115_200) as bus:
            asker = Asker(bus)
            bus.mute[2] = range(3, 6)
            assert await asker.ask(question(2)) == b""
            assert bus.muted == 1
            assert (await asker.ask(question(2, 3)))[:3] == bytes((2, 3, 6)), "not touched"
            assert is_answer_of(1, await asker.ask(question(1))), "only that unit"
            assert bus.muted == 1

    asyncio.run(story())
