"""Four promises that no sequence of scans, delays, quality changes, restarts and commands may break.

Each is checked by an observer that knows what was read, asked for and told, and nothing of how the engine decides.
For each there is an engine broken on purpose: with it the same check must fail, or it checks nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from gateway.alarm import life
from gateway.alarm.bank import Bank
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.alarm.limits import LEVELS, Level, Limits, LimitTable, each
from gateway.alarm.parts import State, step
from gateway.alarm.register import Register
from gateway.engine import Engine
from gateway.replay.language import read_script
from gateway.replay.play import Happened, Stage
from gateway.replay.script import Deed, NewLimits, Order, OwnPart, Read, Restart, SetClock, Wait

EXAMPLES = 100

PLANT = """# a tank, its twin, a contact and a switch
device plc polled
point LT-1 ll=5 l=10 h=80 hh=90 deadband=H:2,HH:5,L:2,LL:2 on_delay_s=H:3,L:1 off_delay_s=H:2 latching=yes
point LT-2 h=80 hh=90 deadband=2 first_out=G re_alarm_s=20 suppressed_by=HS-1 deviation=20 deviation_from=LT-1
point XS-1 alarm_on=1 first_out=G off_delay_s=1
point HS-1 type=bit
"""
DEVICES = read_script(PLANT, "plant.txt").devices
POINTS = {point.point.name: row for row, point in enumerate(DEVICES[0].points)}
LIMITS = {point.point.name: point.limits for point in DEVICES[0].points}

VALUES = st.sampled_from(
    (0.0, 1.0, 5.0, 7.0, 8.0, 10.0, 12.0, 12.5, 50.0, 77.9, 78.0, 80.0, 84.9, 85.0, 90.0, 95.0)
)
QUALITIES = st.sampled_from(
    (GOOD,) * 8
    + (quality(Status.UNCERTAIN), quality(Status.UNCERTAIN, Cause.OVER_RANGE))
    + tuple(bad(cause) for cause in (Cause.COMM, Cause.DEVICE_FAULT, Cause.MAINTENANCE, Cause.STARTUP))
)
TARGETS = st.sampled_from(
    (
        "LT-1/high",
        "LT-1/low",
        "LT-2/high",
        "LT-2/above",
        "XS-1/state",
        "LT-1/quality",
        "plc/comm",
        "LT-1",
        "LT-2",
    )
)


ROWS = st.one_of(st.tuples(VALUES, QUALITIES), st.tuples(VALUES, st.just(GOOD)), st.none())
READS = st.tuples(*(ROWS for _ in POINTS)).map(
    lambda rows: Read(
        {"plc": {row: reading for row, reading in enumerate(rows) if reading} or {0: (50.0, GOOD)}}
    )
)
NEW_LIMITS = st.sampled_from(
    (
        Limits(h=80.0, hh=90.0, deadband=2.0),
        Limits(ll=5.0, l=10.0, h=60.0, deadband=5.0, off_delay_s=3.0),
        Limits(hh=90.0),
        Limits(),
    )
)
ORDERS = st.builds(
    Order,
    st.sampled_from(
        ("ack", "ack", "ack", "reset", "shelve", "out_of_service", "unshelve", "in_service", "test")
    ),
    TARGETS,
    st.sampled_from(("wang", "li")),
    st.just("because"),
    st.sampled_from((5.0, 60.0)),
    VALUES,
)
DEEDS = st.one_of(
    READS,
    READS,
    READS,
    ORDERS,
    st.sampled_from((Restart(), Restart(7_000_000_000))),
    st.just(Wait()),
    st.builds(NewLimits, st.sampled_from(("LT-1", "LT-2")), NEW_LIMITS),
    st.sampled_from((OwnPart("disk", "hung"), OwnPart("disk", ""))),
    st.sampled_from((SetClock(3_600_000_000_000), SetClock(-3_600_000_000_000))),
)
DAYS = st.lists(
    st.tuples(st.sampled_from((0.0, 0.5, 1.0, 1.0, 2.0, 3.0, 5.0, 30.0)), DEEDS), min_size=20, max_size=50
)


@dataclass
class Watched:
    """A stage and what an observer knows of it.

    Attributes:
        read: last reading of each point since the last start.
        limits: those that hold.
        last: condition -> its alarm as the record last told it.
        open: condition -> id of its active alarm, by the record.
        numbers: alarm's id -> number of its last change.
        states: alarm's id -> where its parts stand if every change is carried out by the table.
    """

    stage: Stage = field(default_factory=lambda: Stage(DEVICES))
    read: dict[str, tuple[float, int]] = field(default_factory=dict)
    limits: dict[str, Limits] = field(default_factory=lambda: dict(LIMITS))
    last: dict[str, Alarm] = field(default_factory=dict)
    open: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)

    def live(self, day: list[tuple[float, Deed]], check: Check) -> None:
        """Let a day pass, checked after every deed."""
        for pause_s, deed in day:
            at_ns = self.stage.now().utc_ns - self.stage.begin_ns + int(pause_s * 1e9)
            mark = len(self.stage.happened)
            self.stage.until(at_ns)
            self._told(self.stage.happened[mark:], Wait(), check)
            mark = len(self.stage.happened)
            self._note(deed)
            self.stage.do(deed)
            self._told(self.stage.happened[mark:], deed, check)

    def _note(self, deed: Deed) -> None:
        if isinstance(deed, Read):
            for tag, row in POINTS.items():
                if row in deed.readings["plc"]:
                    self.read[tag] = deed.readings["plc"][row]
        elif isinstance(deed, NewLimits):
            self.limits[deed.tag] = deed.limits
        elif isinstance(deed, Restart):
            self.read.clear()
            self.limits = dict(LIMITS)

    def _told(self, happened: list[Happened], deed: Deed, check: Check) -> None:
        real = [one.change for one in happened if one.change is not None and not one.change.alarm.test]
        for change in real:
            check(self, change, deed)
            alarm = change.alarm
            self.last[alarm.condition] = alarm
            if alarm.active:
                self.open[alarm.condition] = alarm.alarm_id
            elif self.open.get(alarm.condition) == alarm.alarm_id:
                del self.open[alarm.condition]
        check(self, None, deed)


Check = Callable[[Watched, AlarmChanged | None, Deed], None]
"""Told each change before the observer takes it over, and None when a deed is done."""


def is_safe(limits: Limits, side: str, value: float, level: str = "") -> bool:
    """Whether a value has gone back from every limit of a side, or from one, by more than the deadband."""
    levels: tuple[Level, ...] = {"low": ("LL", "L"), "high": ("H", "HH"), "state": ("ON",)}[side]  # type: ignore[assignment]
    for one in (level,) if level in LEVELS else levels:
        limit = limits.of(one)  # type: ignore[arg-type]
        if limit is None:
            continue
        back = each(limits.deadband, one)  # type: ignore[arg-type]
        if not {"low": value > limit + back, "high": value < limit - back, "state": value != limit}[side]:
            return False
    return True


def clears_on_good_values_only(watched: Watched, change: AlarmChanged | None, deed: Deed) -> None:
    """(a) A limit clears, or goes down a level, by a good value beyond the deadband, or because it was removed."""
    if change is None or change.alarm.type not in ("limit", "digital"):
        return
    alarm = change.alarm
    limits, side = watched.limits[alarm.point_id], alarm.condition.rpartition("/")[2]
    left = watched.last[alarm.condition].level_current if change.transition != "raise" else ""
    if change.transition == "clear" and alarm.clear_kind == "limit_removed":
        assert limits.of(left) is None, "the limit is there"  # type: ignore[arg-type]
    elif change.transition in ("clear", "deescalate"):
        value, byte = watched.read.get(alarm.point_id, (math.nan, bad(Cause.STARTUP)))
        assert byte & 3 == Status.GOOD, f"{change.transition} by a value that is not good"
        only = left if change.transition == "deescalate" else ""
        assert is_safe(limits, side, value, only), f"{change.transition} by {value}"


def one_open_record_per_condition(watched: Watched, change: AlarmChanged | None, deed: Deed) -> None:
    """(b) What the record calls active is one alarm per condition, and it is the engine's."""
    if change is None:
        active = {name: alarm.alarm_id for name, alarm in watched.stage.engine.alarms.items() if alarm.active}
        assert watched.open == active
        return
    alarm = change.alarm
    other = watched.open.get(alarm.condition, alarm.alarm_id)
    assert other == alarm.alarm_id, "two open records"
    if change.transition == "raise":
        assert alarm.condition not in watched.open, "raised while it is open"


