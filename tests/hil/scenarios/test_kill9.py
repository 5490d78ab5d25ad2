"""A kill in the middle of a broker's outage: passes as it is, fails on a disk that forgets."""

from __future__ import annotations

import asyncio

import pytest

from hil.scenarios import kill9
from hil.scenarios.kill9 import OUT, Story


@pytest.mark.scenario
def test_what_was_recorded_arrives_once_over_a_kill():
    figures = asyncio.run(kill9.run(long=False))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["gaps_declared"] == figures["kills"] == 1


@pytest.mark.scenario
def test_a_disk_that_forgets_is_found_out():
    def forget(site):
        (site.storage / "spool.db-wal").write_bytes(b"")

    figures = asyncio.run(kill9.play(Story(outage_s=5.0, kills=1), forget))
    assert figures["verdict"] == "fail"
    assert figures["recipients"][OUT]["lost"] > 0
    assert figures["recipients"]["bureau"]["duplicates"] + figures["sent_before_durable"] > 0
