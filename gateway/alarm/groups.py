"""In a flood people see groups of alarms, not hundreds of lines. Pure; the record has every single one.

Works on alarms as the control socket gives them (``Alarm.item``), so that whoever shows a list can group it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from gateway.alarm.life import PROCESS, RANK

Item: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Group:
    """Live alarms of one area, type and priority.

    Attributes:
        area: 单元/区域.
        type: of its alarms.
        priority: likewise.
        alarms: the alarms, in the order in which they were given.
    """

    area: str
    type: str
    priority: int
    alarms: tuple[Item, ...]

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.alarms)

    @property
    def active(self) -> int:
        """How many have not returned."""
        return sum(alarm["active"] for alarm in self.alarms)

    @property
    def unacknowledged(self) -> int:
        """How many nobody has seen."""
        return sum(not alarm["acknowledged"] for alarm in self.alarms)

    @property
    def worst(self) -> Item:
        """The first of the worst level; of the active ones if there are any."""
        return max(self.alarms, key=lambda alarm: (alarm["active"], RANK.get(alarm["level"]["current"], 0)))

    @property
    def first(self) -> Item:
        """The one that was raised first: what the others may have followed from."""
        return min(self.alarms, key=lambda alarm: str(alarm["t_raised"]))


def grouped(alarms: Sequence[Item], floods: Collection[str]) -> tuple[list[Group], list[Item]]:
    """Alarms of flooded areas as groups, and all others as they are.

    Args:
        alarms: live alarms.
        floods: areas that are flooded.

    Returns:
        groups, the worst first (priority, then the process's own before the others', then the most unacknowledged,
        the most at all), and the alarms of calm areas in the order given.
    """
    members: dict[tuple[str, str, int], list[Item]] = {}
    calm = []
    for alarm in alarms:
        if alarm.get("area") in floods:
            members.setdefault((alarm["area"], alarm["type"], alarm["priority"]), []).append(alarm)
        else:
            calm.append(alarm)
    groups = [Group(*key, tuple(group)) for key, group in members.items()]
    groups.sort(key=lambda g: (g.priority, g.type not in PROCESS, -g.unacknowledged, -g.count, g.area))
    return groups, calm
