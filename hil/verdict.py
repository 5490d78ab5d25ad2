"""Judges one run of a site: what the simulators answered against what is recorded and what arrived. Reads files.

Nothing is allowed for silently. What a scenario may lose by promise (readings younger than the last flush at a
kill) it passes in as windows of time, and how much of that was lost is reported beside the verdict.
"""

from __future__ import annotations

import hashlib
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import orjson

from gateway.receive.store import StoredArrival, arrivals
from hil.answered import Answered, Window, answered, utc_ns
from hil.judge import Arrival, Count, Reading, judge
from hil.readings import (
    SAME,
    Valued,
    percentile,
    readings_of_message,
)
from hil.recorded import Recorded, alarm_reading, counters_of, recorded
from hil.site import Site

REPLAY_WITHIN_BYTES: Final = 4096
"""``replay`` stands at the beginning of a message; a snapshot's picture is not searched for it."""


@dataclass(slots=True)
class Delivery:
    """One recipient's figures: what its receiver really got.

    Attributes:
        acknowledged: of the values that were due, the ones it stored, and so acknowledged.
        altered: values that arrived other than they were answered.
        excused_lost: readings lost within the promised windows.
        raised: ids of the alarms whose raise arrived.
        cleared: likewise for the clearing.
        snapshots: ids of the pictures that arrived whole, as a camera served them.
        alarm_ms: from the PLC's answer to the arrival, of each raise and escalation while the broker stood.
        late_by_outage: raises and escalations that had to wait for a dead broker.
        alarms_untraced: raises and escalations whose value no simulator answered.
    """

    count: Count
    backlog: int
    acknowledged: int = 0
    altered: int = 0
    excused_lost: int = 0
    raised: set[str] = field(default_factory=set)
    cleared: set[str] = field(default_factory=set)
    snapshots: set[str] = field(default_factory=set)
    alarm_ms: list[float] = field(default_factory=list)
    late_by_outage: int = 0
    alarms_untraced: int = 0

    def figures(self) -> dict[str, int]:
        """As they stand in the JSON verdict."""
        count = self.count
        return {
            "acknowledged": self.acknowledged,
            "lost": count.lost,
            "duplicates": count.duplicates,
            "redelivered": count.redelivered,
            "out_of_order": count.out_of_order,
            "backlog": self.backlog,
            "unknown": count.unknown,
            "altered": self.altered,
            "excused_lost": self.excused_lost,
        }

    @property
    def clean(self) -> bool:
        """Everything due is there, once, in order and unchanged."""
        return self.count.clean and self.altered == 0 and self.backlog == 0


@dataclass(slots=True)
class Judgement:
    """The whole run.

    Attributes:
        values_read: values the simulators answered up to the cut, promised windows apart.
        values_recorded: of these, the ones the durable record holds.
        reads_seen: requests the guard has seen at all; 0 would mean that it was blind.
    """

    values_read: int
    values_recorded: int
    deliveries: dict[str, Delivery]
    modbus_writes_seen: int
    opcua_write_services_seen: int
    reads_seen: int

    @property
    def raised(self) -> int:
        """Alarms whose raise every recipient has."""
        return len(set.intersection(*(one.raised for one in self.deliveries.values())))

    @property
    def cleared(self) -> int:
        """Alarms whose clearing every recipient has."""
        return len(set.intersection(*(one.cleared for one in self.deliveries.values())))

    @property
    def snapshots(self) -> int:
        """Pictures that every recipient has."""
        return len(set.intersection(*(one.snapshots for one in self.deliveries.values())))

    def problems(self) -> list[str]:
        """Why the run failed, a line each; [] is a pass."""
        found = []
        for name, one in self.deliveries.items():
            found += [f"{name}: {figure} {n}" for figure, n in one.figures().items() if n and figure in _BAD]
            found += [
                f"{name}: {what}: {text}" for what, texts in one.count.examples.items() for text in texts[:1]
            ]
        if self.values_read == 0 or self.reads_seen == 0:
            found.append("nothing was read")
        if self.values_recorded != self.values_read:
            found.append(f"{self.values_read} values read, {self.values_recorded} recorded")
        if self.modbus_writes_seen or self.opcua_write_services_seen:
            found.append(
                f"writes seen: Modbus {self.modbus_writes_seen}, OPC UA {self.opcua_write_services_seen}"
            )
        return found

    def figures(self) -> dict[str, Any]:
        """The JSON verdict, ``verdict`` first."""
        samples = [ms for one in self.deliveries.values() for ms in one.alarm_ms]
        return {
            "verdict": "fail" if self.problems() else "pass",
            "values_read": self.values_read,
            "values_recorded": self.values_recorded,
            "recipients": {name: one.figures() for name, one in self.deliveries.items()},
            "alarms": {"raised": self.raised, "cleared": self.cleared},
            "snapshots": self.snapshots,
            "alarm_ms_p50": percentile(samples, 50),
            "alarm_ms_p99": percentile(samples, 99),
            "alarm_samples": len(samples),
            "alarms_late_by_outage": sum(one.late_by_outage for one in self.deliveries.values()),
            "alarms_untraced": sum(one.alarms_untraced for one in self.deliveries.values()),
            "modbus_writes_seen": self.modbus_writes_seen,
            "opcua_write_services_seen": self.opcua_write_services_seen,
        }


