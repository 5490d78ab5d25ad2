"""What is asked of a history: only what is missing, in bounded portions, and never without end."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from ua_bytes import S, data, history

from drivers.kit import news
from drivers.kit.backfill import (
    MAX_AGE_S,
    MAX_BROKEN,
    MAX_OWED,
    MAX_VALUES,
    VALUES,
    Backfill,
    Owed,
    Page,
    offers_none,
    told_until_ns,
)
from drivers.kit.data_value import DataValues
from drivers.kit.quality import GOOD, BoolArray
from drivers.kit.scan import Device, Point
from drivers.kit.ua_answer import Remembered, history_answer
from drivers.kit.ua_columns import Columns, Taken

LOST, NOW = 1_000_000 * S, 1_000_100 * S
"""The server's clock when it was heard last, and when it is back."""
INTERVAL_S = 1.0
TAKEN = Taken(0, 0)
Server = Callable[[Page, int], list[Remembered]]
"""What a server answers to a request for values up to a time."""


def told(before: list[int], after: list[int]) -> news.Said:
    """What was told last before an outage and first after it, in seconds from LOST on; 0 is nothing."""
    said = news.Said.nothing(len(before))
    for stamps in (before, after):
        tell(said, stamps)
        if stamps is before:
            said.lose(told_until_ns(LOST, INTERVAL_S))
    return said


def tell(said: news.Said, stamps: list[int]) -> None:
    rows = np.flatnonzero(stamps)
    ns = np.array([LOST + stamp * S for stamp in stamps], dtype=np.int64)[rows]
    said.news(rows, np.zeros(len(rows)), np.full(len(rows), GOOD, dtype=np.uint8), ns)


def every(n: int) -> BoolArray:
    return np.ones(n, dtype=np.bool_)


def plan(
    said: news.Said, *, without: list[int] | None = None, now: int = NOW, nodes: int = 100
) -> Backfill | None:
    none = np.zeros(len(said.values), dtype=np.bool_)
    none[without or []] = True
    found = Backfill.plan(said, none)
    if found is not None:
        found.begin(now, nodes, every(len(said.values)))
    return found


def planned(n: int = 1, *, left: int = MAX_VALUES, nodes: int = 100) -> Backfill:
    found = plan(told([-1] * n, [100] * n), nodes=nodes)
    assert found is not None
    found.left = left
    return found


def values(*stamps: int) -> DataValues:
    (found,) = history_answer(history((0, None, ua.HistoryData([data(1.0, ns) for ns in stamps]))))
    assert found.values is not None
    return found.values


def many(first: int, n: int = VALUES) -> DataValues:
    return values(*range(first, first + n * 1000, 1000))


def asked(found: Backfill) -> list[tuple[dict[int, bytes], int]]:
    return [(dict(page.points), page.from_ns) for page in found.pages]


# --- what is asked for --------------------------------------------------------------------------------


def test_before_the_first_word_of_the_server_nothing_was_told() -> None:
    assert told_until_ns(0, INTERVAL_S) == 0
    assert told_until_ns(LOST, INTERVAL_S) == LOST - 2 * S


def test_rows_that_stood_still_are_new_or_have_no_history_are_not_asked_for() -> None:
    said = told([-1, -1, 0, -1, -1], [100, -1, 100, 0, 100])
    found = plan(said, without=[4])
    assert found is not None
    assert [list(page.points) for page in found.pages] == [[0]]
    assert plan(said, without=[0, 4]) is None
    assert plan(told([], [])) is None


def test_what_was_told_long_ago_is_asked_for_from_a_little_before_the_loss() -> None:
    found = plan(told([-1, -9], [100, 90]))
    assert found is not None
    assert asked(found) == [({1: b"", 0: b""}, LOST - 2 * S)]
    assert (found.to_ns, found.over, found.left) == (NOW, False, MAX_VALUES)


@pytest.mark.parametrize(("beyond_s", "cut_s"), [(-3, 0), (-1, 0), (0, 1), (10, 11)])
def test_of_a_long_outage_the_last_day_is_asked_for(beyond_s: int, cut_s: int) -> None:
    away_s = round(MAX_AGE_S) + beyond_s
    found = plan(told([-1], [away_s]), now=LOST + away_s * S)
    assert found is not None
    assert found.pages[0].from_ns == LOST - S + cut_s * S


