"""The alarm columns of one row -> limits and conditions, and every mistake that the row alone shows. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Each, Level, Limits, each
from gateway.alarm.presets import NAMES, Preset, is_gas, preset_name, unit_meant
from gateway.columns import FILED_COLUMNS, HEADINGS, LIMIT_COLUMNS
from gateway.sheet import Row, plain
from gateway.words import both, meant

DIGITAL_TYPES: Final = frozenset({"bit", "bool", "boolean"})
TEXT_TYPES: Final = frozenset({"string"})
LONGEST_DELAY_S: Final = 3600.0
LEAST_WINDOW_S: Final = 2.0
LONGEST_WINDOW_S: Final = 3600.0
LEAST_RE_ALARM_S: Final = 10.0
LONGEST_RE_ALARM_S: Final = 604_800.0
LEAST_REASON_CHARS: Final = 2
"""Letters of a reason: what Excel users put into a cell that has none ("-", "/", "无") is shorter."""

_DELAYS: Final = ("on_delay_s", "off_delay_s")
_NO_LIMIT: Final = frozenset({"无", "none"})
"""Says in a limit's cell that there is none, whatever the preset."""

_LEVEL_OF: Final[Mapping[str, Level]] = {
    **dict.fromkeys(("ll", *HEADINGS["ll"]), "LL"),
    **dict.fromkeys(("l", *HEADINGS["l"]), "L"),
    **dict.fromkeys(("h", *HEADINGS["h"]), "H"),
    **dict.fromkeys(("hh", *HEADINGS["hh"]), "HH"),
    **dict.fromkeys(("on", "alarm_on", *HEADINGS["alarm_on"]), "ON"),
}
_EACH: Final = re.compile(r"\s*([^\W\d]+)\s*[=:]\s*([^\s;,、=:]+)\s*(?:[;,、]|(?<=\s)|$)")
_OF_NUMBERS: Final = (
    *(*LIMIT_COLUMNS, *FILED_COLUMNS, "preset", "rise_per_min", "fall_per_min", "deviation"),
    *("deviation_from", "forecast"),
)
"""Only a number has these; a contact and a text have none."""

_ALONE: Final = {
    "rate_window_s": ("rise_per_min", "fall_per_min"),
    "deviation_deadband": ("deviation", "deviation_from"),
    "suppressed_on": ("suppressed_by",),
}
"""Columns that say nothing unless one of these is filled in, too."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What the rest of the row says of the value.

    Attributes:
        kind: data type, "" where the row leaves it to the driver.
        unit: engineering unit.
        lo: lower range.
        hi: upper range.
    """

    kind: str = ""
    unit: str = ""
    lo: float | None = None
    hi: float | None = None


@dataclass(frozen=True, slots=True)
class _Filled:
    """What a row's preset has given it.

    Attributes:
        name: of the preset as the row has it, "" for none.
        columns: limits that are the preset's.
        deadband: the preset's, 0 where the row has one.
    """

    name: str = ""
    columns: frozenset[str] = frozenset()
    deadband: float = 0.0


def alarms_of(
    row: Row, measured: Measured, presets: Mapping[str, Preset | None]
) -> tuple[Limits, Conditions]:
    """What a row says of its alarms.

    Args:
        row: the row; takes the mistakes.
        measured: what else it says.
        presets: by name; None for one that is wrong in gateway.toml.
    """
    edges = {column: value for column in LIMIT_COLUMNS if (value := _edge(row, column)) is not None}
    filed = {column: value for column in FILED_COLUMNS if (value := row.number(column)) is not None}
    on = row.whole("alarm_on", 0, 1)
    deadband = each_of(row, "deadband")
    delays = {column: _delay(row, column) for column in _DELAYS}
    conditions = _conditions(row)
    given = [column for column in _OF_NUMBERS if _is_given(row, column, edges, filed, conditions)]
    given += ["deadband"] if any(_figures(deadband)) else []
    if measured.kind in TEXT_TYPES:
        given += ["alarm_on"] if on is not None else []
        given += [column for column in _DELAYS if any(_figures(delays[column]))]
        for column in given:
            row.wrong(column, "E-POINTS-LIMIT-TEXT", zh=HEADINGS[column][0], en=column)
    elif on is not None and measured.kind and measured.kind not in DIGITAL_TYPES:
        row.wrong("alarm_on", "E-POINTS-ANALOGUE", type=measured.kind)
    elif on is not None or measured.kind in DIGITAL_TYPES:
        for column in given:
            row.wrong(column, "E-POINTS-DIGITAL", zh=HEADINGS[column][0], en=column)
        _check_levels(row, delays, {} if on is None else {"alarm_on": float(on)})
    else:
        edges, filled = _fill(row, edges, measured.unit, presets)
        deadband = deadband if row.holds("deadband") else filled.deadband
        _check_edges(row, edges, filled, measured)
        _check_order(row, filed, _Filled())
        _check_deadband(row, edges, deadband, measured)
        _check_levels(row, {"deadband": deadband, **delays}, edges)
        if conditions.forecast and not edges:
            row.wrong("forecast", "E-POINTS-FORECAST")
    _check_gas(row, delays, measured.unit, conditions.delay_reason)
    return (
        Limits(
            **dict(zip(LIMIT_COLUMNS, map(edges.get, LIMIT_COLUMNS), strict=True)),
            on=on,
            deadband=deadband,
            on_delay_s=delays["on_delay_s"],
            off_delay_s=delays["off_delay_s"],
            filed={_LEVEL_OF[column.removeprefix("filed_")]: value for column, value in filed.items()},
        ),
        conditions,
    )


