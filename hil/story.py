"""What happens in the demo, and when: a script over a running site. Disturbs plant and lines, judges nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from hil import people
from hil.farm import CONTACTS, GAS, LEVEL_HH, TANK_PLC, WARNS, Farm, tag_of
from hil.people import Warned
from hil.shown import Subjects
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
WARN_AT: Final = 0.46
ANSWER_AT: Final = 0.57
SHELVE_AT: Final = 0.74
SHELF: Final = 0.13
GROUND_AT: Final = 0.78
GROUND_UNTIL: Final = 0.92
"""Parts of the story's length."""

MIN_REBOOT_S: Final = 3.0
"""Shorter, and an operator has no time to look at what is left standing."""
LEAK_LEL: Final = 60.0
LEAK_STEPS: Final = 20
DETECTOR: Final = 1
CONTACT: Final = 2
FULL_ENOUGH: Final = LEVEL_HH + 2.0
POLL_S: Final = 0.1
NOTE: Final = "现场已处理 / seen to on site"
SHELF_REASON: Final = "更换接地夹 / clamp being replaced"
WARNING: Final = "2026-0117"
WORDS: Final = (
    ("{tag} 浓度上升", "gas rises at {tag}"),
    ("请核实原因，立即处置并反馈。", "Find the cause, act, answer."),
    ("装车臂密封泄漏", "a leaking seal of the loading arm"),
    ("停泵、关阀、堵漏", "pump stopped, valve shut, leak sealed"),
)
"""The warning's title and text, the answer's cause and action; Chinese and English."""
ANSWER_WITHIN_S: Final = 1800.0
SEEN_TIMEOUT_S: Final = 5.0
FALL_TIMEOUT_S: Final = 15.0
"""A tank that is pumped down falls by 2.4 % a second."""
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
    "fallen": (
        "{tag} 降到高报以下，报警消除",
        "{tag} has fallen below H, its alarm has cleared",
    ),
    "leak": ("装车台 {tag} 附近泄漏，浓度上升", "a leak near {tag} at the loading bay, gas rises"),
    "leak_over": ("泄漏已堵住", "the leak is stopped"),
    "broker_down": (
        "省平台的消息服务器断开，{seconds:.0f} 秒；区里照常",
        "the province's broker dies for {seconds:.0f} s; the bureau goes on",
    ),
    "broker_up": ("省平台的消息服务器恢复", "the province's broker is back"),
    "caught_up": ("省平台已补齐，用时 {seconds:.1f} 秒", "the province has caught up, after {seconds:.1f} s"),
    "warned": (
        "区局下发橙色预警 {id}（{tag}）",
        "the bureau sends an orange warning down: {id} ({tag})",
    ),
    "answered": (
        "操作员反馈预警 {id} 的原因和处置",
        "an operator answers warning {id}: cause and action",
    ),
    "high": (
        "{tank} 号罐进料过量，液位高报",
        "tank {tank} is overfed, its level is high",
    ),
    "reboot": (
        "罐区 PLC 重启，{seconds:.0f} 秒不应答；其间 {tank} 号罐实际已降液位",
        "the tank farm's PLC reboots, silent for {seconds:.0f} s; tank {tank} is pumped down meanwhile, unseen",
    ),
    "kept": (
        "PLC 失联，{tag} 报警仍在，标为“最后已知”；操作员确认",
        "the PLC is lost, the alarm of {tag} stands, marked as last known; an operator acknowledges it",
    ),
    "rebooted": ("罐区 PLC 恢复应答", "the tank farm's PLC answers again"),
    "told_good": (
        "PLC 恢复后读到 {tag} 的新值，报警消除",
        "{tag} could be read again, its alarm has cleared",
    ),
    "shelved": (
        "操作员搁置 {tag} {seconds:.0f} 秒：更换接地夹",
        "an operator shelves {tag} for {seconds:.0f} s: its clamp is being replaced",
    ),
    "ground_open": (
        "3 号鹤位静电接地夹取下，其报警已搁置",
        "the grounding clamp of bay 3 comes off, its alarm being shelved",
    ),
    "shelf_over": (
        "搁置到期自动结束，{tag} 仍在报警",
        "the shelf has ended by itself; {tag} is still in alarm",
    ),
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
        subjects: what the four things to be shown are about.
    """

    def __init__(self, site: Site, farm: Farm, seconds: float, tell: Tell) -> None:
        self._site = site
        self._farm = farm
        self._seconds = seconds
        self._tell = tell
        self._start = 0.0
        self.caught_up_s: float | None = None
        self.outage_s = OUTAGE * seconds
        self.subjects = Subjects(
            tank=tag_of(farm.tank, 0),
            standing="",
            plc=TANK_PLC,
            shelved=CONTACTS[CONTACT],
            authority=WARNS,
            warning=WARNING,
        )

    async def run(self) -> None:
        """The whole script, and then until no alarm is active any more (bounded)."""
        self._start = time.monotonic()
        self._tell("running")
        await together(
            self._overfill(),
            self._leak(),
            self._outage(),
            self._warning(),
            self._reboot(),
            self._ground(),
            self._until(1.0),
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
        tag = self.subjects.tank
        if await self._acknowledge(tag, worst="HH") and await self._gone(tag):
            self._tell("fallen", tag=tag)

    async def _acknowledge(self, tag: str, **marks: object) -> bool:
        """As soon as the status shows this alarm with these marks; bounded."""
        seen = await self._alarm(tag, SEEN_TIMEOUT_S, **marks)
        if seen is None:
            return False
        await self._site.acknowledge(seen["alarm_id"], NOTE)
        self._tell("kept" if "last_known" in marks else "acknowledged", tag=tag)
        return True

    async def _alarm(self, tag: str, timeout_s: float, **marks: object) -> dict[str, Any] | None:
        """The active alarm of a tag that has these marks; None where there is none in time."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            alarms: list[dict[str, Any]] = (await self._site.status())["alarms"]
            for alarm in alarms:
                said = {
                    **alarm,
                    "worst": alarm["level"]["worst"],
                    "shelved": alarm["shelved_until"] is not None,
                }
                if alarm["point_id"] == tag and alarm["active"] and marks.items() <= said.items():
                    return alarm
            await asyncio.sleep(POLL_S)
        return None

    async def _gone(self, tag: str) -> bool:
        """Whether no alarm of this tag is active any more, in time."""
        end = time.monotonic() + FALL_TIMEOUT_S
        while time.monotonic() < end:
            alarms = (await self._site.status())["alarms"]
            if not any(alarm["point_id"] == tag and alarm["active"] for alarm in alarms):
                return True
            await asyncio.sleep(POLL_S)
        return False

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

    async def _warning(self) -> None:
        tag = GAS[DETECTOR]
        await self._until(WARN_AT)
        title, text, cause, action = (pair[self._site.plan.language != "zh"] for pair in WORDS)
        warned = Warned(WARNING, "orange", title.format(tag=tag), text, (tag,), ANSWER_WITHIN_S)
        await people.warn(self._site, WARNS, warned)
        self._tell("warned", id=WARNING, tag=tag)
        await self._until(ANSWER_AT)
        await people.answer(self._site, WARNING, cause, action)
        self._tell("answered", id=WARNING)

    async def _reboot(self) -> None:
        farm, tank = self._farm, self._farm.fullest_beside()
        while self._start + REBOOT_AT * self._seconds - time.monotonic() > farm.seconds_to_high(tank):
            await asyncio.sleep(POLL_S)
            tank = farm.fullest_beside()
        tag = tag_of(tank, 0)
        self.subjects = self.subjects._replace(standing=tag)
        farm.plant.overfill(tank)
        await self._alarm(tag, farm.seconds_to_high(tank) + SEEN_TIMEOUT_S)
        self._tell("high", tank=tank + 1)
        seconds = max(MIN_REBOOT_S, REBOOT * self._seconds)
        self._tell("reboot", seconds=seconds, tank=tank + 1)
        farm.plant.stop(tank)
        kept = asyncio.create_task(self._acknowledge(tag, last_known=True))
        try:
            await self._site.reboot(TANK_PLC, seconds)
            self._tell("rebooted")
            if await kept and await self._gone(tag):
                self._tell("told_good", tag=tag)
        finally:
            kept.cancel()

    async def _ground(self) -> None:
        tag, seconds = CONTACTS[CONTACT], SHELF * self._seconds
        await self._until(SHELVE_AT)
        await people.shelve(self._site, tag, seconds, SHELF_REASON)
        self._tell("shelved", tag=tag, seconds=seconds)
        await self._until(GROUND_AT)
        self._farm.plant.open_ground(CONTACT)
        self._tell("ground_open")
        if await self._alarm(tag, seconds + SEEN_TIMEOUT_S, shelved=False):
            self._tell("shelf_over", tag=tag)
        await self._until(GROUND_UNTIL)
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
