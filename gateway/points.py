"""The point table: bytes of points.csv -> points, limits and codes, or every mistake in it with its cell.

Pure: the caller reads the file and says which devices, cameras and recipients exist.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias

from drivers.kit.errors import PointError
from drivers.kit.scan import MAX_POINTS_PER_DEVICE, Point
from gateway.alarm.limits import Limits
from gateway.errors import Exit, UserFacingError
from gateway.plant import PointConfig
from gateway.words import meant, said

HEADINGS: Final[dict[str, tuple[str, ...]]] = {
    "tag": ("位号", "点位"),
    "description": ("描述",),
    "device": ("设备",),
    "unit_id": ("站号", "从站号"),
    "address": ("地址", "寄存器地址", "nodeid"),
    "type": ("数据类型",),
    "order": ("字节序",),
    "bit": ("位",),
    "scale": ("系数",),
    "offset": ("偏移",),
    "unit": ("单位",),
    "range_lo": ("量程下限",),
    "range_hi": ("量程上限",),
    "ll": ("低低", "低低限"),
    "l": ("低", "低限"),
    "h": ("高", "高限"),
    "hh": ("高高", "高高限"),
    "alarm_on": ("报警状态",),
    "deadband": ("死区",),
    "priority": ("优先级",),
    "area": ("区域", "单元/区域"),
    "camera": ("摄像头", "关联摄像头"),
}
"""Column -> the headings it may stand under beside its own name, the usual one first."""

REQUIRED: Final = ("tag", "device", "address")
CODE_PREFIXES: Final = ("指标编码:", "code:")
LIMIT_COLUMNS: Final = ("ll", "l", "h", "hh")
DIGITAL_TYPES: Final = frozenset({"bit", "bool", "boolean"})
MAX_TEXT_CHARS: Final = 250
"""Longest text one cell may hold."""
MEMO_CELLS: Final = 4_096
"""Cells repeat: a table of 10,000 points is read twice as fast with what they said remembered."""

_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[+-]?\d{1,9}(\.0*)?", re.ASCII)
_RUINED_CODE: Final = re.compile(r"\d(\.\d+)?E\+\d+", re.ASCII | re.IGNORECASE)
_COLUMN_OF_HEADING: Final = {heading: key for key, more in HEADINGS.items() for heading in (key, *more)}

CheckPoint: TypeAlias = Callable[[Point], None]
"""The driver's own judgement of one point; raises PointError."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the point table may refer to.

    Attributes:
        devices: name -> the driver's check; None where the device's own settings are wrong already.
        cameras: names of the cameras.
        recipients: names of the recipients.
    """

    devices: Mapping[str, CheckPoint | None]
    cameras: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PointTable:
    """What was read: points by device in the file's order, and every mistake."""

    points: dict[str, list[PointConfig]]
    errors: list[UserFacingError]


def read_points(content: bytes, file: str, known: Known) -> PointTable:
    """Read a whole point table.

    Args:
        content: the file as it is: UTF-8 (with or without BOM), UTF-16 with BOM, or GB18030.
        file: its name, for places.
        known: what it may refer to.
    """
    table = PointTable({name: [] for name in known.devices}, [])
    reading = _Reading(file, known, table)
    try:
        for line, cells in _rows(_decoded(content, file), file):
            reading.take(line, cells)
    except UserFacingError as error:
        table.errors.append(error)
    else:
        if not reading.headings:
            table.errors.append(said("E-POINTS-EMPTY", file))
    return table


