"""``alarms`` and what can be done with them: asks a running gateway. Decides nothing; the gateway does."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, Final

from rich.console import Group

from gateway import alarm_tables, control
from gateway.alarm_states import page
from gateway.cli import give_json, say
from gateway.commands.asking import console, socket_of
from gateway.errors import Exit
from gateway.span import bound, seconds_of
from gateway.words import said

ID_MARK: Final = "@"
"""Stands in every alarm's ID between its condition and its time."""


def listed(args: argparse.Namespace) -> int:
    """List the live alarms; in a flood in groups."""
    status = control.ask(socket_of(args), {"op": "status"})
    if args.json:
        give_json(status["alarms"])
        return Exit.OK
    blocks = alarm_tables.alarm_blocks(status, args.language, everything=args.all)
    console().print(Group(*alarm_tables.held_line(status, args.language), *blocks))
    return Exit.OK


def acknowledge(args: argparse.Namespace) -> int:
    """Acknowledge alarms as the user who runs this; of a tag or a condition those that nobody has seen yet."""
    for alarm_id in _meant(args, args.alarm_id, lambda alarm: not alarm["acknowledged"]):
        request = {"op": "ack", "alarm_id": alarm_id, "note": args.note}
        _done(args, request, f"已确认 {alarm_id}。", f"Acknowledged {alarm_id}.")
    return Exit.OK


def reset(args: argparse.Namespace) -> int:
    """Reset a latched alarm; of a tag or a condition those that can be reset now."""
    ready = _meant(
        args, [args.alarm_id], lambda one: one["latched"] and one["acknowledged"] and not one["active"]
    )
    for alarm_id in ready:
        request = {"op": "reset", "alarm_id": alarm_id, "reason": args.reason}
        _done(args, request, f"已复位 {alarm_id}。", f"Reset {alarm_id}.")
    return Exit.OK


def shelve(args: argparse.Namespace) -> int:
    """Shelve for a time."""
    request, zh, en = _hold(args, "shelve")
    return _done(args, request, f"已搁置 {args.target}，{zh}后自动结束。", f"Shelved {args.target} for {en}.")


def out(args: argparse.Namespace) -> int:
    """Take out of service for a time."""
    request, zh, en = _hold(args, "out_of_service")
    return _done(
        args,
        request,
        f"已停用 {args.target}，{zh}后自动恢复。",
        f"Took {args.target} out of service for {en}.",
    )


def unshelve(args: argparse.Namespace) -> int:
    """End a shelf before its time."""
    request = {"op": "unshelve", "target": args.target, "reason": args.reason}
    return _done(args, request, f"已结束搁置 {args.target}。", f"Unshelved {args.target}.")


def back_in(args: argparse.Namespace) -> int:
    """Put back in service before its time."""
    request = {"op": "in_service", "target": args.target, "reason": args.reason}
    return _done(args, request, f"已恢复启用 {args.target}。", f"Put {args.target} back in service.")


def test(args: argparse.Namespace) -> int:
    """Judge a given value beside the real one."""
    for_s = _seconds(args.span)
    request = {"op": "test", "point_id": args.point_id, "value": args.value, "for_s": for_s}
    zh, en = bound(for_s, "zh"), bound(for_s, "en")
    return _done(
        args,
        {**request, "reason": args.reason},
        f"{args.point_id} 正按 {args.value:g} 测试，{zh}后自动结束；真实值照常判断，测试报警不上报为真报警。"
        "测出了什么：plantgate alarms held。",
        f"{args.point_id} is tested with {args.value:g} for {en}; its real value is judged on, and nothing of the "
        "test is sent as real. What comes of it: plantgate alarms held.",
    )


def end_test(args: argparse.Namespace) -> int:
    """End a test before its time."""
    request = {"op": "end_test", "point_id": args.point_id}
    return _done(args, request, f"已结束 {args.point_id} 的测试。", f"Ended the test of {args.point_id}.")


def held(args: argparse.Namespace) -> int:
    """List what is held back, and tests."""
    answer = control.ask(socket_of(args), {"op": "held"})
    if args.json:
        give_json(answer)
    else:
        console().print(alarm_tables.held_table(answer, args.language))
    return Exit.OK


def states(_args: argparse.Namespace) -> int:
    """Print the tables of an alarm's states; asks nobody."""
    print(page(), end="")
    return Exit.OK


def _meant(args: argparse.Namespace, names: list[str], fits: Callable[[dict[str, Any]], bool]) -> list[str]:
    """IDs of the alarms that are named; what is no tag or condition with a live alarm is left for the gateway to judge.

    Which alarms a tag has is looked up here, once, so nothing raised after that look is acknowledged unseen. Where
    none of them fits, all are named, so that the gateway says why not.
    """
    if all(ID_MARK in name for name in names):
        return names
    live = control.ask(socket_of(args), {"op": "alarms"})
    found: dict[str, None] = {}
    for name in names:
        own = [alarm for alarm in live if name and name in (alarm["point_id"], alarm["condition"])]
        ids = [alarm["alarm_id"] for alarm in own if fits(alarm)] or [alarm["alarm_id"] for alarm in own]
        found |= dict.fromkeys(ids or [name])
    return list(found)


def _hold(args: argparse.Namespace, op: str) -> tuple[dict[str, Any], str, str]:
    """The request, and how long in both languages."""
    for_s = _seconds(args.span)
    request = {"op": op, "target": args.target, "for_s": for_s, "reason": args.reason}
    return request, bound(for_s, "zh"), bound(for_s, "en")


def _seconds(text: str) -> float:
    try:
        return seconds_of(text)
    except ValueError as e:
        raise said("E-NAME-DURATION", "", text=text) from e


def _done(args: argparse.Namespace, request: dict[str, Any], zh: str, en: str) -> int:
    answer = control.ask(socket_of(args), request)
    if args.json:
        give_json(answer)
    say(zh, en, args)
    return Exit.OK
