"""A row's alarms: what they say, and every mistake at its cell, once, in both languages."""

from __future__ import annotations

import pytest

from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.alarm.presets import PRESETS, Preset
from gateway.errors import UserFacingError
from gateway.point_alarms import Measured, alarms_of
from gateway.sheet import Row

KNOWN = {**PRESETS, "h2s": Preset("ppm", h=5.0, hh=10.0, deadband=0.5), "broken": None}


def judged(
    unit: str = "m", kind: str = "", lo: float | None = None, hi: float | None = None, **cells: str
) -> tuple[Limits, Conditions, list[UserFacingError]]:
    row = Row("t.csv", 2, list(cells.values()), {name: at for at, name in enumerate(cells)}, list(cells), [])
    limits, conditions = alarms_of(row, Measured(kind, unit, lo, hi), KNOWN)
    return limits, conditions, row.errors


def mistakes(unit: str = "m", kind: str = "", **cells: str) -> list[tuple[str, str]]:
    errors = judged(unit, kind, **cells)[2]
    assert all("{" not in error.line(language) for error in errors for language in ("zh", "en"))
    return [(error.code, error.place.partition("(")[2].rstrip(")")) for error in errors]


def test_an_empty_row_has_no_alarms() -> None:
    assert judged() == (Limits(), Conditions(), [])


def test_a_delay_is_one_number_for_all_limits() -> None:
    limits, _, errors = judged(h="5", hh="6", on_delay_s="１０", off_delay_s="0.5", deadband="0.1")
    assert (limits, errors) == (Limits(h=5, hh=6, deadband=0.1, on_delay_s=10.0, off_delay_s=0.5), [])


@pytest.mark.parametrize(
    "cell",
    [
        *(
            "H=10 HH=0",
            "高=10；高高=0",
            "h = 10, hh = 0",
            "Ｈ＝１０；ＨＨ＝０",
            "高：10、高高：0",
            "HH=0 H=10;",
        ),
        *("高限=10 高高限=0", "H:10;HH:0"),
    ],
)
def test_or_one_per_limit(cell: str) -> None:
    limits, _, errors = judged(h="5", hh="6", on_delay_s=cell)
    assert (limits.on_delay_s, errors) == ({"H": 10.0, "HH": 0.0}, [])


def test_a_deadband_and_a_contacts_delay_may_be_per_limit_too() -> None:
    assert judged(l="1", h="5", deadband="L=0.5 H=1")[0].deadband == {"L": 0.5, "H": 1.0}
    assert judged(kind="bit", alarm_on="1", on_delay_s="ON=3")[0].on_delay_s == {"ON": 3.0}
    assert judged(kind="bit", alarm_on="1", on_delay_s="3")[0].on_delay_s == 3.0


@pytest.mark.parametrize(
    "cell",
    [
        *("H=", "=5", "H=5 HH", "X=5", "H=x", "H=1_0", "H=nan", "H=1e999", "H=10HH=0", "H==5", "H=5;;HH=1"),
        *("5 H=5", "H=10 秒"),
    ],
)
def test_what_is_neither_says_how_it_is_written(cell: str) -> None:
    assert mistakes(h="5", hh="6", on_delay_s=cell) == [("E-POINTS-EACH", "on_delay_s")]


