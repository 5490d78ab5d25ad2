"""Readers of the kinds of points: every byte of a digit type, every text, every number of decimals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.readers import BYTE_WORTH, MAX_DECIMALS, Decimals, Digits, text_of


def numbers(kind: str, *values: bytes) -> list[float]:
    """Read values whose bytes come lowest first."""
    width = len(BYTE_WORTH[kind])
    index = np.arange(width * len(values)).reshape(-1, width)
    found: list[float] = (
        Digits(slice(None), index, BYTE_WORTH[kind])
        .numbers(np.frombuffer(b"".join(values), dtype=np.uint8))
        .tolist()
    )
    return found


@given(st.integers(0, 9999), st.integers(0, 99_999_999))
def test_bcd_round_trip(small: int, large: int) -> None:
    assert numbers("bcd16", bytes.fromhex(f"{small:04d}")[::-1]) == [small]
    assert numbers("bcd32", bytes.fromhex(f"{large:08d}")[::-1]) == [large]


@given(st.binary(min_size=4, max_size=4))
def test_a_digit_beyond_nine_is_no_number(raw: bytes) -> None:
    (number,) = numbers("bcd32", raw)
    assert math.isnan(number) != raw.hex().isdecimal()


def test_one_bad_digit_does_not_touch_its_neighbour() -> None:
    assert numbers("bcd16", b"\x12\x00", b"\x0a\x00", b"\x34\x00")[::2] == [12, 34]


def test_every_register_of_hundredths() -> None:
    raw = [bytes((low, high)) for high in range(256) for low in range(256)]
    found = numbers("fixed100", *raw)
    expected = [100 * high + low if low < 100 else math.nan for high in range(256) for low in range(256)]
    assert np.array_equal(found, expected, equal_nan=True)


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=0x9FFF, exclude_categories=("C", "Z")), max_size=20)
)
def test_text_round_trip_with_either_padding(text: str) -> None:
    assert text_of(text.encode() + bytes(3)) == text
    assert text_of(text.encode() + b"   ") == text


@pytest.mark.parametrize("raw", [b"\xff", b"\xc3", b"a\nb", b"\x07", "\u202e".encode()])
def test_what_nobody_can_print_is_no_text(raw: bytes) -> None:
    assert text_of(raw) is None


def test_powers_and_what_is_none() -> None:
    decimals = Decimals(np.array([0, 1]), np.array([2, 3]))
    for told in range(MAX_DECIMALS + 1):
        assert decimals.powers(np.array([1.0, 1.0, told, 0.0])).tolist() == [10.0**told, 1, 1, 1]
    for told in (-1.0, 7.0, math.nan, math.inf):
        assert math.isnan(decimals.powers(np.array([1.0, 1.0, told, 0.0]))[0])


def test_a_lost_number_of_decimals_takes_its_point_along() -> None:
    decimals = Decimals(np.array([0, 1]), np.array([2, 3]))
    values = np.arange(4.0)
    quality = np.array([GOOD, GOOD, bad(Cause.COMM), GOOD], dtype=np.uint8)
    assert decimals.inherit(values, quality).tolist() == [bad(Cause.COMM), GOOD, bad(Cause.COMM), GOOD]
    assert np.isnan(values).tolist() == [True, False, False, False]
    whole = np.full(4, GOOD, dtype=np.uint8)
    assert decimals.inherit(values, whole) is whole
