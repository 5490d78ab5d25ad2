"""The Modbus driver on a serial line (real pty pairs) and through a TCP converter: slaves late, dead, torn."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import source_contract as contract
from ptys import Asked, Bus, framed, line, open_files, right
from source_contract import Catch, all_lost, any_good, running

from drivers import modbus
from drivers.kit.errors import PointError, SourceError, WriteRefusedError
from drivers.kit.planner import Block
from drivers.kit.quality import GOOD, Cause, bad, cause_of, is_good
from drivers.kit.rtu import LATE_TIMEOUTS
from drivers.kit.scan import Device, Point, Scan
from drivers.wire.modbus_link import RtuLink
from hil.modbus_plc import Unit
from hil.rtu_bus import RtuBus
from hil.serial_pair import SerialPair

FAST_S = 0.1
TIMEOUT_S = 0.1


def registers(unit: int, *offsets: int) -> tuple[Point, ...]:
    return tuple(Point(f"u{unit}r{k}", f"FC03/{k}", unit_id=unit) for k in offsets)


def source(
    path: str, points: tuple[Point, ...], catch: Catch, period_s: float = FAST_S, **more: object
) -> modbus.ModbusSource:
    options = modbus.Options(
        transport="rtu",
        serial=path,
        **{"baud": 115200, "timeout_s": TIMEOUT_S, **more},  # type: ignore[arg-type]
    )
    made = modbus.connect(Device("line", points, period_s=period_s, config_rev="r1"), options, catch.post)
    assert isinstance(made, modbus.ModbusSource)
    return made


def test_every_table_and_unit_is_read_over_a_serial_line() -> None:
    async def story() -> None:
        with line() as bus:
            points = (
                *registers(1, 0, 1),
                Point("coil", "00003", type="bit", unit_id=7),
                Point("contact", "10002", type="bit", unit_id=7),
                Point("input", "30005", unit_id=32),
            )
            catch = Catch()
            one = source(bus.path, points, catch)
            async with running(one):
                scan = await catch.until(any_good)
                await catch.until(any_good)
                assert one.state().connected
                load = one.state().load_percent
            assert scan.values.tolist() == [1000, 1001, 0, 1, 32004]
            assert (scan.quality == GOOD).all()
            assert scan.raw == struct.pack(">HH", 1000, 1001) + b"\0\1" + struct.pack(">H", 32004)
            assert load is not None
            assert 0 < load <= 100
            assert {asked.function_code for asked in bus.asked} == {1, 2, 3, 4}
            assert bus.noise == b""

    asyncio.run(story())


def test_one_shot_read_opens_the_line_and_leaves_it() -> None:
    async def story() -> None:
        with line() as bus:
            files = open_files()
            scan = await source(bus.path, registers(3, 5), Catch()).read()
            assert scan.values.tolist() == [3005]
            assert open_files() == files
        with pytest.raises(SourceError) as caught:
            await source("/dev/no-such-line", registers(3, 5), Catch()).read()
        assert caught.value.quality_cause is Cause.COMM
        assert "/dev/no-such-line" in caught.value.detail

    asyncio.run(story())


def silent(_bus: Bus, _asked: Asked) -> None:
    return


def refusing(bus: Bus, asked: Asked) -> None:
    bus.send(asked.refuse(1))


def another_unit(bus: Bus, asked: Asked) -> None:
    bus.send(Asked(9, asked.function_code, asked.start, asked.count).answer())


def another_code(bus: Bus, asked: Asked) -> None:
    bus.send(Asked(asked.unit, 4, asked.start, asked.count).answer())


def fewer(bus: Bus, asked: Asked) -> None:
    bus.send(Asked(asked.unit, 3, asked.start, asked.count - 1).answer())


def wrong_crc(bus: Bus, asked: Asked) -> None:
    bus.send(asked.answer()[:-1] + b"\0")


def torn(bus: Bus, asked: Asked) -> None:
    bus.send(asked.answer()[:-3])


def behind(bus: Bus, asked: Asked) -> None:
    bus.send(asked.answer() + b"\xa5")


def twice(bus: Bus, asked: Asked) -> None:
    bus.send(asked.answer() * 2)


def before(bus: Bus, asked: Asked) -> None:
    bus.send(b"\0" + asked.answer())


@pytest.mark.parametrize(
    ("behave", "cause"),
    [
        (silent, Cause.COMM),
        (refusing, Cause.REFUSED),
        (another_unit, Cause.GARBLED),
        (another_code, Cause.GARBLED),
        (fewer, Cause.GARBLED),
        (wrong_crc, Cause.GARBLED),
        (torn, Cause.COMM),
        (behind, Cause.GARBLED),
        (twice, Cause.GARBLED),
        (before, Cause.GARBLED),
    ],
)
def test_hostile_answers_give_a_cause_never_a_number_and_the_line_recovers(
    behave: Callable[[Bus, Asked], None], cause: Cause
) -> None:
    async def story() -> None:
        with line(behave) as bus:
            catch = Catch()
            one = source(bus.path, registers(1, 1, 2, 3), catch)
            async with running(one):
                scan = await catch.until(lambda scan: cause_of(int(scan.quality[0])) is cause)
                assert np.isnan(scan.values).all()
                assert not any(is_good(scan.quality).any() for scan in catch.scans)
                assert one.state().detail
                bus.behave = right
                good = await catch.until(any_good)
                assert good.values.tolist() == [1001, 1002, 1003]

    asyncio.run(story())


def test_a_dead_unit_costs_the_line_nothing_after_the_first_miss_and_comes_back() -> None:
    async def story() -> None:
        def only_one(bus: Bus, asked: Asked) -> None:
            if asked.unit == 1:
                right(bus, asked)

        with line(only_one) as bus:
            catch = Catch()
            points = (*registers(1, 1), *registers(2, 2), *registers(3, 3))
            one = source(bus.path, points, catch, period_s=0.2)
            async with running(one):
                await catch.until(any_good)
                overruns = one.state().counters["overruns"]
                start = len(catch.scans)
                while len(catch.scans) < start + 8:
                    scan = await catch.until(lambda _: True)
                    assert scan.values[0] == 1001
                    assert scan.quality.tolist() == [GOOD, bad(Cause.COMM), bad(Cause.COMM)]
                assert one.state().counters["overruns"] <= overruns + 1, "a dead unit held up its neighbour"
                bus.behave = right
                back = await catch.until(lambda scan: bool(is_good(scan.quality).all()))
                assert back.values.tolist() == [1001, 2002, 3003]

    asyncio.run(story())


@pytest.mark.parametrize("late_s", [1.2 * TIMEOUT_S, 1.5 * TIMEOUT_S, 2.2 * TIMEOUT_S])
def test_a_late_unit_never_gives_a_value_of_another_question(late_s: float) -> None:
    """Its two blocks have the same shape, so a late answer to one looks exactly like an answer to the other."""

    async def story() -> None:
        free_s = 0.0

        def late(bus: Bus, asked: Asked) -> None:
            nonlocal free_s
            now_s = asyncio.get_running_loop().time()
            frame = asked.answer(lambda offset: 1000 * asked.unit + offset)
            if asked.unit == 2:
                free_s = max(now_s, free_s) + late_s
                bus.later(free_s - now_s, frame)
            else:
                bus.send(frame)

        with line(late) as bus:
            catch = Catch()
            points = (*registers(1, 1), *registers(2, 100, 200))
            one = source(bus.path, points, catch, max_gap=0)
            async with running(one):
                for _ in range(25):
                    scan = await catch.until(lambda _: True)
                    assert_own(scan, [1001, 2100, 2200])
                assert one.state().counters["late"] >= 1
                bus.behave = right
                back = await catch.until(lambda scan: bool(is_good(scan.quality).all()))
                assert back.values.tolist() == [1001, 2100, 2200]

    asyncio.run(story())


def test_a_unit_late_at_one_block_only_never_gives_its_value_for_another_and_loses_only_that() -> None:
    async def story() -> None:
        free_s = 0.0

        def late_at_one(bus: Bus, asked: Asked) -> None:
            nonlocal free_s
            now_s = asyncio.get_running_loop().time()
            free_s = max(now_s, free_s) + (1.3 * TIMEOUT_S if asked.start == 100 else 0.2 * TIMEOUT_S)
            bus.later(free_s - now_s, asked.answer(lambda offset: 1000 * asked.unit + offset))

        with line(late_at_one) as bus:
            catch = Catch()
            one = source(bus.path, registers(2, 10, 100, 200), catch, period_s=0.5, max_gap=0)
            async with running(one):
                settled = [GOOD, bad(Cause.COMM), GOOD]
                await catch.until(lambda scan: scan.quality.tolist() == settled)
                for _ in range(3):
                    await catch.until(lambda scan: scan.quality.tolist() == settled)
            for scan in catch.scans:
                assert_own(scan, [2010, 2100, 2200])

    asyncio.run(story())


@pytest.mark.parametrize("timeout_s", [0.15, 0.5, 0.8])
@pytest.mark.parametrize("mute", [range(1), range(100, 101)], ids=["first", "middle"])
def test_a_block_that_never_answers_costs_its_unit_no_other_however_long_it_is_waited_for(
    mute: range, timeout_s: float, tmp_path: Path
) -> None:
    """What must be waited for so that a late answer is not taken for another's is waited for twice, then seldom."""
    period_s = 0.5
    settled_s = 2 * ((1 + LATE_TIMEOUTS + 1) * timeout_s + 2 * period_s)
    """Twice: the wait for its answer and until none can come, for another block's being believed, and scans' turns."""

    async def story() -> None:
        async with SerialPair(tmp_path) as pair:
            bus = RtuBus({1: Unit("unit1", 202)}, 9_600)
            bus.mute[1] = mute
            with bus.open_tty(pair.bus):
                catch = Catch()
                points = registers(1, 0, 100, 200)
                more = {"baud": 9_600, "timeout_s": timeout_s, "max_gap": 0}
                one = source(str(pair.asker), points, catch, period_s, **more)
                async with running(one):
                    first = await catch.until(lambda _: True)
                    expected = [bad(Cause.COMM) if k in mute else GOOD for k in (0, 100, 200)]
                    settled = await catch.until(lambda scan: scan.quality.tolist() == expected)
                    assert settled.taken_mono_ns - first.taken_mono_ns < settled_s * 1e9
                    muted = bus.muted
                    for _ in range(8):
                        scan = await catch.until(lambda _: True)
                        assert scan.quality.tolist() == expected
                    assert scan.taken_mono_ns - settled.taken_mono_ns < 9.5 * period_s * 1e9
                    assert bus.muted == muted, "it is not asked there again for a while"
                    assert one.state().counters["reconnects"] == 1
            bus.close()

    asyncio.run(story())


