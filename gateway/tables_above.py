"""What people see of warnings and orders from above: a block of its own, beside the gateway's alarms. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from rich.text import Text

from gateway.listing import Listing
from gateway.span import duration

Item: TypeAlias = dict[str, Any]

WATCHED_LINES: Final = 9
"""So many lines they take where a screen is shared: three of heading, the rest for rows."""

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("预警（上级）", "Warnings from above"),
    "colour": ("级别", "Colour"),
    "age": ("已过", "Age"),
    "state": ("反馈", "Feedback"),
    "description": ("内容", "Title"),
    "name": ("编号", "ID"),
    "points": ("涉及", "About"),
    "doubt": ("存疑", "In doubt"),
    "red": ("红", "red"),
    "orange": ("橙", "orange"),
    "yellow": ("黄", "yellow"),
    "blue": ("蓝", "blue"),
    "warning": ("预警", "warning"),
    "order": ("处置", "order"),
    "unanswered": ("未反馈", "unanswered"),
    "answered": ("已反馈", "answered"),
    "cancelled": ("已解除", "cancelled"),
    "overdue": ("超时", "overdue"),
    "left": ("剩", "left"),
    "too_old": ("发布时间早，本机时钟未同步", "issued long ago, by an unsynchronised clock"),
    "ahead": ("发布时间在将来，本机时钟未同步", "issued in the future, by an unsynchronised clock"),
}
_STYLES: Final = {
    "red": "bold red",
    "orange": "bold dark_orange",
    "yellow": "bold yellow",
    "blue": "bold blue",
}
_COLUMNS: Final = ("colour", "age", "state", "description", "name", "points", "doubt")


def warnings_table(warnings: Sequence[Item], language: str) -> Listing | None:
    """Every one with its colour, how long it waits and whether it is overdue; None where there is none."""
    rows = [
        {
            "colour": Text(_kind(item, language), style=_STYLES.get(item["colour"], "bold")),
            "age": Text(duration(item["age_s"], language)),
            "state": _state(item, language),
            "description": Text(item["title"]),
            "name": Text(item["name"], style="dim"),
            "points": Text(" ".join(item["points"])),
            "doubt": Text(_word(item["doubt"], language), style="yellow"),
        }
        for item in warnings
    ]
    if not rows:
        return None
    below = ("name", "points", "doubt")
    more = "还有 {} 条未显示" if language == "zh" else "{} more not shown"
    return Listing(
        _word("title", language), _COLUMNS, rows, below, lambda key: _word(key, language), more.format
    )


def warning_changes(before: Item | None, now: Item, language: str) -> list[str]:
    """What differs between two statuses, a line each; that they grow older is no news."""
    old = {} if before is None else {item["name"]: item for item in before.get("warnings", ())}
    lines = []
    for item in now.get("warnings", ()):
        line = _line(item, language)
        known = old.get(item["name"])
        if known is None or _line(known, language) != line:
            lines.append(line)
    return lines


def _line(item: Item, language: str) -> str:
    state = _word(item["state"], language)
    if item["overdue"]:
        state += f"  {_word('overdue', language)}"
    head = _word("title", language)
    return f"▲ {head}  {_kind(item, language)}  {item['name']}  {item['title']}  {state}"


def _kind(item: Item, language: str) -> str:
    """红色预警 or an order, with its colour if it has one."""
    kind = _word(item["kind"], language)
    if not item["colour"]:
        return kind
    colour = _word(item["colour"], language)
    return f"{colour}色{kind}" if language == "zh" else f"{colour} {kind}"


def _state(item: Item, language: str) -> Text:
    state = _word(item["state"], language)
    if item["state"] != "unanswered":
        return Text(state, style="dim")
    if item["overdue"]:
        late = duration(item["overdue_s"], language)
        return Text(f"{state} {_word('overdue', language)} {late}", style="bold red")
    if item["left_s"] is not None:
        left, word = duration(item["left_s"], language), _word("left", language)
        state += f" {word} {left}" if language == "zh" else f" {left} {word}"
    return Text(state, style="bold")


def _word(key: str, language: str) -> str:
    pair = _WORDS.get(key)
    return key if pair is None else pair[0 if language == "zh" else 1]
