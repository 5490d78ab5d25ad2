"""The Modbus driver with many units and groups behind one connection, and with two PLCs of which one is alive."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest
from hostile_modbus import Asked, identity, peer, right
from source_contract import Catch, any_good, running

from drivers import modbus
from drivers.kit import patience
from drivers.kit.quality import GOOD, Cause, bad, is_good
from drivers.kit.scan import Device, Point, Scan


def source(
    port: int, points: tuple[Point, ...], catch: Catch, period_s: float = 0.1, **more: object
) -> modbus.ModbusSource:
    options = modbus.Options("127.0.0.1", port, **{"timeout_s": 0.2, **more})  # type: ignore[arg-type]
    made = modbus.connect(Device("plc", points, period_s=period_s), options, catch.post)
    assert isinstance(made, modbus.ModbusSource)
    return made


def of_units(*units: int) -> tuple[Point, ...]:
    return tuple(Point(f"u{unit}", f"FC03/{unit}", unit_id=unit) for unit in units)


def test_each_group_is_a_scan_of_its_own_at_its_own_period() -> None:
    points = (
        Point("fast", "40001"),
        Point("slow", "40101", period_s=0.3),
        Point("fast2", "40002"),
        Point("alarmed", "40201", period_s=0.2, alarmed=True),
    )

    async def story() -> list[Scan]:
        async with peer(right) as device:
            catch = Catch()
            one = source(device.port, points, catch)
            async with running(one):
                await catch.until(any_good)
                await asyncio.sleep(1.85)
                assert one.state().counters["overruns"] <= 1
            return catch.scans

    scans = asyncio.run(story())
    told = {rows: [s for s in scans if s.points.tolist() == list(rows)] for rows in ((0, 2), (1,), (3,))}
    assert sum(len(some) for some in told.values()) == len(scans)
    assert scans[0].points.tolist() == [3], "what alarms hang on is read first"
    assert 16 <= len(told[0, 2]) <= 20
    assert 8 <= len(told[3,]) <= 11
    assert 5 <= len(told[1,]) <= 8


def test_a_slow_group_is_interrupted_by_what_is_due_and_is_counted_when_it_comes_due_itself() -> None:
    """Twenty blocks of 20 ms each, every 0.3 s, beside one value every 0.1 s."""

    async def slow(asked: Asked, writer: object) -> None:
        if asked.start >= 1000:
            await asyncio.sleep(0.02)
        await right(asked, writer)  # type: ignore[arg-type]

    points = (
        Point("fast", "FC03/0"),
        *(Point(f"s{k}", f"FC03/{1000 + 200 * k}", period_s=0.3) for k in range(20)),
    )

    async def story() -> tuple[list[Scan], int]:
        async with peer(slow) as device:
            catch = Catch()
            one = source(device.port, points, catch)
            async with running(one):
                await catch.until(lambda scan: len(scan.points) == 20)
                await asyncio.sleep(2.0)
            return catch.scans, one.state().counters["overruns"]

    scans, overruns = asyncio.run(story())
    fast = [scan for scan in scans if len(scan.points) == 1]
    steps = np.diff([scan.taken_mono_ns for scan in fast]) / 1e9
    assert np.median(steps) == pytest.approx(0.1, abs=0.03), "the fast value waited for the slow group"
    assert overruns > 0


def test_several_silent_units_all_come_back_soon_and_cost_the_others_nothing() -> None:
    async def story() -> None:
        dead = {3, 4, 5, 6, 7}
        since: dict[int, float] = {}

        async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.unit not in dead:
                writer.write(asked.answer(identity))

        async with peer(behave) as device:
            catch = Catch()
            one = source(device.port, of_units(*range(1, 11)), catch, period_s=0.5, timeout_s=0.4)
            async with running(one):
                await catch.until(any_good)
                before = one.state().counters["overruns"]
                begun_s = time.monotonic()
                start = len(catch.scans)
                for _ in range(6):
                    scan = await catch.until(lambda _: True)
                    assert np.flatnonzero(scan.quality != GOOD).tolist() == [2, 3, 4, 5, 6]
                assert one.state().counters["overruns"] == before
                assert len(catch.scans) - start >= int((time.monotonic() - begun_s) / 0.5)
                dead.clear()
                begun_s = time.monotonic()
                while len(since) < 5:
                    scan = await catch.until(lambda _: True)
                    for row in (2, 3, 4, 5, 6):
                        if scan.quality[row] == GOOD:
                            since.setdefault(row, time.monotonic() - begun_s)
        assert max(since.values()) < 5.0

    asyncio.run(story())


def test_a_unit_that_falls_does_not_make_its_neighbours_late() -> None:
    """Its timeout is as long as the period; it is waited for only so long that the others are read in time."""

    async def story() -> None:
        dead: set[int] = set()

        async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.unit not in dead:
                writer.write(asked.answer(identity))

        async with peer(behave) as device:
            catch = Catch()
            one = source(device.port, of_units(*range(1, 11)), catch, period_s=0.5, timeout_s=0.5)
            async with running(one):
                for _ in range(3):
                    await catch.until(any_good)
                overruns = one.state().counters["overruns"]
                for _ in range(3):
                    dead.add(2)
                    await catch.until(lambda scan: scan.quality[1] == bad(Cause.COMM))
                    dead.clear()
                    await catch.until(lambda scan: bool(is_good(scan.quality).all()))
                assert one.state().counters["overruns"] == overruns

    asyncio.run(story())


@pytest.mark.parametrize("units", [2, 3])
def test_slow_units_within_their_timeout_are_read_whole_while_the_period_has_time_for_them(
    units: int,
) -> None:
    async def story() -> None:
        async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.25)
            writer.write(asked.answer(identity))

        async with peer(slow) as device:
            catch = Catch()
            one = source(device.port, of_units(*range(1, units + 1)), catch, period_s=1.0, timeout_s=1.0)
            async with running(one):
                for _ in range(4):
                    assert is_good((await catch.until(lambda _: True)).quality).all()
                assert one.state().counters["misses"] == 0

    asyncio.run(story())


def test_a_slow_unit_that_fell_comes_back_however_little_time_is_left() -> None:
    """It needs 0.3 s of a period of 0.5 s of which its neighbour takes 0.25 s."""

    async def story() -> None:
        dead: set[int] = set()

        async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.unit not in dead:
                await asyncio.sleep(0.25 if asked.unit == 1 else 0.3)
                writer.write(asked.answer(identity))

        async with peer(slow) as device:
            catch = Catch()
            async with running(source(device.port, of_units(1, 2), catch, period_s=0.5, timeout_s=1.0)):
                await catch.until(lambda scan: bool(is_good(scan.quality).all()))
                dead.add(2)
                await catch.until(lambda scan: scan.quality[1] == bad(Cause.COMM))
                dead.clear()
                await catch.until(lambda scan: bool(is_good(scan.quality).all()))

    asyncio.run(story())


def test_a_unit_that_is_silent_at_one_block_only_keeps_the_rest() -> None:
    async def story() -> None:
        async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
            if asked.start < 500:
                writer.write(asked.answer(identity))

        async with peer(behave) as device:
            catch = Catch()
            points = (Point("a", "FC03/1"), Point("silent", "FC03/500"), Point("z", "FC04/2"))
            one = source(device.port, points, catch, timeout_s=0.1)
            async with running(one):
                settled = [GOOD, bad(Cause.COMM), GOOD]
                await catch.until(lambda scan: scan.quality.tolist() == settled)
                await catch.until(lambda scan: scan.quality.tolist() == settled)
                misses = one.state().counters["misses"]
                for _ in range(5):
                    scan = await catch.until(lambda _: True)
                    assert scan.quality.tolist() == settled
                assert one.state().counters["misses"] == misses, "it is not asked there again for a while"

    asyncio.run(story())


def test_the_standby_is_read_when_the_first_cannot_be_reached_or_does_not_answer() -> None:
    async def silent(_asked: Asked, _writer: asyncio.StreamWriter) -> None:
        return

    async def doubled(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.answer(lambda offset: 2 * offset))

    async def story() -> None:
        async with peer(right) as first, peer(doubled) as second:
            catch = Catch()
            standby = f"127.0.0.1:{second.port}"
            one = source(first.port, (Point("a", "FC03/7"),), catch, standby=standby)
            async with running(one):
                assert (await catch.until(any_good)).values.tolist() == [7]
                first.behave = silent
                assert (await catch.until(any_good)).values.tolist() == [14]
                assert standby in one.state().detail
                first.behave, second.behave = right, silent
                assert (await catch.until(any_good)).values.tolist() == [7]
        async with peer(right) as only:
            catch = Catch()
            one = source(1, (Point("a", "FC03/7"),), catch, standby=f"127.0.0.1:{only.port}")
            async with running(one):
                assert (await catch.until(any_good)).values.tolist() == [7]

    asyncio.run(story())


def test_a_plc_of_a_pair_that_refuses_everything_is_left_for_the_other() -> None:
    async def busy(asked: Asked, writer: asyncio.StreamWriter) -> None:
        writer.write(asked.refuse(6))

    async def story() -> None:
        async with peer(busy) as first, peer(right) as second:
            catch = Catch()
            one = source(first.port, (Point("a", "FC03/7"),), catch, standby=f"127.0.0.1:{second.port}")
            async with running(one):
                assert (await catch.until(any_good)).values.tolist() == [7]

    asyncio.run(story())


def test_a_slow_group_is_read_beside_one_that_takes_longer_than_its_period_and_is_as_old_as_its_first_part() -> (
    None
):
    asked_ns: list[int] = []

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.start == 2000:
            asked_ns.append(time.monotonic_ns())
        await asyncio.sleep(0.06)
        writer.write(asked.answer(identity))

    points = (
        Point("a0", "FC03/0", alarmed=True),
        Point("a1", "FC03/300", alarmed=True),
        Point("s0", "FC03/2000", period_s=0.4),
        Point("s1", "FC03/2300", period_s=0.4),
    )

    async def story() -> None:
        async with peer(slow) as device:
            catch = Catch()
            async with running(source(device.port, points, catch)):
                for number in range(3):
                    scan = await catch.until(lambda scan: scan.points.tolist() == [2, 3])
                    late_s = (scan.taken_mono_ns - asked_ns[number]) / 1e9
                    assert late_s < 0.06, "told as taken later than its first part was asked for"

    asyncio.run(story())


def test_a_plan_that_was_split_is_whole_again_when_nothing_is_refused_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "REFUSED_RETRY_NS", 300_000_000)
    refused = {3}

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        has_bad = refused & set(range(asked.start, asked.start + asked.count))
        writer.write(asked.refuse(2) if has_bad else asked.answer(identity))

    async def story() -> None:
        async with peer(behave) as device:
            catch = Catch()
            points = tuple(Point(f"p{k}", f"FC03/{k}") for k in range(4))
            async with running(source(device.port, points, catch)):
                await catch.until(lambda scan: scan.quality.tolist() == [GOOD] * 3 + [bad(Cause.REFUSED)])
                refused.clear()
                await catch.until(lambda scan: bool(is_good(scan.quality).all()))
                for _ in range(3):
                    await catch.until(any_good)
                assert device.asked[-1].count == 4

    asyncio.run(story())


def test_a_plan_that_was_split_is_whole_again_after_a_new_connection() -> None:
    whole, cut = True, False

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal cut
        if cut:
            cut = False
            writer.transport.abort()
            return
        writer.write(asked.answer(identity) if whole or asked.count == 1 else asked.refuse(3))

    async def story() -> None:
        nonlocal whole, cut
        async with peer(behave) as device:
            catch = Catch()
            whole = False
            points = tuple(Point(f"p{k}", f"FC03/{k}") for k in range(2))
            async with running(source(device.port, points, catch)):
                await catch.until(any_good)
                await catch.until(any_good)
                assert device.asked[-1].count == 1
                whole = cut = True
                await catch.until(lambda scan: not is_good(scan.quality).any())
                await catch.until(any_good)
                assert device.asked[-1].count == 2
                assert device.connections == 2

    asyncio.run(story())


def test_texts_and_long_numbers_travel_exactly_and_instruments_are_judged() -> None:
    words = {
        0: 0x4142,
        1: 0x4300,
        10: 0x7FFF,
        11: 0xFFFF,
        12: 0xFFFF,
        13: 0xFFFF,
        20: 100,
        21: 0b1000,
        30: 0x8000,
    }
    points = (
        Point("text", "FC03/0", type="string", length=2),
        Point("count", "FC03/10", type="uint64"),
        Point("level", "FC03/20", status_point="status", status_bits="3=maintenance"),
        Point("status", "FC03/21"),
        Point("gas", "FC03/30", type="int16", fault_values="0x8000"),
    )

    async def story() -> None:
        async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
            writer.write(asked.answer(lambda offset: words.get(offset, 0)))

        async with peer(behave) as device:
            catch = Catch()
            async with running(source(device.port, points, catch)):
                scan = await catch.until(any_good)
        assert scan.exact == {0: "ABC", 1: 0x7FFF_FFFF_FFFF_FFFF}
        assert scan.quality.tolist() == [GOOD, GOOD, bad(Cause.MAINTENANCE), GOOD, bad(Cause.DEVICE_FAULT)]

    asyncio.run(story())


@pytest.mark.parametrize("others", [0, 2])
def test_frozen_values_dead_heartbeats_and_status_words_are_found_over_the_wire(others: int) -> None:
    """All registers but the counter and the beat stand; then the beat stops. Alone and among devices of one make."""
    points = (
        Point("moving", "FC03/0", frozen_s=0.6),
        Point("standing", "FC03/1", frozen_s=0.6),
        Point("beat", "FC03/2", type="bit", bit=0),
        Point("alive", "FC03/3", heartbeat_point="beat", heartbeat_s=0.6),
        Point("status", "FC03/4"),
        Point("checked", "FC03/5", status_point="status", status_bits="3=maintenance"),
    )
    count, beats, status = 0, True, 0

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += asked.unit == 1
        words = {0: count, 2: count % 2 if beats else 1, 4: status}
        writer.write(asked.answer(lambda offset: words.get(offset, 7)))

    async def story() -> None:
        nonlocal beats, status
        async with peer(behave) as device:
            catch = Catch()
            more = [source(device.port, points, Catch(), unit_id=k + 2) for k in range(others)]
            tasks = [asyncio.create_task(one.run()) for one in more]
            async with running(source(device.port, points, catch)):
                assert is_good((await catch.until(any_good)).quality).all()
                frozen = bad(Cause.FROZEN)
                await catch.until(lambda s: s.quality.tolist() == [GOOD, frozen, GOOD, GOOD, GOOD, GOOD])
                status = 8
                maintained = bad(Cause.MAINTENANCE)
                await catch.until(
                    lambda s: s.quality.tolist() == [GOOD, frozen, GOOD, GOOD, GOOD, maintained]
                )
                beats = False
                await catch.until(
                    lambda s: s.quality.tolist() == [GOOD, frozen, GOOD, frozen, GOOD, maintained]
                )
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)

    asyncio.run(story())


def test_devices_of_one_make_are_decoded_together_each_with_its_own() -> None:
    async def story() -> None:
        async with peer(right) as device:
            points = tuple(Point(f"p{k}", f"FC03/{k}", scale=0.5) for k in range(20))
            other = tuple(Point(f"q{k}", f"FC03/{k + 100}", scale=0.5) for k in range(20))
            catches = [Catch() for _ in range(6)]
            sources = [
                source(device.port, other if k == 3 else points, catch, unit_id=k + 1)
                for k, catch in enumerate(catches)
            ]
            tasks = [asyncio.create_task(one.run()) for one in sources]
            for k, catch in enumerate(catches):
                for _ in range(5):
                    scan = await catch.until(any_good)
                    first = 50.0 if k == 3 else 0.0
                    assert scan.values.tolist() == [first + 0.5 * n for n in range(20)]
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() for task in tasks)

    asyncio.run(story())


def test_answers_wait_for_those_asked_with_them_but_not_for_a_slow_one() -> None:
    async def slow_third(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.unit == 3:
            await asyncio.sleep(0.03)
        writer.write(asked.answer(identity))

    async def story() -> None:
        async with peer(slow_third) as device:
            points = tuple(Point(f"p{k}", f"FC03/{k}") for k in range(5))
            catches = [Catch() for _ in range(3)]
            sources = [source(device.port, points, one, unit_id=k + 1) for k, one in enumerate(catches)]
            tasks = [asyncio.create_task(one.run()) for one in sources]
            for catch in catches:
                for _ in range(8):
                    await catch.until(any_good)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            first, second, third = ({scan.taken_mono_ns for scan in one.scans[2:]} for one in catches)
            assert first & second, "decoded together"
            assert not first & third, "the slow one holds nobody up"
            assert all(min(abs(at - other) for other in first) > 10_000_000 for at in third)

    asyncio.run(story())


def test_a_silent_unit_is_asked_in_the_little_time_that_a_full_line_leaves() -> None:
    """A slow group that comes due before it is through, beside a fast one."""
    dead = {9}

    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if asked.start >= 1000:
            await asyncio.sleep(0.02)
        if asked.unit not in dead:
            writer.write(asked.answer(identity))

    points = (
        Point("fast", "FC03/0", unit_id=1),
        Point("gone", "FC03/3", unit_id=9),
        *(Point(f"s{k}", f"FC03/{1000 + 200 * k}", period_s=0.15, unit_id=1) for k in range(20)),
    )

    async def story() -> None:
        async with peer(slow) as device:
            catch = Catch()
            one = source(device.port, points, catch)
            async with running(one):
                await catch.until(lambda scan: len(scan.points) == 2 and scan.quality[1] == bad(Cause.COMM))
                await asyncio.sleep(1.0)
                assert one.state().connected
                dead.clear()
                back = lambda scan: len(scan.points) == 2 and scan.quality[1] == GOOD  # noqa: E731
                await catch.until(back)

    asyncio.run(story())
