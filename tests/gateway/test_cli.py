"""The real command line as a process: exit codes, both languages, stdout as data, and never a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from gateway.control import ControlServer, Deed, Peer
from gateway.errors import Exit
from gateway.plant import Config, StorageConfig
from gateway.words import said
from hil.answers import AnswerLog
from hil.modbus_plc import ModbusPlc, Unit

Ended: TypeAlias = "subprocess.CompletedProcess[str]"
PLANTGATE = (sys.executable, "-c", "from gateway.cli import main; raise SystemExit(main())")


def plantgate(*words: object, path: Path | None = None) -> Ended:
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONUTF8": "1"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [*PLANTGATE, *map(str, words)]
    ended = subprocess.run(
        command, capture_output=True, encoding="utf-8", timeout=60, env=environment, check=False
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended


def on(site: Path) -> tuple[object, ...]:
    return ("--config", site / "gateway.toml")


def swap(site: Path, old: str, new: str) -> None:
    file = site / "gateway.toml"
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


# --- usage ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [[], ["chek"], ["check", "--cofnig", "x"], ["--lang", "fr", "check"], ["alarms", "ack"]]
)
def test_wrong_usage_is_2_and_talk_only(words: list[str]) -> None:
    ended = plantgate(*words)
    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert "命令行写错了" in ended.stderr


def test_wrong_usage_in_english() -> None:
    assert "E-USAGE: wrong command line" in plantgate("--lang", "en", "chek").stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["alarms", "ack"], "缺少参数 ALARM"),
        (["status", "--pionts"], "不认识的参数 --pionts"),
        (["chek"], "参数 COMMAND: 没有 'chek'，可选："),
        (["read", "--depth", "x"], "参数 --depth: 要写数字，不能是 'x'"),
        (["read", "--root"], "参数 --root: 后面要有一个值"),
    ],
)
def test_wrong_usage_is_told_in_chinese_throughout(words: list[str], said: str) -> None:
    told = plantgate(*words).stderr
    assert said in told
    assert told.startswith("用法：plantgate")


@pytest.mark.parametrize("words", [[], ["read"], ["alarms", "ack"]])
def test_help_is_chinese_throughout_and_english_is_left_alone(words: list[str]) -> None:
    chinese, english = plantgate(*words, "--help").stdout, plantgate(*words, "--help", "--lang=en").stdout
    for foreign in ("usage:", "positional arguments", "options:", "show this help", "show program"):
        assert foreign not in chinese
    assert chinese.count("选项:") == 1
    assert "用法：" in chinese
    assert "显示这份帮助" in chinese
    assert "usage:" in english
    assert "show this help message" in english


def test_help_names_the_commands_in_both_languages() -> None:
    chinese, english = plantgate("--help"), plantgate("--help", "--lang=en")
    assert (chinese.returncode, english.returncode) == (0, 0)
    assert "检查配置" in chinese.stdout
    assert "check configuration" in english.stdout


# --- check ------------------------------------------------------------------------------------------------


def test_check_of_a_right_configuration(site: Path) -> None:
    ended = plantgate("check", *on(site))
    assert ended.returncode == Exit.OK, ended.stderr
    assert "配置文件正确：站点 site-1" in ended.stdout
    assert "没有限值的点（1）：XS-101" in ended.stdout
    assert "在 province 没有指标编码的点（1）：XS-101" in ended.stdout


@pytest.mark.parametrize(
    ("language", "note"),
    [
        ("zh", "注意：没有点的设备，不会读取（1）：plc2"),
        ("en", "Note: devices without points, not read (1): plc2"),
    ],
)
def test_check_notes_a_device_without_points(site: Path, language: str, note: str) -> None:
    more = '[[device]]\nname = "plc2"\ndriver = "modbus"\nhost = "127.0.0.1"\n\n[[recipient]]'
    swap(site, "[[recipient]]", more)
    ended = plantgate("check", "--lang", language, *on(site))
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    assert note in ended.stdout.splitlines()
    found = json.loads(plantgate("check", "--json", *on(site)).stdout)
    assert (found["ok"], found["without_points"]) == (True, ["plc2"])


@pytest.mark.parametrize(
    ("language", "notes"),
    [
        (
            "zh",
            [
                "注意：没有限值也没有预设的气体点（1）：GT-2",
                "注意：比备案限值宽松（2）：LT-101 H 9.5（备案 9）、LT-101 HH 无（备案 10）",
            ],
        ),
        (
            "en",
            [
                "Note: gas points with neither limit nor preset (1): GT-2",
                "Note: limits looser than those filed (2): LT-101 H 9.5 (filed 9), LT-101 HH none (filed 10)",
            ],
        ),
    ],
)
def test_check_notes_what_alarms_late_or_never(site: Path, language: str, notes: list[str]) -> None:
    (site / "points.csv").write_text(
        "位号,设备,地址,单位,低,高,预设,备案低,备案高,备案高高\n"
        "LT-101,plc1,40001,m,1,9.5,,1,9,10\n"
        "LT-102,plc1,40002,m,1,8.5,,0.5,9,\n"
        "GT-1,plc1,40003,%LEL,,,可燃气体,,25,50\n"
        "GT-2,plc1,40004,LEL%,,,,,,\n",
        "utf-8",
    )
    ended = plantgate("check", "--lang", language, *on(site))
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    assert set(notes) <= set(ended.stdout.splitlines())
    found = json.loads(plantgate("check", "--json", *on(site)).stdout)
    assert found["gas_without_limits"] == ["GT-2"]
    assert found["looser_than_filed"][1] == {"tag": "LT-101", "level": "HH", "limit": None, "filed": 10.0}


def test_check_speaks_the_configurations_language(site: Path) -> None:
    swap(site, 'language = "zh"', 'language = "en"')
    assert "The files are right: site site-1" in plantgate("check", *on(site)).stdout
    assert "配置文件正确" in plantgate("check", *on(site), "--lang", "zh").stdout


def test_check_as_json(site: Path) -> None:
    found = json.loads(plantgate("check", "--json", *on(site)).stdout)
    assert (found["ok"], found["points"], found["limits"]) == (True, 2, 1)
    assert found["devices"] == [{"name": "plc1", "driver": "modbus", "points": 2}]
    assert found["without_code"] == {"province": ["XS-101"]}


@pytest.mark.parametrize(("language", "word"), [("zh", "不是数字"), ("en", "is not a number")])
def test_mistakes_in_the_files_are_3(site: Path, language: str, word: str) -> None:
    swap(site, "port = 1502", "prot = 1502")
    text = (site / "points.csv").read_text("utf-8").replace("9.5", "九米")
    (site / "points.csv").write_bytes(text.encode("gb18030"))
    ended = plantgate("check", "--json", "--lang", language, *on(site))
    assert ended.returncode == Exit.USER_FILE
    first, second = ended.stderr.splitlines()
    assert first.startswith(f"E-CONFIG-KEY-UNKNOWN {site}/gateway.toml:19:1")
    assert second.startswith(f"E-POINTS-NUMBER {site}/points.csv:2:E(高)")
    assert word in second
    told = json.loads(ended.stdout)
    assert [error["code"] for error in told["errors"]] == ["E-CONFIG-KEY-UNKNOWN", "E-POINTS-NUMBER"]


def test_no_configuration_is_3(tmp_path: Path) -> None:
    ended = plantgate("check", *on(tmp_path))
    assert ended.returncode == Exit.USER_FILE
    assert "E-CONFIG-FILE" in ended.stderr


def test_a_missing_key_file_is_7(site: Path) -> None:
    (site / "pki/gw.key").unlink()
    ended = plantgate("check", *on(site))
    assert ended.returncode == Exit.ENVIRONMENT
    assert ended.stderr.startswith(f"E-CERT-MISSING {site}/pki/gw.key")
    assert "但证书或密钥有 1 处错误" in ended.stdout


def test_run_with_a_wrong_configuration_is_3(site: Path) -> None:
    swap(site, "[site]", "[sight]")
    ended = plantgate("run", *on(site))
    assert ended.returncode == Exit.USER_FILE
    assert "E-CONFIG-KEY-UNKNOWN" in ended.stderr


def test_a_defect_of_the_house_is_told_with_its_traceback_and_logged(site: Path) -> None:
    (site / "state").mkdir()
    program = (
        "from gateway import app, cli\n"
        "def broken(house): raise ZeroDivisionError('a defect')\n"
        "app.House._watched = broken\n"
        "raise SystemExit(cli.main())\n"
    )
    words = [sys.executable, "-c", program, "run", *map(str, on(site))]
    ended = subprocess.run(words, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert ended.returncode == Exit.INTERNAL
    assert "CRITICAL plantgate.app: the house fell: ZeroDivisionError('a defect')" in ended.stderr
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("E-INTERNAL")


# --- other rooms' commands ----------------------------------------------------------------------------------


def installed(folder: Path, target: str) -> Path:
    """A distribution that adds the command ``hello``."""
    about = folder / "rooms-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: rooms\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[plantgate.commands]\nhello = {target}\n")
    (folder / "rooms.py").write_text(
        "from gateway.cli import common_options, give_json\n"
        "def register(commands):\n"
        "    parser = commands.add_parser('hello', parents=[common_options()])\n"
        "    parser.set_defaults(deed=lambda args: give_json({'language': args.language}) or 0)\n"
    )
    return folder


def test_another_room_adds_its_command(tmp_path: Path) -> None:
    ended = plantgate("hello", "--lang", "en", path=installed(tmp_path, "rooms:register"))
    assert (ended.returncode, ended.stdout) == (0, '{"language": "en"}\n')


def test_a_broken_room_leaves_the_others_alone(tmp_path: Path, site: Path) -> None:
    folder = installed(tmp_path / "rooms", "rooms:absent")
    checked = plantgate("check", *on(site), path=folder)
    assert (checked.returncode, checked.stderr) == (Exit.OK, "")
    called = plantgate("hello", path=folder)
    assert called.returncode == Exit.USAGE
    assert "plantgate hello: AttributeError" in called.stderr
    assert plantgate("--help", path=folder).returncode == Exit.OK


# --- asking a running gateway ---------------------------------------------------------------------------------


class House:
    """A running house's answers: one point in alarm."""

    def __init__(self) -> None:
        self.value = 9.75
        self.quality, self.cause = "good", "none"

    def status(self, *, points: bool) -> dict[str, Any]:
        view: dict[str, Any] = {
            "gateway_id": "gw-1",
            "site_id": "site-1",
            "version": "0.1.0",
            "config_rev": "r",
            "now": "2026-11-22T03:00:00.000Z",
            "uptime_s": 5.0,
            "clock": {"state": "synchronised", "error_ms": 1.0},
            "sources": [],
            "alarms": [
                {
                    "alarm_id": "LT-101/high@1",
                    "type": "limit",
                    "condition": "LT-101/high",
                    "point_id": "LT-101",
                    "source": "plc1",
                    "area": "罐区",
                    "priority": 1,
                    "text": "液位",
                    "active": True,
                    "acknowledged": False,
                    "latched": False,
                    "level": {"start": "H", "worst": "H", "current": "H"},
                    "value": 9.75,
                    "peak": 9.75,
                    "limit_edge": 9.5,
                    "t_raised": "2026-11-22T02:59:00.000Z",
                }
            ],
            "spool": {"state": "ok", "detail": "", "bytes": 1, "quota_bytes": 2},
            "recipients": [],
            "outputs": [],
            "cameras": [],
        }
        if points:
            point = {
                "name": "LT-101",
                "device": "plc1",
                "description": "液位",
                "value": self.value,
                "unit": "m",
            }
            view["points"] = [
                {**point, "quality": self.quality, "cause": self.cause, "level": "H", "taken_at": None}
            ]
            self.value += 1
        return view

    @property
    def deeds(self) -> dict[str, Deed]:
        """What it lets people do: everything is repeated as it was asked, but for one alarm that nobody may touch."""

        def echo(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
            if request.get("alarm_id") == "other":
                raise said("E-REFUSED-ROLE", "", user=peer.user, role="viewer", needed="operator")
            changed = [{"field": "H", "old": 80.0, "new": 82.0}]
            return {
                **request,
                "changes": changed,
                "changed": request["op"] == "limit_approve",
                "waits": "LT-101@1",
            }

        ops = ("ack", "reset", "shelve", "unshelve", "out_of_service", "in_service", "test", "end_test")
        limits = ("limit_set", "limit_approve", "limit_reject", "limit_return")
        shelf = {"action": "shelve", "target": "LT-101", "by": "wang", "reason": "检修", "remaining_s": 60}
        return {
            **{op: Deed("operator", echo) for op in (*ops, *limits)},
            "held": Deed("viewer", lambda _request, _peer: [{**shelf, "until": "2026-11-22T03:01:00.000Z"}]),
            "limits": Deed("viewer", lambda _request, _peer: []),
        }


@asynccontextmanager
async def serving(site: Path, house: House | None = None) -> AsyncIterator[None]:
    """A house on the site's control socket."""
    config = Config("r", "site-1", "gw-1", "zh", StorageConfig(site), site / "run", ())
    house = house or House()
    server = ControlServer(config, house, house.deeds)
    await server.start()
    try:
        yield
    finally:
        await server.close()


def with_gateway(site: Path, deed: Callable[[], Awaitable[Any]]) -> Any:
    async def play() -> Any:
        async with serving(site):
            return await deed()

    return asyncio.run(play())


def asked(site: Path, *words: object) -> Ended:
    ended: Ended = with_gateway(site, lambda: asyncio.to_thread(plantgate, *words, *on(site)))
    return ended


@pytest.mark.parametrize("words", [["status"], ["watch"], ["alarms"], ["alarms", "ack", "x"], ["limits"]])
def test_without_a_gateway_it_is_7(site: Path, words: list[str]) -> None:
    ended = plantgate(*words, *on(site))
    assert (ended.returncode, ended.stdout) == (Exit.ENVIRONMENT, "")
    assert f"E-CONTROL-ABSENT {site}/run/control.sock：没有网关在运行" in ended.stderr


@pytest.mark.parametrize(
    "words", [["status"], ["alarms", "silence"], ["limits"], ["warnings"], ["warnings", "answer", "x"]]
)
def test_a_configuration_that_is_named_and_is_not_there_is_said_so(tmp_path: Path, words: list[str]) -> None:
    more = ["--cause", "x", "--action", "x"] if "answer" in words else []
    ended = plantgate(*words, *more, "--config", tmp_path / "gatway.toml")
    assert ended.returncode == Exit.USER_FILE
    assert f"E-CONFIG-FILE {tmp_path}/gatway.toml" in ended.stderr


def test_status_while_the_configuration_is_half_edited(site: Path) -> None:
    swap(site, "port = 1502", "port = what")
    swap(site, '[runtime]\nfolder = "run"\n', "")
    ended = plantgate("status", *on(site))
    assert ended.returncode == Exit.ENVIRONMENT
    assert "/run/plantgate/control.sock" in ended.stderr


def test_the_horn_is_silenced_where_the_configuration_is_half_edited(site: Path) -> None:
    swap(site, "port = 1502", "port = ")
    ended = asked(site, "alarms", "ack", "LT-101/high@1")
    assert (ended.returncode, "已确认" in ended.stderr) == (Exit.OK, True), ended.stderr


def test_status(site: Path) -> None:
    ended = asked(site, "status", "--points")
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    assert "gw-1" in ended.stdout
    assert "9.75" in ended.stdout


def test_status_as_json(site: Path) -> None:
    assert json.loads(asked(site, "status", "--json").stdout)["gateway_id"] == "gw-1"


def test_alarms_listed_and_acknowledged(site: Path) -> None:
    for words in (["alarms"], ["alarms", "list"]):
        assert "LT-101/high@1" in asked(site, *words).stdout
    ended = asked(site, "alarms", "ack", "LT-101/high@1", "--note", "看到了", "--json")
    answer = json.loads(ended.stdout)
    assert (answer["op"], answer["alarm_id"], answer["note"]) == ("ack", "LT-101/high@1", "看到了")
    assert "已确认" in ended.stderr


@pytest.mark.parametrize(
    ("names", "asked_for"),
    [
        (["LT-101"], ["LT-101/high@1"]),
        (["LT-101/high"], ["LT-101/high@1"]),
        (["LT-101", "LT-101/high@1", "LT-101/high"], ["LT-101/high@1"]),
        (["LT-999", "LT-101"], ["LT-999", "LT-101/high@1"]),
        (["a@1"], ["a@1"]),
    ],
)
def test_alarms_are_acknowledged_by_tag_or_condition_too(
    site: Path, names: list[str], asked_for: list[str]
) -> None:
    answers = asked(site, "alarms", "ack", *names, "--json").stdout.splitlines()
    assert [json.loads(one)["alarm_id"] for one in answers] == asked_for


def test_a_latched_alarm_is_reset_by_its_tag(site: Path) -> None:
    answer = json.loads(asked(site, "alarms", "reset", "LT-101", "--json").stdout)
    assert (answer["op"], answer["alarm_id"]) == ("reset", "LT-101/high@1")


@pytest.mark.parametrize(
    ("words", "request_is", "told"),
    [
        (["reset", "a@1"], {"op": "reset", "alarm_id": "a@1", "reason": ""}, "已复位 a@1"),
        (
            ["shelve", "LT-101", "--for", "30m", "--reason", "换仪表"],
            {"op": "shelve", "target": "LT-101", "for_s": 1800.0, "reason": "换仪表"},
            "已搁置 LT-101，30 分后自动结束",
        ),
        (
            ["out", "LT-101/high", "--for", "2小时", "--reason", "拆检"],
            {"op": "out_of_service", "target": "LT-101/high", "for_s": 7200.0, "reason": "拆检"},
            "已停用 LT-101/high，2 小时后自动恢复",
        ),
        (["unshelve", "LT-101"], {"op": "unshelve", "target": "LT-101", "reason": ""}, "已结束搁置 LT-101"),
        (["in", "LT-101"], {"op": "in_service", "target": "LT-101", "reason": ""}, "已恢复启用 LT-101"),
        (
            ["test", "LT-101", "-5.5", "--for", "90s", "--reason", "月检"],
            {"op": "test", "point_id": "LT-101", "value": -5.5, "for_s": 90.0, "reason": "月检"},
            "LT-101 正按 -5.5 测试，1 分 30 秒后自动结束",
        ),
        (["end-test", "LT-101"], {"op": "end_test", "point_id": "LT-101"}, "已结束 LT-101 的测试"),
    ],
)
def test_what_people_do_with_alarms(
    site: Path, words: list[str], request_is: dict[str, Any], told: str
) -> None:
    ended = asked(site, "alarms", *words, "--json")
    assert (ended.returncode, told in ended.stderr) == (Exit.OK, True), ended.stderr
    answer = json.loads(ended.stdout)
    assert {key: answer[key] for key in request_is} == request_is


@pytest.mark.parametrize(
    ("words", "request_is", "told"),
    [
        (
            ["set", "LT-101", "h=82", "低低=无", "--reason", "工艺变更"],
            {
                "op": "limit_set",
                "point_id": "LT-101",
                "values": {"H": 82.0, "LL": None},
                "reason": "工艺变更",
            },
            "还没有修改：H 80 → 82。要由另一位工程师批准：plantgate limits approve LT-101@1",
        ),
        (["approve", "LT-101@1"], {"op": "limit_approve", "id": "LT-101@1"}, "已修改：H 80 → 82。"),
        (
            ["reject", "LT-101@1", "--reason", "太高"],
            {"op": "limit_reject", "id": "LT-101@1", "reason": "太高"},
            "已拒绝 LT-101@1，限值没有改变",
        ),
        (["return", "LT-101", "--reason", "试完"], {"op": "limit_return", "point_id": "LT-101"}, "H 80 → 82"),
    ],
)
def test_what_people_do_with_limits(
    site: Path, words: list[str], request_is: dict[str, Any], told: str
) -> None:
    ended = asked(site, "limits", *words, "--json")
    assert (ended.returncode, told in ended.stderr) == (Exit.OK, True), ended.stderr
    answer = json.loads(ended.stdout)
    assert {key: answer[key] for key in request_is} == request_is


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["alarms", "shelve", "LT-101", "--for", "30", "--reason", "x"], "E-NAME-DURATION"),
        (["limits", "set", "LT-101", "HHH=1", "--reason", "x"], "E-NAME-LIMIT"),
        (["limits", "set", "LT-101", "H", "--reason", "x"], "E-NAME-LIMIT"),
        (["limits", "set", "LT-101", "H=高", "--reason", "x"], "E-NAME-VALUE"),
        (["limits", "set", "LT-101", "H=nan", "--reason", "x"], "E-NAME-VALUE"),
        (["limits", "set", "LT-101", "H=1e999", "--reason", "x"], "E-NAME-VALUE"),
        (["limits", "set", "LT-101", "H=8_2", "--reason", "x"], "E-NAME-VALUE"),
        (["limits", "set", "LT-101", "H=", "--reason", "x"], "E-NAME-VALUE"),
        (["limits", "set", "LT-101", "H=80", "h=90", "--reason", "x"], "E-NAME-LIMIT"),
        (["alarms", "shelve", "LT-101", "--for", "30m"], "E-USAGE"),
        (["alarms", "shelve", "LT-101", "--reason", "x"], "E-USAGE"),
        (["limits", "set", "LT-101", "H=1"], "E-USAGE"),
    ],
)
def test_what_is_written_wrong_is_2_before_anybody_is_asked(site: Path, words: list[str], code: str) -> None:
    ended = plantgate(*words, *on(site))
    assert (ended.returncode, ended.stdout) == (Exit.USAGE, "")
    assert code in ended.stderr


