"""The speed scenario in its shortest form: what it counts and says, never how fast it was."""

import asyncio

import pytest

from hil.load import Load, crossing_of
from hil.modbus_plc import Unit
from hil.scenarios import speed


def test_crossings_name_their_own_answer_and_end_when_told():
    load = Load(0, 10)
    unit = Unit(load.name, 12)
    seen = []
    for step in range(40):
        load.crossing = 8 <= step < 30
        load.refresh(unit)
        seen.append(int(unit.registers[2]))
        unit.registers[1] += 1
    beyond = [i for i, raw in enumerate(seen) if raw >= 60_000]
    assert beyond
    assert load.crossed
    assert len(load.crossed) == len(load.returned)
    assert [crossing_of(seen[counter - 1] * 0.1) for counter in load.crossed] == list(
        range(len(load.crossed))
    )
    assert max(beyond) <= 30
    assert all(seen[counter - 1] < 2_000 for counter in load.returned)


@pytest.mark.scenario
def test_short_form_counts_everything_and_names_every_figure():
    figures = asyncio.run(speed.measure(speed.SHORT))
    (level,) = figures["levels"]
    assert level["values_per_s"] == 200
    assert level["lost"] == 0
    assert {"floor_us_per_value", "gateway_us_per_value", "ratio"} <= level.keys()
    assert figures["alarm_samples"] >= speed.SHORT.alarm_samples
    assert {"verdict", "rss_mb", "alarm_ms_p50", "alarm_ms_p99", "first_value_s"} <= figures.keys()
    assert (figures["written_bytes_per_value"] is None) == ("skipped" in figures)
