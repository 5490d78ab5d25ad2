"""Decoding against an independent decoder that reads one value at a time with struct and fractions."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.decode import compile_plan
from drivers.kit.errors import PointError
from drivers.kit.planner import plan
from drivers.kit.quality import GOOD, Cause, bad, cause_of
from drivers.kit.scan import Point

CODES = {
    "uint16": ">H",
    "int16": ">h",
    "uint32": ">I",
    "int32": ">i",
    "float32": ">f",
    "uint64": ">Q",
    "int64": ">q",
    "float64": ">d",
}
WIDTH = {"H": 1, "h": 1, "I": 2, "i": 2, "f": 2, "Q": 4, "q": 4, "d": 4}
LETTERS = {"ABCD": "ABCDEFGH", "CDAB": "GHEFCDAB", "BADC": "BADCFEHG", "DCBA": "HGFEDCBA"}


def by_hand(point: Point, memory: bytes, offset: int) -> float:
    """One value, by the letters of its order: the place of A is where the highest byte arrived."""
    arrived = memory[2 * offset :]
    if point.type in ("bit", "fixed256", "fixed100") and point.order in ("BADC", "DCBA"):
        arrived = arrived[1::-1]
    if point.type == "bit":
        assert point.bit is not None
        return float(struct.unpack(">H", arrived[:2])[0] >> point.bit & 1)
    if point.type in ("fixed256", "fixed100"):
        steps = int(point.type[5:])
        return math.nan if arrived[1] >= steps else float(Fraction(arrived[0] * steps + arrived[1], steps))
    registers = 1 if point.type == "bcd16" else 2 if point.type == "bcd32" else WIDTH[CODES[point.type][1]]
    single = "BA" if point.order in ("BADC", "DCBA") else "AB"
    letters = {1: single, 2: point.order, 4: LETTERS[point.order]}[registers]
    arrived = bytes(arrived[letters.index(letter)] for letter in "ABCDEFGH"[: 2 * registers])
    if point.type.startswith("bcd"):
        return float(arrived.hex()) if arrived.hex().isdecimal() else math.nan
    raw = struct.unpack(CODES[point.type], arrived)[0]
    if not math.isfinite(raw):
        return math.nan
    return float(Fraction(raw) * Fraction(repr(point.scale)) + Fraction(repr(point.offset)))


kinds = st.sampled_from([*CODES, "bcd16", "bcd32", "fixed256", "fixed100", "bit"])
scalable = ("uint16", "int16", "uint32", "int32")
rows = st.tuples(
    kinds,
    st.integers(0, 196),
    st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    st.integers(0, 15),
    st.sampled_from([(1.0, 0.0), (0.1, 0.0), (0.01, -40.0), (2.5, 1.25), (10.0, 0.0), (-0.3, 7.0)]),
)
digits = st.lists(st.sampled_from([*(16 * a + b for a in range(10) for b in range(10)), 0x1A, 0xA1]))
memories = st.one_of(
    st.binary(min_size=404, max_size=404), digits.map(lambda d: (bytes(d) * 404 + bytes(404))[:404])
)


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, min_size=1, max_size=40), memories, st.integers(0, 10))
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
            # a scaled float is rounded once more than a scaled whole number, so it is compared unscaled
            scale=scale[0] if kind in scalable else 1.0,
            offset=scale[1] if kind in scalable else 0.0,
        )
        for kind, offset, order, bit, scale in raw
    )
    blocks = plan(points, 1, max_gap=max_gap)
    decoder = compile_plan(points, 1, blocks)
    data = b"".join(memory[2 * b.start : 2 * (b.start + b.count)] for b in blocks)
    values, quality = decoder.decode(data)
    exact = decoder.exact(data, quality) or {}
    assert decoder.points.tolist() == list(range(len(points)))
    for row, (value, byte, point) in enumerate(zip(values.tolist(), quality.tolist(), points, strict=True)):
        expected = by_hand(point, memory, int(point.address.split("/")[1]))
        if math.isnan(expected):
            assert math.isnan(value)
            assert byte == bad(Cause.DEVICE_FAULT)
        else:
            assert value == expected
            assert byte == GOOD
        if row in exact:
            assert point.type in ("uint64", "int64")
            assert abs(exact[row]) > 2**53  # type: ignore[arg-type]
            assert float(exact[row]) == value
        else:
            assert point.type not in ("uint64", "int64") or abs(value) <= 2**53


@pytest.mark.parametrize(
    ("order", "number", "bits"),
    [("ABCD", 0x0102, [8]), ("CDAB", 0x0102, [8]), ("BADC", 0x0201, [9]), ("DCBA", 0x0201, [9])],
)
def test_a_single_register_knows_the_order_of_its_bytes(order: str, number: int, bits: list[int]) -> None:
    points = (
        Point("u", "40001", order=order),
        Point("b", "40001", "bcd16", order=order),
        Point("f", "40001", "fixed256", order=order),
        Point("l", "40001", order=order, fault_values=f"{number}=over_range"),
        *(Point(f"bit{k}", "40001", "bit", bit=k, order=order) for k in range(16)),
    )
    (values, quality) = decoded(points, b"\1\2")
    assert values[:3] == [number, int(f"{number:x}"), number / 256]
    assert cause_of(quality[3]) is Cause.OVER_RANGE
    assert [k for k in range(8, 16) if values[4 + k]] == bits
    assert [k for k in range(8) if values[4 + k]] == [1 if number == 0x0102 else 0]


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


def decoded(points: tuple[Point, ...], raw: bytes) -> tuple[list[float], list[int]]:
    values, quality = compile_plan(points, 1, plan(points, 1)).decode(raw)
    return values.tolist(), quality.tolist()


@pytest.mark.parametrize(
    ("order", "arrived"),
    [
        ("ABCDEFGH", "4037000000000000"),
        ("GHEFCDAB", "0000000000004037"),
        ("BADCFEHG", "3740000000000000"),
        ("HGFEDCBA", "0000000000003740"),
    ],
)
def test_twenty_three_in_eight_bytes(order: str, arrived: str) -> None:
    assert decoded((Point("t", "40001", type="float64", order=order),), bytes.fromhex(arrived))[0] == [23.0]


def test_what_a_double_cannot_hold_is_told_beside_it() -> None:
    points = (
        Point("meter", "40001", type="uint64"),
        Point("small", "40005", type="uint64"),
        Point("low", "40009", type="int64", order="DCBA"),
        Point("scaled", "40013", type="uint64", scale=0.1),
    )
    numbers = (2**53 + 1, 2**53, 2**64 - 1)
    raw = struct.pack(">QQ", *numbers[:2]) + struct.pack("<q", -(2**63)) + struct.pack(">Q", numbers[2])
    decoder = compile_plan(points, 1, plan(points, 1))
    values, quality = decoder.decode(raw)
    assert values.tolist() == [2.0**53, 2.0**53, -(2.0**63), 2.0**64 / 10]
    assert decoder.exact(raw, quality) == {0: 2**53 + 1, 2: -(2**63)}
    quality = quality.copy()
    quality[0] = bad(Cause.MAINTENANCE)
    assert decoder.exact(raw, quality) == {2: -(2**63)}


@pytest.mark.parametrize(
    ("order", "raw", "text"),
    [
        ("ABCD", b"GD-2" + bytes(4), "GD-2"),
        ("ABCD", b"GD 2    ", "GD 2"),
        ("BADC", b"DG2-" + bytes(4), "GD-2"),
        ("ABCD", "罐区".encode() + b"\0\xff", "罐区"),
        ("ABCD", bytes(8), ""),
    ],
)
def test_a_text_is_told_as_it_is_and_counted(order: str, raw: bytes, text: str) -> None:
    points = (Point("model", "40001", type="string", length=4, order=order), Point("x", "40005"))
    decoder = compile_plan(points, 1, plan(points, 1))
    values, quality = decoder.decode(raw + b"\0\x07")
    assert values.tolist() == [len(text), 7]
    assert quality.tolist() == [GOOD, GOOD]
    assert decoder.exact(raw + b"\0\x07", quality) == {0: text}


@pytest.mark.parametrize("raw", [b"\xff\xfe\0\0", b"a\x1b[2", b"\xe7\xbd\0\0"])
def test_bytes_that_are_no_text_are_a_fault(raw: bytes) -> None:
    points = (Point("model", "40001", type="string", length=2),)
    decoder = compile_plan(points, 1, plan(points, 1))
    values, quality = decoder.decode(raw)
    assert math.isnan(values[0])
    assert quality.tolist() == [bad(Cause.DEVICE_FAULT)]
    assert decoder.exact(raw, quality) is None


def test_nothing_exact_is_none() -> None:
    points = (Point("a", "40001"), Point("b", "40002", type="int64"))
    decoder = compile_plan(points, 1, plan(points, 1))
    raw = bytes(10)
    assert decoder.exact(raw, decoder.decode(raw)[1]) is None


def test_decimals_from_another_register_are_exact() -> None:
    points = (
        Point("pv", "40001", type="int16", decimals_point="dp", scale=0.5, offset=0.1),
        Point("dp", "40002"),
        Point("other", "40003", scale=0.1),
    )
    for decimals in range(7):
        values, quality = decoded(points, struct.pack(">hHH", -2345, decimals, 7))
        assert values == [float(Fraction(-2345, 10**decimals) / 2 + Fraction(1, 10)), decimals, 0.7]
        assert quality == [GOOD] * 3


@pytest.mark.parametrize("decimals", [7, 255, 65535])
def test_a_number_of_decimals_that_is_none_is_a_fault_of_its_dependants(decimals: int) -> None:
    points = (Point("pv", "40001", decimals_point="dp"), Point("dp", "40002"))
    values, quality = decoded(points, struct.pack(">HH", 5, decimals))
    assert math.isnan(values[0])
    assert quality == [bad(Cause.DEVICE_FAULT), GOOD]


def test_without_its_decimals_a_number_is_not_good() -> None:
    points = (Point("pv", "40001", decimals_point="dp"), Point("dp", "40101"))
    blocks = plan(points, 1, max_gap=0)
    values, quality = compile_plan(points, 1, blocks).decode(bytes(4), [(1, Cause.REFUSED)])
    assert np.isnan(values).all()
    assert quality.tolist() == [bad(Cause.REFUSED)] * 2


def test_a_partner_that_is_not_read_with_it_is_refused() -> None:
    points = (Point("pv", "40001", decimals_point="dp"), Point("dp", "40002"))
    with pytest.raises(PointError) as caught:
        compile_plan(points, 1, plan(points, 1, rows=(0,)))
    assert (caught.value.field, caught.value.point) == ("decimals_point", "pv")


def test_watched_bytes_are_those_of_points_that_may_freeze_and_no_others() -> None:
    points = (
        Point("a", "40001", frozen_s=60),
        Point("b", "40002"),
        Point("c", "40003", type="bit", bit=9, frozen_s=60),
        Point("d", "40004", type="float32", order="CDAB", frozen_s=60),
        Point("e", "00004", type="bit", frozen_s=60),
    )
    decoder = compile_plan(points, 1, plan(points, 1))
    raw = b"\xff" + bytes.fromhex("0102 0304 f2ff 05060708")
    assert sorted(decoder.watched(raw).tolist()) == [1, 1, 2, 2, 5, 6, 7, 8]
    assert len(compile_plan(points[1:2], 1, plan(points[1:2], 1)).watched(b"ab")) == 0


def test_many_scans_of_a_plain_plan_come_out_of_one_call_as_each_by_itself() -> None:
    points = (
        Point("a", "FC03/0", scale=0.1),
        Point("b", "FC03/1", type="float32", order="CDAB"),
        Point("c", "FC03/3", type="int32", offset=-4.0),
        Point("bit", "FC03/5", type="bit", bit=9),
        Point("coil", "FC01/3", type="bit"),
        Point("d", "FC04/7", type="int16"),
    )
    decoder = compile_plan(points, 1, plan(points, 1, max_gap=5))
    assert decoder.is_plain
    dice = np.random.default_rng(5)
    raws = [dice.integers(0, 64, decoder.byte_count, dtype=np.uint8).tobytes() for _ in range(7)]
    many = decoder.decode_many(raws)
    assert many is not None
    values, quality = many
    assert values.tolist() == [decoder.decode(raw)[0].tolist() for raw in raws]
    assert (quality == GOOD).all()
    nan = bytearray(raws[0])
    nan[3:7] = b"\xff" * 4
    assert decoder.decode_many([*raws, bytes(nan)]) is None, "one that is no number: each by itself"
    real = (Point("r", "FC03/0", type="float32"),)
    signalling = compile_plan(real, 1, plan(real, 1))
    assert signalling.decode_many([b"\x7f\x80\0\1", b"\0" * 4]) is None, "and nothing is warned about"
    text = (Point("t", "FC03/0", type="string", length=2),)
    assert not compile_plan(text, 1, plan(text, 1)).is_plain
