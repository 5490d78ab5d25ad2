"""Subscribes to OPC UA servers and posts what changes as columns. Owns the session and its life; writes nothing.

Secure only: Basic256Sha256, SignAndEncrypt, and the server's certificate must be one of the trusted files,
byte for byte, and in date. There is no way to go on without that (OPC 10000-4 sections 5.5 and 6.1.3).

Read-only by construction: every request of every client made here passes ``_Wire._send_request``, which
lets the services of ``READING_SERVICES`` through and no other, before anything is encoded.

asyncua gives protocol, encryption and services. Its supervisor, publish loop and reconnect are not used:
the loop that publishes here is the one that posts, measures silence and falls, and a client is used once.

Longer than 400 lines, because a driver is one file: options, security, and the life of one session.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
import random
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UaClientState, UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.uaerrors import UaError, UaStatusCodeError
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from drivers.kit.certificates import DistrustError, application_uri, certificate, in_date, trusted
from drivers.kit.contract import Post, SourceState
from drivers.kit.decode import Scaling, scaling
from drivers.kit.errors import PointError, SourceError, WriteRefusedError
from drivers.kit.options import refuse, within
from drivers.kit.quality import Cause, Status, bad
from drivers.kit.scan import Device, Point, Scan, missed
from drivers.kit.status_code import quality_of

DEFAULT_PORT: Final = 4840
BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
"""The wait before a new session is drawn from 0 to a bound that doubles between these two."""
KEEP_ALIVE_S: Final = 1.0
"""How often a server without news is asked to say that it lives."""
KEEP_ALIVE_MAX_S: Final = 10.0
"""Where the server insists on more, its clock is subscribed, too, so that silence is still noticed."""
GRACE_S: Final = 1.0
"""Silence is two keep-alives and this."""
SUBSCRIPTION_LIFE_S: Final = 30.0
"""A server drops our subscription after this long without us."""
SESSION_MS: Final = 60_000
"""A server drops our session after this long without us."""
CLOSE_S: Final = 0.4
"""A polite farewell may take this long; stopping must stay within a second."""
ITEMS_PER_CALL: Final = 500
"""Nodes in one request; servers limit it (MaxNodesPerRead, MaxMonitoredItemsPerCall)."""
REFUSED_RETRY_S: Final = 60.0
"""Nodes the server refused are asked for again after this time."""
TYPES: Final = frozenset(
    ("bit", "bool", "boolean", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
)
"""What a point may be called; the server itself says how its bytes are read, so any number may be any of them."""
CERTIFICATE_SUFFIXES: Final = frozenset({".pem", ".der", ".crt", ".cer"})

READING_SERVICES: Final = frozenset(
    getattr(ObjectIds, f"{name}Request_Encoding_DefaultBinary")
    for name in (
        "OpenSecureChannel",
        "CloseSecureChannel",
        "GetEndpoints",
        "FindServers",
        "CreateSession",
        "ActivateSession",
        "CloseSession",
        "Browse",
        "BrowseNext",
        "TranslateBrowsePathsToNodeIds",
        "RegisterNodes",
        "UnregisterNodes",
        "Read",
        "CreateSubscription",
        "ModifySubscription",
        "SetPublishingMode",
        "DeleteSubscriptions",
        "CreateMonitoredItems",
        "ModifyMonitoredItems",
        "DeleteMonitoredItems",
        "Publish",
        "Republish",
    )
)
"""Type identifiers of the requests that may leave this house."""

_SECURITY_WORDS: Final = ("BadCertificate", "BadSecurity", "BadIdentity", "BadUserAccess", "BadNonce")
_ADDRESS: Final = re.compile(r"(?:ns=(\d{1,5});|nsu=([^;]+);)?([isgb])=(.+)")
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND: Final = dt.timedelta(microseconds=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """A device's own keys in gateway.toml.

    Attributes:
        url: ``opc.tcp://host:port/path`` of the server.
        certificate: the gateway's own certificate, PEM or DER.
        private_key: its key, PEM or DER.
        trusted: the server's certificate, or a folder of trusted ones.
        application_uri: as in the own certificate; "" takes it from there.
        sampling_ms: how often the server looks at a node.
        publishing_ms: how often it tells us what changed.
        timeout_s: how long an answer may take.
    """

    url: str
    certificate: Path
    private_key: Path
    trusted: Path
    application_uri: str = ""
    sampling_ms: float = 1000.0
    publishing_ms: float = 500.0
    timeout_s: float = 4.0

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            right = parts.scheme == "opc.tcp" and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right:
            refuse(
                "url",
                f"“{self.url}”不是 OPC UA 服务器地址。",
                f'"{self.url}" is not the address of an OPC UA server.',
                f" opc.tcp://主机:{DEFAULT_PORT}",
                f"opc.tcp://host:{DEFAULT_PORT}",
            )
        within("sampling_ms", self.sampling_ms, 0, 3_600_000)
        within("publishing_ms", self.publishing_ms, 50, 60_000)
        within("timeout_s", self.timeout_s, 0.1, 60)

    @property
    def endpoint(self) -> str:
        """The address with its port."""
        parts = urlsplit(self.url)
        port = "" if parts.port else f":{DEFAULT_PORT}"
        return parts._replace(netloc=parts.netloc + port).geturl()


@dataclass(frozen=True, slots=True)
class _Node:
    """An address as written; which index its namespace has is known only once connected."""

    uri: str | None
    index: int
    identifier: str

    def resolve(self, namespaces: Sequence[str]) -> ua.NodeId | None:
        """The node on this server, None if it does not know the namespace."""
        index = self.index
        if self.uri is not None:
            if self.uri not in namespaces:
                return None
            index = namespaces.index(self.uri)
        return ua.NodeId.from_string(f"ns={index};{self.identifier}")


def _parse(address: str) -> _Node:
    try:
        if match := _ADDRESS.fullmatch(address.strip()):
            node = _Node(match[2], int(match[1] or 0), f"{match[3]}={match[4]}")
            node.resolve((match[2],) if match[2] else ())
            return node
    except (ValueError, TypeError, UaError):
        pass  # said below, in both languages
    raise PointError(
        "address",
        {"zh": f"“{address}”不是 OPC UA 节点。", "en": f'"{address}" is not an OPC UA node.'},
        {
            "zh": "请写 nsu=命名空间URI;s=名称(推荐)或 ns=2;s=名称。",
            "en": "Write nsu=namespace URI;s=name (better) or ns=2;s=name.",
        },
    )


def check_point(point: Point, options: Options) -> None:  # noqa: ARG001 - every driver's signature
    """May this point stand in the point table?

    Raises:
        PointError: it cannot be read as written.
    """
    _parse(point.address)
    scaling(point.scale, point.offset)
    if point.type not in TYPES:
        known = ", ".join(sorted(TYPES))
        zh, en = f"不认识数据类型“{point.type}”。", f'The type "{point.type}" is not known.'
        refuse("type", zh, en, f"空,或 {known}", f"nothing, or one of {known}")
    if point.bit is not None:
        refuse("bit", "OPC UA 的点没有位号。", "An OPC UA point has no bit number.", "空", "nothing")


def connect(device: Device, options: Options, post: Post) -> OpcUaSource:
    """A source for this device; opens nothing yet.

    Raises:
        PointError: a point cannot be read as written.
    """
    return OpcUaSource(device, options, post)


class _Wire(UASocketProtocol):
    """asyncua's connection with a door in it: the last place before encoding and socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        super().connection_lost(exc)
        self.gone.set()

    def _send_request(
        self, request: Any, timeout: float = 1, message_type: Any = ua.MessageType.SecureMessage
    ) -> asyncio.Future[Any]:
        kind = request.TypeId
        if kind.NamespaceIndex != 0 or kind.Identifier not in READING_SERVICES:
            raise WriteRefusedError(f"{type(request).__name__} is not a reading service")
        return super()._send_request(request, timeout, message_type)