def assert_own(scan: Scan, own: list[int]) -> None:
    good = is_good(scan.quality)
    assert scan.values[good].tolist() == np.array(own)[good].tolist(), "a foreign value was accepted"


def test_what_others_asked_before_the_line_was_opened_is_waited_for() -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            bus.later(0.05, Asked(1, 3, 77, 1).answer())
            one = source(bus.path, registers(1, 5), catch, timeout_s=0.2)
            async with running(one):
                scan = await catch.until(any_good)
                assert scan.values.tolist() == [1005]
                assert 77 not in {v for scan in catch.scans for v in scan.values.tolist()}

    asyncio.run(story())


def test_what_a_run_before_asked_is_not_taken_for_the_answer_to_this_one() -> None:
    """The unit needs 2.2 timeouts; a new process knows nothing of its debts."""

    async def story() -> None:
        def late(bus: Bus, asked: Asked) -> None:
            bus.later((2.2 if asked.start == 100 else 0.45) * 0.2, asked.answer())

        with line(late) as bus:
            before = await source(bus.path, registers(2, 100), Catch(), timeout_s=0.2).read()
            assert not is_good(before.quality).any()
            now = await source(bus.path, registers(2, 200), Catch(), timeout_s=0.2).read()
            assert is_good(now.quality).all()
            assert now.values.tolist() == [200], "the answer to the run before was taken"

    asyncio.run(story())


