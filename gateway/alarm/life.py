"""One alarm from raise to the end: every change of it, as functions. Pure.

An alarm is one excursion: it begins when a condition becomes active, escalates in place, and ends when it has
returned, was acknowledged and, where it latches, was reset. Which transition is possible when, ``parts`` says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import orjson

from gateway.alarm.parts import State, Transition, step
from gateway.instant import rfc3339

AlarmType: TypeAlias = Literal[
    "limit", "digital", "rate", "deviation", "discrepancy", "comm", "quality", "gateway"
]
PROCESS: Final = frozenset({"limit", "digital", "rate", "deviation"})
"""Types of alarm that the plant itself raises, as against what is wrong with instruments and with this box."""
ClearKind: TypeAlias = Literal["", "returned", "point_removed", "limit_removed", "test_ended"]

RANK: Final[dict[str, int]] = {
    **dict.fromkeys(("L", "H", "ON", "RISE", "FALL", "ABOVE", "BELOW", "MISFIT", "RANGE", "FROZEN"), 1),
    **dict.fromkeys(("LL", "HH", "BAD", "COMM", "FAULT"), 2),
}
"""How far out a level is; a higher rank is worse."""

MAX_SNAPSHOTS: Final = 16
"""Snapshots one excursion keeps."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an alarm is about, the same for every excursion.

    Attributes:
        point_id: the point's tag, "" for a source's or the gateway's own condition.
        source: name of the device (or device/unit), recipient or part of the gateway.
        area: 单元/区域 it belongs to, "" for the gateway's own.
        priority: 1 (highest) to 4.
        text: what people call it.
        points: how many points a source's communication alarm stands for; 0 for every other kind.
        latching: stays until it is reset.
        first_out: group in which the first alarm is marked, "" for none.
        re_alarm_s: an alarm still active so long after its acknowledgement wants another; 0 for never.
        advisory: advice, never sounded.
    """

    point_id: str
    source: str
    area: str = ""
    priority: int = 2
    text: str = ""
    points: int = 0
    latching: bool = False
    first_out: str = ""
    re_alarm_s: float = 0.0
    advisory: bool = False


@dataclass(frozen=True, slots=True)
class Alarm:
    """One excursion, as far as it has come.

    Attributes:
        alarm_id: ``condition@raised_ns``; never repeats.
        condition: what is watched, e.g. ``LT-101/high``; at most one active alarm per condition.
        type: kind of condition.
        point_id: see ``Subject``, likewise source, area, priority, text, points and advisory.
        active: the condition holds.
        acknowledged: a person has seen it.
        level_start: level at the raise.
        level_worst: furthest level so far.
        level_current: level now; the last one when inactive.
        value: value at the last change; None where there is none.
        peak: most extreme value so far; None where there is none.
        limit_edge: limit of ``level_current`` here at the edge; None where there is none.
        limit_filed: the same as filed with the authority; None where it is not known.
        cause: cause of bad quality, or what is wrong with the gateway's part; "" for limits.
        raised_ns: UTC.
        changed_ns: UTC.
        cleared_ns: UTC, 0 while active.
        ack_by: who acknowledged, "" while nobody did.
        ack_ns: UTC, 0 while nobody did.
        ack_note: what they said.
        clear_kind: why it ended.
        repeat_count: excursions of this condition before this one since the last acknowledgement.
        change_no: 1 at the raise, one more at each change.
        snapshot_ids: pictures that belong to it.
        latched: stays until somebody resets it.
        first_out: the first of its group.
        shelved_until_ns: UTC at which its shelf ends, 0 while it is not shelved.
        suppressed: why it is suppressed by design, "" while it is not.
        out_of_service: people have taken it out of service.
        last_known: the point's value is bad now, so this is how it was when it could last be seen.
        at_start: it was beyond its limit when the point was first read after a start.
        test: raised by an injected value; never sent as real.
    """

    alarm_id: str
    condition: str
    type: AlarmType
    point_id: str
    source: str
    priority: int
    text: str
    active: bool
    acknowledged: bool
    level_start: str
    level_worst: str
    level_current: str
    value: float | None
    peak: float | None
    limit_edge: float | None
    cause: str
    raised_ns: int
    changed_ns: int
    cleared_ns: int = 0
    ack_by: str = ""
    ack_ns: int = 0
    ack_note: str = ""
    clear_kind: ClearKind = ""
    repeat_count: int = 0
    change_no: int = 1
    snapshot_ids: tuple[str, ...] = ()
    points: int = 0
    area: str = ""
    limit_filed: float | None = None
    latched: bool = False
    first_out: bool = False
    shelved_until_ns: int = 0
    suppressed: str = ""
    out_of_service: bool = False
    last_known: bool = False
    at_start: bool = False
    advisory: bool = False
    test: bool = False

    @property
    def state(self) -> State:
        """Where its parts stand."""
        return State(
            self.active,
            self.acknowledged,
            self.latched,
            self.shelved_until_ns != 0,
            self.suppressed != "",
            self.out_of_service,
        )

    @property
    def ended(self) -> bool:
        """Returned, acknowledged and not latched: nothing is left to do."""
        return self.acknowledged and not self.active and not self.latched

    @property
    def annunciated(self) -> bool:
        """It may sound: nobody and nothing holds it back."""
        return not (self.advisory or self.shelved_until_ns or self.suppressed or self.out_of_service)

    def item(self) -> dict[str, Any]:
        """As people and recipients see it."""
        return {
            "alarm_id": self.alarm_id,
            "change_no": self.change_no,
            "type": self.type,
            "condition": self.condition,
            "point_id": self.point_id,
            "source": self.source,
            "area": self.area,
            "priority": self.priority,
            "text": self.text,
            "active": self.active,
            "acknowledged": self.acknowledged,
            "latched": self.latched,
            "shelved_until": rfc3339(self.shelved_until_ns) if self.shelved_until_ns else None,
            "suppressed": self.suppressed,
            "out_of_service": self.out_of_service,
            "level": {"start": self.level_start, "worst": self.level_worst, "current": self.level_current},
            "value": self.value,
            "last_known": self.last_known,
            "peak": self.peak,
            "limit_edge": self.limit_edge,
            "limit_filed": self.limit_filed,
            "cause": self.cause,
            "t_raised": rfc3339(self.raised_ns),
            "t_changed": rfc3339(self.changed_ns),
            "t_cleared": rfc3339(self.cleared_ns) if self.cleared_ns else None,
            "ack": {"by": self.ack_by, "at": rfc3339(self.ack_ns), "note": self.ack_note}
            if self.ack_ns
            else None,
            "clear_kind": self.clear_kind,
            "repeat_count": self.repeat_count,
            "first_out": self.first_out,
            "at_start": self.at_start,
            "advisory": self.advisory,
            "test": self.test,
            "snapshot_ids": list(self.snapshot_ids),
            **({"points": self.points} if self.points else {}),
        }

    def state_bytes(self) -> bytes:
        """As it survives a restart."""
        return orjson.dumps(self)


@dataclass(frozen=True, slots=True)
class AlarmChanged:
    """One change of one alarm, in the order in which changes happened.

    Attributes:
        transition: which part moved.
        alarm: the alarm after it.
        coalesced: changes of the same alarm that were folded into this one because memory was short.
        by: who did it, "" if nobody did.
        reason: what they said.
    """

    transition: Transition
    alarm: Alarm
    coalesced: int = 0
    by: str = ""
    reason: str = ""

    @property
    def name(self) -> str:
        """Names this change among all."""
        return f"{self.alarm.alarm_id}#{self.alarm.change_no}"

    def item(self, config_rev: str) -> dict[str, Any]:
        """Fields of FIELD.md section 5, as they stand in the record and on the wire."""
        return {
            "transition": self.transition,
            "coalesced": self.coalesced,
            "by": self.by,
            "reason": self.reason,
            "config_rev": config_rev,
            **self.alarm.item(),
        }


def first(
    alarm_id: str, condition: str, subject: Subject, kind: AlarmType, level: str, now_ns: int, **fields: Any
) -> Alarm:
    """An excursion as it begins: active and not acknowledged.

    Args:
        alarm_id: its own.
        condition: of it.
        subject: what it is about.
        kind: of alarm.
        level: at the raise.
        now_ns: UTC.
        fields: what else is known of it.
    """
    return Alarm(
        alarm_id=alarm_id,
        condition=condition,
        type=kind,
        point_id=subject.point_id,
        source=subject.source,
        area=subject.area,
        priority=subject.priority,
        text=subject.text,
        points=subject.points,
        latched=subject.latching,
        advisory=subject.advisory,
        active=True,
        acknowledged=False,
        level_start=level,
        level_worst=level,
        level_current=level,
        raised_ns=now_ns,
        changed_ns=now_ns,
        **fields,
    )


def restore(state: bytes) -> Alarm:
    """The alarm that ``state_bytes`` wrote; what a newer version added to it is passed over.

    Raises:
        ValueError: these bytes are not one.
    """
    try:
        known = Alarm.__dataclass_fields__
        fields = {name: value for name, value in orjson.loads(state).items() if name in known}
        fields["snapshot_ids"] = tuple(fields["snapshot_ids"])
        return Alarm(**fields)
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as e:
        raise ValueError(f"not an alarm's state: {e}") from e


def moved(
    alarm: Alarm, transition: Transition, now_ns: int, *, by: str = "", reason: str = "", **fields: Any
) -> AlarmChanged:
    """One transition of an alarm.

    Args:
        alarm: as it stands.
        transition: what happens.
        now_ns: UTC.
        by: who did it.
        reason: what they said.
        fields: what else becomes known with it; a shelf's end and a suppression's reason among them.

    Raises:
        ImpossibleError: it cannot happen to an alarm that stands so.
    """
    after = step(alarm.state, transition)
    changed = replace(
        alarm,
        active=after.active,
        acknowledged=after.acknowledged,
        latched=after.latched,
        out_of_service=after.out_of_service,
        changed_ns=now_ns,
        change_no=alarm.change_no + 1,
        **fields,
    )
    assert changed.state == after, f"{transition} says {after}, its fields say {changed.state}"
    return AlarmChanged(transition, changed, by=by, reason=reason)


def relevelled(
    alarm: Alarm,
    level: str,
    value: float | None,
    peak: float | None,
    limit: tuple[float | None, float | None],
    now_ns: int,
) -> AlarmChanged:
    """The excursion moves to another level, in place: up is ``escalate``, down is ``deescalate``.

    Args:
        alarm: active.
        level: another than its own.
        value: now.
        peak: of the excursion so far.
        limit: of that level, here at the edge and as filed.
        now_ns: UTC.
    """
    up = RANK[level] > RANK[alarm.level_current]
    return moved(
        alarm,
        "escalate" if up else "deescalate",
        now_ns,
        level_current=level,
        level_worst=level if RANK[level] > RANK[alarm.level_worst] else alarm.level_worst,
        value=value,
        peak=peak,
        limit_edge=limit[0],
        limit_filed=limit[1],
    )


def cleared(
    alarm: Alarm, kind: ClearKind, value: float | None, peak: float | None, now_ns: int
) -> AlarmChanged:
    """The condition holds no longer. Whether it was acknowledged is left as it is."""
    return moved(
        alarm, "clear", now_ns, value=value, peak=peak, clear_kind=kind, cleared_ns=now_ns, last_known=False
    )


def acknowledged(alarm: Alarm, by: str, note: str, now_ns: int) -> AlarmChanged:
    """A person has seen it."""
    return moved(alarm, "ack", now_ns, by=by, reason=note, ack_by=by, ack_ns=now_ns, ack_note=note)
