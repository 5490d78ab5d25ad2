"""A storm of alarms: registers that jump across limits on command, and what is due of it. Touches nothing.

What is due is worked out from what the PLCs answered, by comparing each value with its limits and with nothing of the
gateway's. Every value names its step, so a transition that arrives names the very answer that caused it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np

from hil.answers import Answers
from hil.configuration import Row
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.site_plan import ModbusDevice

H: Final = 5_000
HH: Final = 8_000
LIMITS: Final = {"h": H, "hh": HH, "deadband": 10}
CALM: Final = 1_000
RAW: Final = {"": CALM, "H": H, "HH": HH}
"""Level -> the register's value at step 0; every later step of a level lies one higher."""
MAX_STEPS: Final = 1_000
"""More would reach from one level into the next."""
RANK: Final = ("", "H", "HH")
MAX_EXAMPLES: Final = 5

ACROSS: Final = ("H", "HH", "H", "", "H", "HH", "H", "", "HH", "")
"""Ten answers, ten transitions: up and down in place, and straight to the outer limit."""
STANDING: Final = ("H", *("H",) * 8, "")
"""All points at once, and back at once: two transitions, between which everything stands."""


class Transition(NamedTuple):
    """What one answer did to one point.

    Attributes:
        what: raise, escalate, deescalate or clear.
        value: that did it.
    """

    what: str
    value: float


class Stormy:
    """One PLC.

    Args:
        name: of the device.
        registers: how many beside the counter.
    """

    def __init__(self, name: str, registers: int) -> None:
        self.name = name
        self.registers = registers
        self._levels: Sequence[str] = ()
        self._of = registers
        self._at = 0
        self._step = 0

    def begin(self, levels: Sequence[str], of: int) -> None:
        """From the next answer on, the first ``of`` registers go through these levels, one an answer."""
        assert self.over, "the storm before it still blows"
        assert self._step + len(levels) <= MAX_STEPS, "values must not be said again"
        self._levels, self._of, self._at = levels, of, 0

    @property
    def over(self) -> bool:
        """Every level has been answered."""
        return self._at == len(self._levels)

    def refresh(self, unit: Unit) -> None:
        """Next values, just before an answer."""
        values = unit.registers[COUNTER_REGISTERS:]
        if not self._step:
            values[:] = RAW[""]
            self._step = 1
        if not self.over:
            level, before = self._levels[self._at], self._levels[self._at - 1] if self._at else ""
            if level != before:
                values[: self._of] = RAW[level] + self._step
            self._at += 1
            self._step += 1

    def device(self, period_s: float) -> ModbusDevice:
        """Its place in a site."""
        return ModbusDevice(
            self.name, self._rows(), self.registers + COUNTER_REGISTERS, self.refresh, period_s
        )

    def _rows(self) -> list[Row]:
        return [
            {
                "tag": tag_of(self.name, i),
                "description": f"{self.name} 第{i}路",
                "address": str(40_001 + COUNTER_REGISTERS + i),
                "type": "uint16",
                "area": self.name,
                **LIMITS,
            }
            for i in range(self.registers)
        ]


def tag_of(device: str, register: int) -> str:
    """Tag of a register, counted from the first behind the counter."""
    return f"{device}.{register:03d}"


# -- what is due --------------------------------------------------------------------------------------


@dataclass(slots=True)
class Due:
    """What the answers did.

    Attributes:
        of: tag -> its transitions in order.
        at_ns: (tag, value) -> CLOCK_MONOTONIC of the answer.
    """

    of: dict[str, list[Transition]] = field(default_factory=dict)
    at_ns: dict[tuple[str, float], int] = field(default_factory=dict)

    def between(self, from_ns: int, to_ns: int) -> list[int]:
        """When the transitions of this time happened, in order."""
        return sorted(ns for ns in self.at_ns.values() if from_ns <= ns < to_ns)


