"""The recorder sees every function code on the wire, forwards bytes untouched and can hurt a link."""

import asyncio
import itertools
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from hil.answers import AnswerLog
from hil.modbus_plc import ModbusPlc, Unit
from hil.recorder import FrameReader, Recorder


def run(story):
    async def whole():
        async with ModbusPlc({1: Unit("plc1", 50)}, AnswerLog()) as plc, Recorder(plc.port) as recorder:
            client = AsyncModbusTcpClient(
                "127.0.0.1", port=recorder.port, timeout=0.5, retries=0, reconnect_delay=0
            )
            assert await client.connect()
            try:
                await story(plc, recorder, client)
            finally:
                client.close()
        return plc, recorder

    return asyncio.run(whole())


def test_reads_are_counted_in_both_directions_and_are_no_breach():
    async def story(plc, recorder, client):
        plc.units[1].registers[2:] = 7
        answer = await client.read_holding_registers(0, count=50, device_id=1)
        assert answer.registers == [0, 1, *[7] * 48]
        await client.read_input_registers(0, count=2, device_id=1)
        await client.read_coils(0, count=2, device_id=1)
        assert (await client.read_holding_registers(60, count=2, device_id=1)).exception_code == 2
        assert recorder.requests == {3: 2, 4: 1, 1: 1}
        assert recorder.answers == {3: 1, 4: 1, 1: 1, 0x83: 1}
        assert recorder.breaches == 0

    run(story)


def test_a_planted_write_is_a_breach_seen_by_recorder_and_plc():
    async def story(plc, recorder, client):
        await client.write_register(5, 1, device_id=1)
        assert recorder.breaches == plc.writes_seen == 1
        assert recorder.requests[6] == 1

    run(story)


def test_what_is_no_modbus_is_a_breach_too():
    async def story(_plc, recorder, _client):
        reader, writer = await asyncio.open_connection("127.0.0.1", recorder.port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        assert recorder.breaches == recorder.unreadable == 1

    run(story)


def test_a_reset_cuts_and_a_new_connection_stands():
    async def story(_plc, recorder, client):
        await client.read_holding_registers(0, count=2, device_id=1)
        recorder.reset()
        await asyncio.sleep(0.05)
        assert not client.connected
        assert await client.connect()
        assert not (await client.read_holding_registers(0, count=2, device_id=1)).isError()

    run(story)


def test_delay_and_half_open():
    async def story(plc, recorder, client):
        recorder.delay_s = 0.1
        start = time.monotonic()
        assert not (await client.read_holding_registers(0, count=2, device_id=1)).isError()
        assert time.monotonic() - start >= 0.2
        recorder.delay_s = 0
        recorder.swallow = True
        reader, writer = await asyncio.open_connection("127.0.0.1", recorder.port)
        writer.write(struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 2))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.3)
        writer.close()
        await writer.wait_closed()
        assert len(plc.log) == 1

    run(story)


def test_a_plc_that_refuses_is_passed_on_as_a_cut():
    async def whole():
        async with ModbusPlc({1: Unit("plc1")}, AnswerLog()) as plc:
            port = plc.port
        async with Recorder(port) as recorder:
            reader, writer = await asyncio.open_connection("127.0.0.1", recorder.port)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await reader.readexactly(1)
            writer.close()

    asyncio.run(whole())


@given(
    frames=st.lists(st.tuples(st.integers(1, 127), st.binary(max_size=252)), max_size=8),
    cuts=st.lists(st.integers(0, 2000), max_size=12),
)
def test_frames_are_read_however_they_are_cut(frames, cuts):
    stream = b"".join(
        struct.pack(">HHHBB", n, 0, len(body) + 2, 1, code) + body for n, (code, body) in enumerate(frames)
    )
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = FrameReader()
    seen = [code for a, b in itertools.pairwise(places) for code in reader.feed(stream[a:b])]
    assert seen == [code for code, _ in frames]
    assert not reader.lost
