"""What counts as a reading, and which answer an alarm goes back to."""

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Scan
from hil.judge import Reading
from hil.readings import NO_COUNTER, Trail, Valued, readings_of_message, readings_of_scan

COUNTERS = {"plc1": "plc1.count"}


def message(**scan):
    return {"scans": [{"device": "plc1", "point_id": ["plc1.count", "LT-101"], "quality": "good", **scan}]}


def test_what_came_in_one_answer_is_told_apart_by_its_counter():
    assert readings_of_message(message(value=[7, 41.5]), COUNTERS) == [
        Valued(Reading("plc1.count", 7), 7),
        Valued(Reading("LT-101", 7), 41.5),
    ]


def test_bad_values_are_no_readings_and_uncertain_ones_are():
    found = readings_of_message(message(value=[7, None], quality=["good", "bad"]), COUNTERS)
    assert [one.reading.point for one in found] == ["plc1.count"]
    found = readings_of_message(message(value=[7, 1.0], quality=["good", "uncertain"]), COUNTERS)
    assert len(found) == 2


def test_a_good_value_without_its_counter_cannot_have_been_answered():
    found = readings_of_message(message(value=[None, 1.0], quality=["bad", "good"]), COUNTERS)
    assert found == [Valued(Reading("LT-101", NO_COUNTER), 1.0)]


def test_opc_ua_readings_are_told_apart_by_source_time():
    scan = {
        "device": "plc2",
        "point_id": ["GT-201", "GT-202"],
        "quality": "good",
        "value": [1.0, 2.0],
        "t_source": ["1970-01-01T00:00:01.234Z", None],
    }
    assert [one.reading for one in readings_of_message({"scans": [scan]}, COUNTERS)] == [
        Reading("GT-201", 1234),
        Reading("GT-202", NO_COUNTER),
    ]


def test_the_spool_gives_the_same_readings_as_the_wire():
    names = ["plc1.count", "LT-101", "TT-101"]
    scan = Scan(
        device="plc1",
        config_rev="r",
        points=np.array([0, 2], dtype=np.uint16),
        values=np.array([9.0, 20.5]),
        quality=np.array([GOOD, GOOD], dtype=np.uint8),
        taken_ns=0,
        taken_mono_ns=0,
    )
    assert readings_of_scan(scan, names, COUNTERS) == [
        Valued(Reading("plc1.count", 9), 9.0),
        Valued(Reading("TT-101", 9), 20.5),
    ]
    scan.quality[1] = bad(Cause.COMM)
    assert len(readings_of_scan(scan, names, COUNTERS)) == 1


@pytest.mark.parametrize(
    ("level", "edge", "value", "crossed"),
    [("H", 85.0, 86.0, 20), ("HH", 90.0, 91.0, 30), ("L", 5.0, 5.0, 50), ("ON", 5.0, 5.0, 50)],
)
def test_an_alarm_goes_back_to_the_answer_that_crossed_its_limit(level, edge, value, crossed):
    trail = Trail(np.array([10, 20, 30, 40, 50, 60]), np.array([84.0, 86.0, 91.0, 92.0, 5.0, 99.0]))
    alarm = {"limit_edge": edge, "level": {"current": level}, "value": value}
    assert trail.crossed_ns(alarm, before_ns=55) == crossed


def test_an_alarm_whose_value_nobody_answered_goes_back_to_nothing():
    trail = Trail(np.array([10, 20]), np.array([84.0, 86.0]))
    alarm = {"limit_edge": 85.0, "level": {"current": "H"}, "value": 87.0}
    assert trail.crossed_ns(alarm, before_ns=30) is None
    assert trail.crossed_ns({**alarm, "value": 86.0}, before_ns=15) is None
