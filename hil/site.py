"""A whole site on one machine: PLCs, cameras, brokers, receivers and the real gateway between them.

Owns the processes, sockets and files of one run and gives all of them back. Judges nothing (``hil.verdict``).
The gateway and the receivers are the installed commands with real configuration files; the simulators live in
this process, so whoever measures the gateway's process tree has them outside the sum.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from gateway.control import SOCKET_NAME, ask
from gateway.errors import UserFacingError
from gateway.uplink.dialects.plantgate_1 import gateway_topics
from hil.answers import AnswerLog
from hil.broker import Broker
from hil.camera_sim import CameraSim
from hil.configuration import Table, write_configuration
from hil.modbus_plc import ModbusPlc, Unit
from hil.opcua_plc import APPLICATION_URI, OpcuaPlc
from hil.pki import LOOPBACK, Credentials, opcua_application
from hil.processes import STOP_TIMEOUT_S
from hil.program import Program, ProgramError, command
from hil.recorder import Recorder
from hil.site_plan import ModbusDevice, OpcuaDevice, SitePlan, point_rows

READY_TIMEOUT_S: Final = 20.0
READY_POLL_S: Final = 0.05
DRAIN_TIMEOUT_S: Final = 60.0
"""A back-off grown during an outage may last half a minute after it."""
DRAIN_POLL_S: Final = 0.2
FLUSHES: Final = 3
FLUSH_MARGIN_S: Final = 1.0
QUIET_S: Final = 0.1
"""A PLC that answered nothing for so long has no answer on the road."""
QUIET_TRIES: Final = 50
CLIENT_URI: Final = "urn:plantgate:gateway"
OPCUA_PUBLISHING_MS: Final = 200
LOGGED: Final = tuple(
    f"log_type {kind}" for kind in ("error", "warning", "notice", "information", "subscribe")
)
LEFT_BEHIND: Final = b"left behind"
"""The gateway's word where a part did not leave in time."""
LAST_TOPIC: Final = gateway_topics()[-1]
"""Subscribed last; mosquitto's log says when."""


