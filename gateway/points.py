"""The point table: bytes of points.csv -> points, limits and codes, or every mistake in it with its cell.

Pure: the caller reads the file and says which devices, cameras and recipients exist.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from drivers.kit.errors import PointError
from drivers.kit.scan import MAX_POINTS_PER_DEVICE, Point
from gateway.alarm.presets import PRESETS, Preset
from gateway.columns import CODE_PREFIXES, COLUMN_OF_HEADING, HEADINGS, REFERENCES, REQUIRED
from gateway.errors import Exit, UserFacingError
from gateway.plant import PointConfig
from gateway.point_row import check_window, point_of
from gateway.references import Named, kind_of, resolved
from gateway.sheet import HEADINGS_WITHIN, Row, column_letter, column_of, decoded, folded, plain, rows_of
from gateway.words import both, meant, said

_MONTH: Final = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_RUINED: Final = re.compile(
    r"#(REF|N/A|NAME\?|VALUE|DIV/0|NULL|NUM)!?"
    r"|\d{4}[/-]\d{1,2}[/-]\d{1,2}|\d{1,2}/\d{1,2}/\d{4}"
    r"|\d{4}年(\d{1,2}月(\d{1,2}日)?)?|\d{1,2}月(\d{1,2}日)?"
    rf"|\d{{1,2}}-{_MONTH}(-\d{{2}})?|{_MONTH}-\d{{2}}"
    r"|\d(\.\d+)?E\+\d+",
    re.ASCII,
)
"""What Excel makes of a broken formula, of a tag or code like 2-1 and of one like 12E10."""
EXCEL_DIGITS: Final = 15
"""Excel keeps so many digits of a number and fills up with zeros."""
_ROUNDED: Final = re.compile(rf"\d{{{EXCEL_DIGITS}}}0+", re.ASCII)
SURELY_ROUNDED_DIGITS: Final = 18
"""Three zeros in these places are no accident; of one or two the column's other codes say whether they are."""

CheckPoint: TypeAlias = Callable[[Point], None]
"""The driver's own judgement of one point; raises PointError."""

CheckDevice: TypeAlias = Callable[[tuple[Point, ...]], list[PointError]]
"""The driver's own judgement of a device's points together; each mistake names its point."""


@dataclass(frozen=True, slots=True)
class Known:
    """What the point table may refer to.

    Attributes:
        devices: name -> the driver's check; None where the device's own settings are wrong already.
        cameras: names of the cameras.
        recipients: names of the recipients.
        together: name of a device -> the driver's check of all its points, where it has one.
        presets: of gas points, by name; None for one that is wrong in gateway.toml.
        periods_s: name of a device -> its period.
        unsure: of "device", "camera" and "recipient" those of which a name is wrong in gateway.toml already: that
            a row's name is not known follows from it.
    """

    devices: Mapping[str, CheckPoint | None]
    cameras: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()
    together: Mapping[str, CheckDevice] = field(default_factory=dict)
    presets: Mapping[str, Preset | None] = field(default_factory=lambda: PRESETS)
    periods_s: Mapping[str, float] = field(default_factory=dict)
    unsure: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class PointTable:
    """What was read.

    Attributes:
        points: by device, in the file's order.
        errors: every mistake, in the order of the lines.
        tags: of every row, whatever else is wrong with it; by what ``sheet.folded`` makes of them.
    """

    points: dict[str, list[PointConfig]]
    errors: list[UserFacingError]
    tags: dict[str, Named] = field(default_factory=dict)


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
        for line, cells in rows_of(decoded(content, file), file):
            reading.take(line, cells)
    except UserFacingError as error:
        table.errors.append(error)
    reading.finish()
    return table


