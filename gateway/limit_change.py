"""Limits that people change while the gateway runs, and what became of the point table's since the last start. Pure.

Rules, in their order of weight:

1. No limit changes without an author and a reason, nor, where the site says so, without a second person.
2. What is wanted is judged as the point table is: order, range, deadband.
3. Old and new go into the record, and with it to the recipients, in the same append as what follows from them.
4. A change holds over a restart until its cell of the point table itself changes: then the table wins.
5. What somebody changed in the table by hand is told at the next start, limit by limit, as done by nobody known.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import orjson

from gateway.alarm.entry import Entry
from gateway.alarm.limits import Limits
from gateway.alarm.people import RefusedError, UnknownAlarmError
from gateway.instant import Now, rfc3339
from gateway.limit_rules import FIELDS, Figures, differences, judge, level_of, looser, told, with_figures
from gateway.plant import PointConfig

APPROVE_S: Final = 3600.0
"""A second person has so long; a change that nobody approved is then given up."""

MAX_STAGED: Final = 100
"""Changes that wait for a second person at once."""

MAX_TOLD: Final = 5_000
"""Changes of the table that are told singly at a start; more are told as a number."""

PREFIX: Final = "limit/"
"""A change that holds is kept under this and its tag."""
TABLE: Final = "limits/table"
"""What the point table said at the last start is kept under this."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What people changed on one point, as it holds.

    Attributes:
        values: of the fields that differ from the table.
        table: what the table said of these fields then.
        by: who wanted it.
        approved_by: the second person, "" where none was needed.
        reason: why.
        at_ns: UTC.
    """

    values: Figures
    table: Figures
    by: str
    approved_by: str
    reason: str
    at_ns: int

    def __post_init__(self) -> None:
        figures = (*self.values.items(), *self.table.items())
        usual = all(name in FIELDS and isinstance(figure, float | int | None) for name, figure in figures)
        if not usual or not isinstance(self.at_ns, int):
            raise TypeError(self)  # what was remembered is another version's, or touched by hand


@dataclass(frozen=True, slots=True)
class Staged:
    """A change that waits for a second person.

    Attributes:
        change_id: names it; the approver says it, so that nobody approves what he has not seen.
        point_id: the tag.
        values: what is wanted.
        by: who wants it.
        reason: why.
        until_ns: UTC; given up then.
        end_ns: the same on the monotonic clock.
    """

    change_id: str
    point_id: str
    values: Figures
    by: str
    reason: str
    until_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Decided:
    """What is to be done, in this order: record the entries, then let the limits hold.

    Attributes:
        entries: for the record.
        point_id: whose limits change, "" if none do.
        limits: that hold from now on.
        change_id: of what waits for a second person now, "" if nothing does.
        changes: field, old and new, for who asked.
    """

    entries: tuple[Entry, ...] = ()
    point_id: str = ""
    limits: Limits = field(default_factory=Limits)
    change_id: str = ""
    changes: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """What a start finds.

    Attributes:
        entries: for the record.
        state: to be remembered.
    """

    entries: tuple[Entry, ...] = ()
    state: dict[str, bytes | None] = field(default_factory=dict)


class LimitBook:
    """The limits of every point: as in the table, as changed, and what waits for a second person.

    Args:
        points: of the point table.
        state: what the spool remembers.
        now: the start.
        rev: of the configuration.
        second_person: a change needs two.

    Attributes:
        begun: what the start has found.
    """

    def __init__(
        self,
        points: Iterable[PointConfig],
        state: Mapping[str, bytes],
        now: Now,
        rev: str,
        *,
        second_person: bool = False,
    ) -> None:
        self._points = {point.point.name: point for point in points}
        self._rev = rev
        self._second_person = second_person
        self._staged: dict[str, Staged] = {}
        self._changed: dict[str, Changed] = {}
        self.begun = self._begin(state, now)

    def applied(self, points: Sequence[PointConfig]) -> tuple[PointConfig, ...]:
        """The same points with the limits that hold."""
        return tuple(replace(point, limits=self.limits(point.point.name)) for point in points)

    def limits(self, point_id: str) -> Limits:
        """What holds for a point.

        Raises:
            UnknownAlarmError: there is no such point.
        """
        point = self._points.get(point_id)
        if point is None:
            raise UnknownAlarmError(point_id)
        changed = self._changed.get(point_id)
        return point.limits if changed is None else with_figures(point.limits, changed.values)

    # -- what people do -------------------------------------------------------------------------------

    def set(self, actor: str, point_id: str, wanted: Figures, reason: str, now: Now) -> Decided:
        """Change limits of a point, or let the change wait for a second person.

        Args:
            actor: an engineer.
            point_id: the tag.
            wanted: fields of ``FIELDS``, None to take a limit away; those not named stay.
            reason: why.
            now: the instant.

        Raises:
            UnknownAlarmError: there is no such point.
            RefusedError: it cannot be, and why.
        """
        before = self.limits(point_id)
        if not reason.strip():
            raise RefusedError("E-REFUSED-REASON")
        values = {name: value for name, value in wanted.items() if value != before.of(level_of(name))}
        if not values:
            raise RefusedError("E-REFUSED-LIMIT-SAME")
        if any(staged.point_id == point_id for staged in self._staged.values()):
            raise RefusedError("E-REFUSED-LIMIT-WAITS")
        judge(self._points[point_id], with_figures(before, values))
        if self._second_person:
            return self._stage(actor, point_id, values, reason, now)
        return self._apply(point_id, values, actor, "", reason, now)

    def put_back(self, actor: str, point_id: str, reason: str, now: Now) -> Decided:
        """Let the table hold again: a change as any other.

        Raises:
            UnknownAlarmError, RefusedError: as for ``set``.
        """
        self.limits(point_id)
        changed = self._changed.get(point_id)
        if changed is None:
            raise RefusedError("E-REFUSED-LIMIT-TABLE")
        table = self._points[point_id].limits
        return self.set(
            actor, point_id, {name: table.of(level_of(name)) for name in changed.values}, reason, now
        )

    def approve(self, actor: str, change_id: str, now: Now) -> Decided:
        """The second person agrees.

        Raises:
            RefusedError: nothing waits under this name, or it is the first person again.
        """
        staged = self._find(change_id)
        if actor == staged.by:
            raise RefusedError("E-REFUSED-SAME-PERSON", user=actor)
        del self._staged[change_id]
        return self._apply(staged.point_id, staged.values, staged.by, actor, staged.reason, now)

    def reject(self, actor: str, change_id: str, reason: str, now: Now) -> Decided:
        """The second person does not agree, or the first one takes it back.

        Raises:
            RefusedError: nothing waits under this name.
        """
        staged = self._find(change_id)
        del self._staged[change_id]
        return Decided((self._told(staged, "limit_reject", actor, reason, now),), changes=self._diff(staged))

    def expire(self, now: Now) -> Decided:
        """Give up what nobody approved in time."""
        over = [staged for staged in self._staged.values() if now.mono_ns >= staged.end_ns]
        for staged in over:
            del self._staged[staged.change_id]
        return Decided(tuple(self._told(staged, "limit_expire", "", "expired", now) for staged in over))

    def _find(self, change_id: str) -> Staged:
        if change_id not in self._staged:
            raise RefusedError("E-REFUSED-LIMIT-ABSENT")
        return self._staged[change_id]

    def _stage(self, actor: str, point_id: str, values: Figures, reason: str, now: Now) -> Decided:
        if len(self._staged) >= MAX_STAGED:
            raise RefusedError("E-REFUSED-LIMIT-MANY", most=MAX_STAGED)
        for_ns = int(APPROVE_S * 1e9)
        change_id = f"{point_id}@{now.utc_ns // 10**6}"
        staged = Staged(change_id, point_id, values, actor, reason, now.utc_ns + for_ns, now.mono_ns + for_ns)
        self._staged[change_id] = staged
        entry = self._told(staged, "limit_stage", actor, reason, now)
        return Decided((entry,), change_id=change_id, changes=self._diff(staged))

    def _apply(
        self, point_id: str, values: Figures, by: str, approved_by: str, reason: str, now: Now
    ) -> Decided:
        changes = self._compared(point_id, values)
        table = self._points[point_id].limits
        known = self._changed.get(point_id)
        merged = {**(known.values if known else {}), **values}
        differing = {name: value for name, value in merged.items() if value != table.of(level_of(name))}
        if differing:
            was = {name: table.of(level_of(name)) for name in differing}
            self._changed[point_id] = Changed(differing, was, by, approved_by, reason, now.utc_ns)
        else:
            self._changed.pop(point_id, None)
        kept = {f"{PREFIX}{point_id}": orjson.dumps(self._changed[point_id]) if differing else None}
        who = {"by": by, "approved_by": approved_by, "reason": reason}
        entries = [self._entry(point_id, change, who, now) for change in changes]
        entries[0] = replace(entries[0], state=kept)
        return Decided(tuple(entries), point_id, self.limits(point_id), changes=changes)

    def _entry(self, point_id: str, change: dict[str, Any], who: dict[str, str], now: Now) -> Entry:
        stamp = {"at": rfc3339(now.utc_ns), "rev": self._rev}
        return Entry("config_change", {"object": f"point {point_id}", **change, **who, **stamp})

    def _told(self, staged: Staged, action: str, actor: str, reason: str, now: Now) -> Entry:
        what = {"action": action, "target": staged.point_id, "id": staged.change_id}
        who = {"by": actor, "reason": reason, "changes": [*self._diff(staged)]}
        when = {"until": rfc3339(staged.until_ns), "at": rfc3339(now.utc_ns)}
        return Entry("operator_action", {**what, **who, **when})

    def _diff(self, staged: Staged) -> tuple[dict[str, Any], ...]:
        return self._compared(staged.point_id, staged.values)

    def _compared(self, point_id: str, values: Figures) -> tuple[dict[str, Any], ...]:
        old = self.limits(point_id)
        return tuple({"field": f, "old": old.of(level_of(f)), "new": value} for f, value in values.items())

    # -- what people see ------------------------------------------------------------------------------

    @property
    def counts(self) -> dict[str, int]:
        """Points whose limits differ from the table, and changes that wait for a second person."""
        return {"changed": len(self._changed), "staged": len(self._staged)}

    def view(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """Points whose limits differ from the table or are about to; with ``everything`` all that have limits."""
        staged = {one.point_id: one for one in self._staged.values()}
        return [
            self._item(point, self._changed.get(tag), staged.get(tag))
            for tag, point in self._points.items()
            if tag in self._changed or tag in staged or (everything and point.limits.levels)
        ]

    def _item(self, point: PointConfig, changed: Changed | None, staged: Staged | None) -> dict[str, Any]:
        holds = self.limits(point.point.name)
        item: dict[str, Any] = {
            "name": point.point.name,
            "description": point.description,
            "unit": point.unit,
            "limits": {name: holds.of(name) for name in FIELDS},
            "table": {name: point.limits.of(name) for name in FIELDS},
            "filed": {name: holds.filed.get(name) for name in FIELDS},
            "looser_than_filed": looser(holds),
            "changed": None,
            "staged": None,
        }
        if changed is not None:
            who = {"by": changed.by, "approved_by": changed.approved_by, "reason": changed.reason}
            item["changed"] = {**who, "at": rfc3339(changed.at_ns)}
        if staged is not None:
            who = {"by": staged.by, "reason": staged.reason, "until": rfc3339(staged.until_ns)}
            item["staged"] = {"id": staged.change_id, "changes": [*self._diff(staged)], **who}
        return item

    # -- the start ------------------------------------------------------------------------------------

    def _begin(self, state: Mapping[str, bytes], now: Now) -> Begun:
        table = {tag: told(point) for tag, point in self._points.items()}
        before = _table_of(state)
        found, unreadable = _remembered(state)
        entries: list[Entry] = []
        if unreadable:
            entries.append(Entry("limits_unreadable", {"states": unreadable}, dict.fromkeys(unreadable)))
        keeps: dict[str, bytes | None] = {}
        for tag, changed in found.items():
            self._keep(tag, changed)
            still = self._changed.get(tag)
            if still != changed:
                keeps[f"{PREFIX}{tag}"] = orjson.dumps(still) if still else None
            before.setdefault(tag, {**table.get(tag, {}), **changed.table}).update(changed.values)
        who = {"by": "unknown", "approved_by": "", "reason": ""}
        for tag, was in before.items():
            still = self._changed.get(tag)
            holds = {**table.get(tag, {}), **(still.values if still else {})}
            if was != holds:
                entries += [self._entry(tag, change, who, now) for change in differences(was, holds)]
        if len(entries) > MAX_TOLD:
            more = {"field": "limits", "old": None, "new": None, "more": len(entries) - MAX_TOLD}
            entries[MAX_TOLD:] = [self._entry("", more, who, now)]
        if _table_of(state) != table:
            keeps[TABLE] = zlib.compress(orjson.dumps(table))
        return Begun(tuple(entries), keeps)

    def _keep(self, tag: str, changed: Changed) -> None:
        """A change of before the start holds on for the cells that are as they were."""
        point = self._points.get(tag)
        if point is None:
            return
        of = point.limits.of
        values = {
            name: value
            for name, value in changed.values.items()
            if of(level_of(name)) == changed.table.get(name) and value != of(level_of(name))
        }
        try:
            judge(point, with_figures(point.limits, values))
        except RefusedError:
            return  # beside what the table says now it makes no sense any more
        if values:
            was = {name: changed.table.get(name) for name in values}
            self._changed[tag] = replace(changed, values=values, table=was)


def _remembered(state: Mapping[str, bytes]) -> tuple[dict[str, Changed], list[str]]:
    found: dict[str, Changed] = {}
    unreadable: list[str] = []
    for key, value in state.items():
        if key.startswith(PREFIX):
            try:
                parts = orjson.loads(value)
                found[key.removeprefix(PREFIX)] = Changed(*(parts[f.name] for f in fields(Changed)))
            except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
                unreadable.append(key)
    return found, unreadable


def _table_of(state: Mapping[str, bytes]) -> dict[str, dict[str, object]]:
    """What the table said at the last start; {} where nobody knows: then nothing can be said to have changed."""
    try:
        before = orjson.loads(zlib.decompress(state[TABLE])) if TABLE in state else {}
    except (orjson.JSONDecodeError, zlib.error):
        return {}
    return before if isinstance(before, dict) and all(isinstance(w, dict) for w in before.values()) else {}
