from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOMS = ("gateway", "drivers", "buffer", "provisioning", "hil")


@pytest.fixture(scope="session")
def rooms() -> tuple[str, ...]:
    return ROOMS


@pytest.fixture(scope="session")
def modules(checkout: Path) -> list[Path]:
    """Every module of every room, relative to the checkout."""
    return sorted(path.relative_to(checkout) for room in ROOMS for path in (checkout / room).rglob("*.py"))


@pytest.fixture(scope="session")
def texts(checkout: Path) -> list[Path]:
    """Every text file that is shipped or kept, relative to the checkout."""
    found = [path for path in checkout.iterdir() if path.is_file()]
    for folder in (*ROOMS, "tests", "systemd", "docs", ".ci"):
        found += [path for path in (checkout / folder).rglob("*") if path.is_file()]
    kinds = {"", ".py", ".md", ".toml", ".sh", ".sql", ".service", ".sysusers", ".tmpfiles", ".csv", ".lock"}
    return sorted(
        path.relative_to(checkout)
        for path in found
        if path.suffix in kinds and not {"__pycache__", ".cache"} & set(path.parts)
    )


@pytest.fixture(scope="session")
def pyproject(checkout: Path) -> dict[str, Any]:
    return tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