def the_record_tells_everything(watched: Watched, change: AlarmChanged | None, deed: Deed) -> None:
    """(c) Changes are numbered without a hole, follow from one another, and end where the engine stands."""
    if change is None:
        told = {name: alarm for name, alarm in watched.last.items() if not alarm.ended}
        stands = watched.stage.engine.alarms
        assert {n: replace(a, last_known=False) for n, a in stands.items()} == {
            n: replace(a, last_known=False) for n, a in told.items()
        }
        return
    alarm = change.alarm
    assert alarm.change_no == watched.numbers.get(alarm.alarm_id, 0) + 1, "a change is missing"
    watched.numbers[alarm.alarm_id] = alarm.change_no
    if change.transition == "raise":
        held = alarm.state._replace(active=False, acknowledged=False)
        watched.states[alarm.alarm_id] = held
    watched.states[alarm.alarm_id] = step(watched.states[alarm.alarm_id], change.transition)
    assert watched.states[alarm.alarm_id] == alarm.state


def people_alone_acknowledge_and_reset(watched: Watched, change: AlarmChanged | None, deed: Deed) -> None:
    """(d) Acknowledged and reset is what a person asked for in this very moment."""
    if change is None:
        return
    alarm, before = change.alarm, watched.last.get(change.alarm.condition)
    if change.transition == "raise" or before is None:
        assert not alarm.acknowledged, "born acknowledged"
        return
    asked = deed.kind if isinstance(deed, Order) else ""
    if change.transition in ("ack", "reset"):
        assert asked == change.transition, f"{change.transition} by itself"
        assert isinstance(deed, Order)
        assert change.by == deed.by
    if alarm.acknowledged and not before.acknowledged:
        assert change.transition == "ack"
    if before.latched and not alarm.latched:
        assert change.transition == "reset"


