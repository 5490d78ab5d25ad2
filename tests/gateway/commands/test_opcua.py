"""`opcua certs|trust` and `read --browse` as processes, against a real server: nothing is trusted silently."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from rich.console import Console

from drivers.opcua import BrowseRow
from drivers.wire.certificate_files import own_certificate
from gateway.commands import browse
from gateway.errors import Exit
from hil.configuration import write_configuration
from hil.opcua_plc import APPLICATION_URI, CARELESS, NAMESPACE_URI, OpcuaPlc
from hil.pki import Credentials, Validity, opcua_application
from hil.ports import free_port

Ended: TypeAlias = "subprocess.CompletedProcess[str]"
PLANTGATE = (sys.executable, "-c", "from gateway.cli import main; raise SystemExit(main())")
ENVIRONMENT = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}


def plantgate(*words: object, stdin: int = subprocess.DEVNULL) -> Ended:
    command = [*PLANTGATE, *map(str, words)]
    ended = subprocess.run(
        command, stdin=stdin, capture_output=True, encoding="utf-8", timeout=60, env=ENVIRONMENT, check=False
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def typed(text: str, *words: object) -> Ended:
    """The command on a terminal, at which a person types."""
    ours, theirs = pty.openpty()
    try:
        os.write(ours, text.encode() + b"\n")
        return plantgate(*words, stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)


class Bench:
    """Servers, and a loop in which they live while a command runs."""

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

    def on(self, deed: Any, *words: object) -> Ended:
        ended: Ended = self.runner.run(asyncio.to_thread(deed, *words))
        return ended


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with asyncio.Runner() as runner:
        one = Bench(runner, tmp_path_factory.mktemp("pki"))
        yield one
        one.close()


@pytest.fixture
def site(tmp_path: Path, bench: Bench) -> Path:
    """A gateway with the strict server, whose certificate nobody trusts yet."""
    return configured(tmp_path, bench, gds={"url": bench.strict.url})


@pytest.fixture(autouse=True)
def trusted_folder(tmp_path: Path) -> None:
    """A place that the configuration names must be there; the default ones are made."""
    (tmp_path / "trusted").mkdir()


def configured(folder: Path, bench: Bench, **devices: dict[str, Any]) -> Path:
    places = {
        "certificate": bench.folder / "own.der",
        "private_key": bench.folder / "own.key",
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
        ("[[device]]", {"name": name, "driver": "opcua", **places, **keys}) for name, keys in devices.items()
    ]
    rows = [
        {"tag": f"GT-{name}", "device": name, "address": f"nsu={NAMESPACE_URI};s=GT-101"} for name in devices
    ]
    write_configuration(folder, tables, rows)
    return folder


def config(site: Path) -> tuple[object, ...]:
    return ("--config", site / "gateway.toml")


def seen(bench: Bench, site: Path, *words: object) -> tuple[int, dict[str, Any]]:
    ended = bench.on(plantgate, "opcua", "certs", *words, "--json", *config(site))
    return ended.returncode, json.loads(ended.stdout)


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


# --- certs --------------------------------------------------------------------------------------------------


def test_an_unknown_server_is_shown_beside_nothing_and_lands_among_the_rejected(
    bench: Bench, site: Path
) -> None:
    code, found = seen(bench, site)
    assert code == Exit.REFUSED
    [server] = found["servers"]
    assert (server["verdict"], server["trusted"]) == ("untrusted", [])
    assert server["shown"]["fingerprint"] == bench.server.fingerprint
    assert server["shown"]["days_left"] == 29
    [rejected] = found["rejected"]
    assert rejected["fingerprint"] == bench.server.fingerprint
    [own] = found["own"]
    assert own["fingerprint"] == bench.own.fingerprint
    assert own["application_uri"] == "urn:plantgate:test:gateway"
    assert own["days_left"] > 3650


def test_the_screen_shows_both_fingerprints_in_lines_a_person_can_compare(bench: Bench, site: Path) -> None:
    (site / "trusted/other.der").write_bytes((bench.folder / "own.der").read_bytes())
    ended = bench.on(plantgate, "opcua", "certs", *config(site))
    assert ended.returncode == Exit.REFUSED
    lines = ended.stdout.splitlines()
    for at in range(0, 64, 16):
        ours, theirs = (
            " ".join(f[at : at + 16][i : i + 4] for i in range(0, 16, 4)).upper()
            for f in (bench.own.fingerprint, bench.server.fingerprint)
        )
        assert any(ours in line and theirs in line for line in lines), (ours, theirs)
    assert "未信任" in ended.stdout
    assert "plantgate opcua trust gds" in ended.stdout
    assert "还有 29 天" in ended.stdout
    english = bench.on(plantgate, "opcua", "certs", "--lang", "en", *config(site)).stdout
    assert "not trusted, no connection" in english
    assert "29 days left" in english


def test_an_own_certificate_is_made_once(bench: Bench, tmp_path: Path) -> None:
    fresh = {"certificate": tmp_path / "new/own.der", "private_key": tmp_path / "new/own.key"}
    site = configured(tmp_path, bench, gds={"url": bench.strict.url, **fresh})
    _, first = seen(bench, site)
    key = (tmp_path / "new/own.key").read_bytes()
    _, again = seen(bench, site)
    assert first["own"] == again["own"]
    assert first["own"][0]["application_uri"].startswith("urn:")
    assert (tmp_path / "new/own.key").read_bytes() == key
    assert (tmp_path / "new/own.key").stat().st_mode & 0o077 == 0


def test_an_own_certificate_without_its_key_is_7(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "own.der").write_bytes((bench.folder / "own.der").read_bytes())
    lone = {"certificate": tmp_path / "own.der", "private_key": tmp_path / "own.key"}
    site = configured(tmp_path, bench, gds={"url": bench.strict.url, **lone})
    ended = bench.on(plantgate, "opcua", "certs", *config(site))
    assert ended.returncode == Exit.ENVIRONMENT
    assert f"E-CERT-OWN {tmp_path}/own.der" in ended.stderr
    assert not (tmp_path / "own.key").exists()


def test_a_server_that_is_away_is_4_and_spoils_no_other(bench: Bench, tmp_path: Path) -> None:
    away = f"opc.tcp://127.0.0.1:{free_port('127.0.0.1')}/"
    site = configured(tmp_path, bench, gds={"url": bench.strict.url}, away={"url": away})
    code, found = seen(bench, site, "away")
    assert (code, [one["verdict"] for one in found["servers"]]) == (Exit.UNREACHABLE, ["unreachable"])
    code, found = seen(bench, site)
    assert (code, [one["verdict"] for one in found["servers"]]) == (
        Exit.REFUSED,
        ["untrusted", "unreachable"],
    )


def test_an_insecure_server_is_called_so(bench: Bench, tmp_path: Path) -> None:
    site = configured(tmp_path, bench, old={"url": bench.careless.url, "insecure": True})
    code, found = seen(bench, site)
    assert (code, found["servers"][0]["verdict"]) == (Exit.OK, "insecure")


# --- trust --------------------------------------------------------------------------------------------------


def test_without_a_person_and_a_fingerprint_nothing_is_trusted(bench: Bench, site: Path) -> None:
    ended = bench.on(plantgate, "opcua", "trust", "gds", *config(site))
    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert "E-NAME-FINGERPRINT gds：这里没有人可以核对指纹" in ended.stderr
    assert names(site / "trusted") == []


def test_with_the_whole_fingerprint_it_is_moved_to_the_trusted(bench: Bench, site: Path) -> None:
    given = ":".join(bench.server.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    ended = bench.on(plantgate, "opcua", "trust", "gds", "--fingerprint", given, "--json", *config(site))
    assert ended.returncode == Exit.OK, ended.stderr
    told = json.loads(ended.stdout)
    assert told["fingerprint"] == bench.server.fingerprint
    assert names(site / "trusted") == [Path(told["path"]).name]
    assert names(site / "rejected") == []
    code, found = seen(bench, site)
    assert (code, found["servers"][0]["verdict"]) == (Exit.OK, "trusted")
    assert found["servers"][0]["trusted"][0]["fingerprint"] == bench.server.fingerprint
    again = bench.on(plantgate, "opcua", "trust", "gds", *config(site))
    assert again.returncode == Exit.OK
    assert "已经是可信的" in again.stderr


def test_another_fingerprint_is_refused_and_both_are_shown(bench: Bench, site: Path) -> None:
    ended = bench.on(
        plantgate, "opcua", "trust", "gds", "--fingerprint", bench.own.fingerprint, *config(site)
    )
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-FINGERPRINT gds：指纹不符" in ended.stderr
    for fingerprint in (bench.own.fingerprint, bench.server.fingerprint):
        assert " ".join(fingerprint[i : i + 4] for i in range(0, 64, 4)).upper() in ended.stderr
    assert names(site / "trusted") == []


@pytest.mark.parametrize("short", [8, 63])
def test_the_beginning_of_a_fingerprint_does_not_do_in_a_script(bench: Bench, site: Path, short: int) -> None:
    ended = bench.on(
        plantgate, "opcua", "trust", "gds", "--fingerprint", bench.server.fingerprint[:short], *config(site)
    )
    assert ended.returncode == Exit.USAGE
    assert "E-NAME-FINGERPRINT-SHORT" in ended.stderr
    assert names(site / "trusted") == []


@pytest.mark.parametrize("kind", ["sha256", "sha1"])
def test_a_person_compares_and_types_its_beginning(bench: Bench, site: Path, kind: str) -> None:
    mark = hashlib.new(kind, bench.server.certificate_der.read_bytes()).hexdigest()
    ended = bench.on(typed, mark[:10].upper(), "opcua", "trust", "gds", *config(site))
    assert ended.returncode == Exit.OK, ended.stderr
    for at in range(0, len(mark), 4):
        assert mark[at : at + 4].upper() in ended.stderr
    assert "逐位核对" in ended.stderr
    assert len(names(site / "trusted")) == 1


@pytest.mark.parametrize("answer", ["", "y", "yes", "是", "00000000", "deadbeef"])
def test_no_other_answer_of_a_person_trusts(bench: Bench, site: Path, answer: str) -> None:
    ended = bench.on(typed, answer, "opcua", "trust", "gds", *config(site))
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-FINGERPRINT" in ended.stderr
    assert names(site / "trusted") == []


def test_a_certificate_that_came_as_a_file_is_trusted_likewise(bench: Bench, site: Path) -> None:
    words = ("opcua", "trust", bench.server.certificate, *config(site))
    assert bench.on(plantgate, *words).returncode == Exit.USAGE
    ended = bench.on(plantgate, *words, "--fingerprint", bench.server.fingerprint)
    assert ended.returncode == Exit.OK, ended.stderr
    assert bench.server.certificate.exists()
    assert seen(bench, site)[0] == Exit.OK


def test_a_file_that_is_no_certificate_is_refused(bench: Bench, site: Path) -> None:
    (site / "photo.der").write_bytes(b"\xff\xd8 a picture")
    ended = bench.on(
        plantgate, "opcua", "trust", site / "photo.der", "--fingerprint", "0" * 64, *config(site)
    )
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-CERTIFICATE" in ended.stderr


def test_an_expired_certificate_is_not_trusted_by_its_right_fingerprint(bench: Bench, tmp_path: Path) -> None:
    site = configured(tmp_path, bench, old={"url": bench.expired.url})
    code, found = seen(bench, site)
    shown = found["servers"][0]["shown"]
    assert (code, shown["days_left"] < 0) == (Exit.REFUSED, True)
    assert found["servers"][0]["verdict"] == "expired"
    ended = bench.on(plantgate, "opcua", "trust", "old", "--fingerprint", shown["fingerprint"], *config(site))
    assert ended.returncode == Exit.REFUSED
    assert "has expired" in ended.stderr
    assert names(site / "trusted") == []


def test_a_server_without_a_certificate_cannot_be_trusted(bench: Bench, tmp_path: Path) -> None:
    away = f"opc.tcp://127.0.0.1:{free_port('127.0.0.1')}/"
    site = configured(tmp_path, bench, away={"url": away})
    ended = bench.on(plantgate, "opcua", "trust", "away", "--fingerprint", "0" * 64, *config(site))
    assert ended.returncode == Exit.UNREACHABLE
    assert "E-DEVICE-UNREACHABLE away" in ended.stderr


@pytest.mark.parametrize("words", [["opcua", "trust", "gdx"], ["opcua", "certs", "gdx"]])
def test_an_unknown_name_is_2_and_guesses(bench: Bench, site: Path, words: list[str]) -> None:
    ended = bench.on(plantgate, *words, *config(site))
    assert ended.returncode == Exit.USAGE
    assert "是不是“gds”？" in ended.stderr


# --- browsing -----------------------------------------------------------------------------------------------


@pytest.fixture
def trusting(bench: Bench, site: Path) -> Path:
    """The same site, trusting the server."""
    (site / "trusted/plc.der").write_bytes(bench.server.certificate_der.read_bytes())
    return site


def test_browsing_gives_addresses_that_the_point_table_takes(bench: Bench, trusting: Path) -> None:
    ended = bench.on(plantgate, "read", bench.strict.url, "--browse", "--json", *config(trusting))
    assert ended.returncode == Exit.OK, ended.stderr
    nodes = {node["name"]: node for node in json.loads(ended.stdout)["nodes"]}
    assert nodes["GT-101"]["node"] == f"nsu={NAMESPACE_URI};s=GT-101"
    assert (nodes["GT-101"]["type"], nodes["GT-101"]["value"]) == ("Double", 12.5)
    assert (nodes["XG-201"]["type"], nodes["XG-201"]["value"]) == ("Boolean", True)
    rows = [{"tag": "T", "device": "gds", "address": nodes["GT-101"]["node"]}]
    (trusting / "points.csv").write_text("tag,device,address\n" + ",".join(rows[0].values()) + "\n", "utf-8")
    read = bench.on(plantgate, "read", "T", "--json", *config(trusting))
    assert json.loads(read.stdout)["points"][0]["value"] == 12.5


def test_browsing_as_a_table_by_the_devices_name(bench: Bench, trusting: Path) -> None:
    ended = bench.on(plantgate, "read", "gds", "--browse", *config(trusting))
    assert ended.returncode == Exit.OK, ended.stderr
    line = next(line for line in ended.stdout.splitlines() if "GT-101" in line)
    assert line.split() == [f"nsu={NAMESPACE_URI};s=GT-101", "GT-101", "Double", "12.5", "Good"]
    assert "可直接粘贴到点表" in ended.stderr
    assert bench.strict.writes_seen == 0


def test_where_addresses_do_not_fit_they_stand_on_lines_of_their_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    long = 'nsu=urn:x;s="DB_Tankfarm"."Tank"[101]."Level"."Value".' + "x" * 80
    row = BrowseRow(long, 1, "Value", "variable", "Float", 4.75, "Good")
    browse.show([row], Console(width=80), "zh")
    assert capsys.readouterr().out.splitlines() == ["Value  Float  4.75  Good", long]


def test_browsing_from_a_root(bench: Bench, trusting: Path) -> None:
    root = f"nsu={NAMESPACE_URI};s=GT-101"
    ended = bench.on(
        plantgate, "read", "gds", "--browse", "--root", root, "--depth", 1, "--json", *config(trusting)
    )
    assert (ended.returncode, json.loads(ended.stdout)["nodes"]) == (Exit.OK, [])
    ended = bench.on(plantgate, "read", "gds", "--browse", "--root", "GT-101", *config(trusting))
    assert ended.returncode == Exit.USAGE
    assert "E-NAME-BROWSE GT-101" in ended.stderr


def test_browsing_a_server_nobody_trusts_is_5_and_says_how_to_trust(bench: Bench, site: Path) -> None:
    ended = bench.on(plantgate, "read", bench.strict.url, *config(site))
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-SERVER gds" in ended.stderr
    assert "plantgate opcua trust" in ended.stderr


def test_browsing_nothing_is_2(site: Path) -> None:
    ended = plantgate("read", "--browse", *config(site))
    assert ended.returncode == Exit.USAGE
    assert "E-NAME-BROWSE" in ended.stderr
