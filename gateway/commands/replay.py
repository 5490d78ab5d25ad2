"""``alarms replay``: what the alarm system makes of a script or of recorded scans. Reads files, asks no gateway."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gateway.cli import give_json, say
from gateway.config import load
from gateway.engine import WatchedDevice
from gateway.errors import Exit
from gateway.instant import rfc3339
from gateway.plant import Config
from gateway.replay.language import read_script
from gateway.replay.play import BEGIN_NS, Difference, Happened, Stage, play
from gateway.replay.recording import read_recording
from gateway.replay.script import seconds
from gateway.sheet import decoded
from gateway.words import reason, said

MOST_BYTES: Final = 512 << 20
"""Longest file."""


def replay(args: argparse.Namespace) -> int:
    """Play a script, or judge recorded scans by the configuration; every transition on a line of its own."""
    content = _content(args.file)
    if args.file.suffix.lower() == ".csv":
        return _tell(_judged(content, str(args.file), load(args.config)), [], args, is_script=False)
    happened, differences = play(read_script(decoded(content, str(args.file)), str(args.file)))
    return _tell(happened, differences, args, is_script=True)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise said("E-SCRIPT-FILE", str(path), reason=reason(error)) from error
    if len(content) > MOST_BYTES:
        raise said("E-SCRIPT-BYTES", str(path), most=MOST_BYTES >> 20)
    return content


def _judged(content: bytes, file: str, config: Config) -> list[Happened]:
    devices = [WatchedDevice(d.device.name, d.points, d.device.period_s) for d in config.devices]
    recording = read_recording(content, file, devices)
    begin_ns = recording.scans[0][0]
    there = {point.point.name for device in recording.devices for point in device.points}
    balances = [b for b in config.balances if {b.level, *b.inflows, *b.outflows} <= there]
    stage = Stage(recording.devices, config.alarms, begin_ns, balances)
    for utc_ns, readings in recording.scans:
        stage.until(utc_ns - begin_ns)
        stage.see(readings)
    return stage.happened


def _tell(
    happened: Sequence[Happened],
    differences: Sequence[Difference],
    args: argparse.Namespace,
    *,
    is_script: bool,
) -> int:
    if args.json:
        transitions = [_item(one) for one in happened]
        different = [
            {"line": d.line, "text": d.text, "happened": d.happened, "instead": d.instead}
            for d in differences
        ]
        give_json({"ok": not differences, "transitions": transitions, "differences": different})
    else:
        for one in happened:
            print(_line(one, is_script=is_script))
    for difference in differences:
        place = f"{args.file}:{difference.line}"
        if difference.happened:
            say(f"{place}：没有料到：{difference.text}", f"{place}: not expected: {difference.text}", args)
            continue
        instead = (f"；实际是：{difference.instead}", f"; found: {difference.instead}")
        zh, en = instead if difference.instead else ("", "")
        say(
            f"{place}：没有发生：{difference.text}{zh}",
            f"{place}: did not happen: {difference.text}{en}",
            args,
        )
    return Exit.CHECK_FAILED if differences else Exit.OK


def _line(one: Happened, *, is_script: bool) -> str:
    if one.change is None:
        return f"{seconds(one.at_ns)}  {one.text}"
    alarm = one.change.alarm
    when = seconds(one.at_ns) if is_script else rfc3339(alarm.changed_ns)
    facts = {"value": alarm.value, "limit": alarm.limit_edge}
    told = [f"{name}={fact:g}" for name, fact in facts.items() if fact is not None]
    marks = [alarm.cause, alarm.clear_kind if one.change.transition == "clear" else ""]
    marks += ["first_out"] if alarm.first_out and one.change.transition == "raise" else []
    return "  ".join([when, one.text, *told, *(mark for mark in marks if mark)])


def _item(one: Happened) -> dict[str, Any]:
    if one.change is None:
        return {"time": rfc3339(BEGIN_NS + one.at_ns), "refused": one.refused}
    alarm = one.change.alarm
    return {
        "time": rfc3339(alarm.changed_ns),
        "after_s": one.at_ns / 1e9,
        "transition": one.change.transition,
        "condition": alarm.condition,
        "level": alarm.level_current,
        "value": alarm.value,
        "limit": alarm.limit_edge,
        "sounds": one.sounds,
        "alarm": one.change.alarm.item(),
    }
