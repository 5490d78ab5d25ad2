"""One timer per instant, whoever waits; what is taken back does not ring."""

from __future__ import annotations

import asyncio
import math
from itertools import pairwise

from drivers.kit.pace import SLOTS_PER_PERIOD
from drivers.wire.bell import beat, bell, sleep_until, watch


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
        ours.call_at(at_s, "a", lambda: None)
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


class Waiter:
    """Waits for something until told that it is late."""

    def __init__(self, late_s: float, late: list[float]) -> None:
        self.late_s = late_s
        self._late = late

    def give_up(self) -> None:
        self._late.append(self.late_s)
        self.late_s = math.inf


def test_who_waits_too_long_is_told_and_whose_wait_is_over_is_not() -> None:
    async def story() -> None:
        ours, late = watch(), list[float]()
        now_s = asyncio.get_running_loop().time()
        soon, later, answered, gone = (Waiter(now_s + 0.05 * k, late) for k in (1, 2, 1, 1))
        for one in (soon, later, answered, gone):
            ours.join(one)
            ours.wake_by(one.late_s)
        answered.late_s = math.inf
        ours.leave(gone)
        await asyncio.sleep(0.2)
        assert late == [now_s + 0.05, now_s + 0.1]
        assert ours.at_s == math.inf, "nobody waits: nothing rings"
        for one in (soon, later, answered):
            ours.leave(one)

    asyncio.run(story())


def test_an_earlier_wait_moves_the_timer_forward_and_a_later_one_makes_none() -> None:
    async def story() -> None:
        ours, late = watch(), list[float]()
        now_s = asyncio.get_running_loop().time()
        far, near = Waiter(now_s + 60, late), Waiter(now_s + 0.05, late)
        ours.join(far)
        ours.wake_by(far.late_s)
        ours.wake_by(now_s + 61)
        assert ours.at_s == far.late_s
        ours.join(near)
        ours.wake_by(near.late_s)
        assert ours.at_s == near.late_s
        await asyncio.sleep(0.1)
        assert late == [now_s + 0.05]
        assert ours.at_s == far.late_s, "who still waits is looked after"
        ours.leave(far)

    asyncio.run(story())
