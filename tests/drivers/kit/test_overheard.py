"""What is told of points nobody asked for: news once, a refusal as one, silence only after three periods of it."""

from __future__ import annotations

from drivers.kit.overhear import Heard
from drivers.kit.overheard import OVERHEARD_PERIODS, Overheard
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Device, Point

PERIOD = 1_000_000_000
UTC = 1_700_000_000 * PERIOD
DEVICE = Device("line", (Point("a", "FC03/10"), Point("b", "FC03/11"), Point("c", "FC03/90")), 1.0, 0)


def told(group: Overheard, now_ns: int) -> list[tuple[int, float, int]]:
    scan = group.scan(now_ns, UTC, now_ns)
    assert (scan.taken_ns, scan.taken_mono_ns) == (UTC, now_ns)
    return [
        (int(p), float(v), int(q)) for p, v, q in zip(scan.points, scan.values, scan.quality, strict=True)
    ]


def opened() -> Overheard:
    group = Overheard(DEVICE, 1, PERIOD, range(3))
    group.opened(0)
    return group


def test_what_was_heard_is_told_once() -> None:
    group = opened()
    assert told(group, 1) == []
    assert not group.is_complete
    group.notebook.note(Heard(1, 3, 10, 2, bytes.fromhex("00110022")), 2)
    assert group.is_heard(2)
    assert told(group, 3) == [(0, 17.0, GOOD), (1, 34.0, GOOD)]
    assert told(group, 4) == []
    group.notebook.note(Heard(1, 3, 10, 1, bytes.fromhex("0012")), 5)
    assert told(group, 6) == [(0, 18.0, GOOD)]


def test_a_refusal_is_told_as_one() -> None:
    group = opened()
    group.notebook.note(Heard(1, 3, 90, 1, b""), 2)
    assert [(p, q) for p, _, q in told(group, 3)] == [(2, bad(Cause.REFUSED))]


def test_what_was_unheard_too_long_is_bad_and_the_rest_is_not() -> None:
    group = opened()
    group.notebook.note(Heard(1, 3, 10, 2, bytes.fromhex("00110022")), PERIOD)
    end = OVERHEARD_PERIODS * PERIOD
    assert not group.is_overdue(end)
    assert [(p, q) for p, _, q in told(group, end)] == [(0, GOOD), (1, GOOD), (2, bad(Cause.COMM))]
    assert group.is_overdue(end + PERIOD)
    assert [q for _, _, q in told(group, end + PERIOD)] == [bad(Cause.COMM)] * 3


def test_a_line_that_is_not_open_says_so_of_every_point() -> None:
    scan = opened().missed(UTC, 7)
    assert scan.quality.tolist() == [bad(Cause.COMM)] * 3
    assert (scan.taken_ns, scan.taken_mono_ns) == (UTC, 7)
