"""What cannot be read as written is told before anything runs, each mistake on its own cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from drivers.kit.address import parse_regions
from drivers.kit.decode import compile_plan
from drivers.kit.errors import PointError
from drivers.kit.judgement import Judge
from drivers.kit.planner import groups, plan
from drivers.kit.point_check import check_point, check_points
from drivers.kit.scan import Point

RIGHT = (
    Point(
        "pv", "40001", "int16", status_point="w", status_bits="3=muted", frozen_s=60.0, decimals_point="dp"
    ),
    Point(
        "gas",
        "40002",
        heartbeat_point="beat",
        heartbeat_s=5.0,
        raw_lo=0,
        raw_hi=4095,
        range_lo=0,
        range_hi=100,
    ),
    Point("w", "40003", heartbeat_point="beat", heartbeat_s=5.0),
    Point("dp", "40004"),
    Point("beat", "40005", "bit", bit=0),
    Point("model", "40010", "string", length=8, period_s=3600.0),
    Point("total", "40030", "uint64", fault_values="0xFFFFFFFFFFFFFFFF", period_s=60.0),
)


def timed(points: Iterable[Point]) -> tuple[Point, ...]:
    """Points that name no period have their device's, a second."""
    return tuple(replace(point, period_s=point.period_s or 1.0) for point in points)


def wrong(row: int, **more: object) -> list[tuple[str, str]]:
    points = list(RIGHT)
    points[row] = replace(points[row], **more)  # type: ignore[arg-type]
    return [(error.point, error.field) for error in check_points(timed(points), 1)]


def test_what_is_right_is_read_and_judged() -> None:
    for point in RIGHT:
        check_point(point, 1)
    assert check_points(timed(RIGHT), 1) == []
    for group in groups(RIGHT, 1.0):
        decoder = compile_plan(RIGHT, 1, plan(RIGHT, 1, rows=group.rows))
        Judge.of(RIGHT, decoder.points.tolist())


@pytest.mark.parametrize(
    ("point", "field"),
    [
        (Point("p", "49999x"), "address"),
        (Point("p", "40001", scale=0.0), "scale"),
        (Point("p", "40001", raw_lo=0.0), "raw_hi"),
        (Point("p", "40001", fault_values="-1"), "fault_values"),
        (Point("p", "40001", status_point="w", status_bits="0-40=muted"), "status_bits"),
        (Point("p", "40001", status_point="w"), "status_bits"),
        (Point("p", "40001", status_bits="0=muted"), "status_point"),
        (Point("p", "40001", heartbeat_point="b"), "heartbeat_s"),
        (Point("p", "40001", heartbeat_s=5.0), "heartbeat_point"),
        (Point("p", "40001", heartbeat_point="b", heartbeat_s=-1.0), "heartbeat_s"),
        (Point("p", "40001", frozen_s=float("nan")), "frozen_s"),
        (Point("p", "40001", period_s=0.04), "period_s"),
        (Point("p", "40001", period_s=3601.0), "period_s"),
        (Point("p", "40001", sample_deadband=0.5), "sample_deadband"),
        (Point("p", "40001", "string", length=2, scale=0.1), "scale"),
        (Point("p", "40001", "string", length=2, range_hi=1.0), "range_hi"),
        (Point("p", "40001", "string", length=2, fault_values="1"), "fault_values"),
    ],
)
def test_a_cell_that_is_wrong_by_itself(point: Point, field: str) -> None:
    with pytest.raises(PointError) as caught:
        check_point(point, 1)
    assert caught.value.field == field
    for words in (caught.value.cause, caught.value.remedy):
        assert words["zh"]
        assert words["en"]


@pytest.mark.parametrize(
    ("row", "more", "field"),
    [
        (0, {"status_point": "nobody"}, "status_point"),
        (0, {"status_point": "pv"}, "status_point"),
        (0, {"status_point": "beat"}, "status_point"),
        (0, {"status_point": "total"}, "status_point"),
        (0, {"status_bits": "16=muted"}, "status_bits"),
        (0, {"decimals_point": "model"}, "decimals_point"),
        (0, {"decimals_point": "beat"}, "decimals_point"),
        (0, {"frozen_s": 1.5}, "frozen_s"),
        (1, {"heartbeat_point": "w"}, "heartbeat_point"),
        (1, {"heartbeat_s": 1.5}, "heartbeat_s"),
    ],
)
def test_a_point_that_names_another_in_vain(row: int, more: dict[str, object], field: str) -> None:
    assert wrong(row, **more) == [(RIGHT[row].name, field)]


@pytest.mark.parametrize(
    ("row", "more", "names"),
    [
        (2, {"scale": 0.1}, ["pv"]),
        (3, {"offset": 1.0}, ["pv"]),
        (2, {"status_point": "dp", "status_bits": "0=muted"}, ["pv"]),
        (4, {"period_s": 60.0}, ["gas", "w"]),
    ],
)
def test_a_point_that_others_name_must_be_of_use(row: int, more: dict[str, object], names: list[str]) -> None:
    assert [name for name, _ in wrong(row, **more)] == names


def test_what_no_request_can_hold_or_may_touch_is_told_of_every_point() -> None:
    found = check_points(RIGHT, 1, max_registers=3, unreadable=parse_regions(["40001-40002"]))
    assert [(error.point, error.field) for error in found] == [
        ("pv", "address"),
        ("gas", "address"),
        ("model", "length"),
        ("total", "type"),
    ]


def test_all_of_a_row_is_told_at_once_in_the_words_of_its_table() -> None:
    row = Point("A", "4000x", "uint61", fault_values="x", status_bits="3=?", heartbeat_s=5.0)
    with pytest.raises(PointError) as caught:
        check_point(row, 1)
    told = {error.field: error.cause["zh"] for error in (caught.value, *caught.value.others)}
    assert list(told) == ["address", "type", "fault_values", "status_bits", "status_point", "heartbeat_point"]
    assert told["status_point"] == "写了“状态位”，没有写“状态点”。"
    assert "32" not in told["status_bits"]
