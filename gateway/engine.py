"""Scans in, decisions out. Pure: every decision is a function of its arguments, ``now`` among them.

Over 400 lines because it is one class over one set of columns; limits, lives and what people do are beside it.

Judges whole columns; Python objects appear only where something changes. Rules, in their order of weight:

1. A bad value neither raises nor clears a process limit: the alarm keeps its state, marked last known.
2. An uncertain value may raise a limit and never clears one.
3. A number that is not finite is bad, whatever its quality byte says.
4. Bad quality is an alarm of its own: one per source while all its points lack communication, else one per
   point; so is a value out of range (``BEYOND``), which a broken loop may be. Causes that people bring about on
   purpose (``ON_PURPOSE``) are shown, are no alarm, clear none, and suppress by design those of their point.
5. A source falls and comes back as one, whatever the number of its scans: while part of its points is missing and
   may be only the first or the last, there is its one alarm or none yet; after ``sources.SETTLE_S`` there is one per
   point that is still missing.
6. A scan group whose scans stop coming is treated as one that says "not read".
7. What a source's history gave is recorded and never judged: it says nothing about now.
8. A test judges its injected value beside the real one: the plant is watched on.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import isnan
from typing import Any, Final

import numpy as np

from drivers.kit.quality import GOOD, Cause, QualityArray, Status, bad, cause_of, is_bad, is_good
from drivers.kit.quality import quality as quality_of
from drivers.kit.scan import IndexArray, Scan, ValueArray
from gateway.alarm.balance import Balances
from gateway.alarm.bank import VALUE, Bank, Step
from gateway.alarm.conditions import Balance, Conditions
from gateway.alarm.contacts import Contacts
from gateway.alarm.derived import Deviations, Rates
from gateway.alarm.entry import Entry
from gateway.alarm.forecast import Forecast, Forecasts
from gateway.alarm.life import Alarm, AlarmChanged, AlarmType, ClearKind, Subject
from gateway.alarm.limits import NEVER, Limits, MaskArray, Rows
from gateway.alarm.people import AlarmSettings, Command, EndTest, Held, Test
from gateway.alarm.register import Register
from gateway.alarm.trial import Trials
from gateway.instant import Now
from gateway.plant import PointConfig
from gateway.silence import Silence, stale_after_ns
from gateway.sources import Sources

ON_PURPOSE: Final = frozenset(
    {Cause.MAINTENANCE, Cause.CALIBRATION, Cause.WARM_UP, Cause.SIMULATION, Cause.MANUAL, Cause.DISABLED}
    | {Cause.MUTED, Cause.STARTUP}
)
"""Causes of bad quality that are not an alarm: somebody is working there, or nothing has been read yet."""
BEYOND: Final = frozenset({Cause.OVER_RANGE, Cause.UNDER_RANGE})
"""Causes of uncertain quality that are an alarm."""

_ALARMING: Final = np.array([Cause(c) not in ON_PURPOSE if c < len(Cause) else True for c in range(64)])
_COMM: Final = np.array([c in (Cause.COMM, Cause.NOT_READ) for c in range(64)])
_BEYOND: Final = np.isin(np.arange(256), [quality_of(Status.UNCERTAIN, cause) for cause in BEYOND])
"""For every quality byte: the value is kept, and out of range."""
_SUPPRESSING: Final = np.isin(np.arange(64), list(ON_PURPOSE - {Cause.STARTUP}))
_QUALITY_LEVELS: Final = {Cause.FROZEN: "FROZEN", Cause.OVER_RANGE: "RANGE", Cause.UNDER_RANGE: "RANGE"}
"""Level of a quality alarm by its cause; BAD for every other."""
_OWN_SIDES: Final = ("low", "high", "state", "fall", "rise")
"""Sides of which the point alone decides."""
_SIDE_NAMES: Final = (*_OWN_SIDES, "below", "above", "quality")

FIRST_READ_NS: Final = 60_000_000_000
"""A point may be starting for at least this long and at most twice as long; then it is not read."""

_USUAL: Final = AlarmSettings()

RETOLD: Final = "gateway/recipient/"
RETELL_NS: Final = 60_000_000_000
"""What is wrong with a recipient may change from one attempt to the next; it is told again so often at most."""

MEMO_ROWS: Final = 1_024
"""Groups of devices whose rows are remembered."""


@dataclass(frozen=True, slots=True)
class WatchedDevice:
    """A device as the engine sees it.

    Attributes:
        name: as in its scans.
        points: its rows of the point table, in scan order.
        period_s: time between two reads of a point that names none of its own.
        polled: every point is posted in every of its periods; else silence is normal, because the driver measures
            liveness itself and posts only changes.
    """

    name: str
    points: tuple[PointConfig, ...]
    period_s: float = 1.0
    polled: bool = False

    @property
    def periods_s(self) -> list[float]:
        """Period of each point."""
        return [self.period_s if p.point.period_s is None else p.point.period_s for p in self.points]


@dataclass(frozen=True, slots=True)
class Capture:
    """A picture is wanted."""

    camera: str
    alarm_id: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is to be done; the order of the fields is the order of the deeds.

    Attributes:
        sirens: changes that sound, or fall silent.
        changes: every change, for the record and the recipients.
        entries: what else is to be on record.
        scans: readings to be recorded.
        captures: pictures that are wanted.
    """

    sirens: tuple[AlarmChanged, ...] = ()
    changes: tuple[AlarmChanged, ...] = ()
    entries: tuple[Entry, ...] = ()
    scans: tuple[Scan, ...] = ()
    captures: tuple[Capture, ...] = ()