def each_of(row: Row, column: str) -> Each:
    """One figure for every limit, or one per limit (``H=10 HH=0``); 0 where the cell is empty or wrong."""
    cell = plain(row.cell(column))
    if "=" not in cell and ":" not in cell:
        return row.number(column) or 0.0
    row.text(column)
    found: dict[Level, float] = {}
    at = 0
    while at < len(cell):
        match = _EACH.match(cell, at)
        level = _LEVEL_OF.get(match.group(1).casefold()) if match else None
        value = _finite(match.group(2)) if match else None
        if match is None or level is None or value is None:
            row.wrong(column, "E-POINTS-EACH", cell=row.cell(column))
            return 0.0
        if level in found:
            row.wrong(column, "E-POINTS-EACH-TWICE", name=match.group(1))
            return 0.0
        found[level] = value
        at = match.end()
    return found


def _finite(text: str) -> float | None:
    try:
        value = float(text) if text.isascii() and "_" not in text else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _figures(figure: Each) -> tuple[float, ...]:
    return tuple(figure.values()) if isinstance(figure, Mapping) else (figure,)


def _edge(row: Row, column: str) -> float | None:
    return None if _says_none(row, column) else row.number(column)


def _says_none(row: Row, column: str) -> bool:
    return plain(row.cell(column)).casefold() in _NO_LIMIT


def _delay(row: Row, column: str) -> Each:
    figure = each_of(row, column)
    wrong = [value for value in _figures(figure) if not 0 <= value <= LONGEST_DELAY_S]
    if wrong:
        row.wrong(column, "E-POINTS-BETWEEN", cell=f"{wrong[0]:g}", lowest=0, highest=LONGEST_DELAY_S)
        return 0.0
    return figure


def _is_given(
    row: Row,
    column: str,
    edges: Mapping[str, float],
    filed: Mapping[str, float],
    conditions: Conditions,
) -> bool:
    """Whether a column says something; what is no number has been told already."""
    if column in LIMIT_COLUMNS:
        return column in edges
    if column in FILED_COLUMNS:
        return column in filed
    return row.holds(column) if column == "preset" else bool(getattr(conditions, column))


def _conditions(row: Row) -> Conditions:
    usual = Conditions()
    window = row.between("rate_window_s", LEAST_WINDOW_S, LONGEST_WINDOW_S)
    deviation = row.positive("deviation")
    back = row.number("deviation_deadband") or 0.0
    if back < 0:
        row.wrong("deviation_deadband", "E-POINTS-DEADBAND-NEGATIVE", deadband=back)
    elif deviation is not None and back >= deviation:
        row.wrong("deviation_deadband", "E-POINTS-DEVIATION-DEADBAND", deadband=back, deviation=deviation)
    again = row.number("re_alarm_s") or 0.0
    if again and not LEAST_RE_ALARM_S <= again <= LONGEST_RE_ALARM_S:
        bounds = {"lowest": LEAST_RE_ALARM_S, "highest": LONGEST_RE_ALARM_S}
        row.wrong("re_alarm_s", "E-POINTS-BETWEEN", cell=f"{again:g}", **bounds)
    on = row.whole("suppressed_on", 0, 1)
    _check_alone(row)
    return Conditions(
        rise_per_min=row.positive("rise_per_min"),
        fall_per_min=row.positive("fall_per_min"),
        rate_window_s=usual.rate_window_s if window is None else window,
        deviation=deviation,
        deviation_deadband=max(back, 0.0),
        deviation_from=row.text("deviation_from"),
        latching=row.yes("latching"),
        re_alarm_s=max(again, 0.0),
        first_out=row.text("first_out"),
        suppressed_by=row.text("suppressed_by"),
        suppressed_on=usual.suppressed_on if on is None else on,
        forecast=row.yes("forecast"),
        delay_reason=row.text("gas_delay_reason"),
    )


def _check_alone(row: Row) -> None:
    """Columns that say nothing without another one."""
    for given, wanted in _ALONE.items():
        if row.holds(given) and not any(row.holds(column) for column in wanted):
            facts = {"given_zh": HEADINGS[given][0], "given_en": given}
            facts |= {"missing_zh": HEADINGS[wanted[0]][0], "missing_en": wanted[0]}
            row.wrong(wanted[0], "E-POINTS-TOGETHER", **facts)


