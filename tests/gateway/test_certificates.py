"""Certificates, keys and secrets: each way to be wrong is one clear error."""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form

from drivers.kit import ua_options
from drivers.kit.scan import Device
from drivers.kit.ua_options import Options as UaOptions
from drivers.wire.certificate_files import own_certificate
from gateway.certificates import certificate_mistakes, ending_soon, nothing_trusted, recipients_ending, unseen
from gateway.errors import Exit
from gateway.plant import CameraConfig, Config, DeviceConfig, RecipientConfig, StorageConfig
from hil.pki import Authority, Credentials, Validity, opcua_application

NOW = dt.datetime.now(dt.UTC)
P_256, SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")
"""Curves, as they stand in a certificate and in a key."""


def config_of(folder: Path, ca: Path, own: Credentials, **more: object) -> Config:
    recipient = RecipientConfig("province", "localhost", ca, own.certificate, own.key)
    return Config(
        "rev",
        "s",
        "g",
        "zh",
        StorageConfig(folder),
        folder,
        recipients=(recipient,),
        **{"devices": (), **more},
    )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "pki")


def codes(config: Config) -> list[tuple[str, str]]:
    errors = certificate_mistakes(config, NOW)
    assert all(error.exit_code is Exit.ENVIRONMENT for error in errors)
    assert all(error.line("zh") and error.line("en") for error in errors)
    return [(error.code, Path(error.place).name) for error in errors]


def test_good_ones_are_good(tmp_path: Path, authority: Authority) -> None:
    assert codes(config_of(tmp_path, authority.ca_file, authority.client("gw"))) == []


@pytest.mark.parametrize(
    ("validity", "code"), [(Validity.EXPIRED, "E-CERT-EXPIRED"), (Validity.NOT_YET, "E-CERT-NOT-YET")]
)
def test_dates(tmp_path: Path, authority: Authority, validity: Validity, code: str) -> None:
    own = authority.client("gw", validity=validity)
    config = config_of(tmp_path, authority.ca_file, own)
    assert codes(config) == [(code, own.certificate.name)]
    [error] = certificate_mistakes(config, NOW)
    assert "CN=gw" in error.line("en")
    assert "timedatectl" in error.line("zh")


def test_an_expired_ca(tmp_path: Path, authority: Authority) -> None:
    config = config_of(tmp_path, authority.ca_file, authority.client("gw"))
    late = NOW + dt.timedelta(days=365)
    assert {error.code for error in certificate_mistakes(config, late)} == {"E-CERT-EXPIRED"}
    assert len(certificate_mistakes(config, late)) == 2


