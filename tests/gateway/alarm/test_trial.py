import pytest

from drivers.kit.scan import Point
from gateway.alarm import people
from gateway.alarm.limits import NEVER, Limits
from gateway.alarm.people import AlarmSettings, EndTest, RefusedError, UnknownAlarmError
from gateway.alarm.trial import MAX_TESTS
from gateway.engine import Engine, WatchedDevice
from gateway.instant import Now
from gateway.plant import PointConfig

S = 10**9


def now(second=0.0):
    return Now(int(second * S), 1_790_000_000 * S + int(second * S))


def bench(n=1, **limits):
    limits = limits or {"h": 80.0, "hh": 90.0}
    points = tuple(PointConfig(Point(f"LT-{k}", "40001"), limits=Limits(**limits)) for k in range(n))
    return Engine([WatchedDevice("plc", points)], (), now(), settings=AlarmSettings(test_longest_s=60.0))


def test_an_injected_value_sounds_is_marked_and_stays_out_of_the_alarm_lane():
    engine = bench()
    outcome = engine.command("li", people.Test("LT-0", 95.0, "试警", 30.0), now(1))
    [siren] = outcome.sirens
    assert (siren.transition, siren.alarm.condition, siren.alarm.test) == ("raise", "LT-0/high", True)
    assert siren.alarm.alarm_id.startswith("test:")
    assert outcome.changes == ()
    assert engine.alarms == {}
    assert [entry.kind for entry in outcome.entries] == ["operator_action", "alarm_test"]
    begun = outcome.entries[0].item
    assert (begun["by"], begun["reason"], begun["at"]) == ("li", "试警", "2026-09-21T14:13:21.000Z")
    assert outcome.entries[1].item["test"] is True
    assert engine.tests[0]["value"] == 95.0
    assert engine.tests[0]["levels"] == ["HH"], "what the test is made for"
    assert "levels" not in outcome.entries[0].item


def test_a_test_ends_by_itself_or_by_command():
    engine = bench()
    engine.command("li", people.Test("LT-0", 95.0, "试警", 30.0), now(1))
    assert engine.next_deadline <= 31 * S
    assert engine.tick(now(30.9)).sirens == ()
    outcome = engine.tick(now(31))
    assert [(c.transition, c.alarm.clear_kind, c.alarm.test) for c in outcome.sirens] == [
        ("clear", "test_ended", True)
    ]
    assert [entry.kind for entry in outcome.entries] == ["alarm_test", "operator_action"]
    assert engine.tests == []
    engine.command("li", people.Test("LT-0", 95.0, "试警", 30.0), now(40))
    ended = engine.command("wang", EndTest("LT-0"), now(41))
    assert ended.sirens[0].alarm.clear_kind == "test_ended"
    assert ended.entries[-1].item["by"] == "wang"
    with pytest.raises(UnknownAlarmError, match="LT-0"):
        engine.command("wang", EndTest("LT-0"), now(42))


def test_a_test_goes_through_the_real_delay():
    engine = bench(h=80.0, on_delay_s=5.0)
    assert engine.command("li", people.Test("LT-0", 85.0, "试警", 30.0), now(1)).sirens == ()
    assert engine.next_deadline == 6 * S
    assert [c.alarm.condition for c in engine.tick(now(6)).sirens] == ["LT-0/high"]


def test_a_value_within_the_limits_raises_nothing():
    outcome = bench().command("li", people.Test("LT-0", 50.0, "试警", 30.0), now(1))
    assert outcome.sirens == ()
    assert len(outcome.entries) == 1


@pytest.mark.parametrize(
    ("test", "code", "facts"),
    [
        (people.Test("LT-0", 95.0, " ", 30.0), "E-REFUSED-REASON", {}),
        (people.Test("LT-0", 95.0, "x", 60.1), "E-REFUSED-LONG", {"longest_s": "60"}),
        (people.Test("LT-0", 95.0, "x", 0.0), "E-REFUSED-LONG", {"longest_s": "60"}),
    ],
)
def test_a_test_needs_a_reason_and_an_end(test, code, facts):
    engine = bench()
    with pytest.raises(RefusedError) as told:
        engine.command("li", test, now(1))
    assert (told.value.code, told.value.facts) == (code, facts)
    assert engine.tests == []
    engine.command("li", people.Test("LT-0", 95.0, "x", 0.5), now(1))
    assert engine.next_deadline == int(1.5 * S), "half a second is long enough"


def test_tests_are_bounded_one_per_point_and_of_known_points():
    engine = bench(MAX_TESTS + 1)
    with pytest.raises(UnknownAlarmError, match="LT-99"):
        engine.command("li", people.Test("LT-99", 95.0, "x", 30.0), now(1))
    for k in range(MAX_TESTS):
        engine.command("li", people.Test(f"LT-{k}", 95.0, "x", 60.0), now(1))
    for name in ("LT-0", f"LT-{MAX_TESTS}"):
        with pytest.raises(RefusedError) as told:
            engine.command("li", people.Test(name, 95.0, "x", 30.0), now(1))
        assert (told.value.code, told.value.facts) == ("E-REFUSED-TEST", {"most": MAX_TESTS})


def test_without_tests_nothing_is_due():
    assert bench()._trials.next_deadline == NEVER


def test_tests_that_end_together_are_each_told_and_journalled():
    engine = bench(2)
    for k in (0, 1):
        engine.command("li", people.Test(f"LT-{k}", 95.0, "试警", 30.0), now(1))
    outcome = engine.tick(now(31))
    told = [(c.transition, c.alarm.condition, c.alarm.peak) for c in outcome.sirens]
    assert told == [("clear", "LT-0/high", 95.0), ("clear", "LT-1/high", 95.0)]
    first, second = (entry.item for entry in outcome.entries if entry.kind == "operator_action")
    ended = "2026-09-21T14:13:51.000Z"
    assert first == {
        "action": "end_test", "target": "LT-0", "value": 95.0, "by": "", "reason": "试警", "until": ended, "at": ended,
    }  # fmt: skip
    assert second["target"] == "LT-1"


def test_what_is_raised_at_the_very_end_of_its_test_is_told_and_taken_back():
    engine = bench(h=80.0, on_delay_s=30.0)
    engine.command("li", people.Test("LT-0", 85.0, "试警", 30.0), now(1))
    outcome = engine.tick(now(31))
    assert [c.transition for c in outcome.sirens] == ["raise", "clear"]
    tested = [entry.item for entry in outcome.entries if entry.kind == "alarm_test"]
    assert [(item["transition"], item["config_rev"]) for item in tested] == [("raise", ""), ("clear", "")]
