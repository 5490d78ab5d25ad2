"""The block plan: every notation of an address, few requests, no torn value, one plan for one set of points."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.errors import PointError
from drivers.kit.planner import BIT_TABLES, Block, locate, narrow, parse_address, plan
from drivers.kit.scan import Point


def holding(offset: int, kind: str = "uint16", **more: object) -> Point:
    return Point(f"p{offset}", f"FC03/{offset}", type=kind, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("40001", (3, 0)),
        ("49999", (3, 9998)),
        ("400001", (3, 0)),
        ("465536", (3, 65535)),
        ("30001", (4, 0)),
        ("33001", (4, 3000)),
        ("10001", (2, 0)),
        ("00001", (1, 0)),
        ("000001", (1, 0)),
        ("FC03/0", (3, 0)),
        ("fc4/17", (4, 17)),
        ("FC01/0x10", (1, 16)),
        ("0x0000", (3, 0)),
        ("0xFFFF", (3, 65535)),
        (" 40001 ", (3, 0)),
        ("\uff14\uff10\uff10\uff10\uff11", (3, 0)),  # full-width, as Excel leaves it
    ],
)
def test_every_notation_has_one_stored_form(text: str, place: tuple[int, int]) -> None:
    assert parse_address(text) == place


@pytest.mark.parametrize(
    "text",
    ["", "1", "40000", "400000", "465537", "50001", "20001", "FC05/0", "FC03/65536", "0x10000", "四零零零一"],
)
def test_what_is_no_address_is_refused_with_cause_and_remedy_in_both_languages(text: str) -> None:
    with pytest.raises(PointError) as caught:
        parse_address(text)
    assert caught.value.field == "address"
    for words in (caught.value.cause, caught.value.remedy):
        assert words["zh"]
        assert words["en"]
    assert "40001" in caught.value.remedy["zh"]


@pytest.mark.parametrize(
    ("point", "field"),
    [
        (Point("a", "00001", type="uint16"), "type"),
        (Point("a", "00001", type="bit", bit=1), "bit"),
        (Point("a", "40001", type="bit"), "bit"),
        (Point("a", "40001", type="bit", bit=16), "bit"),
        (Point("a", "40001", type="uint16", bit=0), "bit"),
        (Point("a", "40001", type="double"), "type"),
        (Point("a", "40001", type="float32", order="ACBD"), "order"),
        (Point("a", "465536", type="float32"), "address"),
        (Point("a", "40001", unit_id=256), "unit_id"),
    ],
)
def test_a_point_that_does_not_fit_together_names_its_cell(point: Point, field: str) -> None:
    with pytest.raises(PointError) as caught:
        locate(point, 1)
    assert caught.value.field == field


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


offsets = st.integers(0, 600)
tables = st.sampled_from(["uint16", "int16", "float32", "uint32", "coil", "contact"])


def build(kind: str, offset: int, unit: int) -> Point:
    if kind in ("coil", "contact"):
        return Point("x", f"FC0{1 if kind == 'coil' else 2}/{offset}", type="bit", unit_id=unit)
    return Point("x", f"FC03/{offset}", type=kind, unit_id=unit)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(tables, offsets, st.integers(1, 2)), max_size=60),
    st.integers(2, 125),
    st.integers(0, 20),
    st.randoms(use_true_random=False),
)
def test_every_point_is_whole_in_exactly_one_allowed_block_whatever_the_order(
    raw: list[tuple[str, int, int]], max_registers: int, max_gap: int, rng: object
) -> None:
    points = tuple(build(*one) for one in raw)
    blocks = plan(points, 1, max_registers=max_registers, max_gap=max_gap)
    assert sorted(row for block in blocks for row in block.rows) == list(range(len(points)))
    for block in blocks:
        most = min(2000, 16 * max_registers) if block.function_code in BIT_TABLES else max_registers
        assert 1 <= block.count <= most
        for row in block.rows:
            span = locate(points[row], 1)
            assert (span.unit_id, span.function_code) == (block.unit_id, block.function_code)
            assert block.start <= span.offset
            assert span.end <= block.start + block.count
    shuffled = list(points)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    again = plan(tuple(shuffled), 1, max_registers=max_registers, max_gap=max_gap)
    assert [(b.unit_id, b.function_code, b.start, b.count) for b in again] == [
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
