import math
from dataclasses import replace

import numpy as np
import pytest

from buffer.record import LANES
from buffer.settings import LaneState
from drivers.kit.contract import SourceState
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Device, Point, Scan
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.engine import Engine, WatchedDevice
from gateway.instant import Now
from gateway.plant import DeviceConfig, PointConfig
from gateway.status import endurance_s, points_view, sources_view

POINTS = tuple(PointConfig(Point(n, "40001"), unit="m", limits=Limits(h=5.0, hh=6.0), priority=p) for n, p in
               (("A", 2), ("B", 1), ("C", 2)))  # fmt: skip


def engine():
    made = Engine([WatchedDevice("plc", POINTS)], (), Now(0, 0))
    quality = np.array([GOOD, GOOD, bad(Cause.REFUSED)], dtype=np.uint8)
    points = np.arange(3, dtype=np.uint16)
    made.step([Scan("plc", "r", points, np.array([5.5, 6.5, math.nan]), quality, 10**9, 0)], Now(1, 10**9))
    return made


def test_points_show_value_quality_and_level():
    a, b, c = points_view(engine())
    assert (a["value"], a["quality"], a["level"], a["taken_at"]) == (
        5.5,
        "good",
        "H",
        "1970-01-01T00:00:01.000Z",
    )
    assert b["level"] == "HH"
    assert (c["value"], c["quality"], c["cause"], c["level"]) == (None, "bad", "refused", "")


def test_the_level_of_a_point_is_the_worst_of_its_alarms_whichever_came_last():
    point = PointConfig(Point("A", "40001"), limits=Limits(h=80.0, hh=90.0, l=10.0))
    point = replace(point, conditions=Conditions(deviation=5.0, deviation_from=50.0))
    made = Engine([WatchedDevice("plc", (point,))], (), Now(0, 0))
    points, quality = np.zeros(1, dtype=np.uint16), np.full(1, GOOD, dtype=np.uint8)
    made.step([Scan("plc", "r", points, np.array([95.0]), quality, 10**9, 0)], Now(1, 10**9))
    assert [*made.alarms] == ["A/high", "A/above"]
    assert points_view(made)[0]["level"] == "HH"


def test_a_point_that_went_bad_keeps_its_last_value_with_the_time_of_that_value():
    made = engine()
    points, quality = (
        np.arange(3, dtype=np.uint16),
        np.array([bad(Cause.REFUSED), GOOD, GOOD], dtype=np.uint8),
    )
    values = np.array([math.nan, 6.5, 1.0])
    made.step([Scan("plc", "r", points, values, quality, 2 * 10**9, 0)], Now(2, 2 * 10**9))
    a, b, c = points_view(made)
    assert (a["value"], a["taken_at"], a["value_at"]) == (
        5.5,
        "1970-01-01T00:00:02.000Z",
        "1970-01-01T00:00:01.000Z",
    )
    assert b["value_at"] == c["value_at"] == "1970-01-01T00:00:02.000Z"
    (_, _, never) = points_view(engine())
    assert never["value_at"] is None


def test_texts_are_texts_and_long_whole_numbers_have_all_their_digits():
    made = engine()
    points = np.arange(2, dtype=np.uint16)
    exact = {0: 2**64 - 1, 1: "V1.2"}
    made.step(
        [Scan("plc", "r", points, np.array([2.0**64, 4.0]), np.full(2, GOOD, np.uint8), 1, 0, exact=exact)],
        Now(2, 2),
    )
    assert [point["value"] for point in points_view(made)] == [2**64 - 1, "V1.2", None]


def test_sources_count_their_good_points():
    device = DeviceConfig(Device("plc", tuple(p.point for p in POINTS)), "modbus", None, POINTS)
    state = SourceState(True, 0, "modbus tcp", {"answers": 1}, "not encrypted", 12.5)
    (view,) = sources_view(engine(), (device,), {"plc": state})
    assert (view["warning"], view["load_percent"]) == ("not encrypted", 12.5)
    assert (view["points"], view["good"], view["bad"], view["connected"]) == (3, 2, 1, True)


def lanes(head, stored=0):
    return {**dict.fromkeys(LANES, LaneState()), "reading": LaneState(1 if head else 0, head, stored, head)}


@pytest.mark.parametrize(
    ("head", "seconds", "backlog", "expected"),
    [
        (100, 100.0, 0, 1000),
        (100, 100.0, 400, 600),
        (100, 100.0, 5000, 0),
        (100, 1.0, 0, None),
        (0, 100.0, 0, None),
    ],
)
def test_how_long_a_recipient_may_stay_away(head, seconds, backlog, expected):
    """One record of 10 bytes a second into 10,000 bytes."""
    assert endurance_s(lanes(0), lanes(head, head * 10), seconds, 10_000, backlog) == expected


def test_a_point_that_wants_one_has_its_forecast():
    points = (replace(POINTS[0], conditions=Conditions(forecast=True)), POINTS[1])
    made = Engine([WatchedDevice("plc", points)], (), Now(0, 0))
    column, quality = np.arange(2, dtype=np.uint16), np.full(2, GOOD, dtype=np.uint8)
    for second in range(300):
        values = np.full(2, second / 100)
        at = Now(second * 10**9, second * 10**9)
        made.step([Scan("plc", "r", column, values, quality, at.utc_ns, at.mono_ns)], at)
    a, b = points_view(made)
    assert b["forecast"] is None
    assert a["forecast"]["level"] == "H"
    assert a["forecast"]["from_s"] <= 201 <= a["forecast"]["to_s"] <= a["forecast"]["from_s"] + 5
