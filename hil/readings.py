"""Readings, alarms and pictures out of messages, and how fast alarms were. Pure: judges bytes, opens nothing.

A reading of a Modbus point is told apart by the answer counter that travelled in the same answer; one of an
OPC UA point by its source time, in whole milliseconds as the wire carries it. Bad values are no readings.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import is_bad
from drivers.kit.scan import Scan
from hil.judge import Reading

MS_NS: Final = 1_000_000
NO_COUNTER: Final = -1
"""Stamp of a good value whose scan lacks its counter: nobody can have answered it, so it counts as unknown."""
SAME: Final = 1e-9
_LOW_LEVELS: Final = frozenset({"L", "LL"})


class Valued(NamedTuple):
    """A reading and what it said."""

    reading: Reading
    value: float


def readings_of_message(envelope: Mapping[str, Any], counters: Mapping[str, str]) -> list[Valued]:
    """Readings of a ``sample`` message of the dialect ``plantgate/1``, in its order.

    Args:
        envelope: the whole message.
        counters: device -> tag of its answer counter; a device not named here has source times.
    """
    found: list[Valued] = []
    for scan in envelope["scans"]:
        quality, times = scan["quality"], scan.get("t_source")
        usable = [
            value is not None and (quality if isinstance(quality, str) else quality[i]) != "bad"
            for i, value in enumerate(scan["value"])
        ]
        stamps = [None if time is None else _milliseconds(time) for time in times] if times else None
        found += _valued(scan["device"], scan["point_id"], scan["value"], usable, stamps, counters)
    return found


def readings_of_scan(scan: Scan, names: Sequence[str], counters: Mapping[str, str]) -> list[Valued]:
    """Readings of a scan as the spool keeps it; ``names`` is its device's whole point list."""
    tags = [names[row] for row in scan.points.tolist()]
    usable = (~is_bad(scan.quality) & np.isfinite(scan.values)).tolist()
    times = (
        None if scan.source_ns is None else [ns // MS_NS if ns else None for ns in scan.source_ns.tolist()]
    )
    return _valued(scan.device, tags, scan.values.tolist(), usable, times, counters)


def _valued(
    device: str,
    tags: Sequence[str],
    values: Sequence[float],
    usable: Sequence[bool],
    stamps: Sequence[int | None] | None,
    counters: Mapping[str, str],
) -> list[Valued]:
    if device in counters:
        at = tags.index(counters[device]) if counters[device] in tags else -1
        count = int(values[at]) if at >= 0 and usable[at] else NO_COUNTER
        return [
            Valued(Reading(tag, count), value)
            for tag, value, good in zip(tags, values, usable, strict=True)
            if good
        ]
    stamps = stamps or [None] * len(tags)
    return [
        Valued(Reading(tag, NO_COUNTER if stamp is None else stamp), value)
        for tag, value, good, stamp in zip(tags, values, usable, stamps, strict=True)
        if good
    ]


def _milliseconds(stamp: str) -> int:
    moment = dt.datetime.fromisoformat(stamp)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """What the simulators answered of one point, in order.

    Attributes:
        at_ns: int64[n], UTC nanoseconds when each answer was complete.
        values: float64[n], engineering units.
    """

    at_ns: NDArray[np.int64]
    values: NDArray[np.float64]

    def crossed_ns(self, alarm: Mapping[str, Any], before_ns: int) -> int | None:
        """When the answer was complete that crossed the alarm's limit, None where there is no such answer.

        Args:
            alarm: item of an alarm message that raised or escalated.
            before_ns: UTC nanoseconds by which it had been seen.
        """
        known = int(np.searchsorted(self.at_ns, before_ns, side="right"))
        values = self.values[:known]
        edge, level = alarm["limit_edge"], alarm["level"]["current"]
        beyond = values <= edge if level in _LOW_LEVELS else values >= edge
        if level == "ON":
            beyond = values == edge
        entered = np.flatnonzero(beyond & ~np.concatenate(([False], beyond[:-1])))
        if not len(entered):
            return None
        last = int(entered[-1])
        same = abs(float(values[last]) - alarm["value"]) <= SAME * max(1.0, abs(alarm["value"]))
        return int(self.at_ns[last]) if same else None


def percentile(samples: Sequence[float], percent: float) -> float | None:
    """A percentile with two decimals, None of nothing."""
    return round(float(np.percentile(samples, percent)), 2) if samples else None
