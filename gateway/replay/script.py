"""What an alarm script says: points, what happens to them when, and what is expected of it. Pure types.

``language`` reads one, ``play`` plays it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from gateway.alarm.conditions import Balance
from gateway.alarm.limits import Limits
from gateway.engine import WatchedDevice

FACTS: Final = (
    *("acknowledged", "advisory", "at_start", "by", "cause", "filed", "first_out", "last_known"),
    *("latched", "limit", "out_of_service", "peak", "points", "priority", "reason", "repeat", "returned"),
    *("shelved", "silent", "sounds", "start", "suppressed", "test", "value", "why", "worst"),
)
"""What may be said of a transition or an alarm; ``play`` knows what each is."""

OrderKind: TypeAlias = Literal[
    "ack", "reset", "shelve", "out_of_service", "test", "unshelve", "in_service", "end_test"
]


@dataclass(frozen=True, slots=True)
class Read:
    """Points are read, all of a device in one scan.

    Attributes:
        readings: device -> point's index, rising -> value and quality.
    """

    readings: Mapping[str, Mapping[int, tuple[float, int]]]


@dataclass(frozen=True, slots=True)
class Order:
    """A person wants something.

    Attributes:
        kind: what.
        target: a tag, a condition or an alarm's id.
        by: who.
        reason: what they say.
        for_s: how long; 0 where it does not last.
        value: the injected one of a test; 0 where there is none.
    """

    kind: OrderKind
    target: str
    by: str = ""
    reason: str = ""
    for_s: float = 0.0
    value: float = 0.0


@dataclass(frozen=True, slots=True)
class NewLimits:
    """Other limits for a point from now on."""

    tag: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class OwnPart:
    """A part of the gateway itself is well (``cause`` = "") or not."""

    name: str
    cause: str


@dataclass(frozen=True, slots=True)
class SetClock:
    """The time of day is set on by so much, or back; intervals do not notice."""

    by_ns: int


@dataclass(frozen=True, slots=True)
class Restart:
    """The gateway starts anew from the states that were kept, with the points as they were configured.

    Attributes:
        down_ns: for so long nothing was judged.
    """

    down_ns: int = 0


@dataclass(frozen=True, slots=True)
class Wait:
    """The clock alone."""


Deed: TypeAlias = Read | Order | NewLimits | OwnPart | SetClock | Restart | Wait


@dataclass(frozen=True, slots=True)
class Expected:
    """Something that must have happened since the moment before, or must be so now.

    Attributes:
        line: its number.
        text: as written.
        kind: a transition, ``refused`` (by a code), ``journal`` (a record of a kind), ``stands`` or ``gone``.
        name: the condition, the code or the record's kind.
        level: "" for any.
        facts: what else is said of it; see ``play.facts_of``.
        at_ns: when, since the beginning; None for any time since the moment before.
    """

    line: int
    text: str
    kind: str
    name: str
    level: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    at_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """One line: what happens when, and what is expected of it.

    Attributes:
        line: its number.
        text: as written.
        at_ns: since the beginning.
        deed: what happens.
        expected: since the moment before.
    """

    line: int
    text: str
    at_ns: int
    deed: Deed
    expected: tuple[Expected, ...] = ()


@dataclass(frozen=True, slots=True)
class Script:
    """A whole script.

    Attributes:
        file: its name.
        title: its first line.
        devices: with their points.
        moments: in the order of their times.
        balances: mass balances that are drawn.
        expects: whether it says anywhere what is expected; else it is only played.
    """

    file: str
    title: str
    devices: tuple[WatchedDevice, ...]
    moments: tuple[Moment, ...]
    balances: tuple[Balance, ...] = ()
    expects: bool = True


def seconds(ns: int) -> str:
    """A time as scripts write it, e.g. ``12.5s``."""
    return f"{ns / 1e9:.3f}".rstrip("0").rstrip(".") + "s"
