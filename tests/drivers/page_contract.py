"""What every driver's page must hold: what it reads, a sample that the gateway takes, limits, promises."""

from __future__ import annotations

import importlib
import re
import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from gateway.config import load
from gateway.plant import Config

COMMON = {"name", "driver", "period_s", "gb_code"}
"""Keys of a device's or camera's table that are the gateway's own."""
HOUSE = '[site]\nid = "s"\n[gateway]\nid = "g"\n'
SPARE_DEVICE = '[[device]]\nname = "spare"\ndriver = "host"\n'
SPARE_TABLE = "tag,device,address\nSPARE,spare,cpu.load\n"
"""A gateway has at least one device with a point, a camera's page has none."""
STATE = re.compile(r"done|todo|exempt because \w.+")
SECTIONS = ["Sample", "Limits", "Quality"]


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def sections(page: Path) -> list[str]:
    return re.findall(r"^## (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)


def configured(page: Path, folder: Path) -> list[Config]:
    """The page's samples as a gateway reads them: all its tables of gateway.toml with each of its point tables."""
    tables = "\n".join(blocks(page, "toml"))
    point_tables = blocks(page, "csv")
    if "[[device]]" not in tables:
        tables, point_tables = tables + SPARE_DEVICE, [SPARE_TABLE]
    (folder / "gateway.toml").write_text(HOUSE + tables, encoding="utf-8")
    taken = []
    for rows in point_tables:
        (folder / "points.csv").write_text(rows, encoding="utf-8")
        taken.append(load(folder / "gateway.toml"))
    return taken


def has_its_parts(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(f"# {page.stem}\n\n"), "the title is the driver's name"
    lead = text.split("\n\n")[1]
    assert len(lead) > 40, f"it says what it reads, before anything else: {lead}"
    assert [part for part in SECTIONS if part not in sections(page)] == []
    assert "\n- " in text.split("\n## Limits\n")[1].split("\n## ")[0], "its limits are a list"
    assert "Parallel requests:" in text, "it says how many requests at a time its device stands"


def samples_are_taken(page: Path, folder: Path) -> None:
    module = importlib.import_module(f"drivers.{page.stem}")
    configs = configured(page, folder)
    assert configs, "there is a sample"
    for config in configs:
        for device in config.devices:
            if device.driver == page.stem:
                source = module.connect(device.device, device.options, lambda _: None)
                assert not source.state().connected
        for camera in config.cameras:
            module.connect(camera.name, camera.options)
    read = [
        device
        for config in configs
        for device in config.devices
        if device.driver == page.stem and device.points
    ]
    assert read or any(config.cameras for config in configs), "a sample has points of this driver"


def sample_shows_every_option(page: Path) -> None:
    module = importlib.import_module(f"drivers.{page.stem}")
    shown: set[str] = set()
    for block in blocks(page, "toml"):
        tables: dict[str, list[dict[str, Any]]] = tomllib.loads(block)
        shown |= {key for rows in tables.values() for row in rows for key in row}
    options = {field.name for field in fields(module.Options)}
    assert sorted(options - shown) == [], "options that no sample shows"
    assert sorted(shown - options - COMMON) == [], "keys that are no options"


def promises(page: Path) -> dict[str, str]:
    """The table at its foot."""
    foot = page.read_text(encoding="utf-8").split("| Promise | State |\n|---|---|\n")[1]
    rows: list[list[str]] = [
        line.strip("| ").split(" | ") for line in foot.splitlines() if line.startswith("|")
    ]
    assert all(len(row) == 2 for row in rows), rows
    return dict(rows)


def promises_are_told(page: Path) -> None:
    told = promises(page)
    assert "done" in told.values()
    assert {promise: state for promise, state in told.items() if not STATE.fullmatch(state)} == {}
