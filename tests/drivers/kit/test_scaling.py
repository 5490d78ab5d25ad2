"""Scaling gives the number people would write, in both ways of saying it."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.errors import PointError
from drivers.kit.scaling import Scaling, scale_of, scaling
from drivers.kit.scan import Point


def test_a_scale_beyond_exact_arithmetic_is_a_plain_product() -> None:
    assert scaling(math.pi, 0.0) == (math.pi, 0.0, 1.0)
    column = np.array([2.0])
    Scaling.of([Point("t", "40001", scale=math.pi)]).apply(column)
    assert column[0] == 2 * math.pi


@pytest.mark.parametrize(
    ("scale", "offset", "field"), [(0.0, 0.0, "scale"), (math.nan, 0.0, "scale"), (1.0, math.inf, "offset")]
)
def test_a_scale_that_cannot_be_used_names_its_cell(scale: float, offset: float, field: str) -> None:
    with pytest.raises(PointError) as caught:
        scaling(scale, offset)
    assert caught.value.field == field


def scaled(point: Point, raw: float) -> float:
    column = np.array([float(raw)])
    Scaling.of([point]).apply(column)
    return float(column[0])


def two_point(raw_lo: float, raw_hi: float, lo: float, hi: float, kind: str = "uint16") -> Point:
    return Point("p", "40001", type=kind, raw_lo=raw_lo, raw_hi=raw_hi, range_lo=lo, range_hi=hi)


ends = st.integers(0, 65_535)
tenths = st.integers(-1_000_000, 1_000_000).map(lambda n: n / 100)


@settings(max_examples=300, deadline=None)
@given(ends, ends, tenths, tenths, ends)
def test_two_points_scale_to_the_nearest_double(
    raw_lo: int, raw_hi: int, lo: float, hi: float, raw: int
) -> None:
    if raw_lo == raw_hi or lo == hi:
        return
    point = two_point(raw_lo, raw_hi, lo, hi)
    factor = (Fraction(repr(hi)) - Fraction(repr(lo))) / (raw_hi - raw_lo)
    assert scaled(point, raw) == float(Fraction(repr(lo)) + (raw - raw_lo) * factor)
    assert scaled(point, raw_lo) == lo
    assert scaled(point, raw_hi) == hi


@pytest.mark.parametrize(
    ("point", "raw", "value"),
    [
        (two_point(0, 27648, 0, 1.6), 13824, 0.8),
        (two_point(819, 4095, -40.0, 60.0), 819, -40.0),
        (two_point(4, 20, 0, 100, "float32"), 12, 50.0),
        (two_point(4000, 20000, 100, 0), 4000, 100.0),
        (two_point(0, 4.0, 0, 8, "fixed256"), 3 * 256 + 128, 7.0),
        (Point("p", "40001", type="fixed100", scale=0.1), 1234, 1.234),
        (Point("p", "40001", type="fixed256"), 0x1780, 23.5),
    ],
)
def test_two_points_and_fractions_as_on_a_data_sheet(point: Point, raw: float, value: float) -> None:
    assert scaled(point, raw) == value


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"raw_hi": None}, "raw_hi"),
        ({"raw_lo": None}, "raw_lo"),
        ({"range_lo": None}, "range_lo"),
        ({"range_hi": math.nan}, "range_hi"),
        ({"raw_hi": 0.0}, "raw_hi"),
        ({"range_hi": 0.0}, "range_hi"),
        ({"scale": 0.1}, "scale"),
        ({"offset": 0.1}, "offset"),
    ],
)
def test_half_of_a_scaling_or_two_of_them_are_refused(more: dict[str, float | None], field: str) -> None:
    cells: dict[str, float | None] = {"raw_lo": 0.0, "raw_hi": 4095.0, "range_lo": 0.0, "range_hi": 10.0}
    with pytest.raises(PointError) as caught:
        scale_of(Point("p", "40001", **(cells | more)))  # type: ignore[arg-type]
    assert caught.value.field == field


def test_powers_of_ten_divide_the_raw_number_before_scale_and_offset() -> None:
    column = np.array([2345.0, 2345.0])
    points = [Point("a", "40001", scale=0.5, offset=0.1), Point("b", "40002")]
    Scaling.of(points).apply(column, np.array([100.0, 1000.0]))
    assert column.tolist() == [11.825, 2.345]
