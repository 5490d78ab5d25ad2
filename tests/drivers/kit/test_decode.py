"""Decoding against an independent decoder that reads one value at a time with struct and fractions."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.decode import Scaling, compile_plan, scaling
from drivers.kit.errors import PointError
from drivers.kit.planner import plan
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Point

CODES = {"uint16": ">H", "int16": ">h", "uint32": ">I", "int32": ">i", "float32": ">f"}


def by_hand(point: Point, registers: dict[int, bytes], offset: int) -> float:
    """One value, by the letters of its order: position of A is where the highest byte arrived."""
    if point.type == "bit":
        assert point.bit is not None
        return float(struct.unpack(">H", registers[offset])[0] >> point.bit & 1)
    arrived = registers[offset]
    if point.type in ("uint32", "int32", "float32"):
        arrived += registers[offset + 1]
        arrived = bytes(arrived[point.order.index(letter)] for letter in "ABCD")
    raw = struct.unpack(CODES[point.type], arrived)[0]
    if not math.isfinite(raw):
        return math.nan
    return float(Fraction(raw) * Fraction(repr(point.scale)) + Fraction(repr(point.offset)))


kinds = st.sampled_from(["uint16", "int16", "uint32", "int32", "float32", "bit"])
rows = st.tuples(
    kinds,
    st.integers(0, 200),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    st.integers(0, 15),
    st.sampled_from([(1.0, 0.0), (0.1, 0.0), (0.01, -40.0), (2.5, 1.25), (10.0, 0.0), (-0.3, 7.0)]),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(rows, min_size=1, max_size=40), st.binary(min_size=404, max_size=404), st.integers(0, 10))
def test_columns_equal_the_decoder_by_hand(
    raw: list[tuple[str, int, str, int, tuple[float, float]]], memory: bytes, max_gap: int
) -> None:
    points = tuple(
        Point(
            "x",
            f"FC03/{offset}",
            type=kind,
            order=order,
            bit=bit if kind == "bit" else None,
            # a scaled float32 is rounded once more than a scaled whole number, so it is compared unscaled
            scale=scale[0] if kind not in ("float32", "bit") else 1.0,
            offset=scale[1] if kind not in ("float32", "bit") else 0.0,
        )
        for kind, offset, order, bit, scale in raw
    )
    registers = {k: memory[2 * k : 2 * k + 2] for k in range(202)}
    blocks = plan(points, 1, max_gap=max_gap)
    decoder = compile_plan(points, 1, blocks)
    data = b"".join(memory[2 * b.start : 2 * (b.start + b.count)] for b in blocks)
    values, quality = decoder.decode(data)
    assert decoder.points.tolist() == list(range(len(points)))
    for value, byte, point in zip(values.tolist(), quality.tolist(), points, strict=True):
        expected = by_hand(point, registers, int(point.address.split("/")[1]))
        if math.isnan(expected):
            assert math.isnan(value)
            assert byte == bad(Cause.DEVICE_FAULT)
        else:
            assert value == expected
            assert byte == GOOD


@pytest.mark.parametrize(
    ("order", "arrived"),
    [("ABCD", "41b80000"), ("CDAB", "000041b8"), ("BADC", "b8410000"), ("DCBA", "0000b841")],
)
def test_twenty_three_in_each_order(order: str, arrived: str) -> None:
    points = (Point("t", "40001", type="float32", order=order),)
    values, _ = compile_plan(points, 1, plan(points, 1)).decode(bytes.fromhex(arrived))
    assert values.tolist() == [23.0]


def test_coils_are_lowest_bit_first_and_fill_bytes() -> None:
    points = tuple(Point(f"c{k}", f"FC01/{k}", type="bit") for k in range(10))
    values, quality = compile_plan(points, 1, plan(points, 1)).decode(bytes([0b1000_0101, 0b10]))
    assert values.tolist() == [1, 0, 1, 0, 0, 0, 0, 1, 0, 1]
    assert (quality == GOOD).all()


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "value"),
    [
        (234, 0.1, 0.0, 23.4),
        (7, 0.3, 0.0, 2.1),
        (3, 0.001, 0.0, 0.003),
        (5, 1 / 3, 0.0, 5 / 3),
        (1, 0.1, 0.2, 0.3),
    ],
)
def test_scaling_gives_the_number_people_write(raw: int, scale: float, offset: float, value: float) -> None:
    points = (Point("t", "40001", scale=scale, offset=offset),)
    values, _ = compile_plan(points, 1, plan(points, 1)).decode(struct.pack(">H", raw))
    assert values.tolist() == [value]


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


@pytest.mark.parametrize("pattern", ["7fc00000", "7f800000", "ff800000", "7fa00000", "ffffffff"])
def test_nan_and_infinity_never_come_out_good(pattern: str) -> None:
    points = (Point("bad", "40001", type="float32"), Point("fine", "40003"))
    values, quality = compile_plan(points, 1, plan(points, 1)).decode(bytes.fromhex(pattern) + b"\x00\x07")
    assert math.isnan(values[0])
    assert quality.tolist() == [bad(Cause.DEVICE_FAULT), GOOD]
    assert values[1] == 7


def test_a_failed_block_is_bad_with_its_cause_and_its_neighbour_stays() -> None:
    points = (Point("b", "40101"), Point("a", "40001"), Point("c", "40102"))
    blocks = plan(points, 1, max_gap=0)
    decoder = compile_plan(points, 1, blocks)
    values, quality = decoder.decode(b"\x00\x05" + b"\x11\x11\x22\x22", [(1, Cause.COMM)])
    assert quality.tolist() == [bad(Cause.COMM), GOOD, bad(Cause.COMM)]
    assert np.isnan(values).tolist() == [True, False, True]
    again, good = decoder.decode(b"\x00\x05" * 3)
    assert (good == GOOD).all(), "one bad scan must not stain the next"
    assert again.tolist() == [5, 5, 5]
