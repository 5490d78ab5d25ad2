"""The parts of an alarm's state, each with its table: the only place that says which transition is possible. Pure.

An alarm's state is the product of six independent parts (names as in OPC UA Part 9). A transition happens if every
part whose table mentions it allows it from where that part stands; parts that do not mention it stay as they are.
docs/alarm-states.md is printed from these tables (``plantgate alarms states``), and a test walks every pair.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

Transition: TypeAlias = Literal[
    "raise",
    "escalate",
    "deescalate",
    "cause",
    "clear",
    "ack",
    "realarm",
    "reset",
    "shelve",
    "unshelve",
    "suppress",
    "unsuppress",
    "out_of_service",
    "in_service",
]
TRANSITIONS: Final[tuple[Transition, ...]] = Transition.__args__  # type: ignore[attr-defined]


class State(NamedTuple):
    """Where each part stands."""

    active: bool = False
    acknowledged: bool = False
    latched: bool = False
    shelved: bool = False
    suppressed: bool = False
    out_of_service: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """One part.

    Attributes:
        name: of ``State``.
        no: what it is called while False.
        yes: while True.
        table: (where it stands, transition) -> where it stands then.
    """

    name: str
    no: str
    yes: str
    table: Mapping[tuple[bool, Transition], bool]


PARTS: Final = (
    Part(
        "active",
        "inactive",
        "active",
        {
            (False, "raise"): True,
            (True, "escalate"): True,
            (True, "deescalate"): True,
            (True, "cause"): True,
            (True, "realarm"): True,
            (True, "clear"): False,
            (False, "reset"): False,
        },
    ),
    Part(
        "acknowledged",
        "unacknowledged",
        "acknowledged",
        {
            (False, "raise"): False,
            (False, "escalate"): False,
            (True, "escalate"): False,
            (False, "ack"): True,
            (True, "realarm"): False,
            (True, "reset"): True,
        },
    ),
    Part("latched", "not latched", "latched", {(True, "reset"): False}),
    Part(
        "shelved",
        "not shelved",
        "shelved",
        {(False, "shelve"): True, (True, "shelve"): True, (True, "unshelve"): False},
    ),
    Part(
        "suppressed",
        "not suppressed",
        "suppressed by design",
        {(False, "suppress"): True, (True, "suppress"): True, (True, "unsuppress"): False},
    ),
    Part(
        "out_of_service",
        "in service",
        "out of service",
        {
            (False, "out_of_service"): True,
            (True, "out_of_service"): True,
            (True, "in_service"): False,
        },
    ),
)


class ImpossibleError(ValueError):
    """This transition is not possible from where the alarm stands."""


def step(state: State, transition: Transition) -> State:
    """The state after a transition.

    Raises:
        ImpossibleError: some part does not allow it.
    """
    after = []
    for part, stands in zip(PARTS, state, strict=True):
        if (stands, transition) in part.table:
            after.append(part.table[stands, transition])
        elif (not stands, transition) in part.table:
            raise ImpossibleError(f"{transition} is not possible while {part.yes if stands else part.no}")
        else:
            after.append(stands)
    return State(*after)
