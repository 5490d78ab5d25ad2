"""One timer per instant, whoever waits; what is taken back does not ring."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from drivers.kit.pace import SLOTS_PER_PERIOD
from drivers.wire.bell import beat, bell, sleep_until


def test_all_who_wait_for_an_instant_are_called_in_one_turn_and_who_left_is_not() -> None:
    async def story() -> list[str]:
        rung: list[str] = []
        ours, at_s = bell(), asyncio.get_running_loop().time() + 0.05
        timers = len(asyncio.get_running_loop()._scheduled)  # type: ignore[attr-defined]
        for name in ("a", "b", "c"):
            ours.call_at(at_s, name, lambda name=name: rung.append(name))  # type: ignore[misc]
        assert len(asyncio.get_running_loop()._scheduled) == timers + 1  # type: ignore[attr-defined]
        ours.take_back(at_s, "b")
        ours.take_back(at_s, "never there")
        await sleep_until(at_s)
        return rung

    assert asyncio.run(story()) == ["a", "c"]


def test_an_instant_for_which_nobody_waits_any_more_has_no_timer() -> None:
    async def story() -> None:
        ours, at_s = bell(), asyncio.get_running_loop().time() + 60
        ours.call_at(at_s, "a", list)
        ours.take_back(at_s, "a")
        assert ours._waiting == {}
        sleeper = asyncio.create_task(sleep_until(at_s))
        await asyncio.sleep(0)
        sleeper.cancel()
        await asyncio.wait({sleeper})
        assert sleeper.cancelled()
        assert ours._waiting == {}

    asyncio.run(story())


def test_each_loop_has_its_own() -> None:
    async def mine() -> object:
        assert bell() is bell()
        return bell()

    assert asyncio.run(mine()) is not asyncio.run(mine())


def test_a_beat_strikes_all_its_members_at_every_point_of_its_grid_and_none_that_left() -> None:
    async def story() -> None:
        struck: dict[str, list[int]] = {"a": [], "b": []}
        period = 50_000_000
        ours = beat(period, 3)
        assert beat(period, 3 + SLOTS_PER_PERIOD) is ours
        assert beat(period, 4) is not ours
        ours.join("a", struck["a"].append)
        ours.join("b", struck["b"].append)
        await asyncio.sleep(0.18)
        ours.leave("b")
        seen = len(struck["b"])
        await asyncio.sleep(0.12)
        ours.leave("a")
        ours.leave("never there")
        assert struck["a"][:seen] == struck["b"]
        assert 5 <= len(struck["a"]) <= 7
        steps = {round((later - at) / period) for at, later in pairwise(struck["a"])}
        assert steps == {1}
        assert bell()._waiting == {}, "nobody is a member, no timer runs"

    asyncio.run(story())
