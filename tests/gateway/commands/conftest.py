"""Real OPC UA servers, and the command line as a process beside them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from drivers.wire.certificate_files import own_certificate
from hil.configuration import write_configuration
from hil.opcua_plc import APPLICATION_URI, CARELESS, NAMESPACE_URI, OpcuaPlc
from hil.pki import Credentials, Validity, opcua_application

Ended: TypeAlias = "subprocess.CompletedProcess[str]"
PLANTGATE = (sys.executable, "-c", "from gateway.cli import main; raise SystemExit(main())")
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}


class OpcuaBench:
    """Servers, a loop in which they live while a command runs, and the gateway's own certificate."""

    def __init__(self, runner: asyncio.Runner, folder: Path) -> None:
        self.runner = runner
        own = own_certificate(folder / "own.der", folder / "own.key", "urn:plantgate:test:gateway")
        assert own.facts is not None
        self.own = own.facts
        self.folder = folder
        self.server = opcua_application(folder, "plc", APPLICATION_URI)
        self.strict = self._plc(self.server)
        self.careless = self._plc(self.server, policies=CARELESS)
        self.expired = self._plc(opcua_application(folder, "old", APPLICATION_URI, validity=Validity.EXPIRED))

    def _plc(self, credentials: Credentials, **kinds: Any) -> OpcuaPlc:
        plc = OpcuaPlc(credentials, [self.own.fingerprint], gas=["GT-101"], contacts=["XG-201"], **kinds)
        self.runner.run(plc.start({"GT-101": 12.5, "XG-201": True}))
        return plc

    def close(self) -> None:
        for plc in (self.strict, self.careless, self.expired):
            self.runner.run(plc.close())

    def configured(self, folder: Path, **devices: dict[str, Any]) -> Path:
        """A gateway that follows these and trusts nobody yet."""
        (folder / "trusted").mkdir()  # a place that the configuration names must be there
        places = {
            "certificate": self.folder / "own.der",
            "private_key": self.folder / "own.key",
            "trusted": folder / "trusted",
            "rejected": folder / "rejected",
        }
        tables: list[tuple[str, dict[str, Any]]] = [
            ("[site]", {"id": "site-1", "points": "points.csv"}),
            ("[gateway]", {"id": "gw-1"}),
            ("[storage]", {"folder": folder / "state"}),
            ("[runtime]", {"folder": folder / "run"}),
        ]
        tables += [
            ("[[device]]", {"name": name, "driver": "opcua", **places, **keys})
            for name, keys in devices.items()
        ]
        rows = [
            {"tag": f"GT-{name}", "device": name, "address": f"nsu={NAMESPACE_URI};s=GT-101"}
            for name in devices
        ]
        write_configuration(folder, tables, rows)
        return folder

    def run(self, site: Path, *words: object, typed: str | None = None) -> Ended:
        """``plantgate`` with the site's configuration; ``typed`` is what a person types at a terminal."""
        words = (*words, "--config", site / "gateway.toml")
        ended = self.runner.run(asyncio.to_thread(self._plantgate, words, typed))
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended

    def certs(self, site: Path, *words: object) -> tuple[int, dict[str, Any]]:
        """Exit code and JSON of ``opcua certs``."""
        ended = self.run(site, "opcua", "certs", *words, "--json")
        return ended.returncode, json.loads(ended.stdout)

    @staticmethod
    def _plantgate(words: tuple[object, ...], typed: str | None) -> Ended:
        ours, theirs = pty.openpty()
        try:
            os.write(ours, f"{typed}\n".encode())
            return subprocess.run(
                [*PLANTGATE, *map(str, words)],
                stdin=subprocess.DEVNULL if typed is None else theirs,
                capture_output=True,
                encoding="utf-8",
                timeout=60,
                env=ENVIRONMENT,
                check=False,
            )
        finally:
            os.close(ours)
            os.close(theirs)


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpcuaBench]:
    """Three servers: strict, careless, with an expired certificate."""
    with asyncio.Runner() as runner:
        one = OpcuaBench(runner, tmp_path_factory.mktemp("pki"))
        yield one
        one.close()


@pytest.fixture
def gds(tmp_path: Path, bench: OpcuaBench) -> Path:
    """A gateway with the strict server, whose certificate nobody trusts yet."""
    return bench.configured(tmp_path, gds={"url": bench.strict.url})