@dataclass(slots=True)
class _Taken:
    """A device's points that were read, and the rows they stand in."""

    rows: list[Row] = field(default_factory=list)
    right: list[bool] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """One pass over the table: the headings first, then a point per row, then what only the whole table shows."""

    file: str
    known: Known
    table: PointTable
    title_lines: list[int] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)
    columns: dict[str, int] = field(default_factory=dict)
    code_columns: dict[str, int] = field(default_factory=dict)
    taken: dict[str, _Taken] = field(default_factory=dict)
    code_lines: dict[tuple[str, str], int] = field(default_factory=dict)
    rounded: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    exact: set[str] = field(default_factory=set)
    heading_line: int = 0
    untitled: dict[int, list[tuple[int, str]]] = field(default_factory=dict)

    def take(self, line: int, cells: list[str]) -> None:
        if self.headings:
            self._point(Row(self.file, line, cells, self.columns, self.headings, self.table.errors))
        elif any(column_of(cell) or _code_prefix(cell) for cell in cells):
            self._headings(line, cells)
        else:
            self.title_lines.append(line)
            if len(self.title_lines) == HEADINGS_WITHIN:
                raise self._no_headings()

    def finish(self) -> None:
        """Judge what only the whole table shows, and put the mistakes in the order of the lines."""
        if not self.headings and not self.table.errors:
            self.table.errors.append(
                self._no_headings() if self.title_lines else said("E-POINTS-EMPTY", self.file)
            )
        self._check_untitled()
        self._check_rounded()
        # Without tags nothing can be found by its tag: that they are missing has been said once.
        for device, taken in self.taken.items() if "tag" in self.columns else ():
            self._resolve(self.table.points[device], taken.rows)
            check = self.known.together.get(device)
            if check is not None:
                self._check_together(device, taken, check)
        self.table.errors.sort(key=self._line_of)

    def _line_of(self, error: UserFacingError) -> int:
        line = error.place.removeprefix(self.file).removeprefix(":").partition(":")[0]
        return int(line) if line.isdecimal() else 0

    def _no_headings(self) -> UserFacingError:
        return said("E-POINTS-HEADINGS", f"{self.file}:{self.title_lines[0]}")

    def _headings(self, line: int, cells: list[str]) -> None:
        self.headings = [" ".join(cell.split()) for cell in cells]
        self.heading_line = line
        for at, heading in enumerate(self.headings):
            if heading:
                self._heading(at, heading, f"{self.file}:{line}:{column_letter(at)}")
        for column in REQUIRED:
            if column not in self.columns:
                place = f"{self.file}:{line}"
                self._wrong("E-POINTS-COLUMN-MISSING", place, zh=HEADINGS[column][0], en=column)

    def _heading(self, at: int, heading: str, place: str) -> None:
        prefix = _code_prefix(heading)
        if prefix is None:
            name, taken = column_of(heading), self.columns
        else:
            name, taken = _close(heading)[len(prefix) :], self.code_columns
            if name not in self.known.recipients:
                if "recipient" not in self.known.unsure:
                    hint = meant(name, self.known.recipients)
                    self._wrong("E-POINTS-RECIPIENT-UNKNOWN", place, name=name, meant=hint)
                return
        if name is None:
            self._wrong("E-POINTS-COLUMN-UNKNOWN", place, name=heading, meant=_meant_heading(plain(heading)))
        elif name in taken:
            self._wrong("E-POINTS-COLUMN-TWICE", place, name=heading, letter=column_letter(taken[name]))
        else:
            taken[name] = at

    def _wrong(self, code: str, place: str, **facts: object) -> None:
        self.table.errors.append(said(code, place, **facts))

    def _point(self, row: Row) -> None:
        for at, cell in enumerate(row.cells):
            if cell and (at >= len(self.headings) or not self.headings[at]):
                self.untitled.setdefault(at, []).append((row.line, cell))
        mark = len(self.table.errors)
        tag, device, camera = row.text("tag"), row.text("device"), row.text("camera")
        self._check_tag(row, tag)
        if camera and camera not in self.known.cameras and "camera" not in self.known.unsure:
            hint = meant(camera, self.known.cameras)
            row.wrong("camera", "E-POINTS-CAMERA-UNKNOWN", name=camera, meant=hint)
        unit = row.text("unit")
        point, limits, conditions = point_of(row, tag, unit, self.known.presets)
        if period_s := point.period_s or self.known.periods_s.get(device):
            check_window(row, conditions, period_s)
        right = self._check_device(row, device, point, mark) and bool(tag)
        config = PointConfig(
            point=point,
            description=row.text("description"),
            unit=unit,
            limits=limits,
            conditions=conditions,
            priority=row.whole("priority", 1, 4) or 2,
            area=row.text("area"),
            camera=camera,
            codes=self._codes(row),
        )
        if tag:
            self.table.tags.setdefault(folded(tag), Named(tag, row.line, kind_of(config), unit))
        points = self.table.points.get(device)
        if points is None:
            return
        points.append(config)
        taken = self.taken.setdefault(device, _Taken())
        taken.rows.append(row)
        taken.right.append(right)
        if len(points) == MAX_POINTS_PER_DEVICE + 1:
            row.wrong("device", "E-POINTS-MANY", device=device, most=MAX_POINTS_PER_DEVICE)

    def _check_tag(self, row: Row, tag: str) -> None:
        first = self.table.tags.get(folded(tag))
        if not tag:
            row.wrong("tag", "E-POINTS-TAG-MISSING")
        elif _RUINED.fullmatch(tag):
            row.wrong("tag", "E-POINTS-TAG-RUINED", tag=tag)
        elif first is not None:
            row.wrong("tag", "E-POINTS-TAG-TWICE", tag=tag, line=first.line)

    def _check_device(self, row: Row, device: str, point: Point, mark: int) -> bool:
        """Whether the driver takes this point; the row's own mistakes stand behind ``mark``."""
        if not point.address:
            row.wrong("address", "E-POINTS-ADDRESS-MISSING")
        if device not in self.known.devices:
            if not device or "device" not in self.known.unsure:
                code = "E-POINTS-DEVICE-UNKNOWN" if device else "E-POINTS-DEVICE-MISSING"
                row.wrong("device", code, name=device, meant=meant(device, self.known.devices))
            return False
        check = self.known.devices[device]
        if check is None or not point.address:
            return False
        try:
            check(point)
        except PointError as first:
            told = {error.place for error in self.table.errors[mark:]}
            for error in (first, *first.others):
                if (place := _place_of(row, error)) not in told:
                    told.add(place)
                    _driver_says(row, error)
            return False
        return True

    def _codes(self, row: Row) -> dict[str, str]:
        codes: dict[str, str] = {}
        for recipient, at in self.code_columns.items():
            cell = row.cells[at] if at < len(row.cells) else ""
            if not cell:
                continue
            codes[recipient] = cell
            place = f"{self.file}:{row.line}:{column_letter(at)}({self.headings[at]})"
            first = self.code_lines.setdefault((recipient, cell), row.line)
            is_rounded = _ROUNDED.fullmatch(plain(cell)) is not None
            if _RUINED.fullmatch(plain(cell)):
                self._wrong("E-POINTS-CODE-RUINED", place, cell=cell)
            elif is_rounded and len(cell) >= SURELY_ROUNDED_DIGITS:
                self._wrong("E-POINTS-CODE-ROUNDED", place, cell=cell)
            elif first != row.line:
                self._wrong("E-POINTS-CODE-TWICE", place, cell=cell, line=first)
            elif is_rounded:
                self.rounded.setdefault(recipient, []).append((place, cell))
            elif len(cell) > EXCEL_DIGITS:
                self.exact.add(recipient)
        return codes

    # -- what only the whole table shows --------------------------------------------------------------

    def _check_untitled(self) -> None:
        """Cells below a blank heading are one mistake of the heading; one behind the last column is its own."""
        last = max((at for at, heading in enumerate(self.headings) if heading), default=0)
        for at, cells in self.untitled.items():
            letter = column_letter(at)
            if at < last or (at < len(self.headings) and len(cells) > 1):
                line, cell = cells[0]
                place = f"{self.file}:{self.heading_line}:{letter}"
                self._wrong("E-POINTS-HEADING-BLANK", place, count=len(cells), line=line, cell=cell)
            else:
                for line, cell in cells:
                    self._wrong("E-POINTS-UNTITLED", f"{self.file}:{line}:{letter}", cell=cell)

    def _check_rounded(self) -> None:
        """One code may end in a nought or two; where all of a column do, Excel has been there."""
        for recipient, codes in self.rounded.items():
            if recipient not in self.exact and len(codes) > 1:
                for place, cell in codes:
                    self._wrong("E-POINTS-CODE-ROUNDED", place, cell=cell)

    def _resolve(self, points: list[PointConfig], rows: list[Row]) -> None:
        """Points name one another by tag: each name gets the spelling of the row it means."""
        for column in REFERENCES:
            if column not in self.columns:
                continue
            for at, row in enumerate(rows):
                name = row.cell(column)
                found = self.table.tags.get(folded(name))
                if name and found is None:
                    row.wrong(column, "E-POINTS-REFERENCE", name=name, zh=HEADINGS[column][0], en=column)
                elif found is not None and found.tag != name:
                    spelled: dict[str, Any] = {column: found.tag}
                    points[at] = replace(points[at], point=replace(points[at].point, **spelled))
        for at, row in enumerate(rows):
            conditions = resolved(row, points[at].conditions, self.table.tags)
            if conditions is not points[at].conditions:
                points[at] = replace(points[at], conditions=conditions)

    def _check_together(self, device: str, taken: _Taken, check: CheckDevice) -> None:
        """The driver's mistakes, each on its row; none for what is wrong there already or follows from that."""
        points = [config.point for config in self.table.points[device]]
        right = tuple(point for point, is_right in zip(points, taken.right, strict=True) if is_right)
        wrong = {point.name for point, is_right in zip(points, taken.right, strict=True) if not is_right} - {
            ""
        }
        row_of = {point.name: row for point, row in zip(reversed(points), reversed(taken.rows), strict=True)}
        point_of_tag = {point.name: point for point in right}
        told = {error.place for error in self.table.errors}
        for error in check(right):
            row, point = row_of[error.point], point_of_tag[error.point]
            follows = error.field in REFERENCES and getattr(point, error.field) in wrong
            if not follows and _place_of(row, error) not in told:
                _driver_says(row, error)


def _close(heading: str) -> str:
    """A heading without its blanks and line breaks."""
    return "".join(plain(heading).split())


def _code_prefix(heading: str) -> str | None:
    said_plainly = _close(heading).lower()
    return next((prefix for prefix in CODE_PREFIXES if said_plainly.startswith(prefix)), None)


def _meant_heading(heading: str) -> dict[str, str]:
    """The nearest heading; without one the columns, in Chinese for Chinese readers."""
    near = meant(heading, {*COLUMN_OF_HEADING, *CODE_PREFIXES})
    zh = meant(heading, (*(names[0] for names in HEADINGS.values()), *CODE_PREFIXES))
    en = meant(heading, (*HEADINGS, *CODE_PREFIXES))
    return near if "“" in near["zh"] else both(zh["zh"], en["en"])


def _place_of(row: Row, error: PointError) -> str:
    return row.place(error.field if error.field in HEADINGS else "tag")


def _driver_says(row: Row, error: PointError) -> None:
    place = _place_of(row, error)
    row.errors.append(UserFacingError("E-POINTS-DRIVER", Exit.USER_FILE, place, error.cause, error.remedy))
