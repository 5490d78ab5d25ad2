"""``read``: values now, from the running gateway, else from the devices. Never a second session to a PLC."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from drivers.kit.errors import SourceError
from drivers.kit.quality import Cause, cause_of, status_of
from drivers.kit.scan import Device, Point, Scan
from gateway import control, table_words, tables
from gateway.cli import give_json, say
from gateway.columns import REFERENCES
from gateway.commands.asking import console
from gateway.config import load
from gateway.errors import Exit, UserFacingError
from gateway.instant import rfc3339
from gateway.orders import ORDERS, arrived_bytes, has_orders, in_all_orders, width_bytes
from gateway.plant import Config, DeviceConfig, PointConfig
from gateway.words import both, meant, said

READ_S: Final = 60.0
"""Longest time one device may take for one read."""
_OUT_OF_REACH: Final = frozenset(("bad", cause.word) for cause in (Cause.COMM, Cause.NOT_READ))
"""Quality and cause of a point whose device does not answer."""


def read(args: argparse.Namespace) -> int:
    """Read a device, a tag or everything once; or see what an OPC UA server holds."""
    if args.browse or str(args.name).startswith("opc.tcp:"):
        deed: Callable[[argparse.Namespace], int] = importlib.import_module("gateway.commands.browse").browse
        return deed(args)
    config = load(args.config)
    failures: list[UserFacingError] = []
    try:
        points = control.ask(control.socket_path(config), {"op": "read", "name": args.name})
        _add_orders(points, config)
    except UserFacingError as error:
        if error.code == "E-NAME-UNKNOWN" and _is_empty(config, args.name):
            raise _unknown(config, args.name) from error
        if error.code != "E-CONTROL-ABSENT":
            raise
        say("没有网关在运行，直接读设备。", "No gateway runs; reading the devices directly.", args)
        points, failures = asyncio.run(_read_all(_wanted(config, args.name)))
    failures = failures or _nothing_reached(points)
    if not args.orders:
        for point in points:
            point.pop("orders", None)
    if args.json:
        give_json({"ok": not failures, "points": points, "errors": [str(failure) for failure in failures]})
    else:
        console().print(_view(points, args.language))
    for failure in failures:
        say(failure.line("zh"), failure.line("en"), args)
    return Exit.UNREACHABLE if failures else Exit.OK


def _nothing_reached(points: list[dict[str, Any]]) -> list[UserFacingError]:
    """Every device is unreachable where no point asked for could be reached; else none is said to be."""
    if any((point["quality"], point["cause"]) not in _OUT_OF_REACH for point in points):
        return []
    causes = {point["device"]: point["cause"] for point in points}
    return [
        said(
            "E-DEVICE-UNREACHABLE",
            device,
            detail={language: table_words.word(cause, language) for language in ("zh", "en")},
        )
        for device, cause in causes.items()
    ]


def _wanted(config: Config, name: str | None) -> list[DeviceConfig]:
    """The devices to read, each with the rows to show; its points are still all of them."""
    found = []
    for device in config.devices:
        rows = tuple(row for row in device.points if name in (None, device.device.name, row.point.name))
        if rows:
            found.append(replace(device, points=rows))
    if not found:
        raise _unknown(config, name)
    return found


def _is_empty(config: Config, name: str | None) -> bool:
    """Is everything, or a known device, asked for, so that only its points can be missing?"""
    return name is None or any(device.device.name == name and not device.points for device in config.devices)


def _unknown(config: Config, name: str | None) -> UserFacingError:
    """Why there is nothing to read: no points at all, none of this device, or nothing by this name."""
    if name is None:
        return said("E-NAME-NO-POINTS", "", whose=both("点表里", "The point table"))
    if _is_empty(config, name):
        return said("E-NAME-NO-POINTS", name, whose=both("这个设备", "This device"))
    names = {device.device.name for device in config.devices} | {row.point.name for row in config.points}
    return said("E-NAME-UNKNOWN", "", name=name, meant=meant(name, names))


async def _read_all(devices: list[DeviceConfig]) -> tuple[list[dict[str, Any]], list[UserFacingError]]:
    points: list[dict[str, Any]] = []
    failures: list[UserFacingError] = []
    for config in devices:
        try:
            points += await _read_device(config)
        except (SourceError, TimeoutError) as error:
            detail = getattr(error, "detail", f"no answer within {READ_S:g} s")
            failures.append(said("E-DEVICE-UNREACHABLE", config.device.name, detail=detail))
    return points, failures


async def _read_device(config: DeviceConfig) -> list[dict[str, Any]]:
    """Every point once, with those it is judged by; beside a wide Modbus point its registers as they came."""
    wide = [row.point for row in config.points if config.driver == "modbus" and has_orders(row.point)]
    registers = [
        Point(f"{p.name} registers", p.address, f"uint{8 * width_bytes(p)}", unit_id=p.unit_id) for p in wide
    ]
    device: Device = replace(config.device, points=(*_with_partners(config), *registers))
    driver = importlib.import_module(f"drivers.{config.driver}")
    async with asyncio.timeout(READ_S):
        scan: Scan = await driver.connect(device, config.options, lambda _scan: None).read()
    at = {int(point): row for row, point in enumerate(scan.points)}
    exact = scan.exact or {}
    points = [_point(config, row, scan, at.get(i)) for i, row in enumerate(config.points)]
    by_name = {point["name"]: point for point in points}
    for i, point in enumerate(wide, start=len(device.points) - len(wide)):
        if i in at and not math.isnan(value := float(scan.values[at[i]])):
            by_name[point.name]["orders"] = in_all_orders(
                int(exact.get(at[i], value)).to_bytes(width_bytes(point), "big"), point
            )
    return points


def _with_partners(config: DeviceConfig) -> tuple[Point, ...]:
    """The points to show, then those of the device that say what they are worth."""
    shown = tuple(row.point for row in config.points)
    partners = {getattr(point, column) for point in shown for column in REFERENCES}
    names = {point.name for point in shown}
    return *shown, *(p for p in config.device.points if p.name in partners and p.name not in names)


def _point(config: DeviceConfig, row: PointConfig, scan: Scan, at: int | None) -> dict[str, Any]:
    """One point in the shape of the control socket's status."""
    value = math.nan if at is None else float(scan.values[at])
    exact = scan.exact or {}
    quality = None if at is None else int(scan.quality[at])
    return {
        "name": row.point.name,
        "description": row.description,
        "device": config.device.name,
        "value": None if at is None or math.isnan(value) else exact.get(at, value),
        "unit": row.unit,
        "quality": "bad" if quality is None else status_of(quality).name.lower(),
        "cause": "not_read" if quality is None else cause_of(quality).word,
        "level": "",
        "taken_at": rfc3339(scan.taken_ns),
    }


def _add_orders(points: list[dict[str, Any]], config: Config) -> None:
    """The running gateway gives values; the registers behind them follow from the point table."""
    wide = {
        row.point.name: row.point
        for device in config.devices
        if device.driver == "modbus"
        for row in device.points
        if has_orders(row.point)
    }
    for point in points:
        if point["name"] in wide and point["value"] is not None and point["quality"] == "good":
            arrived = arrived_bytes(point["value"], wide[point["name"]])
            if arrived is not None:
                point["orders"] = in_all_orders(arrived, wide[point["name"]])


def _view(points: list[dict[str, Any]], language: str) -> RenderableType:
    parts: list[RenderableType] = [tables.points_table(points, language)]
    if any("orders" in point for point in points):
        table = Table(title="字节序" if language == "zh" else "Word orders", title_justify="left", box=None)
        for heading in (table_words.word("tag", language), *ORDERS):
            table.add_column(heading, justify="right" if heading in ORDERS else "left")
        for point in points:
            if "orders" in point:
                cells = (table_words.number(point["orders"][order]) for order in ORDERS)
                table.add_row(Text(point["name"]), *cells)
        parts.append(table)
    return Group(*parts)
