"""Wires the house: the only file that knows everyone. Decides the order of starting and stopping, nothing else.

Started from the spool outwards (nothing may be read before it can be kept), stopped from the field inwards:
sources, evaluation, a last flush, links, spool, outputs.

Over 400 lines because everything that exists is named here once.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import gc
import importlib
import logging
import os
import secrets
import signal
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from buffer.errors import SpoolError
from buffer.files import SnapshotFiles
from buffer.record import Draft, Gap, Lane, Record, leaf_hash
from buffer.settings import LaneState, Opened, SpoolSettings
from buffer.writer import SpoolWriter
from drivers.kit.contract import Source
from gateway import config as configuration
from gateway.alarm.entry import Entry
from gateway.alarm.life import AlarmChanged
from gateway.alarm.load import Flood, floods_of
from gateway.alarm.people import Command
from gateway.beginning import held_back, standing, start_entries
from gateway.certificates import recipients_ending
from gateway.clock import SystemClock, boot_id
from gateway.codec import encode_item
from gateway.control import ControlServer, Deed
from gateway.desk import alarms as alarm_desk
from gateway.desk import limits as limit_desk
from gateway.desk import sirens as siren_desk
from gateway.desk import stats as stats_desk
from gateway.desk import warnings as warning_desk
from gateway.downlink import Downlinks
from gateway.engine import Capture, Engine, WatchedDevice
from gateway.errors import Exit, UserFacingError
from gateway.instant import Now, rfc3339, step_between_ns
from gateway.intake import Intake
from gateway.limit_change import Decided, LimitBook
from gateway.live_list import LiveList
from gateway.log import set_up as set_up_log
from gateway.notify import notify
from gateway.pending import Pending, gap_item
from gateway.pictures import Watcher
from gateway.plant import Config
from gateway.pointlists import PointLists
from gateway.rejections import Rejections
from gateway.sirens import Sirens
from gateway.spooling import spool_settings, spool_trouble
from gateway.status import (
    endurance_s,
    held_counts,
    held_view,
    identity_view,
    points_view,
    sources_view,
    spool_view,
)
from gateway.supervise import Supervisor
from gateway.timekeeping import Timekeeping
from gateway.uplink.message import Context
from gateway.uplink.sender import Sender, make_senders

BEAT_S: Final = 1.0
"""How often the house looks after itself."""

PURGE_S: Final = 60.0
"""How often retention and quota are applied."""

RECIPIENT_SILENT_S: Final = 60.0
"""A recipient that acknowledged nothing for so long while something waits is an alarm."""

VIEW_NS: Final = 500_000_000
"""A view of every point serves all who ask within this time."""

CERTIFICATES_S: Final = 3600.0
"""How often the certificates of the recipients are looked at."""

LOOK_UPS: Final = "look-up"
MAX_LOOK_UPS: Final = 8
LOOK_UPS_S: Final = 1.0
"""Threads of the loop's blocking calls, how many, and how long a stop waits for them."""

log = logging.getLogger("plantgate.app")


def run(config_path: Path) -> int:
    """Run the gateway until it is told to stop.

    Returns:
        an exit code.

    Raises:
        UserFileErrors: the configuration is wrong.
        UserFacingError: a folder, port, certificate or spool stands in the way.
        Exception: a defect, logged.
    """
    set_up_log()
    config = configuration.load(config_path)
    gc.freeze()  # modules and configuration stay: no collection looks through them again while an alarm waits
    with asyncio.Runner() as runner:
        return runner.run(_until_stopped(House(config)))


async def _until_stopped(house: House) -> int:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = loop.create_task(house.serve(), name="house")
    stopping = loop.create_task(stop.wait(), name="stop")
    await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    notify("STOPPING=1")
    serving.cancel()
    await asyncio.wait({serving, stopping})
    await _wait_for_look_ups(house)
    failure = None if serving.cancelled() else serving.exception()
    if failure is not None and not isinstance(failure, UserFacingError):
        # Its traceback is the caller's to print, unless there will be no return to the caller.
        log.critical("the house fell: %r", failure, exc_info=failure if house.hanging else None)
    if house.hanging:
        log.error("left behind, because it did not stop in time: %s", ", ".join(house.hanging))
        os._exit(Exit.ENVIRONMENT if stop.is_set() else Exit.INTERNAL)
    if failure is not None:
        raise failure
    return Exit.OK


