"""Addresses: every notation has one stored form; what does not go together names its cell."""

from __future__ import annotations

import pytest

from drivers.kit.address import Span, locate, order_of, parse_address, parse_regions
from drivers.kit.errors import PointError
from drivers.kit.scan import Point


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("40001", (3, 0)),
        ("49999", (3, 9998)),
        ("400001", (3, 0)),
        ("465536", (3, 65535)),
        ("30001", (4, 0)),
        ("33001", (4, 3000)),
        ("10001", (2, 0)),
        ("00001", (1, 0)),
        ("000001", (1, 0)),
        ("FC03/0", (3, 0)),
        ("fc4/17", (4, 17)),
        ("FC01/0x10", (1, 16)),
        ("0x0000", (3, 0)),
        ("0xFFFF", (3, 65535)),
        (" 40001 ", (3, 0)),
        ("\uff14\uff10\uff10\uff10\uff11", (3, 0)),  # full-width, as Excel leaves it
    ],
)
def test_every_notation_has_one_stored_form(text: str, place: tuple[int, int]) -> None:
    assert parse_address(text) == place


@pytest.mark.parametrize(
    "text",
    ["", "1", "40000", "400000", "465537", "50001", "20001", "FC05/0", "FC03/65536", "0x10000", "四零零零一"],
)
def test_what_is_no_address_is_refused_with_cause_and_remedy_in_both_languages(text: str) -> None:
    with pytest.raises(PointError) as caught:
        parse_address(text)
    assert caught.value.field == "address"
    for words in (caught.value.cause, caught.value.remedy):
        assert words["zh"]
        assert words["en"]
    assert "40001" in caught.value.remedy["zh"]


@pytest.mark.parametrize(
    ("point", "field"),
    [
        (Point("a", "00001", type="uint16"), "type"),
        (Point("a", "00001", type="bit", bit=1), "bit"),
        (Point("a", "40001", type="bit"), "bit"),
        (Point("a", "40001", type="bit", bit=16), "bit"),
        (Point("a", "40001", type="uint16", bit=0), "bit"),
        (Point("a", "40001", type="double"), "type"),
        (Point("a", "40001", type="float32", order="ACBD"), "order"),
        (Point("a", "00001", type="bit", order="DCBA"), "order"),
        (Point("a", "10001", type="bit", order="CDAB"), "order"),
        (Point("a", "465536", type="float32"), "address"),
        (Point("a", "40001", unit_id=256), "unit_id"),
        (Point("a", "465534", type="float64"), "address"),
        (Point("a", "40001", type="float32", order="ABCDEFGH"), "order"),
        (Point("a", "40001", type="string", length=4, order="CDAB"), "order"),
        (Point("a", "40001", type="string"), "length"),
        (Point("a", "40001", type="string", length=0), "length"),
        (Point("a", "40001", type="string", length=65), "length"),
        (Point("a", "40001", type="uint32", length=2), "length"),
        (Point("a", "10001", type="string", length=2), "type"),
    ],
)
def test_a_point_that_does_not_fit_together_names_its_cell(point: Point, field: str) -> None:
    with pytest.raises(PointError) as caught:
        locate(point, 1)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("kind", "width"),
    [
        ("bcd16", 1),
        ("fixed256", 1),
        ("fixed100", 1),
        ("bcd32", 2),
        ("uint64", 4),
        ("int64", 4),
        ("float64", 4),
    ],
)
def test_a_type_says_how_many_registers_are_read(kind: str, width: int) -> None:
    assert locate(Point("a", "30005", type=kind), 9) == Span(9, 4, 4, width)


def test_a_string_says_so_itself() -> None:
    assert locate(Point("a", "40005", type="string", length=64), 1).width == 64


@pytest.mark.parametrize(
    ("long", "short"),
    [
        ("ABCDEFGH", "ABCD"),
        ("GHEFCDAB", "CDAB"),
        ("BADCFEHG", "BADC"),
        ("HGFEDCBA", "DCBA"),
        ("CDAB", "CDAB"),
    ],
)
def test_orders_of_eight_bytes_have_two_names(long: str, short: str) -> None:
    assert order_of(Point("a", "40001", type="float64", order=long)) == short


def test_unreadable_regions_are_read_in_every_notation() -> None:
    texts = ["40101-40110", "FC04/0-FC04/9", "10005", "0x0010 \uff5e 0x0012", "30100\u201330101"]
    assert parse_regions(texts) == ((2, 4, 4), (3, 16, 18), (3, 100, 109), (4, 0, 9), (4, 99, 100))


@pytest.mark.parametrize("text", ["", "40110-40101", "40001-30005", "40001-40002-40003", "-40001", "all"])
def test_what_is_no_region_is_refused(text: str) -> None:
    with pytest.raises(PointError) as caught:
        parse_regions(["40001", text])
    assert caught.value.field == "unreadable"
    assert text in caught.value.cause["zh"]


@pytest.mark.parametrize(
    "point",
    [Point("A", "00001", "bit", bit=3), Point("A", "40001", "bit"), Point("A", "40001", "uint16", bit=3)],
)
def test_a_bit_is_not_called_by_the_word_for_a_tag(point: Point) -> None:
    with pytest.raises(PointError) as caught:
        locate(point, 1)
    assert caught.value.field == "bit"
    assert "位号" not in caught.value.cause["zh"] + caught.value.remedy["zh"]
