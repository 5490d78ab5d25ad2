"""The memory of newest records."""

from __future__ import annotations

from buffer.recent import Recent
from buffer.record import Record


def records(lane, first, last, size=10):
    return [Record(lane, seq, seq, bytes(size), b"") for seq in range(first, last + 1)]


def test_a_page_as_the_spool_would_read_it():
    recent = Recent(1_000)
    recent.add(records("alarm", 5, 20))
    page = recent.page("alarm", 7, 20, 4, 1_000)
    assert [record.seq for record in page.records] == [7, 8, 9, 10]
    assert page.next_seq == 11
    assert [record.seq for record in recent.page("alarm", 19, 19, 4, 1_000).records] == [19]
    assert len(recent.page("alarm", 7, 20, 9, 25).records) == 2
    assert len(recent.page("alarm", 7, 20, 9, 1).records) == 1, "one at least, however large"


def test_what_is_not_in_memory_is_asked_of_the_disk():
    recent = Recent(1_000)
    recent.add(records("alarm", 5, 20))
    assert recent.page("alarm", 4, 20, 4, 1_000) is None
    assert recent.page("alarm", 21, 30, 4, 1_000) is None
    assert recent.page("reading", 1, 30, 4, 1_000) is None


def test_bounded_in_bytes_the_oldest_of_any_lane_leave():
    recent = Recent(100)
    recent.add(records("alarm", 1, 5))
    recent.add(records("reading", 1, 8))
    assert recent.page("alarm", 3, 5, 9, 999) is None
    assert len(recent.page("alarm", 4, 5, 9, 999).records) == 2
    assert len(recent.page("reading", 1, 8, 9, 999).records) == 8
    recent.add(records("reading", 9, 9, size=500))
    assert recent.page("reading", 9, 9, 9, 999) is None, "larger than the whole memory"


def test_a_hole_ends_the_run():
    recent = Recent(1_000)
    recent.add(records("alarm", 1, 3))
    recent.add(records("alarm", 7, 8))
    assert recent.page("alarm", 2, 8, 9, 999) is None
    assert [record.seq for record in recent.page("alarm", 7, 8, 9, 999).records] == [7, 8]


def test_forgetting_what_was_purged():
    recent = Recent(1_000)
    recent.add(records("alarm", 1, 5))
    recent.forget("alarm", 3)
    assert recent.page("alarm", 3, 5, 9, 999) is None
    assert len(recent.page("alarm", 4, 5, 9, 999).records) == 2
