"""What a forecast says of ramps and of noise, and when it is silent."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.conditions import Conditions
from gateway.alarm.forecast import EVERY_NS, HORIZON_S, WINDOW_S, Forecast, Forecasts, forecast
from gateway.alarm.limits import NEVER, Limits

LIMITS = Limits(ll=10.0, l=20.0, h=80.0, hh=90.0)
SEEDS = 500


class Plant:
    """Many equal points that want a forecast, each with noise of its own, sampled when it is due."""

    def __init__(self, limits=LIMITS, points=SEEDS):
        self.forecasts = Forecasts([Conditions(forecast=True)] * points)
        self.limits = limits
        self.noise = np.random.default_rng(20261122)
        self.good = np.ones(points, dtype=bool)
        self.values = np.full(points, np.nan)
        self.at_ns = 1000 * 10**9

    def see(self, value, sigma=0.0):
        self.values = value + self.noise.normal(0.0, 1.0, len(self.good)) * sigma
        if self.at_ns >= self.forecasts.next_due_ns:
            self.forecasts.feed(self.values, self.good, self.at_ns)
        self.at_ns += EVERY_NS
        return self.said()

    def said(self):
        return self.forecasts.view(self.values, self.good, lambda _: self.limits)


def ramp(per_minute, sigma, start=50.0, minutes=30):
    """(forecast, seconds that are truly left) of every statement on the way from ``start`` to the limit at 80."""
    plant, told = Plant(), []
    for k in range(int(minutes * 60e9) // EVERY_NS):
        value = start + per_minute / 60 * k * EVERY_NS / 1e9
        if value >= 80.0:
            break
        left_s = (80.0 - value) / per_minute * 60
        told += [(one, left_s) for one in plant.see(value, sigma).values()]
    return told


@pytest.mark.parametrize(
    ("per_minute", "sigma"), [(1.0, 0.1), (1.0, 1.0), (2.0, 0.5), (5.0, 1.0), (0.5, 0.2), (1.0, 3.0)]
)
def test_on_a_noisy_ramp_the_true_time_lies_within_the_range(per_minute, sigma):
    """At least in nine of ten statements; seen over 500 seeds each: 96 to 99 %."""
    told = ramp(per_minute, sigma)
    within = sum(
        one.level == "H" and one.item()["from_s"] <= left_s <= one.item()["to_s"] for one, left_s in told
    )
    assert len(told) > 5 * SEEDS
    assert within >= 0.9 * len(told)


@pytest.mark.parametrize(("sigmas", "most"), [(5.0, 0.02), (10.0, 0.005), (30.0, 0.0002)])
def test_on_flat_noise_almost_nothing_is_said(sigmas, most):
    """Share of looks with a statement, limits so many sigmas away on both sides; seen: 1.1 %, 0.26 % and 0.002 %."""
    plant = Plant(Limits(l=50.0 - sigmas, h=50.0 + sigmas))
    looks = 150
    said = sum(len(plant.see(50.0, 1.0)) for _ in range(looks))
    assert said <= most * looks * SEEDS


def test_without_noise_the_time_is_exact():
    plant = Plant(points=1)
    for k in range(30):
        plant.see(50.0 + k * EVERY_NS / 60e9)
    [one] = plant.said().values()
    left_s = 30 * 60 - 29 * EVERY_NS / 1e9
    assert (one.level, one.item()["from_s"], one.item()["to_s"]) == (
        "H",
        pytest.approx(left_s, abs=1),
        pytest.approx(left_s, abs=1),
    )


def test_a_slope_whose_sign_is_not_certain_says_nothing():
    assert forecast(50.0, 0.1, 0.0501, 0.0, LIMITS) is None
    assert forecast(50.0, 0.1, 0.0499, 0.0, LIMITS) is None  # certain, but the end of its range is too far
    assert forecast(50.0, 0.1, 0.04, 0.0, LIMITS) is not None
    assert forecast(50.0, 0.0, 0.0, 0.0, LIMITS) is None
    assert forecast(50.0, math.nan, math.nan, math.nan, LIMITS) is None
    assert forecast(math.nan, 0.1, 0.0, 0.0, LIMITS) is None


def test_the_next_limit_in_the_direction_of_travel_counts():
    def level(value, slope):
        one = forecast(value, slope, 0.0, 0.0, LIMITS)
        return one and one.level

    assert [level(v, 0.1) for v in (5.0, 50.0, 80.0, 85.0, 90.0)] == ["H", "H", "HH", "HH", None]
    assert [level(v, -0.1) for v in (95.0, 50.0, 20.0, 15.0, 10.0)] == ["L", "L", "LL", "LL", None]
    assert forecast(0.2, 0.1, 0.0, 0.0, Limits(on=1)) is None


def test_what_lies_beyond_the_horizon_is_not_said():
    assert forecast(80.0 - HORIZON_S * 0.01, 0.01, 0.0, 0.0, LIMITS).to_s == pytest.approx(HORIZON_S)
    assert forecast(79.9 - HORIZON_S * 0.01, 0.01, 0.0, 0.0, LIMITS) is None


def test_a_value_that_is_not_good_has_no_forecast_and_a_slope_that_is_not_known_none():
    plant = Plant(points=2)
    for k in range(11):
        assert plant.see(50.0 + k) == {}  # not half a window yet
    for k in range(11, 30):
        plant.see(50.0 + k / 2)
    assert set(plant.said()) == {0, 1}
    plant.good[1] = False
    assert set(plant.said()) == {0}
    plant.see(70.0)
    plant.good[1] = True
    assert set(plant.said()) == {0}  # it was not good at the last sample


def test_only_points_that_want_one_have_one_and_without_any_nothing_is_due():
    assert Forecasts([Conditions()]).next_due_ns == NEVER
    one = Forecasts([Conditions(), Conditions(forecast=True)])
    for k in range(30):
        one.feed(np.array([k, k], dtype=float), np.ones(2, dtype=bool), k * EVERY_NS)
    assert set(one.view(np.array([30.0, 30.0]), np.ones(2, dtype=bool), {1: LIMITS}.__getitem__)) == {1}


def test_people_see_whole_seconds():
    assert Forecast("H", 1.5, 2.2).item() == {"level": "H", "from_s": 1, "to_s": 3}


def test_a_late_sample_does_not_shift_the_next_and_a_very_late_one_begins_anew():
    plant = Plant(points=1)
    plant.see(1.0)
    first_ns = plant.forecasts.next_due_ns
    for late_ns, next_ns in (
        (10**9, first_ns + EVERY_NS),
        (2 * EVERY_NS, first_ns + 3 * EVERY_NS),
        (5 * EVERY_NS, first_ns + 6 * EVERY_NS),
    ):
        plant.forecasts.feed(plant.values, plant.good, first_ns + late_ns)
        assert plant.forecasts.next_due_ns == next_ns


def test_a_sample_is_due_so_many_times_in_a_window():
    plant = Plant(points=1)
    start_ns = plant.at_ns
    for _ in range(24):
        plant.see(1.0)
    assert plant.forecasts.next_due_ns - start_ns == 24 * EVERY_NS == WINDOW_S * 1e9


number = st.floats(-1e6, 1e6)


@given(number, st.floats(-1e3, 1e3), st.floats(0, 1e2), st.floats(0, 1e3))
def test_a_range_is_a_range_ahead_of_now_and_within_the_horizon(value, slope, error, scatter):
    one = forecast(value, slope, error, scatter, LIMITS)
    if one is not None:
        assert 0 <= one.from_s <= one.to_s <= HORIZON_S
        assert (one.level in ("H", "HH")) == (slope > 0)
        assert one.item()["from_s"] <= one.from_s
        assert one.to_s <= one.item()["to_s"]
