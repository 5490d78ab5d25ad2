"""The four word orders of a 32-bit or 64-bit value."""

from __future__ import annotations

import struct

import pytest

from drivers.kit.address import LONG_ORDERS
from drivers.kit.scan import Point
from gateway.orders import ORDERS, arrived_bytes, has_orders, in_all_orders


def test_one_value_as_it_stands_in_each_order() -> None:
    """12.5 is 41 48 00 00; a device that sends its words swapped sends 00 00 41 48."""
    point = Point("A", "40001", "float32")
    assert in_all_orders(bytes.fromhex("41480000"), point)["ABCD"] == 12.5
    assert in_all_orders(bytes.fromhex("00004148"), point)["CDAB"] == 12.5
    assert in_all_orders(bytes.fromhex("48410000"), point)["BADC"] == 12.5
    assert in_all_orders(bytes.fromhex("00004841"), point)["DCBA"] == 12.5


def test_what_is_no_number_in_an_order_is_none() -> None:
    found = in_all_orders(bytes.fromhex("0000ff80"), Point("A", "1", "float32"))
    assert found["CDAB"] is None
    assert found["ABCD"] is not None


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    ("kind", "scale", "offset"), [("uint32", 0.1, 0), ("int32", 0.01, -5), ("float32", 0.1, 0)]
)
def test_the_registers_follow_from_the_value(order: str, kind: str, scale: float, offset: float) -> None:
    point = Point("A", "1", kind, order, scale=scale, offset=offset)
    for raw in (b"\x00\x00\x30\x39", b"\x41\x48\x12\x34", b"\x01\x02\x03\x04"):
        value = in_all_orders(raw, point)[order]
        assert value is not None
        assert arrived_bytes(value, point) == raw


def test_two_point_scaling_leads_back_to_the_registers_too() -> None:
    point = Point("A", "1", "int32", "CDAB", raw_lo=-10, raw_hi=1100, range_lo=-1, range_hi=110)
    raw = (1100).to_bytes(4, "big")
    assert in_all_orders(raw, point)["ABCD"] == 110.0
    assert arrived_bytes(110.0, point) == raw[2:] + raw[:2]


def test_a_point_whose_decimals_stand_in_the_device_says_nothing_of_its_registers() -> None:
    assert has_orders(Point("A", "1", "uint32"))
    assert not has_orders(Point("A", "1", "uint32", decimals_point="B"))


def test_a_value_no_register_could_give() -> None:
    assert arrived_bytes(-1.0, Point("A", "1", "uint32")) is None
    assert arrived_bytes(1e300, Point("A", "1", "float32")) is None


def test_a_float_that_the_offset_has_swallowed_is_not_guessed() -> None:
    point = Point("A", "1", "float32", offset=3.0)
    assert arrived_bytes(12.5, point) == struct.pack(">f", 9.5)
    value = in_all_orders(bytes.fromhex("00004148"), point)["ABCD"]
    assert value == 3.0
    assert arrived_bytes(value, point) is None


def test_scaling_holds_in_every_order() -> None:
    raw = struct.pack(">I", 1000)
    assert in_all_orders(raw, Point("A", "1", "uint32", scale=0.1, offset=-20))["ABCD"] == pytest.approx(80)


def test_narrow_points_have_no_order() -> None:
    assert not has_orders(Point("A", "1", "uint16"))
    assert has_orders(Point("A", "1", "int32"))


@pytest.mark.parametrize(
    ("order", "arrived"),
    [
        ("ABCD", "0102030405060708"),
        ("BADC", "0201040306050807"),
        ("CDAB", "0708050603040102"),
        ("DCBA", "0807060504030201"),
    ],
)
def test_eight_bytes_have_the_four_orders_too_with_all_their_digits(order: str, arrived: str) -> None:
    for kind in ("uint64", "int64"):
        point = Point("A", "1", kind, order)
        assert has_orders(point)
        assert in_all_orders(bytes.fromhex(arrived), point)[order] == 0x0102030405060708
        assert arrived_bytes(0x0102030405060708, point) == bytes.fromhex(arrived)


@pytest.mark.parametrize("order", [*ORDERS, "ABCDEFGH", "GHEFCDAB", "BADCFEHG", "HGFEDCBA"])
def test_the_registers_of_a_long_float_follow_from_its_value(order: str) -> None:
    point = Point("A", "1", "float64", order)
    arrived = arrived_bytes(0.1, point)
    assert arrived is not None
    assert in_all_orders(arrived, point)[LONG_ORDERS.get(order, order)] == 0.1


def test_a_long_counter_in_steps_leads_back_and_one_too_long_for_its_steps_is_not_guessed() -> None:
    point = Point("A", "1", "uint64", scale=0.001)
    assert arrived_bytes(123456.789, point) == (123456789).to_bytes(8, "big")
    assert arrived_bytes(9.0e15, point) is None
    assert arrived_bytes(0.3, Point("A", "1", "float64", scale=0.1)) is None
