"""A plant's day for the alarm system: its points with their limits, and what every second of it brings. Pure.

From a seed: slow processes with noise, and what happens to them. Excursions past one limit and past two, chattering,
floods of an area, values that are bad, uncertain or not even numbers, a device that answers nothing, one whose driver
hangs, maintenance, contacts that suppress.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import GOOD, Cause, QualityArray, Status, bad, quality
from drivers.kit.scan import Device, Point, Scan, ValueArray, missed
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.engine import WatchedDevice
from gateway.instant import Now
from gateway.plant import PointConfig

POINTS: Final = 50
"""Of each device."""
CONTACTS: Final = range(40, 45)
SWITCH: Final = 44
"""The contact that suppresses ``SWITCHED`` of its device by design; no alarm itself."""
SWITCHED: Final = range(20, 23)
MOVING: Final = (45, 46)
"""Points with a rate of change; what moves is watched by nothing else."""
TWINS: Final = (47, 48)

HOUR_S: Final = 3_600
LONG_S: Final = 900
"""Most excursions end within it; so late a standing alarm is called out again."""
NOISE: Final = 0.3
MIDDLE: Final = 45.0

LIMITS: Final = (
    Limits(ll=5.0, l=10.0, h=80.0, hh=90.0, deadband=2.0),
    Limits(h=80.0, hh=90.0, deadband={"H": 3.0, "HH": 1.0}, on_delay_s={"H": 5.4}),
    Limits(ll=5.0, l=10.0, h=80.0, hh=90.0, deadband=2.0, off_delay_s=10.0),
    Limits(h=80.0, hh=90.0, deadband={"H": 2.0, "HH": 15.0}, on_delay_s=3.0, off_delay_s=7.4),
    Limits(l=10.0, h=80.0),
)
"""In turn. A delay ends on the second or well between two of them, so that which comes first is never a matter of
nanoseconds."""

SOURCES: Final = (Cause.DEVICE_FAULT, Cause.GARBLED, Cause.REFUSED, Cause.FROZEN, Cause.CALIBRATION)


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that happens to some points for a while.

    Attributes:
        kind: ``excursion``, ``chatter``, ``contact``, ``bad``, ``uncertain`` or ``not a number``.
        from_s: since the beginning of the day, inclusive.
        to_s: exclusive.
        rows: whose.
        figure: of an excursion where it goes, of chattering its period in seconds, of a bad value its byte.
    """

    kind: str
    from_s: int
    to_s: int
    rows: NDArray[np.intp]
    figure: float = 0.0


@dataclass(frozen=True, slots=True)
class Away:
    """A device from which nothing comes; ``told``: its driver says so every second, else it hangs."""

    device: int
    from_s: int
    to_s: int
    told: bool