class Engine:
    """All points of a gateway as columns, and the alarms that stand.

    Args:
        devices: with their points, which are the rows of the columns.
        standing: alarms that stood at the last stop.
        now: the start.
        held: what people held back then.
        settings: bounds of what people may do.
        balances: mass balances that are drawn.
        seen_ns: UTC of the newest record, which a clock that is right is not behind.

    Attributes:
        values: float64[n], last value of each point that was not bad; NaN before the first.
        quality: uint8[n], quality of the last reading.
        taken_ns: int64[n], UTC of the last reading, 0 before the first.
        value_ns: int64[n], UTC of the reading that ``values`` holds, 0 before the first.
        register: alarms that stand and what people have decided about them.
        strangers: scans of unknown devices or of more points than the device has, refused and counted.
    """

    def __init__(
        self,
        devices: Sequence[WatchedDevice],
        standing: Iterable[Alarm],
        now: Now,
        *,
        held: Iterable[Held] = (),
        settings: AlarmSettings = _USUAL,
        balances: Sequence[Balance] = (),
        seen_ns: int = 0,
    ) -> None:
        self._points = [point for device in devices for point in device.points]
        self._lay_out(devices, now)
        self.register = Register(standing, held, now, settings, seen_ns)
        self.strangers = 0
        conditions = [point.conditions for point in self._points]
        self._bank = Bank([point.limits for point in self._points], VALUE, self.values)
        self._rates = Rates(conditions)
        self._deviations = Deviations(conditions, self._row)
        self._blind: MaskArray = np.ones(len(self._deviations.rows), dtype=np.bool_)  # nothing is read yet
        self._contacts = Contacts(conditions, self._row)
        self._balances = Balances(balances, self._row)
        self._forecasts = Forecasts(conditions)
        self._trials = Trials(self._shadow_of, settings)
        self._retell_ns: dict[str, int] = {}
        self._by_quality: dict[int, str] = {}
        self._by_contact: dict[int, str] = {}
        self._exact: dict[str, dict[int, int | str]] = {}
        self._rows_known: dict[object, tuple[list[IndexArray], Rows, Rows | slice, list[int]]] = {}
        self._trial_sirens: list[AlarmChanged] = []
        self._trial_entries: list[Entry] = []
        self._captures: list[Capture] = []
        self._take_up(balances)

    def _lay_out(self, devices: Sequence[WatchedDevice], now: Now) -> None:
        """The columns, and which of their rows are whose."""
        n = len(self._points)
        self._devices = {device.name: device for device in devices}
        self._base: dict[str, int] = {}
        self._silence: dict[str, Silence] = {}
        base = 0
        for device in devices:
            self._base[device.name] = base
            base += len(device.points)
            if device.polled and device.points:
                self._silence[device.name] = Silence(device.periods_s, now.mono_ns)
        self._silent_by_ns = self._next_silence_ns()
        names = [source_of(device.name, point) for device in devices for point in device.points]
        periods_s = np.array([period for device in devices for period in device.periods_s])
        polled = np.array([device.polled for device in devices for _ in device.points], dtype=np.bool_)
        self._sources = Sources(names, periods_s, polled)
        self._row = {point.point.name: row for row, point in enumerate(self._points)}
        self.values = np.full(n, np.nan)
        self.quality: QualityArray = np.full(n, bad(Cause.STARTUP), dtype=np.uint8)
        self.taken_ns = np.zeros(n, dtype=np.int64)
        self.value_ns = np.zeros(n, dtype=np.int64)
        self._quality_alarm = np.zeros(n, dtype=np.bool_)
        self._quality_told: QualityArray = np.zeros(n, dtype=np.uint8)
        self._itself_suppressed = np.zeros(n, dtype=np.bool_)
        self._starting = np.ones(n, dtype=np.bool_)
        self._starting_until_ns = now.mono_ns + FIRST_READ_NS
        stale_ns = [stale_after_ns(period) for period in periods_s]
        self._first_read_ns = now.mono_ns + np.where(
            polled, np.maximum(stale_ns, FIRST_READ_NS), FIRST_READ_NS
        )

    def _take_up(self, balances: Sequence[Balance]) -> None:
        """Tell the register what every condition is about, and take up what stood at the last stop."""
        self._named: list[dict[str, str]] = [{} for _ in self._points]
        for row in range(len(self._points)):
            self._know(row)
        for k, name in enumerate(self._sources.names):
            self.register.know(
                f"{name}/comm", Subject("", name, text=name, points=int(self._sources.size[k]))
            )
        for balance in balances:
            self._know_balance(balance)
        for alarm in list(self.alarms.values()):
            self._restore(alarm)
        # A restored quality alarm is judged at the first scan even if the quality byte does not change.
        self._unsettled = bool(self._quality_alarm.any() or self._sources.down.any())

    @property
    def alarms(self) -> dict[str, Alarm]:
        """Live alarms by condition: active, or returned and not yet acknowledged or reset."""
        return self.register.alarms

    @property
    def points(self) -> tuple[PointConfig, ...]:
        """Every point; the rows of the columns."""
        return tuple(self._points)

    @property
    def devices_and_points(self) -> list[tuple[str, PointConfig]]:
        """The same with the name of each point's device."""
        names = [name for name, device in self._devices.items() for _ in device.points]
        return list(zip(names, self._points, strict=True))

    @property
    def tests(self) -> list[dict[str, Any]]:
        """Tests that run now."""
        return self._trials.view()

    @property
    def suppressed(self) -> dict[str, str]:
        """Tag -> why, of points whose alarms are suppressed by design now."""
        return {
            self._points[row].point.name: why for row, why in (self._by_contact | self._by_quality).items()
        }

    @property
    def forecasts(self) -> dict[int, Forecast]:
        """Row -> time to its next limit, of those points that want one and of which it can be said now."""
        return self._forecasts.view(self.values, is_good(self.quality), lambda row: self._points[row].limits)

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds before which ``tick`` has nothing to decide without new data."""
        return min(
            self._silent_by_ns,
            *self._sources.deadlines_ns,
            self._starting_until_ns,
            *(bank.table.next_due_ns for bank, _ in self._banks()),
            self.register.next_deadline,
            self._trials.next_deadline,
            self._balances.next_due_ns,
            self._forecasts.next_due_ns,
        )

    @property
    def exact(self) -> dict[int, int | str]:
        """Row -> text or whole number beyond 2**53, for points whose last value that was not bad is one."""
        return {
            self._base[name] + point: value
            for name, points in self._exact.items()
            for point, value in points.items()
        }

    def step(self, scans: Sequence[Scan], now: Now) -> Outcome:
        """Judge scans in the order given; scans of different devices are judged in one pass."""
        kept: list[Scan] = []
        batch: list[Scan] = []
        seen: set[str] = set()
        for scan in scans:
            if not self._is_ours(scan):
                self.strangers += 1
                continue
            if scan.history or scan.device in seen:
                kept += self._judge(batch, now) if batch else []
                batch, seen = [], set()
            if scan.history:
                kept.append(_without_false_good(scan))
                continue
            batch.append(scan)
            seen.add(scan.device)
            silence = self._silence.get(scan.device)
            if silence is not None:
                silence.heard(scan.points, now.mono_ns)
            if scan.exact is not None or scan.device in self._exact:
                self._keep_exact(scan)
        if batch:
            kept += self._judge(batch, now)
        if now.mono_ns >= self._balances.next_due_ns:
            self._judge_balances(now)
        if now.mono_ns >= self._forecasts.next_due_ns:
            self._forecasts.feed(self.values, is_good(self.quality), now.mono_ns)
        return self._outcome(tuple(kept))

    def tick(self, now: Now) -> Outcome:
        """Decide what no data brings about: silence, delays, holds and tests that end."""
        silent = [
            self._not_read(name, now, rows)
            for name, silence in self._silence.items()
            for rows in silence.silent(now.mono_ns)
        ]
        self._silent_by_ns = self._next_silence_ns()
        for k in self._sources.settled(now.mono_ns):
            self._come_back_in_part(k, now)
        if now.mono_ns >= self._starting_until_ns:
            silent += self._still_starting(now)
        for bank, rows in self._banks():
            self._carry_out(bank, rows, bank.expire(now.mono_ns), now)
        self.register.tick(now)
        self._take_trial(self._trials.tick(now))
        return self.step(silent, now)

    def command(self, actor: str, command: Command, now: Now) -> Outcome:
        """Carry out what a person wants; what changes nothing does nothing.

        Raises:
            UnknownAlarmError: no alarm, condition, point or test has this name.
            RefusedError: it cannot be done now.
        """
        if isinstance(command, Test | EndTest):
            self._take_trial(self._trials.command(actor, command, now))
        else:
            self.register.command(actor, command, now)
        return self._outcome(())

    def condition(self, name: str, cause: str, now: Now) -> Outcome:
        """A part of the gateway itself is well (``cause`` = "") or not, and why; repeats change nothing.

        Of a recipient another cause is told too, at most every ``RETELL_NS``.
        """
        condition = f"gateway/{name}"
        if not self.register.knows(condition):
            self.register.know(condition, Subject("", name, text=name))
        self._raise_or_clear(condition, "gateway", "FAULT", cause, now)
        return self._outcome(())

    def change_limits(self, point_id: str, limits: Limits, now: Now) -> Outcome:
        """Other limits for one point from now on, judged at once against its last value.

        Raises:
            KeyError: there is no such point.
        """
        row = self._row[point_id]
        self._points[row] = replace(self._points[row], limits=limits)
        self._bank.change(row, limits)
        self._know(row)
        quality = self.quality[row : row + 1]
        rows, usable = np.array([row]), ~is_bad(quality)
        steps = self._bank.judge(
            rows, rows, self.values[rows], now.mono_ns, usable, (quality & 3) == Status.UNCERTAIN
        )
        self._carry_out(self._bank, None, steps, now)
        return self._outcome(())

    def live(self, alarm: Alarm) -> Alarm:
        """An alarm for people to look at: with its point's value now, the peak so far and the limit that holds.

        The alarm that stands keeps those of its last change, as they are in the record.
        """
        value, peak, limit = self.latest(alarm)
        return replace(alarm, value=value, peak=peak, limit_edge=limit)

    def latest(self, alarm: Alarm) -> tuple[float | None, float | None, float | None]:
        """The point's value now, the peak so far and the limit that holds; the alarm's own where there are none."""
        row = self._row.get(alarm.point_id)
        if row is None or not alarm.active or alarm.type not in ("limit", "digital"):
            return alarm.value, alarm.peak, alarm.limit_edge
        value, peak = float(self.values[row]), self._bank.peak(row, alarm.condition.rpartition("/")[2])
        limit = self._points[row].limits.of(alarm.level_current)  # type: ignore[arg-type] # such alarms have one
        return (
            alarm.value if isnan(value) else value,
            alarm.peak if isnan(peak) else peak,
            alarm.limit_edge if limit is None else limit,
        )

    def unit_of(self, point_id: str) -> str:
        """The unit of a point's values; "" of no point."""
        row = self._row.get(point_id)
        return "" if row is None else self._points[row].unit

    def attach(self, alarm_id: str, snapshot_id: str) -> None:
        """A picture was taken for an alarm; its next change names it."""
        self.register.attach(alarm_id, snapshot_id)

    # -- a shadow of itself for tests -----------------------------------------------------------------

    def inject(self, value: float, now: Now) -> tuple[AlarmChanged, ...]:
        """Judge this value as that of the only point, good. Of a test's own engine."""
        [name] = self._devices
        points = np.zeros(1, dtype=np.uint16)
        quality = np.full(1, GOOD, dtype=np.uint8)
        scan = Scan(name, "", points, np.array([value]), quality, now.utc_ns, now.mono_ns)
        return self.step([scan], now).changes

    def wait(self, now: Now) -> tuple[AlarmChanged, ...]:
        """Let delays end. Of a test's own engine."""
        return self.tick(now).changes if now.mono_ns >= self.next_deadline else ()

    def _shadow_of(self, point_id: str, now: Now) -> Engine:
        point = self._points[self._row[point_id]]
        alone = replace(point.conditions, deviation=None, suppressed_by="")
        return Engine([WatchedDevice("test", (replace(point, conditions=alone),))], (), now)

    def _take_trial(self, told: tuple[list[AlarmChanged], list[Entry]]) -> None:
        self._trial_sirens += told[0]
        self._trial_entries += told[1]

    def _next_silence_ns(self) -> int:
        """Not before this a device has been silent for too long: what is heard until then only puts it off."""
        return min((silence.deadline_ns for silence in self._silence.values()), default=NEVER)

    # -- judging columns ------------------------------------------------------------------------------

    def _banks(self) -> tuple[tuple[Bank, Rows | None], ...]:
        """Every bank with the points its rows are of; None where they are the points themselves."""
        derived = ((one.bank, one.rows) for one in (self._rates, self._deviations) if len(one.rows))
        return ((self._bank, None), *derived)

    def _is_ours(self, scan: Scan) -> bool:
        device = self._devices.get(scan.device)
        return device is not None and len(scan.points) > 0 and int(scan.points[-1]) < len(device.points)

    def _judge(self, scans: list[Scan], now: Now) -> list[Scan]:
        scans_by_row = sorted(scans, key=lambda scan: self._base[scan.device])
        rows, index, sizes = self._rows_of(scans_by_row)
        values = np.concatenate([scan.values for scan in scans_by_row])
        quality = np.concatenate([scan.quality for scan in scans_by_row])
        finite = np.isfinite(values)
        all_good = bool(((quality == GOOD) & finite).all())
        unusable = None if all_good else is_bad(quality)
        if unusable is not None and not (finite | unusable).all():
            return self._judge([_without_false_good(scan) for scan in scans], now)
        taken_ns = np.repeat(np.array([scan.taken_ns for scan in scans_by_row]), sizes)
        first = self.value_ns[index] == 0
        self.taken_ns[index] = taken_ns
        if unusable is None:
            self.values[index] = values
            self.value_ns[index] = taken_ns
        else:
            usable = rows[~unusable]
            self.values[usable] = values[~unusable]
            self.value_ns[usable] = taken_ns[~unusable]
        before, self.quality[index] = self.quality[index].copy(), quality
        if self._unsettled or (before != quality).any():
            self._judge_quality(rows, before, quality, now)
            self._unsettled = bool(self._quality_alarm.any() or self._sources.down.any())
        self._judge_contacts(now)
        fresh = rows[first] if first.any() else None
        good = None if unusable is None else ~unusable
        uncertain = None if unusable is None else (quality & 3) == Status.UNCERTAIN
        steps = self._bank.judge(rows, index, values, now.mono_ns, good, uncertain)
        self._carry_out(self._bank, None, steps, now, fresh)
        self._judge_derived(rows, values, quality, now)
        return scans

    def _judge_derived(self, rows: Rows, values: ValueArray, quality: QualityArray, now: Now) -> None:
        if len(self._rates.rows):
            steps = self._rates.judge(rows, values, is_good(quality), now.mono_ns)
            self._carry_out(self._rates.bank, self._rates.rows, steps, now)
        if len(self._deviations.rows):
            uncertain = (self.quality & 3) == Status.UNCERTAIN
            steps = self._deviations.judge(rows, self.values, is_bad(self.quality), uncertain, now.mono_ns)
            self._carry_out(self._deviations.bank, self._deviations.rows, steps, now)

    def _judge_balances(self, now: Now) -> None:
        for one in self._balances.judge(self.values, lambda rows: is_good(self.quality[rows]), now.mono_ns):
            if one.change == "raise":
                value, limit = one.apart, (one.balance.tolerance, None)
                self.register.raised(
                    one.condition, "discrepancy", "MISFIT", now, cause=one.cause, value=value, limit=limit
                )
            elif one.change == "clear":
                self.register.cleared(one.condition, "returned", one.apart, one.worst, now)
            else:
                self.register.doubted([one.condition], last_known=one.change == "doubt")

    def _rows_of(self, scans: list[Scan]) -> tuple[Rows, Rows | slice, list[int]]:
        """Rows of these scans one behind the other, the same as a slice where they follow one another, and sizes.

        The same devices come together again and again, and a driver posts the same points column each time.
        """
        key = tuple([scan.device for scan in scans]), tuple([id(scan.points) for scan in scans])
        known = self._rows_known.get(key)
        if known is None or any(mine is not scan.points for mine, scan in zip(known[0], scans, strict=True)):
            columns = [scan.points for scan in scans]
            rows: Rows = np.concatenate([scan.points + np.intp(self._base[scan.device]) for scan in scans])
            first, end = int(rows[0]), int(rows[-1]) + 1
            together = end - first == len(rows) and bool((np.diff(rows) == 1).all())
            index = slice(first, end) if together else rows
            if len(self._rows_known) >= MEMO_ROWS:
                self._rows_known.clear()
            known = columns, rows, index, [len(column) for column in columns]
            if not any(column.flags.writeable for column in columns):
                self._rows_known[key] = known
        return known[1:]

    def _carry_out(
        self, bank: Bank, points: Rows | None, steps: Sequence[Step], now: Now, fresh: Rows | None = None
    ) -> None:
        """Excursions begin, move and end as a bank says.

        Args:
            bank: whose.
            points: rows of the point table that the bank's rows are of; None where they are the same.
            steps: what it says.
            now: the instant.
            fresh: points that were read for the first time.
        """
        for step in steps:
            row = step.row if points is None else int(points[step.row])
            point = self._points[row]
            condition = self._name(row, step.side.name)
            peak = None if np.isnan(step.peak) else step.peak
            if not step.after:
                removed = not bank.has_limit(step.row, step.before)
                why: ClearKind = "limit_removed" if removed else "returned"
                self.register.cleared(condition, why, step.value, peak, now)
                continue
            if step.before:
                alarm = self.register.relevelled(condition, step.after, step.value, peak, step.limit, now)
            else:
                alarm = self.register.raised(
                    condition,
                    step.side.type,
                    step.after,
                    now,
                    value=step.value,
                    limit=step.limit,
                    suppressed=self._why_suppressed(row),
                    first_reading=fresh is not None and row in fresh,
                )
            if point.camera:
                self._captures.append(Capture(point.camera, alarm.alarm_id))

    def _judge_quality(self, rows: Rows, before: QualityArray, quality: QualityArray, now: Now) -> None:
        suppressing = _SUPPRESSING[quality >> 2]
        moved = suppressing != self._itself_suppressed[rows]
        for i in np.flatnonzero(moved | (suppressing & (before != quality))):
            why = cause_of(int(quality[i])).word if suppressing[i] else ""
            self._suppress(int(rows[i]), self._by_quality, why, now)
        self._itself_suppressed[rows] = suppressing
        unusable = is_bad(quality)
        comm = unusable & _COMM[quality >> 2]
        if not np.array_equal(self._sources.missing[rows], comm):
            for k in self._sources.move(rows, comm, now.mono_ns):
                self._tell_source(k, now)
        telling = unusable | _BEYOND[quality]
        alarming = (
            telling & _ALARMING[quality >> 2] & ~(comm & self._sources.settling[self._sources.of[rows]])
        )
        stands = self._quality_alarm[rows]
        changed = np.where(telling, alarming & ~(stands & (self._quality_told[rows] == quality)), stands)
        for i in np.flatnonzero(changed):
            self._set_quality_alarm(int(rows[i]), int(quality[i]) if alarming[i] else GOOD, now)
        excursing = self._is_excursing(rows)
        for i in np.flatnonzero(excursing & (is_bad(before) != unusable)):
            own = [self._name(int(rows[i]), side) for side in _OWN_SIDES]
            self.register.doubted(own, last_known=bool(unusable[i]))
        self._doubt_deviations()

    def _doubt_deviations(self) -> None:
        """A deviation cannot be seen while either of its ends is bad."""
        one = self._deviations
        blind = is_bad(self.quality[one.rows]) | is_bad(self.quality[one.others])
        for k in np.flatnonzero(one.bank.table.excursing & (blind != self._blind)):
            apart = [self._name(int(one.rows[k]), side) for side in ("below", "above")]
            self.register.doubted(apart, last_known=bool(blind[k]))
        self._blind = blind

    def _is_excursing(self, rows: Rows) -> MaskArray:
        """Which of these points have an excursion of any bank."""
        out = self._bank.table.excursing[rows]
        for derived in (self._rates, self._deviations):
            if derived.bank.table.any_active:
                out = out | np.isin(rows, derived.rows[derived.bank.table.excursing])
        return out

    def _conditions_of(self, row: int) -> list[str]:
        return [self._name(row, side) for side in _SIDE_NAMES]

    def _name(self, row: int, side: str) -> str:
        """The condition of a point's side; made once and only where it is needed, for most points have few."""
        named = self._named[row]
        return named.get(side) or named.setdefault(side, f"{self._points[row].point.name}/{side}")

    def _judge_contacts(self, now: Now) -> None:
        if len(self._contacts.holding):
            seen = self.taken_ns != 0
            for row, contact in self._contacts.changed(self.values, is_good(self.quality), seen):
                why = "" if contact is None else self._points[contact].point.name
                self._suppress(row, self._by_contact, why, now)

    def _suppress(self, row: int, reasons: dict[int, str], why: str, now: Now) -> None:
        """A point is suppressed by design, by its own quality or a contact, or by that not any more."""
        if why:
            reasons[row] = why
        else:
            reasons.pop(row, None)
        self.register.suppressed(self._conditions_of(row), self._why_suppressed(row), now)

    def _why_suppressed(self, row: int) -> str:
        return self._by_quality.get(row) or self._by_contact.get(row, "")

    def _tell_source(self, k: int, now: Now) -> None:
        cause = Cause.COMM.word if self._sources.down[k] else ""
        self._raise_or_clear(f"{self._sources.names[k]}/comm", "comm", "COMM", cause, now)

    def _come_back_in_part(self, k: int, now: Now) -> None:
        """The source's one alarm makes way for one per point that is missing, seen since or not."""
        self._tell_source(k, now)
        for row in np.flatnonzero(self._sources.missing & (self._sources.of == k) & ~self._quality_alarm):
            quality = int(self.quality[row])
            not_yet = cause_of(quality) == Cause.STARTUP
            self._set_quality_alarm(int(row), bad(Cause.NOT_READ) if not_yet else quality, now)
        self._unsettled = True

    def _set_quality_alarm(self, row: int, quality: int, now: Now) -> None:
        cause = cause_of(quality)
        self._quality_alarm[row] = quality != GOOD
        self._quality_told[row] = quality
        self._raise_or_clear(
            f"{self._points[row].point.name}/quality",
            "quality",
            _QUALITY_LEVELS.get(cause, "BAD"),
            "" if quality == GOOD else cause.word,
            now,
            self._why_suppressed(row),
        )

    def _keep_exact(self, scan: Scan) -> None:
        """The last text or long whole number of a point stands until another value that is not bad comes."""
        known = self._exact.setdefault(scan.device, {})
        if known:
            renewed = np.isin(scan.points, np.fromiter(known, np.int64)) & ~is_bad(scan.quality)
            for point in scan.points[renewed].tolist():
                del known[point]
        known.update({int(scan.points[row]): value for row, value in (scan.exact or {}).items()})

    # -- alarms that stand ----------------------------------------------------------------------------

    def _raise_or_clear(
        self, condition: str, kind: AlarmType, level: str, cause: str, now: Now, suppressed: str = ""
    ) -> None:
        """What has no limit is wrong for this cause, or well again ("")."""
        active = self.register.is_active(condition)
        if cause and not active:
            self.register.raised(condition, kind, level, now, cause=cause, suppressed=suppressed)
        elif cause and self.alarms[condition].cause != cause and self._is_told_again(condition, kind, now):
            self.register.caused(condition, level, cause, now)
        elif not cause and active:
            self.register.cleared(condition, "returned", None, None, now)

    def _is_told_again(self, condition: str, kind: AlarmType, now: Now) -> bool:
        """A change of cause is news of a point's quality, and of a recipient so often at most."""
        if kind == "quality":
            return True
        if not condition.startswith(RETOLD) or now.mono_ns < self._retell_ns.get(condition, 0):
            return False
        self._retell_ns[condition] = now.mono_ns + RETELL_NS
        return True

    def _know(self, row: int) -> None:
        """Tell the register what every condition of a point is about."""
        point = self._points[row]
        more = point.conditions
        name = point.point.name
        about = name, self._source_name(row), point.area, point.priority, point.description
        quality = process = Subject(*about)
        if more.latching or more.first_out or more.re_alarm_s:
            process = replace(
                quality, latching=more.latching, first_out=more.first_out, re_alarm_s=more.re_alarm_s
            )
        for side in (*self._bank.names(row), *_derived_sides(more)):
            self.register.know(self._name(row, side), process)
        self.register.know(self._name(row, "quality"), quality)

    def _know_balance(self, balance: Balance) -> None:
        row = self._row[balance.level]
        level = self._points[row]
        subject = Subject(
            point_id=balance.level,
            source=self._source_name(row),
            area=level.area,
            priority=level.priority,
            text=balance.name,
            advisory=True,
        )
        self.register.know(f"{balance.name}/balance", subject)

    def _restore(self, alarm: Alarm) -> None:
        """Take up an alarm that stood at the last stop, before the first scan is judged."""
        row = self._row.get(alarm.point_id)
        if alarm.suppressed and row is not None:
            self._restore_suppression(row, alarm.suppressed)
        if not alarm.active or alarm.type == "gateway":
            return
        if alarm.type == "comm":
            known = self._sources.restore(alarm.source)
        elif alarm.type == "discrepancy":
            known = self._balances.restore(alarm.condition, alarm.peak)
        elif row is None:
            known = False
        elif alarm.type == "quality":
            known = self._quality_alarm[row] = True
        else:
            known = self._restore_excursion(row, alarm)
            self.register.doubted([alarm.condition], last_known=True)  # until its point is read
        if not known:
            now = Now(0, alarm.changed_ns)
            self.register.cleared(alarm.condition, "point_removed", None, alarm.peak, now)

    def _restore_suppression(self, row: int, why: str) -> None:
        """It goes on until the point, or the contact, has been read."""
        if why == self._points[row].conditions.suppressed_by:
            self._by_contact[row] = why
            self._contacts.restore(row)
        else:
            self._by_quality[row] = why
            self._itself_suppressed[row] = True

    def _restore_excursion(self, row: int, alarm: Alarm) -> bool:
        if alarm.type in ("limit", "digital"):
            return self._bank.restore(row, alarm.level_current, alarm.peak)
        derived = self._rates if alarm.type == "rate" else self._deviations
        at = np.flatnonzero(derived.rows == row)
        return bool(len(at)) and derived.bank.restore(int(at[0]), alarm.level_current, alarm.peak)

    def _source_name(self, row: int) -> str:
        return self._sources.names[int(self._sources.of[row])]

    def _still_starting(self, now: Now) -> list[Scan]:
        """Points that were starting at the last look too: whatever the reason, they are not read."""
        starting = self.quality == bad(Cause.STARTUP)
        stuck, self._starting = starting & self._starting & (now.mono_ns >= self._first_read_ns), starting
        self._starting_until_ns = now.mono_ns + FIRST_READ_NS
        ends = {name: base + len(self._devices[name].points) for name, base in self._base.items()}
        return [
            self._not_read(name, now, np.flatnonzero(stuck[base : ends[name]]))
            for name, base in self._base.items()
            if stuck[base : ends[name]].any()
        ]

    @staticmethod
    def _not_read(name: str, now: Now, rows: Rows) -> Scan:
        points = rows.astype(np.uint16)
        return Scan(
            device=name,
            config_rev="",
            points=points,
            values=np.full(len(points), np.nan),
            quality=np.full(len(points), bad(Cause.NOT_READ), dtype=np.uint8),
            taken_ns=now.utc_ns,
            taken_mono_ns=now.mono_ns,
        )

    def _outcome(self, scans: tuple[Scan, ...]) -> Outcome:
        sirens, changes, entries = self.register.take()
        captures = tuple(self._captures)
        self._captures.clear()
        if self._trial_sirens or self._trial_entries:
            sirens, entries = (*self._trial_sirens, *sirens), (*entries, *self._trial_entries)
            self._trial_sirens, self._trial_entries = [], []
        return Outcome(sirens, changes, entries, scans, captures)


def _derived_sides(conditions: Conditions) -> Iterator[str]:
    """Sides beside those of the value on which a point can be in alarm."""
    if conditions.fall_per_min is not None:
        yield "fall"
    if conditions.rise_per_min is not None:
        yield "rise"
    if conditions.deviation is not None:
        yield from ("below", "above")


def source_of(device: str, point: PointConfig) -> str:
    """Points that fall together: those of one unit behind one connection."""
    unit_id = point.point.unit_id
    return device if unit_id is None else f"{device}/{unit_id}"


def _without_false_good(scan: Scan) -> Scan:
    false_good = ~np.isfinite(scan.values) & ~is_bad(scan.quality)
    if not false_good.any():
        return scan
    quality = scan.quality.copy()
    quality[false_good] = bad(Cause.GARBLED)
    return replace(scan, quality=quality)
