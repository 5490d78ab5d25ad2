"""What ``opcua`` shows: both fingerprints side by side, days left, what to do. Facts in, JSON and tables out."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drivers.kit.certificates import SHORTEST_FINGERPRINT, WARN_DAYS, Facts
from drivers.opcua import Offer, Options
from drivers.wire.certificate_files import Stored

GROUP_DIGITS: Final = 4
GROUPS_PER_LINE: Final = 4
BLOCK_COLUMNS: Final = GROUPS_PER_LINE * (GROUP_DIGITS + 1) - 1
MAX_TRUSTED_SHOWN: Final = 3
"""Where none of several trusted certificates is the one shown, so many are named."""

_VERDICTS: Final = {
    # word: zh, en, style
    "trusted": ("✔ 一致，已信任", "✔ same, trusted", "green"),
    "untrusted": ("✘ 未信任，不会连接", "✘ not trusted, no connection", "bold red"),
    "expired": ("✘ 不在有效期内，不会连接", "✘ out of date, no connection", "bold red"),
    "bare": ("✘ 服务器不出示证书", "✘ the server shows none", "bold red"),
    "insecure": ("⚠ 不加密（insecure）", "⚠ insecure, not encrypted", "yellow"),
    "unreachable": ("？ 连不上", "? not reachable", "yellow"),
}


@dataclass(frozen=True, slots=True)
class Server:
    """A server as the configuration or the command line names it.

    Attributes:
        name: the device's name, or the address itself.
        options: how it is reached, and where its certificates are kept.
    """

    name: str
    options: Options


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows at this moment.

    Attributes:
        server: which.
        offer: the endpoint that is configured, else the first with a certificate; None where there is none.
        unreachable: why nothing could be seen, "" if it could.
    """

    server: Server
    offer: Offer | None
    unreachable: str = ""

    def verdict(self, now: dt.datetime) -> str:
        """One word: how trust stands."""
        if self.unreachable:
            return "unreachable"
        if self.server.options.insecure:
            return "insecure"
        if self.offer is None or self.offer.facts is None:
            return "bare"
        if self.offer.trusted:
            return "trusted"
        facts = self.offer.facts
        return "untrusted" if facts.begins <= now <= facts.ends else "expired"


def grouped(fingerprint: str) -> str:
    """A fingerprint in groups of four digits."""
    starts = range(0, len(fingerprint), GROUP_DIGITS)
    return " ".join(fingerprint[start : start + GROUP_DIGITS] for start in starts).upper()


def facts_json(facts: Facts, now: dt.datetime) -> dict[str, Any]:
    """A certificate for scripts."""
    return {
        "fingerprint": facts.fingerprint,
        "subject": facts.subject,
        "application_uri": facts.application_uri,
        "not_before": facts.begins.isoformat(),
        "not_after": facts.ends.isoformat(),
        "days_left": facts.days_left(now),
    }


def summary(
    owns: Sequence[Stored], shown: Sequence[Shown], stored: Mapping[str, Sequence[Stored]], now: dt.datetime
) -> dict[str, Any]:
    """All there is to know, as ``--json`` gives it.

    Args:
        owns: own certificates.
        shown: what each server shows.
        stored: server's name -> what lies in its trusted and rejected places.
        now: UTC.
    """
    rejected = {
        one.path: one for lying in stored.values() for one in lying if one.place == "rejected" and one.facts
    }
    return {
        "own": [_stored_json(one, now) for one in owns],
        "servers": [_server_json(one, stored[one.server.name], now) for one in shown],
        "rejected": [_stored_json(one, now) for _, one in sorted(rejected.items())],
    }


def _stored_json(one: Stored, now: dt.datetime) -> dict[str, Any]:
    known = facts_json(one.facts, now) if one.facts else {}
    return {"path": str(one.path), **known, "problem": one.problem}


def _server_json(one: Shown, lying: Sequence[Stored], now: dt.datetime) -> dict[str, Any]:
    offer = one.offer
    facts = offer.facts if offer else None
    trusted = [each for each in lying if each.place == "trusted"]
    same = [each for each in trusted if each.facts and facts and each.facts.fingerprint == facts.fingerprint]
    return {
        "server": one.server.name,
        "url": one.server.options.endpoint,
        "verdict": one.verdict(now),
        "detail": one.unreachable or (offer.reason if offer else ""),
        "shown": facts_json(facts, now) if facts else None,
        "trusted": [_stored_json(each, now) for each in same or trusted],
        "security": f"{offer.security_policy} {offer.security_mode}" if offer else "",
    }


# -- for people -----------------------------------------------------------------------------------------


def screen(found: Mapping[str, Any], language: str) -> RenderableType:
    """The whole of ``certs``."""
    zh = language == "zh"
    parts: list[RenderableType] = []
    for one in found["own"]:
        parts += [_own(one, zh=zh), ""]
    if found["servers"]:
        parts.append(_servers(found["servers"], zh=zh))
    parts.append(_rejected(found["rejected"], zh=zh))
    return Group(*parts)


