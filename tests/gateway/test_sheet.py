"""A table as spreadsheets save it: encodings, delimiters, titles, cells and their places."""

from __future__ import annotations

import pytest

from gateway.errors import UserFacingError
from gateway.sheet import Row, column_letter, column_of, decoded, folded, plain, rows_of

TABLE = "位号;说明\nA;一"


@pytest.mark.parametrize(
    ("index", "letter"), [(0, "A"), (25, "Z"), (26, "AA"), (51, "AZ"), (52, "BA"), (702, "AAA")]
)
def test_letters_as_excel_has_them(index: int, letter: str) -> None:
    assert column_letter(index) == letter


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_every_encoding_excel_writes_gives_the_same_text(encoding: str) -> None:
    assert decoded(TABLE.encode(encoding), "t.csv") == TABLE


@pytest.mark.parametrize(
    ("content", "code", "place"),
    [
        (b"PK\x03\x04", "E-POINTS-WORKBOOK", "t.csv"),
        (b"\xd0\xcf\x11\xe0", "E-POINTS-WORKBOOK", "t.csv"),
        (b"a\nb\n\xff", "E-POINTS-ENCODING", "t.csv:3"),
        (b'"a\nb"\n\xff', "E-POINTS-ENCODING", "t.csv:2"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, code: str, place: str) -> None:
    with pytest.raises(UserFacingError) as caught:
        decoded(content, "t.csv")
    assert (caught.value.code, caught.value.place) == (code, place)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("title", ["", "一, 二; 三\n\n", ";;;;,,,,\n标题\n"])
def test_the_line_of_the_headings_says_which_delimiter_it_is(delimiter: str, title: str) -> None:
    lines = [["位号", "描述"], ["A", "a,b;c" if delimiter == "\t" else "abc"]]
    rows = list(rows_of(title + "\n".join(delimiter.join(line) for line in lines), "t.csv"))
    assert [cells for _, cells in rows[-2:]] == lines


def test_rows_carry_excels_number_and_blank_ones_are_passed_over() -> None:
    assert list(rows_of('a,"b\nc"\n\n , \nd,e\n', "t.csv")) == [(1, ["a", "b\nc"]), (4, ["d", "e"])]


def test_quotes_that_do_not_pair_are_named() -> None:
    with pytest.raises(UserFacingError) as caught:
        list(rows_of('a,b\n"c,d\n', "t.csv"))
    assert (caught.value.code, caught.value.place) == ("E-POINTS-QUOTES", "t.csv:2")


def test_full_width_is_plain() -> None:
    assert plain(" −１２．５；ＡＢ ") == "-12.5;AB"
    assert column_of("采集 周期（ｓ）") == "period_s"
    assert column_of("采集周期(ms)") is None


def row(**cells: str) -> Row:
    return Row("t.csv", 7, list(cells.values()), {name: at for at, name in enumerate(cells)}, list(cells), [])


def test_cells_are_numbers_within_bounds_or_mistakes_with_their_place() -> None:
    one = row(ll="１.5", l="", h="x", hh="9", bit="2.0", length="0")
    assert (one.number("ll"), one.number("l"), one.number("h"), one.number("scale")) == (
        1.5,
        None,
        None,
        None,
    )
    assert (one.between("hh", 0, 9), one.between("hh", 0, 8)) == (9.0, None)
    assert (one.whole("bit", 0, 15), one.whole("length", 1, 64)) == (2, None)
    assert [(error.code, error.place) for error in one.errors] == [
        ("E-POINTS-NUMBER", "t.csv:7:C(h)"),
        ("E-POINTS-BETWEEN", "t.csv:7:D(hh)"),
        ("E-POINTS-WHOLE", "t.csv:7:F(length)"),
    ]


def test_a_row_shorter_than_the_headings_has_empty_cells() -> None:
    one = Row("t.csv", 2, ["A"], {"tag": 0, "unit": 1}, ["位号", "单位"], [])
    assert (one.text("unit"), one.holds("unit"), one.holds("tag")) == ("", False, True)


def test_text_that_nobody_sees_is_a_mistake() -> None:
    one = row(description="a\x00b", unit="长" * 251)
    one.text("description")
    one.text("unit")
    assert [error.code for error in one.errors] == ["E-POINTS-TEXT"] * 2


def test_yes_and_no_are_written_in_several_ways() -> None:
    one = row(a="是", b="ＹＥＳ", c="否", d="", e="√", f="maybe")
    assert [one.yes(column) for column in "abcdef"] == [True, True, False, False, True, False]
    assert [(error.code, error.place) for error in one.errors] == [("E-POINTS-YES", "t.csv:7:F(f)")]


def test_a_positive_number_is_above_zero() -> None:
    one = row(h="0.1", hh="0", l="-1", ll="x")
    assert [one.positive(column) for column in ("h", "hh", "l", "ll")] == [0.1, None, None, None]
    assert [error.code for error in one.errors] == [
        *("E-POINTS-POSITIVE", "E-POINTS-POSITIVE"),
        "E-POINTS-NUMBER",
    ]


def test_a_cell_may_be_looked_at_without_being_judged() -> None:
    one = row(description="a\x00b")
    assert (one.cell("description"), one.cell("tag"), one.errors) == ("a\x00b", "", [])


def test_tags_are_compared_without_capitals_and_width() -> None:
    assert folded(" ＬＴ-101") == folded("lt-101") != folded("LT-102")
