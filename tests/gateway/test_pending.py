from dataclasses import replace

import numpy as np
import pytest

from drivers.kit.quality import GOOD
from drivers.kit.scan import Point, Scan
from gateway import pending as module
from gateway.alarm.limits import Limits
from gateway.codec import decode
from gateway.engine import Engine, WatchedDevice
from gateway.instant import UNSYNCHRONISED, Now
from gateway.pending import Pending, append_of
from gateway.plant import PointConfig

NOW = Now(0, 1_000)


def scan(taken_ns, value=50.0, n=10):
    points = np.arange(n, dtype=np.uint16)
    return Scan("plc", "rev", points, np.full(n, value), np.full(n, GOOD, dtype=np.uint8), taken_ns, 0)


def changes_of(*values):
    points = tuple(PointConfig(Point(f"P{k}", "40001"), limits=Limits(h=80.0)) for k in range(10))
    engine = Engine([WatchedDevice("plc", points)], (), NOW)
    return tuple(
        change
        for k, value in enumerate(values)
        for change in engine.step([scan(k, value)], Now(k, k + 1)).changes
    )


def kinds(append):
    return [(draft.lane, decode(draft.body).kind) for draft in append.drafts]


def test_what_caused_an_alarm_the_alarm_and_its_state_are_one_append():
    pending = Pending(1000)
    pending.add_scans((scan(1), scan(2)))
    pending.add_changes(changes_of(85.0)[:1])
    append = append_of(pending.take(), "rev", UNSYNCHRONISED, NOW)
    assert kinds(append) == [("reading", "sample"), ("alarm", "alarm")]
    assert list(append.state) == ["alarm/P0/high"]
    assert decode(append.drafts[1].body).header["item"]["transition"] == "raise"
    assert not pending.urgent
    assert pending.rows == 0


def test_beyond_the_bound_the_oldest_readings_go_and_the_gap_says_so():
    pending = Pending(80)
    pending.add_scans(tuple(scan(k) for k in range(1, 8)))
    assert pending.rows == 3 * (10 + module.SCAN_ROWS)
    append = append_of(pending.take(), "rev", UNSYNCHRONISED, NOW)
    assert kinds(append) == [("reading", "sample"), ("journal", "gap")]
    item = decode(append.drafts[1].body).header["item"]
    assert (item["from_ns"], item["to_ns"], item["dropped"], item["cause"]) == (1, 4, 4, "disk")
    assert [s.taken_ns for s in decode(append.drafts[0].body).scans] == [5, 6, 7]


def test_what_a_history_gave_goes_before_what_was_just_read():
    pending = Pending(80)
    pending.add_scans((scan(9), replace(scan(1), history=True), replace(scan(2), history=True), scan(10)))
    pending.add_scans((scan(11),))
    append = append_of(pending.take(), "rev", UNSYNCHRONISED, NOW)
    assert [s.taken_ns for s in decode(append.drafts[0].body).scans] == [9, 10, 11]
    item = decode(append.drafts[1].body).header["item"]
    assert (item["from_ns"], item["to_ns"], item["dropped"]) == (1, 2, 2)
    pending.add_scans(tuple(scan(k) for k in range(20, 25)))
    assert pending.rows == 3 * (10 + module.SCAN_ROWS), "none of the history is counted any more"


def test_a_record_is_dated_by_what_was_just_read_and_not_by_a_history():
    pending = Pending(1000)
    pending.add_scans((scan(9), replace(scan(1), history=True)))
    append = append_of(pending.take(), "rev", UNSYNCHRONISED, NOW)
    assert append.drafts[0].created_ns == 9
    assert [s.history for s in decode(append.drafts[0].body).scans] == [False, True]


