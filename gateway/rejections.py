"""What recipients will never take, told without flooding the record that they refuse. Pure: counts and summaries.

A rejection that were journalled one by one would itself be sent, rejected and journalled, for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

EVERY_NS: Final = 60_000_000_000
"""At most one journal record per recipient in this time (DESIGN section 5: receipts earn no receipts)."""


@dataclass(slots=True)
class _Tally:
    count: int = 0
    first_key: str = ""
    last_key: str = ""
    reason: str = ""
    told_mono_ns: int = -EVERY_NS


class Rejections:
    """Counts per recipient, and says when the next summary is due."""

    def __init__(self) -> None:
        self._tallies: dict[str, _Tally] = {}

    def add(self, recipient: str, key: str, reason: str) -> None:
        """One message, or one item of it, was refused for good."""
        tally = self._tallies.setdefault(recipient, _Tally())
        tally.count += 1
        tally.first_key = tally.first_key or key
        tally.last_key, tally.reason = key, reason

    def due(self, mono_ns: int) -> list[dict[str, Any]]:
        """The journal items to write now, each covering everything refused since the last."""
        items = []
        for recipient, tally in self._tallies.items():
            if tally.count and mono_ns - tally.told_mono_ns >= EVERY_NS:
                items.append(
                    {
                        "recipient": recipient,
                        "verdict": "rejected",
                        "count": tally.count,
                        "first_msg_id": tally.first_key,
                        "last_msg_id": tally.last_key,
                        "reason": tally.reason,
                    }
                )
                self._tallies[recipient] = _Tally(told_mono_ns=mono_ns)
        return items