def test_what_is_held_back_and_limits_are_listed(site: Path) -> None:
    assert "搁置" in asked(site, "alarms", "held").stdout
    assert json.loads(asked(site, "alarms", "held", "--json").stdout)[0]["by"] == "wang"
    assert "所有限值都与点表一致" in asked(site, "limits").stdout
    for words in (["list", "--all"], ["--all"]):
        assert json.loads(asked(site, "limits", *words, "--json").stdout) == []
    for words in (["list", "--all"], ["--all"], ["list"]):
        assert "LT-101/high@1" in asked(site, "alarms", *words).stdout


def test_the_page_of_states_is_what_is_printed(checkout: Path) -> None:
    page = (checkout / "docs/alarm-states.md").read_text("utf-8")
    assert plantgate("alarms", "states").stdout == page


def test_refused_is_5(site: Path) -> None:
    ended = asked(site, "alarms", "ack", "other")
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-ROLE" in ended.stderr


def test_watch_in_a_pipe_gives_lines_and_ends_with_the_gateway(site: Path) -> None:
    async def play() -> list[str]:
        async with serving(site), asyncio.timeout(60):
            words = [*PLANTGATE, "watch", "--config", str(site / "gateway.toml")]
            process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
            assert process.stdout is not None
            lines = [(await process.stdout.readline()).decode() for _ in range(3)]
        await process.communicate()
        assert process.returncode == Exit.OK
        return lines

    lines = asyncio.run(play())
    assert "! LT-101" in lines[0]
    assert "LT-101  9.75 m" in lines[1]
    assert "LT-101  10.75 m" in lines[2]


