"""The simulated PLC, judged by pymodbus' client as an independent peer and by raw frames."""

import asyncio
import time

import numpy as np
import pytest
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusIOException

from hil.answers import AnswerLog
from hil.modbus_plc import ModbusPlc, Unit


def run(story, units=None, **options):
    """Run ``story(plc, client)`` against a PLC of one unit with 50 registers."""

    async def whole():
        log = AnswerLog()
        plc = ModbusPlc(units or {1: Unit("plc1", 50, 32)}, log, **options)
        async with plc:
            client = AsyncModbusTcpClient(
                "127.0.0.1", port=plc.port, timeout=0.3, retries=0, reconnect_delay=0
            )
            assert await client.connect()
            try:
                await story(plc, client)
            finally:
                client.close()
        assert not plc.connections

    asyncio.run(whole())


def test_holding_and_input_registers_coils_and_discrete_inputs():
    async def story(plc, client):
        plc.units[1].registers[2:] = np.arange(48) * 1000
        plc.units[1].bits[[0, 3, 9]] = True
        holding = await client.read_holding_registers(2, count=48, device_id=1)
        inputs = await client.read_input_registers(10, count=3, device_id=1)
        coils = await client.read_coils(0, count=10, device_id=1)
        discrete = await client.read_discrete_inputs(3, count=2, device_id=1)
        assert holding.registers == [(k * 1000) % 65536 for k in range(48)]
        assert inputs.registers == [8000, 9000, 10000]
        assert [i for i, bit in enumerate(coils.bits[:10]) if bit] == [0, 3, 9]
        assert discrete.bits[:2] == [True, False]

    run(story)


def test_each_answer_that_carries_the_counter_is_numbered_and_logged():
    def refresh(unit):
        unit.registers[2] = unit.counter + 1

    async def story(plc, client):
        before = time.monotonic_ns()
        for expected in (1, 2, 3):
            answer = await client.read_holding_registers(0, count=50, device_id=1)
            assert answer.registers[:3] == [0, expected, expected]
        await client.read_holding_registers(2, count=5, device_id=1)
        await client.read_holding_registers(0, count=1, device_id=1)
        logged = plc.log.answers()
        assert logged.counter.tolist() == [1, 2, 3]
        assert logged.names == ("plc1",)
        assert before < logged.monotonic_ns[0] < logged.monotonic_ns[2] < time.monotonic_ns()
        assert [np.frombuffer(r, ">u2")[2] for r in logged.registers] == [1, 2, 3]
        assert plc.units[1].counter == 3

    run(story, {1: Unit("plc1", 50, refresh=refresh)})


def test_every_writing_function_is_refused_and_counted():
    async def story(plc, client):
        plc.units[1].registers[5] = 77
        answers = [
            await client.write_coil(5, value=True, device_id=1),
            await client.write_register(5, 1, device_id=1),
            await client.write_coils(5, [True], device_id=1),
            await client.write_registers(5, [1], device_id=1),
            await client.mask_write_register(address=5, device_id=1),
            await client.readwrite_registers(
                read_address=5, read_count=1, write_address=5, values=[1], device_id=1
            ),
            await client.read_device_information(device_id=1),
        ]
        assert [(a.isError(), a.exception_code) for a in answers] == [(True, 1)] * 7
        assert plc.writes_seen == 7
        assert {5, 6, 15, 16, 22, 23} < set(plc.functions)
        assert plc.units[1].registers[5] == 77
        assert not plc.units[1].bits.any()
        await client.read_holding_registers(0, count=2, device_id=1)
        assert plc.writes_seen == 7

    run(story)


@pytest.mark.parametrize(("first", "count"), [(40, 11), (50, 1), (65_535, 1)])
def test_addresses_beyond_the_end_are_exception_2(first, count):
    async def story(plc, client):
        assert (await client.read_holding_registers(first, count=count, device_id=1)).exception_code == 2
        assert not len(plc.log)

    run(story)


