"""A house in this process, stopped at a moment: clean as it is; whatever a planted fault leaves is named."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway import supervise
from gateway.app import House
from gateway.config import load
from gateway.outputs import Output
from hil import house, leftovers
from hil.house import Moment, live
from hil.phases import PHASES, WAIT, Phases
from hil.scenarios.stops import CAMERA, _device
from hil.site import Site
from hil.site_plan import CameraView, SitePlan

LAMP = {"name": "lamp", "kind": "command", "argv": ["/bin/true"]}


@pytest.fixture
def stops(tmp_path, monkeypatch):
    """Lives houses of one tiny site, one per moment, and gives how each stop went."""
    monkeypatch.setattr(leftovers, "PATIENCE_S", 0.5)
    monkeypatch.setattr(house, "LIVES_S", 3.0)

    def of(*moments, plant=contextlib.nullcontext):
        async def story():
            plan = SitePlan(
                modbus=[_device(0)],
                cameras=(CameraView(CAMERA, lambda: 50.0),),
                recipients=("province",),
                flush_s=0.2,
                outputs=(LAMP,),
            )
            async with Site(plan, tmp_path) as site:
                await site.stop_gateway()
                config = load(site.configuration)
                with Phases() as phases, plant():
                    return [await live(config, moment, phases) for moment in moments]

        return asyncio.run(story())

    return of


def test_a_stop_hits_the_phase_it_aims_at_and_is_clean(stops):
    aimed = [Moment(phase, after_s=0.3 if phase == WAIT else 0.0) for phase in PHASES]
    done = stops(*aimed, Moment(after_s=0.0), Moment(after_s=0.02))
    assert [stop.problems for stop in done] == [[]] * len(done)
    assert [moment.phase in stop.hit for moment, stop in zip(aimed, done[: len(aimed)], strict=True)] == [
        True
    ] * len(aimed)
    assert max(stop.took_s for stop in done) < house.STOP_S


def test_a_thread_that_stays_is_named(stops, monkeypatch):
    left = []

    def forget(output):
        left.append(output)
        return True

    close = Output.close
    monkeypatch.setattr(Output, "close", forget)
    (stop,) = stops(Moment(after_s=0.5))
    for output in left:
        close(output)
    assert stop.problems == ["left: thread output-lamp"]


def test_a_task_that_stays_and_one_that_will_not_leave_are_named(stops, monkeypatch):
    monkeypatch.setattr(supervise, "STOP_S", 0.2)
    look_after = House._look_after

    async def deaf(self):
        self.extra = asyncio.create_task(asyncio.sleep(60), name="extra")
        try:
            await look_after(self)
        except asyncio.CancelledError:
            await asyncio.sleep(0.5)

    monkeypatch.setattr(House, "_look_after", deaf)
    (stop,) = stops(Moment(after_s=0.5))
    assert set(stop.problems) >= {"hangs: look-after", "left: task look-after", "left: task extra"}


def test_a_house_that_falls_by_itself_is_no_clean_stop(stops, monkeypatch):
    def broken(self):
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(House, "_watched", broken)
    (stop,) = stops(Moment(after_s=1.0))
    assert "it ended before it was told to" in stop.problems
    assert any("planted" in problem for problem in stop.problems)
