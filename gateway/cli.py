"""The command line: which command, which language, which exit code. Decides nothing else; commands load lazily.

stdout is data, stderr is talk. A command is ``deed(args) -> exit code``, set by its parser; other rooms add theirs
through the entry point group ``plantgate.commands``, each a function ``register(subparsers)`` that builds its parser
with ``parents=[common_options()]`` and ``set_defaults(deed=…)``.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import EntryPoint, entry_points, version
from pathlib import Path
from typing import Any, Final, NoReturn, TypeAlias

from gateway.errors import Exit, UserFacingError, UserFileErrors
from gateway.glance import DEFAULT_CONFIG, glance
from gateway.words import said

Deed: TypeAlias = Callable[[argparse.Namespace], int]
Subparsers: TypeAlias = Any
"""What ``add_subparsers`` gives; its class is argparse's own secret."""

ENTRY_POINTS: Final = "plantgate.commands"
BROWSE_DEPTH: Final = 4
INTERRUPTED: Final = 130
"""What a shell expects of a program ended by Ctrl-C."""


_USAGE_ZH: Final = tuple(
    (re.compile(pattern), chinese)
    for pattern, chinese in (
        (r"^the following arguments are required: ", "缺少参数 "),
        (r"^unrecognized arguments: ", "不认识的参数 "),
        (r"^argument ", "参数 "),
        (r"invalid choice: (.*) \(choose from (.*)\)$", r"没有 \1，可选：\2"),
        (r"invalid (?:int|float) value: ", "要写数字，不能是 "),
        (r"expected one argument$", "后面要有一个值"),
        (r"expected at least one argument$", "后面至少要有一个值"),
        (r"ignored explicit argument ", "不能带值 "),
        (r"not allowed with argument ", "不能同时使用 "),
    )
)
"""What argparse says is wrong, in Chinese; what stands here not stays as it is."""


class _ChineseFormatter(argparse.HelpFormatter):
    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, "用法：" if prefix is None else prefix)


