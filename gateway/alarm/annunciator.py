"""What horns and lamps shall show, from the changes of the alarms. Pure.

The rules are ours, after the usual sequences of annunciators (ISA-18.1: A with lock-in and a silence of its own, M for
what latches):

1. A horn sounds from a new alarm on until it is silenced or that alarm is acknowledged, even if it has returned
   meanwhile: nobody has seen it.
2. Silence takes the sound from all that sounds now. It acknowledges nothing, and is forgotten at a restart.
3. An escalation and a re-alarm sound again; a deescalation, another cause and the return do not.
4. What is held back (shelved, suppressed by design, out of service, an advisory) neither sounds nor lights. What comes
   back from there unacknowledged sounds as new.
5. A lamp lights while an alarm is alive: active, unacknowledged, or latched and not yet reset.
6. A test's alarm cannot be acknowledged: it sounds until it is silenced or returns.
7. A lamp test turns everything on for a bounded time and ends by itself, or with a silence. Alarms are followed
   meanwhile.

It listens to every change and not only to those that are told to sirens one by one: of many alarms found at the start
only the worst is told, and a horn of the others' priorities sounds all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from gateway.alarm.life import Alarm, AlarmChanged
from gateway.alarm.limits import NEVER
from gateway.alarm.parts import Transition
from gateway.instant import Now

Signal: TypeAlias = Literal["horn", "lamp"]
Sign: TypeAlias = Literal["dark", "sounding", "silenced", "seen"]
"""How one alarm is shown. A horn sounds for ``sounding``, a lamp lights for all but ``dark``."""
Event: TypeAlias = Literal["call", "stand", "silence", "see", "leave"]
"""What happens to it: it calls for attention, stands unacknowledged as before, the horn is silenced, a person has
acknowledged it, it is over or held back."""

SIGNS: Final[Mapping[Sign, Mapping[Event, Sign]]] = {
    "dark": {"call": "sounding", "stand": "sounding", "silence": "dark", "see": "seen", "leave": "dark"},
    "sounding": {
        "call": "sounding",
        "stand": "sounding",
        "silence": "silenced",
        "see": "seen",
        "leave": "dark",
    },
    "silenced": {
        "call": "sounding",
        "stand": "silenced",
        "silence": "silenced",
        "see": "seen",
        "leave": "dark",
    },
    "seen": {"call": "sounding", "stand": "sounding", "silence": "seen", "see": "seen", "leave": "dark"},
}
"""Every event in every sign. No way leads from unacknowledged to ``silenced`` but through a silence."""

CALLS: Final[frozenset[Transition]] = frozenset({"raise", "escalate", "realarm"})

MAX_LAMP_TEST_S: Final = 60.0
"""Longest lamp test."""

_Key: TypeAlias = tuple[bool, str]
"""(it is a test's, condition): a test runs beside the real alarm of the same condition."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What one horn or lamp shall show.

    Attributes:
        signal: which of the two.
        on: it sounds or lights.
        because: id of an alarm that it is on for, "" for none (a lamp test): of the highest priority, and there of
            those that sound, then of the silenced, then of the acknowledged the newest.
        silenced: alarms of its priorities that are silenced and not acknowledged.
        lamp_test: a lamp test runs.
    """

    signal: Signal
    on: bool
    because: str
    silenced: int = 0
    lamp_test: bool = False

    def item(self) -> dict[str, Any]:
        """As the output is told."""
        return {"signal": self.signal, "on": self.on, "because": self.because}


class Annunciator:
    """Every alarm that is shown, and how."""

    def __init__(self) -> None:
        self._signs: dict[_Key, tuple[Sign, int]] = {}
        # What is shown so, by priority, in the order in which it came to be shown so: key -> alarm_id.
        self._shown: dict[Sign, dict[int, dict[_Key, str]]] = {"sounding": {}, "silenced": {}, "seen": {}}
        self._test_until_ns = NEVER
        self._testing = False

    def begin(self, standing: Iterable[Alarm]) -> None:
        """Take up the alarms that stand at the start."""
        for alarm in standing:
            self._move(alarm, _event(alarm, calls=True))

    def follow(self, changes: Iterable[AlarmChanged]) -> None:
        """Follow changes in their order."""
        for change in changes:
            self._move(change.alarm, _event(change.alarm, calls=change.transition in CALLS))

    def silence(self) -> list[str]:
        """Silence all that sounds, and end a lamp test.

        Returns:
            ids of the alarms that sounded.
        """
        self._testing, self._test_until_ns = False, NEVER
        silenced = []
        for priority, sounding in self._shown["sounding"].items():
            after = self._shown["silenced"].setdefault(priority, {})
            for key, alarm_id in sounding.items():
                self._signs[key] = SIGNS["sounding"]["silence"], priority
                after[key] = alarm_id
                silenced.append(alarm_id)
            sounding.clear()
        return silenced

    def lamp_test(self, for_s: float, now: Now) -> None:
        """Turn everything on for so long, ``MAX_LAMP_TEST_S`` at most; the newest test's end holds."""
        self._testing = True
        self._test_until_ns = now.mono_ns + int(min(for_s, MAX_LAMP_TEST_S) * 1e9)

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds at which ``tick`` has something to do."""
        return self._test_until_ns

    def tick(self, now: Now) -> None:
        """End a lamp test whose time is over."""
        if now.mono_ns >= self._test_until_ns:
            self._testing, self._test_until_ns = False, NEVER

    def show(self, signal: Signal, priorities: Iterable[int]) -> Shown:
        """What a horn or lamp of these priorities, the highest first, shall show."""
        signs: tuple[Sign, ...] = ("sounding",) if signal == "horn" else ("sounding", "silenced", "seen")
        found = (
            because
            for priority in priorities
            for sign in signs
            if (because := next(reversed(self._shown[sign].get(priority, {}).values()), ""))
        )
        because = next(found, "")
        silenced = sum(len(self._shown["silenced"].get(priority, ())) for priority in priorities)
        return Shown(signal, bool(because) or self._testing, because, silenced, self._testing)

    def _move(self, alarm: Alarm, event: Event) -> None:
        key = alarm.test, alarm.condition
        before, priority = self._signs.get(key, ("dark", alarm.priority))
        after = SIGNS[before][event]
        if before == after and event != "call":
            return
        if before != "dark":
            del self._signs[key], self._shown[before][priority][key]
        if after != "dark":
            self._signs[key] = after, alarm.priority
            self._shown[after].setdefault(alarm.priority, {})[key] = alarm.alarm_id


def _event(alarm: Alarm, *, calls: bool) -> Event:
    """What a change means for the sign of its alarm, as it stands after it."""
    if alarm.ended or not alarm.annunciated or (alarm.test and not alarm.active):
        return "leave"
    if alarm.acknowledged:
        return "see"
    return "call" if calls else "stand"
