"""Recorded scans: a table of time, point, value and quality -> readings in the order of their times. Pure.

What a platform or a historian exports: one reading per row, in any order, headings in Chinese or English.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from drivers.kit.quality import Cause, Status
from drivers.kit.quality import quality as quality_of
from gateway.engine import WatchedDevice
from gateway.errors import UserFacingError, UserFileErrors
from gateway.instant import rfc3339
from gateway.plant import PointConfig
from gateway.sheet import column_letter, decoded, plain, rows_of
from gateway.words import meant, said

MOST_ROWS: Final = 5_000_000
MOST_DAYS: Final = 100
"""Every delay and every balance of the time between is judged: a date with a wrong year would take hours."""
MOST_MISTAKES: Final = 100
"""More say nothing new."""

_HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("时间", "采集时间", "timestamp"),
    "point": ("位号", "点位", "tag"),
    "value": ("数值", "值"),
    "quality": ("质量", "品质"),
}
_COLUMN_OF: Final = {heading: column for column, more in _HEADINGS.items() for heading in (column, *more)}
_BEIJING: Final = dt.timezone(dt.timedelta(hours=8))
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})[T ]+(\d{1,2})(:.*)")
_STATUS: Final = {
    **dict.fromkeys(("", "good", "好", "正常"), Status.GOOD),
    **dict.fromkeys(("uncertain", "可疑", "不确定"), Status.UNCERTAIN),
    **dict.fromkeys(("bad", "坏", "异常"), Status.BAD),
}
_CAUSES: Final = {cause.word: cause for cause in Cause}

Readings: TypeAlias = dict[str, dict[int, tuple[float, int]]]
"""Device -> point's index, rising -> value and quality."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Recorded scans.

    Attributes:
        devices: with those of their points that occur, and those that decide about them.
        scans: UTC in nanoseconds, and what was read then; in the order of the times.
    """

    devices: tuple[WatchedDevice, ...]
    scans: tuple[tuple[int, Readings], ...]


def read_recording(content: bytes, file: str, devices: Sequence[WatchedDevice]) -> Recording:
    """Read recorded scans.

    Args:
        content: CSV as the point table may be: UTF-8, UTF-16 with BOM or GB18030, commas, semicolons or tabs.
        file: its name, for places.
        devices: as configured.

    Raises:
        UserFileErrors: what is wrong in it.
    """
    errors: list[UserFacingError] = []
    tags = {p.point.name: (device.name, p) for device in devices for p in device.points}
    try:
        rows = list(_rows(content, file, frozenset(tags), errors))
    except UserFacingError as error:
        errors.append(error)
    if errors:
        raise UserFileErrors(errors)
    if not rows:
        raise UserFileErrors([said("E-SCRIPT-SCANS", file)])
    watched = _watched(devices, {tag for _, tag, _, _ in rows}, tags)
    place = {p.point.name: (d.name, row) for d in watched for row, p in enumerate(d.points)}
    rows.sort(key=lambda row: row[0])
    first_ns, last_ns = rows[0][0], rows[-1][0]
    if last_ns - first_ns > MOST_DAYS * 86_400 * 10**9:
        facts = {"first": rfc3339(first_ns), "last": rfc3339(last_ns), "most": MOST_DAYS}
        raise UserFileErrors([said("E-SCRIPT-SPAN", file, **facts)])
    return Recording(watched, tuple(_scans(rows, place)))


def _watched(
    devices: Sequence[WatchedDevice], seen: set[str], tags: Mapping[str, tuple[str, PointConfig]]
) -> tuple[WatchedDevice, ...]:
    """Only what was recorded is judged, and nothing is silent: that a row is missing says nothing."""
    decides = {
        str(other)
        for tag in seen
        for other in (tags[tag][1].conditions.suppressed_by, tags[tag][1].conditions.deviation_from)
    }
    kept = seen | (decides & tags.keys())
    chosen = (
        replace(device, points=tuple(p for p in device.points if p.point.name in kept), polled=False)
        for device in devices
    )
    return tuple(device for device in chosen if device.points)


def _scans(
    rows: Sequence[tuple[int, str, float, int]], place: Mapping[str, tuple[str, int]]
) -> Iterator[tuple[int, Readings]]:
    """Rows of one instant are one scan per device, unless a point occurs in it twice."""
    readings: Readings = {}
    before_ns = rows[0][0]
    for utc_ns, tag, value, quality in rows:
        device, row = place[tag]
        if readings and (utc_ns != before_ns or row in readings.get(device, {})):
            yield before_ns, _sorted(readings)
            readings = {}
        readings.setdefault(device, {})[row] = value, quality
        before_ns = utc_ns
    yield before_ns, _sorted(readings)


def _sorted(readings: Readings) -> Readings:
    return {device: dict(sorted(rows.items())) for device, rows in readings.items()}


def _rows(
    content: bytes, file: str, tags: frozenset[str], errors: list[UserFacingError]
) -> Iterator[tuple[int, str, float, int]]:
    columns: dict[str, int] = {}
    for count, (line, cells) in enumerate(rows_of(decoded(content, file), file)):
        if not columns:
            columns = _columns(cells, f"{file}:{line}")
            continue
        if count > MOST_ROWS:
            raise said("E-SCRIPT-LONG", f"{file}:{line}", most=MOST_ROWS)
        try:
            yield _row(cells, columns, f"{file}:{line}", tags)
        except UserFacingError as error:
            errors.append(error)
            if len(errors) >= MOST_MISTAKES:
                return


def _columns(cells: Sequence[str], place: str) -> dict[str, int]:
    found = {_COLUMN_OF.get(plain(cell).lower()): at for at, cell in reversed(list(enumerate(cells)))}
    columns = {column: at for column, at in found.items() if column is not None}
    for column in ("time", "point", "value"):
        if column not in columns:
            raise said("E-SCRIPT-COLUMN", place, zh=_HEADINGS[column][0], en=column)
    return columns


def _row(
    cells: Sequence[str], columns: Mapping[str, int], line: str, tags: frozenset[str]
) -> tuple[int, str, float, int]:
    def cell(column: str) -> str:
        at = columns.get(column, len(cells))
        return cells[at] if at < len(cells) else ""

    def place(column: str) -> str:
        return f"{line}:{column_letter(columns[column])}"

    if (tag := cell("point")) not in tags:
        raise said("E-SCRIPT-POINT", place("point"), name=tag, meant=meant(tag, tags))
    utc_ns = _utc_ns(cell("time"), place("time"))
    quality = _quality(cell("quality"), place("quality") if "quality" in columns else line)
    text = plain(cell("value"))
    try:
        value = float(text) if text else math.nan
    except ValueError as error:
        raise said("E-POINTS-NUMBER", place("value"), cell=text) from error
    return utc_ns, tag, math.nan if quality & 3 == Status.BAD else value, quality


def _utc_ns(text: str, place: str) -> int:
    found = _DAY.fullmatch(plain(text))
    if found is None:
        raise said("E-SCRIPT-STAMP", place, text=text)
    try:
        year, month, day, hour, rest = found.groups()
        moment = dt.datetime.fromisoformat(f"{year}-{month:0>2}-{day:0>2}T{hour:0>2}{rest.replace(' ', '')}")
    except ValueError as error:
        raise said("E-SCRIPT-STAMP", place, text=text) from error
    since = (moment if moment.tzinfo else moment.replace(tzinfo=_BEIJING)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1_000


def _quality(text: str, place: str) -> int:
    """``good``, ``bad comm``, ``uncertain/over_range``, or the number of OPC DA (192, 64, 0)."""
    said_plainly = plain(text).lower()
    if said_plainly.isdecimal() and int(said_plainly) < 256:
        # The two high bits of the byte are the status: 3 good, 1 uncertain, else bad.
        bits = int(said_plainly) >> 6
        return quality_of({3: Status.GOOD, 1: Status.UNCERTAIN}.get(bits, Status.BAD))
    status, _, cause = said_plainly.replace("/", " ").replace(":", " ").partition(" ")
    if status not in _STATUS:
        raise said("E-SCRIPT-WORD", place, name=text, meant=meant(status, ("good", "uncertain", "bad")))
    if (cause := cause.strip() or "none") not in _CAUSES:
        raise said("E-SCRIPT-WORD", place, name=text, meant=meant(cause, tuple(_CAUSES)))
    return quality_of(_STATUS[status], _CAUSES[cause])
