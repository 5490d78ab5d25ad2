"""The block plan: few requests, no torn value, nothing unreadable touched, one plan for one set of points."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.address import BIT_TABLES, locate, parse_regions
from drivers.kit.errors import PointError
from drivers.kit.planner import Block, Group, groups, narrow, plan
from drivers.kit.scan import Point


def holding(offset: int, kind: str = "uint16", **more: object) -> Point:
    return Point(f"p{offset}", f"FC03/{offset}", type=kind, **more)  # type: ignore[arg-type]


def test_hundred_registers_in_line_are_one_request() -> None:
    assert plan(tuple(holding(k) for k in range(100)), 7) == (Block(7, 3, 0, 100, tuple(range(100))),)


def test_a_float_is_never_torn_at_the_end_of_a_block() -> None:
    points = (*(holding(k) for k in range(124)), holding(124, "float32"), holding(126))
    blocks = plan(points, 1)
    assert [(block.start, block.count) for block in blocks] == [(0, 124), (124, 3)]


def test_gaps_are_read_along_only_as_far_as_allowed() -> None:
    points = (holding(0), holding(9))
    assert len(plan(points, 1, max_gap=7)) == 2
    assert [(b.start, b.count) for b in plan(points, 1, max_gap=8)] == [(0, 10)]


def test_units_and_tables_are_apart_and_bits_reach_further() -> None:
    points = (
        Point("a", "00001", type="bit"),
        Point("b", "02000", type="bit"),
        Point("c", "10001", type="bit"),
        Point("d", "40001", unit_id=2),
        Point("e", "30001"),
    )
    blocks = plan(points, 1, max_gap=125)
    assert [(b.unit_id, b.function_code, b.start, b.count) for b in blocks] == [
        (1, 1, 0, 2000),
        (1, 2, 0, 1),
        (1, 4, 0, 1),
        (2, 3, 0, 1),
    ]


def test_what_alarms_hang_on_is_asked_first_and_costs_no_more_requests() -> None:
    calm = (holding(0), holding(300), Point("c", "00001", type="bit"))
    points = (*calm, holding(305, alarmed=True))
    assert [b.start for b in plan(points, 1, max_gap=8)] == [300, 0, 0]
    assert len(plan(points, 1, max_gap=8)) == len(plan((*calm, holding(305)), 1, max_gap=8))


def test_an_unreadable_region_is_read_around() -> None:
    points = (holding(0), holding(9), holding(11))
    assert [(b.start, b.count) for b in plan(points, 1, max_gap=8)] == [(0, 12)]
    around = plan(points, 1, max_gap=8, unreadable=parse_regions(["FC03/5-FC03/6"]))
    assert [(b.start, b.count) for b in around] == [(0, 1), (9, 3)]
    other_table = plan(points, 1, max_gap=8, unreadable=parse_regions(["FC04/5-FC04/6"]))
    assert len(other_table) == 1


@pytest.mark.parametrize("region", ["FC03/8", "FC03/9", "FC03/0-FC03/8", "FC03/9-FC03/20", "FC03/0-FC03/20"])
def test_a_value_that_reaches_into_an_unreadable_region_is_refused(region: str) -> None:
    with pytest.raises(PointError) as caught:
        plan((holding(8, "uint32"),), 1, unreadable=parse_regions([region]))
    assert (caught.value.field, caught.value.point) == ("address", "p8")


def test_a_value_beside_an_unreadable_region_is_read() -> None:
    regions = parse_regions(["FC03/7", "FC03/10"])
    assert [(b.start, b.count) for b in plan((holding(8, "uint32"),), 1, unreadable=regions)] == [(8, 2)]


@pytest.mark.parametrize(
    ("kind", "more", "field"), [("float64", {}, "type"), ("string", {"length": 4}, "length")]
)
def test_a_value_wider_than_a_request_is_refused_and_not_torn(
    kind: str, more: dict[str, int], field: str
) -> None:
    with pytest.raises(PointError) as caught:
        plan((holding(0, kind, **more),), 1, max_registers=3)
    assert caught.value.field == field


def test_scan_groups_come_with_alarms_first_then_the_faster() -> None:
    points = (
        holding(0),
        holding(1, period_s=60.0),
        holding(2, period_s=1.0),
        holding(3, period_s=10.0, alarmed=True),
        holding(4, period_s=0.5),
    )
    assert groups(points, 1.0) == (
        Group(10.0, (3,)),
        Group(0.5, (4,)),
        Group(1.0, (0, 2)),
        Group(60.0, (1,)),
    )


offsets = st.integers(0, 600)
tables = st.sampled_from(
    ["uint16", "int16", "float32", "uint32", "coil", "contact", "float64", "int64", "string"]
)
regions = st.lists(st.tuples(st.sampled_from([1, 2, 3]), offsets, st.integers(0, 9)), max_size=6)


def build(kind: str, offset: int, unit: int) -> Point:
    if kind in ("coil", "contact"):
        return Point("x", f"FC0{1 if kind == 'coil' else 2}/{offset}", type="bit", unit_id=unit)
    length = 1 + offset % 8 if kind == "string" else None
    return Point("x", f"FC03/{offset}", type=kind, unit_id=unit, length=length, alarmed=offset % 37 == 0)


def fits(point: Point, unreadable: list[tuple[int, int, int]], max_registers: int) -> bool:
    span = locate(point, 1)
    return span.width <= max_registers and not any(
        code == span.function_code and first <= k <= first + more
        for code, first, more in unreadable
        for k in range(span.offset, span.end)
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(tables, offsets, st.integers(1, 2)), max_size=60),
    st.integers(2, 125),
    st.integers(0, 20),
    regions,
    st.randoms(use_true_random=False),
)
def test_every_point_is_whole_in_exactly_one_allowed_block_whatever_the_order(
    raw: list[tuple[str, int, int]],
    max_registers: int,
    max_gap: int,
    unreadable: list[tuple[int, int, int]],
    rng: object,
) -> None:
    points = tuple(p for p in (build(*one) for one in raw) if fits(p, unreadable, max_registers))
    closed = tuple((code, first, first + more) for code, first, more in unreadable)

    def planned(of: tuple[Point, ...]) -> tuple[Block, ...]:
        return plan(of, 1, max_registers=max_registers, max_gap=max_gap, unreadable=closed)

    blocks = planned(points)
    assert sorted(row for block in blocks for row in block.rows) == list(range(len(points)))
    for block in blocks:
        most = min(2000, 16 * max_registers) if block.function_code in BIT_TABLES else max_registers
        assert 1 <= block.count <= most
        for code, first, last in closed:
            assert code != block.function_code or last < block.start or first >= block.start + block.count
        for row in block.rows:
            span = locate(points[row], 1)
            assert (span.unit_id, span.function_code) == (block.unit_id, block.function_code)
            assert block.start <= span.offset
            assert span.end <= block.start + block.count
    alarmed = [any(points[row].alarmed for row in block.rows) for block in blocks]
    assert alarmed == sorted(alarmed, reverse=True)
    shuffled = list(points)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert [(b.unit_id, b.function_code, b.start, b.count) for b in planned(tuple(shuffled))] == [
        (b.unit_id, b.function_code, b.start, b.count) for b in blocks
    ]


def test_narrowing_ends_at_the_one_register_that_is_refused() -> None:
    points = tuple(holding(k) for k in [*range(50), 60, 61])
    pending = list(plan(points, 1, max_gap=20))
    assert len(pending) == 1
    asked, refused = 0, []
    while pending:
        block = pending.pop()
        asked += 1
        if block.start <= 37 < block.start + block.count:
            smaller = narrow(points, 1, block)
            pending += smaller
            if not smaller:
                refused.append(block)
    assert [block.rows for block in refused] == [(37,)]
    assert asked <= 16


def test_narrowing_first_gives_up_the_gap() -> None:
    points = (holding(0), holding(5))
    (block,) = plan(points, 1, max_gap=8)
    assert [(b.start, b.count) for b in narrow(points, 1, block)] == [(0, 1), (5, 1)]
