"""The second opinion itself: each of its sentences on one point, with figures worked out by hand."""

from gateway.alarm.limits import Limits
from gateway.instant import Now
from hil.plain_judge import BAD, FINE, UNCERTAIN, PlainPoint

NAN = float("nan")


def at(second):
    return Now(round(second * 1e9), round(second * 1e9))


def judged(limits, *seen, restart_at=None):
    """Transitions of a point that sees (second, value[, status]) or, with None for a value, nothing."""
    point = PlainPoint("T", limits)
    for second, value, *status in seen:
        if restart_at is not None and second >= restart_at:
            point.restart(at(restart_at))
            restart_at = None
        if value is None:
            point.look(at(second))
        else:
            point.see(value, status[0] if status else FINE, at(second))
    return [(int(one.at[17:19]), one.transition, one.level, one.value) for one in point.verdicts]


def test_a_limit_is_reached_and_returns_beyond_its_deadband():
    high = Limits(h=80.0, deadband=2.0)
    assert judged(high, (0, 79.99), (1, 80.0), (2, 78.0), (3, 77.99)) == [
        (1, "raise", "H", 80.0),
        (3, "clear", "H", 77.99),
    ]
    low = Limits(l=10.0, deadband=2.0)
    assert judged(low, (0, 10.0), (1, 12.0), (2, 12.01)) == [
        (0, "raise", "L", 10.0),
        (2, "clear", "L", 12.01),
    ]


def test_levels_follow_one_another_within_one_excursion():
    limits = Limits(ll=5.0, l=10.0, h=80.0, hh=90.0)
    assert judged(limits, (0, 85.0), (1, 95.0), (2, 85.0), (3, 50.0), (4, 3.0), (5, 50.0)) == [
        (0, "raise", "H", 85.0),
        (1, "escalate", "HH", 95.0),
        (2, "deescalate", "H", 85.0),
        (3, "clear", "H", 50.0),
        (4, "raise", "LL", 3.0),
        (5, "clear", "LL", 50.0),
    ]


def test_delays_run_without_values_stop_at_bad_ones_and_begin_afresh():
    limits = Limits(h=80.0, on_delay_s=5.0, off_delay_s=3.0)
    assert judged(limits, (0, 85.0), (4, None), (5, None)) == [(5, "raise", "H", 85.0)]
    assert judged(limits, (0, 85.0), (4, 70.0), (5, None), (6, 85.0), (10, None), (11, None)) == [
        (11, "raise", "H", 85.0)
    ]
    # Two seconds of it had passed when the value went bad; three are left when it is back.
    assert judged(limits, (0, 85.0), (2, NAN, BAD), (8, 85.0), (10, None), (11, None)) == [
        (11, "raise", "H", 85.0)
    ]
    assert judged(limits, (0, 85.0), (5, 85.0), (6, 70.0), (8, 85.0), (9, 70.0), (12, None)) == [
        (5, "raise", "H", 85.0),
        (12, "clear", "H", 70.0),
    ]
    assert judged(limits, (0, 85.0), (5, 85.0), (6, 85.0), restart_at=3) == []


def test_bad_moves_nothing_and_uncertain_never_clears():
    limits = Limits(h=80.0)
    assert judged(limits, (0, 85.0), (1, 50.0, BAD), (2, NAN), (3, 50.0, UNCERTAIN), (4, 50.0)) == [
        (0, "raise", "H", 85.0),
        (4, "clear", "H", 50.0),
    ]
    assert judged(limits, (0, 85.0, UNCERTAIN)) == [(0, "raise", "H", 85.0)]


def test_the_outer_limit_brings_the_inner_one():
    limits = Limits(h=80.0, hh=90.0, on_delay_s={"H": 30.0})
    assert judged(limits, (0, 95.0), (1, 85.0), (2, 70.0)) == [
        (0, "raise", "HH", 95.0),
        (1, "deescalate", "H", 85.0),
        (2, "clear", "H", 70.0),
    ]


def test_contacts_closed_or_open():
    assert judged(Limits(on=1), (0, 0.0), (1, 1.0), (2, 0.0)) == [
        (1, "raise", "ON", 1.0),
        (2, "clear", "ON", 0.0),
    ]
    assert judged(Limits(on=0), (0, 1.0), (1, 0.0), (2, 1.0)) == [
        (1, "raise", "ON", 0.0),
        (2, "clear", "ON", 1.0),
    ]


def test_ten_silent_seconds_are_bad():
    limits = Limits(h=80.0, on_delay_s=20.0)
    # Ten seconds of the delay are left when silence is taken for bad, and go on from the next value.
    seen = [(0, 85.0), (9, None), (10, None), (15, 85.0), (24, 85.0), (25, 85.0)]
    assert judged(limits, *seen) == [(25, "raise", "H", 85.0)]
    assert judged(Limits(h=80.0), (0, 85.0), (30, None), (59, None)) == [(0, "raise", "H", 85.0)]
