"""Runs a real mosquitto with mutual TLS on a loopback port. Touches a folder, a process, a probe socket."""

from __future__ import annotations

import asyncio
import getpass
import ssl
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hil.pki import Authority, Credentials
from hil.ports import free_port
from hil.processes import Tree, find_tool, start

READY_TIMEOUT_S: Final = 10.0
PROBE_TIMEOUT_S: Final = 2.0
PROBE_POLL_S: Final = 0.02
HOST: Final = "127.0.0.1"

# MQTT 5 section 3.1: CONNECT, clean start, keep-alive 10 s, no properties, empty client id.
_CONNECT: Final = bytes.fromhex("100d00044d5154540502000a000000")
_CONNACK: Final = 0x20


class BrokerError(RuntimeError):
    """The broker did not come up; the text quotes the end of its log."""


class Broker:
    """A mosquitto of our own: certificates of its own, a user per certificate name, nothing anonymous.

    The gateway (user = its certificate's common name = ``gateway``) may publish on its own topics and read
    its receipts and orders; each receiver may read everything and publish receipts and orders under its own name,
    nothing else.

    Args:
        folder: certificates, configuration, log and store; made if missing. One folder per broker.
        site: site id in the topics.
        gateway: gateway id in the topics and its certificate's name.
        receivers: names of the receivers.
        persistence: whether the broker keeps its store on disk over a kill.
        server: another server certificate than the good one, e.g. an expired one.
        settings: further lines of mosquitto.conf, e.g. ``("max_queued_messages 10",)``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        site: str = "site",
        gateway: str = "gateway",
        receivers: Sequence[str] = ("receiver",),
        persistence: bool = False,
        server: Credentials | None = None,
        settings: Sequence[str] = (),
    ) -> None:
        self.program = find_tool("mosquitto", "mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.host = HOST
        self.port = free_port(HOST)
        self.authority = Authority(folder / "pki", f"Plantgate bench CA of {folder.name}")
        self.gateway = self.authority.client(gateway)
        self.receivers = {name: self.authority.client(name) for name in receivers}
        self.log = folder / "mosquitto.log"
        self._tree: Tree | None = None
        self._probe_tls = _client_tls(self.authority.client("bench-probe"))
        self._configuration = folder / "mosquitto.conf"
        access = folder / "mosquitto.acl"
        access.write_text(_access_list(site, gateway, receivers), encoding="utf-8")
        store = [f"persistence_location {folder}/", "autosave_interval 1", "autosave_on_changes true"]
        good = server or self.authority.server()
        lines = [
            f"user {getpass.getuser()}",
            "per_listener_settings false",
            "allow_anonymous false",
            f"acl_file {access}",
            "log_dest stderr",
            "connection_messages true",
            "set_tcp_nodelay true",
            f"persistence {str(persistence).lower()}",
            *(store if persistence else ()),
            *settings,
            f"listener {self.port} {HOST}",
            f"cafile {self.authority.ca_file}",
            f"certfile {good.certificate}",
            f"keyfile {good.key}",
            "require_certificate true",
            "use_identity_as_username true",
        ]
        self._configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._tree is not None and self._tree.returncode is None

    async def start(self) -> None:
        """Start it and wait until it answered an MQTT CONNECT.

        Raises:
            BrokerError: it ended, or did not answer within ``READY_TIMEOUT_S``.
        """
        self._tree = start([self.program, "-c", str(self._configuration)], log=self.log)
        try:
            await self._until_ready(self._tree)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """SIGKILL, as a power cut would; the port stays ours for ``restart``."""
        if self._tree is not None:
            self._tree.kill()
            self._tree = None

    async def stop(self) -> None:
        """SIGTERM: it closes its connections and, with persistence, saves its store."""
        if self._tree is not None:
            await self._tree.stop()
            self._tree = None

    async def restart(self) -> None:
        """Kill it if it runs, then start it on the same port."""
        self.kill()
        await self.start()

    async def _until_ready(self, tree: Tree) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_TIMEOUT_S
        while not await self._answers():
            if tree.returncode is not None or loop.time() > end:
                tail = self.log.read_text(encoding="utf-8", errors="replace")[-500:]
                raise BrokerError(f"mosquitto on port {self.port} did not come up. Its log ends: {tail}")
            await asyncio.sleep(PROBE_POLL_S)

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                reader, writer = await asyncio.open_connection(self.host, self.port, ssl=self._probe_tls)
                try:
                    writer.write(_CONNECT)
                    return (await reader.readexactly(4))[0] == _CONNACK
                finally:
                    writer.transport.abort()
        except (OSError, TimeoutError, EOFError):
            return False


def _client_tls(client: Credentials) -> ssl.SSLContext:
    # The probe asks whether the broker answers, not whether its certificate is good: tests plant bad ones.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(client.certificate, client.key)
    return context


def _access_list(site: str, gateway: str, receivers: Sequence[str]) -> str:
    root = f"plantgate/1/{site}/{gateway}"
    lines = [f"user {gateway}", f"topic write {root}/+", f"topic read {root}/receipt/+"]
    lines.append(f"topic read {root}/order/+/+")
    for name in receivers:
        lines += [
            "",
            f"user {name}",
            "topic read plantgate/1/#",
            f"topic write plantgate/1/+/+/receipt/{name}",
            f"topic write plantgate/1/+/+/order/{name}/+",
        ]
    return "\n".join(lines) + "\n"
