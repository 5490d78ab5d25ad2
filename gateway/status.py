"""What people ask: is it alive, does the province have it, what is in alarm. Pure: turns columns into a view."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

import numpy as np

from buffer.record import LANES, Lane
from buffer.settings import LaneState, SpoolStats
from drivers.kit.contract import SourceState
from drivers.kit.quality import cause_of, is_good, status_of
from gateway.alarm.life import PROCESS, RANK
from gateway.engine import Engine
from gateway.instant import Now, rfc3339
from gateway.pending import DiskOutage
from gateway.plant import Config, DeviceConfig

IDLE: Final = SourceState(connected=False, since_ns=0, detail="it has no points: not read", counters={})
"""A device that no row of the point table names."""

VERSION: Final = version("plantgate")
"""Looked up once: it stands in a file, and a disk may hang."""

MEASURED_S: Final = 5.0
"""A rate measured over less than this is a guess."""


def identity_view(config: Config, started: Now, now: Now) -> dict[str, Any]:
    """Which gateway this is, since when it runs and what its clock is worth."""
    return {
        "gateway_id": config.gateway_id,
        "site_id": config.site_id,
        "version": VERSION,
        "config_rev": config.rev,
        "started_at": rfc3339(started.utc_ns),
        "now": rfc3339(now.utc_ns),
        "uptime_s": round((now.mono_ns - started.mono_ns) / 1e9, 1),
        "clock": now.clock.item(),
    }


def spool_view(spool_id: str, stats: SpoolStats, outage: DiskOutage | None) -> dict[str, Any]:
    """Whether the record is being kept, and how much room it has."""
    return {
        "state": stats.state if outage is None else outage.state,
        "detail": stats.detail if outage is None else outage.cause,
        "spool_id": spool_id,
        "bytes": stats.bytes,
        "quota_bytes": stats.quota_bytes,
        "free_bytes": stats.free_bytes,
        "heads": {lane: stats.lanes[lane].head for lane in LANES},
    }


def endurance_s(
    before: Mapping[Lane, LaneState],
    now: Mapping[Lane, LaneState],
    seconds: float,
    room_bytes: int,
    backlog: int,
) -> int | None:
    """How long a recipient may stay away before the quota costs it a record, at the rate of these ``seconds``.

    Args:
        before: the lanes at the start of the measured time.
        now: the lanes at its end.
        seconds: how long it was.
        room_bytes: what readings may take up.
        backlog: records that wait for this recipient already.

    Returns:
        seconds, or None while the rate is not known.
    """
    kept = sum(lane.head - lane.oldest + 1 for lane in now.values() if lane.oldest)
    grown = sum(now[lane].head - before[lane].head for lane in now)
    if not kept or not grown or seconds < MEASURED_S:
        return None
    bytes_per_record = sum(lane.stored_bytes for lane in now.values()) / kept
    return max(0, int((room_bytes - backlog * bytes_per_record) / (bytes_per_record * grown / seconds)))


def points_view(engine: Engine) -> list[dict[str, Any]]:
    """Every point with its last value that was not bad, its quality, the worst level of its alarms and its forecast.

    A text is text and a whole number beyond 2**53 has all its digits.
    """
    exact = engine.exact
    forecasts = engine.forecasts
    levels: dict[str, str] = {}
    for alarm in engine.alarms.values():
        if alarm.active and alarm.type in PROCESS:
            known = levels.get(alarm.point_id, "")
            if RANK.get(alarm.level_current, 0) > RANK.get(known, 0):
                levels[alarm.point_id] = alarm.level_current
    view = []
    for row, (device, point) in enumerate(engine.devices_and_points):
        value, quality = float(engine.values[row]), int(engine.quality[row])
        taken_ns, value_ns = int(engine.taken_ns[row]), int(engine.value_ns[row])
        view.append(
            {
                "name": point.point.name,
                "description": point.description,
                "device": device,
                "unit": point.unit,
                "value": None if np.isnan(value) else exact.get(row, value),
                "quality": status_of(quality).name.lower(),
                "cause": cause_of(quality).word,
                "level": levels.get(point.point.name, ""),
                "forecast": forecasts[row].item() if row in forecasts else None,
                "taken_at": rfc3339(taken_ns) if taken_ns else None,
                "value_at": rfc3339(value_ns) if value_ns else None,
            }
        )
    return view


def held_view(engine: Engine, now: Now) -> list[dict[str, Any]]:
    """What is held back and for how long: shelves, times out of service, suppressions by design, running tests."""
    held = [
        {**one.item(), "remaining_s": max(0, (one.until_ns - now.utc_ns) // 10**9)}
        for one in sorted(engine.register.holds.standing.values(), key=lambda one: one.until_ns)
    ]
    for test in engine.tests:
        left = dt.datetime.fromisoformat(test["until"]).timestamp() - now.utc_ns / 1e9
        held.append({**test, "action": "test", "remaining_s": max(0, round(left))})
    held += [{"action": "suppressed", "target": tag, "reason": why} for tag, why in engine.suppressed.items()]
    return held


def held_counts(engine: Engine) -> dict[str, Any]:
    """How much is held back, and what is being tested, for every screen."""
    kinds = [one.kind for one in engine.register.holds.standing.values()]
    return {
        "shelved": kinds.count("shelve"),
        "out_of_service": kinds.count("out_of_service"),
        "suppressed": len(engine.suppressed),
        "tests": engine.tests,
    }


def sources_view(
    engine: Engine, devices: tuple[DeviceConfig, ...], states: Mapping[str, SourceState]
) -> list[dict[str, Any]]:
    """Every device: whether it answers, how many of its points are good, how busy its line is, what to mend.

    ``states`` is of those that have points; the others are idle.
    """
    good = is_good(engine.quality)
    view = []
    base = 0
    for config in devices:
        name = config.device.name
        n = len(config.points)
        state = states[name] if n else IDLE
        n_good = int(good[base : base + n].sum())
        base += n
        view.append(
            {
                "name": name,
                "driver": config.driver,
                "connected": state.connected,
                "since": rfc3339(state.since_ns) if state.since_ns else None,
                "detail": state.detail,
                "points": n,
                "good": n_good,
                "bad": n - n_good,
                "counters": state.counters,
                "warning": state.warning,
                "load_percent": state.load_percent,
            }
        )
    return view