_BAD: Final = frozenset({"lost", "duplicates", "out_of_order", "backlog", "unknown", "altered"})


def judge_site(site: Site, windows: Sequence[Window] = (), kept: Recorded | None = None) -> Judgement:
    """Judge a site after ``Site.finish``.

    Args:
        site: gateway and receivers have ended.
        windows: times in which answers may be lost by promise; an answer that falls into one is not due.
        kept: its record, if it has been read already.
    """
    said = answered(site, windows)
    kept = kept or recorded(site)
    deliveries = {name: _Recipient(site, name, said, kept.alarms).judge() for name in site.plan.recipients}
    plc_writes = [max(site.recorders[name].breaches, plc.writes_seen) for name, plc in site.plcs.items()]
    return Judgement(
        values_read=len(said.due),
        values_recorded=len(said.due.keys() & kept.readings),
        deliveries=deliveries,
        modbus_writes_seen=sum(plc_writes),
        opcua_write_services_seen=site.opcua.writes_seen if site.opcua else 0,
        reads_seen=sum(recorder.requests.total() for recorder in site.recorders.values())
        + (site.opcua.services.total() if site.opcua else 0),
    )


# -- what arrived -------------------------------------------------------------------------------------


class _Recipient:
    """Reads one receiver's raw log, message by message."""

    def __init__(self, site: Site, name: str, said: Answered, alarms: Mapping[Reading, int]) -> None:
        self._site = site
        self._said = said
        self._alarms = alarms
        self._counters = counters_of(site)
        self._log = [one for one in arrivals(site.stores[name]) if one.key]
        self._outages = [
            (from_ns, next((one.received_ns for one in self._log if one.received_ns >= to_ns), to_ns))
            for from_ns, to_ns in site.outages[name]
        ]
        self.delivery = Delivery(Count(), site.backlog.get(name, -1))

    def judge(self) -> Delivery:
        """All of it against what was answered and recorded."""
        said, delivery = self._said, self.delivery
        told: Counter[Reading] = Counter()
        seen: list[Arrival] = []
        for one in self._log:
            readings: list[Reading] = []
            for reading, value in () if one.outcome == "redelivered" else self._content(one):
                told[reading] += 1
                if 1 < told[reading] <= 1 + said.said_again[reading]:
                    continue
                readings.append(reading)
                delivery.altered += _differs(value, said.due.get(reading, said.excused.get(reading, value)))
            backfill = b'"replay":"backfill"' in one.payload[:REPLAY_WITHIN_BYTES]
            seen.append(Arrival(one.key, one.sha256, backfill, readings))
        cut_ns = utc_ns(self._site.cut_ns)
        due = said.due.keys() | {change for change, at_ns in self._alarms.items() if at_ns <= cut_ns}
        allowed = said.excused.keys() | self._alarms.keys()
        delivery.count = judge(due | (allowed & told.keys()), seen)
        delivery.acknowledged = len(told.keys() & said.due.keys())
        delivery.excused_lost = len(said.excused.keys() - told.keys())
        return delivery

    def _content(self, one: StoredArrival) -> list[Valued]:
        if one.key.split("/")[2] == "snapshot":
            self._take_picture(one.payload)
            return []
        envelope = orjson.loads(one.payload)
        if envelope["kind"] == "sample":
            return readings_of_message(envelope, self._counters)
        if envelope["kind"] != "alarm":
            return []
        for item in envelope["items"]:
            self._take_alarm(item, one.received_ns)
        return [Valued(alarm_reading(item), np.nan) for item in envelope["items"]]

    def _take_picture(self, payload: bytes) -> None:
        (length,) = struct.unpack_from(">I", payload)
        header, jpeg = orjson.loads(payload[4 : 4 + length]), payload[4 + length :]
        served = {digest for camera in self._site.cameras.values() for digest in camera.served}
        if hashlib.sha256(jpeg).digest() in served:
            self.delivery.snapshots.add(header["items"][0]["id"])

    def _take_alarm(self, item: Mapping[str, Any], received_ns: int) -> None:
        delivery, alarm_id, transition = self.delivery, item["alarm_id"], item["transition"]
        if transition == "raise":
            delivery.raised.add(alarm_id)
        elif transition == "clear":
            delivery.cleared.add(alarm_id)
        trail = self._said.trails.get(item["point_id"])
        if transition not in {"raise", "escalate"} or item["type"] not in {"limit", "digital"} or not trail:
            return
        crossed_ns = trail.crossed_ns(item, received_ns)
        if crossed_ns is None:
            delivery.alarms_untraced += 1
        elif any(from_ns <= crossed_ns <= to_ns for from_ns, to_ns in self._outages):
            delivery.late_by_outage += 1
        else:
            delivery.alarm_ms.append((received_ns - crossed_ns) / 1e6)


def _differs(value: float, answered_value: float) -> bool:
    if np.isnan(value) or np.isnan(answered_value):
        return False
    return abs(value - answered_value) > SAME * max(1.0, abs(answered_value))
