"""The judge finds what was planted, and nothing where nothing was: negative controls for every figure."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from hil.judge import Arrival, Reading, judge


def clean_run(records=30, points=("plc1", "plc2", "GT-101"), stamps_per_record=2):
    """What an honest gateway delivers: each record carries the next stamps of every point."""
    answered, arrivals = [], []
    for record in range(records):
        stamps = range(record * stamps_per_record + 1, (record + 1) * stamps_per_record + 1)
        readings = [Reading(point, stamp) for stamp in stamps for point in points]
        answered += readings
        arrivals.append(Arrival(f"gw/s1/reading/{record + 1}", b"%d" % record, False, readings))
    return answered, arrivals


def figures(count):
    return (count.lost, count.duplicates, count.redelivered, count.out_of_order, count.unknown)


def test_an_honest_run_is_clean():
    answered, arrivals = clean_run()
    count = judge(answered, arrivals)
    assert figures(count) == (0, 0, 0, 0, 0)
    assert count.clean
    assert count.answered == count.arrived == 180
    assert not count.examples


def test_nothing_answered_is_no_pass():
    assert not judge([], []).clean


def test_planted_loss():
    answered, arrivals = clean_run()
    count = judge(answered, arrivals[:7] + arrivals[8:])
    assert figures(count) == (6, 0, 0, 0, 0)
    assert not count.clean
    assert "stamp=15" in count.examples["lost"][0]


def test_planted_loss_of_one_point_in_one_record():
    answered, arrivals = clean_run()
    hurt = arrivals[3]
    arrivals[3] = Arrival(hurt.key, hurt.content, hurt.backfill, hurt.readings[1:])
    assert figures(judge(answered, arrivals)) == (1, 0, 0, 0, 0)


def test_planted_duplicate_under_a_second_key():
    answered, arrivals = clean_run()
    arrivals.append(Arrival("gw/s2/reading/1", b"x", False, [arrivals[-1].readings[0]]))
    assert figures(judge(answered, arrivals)) == (0, 1, 0, 0, 0)


def test_planted_second_content_under_one_key():
    answered, arrivals = clean_run()
    arrivals.append(Arrival(arrivals[4].key, b"forged", False, []))
    assert figures(judge(answered, arrivals)) == (0, 1, 0, 0, 0)


def test_planted_reading_twice_in_one_message():
    answered, arrivals = clean_run()
    last = arrivals[-1]
    arrivals[-1] = Arrival(last.key, last.content, False, [*last.readings, last.readings[0]])
    assert figures(judge(answered, arrivals)) == (0, 1, 0, 0, 0)


def test_a_redelivery_is_reported_apart_and_is_no_fault():
    answered, arrivals = clean_run()
    count = judge(answered, [*arrivals, arrivals[2], arrivals[2], arrivals[9]])
    assert figures(count) == (0, 0, 3, 0, 0)
    assert count.clean


def test_planted_disorder_within_live_and_within_backfill():
    answered, arrivals = clean_run()
    arrivals[5], arrivals[6] = arrivals[6], arrivals[5]
    assert figures(judge(answered, arrivals)) == (0, 0, 0, 6, 0)
    late = [Arrival(a.key, a.content, True, a.readings) for a in arrivals]
    assert figures(judge(answered, late)) == (0, 0, 0, 6, 0)


def test_backfill_after_live_is_no_disorder():
    answered, arrivals = clean_run()
    backfill = [Arrival(a.key, a.content, True, a.readings) for a in arrivals[5:12]]
    live = arrivals[:5] + arrivals[12:]
    mixed = live[:10] + [m for pair in zip(live[10:17], backfill, strict=True) for m in pair] + live[17:]
    assert judge(answered, mixed).clean


def test_planted_invention():
    answered, arrivals = clean_run()
    arrivals.append(Arrival("gw/s1/reading/99", b"y", False, [Reading("plc1", 9999)]))
    count = judge(answered, arrivals)
    assert figures(count) == (0, 0, 0, 0, 1)
    assert not count.clean


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), lose=st.integers(0, 5), double=st.integers(0, 5), again=st.integers(0, 5))
def test_any_mixture_of_planted_faults_is_counted_exactly(seed, lose, double, again):
    dice = random.Random(seed)
    answered, arrivals = clean_run()
    gone = set(dice.sample(range(30), lose))
    kept = [a for i, a in enumerate(arrivals) if i not in gone]
    doubled = [
        Arrival(f"gw/s9/reading/{n}", b"%d" % n, True, [a.readings[0]])
        for n, a in enumerate(dice.sample(kept, double))
    ]
    count = judge(answered, kept + doubled + dice.sample(kept, again))
    assert figures(count)[:3] == (6 * lose, double, again)
    assert count.unknown == count.out_of_order == 0


def test_examples_are_bounded():
    answered, _ = clean_run(50)
    assert len(judge(answered, []).examples["lost"]) == 10
