"""The sample configuration loads, says what its comments say, and its page names everything there is."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import pytest

from gateway.alarm.people import AlarmSettings
from gateway.certificates import certificate_mistakes
from gateway.columns import HEADINGS
from gateway.config import load
from gateway.plant import Config
from gateway.sections import (
    SINGLE_SECTIONS,
    BalanceSection,
    CameraSection,
    DeviceSection,
    OutputSection,
    PresetSection,
    RecipientSection,
)
from gateway.sheet import column_of
from hil.pki import Authority, opcua_application


@pytest.fixture
def sample(tmp_path: Path, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the sample with the certificates and credentials it names."""
    folder = tmp_path / "etc"
    shutil.copytree(checkout / "docs/sample", folder)
    secrets = tmp_path / "credentials"
    secrets.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secrets))
    for recipient in ("province", "bureau"):
        authority = Authority(tmp_path / f"pki-{recipient}", recipient)
        own = authority.client("gw-01")
        (folder / recipient).mkdir()
        shutil.copy(authority.ca_file, folder / recipient / "ca.pem")
        shutil.copy(own.certificate, folder / recipient / "gateway.pem")
        shutil.copy(own.key, secrets / f"{recipient}-key")
    (folder / "opcua").mkdir()
    own = opcua_application(tmp_path / "pki-opcua", "gateway", "urn:plantgate:gw-01")
    plc = opcua_application(tmp_path / "pki-opcua", "plc2", "urn:plc2")
    shutil.copy(own.certificate_der, folder / "opcua/gateway.der")
    shutil.copy(own.key, secrets / "opcua-key")
    shutil.copy(plc.certificate_der, folder / "opcua/plc2.der")
    (secrets / "cam1-password").write_text("secret")
    for file in secrets.iterdir():
        file.chmod(0o600)
    return folder / "gateway.toml"


@pytest.fixture
def config(sample: Path) -> Config:
    return load(sample)


def test_it_has_what_the_comments_announce(config: Config, sample: Path) -> None:
    assert [(device.device.name, device.driver) for device in config.devices] == [
        ("plc1", "modbus"),
        ("plc2", "opcua"),
        ("gas1", "modbus"),
        ("box", "host"),
    ]
    assert [camera.name for camera in config.cameras] == ["cam1"]
    assert [recipient.name for recipient in config.recipients] == ["province", "bureau"]
    assert [(output.name, output.kind) for output in config.outputs] == [("alarm-log", "file")]
    assert config.roles == {"plantgate-operators": "operator", "plantgate-engineers": "engineer"}
    assert (config.storage.quota_bytes, config.storage.retention_days, config.storage.flush_s) == (
        8 << 30,
        90,
        1.0,
    )
    assert config.recipients[0].ca == sample.parent / "province/ca.pem"
    assert config.recipients[1].acknowledged_by == "receipt"
    assert len(config.cameras[0].gb_code) == 20


def test_its_points_have_limits_and_codes(config: Config) -> None:
    by_tag = {row.point.name: row for row in config.points}
    level, contact, switch = by_tag["LT-101"], by_tag["XG-201"], by_tag["LSHH-101"]
    assert (level.limits.ll, level.limits.l, level.limits.h, level.limits.hh) == (0.5, 1.0, 9.6, 10.2)
    assert (level.unit, level.camera, level.codes["province"]) == ("m", "cam1", "370306000001010001")
    assert contact.limits.on == 0
    assert (switch.limits.on, switch.point.bit) == (1, 3)
    assert (by_tag["GT-201"].limits.h, by_tag["GT-201"].limits.hh, by_tag["GT-201"].limits.deadband) == (
        25,
        50,
        0,
    )


