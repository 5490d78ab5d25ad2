"""What happens in the demo, and when: a script over a running site. Disturbs plant and lines, judges nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hil.farm import GAS, LEVEL_HH, TANK_PLC, Farm, tag_of
from hil.site import Site

AWAY: Final = "province"
"""The recipient whose broker dies."""

OVERFILL_AT: Final = 0.03
LEAK_AT: Final = 0.35
LEAK_RISES: Final = 0.10
LEAK_ENDS_AT: Final = 0.55
OUTAGE_AT: Final = 0.40
OUTAGE: Final = 15 / 70
REBOOT_AT: Final = 0.68
REBOOT: Final = 0.06
GROUND_AT: Final = 0.80
GROUND: Final = 0.06
"""Parts of the story's length."""

MIN_REBOOT_S: Final = 2.0
LEAK_LEL: Final = 60.0
LEAK_STEPS: Final = 20
DETECTOR: Final = 1
CONTACT: Final = 2
FULL_ENOUGH: Final = LEVEL_HH + 2.0
POLL_S: Final = 0.1
NOTE: Final = "现场已处理 / seen to on site"
SEEN_TIMEOUT_S: Final = 5.0
CALM_TIMEOUT_S: Final = 20.0
CATCH_UP_TIMEOUT_S: Final = 60.0
"""The back-off that an outage lets grow comes on top of its end."""

TOLD: Final[dict[str, tuple[str, str]]] = {
    "starting": (
        "启动仿真现场、省与区两级平台、网关",
        "starting the simulated plant, both authorities, the gateway",
    ),
    "running": (
        "网关运行：10 个储罐、6 个气体探头、4 个静电接地触点；省、区两级在线",
        "the gateway runs: 10 tanks, 6 gas detectors, 4 grounding contacts; province and bureau are there",
    ),
    "overfill": (
        "{tank} 号罐进料阀卡在全开，液位上升",
        "the inlet valve of tank {tank} sticks open, its level rises",
    ),
    "freed": (
        "{tank} 号罐 {level:.1f} %，阀门关上，开泵降液位",
        "tank {tank} at {level:.1f} %: valve shut, pumping down",
    ),
    "acknowledged": ("操作员确认了 {tag} 的报警", "an operator acknowledges the alarm of {tag}"),
    "leak": ("装车台 {tag} 附近泄漏，浓度上升", "a leak near {tag} at the loading bay, gas rises"),
    "leak_over": ("泄漏已堵住", "the leak is stopped"),
    "broker_down": (
        "省平台的消息服务器断开，{seconds:.0f} 秒；区里照常",
        "the province's broker dies for {seconds:.0f} s; the bureau goes on",
    ),
    "broker_up": ("省平台的消息服务器恢复", "the province's broker is back"),
    "caught_up": ("省平台已补齐，用时 {seconds:.1f} 秒", "the province has caught up, after {seconds:.1f} s"),
    "reboot": (
        "罐区 PLC 重启，{seconds:.0f} 秒不应答",
        "the tank farm's PLC reboots, silent for {seconds:.0f} s",
    ),
    "rebooted": ("罐区 PLC 恢复应答", "the tank farm's PLC answers again"),
    "ground_open": ("3 号鹤位静电接地夹脱落", "the grounding clamp of bay 3 comes off"),
    "ground_closed": ("接地夹已夹好", "the clamp is on again"),
    "drain": ("收尾：等双方确认全部数据", "closing: waiting until both have acknowledged everything"),
    "judging": (
        "核对：PLC 实际应答 对 双方实际收到",
        "comparing what the PLCs answered with what both received",
    ),
}
"""What is told of each event, Chinese and English."""

Tell = Callable[..., None]
"""(event, **facts): something has happened."""


