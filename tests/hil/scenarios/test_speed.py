"""The speed scenario in its shortest form: what it counts and says, never how fast it was."""

import asyncio

import pytest

from hil.scenarios import speed


@pytest.mark.scenario
def test_short_form_counts_everything_and_names_every_figure():
    figures = asyncio.run(speed.measure(speed.SHORT))
    (level,) = figures["levels"]
    assert level["values_per_s"] == 200
    assert level["lost"] == 0
    assert figures["modbus_writes_seen"] == 0
    assert {"floor_us_per_value", "gateway_us_per_value", "ratio"} <= level.keys()
    assert figures["alarm_samples"] >= speed.SHORT.alarm_samples
    assert {"verdict", "rss_mb", "alarm_ms_p50", "alarm_ms_p99", "first_value_s"} <= figures.keys()
    assert (figures["written_bytes_per_value"] is None) == ("skipped" in figures)
