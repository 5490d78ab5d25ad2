"""What can be written behind ``plantgate alarms`` and ``plantgate limits``: names and words; commands do the rest."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

from gateway.cli import common_options, later


class _Argument(NamedTuple):
    """One argument: its names, what it is in both languages, and what argparse needs to know."""

    name: str
    zh: str
    en: str
    more: dict[str, Any] = {}  # noqa: RUF012 - argparse only reads it

    @property
    def freely(self) -> _Argument:
        """The same, not obligatory."""
        return self._replace(more={**self.more, "required": False, "default": ""})


class _Deed(NamedTuple):
    """One thing that can be done: its name, what it is, the module and function that do it, its arguments."""

    name: str
    zh: str
    en: str
    does: tuple[str, str]
    arguments: tuple[_Argument, ...] = ()


_REASON: Final = _Argument("--reason", "原因", "why", {"required": True})
_FOR: Final = _Argument(
    "--for",
    "多久：90s、30m、2h、1h30m，或 30分钟、2小时",
    "how long: 90s, 30m, 2h, 1h30m",
    {"dest": "span", "metavar": "TIME", "required": True},
)
_TARGET: Final = _Argument(
    "target",
    "位号、报警条件或报警编号",
    "a tag, a condition of an alarm, or an alarm's ID",
    {"metavar": "TARGET"},
)
_LIVE: Final = _Argument(
    "alarm_id",
    "报警编号，或位号、报警条件（它现有的报警）",
    "an alarm's ID, or a tag or a condition: its live alarms",
    {"metavar": "ALARM"},
)
_TAG: Final = _Argument("point_id", "位号", "the tag", {"metavar": "TAG"})
_CHANGE: Final = _Argument(
    "change_id", "修改编号，见 plantgate limits", "the change's ID, see plantgate limits", {"metavar": "ID"}
)

_ALARMS: Final = (
    _Deed(
        "list",
        "列出现有报警",
        "list the live alarms",
        ("alarms", "listed"),
        (
            _Argument(
                "--all",
                "一条一条列出，包括搁置、抑制和停用的",
                "one by one, those that are held back among them",
                {"action": "store_true"},
            ),
        ),
    ),
    _Deed(
        "ack",
        "确认报警",
        "acknowledge alarms",
        ("alarms", "acknowledge"),
        (
            _LIVE._replace(more={"nargs": "+", "metavar": "ALARM"}),
            _Argument("--note", "备注", "a note", {"default": ""}),
        ),
    ),
    _Deed(
        "reset",
        "复位锁存报警",
        "reset a latched alarm",
        ("alarms", "reset"),
        (_LIVE, _REASON.freely),
    ),
    _Deed(
        "shelve",
        "搁置（操作员；到时自动结束）",
        "shelve for a time (operator)",
        ("alarms", "shelve"),
        (_TARGET, _FOR, _REASON),
    ),
    _Deed("unshelve", "提前结束搁置", "end a shelf", ("alarms", "unshelve"), (_TARGET, _REASON.freely)),
    _Deed(
        "out",
        "停用（工程师；到时自动恢复）",
        "take out of service for a time (engineer)",
        ("alarms", "out"),
        (_TARGET, _FOR, _REASON),
    ),
    _Deed("in", "恢复启用", "put back in service", ("alarms", "back_in"), (_TARGET, _REASON.freely)),
    _Deed(
        "test",
        "用给定的值测试一个点的报警（工程师）",
        "test a point's alarms with a value (engineer)",
        ("alarms", "test"),
        (
            _TAG,
            _Argument("value", "数值，工程单位", "engineering units", {"type": float, "metavar": "VALUE"}),
            _FOR,
            _REASON,
        ),
    ),
    _Deed("end-test", "提前结束测试", "end a test", ("alarms", "end_test"), (_TAG,)),
    _Deed("held", "列出搁置、停用、抑制和测试", "list what is held back, and tests", ("alarms", "held")),
    _Deed(
        "silence",
        "消音，不等于确认（操作员）",
        "silence the horns; acknowledges nothing (operator)",
        ("sirens", "silence"),
    ),
    _Deed(
        "lamp-test",
        "试灯试音（操作员；到时自动结束）",
        "turn all horns and lamps on for a time (operator)",
        ("sirens", "lamp_test"),
        (
            _Argument(
                "--for",
                "多久：秒数，或 5s、1m（默认 5 秒，最多 60 秒）",
                "how long: seconds, or 5s, 1m (default 5 s, at most 60 s)",
                {"dest": "span", "metavar": "TIME", "default": "5s"},
            ),
        ),
    ),
    _Deed(
        "stats",
        "报警负荷：每小时报警数、泛滥、抖动、陈旧、扰动率、消除时间",
        "load: alarms an hour, floods, chattering, stale, disturbance, time to clear",
        ("alarm_stats", "stats"),
    ),
    _Deed(
        "states",
        "报警状态表（Markdown）",
        "the tables of an alarm's states, in Markdown",
        ("alarms", "states"),
    ),
    _Deed(
        "replay",
        "重演报警脚本，或按配置重判记录的扫描（CSV）",
        "replay an alarm script, or recorded scans (CSV) by the configuration",
        ("replay", "replay"),
        (
            _Argument(
                "file",
                "脚本，或 .csv：时间,位号,数值,质量",
                "a script, or .csv: time, point, value, quality",
                {"type": Path, "metavar": "FILE"},
            ),
        ),
    ),
)

_LIMITS: Final = (
    _Deed(
        "list",
        "列出与点表不同的限值",
        "list limits that differ from the point table",
        ("limits", "listed"),
        (_Argument("--all", "列出所有限值", "list all limits", {"action": "store_true"}),),
    ),
    _Deed(
        "set",
        "修改一个点的限值（工程师）",
        "change limits of a point (engineer)",
        ("limits", "change"),
        (
            _TAG,
            _Argument(
                "values",
                "例如 H=82；H=none 去掉这个限值",
                "for example H=82; H=none takes it away",
                {"nargs": "+", "metavar": "LIMIT=VALUE"},
            ),
            _REASON,
        ),
    ),
    _Deed("approve", "第二人批准", "approve as the second person", ("limits", "approve"), (_CHANGE,)),
    _Deed("reject", "拒绝或撤回", "reject it, or take it back", ("limits", "reject"), (_CHANGE, _REASON)),
    _Deed(
        "return",
        "恢复点表的限值",
        "let the point table hold again",
        ("limits", "put_back"),
        (_TAG, _REASON),
    ),
)


def add_alarms(parser: argparse.ArgumentParser, zh: bool) -> None:
    """Everything behind ``plantgate alarms``; ``list`` if nothing is."""
    _add(parser, _ALARMS, zh=zh)


def add_limits(parser: argparse.ArgumentParser, zh: bool) -> None:
    """Everything behind ``plantgate limits``; ``list`` if nothing is."""
    _add(parser, _LIMITS, zh=zh)


def _add(parser: argparse.ArgumentParser, deeds: tuple[_Deed, ...], *, zh: bool) -> None:
    parser.set_defaults(deed=partial(later, *deeds[0].does))
    for argument in deeds[0].arguments:  # what may stand behind the first deed may stand without it
        parser.add_argument(argument.name, help=argument.zh if zh else argument.en, **argument.more)
    names = "|".join(deed.name for deed in deeds)
    parsers = parser.add_subparsers(dest="what", metavar=names)
    for deed in deeds:
        text = deed.zh if zh else deed.en
        one = parsers.add_parser(deed.name, parents=[common_options()], help=text, description=text)
        for argument in deed.arguments:
            one.add_argument(argument.name, help=argument.zh if zh else argument.en, **argument.more)
        one.set_defaults(deed=partial(later, *deed.does))
