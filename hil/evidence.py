"""What is left of a demo to judge it by: record, receivers' logs, siren, statuses. Pure: takes messages apart."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

from hil.witness import Look

Item: TypeAlias = dict[str, Any]


class Taken(NamedTuple):
    """One value of one point, as it arrived.

    Attributes:
        at: when the gateway took it, RFC 3339; texts of this form sort as the times do.
        value: engineering units.
        good: its quality.
    """

    at: str
    value: float | None
    good: bool


@dataclass(slots=True)
class Received:
    """What one receiver really got, each message once, in the order of arrival.

    Attributes:
        alarms: item of each alarm change.
        journal: (kind, item) of each journal record.
        pictures: ids of the pictures that came whole, as a camera served them.
        values: tag -> its values, of the tags that were asked for.
    """

    alarms: list[Item] = field(default_factory=list)
    journal: list[tuple[str, Item]] = field(default_factory=list)
    pictures: set[str] = field(default_factory=set)
    values: dict[str, list[Taken]] = field(default_factory=dict)

    def of(self, kind: str) -> list[Item]:
        """Journal items of one kind."""
        return [item for found, item in self.journal if found == kind]

    def take(self, envelope: Mapping[str, Any], tags: Collection[str]) -> None:
        """One message."""
        kind, lane = envelope["kind"], envelope["lane"]
        if lane == "alarm":
            self.alarms += envelope["items"]
        elif lane == "journal":
            self.journal += [(kind, item) for item in envelope["items"]]
        elif lane == "reading":
            for scan in envelope["scans"]:
                self._take_scan(scan, tags)

    def _take_scan(self, scan: Mapping[str, Any], tags: Collection[str]) -> None:
        for row, tag in enumerate(scan["point_id"]):
            if tag in tags:
                quality = scan["quality"]
                good = (quality if isinstance(quality, str) else quality[row]) == "good"
                taken = Taken(scan["t_gateway"], scan["value"][row], good)
                self.values.setdefault(tag, []).append(taken)


@dataclass(slots=True)
class Evidence:
    """All of it.

    Attributes:
        record: item of each alarm change in the durable record, in its order.
        received: by recipient.
        sounded: what the siren was told, in order.
        looks: what the gateway's status said, in order.
    """

    record: list[Item]
    received: dict[str, Received]
    sounded: list[Item]
    looks: Sequence[Look]