class Parser(argparse.ArgumentParser):
    """An argument parser that helps, and says what is wrong, in the user's language."""

    language = "zh"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        form = _ChineseFormatter if self.language == "zh" else argparse.HelpFormatter
        super().__init__(*args, **{"allow_abbrev": False, "formatter_class": form, **kwargs})

    def format_help(self) -> str:
        """The help, headings and all in the user's language."""
        if self.language == "zh":
            self._positionals.title, self._optionals.title = "参数", "选项"
            own = {"help": "显示这份帮助", "version": "显示版本号"}
            for action in self._actions:
                action.help = own.get(action.dest, action.help)
        return super().format_help()

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line and leave."""
        self.print_usage(sys.stderr)
        if self.language == "zh":
            for pattern, chinese in _USAGE_ZH:
                message = pattern.sub(chinese, message)
        opening = "E-USAGE：命令行写错了：" if self.language == "zh" else "E-USAGE: wrong command line: "
        self.exit(Exit.USAGE, f"{opening}{message}\n")


def common_options() -> Parser:
    """What every command takes: ``--config``, ``--lang``, ``--json``; a parent for ``add_parser``."""
    zh = Parser.language == "zh"
    parser = Parser(add_help=False, argument_default=argparse.SUPPRESS)
    text = f"配置文件（默认 {DEFAULT_CONFIG}）" if zh else f"configuration file (default {DEFAULT_CONFIG})"
    parser.add_argument("--config", type=Path, metavar="PATH", help=text)
    text = "语言（默认按配置，否则中文）" if zh else "language (default: the configuration's, else Chinese)"
    parser.add_argument("--lang", choices=("zh", "en"), help=text)
    text = "在标准输出上给出 JSON" if zh else "give JSON on standard output"
    parser.add_argument("--json", action="store_true", help=text)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        the exit code (``gateway.errors.Exit``).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    defaults = argparse.Namespace(config=DEFAULT_CONFIG, lang=None, json=False)
    early, rest = common_options().parse_known_args(words, defaults)
    Parser.language = early.lang or glance(early.config).language
    wanted = next((word for word in rest if not word.startswith("-")), "")
    args = _parser(wanted).parse_args(words, argparse.Namespace(**vars(defaults)))
    args.language = Parser.language
    return run_deed(args.deed, args)


def run_deed(deed: Deed, args: argparse.Namespace) -> int:
    """Run a command and turn what it raises into talk and an exit code."""
    try:
        code = int(deed(args))
        sys.stdout.flush()
    except UserFileErrors as errors:
        _tell(errors.errors, args)
        return Exit.USER_FILE
    except UserFacingError as error:
        _tell([error], args)
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has left, as `head` does; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.OK
    except Exception as error:  # noqa: BLE001 - the last resort: say it is our defect
        traceback.print_exc()
        _tell([said("E-INTERNAL", "", message=repr(error))], args)
        return Exit.INTERNAL
    return code


def say(zh: str, en: str, args: argparse.Namespace) -> None:
    """One line of talk."""
    print(zh if args.language == "zh" else en, file=sys.stderr)


def give_json(data: object) -> None:
    """One JSON document on standard output, on one line."""
    print(json.dumps(data, ensure_ascii=False), flush=True)


def _tell(errors: Sequence[UserFacingError], args: argparse.Namespace) -> None:
    for error in errors:
        print(error.line(args.language).rstrip(), file=sys.stderr)
    if args.json:
        told = [
            {"code": error.code, "place": error.place, "cause": error.cause, "remedy": error.remedy}
            for error in errors
        ]
        give_json({"ok": False, "errors": told})


def _parser(wanted: str) -> Parser:
    zh = Parser.language == "zh"
    parser = Parser(
        prog="plantgate",
        parents=[common_options()],
        description="化工厂边缘网关：只读采集、本地报警、可靠留痕、多方上报。"
        if zh
        else "Plant gateway: reads, raises alarms, records, and delivers to several authorities.",
        epilog="退出码：0 正常，1 检查未通过，2 用法，3 用户文件有错，4 设备不可达，5 被拒绝，"
        "6 完整性，7 环境，70 内部错误。"
        if zh
        else "Exit codes: 0 ok, 1 failed check, 2 usage, 3 user's file, 4 device unreachable, 5 refused, "
        "6 integrity, 7 environment, 70 internal.",
    )
    parser.add_argument("--version", action="version", version=f"plantgate {version('plantgate')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (add, chinese, english) in _COMMANDS.items():
        text = chinese if zh else english
        add(commands.add_parser(name, parents=[common_options()], help=text, description=text), zh)
    if wanted not in _COMMANDS:
        others = entry_points(group=ENTRY_POINTS)
        for entry in others.select(name=wanted) or others:
            _register(entry, commands)
    return parser


def _register(entry: EntryPoint, commands: Subparsers) -> None:
    """Another room's command; one that cannot be loaded must not take the others with it."""
    try:
        entry.load()(commands)
    except Exception as error:  # noqa: BLE001 - whatever is wrong over there, this program goes on
        print(f"plantgate {entry.name}: {error!r}", file=sys.stderr)


def later(module: str, function: str, args: argparse.Namespace) -> int:
    """Run a command's function; its own module is loaded only when it runs: a command line must start fast."""
    deed: Deed = getattr(importlib.import_module(f"gateway.commands.{module}"), function)
    return deed(args)


def _run(args: argparse.Namespace) -> int:
    app = importlib.import_module("gateway.app")
    code: int = app.run(args.config)
    return code


def _add_run(parser: argparse.ArgumentParser, _zh: bool) -> None:
    parser.set_defaults(deed=_run)


def _add_check(parser: argparse.ArgumentParser, _zh: bool) -> None:
    parser.set_defaults(deed=partial(later, "check", "check"))


def _add_status(parser: argparse.ArgumentParser, zh: bool) -> None:
    text = "连同所有点的数值" if zh else "with the value of every point"
    parser.add_argument("--points", action="store_true", help=text)
    parser.set_defaults(deed=partial(later, "asking", "status"))


