import numpy as np

from gateway.sources import SETTLE_S, Sources

SECOND = 1_000_000_000


def of(*names, periods_s=None, polled=True):
    n = len(names)
    return Sources(names, np.array(periods_s or [1.0] * n), np.full(n, polled))


def move(sources, second, missing):
    """Which of the points named here lack communication now; the names of the sources that fell or came back."""
    rows = np.array(sorted(missing), dtype=np.intp)
    flags = np.array([missing[row] for row in sorted(missing)], dtype=bool)
    changed = sources.move(rows, flags, second * SECOND)
    return {sources.names[k]: bool(sources.down[k]) for k in changed}


def test_a_source_is_down_when_all_its_points_are_and_each_source_alone():
    sources = of("a", "a", "b")
    assert move(sources, 1, {0: True, 1: True, 2: False}) == {"a": True}
    assert move(sources, 2, {2: True}) == {"b": True}
    assert move(sources, 3, {0: False, 1: False, 2: True}) == {"a": False}


def test_a_part_of_one_scan_is_no_fall_and_may_be_the_beginning_of_one():
    sources = of("a", "a")
    assert move(sources, 1, {0: True, 1: False}) == {}
    assert sources.settling.tolist() == [True]
    assert [sources.names[k] for k in sources.settled(7 * SECOND)] == ["a"]
    assert (sources.down.tolist(), sources.settling.tolist()) == ([False], [False])
    move(sources, 8, {0: False, 1: True})
    assert move(sources, 9, {0: True, 1: True}) == {"a": True}
    assert sources.deadlines_ns == ()


def test_a_part_that_comes_back_at_once_leaves_nothing_behind():
    sources = of("a", "a")
    move(sources, 1, {0: True, 1: False})
    move(sources, 2, {0: False, 1: False})
    assert (sources.settling.tolist(), sources.deadlines_ns) == ([False], ())


def test_a_part_of_what_a_subscription_posts_is_no_fall_though_it_is_a_whole_scan():
    sources = of("a", "a", periods_s=[1.0, 60.0], polled=False)
    assert move(sources, 1, {0: True}) == {}


def test_a_return_in_steps_is_told_with_the_last():
    sources = of("a", "a", "a")
    move(sources, 1, {0: True, 1: True, 2: True})
    assert move(sources, 2, {0: False}) == {}
    assert move(sources, 3, {1: False}) == {}
    assert sources.deadlines_ns == ((2 + 1 + int(SETTLE_S)) * SECOND,)
    assert move(sources, 4, {2: False}) == {"a": False}
    assert sources.deadlines_ns == ()


def test_a_return_in_part_is_told_after_the_longest_period_and_a_margin():
    sources = of("a", "a", periods_s=[1.0, 60.0])
    move(sources, 1, {0: True, 1: True})
    move(sources, 2, {0: False})
    assert sources.settled(66 * SECOND) == []
    assert [sources.names[k] for k in sources.settled(67 * SECOND)] == ["a"]
    assert sources.down.tolist() == [False]
    assert sources.settled(67 * SECOND) == []


def test_a_group_that_goes_alone_is_a_fall_until_the_others_are_known_to_go_on():
    sources = of("a", "a", periods_s=[1.0, 60.0])
    assert move(sources, 1, {0: True}) == {"a": True}
    assert [sources.names[k] for k in sources.settled(66 * SECOND)] == ["a"]
    assert sources.missing.tolist() == [True, False]


def test_what_was_down_at_the_stop_is_down_at_the_start():
    sources = of("a", "b")
    assert sources.restore("b")
    assert not sources.restore("gone")
    assert sources.down.tolist() == [False, True]
    assert sources.missing.tolist() == [False, True]
