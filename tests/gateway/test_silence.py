import numpy as np

from gateway.silence import Silence, stale_after_ns

SECOND = 1_000_000_000


def column(*points):
    return np.array(points, dtype=np.uint16)


def test_a_group_may_be_silent_for_five_of_its_own_periods_and_a_margin():
    assert [stale_after_ns(period_s) for period_s in (1.0, 60.0)] == [10 * SECOND, 305 * SECOND]


def test_one_group_is_heard_by_any_of_its_points():
    silence = Silence([1.0, 1.0], 0)
    assert silence.deadline_ns == 10 * SECOND
    silence.heard(column(1), 3 * SECOND)
    assert silence.deadline_ns == 13 * SECOND
    assert silence.silent(12 * SECOND) == []
    assert [rows.tolist() for rows in silence.silent(13 * SECOND)] == [[0, 1]]


def test_each_group_is_heard_by_its_own_points_only():
    silence = Silence([1.0, 60.0, 1.0], 0)
    silence.heard(column(1), 9 * SECOND)
    assert [rows.tolist() for rows in silence.silent(10 * SECOND)] == [[0, 2]]
    silence.heard(column(0, 2), 10 * SECOND)
    assert silence.deadline_ns == 20 * SECOND
    assert [rows.tolist() for rows in silence.silent(314 * SECOND)] == [[0, 2], [1]]


def test_one_scan_of_several_groups_is_heard_for_each():
    silence = Silence([1.0, 60.0], 0)
    silence.heard(column(0, 1), 100 * SECOND)
    assert silence.silent(109 * SECOND) == []
    assert [rows.tolist() for rows in silence.silent(110 * SECOND)] == [[0]]
