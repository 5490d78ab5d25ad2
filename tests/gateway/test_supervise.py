import asyncio
import random

import pytest

from gateway import supervise
from gateway.supervise import Supervisor


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(supervise, "FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr(supervise, "LONGEST_PAUSE_S", 0.002)


def test_a_part_that_falls_comes_back_and_both_are_told():
    async def story():
        told, runs = [], []
        supervisor = Supervisor(lambda part, cause: told.append((part, cause)))

        async def part():
            runs.append(1)
            if len(runs) < 3:
                raise OSError("no route")
            await asyncio.sleep(3600)

        supervisor.start("plc", part)
        while len(runs) < 3:
            await asyncio.sleep(0.001)
        assert await supervisor.stop() == []
        assert told == [("plc", "OSError('no route')"), ("plc", "")] * 2

    asyncio.run(story())


def test_a_part_that_ends_by_itself_has_fallen():
    async def story():
        told = []
        supervisor = Supervisor(lambda part, cause: told.append(cause))

        async def part():
            pass

        supervisor.start("camera", part)
        while not told:
            await asyncio.sleep(0.001)
        await supervisor.stop()
        assert told[0] == "ended by itself"

    asyncio.run(story())


def test_only_a_vital_part_takes_the_house_down():
    async def story():
        supervisor = Supervisor(lambda part, cause: None)

        async def broken():
            raise ZeroDivisionError

        async def alive():
            await asyncio.sleep(3600)

        supervisor.start("other", alive)
        supervisor.start("evaluate", broken, vital=True)
        assert isinstance(await supervisor.failed(), ZeroDivisionError)
        assert await supervisor.stop() == []

    asyncio.run(story())


def test_who_does_not_leave_in_time_is_named(monkeypatch):
    monkeypatch.setattr(supervise, "STOP_S", 0.05)

    async def story():
        supervisor = Supervisor(lambda part, cause: None)
        let_go = asyncio.Event()

        async def stubborn():
            try:
                await asyncio.sleep(3600)
            finally:
                await let_go.wait()

        supervisor.start("stubborn", stubborn)
        await asyncio.sleep(0)
        assert await supervisor.stop() == ["stubborn"]
        let_go.set()

    asyncio.run(story())


def test_many_random_stops_among_failing_parts_never_hang():
    """The trap of TaskGroup on 3.11: a child that fails while it is cancelled."""

    async def once(seed):
        dice = random.Random(seed)
        supervisor = Supervisor(lambda part, cause: None)

        async def part():
            try:
                await asyncio.sleep(dice.random() * 0.004)
            finally:
                if dice.random() < 0.5:
                    raise OSError("fails while leaving")

        for k in range(5):
            supervisor.start(f"part{k}", part)
        await asyncio.sleep(dice.random() * 0.004)
        assert await supervisor.stop() == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    async def story():
        for seed in range(150):
            await once(seed)

    asyncio.run(story())