@pytest.mark.parametrize(
    ("cells", "code", "column"),
    [
        ({"h": "5", "on_delay_s": "H=1 高=2"}, "E-POINTS-EACH-TWICE", "on_delay_s"),
        ({"h": "5", "on_delay_s": "HH=1"}, "E-POINTS-EACH-LIMIT", "on_delay_s"),
        ({"h": "5", "on_delay_s": "ON=1"}, "E-POINTS-EACH-LIMIT", "on_delay_s"),
        ({"h": "5", "hh": "无", "deadband": "HH=1"}, "E-POINTS-EACH-LIMIT", "deadband"),
        ({"kind": "bit", "off_delay_s": "ON=1"}, "E-POINTS-EACH-LIMIT", "off_delay_s"),
        ({"h": "5", "on_delay_s": "ten"}, "E-POINTS-NUMBER", "on_delay_s"),
        ({"h": "5", "on_delay_s": "-1"}, "E-POINTS-BETWEEN", "on_delay_s"),
        ({"h": "5", "on_delay_s": "3600.1"}, "E-POINTS-BETWEEN", "on_delay_s"),
        ({"h": "5", "off_delay_s": "H=3601"}, "E-POINTS-BETWEEN", "off_delay_s"),
        ({"h": "5", "deadband": "H=-1"}, "E-POINTS-DEADBAND-NEGATIVE", "deadband"),
        ({"l": "1", "h": "5", "deadband": "L=1 H=4"}, "E-POINTS-DEADBAND-WIDE", "deadband"),
        ({"l": "1", "h": "5", "deadband": "L=4"}, "E-POINTS-DEADBAND-WIDE", "deadband"),
        ({"l": "1", "h": "5", "hh": "9", "deadband": "HH=8"}, "E-POINTS-DEADBAND-WIDE", "deadband"),
        ({"filed_l": "5", "filed_h": "5"}, "E-POINTS-LIMIT-ORDER", "filed_h"),
        ({"filed_h": "x"}, "E-POINTS-NUMBER", "filed_h"),
        ({"rise_per_min": "0"}, "E-POINTS-POSITIVE", "rise_per_min"),
        ({"fall_per_min": "-2"}, "E-POINTS-POSITIVE", "fall_per_min"),
        ({"rise_per_min": "1", "rate_window_s": "1"}, "E-POINTS-BETWEEN", "rate_window_s"),
        ({"rise_per_min": "1", "rate_window_s": "3601"}, "E-POINTS-BETWEEN", "rate_window_s"),
        ({"rate_window_s": "60"}, "E-POINTS-TOGETHER", "上升速率限"),
        ({"deviation": "0", "deviation_from": "A"}, "E-POINTS-POSITIVE", "deviation"),
        ({"deviation_deadband": "1"}, "E-POINTS-TOGETHER", "偏差限"),
        (
            {"deviation": "2", "deviation_from": "A", "deviation_deadband": "2"},
            "E-POINTS-DEVIATION-DEADBAND",
            "deviation_deadband",
        ),
        (
            {"deviation": "2", "deviation_from": "A", "deviation_deadband": "-1"},
            "E-POINTS-DEADBAND-NEGATIVE",
            "deviation_deadband",
        ),
        ({"latching": "maybe"}, "E-POINTS-YES", "latching"),
        ({"forecast": "2", "h": "1"}, "E-POINTS-YES", "forecast"),
        ({"forecast": "是"}, "E-POINTS-FORECAST", "forecast"),
        ({"re_alarm_s": "9"}, "E-POINTS-BETWEEN", "re_alarm_s"),
        ({"re_alarm_s": "604801"}, "E-POINTS-BETWEEN", "re_alarm_s"),
        ({"suppressed_by": "X", "suppressed_on": "2"}, "E-POINTS-WHOLE", "suppressed_on"),
        ({"suppressed_on": "0"}, "E-POINTS-TOGETHER", "抑制点"),
        ({"kind": "bit", "rise_per_min": "1"}, "E-POINTS-DIGITAL", "rise_per_min"),
        ({"kind": "bit", "filed_h": "1"}, "E-POINTS-DIGITAL", "filed_h"),
        ({"kind": "bit", "forecast": "是"}, "E-POINTS-DIGITAL", "forecast"),
        ({"kind": "bit", "preset": "可燃气体"}, "E-POINTS-DIGITAL", "preset"),
        ({"kind": "string", "on_delay_s": "5"}, "E-POINTS-LIMIT-TEXT", "on_delay_s"),
        ({"kind": "string", "deviation_from": "A"}, "E-POINTS-LIMIT-TEXT", "deviation_from"),
        ({"preset": "combustable", "unit": "%LEL"}, "E-POINTS-PRESET-UNKNOWN", "preset"),
        ({"preset": "toxic", "unit": "ppm"}, "E-POINTS-PRESET-UNIT", "preset"),
        ({"preset": "toxic", "unit": ""}, "E-POINTS-PRESET-UNIT", "preset"),
        ({"preset": "可燃气体", "unit": "%LEL", "h": "60"}, "E-POINTS-PRESET-ORDER", "preset"),
        ({"preset": "可燃气体", "unit": "%LEL", "h": "30", "l": "40"}, "E-POINTS-LIMIT-ORDER", "h"),
    ],
)
def test_one_mistake_at_its_cell(cells: dict[str, str], code: str, column: str) -> None:
    assert mistakes(**cells) == [(code, column)]


def test_a_wrong_limit_is_not_called_missing() -> None:
    assert mistakes(h="x", on_delay_s="H=5") == [("E-POINTS-NUMBER", "h")]


def test_bounds_are_named_in_both_languages() -> None:
    [error] = judged(h="5", on_delay_s="4000")[2]
    assert "4000 不在 0 到 3600 之间" in error.line("zh")
    assert "4000 is not between 0 and 3600" in error.line("en")


def test_filed_limits_stand_beside_the_edges_own() -> None:
    limits, _, errors = judged(h="5", filed_h="5.5", filed_hh="6", hi=5.2)
    assert (limits.filed, limits.hh, errors) == ({"H": 5.5, "HH": 6.0}, None, [])