def test_a_planted_exception_range_hits_only_reads_that_touch_it():
    async def story(plc, client):
        plc.exceptions.append((10, 2, 4))
        assert (await client.read_holding_registers(0, count=11, device_id=1)).exception_code == 4
        assert (await client.read_holding_registers(11, count=1, device_id=1)).exception_code == 4
        assert not (await client.read_holding_registers(0, count=10, device_id=1)).isError()
        assert not (await client.read_holding_registers(12, count=10, device_id=1)).isError()
        assert len(plc.log) == 1

    run(story)


def test_silent_and_dead_units_and_unknown_units_do_not_answer():
    async def story(plc, client):
        async def silence(unit_id):
            with pytest.raises((ModbusIOException, ConnectionException)):
                await client.read_holding_registers(0, count=2, device_id=unit_id)
            if not client.connected:
                await client.connect()

        plc.silent = True
        await silence(1)
        plc.silent = False
        plc.dead_units.add(2)
        await silence(2)
        await silence(3)
        assert not (await client.read_holding_registers(0, count=2, device_id=1)).isError()
        assert plc.log.answers().names == ("plc1", "plc2")
        assert plc.log.answers().device.tolist() == [0]

    run(story, {1: Unit("plc1"), 2: Unit("plc2")})


def test_a_reboot_cuts_refuses_and_comes_back_on_its_port_with_its_counter():
    async def story(plc, client):
        await client.read_holding_registers(0, count=2, device_id=1)
        port = plc.port
        boot = asyncio.create_task(plc.reboot(0.3))
        await asyncio.sleep(0.1)
        assert not client.connected
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        await boot
        assert plc.port == port
        assert await client.connect()
        assert (await client.read_holding_registers(0, count=2, device_id=1)).registers == [0, 2]

    run(story)


def test_a_slow_plc_answers_late_but_rightly():
    async def story(plc, client):
        plc.delay_s = 0.15
        start = time.monotonic()
        answer = await client.read_holding_registers(0, count=2, device_id=1)
        assert time.monotonic() - start >= 0.15
        assert answer.registers == [0, 1]

    run(story)


def test_garbage_is_never_logged_as_an_answer():
    async def story(plc, _client):
        plc.garbage = True
        reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
        for _ in range(200):
            writer.write(bytes.fromhex("000100000006010300000002"))
        await reader.read(1)
        writer.close()
        await writer.wait_closed()
        assert not len(plc.log)

    run(story)


def test_frames_in_pieces_and_in_one_gulp_and_torn_headers():
    async def story(plc, _client):
        frame = bytes.fromhex("002a00000006010300000002")
        reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
        for byte in frame:
            writer.write(bytes((byte,)))
            await writer.drain()
        assert await reader.readexactly(13) == bytes.fromhex("002a00000007010304") + b"\0\0\0\1"
        writer.write(frame * 3)
        assert (await reader.readexactly(39))[-4:] == b"\0\0\0\4"
        writer.write(bytes.fromhex("002a00010006010300000002"))
        assert await reader.read() == b"", "another protocol id ends the connection"
        writer.close()
        await writer.wait_closed()

    run(story)


def test_a_plc_that_stands_one_session_turns_the_second_away():
    async def story(plc, client):
        reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        assert plc.opened == 2
        assert not (await client.read_holding_registers(0, count=2, device_id=1)).isError()

    run(story, max_connections=1)


def test_many_plcs_share_one_process_and_one_log():
    async def whole():
        log = AnswerLog()
        plcs = [ModbusPlc({1: Unit(f"plc{k}")}, log) for k in range(20)]
        for plc in plcs:
            await plc.accept()
        assert len({plc.port for plc in plcs}) == 20

        async def ask(plc):
            reader, writer = await asyncio.open_connection("127.0.0.1", plc.port)
            for _ in range(3):
                writer.write(bytes.fromhex("00010000000601030000000a"))
                await reader.readexactly(29)
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(*(ask(plc) for plc in plcs))
        for plc in plcs:
            await plc.refuse()
        seen = log.answers()
        assert len(seen.names) == 20
        assert np.bincount(seen.device).tolist() == [3] * 20

    asyncio.run(whole())