class Story:
    """One run of the script.

    Args:
        site: it runs.
        farm: the plant behind its PLCs.
        seconds: length of the script.
        tell: takes each event (a key of ``TOLD``) and its facts.

    Attributes:
        caught_up_s: how long the province needed to catch up after its outage; None while it has not.
        outage_s: how long its broker was away.
    """

    def __init__(self, site: Site, farm: Farm, seconds: float, tell: Tell) -> None:
        self._site = site
        self._farm = farm
        self._seconds = seconds
        self._tell = tell
        self._start = 0.0
        self.caught_up_s: float | None = None
        self.outage_s = OUTAGE * seconds

    async def run(self) -> None:
        """The whole script, and then until no alarm is active any more (bounded)."""
        self._start = time.monotonic()
        self._tell("running")
        await together(
            self._overfill(), self._leak(), self._outage(), self._reboot(), self._ground(), self._until(1.0)
        )
        end = time.monotonic() + CALM_TIMEOUT_S
        while time.monotonic() < end:
            status = await self._site.status()
            if not any(alarm["active"] for alarm in status["alarms"]):
                return
            await asyncio.sleep(POLL_S)

    async def _until(self, part: float) -> None:
        await asyncio.sleep(self._start + part * self._seconds - time.monotonic())

    async def _overfill(self) -> None:
        await self._until(OVERFILL_AT)
        farm = self._farm
        farm.plant.overfill(farm.tank)
        self._tell("overfill", tank=farm.tank + 1)
        while farm.level() < FULL_ENOUGH:  # noqa: ASYNC110  a tank has no event
            await asyncio.sleep(POLL_S)
        farm.plant.stop(farm.tank)
        self._tell("freed", tank=farm.tank + 1, level=farm.level())
        await self._acknowledge(tag_of(farm.tank, 0), "HH")

    async def _acknowledge(self, tag: str, level: str) -> None:
        end = time.monotonic() + SEEN_TIMEOUT_S
        while time.monotonic() < end:
            for alarm in (await self._site.status())["alarms"]:
                if alarm["point_id"] == tag and alarm["level"]["worst"] == level:
                    await self._site.acknowledge(alarm["alarm_id"], NOTE)
                    self._tell("acknowledged", tag=tag)
                    return
            await asyncio.sleep(POLL_S)

    async def _leak(self) -> None:
        await self._until(LEAK_AT)
        self._tell("leak", tag=GAS[DETECTOR])
        for step in range(1, LEAK_STEPS + 1):
            self._farm.plant.leak(DETECTOR, LEAK_LEL * step / LEAK_STEPS)
            await self._until(LEAK_AT + LEAK_RISES * step / LEAK_STEPS)
        await self._until(LEAK_ENDS_AT)
        self._farm.plant.leak(DETECTOR, 0.0)
        self._tell("leak_over")

    async def _outage(self) -> None:
        await self._until(OUTAGE_AT)
        self._site.kill_broker(AWAY)
        self._tell("broker_down", seconds=self.outage_s)
        await self._until(OUTAGE_AT + OUTAGE)
        await self._site.restart_broker(AWAY)
        self._tell("broker_up")
        back = time.monotonic()
        while (waited_s := time.monotonic() - back) < CATCH_UP_TIMEOUT_S:
            if await self._has_caught_up():
                self.caught_up_s = waited_s
                self._tell("caught_up", seconds=waited_s)
                return
            await asyncio.sleep(POLL_S)

    async def _has_caught_up(self) -> bool:
        recipients = (await self._site.status())["recipients"]
        away = next(one for one in recipients if one["name"] == AWAY)
        return bool(away["state"] == "connected" and away["backlog_records"] == 0)

    async def _reboot(self) -> None:
        await self._until(REBOOT_AT)
        seconds = max(MIN_REBOOT_S, REBOOT * self._seconds)
        self._tell("reboot", seconds=seconds)
        await self._site.reboot(TANK_PLC, seconds)
        self._tell("rebooted")

    async def _ground(self) -> None:
        await self._until(GROUND_AT)
        self._farm.plant.open_ground(CONTACT)
        self._tell("ground_open")
        await self._until(GROUND_AT + GROUND)
        self._farm.plant.close_ground(CONTACT)
        self._tell("ground_closed")


async def together(*lives: Coroutine[Any, Any, None]) -> None:
    """Run all to their end; the first that fails ends the others."""
    tasks = [asyncio.create_task(life) for life in lives]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