async def _wait_for_look_ups(house: House) -> None:
    """A name server that does not answer holds its thread for long; Python would wait for it at the exit."""
    end = time.monotonic() + LOOK_UPS_S
    while any(thread.name.startswith(LOOK_UPS) for thread in threading.enumerate()):
        pool = house.look_ups
        pool.shutdown(wait=False, cancel_futures=True)
        if time.monotonic() > end:
            house.hanging.append("name look-up")
            return
        await asyncio.sleep(LOOK_UPS_S / 50)


class House:
    """One running gateway; also the answers that the control socket gives.

    Attributes:
        hanging: parts that did not leave in time at the stop; [] is the promise.
        look_ups: threads of the loop's blocking calls: names, pictures, sockets' clients.
    """

    def __init__(self, config: Config) -> None:
        self.hanging: list[str] = []
        self.look_ups = ThreadPoolExecutor(MAX_LOOK_UPS, LOOK_UPS)
        self._rejections = Rejections()
        self._config = config
        self._clock = SystemClock()
        self._started = self._looked = self._clock.now()
        self._timekeeping = Timekeeping(self._started)
        self._sources: dict[str, Source] = {}
        self._watchers: dict[str, Watcher] = {}
        self._sirens: Sirens
        self._senders: tuple[Sender, ...] = ()
        self._away: set[str] = (
            set()
        )  # recipients that were silent at the last stop and have not been heard since
        self._downlinks: Downlinks
        self._intake: Intake
        self._limits: LimitBook
        self._spool: SpoolWriter
        self._files: SnapshotFiles
        self._settings: SpoolSettings
        self._lanes_at_start: Mapping[Lane, LaneState] = {}
        self._spool_id = ""
        self._fed_ns = 0
        self._live_list = LiveList()
        self._view: dict[str, Any] = {}
        self._view_mono_ns = -VIEW_NS

    async def serve(self) -> None:
        """Start everything, run until cancelled, stop everything.

        Raises:
            UserFacingError: something a person must mend stands in the way of the start.
            RuntimeError: evaluation is broken; the house must be set up again.
        """
        asyncio.get_running_loop().set_default_executor(self.look_ups)
        async with AsyncExitStack() as stack:
            self._sirens = Sirens(self._config.outputs, self._config.rev)
            stack.callback(self._close_sirens)
            opened = await self._open_spool(stack)
            self._limits = LimitBook(
                self._config.points,
                opened.state,
                self._started,
                self._config.rev,
                second_person=self._config.alarms.second_person,
            )
            engine = Engine(
                self._watched(),
                standing(opened.state)[0],
                self._started,
                held=held_back(opened.state),
                settings=self._config.alarms,
                balances=self._config.balances,
                seen_ns=opened.last_ns,
            )
            self._sirens.begin(engine.alarms.values())
            self._downlinks = self._make_downlinks(opened)
            self._senders = self._make_senders(opened)
            away = (f"recipient/{sender.name}" for sender in self._senders)
            self._away = {part for part in away if engine.register.is_active(f"gateway/{part}")}
            links, core, field = (Supervisor(self._fell) for _ in range(3))
            stack.push_async_callback(self._stop, links)
            self._intake = self._make_intake(engine, floods_of(opened.state))
            stack.push_async_callback(self._last_flush, core)
            control = ControlServer(self._config, self, self._deeds())
            await control.start()
            stack.push_async_callback(control.close)
            stack.push_async_callback(self._stop, field)

            self._journal_start(opened)
            core.start("evaluate", self._intake.evaluate, vital=True)
            core.start("persist", self._intake.persist)
            self._start_field(field)
            for sender in self._senders:
                links.start(f"recipient/{sender.name}", sender.run)
            for channel in self._downlinks.channels.values():
                links.start(f"orders/{channel.name}", channel.run)
            links.start("look-after", self._look_after)
            links.start("purge", self._purge)
            links.start("certificates", self._look_at_certificates)
            notify("READY=1", f"STATUS={self._config.gateway_id}: {len(engine.points)} points")
            log.info("%s runs, configuration %s", self._config.gateway_id, self._config.rev)
            raise RuntimeError("evaluation is broken") from await core.failed()

    # -- starting -------------------------------------------------------------------------------------

    async def _open_spool(self, stack: AsyncExitStack) -> Opened:
        storage = self._config.storage
        self._settings = spool_settings(storage)
        recipients = tuple(recipient.name for recipient in self._config.recipients)
        self._spool = SpoolWriter(
            storage.folder / "spool.db", self._settings, recipients, self._gap_body, on_declared=self.appended
        )
        stack.push_async_callback(self._spool.close)  # first: a stop may come while it opens
        try:
            opened = await self._spool.start()
        except SpoolError as e:
            raise spool_trouble(e, storage.folder) from e
        self._spool_id = opened.spool_id
        self._lanes_at_start = self._spool.stats().lanes
        return opened

    def _gap_body(self, gap: Gap) -> bytes:
        """Canonical bytes of a gap that the spool declares; called on the spool's thread."""
        return encode_item("gap", gap_item(gap), self._looked.clock, self._config.rev)

    def _watched(self) -> tuple[WatchedDevice, ...]:
        return tuple(
            WatchedDevice(
                device.device.name,
                self._limits.applied(device.points),
                device.device.period_s,
                getattr(_driver(device.driver), "polled", lambda _: False)(device.options),
            )
            for device in self._config.devices
        )

    def _make_senders(self, opened: Opened) -> tuple[Sender, ...]:
        names = PointLists(opened.state)
        names.add(self._config)
        context = Context(
            gateway_id=self._config.gateway_id,
            site_id=self._config.site_id,
            spool_id=opened.spool_id,
            volatile_id=secrets.token_hex(8),
            points=names.of,
        )
        storage = self._config.storage
        self._files = SnapshotFiles(storage.folder / "snapshots", storage.snapshot_quota_bytes)
        return make_senders(
            self._config.recipients,
            self._spool,
            context,
            self._files,
            self._rejected,
            self._downlinks.channels,
        )

    def _make_downlinks(self, opened: Opened) -> Downlinks:
        to = f"{self._config.site_id}/{self._config.gateway_id}"
        certificates = self._config.orders_certificates
        return Downlinks(certificates, to, opened.state, self._record, self._clock.now)

    def _make_intake(self, engine: Engine, floods: Sequence[Flood]) -> Intake:
        return Intake(
            engine,
            Pending(self._config.storage.memory_rows),
            self._spool,
            self._sirens,
            self,
            self._clock,
            config_rev=self._config.rev,
            flush_s=self._config.storage.flush_s,
            capture=self._capture,
            alive=self._alive,
            floods=floods,
        )

    def _journal_start(self, opened: Opened) -> None:
        """Say in the record that the house starts, what it found, and what is missing since the last stop."""
        for alarm in list(self._intake.engine.alarms.values()):
            if alarm.type == "gateway" and alarm.active and alarm.source not in self._away:
                self._intake.condition(alarm.source, "")  # what is still wrong will say so again
        begun = self._limits.begun
        for entry in start_entries(
            self._config, opened, self._started, version("plantgate"), boot_id(), begun
        ):
            self._record(entry)
        self._downlinks.begin()

    def _start_field(self, field: Supervisor) -> None:
        for device in self._config.devices:
            if not device.points:
                continue  # nothing to read: its line is left alone
            source = _driver(device.driver).connect(device.device, device.options, self._intake.post)
            self._sources[device.device.name] = source
            field.start(f"source/{device.device.name}", source.run)
        for camera in self._config.cameras:
            watcher = Watcher(
                camera,
                _driver(camera.driver).connect(camera.name, camera.options),
                self._files,
                self._keep_picture,
                self._intake.engine.attach,
            )
            self._watchers[camera.name] = watcher
            field.start(f"camera/{camera.name}", watcher.run)

    # -- while it runs --------------------------------------------------------------------------------

    def appended(self, records: Sequence[Record]) -> None:
        """See intake.Recipients."""
        for sender in self._senders:
            sender.appended(records)

    def volatile(self, number: int, change: AlarmChanged, now: Now) -> None:
        """See intake.Recipients."""
        body = encode_item("alarm", change.item(self._config.rev), now.clock, self._config.rev)
        record = Record("alarm", number, change.alarm.changed_ns, body, leaf_hash(body))
        for sender in self._senders:
            sender.volatile(record)

    def recovered(self, seqs: dict[int, int]) -> None:
        """See intake.Recipients."""
        for sender in self._senders:
            sender.recovered(seqs)

    def _rejected(self, recipient: str, key: str, reason: str) -> None:
        self._rejections.add(recipient, key, reason)
        self._intake.condition(f"rejected/{recipient}", f"{key}: {reason}")

    def _record(self, entry: Entry) -> None:
        self._intake.journal(entry.kind, entry.item, entry.state)

    def _capture(self, wish: Capture) -> None:
        watcher = self._watchers.get(wish.camera)
        if watcher is not None:
            watcher.wish(wish)

    def _keep_picture(self, kind: str, item: dict[str, Any], taken_ns: int) -> None:
        body = encode_item(kind, item, self._clock.now().clock, self._config.rev)
        self._intake.add_draft(Draft("snapshot" if kind == "snapshot" else "journal", taken_ns, body))

    def _alive(self) -> None:
        """Evaluation has just run: the only thing that feeds the watchdog, at most once a beat."""
        mono_ns = time.monotonic_ns()
        if mono_ns - self._fed_ns >= BEAT_S * 1e9:
            self._fed_ns = mono_ns
            notify("WATCHDOG=1")

    def _fell(self, part: str, cause: str) -> None:
        self._intake.condition(part, cause)

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(BEAT_S)
            now = self._clock.now()
            step_ns = step_between_ns(self._looked, now)
            self._looked = now
            if step_ns:
                log.warning("the clock was set by %.1f s", step_ns / 1e9)
                self._intake.journal("clock_step", {"by_ms": step_ns // 1_000_000, "at": rfc3339(now.utc_ns)})
            for part, failure in self._failures(now):
                self._intake.condition(part, failure)
            self._change_limits(self._limits.expire(now))
            for item in self._rejections.due(now.mono_ns):
                self._intake.journal("delivery", {**item, "at": rfc3339(now.utc_ns)})
            self._downlinks.journal_refusals(now)
            self._intake.beat()

    def _failures(self, now: Now) -> Iterator[tuple[str, str]]:
        """Every part that can fail and come back while the house stands, and its failure ("" if it is well)."""
        stats = self._spool.stats()
        yield "storage", stats.detail if stats.state == "full" else ""
        yield "clock", self._timekeeping.failure(now)
        for name, failure in self._sirens.failures():
            yield f"output/{name}", failure
        for name, source in self._sources.items():
            yield f"source-warning/{name}", source.state().warning
        for watcher in self._watchers.values():
            yield f"camera/{watcher.name}", watcher.failure
        yield from self._downlinks.failures(now)
        for sender in self._senders:
            part = f"recipient/{sender.name}"
            if sender.heard or not sender.backlog():
                self._away.discard(part)
            silent = sender.silent_s(now.mono_ns) > RECIPIENT_SILENT_S or part in self._away
            wrong = silent or sender.state == "unauthorised"
            yield part, sender.detail or "nothing is acknowledged" if wrong else ""

    async def _look_at_certificates(self) -> None:
        while True:
            now = dt.datetime.now(dt.UTC)
            endings = await asyncio.to_thread(recipients_ending, self._config, now)
            for part, cause in endings.items():
                self._intake.condition(part, cause)
            await asyncio.sleep(CERTIFICATES_S)

    async def _purge(self) -> None:
        while True:
            await asyncio.sleep(PURGE_S)
            if self._intake.outage is None:
                now = self._clock.now()
                # A clock that may be years ahead must not age anything: then only the quota decides.
                by_age = now.clock.state != "unsynchronised"
                self.appended(await self._spool.purge(now.utc_ns, by_age=by_age))

    # -- answers for the control socket ---------------------------------------------------------------

    def status(self, *, points: bool) -> dict[str, Any]:
        """How everything is; every point at most ``VIEW_NS`` old, however many watch."""
        now = self._clock.now()
        if points and now.mono_ns - self._view_mono_ns < VIEW_NS:
            return self._view
        engine = self._intake.engine
        states = {name: source.state() for name, source in self._sources.items()}
        view = {
            **identity_view(self._config, self._started, now),
            "sources": sources_view(engine, self._config.devices, states),
            "alarms": self._live_list.view(engine),
            "alarm_load": self._intake.load.brief(now),
            "held": held_counts(engine),
            "limits": self._limits.counts,
            "spool": spool_view(self._spool_id, self._spool.stats(), self._intake.outage),
            "recipients": [self._recipient_view(sender, now) for sender in self._senders],
            "warnings": self._downlinks.brief(),
            "outputs": self._sirens.view(),
            "cameras": [watcher.state() for watcher in self._watchers.values()],
        }
        if not points:
            return view
        self._view, self._view_mono_ns = {**view, "points": points_view(engine)}, now.mono_ns
        return self._view

    def _recipient_view(self, sender: Sender, now: Now) -> dict[str, Any]:
        view = sender.status()
        stats = self._spool.stats()
        seconds = (now.mono_ns - self._started.mono_ns) / 1e9
        room_bytes = stats.quota_bytes - self._settings.reserve_bytes
        backlog = view["backlog_records"]
        view["can_stay_offline_s"] = endurance_s(
            self._lanes_at_start, stats.lanes, seconds, room_bytes, backlog
        )
        return view

    def _deeds(self) -> dict[str, Deed]:
        """Everything people can ask for."""
        return {
            **alarm_desk.deeds(self._do, lambda: held_view(self._intake.engine, self._clock.now())),
            **limit_desk.deeds(
                self._limits, self._clock.now, self._change_limits, lambda: self._intake.outage is None
            ),
            **siren_desk.deeds(self._sirens, self._record, self._clock.now),
            **warning_desk.deeds(self._downlinks.view, self._downlinks.answer),
            **stats_desk.deeds(lambda: self._intake.load.view(self._clock.now())),
        }

    def _change_limits(self, decided: Decided) -> None:
        """Record what was decided about limits, then let it hold."""
        for entry in decided.entries:
            self._intake.journal(entry.kind, entry.item, entry.state)
        if decided.point_id:
            now = self._clock.now()
            self._intake.decide(self._intake.engine.change_limits(decided.point_id, decided.limits, now), now)

    def _do(self, actor: str, command: Command) -> None:
        """Carry out what a person wants with an alarm; see ``Engine.command``."""
        now = self._clock.now()
        self._intake.decide(self._intake.engine.command(actor, command, now), now)

    # -- stopping -------------------------------------------------------------------------------------

    async def _stop(self, supervisor: Supervisor) -> None:
        self.hanging += await supervisor.stop()

    async def _last_flush(self, core: Supervisor) -> None:
        await self._stop(core)
        self._intake.journal("stop", {"at": rfc3339(self._clock.now().utc_ns)})
        if not await self._intake.flush_last():
            self.hanging.append("disk")

    def _close_sirens(self) -> None:
        self.hanging += self._sirens.close()


def _driver(name: str) -> Any:
    """The driver's module; config.py has checked that it exists."""
    return importlib.import_module(f"drivers.{name}")
