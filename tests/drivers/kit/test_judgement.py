"""Judgement over time: status words, heartbeats, frozen bytes, ranges; told one at a time and all at once."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.decode import Decoder, compile_plan
from drivers.kit.errors import PointError
from drivers.kit.judgement import GRAVITY, Judge, Ranges, graver
from drivers.kit.planner import narrow, plan
from drivers.kit.quality import GOOD, Cause, Status, bad, cause_of, is_bad, quality
from drivers.kit.scan import Point

S = 1_000_000_000
FROZEN = bad(Cause.FROZEN)
OVER, UNDER = quality(Status.UNCERTAIN, Cause.OVER_RANGE), quality(Status.UNCERTAIN, Cause.UNDER_RANGE)


class Device:
    """Points read again and again, as the driver does it; ``at`` gives the qualities of one scan."""

    def __init__(self, *points: Point, max_gap: int = 8) -> None:
        self.points = points
        self.blocks = plan(points, 1, max_gap=max_gap)
        self.decoder: Decoder = compile_plan(points, 1, self.blocks)
        self.judge = Judge.of(points, self.decoder.points.tolist())
        self.values = np.zeros(0)

    def at(self, second: float, *registers: int, failed: Sequence[tuple[int, Cause]] = ()) -> list[int]:
        assert self.judge is not None
        raw = struct.pack(f">{len(registers)}H", *registers)
        values, found = self.decoder.decode(raw, failed)
        before = found.copy()
        self.values, judged = self.judge.judge(values, found, self.decoder.watched(raw), round(second * S))
        assert np.array_equal(found, before), "what the decoder gave is left as it is"
        assert np.isnan(self.values[is_bad(judged)]).all()
        return judged.tolist()


def test_nothing_to_judge_needs_no_judge() -> None:
    points = (Point("a", "40001"), Point("b", "40002", fault_values="1", decimals_point="a", range_lo=0.0))
    assert Judge.of(points, [0, 1]) is None


def gas(bits: str, **more: object) -> tuple[Point, Point]:
    return Point("gas", "40001", status_point="state", status_bits=bits, **more), Point("state", "40002")  # type: ignore[arg-type]


def test_a_status_bit_turns_its_point_bad_and_back() -> None:
    device = Device(*gas("3=maintenance; !7=device_fault; 8-11:5=calibration"))
    assert device.at(0, 20, 0b1000_0000) == [GOOD, GOOD]
    assert device.values.tolist() == [20, 128]
    assert device.at(1, 20, 0b1000_1000) == [bad(Cause.MAINTENANCE), GOOD]
    assert device.at(2, 20, 0b0000_1000) == [bad(Cause.DEVICE_FAULT), GOOD], "the gravest is told"
    assert device.at(3, 20, 0x580) == [bad(Cause.CALIBRATION), GOOD]
    assert device.at(4, 20, 0x480) == [GOOD, GOOD]


def test_an_instrument_out_of_range_keeps_its_value() -> None:
    device = Device(*gas("0=over_range; 1=under_range; 2=muted"))
    assert device.at(0, 999, 1) == [OVER, GOOD]
    assert device.values[0] == 999
    assert device.at(1, 999, 2) == [UNDER, GOOD]
    assert device.at(2, 999, 3) == [OVER, GOOD]
    assert device.at(3, 999, 5) == [bad(Cause.MUTED), GOOD], "no value counts more than which"


@pytest.mark.parametrize("word", ["disabled", "maintenance", "calibration", "simulation", "muted", "manual"])
def test_a_dead_instrument_does_not_hide_behind_its_own_status_word(word: str) -> None:
    beat = {"heartbeat_point": "beat", "heartbeat_s": 5.0}
    device = Device(*gas(f"0={word}", **beat), Point("beat", "40003", "bit", bit=0))
    seen = [device.at(second, 1, 1, 0)[0] for second in range(8)]
    assert seen[4] == bad(Cause[word.upper()])
    assert seen[5:] == [FROZEN] * 3


def test_a_long_status_word_is_read_to_its_last_bit() -> None:
    device = Device(
        Point("gas", "40001", status_point="state", status_bits="31=muted"), Point("state", "40002", "uint32")
    )
    assert device.at(0, 1, 0x8000, 0) == [bad(Cause.MUTED), GOOD]
    assert device.at(0, 1, 0x7FFF, 0xFFFF) == [GOOD, GOOD]


def test_many_points_share_one_status_word() -> None:
    points = [Point(f"g{k}", f"FC03/{k}", status_point="w", status_bits=f"{k}=disabled") for k in range(16)]
    device = Device(*points, Point("w", "FC03/16"))
    word = 0b1010_0000_0000_0001
    expected = [bad(Cause.DISABLED) if word >> k & 1 else GOOD for k in range(16)]
    assert device.at(0, *range(16), word) == [*expected, GOOD]


def test_without_its_status_a_value_is_not_good() -> None:
    points = (Point("gas", "40001", status_point="state", status_bits="!0=muted"), Point("state", "40101"))
    device = Device(*points, max_gap=0)
    assert device.at(0, 20, 1) == [GOOD, GOOD]
    assert device.at(1, 20, 0, failed=[(1, Cause.REFUSED)]) == [bad(Cause.REFUSED)] * 2
    assert device.at(2, 0, 1, failed=[(0, Cause.COMM)]) == [bad(Cause.COMM), GOOD]


def beating(limit_s: float = 5.0) -> Device:
    return Device(
        Point("pv", "40001", heartbeat_point="beat", heartbeat_s=limit_s),
        Point("beat", "40002", "bit", bit=0),
    )


def test_a_heartbeat_that_stops_freezes_its_dependants_and_not_itself() -> None:
    device = beating()
    for second in range(20):
        assert device.at(second, 7, second // 2 % 2) == [GOOD, GOOD], "it toggles every 2 s"
    assert [device.at(19 + k, 7, 1)[0] for k in range(1, 8)] == [GOOD] * 3 + [FROZEN] * 4
    assert device.at(27, 8, 1) == [FROZEN, GOOD], "a value that moves without its heart is no proof of life"
    assert device.at(28, 8, 0) == [GOOD, GOOD]


def test_each_dependant_has_its_own_patience() -> None:
    device = Device(
        Point("a", "40001", heartbeat_point="beat", heartbeat_s=2.0),
        Point("b", "40002", heartbeat_point="beat", heartbeat_s=4.0),
        Point("beat", "40003", "bit", bit=15),
    )
    seen = [device.at(second, 1, 1, 0) for second in range(5)]
    assert [row[0] for row in seen] == [GOOD, GOOD, FROZEN, FROZEN, FROZEN]
    assert [row[1] for row in seen] == [GOOD] * 4 + [FROZEN]


@pytest.mark.parametrize(
    "make", [beating, lambda: Device(Point("pv", "40001", frozen_s=5.0), Point("x", "40002"))]
)
def test_time_that_nobody_saw_proves_nothing(make: Callable[[], Device]) -> None:
    device = make()
    assert device.at(0, 7, 0)[0] == GOOD
    assert device.at(2, 7, 0)[0] == GOOD
    assert device.judge is not None
    device.judge.interrupted()
    assert device.at(1000, 7, 0)[0] == GOOD, "the line was down for long, the instrument perhaps not"
    assert device.at(1002, 7, 0)[0] == GOOD
    assert device.at(1003, 7, 0)[0] == FROZEN, "2 s and 3 s were seen"


def test_a_refused_block_is_not_seen_either_and_stays_frozen_what_was() -> None:
    device = Device(Point("pv", "40001", frozen_s=5.0))
    refused = [(0, Cause.REFUSED)]
    assert device.at(0, 7) == [GOOD]
    assert device.at(4, 7) == [GOOD]
    assert device.at(8, 0, failed=refused) == [bad(Cause.REFUSED)]
    assert device.at(12, 7) == [GOOD], "4 s were seen"
    assert device.at(13, 7) == [FROZEN]
    assert device.at(14, 0, failed=refused) == [bad(Cause.REFUSED)]
    assert device.at(15, 7) == [FROZEN], "an outage is no change"
    assert device.at(16, 8) == [GOOD]


def test_frozen_looks_at_the_bytes_and_comes_back_at_the_first_change() -> None:
    device = Device(
        Point("f", "40001", "float32", frozen_s=3.0),
        Point("bit", "40003", "bit", bit=0, frozen_s=3.0),
        Point("free", "40003", "bit", bit=1),
    )
    negative_zero = (0x8000, 0)
    assert [device.at(second, 0, 0, 2 * (second % 2))[:2] for second in range(4)] == [
        [GOOD, GOOD],
        [GOOD, GOOD],
        [GOOD, GOOD],
        [FROZEN, FROZEN],
    ]
    assert device.at(4, *negative_zero, 0) == [GOOD, FROZEN, GOOD], "0.0 and -0.0 are other bytes"
    assert device.at(5, *negative_zero, 1) == [GOOD, GOOD, GOOD]


def test_a_value_that_is_frozen_and_out_of_range_is_bad() -> None:
    device = Device(Point("pv", "40001", frozen_s=2.0, range_lo=0.0, range_hi=100.0))
    assert [device.at(second, 200) for second in range(3)] == [[OVER], [OVER], [FROZEN]]


def test_a_status_word_behind_a_dead_heart_says_nothing() -> None:
    device = Device(
        Point("pv", "40001", status_point="w", status_bits="0=maintenance"),
        Point("w", "40002", heartbeat_point="beat", heartbeat_s=2.0),
        Point("beat", "40003", "bit", bit=0),
    )
    assert [device.at(second, 5, 0, 0)[0] for second in range(3)] == [GOOD, GOOD, FROZEN]


@pytest.mark.parametrize("way", ["status_point", "decimals_point"])
def test_what_hangs_on_a_lost_heartbeat_over_two_steps_is_lost(way: str) -> None:
    named = {way: "w", **({"status_bits": "0=maintenance"} if way == "status_point" else {})}
    device = Device(
        Point("pv", "FC03/0", **named),  # type: ignore[arg-type]
        Point("w", "FC03/1", heartbeat_point="beat", heartbeat_s=2.0),
        Point("beat", "FC03/100", "bit", bit=0),
        max_gap=0,
    )
    assert device.at(0, 5, 0, 0) == [GOOD] * 3
    assert device.at(1, 5, 0, 0, failed=[(1, Cause.COMM)]) == [bad(Cause.COMM)] * 3
    assert device.at(2, 5, 0, 1) == [GOOD] * 3


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 7), min_size=8, max_size=8), st.sets(st.integers(0, 7)))
def test_loss_is_passed_on_along_any_chain_or_circle_of_heartbeats(named: list[int], lost: set[int]) -> None:
    points = [Point(f"p{k}", f"FC03/{10 * k}", "bit", bit=0) for k in range(8)]
    for k, other in enumerate(named):
        if other != k:
            points[k] = replace(points[k], heartbeat_point=f"p{other}", heartbeat_s=9.0)
    reached = set(lost)
    for _ in range(8):
        reached |= {k for k, other in enumerate(named) if other in reached}
    judge = Judge(points)
    found = np.array([bad(Cause.COMM) if k in lost else GOOD for k in range(8)], dtype=np.uint8)
    _, judged = judge.judge(np.zeros(8), found, np.zeros(0, dtype=np.uint8), 0)
    assert set(np.flatnonzero(is_bad(judged)).tolist()) == reached


def test_a_plan_that_became_smaller_has_the_same_judge() -> None:
    device = Device(Point("a", "40001", frozen_s=3.0), Point("b", "40005", frozen_s=3.0))
    assert device.at(0, 1, 0, 0, 0, 2) == [GOOD, GOOD]
    (block,) = device.blocks
    device.decoder = compile_plan(device.points, 1, narrow(device.points, 1, block))
    assert device.at(1, 1, 2) == [GOOD, GOOD]
    assert device.at(3, 1, 3) == [FROZEN, GOOD]


def test_a_value_outside_its_range_is_uncertain_and_kept() -> None:
    device = Device(
        Point("pv", "40001", "int16", range_lo=0.0, range_hi=100.0),
        Point("half", "40002", range_lo=0.0),
        Point("none", "40003"),
    )
    assert device.at(0, 105, 60000, 60000) == [GOOD] * 3, (
        "a twentieth of the span is an instrument's own slack"
    )
    assert device.at(1, 106, 0, 0) == [OVER, GOOD, GOOD]
    assert device.values[0] == 106
    assert device.at(2, 0x10000 - 6, 0, 0) == [UNDER, GOOD, GOOD]
    assert device.at(3, 0x10000 - 5, 0, 0) == [GOOD] * 3


def test_ranges_serve_any_rows_and_leave_bad_ones_bad() -> None:
    ranges = Ranges.of([Point(f"p{k}", "", range_lo=0.0, range_hi=10.0 * (k + 1)) for k in range(3)])
    found = np.array([bad(Cause.COMM), GOOD], dtype=np.uint8)
    rows = np.array([0, 2], dtype=np.uint16)
    assert ranges.apply(np.array([np.nan, 30.0]), found, rows) is found
    assert ranges.apply(np.array([np.nan, 99.0]), found, rows).tolist() == [bad(Cause.COMM), OVER]
    every = np.full(3, GOOD, dtype=np.uint8)
    assert ranges.apply(np.array([15.0, 15.0, -9.0]), every).tolist() == [OVER, GOOD, UNDER]


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(list(Cause)), st.booleans()), max_size=12))
def test_the_gravest_is_told_whatever_the_order(said: list[tuple[int, Cause, bool]]) -> None:
    rows = np.array([row for row, _, _ in said], dtype=np.intp)
    found = [bad(cause) if gone else quality(Status.UNCERTAIN, cause) for _, cause, gone in said]
    column = graver(np.full(5, GOOD, dtype=np.uint8), rows, np.array(found, dtype=np.uint8))
    for row in range(5):
        own = [byte for at, byte in zip(rows.tolist(), found, strict=True) if at == row]
        order = sorted(own, key=lambda byte: (byte & 3, GRAVITY.index(cause_of(byte))))
        assert column[row] == (order[0] if own else GOOD)


steps = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 1), st.booleans()), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@given(steps, st.integers(2, 9))
def test_heartbeat_and_frozen_are_the_same_sum_of_seen_stillness(
    steps: list[tuple[int, int, bool]], limit: int
) -> None:
    device = Device(
        Point("pv", "FC03/0", heartbeat_point="beat", heartbeat_s=float(limit)),
        Point("beat", "FC03/100", "bit", bit=0, frozen_s=float(limit)),
        max_gap=0,
    )
    now, still, last, seen = 0, 0, None, False
    for passed, bit, read in steps:
        now += passed
        if read and bit != last:
            still, last = 0, bit
        elif read and seen:
            still += passed
        seen = read
        failed = [] if read else [(1, Cause.COMM)]
        expected = bad(Cause.COMM) if not read else FROZEN if still >= limit else GOOD
        assert device.at(now, 5, bit if read else 1 - bit, failed=failed) == [expected, expected]


@pytest.mark.parametrize("field", ["status_point", "heartbeat_point"])
def test_a_partner_of_another_group_is_refused(field: str) -> None:
    points = (Point("a", "40001", **{field: "b"}), Point("b", "40002"))  # type: ignore[arg-type]
    with pytest.raises(PointError) as caught:
        Judge.of(points, [0])
    assert (caught.value.field, caught.value.point) == (field, "a")
