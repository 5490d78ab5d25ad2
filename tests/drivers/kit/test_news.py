"""What is news: order within one answer, what is said again after an outage, what a history adds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit import news
from drivers.kit.backfill import VALUES, Backfill
from drivers.kit.data_value import DataValues
from drivers.kit.quality import GOOD
from drivers.kit.ua_answer import Remembered

S = 10**9


def values(rows: list[int], numbers: list[float], stamps: list[int]) -> DataValues:
    return DataValues(
        np.array(rows, dtype=np.uint32),
        np.array(numbers, dtype=np.float64),
        np.zeros(len(rows), dtype=np.uint32),
        np.array(stamps, dtype=np.int64),
        np.ones(len(rows), dtype=np.bool_),
    )


@given(st.lists(st.integers(0, 9), max_size=60))
def test_turns_keep_each_rows_order_and_rise_within(rows: list[int]) -> None:
    turns = [places.tolist() for places in news.in_turn(np.array(rows, dtype=np.uint32))]
    assert sorted(place for turn in turns for place in turn) == list(range(len(rows)))
    for turn in turns:
        said = [rows[place] for place in turn]
        assert said == sorted(set(said))
    for row in set(rows):
        order = [place for turn in turns for place in turn if rows[place] == row]
        assert order == sorted(order)


def test_chosen_and_joined_keep_texts_and_whole_numbers_at_their_places() -> None:
    one = values([0, 1, 2], [1, 2, 3], [0, 0, 0])
    one = DataValues(
        one.handles, one.values, one.status, one.source_ns, one.numbers, {0: "a", 2: "c"}, {1: 2**60}
    )
    picked = news.chosen(one, np.array([2, 1]))
    assert (picked.texts, picked.whole, picked.handles.tolist()) == ({0: "c"}, {1: 2**60}, [2, 1])
    both = news.joined([(7, one), (9, picked)])
    assert both.handles.tolist() == [7, 7, 7, 9, 9]
    assert (both.texts, both.whole) == ({0: "a", 2: "c", 3: "c"}, {1: 2**60, 4: 2**60})


def say(
    said: news.Said, rows: list[int], numbers: list[float], stamps: list[int]
) -> tuple[list[bool], list[int]]:
    stamped = np.array(stamps, dtype=np.int64)
    quality = np.full(len(rows), GOOD, dtype=np.uint8)
    keep = said.news(np.array(rows), np.array(numbers, dtype=np.float64), quality, stamped)
    return (keep.tolist() if keep is not None else [True] * len(rows)), stamped.tolist()


def test_the_same_value_with_the_same_time_is_no_news_unless_it_was_lost_meanwhile() -> None:
    said = news.Said.nothing(3)
    assert say(said, [0, 1, 2], [1, 2, 3], [5, 5, 0]) == ([True] * 3, [5, 5, 0])
    assert say(said, [0, 1, 2], [1, 2.5, 3], [5, 5, 0]) == ([False, True, True], [5, 5, 0])
    said.lose()
    assert say(said, [0, 1], [1, 9], [5, 8]) == ([True, True], [0, 8])
    assert said.before_ns.tolist() == [5, 5, 0]
    assert said.first_ns.tolist() == [5, 8, 0]
    assert say(said, [0], [1], [5]) == ([False], [5])


def plan(said: news.Said, without: list[bool], nodes: int = 2) -> Backfill | None:
    return Backfill.plan(said, np.array(without), 100 * S, 130 * S, 1.0, nodes)


def test_only_rows_that_moved_on_are_asked_for_within_the_bounds() -> None:
    said = news.Said.nothing(5)
    say(said, [0, 1, 2, 3], [1, 1, 1, 1], [90 * S] * 4)
    assert plan(said, [False] * 5) is None, "nothing was told since"
    said.lose()
    say(said, [0, 1, 2, 3, 4], [2, 2, 1, 2, 2], [125 * S, 126 * S, 90 * S, 127 * S, 128 * S])
    found = plan(said, [False, False, False, True, False], nodes=1)
    assert found is not None
    assert [list(page.points) for page in found.pages] == [[0], [1]], "2 is the same, 3 has none, 4 is new"
    assert found.pages[0].from_ns == 98 * S
    late = Backfill.plan(said, np.zeros(5, dtype=np.bool_), 100 * S, 10**6 * S, 1.0, 9)
    assert late is not None
    assert late.from_ns == 10**6 * S - 86_400 * S


def test_continuation_points_and_silent_cuts_are_followed_until_the_bound() -> None:
    said = news.Said.nothing(3)
    say(said, [0, 1, 2], [1, 1, 1], [90 * S] * 3)
    said.lose()
    say(said, [0, 1, 2], [2, 2, 2], [125 * S] * 3)
    found = plan(said, [False] * 3, nodes=3)
    assert found is not None
    page = found.pages.pop()
    without = np.zeros(3, dtype=np.bool_)
    stamps = [110 * S + place for place in range(VALUES)]
    many = values([0] * VALUES, [0.0] * VALUES, stamps)
    taken = found.take(
        page,
        [
            Remembered(0, b"next", values([0], [1], [105 * S])),
            Remembered(0, b"", many),
            Remembered(0x8072_0000, b"", None),
        ],
        without,
    )
    assert taken is not None
    assert taken.handles.tolist() == [0] + [1] * VALUES
    assert without.tolist() == [False, False, True]
    assert [(dict(page.points), page.from_ns) for page in found.pages] == [
        ({0: b"next"}, 98 * S),
        ({1: b""}, stamps[-1]),
    ]
    assert not found.over
    found.left = 0
    assert found.over
    between = said.missing(np.array([0, 0, 0, 0]), np.array([90, 91, 124, 125]) * S, 0)
    assert between.tolist() == [False, True, True, False]
    said.remember(np.array([0]), np.array([110 * S]))
    assert said.missing(np.array([0, 0]), np.array([110, 111]) * S, 0).tolist() == [False, True]