def test_what_is_older_than_a_day_is_given_up() -> None:
    found = plan(told([-1, -1], [100, 300]), now=LOST + round(MAX_AGE_S + 200) * S)
    assert found is not None
    assert [list(page.points) for page in found.pages] == [[1]]
    assert found.given_up == {0}


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 45))
def test_every_row_is_asked_for_once_and_in_order(moved: list[bool], nodes: int) -> None:
    found = plan(told([-1] * len(moved), [100 if one else -1 for one in moved]), nodes=nodes)
    rows = [row for row, one in enumerate(moved) if one]
    pages = [] if found is None else [list(page.points) for page in found.pages]
    assert [row for page in pages for row in page] == rows
    assert all(len(page) == nodes for page in pages[:-1])
    assert all(0 < len(page) <= nodes for page in pages)


@pytest.mark.parametrize(
    ("name", "none"),
    [
        ("BadHistoryOperationUnsupported", True),
        ("BadHistoryOperationInvalid", True),
        ("BadServiceUnsupported", True),
        ("BadNotSupported", True),
        ("BadNotReadable", True),
        ("BadUserAccessDenied", True),
        ("BadNodeIdUnknown", True),
        ("BadNodeIdInvalid", True),
        ("Good", False),
        ("GoodNoData", False),
        ("BadNoData", False),
        ("BadTimeout", False),
        ("BadTooManyOperations", False),
        ("BadContinuationPointInvalid", False),
    ],
)
def test_only_what_lasts_means_that_there_is_no_history(name: str, none: bool) -> None:
    assert offers_none(getattr(StatusCodes, name)) is none


# --- what is made of the answers ----------------------------------------------------------------------


def take(found: Backfill, *answers: Remembered) -> tuple[DataValues | None, list[bool]]:
    without = np.zeros(8, dtype=np.bool_)
    found.ask()
    return found.take(list(answers), without), without.tolist()


@pytest.mark.parametrize(
    "answer",
    [
        Remembered(0, b"", None),
        Remembered(0, b"", values()),
        Remembered(StatusCodes.BadNoData, b"", None),
        Remembered(StatusCodes.BadTimeout, b"", None),
    ],
    ids=["null", "empty", "no data", "late"],
)
def test_nothing_is_nothing_and_the_row_is_asked_again_another_day(answer: Remembered) -> None:
    found = planned()
    assert take(found, answer) == (None, [False] * 8)
    assert found.over
    assert found.left == MAX_VALUES


def test_a_row_without_history_is_remembered_even_where_values_came_with_the_refusal() -> None:
    found = planned(3)
    refused = StatusCodes.BadHistoryOperationUnsupported
    taken, without = take(
        found,
        Remembered(refused, b"x", values(LOST)),
        Remembered(0, b"", values(LOST)),
        Remembered(refused, b"", None),
    )
    assert taken is not None
    assert taken.handles.tolist() == [1]
    assert without == [True, False, True, *[False] * 5]
    assert found.left == MAX_VALUES - 1
    assert found.over


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_another_number_of_answers_than_rows_says_nothing_of_any(answers: int) -> None:
    found = planned(2)
    assert take(found, *[Remembered(0, b"more", values(LOST))] * answers) == (None, [False] * 8)
    assert (found.given_up, found.asked, found.pages) == ({0, 1}, None, [])


@pytest.mark.parametrize(
    "name", ["BadTimeout", "BadNoData", "BadDecodingError", "BadHistoryOperationInvalid"]
)
def test_what_comes_with_a_bad_status_is_no_number(name: str) -> None:
    found = planned(2)
    taken, _ = take(
        found,
        Remembered(getattr(StatusCodes, name), b"more", many(LOST)),
        Remembered(StatusCodes.UncertainInitialValue, b"", values(LOST)),
    )
    assert taken is not None
    assert taken.handles.tolist() == [1]
    assert found.pages == []


def test_another_kind_of_history_is_given_up_and_spoils_no_other_row() -> None:
    found = planned(3)
    events, empty = ua.HistoryEvent([]), None
    rows = (0, b"more", events), (0, None, ua.HistoryData([data(1.0, LOST)])), (0, None, empty)
    taken, _ = take(found, *history_answer(history(*rows)))
    assert taken is not None
    assert taken.handles.tolist() == [1]
    assert found.given_up == {0}
    assert found.over