def _add_watch(parser: argparse.ArgumentParser, _zh: bool) -> None:
    parser.set_defaults(deed=partial(later, "asking", "watch"))


def _add_read(parser: argparse.ArgumentParser, zh: bool) -> None:
    text = (
        "设备名或位号，不写则全部；或 OPC UA 服务器地址 opc.tcp://…"
        if zh
        else "device or tag, everything if left out; or an OPC UA server opc.tcp://…"
    )
    parser.add_argument("name", nargs="?", metavar="DEVICE|TAG|URL", help=text)
    text = (
        "占多个寄存器的数值（32、64 位）按四种字节序列出"
        if zh
        else "show values over several registers (32 and 64 bits) in all four word orders"
    )
    parser.add_argument("--orders", action="store_true", help=text)
    text = "列出 OPC UA 服务器里的节点" if zh else "list the nodes of an OPC UA server"
    parser.add_argument("--browse", action="store_true", help=text)
    text = "从这个节点开始（默认 Objects）" if zh else "start at this node (default: Objects)"
    parser.add_argument("--root", default="", metavar="NODE", help=text)
    text = f"向下几层（默认 {BROWSE_DEPTH}）" if zh else f"levels below it (default {BROWSE_DEPTH})"
    parser.add_argument("--depth", type=int, default=BROWSE_DEPTH, metavar="N", help=text)
    parser.set_defaults(deed=partial(later, "read", "read"))


def _add_opcua(parser: argparse.ArgumentParser, zh: bool) -> None:
    deeds = parser.add_subparsers(dest="opcua_deed", metavar="certs|trust", required=True)
    text = (
        "显示本机、已信任、服务器出示和被拒绝的证书"
        if zh
        else "show own, trusted and rejected certificates, and what the servers show"
    )
    certs = deeds.add_parser("certs", parents=[common_options()], help=text, description=text)
    text = "设备名或地址，不写则全部" if zh else "device or address; all if left out"
    certs.add_argument("name", nargs="?", metavar="DEVICE|URL", help=text)
    certs.set_defaults(deed=partial(later, "opcua", "certs"))
    text = (
        "核对指纹后信任服务器的证书" if zh else "trust a server's certificate after comparing its fingerprint"
    )
    trust = deeds.add_parser("trust", parents=[common_options()], help=text, description=text)
    text = "设备名、地址或证书文件" if zh else "device, address or certificate file"
    trust.add_argument("name", metavar="DEVICE|URL|FILE", help=text)
    text = "从服务器上看到的完整 SHA-256 指纹" if zh else "the complete SHA-256 as the server itself shows it"
    trust.add_argument("--fingerprint", metavar="HEX", help=text)
    trust.set_defaults(deed=partial(later, "opcua", "trust_one"))


def _add_alarms(parser: argparse.ArgumentParser, zh: bool) -> None:
    importlib.import_module("gateway.alarm_usage").add_alarms(parser, zh)


def _add_limits(parser: argparse.ArgumentParser, zh: bool) -> None:
    importlib.import_module("gateway.alarm_usage").add_limits(parser, zh)


def _add_warnings(parser: argparse.ArgumentParser, zh: bool) -> None:
    parser.set_defaults(deed=partial(later, "warnings", "listed"), all=False)
    deeds = parser.add_subparsers(dest="warning_deed", metavar="list|answer")
    text = "列出上级的预警和处置" if zh else "list warnings and orders from above"
    listed = deeds.add_parser("list", parents=[common_options()], help=text, description=text)
    text = "连同早已结束的" if zh else "with those that ended long ago"
    listed.add_argument("--all", action="store_true", help=text)
    text = "反馈一条（操作员）" if zh else "give feedback to one (operator)"
    answer = deeds.add_parser("answer", parents=[common_options()], help=text, description=text)
    text = "编号；重复时写 接收方/编号" if zh else "its ID; RECIPIENT/ID where two have the same"
    answer.add_argument("id", metavar="ID", help=text)
    answer.add_argument("--cause", required=True, help="原因" if zh else "why it is so")
    answer.add_argument("--action", required=True, help="处置措施" if zh else "what was done")
    answer.add_argument("--note", default="", help="备注" if zh else "a note")
    answer.set_defaults(deed=partial(later, "warnings", "answer"))


