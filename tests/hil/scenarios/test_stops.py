"""Stops at random moments: all clean as it is; a house that leaves a thread behind fails the scenario."""

from __future__ import annotations

import asyncio

import pytest

from gateway.outputs import Output
from hil import leftovers
from hil.phases import PHASES
from hil.scenarios import stops
from hil.scenarios.stops import Effort

pytestmark = pytest.mark.scenario


def test_every_stop_is_clean():
    figures = asyncio.run(stops.run(long=False))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["stops"] == 60
    assert min(figures["hits"][phase] for phase in PHASES) >= 6
    assert figures["stop_s_max"] <= 5.0


def test_a_thread_left_behind_is_found_out(monkeypatch):
    monkeypatch.setattr(leftovers, "PATIENCE_S", 0.2)
    left = []
    close = Output.close
    monkeypatch.setattr(Output, "close", lambda output: left.append(output) or True)
    figures = asyncio.run(stops.play(Effort(stops=3, commands=1)))
    for output in left:
        close(output)
    assert figures["verdict"] == "fail"
    assert figures["left"] == {"thread": 3}
