"""``plantgate demo``: the story on a whole site, shown while it happens, and a verdict a manager understands.

Shows and judges; the script is ``hil.story``, the farm ``hil.farm``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, Final, Protocol, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from gateway import tables
from hil.farm import SIREN_FILE, Farm
from hil.gathered import evidence_of
from hil.shown import Shown, judge_shown
from hil.site import Site
from hil.story import TOLD, Story
from hil.verdict import Judgement, judge_site
from hil.verdict_words import verdict_text
from hil.witness import Witness

SHOW_S: Final = 1.0
WITNESS_S: Final = 0.25
"""A short reboot must not pass between two looks."""
RECENT_LINES: Final = 8
RECENT_PART: Final = 8
"""One line in so many is the story's: on a small screen the alarms must not be pushed out by it."""
MIN_RECENT_LINES: Final = 3
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
        most = min(RECENT_LINES, max(MIN_RECENT_LINES, self._console.height // RECENT_PART))
        last = list(self._recent)[-most:]
        recent = Text("\n".join(last), style="bold cyan", no_wrap=True, overflow="ellipsis")
        if self._status is None:
            self._live.update(recent, refresh=True)
            return
        height = max(MIN_STATUS_LINES, self._console.height - len(last) - 1)
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
        witness = Witness()
        await _play(site, farm, story, screen, witness, tell)
        judgement = judge_site(site)
        pictures = {name: one.snapshots for name, one in judgement.deliveries.items()}
        tags = {story.subjects.standing}
        evidence = evidence_of(site, site.folder / SIREN_FILE, witness.looks, pictures, tags)
        shown = judge_shown(evidence, story.subjects)
    problems = problems_of(judgement, shown)
    figures = {
        **judgement.figures(),
        **{name: one.figures for name, one in shown.items()},
        "verdict": "fail" if problems else "pass",
        "problems": problems,
    }
    if out.isatty():  # the live table has left the screen and taken the story with it
        console.print(Text("\n".join(told)))
    console.print(
        Text(
            verdict_text(figures, story.outage_s, story.caught_up_s, language),
            style="bold red" if problems else "bold green",
        )
    )
    if keep:
        console.print(Text(str(site.folder)))
    return figures


async def _play(site: Site, farm: Farm, story: Story, screen: Screen, witness: Witness, tell: Any) -> None:
    assert site.opcua is not None, "the farm has an OPC UA PLC"
    plant = asyncio.create_task(farm.run(site.opcua), name="plant")
    showing = asyncio.create_task(_show(site, screen), name="show")
    watching = asyncio.create_task(_watch(site, witness), name="witness")
    script = asyncio.create_task(story.run(), name="story")
    try:
        done, _ = await asyncio.wait({plant, showing, watching, script}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        tell("drain")
        await site.drain()
    finally:
        for task in (plant, showing, watching, script):
            task.cancel()
        await asyncio.gather(plant, showing, watching, script, return_exceptions=True)
    tell("judging")
    await site.finish()


async def _show(site: Site, screen: Screen) -> None:
    while True:
        screen.show(await site.status(points=True))
        await asyncio.sleep(SHOW_S)


async def _watch(site: Site, witness: Witness) -> None:
    while True:
        witness.see(await site.status())
        await asyncio.sleep(WITNESS_S)


def problems_of(judgement: Judgement, shown: Mapping[str, Shown]) -> list[str]:
    """Why the demo failed, a line each; [] is a pass. Beside what every run owes, the story must be told."""
    found = judgement.problems()
    if judgement.raised < MIN_ALARMS or judgement.cleared < MIN_ALARMS:
        found.append(f"alarms that both have: {judgement.raised} raised, {judgement.cleared} cleared")
    if judgement.snapshots < MIN_SNAPSHOTS:
        found.append("no picture reached both")
    return found + [f"{name}: {problem}" for name, one in shown.items() for problem in one.problems]
