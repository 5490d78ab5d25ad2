"""``plantgate alarms silence`` and ``plantgate alarms lamp-test``: ask a running gateway. Touches no output itself."""

from __future__ import annotations

import argparse
from typing import Any

from gateway import control
from gateway.cli import give_json, say
from gateway.commands.asking import socket_of
from gateway.errors import Exit
from gateway.span import seconds_of
from gateway.words import said


def silence(args: argparse.Namespace) -> int:
    """Silence the horns; acknowledges nothing."""
    answer = _ask(args, {"op": "silence"})
    count = answer["count"]
    if count:
        zh, en = (
            f"已消音，{count} 条报警仍待确认。",
            f"Silenced; {count} alarms still wait to be acknowledged.",
        )
    else:
        zh, en = "没有需要消音的报警。", "Nothing sounded."
    say(zh, en, args)
    return Exit.OK


def lamp_test(args: argparse.Namespace) -> int:
    """Turn all horns and lamps on for a while."""
    for_s = _seconds(args.span)
    answer = _ask(args, {"op": "lamp_test", "for_s": for_s})
    names = ", ".join(answer["outputs"])
    say(f"试灯试音 {for_s:g} 秒：{names}。", f"Testing for {for_s:g} s: {names}.", args)
    return Exit.OK


def _seconds(written: str) -> float:
    """A bare number is seconds: nobody tests lamps for hours."""
    try:
        return float(written) if written.isdecimal() else seconds_of(written)
    except ValueError as e:
        raise said("E-NAME-DURATION", "", text=written) from e


def _ask(args: argparse.Namespace, request: dict[str, Any]) -> Any:
    answer = control.ask(socket_of(args), request)
    if args.json:
        give_json(answer)
    return answer
