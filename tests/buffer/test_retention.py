"""What goes first, what goes last, and what is declared."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from buffer.cursor import Position
from buffer.record import Gap
from buffer.retention import Kept, LaneUse, Limits, plan

DAY_NS = 86_400 * 10**9
NOW_NS = 1_000 * DAY_NS
LIMITS = Limits(quota_bytes=1_000, reserve_bytes=200, retention_ns=90 * DAY_NS)


def lane(name, count, *, settled=0, size=10, age_days=1, first=1, page=None, ranges=()):
    kept = [Kept(first + n, NOW_NS - age_days * DAY_NS + n, size) for n in range(count)]
    return LaneUse(name, first + count - 1, size * count, kept[:page], Position(settled, ranges))


def test_within_quota_only_old_and_settled_records_go():
    uses = [
        lane("reading", 10, settled=6, age_days=91),
        lane("alarm", 10, settled=10, age_days=89),
        lane("journal", 10, settled=0, age_days=400),
    ]
    decided = plan(uses, LIMITS, NOW_NS)
    assert (decided.up_to, decided.gaps, decided.more) == ({"reading": 6}, (), False)


def test_the_newest_record_of_a_lane_stays():
    assert plan([lane("reading", 5, settled=5, age_days=200)], LIMITS, NOW_NS).up_to == {"reading": 4}


def test_without_a_trusted_time_only_the_quota_decides():
    uses = [lane("alarm", 5, settled=5, age_days=200), lane("reading", 85, settled=85, age_days=200)]
    assert plan(uses, LIMITS, None).up_to == {"reading": 5}


def test_over_quota_settled_readings_go_first():
    uses = [lane("reading", 70, settled=70), lane("snapshot", 20), lane("alarm", 5)]
    decided = plan(uses, LIMITS, NOW_NS)
    assert (decided.up_to, decided.gaps) == ({"reading": 10}, ())


def test_settled_snapshots_go_before_unsettled_readings():
    uses = [lane("reading", 70), lane("snapshot", 20, settled=15)]
    decided = plan(uses, LIMITS, NOW_NS)
    assert (decided.up_to, decided.gaps) == ({"snapshot": 10}, ())


def test_unsettled_readings_are_given_up_with_a_gap():
    uses = [lane("reading", 100, settled=5, ranges=((8, 9),)), lane("alarm", 30)]
    decided = plan(uses, LIMITS, NOW_NS)
    assert decided.up_to == {"reading": 30}
    begin = NOW_NS - DAY_NS
    assert decided.gaps == (Gap("reading", 6, 30, begin + 5, begin + 29, "quota", 30 - 5 - 2),)


def test_alarms_and_journal_keep_their_reserve():
    uses = [lane("reading", 3), lane("alarm", 15), lane("journal", 200, settled=3)]
    decided = plan(uses, LIMITS, NOW_NS)
    assert decided.up_to.get("alarm") is None, "the journal is over the reserve, and goes first"
    left = {"reading": 30, "alarm": 150, "journal": 2_000}
    for name, last in decided.up_to.items():
        left[name] -= 10 * last
    assert sum(left.values()) <= LIMITS.quota_bytes
    assert left["alarm"] + left["journal"] >= LIMITS.reserve_bytes


def test_a_page_that_ends_first_asks_for_more():
    decided = plan([lane("reading", 500, settled=500, page=50), lane("snapshot", 20)], LIMITS, NOW_NS)
    assert (decided.up_to, decided.more) == ({"reading": 50}, True)
    aged = plan([lane("reading", 60, settled=60, page=50, age_days=100)], LIMITS, NOW_NS)
    assert (aged.up_to, aged.more) == ({"reading": 50}, True)


def test_nobody_to_wait_for_holds_nothing_back():
    use = LaneUse("reading", 3, 30, [Kept(n, 0, 10) for n in (1, 2, 3)], None)
    assert plan([use], LIMITS, NOW_NS).up_to == {"reading": 2}


lanes = st.fixed_dictionaries(
    {
        name: st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 40))
        for name in ("alarm", "reading", "snapshot", "journal")
    }
)


@given(lanes, st.integers(1, 2_000), st.floats(0, 0.9))
def test_what_must_hold_whatever_the_lanes(drawn, quota, share):
    limits = Limits(quota, int(quota * share), 90 * DAY_NS)
    uses = [lane(name, n, settled=min(s, n), size=size) for name, (n, s, size) in drawn.items() if n]
    decided = plan(uses, limits, NOW_NS)
    left = {use.lane: use.size_bytes for use in uses}
    for use in uses:
        last = decided.up_to.get(use.lane, 0)
        assert last < use.last_seq
        left[use.lane] -= sum(kept.size_bytes for kept in use.oldest if kept.seq <= last)
        lost = [kept.seq for kept in use.oldest if kept.seq <= last and not use.is_settled(kept.seq)]
        declared = [gap for gap in decided.gaps if gap.lane == use.lane]
        assert [(gap.first_seq, gap.last_seq, gap.dropped) for gap in declared] == (
            [(lost[0], lost[-1], len(lost))] if lost else []
        )
    newest = sum(use.oldest[-1].size_bytes for use in uses)
    assert sum(left.values()) <= quota + newest or all(
        left[use.lane] == use.oldest[-1].size_bytes for use in uses if use.lane in ("reading", "snapshot")
    )
    reserved = sum(left.get(name, 0) for name in ("alarm", "journal"))
    before = sum(use.size_bytes for use in uses if use.lane in ("alarm", "journal"))
    if reserved < before:
        assert reserved > limits.reserve_bytes - 40
