"""What is news: order within one answer, what is said again after an outage, what is missing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit import news
from drivers.kit.data_value import DataValues
from drivers.kit.quality import GOOD

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
    said.lose(5)
    assert say(said, [0, 1], [1, 9], [5, 8]) == ([True, True], [0, 8])
    assert said.before_ns.tolist() == [5, 5, 0]
    assert said.first_ns.tolist() == [5, 8, 0]
    assert say(said, [0], [1], [5]) == ([False], [5])


def stamps(columns: tuple[np.ndarray, np.ndarray]) -> list[list[int]]:
    return [(column // S).tolist() for column in columns]


def test_what_was_told_before_an_outage_and_first_after_it_is_owed_once() -> None:
    said = news.Said.nothing(4)
    say(said, [0, 1, 2], [1, 1, 1], [90 * S, 70 * S, 90 * S])
    said.lose(80 * S)
    say(said, [0, 1, 3], [2, 2, 2], [125 * S, 126 * S, 127 * S])
    say(said, [0], [3], [130 * S])
    assert stamps(said.owe()) == [[90, 80, 90, 0], [125, 126, 0, 127]], "1 had not changed for long, 3 is new"
    assert stamps(said.owe())[0] == [0, 0, 90, 0], "2 was not told since"
    say(said, [2], [2], [140 * S])
    assert stamps(said.owe()) == [[0, 0, 90, 0], [125, 126, 140, 127]]


def test_an_outage_goes_on_for_what_was_not_told_before_the_next() -> None:
    said = news.Said.nothing(2)
    say(said, [0, 1], [1, 1], [90 * S] * 2)
    said.lose(80 * S)
    say(said, [0], [2], [125 * S])
    assert stamps(said.owe()) == [[90, 90], [125, 0]]
    said.lose(150 * S)
    say(said, [0, 1], [3, 3], [170 * S] * 2)
    assert stamps(said.owe()) == [[150, 90], [170, 170]]


def test_where_nobody_knows_when_the_line_was_lost_nothing_is_owed() -> None:
    said = news.Said.nothing(1)
    say(said, [0], [1], [90 * S])
    said.lose(0)
    say(said, [0], [2], [125 * S])
    assert stamps(said.owe())[0] == [0]
