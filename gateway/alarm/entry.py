"""One journal record to be. Pure type: what a decision wants to have on record beside the alarms."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal record to be, with the state that is kept beside it.

    Attributes:
        kind: kind of the record.
        item: its content.
        state: what is to be remembered over a restart, written in the same transaction; None forgets.
    """

    kind: str
    item: dict[str, object]
    state: dict[str, bytes | None] = field(default_factory=dict)
