"""The line to an OPC UA server is cut while it measures on: what its history holds is in the record, once, marked so.

The real gateway follows items that all change every second. The server's line is cut (every session broken off, the
port closed) while it goes on measuring into its history, and plugged in again. It gives its history in small portions,
so that what is missing stands behind continuation points. Judged like ``opcua-restart``, from the gateway's durable
record and the receiver's raw arrivals, but against everything the server *measured*: what changed behind the cut line
is due, too. And what was measured meanwhile must be marked as history in the record, because it says nothing about now.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from drivers.kit.quality import is_bad
from hil.answered import utc_ns
from hil.opcua_plc import APPLICATION_URI, Change, OpcuaPlc
from hil.opcua_process import Sent, item_name
from hil.pki import opcua_application
from hil.recorded import recorded_scans
from hil.scenarios import Figures
from hil.scenarios.opcua_restart import (
    CLIENT_URI,
    RECIPIENT,
    SETTLE_S,
    Away,
    device_table,
    judge,
    read_arrivals,
    read_record,
    row_of,
)
from hil.site import Site
from hil.site_plan import SitePlan

PERIOD_S: Final = 1.0
POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Effort:
    """What is done.

    Attributes:
        items: how many there are.
        cut_s: how long the line is cut each time.
        again_s: how long it is cut again, behind a cut of ``FIRST_S``: each time while the history of what was cut
            before is being read.
        page: so many values of an item the server gives in one answer.
    """

    items: int
    cut_s: tuple[float, ...]
    again_s: tuple[float, ...]
    page: int


FIRST_S: Final = 8.0
FULL: Final = Effort(200, (20.0, 5.0, 40.0), (3.0, 5.0), 5)
LONG: Final = Effort(200, (300.0, 5.0, 60.0, 60.0), (3.0, 10.0, 5.0), 20)
SHORT: Final = Effort(20, (5.0,), (), 2)
SHORT_AGAIN: Final = Effort(20, (), (3.0,), 2)
BACKFILL_S: Final = 20.0
"""By then the history is asked for, or never."""


async def run(*, long: bool) -> Figures:
    """Cut and plug in, and judge."""
    return await measure(LONG if long else FULL)


async def measure(effort: Effort) -> Figures:
    """The whole story.

    Raises:
        ProgramError: the gateway did not come up or end.
    """
    with tempfile.TemporaryDirectory(prefix="plantgate-opcua-history-") as name:
        folder = Path(name)
        own = opcua_application(folder, "plc", APPLICATION_URI)
        client = opcua_application(folder, "client", CLIENT_URI)
        names = [item_name(item) for item in range(effort.items)]
        async with OpcuaPlc(
            own, [client.fingerprint], gas=names, contacts=(), history=True, history_page=effort.page
        ) as plc:
            await plc.show(dict.fromkeys(names, 0.0))
            rows = [row_of(item) for item in range(effort.items)]
            table = device_table(plc.url, client, own)
            async with Site(
                SitePlan(recipients=(RECIPIENT,), devices=[table], rows=rows), folder / "site"
            ) as site:
                aways = await _cut_and_plug_in(plc, names, effort)
                await site.finish()
                told, arrived = read_record(site, effort.items), read_arrivals(site)
                marked, unmarked = _marked(site, aways)
                figures = judge(told, arrived, _measured(plc.changes), site.cut_ns, effort.items, aways)
            writes, continued = plc.writes_seen, plc.history_continued
    problems = figures["problems"]
    if not marked:
        problems.append("nothing was read from the history")
    if not continued:
        problems.append("no history was longer than one answer: this shows nothing")
    if unmarked:
        problems.append(f"{unmarked} values from behind the cut line are not marked as history")
    if writes:
        problems.append(f"{writes} requests that do more than read")
    counts = {
        "from_history": marked,
        "continued": continued,
        "unmarked": unmarked,
        "opcua_write_services_seen": writes,
    }
    return {**figures, **counts, "verdict": "fail" if problems else "pass"}


async def _cut_and_plug_in(plc: OpcuaPlc, names: list[str], effort: Effort) -> list[Away]:
    await asyncio.sleep(SETTLE_S)  # the gateway subscribes; what changed before is not its to know
    plant = asyncio.create_task(_measure_on(plc, names))
    aways = []
    await asyncio.sleep(SETTLE_S)
    for cut_s in effort.cut_s:
        aways.append(await _cut(plc, cut_s))
        await asyncio.sleep(SETTLE_S)
    for number, cut_s in enumerate((FIRST_S, *effort.again_s) if effort.again_s else ()):
        asked = plc.services["HistoryRead"]
        aways.append(await _cut(plc, cut_s))
        if number < len(effort.again_s):
            await _until_asked(plc, asked)
    await asyncio.sleep(SETTLE_S)
    plant.cancel()
    with suppress(asyncio.CancelledError):
        await plant
    return aways


async def _cut(plc: OpcuaPlc, seconds: float) -> Away:
    cut_ns = time.time_ns()
    await plc.stop(measuring=True)
    await asyncio.sleep(seconds)
    await plc.start()
    return Away(cut_ns, time.time_ns())


async def _until_asked(plc: OpcuaPlc, before: int) -> None:
    """Wait until the history is asked for, or long enough: that it is not asked for shows in what is lost."""
    with suppress(TimeoutError):
        async with asyncio.timeout(BACKFILL_S):
            while plc.services["HistoryRead"] == before:  # noqa: ASYNC110 - the server counts, and tells nobody
                await asyncio.sleep(POLL_S)


async def _measure_on(plc: OpcuaPlc, names: list[str]) -> None:
    """Every item a new value in every period, whether anybody looks or not."""
    period = 0
    while True:
        period += 1
        await plc.show({name: period + item / 10_000 for item, name in enumerate(names)})
        await asyncio.sleep(PERIOD_S)


def _measured(changes: list[Change]) -> Sent:
    """Everything it measured, as if it had been handed over at once."""
    items = {item_name(item): item for item in range(len({change.node for change in changes}))}
    source_ns = np.array([change.source_ns for change in changes], dtype=np.int64)
    return Sent(
        item=np.array([items.get(change.node, -1) for change in changes], dtype=np.int32),
        source_ns=source_ns,
        mono_ns=source_ns - utc_ns(0),
        value=np.array([np.nan if change.value is None else float(change.value) for change in changes]),
    )


def _marked(site: Site, aways: list[Away]) -> tuple[int, int]:
    """Good values marked as history; and those measured well behind a cut line that are not."""
    marked = unmarked = 0
    for scan in recorded_scans(site):
        good = ~is_bad(scan.quality)
        if scan.history:
            marked += int(good.sum())
        elif scan.source_ns is not None:
            behind = [
                (scan.source_ns > away.killed_ns) & (scan.source_ns < away.listening_ns - int(PERIOD_S * 1e9))
                for away in aways
            ]
            # what it measured last before the line was plugged in is the value it has then
            unmarked += int((good & np.logical_or.reduce(behind)).sum())
    return marked, unmarked