def test_missing_files_are_named_once_each(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw")
    own.certificate.unlink()
    own.key.unlink()
    assert sorted(codes(config_of(tmp_path, tmp_path / "no-ca", own))) == sorted(
        [("E-CERT-MISSING", name) for name in ("no-ca", own.certificate.name, own.key.name)]
    )


def test_garbage(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw")
    own.certificate.write_text("-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n")
    assert codes(config_of(tmp_path, authority.ca_file, own)) == [("E-CERT-FORMAT", own.certificate.name)]
    own.key.write_bytes(b"\x00\x01")
    assert ("E-CERT-KEY-FORMAT", own.key.name) in codes(config_of(tmp_path, authority.ca_file, own))


def test_a_foreign_key(tmp_path: Path, authority: Authority) -> None:
    own, other = authority.client("gw"), authority.client("other")
    own.key.write_bytes(other.key.read_bytes())
    assert codes(config_of(tmp_path, authority.ca_file, own)) == [("E-CERT-KEY-OTHER", own.key.name)]


def test_a_pair_of_a_curve_that_is_not_known_here(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw")
    key = form.load_pem_private_key(own.key.read_bytes(), None)
    own.certificate.write_bytes(own.certificate_der.read_bytes().replace(P_256, SM2))
    assert codes(config_of(tmp_path, authority.ca_file, own)) == [("E-CERT-KEY-OTHER", own.key.name)]
    der = key.private_bytes(form.Encoding.DER, form.PrivateFormat.PKCS8, form.NoEncryption())
    own.key.write_bytes(der.replace(P_256, SM2))
    assert codes(config_of(tmp_path, authority.ca_file, own)) == [("E-CERT-KEY-FORMAT", own.key.name)]


def test_a_key_with_a_passphrase(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw")
    key = form.load_pem_private_key(own.key.read_bytes(), None)
    locked = form.BestAvailableEncryption(b"x")
    own.key.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, locked))
    assert codes(config_of(tmp_path, authority.ca_file, own)) == [("E-CERT-KEY-ENCRYPTED", own.key.name)]


@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_others_can_read(tmp_path: Path, authority: Authority, mode: int) -> None:
    own = authority.client("gw")
    own.key.chmod(mode)
    config = config_of(tmp_path, authority.ca_file, own)
    assert codes(config) == [("E-CERT-KEY-OPEN", own.key.name)]
    assert f"{mode:04o}" in certificate_mistakes(config, NOW)[0].line("zh")


@dataclass(frozen=True)
class OptionsWithFiles:
    certificate: Path
    private_key: Path
    trusted: Path


@dataclass(frozen=True)
class OptionsWithPassword:
    password_file: Path


def test_a_devices_own_files_are_judged_too(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw", validity=Validity.EXPIRED)
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    password = tmp_path / "password"
    password.write_text("x")
    password.chmod(0o644)
    options = OptionsWithFiles(own.certificate_der, own.key, trusted)
    config = config_of(
        tmp_path,
        authority.ca_file,
        authority.client("up"),
        devices=(DeviceConfig(Device("plc", ()), "opcua", options, ()),),
        cameras=(CameraConfig("cam", "camera", OptionsWithPassword(password)),),
    )
    assert codes(config) == [
        ("E-CERT-TRUST-EMPTY", "trusted"),
        ("E-CERT-EXPIRED", own.certificate_der.name),
        ("E-CERT-KEY-OPEN", "password"),
    ]


def ua(folder: Path, **more: object) -> UaOptions:
    places = {"trusted": folder / "trusted", "rejected": folder / "rejected"}
    return UaOptions(url="opc.tcp://127.0.0.1", **{**places, **more})  # type: ignore[arg-type]


def test_a_server_that_nobody_trusts_yet_is_no_mistake(tmp_path: Path, authority: Authority) -> None:
    options = ua(tmp_path)
    config = config_of(
        tmp_path,
        authority.ca_file,
        authority.client("up"),
        devices=(DeviceConfig(Device("gds", ()), "opcua", options, ()),),
    )
    assert (codes(config), nothing_trusted(config)) == ([], ["gds"])
    (tmp_path / "trusted").mkdir()
    assert (codes(config), nothing_trusted(config)) == ([], ["gds"])
    old = authority.server("old", validity=Validity.EXPIRED).certificate_der
    (tmp_path / "trusted" / "gds.der").write_bytes(old.read_bytes())
    assert (codes(config), nothing_trusted(config)) == ([("E-CERT-EXPIRED", "gds.der")], [])


def test_the_gateways_own_pair_and_its_user_of_opc_ua_are_judged(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ua_options, "FOLDER", tmp_path / "opcua")
    user, other = authority.client("user", validity=Validity.EXPIRED), authority.client("other")
    other.key.chmod(0o644)
    how = {"identity": "certificate", "user_certificate": user.certificate, "user_key": other.key}
    config = config_of(
        tmp_path,
        authority.ca_file,
        authority.client("up"),
        devices=(DeviceConfig(Device("gds", ()), "opcua", ua(tmp_path, **how), ()),),
    )
    wrong_user = [
        ("E-CERT-EXPIRED", user.certificate.name),
        ("E-CERT-KEY-OPEN", other.key.name),
        ("E-CERT-KEY-OTHER", other.key.name),
    ]
    assert codes(config) == wrong_user
    own_certificate(tmp_path / "opcua" / "own.der", tmp_path / "opcua" / "own.key")
    assert codes(config) == wrong_user
    (tmp_path / "opcua" / "own.key").write_bytes(other.key.read_bytes())
    assert codes(config) == [("E-CERT-KEY-OTHER", "own.key"), *wrong_user]
    (tmp_path / "opcua" / "own.key").unlink()
    assert codes(config) == [("E-CERT-MISSING", "own.key"), *wrong_user]


def test_one_that_ends_soon_is_mentioned_but_not_wrong(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw")
    config = config_of(tmp_path, authority.ca_file, own)
    soon = NOW + dt.timedelta(days=65)
    assert {ending.path for ending in ending_soon(config, soon)} == {own.certificate, authority.ca_file}
    assert ending_soon(config, NOW) == []


@pytest.mark.parametrize(
    ("in_days", "soon", "urgent"),
    [
        (59, "", ""),
        (61, "gw.pem ends on ", ""),
        (84, "gw.pem ends on ", ": renew it now"),
        (91, "gw.pem has expired on ", ": renew it now"),
    ],
)
def test_what_ends_of_a_recipients_line_is_told_and_told_again_as_another_part_when_it_is_urgent(
    tmp_path: Path, authority: Authority, in_days: float, soon: str, urgent: str
) -> None:
    own = authority.client("gw")
    config = config_of(
        tmp_path, own.certificate, own
    )  # as its own anchor: the file that is named is this one
    found = recipients_ending(config, NOW + dt.timedelta(days=in_days, hours=1))
    assert found.keys() == {"certificate/province", "certificate-urgent/province"}
    assert soon in found["certificate/province"]
    assert bool(soon) == bool(found["certificate/province"])
    assert found["certificate-urgent/province"] == (found["certificate/province"] + urgent if urgent else "")


def test_an_anchor_that_ends_is_told_and_a_file_that_cannot_be_read_is_anothers_matter(
    tmp_path: Path, authority: Authority
) -> None:
    own = authority.client("gw")
    later = NOW + dt.timedelta(days=80)
    own.certificate.write_text("garbage")
    found = recipients_ending(config_of(tmp_path, authority.ca_file, own), later)
    assert authority.ca_file.name in found["certificate/province"]
    absent = config_of(tmp_path, tmp_path / "absent.pem", own)
    assert not any(recipients_ending(absent, later).values())


def test_a_file_that_cannot_be_read(tmp_path: Path, authority: Authority) -> None:
    own = authority.client("gw")
    own.key.unlink()
    own.key.mkdir(mode=0o700)
    assert codes(config_of(tmp_path, authority.ca_file, own)) == [("E-CERT-UNREADABLE", own.key.name)]


def test_credentials_of_a_service_that_does_not_run_are_named_not_blamed(
    tmp_path: Path, authority: Authority
) -> None:
    own = authority.client("gw")
    hidden = Path("/run/credentials/plantgate.service/key")
    config = config_of(
        tmp_path, authority.ca_file, Credentials(own.certificate, hidden, own.certificate_der, "")
    )
    assert codes(config) == []
    assert unseen(config) == [hidden]


def test_the_certificate_that_verifies_orders_is_judged_too(tmp_path: Path, authority: Authority) -> None:
    good, own = authority.client("orders"), authority.client("gw")
    base = config_of(tmp_path, authority.ca_file, own)

    def with_orders(path: Path) -> Config:
        return replace(base, recipients=(replace(base.recipients[0], orders_certificate=path),))

    assert base.orders_certificates == {}
    assert with_orders(good.certificate).orders_certificates == {"province": good.certificate}
    assert codes(with_orders(good.certificate)) == []
    soon = NOW + dt.timedelta(days=63)
    assert good.certificate in [ending.path for ending in ending_soon(with_orders(good.certificate), soon)]
    old = authority.client("old", validity=Validity.EXPIRED)
    assert codes(with_orders(old.certificate)) == [("E-CERT-EXPIRED", "old.pem")]
    rsa = opcua_application(tmp_path / "rsa", "rsa", "urn:x")
    assert codes(with_orders(rsa.certificate)) == [("E-CERT-ORDERS", "rsa.pem")]
    assert codes(with_orders(tmp_path / "absent.pem")) == [("E-CERT-MISSING", "absent.pem")]
    (tmp_path / "sm2.cer").write_bytes(good.certificate_der.read_bytes().replace(P_256, SM2))
    assert codes(with_orders(tmp_path / "sm2.cer")) == [("E-CERT-ORDERS", "sm2.cer")]


SITE = """
[site]
id = "s"
[gateway]
id = "g"
[[device]]
name = "gds"
driver = "opcua"
url = "opc.tcp://127.0.0.1:1"
trusted = "nowhere"
[[camera]]
name = "gate"
driver = "camera"
url = "rtsp://127.0.0.1/x"
"""


def test_a_server_nobody_trusts_yet_and_a_missing_package_are_notes_and_no_mistakes(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text(SITE)
    (tmp_path / "points.csv").write_text("tag,device,address\nA,gds,i=2258\n")
    ended = subprocess.run(
        [Path(sys.executable).with_name("plantgate"), "check", "--config", tmp_path / "gateway.toml"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    assert "还没有信任服务器，先核对并执行 plantgate opcua trust（1）：gds" in ended.stdout
    assert "摄像机 gate 需要 ffmpeg" in ended.stdout
    assert "apt-get install --no-install-recommends ffmpeg" in ended.stdout


def test_a_line_without_security_is_noted_and_so_are_certificates_it_never_looks_at(
    tmp_path: Path,
) -> None:
    site = """
[site]
id = "s"
[gateway]
id = "g"
[[device]]
name = "gds"
driver = "opcua"
url = "opc.tcp://127.0.0.1:1"
trusted = "."
insecure = true
"""
    (tmp_path / "gateway.toml").write_text(site)
    (tmp_path / "points.csv").write_text("tag,device,address\nA,gds,i=2258\n")
    ended = subprocess.run(
        [Path(sys.executable).with_name("plantgate"), "check", "--config", tmp_path / "gateway.toml"],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert "明文连接（insecure = true），不加密也不认证（1）：gds" in ended.stdout
    assert "insecure = true 时证书不起作用（1）：gds" in ended.stdout