def test_continuations_come_before_all_else_because_servers_forget_them() -> None:
    found = planned(3, nodes=2)
    first = found.pages[0].from_ns
    take(found, Remembered(0, b"", many(LOST)), Remembered(0, b"next", values(LOST)))
    last = LOST + (VALUES - 1) * 1000
    assert asked(found) == [({1: b"next"}, first), ({0: b""}, last), ({2: b""}, first)]
    take(found, Remembered(0, b"next 2", values(LOST)))
    assert asked(found)[0] == ({1: b"next 2"}, first)


@pytest.mark.parametrize(("n", "cut"), [(VALUES - 1, False), (VALUES, True), (VALUES + 1, True)])
def test_as_many_values_as_were_asked_for_may_not_be_all(n: int, cut: bool) -> None:
    found = planned()
    take(found, Remembered(0, b"", many(LOST, n)))
    assert asked(found) == ([({0: b""}, LOST + (n - 1) * 1000)] if cut else [])


def test_a_row_without_times_does_not_end_its_neighbours() -> None:
    found = planned(2)
    take(found, Remembered(0, b"", values(*[0] * VALUES)), Remembered(0, b"", many(LOST)))
    assert asked(found) == [({1: b""}, LOST + (VALUES - 1) * 1000)]


def test_what_could_not_be_had_is_counted() -> None:
    found = planned(4)
    take(
        found,
        Remembered(StatusCodes.BadTimeout, b"", None),
        Remembered(StatusCodes.BadNoData, b"", None),
        Remembered(StatusCodes.BadHistoryOperationUnsupported, b"", None),
        Remembered(0, b"", None),
    )
    assert found.given_up == {0}


def test_of_rows_that_were_cut_the_earliest_end_is_where_it_goes_on() -> None:
    found = planned(2)
    take(found, Remembered(0, b"", many(LOST + 5 * S)), Remembered(0, b"", many(LOST)))
    assert asked(found) == [({0: b"", 1: b""}, LOST + (VALUES - 1) * 1000)]


def test_values_after_the_interval_move_it_no_further_than_its_end() -> None:
    found = planned()
    take(found, Remembered(0, b"", many(found.to_ns + S)))
    assert asked(found) == [({0: b""}, found.to_ns)]
    take(found, Remembered(0, b"", many(found.to_ns + S)))
    assert found.over


def test_only_what_is_missing_comes_once_and_in_each_rows_order() -> None:
    found = planned(2)
    stamps = [LOST - S, LOST + 3 * S, LOST + 2 * S, LOST + 3 * S, NOW - 1000, NOW, NOW + S, 0]
    taken, _ = take(found, Remembered(0, b"", values(*stamps)), Remembered(0, b"", values(LOST + S)))
    assert taken is not None
    assert taken.handles.tolist() == [0, 0, 0, 1]
    assert taken.source_ns.tolist() == [LOST + 2 * S, LOST + 3 * S, NOW - 1000, LOST + S]


def test_what_overlaps_comes_once_each_row_by_itself() -> None:
    found = planned(2)
    take(found, Remembered(0, b"a", values(LOST, LOST + S)), Remembered(0, b"b", values(LOST)))
    taken, _ = take(
        found, Remembered(0, b"", values(LOST + S, LOST + 2 * S)), Remembered(0, b"", values(LOST + S))
    )
    assert taken is not None
    assert (taken.handles.tolist(), taken.source_ns.tolist()) == ([0, 1], [LOST + 2 * S, LOST + S])
    take(found := planned(), Remembered(0, b"a", values(LOST)))
    assert take(found, Remembered(0, b"", values(LOST)))[0] is None


@pytest.mark.parametrize("name", ["BadNoContinuationPoints", "BadContinuationPointInvalid"])
def test_what_was_too_much_at_once_is_asked_for_alone_and_last(name: str) -> None:
    found = planned(3, nodes=2)
    first = found.pages[0].from_ns
    refused = Remembered(getattr(StatusCodes, name), b"", None)
    take(found, Remembered(0, b"next", values(LOST)), refused)
    assert asked(found) == [({0: b"next"}, first), ({2: b""}, first), ({1: b""}, first)]
    take(found, refused)
    assert asked(found)[-1] == ({0: b""}, LOST), "from where it was read to"
    take(found, Remembered(0, b"", None))
    take(found, refused)
    assert found.given_up == {1}, "there is nothing smaller to ask for"
    take(found, Remembered(0, b"next", values(LOST)))
    take(found, refused)
    assert found.given_up == {0, 1}, "it gets no further"
    assert found.over


