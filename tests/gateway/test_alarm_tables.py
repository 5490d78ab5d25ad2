"""What people see of alarms, of what is held back, and of limits."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, Group

from gateway import alarm_tables
from gateway.table_words import moment

ALARM: dict[str, Any] = {
    "alarm_id": "LT-101/high@1",
    "condition": "LT-101/high",
    "type": "limit",
    "point_id": "LT-101",
    "source": "plc1",
    "area": "罐区",
    "priority": 1,
    "text": "1号罐液位",
    "active": True,
    "acknowledged": False,
    "latched": False,
    "shelved_until": None,
    "suppressed": "",
    "out_of_service": False,
    "last_known": False,
    "level": {"start": "H", "worst": "HH", "current": "HH"},
    "value": 91.0,
    "peak": 92.0,
    "limit_edge": 90.0,
    "limit_filed": None,
    "cause": "",
    "t_raised": "2026-11-22T02:59:00.000Z",
    "repeat_count": 0,
    "first_out": False,
    "at_start": False,
    "advisory": False,
    "test": False,
}
UNTIL = "2020-01-02T03:04:05.000Z"
EVERY_MARK = {
    "latched": True,
    "shelved_until": UNTIL,
    "suppressed": "maintenance",
    "out_of_service": True,
    "last_known": True,
    "first_out": True,
    "at_start": True,
    "repeat_count": 4,
    "limit_filed": 88.0,
}
HELD = [
    {
        "action": "shelve",
        "target": "LT-101",
        "by": "wang",
        "reason": "换表",
        "until": UNTIL,
        "remaining_s": 3600,
    },
    {
        "action": "test",
        "target": "GT-1",
        "by": "li",
        "reason": "月检",
        "until": UNTIL,
        "value": 30.0,
        "remaining_s": 5,
    },
    {"action": "suppressed", "target": "GT-2", "reason": "calibration"},
]


def shown(*views: Any, width: int = 200) -> str:
    paper = io.StringIO()
    Console(width=width, file=paper).print(Group(*views))
    return paper.getvalue()


def test_an_alarm_of_a_source_says_how_many_points_and_one_of_a_bad_value_why() -> None:
    comm = {**ALARM, "type": "comm", "point_id": "", "text": "plc1", "points": 1000}
    bad = {**ALARM, "type": "quality", "cause": "device_fault"}
    assert "plc1  1000 点" in shown(alarm_tables.alarms_table([comm], "zh"))
    assert "plc1  1000 points" in shown(alarm_tables.alarms_table([comm], "en"))
    assert "1号罐液位  设备故障" in shown(alarm_tables.alarms_table([bad], "zh"))


def test_the_gateways_own_alarm_says_what_it_means_and_keeps_its_name_for_programs() -> None:
    system = {
        **ALARM,
        "type": "gateway",
        "point_id": "",
        "source": "camera/cam2",
        "text": "camera/cam2",
    }
    text = shown(alarm_tables.alarms_table([system], "zh"))
    assert "摄像头 cam2 无画面" in text
    assert "网关" in text
    assert "camera/cam2" not in text
    assert "no picture from camera cam2" in shown(alarm_tables.alarms_table([system], "en"))


@pytest.mark.parametrize("width", [80, 120, 200])
@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "zh",
            ["锁存", "首出", "抑制(维护)", "停用", "最后已知", "启动时已有", "重复 4", "(备案 88)", "搁置至"],
        ),
        (
            "en",
            [
                *(
                    "latched",
                    "first-out",
                    "suppressed(maintenance)",
                    "out of service",
                    "last known",
                    "at start",
                ),
                *("repeats 4", "(filed 88)", "shelved until"),
            ],
        ),
    ],
)
def test_every_part_of_the_state_is_told_on_every_screen(width: int, language: str, words: list[str]) -> None:
    text = shown(alarm_tables.alarms_table([{**ALARM, **EVERY_MARK}], language), width=width)
    together = " ".join(text.split())
    for word in (*words, moment(UNTIL), "LT-101/high@1"):
        assert word in together, text


@pytest.mark.parametrize(("unit", "told"), [("m/min", "91 m/min"), ("", "91")])
def test_a_value_stands_with_its_unit(unit: str, told: str) -> None:
    alarm = {**ALARM, "unit": unit}
    assert f" {told}  " in shown(*alarm_tables.alarm_blocks({"alarms": [alarm]}, "zh"))
    assert f"  {told}  " in alarm_tables.alarm_line(alarm, "zh")
    assert "  —  " in alarm_tables.alarm_line({**alarm, "value": None}, "zh")


def test_an_alarm_without_marks_shows_none() -> None:
    assert alarm_tables.marks(ALARM, "zh") == []
    assert "备案" not in shown(alarm_tables.alarms_table([ALARM], "zh"))
    assert "备案" not in shown(alarm_tables.alarms_table([{**ALARM, "limit_filed": 90.0}], "zh"))


@pytest.mark.parametrize(
    ("part", "held"),
    [
        ({"shelved_until": UNTIL}, True),
        ({"suppressed": "x"}, True),
        ({"out_of_service": True}, True),
        ({}, False),
    ],
)
def test_what_is_held_back(part: dict[str, Any], held: bool) -> None:
    assert alarm_tables.is_held_back({**ALARM, **part}) is held


def test_in_a_flood_the_area_stands_in_groups_and_all_shows_each() -> None:
    flooded = [{**ALARM, "alarm_id": f"LT-{k}/high@{k}", "point_id": f"LT-{k}"} for k in range(20)]
    other = {**ALARM, "alarm_id": "PT-9/high@9", "point_id": "PT-9", "area": "泵房"}
    status = {"alarms": [*flooded, other], "alarm_load": {"floods": [{"area": "罐区"}]}}
    text = shown(*alarm_tables.alarm_blocks(status, "zh"))
    assert "报警泛滥" in text
    assert "LT-7/high@7" not in text
    assert "PT-9/high@9" in text
    (row,) = [line for line in text.splitlines() if "罐区" in line]
    assert row.split()[:5] == ["高高", "罐区", "越限", "20", "20"]
    shelf = {**flooded[0], "alarm_id": "LT-0/low@1", "shelved_until": UNTIL}
    status["alarms"].append(shelf)
    assert "LT-0/low@1" in shown(*alarm_tables.alarm_blocks(status, "zh")), (
        "what is held back is no part of a flood"
    )
    each = shown(*alarm_tables.alarm_blocks(status, "zh", everything=True))
    assert all(alarm["alarm_id"] in each for alarm in status["alarms"])


def test_a_flood_of_everything_leaves_no_empty_list() -> None:
    status = {"alarms": [ALARM], "alarm_load": {"floods": [{"area": "罐区"}]}}
    assert "没有报警" not in shown(*alarm_tables.alarm_blocks(status, "zh"))
    assert "没有报警" in shown(*alarm_tables.alarm_blocks({"alarms": []}, "zh"))


def test_what_is_held_back_and_tested_stands_on_every_screen_with_its_number() -> None:
    tests = [{"target": f"GT-{k}", "value": 30.0, "levels": ["H"], "until": UNTIL} for k in range(5)]
    status = {
        "held": {"shelved": 2, "suppressed": 1, "out_of_service": 3, "tests": tests},
        "limits": {"changed": 4, "staged": 1},
    }
    (line, running) = alarm_tables.held_line(status, "zh")
    for told in (
        "搁置 2",
        "抑制 1",
        "停用 3",
        "限值与点表不同 4",
        "限值待批准 1",
        "测试 GT-0 = 30 → 高 至",
        "+2",
    ):
        assert told in f"{line.plain} {running.plain}"
    assert "GT-3" not in running.plain
    nothing = {"shelved": 0, "suppressed": 0, "out_of_service": 0, "tests": []}
    assert alarm_tables.held_line({"held": nothing, "limits": {"changed": 0, "staged": 0}}, "zh") == []


@pytest.mark.parametrize("width", [80, 120])
def test_what_is_held_back_is_listed_with_who_why_and_how_long(width: int) -> None:
    text = shown(alarm_tables.held_table(HELD, "zh"), width=width)
    for told in (
        "搁置",
        "LT-101",
        "wang",
        "换表",
        "1 小时 0 分",
        "测试",
        "GT-1",
        "30 → 没有报警",
        "抑制",
        "标定",
    ):
        assert told in text, text
    assert "Nothing is held back" in shown(alarm_tables.held_table([], "en"))


def point(**more: Any) -> dict[str, Any]:
    limits = {"LL": None, "L": 10.0, "H": 80.0, "HH": 90.0}
    usual = {"name": "LT-101", "description": "液位", "unit": "%", "limits": limits, "table": limits}
    return {**usual, "looser_than_filed": [], "changed": None, "staged": None, **more}


@pytest.mark.parametrize("width", [80, 120])
def test_a_changed_limit_stands_with_the_tables_who_and_why(width: int) -> None:
    who = {"by": "wang", "approved_by": "li", "reason": "工艺变更 17 号", "at": UNTIL}
    changed = point(
        limits={"LL": None, "L": 10.0, "H": 82.0, "HH": None}, changed=who, looser_than_filed=["HH"]
    )
    text = " ".join(shown(*alarm_tables.limit_blocks([changed], "zh"), width=width).split())
    for told in ("82 (80)", "— (90)", "wang", "批准 li", "工艺变更 17 号", "比备案宽松"):
        assert told in text


def test_limits_as_in_the_table_are_shown_only_if_all_are_wanted() -> None:
    assert shown(*alarm_tables.limit_blocks([point()], "zh")).strip() == "所有限值都与点表一致。"
    assert "LT-101" in shown(*alarm_tables.limit_blocks([point()], "zh", everything=True))


@pytest.mark.parametrize("width", [80, 120])
def test_a_change_that_waits_can_be_approved_from_what_the_screen_shows(width: int) -> None:
    staged = {
        "id": "LT-101@1763723456789",
        "changes": [{"field": "H", "old": 80.0, "new": 82.0}, {"field": "HH", "old": 90.0, "new": None}],
        "by": "wang",
        "reason": "工艺变更",
        "until": UNTIL,
    }
    text = shown(*alarm_tables.limit_blocks([point(staged=staged)], "zh", everything=True), width=width)
    assert "H 80 → 82, HH 90 → —" in text
    assert "LT-101@1763723456789" in text.split()
    assert "工艺变更" in text


def test_one_line_for_a_pipe() -> None:
    told = {**ALARM, "latched": True, "active": False, "acknowledged": True}
    line = "! LT-101  1号罐液位  高高  91  已恢复 已确认  锁存"
    assert alarm_tables.alarm_line(told, "zh") == line
