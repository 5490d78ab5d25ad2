"""An OPC UA PLC with gas detectors and grounding contacts, as strict or as careless as told. Touches sockets (asyncua).

What it logs: every value change written (node, source time, value), and apart from it every change it really
handed to a subscriber, which is what counts as answered. Services are counted at the server, because nobody
between gateway and server can look into an encrypted link.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeAlias

from asyncua import ua
from asyncua.common.node import Node
from asyncua.common.utils import ServiceError
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hil.answers import LogFullError
from hil.opcua_admission import READ_SERVICES, Counting, Users
from hil.opcua_history import EPOCH, HISTORY_PAGE, History, NoHistory, source_us
from hil.pki import Credentials
from hil.ports import free_port

NAMESPACE_URI: Final = "urn:plantgate:hil"
APPLICATION_URI: Final = "urn:plantgate:hil:plc"
HOST: Final = "127.0.0.1"
MAX_LOGGED: Final = 1_000_000

Policy: TypeAlias = ua.SecurityPolicyType
"""A security policy together with a mode."""

STRICT: Final = (Policy.Basic256Sha256_SignAndEncrypt,)
SECURE: Final = (
    *(Policy.Basic256Sha256_Sign, Policy.Basic256Sha256_SignAndEncrypt),
    *(Policy.Aes128Sha256RsaOaep_Sign, Policy.Aes128Sha256RsaOaep_SignAndEncrypt),
    *(Policy.Aes256Sha256RsaPss_Sign, Policy.Aes256Sha256RsaPss_SignAndEncrypt),
)
"""Every policy and mode that is not considered broken (OPC 10000-7)."""
CARELESS: Final = (Policy.NoSecurity,)
"""What old controllers offer and nothing else."""


class Change(NamedTuple):
    """One value of one node, told apart by its source time.

    Attributes:
        node: the node's string identifier, e.g. ``GT-101``.
        source_ns: UTC nanoseconds, whole microseconds.
        value: as written; None where the status was bad.
    """

    node: str
    source_ns: int
    value: float | bool | None


class OpcuaPlc:
    """The server; ``ns=NAMESPACE_URI`` with one string node per detector and contact, and ``alive``.

    Args:
        credentials: its own certificate (RSA, see ``pki.opcua_application``).
        trusted: fingerprints of the client certificates it admits; all others are refused.
        gas: identifiers of the gas detectors (Double, %LEL).
        contacts: identifiers of the grounding contacts (Boolean, True = earthed).
        port: 0 picks a free one; it stays the same over ``stop`` and ``start``.
        policies: what it offers, e.g. ``STRICT``, ``SECURE`` or ``CARELESS``.
        users: name -> password; who has none of them does not come in.
        user_certificates: fingerprints of the certificates that name a user; likewise.
        history: whether it keeps what it measured and answers HistoryRead.
        history_page: so many values of a node it gives in one answer at most.

    Attributes:
        changes: every value written since it was made.
        sent: every value handed to a subscriber, in order; a value may be handed to several.
        sent_mono_ns: CLOCK_MONOTONIC at which each of ``sent`` was handed over.
        alive: how often ``show`` was called; also a node.
        running: whether it listens.
        services: how often each service was asked, by its name in OPC 10000-4; session opening apart, the
            services that need no session (GetEndpoints, ActivateSession, ...) are not counted.
    """

    def __init__(
        self,
        credentials: Credentials,
        trusted: Sequence[str],
        *,
        gas: Sequence[str],
        contacts: Sequence[str],
        port: int = 0,
        policies: Sequence[Policy] = STRICT,
        users: Mapping[str, str] | None = None,
        user_certificates: Sequence[str] = (),
        history: bool = False,
        history_page: int = HISTORY_PAGE,
    ) -> None:
        self.port = port or free_port(HOST)
        self.gas = tuple(gas)
        self.contacts = tuple(contacts)
        self.changes: list[Change] = []
        self.sent: list[Change] = []
        self.sent_mono_ns: list[int] = []
        self.services: Counter[str] = Counter()
        self._credentials = credentials
        self._trusted = frozenset(trusted)
        self._policies = list(policies)
        self._users = Users(users or {}, frozenset(user_certificates))
        self._history = History(self.hand_over, history_page) if history else NoHistory()
        self._server: Server | None = None
        self._nodes: dict[str, Node] = {}
        self._shown: dict[str, tuple[float | bool | None, int]] = {}
        self._bad: dict[str, int] = {}
        self._last_source_us = 0
        self.alive = 0
        self.running = False
        self._measuring = False

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"opc.tcp://{HOST}:{self.port}/"

    @property
    def writes_seen(self) -> int:
        """Requests for any service that is not a reading one."""
        return sum(count for name, count in self.services.items() if name not in READ_SERVICES)

    @property
    def history_continued(self) -> int:
        """Answers about a node's history that left the rest behind a continuation point."""
        return self._history.continued if isinstance(self._history, History) else 0

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self, shown: Mapping[str, float | bool] | None = None) -> None:
        """Listen; the first time takes two seconds, as asyncua builds the standard address space.

        Args:
            shown: what it has measured by the time it listens.

        Raises:
            OSError: the port is taken.
        """
        fresh = None if self._server is not None else await self._build()
        self._shown = {} if not self._measuring else self._shown
        self._measuring = True
        if shown is not None:
            await self.show(shown)
        if fresh is not None:
            await fresh.start()
            self._server = fresh
        elif not self.running:
            assert self._server is not None, "built above"
            await _listener(self._server).start()
        self.running = True

    async def stop(self, *, measuring: bool = False) -> None:
        """Cut every session and stop listening, as in a reboot; ``start`` brings it back.

        Args:
            measuring: only the line is cut: it goes on measuring, and keeping what it measures.
        """
        self._measuring = measuring
        if self._server is not None and self.running:
            self.running = False
            await _listener(self._server).stop()
            for session in tuple(self._server.iserver._external_sessions.values()):  # noqa: SLF001  no public list
                await session.close_session(delete_subs=True)

    async def close(self) -> None:
        """End it for good."""
        await self.stop()
        if self._server is not None:
            await self._server.iserver.stop()
            self._server = None

    async def _build(self) -> Server:
        server = Server(user_manager=self._users)  # type: ignore[arg-type]  # asyncua types its own class alone
        server.iserver.history_manager.set_storage(self._history)
        await server.init()
        server.set_endpoint(self.url)
        await server.set_application_uri(APPLICATION_URI)
        await server.load_certificate(self._credentials.certificate, "pem")
        await server.load_private_key(self._credentials.key, None, "pem")
        server.set_security_policy(self._policies, permission_ruleset=Counting(self.services))
        server.set_identity_tokens(self._users.tokens)
        server.iserver.certificate_validator = self._admit
        self._record_sent(server)
        index = await server.register_namespace(NAMESPACE_URI)
        self._nodes = {}
        for name in self.gas:
            self._nodes[name] = await _variable(server, index, name, ua.VariantType.Double)
        for name in self.contacts:
            self._nodes[name] = await _variable(server, index, name, ua.VariantType.Boolean)
        self._nodes["alive"] = await _variable(server, index, "alive", ua.VariantType.UInt32)
        if isinstance(self._history, History):
            for node in self._nodes.values():
                await node.set_attr_bit(AttributeIds.AccessLevel, ua.AccessLevel.HistoryRead)
                await node.set_attr_bit(AttributeIds.UserAccessLevel, ua.AccessLevel.HistoryRead)
                historizing = ua.DataValue(ua.Variant(True, ua.VariantType.Boolean))
                await node.write_attribute(AttributeIds.Historizing, historizing)
        return server

    async def show(self, values: Mapping[str, float | bool]) -> None:
        """Put the plant's values on the nodes; only what changed is written and logged, and ``alive`` counts.

        Nothing happens while the server is stopped: a PLC that is off measures nothing.
        """
        if not self._measuring:
            return
        self.alive = (self.alive + 1) & 0xFFFF_FFFF
        for name, value in (*values.items(), ("alive", self.alive)):
            status = self._bad.get(name, StatusCodes.Good)
            shown = (value if status == StatusCodes.Good else None, status)
            if self._shown.get(name) != shown:
                self._shown[name] = shown
                await self._write(name, value, status)

    def set_bad(self, name: str, status: int = StatusCodes.BadSensorFailure) -> None:
        """From the next ``show`` on this node carries a bad StatusCode instead of a value."""
        self._bad[name] = status

    def set_good(self, name: str) -> None:
        """The node is well again."""
        self._bad.pop(name, None)

    async def _write(self, name: str, value: float | bool, status: int) -> None:
        # A microsecond is the finest asyncua keeps, and two values of a node never share a source time.
        at_us = self._last_source_us = max(time.time_ns() // 1000, self._last_source_us + 1)
        moment = EPOCH + dt.timedelta(microseconds=at_us)
        good = status == StatusCodes.Good
        node = self._nodes[name]
        kind = _kind(name, self.gas, self.contacts)
        shown = ua.DataValue(
            Value=ua.Variant(value, kind) if good else ua.Variant(None),
            StatusCode=ua.StatusCode(ua.UInt32(status)),
            SourceTimestamp=ua.DateTime.fromisoformat(moment.isoformat()),
        )
        await node.write_value(shown)
        await self._history.save_node_value(node.nodeid, shown)
        _log(self.changes, Change(name, at_us * 1000, value if good else None))

    async def _admit(self, certificate: x509.Certificate, application: ua.ApplicationDescription) -> None:
        self.services["CreateSession"] += 1
        await CertificateValidator(
            CertificateValidatorOptions.EXT_VALIDATION | CertificateValidatorOptions.PEER_CLIENT
        ).validate(certificate, application)
        if certificate.fingerprint(hashes.SHA256()).hex() not in self._trusted:
            raise ServiceError(StatusCodes.BadCertificateUntrusted)

    def _record_sent(self, server: Server) -> None:
        # The one place that every notification passes once, whichever connection its session uses by then.
        service = server.iserver.subscription_service
        plain = service.create_subscription

        async def recorded(*args: Any, **options: Any) -> Any:
            result = await plain(*args, **options)
            subscription = service.subscriptions[result.SubscriptionId]
            pop = subscription._pop_publish_result  # noqa: SLF001  asyncua offers no public hook here

            def taken() -> ua.PublishResult:
                published = pop()
                link = getattr(subscription.pub_result_callback, "__self__", None)
                if link is None or link._transport.is_closing():  # noqa: SLF001  same: nobody hears this
                    return published
                items = subscription.monitored_item_srv._monitored_items.values()  # noqa: SLF001  same
                nodes = {item.client_handle: item.read_value_id for item in items}
                for data in published.NotificationMessage.NotificationData:
                    for item in getattr(data, "MonitoredItems", ()):
                        read = nodes[item.ClientHandle]
                        if read is not None:
                            self.hand_over(read.NodeId, item.Value)
                return published

            subscription._pop_publish_result = taken  # type: ignore[method-assign]  # noqa: SLF001  same
            return result

        service.create_subscription = recorded  # type: ignore[method-assign]

    def hand_over(self, node: ua.NodeId, value: ua.DataValue) -> None:
        """Log a value that a client is being given, whether published or out of the history."""
        if value.SourceTimestamp is None or node.Identifier not in self._nodes:
            return
        content = value.Value.Value if value.Value is not None else None
        self.log_sent(Change(str(node.Identifier), source_us(value.SourceTimestamp) * 1000, content))

    def log_sent(self, change: Change) -> None:
        """Where what was handed over is kept."""
        _log(self.sent, change)
        self.sent_mono_ns.append(time.monotonic_ns())


def _log(log: list[Change], change: Change) -> None:
    if len(log) >= MAX_LOGGED:
        raise LogFullError(f"the log holds {MAX_LOGGED} changes already: run shorter")
    log.append(change)


def _listener(server: Server) -> BinaryServer:
    assert server.bserver is not None, "the server was never started"
    return server.bserver


async def _variable(server: Server, index: int, name: str, kind: ua.VariantType) -> Node:
    empty = ua.DataValue(StatusCode=ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData)))
    place = ua.NodeId(ua.String(name), ua.Int16(index))
    node = await server.nodes.objects.add_variable(place, name, 0, varianttype=kind)
    await node.write_value(empty)
    return node


def _kind(name: str, gas: Sequence[str], contacts: Sequence[str]) -> ua.VariantType:
    if name in gas:
        return ua.VariantType.Double
    return ua.VariantType.Boolean if name in contacts else ua.VariantType.UInt32
