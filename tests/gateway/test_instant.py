import pytest

from gateway.instant import UNSYNCHRONISED, ClockState, Now, rfc3339, step_between_ns

S = 1_000_000_000


def test_stamps_are_cut_to_milliseconds_and_never_rounded_up():
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_790_000_000 * S + 999_999_999) == "2026-09-21T14:13:20.999Z"


@pytest.mark.parametrize(
    ("utc", "step"), [(11 * S, 0), (11 * S + 400_000_000, 0), (71 * S, 60 * S), (1 * S, -10 * S)]
)
def test_a_step_is_what_the_wall_clock_did_beyond_the_monotonic_one(utc, step):
    assert step_between_ns(Now(0, 10 * S), Now(1 * S, utc)) == step


def test_a_state_is_an_item():
    assert ClockState("holdover", 12.5).item() == {"state": "holdover", "error_ms": 12.5}
    assert UNSYNCHRONISED.item() == {"state": "unsynchronised", "error_ms": None}
