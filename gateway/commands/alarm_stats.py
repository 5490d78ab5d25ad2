"""``alarms stats``: asks a running gateway how heavily its alarms weigh, and shows its answer."""

from __future__ import annotations

import argparse

from rich.console import Group

from gateway import control
from gateway.cli import give_json
from gateway.commands.asking import console, socket_of
from gateway.errors import Exit
from gateway.load_tables import load_blocks


def stats(args: argparse.Namespace) -> int:
    """Show the load."""
    answer = control.ask(socket_of(args), {"op": "alarm_stats"})
    if args.json:
        give_json(answer)
    else:
        console().print(Group(*load_blocks(answer, args.language)))
    return Exit.OK
