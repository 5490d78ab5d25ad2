"""An OPC UA PLC with gas detectors and grounding contacts, SignAndEncrypt only. Touches sockets (asyncua).

What it logs: every value change written (node, source time, value), and apart from it every change it really
handed to a subscriber, which is what counts as answered. Services are counted at the server, because nobody
between gateway and server can look into an encrypted link.
"""

from __future__ import annotations

import datetime as dt
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from asyncua import ua
from asyncua.common.node import Node
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import SimpleRoleRuleset, User
from asyncua.crypto.validator import CertificateValidator, CertificateValidatorOptions
from asyncua.server.binary_server_asyncio import BinaryServer
from asyncua.server.server import Server
from asyncua.ua.object_ids import ObjectIdNames
from asyncua.ua.status_codes import StatusCodes
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from hil.answers import LogFullError
from hil.pki import Credentials
from hil.ports import free_port

NAMESPACE_URI: Final = "urn:plantgate:hil"
APPLICATION_URI: Final = "urn:plantgate:hil:plc"
HOST: Final = "127.0.0.1"
MAX_LOGGED: Final = 1_000_000

READ_SERVICES: Final = frozenset(
    {
        *(
            "Read",
            "Browse",
            "BrowseNext",
            "TranslateBrowsePathsToNodeIds",
            "RegisterNodes",
            "UnregisterNodes",
        ),
        *("CreateSession", "CloseSession", "ActivateSession", "GetEndpoints", "FindServers"),
        *("CreateSubscription", "ModifySubscription", "DeleteSubscriptions", "TransferSubscriptions"),
        *("CreateMonitoredItems", "ModifyMonitoredItems", "DeleteMonitoredItems", "SetMonitoringMode"),
        *("SetPublishingMode", "Publish", "Republish", "HistoryRead", "CloseSecureChannel"),
    }
)
"""All a gateway may ever ask; any other service counts as a write seen."""

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


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
        self._server: Server | None = None
        self._nodes: dict[str, Node] = {}
        self._shown: dict[str, tuple[float | bool | None, int]] = {}
        self._bad: dict[str, int] = {}
        self._last_source_us = 0
        self.alive = 0
        self.running = False

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"opc.tcp://{HOST}:{self.port}/"

    @property
    def writes_seen(self) -> int:
        """Requests for any service that is not a reading one."""
        return sum(count for name, count in self.services.items() if name not in READ_SERVICES)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Listen; the first time takes two seconds, as asyncua builds the standard address space.

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            server = await self._build()
            await server.start()
            self._server = server
        elif not self.running:
            await _listener(self._server).start()
        self._shown = {}
        self.running = True

    async def stop(self) -> None:
        """Cut every session and stop listening, as in a reboot; ``start`` brings it back."""
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
        server = Server()
        await server.init()
        server.set_endpoint(self.url)
        await server.set_application_uri(APPLICATION_URI)
        await server.load_certificate(self._credentials.certificate, "pem")
        await server.load_private_key(self._credentials.key, None, "pem")
        server.set_security_policy(
            [ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt], permission_ruleset=_Counting(self.services)
        )
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        server.iserver.certificate_validator = self._admit
        self._record_sent(server)
        index = await server.register_namespace(NAMESPACE_URI)
        self._nodes = {}
        for name in self.gas:
            self._nodes[name] = await _variable(server, index, name, ua.VariantType.Double)
        for name in self.contacts:
            self._nodes[name] = await _variable(server, index, name, ua.VariantType.Boolean)
        self._nodes["alive"] = await _variable(server, index, "alive", ua.VariantType.UInt32)
        return server

    async def show(self, values: dict[str, float | bool]) -> None:
        """Put the plant's values on the nodes; only what changed is written and logged, and ``alive`` counts.

        Nothing happens while the server is stopped: a PLC that is off measures nothing.
        """
        if not self.running:
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
        source_us = self._last_source_us = max(time.time_ns() // 1000, self._last_source_us + 1)
        moment = _EPOCH + dt.timedelta(microseconds=source_us)
        good = status == StatusCodes.Good
        node = self._nodes[name]
        kind = _kind(name, self.gas, self.contacts)
        await node.write_value(
            ua.DataValue(
                Value=ua.Variant(value, kind) if good else ua.Variant(None),
                StatusCode=ua.StatusCode(ua.UInt32(status)),
                SourceTimestamp=ua.DateTime.fromisoformat(moment.isoformat()),
            )
        )
        self._log(self.changes, Change(name, source_us * 1000, value if good else None))

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
                        self._log_sent(nodes[item.ClientHandle], item.Value)
                return published

            subscription._pop_publish_result = taken  # type: ignore[method-assign]  # noqa: SLF001  same
            return result

        service.create_subscription = recorded  # type: ignore[method-assign]

    def _log_sent(self, read: ua.ReadValueId | None, value: ua.DataValue) -> None:
        if read is None or value.SourceTimestamp is None or read.NodeId.Identifier not in self._nodes:
            return
        moment: dt.datetime = value.SourceTimestamp
        source_us = (moment.replace(tzinfo=dt.UTC) - _EPOCH) // dt.timedelta(microseconds=1)
        content = value.Value.Value if value.Value is not None else None
        self._log(self.sent, Change(str(read.NodeId.Identifier), source_us * 1000, content))
        self.sent_mono_ns.append(time.monotonic_ns())

    @staticmethod
    def _log(log: list[Change], change: Change) -> None:
        if len(log) >= MAX_LOGGED:
            raise LogFullError(f"the log holds {MAX_LOGGED} changes already: run shorter")
        log.append(change)


class _Counting(SimpleRoleRuleset):
    """Sees every request of a session by type, counts it and lets only reading ones through."""

    def __init__(self, services: Counter[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._services = services

    def check_validity(self, user: User, action_type_id: ua.NodeId, body: Any) -> bool:
        del user, body
        name = ObjectIdNames[int(str(action_type_id.Identifier))].removesuffix(
            "Request_Encoding_DefaultBinary"
        )
        self._services[name] += 1
        return name in READ_SERVICES


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
