"""The presets: their figures, their names, and the units they hold for."""

from __future__ import annotations

import pytest

from gateway.alarm.presets import NAMES, PRESETS, Preset, is_gas, preset_name, unit_meant


def test_the_figures_are_those_of_the_field() -> None:
    assert {
        "combustible": Preset("%LEL", h=25, hh=50),
        "toxic": Preset("%OEL", h=100, hh=200),
        "oxygen": Preset("%vol", l=19.5, h=23.5),
    } == PRESETS


def test_a_presets_limits_come_from_the_lowest_to_the_highest() -> None:
    assert list(Preset("t", 1, 2, 3, 4).edges().items()) == [("ll", 1), ("l", 2), ("h", 3), ("hh", 4)]
    assert PRESETS["oxygen"].edges() == {"l": 19.5, "h": 23.5}


@pytest.mark.parametrize(
    "written", ["combustible", "Combustible", "可燃气体", " 可燃", "ｃｏｍｂｕｓｔｉｂｌｅ"]
)
def test_a_preset_is_found_as_people_write_it(written: str) -> None:
    assert preset_name(written) == "combustible"


def test_every_chinese_name_names_a_preset() -> None:
    assert set(NAMES.values()) == PRESETS.keys()
    assert preset_name("H2S") == "h2s"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("%LEL", "%LEL"), ("LEL%", "%LEL"), ("% LEL", "%LEL"), ("％ＬＥＬ", "%LEL"), ("lel", "%LEL")),
        *(("%(LEL)", "%LEL"), ("%LFL", "%LEL"), ("%爆炸下限", "%LEL"), ("OEL%", "%OEL"), ("%oel", "%OEL")),
        *(("%VOL", "%vol"), ("Vol%", "%vol"), ("%(v/v)", "%vol"), ("%体积", "%vol"), ("Vol", "vol")),
        *(("PPM", "ppm"), ("mg/m³", "mg/m3"), ("%", "%"), ("", ""), ("LEL·m", "lel·m")),
    ],
)
def test_a_units_spellings(written: str, meant: str) -> None:
    assert unit_meant(written) == meant


@pytest.mark.parametrize(
    "unit", ["%LEL", "LEL%", "% lel", "%LEL(CH4)", "LEL·m", "LELm", "%OEL", "ＯＥＬ％", "%爆炸下限", "lfl"]
)
def test_gas_is_known_by_its_unit(unit: str) -> None:
    assert is_gas(unit)


@pytest.mark.parametrize("unit", ["", "%", "ppm", "kPa", "level", "m³/h", "%vol", "belel", "poels"])
def test_nothing_else_is_gas_by_its_unit(unit: str) -> None:
    assert not is_gas(unit)


EMPTY, ORDER, DEADBAND = (f"E-CONFIG-PRESET-{what}" for what in ("EMPTY", "ORDER", "DEADBAND"))
FACTS = {"low_key": "l", "low": 10.0, "high_key": "h", "high": 20.0}
OUTER = {"low_key": "ll", "low": 10.0, "high_key": "hh", "high": 20.0}
DOWN = {"low_key": "h", "low": 10.0, "high_key": "hh", "high": 9.0}


@pytest.mark.parametrize(
    ("preset", "mistakes"),
    [
        (Preset("t", l=10.0, h=20.0, deadband=9.9), []),
        (Preset("t", 1.0, 2.0, 3.0, 4.0), []),
        (Preset("t", h=10.0, hh=20.0, deadband=15.0), []),
        (Preset("t", ll=10.0, l=20.0, deadband=15.0), []),
        (Preset("t", deadband=1.0), [("unit", EMPTY, {})]),
        (Preset("t", l=10.0, h=20.0, deadband=10.0), [("deadband", DEADBAND, {**FACTS, "deadband": 10.0})]),
        (Preset("t", ll=10.0, hh=20.0, deadband=10.0), [("deadband", DEADBAND, {**OUTER, "deadband": 10.0})]),
        (Preset("t", l=20.0, h=20.0), [("h", ORDER, {**FACTS, "low": 20.0})]),
        (Preset("t", h=10.0, hh=9.0), [("hh", ORDER, DOWN)]),
    ],
)
def test_a_preset_that_contradicts_itself_says_where(preset: Preset, mistakes: list[object]) -> None:
    assert list(preset.mistakes()) == mistakes


def test_a_preset_keeps_what_is_not_replaced() -> None:
    toxic = Preset("%OEL", h=100.0, hh=200.0, deadband=5.0)
    assert toxic.edited({"h": 80.0}, None) == Preset("%OEL", h=80.0, hh=200.0, deadband=5.0)
    assert toxic.edited({}, 0.0) == Preset("%OEL", h=100.0, hh=200.0, deadband=0.0)
