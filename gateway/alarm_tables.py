"""Alarms, what is held back, and changed limits as people see them. Touches only the local time zone.

Nothing is hidden: what people or the design hold back stands last and dim, and its number on every screen. In a flood
the alarms of a flooded area stand as groups; ``--all`` shows each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from rich.text import Text

from gateway.alarm.groups import Group, grouped
from gateway.details import condition, spoken
from gateway.limit_rules import FIELDS
from gateway.listing import Listing
from gateway.span import duration
from gateway.table_words import Item, listing, moment, number, plain_text, state_text, word

Block: TypeAlias = Listing | Text

MAX_TOLD_TESTS: Final = 3
"""Tests that are named on every screen; the others are in ``plantgate alarms held``."""


def alarm_blocks(status: Item, language: str, *, everything: bool = False) -> list[Block]:
    """The alarms of a status, in a flood in groups first unless ``everything`` is wanted."""
    floods = [] if everything else [flood["area"] for flood in status.get("alarm_load", {}).get("floods", ())]
    held_back = [alarm for alarm in status["alarms"] if is_held_back(alarm)]
    groups, calm = grouped([alarm for alarm in status["alarms"] if not is_held_back(alarm)], floods)
    calm += held_back
    blocks: list[Block] = [groups_table(groups, language)] if groups else []
    return [*blocks, alarms_table(calm, language)] if calm or not groups else blocks


def alarms_table(alarms: Sequence[Item], language: str) -> Block:
    """What is in alarm, in the order the gateway gives; where it is narrow the whole id stands below its alarm."""
    if not alarms:
        return Text(word("no_alarms", language), style="green")
    rows = []
    for alarm in alarms:
        dim = "dim" if not alarm["active"] or is_held_back(alarm) else ""
        level = alarm["level"]["current"]
        row = {
            "level": Text(word(level, language), style="dim") if dim else state_text(level, language),
            "raised": plain_text(moment(alarm["t_raised"])),
            "tag": plain_text(alarm_name(alarm, language)),
            "description": plain_text(alarm_text(alarm, language)),
            "value": plain_text(_value(alarm)),
            "state": Text(_seen(alarm, language), style="" if alarm["acknowledged"] else "bold"),
            "marks": Text(("、" if language == "zh" else ", ").join(marks(alarm, language)), style="yellow"),
            "alarm_id": Text(alarm["alarm_id"], style="dim"),
            "peak": plain_text(number(alarm["peak"])),
            "limit": plain_text(_limit(alarm, language)),
            "detail": plain_text(_cause(alarm, language)),
        }
        for cell in row.values() if dim else ():
            cell.stylize("dim")
        rows.append(row)
    below = ("marks", "alarm_id", "peak", "limit", "detail")
    return listing("alarms", tuple(rows[0]), rows, language, below=below)


def groups_table(groups: Sequence[Group], language: str) -> Listing:
    """Alarms of flooded areas: how many of each sort, the worst, and the one that came first."""
    rows = []
    for group in groups:
        first = group.first
        rows.append(
            {
                "level": state_text(group.worst["level"]["current"], language),
                "area": plain_text(group.area or "—"),
                "kind": plain_text(word(f"type_{group.type}", language)),
                "count": plain_text(group.count),
                "active": plain_text(group.active),
                "unacknowledged": Text(
                    str(group.unacknowledged), style="bold" if group.unacknowledged else "not bold"
                ),
                "first": plain_text(f"{moment(first['t_raised'])} {alarm_name(first, language)}"),
            }
        )
    return listing("flood", tuple(rows[0]), rows, language, below=("first",))


def is_held_back(alarm: Item) -> bool:
    """People or the design hold it back: it does not sound."""
    return bool(alarm.get("shelved_until") or alarm.get("suppressed") or alarm.get("out_of_service"))


def marks(alarm: Item, language: str) -> list[str]:
    """Every part of an alarm's state beside active and acknowledged, in words."""
    told = [word(key, language) for key in ("test", "first_out", "latched") if alarm.get(key)]
    if alarm.get("shelved_until"):
        told.append(f"{word('shelved_until', language)} {moment(alarm['shelved_until'])}")
    if alarm.get("suppressed"):
        told.append(f"{word('suppressed', language)}({word(alarm['suppressed'], language)})")
    told += [
        word(key, language)
        for key in ("out_of_service", "last_known", "at_start", "advisory")
        if alarm.get(key)
    ]
    if alarm.get("repeat_count"):
        told.append(f"{word('repeat_count', language)} {alarm['repeat_count']}")
    return told


def alarm_line(item: Item, language: str) -> str:
    """One alarm in one line."""
    level = word(item["level"]["current"], language)
    what = f"{alarm_name(item, language)}  {alarm_text(item, language)}"
    parts = (f"! {what}", level, _value(item), _seen(item, language), *marks(item, language))
    return "  ".join(parts)


def alarm_name(item: Item, language: str) -> str:
    """The tag, the device that is silent, or the gateway itself."""
    if item["type"] == "gateway":
        return word("gateway", language)
    return str(item["point_id"] or item["source"])


def alarm_text(item: Item, language: str) -> str:
    """What an alarm is about: with a bad value its cause, with a source how many points it stands for."""
    if item["type"] == "gateway":
        return condition(item["source"], language)
    if item["type"] == "quality":
        return f"{item['text']}  {word(item['cause'], language)}"
    if item.get("points"):
        return f"{item['text']}  {item['points']} {'点' if language == 'zh' else 'points'}"
    return str(item["text"])


