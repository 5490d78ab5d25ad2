"""``read … --browse``: what an OPC UA server holds, its node ids ready for the point table. Shows; writes nothing."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from drivers.kit.errors import PointError, SourceError
from drivers.opcua import MAX_BROWSED, BrowseRow
from drivers.opcua import browse as browsed
from gateway.cli import give_json, say
from gateway.commands.asking import console
from gateway.commands.opcua import refused_or_unreachable, server_named
from gateway.errors import Exit, UserFacingError
from gateway.words import said

BESIDE_COLUMNS: Final = 50
"""What name, type, value and status want beside the address."""


def browse(args: argparse.Namespace) -> int:
    """List the nodes below a root with their types and values."""
    if args.name is None:
        raise said("E-NAME-BROWSE", "")
    server = server_named(args)
    try:
        rows = asyncio.run(browsed(server.options, args.root, args.depth))
    except SourceError as error:
        raise refused_or_unreachable(server.name, error) from error
    except PointError as error:
        raise UserFacingError("E-NAME-BROWSE", Exit.USAGE, args.root, error.cause, error.remedy) from error
    if args.json:
        give_json({"ok": True, "server": server.name, "nodes": [dataclasses.asdict(row) for row in rows]})
    else:
        show(rows, console(), args.language)
    variables = sum(row.kind == "variable" for row in rows)
    say(
        f"{variables} 个变量。第一列可直接粘贴到点表的“地址”列。",
        f"{variables} variables. The first column can be pasted into the point table's address column.",
        args,
    )
    if len(rows) >= MAX_BROWSED:
        say(
            f"只列出前 {MAX_BROWSED} 个；用 --root 从更深的节点开始。",
            f"Only the first {MAX_BROWSED} are listed; start deeper with --root.",
            args,
        )
    return Exit.OK


def show(rows: list[BrowseRow], screen: Console, language: str) -> None:
    """The nodes as a table where the addresses fit in, else two lines for each: a broken address cannot be pasted."""
    width = max((len(row.node) for row in rows), default=0)
    if width + BESIDE_COLUMNS <= screen.width:
        screen.print(_table(rows, language))
        return
    for row in rows:
        indent = "  " * (row.depth - 1)
        about = (row.type, _value(row.value), row.status) if row.kind == "variable" else ()
        screen.print(Text("  ".join((indent + row.name, *about)), style="bold"), soft_wrap=True)
        screen.print(Text(indent + row.node), soft_wrap=True)


def _table(rows: list[BrowseRow], language: str) -> Table:
    headings = ("地址", "名称", "类型", "数值", "状态")
    if language != "zh":
        headings = ("Address", "Name", "Type", "Value", "Status")
    shown = Table(box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        shown.add_column(heading, no_wrap=number == 0, overflow="fold")
    for row in rows:
        indent = "  " * (row.depth - 1)
        if row.kind == "object":
            shown.add_row(Text(row.node, style="dim"), Text(f"{indent}{row.name}", style="bold"), "", "", "")
            continue
        status = Text(row.status, style="" if row.status == "Good" else "yellow")
        cells = (Text(row.node), Text(f"{indent}{row.name}"), Text(row.type), Text(_value(row.value)), status)
        shown.add_row(*cells)
    return shown


def _value(value: bool | float | str | None) -> str:
    if value is None:
        return "—"
    return f"{value:.9g}" if isinstance(value, float) else str(value)
