"""One row of the point table -> the point, its alarms, and every mistake that the row alone shows. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from drivers.kit.scan import Point
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.alarm.presets import PRESETS, Preset
from gateway.columns import HEADINGS
from gateway.point_alarms import Measured, alarms_of
from gateway.sheet import Row, plain

LEAST_PERIOD_S: Final = 0.05
LONGEST_PERIOD_S: Final = 3600.0
"""As for a device's own ``period_s``."""
LEAST_LIMIT_S: Final = 0.1
LONGEST_LIMIT_S: Final = 604_800.0
"""A week: what may stay the same for longer says nothing by staying the same."""
LEAST_READINGS: Final = 3
"""A window of the rate of change holds so many periods at least."""
MAX_LENGTH: Final = 64
"""Registers of a text."""

_USUAL: Final = Point(name="", address="")
"""What a row that says nothing else means."""

_TOGETHER: Final = (
    ("status_point", "status_bits"),
    ("heartbeat_point", "heartbeat_s"),
    ("deviation", "deviation_from"),
)
"""Columns of which one says nothing without the other."""


def point_of(
    row: Row, tag: str, unit: str = "", presets: Mapping[str, Preset | None] = PRESETS
) -> tuple[Point, Limits, Conditions]:
    """What one row says; what is wrong in it stands in its errors and is left at the usual."""
    kind = plain(row.text("type")).lower()
    lo, hi = row.number("range_lo"), row.number("range_hi")
    limits, conditions = alarms_of(row, Measured(kind, unit, lo, hi), presets)
    scale, offset = row.number("scale"), row.number("offset")
    if scale == 0:
        row.wrong("scale", "E-POINTS-SCALE")
    deadband = row.number("sample_deadband") or 0.0
    if deadband < 0:
        row.wrong("sample_deadband", "E-POINTS-DEADBAND-NEGATIVE", deadband=deadband)
    point = Point(
        name=tag,
        address=_plain_if_ascii(row.text("address")),
        type=kind or _USUAL.type,
        order=plain(row.text("order")).upper() or _USUAL.order,
        bit=row.whole("bit", 0, 15),
        scale=_USUAL.scale if scale is None else scale,
        offset=_USUAL.offset if offset is None else offset,
        unit_id=row.whole("unit_id", 0, 255),
        length=row.whole("length", 1, MAX_LENGTH),
        raw_lo=row.number("raw_lo"),
        raw_hi=row.number("raw_hi"),
        range_lo=lo,
        range_hi=hi,
        fault_values=plain(row.text("fault_values")),
        status_point=row.text("status_point"),
        status_bits=plain(row.text("status_bits")),
        heartbeat_point=row.text("heartbeat_point"),
        heartbeat_s=row.between("heartbeat_s", LEAST_LIMIT_S, LONGEST_LIMIT_S),
        frozen_s=row.between("frozen_s", LEAST_LIMIT_S, LONGEST_LIMIT_S),
        decimals_point=row.text("decimals_point"),
        period_s=row.between("period_s", LEAST_PERIOD_S, LONGEST_PERIOD_S),
        sample_deadband=max(deadband, 0.0),
        alarmed=bool(limits.levels) or _moves(conditions) or conditions.deviation is not None,
    )
    _check_together(row)
    return point, limits, conditions


def check_window(row: Row, conditions: Conditions, period_s: float) -> None:
    """A rate over too few readings is none: its alarm would never come."""
    least_s = LEAST_READINGS * period_s
    if _moves(conditions) and conditions.rate_window_s < least_s:
        facts = {"window": conditions.rate_window_s, "period": period_s, "least": least_s}
        row.wrong("rate_window_s", "E-POINTS-WINDOW", **facts)


def _moves(conditions: Conditions) -> bool:
    """Whether its rate of change is watched."""
    return conditions.rise_per_min is not None or conditions.fall_per_min is not None


def _check_together(row: Row) -> None:
    for pair in _TOGETHER:
        given = [column for column in pair if row.holds(column)]
        if len(given) == 1:
            [missing] = set(pair) - set(given)
            row.wrong(missing, "E-POINTS-TOGETHER", **_named("given", given[0]), **_named("missing", missing))


def _plain_if_ascii(text: str) -> str:
    """An address typed full-width by an input method becomes plain; one with real Chinese in it stays."""
    said_plainly = plain(text)
    return said_plainly if said_plainly.isascii() else text


def _named(fact: str, column: str) -> dict[str, object]:
    return {f"{fact}_zh": HEADINGS[column][0], f"{fact}_en": column}