def test_a_second_master_on_the_line_is_said() -> None:
    async def story() -> None:
        def beside(bus: Bus, asked: Asked) -> None:
            right(bus, asked)
            bus.later(0.03, framed(bytes((9, 3, 0, 0, 0, 1))))

        with line(beside) as bus:
            catch = Catch()
            one = source(bus.path, registers(1, 5), catch)
            async with running(one):
                async with asyncio.timeout(10):
                    while "another master" not in one.state().detail:
                        await asyncio.sleep(0.01)

    asyncio.run(story())


def test_frames_are_apart_as_the_standard_wants() -> None:
    async def story() -> None:
        gaps: list[float] = []
        answered_s = 0.0

        def watch(bus: Bus, asked: Asked) -> None:
            nonlocal answered_s
            now_s = asyncio.get_running_loop().time()
            if answered_s:
                gaps.append(now_s - answered_s)
            right(bus, asked)
            answered_s = asyncio.get_running_loop().time()

        with line(watch) as bus:
            catch = Catch()
            points = tuple(point for unit in range(1, 9) for point in registers(unit, 0))
            async with running(source(bus.path, points, catch, baud=9600)):
                for _ in range(3):
                    await catch.until(any_good)
        assert min(gaps) >= 3.5 * 10 / 9600

    asyncio.run(story())


