"""What the record says when the house starts. Pure: which journal entries follow from what the spool found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from buffer.record import Gap
from buffer.settings import Opened
from gateway.alarm.entry import Entry
from gateway.alarm.life import Alarm, restore
from gateway.alarm.people import Held, held
from gateway.instant import Now, rfc3339
from gateway.limit_change import Begun
from gateway.pending import gap_item
from gateway.plant import Config
from gateway.pointlists import CURRENT, PREFIX, PointLists

ALARM: Final = "alarm/"
"""An alarm's state is kept under this and its condition."""
HOLD: Final = "hold/"
"""A shelf or a time out of service is kept under this, see ``Held.key``."""


def standing(state: Mapping[str, bytes]) -> tuple[list[Alarm], list[str]]:
    """The alarms that stood at the last stop, and the names of states that cannot be read."""
    alarms: list[Alarm] = []
    unreadable: list[str] = []
    for key, value in state.items():
        if key.startswith(ALARM):
            try:
                alarms.append(restore(value))
            except ValueError:
                unreadable.append(key)
    return alarms, unreadable


def held_back(state: Mapping[str, bytes]) -> list[Held]:
    """What people held back at the last stop; one that cannot be read holds nothing back."""
    return _holds(state)[0]


def _holds(state: Mapping[str, bytes]) -> tuple[list[Held], list[str]]:
    found: list[Held] = []
    unreadable: list[str] = []
    for key, value in state.items():
        if key.startswith(HOLD):
            try:
                found.append(held(value))
            except ValueError:
                unreadable.append(key)
    return found, unreadable


BOOT: Final = "boot"
"""The machine's last boot is kept under this name."""


NO_LIMITS: Final = Begun()
"""No limit has changed."""


def start_entries(
    config: Config, opened: Opened, now: Now, version: str, boot_id: str, limits: Begun = NO_LIMITS
) -> list[Entry]:
    """The configuration if it changed, its limits one by one, the start itself, the hole since an unclean stop.

    The hole's cause is ``quarantine`` (the old spool was damaged), ``killed`` (the machine stayed up, only the
    process went) or ``power`` (the machine went down without a clean stop).
    """
    entries: list[Entry] = []
    before = opened.state.get(CURRENT, b"").decode()
    if before != config.rev:
        change = {
            "object": "configuration",
            "field": "rev",
            "old": before,
            "new": config.rev,
            "by": "unknown",
        }
        state = {CURRENT: config.rev.encode(), f"{PREFIX}{config.rev}": PointLists.state_of(config)}
        entries.append(Entry("config_change", {**change, "at": rfc3339(now.utc_ns)}, {**state}))
    entries += limits.entries
    start = {
        "version": version,
        "at": rfc3339(now.utc_ns),
        "last_record_at": rfc3339(opened.last_ns) if opened.last_ns else None,
        "unclean": opened.unclean,
        "quarantined": opened.quarantined.name if opened.quarantined else None,
    }
    unreadable = [*standing(opened.state)[1], *_holds(opened.state)[1]]
    if unreadable:
        # One alarm that nobody can read must not stop the gateway; if its condition still holds it is raised anew.
        # A hold that nobody can read holds nothing back, and what it held is heard again.
        entries.append(Entry("alarms_unreadable", {"states": unreadable}, dict.fromkeys(unreadable)))
    entries.append(Entry("start", {**start}, {BOOT: boot_id.encode(), **limits.state}))
    if opened.unclean or opened.quarantined:
        killed = opened.state.get(BOOT, b"").decode() == boot_id
        cause = "quarantine" if opened.quarantined else "killed" if killed else "power"
        gap = Gap("reading", 0, 0, opened.last_ns, now.utc_ns, cause, -1)
        entries.append(Entry("gap", gap_item(gap)))
    return entries