class Day:
    """One day, or a part of one in which as much of everything happens as fits.

    Args:
        devices: each with ``POINTS`` points, two at least.
        span_s: how long.
        seed: the same day for the same seed.

    Attributes:
        span_s: as given.
        watched: the devices as the engine sees them.
        away: devices that fall silent.
    """

    def __init__(self, devices: int, span_s: int, seed: int) -> None:
        self.span_s = span_s
        self.watched = tuple(_watched(k) for k in range(devices))
        self._dice = np.random.default_rng(seed)
        self._n = devices * POINTS
        self.away = self._devices_away()
        self._incidents = sorted(self._planned(), key=lambda one: one.from_s)
        self._devices = [Device(one.name, tuple(p.point for p in one.points)) for one in self.watched]
        self._points = np.arange(POINTS, dtype=np.uint16)
        self._points.flags.writeable = False
        self._phase = self._dice.uniform(0, 2 * np.pi, self._n)
        self._length_s = self._dice.uniform(1_200, 7_200, self._n)
        self._walk = np.zeros(self._n)
        at = np.arange(self._n) % POINTS
        self._is_contact = np.isin(at, CONTACTS)
        self._calm = np.where(at % 2 == 0, 0.0, 1.0)

    def seconds(self) -> Iterator[tuple[ValueArray, QualityArray]]:
        """Every second's values and qualities, all points as one column; once."""
        running: list[Incident] = []
        coming = iter([*self._incidents, None])
        following = next(coming)
        for second in range(self.span_s):
            while following is not None and following.from_s <= second:
                running.append(following)
                following = next(coming)
            running = [one for one in running if one.to_s > second]
            values, qualities = self._usual(second)
            for incident in running:
                _happen(incident, second, values, qualities)
            yield np.round(values, 2), qualities

    def scans(self, second: int, values: ValueArray, qualities: QualityArray, now: Now) -> list[Scan]:
        """What the drivers post of such a second."""
        found = []
        for k, device in enumerate(self._devices):
            away = next((a for a in self.away if a.device == k and a.from_s <= second < a.to_s), None)
            rows = slice(k * POINTS, (k + 1) * POINTS)
            if away is None:
                stamps = now.utc_ns, now.mono_ns
                found.append(Scan(device.name, "day", self._points, values[rows], qualities[rows], *stamps))
            elif away.told:
                found.append(missed(device, self._points, Cause.COMM, now.utc_ns, now.mono_ns))
        return found

    # -- planning -------------------------------------------------------------------------------------

    def _devices_away(self) -> tuple[Away, ...]:
        dead_s = min(HOUR_S, self.span_s // 7)
        hung_s = max(60, dead_s // 6)
        dead_at, hung_at = int(self.span_s * 0.3), int(self.span_s * 0.62)
        return Away(1, dead_at, dead_at + dead_s, told=True), Away(0, hung_at, hung_at + hung_s, told=False)

    def _planned(self) -> list[Incident]:
        dice, n, span_s = self._dice, self._n, self.span_s
        point_hours = n * span_s / HOUR_S
        found = [self._excursion() for _ in range(int(point_hours / 8))]
        chattering = range(max(2, int(point_hours / 600)))
        found += [self._one("chatter", 60, 400, int(dice.integers(4, 14))) for _ in chattering]
        for _ in range(max(4, int(point_hours / 80))):
            cause = SOURCES[int(dice.integers(len(SOURCES)))]
            found.append(self._one("bad", 1, 300, bad(cause)))
            found.append(self._one("uncertain", 5, 300, quality(Status.UNCERTAIN, Cause.OVER_RANGE)))
            found.append(self._one("not a number", 1, 20, 0))
            found.append(self._one("contact", 1, 600, 0, CONTACTS))
        for _ in range(max(1, span_s // (4 * HOUR_S))):
            found += self._flood()
            found += self._scenes()
            first = int(dice.integers(n // POINTS)) * POINTS
            from_s = int(dice.uniform(0.05, 0.7) * span_s)
            to_s = from_s + min(1_800, span_s // 8)
            rows = np.arange(first, first + 10)
            found.append(Incident("bad", from_s, to_s, rows, bad(Cause.MAINTENANCE)))
        return found

    def _one(
        self, kind: str, least_s: int, most_s: int, figure: float, among: Sequence[int] = ()
    ) -> Incident:
        dice = self._dice
        from_s = int(dice.integers(30, self.span_s))
        device = int(dice.integers(self._n // POINTS)) * POINTS
        row = device + int(dice.choice(np.array(among) if among else np.arange(CONTACTS.start)))
        return Incident(kind, from_s, from_s + int(dice.integers(least_s, most_s)), np.array([row]), figure)

    def _excursion(self, rows: NDArray[np.intp] | None = None, from_s: int = 0) -> Incident:
        dice = self._dice
        figure = float(dice.choice([83.0, 88.0, 95.0, 8.0, 3.0], p=[0.3, 0.25, 0.2, 0.15, 0.1]))
        if rows is None:
            row = int(dice.integers(self._n // POINTS)) * POINTS
            rows = np.array([row + int(dice.choice([*range(CONTACTS.start), *MOVING, TWINS[0]]))])
            from_s = int(dice.integers(30, self.span_s))
        longest_s = 3 * LONG_S if dice.random() < 0.2 else LONG_S
        return Incident("excursion", from_s, from_s + int(dice.integers(60, longest_s)), rows, figure)

    def _flood(self) -> Iterator[Incident]:
        dice = self._dice
        from_s = int(dice.uniform(0.05, 0.9) * self.span_s)
        area = int(dice.integers(self._n // POINTS))
        for point in range(CONTACTS.start):
            if dice.random() < 0.7:
                row = np.array([area * POINTS + point])
                yield self._excursion(row, from_s + int(dice.integers(0, 120)))

    def _scenes(self) -> Iterator[Incident]:
        """What chance alone would bring too seldom, each where it can be seen."""
        length_s = min(LONG_S, self.span_s // 10)
        first, second = bad(Cause.DEVICE_FAULT), bad(Cause.GARBLED)
        for moment in range(2):
            from_s = int(self._dice.uniform(0.05, 0.8) * self.span_s)
            to_s, half_s = from_s + length_s, from_s + length_s // 2
            device = int(self._dice.integers(2, self._n // POINTS)) * POINTS if self._n > 2 * POINTS else 0
            # Another fault takes over from the first; a value goes bad while it is beyond its limit; a contact
            # suppresses what stands.
            yield Incident("bad", from_s, half_s, np.array([device + 30 + moment]), first)
            yield Incident("bad", half_s, to_s, np.array([device + 30 + moment]), second)
            yield Incident("excursion", from_s, to_s, np.array([device + 35 + moment]), 95.0)
            yield Incident("bad", half_s, half_s + 20, np.array([device + 35 + moment]), first)
            yield Incident("excursion", from_s, to_s, np.array([device + SWITCHED.start + moment]), 95.0)
            yield Incident("contact", half_s, half_s + length_s // 4, np.array([device + SWITCH]))

    def _usual(self, second: int) -> tuple[ValueArray, QualityArray]:
        dice, n = self._dice, self._n
        noise = dice.standard_normal((2, n))
        self._walk = 0.999 * self._walk + 0.1 * noise[0]
        swing = 10.0 * np.sin(2 * np.pi * second / self._length_s + self._phase)
        values = MIDDLE + swing + np.clip(self._walk, -8.0, 8.0) + NOISE * noise[1]
        values[self._is_contact] = self._calm[self._is_contact]
        return values, np.full(n, GOOD, dtype=np.uint8)


def _happen(one: Incident, second: int, values: ValueArray, qualities: QualityArray) -> None:
    """Let an incident do its work on one second's columns."""
    rows, age_s, length_s = one.rows, second - one.from_s, one.to_s - one.from_s
    if one.kind == "excursion":
        ramp_s = max(1.0, min(60.0, length_s / 4))
        part = min(1.0, age_s / ramp_s, (length_s - age_s) / ramp_s)
        values[rows] += part * (one.figure - MIDDLE)
    elif one.kind == "chatter":
        values[rows] = 82.0 if age_s % one.figure < one.figure / 2 else 75.0
    elif one.kind == "contact":
        values[rows] = 1.0 - values[rows]
    elif one.kind == "not a number":
        values[rows] = np.nan
    else:
        qualities[rows] = int(one.figure)
        if one.kind == "bad":
            values[rows] = np.nan


def _watched(device: int) -> WatchedDevice:
    name = f"plc{device}"
    return WatchedDevice(name, tuple(_point(name, k) for k in range(POINTS)), polled=True)


def _point(device: str, k: int) -> PointConfig:
    tag = f"{device}.{k:02d}"
    more = Conditions(
        latching=k % 20 == 7,
        re_alarm_s=LONG_S if k % 7 == 3 else 0.0,
        first_out=f"{device}.trip" if 10 <= k < 15 else "",
        suppressed_by=f"{device}.{SWITCH:02d}" if k in SWITCHED else "",
    )
    if k in CONTACTS:
        # The even ones are closed when something is wrong, the odd ones open.
        limits = Limits() if k == SWITCH else Limits(on=1 - k % 2, on_delay_s=2.0 if k == 42 else 0.0)
    elif k in MOVING:
        limits, more = Limits(), Conditions(rise_per_min=20.0, fall_per_min=20.0, rate_window_s=30.0)
    elif k == TWINS[0]:
        twin = f"{device}.{TWINS[1]:02d}"
        limits = Limits()
        more = Conditions(deviation=40.0, deviation_deadband=2.0, deviation_from=twin)
    else:
        limits = LIMITS[k % len(LIMITS)]
    return PointConfig(
        Point(tag, f"4{k + 1:04d}"), tag, "%", limits, more, priority=1 + k % 4, area=f"area {device}"
    )
