"""Plays scripts and recorded scans against the real engine under virtual time. Pure: the clock is a number.

Between two moments the engine is asked at each of its deadlines, so a delay ends at its own time. A restart makes
the engine anew from the bytes that the record kept, on a monotonic clock that begins elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from drivers.kit.scan import Scan
from gateway.alarm.conditions import Balance
from gateway.alarm.life import Alarm, AlarmChanged, restore
from gateway.alarm.parts import State
from gateway.alarm.people import (
    Acknowledge,
    AlarmSettings,
    Command,
    EndTest,
    Held,
    Hold,
    RefusedError,
    Release,
    Reset,
    Test,
    UnknownAlarmError,
    held,
)
from gateway.engine import Engine, Outcome, WatchedDevice
from gateway.instant import Now
from gateway.replay.script import (
    Deed,
    Expected,
    Moment,
    NewLimits,
    Order,
    OwnPart,
    Read,
    Restart,
    Script,
    SetClock,
    seconds,
)

BEGIN_NS: Final = 1_790_000_000_000_000_000
"""UTC at which a script begins."""
MONO_NS: Final = 1_000_000_000
"""Monotonic nanoseconds at a start: a machine that has just started."""
TICKS_AT_ONCE: Final = 100
"""An engine asked so often at one instant that still has something to decide does not come to an end."""
UNKNOWN: Final = "E-NAME-ALARM"
"""What an order is refused with whose target nobody knows."""

NONE: Final = State()
"""Where the parts of an alarm stand that is not there yet."""

_USUAL: Final = AlarmSettings()


@dataclass(frozen=True, slots=True)
class Happened:
    """One transition, or one refusal.

    Attributes:
        at_ns: since the beginning.
        change: the transition; None for a refusal.
        before: where the alarm's parts stood.
        sounds: sirens were told.
        refused: the code, "" for a transition.
    """

    at_ns: int
    change: AlarmChanged | None = None
    before: State = NONE
    sounds: bool = False
    refused: str = ""

    @property
    def text(self) -> str:
        """As scripts write it."""
        if self.change is None:
            return f"refused {self.refused}"
        alarm = self.change.alarm
        test = "test " if alarm.test else ""
        return f"{test}{self.change.transition} {alarm.condition} {alarm.level_current}"


@dataclass(frozen=True, slots=True)
class Difference:
    """What a script expects and the engine does not do, or the other way round.

    Attributes:
        line: of the script.
        text: what was expected, or happened.
        happened: it happened unexpectedly; else it was expected in vain.
        instead: what was found in its place, "" for nothing.
    """

    line: int
    text: str
    happened: bool
    instead: str = ""


@dataclass(slots=True)
class Stage:
    """An engine under virtual time, and what the record would keep of it.

    Attributes:
        devices: with their points.
        settings: bounds of what people may do.
        begin_ns: UTC of the beginning.
        balances: mass balances that are drawn.
        engine: the one that runs now.
        kept: state -> bytes, as over a restart.
        happened: every transition and refusal so far.
        journal: every other record to be so far.
    """

    devices: Sequence[WatchedDevice]
    settings: AlarmSettings = _USUAL
    begin_ns: int = BEGIN_NS
    balances: Sequence[Balance] = ()
    engine: Engine = field(init=False)
    kept: dict[str, bytes] = field(default_factory=dict)
    happened: list[Happened] = field(default_factory=list)
    journal: list[tuple[str, Mapping[str, object]]] = field(default_factory=list)
    _at_ns: int = 0
    _started_ns: int = 0
    _states: dict[str, State] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.engine = self._engine()

    def now(self) -> Now:
        """The instant."""
        return Now(MONO_NS + self._at_ns - self._started_ns, self.begin_ns + self._at_ns)

    def until(self, at_ns: int) -> None:
        """Let time go on, and with it everything that needs no data."""
        asked = 0
        while (due_ns := self.engine.next_deadline - MONO_NS + self._started_ns) <= at_ns:
            asked = asked + 1 if due_ns <= self._at_ns else 0
            assert asked < TICKS_AT_ONCE, "the engine has something to decide and does not decide it"
            self._at_ns = max(due_ns, self._at_ns)
            self._take(self.engine.tick(self.now()))
        self._at_ns = max(at_ns, self._at_ns)

    def do(self, deed: Deed) -> None:
        """Let something happen now."""
        if isinstance(deed, Read):
            self.see(deed.readings)
        elif isinstance(deed, Order):
            self._order(deed)
        elif isinstance(deed, NewLimits):
            self._take(self.engine.change_limits(deed.tag, deed.limits, self.now()))
        elif isinstance(deed, OwnPart):
            self._take(self.engine.condition(deed.name, deed.cause, self.now()))
        elif isinstance(deed, SetClock):
            self.begin_ns += deed.by_ns
        elif isinstance(deed, Restart):
            self._at_ns += deed.down_ns
            self._started_ns = self._at_ns
            self.engine = self._engine()

    def see(self, readings: Mapping[str, Mapping[int, tuple[float, int]]]) -> None:
        """One scan of each device: point's index, rising -> value and quality."""
        now = self.now()
        self._take(self.engine.step([_scan(name, rows, now) for name, rows in readings.items()], now))

    def _engine(self) -> Engine:
        standing: list[Alarm] = [restore(v) for k, v in self.kept.items() if k.startswith("alarm/")]
        holds: list[Held] = [held(v) for k, v in self.kept.items() if k.startswith("hold/")]
        return Engine(
            self.devices, standing, self.now(), held=holds, settings=self.settings, balances=self.balances
        )

    def _order(self, order: Order) -> None:
        alarm = self.engine.alarms.get(order.target)
        alarm_id = order.target if alarm is None else alarm.alarm_id
        try:
            self._take(self.engine.command(order.by, _command(order, alarm_id), self.now()))
        except UnknownAlarmError:
            self.happened.append(Happened(self._at_ns, refused=UNKNOWN))
        except RefusedError as refusal:
            self.happened.append(Happened(self._at_ns, refused=refusal.code))

    def _take(self, outcome: Outcome) -> None:
        sounding = {change.name for change in outcome.sirens}
        tests = [change for change in outcome.sirens if change.alarm.test]
        for change in (*outcome.changes, *tests):
            alarm = change.alarm
            before = self._states.get(alarm.alarm_id, NONE)
            self.happened.append(Happened(self._at_ns, change, before, change.name in sounding))
            self._states[alarm.alarm_id] = alarm.state
            if alarm.ended:
                del self._states[alarm.alarm_id]
            if not alarm.test:
                self._keep(f"alarm/{alarm.condition}", None if alarm.ended else alarm.state_bytes())
        for entry in outcome.entries:
            self.journal.append((entry.kind, entry.item))
            for key, state in entry.state.items():
                self._keep(key, state)

    def _keep(self, key: str, state: bytes | None) -> None:
        if state is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = state


