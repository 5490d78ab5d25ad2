"""What the control socket takes and refuses of warnings from above."""

import pytest

from gateway.above import Above, Answer
from gateway.control import Peer
from gateway.desk.warnings import deeds
from gateway.errors import UserFacingError
from gateway.instant import ClockState, Now
from gateway.uplink.order import Order

NOW = Now(0, 1_795_318_260_000_000_000, ClockState("synchronised"))
LI = Peer("li", "operator")


@pytest.fixture
def desk():
    house = Above()
    house.receive(Order("province", "s/g", "W-1", "warning", "red", "液位", "", (), NOW.utc_ns), NOW)
    found = deeds(
        lambda *, everything=False: house.view(NOW, everything=everything),
        lambda actor, answer: house.answer(actor, answer, NOW),
    )
    assert {name: deed.role for name, deed in found.items()} == {"warnings": "viewer", "answer": "operator"}
    return {name: deed.do for name, deed in found.items()}


def test_one_is_listed_and_answered_by_the_peer_the_kernel_names(desk):
    request = {
        "op": "answer",
        "id": "W-1",
        "cause": "漂移",
        "action": "校准",
        "note": "",
        "by": "somebody else",
    }
    assert desk["answer"](request, LI) == {"id": "W-1", "answered": True}
    [seen] = desk["warnings"]({"op": "warnings", "all": True}, LI)
    assert (seen["state"], seen["answer"]["by"], seen["answer"]["cause"]) == ("answered", "li", "漂移")


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"id": "W-2"}, "E-NAME-WARNING"),
        ({"id": ""}, "E-NAME-FIELD"),
        ({"cause": ""}, "E-NAME-FIELD"),
        ({"action": None}, "E-NAME-FIELD"),
        ({"action": "x" * 501}, "E-NAME-FIELD"),
        ({"note": ["x"]}, "E-NAME-FIELD"),
    ],
)
def test_an_answer_says_what_it_lacks(desk, fields, code):
    with pytest.raises(UserFacingError) as refused:
        desk["answer"]({"id": "W-1", "cause": "a", "action": "b", **fields}, LI)
    assert refused.value.code == code
    assert desk["warnings"]({}, LI)[0]["state"] == "unanswered"


def test_what_the_house_refuses_is_said_in_words(desk):
    for _ in range(20):
        desk["answer"]({"id": "W-1", "cause": "a", "action": "b"}, LI)
    with pytest.raises(UserFacingError, match="20 times"):
        desk["answer"]({"id": "W-1", "cause": "a", "action": "b"}, LI)
    assert Answer("x", "a", "b").note == ""
