"""Tests of alarms: an injected value judged beside the real one, marked, never in the alarm lane. Pure.

A test runs through an engine of its own with one point in it, so limits, delays and latches are the real ones and
the plant is watched on. Its changes sound, marked as a test, and go into the journal as ``alarm_test``: no dialect
that forwards alarms can send one as real.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from gateway.alarm.entry import Entry
from gateway.alarm.life import Alarm, AlarmChanged, cleared
from gateway.alarm.limits import NEVER
from gateway.alarm.people import AlarmSettings, EndTest, RefusedError, Test, UnknownAlarmError
from gateway.instant import Now, rfc3339

MAX_TESTS: Final = 10
"""Tests at once."""


class Shadow(Protocol):
    """What a trial asks of the engine that judges its value."""

    @property
    def next_deadline(self) -> int:
        """See ``Engine.next_deadline``."""

    @property
    def alarms(self) -> dict[str, Alarm]:
        """See ``Engine.alarms``."""

    def inject(self, value: float, now: Now) -> tuple[AlarmChanged, ...]:
        """Judge this value as the point's, good."""

    def wait(self, now: Now) -> tuple[AlarmChanged, ...]:
        """Let delays end."""


@dataclass(slots=True)
class _Trial:
    test: Test
    by: str
    shadow: Shadow
    end_ns: int
    until_ns: int


class Trials:
    """The tests that run now.

    Args:
        shadow_of: an engine with this point only. Raises KeyError for an unknown one.
        settings: bounds.
    """

    def __init__(self, shadow_of: Callable[[str, Now], Shadow], settings: AlarmSettings) -> None:
        self._shadow_of = shadow_of
        self._settings = settings
        self._trials: dict[str, _Trial] = {}

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds at which ``tick`` has something to do."""
        return min((min(t.end_ns, t.shadow.next_deadline) for t in self._trials.values()), default=NEVER)

    def view(self) -> list[dict[str, Any]]:
        """The tests that run, for people; ``levels`` are those of the alarms that the value has raised."""
        return [
            {
                **self._item(trial),
                "levels": [alarm.level_current for alarm in trial.shadow.alarms.values() if alarm.active],
            }
            for trial in self._trials.values()
        ]

    def command(
        self, actor: str, command: Test | EndTest, now: Now
    ) -> tuple[list[AlarmChanged], list[Entry]]:
        """Begin or end a test.

        Returns:
            what sounds and what is to be on record.

        Raises:
            UnknownAlarmError: there is no such point, or no such test.
            RefusedError: not now, or not so long.
        """
        if isinstance(command, EndTest):
            if command.point_id not in self._trials:
                raise UnknownAlarmError(command.point_id)
            return self._end(command.point_id, actor, now)
        if not command.reason.strip():
            raise RefusedError("E-REFUSED-REASON")
        if not 0 < command.for_s <= self._settings.test_longest_s:
            raise RefusedError("E-REFUSED-LONG", longest_s=f"{self._settings.test_longest_s:g}")
        if command.point_id in self._trials or len(self._trials) >= MAX_TESTS:
            raise RefusedError("E-REFUSED-TEST", most=MAX_TESTS)
        try:
            shadow = self._shadow_of(command.point_id, now)
        except KeyError as e:
            raise UnknownAlarmError(command.point_id) from e
        for_ns = int(command.for_s * 1e9)
        trial = _Trial(command, actor, shadow, now.mono_ns + for_ns, now.utc_ns + for_ns)
        self._trials[command.point_id] = trial
        begun = Entry("operator_action", {**self._item(trial), "action": "test", "at": rfc3339(now.utc_ns)})
        sirens, entries = _told(shadow.inject(command.value, now))
        return sirens, [begun, *entries]

    def tick(self, now: Now) -> tuple[list[AlarmChanged], list[Entry]]:
        """Let delays of tests end, and tests whose time is over."""
        sirens: list[AlarmChanged] = []
        entries: list[Entry] = []
        for point_id, trial in list(self._trials.items()):
            told = _told(trial.shadow.wait(now))
            if now.mono_ns >= trial.end_ns:
                ended = self._end(point_id, "", now)
                told = told[0] + ended[0], told[1] + ended[1]
            sirens += told[0]
            entries += told[1]
        return sirens, entries

    def _end(self, point_id: str, actor: str, now: Now) -> tuple[list[AlarmChanged], list[Entry]]:
        trial = self._trials.pop(point_id)
        changes = tuple(
            cleared(alarm, "test_ended", None, alarm.peak, now.utc_ns)
            for alarm in trial.shadow.alarms.values()
            if alarm.active
        )
        sirens, entries = _told(changes)
        item = {**self._item(trial), "action": "end_test", "by": actor, "at": rfc3339(now.utc_ns)}
        return sirens, [*entries, Entry("operator_action", item)]

    @staticmethod
    def _item(trial: _Trial) -> dict[str, Any]:
        return {
            "target": trial.test.point_id,
            "value": trial.test.value,
            "by": trial.by,
            "reason": trial.test.reason,
            "until": rfc3339(trial.until_ns),
        }


def _told(changes: tuple[AlarmChanged, ...]) -> tuple[list[AlarmChanged], list[Entry]]:
    """The same changes marked as a test, and their journal entries."""
    marked = [
        replace(change, alarm=replace(alarm, alarm_id=f"test:{alarm.alarm_id}", at_start=False, test=True))
        for change in changes
        for alarm in (change.alarm,)
    ]
    return marked, [Entry("alarm_test", change.item("")) for change in marked]