def test_everything_else_a_row_may_say() -> None:
    _, conditions, errors = judged(
        h="9",
        rise_per_min="0.5",
        fall_per_min="0.4",
        rate_window_s="120",
        deviation="0.2",
        deviation_from="LT-102",
        deviation_deadband="0.05",
        latching="是",
        re_alarm_s="600",
        first_out="K-1",
        suppressed_by="XS-1",
        suppressed_on="0",
        forecast="1",
        gas_delay_reason="",
    )
    assert errors == []
    assert conditions == Conditions(
        0.5, 0.4, 120.0, 0.2, 0.05, "LT-102", True, 600.0, "K-1", "XS-1", 0, True, ""
    )


@pytest.mark.parametrize(
    ("cell", "said"), [("是", True), ("YES", True), ("１", True), ("否", False), ("0", False), ("", False)]
)
def test_yes_and_no(cell: str, said: bool) -> None:
    assert judged(latching=cell)[1].latching is said


def test_never_may_be_written_as_zero() -> None:
    assert judged(re_alarm_s="0")[1:] == (Conditions(), [])


# --- gas -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["%LEL", "LEL%", "%OEL", "％ｌｅｌ", "LEL·m"])
@pytest.mark.parametrize("column", ["on_delay_s", "off_delay_s"])
@pytest.mark.parametrize("cell", ["5", "H=5", "H=0 HH=5"])
def test_a_gas_alarm_does_not_wait(unit: str, column: str, cell: str) -> None:
    assert mistakes(unit, h="25", hh="50", **{column: cell}) == [("E-POINTS-GAS-DELAY", column)]


@pytest.mark.parametrize(("preset", "unit"), [("氧", "%vol"), ("h2s", "ppm"), ("broken", "ppm")])
def test_whatever_has_a_preset_is_gas(preset: str, unit: str) -> None:
    assert mistakes(unit, preset=preset, on_delay_s="1") == [("E-POINTS-GAS-DELAY", "on_delay_s")]


@pytest.mark.parametrize("reason", ["", "-", "/", "无", " ", "…"])
def test_no_reason_is_no_reason(reason: str) -> None:
    told = mistakes("%LEL", h="25", on_delay_s="3", gas_delay_reason=reason)
    assert told == [("E-POINTS-GAS-DELAY", "on_delay_s")]


def test_with_a_reason_it_waits_and_the_reason_is_known() -> None:
    limits, conditions, errors = judged("%LEL", h="25", on_delay_s="3", gas_delay_reason="开停泵瞬时干扰")
    assert (limits.on_delay_s, conditions.delay_reason, errors) == (3.0, "开停泵瞬时干扰", [])


def test_no_delay_needs_no_reason() -> None:
    assert mistakes("%LEL", h="25", on_delay_s="0", off_delay_s="H=0") == []
    assert mistakes("ppm", h="25", on_delay_s="5") == []


# --- presets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("preset", "unit", "limits"),
    [
        ("可燃气体", "LEL%", Limits(h=25, hh=50)),
        ("TOXIC", "%OEL", Limits(h=100, hh=200)),
        ("氧", "VOL%", Limits(l=19.5, h=23.5)),
        ("h2s", "PPM", Limits(h=5, hh=10, deadband=0.5)),
        ("broken", "ppm", Limits()),
    ],
)
def test_a_preset_fills_what_the_row_leaves_empty(preset: str, unit: str, limits: Limits) -> None:
    assert judged(unit, preset=preset) == (limits, Conditions(), [])


def test_a_cell_goes_before_the_preset_and_none_means_none() -> None:
    assert judged("%LEL", preset="combustible", h="20", hh="无")[0] == Limits(h=20)
    assert judged("%LEL", preset="combustible", hh="NONE", h="")[0] == Limits(h=25)
    assert judged("ppm", preset="h2s", deadband="0")[0].deadband == 0.0
    assert judged("%LEL", preset="combustible", ll="1", l="2")[0] == Limits(1, 2, 25, 50)


def test_a_delay_may_name_a_limit_of_the_preset() -> None:
    cells = {"preset": "combustible", "on_delay_s": "HH=2", "gas_delay_reason": "采样管路"}
    assert mistakes("%LEL", **cells) == []


def test_a_presets_limit_outside_the_range_is_told_at_the_preset() -> None:
    errors = judged("%LEL", lo=0, hi=40, preset="可燃气体")[2]
    assert [(error.code, error.place) for error in errors] == [("E-POINTS-PRESET-RANGE", "t.csv:2:A(preset)")]
    assert "“高高”50 在量程之外" in errors[0].line("zh")
    assert "HH 50 of the preset" in errors[0].line("en")


def test_an_unknown_preset_names_the_nearest() -> None:
    assert "是不是“combustible”？" in judged("%LEL", preset="combustable")[2][0].line("zh")
    assert "是不是“可燃气体”？" in judged("%LEL", preset="可然气体")[2][0].line("zh")
