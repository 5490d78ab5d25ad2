"""A plant's day: the same for the same seed, and with everything in it that it says."""

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, cause_of, is_bad
from gateway.instant import Now
from hil.day import CONTACTS, POINTS, Day

SPAN_S = 1_800


def column(day):
    values, qualities = zip(*day.seconds(), strict=True)
    return np.array(values), np.array(qualities)


@pytest.fixture(scope="module")
def lived():
    return column(Day(4, SPAN_S, 1))


def test_the_same_seed_is_the_same_day(lived):
    again, other = column(Day(4, SPAN_S, 1)), column(Day(4, SPAN_S, 2))
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in zip(lived, again, strict=True))
    assert not np.array_equal(lived[0], other[0], equal_nan=True)


def test_most_is_calm_and_everything_happens(lived):
    values, qualities = lived
    assert values.shape == (SPAN_S, 4 * POINTS)
    good = qualities == GOOD
    assert 0.9 < good.mean() < 1.0
    causes = {cause_of(int(byte)) for byte in np.unique(qualities)}
    assert {Cause.MAINTENANCE, Cause.OVER_RANGE} < causes
    contact = np.isin(np.arange(4 * POINTS) % POINTS, CONTACTS)
    measured = values[:, ~contact]
    with np.errstate(invalid="ignore"):
        assert (measured > 80).any()
        assert ((measured > 20) & (measured < 75)).mean() > 0.9
    assert set(np.unique(values[:, contact])) <= {0.0, 1.0}
    # What is no number though its quality is good: a judge must not trust it.
    assert (np.isnan(values) & good).any()
    assert np.isnan(values[is_bad(qualities)]).all()


def test_one_device_says_that_it_is_away_and_one_says_nothing():
    day = Day(4, SPAN_S, 1)
    dead, hung = day.away
    values, qualities = next(day.seconds())
    now = Now(7, 9)
    both = day.scans(dead.from_s, values, qualities, now)
    assert [scan.device for scan in both] == ["plc0", "plc1", "plc2", "plc3"]
    assert is_bad(both[dead.device].quality).all()
    assert {cause_of(int(one)) for one in both[dead.device].quality} == {Cause.COMM}
    assert [scan.device for scan in day.scans(hung.from_s, values, qualities, now)] == [
        "plc1",
        "plc2",
        "plc3",
    ]
    usual = day.scans(0, values, qualities, now)
    assert np.array_equal(usual[1].values, values[POINTS : 2 * POINTS], equal_nan=True)
    assert (usual[1].taken_mono_ns, usual[1].taken_ns) == (7, 9)
    assert len(day.scans(dead.to_s, values, qualities, now)) == 4