def _fill(
    row: Row, edges: dict[str, float], unit: str, presets: Mapping[str, Preset | None]
) -> tuple[dict[str, float], _Filled]:
    """The limits with those of the row's preset that the row leaves empty."""
    written = row.text("preset")
    if not written:
        return edges, _Filled()
    name = preset_name(written)
    preset = presets.get(name)
    if name not in presets:
        row.wrong("preset", "E-POINTS-PRESET-UNKNOWN", name=written, meant=meant(written, {*presets, *NAMES}))
    if preset is None:
        return edges, _Filled()
    if unit_meant(preset.unit) != unit_meant(unit):
        none = both("空", "empty") if not unit else both(unit, unit)
        row.wrong("preset", "E-POINTS-PRESET-UNIT", name=written, theirs=preset.unit, unit=none)
        return edges, _Filled()
    taken = {column: value for column, value in preset.edges().items() if not row.holds(column)}
    together = edges | taken
    ordered: dict[str, float] = {column: together[column] for column in LIMIT_COLUMNS if column in together}
    return ordered, _Filled(written, frozenset(taken), preset.deadband)


def _check_edges(row: Row, edges: Mapping[str, float], filled: _Filled, measured: Measured) -> None:
    """Limits against the range and each other."""
    lo, hi = measured.lo, measured.hi
    if lo is not None and hi is not None and lo >= hi:
        row.wrong("range_hi", "E-POINTS-RANGE", lo=lo, hi=hi)
    for column, value in edges.items():
        if (lo is not None and value < lo) or (hi is not None and value > hi):
            if column in filled.columns:
                label = {"zh": HEADINGS[column][0], "en": _label(column)}
                row.wrong("preset", "E-POINTS-PRESET-RANGE", name=filled.name, limit=label, value=value)
            else:
                row.wrong(column, "E-POINTS-LIMIT-RANGE", value=value)
    _check_order(row, edges, filled)


def _label(column: str) -> str:
    return column.upper() if column in LIMIT_COLUMNS else column


def _check_order(row: Row, edges: Mapping[str, float], filled: _Filled) -> None:
    for (low, low_value), (high, high_value) in pairwise(edges.items()):
        if low_value < high_value:
            continue
        facts: dict[str, object] = {"low_zh": HEADINGS[low][0], "low_en": _label(low), "low": low_value}
        facts |= {"high_zh": HEADINGS[high][0], "high_en": _label(high), "high": high_value}
        if {low, high} & filled.columns:
            row.wrong("preset", "E-POINTS-PRESET-ORDER", name=filled.name, **facts)
        else:
            row.wrong(high, "E-POINTS-LIMIT-ORDER", **facts)


def _check_deadband(row: Row, edges: Mapping[str, float], deadband: Each, measured: Measured) -> None:
    """No deadband is negative, and none is so wide that its alarm could not return."""
    negative = min(_figures(deadband), default=0.0)
    if negative < 0:
        row.wrong("deadband", "E-POINTS-DEADBAND-NEGATIVE", deadband=negative)
        return
    by_level = {_LEVEL_OF[column]: value for column, value in edges.items()}
    if wide := wide_deadband(by_level, deadband, measured.lo, measured.hi):
        row.wrong("deadband", "E-POINTS-DEADBAND-WIDE", deadband=wide.deadband, low=wide.low, high=wide.high)


@dataclass(frozen=True, slots=True)
class Wide:
    """A limit whose deadband is as wide as the span it must be narrower than."""

    level: Level
    deadband: float
    low: float
    high: float


def wide_deadband(
    edges: Mapping[Level, float], deadband: Each, lo: float | None, hi: float | None
) -> Wide | None:
    """The first limit whose alarm could not return, None if each could; ``lo`` and ``hi`` are the range."""
    # The normal span ends at the innermost limits, or at the range where a side has none.
    bottom = edges.get("L", edges.get("LL", lo))
    top = edges.get("H", edges.get("HH", hi))
    if bottom is None or top is None:
        return None
    for level, value in edges.items():
        low, high = bottom, top
        if isinstance(deadband, Mapping):
            low, high = (value, top) if level in ("LL", "L") else (bottom, value)
        if each(deadband, level) >= high - low > 0:
            return Wide(level, each(deadband, level), low, high)
    return None


def _check_levels(row: Row, figures: Mapping[str, Each], edges: Mapping[str, float]) -> None:
    """A figure of a limit that the point does not have is a mistake; a limit that is wrong is told already."""
    for column, figure in figures.items():
        for level in figure if isinstance(figure, Mapping) else ():
            cell = "alarm_on" if level == "ON" else level.lower()
            if cell not in edges and (not row.holds(cell) or _says_none(row, cell)):
                row.wrong(column, "E-POINTS-EACH-LIMIT", zh=HEADINGS[cell][0], en=_label(cell))


def _check_gas(row: Row, delays: Mapping[str, Each], unit: str, reason: str) -> None:
    """A gas alarm does not wait, unless somebody has said why."""
    if not is_gas(unit) and not row.holds("preset"):
        return
    if sum(char.isalnum() for char in reason) >= LEAST_REASON_CHARS:
        return
    for column, figure in delays.items():
        if any(_figures(figure)):
            row.wrong(column, "E-POINTS-GAS-DELAY", zh=HEADINGS[column][0], en=column)
