"""The block of warnings from above: a colour in words, an age that counts, an overdue mark."""

import io

import pytest
from rich.console import Console

from gateway import tables
from gateway.above import Above, Answer
from gateway.instant import ClockState, Now
from gateway.tables_above import WATCHED_LINES, warning_changes, warnings_table
from gateway.uplink.order import Order

T0 = 1_795_318_260_000_000_000


def at(seconds):
    return Now(seconds * 10**9, T0 + seconds * 10**9, ClockState("synchronised"))


def house():
    above = Above()
    above.receive(
        Order("province", "s/g", "W-1", "warning", "yellow", "罐 [red]高", "", ("LT-1",), T0), at(0)
    )
    due = T0 + 60 * 10**9
    above.receive(Order("bureau", "s/g", "D-1", "order", "", "立即检查", "", (), T0, due), at(0))
    return above


def printed(renderable, width=150):
    screen = Console(file=io.StringIO(), width=width)
    screen.print(renderable)
    return screen.file.getvalue()


def test_nothing_from_above_takes_no_room():
    assert warnings_table([], "zh") is None


@pytest.mark.parametrize("width", [60, 150])
def test_what_stands_there_in_both_languages(width):
    seen = house().view(at(90))
    chinese = printed(warnings_table(seen, "zh"), width)
    for word in (
        "预警（上级）",
        "黄色预警",
        "处置",
        "未反馈 超时 30 秒",
        "1 分 30 秒",
        "province/W-1",
        "罐 [red]高",
    ):
        assert word in chinese
    english = printed(warnings_table(seen, "en"), width)
    for word in ("Warnings from above", "yellow warning", "order", "unanswered overdue 30 s", "1 min 30 s"):
        assert word in english
    assert chinese.index("处置") < chinese.index("黄色预警"), "the overdue one first"


def test_the_age_goes_on_and_the_time_left_runs_down():
    above = house()
    assert "剩 50 秒" in printed(warnings_table(above.view(at(10)), "zh"))
    assert "20 s left" in printed(warnings_table(above.view(at(40)), "en"))
    above.answer("li", Answer("D-1", "a", "b"), at(45))
    assert "已反馈" in printed(warnings_table(above.view(at(400)), "zh"))


def test_a_line_for_each_change_and_none_for_growing_older():
    above = house()

    def status(seconds):
        return {"warnings": above.view(at(seconds))}

    first = warning_changes(None, status(1), "zh")
    assert len(first) == 2
    assert all(line.startswith("▲ 预警（上级）") for line in first)
    assert warning_changes(status(1), status(30), "zh") == []
    [late] = warning_changes(status(30), status(90), "en")
    assert "bureau/D-1" in late
    assert "overdue" in late
    before = status(90)
    above.answer("li", Answer("W-1", "a", "b"), at(91))
    [answered] = warning_changes(before, status(92), "zh")
    assert "已反馈" in answered
    assert warning_changes({}, {}, "zh") == []


STATUS = {
    "gateway_id": "gw",
    "site_id": "s",
    "version": "1",
    "config_rev": "0",
    "now": "2026-11-22T03:31:00.000Z",
    "uptime_s": 1.0,
    "clock": {"state": "synchronised"},
    "sources": [],
    "points": [],
    "alarms": [],
    "recipients": [],
    "outputs": [],
    "cameras": [],
    "held": {},
    "spool": {"state": "ok", "detail": "", "bytes": 1, "quota_bytes": 2},
}


def test_the_block_stands_in_status_and_watch_apart_from_the_alarms():
    status = {**STATUS, "warnings": house().view(at(90))}
    for view in (tables.status_view(status, "zh"), tables.WatchView(status, "zh", 40)):
        text = printed(view)
        assert "预警（上级）" in text
        assert "黄色预警" in text
        assert "没有报警" in text, "they are none of the box's alarms"
    assert any("D-1" in line for line in tables.changes(None, status, "zh"))


def test_many_of_them_leave_the_screen_to_the_alarms():
    above = Above()
    for n in range(60):
        above.receive(Order("province", "s/g", f"W-{n}", "warning", "blue", "x", "", (), T0), at(0))
    text = printed(tables.WatchView({**STATUS, "warnings": above.view(at(1))}, "zh", 40))
    assert text.count("蓝色预警") < WATCHED_LINES
    assert "还有" in text
    assert "没有报警" in text
