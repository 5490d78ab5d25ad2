import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, Status, bad, cause_of, is_bad, is_good, quality, status_of


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("cause", list(Cause))
def test_status_and_cause_come_back(status, cause):
    byte = quality(status, cause)
    assert 0 <= byte <= 255
    assert (status_of(byte), cause_of(byte)) == (status, cause)


def test_forgotten_memory_is_bad():
    column = np.zeros(3, dtype=np.uint8)
    assert is_bad(column).all()
    assert not is_good(column).any()
    assert status_of(0) is Status.BAD


def test_every_byte_is_exactly_one_of_good_uncertain_and_bad():
    column = np.arange(256, dtype=np.uint8)
    uncertain = np.array([status_of(byte) is Status.UNCERTAIN for byte in range(256)])
    assert (is_good(column).astype(int) + is_bad(column) + uncertain == 1).all()
    assert is_good(np.array([GOOD, bad(Cause.COMM)], dtype=np.uint8)).tolist() == [True, False]


def test_the_numbers_of_the_causes_are_stored_and_never_change():
    words = (
        "none comm refused garbled device_fault over_range under_range frozen maintenance calibration warm_up"
    )
    words += " muted disabled manual simulation startup clock not_read"
    assert " ".join(cause.word for cause in Cause) == words
    assert [int(cause) for cause in Cause] == list(range(18))


def test_an_unknown_cause_is_refused():
    with pytest.raises(ValueError, match="63"):
        cause_of(0xFF)
