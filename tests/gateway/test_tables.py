"""What people see: in the order of the questions, in both languages, with what the status says."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from gateway import tables

STATUS: dict[str, Any] = {
    "gateway_id": "gw-1",
    "site_id": "site-1",
    "version": "0.1.0",
    "config_rev": "0123456789abcdef",
    "started_at": "2026-11-22T00:00:00.000Z",
    "now": "2026-11-22T03:00:00.000Z",
    "uptime_s": 10_805.0,
    "clock": {"state": "synchronised", "error_ms": 1.0},
    "sources": [
        {
            "name": "plc1",
            "driver": "modbus",
            "connected": False,
            "since": "2020-01-02T03:04:05.000Z",
            "detail": "no answer [timed out]",
            "points": 3,
            "good": 1,
            "bad": 2,
            "counters": {},
            "warning": "",
            "load_percent": None,
        }
    ],
    "points": [
        {
            "name": "TT-1",
            "description": "温度",
            "device": "plc1",
            "value": 21.5,
            "unit": "℃",
            "quality": "good",
            "cause": "none",
            "level": "",
            "taken_at": "2026-11-22T03:00:00.000Z",
        },
        {
            "name": "PT-1",
            "description": "压力",
            "device": "plc1",
            "value": None,
            "unit": "kPa",
            "quality": "bad",
            "cause": "comm",
            "level": "",
            "taken_at": None,
        },
        {
            "name": "LT[1]",
            "description": "液位",
            "device": "plc1",
            "value": 9.87654321,
            "unit": "m",
            "quality": "good",
            "cause": "none",
            "level": "HH",
            "taken_at": "2026-11-22T03:00:00.000Z",
        },
    ],
    "alarms": [
        {
            "alarm_id": "LT[1]/high@1",
            "type": "limit",
            "point_id": "LT[1]",
            "source": "plc1",
            "priority": 1,
            "text": "1号罐液位",
            "active": True,
            "acknowledged": False,
            "level": {"start": "H", "worst": "HH", "current": "HH"},
            "value": 9.87654321,
            "peak": 9.9,
            "limit_edge": 9.5,
            "t_raised": "2026-11-22T02:59:00.000Z",
        }
    ],
    "spool": {
        "state": "ok",
        "spool_id": "s",
        "detail": "",
        "bytes": 3 << 20,
        "quota_bytes": 8 << 30,
        "free_bytes": 1,
        "heads": {},
    },
    "recipients": [
        {
            "name": "province",
            "state": "waiting",
            "acknowledged_by": "receipt",
            "last_acknowledged_at": "2020-01-02T03:04:05.000Z",
            "backlog": {},
            "backlog_records": 42,
            "backlog_oldest_at": "2020-01-02T03:04:06.000Z",
            "can_stay_offline_s": 190_000,
            "rejected": 0,
            "detail": {"zh": "连接被拒绝", "en": "connection refused"},
            "next_retry_s": 1,
        }
    ],
    "outputs": [{"name": "siren", "state": "failed", "detail": "no such program"}],
    "cameras": [],
}


def shown(view: RenderableType) -> str:
    paper = io.StringIO()
    Console(width=200, file=paper).print(view)
    return paper.getvalue()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "zh",
            [
                "运行中 3 小时 0 分",
                "未连接",
                "province",
                "等待重连",
                "42",
                "2 天 4 小时",
                "连接被拒绝",
                "高高",
                "未确认",
            ],
        ),
        (
            "en",
            [
                "running 3 h 0 min",
                "not connected",
                "province",
                "waiting",
                "42",
                "2 d 4 h",
                "connection refused",
                "HH",
            ],
        ),
    ],
)
def test_status_answers_the_three_questions_in_their_order(language: str, words: list[str]) -> None:
    text = shown(tables.status_view(STATUS, language))
    places = [text.find(word) for word in words]
    assert -1 not in places, text
    alive, recipients, alarms = text.index("gw-1"), text.index("province"), text.index("LT[1]")
    assert alive < recipients < alarms


def sourced(*sources: dict[str, Any]) -> dict[str, Any]:
    return {**STATUS, "sources": [{**STATUS["sources"][0], **source} for source in sources]}


def test_the_load_of_a_line_and_what_to_mend_are_shown_with_each_device() -> None:
    status = sourced(
        {"name": "bus", "connected": True, "load_percent": 41.6},
        {"name": "ua", "connected": True, "warning": "the line is not encrypted"},
    )
    text = shown(tables.status_view(status, "zh"))
    assert "总线负荷" in text
    assert "42 %" in next(line for line in text.splitlines() if line.strip().startswith("bus"))
    assert "! ua  the line is not encrypted" in text
    live = shown(tables.watch_view(status, "zh"))
    assert "bus 已连接 总线负荷 42 %" in live
    assert "ua 已连接 !" in live
    assert "Bus load 42 %" in shown(tables.watch_view(status, "en"))


def test_watching_shows_who_does_not_answer_first_then_the_busiest_and_no_more_than_fit() -> None:
    many = [{"name": f"plc{k}", "connected": True, "load_percent": float(k)} for k in range(10)]
    line = str(tables.sources_line(sourced(*many, {"name": "lost"})["sources"], "en"))
    assert line.split()[1] == "lost"
    assert line.index("plc9") < line.index("plc8")
    assert "plc1 " not in line
    assert line.endswith("+3")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "—"),
        (9.87654321, "9.87654"),
        (0.0, "0"),
        (1_234_567.0, "1234567"),
        (float(2**53 - 1), "9007199254740991"),
        (2**64 - 1, "18446744073709551615"),
        (-(2**63), "-9223372036854775808"),
        (1e300, "1e+300"),
        (-2.5e-7, "-2.5e-07"),
        ("V1.2 罐", "V1.2 罐"),
        ("\x1b[2Jgone\n", "·[2Jgone·"),
        ("", ""),
    ],
)
def test_values_as_people_read_them(value: float | str | None, text: str) -> None:
    assert tables.number(value) == text


def test_a_text_stands_in_tables_and_lines() -> None:
    status = copy.deepcopy(STATUS)
    status["points"][0]["value"] = "[red]V1.2"
    assert "[red]V1.2" in shown(tables.points_table(status["points"], "zh"))
    assert any("TT-1  [red]V1.2" in line for line in tables.changes(STATUS, status, "zh"))


def test_an_alarm_of_a_source_says_how_many_points_and_one_of_a_bad_value_why() -> None:
    comm = {**STATUS["alarms"][0], "type": "comm", "point_id": "", "text": "plc1", "points": 1000}
    bad = {**STATUS["alarms"][0], "type": "quality", "cause": "device_fault"}
    assert "plc1  1000 点" in shown(tables.alarms_table([comm], "zh"))
    assert "plc1  1000 points" in shown(tables.alarms_table([comm], "en"))
    assert "1号罐液位  设备故障" in shown(tables.alarms_table([bad], "zh"))


def test_brackets_are_not_markup() -> None:
    assert "no answer [timed out]" in shown(tables.status_view(STATUS, "en"))
    assert "LT[1]" in shown(tables.points_table(STATUS["points"], "zh"))


def test_points_by_exception() -> None:
    assert [point["name"] for point in tables.by_exception(STATUS["points"])] == ["LT[1]", "PT-1", "TT-1"]


def test_a_missing_value_is_a_dash_with_its_cause_never_a_zero() -> None:
    text = shown(tables.points_table(STATUS["points"], "zh"))
    line = next(line for line in text.splitlines() if "PT-1" in line)
    assert "—" in line
    assert "通信中断" in line
    assert "0" not in line


def test_the_live_view_is_bounded() -> None:
    status = {**STATUS, "points": STATUS["points"] * 100}
    text = shown(tables.watch_view(status, "en", 5))
    assert sum("℃" in line or "kPa" in line or " m " in line for line in text.splitlines()) <= 6


def test_without_alarms_and_recipients_it_says_so() -> None:
    status = {**STATUS, "alarms": [], "recipients": []}
    assert "没有报警" in shown(tables.status_view(status, "zh"))
    assert "No recipients" in shown(tables.status_view(status, "en"))


def test_lines_show_what_changed_and_nothing_else() -> None:
    first = tables.changes(None, STATUS, "en")
    assert len(first) == 1 + 1 + 1 + 3
    assert tables.changes(STATUS, STATUS, "en") == []
    after = copy.deepcopy(STATUS)
    after["points"][0]["value"] = 22.0
    after["alarms"] = []
    after["recipients"][0]["state"] = "connected"
    lines = tables.changes(STATUS, after, "zh")
    assert len(lines) == 3
    assert any("TT-1" in line and "22" in line for line in lines)
    assert any("恢复" in line and "LT[1]" in line for line in lines)
    assert any("province" in line and "已连接" in line for line in lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert tables.duration(seconds, "en") == text
