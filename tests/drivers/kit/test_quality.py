"""One byte of quality: forgotten memory is bad, every status and cause survives the byte, the list is closed."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, Status, bad, cause_of, is_bad, is_good, quality, status_of


def test_a_zeroed_byte_is_bad() -> None:
    assert status_of(0) is Status.BAD


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("cause", list(Cause))
def test_status_and_cause_survive_the_byte(status: Status, cause: Cause) -> None:
    byte = quality(status, cause)
    assert 0 <= byte <= 255
    assert (status_of(byte), cause_of(byte)) == (status, cause)


def test_every_byte_is_good_uncertain_or_bad_and_columns_agree_with_bytes() -> None:
    column = np.arange(256, dtype=np.uint8)
    statuses = [status_of(byte) for byte in range(256)]
    assert is_good(column).tolist() == [status is Status.GOOD for status in statuses]
    assert is_bad(column).tolist() == [status is Status.BAD for status in statuses]


def test_an_unknown_cause_is_an_error() -> None:
    with pytest.raises(ValueError, match="63"):
        cause_of(63 << 2)


def test_words_and_numbers_never_change() -> None:
    assert (GOOD, bad(Cause.COMM)) == (3, 4)
    assert [cause.word for cause in Cause] == [
        "none",
        "comm",
        "refused",
        "garbled",
        "device_fault",
        "over_range",
        "under_range",
        "frozen",
        "maintenance",
        "calibration",
        "warm_up",
        "muted",
        "disabled",
        "manual",
        "simulation",
        "startup",
        "clock",
        "not_read",
    ]