PROMISES = (
    clears_on_good_values_only,
    one_open_record_per_condition,
    the_record_tells_everything,
    people_alone_acknowledge_and_reset,
)


def keep(check: Check, *, until_red: bool = False) -> None:
    """Let many days pass, the same on every run; a search for a defect may go on, and need not shrink it."""
    phases = (Phase.generate,) if until_red else (Phase.generate, Phase.shrink)

    @settings(
        max_examples=EXAMPLES * 20 if until_red else EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(DAYS)
    def days(day: list[tuple[float, Deed]]) -> None:
        Watched().live(day, check)

    days()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_a_promise_is_kept(promise: Check):
    keep(promise)


def _takes_bad_values(patch: pytest.MonkeyPatch) -> None:
    judge = Bank.judge

    def broken(self, rows, index, values, mono_ns, usable=None, uncertain=None):
        return judge(self, rows, index, values, mono_ns, None, uncertain)

    patch.setattr(Bank, "judge", broken)


def _clears_on_uncertain_values(patch: pytest.MonkeyPatch) -> None:
    judge = Bank.judge

    def broken(self, rows, index, values, mono_ns, usable=None, uncertain=None):
        return judge(self, rows, index, values, mono_ns, usable, None)

    patch.setattr(Bank, "judge", broken)


def _has_no_deadband(patch: pytest.MonkeyPatch) -> None:
    take = LimitTable._take

    def broken(self, rows, limits):
        take(self, rows, [replace(limit, deadband=0.0) for limit in limits])

    patch.setattr(LimitTable, "_take", broken)


def _forgets_at_a_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Engine, "_restore", lambda self, alarm: self.alarms.pop(alarm.condition, None) and None)


def _tells_no_deescalation(patch: pytest.MonkeyPatch) -> None:
    take = Register.take

    def broken(self):
        sirens, changes, entries = take(self)
        return sirens, tuple(c for c in changes if c.transition != "deescalate"), entries

    patch.setattr(Register, "take", broken)


def _changes_without_telling(patch: pytest.MonkeyPatch) -> None:
    doubted = Register.doubted

    def broken(self, conditions, *, last_known):
        for condition in conditions:
            alarm = self.alarms.get(condition)
            if alarm is not None:
                self.alarms[condition] = replace(alarm, priority=4)
        doubted(self, conditions, last_known=last_known)

    patch.setattr(Register, "doubted", broken)


def _acknowledges_what_clears(patch: pytest.MonkeyPatch) -> None:
    cleared = Register.cleared

    def broken(self, condition, kind, value, peak, now):
        cleared(self, condition, kind, value, peak, now)
        alarm = self.alarms.get(condition)
        if alarm is not None and not alarm.acknowledged:
            self._tell(life.acknowledged(alarm, "", "", now.utc_ns))

    patch.setattr(Register, "cleared", broken)


def _resets_by_itself(patch: pytest.MonkeyPatch) -> None:
    acknowledge = Register._acknowledge

    def broken(self, actor, command, now):
        acknowledge(self, actor, command, now)
        for alarm in list(self.alarms.values()):
            if alarm.latched and alarm.acknowledged and not alarm.active:
                self._tell(life.moved(alarm, "reset", now.utc_ns))

    patch.setattr(Register, "_acknowledge", broken)


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        (clears_on_good_values_only, _takes_bad_values),
        (clears_on_good_values_only, _clears_on_uncertain_values),
        (clears_on_good_values_only, _has_no_deadband),
        (one_open_record_per_condition, _forgets_at_a_restart),
        (the_record_tells_everything, _tells_no_deescalation),
        (the_record_tells_everything, _changes_without_telling),
        (people_alone_acknowledge_and_reset, _acknowledges_what_clears),
        (people_alone_acknowledge_and_reset, _resets_by_itself),
    ],
    ids=lambda one: one.__name__.strip("_"),
)
def test_a_broken_engine_breaks_the_promise(
    promise: Check, broken: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
):
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        keep(promise, until_red=True)