@pytest.mark.parametrize("function_code", [0, 5, 6, 8, 15, 16, 22, 23, 43, 0x83])
def test_a_planted_write_is_refused_before_the_line(function_code: int) -> None:
    async def story() -> None:
        with line() as bus:
            one = source(bus.path, registers(1, 1), Catch())
            with pytest.raises(WriteRefusedError):
                modbus.encode_request(Block(1, function_code, 0, 1, (0,)), is_rtu=True)
            link = await one._open()
            planted = framed(struct.pack(">BBHH", 1, function_code, 0, 1))
            reading = framed(struct.pack(">BBHH", 1, 3, 0, 1))
            for frame in (planted, reading + planted, planted + reading, reading[:-1], b"\0" + reading[1:]):
                with pytest.raises(WriteRefusedError):
                    link.send(frame)
            await link.close()
            await asyncio.sleep(0.05)
            assert bus.asked == []
            assert bus.noise == b""

    asyncio.run(story())


def test_a_planted_write_in_the_plan_falls_loudly_and_nothing_reaches_the_line() -> None:
    async def story() -> None:
        with line() as bus:
            one = source(bus.path, registers(1, 1), Catch())
            question = one.groups[0].questions[0]
            question.request = framed(struct.pack(">BBHH", 1, 6, 1, 1))  # type: ignore[union-attr]
            with pytest.raises(WriteRefusedError):
                async with asyncio.timeout(contract.PATIENCE_S):
                    await one.run()
            assert bus.asked == []
            assert bus.noise == b""

    asyncio.run(story())


def test_it_stops_within_a_second_in_any_state() -> None:
    async def story() -> None:
        for behave in (right, silent, torn):
            for delay_s in (0.0, 0.02, 0.12, 0.3):
                with line(behave) as bus:
                    files = open_files()
                    async with running(source(bus.path, registers(1, 1), Catch(), timeout_s=2.0)):
                        await asyncio.sleep(delay_s)
                    assert open_files() == files
        async with running(source("/dev/no-such-line", registers(1, 1), Catch())):
            await asyncio.sleep(0.2)

    asyncio.run(story())


def test_a_line_that_is_pulled_out_is_bad_and_comes_back(tmp_path: Path) -> None:
    async def story() -> None:
        name = tmp_path / "converter"
        catch = Catch()
        async with asyncio.timeout(contract.PATIENCE_S):
            with line() as bus:
                name.symlink_to(bus.path)
                one = source(str(name), registers(1, 1), catch)
                running_one = running(one)
                await running_one.__aenter__()
                await catch.until(any_good)
            name.unlink()
            lost = await catch.until(all_lost)
            assert lost.points.tolist() == [0]
            with line() as bus:
                name.symlink_to(bus.path)
                await catch.until(any_good)
                await running_one.__aexit__(None, None, None)

    asyncio.run(story())