def play(script: Script) -> tuple[list[Happened], list[Difference]]:
    """Play a script.

    Returns:
        what happened, and where it differs from what is expected.
    """
    stage = Stage(script.devices, balances=script.balances)
    differences: list[Difference] = []
    for moment in script.moments:
        mark, journal_mark = len(stage.happened), len(stage.journal)
        stage.until(moment.at_ns)
        stage.do(moment.deed)
        if script.expects:
            differences += _compared(moment, stage, stage.happened[mark:], stage.journal[journal_mark:])
    return stage.happened, differences


def facts_of(change: AlarmChanged, *, sounds: bool) -> dict[str, object]:
    """What a script may say of a transition, by the words it uses."""
    return {
        **alarm_facts(change.alarm),
        "by": change.by,
        "reason": change.reason,
        "sounds": sounds,
        "silent": not sounds,
    }


def alarm_facts(alarm: Alarm) -> dict[str, object]:
    """What a script may say of an alarm, by the words it uses."""
    return {
        "acknowledged": alarm.acknowledged,
        "advisory": alarm.advisory,
        "at_start": alarm.at_start,
        "cause": alarm.cause,
        "filed": alarm.limit_filed,
        "first_out": alarm.first_out,
        "last_known": alarm.last_known,
        "latched": alarm.latched,
        "limit": alarm.limit_edge,
        "out_of_service": alarm.out_of_service,
        "peak": alarm.peak,
        "points": alarm.points,
        "priority": alarm.priority,
        "repeat": alarm.repeat_count,
        "returned": not alarm.active,
        "shelved": alarm.shelved_until_ns != 0,
        "start": alarm.level_start,
        "suppressed": alarm.suppressed,
        "test": alarm.test,
        "value": alarm.value,
        "why": alarm.clear_kind,
        "worst": alarm.level_worst,
    }


