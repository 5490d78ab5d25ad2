"""The bench's commands: ``bench`` and ``demo``. Decides the exit code; everything heavy is imported when it runs."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import traceback
from collections.abc import Awaitable
from typing import Any, Final, TypeAlias

from gateway.cli import Parser, common_options, give_json, say
from gateway.errors import Exit, UserFacingError
from hil.processes import ToolMissingError

DEMO_SECONDS: Final = 70.0
MIN_DEMO_SECONDS: Final = 25.0
Figures: TypeAlias = dict[str, Any]


def bench(subparsers: Any) -> None:
    """Register ``plantgate bench list|run NAME``."""
    zh = Parser.language == "zh"
    text = "台架：运行一个场景并给出判定" if zh else "the bench: run a scenario and judge it"
    parser = subparsers.add_parser("bench", parents=[common_options()], help=text, description=text)
    deeds = parser.add_subparsers(dest="bench_deed", metavar="list|run", required=True)
    text = "列出场景" if zh else "list the scenarios"
    listing = deeds.add_parser("list", parents=[common_options()], help=text, description=text)
    listing.set_defaults(deed=_list)
    text = "运行一个场景" if zh else "run one scenario"
    running = deeds.add_parser("run", parents=[common_options()], help=text, description=text)
    running.add_argument("name", metavar="NAME", help="场景名" if zh else "the scenario's name")
    text = "长版" if zh else "the long form"
    running.add_argument("--long", action="store_true", help=text)
    running.set_defaults(deed=_run)


def demo(subparsers: Any) -> None:
    """Register ``plantgate demo``."""
    zh = Parser.language == "zh"
    text = (
        "演示：真实网关接仿真罐区，向省、区两级上报"
        if zh
        else "the real gateway on a simulated tank farm, reporting to province and bureau"
    )
    parser = subparsers.add_parser("demo", parents=[common_options()], help=text, description=text)
    text = (
        f"演示时长，秒（默认 {DEMO_SECONDS:g}，最短 {MIN_DEMO_SECONDS:g}）"
        if zh
        else f"length of the story in seconds (default {DEMO_SECONDS:g}, at least {MIN_DEMO_SECONDS:g})"
    )
    parser.add_argument("--seconds", type=float, default=DEMO_SECONDS, metavar="N", help=text)
    text = "保留运行目录" if zh else "keep the folder of the run"
    parser.add_argument("--keep", action="store_true", help=text)
    parser.set_defaults(deed=_demo)


def _list(args: argparse.Namespace) -> int:
    from hil import scenarios  # noqa: PLC0415  a command line must start fast

    found = [scenarios.load(name) for name in scenarios.names()]
    if args.json:
        give_json([{"name": one.name, "summary": one.summary} for one in found])
    else:
        print("\n".join(f"{one.name:<16}{one.summary}" for one in found))
    return Exit.OK


def _run(args: argparse.Namespace) -> int:
    from hil import scenarios  # noqa: PLC0415  same

    if args.name not in scenarios.names():
        known = ", ".join(scenarios.names())
        say(f"没有场景 {args.name}。现有：{known}", f"No scenario {args.name}. There are: {known}", args)
        return Exit.USAGE
    figures = _judged({"scenario": args.name}, scenarios.load(args.name).run(long=args.long))
    if args.json:
        give_json(figures)
    else:
        print("\n".join(f"{name}: {value}" for name, value in figures.items()))
    return Exit.OK if figures["verdict"] == "pass" else Exit.CHECK_FAILED


def _demo(args: argparse.Namespace) -> int:
    from hil.demo import run_demo  # noqa: PLC0415  same

    seconds = max(args.seconds, MIN_DEMO_SECONDS)
    if seconds != args.seconds:
        say(f"故事最短 {seconds:g} 秒。", f"The story takes {seconds:g} s at least.", args)
    talk = sys.stderr if args.json else sys.stdout
    figures = _judged({}, run_demo(seconds, args.language, talk, keep=args.keep))
    if args.json:
        give_json(figures)
    return Exit.OK if figures["verdict"] == "pass" else Exit.CHECK_FAILED


def _judged(heading: Figures, run: Awaitable[Figures]) -> Figures:
    """Run it to its end; whatever breaks it is a failed verdict, not a lost one.

    Raises:
        UserFacingError: this machine lacks a program that the bench needs.
    """
    try:
        return {**heading, **asyncio.run(_until_told(run))}
    except asyncio.CancelledError:
        return {**heading, "verdict": "fail", "error": "stopped by a signal"}
    except ToolMissingError as e:
        raise UserFacingError(
            "E-BENCH-TOOL",
            Exit.ENVIRONMENT,
            e.name,
            {
                "zh": "台架需要的这个程序没有安装。",
                "en": "The bench needs this program and it is not installed.",
            },
            {"zh": f"请执行 apt-get install {e.package}。", "en": f"Run apt-get install {e.package}."},
        ) from e
    except Exception as e:  # noqa: BLE001 - the verdict is the last line, come what may
        traceback.print_exc()
        return {**heading, "verdict": "fail", "error": f"{type(e).__name__}: {e}"}


async def _until_told(run: Awaitable[Figures]) -> Figures:
    # As with Ctrl-C: every process and folder of the run is given back before the end.
    task = asyncio.ensure_future(run)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task