@pytest.mark.parametrize(("rows", "chars"), [(10, 10_000), (300, 10_000), (20_000, 250), (65_000, 16)])
def test_texts_never_burst_a_records_header(rows, chars):
    texts = dict.fromkeys(range(rows), "\x01" * chars)
    many = replace(scan(5, n=rows), exact=texts, source_ns=np.arange(rows, dtype=np.int64))
    pending = Pending(10_000_000)
    pending.add_scans((scan(4), many, scan(6)))
    drafts = append_of(pending.take(), "rev", UNSYNCHRONISED, NOW).drafts
    back = [one for draft in drafts for one in decode(draft.body).scans]
    assert [one.taken_ns for one in (back[0], back[-1])] == [4, 6]
    middle = back[1:-1]
    assert np.concatenate([one.points for one in middle]).tolist() == list(range(rows))
    assert np.concatenate([one.source_ns for one in middle]).tolist() == list(range(rows))
    assert [text for one in middle for text in one.exact.values()] == list(texts.values())


def test_a_failed_append_is_put_back_before_what_came_since():
    pending = Pending(1000)
    changes = changes_of(85.0, 20.0)
    pending.add_scans((scan(1),))
    pending.add_changes(changes[:10])
    waiting = pending.take()
    pending.add_scans((scan(2),))
    pending.add_changes(changes[10:])
    pending.declare(7, 9, 3, "overflow")
    pending.put_back(waiting)
    again = pending.take()
    assert [s.taken_ns for s in again.scans] == [1, 2]
    assert [c.transition for c in again.changes] == ["raise"] * 10 + ["clear"] * 10
    assert again.gap is not None
    assert again.gap.dropped == 3
    assert again.state.keys() == {f"alarm/P{k}/high" for k in range(10)}


def test_alarm_changes_are_folded_per_alarm_and_counted_and_never_dropped(monkeypatch):
    monkeypatch.setattr(module, "MAX_CHANGES", 15)
    pending = Pending(1000)
    pending.add_changes(changes_of(85.0, 20.0))
    waiting = pending.take()
    assert [(c.transition, c.coalesced) for c in waiting.changes] == [("clear", 1)] * 10


def test_other_drafts_are_bounded_too(monkeypatch):
    monkeypatch.setattr(module, "MAX_DRAFTS", 2)
    pending = Pending(1000)
    for k in range(3):
        pending.add_draft(module.Draft("journal", k, b"%d" % k), {f"s{k}": b""})
    waiting = pending.take()
    assert [d.body for d in waiting.drafts] == [b"1", b"2"]
    assert waiting.gap is not None
    assert waiting.gap.cause == "overflow"


@pytest.mark.parametrize("rounds", [1, 5])
def test_nothing_waits_twice_however_often_the_disk_fails(rounds):
    pending = Pending(1000)
    pending.add_scans((scan(1),))
    for _ in range(rounds):
        pending.put_back(pending.take())
    assert pending.rows == 10 + module.SCAN_ROWS


def test_what_waited_long_becomes_several_records_that_every_recipient_can_take(monkeypatch):
    monkeypatch.setattr(module, "RECORD_ROWS", 25)
    pending = Pending(10_000)
    pending.add_scans(tuple(scan(k) for k in range(1, 6)))
    append = append_of(pending.take(), "rev", UNSYNCHRONISED, NOW)
    taken = [[s.taken_ns for s in decode(draft.body).scans] for draft in append.drafts]
    assert taken == [[1, 2], [3, 4], [5]]
    assert [draft.created_ns for draft in append.drafts] == [2, 4, 5]
    monkeypatch.setattr(module, "RECORD_SCANS", 1)
    pending.add_scans(tuple(scan(k) for k in range(1, 4)))
    assert len(append_of(pending.take(), "rev", UNSYNCHRONISED, NOW).drafts) == 3


def test_without_room_readings_and_pictures_become_the_gap_and_the_rest_stays():
    pending = Pending(1000)
    pending.add_scans((scan(3), scan(4)))
    pending.add_changes(changes_of(85.0)[:1])
    pending.add_draft(module.Draft("snapshot", 9, b"s"))
    pending.add_draft(module.Draft("journal", 5, b"j"))
    left = module.without_bulk(pending.take())
    assert [draft.lane for draft in left.drafts] == ["journal"]
    assert len(left.changes) == 1
    assert left.gap is not None
    assert (left.gap.from_ns, left.gap.to_ns, left.gap.dropped, left.gap.cause) == (3, 9, 3, "quota")
    assert module.without_bulk(left) is left
