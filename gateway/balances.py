"""[[balance]]: the tags of one tank's mass balance -> the balance, or what is wrong with them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway.alarm.conditions import Balance
from gateway.alarm.presets import unit_meant
from gateway.references import Named
from gateway.sheet import folded
from gateway.words import meant

FLOW_UNITS: Final = frozenset({"m3/h", "m^3/h", "立方米/小时", "立方米/时", "方/小时"})
"""What flows are measured in, as ``presets.unit_meant`` leaves it."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong.

    Attributes:
        key: of the section.
        code: of the sentence.
        facts: what goes into it.
    """

    key: str
    code: str
    facts: Mapping[str, object]


def judged(written: Balance, tags: Mapping[str, Named]) -> tuple[Balance, Sequence[Mistake]]:
    """The balance with its tags as the point table spells them.

    Args:
        written: with tags as gateway.toml has them.
        tags: of the point table, by what ``sheet.folded`` makes of them; empty where it could not be read.
    """
    mistakes: list[Mistake] = []
    if not (written.inflows or written.outflows):
        mistakes.append(Mistake("inflows", "E-CONFIG-BALANCE-FLOWS", {"name": written.name}))
    seen: set[str] = set()
    spelled: dict[str, list[str]] = {"level": [], "inflows": [], "outflows": []}
    for key, names in (
        ("level", (written.level,)),
        ("inflows", written.inflows),
        ("outflows", written.outflows),
    ):
        for name in names:
            found = tags.get(folded(name))
            spelled[key].append(found.tag if found else name)
            if folded(name) in seen:
                mistakes.append(Mistake(key, "E-CONFIG-BALANCE-TWICE", {"tag": name}))
            elif tags:
                mistakes += _mistakes(key, name, found, tags)
            seen.add(folded(name))
    [level] = spelled["level"]
    inflows, outflows = tuple(spelled["inflows"]), tuple(spelled["outflows"])
    return replace(written, level=level, inflows=inflows, outflows=outflows), mistakes


def _mistakes(key: str, name: str, found: Named | None, tags: Mapping[str, Named]) -> list[Mistake]:
    if found is None:
        hint = meant(name, {one.tag for one in tags.values()})
        return [Mistake(key, "E-CONFIG-TAG-UNKNOWN", {"tag": name, "meant": hint})]
    if found.kind != "number":
        return [Mistake(key, "E-CONFIG-BALANCE-KIND", {"tag": found.tag})]
    if key != "level" and found.unit and unit_meant(found.unit) not in FLOW_UNITS:
        return [Mistake(key, "E-CONFIG-BALANCE-UNIT", {"tag": found.tag, "unit": found.unit})]
    return []
