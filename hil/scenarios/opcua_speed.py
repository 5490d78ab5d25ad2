"""CPU of the OPC UA driver beside a bare asyncua subscription that drops the values: same server, nodes and intervals.

What is measured, and how:

- One server in a process of its own has 1,000 items that all change every second; Basic256Sha256, SignAndEncrypt.
- The driver (``drivers.opcua``) follows them in a process of its own and its scans are dropped; so does a bare
  asyncua client, whose subscription drops every decoded answer (``hil.opcua_follow``). One at a time, in the order
  driver, bare, bare, driver, so that drift of the machine falls on both.
- CPU: user and system time of the follower's threads over a window of steady running, per value that the server
  handed over within it. Medians; the ratio is driver / bare.
- Neither may do less than the other: nearly every change of the window must have been handed over in it, and each
  follower must say that it took what the server handed to it, and nothing twice.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from hil.opcua_follow import BARE, DRIVER, FollowPlan
from hil.opcua_plc import APPLICATION_URI
from hil.opcua_process import OpcuaProcess
from hil.pki import Credentials, opcua_application
from hil.processes import Tree, start
from hil.program import ProgramError
from hil.scenarios import Figures

CLIENT_URI: Final = "urn:plantgate:hil:follower"
PERIOD_S: Final = 1.0
MAX_RATIO: Final = 1.5
MIN_SHARE: Final = 0.95
"""Of the values that changed within a window so many must have been handed over in it; its edges cost a period."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long and how much.

    Attributes:
        items: nodes that change every second.
        window_s: length of each window.
        warm_up_s: running before a window.
        turns: how often the order driver, bare, bare, driver is gone through.
    """

    items: int = 1_000
    window_s: float = 20.0
    warm_up_s: float = 4.0
    turns: int = 1


FULL: Final = Effort()
LONG: Final = Effort(window_s=60.0, turns=3)
SHORT: Final = Effort(items=20, window_s=2.5, warm_up_s=1.5)


@dataclass(frozen=True, slots=True)
class Turn:
    """One follower, once.

    Attributes:
        who: ``DRIVER`` or ``BARE``.
        cpu_s: in its window.
        values: handed over within the window.
        handed: handed over from its start to its end.
        taken: as many it says it took.
        rss_bytes: at the window's end.
    """

    who: str
    cpu_s: float
    values: int
    handed: int
    taken: int
    rss_bytes: int

    @property
    def us_per_value(self) -> float:
        """CPU microseconds per value."""
        return self.cpu_s * 1e6 / max(1, self.values)


async def run(*, long: bool) -> Figures:
    """Every turn, and the verdict."""
    return await measure(LONG if long else FULL)


async def measure(effort: Effort) -> Figures:
    """Run every turn and judge.

    Raises:
        ProgramError: a part of the bench did not do its work, so there is nothing to judge.
    """
    with tempfile.TemporaryDirectory(prefix="plantgate-opcua-speed-") as name:
        folder = Path(name)
        own = opcua_application(folder, "plc", APPLICATION_URI)
        client = opcua_application(folder, "client", CLIENT_URI)
        plc = OpcuaProcess(folder, own, [client.fingerprint], effort.items, period_s=PERIOD_S)
        try:
            await plc.start()
            order = (DRIVER, BARE, BARE, DRIVER) * effort.turns
            turns = [await _turn(who, plc, client, own, effort, folder) for who in order]
        finally:
            plc.close()
        return _verdict(turns, effort, plc.writes_seen)


async def _turn(
    who: str, plc: OpcuaProcess, client: Credentials, server: Credentials, effort: Effort, folder: Path
) -> Turn:
    plan = FollowPlan(
        who=who,
        url=plc.url,
        certificate=str(client.certificate),
        key=str(client.key),
        server=str(server.certificate_der),
        application_uri=CLIENT_URI,
        items=effort.items,
        interval_ms=PERIOD_S * 1000,
    )
    plan.write(folder / "follow.json")
    begun, said, log = _handed(plc), folder / "said-by-follower", folder / "follow.log"
    with said.open("wb") as out:
        argv = [sys.executable, "-m", "hil.opcua_follow", str(folder / "follow.json")]
        tree = start(argv, log=log, stdout=out.fileno())
    try:
        await asyncio.sleep(effort.warm_up_s)
        cpu_s, handed = _cpu_s(tree), _handed(plc)
        await asyncio.sleep(effort.window_s)
        cpu_s, values, rss_bytes = _cpu_s(tree) - cpu_s, _handed(plc) - handed, tree.usage().rss_bytes
    finally:
        status = await tree.stop()
    if status != 0:
        raise ProgramError(f"the follower {who} ended with {status}: {log.read_text()[-1000:]}")
    taken: int = json.loads(said.read_bytes())["values"]
    return Turn(who, cpu_s, values, _handed(plc) - begun, taken, rss_bytes)


def _cpu_s(tree: Tree) -> float:
    """User and system time of every thread, to the nanosecond: a tick of 10 ms is seconds of the driver's work.

    Followers start no processes, so nobody's time is lost who ended meanwhile.
    """
    threads = [task for pid in tree.pids() for task in Path(f"/proc/{pid}/task").iterdir()]
    return sum(int((task / "schedstat").read_text(encoding="ascii").split()[0]) for task in threads) / 1e9


def _handed(plc: OpcuaProcess) -> int:
    """Values of the items handed over up to now; the server's own sign of life is not followed."""
    return int((plc.sent().item >= 0).sum())


def _verdict(turns: list[Turn], effort: Effort, writes_seen: int) -> Figures:
    driver, bare = (
        [turn.us_per_value for turn in turns if turn.who == who and turn.values] for who in (DRIVER, BARE)
    )
    ratio = round(median(driver) / median(bare), 2) if driver and bare else None
    problems = (
        [] if ratio is not None and ratio <= MAX_RATIO else [f"the ratio is {ratio}, at most {MAX_RATIO}"]
    )
    due = MIN_SHARE * effort.items * (effort.window_s / PERIOD_S - 1)
    for turn in turns:
        if turn.values < due:
            problems.append(
                f"in a window of {turn.who} {turn.values} values were handed over, {due:.0f} are due"
            )
        if not turn.handed - effort.items <= turn.taken <= turn.handed:
            problems.append(f"{turn.who} took {turn.taken} of {turn.handed} values handed to it")
    if writes_seen:
        problems.append(f"{writes_seen} requests that do more than read")
    return {
        "verdict": "fail" if problems else "pass",
        "items": effort.items,
        "driver_us_per_value": round(median(driver), 2) if driver else None,
        "bare_us_per_value": round(median(bare), 2) if bare else None,
        "ratio": ratio,
        "driver_windows_us": [round(us, 2) for us in driver],
        "bare_windows_us": [round(us, 2) for us in bare],
        "driver_rss_mb": round(max(turn.rss_bytes for turn in turns if turn.who == DRIVER) / 1e6, 1),
        "bare_rss_mb": round(max(turn.rss_bytes for turn in turns if turn.who == BARE) / 1e6, 1),
        "handed": sum(turn.handed for turn in turns),
        "taken": sum(turn.taken for turn in turns),
        "opcua_write_services_seen": writes_seen,
        "problems": problems,
    }