def column_letter(index: int) -> str:
    """Excel's letter of a column counted from 0: A, B, …, Z, AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def _decoded(content: bytes, file: str) -> str:
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise said("E-POINTS-WORKBOOK", file)
    encodings = ["utf-8", "gb18030"]
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif content.startswith(codecs.BOM_UTF8):
        encodings = ["utf-8"]
        content = content[len(codecs.BOM_UTF8) :]
    line = 0
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
    raise said("E-POINTS-ENCODING", f"{file}:{line}")


def _rows(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Line number (of the row's first line) and stripped cells of every row that is not blank."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",\t;", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        raise said("E-POINTS-QUOTES", f"{file}:{line}") from error


@lru_cache(maxsize=MEMO_CELLS)
def _plain(text: str) -> str:
    """Full-width digits and letters as plain ones, the typographic minus as a hyphen."""
    return unicodedata.normalize("NFKC", text).replace("−", "-").strip()


@lru_cache(maxsize=MEMO_CELLS)
def _number(cell: str) -> float | None:
    """What a cell says; None if nothing, NaN if no number that can be used."""
    if not (plain := _plain(cell)):
        return None
    return float(plain) if _NUMBER.fullmatch(plain) else math.nan


def _plain_if_ascii(text: str) -> str:
    """An address typed full-width by an input method becomes plain; one with real Chinese in it stays."""
    plain = _plain(text)
    return plain if plain.isascii() else text


@dataclass(slots=True)
class _Row:
    """One row's cells by column, and where its mistakes go."""

    file: str
    line: int
    cells: list[str]
    columns: dict[str, int]
    headings: list[str]
    errors: list[UserFacingError]

    def place(self, column: str) -> str:
        at = self.columns.get(column)
        where = f"({HEADINGS[column][0]})" if at is None else f"{column_letter(at)}({self.headings[at]})"
        return f"{self.file}:{self.line}:{where}"

    def wrong(self, column: str, code: str, **facts: object) -> None:
        self.errors.append(said(code, self.place(column), **facts))

    def text(self, column: str) -> str:
        at = self.columns.get(column)
        if at is None or at >= len(self.cells):
            return ""
        cell = self.cells[at]
        if len(cell) > MAX_TEXT_CHARS or not cell.isprintable():
            self.wrong(column, "E-POINTS-TEXT", cell=ascii(cell[:20]), most=MAX_TEXT_CHARS)
        return cell

    def number(self, column: str) -> float | None:
        cell = self.text(column)
        value = _number(cell) if cell else None
        if value is None or math.isfinite(value):
            return value
        self.wrong(column, "E-POINTS-NUMBER", cell=cell)
        return None

    def whole(self, column: str, lowest: int, highest: int) -> int | None:
        cell = self.text(column)
        plain = _plain(cell) if cell else ""
        if not plain:
            return None
        if _WHOLE.fullmatch(plain) and lowest <= int(float(plain)) <= highest:
            return int(float(plain))
        self.wrong(column, "E-POINTS-WHOLE", cell=cell, lowest=lowest, highest=highest)
        return None


@dataclass(slots=True)
class _Reading:
    """One pass over the table: the headings first, then a point per row."""

    file: str
    known: Known
    table: PointTable
    headings: list[str] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    code_columns: dict[str, int] = field(default_factory=dict)
    tag_lines: dict[str, int] = field(default_factory=dict)
    code_lines: dict[tuple[str, str], int] = field(default_factory=dict)

    def take(self, line: int, cells: list[str]) -> None:
        if self.headings:
            self._point(_Row(self.file, line, cells, self.columns, self.headings, self.table.errors))
        else:
            self._headings(line, cells)

    def _headings(self, line: int, cells: list[str]) -> None:
        self.headings = cells
        for at, heading in enumerate(cells):
            if heading:
                self._heading(at, heading, f"{self.file}:{line}:{column_letter(at)}")
        for column in REQUIRED:
            if column not in self.columns:
                place = f"{self.file}:{line}"
                self._wrong("E-POINTS-COLUMN-MISSING", place, zh=HEADINGS[column][0], en=column)

    def _heading(self, at: int, heading: str, place: str) -> None:
        plain = _plain(heading)
        prefix = next((prefix for prefix in CODE_PREFIXES if plain.lower().startswith(prefix)), None)
        if prefix is None:
            name, taken = _COLUMN_OF_HEADING.get(plain.lower().replace(" ", "")), self.columns
        else:
            name, taken = plain[len(prefix) :].strip(), self.code_columns
            if name not in self.known.recipients:
                hint = meant(name, self.known.recipients)
                self._wrong("E-POINTS-RECIPIENT-UNKNOWN", place, name=name, meant=hint)
                return
        if name is None:
            hint = meant(plain, {*_COLUMN_OF_HEADING, *CODE_PREFIXES})
            self._wrong("E-POINTS-COLUMN-UNKNOWN", place, name=heading, meant=hint)
        elif name in taken:
            self._wrong("E-POINTS-COLUMN-TWICE", place, name=heading, letter=column_letter(taken[name]))
        else:
            taken[name] = at

    def _wrong(self, code: str, place: str, **facts: object) -> None:
        self.table.errors.append(said(code, place, **facts))

    def _point(self, row: _Row) -> None:
        for at, cell in enumerate(row.cells):
            if cell and (at >= len(self.headings) or not self.headings[at]):
                self._wrong("E-POINTS-UNTITLED", f"{self.file}:{row.line}:{column_letter(at)}", cell=cell)
        tag, device, camera = row.text("tag"), row.text("device"), row.text("camera")
        self._check_tag(row, tag)
        if camera and camera not in self.known.cameras:
            hint = meant(camera, self.known.cameras)
            row.wrong("camera", "E-POINTS-CAMERA-UNKNOWN", name=camera, meant=hint)
        point = _point(row, tag)
        self._check_device(row, device, point)
        limits, range_lo, range_hi = _limits(row)
        config = PointConfig(
            point=point,
            description=row.text("description"),
            unit=row.text("unit"),
            range_lo=range_lo,
            range_hi=range_hi,
            limits=limits,
            priority=row.whole("priority", 1, 4) or 2,
            area=row.text("area"),
            camera=camera,
            codes=self._codes(row),
        )
        points = self.table.points.get(device, [])
        points.append(config)
        if len(points) == MAX_POINTS_PER_DEVICE + 1:
            row.wrong("device", "E-POINTS-MANY", device=device, most=MAX_POINTS_PER_DEVICE)

    def _check_tag(self, row: _Row, tag: str) -> None:
        first = self.tag_lines.setdefault(_plain(tag).casefold(), row.line)
        if not tag:
            row.wrong("tag", "E-POINTS-TAG-MISSING")
        elif first != row.line:
            row.wrong("tag", "E-POINTS-TAG-TWICE", tag=tag, line=first)

    def _check_device(self, row: _Row, device: str, point: Point) -> None:
        if not point.address:
            row.wrong("address", "E-POINTS-ADDRESS-MISSING")
        if device not in self.known.devices:
            code = "E-POINTS-DEVICE-UNKNOWN" if device else "E-POINTS-DEVICE-MISSING"
            row.wrong("device", code, name=device, meant=meant(device, self.known.devices))
            return
        check = self.known.devices[device]
        if check is None or not point.address:
            return
        try:
            check(point)
        except PointError as error:
            place = row.place("tag" if error.field == "name" else error.field)
            row.errors.append(
                UserFacingError("E-POINTS-DRIVER", Exit.USER_FILE, place, error.cause, error.remedy)
            )

    def _codes(self, row: _Row) -> dict[str, str]:
        codes: dict[str, str] = {}
        for recipient, at in self.code_columns.items():
            cell = row.cells[at] if at < len(row.cells) else ""
            if not cell:
                continue
            codes[recipient] = cell
            place = f"{self.file}:{row.line}:{column_letter(at)}({self.headings[at]})"
            first = self.code_lines.setdefault((recipient, cell), row.line)
            if _RUINED_CODE.fullmatch(cell):
                self._wrong("E-POINTS-CODE-RUINED", place, cell=cell)
            elif first != row.line:
                self._wrong("E-POINTS-CODE-TWICE", place, cell=cell, line=first)
        return codes


