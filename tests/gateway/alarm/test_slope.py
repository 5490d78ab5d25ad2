import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.slope import LEAST_PART, LEAST_SAMPLES, SAMPLES, Slopes

S = 10**9
ROW = np.array([0])


def fed(slopes, value, at_s, rows=ROW):
    slope, error = slopes.feed(rows, np.full(len(rows), float(value)), int(at_s * S))
    return slope[0], error[0]


@given(st.floats(-50, 50), st.floats(-1000, 1000), st.integers(1, 20))
def test_a_straight_line_has_its_slope_and_no_error(slope, start, period_s):
    slopes = Slopes(np.array([60.0]))
    for k in range(4 * 60 // period_s):
        found, error = fed(slopes, start + slope * k * period_s, k * period_s)
    if not np.isnan(found):
        assert found == pytest.approx(slope, abs=1e-6 * (1 + abs(slope)))
        assert error == pytest.approx(0, abs=1e-6 * (1 + abs(slope)))


def test_it_is_known_once_half_the_window_is_spanned():
    slopes = Slopes(np.array([60.0]))
    known = [at_s for at_s in range(61) if not np.isnan(fed(slopes, at_s, at_s)[0])]
    assert known[0] == 60 * LEAST_PART
    sparse = Slopes(np.array([60.0]))
    assert [np.isnan(fed(sparse, k, 30 * k)[0]) for k in range(4)] == [True, True, False, False]
    assert LEAST_SAMPLES == 3


@pytest.mark.parametrize("period_s", [1.0, 2.5, 5.0])
@pytest.mark.parametrize("late_s", [0.0, 0.1], ids=["punctual", "jittering"])
def test_it_stays_known_whatever_the_period_and_the_window(period_s, late_s):
    windows = np.arange(np.ceil(5 * period_s), 251.0)
    slopes, rows = Slopes(windows), np.arange(len(windows))
    random = np.random.default_rng(1)
    for k in range(int(500 / period_s)):
        at_s = k * period_s + late_s * period_s * random.random()
        found, _ = slopes.feed(rows, np.full(len(rows), 2.0 * at_s), int(at_s * S))
        full = windows <= at_s
        assert np.allclose(found[full], 2.0), f"{windows[full][np.isnan(found[full])]} s at {at_s} s"


def test_it_is_that_of_the_window_and_forgets_what_is_older():
    slopes = Slopes(np.array([60.0]))
    for at_s in range(100):
        fed(slopes, 0.0, at_s)
    for k in range(70):
        found, _ = fed(slopes, 2.0 * k, 100 + k)
    assert found == pytest.approx(2.0)


def test_a_hole_longer_than_the_window_begins_anew():
    slopes = Slopes(np.array([60.0]))
    for at_s in range(60):
        fed(slopes, at_s, at_s)
    assert np.isnan(fed(slopes, 500.0, 200)[0])


def test_it_agrees_with_ordinary_least_squares_of_what_it_keeps():
    random = np.random.default_rng(1)
    slopes = Slopes(np.array([float(SAMPLES)]))
    at_s = np.arange(SAMPLES)
    values = random.normal(size=SAMPLES)
    for t, value in zip(at_s, values, strict=True):
        found, error = fed(slopes, value, t)
    (a, _), covariance = np.polyfit(at_s, values, 1, cov=True)
    assert found == pytest.approx(a)
    assert error == pytest.approx(np.sqrt(covariance[0, 0]))


def test_three_readings_have_the_error_of_one_degree_of_freedom():
    slopes = Slopes(np.array([60.0]))
    for at_s, value in ((0, 0.0), (20, 1.0), (40, 0.0)):
        found, error = fed(slopes, value, at_s)
    # residuals -1/3, 2/3, -1/3: sum of squares 2/3 over 1, times to the mean -20, 0, 20: 800
    assert (found, error) == (pytest.approx(0.0), pytest.approx(np.sqrt(2 / 3 / 800)))


def test_rows_have_windows_and_values_of_their_own():
    slopes = Slopes(np.array([10.0, 1000.0]))
    both = np.array([0, 1])
    for at_s in range(11):
        found, _ = slopes.feed(both, np.array([at_s * 1.0, at_s * -3.0]), at_s * S)
    assert found[0] == pytest.approx(1.0)
    assert np.isnan(found[1]), "its window is not half full"


def test_what_comes_fast_takes_no_more_memory_and_the_newest_counts():
    slopes = Slopes(np.array([60.0]))
    for k in range(6001):
        found, _ = fed(slopes, k * 0.01, k * 0.01)
    assert found == pytest.approx(1.0, rel=0.02)