class Converter:
    """RTU in TCP: what arrives goes to ``behave``, what it sends goes back."""

    def __init__(self, behave: Callable[[Bus, Asked], None]) -> None:
        self.behave = behave
        self.connections = 0
        self.asked: list[Asked] = []
        self._writers: list[asyncio.StreamWriter] = []

    def send(self, data: bytes) -> None:
        self._writers[-1].write(data)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.append(writer)
        try:
            while True:
                raw = await reader.readexactly(8)
                assert framed(raw[:6]) == raw
                one = Asked(raw[0], raw[1], *struct.unpack(">HH", raw[2:6]))
                self.asked.append(one)
                self.behave(self, one)  # type: ignore[arg-type]
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.transport.abort()


def over_tcp(port: int, points: tuple[Point, ...], catch: Catch, **more: object) -> modbus.ModbusSource:
    options = modbus.Options(
        "127.0.0.1",
        port,
        transport="rtu_over_tcp",
        **{"baud": 115200, "timeout_s": TIMEOUT_S, **more},  # type: ignore[arg-type]
    )
    made = modbus.connect(Device("line", points, period_s=FAST_S), options, catch.post)
    assert isinstance(made, modbus.ModbusSource)
    return made


def test_rtu_through_a_converter_is_read_and_a_garbled_unit_does_not_cost_the_connection() -> None:
    async def story() -> None:
        def second_torn(bus: Bus, asked: Asked) -> None:
            (wrong_crc if asked.unit == 2 else right)(bus, asked)

        converter = Converter(second_torn)
        server = await asyncio.start_server(converter.serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        catch = Catch()
        one = over_tcp(port, (*registers(1, 1), *registers(2, 2)), catch)
        async with running(one):
            scan = await catch.until(any_good)
            assert scan.quality.tolist() == [GOOD, bad(Cause.GARBLED)]
            converter.behave = right
            back = await catch.until(lambda scan: bool(is_good(scan.quality).all()))
            assert back.values.tolist() == [1001, 2002]
            assert converter.connections == 1
        for code in (5, 6, 15, 16, 22, 23, 43):
            link = await one._open()
            assert isinstance(link, RtuLink)
            with pytest.raises(WriteRefusedError):
                link.send(framed(struct.pack(">BBHH", 1, code, 0, 1)))
            await link.close()
        server.close()
        await asyncio.sleep(0.05)
        assert {asked.function_code for asked in converter.asked} == {3}

    asyncio.run(story())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"transport": "rtu"}, "serial"),
        ({"transport": "listen", "serial": " "}, "serial"),
        ({"transport": "rtu", "serial": "/dev/ttyS0", "host": "10.0.0.1"}, "host"),
        ({"transport": "rtu", "serial": "/dev/ttyS0", "standby": "10.0.0.1:502"}, "standby"),
        ({"transport": "rtu", "serial": "/dev/ttyS0", "unit_id": 0}, "unit_id"),
        ({"transport": "rtu", "serial": "/dev/ttyS0", "baud": 9601}, "baud"),
        ({"transport": "rtu", "serial": "/dev/ttyS0", "parity": "X"}, "parity"),
        ({"transport": "rtu", "serial": "/dev/ttyS0", "stop_bits": 3}, "stop_bits"),
        ({"transport": "udp", "host": "10.0.0.1"}, "transport"),
        ({"transport": "rtu_over_tcp"}, "host"),
        ({"host": "10.0.0.1", "standby": "10.0.0.2"}, "standby"),
        ({"host": "10.0.0.1", "standby": "10.0.0.2:0"}, "standby"),
        ({"host": "10.0.0.1", "unreadable": ("40101-x",)}, "unreadable"),
    ],
)
def test_a_wrong_option_names_its_key(more: dict[str, object], field: str) -> None:
    with pytest.raises(PointError) as caught:
        modbus.Options(**more)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.remedy["zh"]


def test_a_unit_that_no_line_can_have_is_refused() -> None:
    options = modbus.Options(transport="rtu", serial="/dev/ttyS0")
    modbus.check_point(Point("a", "40001", unit_id=247), options)
    for unit in (0, 248):
        with pytest.raises(PointError):
            modbus.check_point(Point("a", "40001", unit_id=unit), options)