def _point(row: _Row, tag: str) -> Point:
    usual = Point(name=tag, address=_plain_if_ascii(row.text("address")))
    scale, offset = row.number("scale"), row.number("offset")
    if scale == 0:
        row.wrong("scale", "E-POINTS-SCALE")
    return Point(
        name=tag,
        address=usual.address,
        type=_plain(row.text("type")).lower() or usual.type,
        order=_plain(row.text("order")).upper() or usual.order,
        bit=row.whole("bit", 0, 15),
        scale=usual.scale if scale is None else scale,
        offset=usual.offset if offset is None else offset,
        unit_id=row.whole("unit_id", 0, 255),
    )


def _limits(row: _Row) -> tuple[Limits, float | None, float | None]:
    """Limits, lower and upper range of one row, judged against each other."""
    lo, hi = row.number("range_lo"), row.number("range_hi")
    edges = {column: value for column in LIMIT_COLUMNS if (value := row.number(column)) is not None}
    on = row.whole("alarm_on", 0, 1)
    deadband = row.number("deadband") or 0.0
    kind = _plain(row.text("type")).lower()
    if on is not None and kind and kind not in DIGITAL_TYPES:
        row.wrong("alarm_on", "E-POINTS-ANALOGUE", type=kind)
    elif on is not None or kind in DIGITAL_TYPES:
        for column in (*edges, *(["deadband"] if deadband else [])):
            row.wrong(column, "E-POINTS-DIGITAL", zh=HEADINGS[column][0], en=column)
    else:
        _check_analogue(row, edges, lo, hi, deadband)
    return Limits(**edges, on=on, deadband=max(deadband, 0.0)), lo, hi


def _check_analogue(
    row: _Row, edges: dict[str, float], lo: float | None, hi: float | None, deadband: float
) -> None:
    if lo is not None and hi is not None and lo >= hi:
        row.wrong("range_hi", "E-POINTS-RANGE", lo=lo, hi=hi)
    for (low, low_value), (high, high_value) in pairwise(edges.items()):
        if low_value >= high_value:
            facts: dict[str, object] = {"low_zh": HEADINGS[low][0], "low_en": low.upper(), "low": low_value}
            facts |= {"high_zh": HEADINGS[high][0], "high_en": high.upper(), "high": high_value}
            row.wrong(high, "E-POINTS-LIMIT-ORDER", **facts)
    for column, value in edges.items():
        if (lo is not None and value < lo) or (hi is not None and value > hi):
            row.wrong(column, "E-POINTS-LIMIT-RANGE", value=value)
    # The normal span ends at the innermost limits, or at the range where a side has none.
    bottom = edges.get("l", edges.get("ll", lo))
    top = edges.get("h", edges.get("hh", hi))
    if deadband < 0:
        row.wrong("deadband", "E-POINTS-DEADBAND-NEGATIVE", deadband=deadband)
    elif edges and bottom is not None and top is not None and deadband >= top - bottom > 0:
        row.wrong("deadband", "E-POINTS-DEADBAND-WIDE", deadband=deadband, low=bottom, high=top)
