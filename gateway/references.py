"""Points that alarms name by tag: a setpoint, a twin, a suppressing contact, a tank's level and flows. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from gateway.alarm.conditions import Conditions
from gateway.columns import HEADINGS
from gateway.plant import PointConfig
from gateway.point_alarms import DIGITAL_TYPES, TEXT_TYPES
from gateway.sheet import Row, folded, number_of

Kind: TypeAlias = Literal["number", "contact", "text"]
"""What a point's value is, as far as its row says."""

_WANTED: Final[Mapping[str, tuple[Kind, str]]] = {
    "deviation_from": ("number", "E-POINTS-WANTS-NUMBER"),
    "suppressed_by": ("contact", "E-POINTS-WANTS-CONTACT"),
}
"""Column -> what the point must be that it names, and the sentence where it is not."""


@dataclass(frozen=True, slots=True)
class Named:
    """A tag of the point table.

    Attributes:
        tag: as its row spells it.
        line: the row's.
        kind: of its values.
        unit: engineering unit.
    """

    tag: str
    line: int
    kind: Kind = "number"
    unit: str = ""


def kind_of(config: PointConfig) -> Kind:
    """What a point's value is."""
    if config.point.type in TEXT_TYPES:
        return "text"
    is_contact = config.point.type in DIGITAL_TYPES or config.limits.on is not None
    return "contact" if is_contact else "number"


def resolved(row: Row, conditions: Conditions, tags: Mapping[str, Named]) -> Conditions:
    """The conditions with every tag as the row spells it that is meant, a point of any device, or with a number.

    Args:
        row: takes the mistakes.
        conditions: with names as they were written.
        tags: of the whole table, by what ``sheet.folded`` makes of them.
    """
    if not (conditions.deviation_from or conditions.suppressed_by):
        return conditions
    return replace(
        conditions,
        deviation_from=_meant(row, "deviation_from", str(conditions.deviation_from), tags),
        suppressed_by=str(_meant(row, "suppressed_by", conditions.suppressed_by, tags)),
    )


def _meant(row: Row, column: str, name: str, tags: Mapping[str, Named]) -> str | float:
    if not name:
        return ""
    found = tags.get(folded(name))
    number = number_of(name) if column == "deviation_from" else None
    if found is None and number is not None and math.isfinite(number):
        return number
    facts = {"name": name, "zh": HEADINGS[column][0], "en": column}
    if found is None:
        row.wrong(column, "E-POINTS-TAG-UNKNOWN", **facts)
        return name
    if found.line == row.line:
        row.wrong(column, "E-POINTS-SELF", **facts)
    elif found.kind != _WANTED[column][0]:
        row.wrong(column, _WANTED[column][1], **facts)
    return found.tag
