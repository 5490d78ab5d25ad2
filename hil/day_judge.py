"""Judges the record of a day: what was told against what is durable, and every clear against the readings. Pure.

It hears records in the order in which they become durable, as a sender does, so it knows of every clear what the
record held of its point just before. It keeps figures and one number per live alarm, not the day.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from buffer.record import Record
from drivers.kit.quality import is_good
from gateway.alarm.limits import each
from gateway.codec import decode
from gateway.engine import WatchedDevice

MAX_PROBLEMS: Final = 20
_LIMITED: Final = frozenset({"limit", "digital"})
_MOVES: Final = frozenset({"raise", "escalate", "deescalate", "clear"})


class Digest:
    """A list of texts as its length and one hash."""

    def __init__(self) -> None:
        self.count = 0
        self._hash = hashlib.sha256()

    def add(self, text: str) -> None:
        """The next one."""
        self.count += 1
        self._hash.update(text.encode() + b"\n")

    @property
    def word(self) -> str:
        """The first 16 digits."""
        return self._hash.hexdigest()[:16]


class DayJudge:
    """Hears every record of a day.

    Args:
        devices: whose points they are about.

    Attributes:
        problems: what is wrong with the record, the first ``MAX_PROBLEMS``.
        transitions: by their word.
        types: raises by the alarm's type.
        readings: recorded, without those that the gateway added because nothing came.
        changes: every change's name and what it was, in order.
        leaves: every alarm record's hash, in order.
        kept: items of what limits did at the points of ``sample``.
    """

    def __init__(self, devices: Sequence[WatchedDevice], sample: Iterable[str] = ()) -> None:
        self.problems: list[str] = []
        self.transitions: Counter[str] = Counter()
        self.types: Counter[str] = Counter()
        self.readings = 0
        self.changes = Digest()
        self.leaves = Digest()
        self.kept: list[dict[str, Any]] = []
        self.journal: Counter[str] = Counter()
        self._sample = frozenset(sample)
        self._limits = {p.point.name: p.limits for device in devices for p in device.points}
        self._columns = {
            device.name: (np.full(len(device.points), np.nan), np.zeros(len(device.points), dtype=np.uint8))
            for device in devices
        }
        self._place = {
            p.point.name: (device.name, k) for device in devices for k, p in enumerate(device.points)
        }
        self._last_no: dict[str, int] = {}

    def take(self, records: Iterable[Record]) -> None:
        """Records that have just become durable, or are read back, in their order."""
        for record in records:
            body = decode(record.body)
            if record.lane == "alarm":
                self.leaves.add(record.leaf.hex())
                self._change(body.header["item"])
            elif record.lane == "journal":
                self.journal[body.kind] += 1
            for scan in body.scans:
                values, quality = self._columns[scan.device]
                values[scan.points], quality[scan.points] = scan.values, scan.quality
                self.readings += len(scan.points)

    def _change(self, item: dict[str, Any]) -> None:
        transition, alarm_id, number = item["transition"], item["alarm_id"], item["change_no"]
        self.transitions[transition] += 1
        self.changes.add(change_text(item))
        before = self._last_no.pop(alarm_id, 0)
        if number != before + 1 or (number == 1) != (transition == "raise"):
            self._complain(f"{transition} of {alarm_id} is change {number}, the one before was {before}")
        if item["active"] or not item["acknowledged"] or item["latched"]:
            self._last_no[alarm_id] = number
        if transition == "raise":
            self.types[item["type"]] += 1
        if item["coalesced"] or item["test"]:
            self._complain(f"a change of {alarm_id} is folded, or a test's")
        if transition == "clear" and item["type"] in _LIMITED:
            self._judge_clear(item)
        moves = transition in _MOVES and item["type"] in _LIMITED
        if moves and item["point_id"] in self._sample:
            self.kept.append(item)

    def _judge_clear(self, item: dict[str, Any]) -> None:
        device, k = self._place[item["point_id"]]
        values, quality = self._columns[device]
        limits, level = self._limits[item["point_id"]], item["level"]["current"]
        value, edge, back = float(values[k]), limits.of(level), each(limits.deadband, level)
        assert edge is not None, f"{item['point_id']} has no {level}"
        low = level in ("L", "LL")
        safe = value != edge if level == "ON" else value > edge + back if low else value < edge - back
        if not (is_good(quality[k : k + 1])[0] and safe):
            self._complain(
                f"{item['alarm_id']} cleared at {item['t_cleared']} while the record said "
                f"{value} of quality {quality[k]}"
            )

    def _complain(self, text: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(text)


def change_text(item: dict[str, Any]) -> str:
    """A change as it enters the list that must be the same on every run."""
    words = item["t_changed"], item["transition"], item["alarm_id"], item["level"]["current"], item["by"]
    return " ".join((*words, str(item["change_no"]), str(item["value"])))