def test_watch_on_a_terminal_shows_a_table(site: Path) -> None:
    async def deed() -> str:
        ours, theirs = pty.openpty()
        words = [*PLANTGATE, "watch", "--lang", "en", "--config", str(site / "gateway.toml")]
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        process = await asyncio.create_subprocess_exec(*words, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        text = ""
        async with asyncio.timeout(60):
            while "LT-101" not in text or "Quality" not in text:
                text += (await asyncio.to_thread(os.read, ours, 65_536)).decode(errors="replace")
        process.terminate()
        await process.wait()
        os.close(ours)
        return text

    assert "running" in with_gateway(site, deed)


# --- reading ----------------------------------------------------------------------------------------------


def with_plc(site: Path, deed: Callable[[ModbusPlc], Awaitable[Any]]) -> Any:
    """A PLC whose registers 40003 and 40004 hold the float 12.5 with its words swapped."""

    async def play() -> Any:
        unit = Unit("plc1")
        unit.registers[2:4] = [0x0000, 0x4148]
        async with ModbusPlc({1: unit}, AnswerLog()) as plc:
            swap(site, "port = 1502", f"port = {plc.port}")
            (site / "points.csv").write_text(
                "tag,device,address,type,order\nLT-101,plc1,40003,float32,ABCD\nXS-101,plc1,40004,uint16,\n",
                "utf-8",
            )
            return await deed(plc)

    return asyncio.run(play())


def test_read_directly_shows_the_value_in_all_four_orders(site: Path) -> None:
    ended = with_plc(
        site, lambda _: asyncio.to_thread(plantgate, "read", "LT-101", "--orders", "--json", *on(site))
    )
    assert ended.returncode == Exit.OK, ended.stderr
    assert "没有网关在运行" in ended.stderr
    [point] = json.loads(ended.stdout)["points"]
    assert (point["name"], point["quality"]) == ("LT-101", "good")
    assert point["orders"]["CDAB"] == 12.5
    assert set(point["orders"]) == {"ABCD", "BADC", "CDAB", "DCBA"}


def test_read_a_device_as_a_table(site: Path) -> None:
    ended = with_plc(site, lambda _: asyncio.to_thread(plantgate, "read", "plc1", "--orders", *on(site)))
    assert ended.returncode == Exit.OK, ended.stderr
    assert "XS-101" in ended.stdout
    assert "12.5" in ended.stdout


def test_read_never_opens_a_second_session_while_a_gateway_runs(site: Path) -> None:
    async def deed(plc: ModbusPlc) -> tuple[Ended, int]:
        async with serving(site):
            words = ("read", "LT-101", "--orders", "--json", *on(site))
            return await asyncio.to_thread(plantgate, *words), plc.opened

    ended, opened = with_plc(site, deed)
    assert ended.returncode == Exit.OK, ended.stderr
    assert opened == 0
    [point] = json.loads(ended.stdout)["points"]
    assert point["value"] == point["orders"]["ABCD"] == 9.75


def test_read_of_a_device_that_is_away_is_4(site: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        swap(site, "port = 1502", f"port = {held.getsockname()[1]}")
        ended = plantgate("read", "plc1", *on(site))
    assert ended.returncode == Exit.UNREACHABLE
    assert "E-DEVICE-UNREACHABLE plc1" in ended.stderr


def test_read_of_a_device_whose_units_are_silent_is_4(site: Path) -> None:
    async def deed(plc: ModbusPlc) -> Ended:
        plc.silent = True
        return await asyncio.to_thread(plantgate, "read", "--json", *on(site))

    ended = with_plc(site, deed)
    assert ended.returncode == Exit.UNREACHABLE
    assert "E-DEVICE-UNREACHABLE plc1" in ended.stderr
    told = json.loads(ended.stdout)
    assert not told["ok"]
    assert [(point["quality"], point["cause"]) for point in told["points"]] == [("bad", "comm")] * 2


@pytest.mark.parametrize(
    ("quality", "cause", "code"),
    [
        ("bad", "comm", Exit.UNREACHABLE),
        ("bad", "not_read", Exit.UNREACHABLE),
        ("bad", "refused", Exit.OK),
        ("bad", "startup", Exit.OK),
        ("good", "none", Exit.OK),
    ],
)
def test_read_through_a_gateway_is_4_where_nothing_asked_for_can_be_reached(
    site: Path, quality: str, cause: str, code: Exit
) -> None:
    async def deed() -> Ended:
        house = House()
        house.quality, house.cause = quality, cause
        async with serving(site, house):
            return await asyncio.to_thread(plantgate, "read", "LT-101", "--json", *on(site))

    ended = asyncio.run(deed())
    assert ended.returncode == code
    told = json.loads(ended.stdout)
    assert told["ok"] == (code == Exit.OK)
    assert len(told["errors"]) == len(ended.stderr.splitlines()) == (code != Exit.OK)
    assert [point["name"] for point in told["points"]] == ["LT-101"]


def test_read_of_an_unknown_name_is_2_and_guesses(site: Path) -> None:
    ended = plantgate("read", "LT-100", "--lang", "en", *on(site))
    assert ended.returncode == Exit.USAGE
    assert 'Did you mean "LT-101"?' in ended.stderr
