"""Fault values: bit by bit what the point table says, and a value only where it lies where its cause says."""

from __future__ import annotations

import math
import struct
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.decode import compile_plan
from drivers.kit.errors import PointError
from drivers.kit.fault_value import fault_patterns
from drivers.kit.planner import plan
from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Point

FAULT = bad(Cause.DEVICE_FAULT)
OVER = quality(Status.UNCERTAIN, Cause.OVER_RANGE)


def decoded(point: Point, raw: str, failed: tuple[tuple[int, Cause], ...] = ()) -> tuple[float, int]:
    values, found = compile_plan((point,), 1, plan((point,), 1)).decode(bytes.fromhex(raw), failed)
    return values.tolist()[0], found.tolist()[0]


@pytest.mark.parametrize(
    ("kind", "text", "patterns"),
    [
        ("uint16", "32768; 0xFFFF", [0x8000, 0xFFFF]),
        ("int16", "-9999", [0xD8F1]),
        ("int16", "0x8000", [0x8000]),
        ("int32", "-1", [0xFFFF_FFFF]),
        ("uint64", str(2**64 - 1), [2**64 - 1]),
        ("bcd16", "9999", [0x9999]),
        ("bcd32", "99999999; 0xFFFFFFFF", [0x9999_9999, 0xFFFF_FFFF]),
        ("fixed256", "25.5", [0x1980]),
        ("fixed100", "25.05", [0x1905]),
        ("float32", "-9999", [0xC61C3C00]),
        ("float32", "0", [0, 0x8000_0000]),
        ("float32", "-9999.9", [struct.unpack(">I", struct.pack(">f", -9999.9))[0]]),
        ("float64", "-9999.9", [struct.unpack(">Q", struct.pack(">d", -9999.9))[0]]),
    ],
)
def test_a_fault_value_is_the_very_bits_of_its_type(kind: str, text: str, patterns: list[int]) -> None:
    assert list(fault_patterns(Point("p", "40001", type=kind, fault_values=text))) == patterns


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("uint16", "-9999"),
        ("int16", "32768"),
        ("uint16", "0x10000"),
        ("bcd16", "10000"),
        ("fixed256", "0.3"),
        ("fixed100", "256"),
        ("float32", "0x100000000"),
        ("bit", "1"),
        ("string", "0"),
    ],
)
def test_a_fault_value_that_cannot_occur_is_refused(kind: str, text: str) -> None:
    bit, length = 0 if kind == "bit" else None, 2 if kind == "string" else None
    with pytest.raises(PointError) as caught:
        fault_patterns(Point("p", "40001", type=kind, bit=bit, length=length, fault_values=text))
    assert caught.value.field == "fault_values"


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
def test_a_fault_is_found_in_every_order_and_its_neighbours_stay(order: str) -> None:
    arrived = {"ABCD": "c61c3c00", "CDAB": "3c00c61c", "BADC": "1cc6003c", "DCBA": "003c1cc6"}[order]
    points = (
        Point("p", "40001", type="float32", order=order, fault_values="-9999=maintenance"),
        Point("q", "40003", fault_values="5"),
    )
    values, found = compile_plan(points, 1, plan(points, 1)).decode(bytes.fromhex(arrived + "0006"))
    assert math.isnan(values[0])
    assert values[1] == 6
    assert found.tolist() == [bad(Cause.MAINTENANCE), GOOD]


def test_one_nan_may_mean_something_else_than_another() -> None:
    point = Point("p", "40001", type="float32", fault_values="0x7FC00001=calibration")
    assert decoded(point, "7fc00001")[1] == bad(Cause.CALIBRATION)
    assert decoded(point, "7fc00000")[1] == FAULT


@pytest.mark.parametrize(
    ("point", "raw", "value", "found"),
    [
        (
            Point("p", "40001", fault_values="0xFFFF=over_range", scale=0.1, range_hi=100.0),
            "ffff",
            6553.5,
            OVER,
        ),
        (Point("p", "40001", fault_values="0xFFFF=over_range"), "ffff", 65535.0, OVER),
        # the bits that stand for "over range" read as a number far below it
        (
            Point("p", "40001", "int16", fault_values="0x8000=over_range", range_hi=100.0),
            "8000",
            math.nan,
            bad(Cause.OVER_RANGE),
        ),
        (
            Point("p", "40001", "int16", fault_values="0x8000=under_range", range_lo=0.0),
            "8000",
            -32768.0,
            quality(Status.UNCERTAIN, Cause.UNDER_RANGE),
        ),
        (
            Point("p", "40001", "float32", fault_values="0x7FC00000=over_range"),
            "7fc00000",
            math.nan,
            bad(Cause.OVER_RANGE),
        ),
    ],
)
def test_out_of_range_keeps_a_number_only_where_it_lies_there(
    point: Point, raw: str, value: float, found: int
) -> None:
    got, byte = decoded(point, raw)
    assert byte == found
    assert got == value or (math.isnan(got) and math.isnan(value))


def test_out_of_range_of_a_number_whose_decimals_another_point_tells_is_bad() -> None:
    point = Point("p", "40001", decimals_point="d", fault_values="9999=over_range", range_lo=0, range_hi=100)
    assert fault_patterns(point) == {9999: bad(Cause.OVER_RANGE)}
    assert fault_patterns(replace(point, decimals_point="")) == {9999: OVER}


def test_a_block_that_was_not_read_has_no_fault_value() -> None:
    point = Point("p", "40001", fault_values="0=maintenance")
    assert decoded(point, "0000", ((0, Cause.COMM),))[1] == bad(Cause.COMM)


@given(st.lists(st.sampled_from([0, 1, 7, 0x7FFF, 0x8000, 0xFFFF]), min_size=30, max_size=30))
def test_exactly_the_told_values_are_bad(raw: list[int]) -> None:
    points = tuple(Point(f"p{k}", f"FC03/{k}", fault_values="0x8000; 65535=warm_up") for k in range(30))
    values, found = compile_plan(points, 1, plan(points, 1)).decode(struct.pack(">30H", *raw))
    expected = [{0x8000: FAULT, 0xFFFF: bad(Cause.WARM_UP)}.get(number, GOOD) for number in raw]
    assert found.tolist() == expected
    assert np.isnan(values).tolist() == [byte != GOOD for byte in expected]