# --- the line is lost again ---------------------------------------------------------------------------


def owing(*plans: Backfill) -> Owed:
    owed = Owed()
    for one in plans:
        assert list(owed.add(one)) == []
    return owed


def test_what_is_not_read_yet_is_asked_again_from_where_each_row_was_read_to() -> None:
    found = planned(5, nodes=3)
    first = found.pages[0].from_ns
    take(
        found,
        Remembered(0, b"next", values(LOST, LOST + 50 * S)),
        Remembered(0, b"", values(LOST + S)),
        Remembered(0, b"next", values(LOST)),
    )
    assert found.ask().points == {0: b"next", 2: b"next"}
    owing(found).begin(NOW, 3, every(5))
    assert asked(found) == [({3: b"", 4: b"", 2: b""}, first), ({0: b""}, LOST + 50 * S)], "1 is read"
    assert (found.asked, found.to_ns, found.given_up) == (None, NOW, set())


def test_pages_begin_where_their_rows_were_read_to() -> None:
    found = planned(3, nodes=3)
    take(found, *[Remembered(0, b"on", values(LOST + row * S)) for row in (2, 0, 1)])
    found.begin(NOW, 1, every(3))
    assert asked(found) == [({1: b""}, LOST), ({2: b""}, LOST + S), ({0: b""}, LOST + 2 * S)]
    taken, _ = take(found, Remembered(0, b"", values(LOST, LOST + S)))
    assert taken is not None
    assert (taken.handles.tolist(), taken.source_ns.tolist()) == ([1], [LOST + S])


def test_what_the_server_does_not_know_any_more_is_given_up_and_what_aged_meanwhile() -> None:
    found = planned(2)
    readable = every(2)
    readable[0] = False
    found.begin(NOW, 100, readable)
    assert asked(found) == [({1: b""}, found.pages[0].from_ns)]
    assert found.given_up == {0}
    found.begin(NOW + round(MAX_AGE_S) * S, 100, every(2))
    assert found.over
    assert found.given_up == {0, 1}


def test_the_oldest_outage_is_given_up_for_a_ninth() -> None:
    plans = [planned(2) for _ in range(MAX_OWED + 1)]
    owed = owing(*plans[:-1])
    plans[0].ask()
    assert list(owed.add(plans[-1])) == [plans[0]]
    assert plans[0].given_up == {0, 1}
    assert plans[0].over
    assert owed.first is plans[1]
    assert owed.clear() == plans[1:]
    assert owed.first is None
    assert list(owed.add(None)) == []


def test_a_server_that_falls_whenever_it_is_asked_is_known_and_one_that_answers_forgiven() -> None:
    found = planned(3, nodes=1)
    owed = owing(found)
    for number in range(1, MAX_BROKEN):
        assert not owed.broken_off(), "nothing was asked"
        found.ask()
        assert not owed.broken_off(), number
        found.begin(NOW, 1, every(3))
    owed.answered()
    for number in range(1, MAX_BROKEN + 1):
        found.ask()
        assert owed.broken_off() is (number == MAX_BROKEN)
        found.begin(NOW, 1, every(3))


# --- servers that do not end --------------------------------------------------------------------------


def rounds(found: Backfill, server: Server, most: int = 2000) -> tuple[int, list[DataValues]]:
    """How often is asked until it is over, and what came."""
    without = np.zeros(100, dtype=np.bool_)
    parts: list[DataValues] = []
    for number in range(most):
        if found.over:
            return number, parts
        part = found.take(server(found.ask(), found.to_ns), without)
        if part is not None:
            parts.append(part)
    pytest.fail(f"not over after {most} requests")


def test_a_server_that_repeats_itself_is_not_asked_for_ever() -> None:
    same = many(LOST)
    assert rounds(planned(), lambda page, _: [Remembered(0, b"", same)])[0] == 2
    assert rounds(planned(), lambda page, _: [Remembered(0, b"again", same)])[0] == 2


@pytest.mark.parametrize("stamp", [0, 1000, LOST - 10 * S], ids=["none", "1970", "early"])
def test_a_full_page_from_before_the_interval_is_the_last(stamp: int) -> None:
    old = values(*[stamp] * VALUES)
    assert rounds(planned(), lambda page, _: [Remembered(0, b"", old)])[0] == 1


