"""How people change limits at the control socket's desk: what is asked is checked, who asks is the peer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from drivers.kit.scan import Point
from gateway.alarm.limits import Limits
from gateway.control import Peer
from gateway.desk.limits import deeds
from gateway.errors import UserFacingError
from gateway.instant import Now
from gateway.limit_change import Decided, LimitBook
from gateway.plant import PointConfig

NOW = Now(0, 1_700_000_000_000_000_000)
WANG, LI = Peer("wang", "engineer"), Peer("li", "engineer")
POINTS = [
    PointConfig(Point("LT-1", "1", range_hi=100.0), limits=Limits(h=80.0)),
    PointConfig(Point("PT-1", "2"), limits=Limits(h=5.0)),
]


class Desk:
    """A book of limits behind its desk, and what was carried out."""

    def __init__(self, *, second_person: bool = False) -> None:
        self.done: list[Decided] = []
        book = LimitBook(POINTS, {}, NOW, "rev", second_person=second_person)
        self.recording = True
        self.deeds = deeds(book, lambda: NOW, self.done.append, lambda: self.recording)

    def ask(self, peer: Peer, op: str, **fields: Any) -> Any:
        request: Mapping[str, Any] = {"op": op, **fields}
        return self.deeds[op].do(request, peer)


def code_of(desk: Desk, peer: Peer, op: str, **fields: Any) -> str:
    with pytest.raises(UserFacingError) as refused:
        desk.ask(peer, op, **fields)
    assert refused.value.line("zh")
    assert refused.value.line("en")
    return refused.value.code


def test_roles() -> None:
    assert {op: deed.role for op, deed in Desk().deeds.items()} == {
        "limits": "viewer",
        **dict.fromkeys(("limit_set", "limit_return", "limit_approve", "limit_reject"), "engineer"),
    }


def test_one_person_changes_and_puts_back() -> None:
    desk = Desk()
    told = desk.ask(WANG, "limit_set", point_id="LT-1", values={"H": 82}, reason="工艺变更")
    change = {"field": "H", "old": 80.0, "new": 82.0}
    assert told == {"name": "LT-1", "changed": True, "waits": "", "changes": [change]}
    (decided,) = desk.done
    assert (decided.limits.h, decided.entries[0].item["by"]) == (82.0, "wang")
    (item,) = desk.ask(LI, "limits")
    assert item["changed"]["by"] == "wang"
    assert len(desk.ask(LI, "limits", all=True)) == 2
    assert desk.ask(LI, "limit_return", point_id="LT-1", reason="完")["changed"]
    assert desk.ask(LI, "limits") == []


def test_two_persons() -> None:
    desk = Desk(second_person=True)
    told = desk.ask(WANG, "limit_set", point_id="LT-1", values={"H": None}, reason="拆除")
    assert told["changed"] is False
    change_id = told["waits"]
    assert code_of(desk, WANG, "limit_approve", id=change_id) == "E-REFUSED-SAME-PERSON"
    assert desk.ask(LI, "limit_approve", id=change_id)["changed"]
    assert desk.done[-1].entries[0].item["approved_by"] == "li"
    again = desk.ask(WANG, "limit_set", point_id="LT-1", values={"H": 70}, reason="恢复")["waits"]
    assert desk.ask(LI, "limit_reject", id=again, reason="不同意")["changed"] is False
    assert code_of(desk, LI, "limit_approve", id=again) == "E-REFUSED-LIMIT-ABSENT"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"point_id": ""}, "E-NAME-FIELD"),
        ({"point_id": "LT-9"}, "E-NAME-TARGET"),
        ({"reason": ""}, "E-NAME-FIELD"),
        ({"values": {}}, "E-NAME-LIMIT"),
        ({"values": ["H"]}, "E-NAME-LIMIT"),
        ({"values": {"ON": 1}}, "E-NAME-LIMIT"),
        ({"values": {"H": "82"}}, "E-NAME-VALUE"),
        ({"values": {"H": True}}, "E-NAME-VALUE"),
        ({"values": {"H": float("nan")}}, "E-NAME-VALUE"),
        ({"values": {"H": float("inf")}}, "E-NAME-VALUE"),
        ({"values": {"H": 80}}, "E-REFUSED-LIMIT-SAME"),
        ({"values": {"L": 80}}, "E-REFUSED-LIMIT-ORDER"),
        ({"values": {"H": 101}}, "E-REFUSED-LIMIT-RANGE"),
    ],
)
def test_what_is_refused_is_said_in_words_and_carried_out_by_nobody(
    fields: dict[str, Any], code: str
) -> None:
    desk = Desk()
    whole = {"point_id": "LT-1", "values": {"H": 82}, "reason": "x", **fields}
    assert code_of(desk, WANG, "limit_set", **whole) == code
    assert desk.done == []


def test_nothing_is_decided_that_cannot_be_recorded() -> None:
    desk = Desk(second_person=True)
    waits = desk.ask(WANG, "limit_set", point_id="LT-1", values={"H": 82}, reason="x")["waits"]
    desk.recording = False
    for op, fields in (
        ("limit_set", {"point_id": "PT-1", "values": {"H": 4}, "reason": "x"}),
        ("limit_approve", {"id": waits}),
        ("limit_reject", {"id": waits, "reason": "x"}),
        ("limit_return", {"point_id": "LT-1", "reason": "x"}),
    ):
        assert code_of(desk, LI, op, **fields) == "E-REFUSED-LIMIT-DISK"
    assert len(desk.ask(LI, "limits")) == 1
    desk.recording = True
    assert desk.ask(LI, "limit_approve", id=waits)["changed"]
