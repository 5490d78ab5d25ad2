"""One row of the point table -> the point, its limits, and every mistake that the row alone shows. Pure."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from drivers.kit.scan import Point
from gateway.alarm.limits import Limits
from gateway.columns import HEADINGS, LIMIT_COLUMNS
from gateway.sheet import Row, plain

DIGITAL_TYPES: Final = frozenset({"bit", "bool", "boolean"})
TEXT_TYPES: Final = frozenset({"string"})
LEAST_PERIOD_S: Final = 0.05
LONGEST_PERIOD_S: Final = 3600.0
"""As for a device's own ``period_s``."""
LEAST_LIMIT_S: Final = 0.1
LONGEST_LIMIT_S: Final = 604_800.0
"""A week: what may stay the same for longer says nothing by staying the same."""
MAX_LENGTH: Final = 64
"""Registers of a text."""

_TOGETHER: Final = (("status_point", "status_bits"), ("heartbeat_point", "heartbeat_s"))
"""Columns of which one says nothing without the other."""


def point_of(row: Row, tag: str) -> tuple[Point, Limits]:
    """What one row says; what is wrong in it stands in its errors and is left at the usual."""
    kind = plain(row.text("type")).lower()
    lo, hi = row.number("range_lo"), row.number("range_hi")
    limits = _limits(row, kind, lo, hi)
    scale, offset = row.number("scale"), row.number("offset")
    if scale == 0:
        row.wrong("scale", "E-POINTS-SCALE")
    deadband = row.number("sample_deadband") or 0.0
    if deadband < 0:
        row.wrong("sample_deadband", "E-POINTS-DEADBAND-NEGATIVE", deadband=deadband)
    usual = Point(name=tag, address=_plain_if_ascii(row.text("address")))
    point = Point(
        name=tag,
        address=usual.address,
        type=kind or usual.type,
        order=plain(row.text("order")).upper() or usual.order,
        bit=row.whole("bit", 0, 15),
        scale=usual.scale if scale is None else scale,
        offset=usual.offset if offset is None else offset,
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
        alarmed=limits != Limits(deadband=limits.deadband),
    )
    _check_together(row)
    return point, limits


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


def _limits(row: Row, kind: str, lo: float | None, hi: float | None) -> Limits:
    """Limits of one row, judged against each other and the range."""
    edges: dict[str, Any] = {
        column: value for column in LIMIT_COLUMNS if (value := row.number(column)) is not None
    }
    on = row.whole("alarm_on", 0, 1)
    deadband = row.number("deadband") or 0.0
    given = (*edges, *(["deadband"] if deadband else []))
    if kind in TEXT_TYPES:
        for column in (*given, *(["alarm_on"] if on is not None else [])):
            row.wrong(column, "E-POINTS-LIMIT-TEXT", zh=HEADINGS[column][0], en=column)
    elif on is not None and kind and kind not in DIGITAL_TYPES:
        row.wrong("alarm_on", "E-POINTS-ANALOGUE", type=kind)
    elif on is not None or kind in DIGITAL_TYPES:
        for column in given:
            row.wrong(column, "E-POINTS-DIGITAL", zh=HEADINGS[column][0], en=column)
    else:
        _check_analogue(row, edges, lo, hi, deadband)
    return Limits(**edges, on=on, deadband=max(deadband, 0.0))


def _check_analogue(
    row: Row, edges: dict[str, float], lo: float | None, hi: float | None, deadband: float
) -> None:
    if lo is not None and hi is not None and lo >= hi:
        row.wrong("range_hi", "E-POINTS-RANGE", lo=lo, hi=hi)
    for (low, low_value), (high, high_value) in pairwise(edges.items()):
        if low_value >= high_value:
            facts: dict[str, object] = {"low_zh": HEADINGS[low][0], "low_en": low.upper(), "low": low_value}
            facts |= {"high_zh": HEADINGS[high][0], "high_en": high.upper(), "high": high_value}
            row.wrong(high, "E-POINTS-LIMIT-ORDER", **facts)
    for column, value in edges.items():
        if (lo is not None and value < lo) or (hi is not None and value > hi):
            row.wrong(column, "E-POINTS-LIMIT-RANGE", value=value)
    # The normal span ends at the innermost limits, or at the range where a side has none.
    bottom = edges.get("l", edges.get("ll", lo))
    top = edges.get("h", edges.get("hh", hi))
    if deadband < 0:
        row.wrong("deadband", "E-POINTS-DEADBAND-NEGATIVE", deadband=deadband)
    elif edges and bottom is not None and top is not None and deadband >= top - bottom > 0:
        row.wrong("deadband", "E-POINTS-DEADBAND-WIDE", deadband=deadband, low=bottom, high=top)
