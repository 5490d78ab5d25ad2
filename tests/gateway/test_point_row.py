"""One row: what it says, and what is wrong within it; its alarms are test_point_alarms', whole tables test_points'."""

from __future__ import annotations

import pytest

from drivers.kit.scan import Point
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.point_row import check_window, point_of
from gateway.sheet import Row


def said(**cells: str) -> tuple[Point, Limits, list[str]]:
    row = Row("t.csv", 2, list(cells.values()), {name: at for at, name in enumerate(cells)}, list(cells), [])
    point, limits, _ = point_of(row, "A")
    return point, limits, [f"{error.code} {error.place.rpartition(':')[2]}" for error in row.errors]


def test_an_empty_row_is_a_point_as_usual() -> None:
    assert said() == (Point("A", ""), Limits(), [])


@pytest.mark.parametrize("column", ["ll", "l", "h", "hh"])
def test_a_limit_of_zero_is_a_limit(column: str) -> None:
    point, limits, errors = said(**{column: "0"})
    assert (point.alarmed, getattr(limits, column), errors) == (True, 0.0, [])


def test_a_contact_whose_alarm_is_zero_is_alarmed() -> None:
    point, limits, errors = said(type="ＢＩＴ", alarm_on="0")
    assert (point.type, point.alarmed, limits.on, errors) == ("bit", True, 0, [])


def test_each_wrong_cell_is_told_once() -> None:
    _, _, errors = said(range_lo="x", range_hi="y", scale="0", status_point="\x01", status_bits="", h="z")
    assert sorted(errors) == [
        "E-POINTS-NUMBER A(range_lo)",
        "E-POINTS-NUMBER B(range_hi)",
        "E-POINTS-NUMBER F(h)",
        "E-POINTS-SCALE C(scale)",
        "E-POINTS-TEXT D(status_point)",
        "E-POINTS-TOGETHER E(status_bits)",
    ]


def test_a_text_has_no_limit() -> None:
    assert said(type="string", length="4", h="1", deadband="2", alarm_on="1")[2] == [
        "E-POINTS-LIMIT-TEXT C(h)",
        "E-POINTS-LIMIT-TEXT D(deadband)",
        "E-POINTS-LIMIT-TEXT E(alarm_on)",
    ]


@pytest.mark.parametrize(
    "cells",
    [{"rise_per_min": "1"}, {"fall_per_min": "1"}, {"deviation": "1", "deviation_from": "5"}],
)
def test_a_point_with_another_alarm_than_a_limit_is_alarmed_too(cells: dict[str, str]) -> None:
    point, _, errors = said(**cells)
    assert (point.alarmed, errors) == (True, [])


def test_a_deviation_needs_something_to_deviate_from() -> None:
    assert said(deviation="1")[2] == ["E-POINTS-TOGETHER (偏差基准)"]
    assert said(deviation_from="LT-2", deviation_deadband="0.1")[2] == ["E-POINTS-TOGETHER (偏差限)"]


@pytest.mark.parametrize(
    ("conditions", "period_s", "wrong"),
    [
        (Conditions(rise_per_min=1.0), 20.0, 0),
        (Conditions(rise_per_min=1.0), 20.1, 1),
        (Conditions(fall_per_min=1.0, rate_window_s=2.9), 1.0, 1),
        (Conditions(fall_per_min=1.0, rate_window_s=3.0), 1.0, 0),
        (Conditions(), 3600.0, 0),
    ],
)
def test_a_window_holds_readings_enough_to_tell_a_rate(
    conditions: Conditions, period_s: float, wrong: int
) -> None:
    row = Row("t.csv", 2, [], {}, [], [])
    check_window(row, conditions, period_s)
    assert [error.code for error in row.errors] == ["E-POINTS-WINDOW"] * wrong
