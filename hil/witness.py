"""What the gateway said of itself while the demo ran, as far as it is judged. Pure: keeps looks, judges nothing.

Looks that say the same again are kept once, so their number is that of the changes and not of the seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Stood(NamedTuple):
    """One live alarm in a status.

    Attributes:
        alarm_id: which.
        active: the condition holds.
        last_known: its point's value is bad now.
        shelved: people have shelved it.
    """

    alarm_id: str
    active: bool
    last_known: bool
    shelved: bool


class Look(NamedTuple):
    """One status.

    Attributes:
        alarms: the live list.
        warnings: (recipient/id, state) of each warning from above.
        shelved: how many shelves stand.
        because: ids of the alarms for which horns and lamps are on.
    """

    alarms: tuple[Stood, ...]
    warnings: tuple[tuple[str, str], ...]
    shelved: int
    because: tuple[str, ...]


class Witness:
    """Sees every status.

    Attributes:
        looks: what they said, each change once, in order.
    """

    def __init__(self) -> None:
        self.looks: list[Look] = []

    def see(self, status: Mapping[str, Any]) -> None:
        """One more status."""
        look = look_of(status)
        if not self.looks or self.looks[-1] != look:
            self.looks.append(look)


def look_of(status: Mapping[str, Any]) -> Look:
    """A status, as far as it is judged."""
    alarms = tuple(
        Stood(
            alarm_id=one["alarm_id"],
            active=one["active"],
            last_known=one["last_known"],
            shelved=one["shelved_until"] is not None,
        )
        for one in status["alarms"]
    )
    return Look(
        alarms=alarms,
        warnings=tuple((one["name"], one["state"]) for one in status["warnings"]),
        shelved=status["held"]["shelved"],
        because=tuple(one["because"] for one in status["outputs"] if one.get("on")),
    )
