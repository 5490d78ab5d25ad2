"""Horns and lamps from the changes of alarms; a model of one alarm's plant and people drives the property."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm.annunciator import MAX_LAMP_TEST_S, SIGNS, Annunciator, Shown
from gateway.alarm.life import Alarm, AlarmChanged, acknowledged, cleared, moved, relevelled
from gateway.alarm.limits import NEVER
from gateway.alarm.parts import ImpossibleError
from gateway.instant import Now

ALL = (1, 2, 3, 4)
S = 1_000_000_000


def alarm(n=1, name="LT-1", priority=1, **fields):
    return Alarm(
        f"{name}/high@{n}", f"{name}/high", "limit", name, "plc", priority, "", True, False, "H", "H", "H",
        81.0, 81.0, 80.0, "", n, n, **fields,
    )  # fmt: skip


def raised(*args, **fields):
    return AlarmChanged("raise", alarm(*args, **fields))


def on(board, signal="horn", priorities=ALL):
    return board.show(signal, priorities).on


class Board(Annunciator):
    """Follows one alarm through its transitions."""

    def __init__(self, **fields):
        super().__init__()
        self.alarm = alarm(**fields)
        self.follow([AlarmChanged("raise", self.alarm)])

    def go(self, transition, **fields):
        made = {
            "clear": lambda: cleared(self.alarm, "returned", 70.0, 81.0, 9),
            "ack": lambda: acknowledged(self.alarm, "wang", "", 9),
            "escalate": lambda: relevelled(self.alarm, "HH", 91.0, 91.0, (90.0, None), 9),
            "deescalate": lambda: relevelled(self.alarm, "H", 81.0, 91.0, (80.0, None), 9),
        }
        change = made.get(transition, lambda: moved(self.alarm, transition, 9, **fields))()
        self.alarm = change.alarm
        self.follow([change])
        return on(self), on(self, "lamp")


def test_what_calls_again_is_named_and_what_only_goes_on_is_not():
    board = Annunciator()
    older, newer = alarm(1, "A"), alarm(2, "B")
    board.follow([AlarmChanged("raise", older), AlarmChanged("raise", newer)])
    assert board.show("horn", ALL).because == newer.alarm_id
    worse = relevelled(older, "HH", 91.0, 91.0, (90.0, None), 9)
    board.follow([worse])
    assert board.show("horn", ALL).because == older.alarm_id
    board.follow([cleared(newer, "returned", 70.0, 81.0, 10)])
    assert board.show("horn", ALL).because == older.alarm_id


def test_a_new_alarm_sounds_and_lights_and_says_which_it_is():
    board = Board()
    assert board.show("horn", ALL) == Shown("horn", on=True, because="LT-1/high@1")
    assert board.show("lamp", ALL).item() == {"signal": "lamp", "on": True, "because": "LT-1/high@1"}
    assert board.show("horn", (2, 3, 4)) == Shown("horn", on=False, because="")


def test_acknowledged_it_is_quiet_and_lit_until_it_has_returned():
    board = Board()
    assert board.go("ack") == (False, True)
    assert board.go("clear") == (False, False)
    assert board._signs == {}


def test_what_returns_unseen_sounds_on_until_somebody_has_seen_it():
    board = Board()
    assert board.go("clear") == (True, True)
    assert board.go("ack") == (False, False)


def test_silence_takes_the_sound_and_acknowledges_nothing():
    board = Board()
    assert board.silence() == ["LT-1/high@1"]
    assert board.show("horn", ALL) == Shown("horn", on=False, because="", silenced=1)
    assert on(board, "lamp")
    assert board.silence() == []
    assert board.go("clear") == (False, True), "silenced and returned: still unseen"
    assert board.go("ack") == (False, False)


@pytest.mark.parametrize("first", ["silence", "ack"])
def test_an_escalation_sounds_again_and_a_deescalation_does_not(first):
    board = Board()
    board.silence() if first == "silence" else board.go("ack")
    assert board.go("escalate") == (True, True)
    board.silence()
    assert board.go("deescalate") == (False, True)


def test_a_re_alarm_sounds_again():
    board = Board()
    board.go("ack")
    assert board.go("realarm") == (True, True)


def test_a_new_alarm_sounds_over_silenced_ones():
    board = Board()
    board.silence()
    board.follow([raised(2, "TT-2", 3)])
    assert board.show("horn", ALL) == Shown("horn", on=True, because="TT-2/high@2", silenced=1)
    assert board.show("lamp", ALL).because == "LT-1/high@1", "the lamp names the higher priority"


def test_another_excursion_of_a_silenced_condition_sounds_and_is_one_alarm():
    board = Board()
    board.silence()
    board.go("clear")
    board.follow([raised(5)])
    assert board.show("horn", ALL) == Shown("horn", on=True, because="LT-1/high@5")


@pytest.mark.parametrize(
    ("hold", "release", "held", "free"),
    [
        ("shelve", "unshelve", {"shelved_until_ns": 99}, {"shelved_until_ns": 0}),
        ("suppress", "unsuppress", {"suppressed": "XS-1"}, {"suppressed": ""}),
        ("out_of_service", "in_service", {}, {}),
    ],
)
def test_held_back_it_neither_sounds_nor_lights_and_comes_back_as_new(hold, release, held, free):
    board = Board()
    board.silence()
    assert board.go(hold, **held) == (False, False)
    assert board.go("escalate") == (False, False)
    assert board.go(release, **free) == (True, True)
    board.go("ack")
    board.go(hold, **held)
    assert board.go(release, **free) == (False, True), "seen already"


def test_what_latches_lights_until_it_is_reset():
    board = Board(latched=True)
    board.go("ack")
    assert board.go("clear") == (False, True)
    assert board.go("reset") == (False, False)


def test_an_advisory_is_never_shown():
    assert not on(Board(advisory=True), "lamp")


def test_a_test_sounds_beside_the_real_alarm_and_ends_with_its_excursion():
    board = Board()
    board.go("ack")
    test = replace(alarm(7), alarm_id="test:LT-1/high@7", test=True)
    board.follow([AlarmChanged("raise", test)])
    assert board.show("horn", ALL).because == "test:LT-1/high@7"
    board.follow([cleared(test, "test_ended", None, 81.0, 9)])
    assert (on(board), on(board, "lamp")) == (False, True), "the real one is still lit"


def test_standing_alarms_sound_after_a_start_if_nobody_has_seen_them():
    board = Annunciator()
    board.begin(
        [alarm(1), replace(alarm(2, "TT-2", 2), acknowledged=True), alarm(3, "PT-3", 3, suppressed="XS")]
    )
    assert board.show("horn", ALL).because == "LT-1/high@1"
    assert [on(board, "horn", (p,)) for p in ALL] == [True, False, False, False]
    assert [on(board, "lamp", (p,)) for p in ALL] == [True, True, False, False]


def test_a_lamp_test_turns_all_on_ends_by_itself_and_hides_no_alarm():
    board = Annunciator()
    board.lamp_test(5.0, Now(10 * S, 0))
    assert board.show("horn", (4,)) == Shown("horn", on=True, because="", lamp_test=True)
    assert on(board, "lamp", (1,))
    assert board.next_deadline == 15 * S
    board.follow([raised()])
    assert board.show("horn", (1,)).because == "LT-1/high@1", "a real alarm is told over the test"
    board.tick(Now(15 * S - 1, 0))
    assert on(board, "horn", (4,))
    board.tick(Now(15 * S, 0))
    assert [on(board, "horn", (p,)) for p in (1, 4)] == [True, False]
    assert board.next_deadline == NEVER


def test_a_lamp_test_is_bounded_and_a_silence_ends_it():
    board = Annunciator()
    board.lamp_test(1e6, Now(0, 0))
    assert board.next_deadline == MAX_LAMP_TEST_S * S
    board.silence()
    assert (on(board), board.next_deadline) == (False, NEVER)


def test_every_event_has_its_sign_and_only_a_silence_silences():
    events = {"call", "stand", "silence", "see", "leave"}
    assert all(SIGNS[sign].keys() == events for sign in SIGNS)
    into = {(s, e) for s in SIGNS for e in events if SIGNS[s][e] == "silenced" and s != "silenced"}
    assert into == {("sounding", "silence")}


MOVES = (
    *(
        "raise",
        "escalate",
        "deescalate",
        "clear",
        "ack",
        "realarm",
        "reset",
        "silence",
        "lamp_test",
        "restart",
    ),
    *("shelve", "unshelve", "suppress", "unsuppress", "out_of_service", "in_service"),
)
MOVE = st.tuples(st.sampled_from(MOVES), st.integers(0, 2))
FIELDS = {
    "shelve": {"shelved_until_ns": 9}, "unshelve": {"shelved_until_ns": 0},
    "suppress": {"suppressed": "XS"}, "unsuppress": {"suppressed": ""},
}  # fmt: skip


def after(old, move, n, k):
    """The change that this move makes to alarm ``k``; None where it is not possible."""
    if move == "raise":
        fresh = alarm(n, f"T{k}", k + 1, latched=k == 2)
        return AlarmChanged("raise", fresh) if old is None or not old.active else None
    if old is None or (move == "ack" and old.acknowledged):
        return None
    try:
        if move == "escalate":
            return relevelled(old, "HH", 91.0, 91.0, (90.0, None), n) if old.level_current == "H" else None
        if move == "deescalate":
            return relevelled(old, "H", 81.0, 91.0, (80.0, None), n) if old.level_current == "HH" else None
        if move == "clear":
            return cleared(old, "returned", 70.0, 81.0, n)
        if move == "ack":
            return acknowledged(old, "wang", "", n)
        return moved(old, move, n, **FIELDS.get(move, {}))
    except ImpossibleError:
        return None


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 80).flatmap(lambda n: st.lists(MOVE, min_size=n, max_size=n)))
def test_never_silent_while_an_unsilenced_unacknowledged_alarm_stands(moves):
    board, lives, unheard, testing = Annunciator(), {}, set(), False
    for n, (move, k) in enumerate(moves, 1):
        if move == "silence":
            board.silence()
            unheard, testing = set(), False
        elif move == "lamp_test":
            board.lamp_test(5.0, Now(0, 0))
            testing = True
        elif move == "restart":
            board, testing = Annunciator(), False
            board.begin(lives.values())
            unheard = {j for j, a in lives.items() if a.annunciated and not a.acknowledged}
        elif (change := after(lives.get(k), move, n, k)) is not None:
            before, new = lives.get(k), change.alarm
            board.follow([change])
            lives[k] = new
            back = before is not None and not before.annunciated
            if new.acknowledged or not new.annunciated:
                unheard.discard(k)
            elif back or move in ("raise", "escalate", "realarm"):
                unheard.add(k)
            if new.ended:
                del lives[k]
        shown = {a.alarm_id for j, a in lives.items() if a.annunciated}
        for j in range(3):
            horn, lamp = board.show("horn", (j + 1,)), board.show("lamp", (j + 1,))
            assert horn.on == (j in unheard or testing)
            assert lamp.on == ((j in lives and lives[j].annunciated) or testing)
            assert {horn.because, lamp.because} - {""} <= shown
        assert on(board) == bool(unheard or testing)
        assert set(board._signs) == {(False, a.condition) for a in lives.values() if a.annunciated}
