"""`opcua certs|trust` as processes, against real servers: fingerprints side by side, nothing trusted silently."""

import hashlib
import json
from pathlib import Path

import pytest

from gateway.errors import Exit
from hil.ports import free_port


def names(folder):
    return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


# --- certs --------------------------------------------------------------------------------------------------


def test_an_unknown_server_is_shown_beside_nothing_and_lands_among_the_rejected(bench, gds):
    code, found = bench.certs(gds)
    assert code == Exit.REFUSED
    [server] = found["servers"]
    assert (server["verdict"], server["trusted"]) == ("untrusted", [])
    assert server["shown"]["fingerprint"] == bench.server.fingerprint
    assert server["shown"]["days_left"] == 89
    [rejected] = found["rejected"]
    assert rejected["fingerprint"] == bench.server.fingerprint
    [own] = found["own"]
    assert own["fingerprint"] == bench.own.fingerprint
    assert own["application_uri"] == "urn:plantgate:test:gateway"
    assert own["days_left"] > 3650


def test_the_screen_shows_both_fingerprints_in_lines_a_person_can_compare(bench, gds):
    (gds / "trusted/other.der").write_bytes((bench.folder / "own.der").read_bytes())
    ended = bench.run(gds, "opcua", "certs")
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
    assert "还有 89 天" in ended.stdout
    english = bench.run(gds, "opcua", "certs", "--lang", "en").stdout
    assert "not trusted, no connection" in english
    assert "89 days left" in english


def test_an_own_certificate_is_made_once(bench, tmp_path):
    fresh = {"certificate": tmp_path / "new/own.der", "private_key": tmp_path / "new/own.key"}
    site = bench.configured(tmp_path, gds={"url": bench.strict.url, **fresh})
    _, first = bench.certs(site)
    key = (tmp_path / "new/own.key").read_bytes()
    _, again = bench.certs(site)
    assert first["own"] == again["own"]
    assert first["own"][0]["application_uri"].startswith("urn:")
    assert (tmp_path / "new/own.key").read_bytes() == key
    assert (tmp_path / "new/own.key").stat().st_mode & 0o077 == 0


def test_an_own_certificate_without_its_key_is_7(bench, tmp_path):
    (tmp_path / "own.der").write_bytes((bench.folder / "own.der").read_bytes())
    lone = {"certificate": tmp_path / "own.der", "private_key": tmp_path / "own.key"}
    site = bench.configured(tmp_path, gds={"url": bench.strict.url, **lone})
    ended = bench.run(site, "opcua", "certs")
    assert ended.returncode == Exit.ENVIRONMENT
    assert f"E-CERT-OWN {tmp_path}/own.der" in ended.stderr
    assert not (tmp_path / "own.key").exists()


def test_a_server_that_is_away_is_4_and_spoils_no_other(bench, tmp_path):
    away = f"opc.tcp://127.0.0.1:{free_port('127.0.0.1')}/"
    site = bench.configured(tmp_path, gds={"url": bench.strict.url}, away={"url": away})
    code, found = bench.certs(site, "away")
    assert (code, [one["verdict"] for one in found["servers"]]) == (Exit.UNREACHABLE, ["unreachable"])
    code, found = bench.certs(site)
    assert (code, [one["verdict"] for one in found["servers"]]) == (
        Exit.REFUSED,
        ["untrusted", "unreachable"],
    )


def test_an_insecure_server_is_called_so(bench, tmp_path):
    site = bench.configured(tmp_path, old={"url": bench.careless.url, "insecure": True})
    code, found = bench.certs(site)
    assert (code, found["servers"][0]["verdict"]) == (Exit.OK, "insecure")


# --- trust --------------------------------------------------------------------------------------------------


def test_without_a_person_and_a_fingerprint_nothing_is_trusted(bench, gds):
    ended = bench.run(gds, "opcua", "trust", "gds")
    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert "E-NAME-FINGERPRINT gds：这里没有人可以核对指纹" in ended.stderr
    assert names(gds / "trusted") == []


def test_with_the_whole_fingerprint_it_is_moved_to_the_trusted(bench, gds):
    given = ":".join(bench.server.fingerprint[i : i + 2] for i in range(0, 64, 2)).upper()
    ended = bench.run(gds, "opcua", "trust", "gds", "--fingerprint", given, "--json")
    assert ended.returncode == Exit.OK, ended.stderr
    told = json.loads(ended.stdout)
    assert told["fingerprint"] == bench.server.fingerprint
    assert names(gds / "trusted") == [Path(told["path"]).name]
    assert names(gds / "rejected") == []
    code, found = bench.certs(gds)
    assert (code, found["servers"][0]["verdict"]) == (Exit.OK, "trusted")
    assert found["servers"][0]["trusted"][0]["fingerprint"] == bench.server.fingerprint
    again = bench.run(gds, "opcua", "trust", "gds")
    assert again.returncode == Exit.OK
    assert "已经是可信的" in again.stderr