def _command(order: Order, alarm_id: str) -> Command:
    kind = order.kind
    if kind == "ack":
        return Acknowledge(alarm_id, order.reason)
    if kind == "reset":
        return Reset(alarm_id, order.reason)
    if kind == "test":
        return Test(order.target, order.value, order.reason, order.for_s)
    if kind == "end_test":
        return EndTest(order.target)
    if kind == "shelve" or kind == "out_of_service":  # noqa: PLR1714 - mypy narrows this, not a membership
        return Hold(kind, order.target, order.reason, order.for_s)
    return Release(kind, order.target, order.reason)


def _scan(device: str, rows: Mapping[int, tuple[float, int]], now: Now) -> Scan:
    return Scan(
        device=device,
        config_rev="",
        points=np.array(list(rows), dtype=np.uint16),
        values=np.array([value for value, _ in rows.values()], dtype=np.float64),
        quality=np.array([quality for _, quality in rows.values()], dtype=np.uint8),
        taken_ns=now.utc_ns,
        taken_mono_ns=now.mono_ns,
    )


def _compared(
    moment: Moment,
    stage: Stage,
    happened: Sequence[Happened],
    journal: Iterable[tuple[str, Mapping[str, object]]],
) -> list[Difference]:
    """Each transition and refusal is expected once, in whatever order; the rest is looked up."""
    left = list(happened)
    records = list(journal)
    found: list[Difference] = []
    for one in moment.expected:
        if one.kind == "nothing":
            continue
        if one.kind in ("stands", "gone"):
            found += _standing(one, stage.engine)
        elif one.kind == "journal":
            if not any(kind == one.name and _has(item, one.facts) for kind, item in records):
                found.append(Difference(one.line, one.text, happened=False))
        elif (match := next((h for h in left if _is(h, one)), None)) is not None:
            left.remove(match)
        else:
            near = next((_in_full(h, one) for h in left if _is_about(h, one)), "")
            found.append(Difference(one.line, one.text, happened=False, instead=near))
    found += [Difference(moment.line, f"{seconds(h.at_ns)} {h.text}", happened=True) for h in left]
    return found


def _standing(one: Expected, engine: Engine) -> list[Difference]:
    alarm = engine.alarms.get(one.name)
    if one.kind == "gone":
        return [Difference(one.line, one.text, happened=False)] if alarm is not None else []
    if alarm is None:
        return [Difference(one.line, one.text, happened=False)]
    facts = alarm_facts(engine.live(alarm))
    if (not one.level or alarm.level_current == one.level) and _has(facts, one.facts):
        return []
    said = " ".join(f"{name}={_word(facts.get(name))}" for name in one.facts)
    return [Difference(one.line, one.text, happened=False, instead=f"{alarm.level_current} {said}".strip())]


def _is(happened: Happened, one: Expected) -> bool:
    if not _is_about(happened, one) or (one.at_ns is not None and happened.at_ns != one.at_ns):
        return False
    if happened.change is None:
        return True
    level = happened.change.alarm.level_current
    return (not one.level or level == one.level) and _has(
        facts_of(happened.change, sounds=happened.sounds), one.facts
    )


def _is_about(happened: Happened, one: Expected) -> bool:
    if happened.change is None:
        return one.kind == "refused" and one.name == happened.refused
    alarm = happened.change.alarm
    about = happened.change.transition == one.kind and alarm.condition == one.name
    return about and alarm.test == (one.facts.get("test") == "yes")


def _in_full(happened: Happened, one: Expected) -> str:
    if happened.change is None:
        return happened.text
    facts = facts_of(happened.change, sounds=happened.sounds)
    said = " ".join(f"{name}={_word(facts.get(name))}" for name in one.facts)
    return f"{seconds(happened.at_ns)} {happened.text} {said}".strip()


def _has(facts: Mapping[str, Any], expected: Mapping[str, str]) -> bool:
    return all(_same(facts.get(name), word) for name, word in expected.items())


def _same(fact: object, word: str) -> bool:
    if isinstance(fact, float | int) and not isinstance(fact, bool):
        try:
            return abs(float(word) - fact) <= 1e-9 * max(1.0, abs(fact))
        except ValueError:
            return False
    return _word(fact) == word


def _word(fact: object) -> str:
    """A fact as scripts write it."""
    if isinstance(fact, bool):
        return "yes" if fact else "no"
    if fact is None or fact == "":
        return "none"
    return f"{fact:g}" if isinstance(fact, float) else str(fact)
