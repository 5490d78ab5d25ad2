"""Warnings from above: kept until answered, once each, bounded, over restarts."""

from dataclasses import replace

import pytest

from gateway import above
from gateway.above import Above, Answer, Notice, UnknownOrderError, known_notices
from gateway.alarm.people import RefusedError
from gateway.instant import UNSYNCHRONISED, ClockState, Now
from gateway.uplink.order import Order, OrderRefusedError

T0 = 1_795_318_260_000_000_000
S = 10**9
DAY = 86_400


def at(seconds, clock="synchronised"):
    return Now(int(seconds * S), T0 + int(seconds * S), ClockState(clock))


def order(name="W-1", **more):
    given = Order(
        "province", "s/g", name, "warning", "yellow", "液位", "核查", ("LT-1",), T0, digest=f"of {name}"
    )
    return replace(given, **more)


def cancel(name, cancels, **more):
    return order(name, kind="cancel", colour="", title="", points=(), cancels=cancels, **more)


def restarted(entries):
    state = {}
    for entry in entries:
        for key, value in entry.state.items():
            if value is None:
                state.pop(key, None)
            else:
                state[key] = value
    notices, unreadable = known_notices(state)
    assert unreadable == []
    return Above(notices)


def test_it_is_on_record_shown_and_counts_up_until_it_is_answered():
    house = Above()
    entry = house.receive(order(answer_by_ns=T0 + 60 * S), at(1))
    assert (entry.kind, entry.item["id"], entry.item["text"]) == ("warning_received", "W-1", "核查")
    assert list(entry.state) == ["above/province/W-1"]
    [seen] = house.view(at(31))
    assert (seen["state"], seen["age_s"], seen["left_s"], seen["overdue"]) == ("unanswered", 30, 29, False)
    [seen] = house.view(at(91))
    assert (seen["age_s"], seen["left_s"], seen["overdue"], seen["overdue_s"]) == (90, 0, True, 31)
    feedback = house.answer("li", Answer("W-1", "仪表漂移", "已校准", "无"), at(100))
    assert feedback.kind == "feedback"
    assert feedback.item == {
        "recipient": "province",
        "id": "W-1",
        "kind": "warning",
        "by": "li",
        "cause": "仪表漂移",
        "action": "已校准",
        "note": "无",
        "at": "2026-11-22T03:32:40.000Z",
        "number": 1,
        "waited_s": 99,
    }
    [seen] = house.view(at(1000))
    assert (seen["state"], seen["age_s"], seen["overdue"], seen["answer"]["by"]) == (
        "answered",
        99,
        False,
        "li",
    )


def test_an_answer_may_come_in_steps_up_to_a_bound():
    house = Above()
    house.receive(order(), at(0))
    for n in range(above.MAX_ANSWERS):
        entry = house.answer("li", Answer("province/W-1", "a", f"step {n}"), at(n + 1))
        assert (entry.item["number"], entry.item["waited_s"]) == (n + 1, 1)
    with pytest.raises(RefusedError) as refused:
        house.answer("li", Answer("W-1", "a", "b"), at(99))
    assert refused.value.code == "E-REFUSED-ANSWERS"


def test_the_same_again_is_nothing_new_and_another_content_is_refused_even_after_a_restart():
    house = Above()
    entries = [house.receive(order(), at(0))]
    assert house.receive(order(), at(1)) is None
    house = restarted([*entries, house.answer("li", Answer("W-1", "a", "b"), at(2))])
    assert house.receive(order(), at(3)) is None
    with pytest.raises(OrderRefusedError, match="another content"):
        house.receive(order(digest="other"), at(4))
    assert house.view(at(5))[0]["state"] == "answered"


def test_a_restart_keeps_everything():
    house = Above()
    entries = [
        house.receive(order("W-1", answer_by_ns=T0 + 9 * S), at(1)),
        house.receive(order("W-2"), at(2)),
        house.receive(order("W-3"), at(2)),
        house.answer("li", Answer("W-2", "a", "b"), at(3)),
        house.receive(cancel("C-1", "W-3"), at(4)),
    ]
    assert restarted(entries).view(at(60)) == house.view(at(60))
    assert house.view(at(60))[0]["name"] == "province/W-1"


def test_a_state_that_cannot_be_read_is_named_and_stops_nothing():
    whole = Notice(order(), T0).state_bytes()
    states = {
        "above/province/W-1": whole,
        "above/a/b": b"{",
        "above/c/d": b"[1]",
        "above/e/f": b'{"order":{}}',
    }
    states["above/g/h"] = whole.replace(b'"answered_ns":0', b'"answered_ns":"x"')
    notices, unreadable = known_notices({**states, "alarm/x": b"no business of ours"})
    assert [notice.name for notice in notices] == ["province/W-1"]
    assert unreadable == [f"above/{name}" for name in ("a/b", "c/d", "e/f", "g/h")]


