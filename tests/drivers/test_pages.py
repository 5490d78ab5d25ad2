"""Every driver's page: its sample is right, and its table of promises says done, todo or exempt because."""

from __future__ import annotations

import csv
import importlib
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import drivers
from drivers.kit.scan import Device, Point

ROOM = Path(drivers.__file__).parent
PAGES = sorted(ROOM.glob("*.md"))
DRIVERS = [page for page in PAGES if page.stem != "README"]
COMMON = {"name", "driver", "period_s", "gb_code"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def options(module: Any, table: dict[str, Any]) -> Any:
    own = {key: value for key, value in table.items() if key not in COMMON}
    paths = {field.name for field in fields(module.Options) if "Path" in str(field.type)}
    return module.Options(**{key: Path(value) if key in paths else value for key, value in own.items()})


def point(row: dict[str, str]) -> Point:
    convert: dict[str, Any] = {"bit": int, "scale": float, "offset": float, "unit_id": int}
    given = {
        key: convert.get(key, str)(cell) for key, cell in row.items() if cell and key not in ("tag", "device")
    }
    return Point(row["tag"], **given)


def test_every_driver_module_has_its_page() -> None:
    modules = {path.stem for path in ROOM.glob("*.py")} - {"__init__"}
    assert modules == {page.stem for page in DRIVERS}


@pytest.mark.parametrize("page", DRIVERS, ids=lambda page: page.stem)
def test_the_sample_is_taken_by_its_driver(page: Path) -> None:
    module = importlib.import_module(f"drivers.{page.stem}")
    (sample,) = blocks(page, "toml")
    ((kind, (table,)),) = tomllib.loads(sample).items()
    assert table["driver"] == page.stem
    chosen = options(module, table)
    assert {field.name for field in fields(module.Options)} <= set(table), "the sample shows every option"
    if kind == "camera":
        module.connect(table["name"], chosen)
        return
    (rows,) = blocks(page, "csv")
    points = tuple(point(row) for row in csv.DictReader(rows.splitlines()))
    assert points
    for one in points:
        module.check_point(one, chosen)
    source = module.connect(Device(table["name"], points), chosen, lambda _: None)
    assert not source.state().connected


@pytest.mark.parametrize("page", DRIVERS, ids=lambda page: page.stem)
def test_the_promises_are_done_to_do_or_exempt_with_a_reason(page: Path) -> None:
    table = page.read_text(encoding="utf-8").split("| Promise | State |\n|---|---|\n")[1]
    states = [line.strip("| ").split(" | ")[1] for line in table.splitlines() if line.startswith("|")]
    assert "done" in states
    assert [state for state in states if not re.fullmatch(r"done|todo|exempt because \w.+", state)] == []


def test_the_rooms_page_names_every_file_of_the_room_and_of_the_kit() -> None:
    for folder in (ROOM, ROOM / "kit"):
        text = (folder / "README.md").read_text(encoding="utf-8")
        names = {path.name for path in folder.glob("*.py")} - {"__init__.py"}
        assert [name for name in sorted(names) if f"`{name}`" not in text] == []
