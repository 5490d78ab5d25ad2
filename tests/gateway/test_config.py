"""gateway.toml: what it gives, and every mistake with its line and column, in both languages."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from gateway import config as configuration
from gateway.alarm.conditions import Balance
from gateway.alarm.limits import Limits
from gateway.alarm.people import AlarmSettings
from gateway.config import load
from gateway.errors import UserFileErrors
from gateway.places import Places


def mistakes(site: Path) -> list[tuple[str, str]]:
    """Codes and places, the folder left away."""
    with pytest.raises(UserFileErrors) as caught:
        load(site / "gateway.toml")
    assert all(error.line("zh").strip() and error.line("en").strip() for error in caught.value.errors)
    prefix = f"{site}{os.sep}"
    return [(error.code, error.place.removeprefix(prefix)) for error in caught.value.errors]


def swap(site: Path, old: str, new: str) -> None:
    """Make one spot of gateway.toml something else."""
    file = site / "gateway.toml"
    text = file.read_text("utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times"
    file.write_text(text.replace(old, new), "utf-8")


def told(site: Path, language: str) -> str:
    with pytest.raises(UserFileErrors) as caught:
        load(site / "gateway.toml")
    return "\n".join(error.line(language) for error in caught.value.errors)


def test_a_recipient_sends_down_only_if_it_is_said_who_signs(site: Path) -> None:
    assert load(site / "gateway.toml").orders_certificates == {}
    swap(site, "[[recipient]]", '[[recipient]]\norders_certificate = "pki/orders.pem"')
    [recipient] = load(site / "gateway.toml").recipients
    assert load(site / "gateway.toml").orders_certificates == {recipient.name: site / "pki/orders.pem"}


def test_a_right_configuration(site: Path) -> None:
    config = load(site / "gateway.toml")
    digest = hashlib.sha256(
        (site / "gateway.toml").read_bytes() + (site / "points.csv").read_bytes()
    ).hexdigest()
    assert config.rev == digest[:16]
    assert (config.site_id, config.gateway_id, config.language) == ("site-1", "gw-1", "zh")
    assert config.storage.folder == site / "state"
    assert (config.storage.quota_bytes, config.storage.flush_s) == (1 << 30, 1.0)
    assert config.storage.memory_rows == 600_000
    assert config.runtime_folder == site / "run"
    [device] = config.devices
    assert (device.driver, device.device.config_rev, device.device.period_s) == ("modbus", config.rev, 1.0)
    assert (device.options.host, device.options.port, device.options.unit_id) == ("127.0.0.1", 1502, 1)
    assert [point.name for point in device.device.points] == ["LT-101", "XS-101"]
    assert [row.point.name for row in config.points] == ["LT-101", "XS-101"]
    [recipient] = config.recipients
    assert recipient.private_key == site / "pki/gw.key"
    assert (recipient.acknowledged_by, recipient.port) == ("receipt", 8883)
    assert config.outputs[0].path == site / "alarms.log"
    assert config.roles == {"operators": "operator"}


def test_any_byte_of_either_file_gives_another_revision(site: Path) -> None:
    before = load(site / "gateway.toml").rev
    (site / "points.csv").write_text((site / "points.csv").read_text("utf-8") + "\n", "utf-8")
    after = load(site / "gateway.toml").rev
    (site / "gateway.toml").write_text((site / "gateway.toml").read_text("utf-8") + "# note\n", "utf-8")
    assert len({before, after, load(site / "gateway.toml").rev}) == 3


@pytest.mark.parametrize(
    ("written", "size"),
    [('"1.5 MiB"', 3 << 19), ('"500 MB"', 500_000_000), ('"2G"', 2 * 10**9), ("2097152", 2 << 20)],
)
def test_sizes(site: Path, written: str, size: int) -> None:
    swap(site, '"1 GiB"', written)
    assert load(site / "gateway.toml").storage.quota_bytes == size


def test_devices_share_the_slots_of_a_period(site: Path) -> None:
    more = "".join(f'[[device]]\nname = "d{i}"\ndriver = "modbus"\nhost = "h"\n' for i in range(9))
    swap(site, "[[recipient]]", f"{more}\n[[recipient]]")
    assert [d.device.slot for d in load(site / "gateway.toml").devices] == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


def test_a_systemd_credential(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swap(site, '"pki/gw.key"', '"${CREDENTIALS_DIRECTORY}/key"')
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    assert load(site / "gateway.toml").recipients[0].private_key == Path("/run/credentials/x/key")
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    assert load(site / "gateway.toml").recipients[0].private_key == Path(
        "/run/credentials/plantgate.service/key"
    )


def test_windows_line_ends_and_bom(site: Path) -> None:
    text = (site / "gateway.toml").read_text("utf-8")
    (site / "gateway.toml").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    assert load(site / "gateway.toml").site_id == "site-1"


WRONG = [
    ('id = "site-1"', 'id = "site 1"', "E-CONFIG-PATTERN", "2:1"),
    ('id = "site-1"', "id = 1", "E-CONFIG-TYPE-TEXT", "2:1"),
    ('id = "site-1"', 'idd = "site-1"', "E-CONFIG-KEY-UNKNOWN", "2:1"),
    ('language = "zh"', 'language = "de"', "E-CONFIG-CHOICE", "6:1"),
    ('quota = "1 GiB"', 'quota = "1 Gib/s"', "E-CONFIG-SIZE", "10:1"),
    ('quota = "1 GiB"', "quota = 10", "E-CONFIG-LOW", "10:1"),
    ('quota = "1 GiB"', "retention_days = 29", "E-CONFIG-LOW", "10:1"),
    ('quota = "1 GiB"', "retention_days = 90.5", "E-CONFIG-TYPE-WHOLE", "10:1"),
    ('quota = "1 GiB"', "flush_s = 61", "E-CONFIG-HIGH", "10:1"),
    ('quota = "1 GiB"', "flush_s = nan", "E-CONFIG-TYPE-NUMBER", "10:1"),
    ('quota = "1 GiB"', 'flush_s = "1"', "E-CONFIG-TYPE-NUMBER", "10:1"),
    ('quota = "1 GiB"', "memory_rows = 999", "E-CONFIG-LOW", "10:1"),
    ('folder = "run"', 'folder = "${HOME}/run"', "E-CONFIG-PATH-VARIABLE", "13:1"),
    ("port = 1502", 'port = "1502"', "E-CONFIG-TYPE-WHOLE", "19:1"),
    ("port = 1502", "port = 0", "E-CONFIG-DRIVER", "19:1"),
    ("port = 1502", "prot = 1502", "E-CONFIG-KEY-UNKNOWN", "19:1"),
    ("port = 1502", "period_s = 0", "E-CONFIG-LOW", "19:1"),
    ('driver = "modbus"', 'driver = "modbuss"', "E-CONFIG-DRIVER-UNKNOWN", "17:1"),
    ('driver = "modbus"', "", "E-CONFIG-KEY-MISSING", "15:1"),
    ('host = "127.0.0.1"', "", "E-CONFIG-DRIVER", "15:1"),
    ('ca = "pki/ca.pem"', "", "E-CONFIG-KEY-MISSING", "21:1"),
    ('host = "localhost"', 'host = ""', "E-CONFIG-EMPTY", "23:1"),
    ('host = "localhost"', 'host = "h"\ndialect = "plantgate/2"', "E-CONFIG-DIALECT-UNKNOWN", "24:1"),
    ('host = "localhost"', 'host = "h"\nacknowledged_by = "none"', "E-CONFIG-CHOICE", "24:1"),
    ('path = "alarms.log"', "", "E-CONFIG-OUTPUT", "28:1"),
    ('path = "alarms.log"', 'path = "a"\nargv = ["/bin/true"]', "E-CONFIG-OUTPUT", "32:1"),
    ('kind = "file"\npath = "alarms.log"', 'kind = "command"\nargv = ["true"]', "E-CONFIG-OUTPUT", "31:1"),
    ('kind = "file"\npath = "alarms.log"', 'kind = "command"\nargv = "x"', "E-CONFIG-TYPE-LIST", "31:1"),
    ('operators = "operator"', 'operators = "boss"', "E-CONFIG-CHOICE", "34:1"),
    ("[runtime]", "[runtine]", "E-CONFIG-KEY-UNKNOWN", "12:1"),
    ("[site]", "[[site]]", "E-CONFIG-SECTION", "1:1"),
    ("[[output]]", "[output]", "E-CONFIG-SECTION", "28:1"),
]


@pytest.mark.parametrize(("old", "new", "code", "place"), WRONG)
def test_one_wrong_spot_is_one_error_at_its_place(
    site: Path, old: str, new: str, code: str, place: str
) -> None:
    swap(site, old, new)
    found = mistakes(site)
    assert (code, f"gateway.toml:{place}") in found
    # A misspelt key may also be missing; nothing else may be reported.
    assert {other for other, _ in found} <= {code, "E-CONFIG-KEY-MISSING"}


SYNTAX = [
    ('id = "site-1"', "id = site-1", "2:6"),
    ('id = "site-1"', "id : site", "2:4"),
    ('id = "site-1"', 'id = "site', "2:11"),
    ("[gateway]", "[gateway", "4:9"),
    ('id = "gw-1"', 'id = "gw-1"\nid = "gw-2"', "6:12"),
    ('operators = "operator"', "operators = [", "34:14"),
]


@pytest.mark.parametrize(("old", "new", "place"), SYNTAX)
def test_syntax(site: Path, old: str, new: str, place: str) -> None:
    swap(site, old, new)
    assert mistakes(site) == [("E-CONFIG-SYNTAX", f"gateway.toml:{place}")]


def test_syntax_is_told_in_chinese(site: Path) -> None:
    swap(site, 'id = "site-1"', "id = site-1")
    assert "值写法不对" in told(site, "zh")
    assert "Invalid value" in told(site, "en")


def test_not_utf8(site: Path) -> None:
    (site / "gateway.toml").write_bytes("[site]\n# 罐区\n".encode("gb18030"))
    assert mistakes(site) == [("E-CONFIG-ENCODING", "gateway.toml:2")]


def test_missing_files(site: Path) -> None:
    (site / "points.csv").unlink()
    assert mistakes(site) == [("E-CONFIG-FILE", "points.csv")]
    (site / "gateway.toml").unlink()
    assert mistakes(site) == [("E-CONFIG-FILE", "gateway.toml")]


def test_names_are_unique(site: Path) -> None:
    swap(site, "[[recipient]]", '[[device]]\nname = "plc1"\ndriver = "modbus"\nhost = "h"\n\n[[recipient]]')
    assert mistakes(site) == [("E-CONFIG-NAME-TWICE", "gateway.toml:22:1")]
    assert "第 16 行" in told(site, "zh")
    assert "line 16" in told(site, "en")


def test_too_many(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(configuration.MAX_OF_SECTION, "recipient", 0)
    assert mistakes(site) == [("E-CONFIG-MANY", "gateway.toml:21:1")]


def test_a_camera_driver_is_no_device_driver(site: Path) -> None:
    swap(site, 'driver = "modbus"', 'driver = "camera"')
    assert mistakes(site) == [("E-CONFIG-DRIVER-KIND", "gateway.toml:17:1")]
    assert "[[camera]]" in told(site, "zh")


def test_no_device_at_all(site: Path) -> None:
    text = (site / "gateway.toml").read_text("utf-8")
    start, end = text.index("[[device]]"), text.index("[[recipient]]")
    (site / "gateway.toml").write_text(text[:start] + text[end:], "utf-8")
    (site / "points.csv").write_text("位号,设备,地址\n", "utf-8")
    assert mistakes(site) == [("E-CONFIG-SECTION-MISSING", "gateway.toml:1:1")]


def test_all_mistakes_of_both_files_at_once_in_the_order_of_the_lines(site: Path) -> None:
    swap(site, 'language = "zh"', 'langage = "zh"')
    swap(site, "port = 1502", "port = 70000")
    swap(site, 'host = "localhost"', 'hots = "localhost"')
    (site / "points.csv").write_text(
        (site / "points.csv").read_text("utf-8").replace("9.5", "x").replace("40003", "x"), "utf-8"
    )
    assert mistakes(site) == [
        ("E-CONFIG-KEY-UNKNOWN", "gateway.toml:6:1"),
        ("E-CONFIG-DRIVER", "gateway.toml:19:1"),
        ("E-CONFIG-KEY-MISSING", "gateway.toml:21:1"),
        ("E-CONFIG-KEY-UNKNOWN", "gateway.toml:23:1"),
        ("E-POINTS-NUMBER", "points.csv:2:E(高)"),
    ]
    assert "是不是“language”？" in told(site, "zh")
    assert 'Did you mean "host"?' in told(site, "en")


def test_the_driver_judges_points(site: Path) -> None:
    (site / "points.csv").write_text(
        (site / "points.csv").read_text("utf-8").replace("uint16", "uint61"), "utf-8"
    )
    assert mistakes(site) == [("E-POINTS-DRIVER", "points.csv:3:D(数据类型)")]


@pytest.mark.parametrize(
    ("period_s", "beat", "wrong"),
    [
        ("10", "1,,", ["points.csv:2:E(心跳时限)"]),
        ("10", "20,,", []),
        ("10", "2,1,", ["points.csv:2:D(心跳点)"]),
        ("1", "2,1,", []),
        ("1", "2,,1", []),
    ],
)
def test_points_are_judged_together_with_the_period_of_their_device(
    site: Path, period_s: str, beat: str, wrong: list[str]
) -> None:
    swap(site, "port = 1502", f"port = 1502\nperiod_s = {period_s}")
    heartbeat_s, own, others = beat.split(",")
    (site / "points.csv").write_text(
        "位号,设备,地址,心跳点,心跳时限,数据类型,位,采集周期\n"
        f"A,plc1,40001,B,{heartbeat_s},uint16,,{own}\nB,plc1,40002,,,bit,0,{others}\n",
        "utf-8",
    )
    if wrong:
        assert mistakes(site) == [("E-POINTS-DRIVER", place) for place in wrong]
    else:
        assert len(load(site / "gateway.toml").devices[0].points) == 2


def test_places_of_keys_in_every_toml_notation() -> None:
    places = Places(
        'a = 1 # c = 2\n"b c" = """x\nd = 1\n"""\n[t]\nx.y = [ # ]\n  "]", {z = 1},\n]\nq = \'#\'\n'
        "[[r]]\nn = 1\n  [[r]]\n  n = 2\n[r.s]\nm = 3\n[ t . u ]\nk = '''\n[[no]]\n'''\n"
    )
    assert {
        path: places.where(path)
        for path in [("a",), ("b c",), ("t", "x", "y"), ("t", "q"), ("r", 0, "n"), ("r", 1, "n")]
    } == {
        ("a",): (1, 1),
        ("b c",): (2, 1),
        ("t", "x", "y"): (6, 1),
        ("t", "q"): (9, 1),
        ("r", 0, "n"): (11, 1),
        ("r", 1, "n"): (13, 3),
    }
    assert places.where(("r", 1, "s", "m")) == (15, 1)
    assert places.where(("t", "u", "k")) == (17, 1)
    assert places.where(("t", "u", "absent")) == (16, 1)
    assert places.where(("t", "x", "y", 1, "z")) == (6, 1)
    assert places.where(("nowhere",)) == (1, 1)


@pytest.mark.parametrize("section", ["site", "gateway"])
def test_a_missing_section_is_named_once_and_not_key_by_key(site: Path, section: str) -> None:
    text = (site / "gateway.toml").read_text("utf-8")
    start = text.index(f"[{section}]")
    (site / "gateway.toml").write_text(text[:start] + text[text.index("[", start + 1) :], "utf-8")
    assert mistakes(site) == [("E-CONFIG-SECTION-MISSING", "gateway.toml:1:1")]
    with pytest.raises(UserFileErrors) as caught:
        load(site / "gateway.toml")
    assert f"缺少 [{section}] 一节" in caught.value.errors[0].line("zh")


def test_an_unknown_section_stands_on_its_line_and_nothing_follows_from_it(site: Path) -> None:
    swap(site, "[[recipient]]", "[[recipients]]")
    assert mistakes(site) == [("E-CONFIG-KEY-UNKNOWN", "gateway.toml:21:1")]


@pytest.mark.parametrize(
    ("heading", "place"),
    [("[site]", "2:1"), ("[storage]", "9:1"), ("[[device]]", "16:1"), ("[[recipient]]", "22:1")],
)
def test_keys_without_their_heading_are_one_mistake(site: Path, heading: str, place: str) -> None:
    swap(site, heading, "")
    if heading == "[[recipient]]":
        swap(site, 'name = "province"', "")
        place = "23:1"
        text = (site / "gateway.toml").read_text("utf-8").replace('host = "localhost"', "")
        (site / "gateway.toml").write_text(text, "utf-8")
        place = "24:1"
    assert mistakes(site)[0] == ("E-CONFIG-SECTION-MISSING", f"gateway.toml:{place}")
    assert [code for code, _ in mistakes(site)].count("E-CONFIG-KEY-UNKNOWN") == 0
    assert f"加一行 {heading}" in told(site, "zh")


def test_a_double_name_is_the_only_mistake(site: Path) -> None:
    swap(
        site,
        "[[recipient]]",
        '[[device]]\nname = "plc1"\ndriver = "opcua"\nurl = "opc.tcp://h"\n[[recipient]]',
    )
    table = (site / "points.csv").read_text("utf-8").replace("XS-101,plc1", "XS-101,plc2")
    (site / "points.csv").write_text(table, "utf-8")
    assert mistakes(site) == [("E-CONFIG-NAME-TWICE", "gateway.toml:22:1")]


def test_all_mistakes_of_a_drivers_keys_are_told(site: Path) -> None:
    swap(site, "port = 1502", "port = 0\nmax_gap = -1")
    assert mistakes(site) == [
        ("E-CONFIG-DRIVER", "gateway.toml:19:1"),
        ("E-CONFIG-DRIVER", "gateway.toml:20:1"),
    ]


@pytest.mark.parametrize("host", ["192.168.10.999", "localhost:8883", "a b"])
def test_a_recipient_that_can_never_answer(site: Path, host: str) -> None:
    swap(site, 'host = "localhost"', f'host = "{host}"')
    assert mistakes(site) == [("E-CONFIG-DRIVER", "gateway.toml:23:1")]


def test_a_host_typed_by_an_input_method_is_plain(site: Path) -> None:
    swap(site, 'host = "localhost"', 'host = "１０．０．０．１"')
    assert load(site / "gateway.toml").recipients[0].host == "10.0.0.1"


def test_a_serial_line_is_one_devices(site: Path) -> None:
    line = 'driver = "modbus"\ntransport = "{}"\nserial = "/dev/ttyS0"\n'
    two = f'[[device]]\nname = "a"\n{line.format("rtu")}[[device]]\nname = "b"\n{line.format("listen")}'
    swap(site, "[[recipient]]", f"{two}[[recipient]]")
    assert mistakes(site) == [("E-CONFIG-SERIAL-TWICE", "gateway.toml:30:1")]


def test_an_output_file_needs_its_folder(site: Path) -> None:
    swap(site, 'path = "alarms.log"', 'path = "nowhere/alarms.log"')
    assert mistakes(site) == [("E-CONFIG-OUTPUT", "gateway.toml:31:1")]
    assert "nowhere" in told(site, "zh")


# --- alarms, presets, balances ----------------------------------------------------------------------------

BALANCE = """\
[[balance]]
name = "tank1"
level = "lt-101"
volume_per_unit = 78.5
inflows = ["FT-101"]
window_s = 900
tolerance = 2.5

