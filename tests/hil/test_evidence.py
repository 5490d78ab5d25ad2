"""What a receiver got, taken apart message by message."""

from hil.evidence import Received, Taken


def test_values_are_taken_with_their_own_quality():
    got = Received()
    scan = {"t_gateway": "t1", "point_id": ["a", "b", "c"], "value": [1.0, None, 3.0]}
    got.take({"lane": "reading", "kind": "sample", "scans": [{**scan, "quality": "good"}]}, {"a"})
    each = {**scan, "quality": ["bad", "bad", "good"]}
    got.take({"lane": "reading", "kind": "sample", "scans": [each]}, {"a", "c"})
    assert got.values == {
        "a": [Taken("t1", 1.0, True), Taken("t1", 1.0, False)],
        "c": [Taken("t1", 3.0, True)],
    }


def test_alarms_and_the_journal_are_kept_in_their_order():
    got = Received()
    got.take({"lane": "alarm", "kind": "alarm", "items": [{"n": 1}, {"n": 2}]}, ())
    got.take({"lane": "journal", "kind": "feedback", "items": [{"n": 3}]}, ())
    got.take({"lane": "journal", "kind": "stop", "items": [{"n": 4}]}, ())
    assert got.alarms == [{"n": 1}, {"n": 2}]
    assert got.of("feedback") == [{"n": 3}]
    assert got.of("start") == []