class _OwnLoop(UaSession):
    """A session whose publish loop is the source's own."""

    def ensure_publish_loop(self) -> None:
        """Start nothing: ``OpcUaSource`` publishes, so that silence and errors reach it."""


class _Transport(UaClient):
    """asyncua's client, made of the two classes above."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.session = _OwnLoop(self)
        self.wire: _Wire | None = None

    def _make_protocol(self) -> _Wire:
        self.wire = self.protocol = wire = _Wire(self._timeout, security_policy=self.security_policy)
        wire.on_connection_lost = self._on_transport_lost
        wire.is_session_closing = self._is_session_closing
        return wire

    async def connect_socket(self, host: str, port: int) -> None:
        """As asyncua's, but without its ``asyncio.wait_for``, which on 3.11 can forget a cancellation."""
        self._set_state(UaClientState.CONNECTING)
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.get_running_loop().create_connection(self._make_protocol, host, port)
        except BaseException:
            self._set_state(UaClientState.DISCONNECTED)
            raise
        self._set_state(UaClientState.SOCKET_OPEN)

    async def leave(self) -> None:
        """Leave no socket behind, whatever state it is in."""
        wire = self.wire
        if wire is not None and not wire.gone.is_set() and wire.transport is not None:
            wire.transport.abort()
            await wire.gone.wait()