[[recipient]]"""


def flows(site: Path) -> None:
    text = (site / "points.csv").read_text("utf-8")
    (site / "points.csv").write_text(f"{text}FT-101,plc1,40005,float32,,\n", "utf-8")


def test_without_a_word_the_alarms_have_their_usual_bounds(site: Path) -> None:
    config = load(site / "gateway.toml")
    assert (config.alarms, config.balances) == (AlarmSettings(), ())


def test_bounds_of_what_people_may_do(site: Path) -> None:
    swap(
        site,
        "[roles]",
        "[alarms]\nshelf_longest_s = 3600\nservice_longest_s = 86400\ntest_longest_s = 60\n"
        "second_person = true\n\n[roles]",
    )
    assert load(site / "gateway.toml").alarms == AlarmSettings(3600.0, 86_400.0, 60.0, second_person=True)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("shelf_longest_s = 59", "E-CONFIG-LOW"),
        ("shelf_longest_s = 604801", "E-CONFIG-HIGH"),
        ("service_longest_s = 31622401", "E-CONFIG-HIGH"),
        ("test_longest_s = 3601", "E-CONFIG-HIGH"),
        ("test_longest_s = 9", "E-CONFIG-LOW"),
        ("second_person = 1", "E-CONFIG-TYPE-BOOLEAN"),
        ("shelf_longest = 60", "E-CONFIG-KEY-UNKNOWN"),
    ],
)
def test_a_wrong_bound(site: Path, line: str, code: str) -> None:
    swap(site, "[roles]", f"[alarms]\n{line}\n\n[roles]")
    assert mistakes(site) == [(code, "gateway.toml:34:1")]


def test_a_balance_with_its_tags(site: Path) -> None:
    flows(site)
    swap(site, "[[recipient]]", BALANCE)
    assert load(site / "gateway.toml").balances == (
        Balance("tank1", "LT-101", 78.5, ("FT-101",), (), 900.0, 2.5),
    )


@pytest.mark.parametrize(
    ("old", "new", "code", "place"),
    [
        ("78.5", "0", "E-CONFIG-ABOVE", "24:1"),
        ('inflows = ["FT-101"]', "", "E-CONFIG-BALANCE-FLOWS", "21:1"),
        ('"lt-101"', '"LT-9"', "E-CONFIG-TAG-UNKNOWN", "23:1"),
        ('["FT-101"]', '["FT-101", "LT-101"]', "E-CONFIG-BALANCE-TWICE", "25:1"),
        ('["FT-101"]', '["XS-102"]', "E-CONFIG-TAG-UNKNOWN", "25:1"),
        ("900", "59", "E-CONFIG-LOW", "26:1"),
        ("2.5", "0", "E-CONFIG-ABOVE", "27:1"),
        ('["FT-101"]', repr(["FT-101"] * 17), "E-CONFIG-LONG", "25:1"),
        ("[[balance]]", "[[balanse]]", "E-CONFIG-KEY-UNKNOWN", "21:1"),
    ],
)
def test_a_wrong_balance(site: Path, old: str, new: str, code: str, place: str) -> None:
    flows(site)
    swap(site, "[[recipient]]", BALANCE)
    swap(site, old, new)
    assert mistakes(site) == [(code, f"gateway.toml:{place}")]


def test_without_a_point_table_a_balance_is_not_wrong(site: Path) -> None:
    swap(site, "[[recipient]]", BALANCE)
    (site / "points.csv").unlink()
    assert mistakes(site) == [("E-CONFIG-FILE", "points.csv")]


def preset(site: Path, *lines: str, name: str = "h2s", cell: str = "", unit: str = "ppm") -> None:
    text = "\n".join((f"[preset.{name}]", *lines))
    swap(site, "[roles]", f"{text}\n\n[roles]")
    rows = f"位号,设备,地址,单位,预设\nGT-1,plc1,40001,{unit},{cell}\n"
    (site / "points.csv").write_text(rows, "utf-8")


@pytest.mark.parametrize(
    ("name", "lines", "cell", "unit", "limits"),
    [
        ("h2s", ('unit = "ppm"', "h = 5", "hh = 10"), "H2S", "PPM", Limits(h=5, hh=10)),
        ('"硫化氢"', ('unit = "ppm"', "h = 5", "deadband = 1"), "硫化氢", "ppm", Limits(h=5, deadband=1)),
        ("combustible", ("h = 20",), "可燃气体", "%LEL", Limits(h=20, hh=50)),
        ('"可燃气体"', ("hh = 40", "deadband = 2"), "combustible", "LEL%", Limits(h=25, hh=40, deadband=2)),
        ("toxic", ('unit = "ppm"', "h = 5"), "toxic", "ppm", Limits(h=5)),
        ("toxic", ('unit = "OEL%"', "h = 50"), "toxic", "%OEL", Limits(h=50, hh=200)),
    ],
)
def test_a_preset_is_added_or_edited(
    site: Path, name: str, lines: tuple[str, ...], cell: str, unit: str, limits: Limits
) -> None:
    preset(site, *lines, name=name, cell=cell, unit=unit)
    assert load(site / "gateway.toml").points[0].limits == limits


@pytest.mark.parametrize(
    ("name", "lines", "code", "line"),
    [
        ("h2s", ("h = 5",), "E-CONFIG-KEY-MISSING", 33),
        ("h2s", ('unit = "ppm"',), "E-CONFIG-PRESET-EMPTY", 34),
        ("toxic", ('unit = "ppm"', "deadband = 1"), "E-CONFIG-PRESET-EMPTY", 34),
        ("combustible", ("h = 50",), "E-CONFIG-PRESET-ORDER", 33),
        ("oxygen", ("deadband = 4",), "E-CONFIG-PRESET-DEADBAND", 34),
        ("oxygen", ("deadband = -1",), "E-CONFIG-LOW", 34),
        ("oxygen", ('h = "none"',), "E-CONFIG-TYPE-NUMBER", 34),
        ("oxygen", ('unit = ""',), "E-CONFIG-EMPTY", 34),
        ("oxygen", ("high = 3",), "E-CONFIG-KEY-UNKNOWN", 34),
    ],
)
def test_a_wrong_preset_is_one_mistake_whoever_names_it(
    site: Path, name: str, lines: tuple[str, ...], code: str, line: int
) -> None:
    preset(site, *lines, name=name, cell=name)
    assert mistakes(site)[0] == (code, f"gateway.toml:{line}:1")
    assert all(code != "E-POINTS-PRESET-UNKNOWN" for code, _ in mistakes(site))


def test_a_preset_stands_once_under_whatever_name(site: Path) -> None:
    preset(site, "h = 20", '[preset."可燃气体"]', "h = 21", name="combustible")
    assert mistakes(site) == [("E-CONFIG-NAME-TWICE", "gateway.toml:35:1")]


def test_a_preset_without_a_name(site: Path) -> None:
    swap(site, "[roles]", "[preset]\nh = 20\n\n[roles]")
    assert mistakes(site) == [("E-CONFIG-SECTION", "gateway.toml:33:1")]
