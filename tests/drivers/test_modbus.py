"""The Modbus TCP driver on real sockets: pymodbus's own server as the independent peer, and a hostile one."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import source_contract as contract
from hostile_modbus import Asked, Behaviour, Peer, identity, peer, right
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from source_contract import Catch, all_lost, any_good, running

from drivers import modbus
from drivers.kit.errors import PointError, SourceError, WriteRefusedError
from drivers.kit.planner import Block
from drivers.kit.quality import GOOD, Cause, bad, cause_of, is_good
from drivers.kit.scan import Device, Point, Scan

FAST_S = 0.1


def registers(*offsets: int, unit_id: int | None = None) -> tuple[Point, ...]:
    return tuple(Point(f"u{unit_id}r{k}", f"FC03/{k}", unit_id=unit_id) for k in offsets)


def source(port: int, points: tuple[Point, ...], catch: Catch, **more: object) -> modbus.ModbusSource:
    options = modbus.Options("127.0.0.1", port, **{"timeout_s": 0.2, **more})  # type: ignore[arg-type]
    return modbus.connect(Device("plc", points, period_s=FAST_S, config_rev="r1"), options, catch.post)


@asynccontextmanager
async def independent(devices: list[SimDevice]) -> AsyncIterator[int]:
    server = ModbusTcpServer(devices, address=("127.0.0.1", 0))
    await server.serve_forever(background=True)
    try:
        assert server.transport is not None
        yield server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    finally:
        await server.shutdown()


def plc() -> list[SimDevice]:
    holding = [
        SimData(0, values=[234, 65535], datatype=DataType.REGISTERS),
        SimData(10, values=23.5, datatype=DataType.FLOAT32),
        SimData(12, values=-5, datatype=DataType.INT32),
    ]
    analog = [SimData(0, values=[7, 8, 9], datatype=DataType.REGISTERS)]
    bits = [
        SimData(0, values=[True, False, True, True, False, False, False, False] * 2, datatype=DataType.BITS)
    ]
    return [SimDevice(id=1, simdata=(bits, bits, holding, analog))]


MIXED = (
    Point("level", "40001", scale=0.1),
    Point("temperature", "40002", type="int16"),
    Point("pressure", "FC03/10", type="float32"),
    Point("flow", "0x000C", type="int32"),
    Point("gas", "30003"),
    Point("valve", "00003", type="bit"),
    Point("contact", "10002", type="bit"),
    Point("state", "40001", type="bit", bit=1),
)


def test_pymodbus_own_server_is_read_in_one_scan() -> None:
    async def story() -> None:
        async with independent(plc()) as port:
            catch = Catch()
            async with running(source(port, MIXED, catch)):
                scan = await catch.until(any_good)
            assert scan.points.tolist() == list(range(8))
            assert scan.values.tolist() == [23.4, -1, 23.5, -5, 9, 1, 0, 1]
            assert (scan.quality == GOOD).all()
            assert scan.config_rev == "r1"

    asyncio.run(story())


def test_one_shot_read_needs_no_running_source_and_leaves_nothing() -> None:
    async def story() -> None:
        async with independent(plc()) as port:
            before = contract.open_sockets()
            scan = await source(port, MIXED, Catch()).read()
            assert is_good(scan.quality).all()
            await contract.sockets_gone(before)
        with pytest.raises(SourceError) as caught:
            await source(port, MIXED, Catch()).read()
        assert caught.value.quality_cause is Cause.COMM
        assert str(port) in caught.value.detail

    asyncio.run(story())


def test_a_device_away_from_the_start_is_logged_once_down_and_once_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with independent(plc()) as target, contract.wire_to(target) as wire:
            await wire.cut()
            catch = Catch()
            one = source(wire.port, MIXED, catch)
            async with running(one):
                for _ in range(3):
                    await catch.until(all_lost)
                assert [(r.levelname, r.message) for r in caplog.records] == [
                    ("WARNING", f"plc: {one.state().detail}")
                ]
                await wire.mend()
                await catch.until(any_good)

    with caplog.at_level("INFO", logger="drivers.modbus"):
        asyncio.run(story())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_unit_silent_from_the_start_is_logged_once_down_and_once_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        async with peer(silent) as far:
            catch = Catch()
            async with running(source(far.port, registers(1), catch)):
                for _ in range(3):
                    await catch.until(all_lost)
                assert [record.levelname for record in caplog.records] == ["WARNING"]
                far.behave = right
                await catch.until(any_good)

    with caplog.at_level("INFO", logger="drivers.modbus"):
        asyncio.run(story())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_scan_group_that_fails_before_another_was_tried_is_not_yet_a_device_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def one_unit(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.unit == 2:
            await right(asked, writer)

    async def story() -> None:
        points = (Point("a", "FC03/1", unit_id=1), Point("b", "FC03/2", unit_id=2, period_s=0.3))
        async with peer(one_unit) as far:
            catch = Catch()
            async with running(source(far.port, points, catch)):
                await catch.until(any_good)
                await catch.until(any_good)

    with caplog.at_level("INFO", logger="drivers.modbus"):
        asyncio.run(story())
    assert [record.levelname for record in caplog.records] == ["INFO"]


async def refuse(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.refuse(1))


async def silent(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
    return


async def foreign_transaction(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.answer(identity, transaction=asked.transaction ^ 0x55))


async def transaction_zero(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.answer(identity, transaction=0))


async def short(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Asked(asked.transaction, asked.unit, asked.function_code, asked.start, 1).answer(identity))


async def lying_byte_count(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.frame(bytes((asked.function_code, 2 * asked.count)) + b"\0\1"))


async def input_for_holding(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Asked(asked.transaction, asked.unit, 4, asked.start, asked.count).answer(identity))


async def another_unit(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(Asked(asked.transaction, 9, 3, asked.start, asked.count).answer(identity))


async def drop_mid_frame(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.answer(identity)[:11])
    await writer.drain()
    writer.close()


async def hang_mid_frame(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.answer(identity)[:11])


async def noise(_asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(random.Random(7).randbytes(300))


async def twice(asked: Asked, writer: asyncio.StreamWriter) -> None:
    writer.write(asked.answer(identity) + asked.answer(lambda offset: offset + 1))


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (refuse, Cause.REFUSED),
        (silent, Cause.COMM),
        (foreign_transaction, Cause.GARBLED),
        (transaction_zero, Cause.GARBLED),
        (short, Cause.GARBLED),
        (lying_byte_count, Cause.GARBLED),
        (input_for_holding, Cause.GARBLED),
        (another_unit, Cause.GARBLED),
        (drop_mid_frame, Cause.COMM),
        (hang_mid_frame, Cause.COMM),
        (noise, Cause.GARBLED),
        (twice, Cause.GARBLED),
    ],
)
def test_hostile_answers_give_a_cause_never_a_number_and_the_device_recovers(
    behave: Behaviour, cause: Cause
) -> None:
    async def story() -> None:
        async with peer(behave) as hostile:
            catch = Catch()
            one = source(hostile.port, registers(1, 2, 3), catch)
            async with running(one):
                scan = await catch.until(lambda scan: cause_of(int(scan.quality[0])) is cause)
                assert np.isnan(scan.values).all()
                assert not any(is_good(scan.quality).any() for scan in catch.scans)
                assert one.state().detail
                hostile.behave = right
                good = await catch.until(any_good)
                assert good.values.tolist() == [1, 2, 3]

    asyncio.run(story())


def test_a_late_answer_is_thrown_away_and_never_taken_for_the_next() -> None:
    async def story() -> None:
        held: list[tuple[Asked, int]] = []

        async def late_once(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if not held:
                held.append((asked, 0))
                return
            writer.write(held[0][0].answer(lambda _: 9999) if len(held) == 1 else b"")
            held.append((asked, 1))
            writer.write(asked.answer(identity))

        async with peer(late_once) as device:
            catch = Catch()
            one = source(device.port, registers(5), catch)
            async with running(one):
                await catch.until(all_lost)
                scan = await catch.until(any_good)
                assert scan.values.tolist() == [5]
                assert device.connections == 1, "a late answer is no reason to reconnect"
                await catch.until(any_good)
                assert one.state().counters["late"] == 1

    asyncio.run(story())


def test_answers_in_single_bytes_are_put_together() -> None:
    async def story() -> None:
        async def dribble(asked: Asked, writer: asyncio.StreamWriter) -> None:
            for byte in asked.answer(identity):
                writer.write(bytes((byte,)))
                await writer.drain()
                await asyncio.sleep(0)

        async with peer(dribble) as device:
            catch = Catch()
            async with running(source(device.port, registers(1, 2), catch)):
                assert (await catch.until(any_good)).values.tolist() == [1, 2]

    asyncio.run(story())


def only_unit_one(device: Peer) -> None:
    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.unit == 1:
            writer.write(asked.answer(identity))

    device.behave = behave


def test_a_dead_unit_costs_its_neighbours_nothing_after_the_first_miss_and_comes_back() -> None:
    async def story() -> None:
        async with peer(right) as device:
            only_unit_one(device)
            catch = Catch()
            points = (*registers(1, unit_id=1), *registers(2, unit_id=2), *registers(3, unit_id=3))
            one = source(device.port, points, catch, timeout_s=0.3)
            async with running(one):
                await catch.until(any_good)
                overruns = one.state().counters["overruns"]
                start = len(catch.scans)
                while len(catch.scans) < start + 8:
                    scan = await catch.until(lambda _: True)
                    assert scan.values[0] == 1
                    assert scan.quality.tolist() == [GOOD, bad(Cause.COMM), bad(Cause.COMM)]
                assert one.state().counters["overruns"] <= overruns + 1, "a dead unit held up its neighbour"
                assert device.connections == 1
                device.behave = right
                back = await catch.until(lambda scan: bool(is_good(scan.quality).all()))
                assert back.values.tolist() == [1, 2, 3]

    asyncio.run(story())


def test_a_gateway_that_reports_an_absent_unit_makes_it_comm() -> None:
    async def story() -> None:
        async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(asked.answer(identity) if asked.unit == 1 else asked.refuse(0x0B))

        async with peer(behave) as device:
            catch = Catch()
            points = (*registers(1, unit_id=1), *registers(2, unit_id=2))
            async with running(source(device.port, points, catch)):
                scan = await catch.until(any_good)
            assert scan.quality.tolist() == [GOOD, bad(Cause.COMM)]

    asyncio.run(story())


def test_one_bad_register_does_not_poison_its_block_and_is_remembered() -> None:
    async def story() -> None:
        async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
            bad_one = asked.start <= 37 < asked.start + asked.count
            writer.write(asked.refuse(2) if bad_one else asked.answer(identity))

        async with peer(behave) as device:
            catch = Catch()
            async with running(source(device.port, registers(*range(60)), catch)):
                scan = await catch.until(any_good)
                good = is_good(scan.quality)
                assert np.flatnonzero(~good).tolist() == [37]
                assert scan.quality[37] == bad(Cause.REFUSED)
                assert scan.values[good].tolist() == [k for k in range(60) if k != 37]
                await catch.until(any_good)
                asked = len(device.asked)
                await catch.until(any_good)
                await catch.until(any_good)
                assert not any(ask.start <= 37 < ask.start + ask.count for ask in device.asked[asked:])

    asyncio.run(story())


@pytest.mark.parametrize("function_code", [0, 5, 6, 8, 15, 16, 22, 23, 43, 0x83])
def test_a_planted_write_is_refused_before_the_socket(function_code: int) -> None:
    async def story() -> None:
        async with peer(right) as device:
            catch = Catch()
            one = source(device.port, registers(1), catch)
            with pytest.raises(WriteRefusedError):
                modbus.encode_request(Block(1, function_code, 0, 1, (0,)))
            link = await one._open()
            planted = struct.pack(">HHHBBHH", 1, 0, 6, 1, function_code, 0, 1)
            with pytest.raises(WriteRefusedError):
                link.send(planted)
            with pytest.raises(WriteRefusedError):
                link.send(struct.pack(">HHHBBHH", 1, 0, 6, 1, 3, 0, 1) + planted)
            await link.close()
            await asyncio.sleep(0.05)
            assert device.asked == []
            assert device.trailing == b""

    asyncio.run(story())


def test_a_planted_write_in_the_plan_falls_loudly_and_nothing_reaches_the_device() -> None:
    async def story() -> None:
        async with peer(right) as device:
            one = source(device.port, registers(1), Catch())
            question = one.groups[0].questions[0]
            question.request_rest = question.request_rest[:5] + b"\x06" + question.request_rest[6:]
            with pytest.raises(WriteRefusedError):
                async with asyncio.timeout(contract.PATIENCE_S):
                    await one.run()
            assert device.asked == []

    asyncio.run(story())


def test_only_reading_function_codes_ever_arrive() -> None:
    async def story() -> None:
        async with peer(right) as device:
            catch = Catch()
            async with running(source(device.port, MIXED, catch)):
                for _ in range(3):
                    await catch.until(any_good)
            assert {asked.function_code for asked in device.asked} == {1, 2, 3, 4}

    asyncio.run(story())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"host": " "}, "host"),
        ({"port": 0}, "port"),
        ({"unit_id": 256}, "unit_id"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"max_registers": 126}, "max_registers"),
        ({"max_gap": -1}, "max_gap"),
    ],
)
def test_a_wrong_option_names_its_key(more: dict[str, object], field: str) -> None:
    with pytest.raises(PointError) as caught:
        modbus.Options(**{"host": "127.0.0.1", **more})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.remedy["zh"]


def test_check_point_judges_without_a_device() -> None:
    options = modbus.Options("127.0.0.1")
    modbus.check_point(Point("a", "40001"), options)
    for wrong in (Point("a", "4x"), Point("a", "40001", scale=0)):
        with pytest.raises(PointError):
            modbus.check_point(wrong, options)


def test_a_scan_is_one_per_period_in_rising_order_with_both_clocks() -> None:
    async def story() -> list[Scan]:
        async with peer(right) as device:
            catch = Catch()
            async with running(source(device.port, (*registers(300, 5), *registers(1)), catch)):
                for _ in range(6):
                    await catch.until(any_good)
            return catch.scans

    scans = asyncio.run(story())
    for scan in scans:
        assert scan.values.tolist() == [300, 5, 1]
    steps = np.diff([scan.taken_mono_ns for scan in scans[1:]])
    assert (steps > 0).all()
    assert np.median(steps) == pytest.approx(FAST_S * 1e9, rel=0.5)


def test_all_mistakes_of_a_device_are_told_at_once_and_no_others() -> None:
    with pytest.raises(PointError) as caught:
        modbus.Options(port=0, max_gap=-1, standby="plc", unreadable=("x",))
    told = [error.field for error in (caught.value, *caught.value.others)]
    assert told == ["port", "max_gap", "host", "standby", "unreadable"]
    with pytest.raises(PointError) as caught:
        modbus.Options(transport="rtv", serial="/dev/ttyUSB0")
    assert [error.field for error in (caught.value, *caught.value.others)] == ["transport"]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"host": "192.168.10.999"}, "host"),
        ({"host": "192.168.10.11:502"}, "host"),
        ({"host": "10.0.0.1", "standby": "10.0.0.256:502"}, "standby"),
    ],
)
def test_an_address_that_can_never_answer_is_refused(more: dict[str, str], field: str) -> None:
    with pytest.raises(PointError) as caught:
        modbus.Options(**more)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_an_address_typed_by_an_input_method_is_plain() -> None:
    assert modbus.Options("１０．０．０．１").host == "10.0.0.1"
