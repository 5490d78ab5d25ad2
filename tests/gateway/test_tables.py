"""What people see: in the order of the questions, in both languages, with what the status says."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from gateway import table_words, tables

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
            "area": "罐区",
            "priority": 1,
            "text": "1号罐液位",
            "cause": "",
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
    assert "通信占用" in text
    assert "42 %" in next(line for line in text.splitlines() if line.strip().startswith("bus"))
    assert "! ua  the line is not encrypted" in text
    live = shown(tables.WatchView(status, "zh"))
    assert "bus 已连接 通信占用 42 %" in live
    assert "ua 已连接 !" in live
    assert "Line in use 42 %" in shown(tables.WatchView(status, "en"))


def test_watching_shows_who_does_not_answer_first_then_the_busiest_and_no_more_than_fit() -> None:
    many = [{"name": f"plc{k}", "connected": True, "load_percent": float(k)} for k in range(10)]
    line = str(tables.sources_line(sourced(*many, {"name": "lost"})["sources"], "en"))
    assert line.split()[1] == "lost"
    assert line.index("plc9") < line.index("plc8")
    assert "plc1 " not in line
    assert line.endswith("+3")


def test_a_text_stands_in_tables_and_lines() -> None:
    status = copy.deepcopy(STATUS)
    status["points"][0]["value"] = "[red]V1.2"
    assert "[red]V1.2" in shown(tables.points_table(status["points"], "zh"))
    assert any("TT-1  [red]V1.2" in line for line in tables.changes(STATUS, status, "zh"))


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


LONG_ID = "gateway/source-warning/gds2@1763723456789123456"


def crowded() -> dict[str, Any]:
    many = [
        {
            **STATUS["alarms"][0],
            "alarm_id": f"LT-{k:03}/high@1763723456789123456",
            "point_id": f"LT-{k:03}",
            "text": "一号原料储罐的液位测点，报警很长的描述",
            "t_raised": "2020-01-02T03:04:05.000Z",
        }
        for k in range(30)
    ]
    return {**STATUS, "alarms": many, "points": STATUS["points"] * 100}


def on_screen(width: int, height: int, language: str, status: dict[str, Any]) -> list[str]:
    paper = io.StringIO()
    Console(width=width, height=height, file=paper).print(tables.WatchView(status, language))
    return paper.getvalue().splitlines()


@pytest.mark.parametrize("width", [80, 100, 120])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_an_alarm_can_be_acknowledged_from_what_a_narrow_screen_shows(width: int, language: str) -> None:
    system = {**STATUS["alarms"][0], "alarm_id": LONG_ID, "type": "gateway", "source": "source-warning/gds2"}
    status = {**STATUS, "alarms": [*crowded()["alarms"][:2], system]}
    when = table_words.moment("2020-01-02T03:04:05.000Z")
    paper = io.StringIO()
    Console(width=width, file=paper).print(tables.status_view(status, language))
    for lines in (paper.getvalue().splitlines(), on_screen(width, 40, language, status)):
        for alarm in status["alarms"]:
            assert any(alarm["alarm_id"] in line.split() for line in lines), lines
        row = next(line for line in lines if "LT-001" in line and "@" not in line)
        assert when in row
        assert table_words.word("HH", language) in row.split()
        assert table_words.word("unacknowledged", language) in row.split()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (120, 40)])
def test_the_live_view_fills_the_screen_and_says_what_does_not_fit(width: int, height: int) -> None:
    lines = on_screen(width, height, "zh", crowded())
    assert len(lines) <= height
    alarms = sum("/high@" in line for line in lines)
    points = sum(line.startswith(("TT-1", "PT-1", "LT[1]")) for line in lines)
    assert alarms >= 3
    assert points >= 3
    assert f"还有 {30 - alarms} 条报警未显示" in lines
    assert f"还有 {300 - points} 个点未显示" in lines
    assert f"{30 - alarms} more alarms not shown" in on_screen(width, height, "en", crowded())


def test_where_everything_fits_nothing_is_said_to_be_missing() -> None:
    assert "未显示" not in "\n".join(on_screen(80, 24, "zh", STATUS))


def test_details_of_devices_are_chinese_for_a_chinese_reader() -> None:
    status = sourced({"detail": "10.0.0.1:502: Connection refused", "warning": "2 of 9 nodes refused: A"})
    text = shown(tables.status_view(status, "zh"))
    assert "10.0.0.1:502: 连接被拒绝" in text
    assert "9 个节点中有 2 个被拒绝：A" in text
    assert "Connection refused" in shown(tables.status_view(status, "en"))


def test_a_bad_point_shows_its_last_value_as_such_with_its_time() -> None:
    stale = {**STATUS["points"][1], "value": 23.4, "value_at": "2020-01-02T03:04:05.000Z"}
    when = table_words.moment("2020-01-02T03:04:05.000Z")
    assert f"上次 23.4 ({when})" in shown(tables.points_table([stale], "zh"))
    assert f"last 23.4 ({when})" in shown(tables.points_table([stale], "en"))
    assert any(
        f"上次 23.4 ({when}) kPa" in line
        for line in tables.changes(None, {**STATUS, "points": [stale]}, "zh")
    )
    assert "上次" not in shown(tables.points_table([{**stale, "quality": "uncertain"}], "zh"))
    assert "上次" not in shown(tables.points_table([STATUS["points"][1]], "zh"))


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


def test_an_alarm_that_has_gone_is_not_called_last_known() -> None:
    doubted = copy.deepcopy(STATUS)
    doubted["alarms"][0]["last_known"] = True
    assert "最后已知" in tables.changes(STATUS, doubted, "zh")[0]
    (line,) = tables.changes(doubted, {**doubted, "alarms": []}, "zh")
    assert "恢复" in line
    assert "最后已知" not in line


def test_a_standing_alarm_whose_value_moves_is_no_new_line() -> None:
    after = copy.deepcopy(STATUS)
    after["alarms"][0]["value"] = 9.99
    assert tables.changes(STATUS, after, "zh") == []
    after["alarms"][0]["acknowledged"] = True
    (line,) = tables.changes(STATUS, after, "zh")
    assert "LT[1]" in line
    assert "9.99" in line


def test_a_device_without_points_is_idle_not_down() -> None:
    idle = {**STATUS["sources"][0], "points": 0, "good": 0, "bad": 0, "since": None}
    for view in (tables.sources_table([idle], "zh"), tables.sources_line([idle], "zh")):
        assert "空闲" in shown(view)
        assert "未连接" not in shown(view)
    assert "idle" in tables.changes(None, {**STATUS, "sources": [idle]}, "en")[0]


@pytest.mark.parametrize(
    ("told", "zh", "en"),
    [
        ({"level": "HH", "from_s": 721, "to_s": 1079}, "12–18 分后到高高", "HH in 12–18 min"),
        ({"level": "L", "from_s": 185, "to_s": 230}, "3–4 分后到低", "L in 3–4 min"),
        ({"level": "L", "from_s": 100, "to_s": 179}, "100–179 秒后到低", "L in 100–179 s"),
        ({"level": "H", "from_s": 60, "to_s": 60}, "60 秒后到高", "H in 60 s"),
    ],
)
def test_a_forecast_is_a_range_of_whole_minutes_that_is_never_made_narrower(
    told: dict[str, Any], zh: str, en: str
) -> None:
    point = {**STATUS["points"][0], "forecast": told}
    assert (tables.forecast(point, "zh"), tables.forecast(point, "en")) == (zh, en)


def test_forecasts_have_a_column_only_where_there_is_one() -> None:
    points = [{**point, "forecast": None} for point in STATUS["points"]]
    assert "趋势" not in shown(tables.points_table(points, "zh"))
    points[0]["forecast"] = {"level": "HH", "from_s": 721, "to_s": 1079}
    text = shown(tables.points_table(points, "zh"))
    assert "趋势" in text
    assert "12–18 分后到高高" in text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh", ["声响：关 已消音 2", "灯光：开 （试灯试音）"]),
        ("en", ["horn off silenced 2", "lamp on (lamp test)"]),
    ],
)
def test_status_says_of_a_horn_and_a_lamp_whether_they_are_on(language: str, words: list[str]) -> None:
    about = {"state": "ok", "detail": "", "because": ""}
    horn = {"name": "h", **about, "signal": "horn", "on": False, "silenced": 2, "lamp_test": False}
    lamp = {"name": "l", **about, "signal": "lamp", "on": True, "silenced": 0, "lamp_test": True}
    text = shown(tables.status_view({**STATUS, "outputs": [horn, lamp]}, language))
    assert [word for word in words if word not in text] == []
