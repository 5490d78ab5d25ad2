"""What a site's durable record holds after the run, and which answers it lacks. Reads the spool; judges nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import orjson

from buffer.record import Gap, Lane, Record
from buffer.settings import SpoolSettings
from buffer.spool import Spool
from drivers.kit.scan import Scan
from gateway.codec import decode
from gateway.config import load
from gateway.receive.store import arrivals
from hil.answered import utc_ns
from hil.judge import Reading
from hil.readings import readings_of_scan
from hil.site import Site

PAGE_RECORDS: Final = 200
PAGE_BYTES: Final = 8 << 20
SPOOL_QUOTA_BYTES: Final = 1 << 50
ALARM: Final = "alarm "
"""Stands before the alarm's id where a change of an alarm is judged like a reading; its stamp is the change number."""


@dataclass(slots=True)
class Recorded:
    """The whole record of a run.

    Attributes:
        readings: every reading in it.
        alarms: alarm changes in it, with their time (UTC nanoseconds), in the order of the record.
        journal: (kind, item) of each journal record, in the order of the record.
        leaves: hash of each record in hex, by its lane and number.
    """

    readings: set[Reading] = field(default_factory=set)
    alarms: dict[Reading, int] = field(default_factory=dict)
    journal: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    leaves: dict[tuple[str, int], str] = field(default_factory=dict)

    def items(self, kind: str) -> list[dict[str, Any]]:
        """Journal items of one kind."""
        return [item for found, item in self.journal if found == kind]


class Unrecorded(NamedTuple):
    """An answer that a simulator completed and the record lacks.

    Attributes:
        device: whose.
        counter: its answer counter.
        at_ns: UTC nanoseconds at which it was complete.
    """

    device: str
    counter: int
    at_ns: int


def recorded(site: Site) -> Recorded:
    """Everything in the record of a gateway that has ended."""
    found = Recorded()
    config, counters = load(site.configuration), counters_of(site)
    names = {device.device.name: [point.name for point in device.device.points] for device in config.devices}
    spool = _open(site)
    try:
        for record in _records(spool, "reading", found):
            for scan in decode(record.body).scans:
                valued = readings_of_scan(scan, names[scan.device], counters)
                found.readings.update(one.reading for one in valued)
        for record in _records(spool, "alarm", found):
            found.alarms[alarm_reading(decode(record.body).header["item"])] = record.created_ns
        for record in _records(spool, "journal", found):
            body = decode(record.body)
            found.journal.append((body.kind, body.header["item"]))
        _records(spool, "snapshot", found)
    finally:
        spool.close()
    return found


def recorded_scans(site: Site) -> list[Scan]:
    """Every scan in the record of a gateway that has ended, in the order of the record."""
    spool = _open(site)
    try:
        records = _records(spool, "reading", Recorded())
        return [scan for record in records for scan in decode(record.body).scans]
    finally:
        spool.close()


def recorded_alarms(site: Site) -> list[dict[str, Any]]:
    """Items of every alarm change in that record, likewise."""
    spool = _open(site)
    try:
        return [decode(record.body).header["item"] for record in _records(spool, "alarm", Recorded())]
    finally:
        spool.close()


def counters_of(site: Site) -> dict[str, str]:
    """Device -> tag of its answer counter."""
    return {device.name: device.counter for device in site.plan.modbus}


def alarm_reading(item: Mapping[str, Any]) -> Reading:
    """A change of an alarm, as something that can be counted like a reading."""
    return Reading(ALARM + item["alarm_id"], item["change_no"])


def unrecorded(site: Site, kept: Recorded) -> list[Unrecorded]:
    """Modbus answers up to the cut of which the record holds nothing, in the order of answering.

    Raises:
        LogFullError: the log of answers reached its bound.
    """
    log, tags = site.answers.answers(), counters_of(site)
    return [
        Unrecorded(log.names[device], counter, utc_ns(mono_ns))
        for device, counter, mono_ns in zip(
            log.device.tolist(), log.counter.tolist(), log.monotonic_ns.tolist(), strict=True
        )
        if not (site.cut_ns and mono_ns > site.cut_ns)
        and Reading(tags[log.names[device]], counter) not in kept.readings
    ]


def strays(site: Site, name: str, kept: Recorded) -> list[str]:
    """Keys of what a recipient got as durable and the record does not hold, or holds with another content."""
    found = []
    for one in arrivals(site.stores[name]):
        if one.outcome == "redelivered" or not one.key:
            continue
        lane, seq = one.key.split("/")[2:]
        envelope = orjson.loads(_json(lane, one.payload))
        if envelope["durable"] and kept.leaves.get((lane, int(seq))) != envelope["leaf"]:
            found.append(one.key)
    return found


def _json(lane: str, payload: bytes) -> bytes:
    # A snapshot's header stands behind its length, the picture behind that.
    return payload[4 : 4 + int.from_bytes(payload[:4], "big")] if lane == "snapshot" else payload


def _open(site: Site) -> Spool:
    settings = SpoolSettings(quota_bytes=SPOOL_QUOTA_BYTES)
    return Spool.open(site.storage / "spool.db", settings, site.plan.recipients, _no_gap)


def _records(spool: Spool, lane: Lane, found: Recorded) -> list[Record]:
    records: list[Record] = []
    from_seq = 1
    while (batch := spool.read(lane, from_seq, PAGE_RECORDS, PAGE_BYTES)).records:
        records += batch.records
        from_seq = batch.next_seq
    found.leaves.update({(lane, record.seq): record.leaf.hex() for record in records})
    return records


def _no_gap(gap: Gap) -> bytes:
    raise AssertionError(f"judging declared a gap: {gap}")
