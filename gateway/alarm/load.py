"""How heavily the alarms weigh on people: the figures an authority scores, counted as changes come. Pure.

A new alarm is a raise: an excursion counts once, however often it escalates. Tests and advisories do not count. What
is shelved or suppressed does: whoever judges the record later sees it too. Figures of IEC 62682 / ISA-18.2:
chattering, flood and stale (FIELD.md section 4).

Intervals are measured on the monotonic clock. Counts over 24 h are counts over ``PERIODS`` periods of ten minutes,
the running one among them. A restart takes over what stands: the alarms with their age, by the wall clock, the
floods, and of the last ten minutes what has not ended since. Everything else counts from ``since`` on.

Disturbance rate (扰动率) is a figure of our own: the share of the last 24 hours' ten-minute periods in which an area,
or the site, had ``DISTURBED`` or more new alarms. No platform's formula is claimed by it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from heapq import nsmallest
from itertools import islice, takewhile
from typing import Any, Final

import orjson

from gateway.alarm.entry import Entry
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.instant import Now, rfc3339

S: Final = 1_000_000_000
PERIOD_NS: Final = 600 * S
PERIODS: Final = 144
DAY_NS: Final = PERIODS * PERIOD_NS

CHATTER: Final = 3
CHATTER_NS: Final = 60 * S
"""A condition chatters that is raised so often in such a time."""

FLOOD_ABOVE: Final = 10
FLOOD_BELOW: Final = 5
FLOOD_NS: Final = 600 * S
"""An area is flooded from more than so many new alarms in such a time on, until they are fewer than the second."""

DISTURBED: Final = 5
"""A period with so many new alarms counts as disturbed."""

TOP: Final = 10
"""Points, conditions and stale alarms that are named in a view."""

HOUR_PERIODS: Final = 6

LOOK_NS: Final = S
"""How often is looked whether floods and chattering have ended, however often changes come."""

MAX_AREAS: Final = 1_000
OTHER_AREAS: Final = "…"
"""Areas that are told apart; what lies beyond is counted together under this name."""

MAX_COUNTED: Final = 50_000
"""Names that are counted over 24 h, one for each period in which it came; what lies beyond is ``uncounted``."""

MAX_WATCHED: Final = 20_000
"""Conditions raised within ``CHATTER_NS`` whose chattering is noticed; the longest calm goes first."""

PREFIX: Final = "flood/"
"""A flood is remembered over a restart under this and its area."""


@dataclass(frozen=True, slots=True)
class Flood:
    """An area that is flooded.

    Attributes:
        area: 单元/区域, "" for alarms without one.
        since_ns: UTC.
        count: new alarms in it so far, those that began it among them.
    """

    area: str
    since_ns: int
    count: int

    def item(self) -> dict[str, Any]:
        """As people see it and as it stands in the record."""
        return {"area": self.area, "since": rfc3339(self.since_ns), "count": self.count}


def floods_of(state: Mapping[str, bytes]) -> list[Flood]:
    """The floods that stood at the last stop; one that cannot be read is none."""
    found = []
    for key, value in state.items():
        if key.startswith(PREFIX):
            try:
                found.append(Flood(**orjson.loads(value)))
            except (orjson.JSONDecodeError, TypeError):
                continue
    return found


class Tally:
    """How often each name came in the last ``PERIODS`` periods, and how often in each of them.

    Args:
        most: names it takes, one for each period in which it came.

    Attributes:
        totals: name -> count.
        uncounted: what came beyond ``most``.
    """

    def __init__(self, most: int = MAX_COUNTED) -> None:
        self.totals: Counter[str] = Counter()
        self.uncounted = 0
        self._most = most
        self._size = 0
        self._periods: deque[Counter[str]] = deque([Counter()])

    def add(self, name: str) -> int:
        """It came once more; how often in the running period, 0 if it is not counted."""
        running = self._periods[-1]
        if name not in running:
            if self._size >= self._most:
                self.uncounted += 1
                return 0
            self._size += 1
        running[name] += 1
        self.totals[name] += 1
        return running[name]

    def advance(self) -> None:
        """The next period begins."""
        self._periods.append(Counter())
        if len(self._periods) > PERIODS:
            gone = self._periods.popleft()
            self._size -= len(gone)
            self.totals -= gone  # drops what is at zero

    def last(self, name: str, periods: int) -> int:
        """How often it came in the last so many periods, the running one among them."""
        return sum(period[name] for period in islice(reversed(self._periods), periods))


@dataclass(slots=True)
class _Clears:
    """Alarms that returned within one period."""

    count: int = 0
    total_ns: int = 0
    longest_ns: int = 0
    longest: str = ""


@dataclass(slots=True)
class _Area:
    """One area: its last raises, monotonic, as many as a flood needs to begin; its flood, and when it may end."""

    raises: deque[int] = field(default_factory=lambda: deque(maxlen=FLOOD_ABOVE + 1))
    flood: Flood | None = None
    not_before_ns: int = 0

    def recent(self, mono_ns: int) -> int:
        """New alarms within ``FLOOD_NS``, as far as they are kept."""
        return sum(mono_ns - at_ns <= FLOOD_NS for at_ns in self.raises)


class Load:
    """Counts what the engine tells.

    Args:
        standing: alarms that stand at the start.
        now: the start.
        floods: areas that were flooded at the last stop.
    """

    def __init__(self, standing: Iterable[Alarm], now: Now, floods: Iterable[Flood] = ()) -> None:
        self._since = now
        self._period = 0
        self._next_look_ns = now.mono_ns
        self._active: dict[str, tuple[int, int]] = {}  # condition -> raised monotonic, UTC; the oldest first
        self._areas: dict[str, _Area] = {}
        self._raises: dict[str, deque[int]] = {}  # condition -> its last raises; the longest calm first
        self._chattering: set[str] = set()
        self._site = Tally()
        self._by_area = Tally((MAX_AREAS + 1) * PERIODS)
        self._disturbed = Tally((MAX_AREAS + 1) * PERIODS)
        self._disturbed_site = Tally()
        self._by_name = Tally()
        self._chattered = Tally()
        self._clears: deque[_Clears] = deque([_Clears()], PERIODS)
        for alarm in sorted((a for a in standing if _counts(a)), key=lambda a: a.raised_ns):
            raised_mono_ns = now.mono_ns - max(0, now.utc_ns - alarm.raised_ns)
            self._area(alarm.area).raises.append(raised_mono_ns)
            if alarm.active:
                self._active[alarm.condition] = raised_mono_ns, alarm.raised_ns
        for flood in floods:
            area = self._area(flood.area)
            # What came before the stop is not known: ten minutes must have been watched before it may end.
            area.flood, area.not_before_ns = flood, now.mono_ns + FLOOD_NS

    @property
    def floods(self) -> list[Flood]:
        """Areas that are flooded now, the longest first."""
        flooded = (area.flood for area in self._areas.values() if area.flood is not None)
        return sorted(flooded, key=lambda flood: flood.since_ns)

    def feed(self, changes: Iterable[AlarmChanged], now: Now) -> list[Entry]:
        """Count these changes.

        Returns:
            what is to be on record: floods that begin or end.
        """
        entries = self.tick(now)
        for change in changes:
            alarm = change.alarm
            if not _counts(alarm):
                continue
            if change.transition == "raise":
                entries += self._raised(alarm, now)
            elif change.transition == "clear":
                self._cleared(alarm, now)
        return entries

    def tick(self, now: Now) -> list[Entry]:
        """Let pass what passes with time alone; see ``feed``."""
        period = (now.mono_ns - self._since.mono_ns) // PERIOD_NS
        for _ in range(min(period - self._period, PERIODS)):
            for tally in self._tallies():
                tally.advance()
            self._clears.append(_Clears())
        self._period = period
        if now.mono_ns < self._next_look_ns:
            return []
        self._next_look_ns = now.mono_ns + LOOK_NS
        self._calm_down(now.mono_ns)
        return list(self._ended(now))

    def brief(self, now: Now) -> dict[str, Any]:
        """In short, for ``status``."""
        return {
            "since": rfc3339(self._since.utc_ns),
            "floods": [flood.item() for flood in self.floods],
            "new_last_hour": self._site.last("", HOUR_PERIODS),
            "new_24h": self._site.totals[""],
            "chattering": len(self._chattering),
            "stale": sum(1 for _ in self._stale(now.mono_ns)),
        }

    def view(self, now: Now) -> dict[str, Any]:
        """Everything; durations in seconds, shares in percent, None where nothing was counted yet.

        An area's ``new_10min`` is at most ``FLOOD_ABOVE`` + 1, which stands for that or more.
        """
        counted_ns = self._counted_ns(now.mono_ns)
        stale = list(self._stale(now.mono_ns))
        return {
            **self.brief(now),
            "counted_s": round(counted_ns / S, 1),
            "per_hour": round(self._site.totals[""] * 3600 * S / max(counted_ns, 3600 * S), 2),
            "active": len(self._active),
            "uncleared_24h": len(self._active) - len(stale),
            "stale_longest": [
                {"name": condition, "since": rfc3339(raised_ns)} for condition, raised_ns in stale[:TOP]
            ],
            "clear": self._clear_times(),
            "chattering_now": sorted(self._chattering)[:TOP],
            "chattered": _top(self._chattered),
            "repeated": [one for one in _top(self._by_name) if one["count"] > 1],
            "uncounted": self._by_name.uncounted + self._chattered.uncounted,
            "disturbance_percent": self._share(self._disturbed_site.totals[""]),
            "areas": [self._area_view(name, area, now) for name, area in sorted(self._areas.items())],
        }

    # -- inside ---------------------------------------------------------------------------------------

    def _tallies(self) -> tuple[Tally, ...]:
        return (
            self._site,
            self._by_area,
            self._disturbed,
            self._disturbed_site,
            self._by_name,
            self._chattered,
        )

    def _area(self, name: str) -> _Area:
        return self._areas.setdefault(self._known(name), _Area())

    def _known(self, name: str) -> str:
        return name if name in self._areas or len(self._areas) < MAX_AREAS else OTHER_AREAS

    def _raised(self, alarm: Alarm, now: Now) -> Iterator[Entry]:
        self._active[alarm.condition] = now.mono_ns, alarm.raised_ns
        self._by_name.add(alarm.point_id or alarm.condition)
        if self._site.add("") == DISTURBED:
            self._disturbed_site.add("")
        name = self._known(alarm.area)
        if self._by_area.add(name) == DISTURBED:
            self._disturbed.add(name)
        self._note_chatter(alarm.condition, now.mono_ns)
        area = self._area(name)
        area.raises.append(now.mono_ns)
        if area.flood is not None:
            area.flood = replace(area.flood, count=area.flood.count + 1)
        elif area.recent(now.mono_ns) > FLOOD_ABOVE:
            area.flood = Flood(name, now.utc_ns, area.recent(now.mono_ns))
            yield _entry("begin", area.flood, now, orjson.dumps(area.flood))

    def _cleared(self, alarm: Alarm, now: Now) -> None:
        raised = self._active.pop(alarm.condition, None)
        if alarm.clear_kind != "returned":
            return
        lasted_ns = max(0, alarm.cleared_ns - alarm.raised_ns) if raised is None else now.mono_ns - raised[0]
        clears = self._clears[-1]
        clears.count += 1
        clears.total_ns += lasted_ns
        if lasted_ns >= clears.longest_ns:
            clears.longest_ns, clears.longest = lasted_ns, alarm.condition

    def _note_chatter(self, condition: str, mono_ns: int) -> None:
        raises = self._raises.pop(condition, None) or deque(maxlen=CHATTER)
        raises.append(mono_ns)
        self._raises[condition] = raises  # now the last to calm down
        if len(raises) == CHATTER and mono_ns - raises[0] <= CHATTER_NS and condition not in self._chattering:
            self._chattering.add(condition)
            self._chattered.add(condition)
        if len(self._raises) > MAX_WATCHED:
            calmest = next(iter(self._raises))
            del self._raises[calmest]
            self._chattering.discard(calmest)

    def _calm_down(self, mono_ns: int) -> None:
        for condition in [c for c in self._chattering if mono_ns - self._raises[c][0] > CHATTER_NS]:
            self._chattering.remove(condition)
        calm = list(takewhile(lambda c: mono_ns - self._raises[c][-1] > CHATTER_NS, self._raises))
        for condition in calm:
            del self._raises[condition]

    def _ended(self, now: Now) -> Iterator[Entry]:
        for area in self._areas.values():
            flood = area.flood
            if flood is None or now.mono_ns < area.not_before_ns:
                continue
            if area.recent(now.mono_ns) < FLOOD_BELOW:
                area.flood = None
                yield _entry("end", flood, now, None)

    def _stale(self, mono_ns: int) -> Iterator[tuple[str, int]]:
        """Active for more than a day, with their raise in UTC; the longest first."""
        for condition, (raised_mono_ns, raised_ns) in self._active.items():
            if mono_ns - raised_mono_ns <= DAY_NS:
                return
            yield condition, raised_ns

    def _counted_ns(self, mono_ns: int) -> int:
        running_ns = (mono_ns - self._since.mono_ns) % PERIOD_NS
        return min(mono_ns - self._since.mono_ns, (PERIODS - 1) * PERIOD_NS + running_ns)

    def _clear_times(self) -> dict[str, Any]:
        count = sum(one.count for one in self._clears)
        if not count:
            return {"count": 0, "mean_s": None, "longest_s": None, "longest": ""}
        worst = max(self._clears, key=lambda one: one.longest_ns)
        return {
            "count": count,
            "mean_s": round(sum(one.total_ns for one in self._clears) / count / S, 1),
            "longest_s": round(worst.longest_ns / S, 1),
            "longest": worst.longest,
        }

    def _share(self, disturbed: int) -> float:
        return round(100 * disturbed / min(self._period + 1, PERIODS), 1)

    def _area_view(self, name: str, area: _Area, now: Now) -> dict[str, Any]:
        return {
            "area": name,
            "flood": area.flood is not None,
            "new_10min": area.recent(now.mono_ns),
            "new_last_hour": self._by_area.last(name, HOUR_PERIODS),
            "new_24h": self._by_area.totals[name],
            "disturbance_percent": self._share(self._disturbed.totals[name]),
        }


def _counts(alarm: Alarm) -> bool:
    return not (alarm.test or alarm.advisory)


def _top(tally: Tally) -> list[dict[str, Any]]:
    ranked = nsmallest(TOP, tally.totals.items(), key=lambda pair: (-pair[1], pair[0]))
    return [{"name": name, "count": count} for name, count in ranked]


def _entry(state: str, flood: Flood, now: Now, kept: bytes | None) -> Entry:
    item = {"state": state, **flood.item(), "at": rfc3339(now.utc_ns)}
    return Entry("alarm_flood", item, {PREFIX + flood.area: kept})