@dataclass(slots=True)
class _Standing:
    """A session that stands, with its subscription.

    Attributes:
        nodes: row -> node, of points whose namespace the server knows.
        silence_s: so long without a word means that it stands no more.
        renew_at: monotonic seconds at which the channel's keys must be renewed.
        retry_at: monotonic seconds at which refused nodes are tried again.
    """

    client: Client
    session: UaSession
    nodes: dict[int, ua.NodeId]
    subscription_id: int
    silence_s: float
    renew_at: float
    refused: list[int]
    retry_at: float


class OpcUaSource:
    """An OPC UA server being followed; see ``kit.contract.Source``.

    Changes are posted as they are published, one scan per publish. While there is no session nothing changes,
    so its loss is posted once, and again only when its cause changes.
    """

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        self._device = device
        self._options = options
        self._post = post
        self._nodes = [_parse(point.address) for point in device.points]
        self._rows = np.arange(len(device.points), dtype=np.uint16)
        self._scaling = Scaling.of(device.points)
        self._fallen: Cause | None = None
        self._connected = False
        self._since_ns = time.time_ns()
        self._detail = f"{options.endpoint}: not connected yet"
        names = ("publishes", "changes", "misses", "refused", "reconnects")
        self._counters = dict.fromkeys(names, 0)

    def state(self) -> SourceState:
        """How the source is now."""
        return SourceState(self._connected, self._since_ns, self._detail, dict(self._counters))

    async def run(self) -> None:
        """Follow for ever and post scans; ends by cancellation only."""
        failures = 0
        while True:
            published = self._counters["publishes"]
            try:
                async with self._opened() as client:
                    await self._follow(await self._subscribe(client))
            except SourceError as error:
                self._fall(error)
            _stop_if_asked()
            failures = failures + 1 if self._counters["publishes"] == published else 0
            bound_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, bound_s))  # noqa: S311 - jitter, no secret

    async def read(self) -> Scan:
        """Read every point once over a session of its own.

        Raises:
            SourceError: the server could not be reached or trusted.
        """
        async with self._opened() as client:
            session = client.uaclient.session
            nodes = await self._resolve(session)
            found: dict[int, ua.DataValue | None] = dict.fromkeys(range(len(self._nodes)))
            for rows in _pages(nodes):
                with _translated(self._options.endpoint):
                    values = await session.read_attributes([nodes[row] for row in rows], AttributeIds.Value)
                found.update(zip(rows, values, strict=True))
        return self._scan(found)

    # --- one session ------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[Client]:
        """A client with an activated, secured session, taken down afterwards in any state."""
        own, key, uri = self._own_credentials()
        server_certificate = await self._trusted_server_certificate()
        mode = ua.MessageSecurityMode.SignAndEncrypt
        async with self._client() as client:
            with _translated(self._options.endpoint):
                policy: Any = SecurityPolicyBasic256Sha256(server_certificate, own, key, mode)  # type: ignore[no-untyped-call]
                client.application_uri = uri
                client.session_timeout = SESSION_MS
                client.security_policy = policy
                client.uaclient.set_security(policy)
                await self._open_channel(client)
                await client.create_session()
                await client.activate_session()
            yield client

    async def _open_channel(self, client: Client) -> None:
        await client.connect_socket()
        await client.send_hello()
        await client.open_secure_channel()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        """A client for one connection, which leaves neither session nor socket behind."""
        client = Client(self._options.endpoint, timeout=self._options.timeout_s)
        client.uaclient = transport = _Transport(self._options.timeout_s)
        try:
            yield client
        finally:
            if transport.state in (UaClientState.CHANNEL_OPEN, UaClientState.CONNECTED):
                await self._farewell(client)
            await transport.leave()

    async def _farewell(self, client: Client) -> None:
        """Tell the server that its session is free again, if it still listens."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await client.close_session()
                await client.close_secure_channel()
        except asyncio.CancelledError:
            _stop_if_asked()
        except (UaError, OSError) as error:
            log.debug("%s: no farewell: %s", self._device.name, error)

    async def _trusted_server_certificate(self) -> x509.Certificate:
        """Ask the server for its certificate and compare it with the trusted ones.

        Raises:
            SourceError: unreachable, or not to be trusted.
        """
        path = self._options.trusted
        with self._fail_closed():
            found = sorted(path.iterdir()) if path.is_dir() else [path]
            chosen = [file for file in found if file == path or file.suffix.lower() in CERTIFICATE_SUFFIXES]
            files = {file.name: file.read_bytes() for file in chosen}
        async with self._client() as client:
            with _translated(self._options.endpoint):
                await self._open_channel(client)
                endpoints = await client.get_endpoints()
        offered = [
            endpoint.ServerCertificate
            for endpoint in endpoints
            if endpoint.SecurityPolicyUri == SecurityPolicyBasic256Sha256.URI
            and endpoint.SecurityMode == ua.MessageSecurityMode.SignAndEncrypt
        ]
        with self._fail_closed():
            if not offered:
                raise DistrustError("the server offers no Basic256Sha256 SignAndEncrypt endpoint")
            return trusted(offered[0] or b"", files, dt.datetime.now(dt.UTC))

    def _own_credentials(self) -> tuple[x509.Certificate, Any, str]:
        """Own certificate, its key, and the application URI both sides know it by."""
        options = self._options
        with self._fail_closed():
            own = certificate(options.certificate.read_bytes(), str(options.certificate))
            in_date(own, f"the gateway's own certificate {options.certificate}", dt.datetime.now(dt.UTC))
            content = options.private_key.read_bytes()
            pem = content.lstrip().startswith(b"-----BEGIN")
            load = serialization.load_pem_private_key if pem else serialization.load_der_private_key
            try:
                key = load(content, None)
            except (ValueError, TypeError) as error:
                raise DistrustError(f"{options.private_key} is not a private key without password") from error
            uri = options.application_uri or application_uri(own, str(options.certificate))
        return own, key, uri

    @contextmanager
    def _fail_closed(self) -> Iterator[None]:
        """Doubt about a certificate, or no way to read one, ends the attempt."""
        try:
            yield
        except DistrustError as error:
            raise SourceError(Cause.REFUSED, f"{self._options.endpoint}: {error}") from error
        except OSError as error:
            what = f"{error.filename}: {error.strerror}"
            raise SourceError(Cause.REFUSED, f"{self._options.endpoint}: {what}") from error

    async def _resolve(self, session: UaSession) -> dict[int, ua.NodeId]:
        """Row -> node, of points whose namespace this server knows."""
        with _translated(self._options.endpoint):
            array = ua.NodeId.from_string(f"i={ObjectIds.Server_NamespaceArray}")
            (answer,) = await session.read_attributes([array], AttributeIds.Value)
            namespaces = list(answer.Value.Value or ()) if answer.Value is not None else []
        nodes = ((row, node.resolve(namespaces)) for row, node in enumerate(self._nodes))
        return {row: node for row, node in nodes if node is not None}

    async def _subscribe(self, client: Client) -> _Standing:
        """One subscription for all points; nodes the server refuses are posted bad."""
        session, options = client.uaclient.session, self._options
        nodes = await self._resolve(session)
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = options.publishing_ms
        parameters.RequestedMaxKeepAliveCount = max(1, round(1000 * KEEP_ALIVE_S / options.publishing_ms))
        parameters.RequestedLifetimeCount = max(
            3 * parameters.RequestedMaxKeepAliveCount,
            round(1000 * SUBSCRIPTION_LIFE_S / options.publishing_ms),
        )
        parameters.PublishingEnabled = True
        with _translated(options.endpoint):
            made = await session.create_subscription(parameters, _ignore)
        keep_alive_s = made.RevisedPublishingInterval * made.RevisedMaxKeepAliveCount / 1000
        now = time.monotonic()
        standing = _Standing(
            client=client,
            session=session,
            nodes=nodes,
            subscription_id=made.SubscriptionId,
            silence_s=2 * min(keep_alive_s, KEEP_ALIVE_MAX_S) + GRACE_S,
            renew_at=now + 0.75 * client.secure_channel_timeout / 1000,
            refused=[],
            retry_at=now + REFUSED_RETRY_S,
        )
        if keep_alive_s > KEEP_ALIVE_MAX_S:
            clock = ua.NodeId.from_string(f"i={ObjectIds.Server_ServerStatus_CurrentTime}")
            await self._monitor(standing, {len(self._nodes): clock})
        await self._monitor(standing, nodes)
        standing.refused += [row for row in range(len(self._nodes)) if row not in nodes]
        self._say_refused(standing.refused)
        return standing

    async def _monitor(self, standing: _Standing, nodes: dict[int, ua.NodeId]) -> None:
        """Add items; what the server refuses joins ``standing.refused``."""
        for rows in _pages(nodes):
            request = ua.CreateMonitoredItemsParameters()
            request.SubscriptionId = standing.subscription_id
            request.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.ItemsToCreate = [self._item(row, nodes[row]) for row in rows]
            with _translated(self._options.endpoint):
                results = await standing.session.create_monitored_items(request)
            standing.refused += [
                row for row, result in zip(rows, results, strict=True) if not result.StatusCode.is_good()
            ]

    def _item(self, row: int, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        """One point's item; the newest value alone is kept, so that a publish has one value per point."""
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = node
        item.ItemToMonitor.AttributeId = AttributeIds.Value
        item.MonitoringMode = ua.MonitoringMode.Reporting
        item.RequestedParameters.ClientHandle = row
        item.RequestedParameters.SamplingInterval = self._options.sampling_ms
        item.RequestedParameters.QueueSize = 1
        item.RequestedParameters.DiscardOldest = True
        return item

    async def _follow(self, standing: _Standing) -> None:
        """Publish for ever.

        Raises:
            SourceError: the session stands no more.
        """
        acknowledge: list[ua.SubscriptionAcknowledgement] = []
        while True:
            with _translated(self._options.endpoint):
                async with asyncio.timeout(standing.silence_s):
                    response = await standing.session.publish(acknowledge)
                response.ResponseHeader.ServiceResult.check()
                result = response.Parameters
                message = result.NotificationMessage
                changes = self._changes(message.NotificationData or ())
            acknowledge = []
            if message.NotificationData:
                done = ua.SubscriptionAcknowledgement()
                done.SubscriptionId = result.SubscriptionId
                done.SequenceNumber = message.SequenceNumber
                acknowledge = [done]
            self._counters["publishes"] += 1
            self._stand()
            if changes:
                self._counters["changes"] += len(changes)
                self._post(self._scan(changes))
            await self._upkeep(standing)

    async def _upkeep(self, standing: _Standing) -> None:
        """Between two publishes: fresh keys in time, another try for refused nodes."""
        now = time.monotonic()
        if now >= standing.renew_at:
            with _translated(self._options.endpoint):
                await standing.client.open_secure_channel(renew=True)
                standing.client.uaclient.revolve_security_token()
            standing.renew_at = now + 0.75 * standing.client.secure_channel_timeout / 1000
        if standing.refused and now >= standing.retry_at:
            again = {row: standing.nodes[row] for row in standing.refused if row in standing.nodes}
            standing.refused = [row for row in standing.refused if row not in standing.nodes]
            standing.retry_at = now + REFUSED_RETRY_S
            await self._monitor(standing, again)

    def _changes(self, notifications: Iterable[Any]) -> dict[int, ua.DataValue | None]:
        """Row -> newest value. The server's clock has a row behind the last and is only a sign of life."""
        changes: dict[int, ua.DataValue | None] = {}
        for notification in notifications:
            if isinstance(notification, ua.DataChangeNotification):
                for item in notification.MonitoredItems:
                    if item.ClientHandle < len(self._nodes):
                        changes[item.ClientHandle] = item.Value
            elif isinstance(notification, ua.StatusChangeNotification):
                raise SourceError(
                    Cause.COMM, f"{self._options.endpoint}: subscription ended, {notification.Status.name}"
                )
        return changes

    # --- what is said -----------------------------------------------------------------------------------

    def _scan(self, found: dict[int, ua.DataValue | None]) -> Scan:
        """Columns of these rows; None stands for a node the server does not have."""
        rows = np.array(sorted(found), dtype=np.uint16)
        column = np.full(len(self._nodes), np.nan)
        states = np.full(len(rows), bad(Cause.REFUSED), dtype=np.uint8)
        source_ns = np.zeros(len(rows), dtype=np.int64)
        for place, row in enumerate(rows.tolist()):
            value = found[row]
            if value is not None:
                column[row], states[place], source_ns[place] = _reading(value)
        with np.errstate(all="ignore"):  # an overflow is judged below, not warned about
            self._scaling.apply(column)
        values = column[rows]
        usable = (states & 3) != Status.BAD
        states[usable & ~np.isfinite(values)] = bad(Cause.DEVICE_FAULT)
        values[(states & 3) == Status.BAD] = np.nan
        return Scan(
            device=self._device.name,
            config_rev=self._device.config_rev,
            points=rows,
            values=values,
            quality=states,
            taken_ns=time.time_ns(),
            taken_mono_ns=time.monotonic_ns(),
            source_ns=source_ns if source_ns.any() else None,
        )

    def _say_refused(self, rows: list[int]) -> None:
        own = sorted(row for row in rows if row < len(self._nodes))
        if own:
            self._counters["refused"] += len(own)
            names = ", ".join(self._device.points[row].name for row in own[:5])
            log.warning("%s: the server does not give %d points: %s", self._device.name, len(own), names)
            self._post(self._scan(dict.fromkeys(own)))

    def _stand(self) -> None:
        if not self._connected:
            self._connected, self._since_ns, self._fallen = True, time.time_ns(), None
            self._detail = self._options.endpoint
            self._counters["reconnects"] += 1
            log.info("%s: %s", self._device.name, self._detail)

    def _fall(self, error: SourceError) -> None:
        """Say once that nothing can be read, and again when the cause changes."""
        self._counters["misses"] += 1
        self._detail = error.detail
        if self._connected or self._fallen is not error.quality_cause:
            if self._connected:
                self._connected, self._since_ns = False, time.time_ns()
            log.warning("%s: %s", self._device.name, error.detail)
            self._fallen = error.quality_cause
            at = (time.time_ns(), time.monotonic_ns())
            self._post(missed(self._device, self._rows, error.quality_cause, *at))


