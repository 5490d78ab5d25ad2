"""All alarms that stand and what people have decided about them: one life each, from raise to the end. Pure.

The engine says what the plant does; this says what becomes of it. Rules, in their order of weight:

1. Every change is told for the record, whatever sounds: what people or the design hold back is not sounded only.
2. A new excursion is a new alarm; one condition has one active alarm at most.
3. Nothing is acknowledged or reset but by a person's command.
4. Every hold (shelf, out of service) has an author, a reason and an end, and ends by itself.
5. What is beyond its limit when it is first read after a start sounds once for all, and all of it is on record.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from gateway.alarm import life
from gateway.alarm.entry import Entry
from gateway.alarm.holds import Holds, Key
from gateway.alarm.life import Alarm, AlarmChanged, AlarmType, ClearKind, Subject
from gateway.alarm.limits import NEVER
from gateway.alarm.parts import ImpossibleError, Transition
from gateway.alarm.people import (
    Acknowledge,
    AlarmSettings,
    Held,
    Hold,
    RefusedError,
    Release,
    Reset,
    UnknownAlarmError,
)
from gateway.instant import Now, rfc3339

START_S: Final = 10.0
"""What is found beyond its limit within this time of a start, at a point's first reading, belongs to one notice."""

MAX_NAMED: Final = 1_000
"""Alarms that the notice of a start names."""

HOLDING: Final = frozenset({"shelve", "suppress", "out_of_service"})
"""Transitions that are told to sirens though the alarm is held from then on: they fall silent by it."""


