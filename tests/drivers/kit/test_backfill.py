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
from drivers.kit.backfill import MAX_AGE_S, MAX_VALUES, SLACK_S, VALUES, Backfill, Page, offers_none
from drivers.kit.data_value import DataValues
from drivers.kit.quality import GOOD
from drivers.kit.scan import Device, Point, Scan
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
        rows = np.flatnonzero(stamps)
        ns = np.array([LOST + stamp * S for stamp in stamps], dtype=np.int64)[rows]
        said.news(rows, np.zeros(len(rows)), np.full(len(rows), GOOD, dtype=np.uint8), ns)
        if stamps is before:
            said.lose()
    return said


def plan(
    said: news.Said, *, without: list[int] | None = None, lost: int = LOST, now: int = NOW, nodes: int = 100
) -> Backfill | None:
    none = np.zeros(len(said.values), dtype=np.bool_)
    none[without or []] = True
    return Backfill.plan(said, none, lost, now, INTERVAL_S, nodes)


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


@pytest.mark.parametrize(
    ("lost", "now"), [(0, NOW), (LOST, 0), (0, 0)], ids=["never heard", "no clock", "neither"]
)
def test_without_both_ends_nothing_is_asked(lost: int, now: int) -> None:
    said = told([-1], [100])
    assert plan(said, lost=lost, now=now) is None
    assert plan(said) is not None


def test_rows_that_stood_still_are_new_or_have_no_history_are_not_asked_for() -> None:
    said = told([-1, -1, 0, -1, -1], [100, -1, 100, 0, 100])
    found = plan(said, without=[4])
    assert found is not None
    assert [list(page.points) for page in found.pages] == [[0]]
    assert plan(said, without=[0, 4]) is None
    assert plan(told([], [])) is None


def test_the_interval_reaches_a_little_beyond_the_outage_on_both_sides() -> None:
    found = planned()
    slack_ns = round((INTERVAL_S + SLACK_S) * S)
    assert (found.from_ns, found.to_ns) == (LOST - slack_ns, NOW + slack_ns)
    assert asked(found) == [({0: b""}, found.from_ns)]
    assert (found.over, found.next_at, found.left) == (False, 0.0, MAX_VALUES)


@pytest.mark.parametrize(("beyond_s", "cut_s"), [(-3, 0), (0, 2), (1, 3), (10**6, 10**6 + 2)])
def test_of_a_long_outage_the_last_day_is_asked_for(beyond_s: int, cut_s: int) -> None:
    now = LOST + round(MAX_AGE_S + beyond_s) * S
    found = plan(told([-1], [100]), now=now)
    assert found is not None
    assert found.from_ns == LOST - 2 * S + cut_s * S
    assert now - found.from_ns <= MAX_AGE_S * S


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
    return found.take(found.pages.pop(0), list(answers), without), without.tolist()


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
def test_another_number_of_answers_than_rows_is_an_error(answers: int) -> None:
    with pytest.raises(ValueError, match="zip"):
        take(planned(2), *[Remembered(0, b"", values(LOST))] * answers)


def test_continuations_come_before_all_else_because_servers_forget_them() -> None:
    found = planned(3, nodes=2)
    first = found.from_ns
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


# --- servers that do not end --------------------------------------------------------------------------


def rounds(found: Backfill, server: Server, most: int = 2000) -> tuple[int, list[DataValues]]:
    """How often is asked until it is over, and what came."""
    without = np.zeros(100, dtype=np.bool_)
    parts: list[DataValues] = []
    for number in range(most):
        if found.over:
            return number, parts
        page = found.pages.pop(0)
        part = found.take(page, server(page, found.to_ns), without)
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
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_every_missing_value_comes_once_and_in_order_however_it_is_portioned(
    sizes: list[int], largest: int, nodes: int, dice: random.Random
) -> None:
    n = len(sizes)
    end_ns = NOW - LOST
    histories = [
        sorted({LOST + dice.randrange(1, end_ns // 1000) * 1000 for _ in range(size)}) for size in sizes
    ]
    edges = [LOST - S, NOW]  # told before, told after
    device = Device("far", tuple(Point(f"p{row}", "i=1") for row in range(n)))
    columns = Columns(device)
    columns.said = told([-1] * n, [100] * n)
    found = Backfill.plan(columns.said, np.zeros(n, dtype=np.bool_), LOST, NOW, INTERVAL_S, nodes)
    assert found is not None
    scans: list[Scan] = []
    _, parts = rounds(found, store([sorted([*one, *edges]) for one in histories], largest))
    for part in parts:
        scans += columns.past(part, found.from_ns, TAKEN)
    assert all(scan.history for scan in scans)
    came: dict[int, list[int]] = {row: [] for row in range(n)}
    for scan in scans:
        assert scan.source_ns is not None
        for row, stamp in zip(scan.points.tolist(), scan.source_ns.tolist(), strict=True):
            came[row].append(stamp)
    assert list(came.values()) == histories
