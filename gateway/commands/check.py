"""``check``: is this configuration right, and what may have been forgotten. Reads files, opens no line."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib
import sys
from typing import Any, Final

from gateway.alarm.limits import Limits
from gateway.alarm.presets import is_gas
from gateway.certificates import certificate_mistakes, ending_soon, nothing_trusted, unseen
from gateway.cli import give_json
from gateway.config import load
from gateway.errors import Exit
from gateway.limit_rules import looser
from gateway.plant import Config, PointConfig

MAX_NAMED: Final = 20
"""So many tags are named in one line; --json names all."""


def check(args: argparse.Namespace) -> int:
    """All mistakes, or a summary of what is configured."""
    config = load(args.config)
    now = dt.datetime.now(dt.UTC)
    mistakes = certificate_mistakes(config, now)
    for mistake in mistakes:
        print(mistake.line(args.language), file=sys.stderr)
    found = summary(config, now)
    if args.json:
        told = [{"code": m.code, "place": m.place, "cause": m.cause, "remedy": m.remedy} for m in mistakes]
        give_json({"ok": not mistakes, "errors": told, **found})
    else:
        lines = _lines(found, args.language)
        if mistakes:
            zh, en = (
                f"但证书或密钥有 {len(mistakes)} 处错误，见上。",
                f"But {len(mistakes)} certificates or keys are wrong.",
            )
            lines.append(zh if args.language == "zh" else en)
        print("\n".join(lines))
    return Exit.ENVIRONMENT if mistakes else Exit.OK


def summary(config: Config, now: dt.datetime) -> dict[str, Any]:
    """What a configuration holds, and what it leaves out."""
    rows = config.points
    return {
        "config_rev": config.rev,
        "site_id": config.site_id,
        "gateway_id": config.gateway_id,
        "devices": [
            {"name": device.device.name, "driver": device.driver, "points": len(device.points)}
            for device in config.devices
        ],
        "cameras": [camera.name for camera in config.cameras],
        "recipients": [
            {"name": r.name, "host": r.host, "port": r.port, "acknowledged_by": r.acknowledged_by}
            for r in config.recipients
        ],
        "outputs": [output.name for output in config.outputs],
        "points": len(rows),
        "without_points": [device.device.name for device in config.devices if not device.points],
        "limits": sum(_count(row.limits) for row in rows),
        "without_limits": [row.point.name for row in rows if not row.point.alarmed],
        "gas_without_limits": [row.point.name for row in rows if is_gas(row.unit) and not _count(row.limits)],
        "looser_than_filed": [one for row in rows for one in _looser(row)],
        "without_code": {
            r.name: [row.point.name for row in rows if r.name not in row.codes] for r in config.recipients
        },
        "ending_soon": [
            {"path": str(ending.path), "not_after": ending.not_after.isoformat()}
            for ending in ending_soon(config, now)
        ],
        "unseen": [str(path) for path in unseen(config)],
        "nothing_trusted": nothing_trusted(config),
        "insecure": [d.device.name for d in config.devices if getattr(d.options, "insecure", False)],
        "unused_trust": [d.device.name for d in config.devices if _unused_trust(d.options)],
        "lacking": _lacking(config),
    }


def _unused_trust(options: object) -> bool:
    """Whether certificates are named that an insecure line never looks at."""
    named = (getattr(options, key, None) for key in ("trusted", "certificate"))
    return bool(getattr(options, "insecure", False)) and any(named)


def _lacking(config: Config) -> dict[str, str]:
    """Camera -> the Debian package it needs and this box does not have."""
    found = {}
    for camera in config.cameras:
        lacking = getattr(importlib.import_module(f"drivers.{camera.driver}"), "lacking", None)
        if package := lacking(camera.options) if lacking else "":
            found[camera.name] = package
    return found


def _count(limits: Limits) -> int:
    return sum(edge is not None for edge in (limits.ll, limits.l, limits.h, limits.hh, limits.on))


def _looser(row: PointConfig) -> list[dict[str, Any]]:
    """Limits that alarm later than the filed ones, or not at all."""
    limits = row.limits
    return [
        {"tag": row.point.name, "level": level, "limit": limits.of(level), "filed": limits.filed[level]}
        for level in looser(limits)
    ]


def _lines(found: dict[str, Any], language: str) -> list[str]:
    zh = language == "zh"
    lines = [
        f"配置文件正确：站点 {found['site_id']}，网关 {found['gateway_id']}，版本 {found['config_rev']}"
        if zh
        else f"The files are right: site {found['site_id']}, gateway {found['gateway_id']}, "
        f"revision {found['config_rev']}",
        f"点 {found['points']} 个，限值 {found['limits']} 个"
        if zh
        else f"{found['points']} points, {found['limits']} limits",
    ]
    for device in found["devices"]:
        name, driver, count = device["name"], device["driver"], device["points"]
        lines.append(
            f"  设备 {name}（{driver}）：{count} 点" if zh else f"  device {name} ({driver}): {count} points"
        )
    for recipient in found["recipients"]:
        name, at = recipient["name"], f"{recipient['host']}:{recipient['port']}"
        by = recipient["acknowledged_by"]
        lines.append(
            f"  接收方 {name}：{at}，确认方式 {by}"
            if zh
            else f"  recipient {name}: {at}, acknowledged by {by}"
        )
    if not found["recipients"]:
        lines.append(
            "注意：没有接收方，数据只留在本机。"
            if zh
            else "Note: no recipient, the record stays on this machine."
        )
    if not found["outputs"]:
        lines.append(
            "注意：没有本地输出，现场听不到报警。"
            if zh
            else "Note: no local output, nobody on site hears an alarm."
        )
    idle = ("注意：没有点的设备，不会读取", "Note: devices without points, not read")
    lines += _left_out(found["without_points"], *idle, zh=zh)
    lines += _left_out(found["without_limits"], "注意：没有限值的点", "Note: points without limits", zh=zh)
    no_gas = "注意：没有限值也没有预设的气体点", "Note: gas points with neither limit nor preset"
    lines += _left_out(found["gas_without_limits"], *no_gas, zh=zh)
    later = "注意：比备案限值宽松", "Note: limits looser than those filed"
    lines += _left_out([_said(one, zh=zh) for one in found["looser_than_filed"]], *later, zh=zh)
    for name, tags in found["without_code"].items():
        lines += _left_out(
            tags, f"注意：在 {name} 没有指标编码的点", f"Note: points without a code at {name}", zh=zh
        )
    for ending in found["ending_soon"]:
        path, day = ending["path"], ending["not_after"][:10]
        lines.append(
            f"注意：证书 {path} 将于 {day} 到期" if zh else f"Note: the certificate {path} ends on {day}"
        )
    lines += _missing(found, zh=zh) + _insecure(found, zh=zh)
    unjudged = ("凭据只有服务能看到，未检查", "credentials only the service can see, not checked")
    lines += _left_out(found["unseen"], f"注意：{unjudged[0]}", f"Note: {unjudged[1]}", zh=zh)
    return lines


def _said(looser: dict[str, Any], *, zh: bool) -> str:
    limit, filed = looser["limit"], f"{looser['filed']:g}"
    here = f"{limit:g}" if limit is not None else "无" if zh else "none"
    told = f"{looser['tag']} {looser['level']} {here}"
    return f"{told}（备案 {filed}）" if zh else f"{told} (filed {filed})"


def _insecure(found: dict[str, Any], *, zh: bool) -> list[str]:
    open_zh, open_en = (
        "注意：明文连接（insecure = true），不加密也不认证",
        "Note: insecure, nothing is encrypted",
    )
    vain_zh, vain_en = (
        "注意：insecure = true 时证书不起作用",
        "Note: insecure, so its certificates have no effect",
    )
    return [
        *_left_out(found["insecure"], open_zh, open_en, zh=zh),
        *_left_out(found["unused_trust"], vain_zh, vain_en, zh=zh),
    ]


def _missing(found: dict[str, Any], *, zh: bool) -> list[str]:
    """What somebody has yet to do on this box or beside it."""
    new = (
        "注意：还没有信任服务器，先核对并执行 plantgate opcua trust",
        "Note: no server trusted yet, plantgate opcua trust",
    )
    lines = _left_out(found["nothing_trusted"], *new, zh=zh)
    for name, package in found["lacking"].items():
        remedy = f"apt-get install --no-install-recommends {package}"
        lines.append(
            f"注意：摄像机 {name} 需要 {package}，本机没有安装：{remedy}"
            if zh
            else f"Note: the camera {name} needs {package}, which is not installed: {remedy}"
        )
    return lines


def _left_out(tags: list[str], chinese: str, english: str, *, zh: bool) -> list[str]:
    if not tags:
        return []
    named = ("、" if zh else ", ").join(tags[:MAX_NAMED]) + (" …" if len(tags) > MAX_NAMED else "")
    return [f"{chinese}（{len(tags)}）：{named}" if zh else f"{english} ({len(tags)}): {named}"]