class Register:
    """The alarms of a gateway.

    Args:
        standing: alarms that stood at the last stop.
        held: shelves and times out of service that stood then.
        now: the start.
        settings: bounds.
        seen_ns: see ``Holds``.

    Attributes:
        alarms: live alarms by condition: active, or returned and not yet acknowledged or reset.
        holds: what people hold back.
    """

    def __init__(
        self,
        standing: Iterable[Alarm],
        held: Iterable[Held],
        now: Now,
        settings: AlarmSettings,
        seen_ns: int = 0,
    ) -> None:
        self.alarms: dict[str, Alarm] = {}
        self.holds = Holds(held, now, settings, seen_ns)
        self._subjects: dict[str, Subject] = {}
        self._points: set[str] = set()
        self._started_ns = now.mono_ns
        self._condition_of: dict[str, str] = {}
        self._realarm_ns: dict[str, int] = {}
        self._first_out: dict[str, set[str]] = {}
        self._last_id_ns = 0
        self._start_until_ns = now.mono_ns + int(START_S * 1e9)
        self._at_start: list[str] = []
        self._at_start_priority = 0
        self._sirens: list[AlarmChanged] = []
        self._changes: list[AlarmChanged] = []
        self._entries: list[Entry] = []
        for alarm in standing:
            self.alarms[alarm.condition] = alarm
            self._condition_of[alarm.alarm_id] = alarm.condition
        for alarm in [*self.alarms.values()]:
            self._agree(alarm, now)

    # -- what the engine tells ------------------------------------------------------------------------

    def know(self, condition: str, subject: Subject) -> None:
        """What a condition is about. A standing alarm of it takes up where it was."""
        self._subjects[condition] = subject
        self._points.add(subject.point_id)
        alarm = self.alarms.get(condition)
        if subject.first_out:
            group = self._first_out.setdefault(subject.first_out, set())
            if alarm is not None and alarm.active:
                group.add(condition)
        if alarm is not None and alarm.active and alarm.acknowledged:
            self._call_again(subject, condition, self._started_ns)

    def knows(self, condition: str) -> bool:
        """Whether anything can be said of it."""
        return condition in self._subjects

    def raised(
        self,
        condition: str,
        kind: AlarmType,
        level: str,
        now: Now,
        *,
        cause: str = "",
        value: float | None = None,
        limit: tuple[float | None, float | None] = (None, None),
        suppressed: str = "",
        first_reading: bool = False,
    ) -> Alarm:
        """A condition has become active: a new excursion.

        Args:
            condition: one that is known.
            kind: of alarm.
            level: at the raise.
            now: the instant.
            cause: what is wrong, for what has no limit.
            value: at the raise.
            limit: of the level, here at the edge and as filed.
            suppressed: why its point is suppressed by design, "" if it is not.
            first_reading: it is the point's first reading since the start.
        """
        subject, before = self._subjects[condition], self.alarms.get(condition)
        assert before is None or not before.active, "two excursions at once"
        if before is not None:
            del self._condition_of[before.alarm_id]  # the new excursion speaks for both from now on
        # Two excursions within one step, or after the clock was set back, are still two.
        self._last_id_ns = max(now.utc_ns, self._last_id_ns + 1)
        at_start = first_reading and now.mono_ns < self._start_until_ns
        group = self._first_out[subject.first_out] if subject.first_out else None
        alarm = life.first(
            f"{condition}@{self._last_id_ns}",
            condition,
            subject,
            kind,
            level,
            now.utc_ns,
            value=value,
            peak=value,
            limit_edge=limit[0],
            limit_filed=limit[1],
            cause=cause,
            repeat_count=before.repeat_count + 1 if before else 0,
            first_out=group is not None and not group,
            shelved_until_ns=self.holds.until_ns("shelve", condition, subject.point_id),
            suppressed=suppressed,
            out_of_service=self.holds.until_ns("out_of_service", condition, subject.point_id) > 0,
            at_start=at_start,
        )
        if group is not None:
            group.add(condition)
        self._tell(AlarmChanged("raise", alarm), sound=not at_start or self._is_worst_at_start(alarm))
        return alarm

    def relevelled(
        self,
        condition: str,
        level: str,
        value: float | None,
        peak: float | None,
        limit: tuple[float | None, float | None],
        now: Now,
    ) -> Alarm:
        """An active condition moves to another level, in place."""
        change = life.relevelled(self.alarms[condition], level, value, peak, limit, now.utc_ns)
        self._tell(change)
        return change.alarm

    def caused(self, condition: str, level: str, cause: str, now: Now) -> None:
        """What is wrong has changed; that something is has not."""
        self._move(condition, "cause", now, level_current=level, cause=cause)

    def cleared(
        self, condition: str, kind: ClearKind, value: float | None, peak: float | None, now: Now
    ) -> None:
        """An active condition has returned."""
        self._tell(life.cleared(self.alarms[condition], kind, value, peak, now.utc_ns))

    def is_active(self, condition: str) -> bool:
        """Whether it has an active alarm."""
        alarm = self.alarms.get(condition)
        return alarm is not None and alarm.active

    def suppressed(self, conditions: Iterable[str], why: str, now: Now) -> None:
        """Their point is suppressed by design from now on, or for another reason; not any more if ``why`` is ""."""
        for condition in conditions:
            alarm = self.alarms.get(condition)
            if alarm is not None and alarm.suppressed != why and (alarm.active or not why):
                self._move(condition, "suppress" if why else "unsuppress", now, suppressed=why)

    def doubted(self, conditions: Iterable[str], *, last_known: bool) -> None:
        """Their point's value is bad, or not any more: what stands is how it was when it could last be seen."""
        for condition in conditions:
            alarm = self.alarms.get(condition)
            if alarm is not None and alarm.active and alarm.last_known != last_known:
                self.alarms[condition] = replace(alarm, last_known=last_known)

    def attach(self, alarm_id: str, snapshot_id: str) -> None:
        """A picture was taken for an alarm; its next change names it."""
        condition = self._condition_of.get(alarm_id, "")
        alarm = self.alarms.get(condition)
        if alarm is not None:
            pictures = (*alarm.snapshot_ids, snapshot_id)[-life.MAX_SNAPSHOTS :]
            self.alarms[condition] = replace(alarm, snapshot_ids=pictures)

    # -- what people do -------------------------------------------------------------------------------

    def command(self, actor: str, command: Acknowledge | Reset | Hold | Release, now: Now) -> None:
        """Carry out what a person wants.

        Raises:
            UnknownAlarmError: nothing has this name.
            RefusedError: it cannot be done now.
        """
        if isinstance(command, Acknowledge):
            self._acknowledge(actor, command, now)
        elif isinstance(command, Reset):
            self._reset(actor, command, now)
        elif isinstance(command, Hold):
            self._hold(actor, command, now)
        else:
            self._release(actor, command, now)

    def find(self, alarm_id: str) -> Alarm:
        """A live alarm by its id.

        Raises:
            UnknownAlarmError: there is none.
        """
        alarm = self.alarms.get(self._condition_of.get(alarm_id, ""))
        if alarm is None:
            raise UnknownAlarmError(alarm_id)
        return alarm

    def _acknowledge(self, actor: str, command: Acknowledge, now: Now) -> None:
        alarm = self.find(command.alarm_id)
        if alarm.acknowledged:
            return
        self._tell(life.acknowledged(alarm, actor, command.note, now.utc_ns))
        self._journal("ack", alarm.condition, actor, command.note, now)
        subject = self._subjects.get(alarm.condition)
        if subject is not None and alarm.active:
            self._call_again(subject, alarm.condition, now.mono_ns)

    def _reset(self, actor: str, command: Reset, now: Now) -> None:
        alarm = self.find(command.alarm_id)
        try:
            self._move(alarm.condition, "reset", now, by=actor, reason=command.reason)
        except ImpossibleError as e:
            raise RefusedError("E-REFUSED-RESET", alarm_id=alarm.alarm_id) from e
        self._journal("reset", alarm.condition, actor, command.reason, now)

    def _hold(self, actor: str, command: Hold, now: Now) -> None:
        target = self._target(command.target)
        one = self.holds.begin(actor, command, target, now)
        for condition in self._conditions(target):
            fields = {}
            if command.kind == "shelve":
                point_id = self.alarms[condition].point_id
                fields["shelved_until_ns"] = self.holds.until_ns("shelve", condition, point_id)
            self._move(condition, command.kind, now, by=actor, reason=command.reason, **fields)
        self._entries.append(Entry("operator_action", one.item(), {one.key: one.state_bytes()}))

    def _release(self, actor: str, command: Release, now: Now) -> None:
        kind = "shelve" if command.kind == "unshelve" else "out_of_service"
        key = kind, self._target(command.target)
        if key not in self.holds.standing:
            raise RefusedError("E-REFUSED-NOT-HELD", target=command.target)
        self._end(key, actor, command.reason, now)

    def _agree(self, alarm: Alarm, now: Now) -> None:
        """An alarm is held by the holds that stand, whatever it remembers: one whose hold was lost is heard again."""
        until_ns = self.holds.until_ns("shelve", alarm.condition, alarm.point_id)
        if (until_ns > 0) != (alarm.shelved_until_ns > 0):
            transition: Transition = "shelve" if until_ns else "unshelve"
            self._move(alarm.condition, transition, now, reason="restart", shelved_until_ns=until_ns)
        out = self.holds.until_ns("out_of_service", alarm.condition, alarm.point_id) > 0
        if out != alarm.out_of_service:
            self._move(alarm.condition, "out_of_service" if out else "in_service", now, reason="restart")

    def _end(self, key: Key, actor: str, reason: str, now: Now) -> None:
        """A hold ends: of what it held, that which no other hold holds is heard again."""
        one = self.holds.end(key)
        for condition in self._conditions(one.target):
            if self.holds.until_ns(one.kind, condition, self.alarms[condition].point_id):
                continue
            if one.kind == "shelve":
                self._move(condition, "unshelve", now, by=actor, reason=reason, shelved_until_ns=0)
            else:
                self._move(condition, "in_service", now, by=actor, reason=reason)
        item = {
            **one.item(),
            "action": "unshelve" if one.kind == "shelve" else "in_service",
            "by": actor,
            "at": rfc3339(now.utc_ns),
        }
        self._entries.append(
            Entry("operator_action", {**item, "reason": reason or one.reason}, {one.key: None})
        )

    def _target(self, name: str) -> str:
        """The tag or condition that a tag, condition or alarm's id means."""
        if name in self._condition_of:
            return self._condition_of[name]
        if name and (name in self._subjects or name in self.alarms or name in self._points):
            return name
        raise UnknownAlarmError(name)

    def _conditions(self, target: str) -> list[str]:
        """Live alarms that a target means."""
        return [c for c, alarm in self.alarms.items() if target in (c, alarm.point_id)]

    def _journal(self, action: str, target: str, actor: str, reason: str, now: Now) -> None:
        item = {"action": action, "target": target, "by": actor, "reason": reason, "at": rfc3339(now.utc_ns)}
        self._entries.append(Entry("operator_action", {**item}))

    # -- time -----------------------------------------------------------------------------------------

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds at which ``tick`` has something to do."""
        at_start = self._start_until_ns if self._at_start else NEVER
        return min(at_start, self.holds.next_deadline, *self._realarm_ns.values())

    def tick(self, now: Now) -> None:
        """End what has come to its end; call again for what was acknowledged long ago and still stands."""
        for key in self.holds.due(now.mono_ns):
            self._end(key, "", "expired", now)
        for condition in [c for c, at_ns in self._realarm_ns.items() if now.mono_ns >= at_ns]:
            del self._realarm_ns[condition]
            self._move(condition, "realarm", now)
        if self._at_start and now.mono_ns >= self._start_until_ns:
            item = {"count": len(self._at_start), "alarms": self._at_start[:MAX_NAMED]}
            self._entries.append(Entry("alarms_at_start", {**item, "at": rfc3339(now.utc_ns)}))
            self._at_start = []

    def _call_again(self, subject: Subject, condition: str, mono_ns: int) -> None:
        if subject.re_alarm_s:
            self._realarm_ns[condition] = mono_ns + int(subject.re_alarm_s * 1e9)

    # -- inside ---------------------------------------------------------------------------------------

    def take(self) -> tuple[tuple[AlarmChanged, ...], tuple[AlarmChanged, ...], tuple[Entry, ...]]:
        """What has happened since the last call: what sounds, what changed, what else is to be on record."""
        taken = tuple(self._sirens), tuple(self._changes), tuple(self._entries)
        if self._changes or self._entries:
            self._sirens, self._changes, self._entries = [], [], []
        return taken

    def _move(self, condition: str, transition: Transition, now: Now, **fields: object) -> None:
        self._tell(life.moved(self.alarms[condition], transition, now.utc_ns, **fields))  # type: ignore[arg-type]

    def _is_worst_at_start(self, alarm: Alarm) -> bool:
        self._at_start.append(alarm.alarm_id)
        first = not self._at_start_priority or alarm.priority < self._at_start_priority
        if first and alarm.annunciated:
            self._at_start_priority = alarm.priority
        return first

    def _tell(self, change: AlarmChanged, *, sound: bool = True) -> None:
        alarm = change.alarm
        self._changes.append(change)
        if sound and (alarm.annunciated or change.transition in HOLDING):
            self._sirens.append(change)
        if not alarm.active or not alarm.acknowledged:
            self._realarm_ns.pop(alarm.condition, None)
        if alarm.ended:
            del self.alarms[alarm.condition], self._condition_of[alarm.alarm_id]
        else:
            self.alarms[alarm.condition] = alarm
            self._condition_of[alarm.alarm_id] = alarm.condition
        if not alarm.active:
            subject = self._subjects.get(alarm.condition)
            if subject is not None and subject.first_out:
                self._first_out[subject.first_out].discard(alarm.condition)
