"""``warnings`` and ``warn``: see and answer what came from above; send it down. Asks a gateway, or a broker."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import time
from typing import Any

from gateway import control
from gateway.cli import give_json, say
from gateway.commands.asking import console, socket_of
from gateway.errors import Exit
from gateway.receive.warn import Desk, issue
from gateway.table_words import moment
from gateway.tables_above import warnings_table
from gateway.uplink.order import Order


def listed(args: argparse.Namespace) -> int:
    """List what came from above, with its whole text."""
    answer = _ask(args, {"op": "warnings", "all": args.all})
    if args.json:
        give_json(answer)
        return Exit.OK
    table = warnings_table(answer, args.language)
    if table is None:
        say("没有上级预警。", "No warnings from above.", args)
        return Exit.OK
    screen = console()
    screen.print(table)
    for item in answer:
        if item["text"] or item["answer"]:
            screen.print(f"\n{item['name']}", style="bold", markup=False)
            screen.print(item["text"], markup=False, highlight=False)
            if item["answer"]:
                screen.print(_answered(item["answer"], args.language), markup=False, highlight=False)
    return Exit.OK


def answer(args: argparse.Namespace) -> int:
    """Give feedback to one as the user who runs this."""
    given = {"id": args.id, "cause": args.cause, "action": args.action, "note": args.note}
    told = _ask(args, {"op": "answer", **given})
    if args.json:
        give_json(told)
    say(f"已反馈 {args.id}。", f"Answered {args.id}.", args)
    return Exit.OK


def warn(args: argparse.Namespace) -> int:
    """Send one warning, order or cancellation to a gateway, as its authority."""
    issued_ns = time.time_ns()
    within_ns = None if args.answer_within is None else int(args.answer_within * 1e9)
    order = Order(
        recipient=args.recipient,
        to=f"{args.site}/{args.gateway}",
        id=args.id or f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{secrets.token_hex(2)}",
        kind="cancel" if args.cancel else args.kind,
        colour="" if args.cancel else args.colour,
        title=args.title,
        text=args.text,
        points=tuple(args.points),
        issued_ns=issued_ns,
        answer_by_ns=None if within_ns is None else issued_ns + within_ns,
        cancels=args.cancel,
    )
    desk = Desk(args.host, args.port, args.ca, args.certificate, args.private_key, args.signing_key)
    topic = asyncio.run(issue(desk, order))
    if args.json:
        give_json({"id": order.id, "topic": topic})
    say(f"已下发 {order.id}。", f"Sent {order.id}.", args)
    return Exit.OK


def _ask(args: argparse.Namespace, request: dict[str, Any]) -> Any:
    return control.ask(socket_of(args), request)


def _answered(given: dict[str, str], language: str) -> str:
    who, words = ("反馈", "：") if language == "zh" else ("Answered by", ": ")
    parts = [given["cause"], given["action"], given["note"]]
    return f"→ {who} {given['by']} {moment(given['at'])}{words}{' / '.join(part for part in parts if part)}"