def held_line(status: Item, language: str) -> list[Text]:
    """How much is held back, how many limits are not those of the table, which tests run; [] if nothing is."""
    held, limits = status.get("held", {}), status.get("limits", {})
    line, running = Text(style="yellow"), Text(style="bold magenta")
    for key in ("shelved", "suppressed", "out_of_service"):
        if held.get(key):
            line.append(f"{word(key, language)} {held[key]}  ")
    for key in ("changed", "staged"):
        if limits.get(key):
            line.append(f"{word(f'limits_{key}', language)} {limits[key]}  ")
    tests = held.get("tests", ())
    for test in tests[:MAX_TOLD_TESTS]:
        told = f"{word('test', language)} {test['target']} = {_tested(test, language)}"
        running.append(f"{told} {word('until', language).lower()} {moment(test['until'])}  ")
    if len(tests) > MAX_TOLD_TESTS:
        running.append(f"+{len(tests) - MAX_TOLD_TESTS}")
    return [one for one in (line, running) if one.plain]


def _tested(test: Item, language: str) -> str:
    """The value that is tried, and what alarm it has raised so far: what the test is made for."""
    raised = "、" if language == "zh" else ", "
    levels = raised.join(word(level, language) for level in test.get("levels", ()))
    return f"{number(test['value'])} → {levels or word('no_alarm_yet', language)}"


def held_table(held: Sequence[Item], language: str) -> Block:
    """Shelves, times out of service, suppressions and tests, with what is left of their time."""
    if not held:
        return Text(word("nothing_held", language), style="green")
    rows = [
        {
            "kind": Text(word(f"held_{one['action']}", language), style="yellow"),
            "target": plain_text(one["target"]),
            "value": plain_text(_tested(one, language) if one["action"] == "test" else "—"),
            "remaining": plain_text(duration(one["remaining_s"], language) if "remaining_s" in one else "—"),
            "until": plain_text(moment(one.get("until"))),
            "by": plain_text(one.get("by", "—")),
            "reason": plain_text(
                word(one["reason"], language) if one["action"] == "suppressed" else one["reason"]
            ),
        }
        for one in held
    ]
    return listing("held", tuple(rows[0]), rows, language, below=("until", "by", "reason"))


def limit_blocks(points: Sequence[Item], language: str, *, everything: bool = False) -> list[Block]:
    """Limits that differ from the table (or all), and changes that wait for a second person."""
    shown = [point for point in points if everything or point["changed"]]
    rows = [
        {
            "tag": plain_text(point["name"]),
            "description": plain_text(point["description"]),
            **{name: _limit_cell(point, name) for name in FIELDS},
            "unit": plain_text(point["unit"]),
            "by": plain_text(_by(point["changed"], language)),
            "reason": plain_text((point["changed"] or {}).get("reason", "")),
            "looser": Text(" ".join(point["looser_than_filed"]), style="bold red"),
        }
        for point in shown
    ]
    below = ("by", "reason", "looser")
    blocks: list[Block] = [Text(word("limits_as_table", language), style="green")]
    if rows:
        blocks = [listing("limits", tuple(rows[0]), rows, language, below=below)]
    return [*blocks, *_staged_block([point for point in points if point["staged"]], language)]


def changes_told(changes: Iterable[Item]) -> str:
    """``H 80 → 82, L 20 → —``."""
    return ", ".join(f"{one['field']} {number(one['old'])} → {number(one['new'])}" for one in changes)


def _staged_block(points: Sequence[Item], language: str) -> list[Block]:
    rows = []
    for point in points:
        staged = point["staged"]
        rows.append(
            {
                "tag": plain_text(point["name"]),
                "change": Text(changes_told(staged["changes"]), style="yellow"),
                "by": plain_text(staged["by"]),
                "until": plain_text(moment(staged["until"])),
                "alarm_id": plain_text(staged["id"]),
                "reason": plain_text(staged["reason"]),
            }
        )
    if not rows:
        return []
    return [listing("staged", tuple(rows[0]), rows, language, below=("alarm_id", "reason"))]


def _limit_cell(point: Item, name: str) -> Text:
    """What holds; what the table says behind it where that is something else."""
    holds, table = point["limits"][name], point["table"][name]
    if holds == table:
        return plain_text("" if holds is None else number(holds))
    return Text(f"{number(holds)} ({number(table)})", style="bold yellow")


def _by(changed: Item | None, language: str) -> str:
    if changed is None:
        return ""
    second = f", {word('approved_by', language)} {changed['approved_by']}" if changed["approved_by"] else ""
    return f"{changed['by']}{second} {moment(changed['at'])}"


def _seen(alarm: Item, language: str) -> str:
    parts = [] if alarm["active"] else ["returned"]
    parts.append("acknowledged" if alarm["acknowledged"] else "unacknowledged")
    return " ".join(word(part, language) for part in parts)


def _value(alarm: Item) -> str:
    """The value with its unit: of a rate it is a slope, of a deviation a difference, and not what the point reads."""
    told = number(alarm["value"])
    return told if alarm["value"] is None else f"{told} {alarm.get('unit', '')}".rstrip()


def _limit(alarm: Item, language: str) -> str:
    """The limit here at the edge, and the one filed where that is another."""
    edge, filed = alarm["limit_edge"], alarm.get("limit_filed")
    if filed is None or filed == edge:
        return number(edge)
    return f"{number(edge)} ({word('filed', language)} {number(filed)})"


def _cause(alarm: Item, language: str) -> str:
    return spoken(alarm["cause"], language) if alarm["type"] in ("gateway", "discrepancy") else ""