def question(name: str, facts: Facts, thumbprint: str, now: dt.datetime, language: str) -> RenderableType:
    """What a person compares before trusting.

    Args:
        name: the server's.
        facts: of its certificate.
        thumbprint: SHA-1 over the DER form, hex: all that some servers' tools show.
        now: UTC.
        language: ``zh`` or ``en``.
    """
    zh = language == "zh"
    sha1 = Text("\n".join((grouped(thumbprint[:20]), grouped(thumbprint[20:]))))
    *names, validity = _identity(facts_json(facts, now), zh=zh)
    table = _pairs(("服务器" if zh else "Server", Text(name)), *names, ("SHA-1", sha1), validity)
    groups = SHORTEST_FINGERPRINT // GROUP_DIGITS
    ask = (
        "\n请在服务器自己的屏幕或配置软件上找到它的证书，逐位核对上面的指纹（那边只显示 SHA-1 就核对 SHA-1）。\n"
        f"全部一致，才从那边的屏幕上抄下前 {SHORTEST_FINGERPRINT} 位（{groups} 组）或更多，输入后回车；"
        "不一致就按 Ctrl-C。"
        if zh
        else "\nFind this certificate on the server's own screen or tool and compare the fingerprint above, every "
        "digit (SHA-1 where that is all it shows).\n"
        f"Only if all agree, type its first {SHORTEST_FINGERPRINT} digits ({groups} groups) or more as they stand "
        "there; else press Ctrl-C."
    )
    return Group(table, Text(ask, style="bold"))


def _own(one: Mapping[str, Any], *, zh: bool) -> RenderableType:
    title = "本机证书（服务器要信任的就是它）" if zh else "The gateway's own (what servers must trust)"
    path = ("文件" if zh else "File", Text(one["path"]))
    return _pairs(*_identity(one, zh=zh), path, title=title)


def _identity(one: Mapping[str, Any], *, zh: bool) -> tuple[tuple[str, Text], ...]:
    return (
        ("名称" if zh else "Subject", Text(one["subject"])),
        ("ApplicationURI", Text(one["application_uri"] or "—")),
        ("SHA-256", Text(_block(one["fingerprint"]), style="bold")),
        ("有效期" if zh else "Valid", _validity(one, zh=zh)),
    )


def _pairs(*rows: tuple[str, Text], title: str = "") -> Table:
    table = Table(title=title or None, title_justify="left", title_style="bold", box=None, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _servers(servers: Sequence[Mapping[str, Any]], *, zh: bool) -> Table:
    table = Table(
        title="服务器证书" if zh else "Server certificates",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_lines=True,
    )
    headings = (
        ("设备", "已信任的", "服务器此刻出示的", "结论")
        if zh
        else ("Device", "Trusted", "Shown now", "Verdict")
    )
    for heading in headings:
        digits = heading in headings[1:3]
        table.add_column(heading, overflow="fold", min_width=BLOCK_COLUMNS if digits else None)
    for one in servers:
        trusted = one["trusted"]
        kept = Text("\n").join(_side(each, zh=zh) for each in trusted[:MAX_TRUSTED_SHOWN])
        if len(trusted) > MAX_TRUSTED_SHOWN:
            more = len(trusted) - MAX_TRUSTED_SHOWN
            kept.append(f"\n… 另有 {more} 个" if zh else f"\n… and {more} more", style="dim")
        now = _side(one["shown"], zh=zh) if one["shown"] else Text("—")
        table.add_row(Text(f"{one['server']}\n{one['url']}"), kept or Text("—"), now, _verdict(one, zh=zh))
    return table


def _side(one: Mapping[str, Any], *, zh: bool) -> Text:
    """One certificate of the comparison: four short lines of digits and how long it holds."""
    if "fingerprint" not in one:
        return Text(one["problem"], style="red")
    return Text(_block(one["fingerprint"]) + "\n").append_text(_validity(one, zh=zh, gap="\n"))


def _block(fingerprint: str) -> str:
    width = GROUP_DIGITS * GROUPS_PER_LINE
    return "\n".join(grouped(fingerprint[at : at + width]) for at in range(0, len(fingerprint), width))


def _verdict(one: Mapping[str, Any], *, zh: bool) -> Text:
    chinese, english, style = _VERDICTS[one["verdict"]]
    text = Text().append(chinese if zh else english, style=style)
    if one["verdict"] == "untrusted":
        text.append(f"\nplantgate opcua trust {one['server']}")
    elif one["verdict"] == "expired":
        hint = "核对本机时钟；服务器要换证书" if zh else "check this box's clock; the server needs a new one"
        text.append(f"\n{hint}")
    elif one["verdict"] == "unreachable":
        text.append(f"\n{one['detail']}", style="dim")
    return text


def _validity(one: Mapping[str, Any], *, zh: bool, gap: str = "") -> Text:
    days, until, gap = one["days_left"], one["not_after"][:10], gap or ("，" if zh else ", ")
    if days < 0:
        return Text(
            f"{until}{gap}已过期 {-days} 天" if zh else f"{until}{gap}ended {-days} days ago",
            style="bold red",
        )
    style = "yellow" if days < WARN_DAYS else ""
    return Text(
        f"至 {until}{gap}还有 {days} 天" if zh else f"until {until}{gap}{days} days left", style=style
    )


def _rejected(rejected: Sequence[Mapping[str, Any]], *, zh: bool) -> RenderableType:
    if not rejected:
        return Text("没有被拒绝的证书。" if zh else "No rejected certificates.", style="dim")
    table = Table(
        title="被拒绝的证书（核对后用 plantgate opcua trust 信任）"
        if zh
        else "Rejected certificates (compare, then plantgate opcua trust)",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_lines=True,
    )
    for heading in ("SHA-256", "名称与文件" if zh else "Subject and file", "有效期" if zh else "Valid"):
        table.add_column(heading, overflow="fold")
    for one in rejected:
        names = Text(one["subject"]).append(f"\n{one['path']}", style="dim")
        table.add_row(Text(_block(one["fingerprint"])), names, _validity(one, zh=zh))
    return table
