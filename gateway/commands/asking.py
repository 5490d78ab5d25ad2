"""``status``, ``watch``: ask a running gateway and show its answer. Reads no device, no configuration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console
from rich.live import Live

from gateway import control, tables
from gateway.cli import give_json, say
from gateway.errors import Exit
from gateway.glance import DEFAULT_CONFIG, glance
from gateway.words import reason, said

PIPED_WIDTH = 200
"""Columns where standard output is no terminal: nothing is folded away."""


def console() -> Console:
    """A console on standard output."""
    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)


def status(args: argparse.Namespace) -> int:
    """Is it alive, does the province have it, what is in alarm."""
    answer = control.ask(socket_of(args), {"op": "status", "points": args.points})
    if args.json:
        give_json(answer)
        return Exit.OK
    screen = console()
    screen.print(tables.status_view(answer, args.language))
    if args.points:
        screen.print(tables.points_table(answer["points"], args.language))
    return Exit.OK


def watch(args: argparse.Namespace) -> int:
    """The same, live: a table on a terminal, else a line for each thing that changes."""
    statuses = control.watch(socket_of(args))
    if args.json:
        for answer in statuses:
            give_json(answer)
    elif sys.stdout.isatty():
        screen = console()
        with Live(console=screen, auto_refresh=False, screen=True) as live:
            for answer in statuses:
                live.update(tables.WatchView(answer, args.language), refresh=True)
    else:
        before = None
        for answer in statuses:
            for line in tables.changes(before, answer, args.language):
                print(line)
            sys.stdout.flush()
            before = answer
    say("网关已停止。", "The gateway has stopped.", args)
    return Exit.OK


def socket_of(args: argparse.Namespace) -> Path:
    """The control socket of the gateway that is meant.

    Raises:
        UserFacingError: a configuration is named that is not there: the usual gateway is not the one that is meant.
    """
    try:
        args.config.stat()
    except (FileNotFoundError, NotADirectoryError) as e:
        if args.config != DEFAULT_CONFIG:
            raise said("E-CONFIG-FILE", str(args.config), reason=reason(e)) from e
    except OSError:
        pass  # the folder may be closed to an operator, who needs its socket only
    return glance(args.config).runtime_folder / control.SOCKET_NAME