def test_a_server_with_ever_new_continuations_ends_at_the_bound_of_values() -> None:
    number = 0

    def server(page: Page, to_ns: int) -> list[Remembered]:
        nonlocal number
        number += 1
        return [Remembered(0, number.to_bytes(4, "little"), values(LOST, LOST + S))]

    found = planned(left=301)
    assert rounds(found, server)[0] == 151
    assert found.left == -1
    assert found.over
    assert found.pages, "there is more than is read, and that can be told"


def test_a_server_that_only_gives_continuations_is_left_at_once() -> None:
    found = planned(2)
    assert (
        rounds(found, lambda page, _: [Remembered(0, b"more", None), Remembered(0, b"x", values())])[0] == 1
    )


# --- the whole way ------------------------------------------------------------------------------------


def store(histories: list[list[int]], largest: int) -> Server:
    """A server with these histories, which gives at most so many values of a node, and then a continuation.

    Where it gives as many as were asked for it says nothing of the rest, as some do.
    """

    def server(page: Page, to_ns: int) -> list[Remembered]:
        results: list[tuple[int, bytes | None, object]] = []
        for row, more in page.points.items():
            start = int(more) if more else 0
            stamps = [ns for ns in histories[row] if page.from_ns <= ns <= to_ns]
            end = start + min(largest, VALUES)
            goes_on = b"%d" % end if end < len(stamps) and largest < VALUES else None
            found = ua.HistoryData([data(float(ns % 1000), ns) for ns in stamps[start:end]])
            results.append((0, goes_on, found))
        return history_answer(history(*results))

    return server


@given(
    st.lists(st.integers(0, 330), min_size=1, max_size=4),
    st.sampled_from([1, 7, 99, 100, 1000]),
    st.integers(1, 3),
    st.lists(st.integers(0, 12), max_size=2 * MAX_OWED),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_every_missing_value_comes_once_and_in_order_however_portioned_and_interrupted(
    sizes: list[int], largest: int, nodes: int, answered: list[int], dice: random.Random
) -> None:
    n = len(sizes)
    histories = [
        sorted({LOST + dice.randrange(1, 100 * S // 1000) * 1000 for _ in range(size)}) for size in sizes
    ]
    said = told([-1] * n, [100] * n)
    shown = [sorted([*one, LOST - S, NOW]) for one in histories]
    owed, came = Owed(), _Came(n)
    end_s = 100
    for number, answers in enumerate(answered[: MAX_OWED - 1]):  # lost again after so many answers
        owed.add(Backfill.plan(said, ~every(n)))
        owed.begin(LOST + end_s * S, nodes, every(n))
        came.read(owed, store(shown, largest), answers)
        said.lose(LOST + end_s * S)
        back_s = end_s + dice.randrange(2, 20)
        for row in range(n):
            missed = [LOST + end_s * S + dice.randrange(1, 10**6) * 1000 for _ in range(number)]
            histories[row] = sorted({*histories[row], *missed})
            shown[row] = sorted({*shown[row], *missed, LOST + back_s * S})
        end_s = back_s
        tell(said, [end_s] * n)
    owed.add(Backfill.plan(said, ~every(n)))
    owed.begin(LOST + end_s * S, nodes, every(n))
    came.read(owed, store(shown, largest), 10_000)
    assert owed.first is None
    assert came.stamps == histories


class _Came:
    """What came out of histories, each row in the order it came."""

    def __init__(self, n: int) -> None:
        device = Device("far", tuple(Point(f"p{row}", "i=1") for row in range(n)))
        self.stamps: list[list[int]] = [[] for _ in range(n)]
        self._columns = Columns(device)

    def read(self, owed: Owed, server: Server, answers: int) -> None:
        without = ~every(len(self.stamps))
        for _ in range(answers):
            found = owed.first
            if found is None:
                break
            if found.over:
                owed.done()
                continue
            part = found.take(server(found.ask(), found.to_ns), without)
            for scan in () if part is None else self._columns.past(part, TAKEN):
                assert scan.history
                assert scan.source_ns is not None
                for row, stamp in zip(scan.points.tolist(), scan.source_ns.tolist(), strict=True):
                    self.stamps[row].append(stamp)
        if owed.first is not None and owed.first.pages:
            owed.first.ask()  # and the line is lost before its answer
