import numpy as np
import pytest

from gateway.alarm.conditions import Conditions
from gateway.alarm.derived import Deviations, Rates

S = 10**9
PLAIN = Conditions()


def said(steps):
    return [(step.row, step.side.name, step.after) for step in steps]


def test_a_rate_is_judged_per_minute_on_the_points_that_have_one():
    rates = Rates([PLAIN, Conditions(rise_per_min=5.0, rate_window_s=10.0), Conditions(fall_per_min=2.0)])
    assert rates.rows.tolist() == [1, 2]
    points, good = np.array([0, 1, 2]), np.ones(3, dtype=bool)
    found = []
    for at_s in range(12):
        found += said(rates.judge(points, np.array([9.0 * at_s, at_s * 5.0 / 60, 7.0]), good, at_s * S))
    assert found == [(0, "rise", "RISE")], "5 a minute is reached, and what has no limit is not judged"
    found = []
    for at_s in range(12, 24):
        found += said(rates.judge(points, np.array([0.0, 1.0, 7.0]), good, at_s * S))
    assert found == [(0, "rise", "")]


def test_falling_is_a_side_of_its_own():
    rates = Rates([Conditions(fall_per_min=60.0, rate_window_s=10.0)])
    found = []
    for at_s in range(8):
        found += said(rates.judge(np.array([0]), np.array([-1.0 * at_s]), np.ones(1, dtype=bool), at_s * S))
    assert found == [(0, "fall", "FALL")]


def test_a_value_that_is_not_good_says_nothing_about_the_rate():
    rates = Rates([Conditions(rise_per_min=6.0, rate_window_s=10.0)])
    one = np.array([0])
    for at_s in range(8):
        steps = rates.judge(one, np.array([float(at_s)]), np.ones(1, dtype=bool), at_s * S)
    assert rates.bank.table.any_active
    for at_s in range(8, 14):
        steps = rates.judge(one, np.array([0.0]), np.zeros(1, dtype=bool), at_s * S)
        assert steps == [], "neither raised nor cleared"
    assert rates.bank.table.any_active


def test_points_that_are_not_read_in_a_pass_are_left_alone():
    rates = Rates([Conditions(rise_per_min=6.0)])
    assert rates.judge(np.array([3, 4]), np.zeros(2), np.ones(2, dtype=bool), 0) == []


@pytest.mark.parametrize(
    ("value", "found"), [(54.9, []), (55.0, [(0, "above", "ABOVE")]), (45.0, [(0, "below", "BELOW")])]
)
def test_a_deviation_from_a_fixed_setpoint(value, found):
    one = Deviations([Conditions(deviation=5.0, deviation_from=50.0)], {})
    none = np.zeros(1, dtype=bool)
    assert said(one.judge(np.array([0]), np.array([value]), none, none, 0)) == found


class Twins:
    """A point at row 0 and its twin at row 2."""

    def __init__(self):
        conditions = [
            Conditions(deviation=5.0, deviation_from="LT-2", deviation_deadband=1.0), PLAIN, PLAIN,
        ]  # fmt: skip
        self.deviations = Deviations(conditions, {"LT-2": 2})
        self.values = np.array([50.0, 0.0, 50.0])
        self.bad = np.zeros(3, dtype=bool)
        self.uncertain = np.zeros(3, dtype=bool)

    def see(self, row, value, *, bad=False, uncertain=False):
        self.values[row], self.bad[row], self.uncertain[row] = value, bad, uncertain
        return said(self.deviations.judge(np.array([row]), self.values, self.bad, self.uncertain, 0))


def test_a_deviation_from_a_twin_is_judged_when_either_end_is_read():
    twins = Twins()
    assert twins.see(1, 99.0) == [], "of neither end"
    assert twins.see(2, 45.0) == [(0, "above", "ABOVE")]
    assert twins.see(0, 49.0) == [], "within the deadband"
    assert twins.see(0, 48.9) == [(0, "above", "")]
    assert twins.see(0, 40.0) == [(0, "below", "BELOW")]


def test_a_bad_end_moves_nothing_and_an_uncertain_one_never_clears():
    twins = Twins()
    twins.see(2, 45.0)
    assert twins.see(2, 50.0, bad=True) == []
    assert twins.see(0, 50.0) == [], "the other end is still bad"
    assert twins.see(2, 50.0, uncertain=True) == []
    assert twins.see(2, 50.0) == [(0, "above", "")]
    assert twins.see(0, 90.0, uncertain=True) == [(0, "above", "ABOVE")]


def test_what_was_never_read_has_no_deviation():
    twins = Twins()
    twins.values[2] = np.nan
    assert twins.see(0, 90.0) == []
