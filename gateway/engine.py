"""Scans in, decisions out. Pure: every decision is a function of its arguments, ``now`` among them.

Over 400 lines because it is one class over one set of columns; the alarm's life and the limits are beside it.

Judges whole columns; Python objects appear only where something changes. Rules, in their order of weight:

1. A bad value neither raises nor clears a process limit: the alarm keeps its state.
2. An uncertain value may raise a limit and never clears one.
3. A number that is not finite is bad, whatever its quality byte says.
4. Bad quality is an alarm of its own: one per source while all its points lack communication, else one per
   point; so is a value out of range (``BEYOND``), which a broken loop may be. Causes that people bring about on
   purpose (``ON_PURPOSE``) are shown, are no alarm and clear none.
5. A source falls and comes back as one, whatever the number of its scans: while part of its points is missing and
   may be only the first or the last, there is its one alarm or none yet; after ``sources.SETTLE_S`` there is one per
   point that is still missing.
6. A scan group whose scans stop coming is treated as one that says "not read".
7. What a source's history gave is recorded and never judged: it says nothing about now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import GOOD, Cause, QualityArray, Status, bad, cause_of, is_bad
from drivers.kit.quality import quality as quality_of
from drivers.kit.scan import IndexArray, Scan
from gateway.alarm import life
from gateway.alarm.life import Alarm, AlarmChanged, AlarmType, ClearKind
from gateway.alarm.limits import LEVELS, Level, LimitTable, MaskArray
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
_SIDES: Final[tuple[tuple[str, AlarmType, tuple[int, ...]], ...]] = (
    ("low", "limit", (0, 1)),
    ("high", "limit", (3, 2)),
    ("state", "digital", (4,)),
)
"""(name, type, columns of the limit table from worst to mildest): one excursion at a time each."""

Rows = NDArray[np.intp]
FIRST_READ_NS: Final = 60_000_000_000
"""A point may be starting for at least this long and at most twice as long; then it is not read."""

MEMO_ROWS: Final = 1_024
"""Groups of devices whose rows are remembered."""


class UnknownAlarmError(LookupError):
    """No live alarm has this id."""


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
    """What is to be done; the order of the fields is the order of the deeds."""

    sirens: tuple[AlarmChanged, ...] = ()
    changes: tuple[AlarmChanged, ...] = ()
    scans: tuple[Scan, ...] = ()
    captures: tuple[Capture, ...] = ()


class Engine:
    """All points of a gateway as columns, and the alarms that stand.

    Attributes:
        values: float64[n], last value of each point that was not bad; NaN before the first.
        quality: uint8[n], quality of the last reading.
        taken_ns: int64[n], UTC of the last reading, 0 before the first.
        value_ns: int64[n], UTC of the reading that ``values`` holds, 0 before the first.
        alarms: live alarms by condition: active, or returned and not yet acknowledged.
        strangers: scans of unknown devices or of more points than the device has, refused and counted.
    """

    def __init__(self, devices: Sequence[WatchedDevice], standing: Iterable[Alarm], now: Now) -> None:
        self._points = tuple(point for device in devices for point in device.points)
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
        names = [source_of(device.name, point) for device in devices for point in device.points]
        periods_s = np.array([period for device in devices for period in device.periods_s])
        polled = np.array([device.polled for device in devices for _ in device.points], dtype=np.bool_)
        self._sources = Sources(names, periods_s, polled)
        self._quality_alarm = np.zeros(n, dtype=np.bool_)
        self._peak = np.full((2, n), np.nan)  # of the low side and of all else: both may be active at once
        self._row = {point.point.name: row for row, point in enumerate(self._points)}
        self._table = LimitTable(tuple(point.limits for point in self._points))
        self.values = np.full(n, np.nan)
        self.quality: QualityArray = np.full(n, bad(Cause.STARTUP), dtype=np.uint8)
        self.taken_ns = np.zeros(n, dtype=np.int64)
        self.value_ns = np.zeros(n, dtype=np.int64)
        self.alarms: dict[str, Alarm] = {}
        self.strangers = 0
        self._exact: dict[str, dict[int, int | str]] = {}
        self._rows_known: dict[object, tuple[list[IndexArray], Rows, Rows | slice, list[int]]] = {}
        self._last_id_ns = 0
        self._starting = np.ones(n, dtype=np.bool_)
        self._starting_until_ns = now.mono_ns + FIRST_READ_NS
        stale_ns = [stale_after_ns(period) for period in periods_s]
        self._first_read_ns = now.mono_ns + np.where(
            polled, np.maximum(stale_ns, FIRST_READ_NS), FIRST_READ_NS
        )
        self._changes: list[AlarmChanged] = []
        self._captures: list[Capture] = []
        for alarm in standing:
            self._restore(alarm)
        # A restored quality alarm is judged at the first scan even if the quality byte does not change.
        self._unsettled = bool(self._quality_alarm.any() or self._sources.down.any())

    @property
    def points(self) -> tuple[PointConfig, ...]:
        """Every point; the rows of the columns."""
        return self._points

    @property
    def devices_and_points(self) -> list[tuple[str, PointConfig]]:
        """The same with the name of each point's device."""
        return [(name, point) for name, device in self._devices.items() for point in device.points]

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds at which ``tick`` has something to decide without new data."""
        silent = [silence.deadline_ns for silence in self._silence.values()]
        return min((*silent, *self._sources.deadlines_ns, self._starting_until_ns))

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
        return self._outcome(tuple(kept))

    def tick(self, now: Now) -> Outcome:
        """Decide what no data brings about: groups that fell silent, sources that are not heard as a whole."""
        silent = [
            self._not_read(name, now, rows)
            for name, silence in self._silence.items()
            for rows in silence.silent(now.mono_ns)
        ]
        for k in self._sources.settled(now.mono_ns):
            self._come_back_in_part(k, now)
        if now.mono_ns >= self._starting_until_ns:
            silent += self._still_starting(now)
        return self.step(silent, now)

    def acknowledge(self, alarm_id: str, actor: str, note: str, now: Now) -> Outcome:
        """A person has seen an alarm; a second acknowledgement changes nothing.

        Raises:
            UnknownAlarmError: no live alarm has this id.
        """
        alarm = next((a for a in self.alarms.values() if a.alarm_id == alarm_id), None)
        if alarm is None:
            raise UnknownAlarmError(alarm_id)
        if not alarm.acknowledged:
            self._change(life.acknowledged(alarm, actor, note, now.utc_ns))
        return self._outcome(())

    def condition(self, name: str, cause: str, now: Now) -> Outcome:
        """A part of the gateway itself is well (``cause`` = "") or not, and why; repeats change nothing."""
        self._raise_or_clear(f"gateway/{name}", "gateway", "", name, "FAULT", cause, now)
        return self._outcome(())

    def live(self, alarm: Alarm) -> Alarm:
        """An alarm for people to look at: with its point's value now and the peak so far.

        The alarm that stands keeps those of its last change, as they are in the record.
        """
        row = self._row.get(alarm.point_id)
        if row is None or not alarm.active or alarm.type not in ("limit", "digital"):
            return alarm
        value, peak = self.values[row], self._peak[int(not alarm.condition.endswith("/low")), row]
        return replace(
            alarm,
            value=alarm.value if np.isnan(value) else float(value),
            peak=alarm.peak if np.isnan(peak) else float(peak),
        )

    def attach(self, alarm_id: str, snapshot_id: str) -> None:
        """A picture was taken for an alarm; its next change names it."""
        for condition, alarm in self.alarms.items():
            if alarm.alarm_id == alarm_id:
                pictures = (*alarm.snapshot_ids, snapshot_id)[-life.MAX_SNAPSHOTS :]
                self.alarms[condition] = replace(alarm, snapshot_ids=pictures)

    # -- judging columns ------------------------------------------------------------------------------

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
        unusable = np.zeros(len(rows), dtype=np.bool_) if all_good else is_bad(quality)
        if not all_good and not (finite | unusable).all():
            return self._judge([_without_false_good(scan) for scan in scans], now)
        taken_ns = np.repeat([scan.taken_ns for scan in scans_by_row], sizes)
        self.taken_ns[index] = taken_ns
        if all_good:
            self.values[index] = values
            self.value_ns[index] = taken_ns
        else:
            usable = rows[~unusable]
            self.values[usable] = values[~unusable]
            self.value_ns[usable] = taken_ns[~unusable]
        same_quality = np.array_equal(self.quality[index], quality)
        self.quality[index] = quality
        if not same_quality or self._unsettled:
            self._judge_quality(rows, quality, unusable, now)
            self._unsettled = bool(self._quality_alarm.any() or self._sources.down.any())
        if not all_good or self._table.any_active or not self._table.is_calm(index, values):
            self._judge_limits(rows, values, quality, unusable, now)
        return scans

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

    def _judge_limits(
        self, rows: Rows, values: NDArray[np.float64], quality: QualityArray, unusable: MaskArray, now: Now
    ) -> None:
        violated = self._table.judge(rows, values)
        active = self._table.active[rows]
        uncertain = (quality & 3) == Status.UNCERTAIN
        if uncertain.any():
            violated = np.where(uncertain[:, None], violated | active, violated)
        changed = (violated != active).any(axis=1)
        changed &= ~unusable
        if active.any():
            self._track_peaks(rows, values, active, unusable)
        for i in np.flatnonzero(changed):
            self._move_limits(int(rows[i]), violated[i], active[i].copy(), float(values[i]), now)

    def _track_peaks(
        self, rows: Rows, values: NDArray[np.float64], active: MaskArray, unusable: MaskArray
    ) -> None:
        high = active[:, 2:].any(axis=1) & ~unusable
        low = active[:, :2].any(axis=1) & ~unusable
        self._peak[1, rows[high]] = np.fmax(self._peak[1, rows[high]], values[high])
        self._peak[0, rows[low]] = np.fmin(self._peak[0, rows[low]], values[low])

    def _move_limits(self, row: int, violated: MaskArray, active: MaskArray, value: float, now: Now) -> None:
        self._table.set_active(row, violated)
        point = self._points[row]
        for side, kind, columns in _SIDES:
            peaks = self._peak[int(side != "low")]
            peak = _number(peaks[row])
            before = next((LEVELS[k] for k in columns if active[k]), None)
            after = next((LEVELS[k] for k in columns if violated[k]), None)
            if before == after:
                continue
            condition = f"{point.point.name}/{side}"
            if after is None:
                self._clear(condition, self._why_cleared(point, before), value, peak, now)
            elif before is None:
                peaks[row] = value
                self._raise(condition, kind, point.point.name, self._source_name(row), after, "", value, now)
            else:
                alarm = self.alarms[condition]
                self._change(life.escalated(alarm, after, value, point.limits.edge(after), peak, now.utc_ns))
                if point.camera:
                    self._captures.append(Capture(point.camera, alarm.alarm_id))

    @staticmethod
    def _why_cleared(point: PointConfig, level: Level | None) -> ClearKind:
        try:
            point.limits.edge(level or "H")
        except ValueError:
            return "limit_removed"
        return "returned"

    def _judge_quality(self, rows: Rows, quality: QualityArray, unusable: MaskArray, now: Now) -> None:
        comm = unusable & _COMM[quality >> 2]
        if not np.array_equal(self._sources.missing[rows], comm):
            for k in self._sources.move(rows, comm, now.mono_ns):
                self._tell_source(k, now)
        telling = unusable | _BEYOND[quality]
        alarming = (
            telling & _ALARMING[quality >> 2] & ~(comm & self._sources.settling[self._sources.of[rows]])
        )
        changed = np.where(telling, alarming & ~self._quality_alarm[rows], self._quality_alarm[rows])
        for i in np.flatnonzero(changed):
            cause = cause_of(int(quality[i])).word if alarming[i] else ""
            self._set_quality_alarm(int(rows[i]), cause, now)

    def _tell_source(self, k: int, now: Now) -> None:
        name, cause = self._sources.names[k], Cause.COMM.word if self._sources.down[k] else ""
        self._raise_or_clear(f"{name}/comm", "comm", "", name, "COMM", cause, now)

    def _come_back_in_part(self, k: int, now: Now) -> None:
        """The source's one alarm makes way for one per point that is missing, seen since or not."""
        self._tell_source(k, now)
        for row in np.flatnonzero(self._sources.missing & (self._sources.of == k) & ~self._quality_alarm):
            cause = cause_of(int(self.quality[row]))
            self._set_quality_alarm(int(row), (Cause.NOT_READ if cause == Cause.STARTUP else cause).word, now)
        self._unsettled = True

    def _set_quality_alarm(self, row: int, cause: str, now: Now) -> None:
        self._quality_alarm[row] = bool(cause)
        name = self._points[row].point.name
        self._raise_or_clear(f"{name}/quality", "quality", name, self._source_name(row), "BAD", cause, now)

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
        self, condition: str, kind: AlarmType, point_id: str, source: str, level: str, cause: str, now: Now
    ) -> None:
        alarm = self.alarms.get(condition)
        active = alarm is not None and alarm.active
        if cause and not active:
            self._raise(condition, kind, point_id, source, level, cause, None, now)
        elif not cause and active:
            self._clear(condition, "returned", None, None, now)

    def _raise(
        self,
        condition: str,
        kind: AlarmType,
        point_id: str,
        source: str,
        level: str,
        cause: str,
        value: float | None,
        now: Now,
    ) -> None:
        before = self.alarms.get(condition)
        point = self._points[self._row[point_id]] if point_id else None
        limited = point is not None and kind in ("limit", "digital")
        # Two excursions within one step, or after the clock was set back, are still two.
        self._last_id_ns = max(now.utc_ns, self._last_id_ns + 1)
        alarm = Alarm(
            alarm_id=f"{condition}@{self._last_id_ns}",
            condition=condition,
            type=kind,
            point_id=point_id,
            source=source,
            priority=point.priority if point else 2,
            text=point.description if point else source,
            active=True,
            acknowledged=False,
            level_start=level,
            level_worst=level,
            level_current=level,
            value=value,
            peak=value,
            limit_edge=point.limits.edge(level) if point and limited else None,  # type: ignore[arg-type]
            cause=cause,
            raised_ns=now.utc_ns,
            changed_ns=now.utc_ns,
            repeat_count=before.repeat_count + 1 if before else 0,
            points=int(self._sources.size[self._sources.names.index(source)]) if kind == "comm" else 0,
        )
        self._change(AlarmChanged("raise", alarm))
        if limited and point and point.camera:
            self._captures.append(Capture(point.camera, alarm.alarm_id))

    def _clear(
        self, condition: str, kind: ClearKind, value: float | None, peak: float | None, now: Now
    ) -> None:
        self._change(life.cleared(self.alarms[condition], kind, value, peak, now.utc_ns))

    def _change(self, change: AlarmChanged) -> None:
        self._changes.append(change)
        if change.alarm.ended:
            self.alarms.pop(change.alarm.condition, None)
        else:
            self.alarms[change.alarm.condition] = change.alarm

    def _restore(self, alarm: Alarm) -> None:
        """Take up an alarm that stood at the last stop, before the first scan is judged."""
        self.alarms[alarm.condition] = alarm
        if not alarm.active:
            return
        row = self._row.get(alarm.point_id)
        if alarm.type == "comm":
            if self._sources.restore(alarm.source):
                return
        elif alarm.type == "gateway":
            return
        elif row is not None and alarm.type == "quality":
            self._quality_alarm[row] = True
            return
        elif row is not None:
            self._restore_limits(row, alarm)
            return
        self._change(life.cleared(alarm, "point_removed", None, alarm.peak, alarm.changed_ns))

    def _restore_limits(self, row: int, alarm: Alarm) -> None:
        mask = self._table.active[row].copy()
        worst = LEVELS.index(alarm.level_current)
        mask[worst] = True
        if LEVELS[worst] in ("LL", "HH"):
            mild = 1 if worst == 0 else 2
            limits = self._points[row].limits
            mask[mild] = (limits.l if mild == 1 else limits.h) is not None
        self._table.set_active(row, mask)
        self._peak[int(worst > 1), row] = np.nan if alarm.peak is None else alarm.peak

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
        changes, captures = tuple(self._changes), tuple(self._captures)
        self._changes.clear()
        self._captures.clear()
        return Outcome(sirens=changes, changes=changes, scans=scans, captures=captures)


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


def _number(value: np.floating | float) -> float | None:
    return None if np.isnan(value) else float(value)
