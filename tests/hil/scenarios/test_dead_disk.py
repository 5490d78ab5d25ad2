"""A disk that hangs and goes while limits are crossed: passes as it is, fails where the siren waits for it."""

from __future__ import annotations

import asyncio

import pytest

from hil.scenarios import dead_disk
from hil.scenarios.dead_disk import Story

pytestmark = [pytest.mark.root, pytest.mark.scenario]


def test_alarms_go_on_without_a_disk():
    figures = asyncio.run(dead_disk.run(long=False))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["scans_declared"] == figures["scans_lost"] > 0
    assert min(figures["not_durable"].values()) >= figures["alarm_changes_while_away"] >= 5
    assert figures["modbus_writes_seen"] == 0


def test_a_siren_that_waits_for_the_disk_is_found_out():
    story = Story(frozen_s=3.0, gone_s=2.0, patience_s=2.0)
    figures = asyncio.run(dead_disk.play(story, siren_on_the_disk=True))
    assert figures["verdict"] == "fail"
    assert any("in vain waited until the siren sounds" in problem for problem in figures["problems"])
