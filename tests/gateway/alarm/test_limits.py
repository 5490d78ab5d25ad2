import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.limits import LEVELS, Limits, LimitTable

number = st.floats(-1e6, 1e6)


def levels(table, point, value):
    row = table.judge(np.array([point]), np.array([value]))[0]
    return {name for name, hit in zip(LEVELS, row, strict=True) if hit}


@given(st.lists(number, min_size=4, max_size=4, unique=True).map(sorted), number)
def test_a_limit_is_reached_exactly_from_its_own_value_on(edges, value):
    ll, low, high, hh = edges
    found = levels(LimitTable((Limits(ll, low, high, hh),)), 0, value)
    assert found == {
        name
        for name, hit in (("LL", value <= ll), ("L", value <= low), ("H", value >= high), ("HH", value >= hh))
        if hit
    }


@given(number, st.floats(0, 1e3), number)
def test_an_active_limit_returns_only_beyond_its_deadband(edge, deadband, value):
    table = LimitTable((Limits(h=edge, deadband=deadband),))
    table.set_active(0, table.judge(np.array([0]), np.array([edge]))[0])
    assert (levels(table, 0, value) == {"H"}) == (value >= edge - deadband)


def test_points_are_judged_with_their_own_limits():
    table = LimitTable((Limits(h=1.0), Limits(h=2.0), Limits(on=0), Limits(on=1), Limits()))
    judged = table.judge(np.array([4, 3, 2, 1, 0]), np.array([99.0, 1.0, 0.0, 1.5, 1.5]))
    assert [LEVELS[row.argmax()] if row.any() else "" for row in judged] == ["", "ON", "ON", "", "H"]


def test_a_number_that_is_none_violates_nothing():
    table = LimitTable((Limits(1.0, 2.0, 3.0, 4.0),))
    assert levels(table, 0, float("nan")) == set()


def test_the_edge_of_a_level_is_told_and_a_missing_one_refused():
    assert Limits(l=0.0).edge("L") == 0.0
    assert Limits(on=0).edge("ON") == 0.0
    with pytest.raises(ValueError, match="no HH limit"):
        Limits(h=1.0).edge("HH")


@given(
    st.lists(number, min_size=4, max_size=4, unique=True).map(sorted),
    st.floats(0, 1e3),
    st.lists(number, min_size=1, max_size=8),
)
def test_a_calm_value_moves_no_limit_whatever_went_before(edges, deadband, values):
    ll, low, high, hh = edges
    table = LimitTable((Limits(ll, low, high, hh, deadband=deadband), Limits(on=1), Limits(on=0)))
    for value in values:
        for point, at in enumerate((value, value % 2, value % 2)):
            row = table.judge(np.array([point]), np.array([at]))[0]
            assert not table.is_calm(np.array([point]), np.array([at])) or (row == table.active[point]).all()
            table.set_active(point, row)


def test_a_value_between_its_limits_is_calm_and_one_at_a_limit_is_not():
    table = LimitTable((Limits(0, 10, 90, 100),))
    point = np.array([0])
    assert [table.is_calm(point, np.array([v])) for v in (10.0, 50.0, 90.0)] == [False, True, False]
