"""Listening where somebody else is the master, on a real pty pair: his questions and answers become scans, and
nothing is ever sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from ptys import Asked, Bus, framed, line, open_files
from source_contract import Catch, all_lost, any_good, running

from drivers import modbus
from drivers.kit.quality import Cause, bad, is_good
from drivers.kit.scan import Device, Point

PERIOD_S = 0.1


def points() -> tuple[Point, ...]:
    return (
        Point("a", "FC03/0", unit_id=1),
        Point("b", "FC03/1", unit_id=1),
        Point("wide", "FC04/0", type="uint32", unit_id=2),
        Point("never", "FC03/500", unit_id=9),
    )


def listening(path: str, catch: Catch, of: tuple[Point, ...] | None = None) -> modbus.ListeningSource:
    options = modbus.Options(transport="listen", serial=path, timeout_s=0.1)
    device = Device("dcs", points() if of is None else of, period_s=PERIOD_S, config_rev="r1")
    source = modbus.connect(device, options, catch.post)
    assert isinstance(source, modbus.ListeningSource)
    return source


def exchange(bus: Bus, asked: Asked, answer: bytes | None = None) -> None:
    request = bytes((asked.unit, asked.function_code)) + asked.start.to_bytes(2, "big")
    bus.send(framed(request + asked.count.to_bytes(2, "big")))
    bus.send(asked.answer() if answer is None else answer)


@asynccontextmanager
async def master(bus: Bus) -> AsyncIterator[asyncio.Event]:
    """A DCS that polls two units and writes now and then, for as long as the event is set."""
    polling = asyncio.Event()
    polling.set()

    async def poll() -> None:
        while True:
            await polling.wait()
            exchange(bus, Asked(1, 3, 0, 2))
            await asyncio.sleep(0.01)
            exchange(bus, Asked(2, 4, 0, 2))
            bus.send(framed(bytes.fromhex("010600010003")) * 2)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(poll(), name="/tests/ master")
    try:
        yield polling
    finally:
        task.cancel()
        await asyncio.wait({task})


def test_what_is_overheard_is_posted_and_what_is_not_for_long_is_bad() -> None:
    async def story() -> None:
        with line() as bus:
            async with master(bus) as polling:
                catch = Catch()
                one = listening(bus.path, catch)
                async with running(one):
                    scan = await catch.until(any_good)
                    assert scan.points.tolist() == [0, 1, 2]
                    assert scan.values.tolist() == [0, 1, 1]
                    assert scan.config_rev == "r1"
                    both = await catch.until(lambda scan: len(scan.points) == 4)
                    assert both.quality[3] == bad(Cause.COMM)
                    assert is_good(both.quality[:3]).all()
                    await catch.until(any_good)
                    assert one.state().connected
                    assert one.state().counters["answers"] > 0
                    polling.clear()
                    lost = await catch.until(all_lost)
                    while len(lost.points) < 4:
                        lost = await catch.until(all_lost)
                    await asyncio.sleep(PERIOD_S)
                    assert not one.state().connected
                    polling.set()
                    await catch.until(any_good)
            assert bus.asked == []
            assert bus.noise == b"", "not a byte was sent"

    asyncio.run(story())


def test_a_line_silent_from_the_start_is_logged_once_down_and_once_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            async with running(listening(bus.path, catch)):
                await catch.until(all_lost)
                await catch.until(all_lost)
                assert [record.levelname for record in caplog.records] == ["WARNING"]
                async with master(bus):
                    await catch.until(any_good)
                    await catch.until(any_good)

    with caplog.at_level("INFO", logger="drivers.modbus"):
        asyncio.run(story())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_line_that_is_overheard_from_the_start_is_never_said_to_be_silent(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            async with master(bus), running(listening(bus.path, catch, points()[:3])):
                for _ in range(5):
                    await catch.until(any_good)

    with caplog.at_level("INFO", logger="drivers.modbus"):
        asyncio.run(story())
    assert [record.levelname for record in caplog.records] == ["INFO"]


def test_a_value_that_is_not_heard_again_is_not_told_again() -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            async with running(listening(bus.path, catch, points()[:2])):
                await asyncio.sleep(0.05)
                exchange(bus, Asked(1, 3, 0, 2))
                await catch.until(any_good)
                lost = await catch.until(lambda _: True)
                assert not is_good(lost.quality).any(), "a value was told twice"

    asyncio.run(story())


def test_a_status_word_is_told_of_its_points_though_they_are_not_heard_anew() -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            of = (
                Point("level", "FC03/0", unit_id=1, status_point="status", status_bits="3=maintenance"),
                Point("status", "FC03/50", unit_id=1),
            )
            async with running(listening(bus.path, catch, of)):
                await asyncio.sleep(0.05)
                exchange(bus, Asked(1, 3, 0, 1))
                exchange(bus, Asked(1, 3, 50, 1), Asked(1, 3, 50, 1).answer(lambda _: 0))
                assert is_good((await catch.until(any_good)).quality).all()
                exchange(bus, Asked(1, 3, 50, 1), Asked(1, 3, 50, 1).answer(lambda _: 8))
                scan = await catch.until(lambda scan: bad(Cause.MAINTENANCE) in scan.quality.tolist())
                assert scan.points.tolist() == [0, 1]

    asyncio.run(story())


def test_what_is_not_heard_does_not_stand_still_and_what_is_heard_unchanged_does() -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            of = (Point("level", "FC03/0", unit_id=1, frozen_s=0.5),)
            async with running(listening(bus.path, catch, of)):
                await asyncio.sleep(0.05)
                asked = Asked(1, 3, 0, 1)
                exchange(bus, asked)
                await catch.until(any_good)
                await catch.until(all_lost)
                await asyncio.sleep(0.6)
                exchange(bus, asked)
                back = await catch.until(lambda scan: bad(Cause.COMM) not in scan.quality.tolist())
                assert is_good(back.quality).all(), "silence was taken for stillness"
                async with asyncio.timeout(5):
                    while bad(Cause.FROZEN) not in catch.scans[-1].quality.tolist():
                        exchange(bus, asked)
                        await asyncio.sleep(0.05)

    asyncio.run(story())


def test_a_line_that_is_pulled_out_is_bad_at_once_whatever_the_period() -> None:
    async def story() -> None:
        catch = Catch()
        with line() as bus:
            options = modbus.Options(transport="listen", serial=bus.path, timeout_s=0.1)
            one = modbus.connect(Device("dcs", points()[:2], period_s=60.0), options, catch.post)
            around = running(one)
            await around.__aenter__()
            await asyncio.sleep(0.1)
        async with asyncio.timeout(5):
            await catch.until(all_lost)
        assert not one.state().connected
        await around.__aexit__(None, None, None)

    asyncio.run(story())


def test_refused_and_torn_answers_give_no_number() -> None:
    async def story() -> None:
        with line() as bus:
            catch = Catch()
            async with running(listening(bus.path, catch, points()[:2])):
                await asyncio.sleep(0.05)
                asked = Asked(1, 3, 0, 2)
                for _ in range(5):
                    exchange(bus, asked, asked.answer()[:-1] + b"\0")
                    exchange(bus, asked, Asked(1, 3, 0, 1).answer())
                    exchange(bus, asked, Asked(2, 3, 0, 2).answer())
                    await asyncio.sleep(0.03)
                assert not any(is_good(scan.quality).any() for scan in catch.scans)
                await asyncio.sleep(0.4)
                exchange(bus, asked, asked.refuse(2))
                scan = await catch.until(lambda scan: bad(Cause.REFUSED) in scan.quality.tolist())
                assert scan.quality.tolist() == [bad(Cause.REFUSED)] * 2

    asyncio.run(story())


def test_a_single_read_listens_until_everything_was_heard() -> None:
    async def story() -> None:
        with line() as bus:
            async with master(bus):
                files = open_files()
                scan = await listening(bus.path, Catch(), points()[:3]).read()
                assert scan.values.tolist() == [0, 1, 1]
                assert open_files() == files

    asyncio.run(story())


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.25])
def test_it_stops_at_once_and_a_line_that_is_not_there_is_said(delay_s: float) -> None:
    async def story() -> None:
        catch = Catch()
        async with running(listening("/dev/no-such-line", catch)):
            await catch.until(all_lost)
            await asyncio.sleep(delay_s)
        with line() as bus:
            files = open_files()
            async with running(listening(bus.path, Catch())):
                await asyncio.sleep(delay_s)
            assert open_files() == files

    asyncio.run(story())
