"""The first half of an alarm script: devices, points in the words of the point table, mass balances. Pure.

The points go through the reader of point tables: what is a mistake there is one here, in the line it stands in.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.alarm.conditions import Balance
from gateway.columns import HEADINGS
from gateway.engine import WatchedDevice
from gateway.errors import UserFacingError, UserFileErrors
from gateway.plant import PointConfig
from gateway.points import Known, read_points
from gateway.sheet import column_of, plain
from gateway.words import meant, said

SUBJECTS: Final = ("point", "device", "balance")
"""What a line of the first half begins with."""
USUAL_DEVICE: Final = "plc"
"""The device of a point that names none."""

_ADDRESS: Final = "0"
"""Nothing is read: the address of every point."""
_PLACE: Final = re.compile(r"(.*?:\d+):[A-Z]*\((.*)\)")
_FORMS: Final = {
    "point": "point LT-101 h=80 hh=90 deadband=2",
    "device": "device plc polled period=1",
    "balance": "balance T-1 level=LT-1 volume_per_unit=78.5 inflows=FT-1,FT-2 outflows=FT-3 window_s=600 tolerance=5",
}


def number_of(text: str, place: str) -> float:
    """A number as scripts write it; ``nan`` and ``inf`` are some.

    Raises:
        UserFacingError: it is none.
    """
    try:
        return float(plain(text))
    except ValueError as error:
        raise said("E-POINTS-NUMBER", place, cell=text) from error


@dataclass(slots=True)
class Header:
    """Devices, points and balances of one script.

    Attributes:
        file: its name, for places.
        balances: by name.
    """

    file: str
    balances: dict[str, Balance] = field(default_factory=dict)
    _cells: dict[str, dict[str, str]] = field(default_factory=dict)
    _lines: dict[str, int] = field(default_factory=dict)
    _headings: dict[str, str] = field(default_factory=dict)
    _options: dict[str, tuple[float, bool]] = field(default_factory=dict)
    _balance_lines: dict[str, int] = field(default_factory=dict)

    def take(self, line: int, tokens: Sequence[str]) -> None:
        """One line.

        Args:
            line: its number, above 1.
            tokens: its words, the first one of ``SUBJECTS``.

        Raises:
            UserFacingError: what is wrong with it.
        """
        subject, name, rest = tokens[0], "".join(tokens[1:2]), tokens[2:]
        if not name or "=" in name:
            raise self._mistake(line, "E-SCRIPT-FORM", form=_FORMS[subject])
        known: dict[str, Collection[str]] = {
            "point": self._lines,
            "device": self._options,
            "balance": self.balances,
        }
        if name in known[subject]:
            raise self._mistake(line, "E-SCRIPT-TWICE", name=name)
        if subject == "device":
            self._device(line, name, rest)
        elif subject == "balance":
            self._balance(line, name, rest)
        else:
            self._lines[name] = line
            self._cells[name] = {"device": USUAL_DEVICE, "address": _ADDRESS}
            self.change(line, name, rest)

    def change(self, line: int, tag: str, tokens: Iterable[str]) -> None:
        """Other columns for a point, or more of them.

        Raises:
            UserFacingError: what is wrong with them.
        """
        cells: dict[str, str] = {}
        for token in tokens:
            name, equals, cell = token.partition("=")
            column = column_of(name)
            if not equals or not cell or column is None or column == "tag":
                known = meant(name, tuple(HEADINGS))
                raise self._mistake(line, "E-POINTS-COLUMN-UNKNOWN", name=name, meant=known)
            if column in cells:
                raise self._mistake(line, "E-SCRIPT-TWICE", name=name)
            self._headings.setdefault(column, name)
            cells[column] = cell
        self._cells[tag] |= cells

    def points(self) -> dict[str, list[PointConfig]]:
        """The points as the reader of point tables reads them, by device; headings stand in the title's line.

        Raises:
            UserFileErrors: what is wrong in them.
        """
        if not self._lines:
            raise UserFileErrors([self._mistake(1, "E-SCRIPT-EMPTY")])
        columns = ["tag", "device", "address", *(c for c in self._headings if c not in ("device", "address"))]
        rows: list[list[str]] = [[] for _ in range(max(self._lines.values()))]
        rows[0] = [self._headings.get(column, column) for column in columns]
        for tag, line in self._lines.items():
            rows[line - 1] = [{"tag": tag, **self._cells[tag]}.get(column, "") for column in columns]
        text = io.StringIO(newline="")
        csv.writer(text, lineterminator="\n").writerows(rows)
        names = {cells["device"] for cells in self._cells.values()} | set(self._options)
        periods_s = {name: self._options.get(name, (1.0, False))[0] for name in names}
        known = Known(dict.fromkeys(sorted(names), _takes_every_point), periods_s=periods_s)
        table = read_points(text.getvalue().encode(), self.file, known)
        for error in table.errors:
            error.place = _PLACE.sub(r"\1:\2", error.place)
        unknown = [
            self._mistake(
                self._balance_lines[b.name], "E-SCRIPT-WORD", name=tag, meant=meant(tag, self._lines)
            )
            for b in self.balances.values()
            for tag in (b.level, *b.inflows, *b.outflows)
            if tag not in self._lines
        ]
        if table.errors or unknown:
            raise UserFileErrors([*table.errors, *unknown])
        return table.points

    def devices(self, points: Mapping[str, list[PointConfig]]) -> tuple[WatchedDevice, ...]:
        """The devices of these points; one without points is none."""
        return tuple(
            WatchedDevice(name, tuple(its), *self._options.get(name, (1.0, False)))
            for name, its in points.items()
            if its
        )

    def _device(self, line: int, name: str, tokens: Iterable[str]) -> None:
        period_s, polled = 1.0, False
        for token in tokens:
            word, equals, value = token.partition("=")
            if word == "polled" and not equals:
                polled = True
            elif word == "period" and value:
                period_s = number_of(value, f"{self.file}:{line}")
            else:
                raise self._mistake(line, "E-SCRIPT-FORM", form=_FORMS["device"])
        if not (math.isfinite(period_s) and period_s > 0):
            raise self._mistake(line, "E-SCRIPT-FORM", form=_FORMS["device"])
        self._options[name] = period_s, polled

    def _balance(self, line: int, name: str, tokens: Iterable[str]) -> None:
        fields: dict[str, Any] = {}
        for token in tokens:
            word, _, value = token.partition("=")
            if word == "level":
                fields[word] = value
            elif word in ("inflows", "outflows"):
                fields[word] = tuple(tag for tag in value.split(",") if tag)
            elif word in ("volume_per_unit", "window_s", "tolerance"):
                fields[word] = number_of(value, f"{self.file}:{line}")
            else:
                raise self._mistake(line, "E-SCRIPT-FORM", form=_FORMS["balance"])
        if not fields.get("level") or "volume_per_unit" not in fields:
            raise self._mistake(line, "E-SCRIPT-FORM", form=_FORMS["balance"])
        self._balance_lines[name] = line
        self.balances[name] = Balance(name, **fields)

    def _mistake(self, line: int, code: str, **facts: object) -> UserFacingError:
        return said(code, f"{self.file}:{line}", **facts)


def _takes_every_point(_point: object) -> None:
    """No driver judges the points of a script."""
