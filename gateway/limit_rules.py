"""What a changed limit must obey, and what of a point decides when it is in alarm, field by field. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from itertools import pairwise
from typing import Any, Final, TypeAlias

from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Level, Limits, each
from gateway.alarm.people import RefusedError
from gateway.plant import PointConfig
from gateway.point_alarms import DIGITAL_TYPES, TEXT_TYPES, wide_deadband

FIELDS: Final[tuple[Level, ...]] = ("LL", "L", "H", "HH")
"""What may be changed, in the order that the limits of one point must keep."""

Figures: TypeAlias = dict[str, float | None]
"""Field -> limit, None for no such limit."""


def told(point: PointConfig) -> dict[str, object]:
    """Everything that decides when a point is in alarm, field by field; what is as usual is left out."""
    limits, usual = point.limits, Conditions()
    found: dict[str, object] = {level: limits.of(level) for level in limits.levels}
    for name in ("deadband", "on_delay_s", "off_delay_s"):
        for level in limits.levels:
            if figure := each(getattr(limits, name), level):
                found[f"{name} {level}"] = figure
    found |= {f"filed {level}": value for level, value in limits.filed.items()}
    for one in fields(Conditions) if point.conditions != usual else ():
        value = getattr(point.conditions, one.name)
        if value != getattr(usual, one.name):
            found[one.name] = value
    return found


def looser(limits: Limits) -> list[Level]:
    """Limits that are further out than filed with the authority, or missing."""
    found: list[Level] = []
    for name, filed in limits.filed.items():
        value = limits.of(name)
        if value is None or (value < filed if name in ("LL", "L") else value > filed):
            found.append(name)
    return found


def level_of(name: str) -> Level:
    """A field that may be changed.

    Raises:
        RefusedError: it is none.
    """
    if name not in FIELDS:
        raise RefusedError("E-NAME-LIMIT", field=name)
    return name


def with_figures(limits: Limits, values: Figures) -> Limits:
    """The same limits with other figures."""
    changes: dict[str, Any] = {name.lower(): value for name, value in values.items()}
    return replace(limits, **changes)


def judge(point: PointConfig, limits: Limits) -> None:
    """As the point table is judged.

    Raises:
        RefusedError: the first thing that is wrong.
    """
    kind = point.point.type
    if kind in DIGITAL_TYPES | TEXT_TYPES or limits.on is not None:
        raise RefusedError("E-REFUSED-LIMIT-KIND")
    lo, hi = point.point.range_lo, point.point.range_hi
    given = [(name, value) for name in FIELDS if (value := limits.of(name)) is not None]
    for (low, low_value), (high, high_value) in pairwise(given):
        if low_value >= high_value:
            facts: dict[str, object] = {"low": low, "low_value": low_value}
            raise RefusedError("E-REFUSED-LIMIT-ORDER", **facts, high=high, high_value=high_value)
    for name, value in given:
        if (lo is not None and value < lo) or (hi is not None and value > hi):
            raise RefusedError("E-REFUSED-LIMIT-RANGE", field=name, value=value)
    if wide := wide_deadband(dict(given), limits.deadband, lo, hi):
        raise RefusedError("E-REFUSED-LIMIT-DEADBAND", field=wide.level, deadband=wide.deadband)


def differences(before: Mapping[str, object], after: Mapping[str, object]) -> list[dict[str, Any]]:
    """Field, old and new of what differs; None where there is none."""
    names = [*before, *(name for name in after if name not in before)]
    return [
        {"field": name, "old": before.get(name), "new": after.get(name)}
        for name in names
        if before.get(name) != after.get(name)
    ]
