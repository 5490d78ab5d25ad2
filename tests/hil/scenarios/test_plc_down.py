"""Every PLC away for two minutes of accelerated time, and judges that find what a bad gateway would do."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Scan
from hil.scenarios import plc_down
from hil.scenarios.plc_down import LARGE, POINTS, Story, memory_grew_mb


@pytest.mark.scenario
def test_two_minutes_without_any_plc():
    figures = plc_down.judge(asyncio.run(plc_down.play(plc_down.SHORT)))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["alarm_changes_of_1000_points"] == 2
    assert figures["log_lines"] == 2 * len(POINTS)


def perfect():
    """What a perfect gateway would leave behind."""
    story = Story(100.0, [100_000_000] * 40)
    for name in POINTS:
        story.log += [
            f"2026-01-01 00:00:00,000 {word} drivers.modbus: {name}: x" for word in ("WARNING", "INFO")
        ]
        story.alarms += [
            {"type": "comm", "point_id": "", "source": name, "transition": change}
            for change in ("raise", "clear")
        ]
        story.scans += [scan(name, second, bad(Cause.COMM)) for second in range(101)] + [
            scan(name, 101, GOOD)
        ]
    return story


def scan(device, second, quality):
    rows = np.arange(2, dtype=np.uint16)
    values = np.ones(2) if quality == GOOD else np.full(2, np.nan)
    return Scan(device, "rev", rows, values, np.full(2, quality, dtype=np.uint8), int(second * 1e9), 0)


def problems(story):
    figures = plc_down.judge(story)
    assert (figures["verdict"] == "pass") == (figures["problems"] == [])
    return figures["problems"]


def test_a_perfect_story_passes():
    assert problems(perfect()) == []


def test_an_alarm_per_point_is_found_out():
    story = perfect()
    story.alarms += [
        {"type": "quality", "point_id": f"{LARGE}.{k}", "source": LARGE, "transition": "raise"}
        for k in range(500)
    ]
    assert len(problems(story)) == 5
    assert plc_down.judge(story)["alarm_changes_of_1000_points"] == 502


def test_a_missing_return_is_found_out():
    story = perfect()
    story.alarms.pop()
    assert problems(story) == ["missing: ('comm', 'plc9', 'clear')"]


def test_a_line_too_many_or_too_few_is_found_out():
    story = perfect()
    story.log.append(story.log[0])
    story.log.pop(2)
    assert [one.split(":")[0] for one in problems(story)] == ["plc0", "plc1"]


def test_a_device_that_falls_silent_in_the_record_is_found_out():
    story = perfect()
    story.scans = [
        one for one in story.scans if one.device != "plc3" or one.taken_ns < 40e9 or one.taken_ns > 100e9
    ]
    assert any(one.startswith("plc3: said to be bad over 39 s") for one in problems(story))


def test_bad_points_that_are_said_at_each_time_out_only_are_found_out():
    story = perfect()
    kept = [
        one for one in story.scans if one.device != "plc3" or one.taken_ns > 99e9 or one.taken_ns % 5e9 == 0
    ]
    often = [one for one in kept if one.device == "plc3" and one.taken_ns < 99e9]
    story.scans = sorted(kept + 9 * often, key=lambda one: one.taken_ns)
    assert problems(story) == ["plc3: said to be bad over 100 s, in 20% of the periods"]


def test_periods_that_a_busy_machine_skips_are_forgiven():
    story = perfect()
    story.scans = [one for one in story.scans if one.taken_ns % 20e9 != 5e9]
    assert problems(story) == []


@pytest.mark.parametrize(
    "foreign",
    [
        "2026-01-01 00:00:00,000 WARNING gateway.intake: a queue is full",
        "2026-01-01 00:00:00,000 ERROR asyncio: Task exception was never retrieved",
        "Traceback (most recent call last):",
        "ValueError: 7",
    ],
)
def test_any_other_complaint_of_the_log_is_found_out(foreign):
    story = perfect()
    story.log += 10_000 * [foreign]
    assert problems(story) == [f"10000 other log lines complain: {foreign}"]


def test_a_foreign_line_that_complains_of_nothing_is_none():
    story = perfect()
    story.log.append("2026-01-01 00:00:00,000 INFO plantgate: stopping")
    assert problems(story) == []


def test_a_value_that_stays_bad_is_found_out():
    story = perfect()
    story.scans[-1] = replace(story.scans[-1], quality=np.array([GOOD, bad(Cause.COMM)], dtype=np.uint8))
    assert problems(story) == ["plc9 is not all good in the end"]


def test_a_leak_is_seen_and_a_cache_that_fills_is_not():
    assert memory_grew_mb([100_000_000 + 100_000 * k for k in range(100)]) == 4.0
    assert memory_grew_mb([100_000_000 + 1_000_000 * min(k, 30) for k in range(100)]) == 0