def _reading(value: ua.DataValue) -> tuple[float, int, int]:
    """Value, quality and source time of one data value."""
    stamp = value.SourceTimestamp
    source_ns = 0 if stamp is None else _since_epoch_ns(stamp)
    state = quality_of(value.StatusCode.value if value.StatusCode is not None else 0)
    raw = value.Value.Value if value.Value is not None else None
    if state & 3 == Status.BAD:
        return math.nan, state, source_ns
    if not isinstance(raw, (bool, int, float)):
        return math.nan, bad(Cause.GARBLED), source_ns
    return float(raw), state, source_ns


def _since_epoch_ns(stamp: dt.datetime) -> int:
    aware = stamp if stamp.tzinfo is not None else stamp.replace(tzinfo=dt.UTC)
    return (aware - _EPOCH) // _MICROSECOND * 1000


def _pages(nodes: dict[int, ua.NodeId]) -> Iterator[list[int]]:
    rows = sorted(nodes)
    for start in range(0, len(rows), ITEMS_PER_CALL):
        yield rows[start : start + ITEMS_PER_CALL]


def _ignore(_: object) -> None:
    """Does nothing: asyncua wants a callback; ``_follow`` takes the answers itself."""


def _stop_if_asked() -> None:
    """End the task if it was cancelled, even if a library lost that on its way.

    On 3.11 ``asyncio.wait_for`` may return a result instead, and what fails while a cancelled call is being
    cleaned up replaces the cancellation.

    Raises:
        CancelledError: the task was asked to stop.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


@contextmanager
def _translated(endpoint: str) -> Iterator[None]:
    """Whatever asyncua raises becomes a SourceError here; a cancellation goes before everything.

    Raises:
        SourceError: the call failed.
    """
    try:
        yield
    except (SourceError, WriteRefusedError):
        _stop_if_asked()
        raise
    except (Exception, asyncio.CancelledError) as error:
        # asyncua names no list of what it raises, and a hostile server can make it raise anything
        _stop_if_asked()
        raise _meaning(endpoint, error) from error
    _stop_if_asked()


def _meaning(endpoint: str, error: BaseException) -> SourceError:
    """What an exception out of asyncua says about the server."""
    if isinstance(error, (TimeoutError, asyncio.CancelledError)):  # the latter: a time-out met an answer
        return SourceError(Cause.COMM, f"{endpoint}: no answer in time")
    if isinstance(error, UaStatusCodeError):
        name = ua.StatusCode(error.code).name
        cause = Cause.REFUSED if name.startswith(_SECURITY_WORDS) else Cause.COMM
        return SourceError(cause, f"{endpoint}: the server answers {name}")
    if isinstance(error, OSError):
        return SourceError(Cause.COMM, f"{endpoint}: {error.strerror or error}")
    what = f"{type(error).__name__}: {error}"
    return SourceError(Cause.GARBLED, f"{endpoint}: the server's answer makes no sense ({what})")
