"""The load as people see it, at the widths of a panel and of a desk."""

import io

import pytest
from rich.console import Console, Group

from gateway.load_tables import load_blocks

AREA = {
    "area": "罐区", "flood": True, "new_10min": 11, "new_last_hour": 40, "new_24h": 128,
    "disturbance_percent": 4.2,
}  # fmt: skip
LOAD = {
    "since": "2026-11-22T00:00:00.000Z",
    "floods": [{"area": "罐区", "since": "2026-11-22T02:59:00.000Z", "count": 37}],
    "new_last_hour": 40,
    "new_24h": 130,
    "chattering": 1,
    "stale": 2,
    "counted_s": 86_000.0,
    "per_hour": 5.44,
    "active": 14,
    "uncleared_24h": 12,
    "stale_longest": [{"name": "TT-1/high", "since": "2026-11-20T00:00:00.000Z"}],
    "clear": {"count": 110, "mean_s": 200.5, "longest_s": 7500.0, "longest": "LT[9]/high"},
    "chattering_now": ["LT-7/high"],
    "chattered": [{"name": "LT-7/high", "count": 3}],
    "repeated": [{"name": "LT-7", "count": 33}],
    "uncounted": 0,
    "disturbance_percent": 6.9,
    "areas": [AREA, {**AREA, "area": "", "flood": False, "new_10min": 2, "new_24h": 2}],
}
NOTHING = {
    **LOAD,
    **dict.fromkeys(("floods", "stale_longest", "chattering_now", "chattered", "repeated", "areas"), ()),
    "clear": {"count": 0, "mean_s": None, "longest_s": None, "longest": ""},
}


def seen(load, language="zh", width=80):
    screen = Console(width=width, file=io.StringIO(), color_system=None)
    screen.print(Group(*load_blocks(load, language)))
    return screen.file.getvalue()


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_figure_is_there_and_no_line_is_broken(language, width):
    text = seen(LOAD, language, width)
    figures = ("130", "40", "5.44", "14", "12", "110", "LT[9]/high", "6.9 %", "37", ">10", "128", "4.2 %")
    ranked = ("TT-1/high", "LT-7/high", "33")
    assert [figure for figure in (*figures, *ranked) if figure not in text] == []
    assert "…" not in text
    assert len(text.splitlines()) == 27  # eight of figures, four of areas, five of each ranking


def test_the_words_are_those_of_the_language():
    chinese = seen(LOAD)
    for word in ("报警负荷", "新报警", "未恢复", "消除用时", "3 分 20 秒", "扰动率", "抖动", "泛滥", "陈旧"):
        assert word in chinese
    english = seen(LOAD, "en")
    assert "clear time   110 in 24 h, mean 3 min 20 s, longest 2 h 5 min LT[9]/high" in english
    assert not any("一" <= letter <= "鿿" for letter in english.replace("罐区", ""))


def test_a_quiet_gateway_has_figures_only():
    assert len(seen(NOTHING).splitlines()) == 8
    assert "平均 —，最长 —" in seen(NOTHING)
    assert "floods       none" in seen(NOTHING, "en")


def test_what_was_not_ranked_is_said():
    assert "5 次因名称太多未计入排名" in seen({**LOAD, "uncounted": 5})
    assert "5 more are not ranked" in seen({**LOAD, "uncounted": 5}, "en")
