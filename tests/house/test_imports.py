from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import grimp
import pytest

BREACHES = {
    "a driver that knows the spool": ("drivers/planted.py", "import buffer.record"),
    "a shell of the drivers that knows one of them": ("drivers/wire/planted.py", "import drivers.modbus"),
    "a shell of the drivers that knows the house": ("drivers/wire/planted.py", "import gateway.errors"),
    "a spool that knows readings": ("buffer/planted.py", "import drivers.kit.scan"),
    "a gateway that knows the bench": ("gateway/planted.py", "import hil"),
    "a bench that knows provisioning": ("hil/planted.py", "import provisioning"),
    "a core that reads a clock": ("drivers/kit/planted.py", "import time"),
    "a core that logs": ("gateway/alarm/planted.py", "import logging"),
    "a core that reaches a thread through a shell": ("gateway/alarm/planted.py", "import gateway.outputs"),
    "a dialect that opens a socket": ("gateway/uplink/dialects/planted.py", "import socket"),
    "a second driver on pymodbus": ("drivers/planted.py", "import pymodbus"),
    "a second file on asyncua": ("gateway/planted.py", "import asyncua"),
    "a second file on paho": ("gateway/uplink/planted.py", "import paho.mqtt.client"),
    "a second file on libgpiod": ("gateway/planted.py", "import gpiod"),
    "a second file on SQLite": ("gateway/planted.py", "import sqlite3"),
    "a second user of the driver next door": ("drivers/planted.py", "import drivers.modbus"),
    "a second file that wires everything": ("gateway/planted.py", "import gateway.app"),
}


def _contracts(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copy(checkout: Path, rooms: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(checkout / "pyproject.toml", folder)
    for room in rooms:
        shutil.copytree(checkout / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def test_the_contracts_hold(checkout: Path):
    done = _contracts(checkout)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("breach", BREACHES)
def test_a_planted_breach_is_caught(breach: str, copy: Path):
    place, line = BREACHES[breach]
    planted = copy / place
    planted.write_text(f"{line}\n", encoding="utf-8")
    try:
        done = _contracts(copy)
    finally:
        planted.unlink()
    assert done.returncode == 1
    assert "BROKEN" in done.stdout, done.stdout
    assert "planted" in done.stdout


def _chains(graph: grimp.ImportGraph, module: str, forbidden: set[str]) -> list[str]:
    chains = (graph.find_shortest_chain(module, library) for library in sorted(forbidden & graph.modules))
    return [" -> ".join(chain) for chain in chains if chain]


@pytest.fixture(scope="module")
def graph(rooms: tuple[str, ...]) -> grimp.ImportGraph:
    return grimp.build_graph(*rooms, include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def impure(pyproject: dict[str, Any]) -> set[str]:
    """What the contract of the pure cores forbids."""
    contracts = pyproject["tool"]["importlinter"]["contracts"]
    (cores,) = (contract for contract in contracts if contract["name"].startswith("pure cores"))
    return set(cores["forbidden_modules"])


def test_a_module_that_calls_itself_pure_is_pure(
    checkout: Path, modules: list[Path], graph: grimp.ImportGraph, impure: set[str]
):
    claiming = [
        path
        for path in modules
        if re.search(
            r"\b[Pp]ure\b(?! but)", (checkout / path).read_text(encoding="utf-8").partition("\n\n")[0]
        )
    ]
    assert len(claiming) > 10
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in claiming]
    chains = [chain for name in names for chain in _chains(graph, name, impure)]
    assert not chains, "\n".join(chains)


def test_that_rule_can_fail(graph: grimp.ImportGraph, impure: set[str]):
    assert _chains(graph, "gateway.clock", impure) == ["gateway.clock -> time"]
