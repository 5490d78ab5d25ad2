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
