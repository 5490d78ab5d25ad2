"""``limits``: see, change and approve the limits of a running gateway. Decides nothing; the gateway does."""

from __future__ import annotations

import argparse
import math
from typing import Any

from rich.console import Group

from gateway import alarm_tables, control
from gateway.cli import give_json, say
from gateway.commands.asking import console, socket_of
from gateway.errors import Exit
from gateway.limit_rules import FIELDS, Figures
from gateway.sheet import number_of, plain
from gateway.words import said

CHINESE: dict[str, str] = {"低低": "LL", "低": "L", "高": "H", "高高": "HH"}
NONE: frozenset[str] = frozenset({"none", "无", "—", "-"})
"""What takes a limit away; nothing at all does not, for it may be a slip."""


def listed(args: argparse.Namespace) -> int:
    """List limits that differ from the table, or all."""
    answer = control.ask(socket_of(args), {"op": "limits", "all": args.all})
    if args.json:
        give_json(answer)
    else:
        console().print(Group(*alarm_tables.limit_blocks(answer, args.language, everything=args.all)))
    return Exit.OK


def change(args: argparse.Namespace) -> int:
    """Change limits of a point."""
    request = {"op": "limit_set", "point_id": args.point_id, "values": _figures(args.values)}
    return _decided(args, {**request, "reason": args.reason})


def put_back(args: argparse.Namespace) -> int:
    """Let the table hold again."""
    return _decided(args, {"op": "limit_return", "point_id": args.point_id, "reason": args.reason})


def approve(args: argparse.Namespace) -> int:
    """Approve as the second person."""
    return _decided(args, {"op": "limit_approve", "id": args.change_id})


def reject(args: argparse.Namespace) -> int:
    """Reject, or take back."""
    answer = control.ask(socket_of(args), {"op": "limit_reject", "id": args.change_id, "reason": args.reason})
    if args.json:
        give_json(answer)
    say(f"已拒绝 {args.change_id}，限值没有改变。", f"Rejected {args.change_id}; no limit has changed.", args)
    return Exit.OK


def _decided(args: argparse.Namespace, request: dict[str, Any]) -> int:
    answer = control.ask(socket_of(args), request)
    if args.json:
        give_json(answer)
    told = alarm_tables.changes_told(answer["changes"])
    if answer["changed"]:
        say(f"已修改：{told}。", f"Changed: {told}.", args)
    else:
        say(
            f"还没有修改：{told}。要由另一位工程师批准：plantgate limits approve {answer['waits']}",
            f"Not changed yet: {told}. Another engineer has to approve it: "
            f"plantgate limits approve {answer['waits']}",
            args,
        )
    return Exit.OK


def _figures(written: list[str]) -> Figures:
    """``["H=82", "L=none"]`` -> figures.

    Raises:
        UserFacingError: a field or a number is not one.
    """
    values: Figures = {}
    for one in written:
        name, equals, value = plain(one).partition("=")
        field = name.strip().upper()
        field = CHINESE.get(field, field)
        if field not in FIELDS or field in values or not equals:
            raise said("E-NAME-LIMIT", "", field=one)
        if value.strip().lower() in NONE:
            values[field] = None
            continue
        values[field] = figure = number_of(value)
        # JSON has no word for what is not finite: it would arrive as no limit at all.
        if figure is None or not math.isfinite(figure):
            raise said("E-NAME-VALUE", "", field=one)
    return values
