"""A table as a spreadsheet saves it: bytes -> rows of cells, and what a cell says. Pure; knows no point.

What spreadsheets do to a table is understood where it is harmless (encodings, delimiters, full-width digits, a title
above the headings) and an error where it has cost something.
"""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from gateway.columns import COLUMN_OF_HEADING, HEADINGS, REQUIRED
from gateway.errors import UserFacingError
from gateway.words import said

MAX_TEXT_CHARS: Final = 250
"""Longest text one cell may hold."""
MEMO_CELLS: Final = 4_096
"""Cells repeat: a table of 10,000 points is read twice as fast with what they said remembered."""
HEADINGS_WITHIN: Final = 10
"""A title may stand above the headings; they are looked for in so many lines."""

_DELIMITERS: Final = ",\t;"
_YES: Final = frozenset({"是", "1", "yes", "true", "√"})
_NO: Final = frozenset({"否", "0", "no", "false", "×"})
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_WHOLE: Final = re.compile(r"[+-]?\d{1,9}(\.0*)?", re.ASCII)


def column_letter(index: int) -> str:
    """Excel's letter of a column counted from 0: A, B, …, Z, AA."""
    letters = ""
    index += 1
    while index:
        index, rest = divmod(index - 1, 26)
        letters = chr(65 + rest) + letters
    return letters


def decoded(content: bytes, file: str) -> str:
    """The text of a table.

    Args:
        content: UTF-8 (with or without BOM), UTF-16 with BOM, or GB18030.
        file: its name, for the place of a mistake.

    Raises:
        UserFacingError: it is a workbook, or in none of these encodings.
    """
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
            # Excel's row: a line break inside a cell begins none.
            before = content[: error.start].decode(encoding, errors="ignore")
            line = sum(1 for _ in csv.reader(io.StringIO(before + "?", newline="")))
    raise said("E-POINTS-ENCODING", f"{file}:{line}")


def rows_of(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Row number as Excel counts (a line break inside a cell begins none) and cells of every row not blank.

    Raises:
        UserFacingError: quotes do not pair.
    """
    lines = [line for line in text.splitlines() if line.strip()][:HEADINGS_WITHIN]
    head = next(
        (line for line in lines if any(map(column_of, re.split(r"[,\t;]", line)))), "".join(lines[:1])
    )
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=head.count), strict=True
    )
    line = 0
    try:
        for line, row in enumerate(reader, start=1):
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
    except csv.Error as error:
        raise said("E-POINTS-QUOTES", f"{file}:{line + 1}") from error


def column_of(heading: str) -> str | None:
    """The column a heading stands for."""
    return COLUMN_OF_HEADING.get("".join(plain(heading).lower().split()))


@lru_cache(maxsize=MEMO_CELLS)
def plain(text: str) -> str:
    """Full-width digits and letters as plain ones, the typographic minus as a hyphen."""
    return unicodedata.normalize("NFKC", text).replace("−", "-").strip()


def folded(tag: str) -> str:
    """A tag as it is compared: without capitals and full width."""
    return plain(tag).casefold()


@lru_cache(maxsize=MEMO_CELLS)
def number_of(cell: str) -> float | None:
    """The number a cell says; None if nothing, NaN if no number that can be used."""
    if not (said_plainly := plain(cell)):
        return None
    return float(said_plainly) if _NUMBER.fullmatch(said_plainly) else math.nan


@dataclass(slots=True)
class Row:
    """One row's cells by column, and where its mistakes go.

    Attributes:
        file: the table's name.
        line: the row's number as Excel counts.
        cells: stripped.
        columns: column -> place among the cells.
        headings: as the table has them.
        errors: of the whole table.
    """

    file: str
    line: int
    cells: list[str]
    columns: dict[str, int]
    headings: list[str]
    errors: list[UserFacingError]

    def place(self, column: str) -> str:
        """Where a column's cell of this row is: file, line, letter and heading."""
        at = self.columns.get(column)
        where = f"({HEADINGS[column][0]})" if at is None else f"{column_letter(at)}({self.headings[at]})"
        return f"{self.file}:{self.line}:{where}"

    def wrong(self, column: str, code: str, **facts: object) -> None:
        """Note a mistake of one cell; that a column is missing has been said once for all rows."""
        if column in self.columns or column not in REQUIRED:
            self.errors.append(said(code, self.place(column), **facts))

    def cell(self, column: str) -> str:
        """What a cell holds, unjudged; "" where the table has no such column."""
        at = self.columns.get(column)
        return "" if at is None or at >= len(self.cells) else self.cells[at]

    def holds(self, column: str) -> bool:
        """Whether anything is written there."""
        return bool(self.cell(column))

    def text(self, column: str) -> str:
        """What a cell holds; "" where the table has no such column, as most tables have few of them."""
        cell = self.cell(column)
        if not cell:
            return cell
        if len(cell) > MAX_TEXT_CHARS or not cell.isprintable():
            self.wrong(column, "E-POINTS-TEXT", cell=ascii(cell[:20]), most=MAX_TEXT_CHARS)
        return cell

    def number(self, column: str) -> float | None:
        """A number; None where the cell is empty or wrong."""
        if column not in self.columns or not (cell := self.text(column)):
            return None
        value = number_of(cell)
        if value is None or math.isfinite(value):
            return value
        self.wrong(column, "E-POINTS-NUMBER", cell=cell)
        return None

    def between(self, column: str, lowest: float, highest: float) -> float | None:
        """A number within bounds; None where the cell is empty or wrong."""
        value = self.number(column)
        if value is None or lowest <= value <= highest:
            return value
        self.wrong(column, "E-POINTS-BETWEEN", cell=f"{value:g}", lowest=lowest, highest=highest)
        return None

    def positive(self, column: str) -> float | None:
        """A number above 0; None where the cell is empty or wrong."""
        value = self.number(column)
        if value is None or value > 0:
            return value
        self.wrong(column, "E-POINTS-POSITIVE", cell=f"{value:g}")
        return None

    def yes(self, column: str) -> bool:
        """Yes or no; no where the cell is empty or wrong."""
        if column not in self.columns or not (cell := self.text(column)):
            return False
        folded = plain(cell).casefold()
        if folded not in _YES | _NO:
            self.wrong(column, "E-POINTS-YES", cell=cell)
        return folded in _YES

    def whole(self, column: str, lowest: int, highest: int) -> int | None:
        """A whole number within bounds; None where the cell is empty or wrong."""
        if column not in self.columns or not (cell := self.text(column)):
            return None
        said_plainly = plain(cell)
        if not said_plainly:
            return None
        if _WHOLE.fullmatch(said_plainly) and lowest <= int(float(said_plainly)) <= highest:
            return int(float(said_plainly))
        self.wrong(column, "E-POINTS-WHOLE", cell=cell, lowest=lowest, highest=highest)
        return None
