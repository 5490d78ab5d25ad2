"""The columns against a model of one limit that anybody can read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.limits import LEVELS, NEVER, Limits, LimitTable, each

S = 10**9
number = st.floats(-1e6, 1e6)
HIGH, VERY_HIGH = LEVELS.index("H"), LEVELS.index("HH")


def active(table, row=0):
    return {level for level, hit in zip(LEVELS, table.active[row], strict=True) if hit}


def see(table, value, at_s=0.0, *, row=0, usable=True, uncertain=False):
    rows = np.array([row])
    mask = np.array([usable])
    return table.judge(rows, rows, np.array([float(value)]), int(at_s * S), mask, np.array([uncertain]))


class OneLimit:
    """A single limit, said one step at a time."""

    def __init__(self, edge, *, up, deadband, on_s, off_s):
        self.edge, self.up, self.deadband, self.on_s, self.off_s = edge, up, deadband, on_s, off_s
        self.active = False
        self.due_s = self.left_s = None

    def expire(self, at_s):
        if self.due_s is not None and at_s >= self.due_s:
            self.active, self.due_s = not self.active, None

    def see(self, value, at_s, usable, uncertain):
        if not usable:
            if self.due_s is not None:
                self.left_s, self.due_s = max(self.due_s - at_s, 0), None
            return
        edge = self.edge - (self.deadband if self.active else 0) * (1 if self.up else -1)
        violated = value >= edge if self.up else value <= edge
        if uncertain and self.active:
            violated = True
        if violated == self.active:
            self.due_s = self.left_s = None
            return
        if self.due_s is None:
            delay = self.off_s if self.active else self.on_s
            self.due_s = at_s + (delay if self.left_s is None else self.left_s)
        self.left_s = None
        if self.due_s <= at_s:
            self.active, self.due_s = violated, None


@settings(max_examples=300)
@given(
    st.booleans(),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.lists(
        st.tuples(
            st.integers(0, 3), st.integers(-6, 6), st.sampled_from(["good", "bad", "uncertain", "tick"])
        ),
        max_size=25,
    ),
)
def test_a_limit_with_deadband_and_delays_is_what_the_model_says(up, deadband, on_s, off_s, story):
    level = "H" if up else "L"
    table = LimitTable(
        [Limits(**{level.lower(): 0.0}, deadband=deadband, on_delay_s=on_s, off_delay_s={level: off_s})]
    )
    model = OneLimit(0.0, up=up, deadband=deadband, on_s=on_s, off_s=off_s)
    at_s = 0
    for step_s, value, how in story:
        at_s += step_s
        before = model.active
        if how == "tick":
            model.expire(at_s)
            moved = table.expire(at_s * S)
        else:
            model.see(value, at_s, how != "bad", how == "uncertain")
            moved = see(table, value, at_s, usable=how != "bad", uncertain=how == "uncertain")
        assert (active(table) == {level}) == model.active
        assert (moved is not None) == (before != model.active)
        assert table.next_due_ns == (NEVER if model.due_s is None else model.due_s * S)
        assert table.any_active == table.excursing[0] == model.active


@given(st.lists(number, min_size=4, max_size=4, unique=True).map(sorted), number)
def test_a_limit_is_reached_exactly_from_its_own_value_on(edges, value):
    ll, low, high, hh = edges
    table = LimitTable([Limits(ll, low, high, hh)])
    moved = see(table, value)
    hits = {"LL": value <= ll, "L": value <= low, "H": value >= high, "HH": value >= hh}
    assert active(table) == {level for level, hit in hits.items() if hit}
    assert (moved is not None) == any(hits.values())


@given(number, st.floats(0, 1e3), number)
def test_an_active_limit_returns_only_beyond_its_deadband(edge, deadband, value):
    table = LimitTable([Limits(h=edge, deadband=deadband)])
    see(table, edge)
    see(table, value)
    assert (active(table) == {"H"}) == (value >= edge - deadband)


def test_every_limit_has_the_deadband_that_is_its_own():
    table = LimitTable([Limits(ll=0, l=10, h=80, hh=90, deadband={"H": 5.0, "L": 3.0})])
    see(table, 95)
    see(table, 89.9)
    assert active(table) == {"H"}, "HH has none"
    see(table, 75)
    assert active(table) == {"H"}
    see(table, 74.9)
    assert active(table) == set()
    see(table, 10)
    see(table, 13)
    assert active(table) == {"L"}
    see(table, 13.1)
    assert active(table) == set()


def test_each_is_one_figure_or_one_per_limit():
    assert each(2.5, "LL") == 2.5
    assert (each({"H": 1.0}, "H"), each({"H": 1.0}, "HH")) == (1.0, 0.0)


def test_points_are_judged_with_their_own_limits():
    table = LimitTable([Limits(h=1.0), Limits(h=2.0), Limits(on=0), Limits(on=1), Limits()])
    rows = np.array([4, 3, 2, 1, 0])
    moved = table.judge(rows, rows, np.array([99.0, 1.0, 0.0, 1.5, 1.5]), 0)
    assert moved.rows.tolist() == [3, 2, 0]
    assert moved.at.tolist() == [1, 2, 4]
    assert [LEVELS[mask.argmax()] for mask in moved.after] == ["ON", "ON", "H"]
    assert not moved.before.any()
    assert table.excursing.tolist() == [True, False, True, True, False]


def test_a_contact_returns_when_it_changes_back():
    table = LimitTable([Limits(on=0), Limits(on=1)])
    for value, first, second in ((0, {"ON"}, set()), (1, set(), {"ON"}), (0, {"ON"}, set())):
        see(table, value, row=0)
        see(table, value, row=1)
        assert (active(table, 0), active(table, 1)) == (first, second)


def test_a_contact_is_the_nearer_of_its_two_states_and_knows_no_deadband():
    table = LimitTable([Limits(on=0, deadband=2.0), Limits(on=1, deadband=2.0)])
    for value, first, second in ((0.4, {"ON"}, set()), (0.6, set(), {"ON"}), (0.4, {"ON"}, set())):
        see(table, value, row=0)
        see(table, value, row=1)
        assert (active(table, 0), active(table, 1)) == (first, second)


def test_in_one_pass_one_point_returns_and_another_is_raised():
    table = LimitTable([Limits(h=80), Limits(h=80)])
    rows = np.arange(2)
    for values in ((85.0, 50.0), (50.0, 85.0)):
        table.judge(rows, rows, np.array(values), 0)
        assert table.excursing.tolist() == [value > 80 for value in values]


def test_an_outer_limit_takes_the_inner_one_along_whatever_its_delay():
    table = LimitTable([Limits(ll=0, l=10, h=80, hh=90, on_delay_s={"H": 10.0, "L": 10.0})])
    see(table, 85, 0)
    assert (active(table), table.next_due_ns) == (set(), 10 * S)
    see(table, 95, 1)
    assert active(table) == {"H", "HH"}
    assert table.next_due_ns == NEVER, "nothing is left to wait for"
    see(table, 85, 2)
    assert active(table) == {"H"}, "no hole between HH and H"
    see(table, -1, 3)
    assert active(table) == {"L", "LL"}


def test_an_outer_limit_without_an_inner_one_stands_alone():
    table = LimitTable([Limits(ll=0, hh=90)])
    see(table, 95)
    assert active(table) == {"HH"}


def test_a_delay_that_ends_tells_the_row_it_is_of():
    table = LimitTable([Limits(), Limits(h=1, on_delay_s=5), Limits(h=1, on_delay_s=9)])
    for row in (1, 2):
        see(table, 1, row=row)
    assert table.expire(5 * S - 1) is None
    moved = table.expire(5 * S)
    assert (moved.rows.tolist(), moved.at.tolist()) == ([1], [1])
    assert table.next_due_ns == 9 * S
    assert table.expire(60 * S).rows.tolist() == [2]
    assert table.expire(60 * S) is None


def test_other_limits_hold_from_the_next_value_on():
    table = LimitTable([Limits(h=80, on_delay_s=5), Limits(h=80)])
    see(table, 85, 0)
    table.change(0, Limits(h=90))
    assert table.next_due_ns == NEVER, "what was waiting waited for the old limit"
    assert see(table, 85, 1) is None
    see(table, 90, 2)
    assert active(table) == {"H"}
    table.change(0, Limits(l=5))
    assert active(table) == {"H"}, "no value has been judged yet"
    moved = see(table, 90, 3)
    assert (moved.before[0, HIGH], moved.after[0, HIGH]) == (True, False)
    table.change(1, Limits(on=0))
    see(table, 0, row=1)
    assert active(table, 1) == {"ON"}
    see(table, 1, row=1)
    assert active(table, 1) == set(), "where 0 is the alarm, 1 is none"


@pytest.mark.parametrize(
    ("limits", "raised_s", "cleared_s"),
    [(Limits(h=80, on_delay_s=5), 5, 10), (Limits(h=80, off_delay_s=5), 0, 15)],
)
def test_a_delay_may_come_with_other_limits(limits, raised_s, cleared_s):
    table = LimitTable([Limits(h=80)])
    table.change(0, limits)
    story = []
    for at_s in range(20):
        see(table, 85 if at_s < 10 else 50, at_s)
        story.append(bool(active(table)))
    assert (story.index(True), story.index(False, raised_s)) == (raised_s, cleared_s)


@pytest.mark.parametrize(
    ("level", "found"), [("HH", {"H", "HH"}), ("H", {"H"}), ("LL", {"L", "LL"}), ("L", {"L"}), ("ON", {"ON"})]
)
def test_a_level_that_stood_is_taken_up_with_the_inner_one(level, found):
    table = LimitTable([Limits(ll=0, l=10, h=80, hh=90, on=1)])
    table.restore(0, level)
    assert active(table) == found
    assert table.any_active


def test_what_a_limit_is_and_which_there_are():
    limits = Limits(l=0.0, on=0)
    assert (limits.of("L"), limits.of("ON"), limits.of("HH")) == (0.0, 0.0, None)
    assert limits.levels == ("L", "ON")
    assert Limits().levels == ()


def test_a_pass_is_the_same_as_a_slice_and_as_rows():
    values = np.array([85.0, 50.0, 95.0])
    rows = np.arange(3)
    one, other = (LimitTable([Limits(h=80, hh=90)] * 3) for _ in range(2))
    one.judge(rows, slice(0, 3), values, 0)
    other.judge(rows, rows, values, 0)
    assert (one.active == other.active).all()
    assert one.active[:, HIGH].tolist() == [True, False, True]
    assert one.active[:, VERY_HIGH].tolist() == [False, False, True]
