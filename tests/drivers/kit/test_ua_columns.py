"""What a server's values say of points: order, units, doubts, and never a number where there is none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from asyncua import ua
from asyncua.ua.status_codes import StatusCodes
from hypothesis import given, settings
from hypothesis import strategies as st
from ua_bytes import S, changed, data, history, published, read

from drivers.kit import news
from drivers.kit.quality import GOOD, Cause, Status, bad, is_good, quality
from drivers.kit.scan import Device, Point, Scan
from drivers.kit.status_code import quality_of
from drivers.kit.ua_answer import history_answer, publish_answer, read_answer
from drivers.kit.ua_columns import NODE_UNKNOWN, Columns, Taken, Watch, unknown

TAKEN = Taken(77, 78)
BIG, HUGE = 2**53 + 1, 2**64 - 3
INT64, UINT64, TEXT = ua.VariantType.Int64, ua.VariantType.UInt64, ua.VariantType.String
OVER = quality(Status.UNCERTAIN, Cause.OVER_RANGE)


def point(row: int = 0, **more: Any) -> Point:
    return Point(f"p{row}", f"i={row + 1}", **{"type": "float64", **more})


def columns(*points: Point) -> Columns:
    return Columns(Device("far", points, config_rev="r3"))


def changes(to: Columns, *items: tuple[int, ua.DataValue]) -> list[Scan]:
    (found,) = publish_answer(published(changed(*items))).changes
    return list(to.changes(found, TAKEN))


def reading(to: Columns, *values: ua.DataValue, watch: Watch | None = None, at_s: float = 0.0) -> Scan:
    found = news.as_handles(read_answer(read(values)), list(range(len(values))))
    return to.reading(found, Taken(77, round(at_s * S)), watch)


def past(to: Columns, row: int, *values: ua.DataValue) -> list[Scan]:
    (found,) = history_answer(history((0, None, ua.HistoryData(list(values)))))
    assert found.values is not None
    return list(to.past(news.joined([(row, found.values)]), TAKEN))


def rows(scan: Scan) -> list[tuple[int, float]]:
    return list(zip(scan.points.tolist(), scan.values.tolist(), strict=True))


# --- changes ------------------------------------------------------------------------------------------


def test_nothing_is_no_scan() -> None:
    assert changes(columns(point())) == []


def test_a_scan_says_whose_it_is_and_when() -> None:
    (scan,) = changes(columns(point(), point(1)), (1, data(2.5, 3 * S)))
    assert (scan.device, scan.config_rev, scan.taken_ns, scan.taken_mono_ns) == ("far", "r3", 77, 78)
    assert (scan.points.dtype.name, rows(scan), scan.quality.tolist()) == ("uint16", [(1, 2.5)], [GOOD])
    assert scan.source_ns is not None
    assert scan.source_ns.tolist() == [3 * S]
    assert (scan.exact, scan.history) == (None, False)


def test_without_any_source_time_there_is_no_column_of_them() -> None:
    to = columns(point(), point(1))
    (scan,) = changes(to, (0, data(1.0)), (1, data(2.0)))
    assert scan.source_ns is None
    (scan,) = changes(to, (0, data(1.5)), (1, data(2.5, S)))
    assert scan.source_ns is not None
    assert scan.source_ns.tolist() == [0, S]


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), max_size=40))
@settings(max_examples=60, deadline=None)
def test_each_points_values_keep_their_order_and_rows_rise_within_a_scan(
    items: list[tuple[int, int]],
) -> None:
    to = columns(*map(point, range(6)))
    told = [(row, data(float(number), place * 1000 + S)) for place, (row, number) in enumerate(items)]
    scans = changes(to, *told) if told else []
    for scan in scans:
        assert (np.diff(scan.points.astype(int)) > 0).all()
    came = [pair for scan in scans for pair in rows(scan)]
    for row in range(6):
        assert [value for at, value in came if at == row] == [value for at, value in items if at == row]
    assert len(scans) == max([sum(at == row for at, _ in items) for row in range(6)])


def test_the_same_value_with_the_same_time_is_said_once_but_a_new_time_or_none_is_news() -> None:
    to = columns(point())
    assert len(changes(to, (0, data(1.0, S)), (0, data(1.0, S)))) == 1
    assert changes(to, (0, data(1.0, S))) == []
    assert len(changes(to, (0, data(1.0, 2 * S)))) == 1
    assert len(changes(to, (0, data(1.0)), (0, data(1.0)))) == 2
    assert len(changes(to, (0, data(1.0, 2 * S, StatusCodes.BadSensorFailure)))) == 1


def test_after_an_outage_the_same_is_said_again_without_its_time() -> None:
    to = columns(point(), point(1))
    changes(to, (0, data(1.0, S)), (1, data(2.0, S)))
    to.said.lose(5 * S)
    (scan,) = changes(to, (0, data(1.0, S)), (1, data(3.0, 2 * S)))
    assert rows(scan) == [(0, 1.0), (1, 3.0)]
    assert scan.source_ns is not None
    assert scan.source_ns.tolist() == [0, 2 * S]


def test_lost_values_are_counted() -> None:
    to = columns(point())
    changes(to, (0, data(1.0, S, 0x0480)), (0, data(2.0, 2 * S)), (0, data(3.0, 3 * S, 0x0480)))
    assert to.overflows == 2
    changes(to, (0, data(4.0, 4 * S, 0x0480)))
    assert to.overflows == 3


# --- doubts -------------------------------------------------------------------------------------------

NO_NUMBERS = [
    data("12.5", kind=TEXT),
    data(None, kind=ua.VariantType.Null),
    data([1.0], kind=ua.VariantType.Double),
    data(b"\1\2", kind=ua.VariantType.ByteString),
    data(ua.LocalizedText("7"), kind=ua.VariantType.LocalizedText),
    data(ua.NodeId(ua.Int32(7)), kind=ua.VariantType.NodeId),
]


@pytest.mark.parametrize("told", NO_NUMBERS, ids=lambda told: told.Value.VariantType.name)
def test_what_is_no_number_spoils_itself_only(told: ua.DataValue) -> None:
    to = columns(point(), point(1), point(2, scale=0.5, range_lo=0.0, range_hi=9.0))
    scan = reading(to, data(1.0), told, data(4.0))
    assert scan.quality.tolist() == [GOOD, bad(Cause.GARBLED), GOOD]
    assert scan.values[[0, 2]].tolist() == [1.0, 2.0]
    assert math.isnan(scan.values[1])
    assert scan.exact is None


@pytest.mark.parametrize(
    ("number", "more"),
    [
        (math.nan, {}),
        (math.inf, {}),
        (-math.inf, {}),
        (1e308, {"scale": 100.0}),
        (math.inf, {"range_lo": 0.0, "range_hi": 1.0}),
    ],
    ids=["nan", "inf", "-inf", "scaled beyond", "with a range"],
)
def test_what_is_not_finite_is_a_fault_of_the_device(number: float, more: dict[str, Any]) -> None:
    scan = reading(columns(point(**more)), data(number))
    assert scan.quality.tolist() == [bad(Cause.DEVICE_FAULT)]
    assert math.isnan(scan.values[0])


@given(
    st.lists(
        st.tuples(
            st.floats() | st.sampled_from([0.0, 50.0]),
            st.sampled_from(
                [0, 0x0400, StatusCodes.BadOutOfService, StatusCodes.UncertainSubstituteValue, 0xC000_0000]
            ),
        ),
        max_size=30,
    ),
    st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_bad_and_only_bad_is_nan(items: list[tuple[float, int]], ranged: bool) -> None:
    limits = {"range_lo": -100.0, "range_hi": 100.0} if ranged else {}
    to = columns(*(point(row, **limits) for row in range(len(items))))
    scan = reading(to, *(data(number, status=status) for number, status in items))
    assert (np.isnan(scan.values) == ((scan.quality & 3) == Status.BAD)).all()
    assert np.isfinite(scan.values[is_good(scan.quality)]).all()
    for place, (number, status) in enumerate(items):
        said = quality_of(status)
        if said & 3 == Status.BAD:
            assert scan.quality[place] == said, "why the server calls it bad is not talked over"
        elif not math.isfinite(number):
            assert scan.quality[place] == bad(Cause.DEVICE_FAULT)
        elif not ranged or abs(number) <= 100:
            assert scan.quality[place] == said
            assert scan.values[place] == number


def test_a_bad_status_comes_before_a_wrong_kind() -> None:
    status = StatusCodes.BadOutOfService
    assert reading(columns(point()), data("x", status=status, kind=TEXT)).quality.tolist() == [
        bad(Cause.MAINTENANCE)
    ]


def test_outside_of_its_range_a_value_stays_and_is_uncertain() -> None:
    ranged = {"range_lo": 0.0, "range_hi": 100.0}
    to = columns(*(point(row, **ranged) for row in range(4)), point(4))
    scan = reading(to, data(105.0), data(105.1), data(-5.1), data(50.0), data(999.0))
    under = quality(Status.UNCERTAIN, Cause.UNDER_RANGE)
    assert scan.quality.tolist() == [GOOD, OVER, under, GOOD, GOOD]
    assert scan.values.tolist() == [105.0, 105.1, -5.1, 50.0, 999.0]
    (scan,) = changes(to, (1, data(200.0, S)), (4, data(200.0, S)))
    assert scan.quality.tolist() == [OVER, GOOD], "each row has its own range, whichever are told"


def test_units_are_each_rows_own_whichever_are_told() -> None:
    two_points = {"raw_lo": 4.0, "raw_hi": 20.0, "range_lo": 0.0, "range_hi": 160.0}
    to = columns(point(scale=0.1), point(1), point(2, offset=-3.0), point(3, **two_points))
    assert reading(to, data(234), data(234), data(234), data(12)).values.tolist() == [23.4, 234, 231, 80]
    assert [rows(scan) for scan in changes(to, (3, data(4.0, S)), (0, data(5, S)))] == [[(0, 0.5), (3, 0.0)]]


# --- what a double cannot hold ------------------------------------------------------------------------


def test_whole_numbers_are_exact_where_they_are_not_scaled() -> None:
    two_points = {"raw_lo": 0.0, "raw_hi": 1.0, "range_lo": 0.0, "range_hi": 1.0}
    to = columns(
        point(), point(1), point(2, scale=0.5), point(3, offset=1.0), point(4, **two_points), point(5)
    )
    scan = reading(
        to, data(BIG, kind=INT64), data(HUGE, kind=UINT64), data(BIG, kind=INT64), data(BIG, kind=INT64),
        data(BIG, kind=INT64), data(2**53 - 1, kind=INT64),
    )  # fmt: skip
    assert scan.exact == {0: BIG, 1: HUGE}
    assert scan.values[:3].tolist() == [float(BIG), float(HUGE), BIG / 2]


def test_what_is_exact_keeps_its_place_where_others_are_no_news() -> None:
    to = columns(*(point(row) for row in range(3)), point(3, type="string"))
    first = [
        (0, data(1.0, S)),
        (1, data(BIG, S, kind=INT64)),
        (2, data(HUGE, S, kind=UINT64)),
        (3, data("a", S, kind=TEXT)),
    ]
    (scan,) = changes(to, *first)
    assert scan.exact == {1: BIG, 2: HUGE, 3: "a"}
    (scan,) = changes(to, *first[:2], (2, data(HUGE, 2 * S, kind=UINT64)), (3, data("bc", 2 * S, kind=TEXT)))
    assert scan.points.tolist() == [2, 3]
    assert scan.exact == {0: HUGE, 1: "bc"}
    (scan,) = changes(to, *first[1:3], (0, data(2.0, 2 * S)), (2, data(5, 3 * S, kind=UINT64)))[1:]
    assert (rows(scan), scan.exact) == ([(2, 5.0)], None)


def test_a_text_is_its_words_and_their_number() -> None:
    to = columns(
        point(type="string"), point(1, type="string"), point(2, type="string"), point(3, type="string")
    )
    scan = reading(
        to, data("批次 A", kind=TEXT), data("", kind=TEXT), data(None, kind=TEXT),
        data(ua.LocalizedText("关闭", "zh"), kind=ua.VariantType.LocalizedText),
    )  # fmt: skip
    assert scan.exact == {0: "批次 A", 1: "", 2: "", 3: "关闭"}
    assert scan.values.tolist() == [4, 0, 0, 2]
    assert scan.quality.tolist() == [GOOD] * 4


@pytest.mark.parametrize(
    "told",
    [
        data(12.5),
        data(BIG, kind=INT64),
        data(["a"], kind=TEXT),
        data("x" * 4097, kind=TEXT),
        data(b"a", kind=ua.VariantType.ByteString),
    ],
    ids=["number", "whole", "list", "endless", "bytes"],
)
def test_what_is_no_text_is_no_number_either_where_a_text_is_wanted(told: ua.DataValue) -> None:
    scan = reading(columns(point(type="string")), told)
    assert scan.quality.tolist() == [bad(Cause.GARBLED)]
    assert math.isnan(scan.values[0])
    assert scan.exact is None


def test_what_is_bad_is_not_exact_either() -> None:
    status = StatusCodes.BadSensorFailure
    to = columns(point(), point(1, type="string"))
    scan = reading(to, data(BIG, status=status, kind=INT64), data("a", status=status, kind=TEXT))
    assert scan.exact is None
    assert np.isnan(scan.values).all()
    uncertain = StatusCodes.UncertainSubstituteValue
    scan = reading(to, data(BIG, S, uncertain, INT64), data("a", S, uncertain, TEXT))
    assert scan.exact == {0: BIG, 1: "a"}


# --- readings -----------------------------------------------------------------------------------------


def test_a_reading_has_every_row_whether_it_is_news_or_not() -> None:
    to = columns(point(), point(1))
    for _ in range(3):
        scan = reading(to, data(1.0, S), data(2.0, S))
        assert rows(scan) == [(0, 1.0), (1, 2.0)]
        assert scan.source_ns is not None
        assert scan.source_ns.tolist() == [S, S]
    assert changes(to, (0, data(1.0, S))) == [], "what was read was said"


def test_a_namespace_the_server_does_not_know_refuses_its_row() -> None:
    found = news.appended([unknown(0), news.as_handles(read_answer(read([data(2.0)])), [1])])
    scan = columns(point(), point(1)).reading(found, TAKEN)
    assert StatusCodes.BadNodeIdUnknown == NODE_UNKNOWN
    assert scan.quality.tolist() == [bad(Cause.REFUSED), GOOD]
    assert math.isnan(scan.values[0])


def watched(*points: Point) -> tuple[Columns, Watch]:
    return columns(*points), Watch(points, range(len(points)))


def test_what_does_not_change_for_too_long_is_frozen_and_thaws() -> None:
    to, watch = watched(point(frozen_s=2.0), point(1), point(2, frozen_s=10.0))
    told = [data(1.0), data(1.0), data(1.0)]
    for at_s in (0.0, 1.0, 1.9):
        assert reading(to, *told, watch=watch, at_s=at_s).quality.tolist() == [GOOD] * 3
    scan = reading(to, *told, watch=watch, at_s=2.0)
    assert scan.quality.tolist() == [bad(Cause.FROZEN), GOOD, GOOD]
    assert math.isnan(scan.values[0])
    assert scan.values[1:].tolist() == [1.0, 1.0]
    told[0] = data(1.0000001)
    assert reading(to, *told, watch=watch, at_s=2.1).quality.tolist() == [GOOD] * 3


def test_time_that_nobody_saw_freezes_nothing() -> None:
    to, watch = watched(point(frozen_s=2.0))
    reading(to, data(1.0), watch=watch, at_s=0.0)
    watch.interrupted()
    for at_s in (50.0, 51.9):
        assert reading(to, data(1.0), watch=watch, at_s=at_s).quality.tolist() == [GOOD]
    assert reading(to, data(1.0), watch=watch, at_s=52.1).quality.tolist() == [bad(Cause.FROZEN)]


def test_a_frozen_whole_number_is_not_exact_any_more_and_its_neighbour_is() -> None:
    to, watch = watched(point(frozen_s=1.0), point(1))
    told = [data(BIG, kind=INT64), data(HUGE, kind=UINT64)]
    assert reading(to, *told, watch=watch).exact == {0: BIG, 1: HUGE}
    scan = reading(to, *told, watch=watch, at_s=1.5)
    assert scan.exact == {1: HUGE}
    assert math.isnan(scan.values[0])


def test_a_group_in_which_nothing_can_freeze_is_left_alone() -> None:
    to, watch = watched(point())
    for at_s in (0.0, 1e6):
        assert reading(to, data(1.0), watch=watch, at_s=at_s).quality.tolist() == [GOOD]
    watch.interrupted()


def test_a_range_is_judged_in_units_once_and_not_by_the_watch_again() -> None:
    to, watch = watched(point(scale=10.0, range_lo=0.0, range_hi=100.0, frozen_s=9.0))
    assert reading(to, data(9.0), watch=watch).quality.tolist() == [GOOD]
    assert reading(to, data(11.0), watch=watch, at_s=1.0).quality.tolist() == [OVER]


# --- history ------------------------------------------------------------------------------------------


def test_a_history_is_posted_in_turn_and_marked() -> None:
    scans = past(columns(point(), point(1)), 1, data(1.0, 12 * S), data(2.0, 13 * S))
    assert [rows(scan) for scan in scans] == [[(1, 1.0)], [(1, 2.0)]]
    assert [scan.source_ns.tolist() for scan in scans if scan.source_ns is not None] == [[12 * S], [13 * S]]
    assert all(scan.history for scan in scans)
    assert past(columns(point()), 0) == []


def test_a_history_is_judged_like_anything_else_and_leaves_alone_what_is_said_live() -> None:
    to = columns(point(scale=0.5, range_lo=0.0, range_hi=10.0), point(1))
    changes(to, (0, data(2.0, 10 * S)), (1, data(1.0, 10 * S)))
    to.said.lose(5 * S)
    live = [(0, data(4.0, 20 * S)), (1, data(1.0, 20 * S))]
    changes(to, *live)
    told = [
        data(6.0, 11 * S),
        data(60.0, 12 * S),
        data("x", 13 * S, kind=TEXT),
        data(6.0, 14 * S, StatusCodes.BadOutOfService),
    ]
    scans = past(to, 0, *told)
    assert [scan.quality[0] for scan in scans] == [GOOD, OVER, bad(Cause.GARBLED), bad(Cause.MAINTENANCE)]
    assert [scan.values[0] for scan in scans[:2]] == [3.0, 30.0]
    assert np.isnan([scan.values[0] for scan in scans[2:]]).all()
    (scan,) = past(to, 1, data(BIG, 11 * S, kind=INT64))
    assert scan.exact == {0: BIG}
    assert changes(to, *live) == [], "still the newest"
    assert to.overflows == 0
