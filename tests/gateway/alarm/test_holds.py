import pytest

from gateway.alarm import holds as module
from gateway.alarm.holds import Holds
from gateway.alarm.limits import NEVER
from gateway.alarm.people import AlarmSettings, Hold, RefusedError
from gateway.instant import Now

S = 10**9
NOW = Now(100 * S, 1_790_000_000 * S)


def holds(*held):
    return Holds(held, NOW, AlarmSettings())


def test_a_hold_stands_from_its_begin_to_its_end():
    some = holds()
    assert some.next_deadline == NEVER
    one = some.begin("wang", Hold("shelve", "x", "维修", 60.0), "LT-1", NOW)
    assert (one.by, one.reason, one.since_ns, one.until_ns) == (
        "wang", "维修", NOW.utc_ns, NOW.utc_ns + 60 * S,
    )  # fmt: skip
    assert some.next_deadline == 160 * S
    assert some.due(160 * S - 1) == []
    assert some.due(160 * S) == [("shelve", "LT-1")]
    assert some.end(("shelve", "LT-1")) == one
    assert some.standing == {}
    assert some.next_deadline == NEVER
    with pytest.raises(KeyError):
        some.end(("shelve", "LT-1"))


def test_the_longest_hold_on_a_condition_or_its_point_counts():
    some = holds()
    assert some.until_ns("shelve", "LT-1/high", "LT-1") == 0
    some.begin("wang", Hold("shelve", "x", "a", 60.0), "LT-1/high", NOW)
    some.begin("wang", Hold("shelve", "x", "b", 90.0), "LT-1", NOW)
    some.begin("wang", Hold("out_of_service", "x", "c", 500.0), "LT-1", NOW)
    assert some.until_ns("shelve", "LT-1/high", "LT-1") == NOW.utc_ns + 90 * S
    assert some.until_ns("shelve", "LT-1/low", "LT-1") == NOW.utc_ns + 90 * S
    assert some.until_ns("shelve", "LT-2/high", "LT-2") == 0


def test_a_hold_renewed_has_the_newer_end():
    some = holds()
    for for_s in (60.0, 30.0):
        some.begin("wang", Hold("shelve", "x", "a", for_s), "LT-1", NOW)
    assert some.next_deadline == 130 * S
    assert len(some.standing) == 1


def test_a_hold_may_be_shorter_than_a_second():
    assert holds().begin("wang", Hold("shelve", "x", "a", 0.5), "LT-1", NOW).until_ns == NOW.utc_ns + S // 2


def test_a_refusal_says_what_would_be_taken(monkeypatch):
    some = holds()
    with pytest.raises(RefusedError) as told:
        some.begin("wang", Hold("shelve", "x", "a", 1e9), "LT-1", NOW)
    assert told.value.facts == {"longest_s": "28800"}
    monkeypatch.setattr(module, "MAX_HELD", 0)
    with pytest.raises(RefusedError) as told:
        some.begin("wang", Hold("shelve", "x", "a", 1.0), "LT-1", NOW)
    assert told.value.facts == {"most": 0}
