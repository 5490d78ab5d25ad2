"""``plantgate alarms replay`` as a platform's engineer runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli import main
from gateway.commands import replay
from gateway.errors import Exit

SCRIPT = """# 高限 / a high limit
point LT-1 h=80 first_out=G
1s LT-1 85 -> raise LT-1/high H
2s reset LT-1/high by wang -> refused E-REFUSED-RESET
3s LT-1 50 -> clear LT-1/high H
"""
SCANS = """时间,位号,数值,质量
2025-11-22T11:31:00+08:00,LT-101,2.0,good
2025-11-22T11:31:01+08:00,LT-101,99,good
2025-11-22T11:31:02+08:00,LT-101,,bad comm
2025-11-22T11:31:03+08:00,LT-101,2.0,good
2025-11-22T11:32:10+08:00,LT-101,2.0,good
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "case.txt"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_script_that_happens_as_it_says(script: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["alarms", "replay", str(script)]) == Exit.OK
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "1s  raise LT-1/high H  value=85  limit=80  first_out",
        "2s  refused E-REFUSED-RESET",
        "3s  clear LT-1/high H  value=50  limit=80  returned",
    ]
    assert err == ""


@pytest.mark.parametrize(
    ("language", "missing", "unexpected"),
    [
        (
            "zh",
            "没有发生：raise LT-1/high HH；实际是：1s raise LT-1/high H",
            "没有料到：1s raise LT-1/high H",
        ),
        ("en", "did not happen: raise LT-1/high HH; found: 1s raise LT-1/high H", "not expected: 1s raise"),
    ],
)
def test_differences_are_told_with_their_lines(
    script: Path, capsys: pytest.CaptureFixture[str], language: str, missing: str, unexpected: str
):
    script.write_text(SCRIPT.replace("raise LT-1/high H", "raise LT-1/high HH"), encoding="gb18030")
    assert main(["alarms", "replay", "--lang", language, str(script)]) == Exit.CHECK_FAILED
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"{script}:3")
    assert missing in first
    assert unexpected in second


def test_a_script_as_json(script: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["alarms", "replay", "--json", str(script)]) == Exit.OK
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert told["differences"] == []
    raised, refused, cleared = told["transitions"]
    assert {k: v for k, v in raised.items() if k != "alarm"} == {
        "time": "2026-09-21T14:13:21.000Z",
        "after_s": 1.0,
        "transition": "raise",
        "condition": "LT-1/high",
        "level": "H",
        "value": 85.0,
        "limit": 80.0,
        "sounds": True,
    }
    assert raised["alarm"]["first_out"]
    assert refused["refused"] == "E-REFUSED-RESET"
    assert cleared["alarm"]["clear_kind"] == "returned"


def test_recorded_scans_are_judged_by_the_configuration(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    scans = tmp_path / "scans.CSV"
    scans.write_text(SCANS, encoding="gb18030")
    config = checkout / "docs" / "sample" / "gateway.toml"
    assert main(["alarms", "replay", "--config", str(config), str(scans)]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["2025-11-22T03:31:01.000Z", "raise", "LT-101/high"],
        ["2025-11-22T03:31:02.000Z", "raise", "plc1/comm"],
        ["2025-11-22T03:31:03.000Z", "clear", "plc1/comm"],
        ["2025-11-22T03:32:03.000Z", "clear", "LT-101/high"],  # its off-delay is 60 s
    ]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("case.txt", b"point LT-1 h=80\n", "E-SCRIPT-TITLE"),
        ("case.txt", b"# x\n\xff\xff\n", "E-POINTS-ENCODING"),
        ("scans.csv", "时间,位号\n".encode(), "E-SCRIPT-COLUMN"),
        ("absent.txt", None, "E-SCRIPT-FILE"),
    ],
)
def test_a_file_that_cannot_be_replayed_is_told(
    checkout: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    content: bytes | None,
    code: str,
):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    config = checkout / "docs" / "sample" / "gateway.toml"
    assert main(["alarms", "replay", "--config", str(config), str(path)]) == Exit.USER_FILE
    assert code in capsys.readouterr().err


def test_a_file_has_a_bound(
    script: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(replay, "MOST_BYTES", 10)
    assert main(["alarms", "replay", str(script)]) == Exit.USER_FILE
    assert "E-SCRIPT-BYTES" in capsys.readouterr().err
