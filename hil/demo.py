"""``plantgate demo``: the story on a whole site, shown while it happens, and a verdict a manager understands.

Shows and judges; the script is ``hil.story``, the farm ``hil.farm``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gateway import tables
from hil.farm import Farm
from hil.site import Site
from hil.story import TOLD, Story
from hil.verdict import Judgement, judge_site

SHOW_S: Final = 1.0
RECENT_LINES: Final = 8
MIN_STATUS_LINES: Final = 16
MIN_ALARMS: Final = 2
MIN_SNAPSHOTS: Final = 1
PLAIN_WIDTH: Final = 200


class Screen(Protocol):
    """Where the story is seen."""

    def tell(self, line: str) -> None:
        """Something has happened."""

    def show(self, status: dict[str, Any]) -> None:
        """How the gateway is now, once a second."""


class PlainLines:
    """A line for each event and for each change of alarms, devices and recipients."""

    def __init__(self, out: TextIO, language: str) -> None:
        self._out = out
        self._language = language
        self._before: dict[str, Any] | None = None

    def tell(self, line: str) -> None:
        """See ``Screen``."""
        print(line, file=self._out, flush=True)

    def show(self, status: dict[str, Any]) -> None:
        """See ``Screen``: points go unmentioned, their alarms do not."""
        status = {**status, "points": []}
        for line in tables.changes(self._before, status, self._language):
            self.tell(f"    {line}")
        self._before = status


class LiveTable:
    """A table that stays in place: recipients, alarms, points by exception, and what happened last."""

    def __init__(self, live: Live, console: Console, language: str) -> None:
        self._live = live
        self._console = console
        self._language = language
        self._recent: deque[str] = deque(maxlen=RECENT_LINES)
        self._status: dict[str, Any] | None = None

    def tell(self, line: str) -> None:
        """See ``Screen``."""
        self._recent.append(line)
        self._draw()

    def show(self, status: dict[str, Any]) -> None:
        """See ``Screen``."""
        self._status = status
        self._draw()

    def _draw(self) -> None:
        recent = Text("\n".join(self._recent), style="bold cyan")
        if self._status is None:
            self._live.update(recent, refresh=True)
            return
        height = max(MIN_STATUS_LINES, self._console.height - len(self._recent) - 1)
        view = tables.WatchView(self._status, self._language, height)
        self._live.update(Group(recent, Text(), view), refresh=True)


async def run_demo(seconds: float, language: str, out: TextIO, *, keep: bool = False) -> dict[str, Any]:
    """Run the story and judge it.

    Args:
        seconds: length of the story.
        language: ``zh`` or ``en``.
        out: where people read; a live table if it is a terminal, plain lines if not.
        keep: leave the folder of the run behind and say where it is.

    Returns:
        the figures, ``verdict`` first.
    """
    console = Console(file=out, width=None if out.isatty() else PLAIN_WIDTH)
    begin = time.monotonic()
    told: list[str] = []
    async with AsyncExitStack() as stack:
        screen: Screen = PlainLines(out, language)
        if out.isatty():
            live = stack.enter_context(Live(console=console, auto_refresh=False, screen=True))
            screen = LiveTable(live, console, language)

        def tell(event: str, **facts: Any) -> None:
            text = TOLD[event][0 if language == "zh" else 1].format(**facts)
            told.append(f"{time.monotonic() - begin:5.1f} s  {text}")
            screen.tell(told[-1])

        tell("starting")
        farm = Farm(language)
        site = await stack.enter_async_context(Site(farm.plan(), keep=keep))
        story = Story(site, farm, seconds, tell)
        await _play(site, farm, story, screen, tell)
        judgement = judge_site(site)
    problems = problems_of(judgement)
    figures = {**judgement.figures(), "verdict": "fail" if problems else "pass", "problems": problems}
    if out.isatty():  # the live table has left the screen and taken the story with it
        console.print(Text("\n".join(told)))
    console.print(
        Text(verdict_text(figures, story, language), style="bold red" if problems else "bold green")
    )
    if keep:
        console.print(Text(str(site.folder)))
    return figures


async def _play(site: Site, farm: Farm, story: Story, screen: Screen, tell: Any) -> None:
    assert site.opcua is not None, "the farm has an OPC UA PLC"
    plant = asyncio.create_task(farm.run(site.opcua), name="plant")
    showing = asyncio.create_task(_show(site, screen), name="show")
    script = asyncio.create_task(story.run(), name="story")
    try:
        done, _ = await asyncio.wait({plant, showing, script}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        tell("drain")
        await site.drain()
    finally:
        for task in (plant, showing, script):
            task.cancel()
        await asyncio.gather(plant, showing, script, return_exceptions=True)
    tell("judging")
    await site.finish()


async def _show(site: Site, screen: Screen) -> None:
    while True:
        screen.show(await site.status(points=True))
        await asyncio.sleep(SHOW_S)


def problems_of(judgement: Judgement) -> list[str]:
    """Why the demo failed, a line each; [] is a pass. Beside what every run owes, the story must be told."""
    found = judgement.problems()
    if judgement.raised < MIN_ALARMS or judgement.cleared < MIN_ALARMS:
        found.append(f"alarms that both have: {judgement.raised} raised, {judgement.cleared} cleared")
    if judgement.snapshots < MIN_SNAPSHOTS:
        found.append("no picture reached both")
    return found


def verdict_text(figures: dict[str, Any], story: Story, language: str) -> str:
    """What happened, whether both authorities got everything, and how fast, for somebody who was not there."""
    zh = language == "zh"
    passed = figures["verdict"] == "pass"
    alarms, p50, p99 = figures["alarms"], figures["alarm_ms_p50"], figures["alarm_ms_p99"]
    lines = [
        ("结论：通过" if passed else "结论：未通过")
        if zh
        else ("Verdict: pass" if passed else "Verdict: FAIL")
    ]
    lines += [f"  ! {problem}" for problem in figures["problems"]]
    lines.append(
        f"读到 {figures['values_read']} 个数值，{figures['values_recorded']} 个已写入本地持久记录。"
        if zh
        else f"{figures['values_read']} values were read; {figures['values_recorded']} of them stand in the "
        "durable record."
    )
    for name, one in figures["recipients"].items():
        title = _TITLES.get(name, (name, name))[0 if zh else 1]
        lines.append(
            f"{title}：已确认 {one['acknowledged']} 个数值，丢失 {one['lost']}，重复 {one['duplicates']}，"
            f"乱序 {one['out_of_order']}，未送 {one['backlog']}。"
            if zh
            else f"{title}: {one['acknowledged']} values acknowledged, {one['lost']} lost, "
            f"{one['duplicates']} duplicated, {one['out_of_order']} out of order, {one['backlog']} waiting."
        )
    if story.caught_up_s is not None:
        lines.append(
            f"省平台断开 {story.outage_s:.0f} 秒，区里不受影响；恢复后 {story.caught_up_s:.1f} 秒内补齐。"
            if zh
            else f"The province was away for {story.outage_s:.0f} s, the bureau did not notice; "
            f"it had caught up {story.caught_up_s:.1f} s after its return."
        )
    lines.append(
        f"报警：产生 {alarms['raised']} 条，恢复 {alarms['cleared']} 条，抓拍 {figures['snapshots']} 张。"
        if zh
        else f"Alarms: {alarms['raised']} raised, {alarms['cleared']} cleared, {figures['snapshots']} pictures."
    )
    if p50 is not None:
        n = figures["alarm_samples"]
        lines.append(
            f"从 PLC 应答越限到对方收到报警：中位 {p50:.0f} 毫秒，99 分位 {p99:.0f} 毫秒（仅 {n} 次）。"
            if zh
            else f"From the PLC's answer beyond the limit to the alarm's arrival: median {p50:.0f} ms, "
            f"99th percentile {p99:.0f} ms (of {n} only)."
        )
    writes = figures["modbus_writes_seen"] + figures["opcua_write_services_seen"]
    lines.append(f"发给 PLC 的写请求：{writes}。" if zh else f"Write requests to any PLC: {writes}.")
    return "\n".join(lines)


_TITLES: Final = {"province": ("省平台", "Province"), "bureau": ("区局", "Bureau")}