def _add_warn(parser: argparse.ArgumentParser, zh: bool) -> None:
    def option(name: str, chinese: str, english: str, **more: Any) -> None:
        parser.add_argument(name, help=chinese if zh else english, **more)

    _add_authority(parser, zh)
    option("--signing-key", "签名私钥，P-256，PEM", "key that signs, P-256, PEM", type=Path, required=True)
    option("--site", "站点", "site", required=True)
    option("--gateway", "网关", "gateway", required=True)
    option("--kind", "预警或处置", "warning or order", choices=("warning", "order"), default="warning")
    colours = ("red", "orange", "yellow", "blue")
    option("--colour", "红橙黄蓝", "its colour", choices=colours, default="")
    option("--id", "编号（默认自动）", "its ID (default: drawn)", default="")
    option("--title", "标题", "its title", default="")
    option("--text", "正文", "its text", default="")
    option("--points", "涉及的位号或编码", "tags or codes it speaks of", nargs="+", default=[])
    option(
        "--answer-within", "多少秒内反馈", "seconds in which to answer", type=float, default=None, metavar="S"
    )
    option("--cancel", "解除这一条", "end this one", default="", metavar="ID")
    parser.set_defaults(deed=partial(later, "warnings", "warn"))


def _add_authority(parser: argparse.ArgumentParser, zh: bool) -> None:
    """Who a recipient is, and where its broker."""

    def option(name: str, chinese: str, english: str, **more: Any) -> None:
        parser.add_argument(name, help=chinese if zh else english, **more)

    option("--recipient", "本接收方的名称", "this recipient's name", required=True)
    option("--host", "MQTT 服务器", "MQTT broker", required=True)
    option("--port", "端口（默认 8883）", "port (default 8883)", type=int, default=8883)
    option("--ca", "信任的 CA，PEM", "trust anchor, PEM", type=Path, required=True)
    option("--certificate", "客户端证书，PEM", "client certificate, PEM", type=Path, required=True)
    option("--private-key", "其私钥，PEM，权限 0600", "its key, PEM, mode 0600", type=Path, required=True)


def _add_receive(parser: argparse.ArgumentParser, zh: bool) -> None:
    def option(name: str, chinese: str, english: str, **more: Any) -> None:
        parser.add_argument(name, help=chinese if zh else english, **more)

    _add_authority(parser, zh)
    option(
        "--store", "收到的数据存放处（SQLite）", "where to keep what comes (SQLite)", type=Path, required=True
    )
    parser.set_defaults(deed=partial(later, "receive", "receive"))


_COMMANDS: Final[dict[str, tuple[Callable[[argparse.ArgumentParser, bool], None], str, str]]] = {
    "run": (_add_run, "运行网关", "run the gateway"),
    "check": (
        _add_check,
        "检查配置、点表和证书（不联网）",
        "check configuration, points, certificates (no network)",
    ),
    "status": (
        _add_status,
        "网关是否在运行、省里是否收到、有什么报警",
        "is it alive, does the province have it, what is in alarm",
    ),
    "watch": (_add_watch, "实时查看", "watch it live"),
    "read": (_add_read, "读一个设备或一个点", "read a device or a point"),
    "opcua": (_add_opcua, "OPC UA 证书：查看和信任", "OPC UA certificates: see and trust"),
    "alarms": (
        _add_alarms,
        "报警：列出、确认、复位、搁置、停用、测试",
        "alarms: list, acknowledge, reset, shelve, take out of service, test",
    ),
    "limits": (_add_limits, "限值：查看、修改、批准", "limits: see, change, approve"),
    "warnings": (
        _add_warnings,
        "列出或反馈上级的预警和处置",
        "list or answer warnings and orders from above",
    ),
    "receive": (_add_receive, "参考接收端", "the reference receiver"),
    "warn": (
        _add_warn,
        "参考下发端：向网关发一条预警或处置",
        "the reference sender of a warning or an order",
    ),
}
