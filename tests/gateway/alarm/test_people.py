import pytest

from gateway.alarm.people import Held, held

ONE = Held("shelve", "LT-1/high", "wang", "维修", 10**9, 61 * 10**9)


def test_a_hold_comes_back_from_its_state_and_from_nothing_else():
    assert held(ONE.state_bytes()) == ONE
    assert held(ONE.state_bytes()[:-1] + b',"newer":1}') == ONE
    for noise in (b"", b"[]", b"{}", ONE.state_bytes()[:-3]):
        with pytest.raises(ValueError, match="not a hold"):
            held(noise)


def test_a_hold_says_who_why_and_until_when():
    assert ONE.key == "hold/shelve/LT-1/high"
    assert ONE.item() == {
        "action": "shelve",
        "target": "LT-1/high",
        "by": "wang",
        "reason": "维修",
        "since": "1970-01-01T00:00:01.000Z",
        "until": "1970-01-01T00:01:01.000Z",
    }
