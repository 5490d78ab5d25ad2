"""Writes what a technician would write: gateway.toml and points.csv. Pure but for the two files it writes."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from gateway.columns import HEADINGS

Row: TypeAlias = Mapping[str, object]
"""A row of the point table: column (a key of ``gateway.columns.HEADINGS``) -> cell."""

Table: TypeAlias = Mapping[str, Any]
"""A table of gateway.toml: key -> text, number, boolean, path, or a list of these."""

CONFIGURATION: Final = "gateway.toml"
POINTS: Final = "points.csv"


def write_configuration(folder: Path, tables: Sequence[tuple[str, Table]], rows: Sequence[Row]) -> Path:
    """Write both files, the point table with the Chinese headings and in the encoding that Excel writes.

    Args:
        folder: where.
        tables: header as it stands in the file, e.g. ``[site]`` or ``[[device]]``, and its keys.
        rows: the point table.

    Returns:
        the path of gateway.toml.
    """
    path = folder / CONFIGURATION
    sections = [
        "\n".join([header, *(_line(key, value) for key, value in keys.items())]) for header, keys in tables
    ]
    path.write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    columns = [column for column in HEADINGS if any(column in row for row in rows)]
    with (folder / POINTS).open("w", encoding="gb18030", newline="") as file:
        table = csv.writer(file)
        table.writerow([HEADINGS[column][0] for column in columns])
        table.writerows([[row.get(column, "") for column in columns] for row in rows])
    return path


def _line(key: str, value: object) -> str:
    return f"{key} = {_value(value)}"


def _value(value: object) -> str:
    # A JSON string, number, boolean or list of these is TOML too.
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_value(one) for one in value) + "]"
    return json.dumps(value, ensure_ascii=False)