def test_it_shows_every_kind_of_alarm(config: Config) -> None:
    by_tag = {row.point.name: row for row in config.points}
    level, conditions = by_tag["LT-101"].limits, by_tag["LT-101"].conditions
    assert (level.on_delay_s, level.off_delay_s) == ({"H": 60.0, "L": 60.0, "HH": 0.0, "LL": 0.0}, 60.0)
    assert level.filed == {"H": 9.6, "HH": 10.2}
    assert (conditions.fall_per_min, conditions.re_alarm_s, conditions.forecast) == (0.1, 1800.0, True)
    assert (by_tag["FT-101"].conditions.suppressed_by, by_tag["PT-102"].conditions.deviation_from) == (
        "XS-101",
        1.5,
    )
    assert by_tag["LSHH-101"].conditions.latching
    assert [row.point.name for row in config.points if row.conditions.first_out == "T-101"] == [
        *("LT-101", "TT-101", "LSHH-101")
    ]
    gas = [by_tag[tag].limits for tag in ("GT-201", "GT-301", "GT-302")]
    assert [(limits.h, limits.hh) for limits in gas] == [(25, 50), (25, 40), (5, 10)]
    assert config.alarms == AlarmSettings()
    assert [(b.name, b.level, b.inflows) for b in config.balances] == [("T-101", "LT-101", ("FT-101",))]


def test_every_column_of_the_table_is_shown(sample: Path) -> None:
    headings = (sample.parent / "points.csv").read_text("utf-8").partition("\n")[0].split(",")
    shown = {column for heading in headings if (column := column_of(heading))}
    assert HEADINGS.keys() - shown == {"raw_lo", "raw_hi", "sample_deadband"}


def test_it_shows_what_old_controllers_need(config: Config) -> None:
    by_tag = {row.point.name: row.point for row in config.points}
    head, scale = by_tag["GT-302"], by_tag["WT-301"]
    assert (head.status_point, head.heartbeat_point, head.heartbeat_s) == ("GS-302", "GB-302", 10)
    assert (scale.decimals_point, scale.period_s, scale.frozen_s) == ("WD-301", 5, 86_400)
    assert by_tag["GT-301"].fault_values == "-9999; 0x8000"
    assert by_tag["WN-301"].length == 8
    assert {point.name for point in by_tag.values() if not point.alarmed} == {
        *("XS-101", "GS-301", "GS-302", "GB-302", "WT-301", "WD-301", "WN-301")
    }


def test_its_certificates_pass(config: Config) -> None:
    assert certificate_mistakes(config, dt.datetime.now(dt.UTC)) == []


def test_its_commented_siren_works_once_the_program_exists(sample: Path) -> None:
    text = sample.read_text("utf-8")
    start = text.index("# [[output]]")
    siren = text[start:].replace("# ", "").replace("/usr/local/bin/siren", "/bin/true")
    sample.write_text(text[:start] + siren, "utf-8")
    assert load(sample).outputs[1].argv == ("/bin/true", "--relay", "1")


def test_its_commented_standby_is_understood(sample: Path) -> None:
    sample.write_text(sample.read_text("utf-8").replace("# standby", "standby"), "utf-8")
    assert getattr(load(sample).devices[0].options, "standby", "") == "192.168.10.13:502"


def test_it_saved_by_excel_in_gb18030_is_the_same(config: Config, sample: Path) -> None:
    table = sample.parent / "points.csv"
    table.write_bytes(table.read_text("utf-8").replace("\n", "\r\n").encode("gb18030"))
    assert load(sample).points == config.points


def test_it_holds_no_secret_and_no_private_key(checkout: Path) -> None:
    text = (checkout / "docs/sample/gateway.toml").read_text("utf-8")
    assert all(
        "CREDENTIALS_DIRECTORY" in line
        for line in text.splitlines()
        if line.startswith(("private_key", "password"))
    )
    assert not any((checkout / "docs/sample").rglob("*.pem"))


def test_the_page_names_every_key_and_every_column(checkout: Path) -> None:
    page = (checkout / "docs/configuration.md").read_text("utf-8")
    several = (DeviceSection, CameraSection, RecipientSection, OutputSection, PresetSection, BalanceSection)
    sections = (*SINGLE_SECTIONS.values(), *several)
    keys = {key for section in sections for key in section.model_fields}
    assert {key for key in keys | HEADINGS.keys() if f"`{key}`" not in page} == set()
    assert {names[0] for names in HEADINGS.values() if names[0] not in page} == set()