def test_another_fingerprint_is_refused_and_both_are_shown(bench, gds):
    ended = bench.run(gds, "opcua", "trust", "gds", "--fingerprint", bench.own.fingerprint)
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-FINGERPRINT gds：指纹不符" in ended.stderr
    for fingerprint in (bench.own.fingerprint, bench.server.fingerprint):
        assert " ".join(fingerprint[i : i + 4] for i in range(0, 64, 4)).upper() in ended.stderr
    assert names(gds / "trusted") == []


@pytest.mark.parametrize("short", [8, 32, 63])
def test_the_beginning_of_a_fingerprint_does_not_do_in_a_script(bench, gds, short):
    ended = bench.run(gds, "opcua", "trust", "gds", "--fingerprint", bench.server.fingerprint[:short])
    assert ended.returncode == Exit.USAGE
    assert "E-NAME-FINGERPRINT-SHORT" in ended.stderr
    assert names(gds / "trusted") == []


@pytest.mark.parametrize("kind", ["sha256", "sha1"])
def test_a_person_compares_and_types_its_beginning(bench, gds, kind):
    mark = hashlib.new(kind, bench.server.certificate_der.read_bytes()).hexdigest()
    ended = bench.run(
        gds, "opcua", "trust", "gds", typed=" ".join(mark[:32][i : i + 4] for i in range(0, 32, 4)).upper()
    )
    assert ended.returncode == Exit.OK, ended.stderr
    for at in range(0, len(mark), 4):
        assert mark[at : at + 4].upper() in ended.stderr
    assert "逐位核对" in ended.stderr
    assert len(names(gds / "trusted")) == 1


@pytest.mark.parametrize("answer", ["", "是", "deadbeef" * 4, 31])
def test_no_other_answer_of_a_person_trusts(bench, gds, answer):
    """A number: so many right digits, which are too few."""
    typed = bench.server.fingerprint[:answer] if isinstance(answer, int) else answer
    ended = bench.run(gds, "opcua", "trust", "gds", typed=typed)
    assert ended.returncode == Exit.REFUSED
    word = "E-REFUSED-FINGERPRINT" if len(typed) >= 32 else "32 hex digits"
    assert word in ended.stderr
    assert names(gds / "trusted") == []


def test_a_certificate_that_came_as_a_file_is_trusted_likewise(bench, gds):
    words = ("opcua", "trust", bench.server.certificate)
    assert bench.run(gds, *words).returncode == Exit.USAGE
    ended = bench.run(gds, *words, "--fingerprint", bench.server.fingerprint)
    assert ended.returncode == Exit.OK, ended.stderr
    assert bench.server.certificate.exists()
    assert bench.certs(gds)[0] == Exit.OK


def test_a_file_that_is_no_certificate_is_refused(bench, gds):
    (gds / "photo.der").write_bytes(b"\xff\xd8 a picture")
    ended = bench.run(gds, "opcua", "trust", gds / "photo.der", "--fingerprint", "0" * 64)
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-CERTIFICATE" in ended.stderr


def test_an_expired_certificate_is_not_trusted_by_its_right_fingerprint(bench, tmp_path):
    site = bench.configured(tmp_path, old={"url": bench.expired.url})
    code, found = bench.certs(site)
    shown = found["servers"][0]["shown"]
    assert (code, shown["days_left"] < 0) == (Exit.REFUSED, True)
    assert found["servers"][0]["verdict"] == "expired"
    ended = bench.run(site, "opcua", "trust", "old", "--fingerprint", shown["fingerprint"])
    assert ended.returncode == Exit.REFUSED
    assert "has expired" in ended.stderr
    assert names(site / "trusted") == []


def test_a_server_without_a_certificate_cannot_be_trusted(bench, tmp_path):
    away = f"opc.tcp://127.0.0.1:{free_port('127.0.0.1')}/"
    site = bench.configured(tmp_path, away={"url": away})
    ended = bench.run(site, "opcua", "trust", "away", "--fingerprint", "0" * 64)
    assert ended.returncode == Exit.UNREACHABLE
    assert "E-DEVICE-UNREACHABLE away" in ended.stderr


@pytest.mark.parametrize("words", [["opcua", "trust", "gdx"], ["opcua", "certs", "gdx"]])
def test_an_unknown_name_is_2_and_guesses(bench, gds, words):
    ended = bench.run(gds, *words)
    assert ended.returncode == Exit.USAGE
    assert "是不是“gds”？" in ended.stderr
