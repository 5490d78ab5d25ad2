"""Time that jumps: to the nanosecond the same on every run, and never past an answer that a thread still owes."""

import asyncio
import time

import pytest

from buffer.record import Append, Draft
from buffer.settings import SpoolSettings
from hil.virtual_time import FIRST_MONO_NS, AwaitedSpool, StuckError, VirtualClock, VirtualLoop

DAY_S = 86_400


def in_virtual_time(story):
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story())


def test_a_day_passes_at_once_and_every_instant_is_exact():
    async def story():
        loop, seen = asyncio.get_running_loop(), []
        for hour in range(1, 25):
            await asyncio.sleep(0.002)
            await asyncio.sleep(FIRST_MONO_NS / 1e9 + hour * 3600 - loop.time())
            seen.append(loop.now_ns - FIRST_MONO_NS)
        return seen

    begun = time.monotonic()
    assert in_virtual_time(story) == [hour * 3600 * 10**9 for hour in range(1, 25)]
    assert time.monotonic() - begun < DAY_S / 100


def test_timers_go_off_in_their_order():
    async def story():
        order = []

        async def one(after_s):
            await asyncio.sleep(after_s)
            order.append(after_s)

        await asyncio.gather(*(one(s) for s in (0.3, 0.1, 7200.0, 0.2)))
        return order

    assert in_virtual_time(story) == [0.1, 0.2, 0.3, 7200.0]


def test_time_stands_still_while_a_thread_owes_an_answer():
    async def story():
        loop = asyncio.get_running_loop()
        begun_ns = loop.now_ns
        timer = loop.create_task(asyncio.sleep(0.001))
        with loop.owed():
            answer = loop.create_future()
            loop.run_in_executor(
                None, lambda: (time.sleep(0.05), loop.call_soon_threadsafe(answer.set_result, 7))
            )
            assert await answer == 7
        assert loop.now_ns == begun_ns
        assert not timer.done()
        await timer
        assert loop.now_ns == begun_ns + 1_000_000
        with loop.owed():
            await loop.shutdown_default_executor()

    in_virtual_time(story)


def test_waiting_for_nothing_is_found_out():
    async def story():
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop()
    task = loop.create_task(story())
    with pytest.raises(StuckError):
        loop.run_until_complete(task)
    task.cancel()
    loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
    loop.close()


def test_the_clock_goes_with_the_loop_and_can_be_set():
    async def story():
        clock = VirtualClock(asyncio.get_running_loop(), 5 * 10**18)
        before = clock.now()
        await asyncio.sleep(10)
        clock.set_by(-(10**9))
        after = clock.now()
        assert before.utc_ns == 5 * 10**18
        assert after.mono_ns - before.mono_ns == 10 * 10**9
        assert after.utc_ns - before.utc_ns == 9 * 10**9
        assert after.clock.state == "synchronised"

    in_virtual_time(story)


def test_the_real_spool_is_waited_for(tmp_path):
    async def story():
        loop = asyncio.get_running_loop()
        spool = AwaitedSpool(tmp_path / "spool.db", SpoolSettings(), (), lambda gap: b"")
        begun_ns = loop.now_ns
        await spool.start()
        timer = loop.create_task(asyncio.sleep(0.000_001))
        records = await spool.append(Append((Draft("journal", 1, b"x"),)))
        assert [record.seq for record in records] == [1]
        assert loop.now_ns == begun_ns
        await timer
        await spool.close()

    in_virtual_time(story)
    assert (tmp_path / "spool.db").stat().st_size > 0
