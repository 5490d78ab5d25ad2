"""The driver's speed in its shortest form: that both processes did their work, never how fast."""

import asyncio

import pytest

from hil.scenarios import modbus_speed


@pytest.mark.scenario
def test_short_form_does_the_work_and_names_every_figure():
    figures = asyncio.run(modbus_speed.measure(modbus_speed.SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    (level,) = figures["levels"]
    assert level["values_per_s"] == 300
    assert {"ratio", "driver_us_per_value", "bare_us_per_value"} <= level.keys()
    assert len(level["driver_windows_us"]) == len(level["bare_windows_us"]) == 2


def test_work_that_was_not_done_is_named():
    said = {"scans": 100, "misses": 0, "bad": 0, "wrong": 0}
    assert modbus_speed.undone("driver", said, 103, 3) == []
    assert modbus_speed.undone("driver", said, 104, 3) == ["driver took 100 scans of 104 answers"]
    assert modbus_speed.undone("bare", said, 99, 3) == ["bare took 100 scans of 99 answers"]
    assert len(modbus_speed.undone("driver", {**said, "bad": 1}, 100, 3)) == 1
