"""A short day of alarms passes; one whose engine forgets the deadband, or whose record lacks a change, does not."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.pending import Pending
from hil.scenarios import alarm_day
from hil.scenarios.alarm_day import SHORT

pytestmark = pytest.mark.scenario

SHORTER = replace(SHORT, span_s=1_800, short_s=60)


def test_an_hour_of_200_points_is_the_same_hour_every_time():
    figures = asyncio.run(alarm_day.play(SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["transitions"] > figures["raises"] > 0
    assert figures["judged_again"] > 0
    assert figures["short_hashes"][0] == figures["short_hashes"][1] != figures["short_hashes"][2]
    words = {"ack", "cause", "clear", "escalate", "shelve", "unshelve", "suppress", "unsuppress"}
    assert words < set(figures["by_transition"])
    assert {"limit", "digital", "comm", "quality"} < set(figures["raises_by_type"])


def test_an_engine_without_deadbands_is_found_out():
    def forget(engine):
        table = engine._bank.table
        table._leave[:] = table._enter

    figures = asyncio.run(alarm_day.play(SHORTER, forget))
    assert figures["verdict"] == "fail"
    assert any("cleared at" in problem for problem in figures["problems"])


def test_an_engine_that_forgets_its_delays_is_found_out_by_the_second_opinion():
    def forget(engine):
        table = engine._bank.table
        table._on_ns[:] = table._off_ns[:] = 0

    figures = asyncio.run(alarm_day.play(SHORTER, forget))
    assert figures["verdict"] == "fail"
    assert any("second opinion" in problem for problem in figures["problems"])


def test_a_change_that_is_told_and_not_recorded_is_found_out(monkeypatch):
    class Forgetful(Pending):
        forgot = False

        def add_changes(self, changes):
            if not Forgetful.forgot:
                Forgetful.forgot, changes = True, changes[1:]
            super().add_changes(changes)

    monkeypatch.setattr(alarm_day, "Pending", Forgetful)
    figures = asyncio.run(alarm_day.play(SHORTER))
    assert figures["verdict"] == "fail"
    assert any("transitions were told" in problem for problem in figures["problems"])