class Site:
    """Everything of one run; an asynchronous context in which all of it runs.

    Args:
        plan: what it consists of.
        folder: where every file goes; None makes a temporary folder that is removed at the end.
        keep: leave the temporary folder behind.

    Attributes:
        answers: log of all Modbus answers.
        plcs: Modbus simulators by device name.
        recorders: the proxies before them, by device name.
        opcua: the OPC UA simulator.
        cameras: by name.
        brokers: by recipient.
        receivers: by recipient.
        orders: what a recipient signs its warnings with, by recipient of ``SitePlan.orders_from``.
        stores: the receivers' databases, by recipient.
        gateway: the gateway's process.
        gateway_started_ns: CLOCK_MONOTONIC of its first start.
        cut_ns: CLOCK_MONOTONIC after which answers need not arrive any more; set by ``drain``.
        backlog: records each recipient still had to get when ``drain`` ended.
        outages: per recipient, UTC nanoseconds from and to of each time its broker was down.
    """

    gateway: Program

    def __init__(self, plan: SitePlan, folder: Path | None = None, *, keep: bool = False) -> None:
        self.plan = plan
        self._temporary = folder is None
        self._keep = keep
        self.folder = folder or Path(tempfile.mkdtemp(prefix="plantgate-"))
        self.answers = AnswerLog()
        self.plcs: dict[str, ModbusPlc] = {}
        self.recorders: dict[str, Recorder] = {}
        self.opcua: OpcuaPlc | None = None
        self.cameras: dict[str, CameraSim] = {}
        self.brokers: dict[str, Broker] = {}
        self.receivers: dict[str, Program] = {}
        self.orders: dict[str, Credentials] = {}
        self.stores: dict[str, Path] = {}
        self.gateway_started_ns = 0
        self.cut_ns = 0
        self.backlog: dict[str, int] = {}
        self.outages: dict[str, list[tuple[int, int]]] = {name: [] for name in plan.recipients}
        self._down_ns: dict[str, int] = {}
        self._stack = AsyncExitStack()

    @property
    def storage(self) -> Path:
        """Folder of the record."""
        return self.plan.storage_folder or self.folder / "data"

    @property
    def control(self) -> Path:
        """The control socket."""
        return self.folder / "run" / SOCKET_NAME

    @property
    def configuration(self) -> Path:
        """gateway.toml."""
        return self.folder / "gateway.toml"

    async def __aenter__(self) -> Self:
        """Start everything and wait until the gateway answers.

        Raises:
            ProgramError: a part did not come up.
            ToolMissingError: a program is not installed.
        """
        async with AsyncExitStack() as stack:
            stack.callback(self._clean_up)
            self.folder.mkdir(parents=True, exist_ok=True)
            self.storage.mkdir(parents=True, exist_ok=True)
            await self._start_field(stack)
            await self._start_authorities(stack)
            self._write()
            env = {**os.environ, **self.plan.environment}
            argv = [*self.plan.prefix, command(), "run", "--config", str(self.configuration)]
            self.gateway = Program(argv, self.folder / "gateway.log", env)
            stack.callback(self.gateway.kill)
            await self.start_gateway()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    # -- starting -------------------------------------------------------------------------------------

    async def _start_field(self, stack: AsyncExitStack) -> None:
        for device in self.plan.modbus:
            unit = Unit(device.name, device.registers, refresh=device.refresh)
            plc = await stack.enter_async_context(ModbusPlc({1: unit}, self.answers))
            self.plcs[device.name] = plc
            self.recorders[device.name] = await stack.enter_async_context(Recorder(plc.port))
        for view in self.plan.cameras:
            camera = CameraSim(view.name, view.level_percent)
            self.cameras[view.name] = await stack.enter_async_context(camera)
        if self.plan.opcua is not None:
            pki = self.folder / "opcua"
            hosts = (*LOOPBACK, socket.gethostname())
            client = opcua_application(pki, "gateway", CLIENT_URI, hosts=hosts)
            own = opcua_application(pki, "plc", APPLICATION_URI, hosts=hosts)
            plc_ua = OpcuaPlc(
                own, [client.fingerprint], gas=self.plan.opcua.gas, contacts=self.plan.opcua.contacts
            )
            self.opcua = await stack.enter_async_context(plc_ua)

    async def _start_authorities(self, stack: AsyncExitStack) -> None:
        for name in self.plan.recipients:
            broker = Broker(
                self.folder / name,
                site=self.plan.site_id,
                gateway=self.plan.gateway_id,
                receivers=(name,),
                settings=(*LOGGED, *self.plan.broker_settings),
            )
            self.brokers[name] = await stack.enter_async_context(broker)
            if name in self.plan.orders_from:
                self.orders[name] = broker.authority.client(f"{name}-orders")
            self.stores[name] = self.folder / f"{name}.db"
            receiver = Program(self._receive(name, broker), self.folder / f"receiver-{name}.log", os.environ)
            stack.callback(receiver.kill)
            self.receivers[name] = receiver
            receiver.start()
        for name in self.plan.recipients:
            await self._until_listening(name)

    def _receive(self, name: str, broker: Broker) -> list[str]:
        own = broker.receivers[name]
        return [
            *(command(), "receive", "--recipient", name),
            *("--host", broker.host, "--port", str(broker.port)),
            *("--ca", str(broker.authority.ca_file)),
            *("--certificate", str(own.certificate), "--private-key", str(own.key)),
            *("--store", str(self.stores[name])),
        ]

    async def _until_listening(self, name: str) -> None:
        # What a broker gets for nobody it throws away, and the gateway would send it again only after a while.
        end = time.monotonic() + READY_TIMEOUT_S
        while f"receiver/{name} 1 {LAST_TOPIC}" not in self.brokers[name].log.read_text(encoding="utf-8"):
            if not self.receivers[name].running or time.monotonic() > end:
                raise ProgramError(f"the receiver of {name} did not come up: {self.receivers[name].tail()}")
            await asyncio.sleep(READY_POLL_S)

    def _write(self) -> None:
        plan = self.plan
        tables: list[tuple[str, Table]] = [
            ("[site]", {"id": plan.site_id, "points": "points.csv"}),
            ("[gateway]", {"id": plan.gateway_id, "language": plan.language}),
            ("[storage]", {"folder": self.storage, "flush_s": plan.flush_s, **plan.storage_settings}),
            ("[runtime]", {"folder": self.control.parent}),
        ]
        tables += [("[[device]]", self._modbus_table(device)) for device in plan.modbus]
        if plan.opcua is not None:
            tables.append(("[[device]]", self._opcua_table(plan.opcua)))
        tables += [("[[device]]", device) for device in self.plan.devices]
        tables += [("[[camera]]", {"name": name, "url": camera.url}) for name, camera in self.cameras.items()]
        tables += [("[[recipient]]", self._recipient_table(name)) for name in plan.recipients]
        tables += [("[[output]]", output) for output in plan.outputs]
        write_configuration(self.folder, tables, point_rows(plan))

    def _modbus_table(self, device: ModbusDevice) -> Table:
        recorder = self.recorders[device.name]
        return {
            "name": device.name,
            "driver": "modbus",
            "period_s": device.period_s,
            "host": recorder.host,
            "port": recorder.port,
        }

    def _opcua_table(self, device: OpcuaDevice) -> Table:
        assert self.opcua is not None, "the OPC UA simulator runs before the configuration is written"
        pki = self.folder / "opcua"
        return {
            "name": device.name,
            "driver": "opcua",
            "url": self.opcua.url,
            "certificate": pki / "gateway.der",
            "private_key": pki / "gateway.key",
            "trusted": pki / "plc.der",
            "application_uri": CLIENT_URI,
            "sampling_ms": OPCUA_PUBLISHING_MS,
            "publishing_ms": OPCUA_PUBLISHING_MS,
        }

    def _recipient_table(self, name: str) -> Table:
        broker = self.brokers[name]
        signs = {"orders_certificate": self.orders[name].certificate} if name in self.orders else {}
        return {
            "name": name,
            "host": broker.host,
            "port": broker.port,
            "ca": broker.authority.ca_file,
            "certificate": broker.gateway.certificate,
            "private_key": broker.gateway.key,
            **signs,
            **self.plan.recipient_settings,
        }

    def _clean_up(self) -> None:
        if self._temporary and not self._keep:
            shutil.rmtree(self.folder, ignore_errors=True)

    # -- while it runs --------------------------------------------------------------------------------

    async def start_gateway(self) -> None:
        """Start the gateway (again) and wait until it answers on its control socket.

        Raises:
            ProgramError: it ended, or did not answer within ``READY_TIMEOUT_S``.
        """
        self.gateway_started_ns = self.gateway_started_ns or time.monotonic_ns()
        self.gateway.start()
        end = time.monotonic() + READY_TIMEOUT_S
        while True:
            try:
                await self.status()
            except UserFacingError as e:
                if not self.gateway.running or time.monotonic() > end:
                    raise ProgramError(
                        f"the gateway did not come up. Its log ends: {self.gateway.tail()}"
                    ) from e
            else:
                return
            await asyncio.sleep(READY_POLL_S)

    async def stop_gateway(self, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """SIGTERM to the gateway; it must end cleanly in time.

        Raises:
            ProgramError: another exit status than 0, it had to be killed, or it says that a part did not leave.
        """
        said_bytes = self.gateway.log.stat().st_size
        status = await self.gateway.stop(timeout_s)
        if status != 0 or LEFT_BEHIND in self.gateway.log.read_bytes()[said_bytes:]:
            raise ProgramError(f"the gateway ended with {status}. Its log ends: {self.gateway.tail()}")

    async def status(self, *, points: bool = False) -> dict[str, Any]:
        """What the gateway says of itself.

        Raises:
            UserFacingError: it does not run, or does not answer.
        """
        data: dict[str, Any] = await asyncio.to_thread(ask, self.control, {"op": "status", "points": points})
        return data

    async def acknowledge(self, alarm_id: str, note: str) -> None:
        """An operator has seen an alarm and says so over the control socket.

        Raises:
            UserFacingError: the gateway does not run, or no live alarm has this id.
        """
        await asyncio.to_thread(ask, self.control, {"op": "ack", "alarm_id": alarm_id, "note": note})

    async def reboot(self, device: str, down_s: float) -> None:
        """A Modbus PLC restarts, between two answers: one on the road would be lost by the bench's own hand."""
        plc = self.plcs[device]
        for _ in range(QUIET_TRIES):
            asked = plc.functions.total()
            await asyncio.sleep(QUIET_S)
            if plc.functions.total() == asked:
                break
        await plc.reboot(down_s)

    def kill_broker(self, name: str) -> None:
        """A recipient's broker dies."""
        self._down_ns[name] = time.time_ns()
        self.brokers[name].kill()

    async def restart_broker(self, name: str) -> None:
        """It is back, having forgotten everything."""
        await self.brokers[name].start()
        self.outages[name].append((self._down_ns.pop(name), time.time_ns()))

    async def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Draw the line under the answers and wait until every recipient acknowledged what was above it.

        What the backlog is then, 0 or not, stands in ``backlog``.
        """
        self.cut_ns = time.monotonic_ns()
        end = time.monotonic() + timeout_s
        await self._until_flushed()
        waiting = set(self.plan.recipients)
        while waiting and time.monotonic() < end:
            for recipient in (await self.status())["recipients"]:
                name = recipient["name"]
                # New readings may wait by the next look; what was drained once is drained.
                if name in waiting:
                    self.backlog[name] = recipient["backlog_records"]
            waiting = {name for name in waiting if self.backlog[name]}
            await asyncio.sleep(DRAIN_POLL_S)

    async def _until_flushed(self) -> None:
        """Two flushes on: the first may have begun before now. Bounded, for a site that reads nothing has none."""
        end = time.monotonic() + FLUSHES * self.plan.flush_s + FLUSH_MARGIN_S
        head = (await self.status())["spool"]["heads"]["reading"]
        while time.monotonic() < end:
            await asyncio.sleep(DRAIN_POLL_S)
            if (await self.status())["spool"]["heads"]["reading"] >= head + 2:
                return

    async def finish(self) -> None:
        """Drain unless that is done, stop gateway and receivers, so that everything on disk can be judged.

        Raises:
            ProgramError: one of them did not end cleanly.
        """
        if not self.cut_ns:
            await self.drain()
        await self.stop_gateway()
        for name, receiver in self.receivers.items():
            status = await receiver.stop()
            if status != 0:
                raise ProgramError(
                    f"the receiver of {name} ended with {status}. Its log ends: {receiver.tail()}"
                )
