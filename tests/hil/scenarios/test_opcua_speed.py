"""The OPC UA speed scenario in its shortest form: what it counts and says, never how fast it was."""

import asyncio

import pytest

from hil.opcua_follow import BARE, DRIVER
from hil.scenarios import opcua_speed
from hil.scenarios.opcua_speed import SHORT, Turn


@pytest.mark.scenario
def test_short_form_counts_everything_and_names_every_figure():
    figures = asyncio.run(opcua_speed.measure(SHORT))
    assert [problem for problem in figures["problems"] if "ratio" not in problem] == []
    assert figures["handed"] >= figures["taken"] > 0
    assert figures["opcua_write_services_seen"] == 0
    assert len(figures["driver_windows_us"]) == len(figures["bare_windows_us"]) == 2
    assert {"verdict", "ratio", "driver_us_per_value", "bare_us_per_value"} <= figures.keys()


def judged(*, writes=0, **altered):
    right = {"cpu_s": 1.0, "values": 60, "handed": 120, "taken": 120, "rss_bytes": 1}
    turns = [Turn(BARE, **right), Turn(DRIVER, **{**right, **altered})]
    return opcua_speed._verdict(turns, SHORT, writes)


def test_as_cheap_as_bare_passes():
    assert judged()["verdict"] == "pass"
    assert judged()["ratio"] == 1.0


def test_a_dear_driver_fails():
    assert judged(cpu_s=1.6)["problems"] == ["the ratio is 1.6, at most 1.5"]


@pytest.mark.parametrize(
    ("altered", "word"), [({"values": 25}, "are due"), ({"taken": 90}, "took 90 of 120")]
)
def test_a_driver_that_is_cheap_because_it_does_less_fails(altered, word):
    figures = judged(**altered)
    assert figures["verdict"] == "fail"
    assert any(word in problem for problem in figures["problems"])


def test_a_write_fails():
    assert judged(writes=1)["verdict"] == "fail"