def due(answers: Answers) -> Due:
    """Every transition that follows from what the PLCs answered."""
    found = Due()
    for index, name in enumerate(answers.names):
        chosen = np.flatnonzero(answers.device == index)
        if not len(chosen):
            continue
        raw = np.frombuffer(b"".join(answers.registers[i] for i in chosen), ">u2").reshape(len(chosen), -1)
        values = raw[:, COUNTER_REGISTERS:]
        ranks = (values >= H).astype(np.int8) + (values >= HH)
        before = np.vstack((np.zeros_like(ranks[:1]), ranks[:-1]))
        for k, register in np.argwhere(ranks != before).tolist():
            tag, value = tag_of(name, register), float(values[k, register])
            what = _what(int(before[k, register]), int(ranks[k, register]))
            found.of.setdefault(tag, []).append(Transition(what, value))
            found.at_ns[tag, value] = int(answers.monotonic_ns[chosen[k]])
    return found


def _what(before: int, after: int) -> str:
    if not before:
        return "raise"
    if not after:
        return "clear"
    return "escalate" if after > before else "deescalate"


# -- what was told ------------------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """How what was told somewhere compares with what is due.

    Attributes:
        told: transitions told, those that are not due among them.
        coalesced: transitions that others were folded into, as these say.
        lost: due and neither told nor coalesced.
        doubled: told more than once.
        invented: told and not due.
        disordered: points whose transitions came in another order than they happened.
        gaps: alarms whose change numbers do not run 1, 2, 3 … in order.
    """

    told: int = 0
    coalesced: int = 0
    lost: int = 0
    doubled: int = 0
    invented: int = 0
    disordered: int = 0
    gaps: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """All of it, once and in order."""
        return not (self.lost or self.doubled or self.invented or self.disordered or self.gaps)

    def figures(self) -> dict[str, int]:
        """As they stand in the verdict."""
        names = ("told", "coalesced", "lost", "doubled", "invented", "disordered", "gaps")
        return {name: getattr(self, name) for name in names}

    def note(self, example: str) -> None:
        """Keep an example, if there is room."""
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(example)


def compare(wanted: Due, items: Iterable[Mapping[str, Any]]) -> Told:
    """Compare what was told with what is due.

    Args:
        wanted: see ``due``.
        items: alarm changes in the order in which they were told, of these points and others.
    """
    found = Told()
    told: dict[str, list[Transition]] = defaultdict(list)
    folded: Counter[str] = Counter()
    newest: dict[str, int] = defaultdict(int)
    broken: set[str] = set()
    for item in items:
        if item["type"] != "limit":
            continue
        tag, alarm_id = item["point_id"], item["alarm_id"]
        told[tag].append(Transition(item["transition"], item["value"]))
        folded[tag] += item["coalesced"]
        if not newest[alarm_id] < item["change_no"] <= newest[alarm_id] + 1 + item["coalesced"]:
            broken.add(alarm_id)
        newest[alarm_id] = item["change_no"]
    found.coalesced = folded.total()
    found.gaps = len(broken)
    for tag in sorted(wanted.of.keys() | told.keys()):
        _compare_point(found, tag, wanted.of.get(tag, []), told[tag], folded[tag])
    for alarm_id in sorted(broken):
        found.note(f"the change numbers of {alarm_id} do not run on")
    return found


def _compare_point(
    found: Told, tag: str, wanted: Sequence[Transition], told: Sequence[Transition], coalesced: int
) -> None:
    place = {one: k for k, one in enumerate(wanted)}
    count = Counter(told)
    known = [one for one in dict.fromkeys(told) if one in place]
    invented = sum(times for one, times in count.items() if one not in place)
    doubled = sum(count[one] - 1 for one in known)
    lost = max(0, len(wanted) - len(known) - coalesced)
    places = [place[one] for one in known]
    disordered = places != sorted(places)
    found.told += len(told)
    found.invented += invented
    found.doubled += doubled
    found.lost += lost
    found.disordered += disordered
    if lost or invented or doubled or disordered:
        found.note(f"{tag}: {[*wanted]} became {[*told]}"[:500])