def test_a_cancellation_ends_one_whichever_comes_first():
    for first_is_cancel in (False, True):
        house = Above()
        messages = [order("W-1"), cancel("C-1", "W-1", text="误发")]
        entries = [house.receive(one, at(1)) for one in messages[:: -1 if first_is_cancel else 1]]
        assert {entry.kind for entry in entries} == {"warning_received", "warning_cancelled"}
        [seen] = restarted(entries).view(at(9))
        assert (seen["state"], seen["cancel_text"], seen["age_s"]) == ("cancelled", "误发", 0)
        assert house.receive(messages[1], at(2)) is None


def test_one_recipient_cannot_cancel_what_is_another_s():
    house = Above()
    house.receive(order("W-1"), at(1))
    house.receive(cancel("C-1", "W-1", recipient="bureau"), at(2))
    assert [seen["state"] for seen in house.view(at(3))] == ["unanswered"]


def test_two_recipients_may_use_the_same_id():
    house = Above()
    house.receive(order("W-1"), at(1))
    house.receive(order("W-1", recipient="bureau", digest="its own"), at(1))
    with pytest.raises(RefusedError) as refused:
        house.answer("li", Answer("W-1", "a", "b"), at(2))
    assert refused.value.facts == {"names": "province/W-1, bureau/W-1"}
    house.answer("li", Answer("bureau/W-1", "a", "b"), at(2))
    assert {s["name"]: s["state"] for s in house.view(at(3))} == {
        "province/W-1": "unanswered",
        "bureau/W-1": "answered",
    }
    for name in ("W-2", "province", ""):
        with pytest.raises(UnknownOrderError):
            house.answer("li", Answer(name, "a", "b"), at(2))


def test_more_than_a_hundred_unanswered_are_refused_and_one_answered_makes_room():
    house = Above()
    for n in range(above.MAX_LIVE):
        house.receive(order(f"W-{n}"), at(n))
    with pytest.raises(OrderRefusedError, match="100 of this recipient"):
        house.receive(order("W-x"), at(200))
    house.receive(order("B-1", recipient="bureau"), at(200))
    house.answer("li", Answer("W-5", "a", "b"), at(201))
    assert house.receive(order("W-x"), at(202)) is not None


@pytest.mark.parametrize(("issued_s", "doubt"), [(-29 * DAY, "too_old"), (3600, "ahead")])
def test_old_and_future_ones_are_refused_by_a_good_clock_and_marked_by_a_bad_one(issued_s, doubt):
    one = order(issued_ns=T0 + issued_s * S)
    for clock in ("synchronised", "holdover"):
        with pytest.raises(OrderRefusedError, match="issued"):
            Above().receive(one, at(0, clock))
    house = Above()
    house.receive(one, Now(0, T0, UNSYNCHRONISED))
    assert house.view(at(1))[0]["doubt"] == doubt


def test_what_ended_is_forgotten_only_when_it_would_be_refused_as_too_old():
    house = Above()
    entries = [house.receive(order("W-1"), at(0)), house.answer("li", Answer("W-1", "a", "b"), at(1))]
    assert house.view(at(2 * DAY)) == []
    assert [seen["name"] for seen in house.view(at(2 * DAY), everything=True)] == ["province/W-1"]
    later = at(30 * DAY + 10)
    bad_clock = replace(later, clock=UNSYNCHRONISED)
    entries.append(house.receive(order("W-2", issued_ns=later.utc_ns), bad_clock))
    assert len(house.view(later, everything=True)) == 2, "a clock that nobody set ages nothing"
    entries.append(house.receive(order("W-3", issued_ns=later.utc_ns), later))
    assert entries[-1].state["above/province/W-1"] is None
    assert sorted(s["id"] for s in restarted(entries).view(later, everything=True)) == ["W-2", "W-3"]
    with pytest.raises(OrderRefusedError, match="too long ago"):
        house.receive(order("W-1"), later)


def test_what_is_kept_is_bounded_and_the_unanswered_stay():
    house = Above()
    entries = [house.receive(order("W-live"), at(0))]
    for n in range(above.MAX_KEPT + 20):
        entries.append(house.receive(order(f"W-{n}"), at(n)))
        entries.append(house.answer("li", Answer(f"W-{n}", "a", "b"), at(n)))
    kept = restarted(entries).view(at(10**4), everything=True)
    assert len(kept) == above.MAX_KEPT
    assert kept[0]["id"] == "W-live"
    assert "W-0" not in {seen["id"] for seen in kept}


def test_the_overdue_come_first_then_red_before_blue_then_the_oldest():
    house = Above()
    house.receive(order("blue-late", colour="blue", answer_by_ns=T0 + 5 * S), at(3))
    house.receive(order("order", kind="order", colour=""), at(1))
    house.receive(order("red", colour="red"), at(2))
    house.receive(order("yellow-2"), at(2))
    house.receive(order("yellow-1"), at(1))
    house.receive(order("done", colour="red"), at(1))
    house.answer("li", Answer("done", "a", "b"), at(2))
    names = [seen["id"] for seen in house.view(at(10))]
    assert names == ["blue-late", "red", "yellow-1", "yellow-2", "order", "done"]


def test_a_clock_that_is_set_back_makes_nothing_younger_than_new():
    house = Above()
    house.receive(order(answer_by_ns=T0 + 60 * S), at(100))
    assert house.view(at(-100))[0]["age_s"] == 0
