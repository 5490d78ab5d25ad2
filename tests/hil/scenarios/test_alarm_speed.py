"""The alarm system's speed in its shortest form: that the work was done and nothing is left behind, never how fast."""

import asyncio
from dataclasses import replace

import pytest

from gateway.engine import Engine
from hil.scenarios import alarm_speed


@pytest.mark.scenario
def test_short_form_does_the_work_and_names_every_figure():
    figures = asyncio.run(alarm_speed.measure(alarm_speed.SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["limits"] == 4 * figures["values_per_s"]
    assert figures["standing"] == figures["restored"] == 300
    assert figures["shelves_restored"] == 3
    assert figures["numpy_us_per_value"] > 0
    assert "floor_us_per_value" not in figures


def test_an_engine_that_forgets_what_stood_is_found(monkeypatch):
    def forgetful(self, alarm):
        self.register.alarms.pop(alarm.condition)

    monkeypatch.setattr(Engine, "_restore", forgetful)
    figures = asyncio.run(alarm_speed.measure(replace(alarm_speed.SHORT, stretches=1, seconds=5)))
    assert figures["verdict"] == "fail"
    assert any("standing alarms 0 came back" in problem for problem in figures["problems"])


def test_an_engine_that_keeps_what_it_has_seen_is_found(monkeypatch):
    kept = []
    judge = Engine.step

    def hoarding(self, scans, now):
        kept.append([scan.values.copy() for scan in scans])
        return judge(self, scans, now)

    monkeypatch.setattr(Engine, "step", hoarding)
    figures = asyncio.run(alarm_speed.measure(replace(alarm_speed.SHORT, stretches=1, seconds=20)))
    assert any("bytes behind" in problem for problem in figures["problems"])
