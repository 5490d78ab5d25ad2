"""The load of alarms as people see it: figures in lines, then areas and the worst of their kind. Touches nothing.

The answer shown is that of the control socket's ``alarm_stats`` (``Load.view``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.text import Text

from gateway.alarm.load import FLOOD_ABOVE
from gateway.listing import Listing, Row
from gateway.span import duration
from gateway.table_words import Item, moment, plain_text

Block = Listing | Text

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "area": ("区域", "Area"),
    "chattered": ("抖动最多的报警（1 分钟内 3 次及以上，24 小时）", "Most chattering (3 in 1 min, in 24 h)"),
    "condition": ("报警条件", "Condition"),
    "count": ("次数", "Times"),
    "disturbance": ("扰动率", "Disturbance"),
    "flood": ("泛滥", "Flood"),
    "new_10min": ("10 分钟", "10 min"),
    "new_24h": ("24 小时", "24 h"),
    "new_last_hour": ("1 小时", "1 h"),
    "repeated": ("重复最多的点（24 小时）", "Points that repeat most (in 24 h)"),
    "since": ("自", "Since"),
    "stale_longest": ("陈旧报警（超过 24 小时未恢复）", "Stale (active for more than 24 h)"),
    "tag": ("位号", "Tag"),
}
_AREA_COLUMNS: Final = ("area", "flood", "new_10min", "new_last_hour", "new_24h", "disturbance")
_RANKINGS: Final = (
    ("repeated", ("tag", "count")),
    ("chattered", ("condition", "count")),
    ("stale_longest", ("condition", "since")),
)


def load_blocks(load: Item, language: str) -> list[Block]:
    """Everything of the load, the figures first; what is empty is left out."""
    zh = language == "zh"
    blocks: list[Block] = [_figures(load, language)]
    if load["areas"]:
        blocks.append(_table([_area(row, zh=zh) for row in load["areas"]], _AREA_COLUMNS, zh=zh))
    for key, columns in _RANKINGS:
        if load[key]:
            heading = Text(f"\n{_WORDS[key][not zh]}", style="bold")
            blocks += [heading, _table([_ranked(row) for row in load[key]], columns, zh=zh)]
    return blocks


def _figures(load: Item, language: str) -> Text:
    zh = language == "zh"
    heading = ("报警负荷  自 {} 起统计，已 {}", "Alarm load  since {}, for {}")[not zh]
    counted = duration(load["counted_s"], language)
    text = Text(f"{heading.format(moment(load['since']), counted)}\n", style="bold")
    rows = _figures_zh(load) if zh else _figures_en(load)
    width = max(Text(name).cell_len for name, _ in rows) + 2
    for name, figure in rows:
        flooded = name in ("泛滥", "floods") and load["floods"]
        text.append(f"  {name}{' ' * (width - Text(name).cell_len)}", style="not bold dim")
        text.append(f"{figure.rstrip()}\n", style="bold red" if flooded else "not bold")
    if load["uncounted"]:
        told = ("  {} 次因名称太多未计入排名\n", "  {} more are not ranked: too many names\n")[not zh]
        text.append(told.format(load["uncounted"]), style="not bold yellow")
    return text


def _figures_zh(load: Item) -> Sequence[tuple[str, str]]:
    clear = load["clear"]
    times = f"24 小时内 {clear['count']} 条，平均 {_span(clear['mean_s'], 'zh')}"
    return (
        (
            "新报警",
            f"24 小时 {load['new_24h']}，近 1 小时 {load['new_last_hour']}，平均每小时 {load['per_hour']:g}",
        ),
        ("未恢复", f"{load['active']}，其中 24 小时内起 {load['uncleared_24h']}，陈旧 {load['stale']}"),
        ("消除用时", f"{times}，最长 {_span(clear['longest_s'], 'zh')} {clear['longest']}"),
        (
            "扰动率",
            f"{load['disturbance_percent']:g} %（新报警 5 条及以上的 10 分钟时段的比例，本网关的定义）",
        ),
        ("抖动", f"现有 {load['chattering']} {' '.join(load['chattering_now'])}"),
        ("泛滥", _floods(load, "{} 自 {} 起 {} 条") or "无"),
    )


def _figures_en(load: Item) -> Sequence[tuple[str, str]]:
    clear = load["clear"]
    times = f"{clear['count']} in 24 h, mean {_span(clear['mean_s'], 'en')}"
    return (
        ("new", f"24 h {load['new_24h']}, 1 h {load['new_last_hour']}, {load['per_hour']:g} an hour"),
        ("active", f"{load['active']}: raised within 24 h {load['uncleared_24h']}, stale {load['stale']}"),
        ("clear time", f"{times}, longest {_span(clear['longest_s'], 'en')} {clear['longest']}"),
        (
            "disturbance",
            f"{load['disturbance_percent']:g} % (10-min periods with 5 new or more; our own figure)",
        ),
        ("chattering", f"{load['chattering']} now {' '.join(load['chattering_now'])}"),
        ("floods", _floods(load, "{} since {}: {}") or "none"),
    )


def _floods(load: Item, told: str) -> str:
    return "  ".join(
        told.format(one["area"] or "—", moment(one["since"]), one["count"]) for one in load["floods"]
    )


def _span(seconds: float | None, language: str) -> str:
    return "—" if seconds is None else duration(seconds, language)


def _area(row: Item, *, zh: bool) -> Row:
    many = row["new_10min"] > FLOOD_ABOVE
    return {
        "area": plain_text(row["area"] or "—"),
        "flood": Text(_WORDS["flood"][not zh] if row["flood"] else "", style="bold red"),
        "new_10min": plain_text(f">{FLOOD_ABOVE}" if many else row["new_10min"]),
        "new_last_hour": plain_text(row["new_last_hour"]),
        "new_24h": plain_text(row["new_24h"]),
        "disturbance": plain_text(f"{row['disturbance_percent']:g} %"),
    }


def _ranked(row: Item) -> Row:
    name = plain_text(row["name"])
    if "since" in row:
        return {"condition": name, "since": plain_text(moment(row["since"]))}
    return {"tag": name, "condition": name, "count": plain_text(row["count"])}


def _table(rows: Sequence[Row], columns: Sequence[str], *, zh: bool) -> Listing:
    return Listing("", columns, rows, (), lambda key: _WORDS[key][not zh])
