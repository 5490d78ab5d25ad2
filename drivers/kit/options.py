"""Decides how a wrong option of a driver is told to its user. Pure."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Callable
from typing import Final, Never

from drivers.kit.errors import PointError

_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_][a-z0-9_-]{0,62})*\.?", re.IGNORECASE
)
_NUMBERS: Final = re.compile(r"[0-9.]+")


def refuse(field: str, zh: str, en: str, write_zh: str, write_en: str) -> Never:
    """Say what is wrong with one key and what to write instead.

    Raises:
        PointError: always.
    """
    raise PointError(field, {"zh": zh, "en": en}, {"zh": f"请写{write_zh}。", "en": f"Write {write_en}."})


def within(field: str, value: float, low: float, high: float) -> None:
    """A number has its bounds.

    Raises:
        PointError: it is outside.
    """
    if not low <= value <= high:
        zh, en = f"{value} 超出范围。", f"{value} is out of range."
        refuse(field, zh, en, f" {low} 到 {high}", f"{low} to {high}")


def judge(*checks: Callable[[], object]) -> None:
    """Make every check, so that one mistake does not hide another.

    Raises:
        PointError: the first mistake; the others, each of another key, are its ``others``.
    """
    found: dict[str, PointError] = {}
    for check in checks:
        try:
            check()
        except PointError as error:
            for mistake in (error, *error.others):
                found.setdefault(mistake.field, mistake)
    if found:
        first, *others = found.values()
        first.others = tuple(others)
        raise first


def plain_host(text: str) -> str:
    """An address as typed by an input method, with plain digits and dots."""
    return unicodedata.normalize("NFKC", text).replace("。", ".").strip()


def check_host(field: str, host: str) -> None:
    """Could this name or address be one at all?

    Args:
        field: the key that holds it.
        host: plain; an IPv6 address may stand in brackets.

    Raises:
        PointError: it holds a port, or is neither an address nor a name.
    """
    try:
        ipaddress.ip_address(host[1:-1] if host.startswith("[") and host.endswith("]") else host)
    except ValueError:
        pass
    else:
        return
    name, colon, port = host.rpartition(":")
    if colon and port.isdecimal() and ":" not in name:
        zh, en = f"“{host}”里有端口。", f'"{host}" holds a port.'
        refuse(
            field,
            zh,
            en,
            f" {name}，端口另写 port = {port}",
            f"{name}, and port = {port} as a key of its own",
        )
    if _NUMBERS.fullmatch(host):
        zh, en = f"“{host}”不是 IP 地址。", f'"{host}" is no IP address.'
        refuse(
            field,
            zh,
            en,
            "四个 0 到 255 的数，如 192.168.10.11",
            "four numbers from 0 to 255, such as 192.168.10.11",
        )
    if not _NAME.fullmatch(host):
        zh, en = (
            f"“{host}”既不是 IP 地址，也不是主机名。",
            f'"{host}" is neither an IP address nor the name of a host.',
        )
        refuse(field, zh, en, " IP 地址，如 192.168.10.11", "an IP address such as 192.168.10.11")
