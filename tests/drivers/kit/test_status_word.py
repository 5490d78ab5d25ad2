"""What instruments say about themselves, as people write it into a cell."""

from __future__ import annotations

from fractions import Fraction

import pytest

from drivers.kit.errors import PointError
from drivers.kit.quality import Cause, Status, bad, cause_of, status_of
from drivers.kit.status_word import (
    CAUSE_WORDS,
    FaultValue,
    StatusBits,
    parse_fault_values,
    parse_status_bits,
    severity,
)


@pytest.mark.parametrize(
    "text",
    ["32768; 0xFFFF=over_range; -9999", "32768，0Xffff＝超量程；－９９９９", "32768、0xffff=超上限\n-9999"],
)
def test_fault_values_in_every_spelling(text: str) -> None:
    found = [(fault.pattern, fault.number, fault.cause) for fault in parse_fault_values(text)]
    assert found == [
        (None, Fraction(32768), Cause.DEVICE_FAULT),
        (0xFFFF, None, Cause.OVER_RANGE),
        (None, Fraction(-9999), Cause.DEVICE_FAULT),
    ]


def test_no_fault_values_are_none() -> None:
    assert parse_fault_values("") == parse_fault_values(" ; ") == ()
    assert parse_status_bits("") == ()


def test_a_fault_value_may_be_a_fraction_and_keeps_its_text() -> None:
    assert parse_fault_values("25.5 = warm up") == (
        FaultValue("25.5=warmup", None, Fraction("25.5"), Cause.WARM_UP),
    )


@pytest.mark.parametrize(
    "text", ["abc", "0x", "1e5", "NaN", "=maintenance", "5=", "5=tired", "5=comm", "1;" * 65]
)
def test_what_is_no_fault_value_names_its_cell_and_a_remedy(text: str) -> None:
    with pytest.raises(PointError) as caught:
        parse_fault_values(text)
    assert caught.value.field == "fault_values"
    assert caught.value.remedy["zh"]


@pytest.mark.parametrize(
    "text",
    [
        "3=maintenance; !7=device_fault; 8-11:5=calibration",
        "03=maintenance; !07=device_fault; 08-11:05=calibration",
        "3=维护; !7=故障; 8-11:0x05=标定",
        "3=维护；！7=故障；8—11：0x5=标定",
        "3=检修,!7=Device-Fault,8 - 11 : 5 = 校准",
    ],
)
def test_status_bits_in_every_spelling(text: str) -> None:
    assert parse_status_bits(text) == (
        StatusBits(3, 1, 1, Cause.MAINTENANCE),
        StatusBits(7, 1, 0, Cause.DEVICE_FAULT),
        StatusBits(8, 0b1111, 5, Cause.CALIBRATION),
    )


@pytest.mark.parametrize(
    "text",
    [
        "3",
        "3=",
        "3=tired",
        "x=maintenance",
        "16=maintenance",
        "8-11=muted",
        "11-8:1=muted",
        "8-9:4=muted",
        "!8-9:1=muted",
    ],
)
def test_what_is_no_status_bit_names_its_cell_and_a_remedy(text: str) -> None:
    with pytest.raises(PointError) as caught:
        parse_status_bits(text, 16)
    assert caught.value.field == "status_bits"
    assert caught.value.remedy["en"]


def test_a_long_word_has_32_bits() -> None:
    assert parse_status_bits("31=muted; 0-31:0xFFFFFFFF=disabled")[1].expected == 2**32 - 1


def test_only_out_of_range_leaves_a_value() -> None:
    for cause in set(CAUSE_WORDS.values()):
        byte = severity(cause)
        assert cause_of(byte) is cause
        kept = cause in (Cause.OVER_RANGE, Cause.UNDER_RANGE)
        assert status_of(byte) is (Status.UNCERTAIN if kept else Status.BAD)
    assert severity(Cause.MUTED) == bad(Cause.MUTED)


@pytest.mark.parametrize("text", ["3=?", "x=故障", "16=故障"])
def test_a_bad_entry_does_not_speak_of_a_width_the_word_may_not_have(text: str) -> None:
    with pytest.raises(PointError) as caught:
        parse_status_bits(text, 16)
    assert "32 位状态" not in caught.value.cause["zh"]
    with pytest.raises(PointError) as caught:
        parse_status_bits("40=故障")
    assert "没有第 40 位" in caught.value.cause["zh"]
    with pytest.raises(PointError) as caught:
        parse_status_bits("x=故障")
    assert "32" not in caught.value.cause["zh"]
