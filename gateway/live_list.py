"""The live list: alarms that stand, as every screen asks for them again and again. Pure: turns alarms into a view.

Thousands stand after a storm and most of them do not change between two looks, so what an alarm says of itself is
put into words once.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.alarm.life import PROCESS, Alarm
from gateway.engine import Engine

_UNITS: Final = {"limit": "{}", "deviation": "{}", "rate": "{}/min", "discrepancy": "m³"}
"""What an alarm's value is in, by its type, from the unit of its point."""


class LiveList:
    """What is said of each alarm that stands; of the others nothing is kept."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[Alarm, dict[str, Any]]] = {}

    def view(self, engine: Engine) -> list[dict[str, Any]]:
        """Live alarms in the order of their urgency, a limit's with its point's value, peak and limit as of now.

        What is held back stands last. Else unacknowledged before acknowledged, active before returned, then by
        priority, the process's own before those about quality and the gateway, newest first.

        Returns:
            an item each, with the ``unit`` of its value, shared with later views: not to be altered.
        """
        before, self._said = self._said, {}
        live = []
        for alarm in sorted(engine.alarms.values(), key=_urgency):
            known = before.get(alarm.condition)
            # Every change of an alarm is another object, so the same object says the same.
            said = known if known is not None and known[0] is alarm else (alarm, _said(alarm, engine))
            self._said[alarm.condition] = said
            value, peak, limit = now = engine.latest(alarm)
            moved = now != (alarm.value, alarm.peak, alarm.limit_edge)
            live.append({**said[1], "value": value, "peak": peak, "limit_edge": limit} if moved else said[1])
        return live


def _said(alarm: Alarm, engine: Engine) -> dict[str, Any]:
    return {**alarm.item(), "unit": _UNITS.get(alarm.type, "").format(engine.unit_of(alarm.point_id))}


def _urgency(alarm: Alarm) -> tuple[bool, bool, bool, int, bool, int]:
    held_back = bool(alarm.shelved_until_ns or alarm.suppressed or alarm.out_of_service)
    kind = alarm.type not in PROCESS
    return held_back, alarm.acknowledged, not alarm.active, alarm.priority, kind, -alarm.raised_ns
