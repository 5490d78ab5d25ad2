"""What a site's simulators answered, as readings with their values. Reads their logs and the clock; judges nothing."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from hil.judge import Reading
from hil.readings import MS_NS, Trail
from hil.site import Site
from hil.site_plan import ModbusDevice

Window: TypeAlias = tuple[int, int]
"""From and to, CLOCK_MONOTONIC nanoseconds."""


@dataclass(slots=True)
class Answered:
    """What the simulators answered.

    Attributes:
        due: readings that must be everywhere, and their values.
        excused: readings after the cut or within a window: they may be missing, nothing else.
        said_again: how often an OPC UA server said the same reading beyond the first time (after a reconnect).
        trails: tag -> everything answered of that point.
    """

    due: dict[Reading, float] = field(default_factory=dict)
    excused: dict[Reading, float] = field(default_factory=dict)
    said_again: Counter[Reading] = field(default_factory=Counter)
    trails: dict[str, Trail] = field(default_factory=dict)

    def take(self, reading: Reading, value: float, *, excused: bool) -> None:
        """Note one reading."""
        if reading in self.due or reading in self.excused:
            self.said_again[reading] += 1
        (self.excused if excused else self.due).setdefault(reading, value)


def answered(site: Site, windows: Sequence[Window] = ()) -> Answered:
    """Everything the site's simulators completed.

    Raises:
        LogFullError: the log of answers reached its bound.
    """
    said = Answered()
    log = site.answers.answers()
    for device in site.plan.modbus:
        chosen = np.flatnonzero(log.device == log.names.index(device.name))
        registers = [log.registers[i] for i in chosen]
        _take_modbus(said, site, device, log.counter[chosen], log.monotonic_ns[chosen], registers, windows)
    if site.plan.opcua is not None and site.opcua is not None:
        tags = {str(row["address"]): str(row["tag"]) for row in site.plan.opcua.rows}
        trails: dict[str, list[tuple[int, float]]] = {}
        for change, at_ns in zip(site.opcua.sent, site.opcua.sent_mono_ns, strict=True):
            if change.value is None or change.node not in tags:
                continue
            reading = Reading(tags[change.node], change.source_ns // MS_NS)
            said.take(reading, float(change.value), excused=_excused(site, at_ns, windows))
            trails.setdefault(reading.point, []).append((utc_ns(at_ns), float(change.value)))
        for tag, steps in trails.items():
            at, values = zip(*steps, strict=True)
            said.trails[tag] = Trail(np.array(at, dtype=np.int64), np.array(values))
    return said


def _take_modbus(
    said: Answered,
    site: Site,
    device: ModbusDevice,
    counters: Any,
    mono_ns: Any,
    registers: Sequence[bytes],
    windows: Sequence[Window],
) -> None:
    if not registers:
        return
    width = min(len(one) for one in registers)
    raw = np.frombuffer(b"".join(one[:width] for one in registers), ">u2").reshape(len(registers), -1)
    at_ns = mono_ns + (time.time_ns() - time.monotonic_ns())
    columns = {device.counter: counters.astype(np.float64)}
    for row in device.rows:
        columns[str(row["tag"])] = _column(raw, row)
    excused = [_excused(site, int(ns), windows) for ns in mono_ns]
    for tag, values in columns.items():
        said.trails[tag] = Trail(at_ns, values)
        for counter, value, out in zip(counters.tolist(), values.tolist(), excused, strict=True):
            said.take(Reading(tag, counter), value, excused=out)


def _column(raw: Any, row: Mapping[str, object]) -> Any:
    """Engineering values of one row of the point table; NaN (not compared) for what is no plain uint16."""
    address = str(row["address"])
    if row.get("type", "uint16") != "uint16" or not address.startswith("4"):
        return np.full(len(raw), np.nan)
    register = int(address[1:]) - 1
    scale, offset = float(str(row.get("scale", 1.0))), float(str(row.get("offset", 0.0)))
    return raw[:, register] * scale + offset


def _excused(site: Site, mono_ns: int, windows: Sequence[Window]) -> bool:
    after_cut = bool(site.cut_ns) and mono_ns > site.cut_ns
    return after_cut or any(start <= mono_ns <= end for start, end in windows)


def utc_ns(mono_ns: int) -> int:
    """The same instant on the wall clock, as far as it was not set meanwhile."""
    return mono_ns + time.time_ns() - time.monotonic_ns()
