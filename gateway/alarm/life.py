"""One alarm from raise to the end: every change of its parts, as functions. Pure.

An alarm is one excursion: it begins when a condition becomes active, escalates in place, and ends when it has
returned *and* was acknowledged. Its state is the product of two independent parts (terms as in OPC UA Part 9):

    active        inactive <-> active          by ``raised``, ``cleared``
    acknowledged  unacknowledged -> acknowledged   by ``acknowledged`` only, never by itself
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import orjson

from gateway.instant import rfc3339

AlarmType: TypeAlias = Literal["limit", "digital", "comm", "quality", "gateway"]
Transition: TypeAlias = Literal["raise", "escalate", "deescalate", "ack", "clear"]
ClearKind: TypeAlias = Literal["", "returned", "point_removed", "limit_removed"]

RANK: Final[dict[str, int]] = {"L": 1, "H": 1, "ON": 1, "BAD": 1, "COMM": 1, "FAULT": 1, "LL": 2, "HH": 2}
"""How far out a level is; a higher rank is worse."""

MAX_SNAPSHOTS: Final = 16
"""Snapshots one excursion keeps."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One excursion, as far as it has come.

    Attributes:
        alarm_id: ``condition@raised_ns``; never repeats.
        condition: what is watched, e.g. ``LT-101/high``; at most one active alarm per condition.
        type: kind of condition.
        point_id: the point's tag, "" for a source's or the gateway's own condition.
        source: name of the device (or device/unit), recipient or part of the gateway.
        priority: 1 (highest) to 4.
        text: what people call it.
        active: the condition holds.
        acknowledged: a person has seen it.
        level_start: level at the raise.
        level_worst: furthest level so far.
        level_current: level now; the last one when inactive.
        value: value at the last change; None where there is none.
        peak: most extreme value so far; None where there is none.
        limit_edge: limit of ``level_current`` here at the edge; None where there is none.
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
        points: how many points a source's communication alarm stands for; 0 for every other kind.
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

    @property
    def ended(self) -> bool:
        """Returned and acknowledged: nothing is left to do."""
        return self.acknowledged and not self.active

    def item(self) -> dict[str, Any]:
        """As people and recipients see it."""
        return {
            "alarm_id": self.alarm_id,
            "change_no": self.change_no,
            "type": self.type,
            "condition": self.condition,
            "point_id": self.point_id,
            "source": self.source,
            "priority": self.priority,
            "text": self.text,
            "active": self.active,
            "acknowledged": self.acknowledged,
            "level": {"start": self.level_start, "worst": self.level_worst, "current": self.level_current},
            "value": self.value,
            "peak": self.peak,
            "limit_edge": self.limit_edge,
            "cause": self.cause,
            "t_raised": rfc3339(self.raised_ns),
            "t_changed": rfc3339(self.changed_ns),
            "t_cleared": rfc3339(self.cleared_ns) if self.cleared_ns else None,
            "ack": {"by": self.ack_by, "at": rfc3339(self.ack_ns), "note": self.ack_note}
            if self.ack_ns
            else None,
            "clear_kind": self.clear_kind,
            "repeat_count": self.repeat_count,
            "snapshot_ids": list(self.snapshot_ids),
            **({"points": self.points} if self.points else {}),
        }

    def state_bytes(self) -> bytes:
        """As it survives a restart."""
        return orjson.dumps(asdict(self))


@dataclass(frozen=True, slots=True)
class AlarmChanged:
    """One change of one alarm, in the order in which changes happened.

    Attributes:
        transition: which part moved.
        alarm: the alarm after it.
        coalesced: changes of the same alarm that were folded into this one because memory was short.
    """

    transition: Transition
    alarm: Alarm
    coalesced: int = 0

    @property
    def name(self) -> str:
        """Names this change among all."""
        return f"{self.alarm.alarm_id}#{self.alarm.change_no}"

    def item(self, config_rev: str) -> dict[str, Any]:
        """Fields of FIELD.md section 5, as they stand in the record and on the wire."""
        return {
            "transition": self.transition,
            "coalesced": self.coalesced,
            "config_rev": config_rev,
            **self.alarm.item(),
        }


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


def escalated(
    alarm: Alarm, level: str, value: float | None, limit: float | None, peak: float | None, now_ns: int
) -> AlarmChanged:
    """The excursion moves to another level, in place: up is ``escalate``, down is ``deescalate``."""
    assert alarm.active, "a returned alarm cannot change its level"
    assert level != alarm.level_current, "not a change"
    up = RANK[level] > RANK[alarm.level_current]
    worst = level if RANK[level] > RANK[alarm.level_worst] else alarm.level_worst
    return AlarmChanged(
        "escalate" if up else "deescalate",
        replace(
            alarm,
            level_current=level,
            level_worst=worst,
            value=value,
            peak=peak,
            limit_edge=limit,
            changed_ns=now_ns,
            acknowledged=alarm.acknowledged and not up,
            change_no=alarm.change_no + 1,
        ),
    )


def cleared(
    alarm: Alarm, kind: ClearKind, value: float | None, peak: float | None, now_ns: int
) -> AlarmChanged:
    """The condition holds no longer. Whether it was acknowledged is left as it is."""
    assert alarm.active, "cleared twice"
    return AlarmChanged(
        "clear",
        replace(
            alarm,
            active=False,
            value=value,
            peak=peak,
            clear_kind=kind,
            cleared_ns=now_ns,
            changed_ns=now_ns,
            change_no=alarm.change_no + 1,
        ),
    )


def acknowledged(alarm: Alarm, by: str, note: str, now_ns: int) -> AlarmChanged:
    """A person has seen it."""
    assert not alarm.acknowledged, "acknowledged twice"
    return AlarmChanged(
        "ack",
        replace(
            alarm,
            acknowledged=True,
            ack_by=by,
            ack_ns=now_ns,
            ack_note=note,
            changed_ns=now_ns,
            change_no=alarm.change_no + 1,
        ),
    )
