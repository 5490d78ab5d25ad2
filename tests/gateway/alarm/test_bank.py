import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.bank import DEVIATION, RATE, VALUE, Bank
from gateway.alarm.limits import Limits

S = 10**9
TANK = Limits(ll=5, l=10, h=80, hh=90, deadband=2, filed={"H": 75.0})


class Seen:
    """A bank of one row and what it said."""

    def __init__(self, limits=TANK, sides=VALUE):
        self.values = np.full(1, np.nan)
        self.bank = Bank([limits], sides, self.values)

    def see(self, value, at_s=0, *, usable=True, uncertain=False):
        row = np.zeros(1, dtype=np.intp)
        if usable:
            self.values[0] = value
        steps = self.bank.judge(
            row, row, np.array([float(value)]), at_s * S, np.array([usable]), np.array([uncertain])
        )
        return [(step.side.name, step.before, step.after) for step in steps]

    def step(self, value):
        row = np.zeros(1, dtype=np.intp)
        self.values[0] = value
        [step] = self.bank.judge(row, row, np.array([float(value)]), 0)
        return step


def test_an_excursion_goes_up_and_down_its_side():
    seen = Seen()
    assert seen.see(50) == []
    assert seen.see(85) == [("high", "", "H")]
    assert seen.see(95) == [("high", "H", "HH")]
    assert seen.see(87) == [("high", "HH", "H")]
    assert seen.see(50) == [("high", "H", "")]
    assert seen.see(4) == [("low", "", "LL")]
    assert seen.see(8) == [("low", "LL", "L")]


def test_from_one_side_to_the_other_is_two_steps():
    seen = Seen()
    seen.see(85)
    assert seen.see(4) == [("low", "", "LL"), ("high", "H", "")]


def test_a_step_carries_value_peak_and_both_limits():
    seen = Seen()
    up = seen.step(85)
    assert (up.value, up.peak, up.limit) == (85.0, 85.0, (80.0, 75.0))
    seen.see(88)
    over = seen.step(95)
    assert (over.peak, over.limit) == (95.0, (90.0, None))
    back = seen.step(50)
    assert (back.value, back.peak, back.limit) == (50.0, 95.0, (90.0, None)), "of the level it has left"


def test_the_low_side_keeps_the_lowest_value_and_a_new_excursion_starts_its_peak_anew():
    seen = Seen()
    seen.see(9)
    seen.see(3)
    assert seen.bank.peak(0, "low") == 3.0
    seen.see(50)
    seen.see(8)
    assert seen.bank.peak(0, "low") == 8.0


def test_both_sides_may_stand_at_once_each_with_its_peak():
    seen = Seen()
    seen.see(95)
    assert seen.see(3, uncertain=True) == [("low", "", "LL")], "uncertain raises, and clears nothing"
    assert (seen.bank.peak(0, "high"), seen.bank.peak(0, "low")) == (95.0, 3.0)


def test_a_bad_number_is_no_peak():
    seen = Seen()
    seen.see(85)
    seen.see(999, usable=False)
    assert seen.bank.peak(0, "high") == 85.0


@given(st.lists(st.floats(70, 100), min_size=1, max_size=20))
def test_the_peak_is_the_most_extreme_of_the_excursion(values):
    seen = Seen()
    seen.see(95)
    told = [95.0]
    for value in values:
        seen.see(value)
        told.append(value)
        if not seen.bank.table.any_active:
            break
    else:
        assert seen.bank.peak(0, "high") == max(told)


def test_a_delay_that_ends_gives_the_last_value():
    seen = Seen(Limits(h=80, on_delay_s=5))
    assert seen.see(85) == []
    assert seen.bank.expire(4 * S) == []
    [step] = seen.bank.expire(5 * S)
    assert (step.side.name, step.after, step.value, step.peak) == ("high", "H", 85.0, 85.0)


def test_what_stood_is_taken_up_with_its_peak():
    seen = Seen()
    assert seen.bank.restore(0, "HH", 97.0)
    assert seen.see(95) == []
    assert seen.bank.peak(0, "high") == 97.0
    assert seen.see(85) == [("high", "HH", "H")]
    assert Seen().bank.restore(0, "RISE", 1.0) is False, "of another quantity"
    anew = Seen()
    anew.bank.restore(0, "HH", None)
    anew.see(91)
    assert anew.bank.peak(0, "high") == 91.0


def test_a_limit_that_is_gone_returns_and_is_known_to_be_gone():
    seen = Seen()
    seen.see(85)
    assert seen.bank.has_limit(0, "H")
    seen.bank.change(0, Limits(l=10))
    assert not seen.bank.has_limit(0, "H")
    assert list(seen.bank.names(0)) == ["low"]
    assert seen.see(85) == [("high", "H", "")]


def test_derived_quantities_have_their_own_words():
    rate = Seen(Limits(l=-5, h=5), RATE)
    assert rate.see(6) == [("rise", "", "RISE")]
    assert rate.see(-5) == [("fall", "", "FALL"), ("rise", "RISE", "")]
    apart = Seen(Limits(l=-5, h=5), DEVIATION)
    assert apart.see(5) == [("above", "", "ABOVE")]
    assert apart.see(-6) == [("below", "", "BELOW"), ("above", "ABOVE", "")]
    assert list(apart.bank.names(0)) == ["below", "above"]
