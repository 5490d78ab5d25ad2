"""Follows OPC UA servers and posts what changes as columns. Owns the session and its life; writes nothing.

Longer than 400 lines, because a driver is one file and asyncua is imported in no other: options, security, browsing,
and the life of one session. What could be decided without asyncua is in the kit.

Fails closed: the server's certificate must be one of the trusted files, byte for byte, and in date; an unknown one
is kept in the rejected folder for a person to judge (OPC 10000-4 sections 5.5 and 6.1.3). Without encryption only
by an explicit ``insecure = true``, which stays a warning for as long as it stands.

Read-only by construction: every request of every client made here passes ``_Wire._send_request``, which
lets the services of ``READING_SERVICES`` through and no other, before anything is encoded.

asyncua gives protocol, encryption and services. Its supervisor, publish loop, reconnect and decoding of values are
not used: the loop that publishes here is the one that posts, measures silence and falls, a client is used once, and
``kit.ua_answer`` makes columns of the bytes.

For technicians, without a running gateway:
    async offered(options) -> list[Offer]            what the server shows; an unknown certificate joins ``rejected``
    async browse(options, root="", depth=2) -> list[BrowseRow]
    stored_certificates(options) -> list[Stored]     own, trusted, rejected
    own_certificate(options) -> Stored               made if there is none yet; raises DistrustError, OSError
    trust(options, fingerprint) -> Stored            rejected -> trusted; raises DistrustError, OSError
``offered`` and ``browse`` raise SourceError, ``browse`` PointError for a root that is no node.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import errno
import logging
import random
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import numpy as np
from asyncua import ua
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UaClientState, UASocketProtocol
from asyncua.client.ua_session import UaSession
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import (
    SecurityPolicyAes128Sha256RsaOaep,
    SecurityPolicyAes256Sha256RsaPss,
    SecurityPolicyBasic256Sha256,
    SecurityPolicyNone,
)
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError
from cryptography import x509

from drivers.kit import news, pace, status_code, ua_address
from drivers.kit.backfill import NODES, PAUSE_S, VALUES, Backfill, Owed, Page, offers_none, told_until_ns
from drivers.kit.certificates import (
    DistrustError,
    Facts,
    UnknownError,
    application_uri,
    certificate,
    in_date,
    no_certificates,
    trusted,
)
from drivers.kit.contract import Post, SourceState
from drivers.kit.data_value import DataValues, TornError
from drivers.kit.errors import SourceError, WriteRefusedError
from drivers.kit.quality import Cause, bad
from drivers.kit.scan import Device, IndexArray, Scan, missed
from drivers.kit.ua_answer import FaultError, Published, history_answer, publish_answer, read_answer
from drivers.kit.ua_columns import Columns, Taken, Watch, unknown
from drivers.kit.ua_options import Options, check_point
from drivers.wire import certificate_files
from drivers.wire.certificate_files import Stored
from drivers.wire.lane import Lane

ABSENT_MAX_S: Final = 0.5
"""While nobody listens, the next try comes after at most this: it costs nothing, and the first value is near."""
BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
"""Once a server answers, the wait before a new session is drawn from 0 to a bound that doubles between these two."""
REFUSED_FIRST_S: Final = 1.0
REFUSED_MAX_S: Final = 30.0
"""The same where a person must do something: a wrong password asked too often locks an account."""
CONNECT_MAX_S: Final = 2.0
"""A box that is switched off answers no SYN; waiting longer only delays the next one."""
KEEP_ALIVE_S: Final = 1.0
"""How often a server without news is asked to say that it lives."""
KEEP_ALIVE_MAX_S: Final = 10.0
"""Where the server insists on more, silence is measured by its clock, which is subscribed, too."""
CLOCK_SAMPLING_MS: Final = 1000.0
GRACE_S: Final = 1.0
"""Silence is two keep-alives and this."""
SUBSCRIPTION_LIFE_S: Final = 30.0
"""A server drops our subscription after this long without us."""
SESSION_MS: Final = 60_000
"""A server drops our session after this long without us."""
CHANNEL_MS: Final = 3_600_000
"""The channel's keys are asked to last so long, and renewed at three quarters of what the server grants."""
POLL_STEP_S: Final = 10.0
"""Between two polls the server is asked for its clock so often, or thrice in the life it grants a session."""
POLL_STEP_LEAST_S: Final = 0.1
CLOSE_S: Final = 0.4
"""A polite farewell may take this long; stopping must stay within a second."""
MAX_SEQUENCE: Final = 2**32 - 1
"""After a message of this number comes one with number 1."""
TOLD_MESSAGES: Final = 20
"""Points of which nothing came with so many messages have no part in reading the history."""
ITEMS_PER_CALL: Final = 500
"""Nodes in one request, where the server names no smaller limit (MaxNodesPerRead, MaxMonitoredItemsPerCall, …)."""
UPKEEP_S: Final = 10.0
"""A session without news is looked after so often."""
TRUST_CHECK_S: Final = 30.0
"""The trusted files are read again after this time, so that what is taken out ends its session within a minute."""
REFUSED_RETRY_S: Final = 60.0
"""Nodes the server refused are asked for again after this time."""
NAMED_REFUSED: Final = 5
"""So many refused nodes are named; the rest is a number."""
MAX_CHUNK_BYTES: Final = 1 << 20
MAX_MESSAGE_BYTES: Final = 32 << 20
"""A server that sends longer ones is cut off; asyncua alone would keep everything that comes."""
NO_PLANT: Final = (ObjectIds.Server, ObjectIds.Aliases, ObjectIds.Locations)
"""What every server has in its Objects folder; left out unless asked for."""
MAX_BROWSED: Final = 20_000
"""Rows of one browse."""
BROWSE_MAX_S: Final = 60.0
"""So long one may take."""
_POLICIES: Final[dict[str, Any]] = {
    "Basic256Sha256": SecurityPolicyBasic256Sha256,
    "Aes128Sha256RsaOaep": SecurityPolicyAes128Sha256RsaOaep,
    "Aes256Sha256RsaPss": SecurityPolicyAes256Sha256RsaPss,
}
_SECURITY_MODES: Final = {
    "Sign": ua.MessageSecurityMode.Sign,
    "SignAndEncrypt": ua.MessageSecurityMode.SignAndEncrypt,
}
_IDENTITIES: Final = {
    "anonymous": ua.UserTokenType.Anonymous,
    "password": ua.UserTokenType.UserName,
    "certificate": ua.UserTokenType.Certificate,
}

READING_SERVICES: Final = frozenset(
    getattr(ObjectIds, f"{name}Request_Encoding_DefaultBinary")
    for name in (
        "OpenSecureChannel",
        "CloseSecureChannel",
        "GetEndpoints",
        "CreateSession",
        "ActivateSession",
        "CloseSession",
        "Browse",
        "BrowseNext",
        "Read",
        "HistoryRead",
        "CreateSubscription",
        "CreateMonitoredItems",
        "Publish",
    )
)
"""Type identifiers of the requests that may leave this house: those it needs."""

_SECURITY_WORDS: Final = ("BadCertificate", "BadSecurity", "BadIdentity", "BadUser", "BadNonce")
_NO_DEADBAND: Final = frozenset(
    {
        StatusCodes.BadMonitoredItemFilterUnsupported,
        StatusCodes.BadMonitoredItemFilterInvalid,
        StatusCodes.BadFilterNotAllowed,
        StatusCodes.BadDeadbandFilterInvalid,
    }
)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DEMANDS: Final = ("No matching endpoints", "BadSecurity")
"""What an attempt without security meets where there must be some."""
_FILES: Final = "files of certificates and secrets"
T = TypeVar("T")
__all__ = ["Options", "check_point", "connect", "polled"]  # what kit.contract wants of a driver

log = logging.getLogger(__name__)
# Whatever asyncua meets reaches us as an exception and is said once; its own lines would be said at every attempt, and
# its debug lines would show passwords. Its server, which only the bench runs, speaks for itself.
logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
logging.getLogger("asyncua.server").setLevel(logging.WARNING)


def polled(options: Options) -> bool:
    """Is every point posted in every period? See ``kit.contract``."""
    return options.mode == "poll"


def connect(device: Device, options: Options, post: Post) -> OpcUaSource:
    """A source for this device; opens nothing yet.

    Raises:
        PointError: a point cannot be read as written.
    """
    return OpcUaSource(device, options, post)


# --- for technicians ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Offer:
    """An endpoint of a server.

    Attributes:
        url: where the server says it is.
        security_policy: a key of ``POLICIES``, ``None``, or the URI's last part of one that is not used here.
        security_mode: ``None``, ``Sign`` or ``SignAndEncrypt``.
        identities: keys of ``IDENTITIES`` whom it lets in.
        usable: could it be used with the right options?
        facts: of the certificate it shows; None where it shows none.
        trusted: is that certificate trusted, and in date?
        reason: why not, "" if it is.
    """

    url: str
    security_policy: str
    security_mode: str
    identities: tuple[str, ...]
    usable: bool
    facts: Facts | None
    trusted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class BrowseRow:
    """A node.

    Attributes:
        node: as the point table's ``address`` wants it, with ``nsu=`` outside of namespace 0.
        depth: 1 for the children of the root.
        name: as the server displays it.
        kind: ``object`` or ``variable``.
        type: of a variable's value, e.g. ``Double``, with ``[]`` for an array; "" where there is none.
        value: as read, arrays as text; None where there is none.
        status: "Good", or the status's name; "" of an object.
    """

    node: str
    depth: int
    name: str
    kind: str
    type: str
    value: bool | int | float | str | None
    status: str


def own_certificate(options: Options) -> Stored:
    """The gateway's own certificate; made if neither it nor its key exists yet, never replaced.

    Raises:
        DistrustError: what is there cannot be used.
        OSError: a file cannot be read or written.
    """
    return certificate_files.own_certificate(*options.own_files, options.application_uri)


def stored_certificates(options: Options) -> list[Stored]:
    """What lies in the places these options name."""
    return [
        *certificate_files.stored("own", options.own_files[0]),
        *certificate_files.stored("trusted", options.trusted_place),
        *certificate_files.stored("rejected", options.rejected_folder),
    ]


def trust(options: Options, fingerprint: str) -> Stored:
    """Move a rejected certificate, named by its whole fingerprint, to the trusted ones.

    Raises:
        DistrustError: no or several certificates have it, or it is out of date.
        OSError: it cannot be moved.
    """
    return certificate_files.trust(fingerprint, options.rejected_folder, options.trusted_place)


async def offered(options: Options) -> list[Offer]:
    """What a server offers, and which certificates it shows; unknown ones join the rejected folder.

    Raises:
        SourceError: it cannot be reached, or a file or folder stands in the way.
    """
    link = _Link(options)
    return [await link.judged(endpoint) for endpoint in await link.endpoints()]


async def browse(options: Options, root: str = "", depth: int = 2) -> list[BrowseRow]:
    """Objects and variables below a node, parents before children, with values; at most ``MAX_BROWSED``.

    Args:
        options: as for reading.
        root: address of a node; "" is the Objects folder, without what every server has in it.
        depth: levels below it.

    Raises:
        SourceError: the server cannot be reached or trusted, or does not know the root.
        PointError: the root is no address.
    """
    start = ua_address.parse(root or f"i={ObjectIds.ObjectsFolder}")
    async with _Link(options).opened() as client:
        about = await _about(client, options.endpoint)
        node = start.on(about.namespaces)
        if node is None:
            raise SourceError(Cause.REFUSED, f"{options.endpoint}: the server does not know {start.uri}")
        with _translated(options.endpoint):
            return await _Browse(client.uaclient.session, about, bool(root)).below(node, depth)


class _Browse:
    """One walk through a server's address space."""

    def __init__(self, session: _Session, about: _About, with_server: bool) -> None:
        self._session = session
        self._about = about
        self._seen = set() if with_server else {ua.NodeId.from_string(f"i={number}") for number in NO_PLANT}
        self._rows: list[tuple[int, ua.ReferenceDescription]] = []
        self._ends_at = time.monotonic() + BROWSE_MAX_S

    async def below(self, root: str, depth: int) -> list[BrowseRow]:
        """Level by level, then sorted so that children follow their parents."""
        start = ua.NodeId.from_string(root)
        self._seen.add(start)
        tree: dict[ua.NodeId, list[tuple[int, ua.ReferenceDescription]]] = {}
        level = [start]
        for deep in range(1, depth + 1):
            children = await self._children(level, strict=deep == 1)
            for parent, found in zip(level, children, strict=True):
                tree[parent] = [(deep, one) for one in found]
            level = [one.NodeId for found in children for one in found]
            if not level:
                break
        pending = list(reversed(tree.get(start, ())))
        while pending:
            self._rows.append(pending.pop())
            pending.extend(reversed(tree.get(self._rows[-1][1].NodeId, ())))
        return await self._told()

    async def _children(
        self, parents: list[ua.NodeId], *, strict: bool
    ) -> list[list[ua.ReferenceDescription]]:
        """New nodes below each of these."""
        found: list[list[ua.ReferenceDescription]] = []
        for page in _pages(parents, self._about.browse):
            self._check_time()
            parameters = ua.BrowseParameters()
            parameters.NodesToBrowse = [_hierarchy(node) for node in page]
            for result in await self._session.browse(parameters):
                if strict:
                    result.StatusCode.check()
                here = [one for one in result.References or () if self._is_new(one)]
                listed = {one.NodeId for one in result.References or ()}
                while result.ContinuationPoint and len(self._seen) < MAX_BROWSED:
                    self._check_time()
                    more = ua.BrowseNextParameters()
                    more.ContinuationPoints = [result.ContinuationPoint]
                    (result,) = await self._session.browse_next(more)  # noqa: PLW2901 - the rest of it
                    here += [one for one in result.References or () if self._is_new(one)]
                    added = {one.NodeId for one in result.References or ()} - listed
                    if not added:  # a server that goes round in circles
                        break
                    listed |= added
                found.append(here)
        return found

    def _check_time(self) -> None:
        """Between two requests.

        Raises:
            SourceError: it takes too long.
        """
        if time.monotonic() > self._ends_at:
            what = f"browsing takes longer than {BROWSE_MAX_S:.0f} s; name a root further down"
            raise SourceError(Cause.COMM, what)

    def _is_new(self, one: ua.ReferenceDescription) -> bool:
        node = one.NodeId
        node = one.NodeId = ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType)
        if node in self._seen or len(self._seen) >= MAX_BROWSED:
            return False
        self._seen.add(node)
        return True

    async def _told(self) -> list[BrowseRow]:
        variables = [one.NodeId for _, one in self._rows if one.NodeClass == ua.NodeClass.Variable]
        values: dict[ua.NodeId, ua.DataValue] = {}
        for page in _pages(variables, self._about.read):
            self._check_time()
            answers = await self._session.read_attributes(page, AttributeIds.Value)
            values.update(zip(page, answers, strict=True))
        return [self._row(depth, one, values.get(one.NodeId)) for depth, one in self._rows]

    def _row(self, depth: int, one: ua.ReferenceDescription, value: ua.DataValue | None) -> BrowseRow:
        node = ua_address.with_uri(one.NodeId.to_string(), self._about.namespaces)
        name = one.DisplayName.Text or one.BrowseName.Name or ""
        if value is None:
            return BrowseRow(node, depth, name, "object", "", None, "")
        variant = value.Value
        kind, plain = "", None
        if variant is not None and variant.Value is not None:
            many = isinstance(variant.Value, (list, tuple))
            kind = getattr(variant.VariantType, "name", "Custom") + ("[]" if many else "")
            plain = (
                variant.Value if isinstance(variant.Value, (bool, int, float, str)) else str(variant.Value)
            )
        status = value.StatusCode.name if value.StatusCode is not None else "Good"
        return BrowseRow(node, depth, name, "variable", kind, plain, status)


def _hierarchy(node: ua.NodeId) -> ua.BrowseDescription:
    """Its children, objects and variables only."""
    wanted = ua.BrowseDescription()
    wanted.NodeId = node
    wanted.BrowseDirection = ua.BrowseDirection.Forward
    wanted.ReferenceTypeId = ua.NodeId.from_string(f"i={ObjectIds.HierarchicalReferences}")
    wanted.IncludeSubtypes = True
    wanted.NodeClassMask = ua.NodeClass.Object | ua.NodeClass.Variable
    wanted.ResultMask = ua.BrowseResultMask.All
    return wanted


# --- one connection -------------------------------------------------------------------------------------------


class _AbsentError(SourceError):
    """Nobody listens there."""


class _Wire(UASocketProtocol):
    """asyncua's connection with a door in it: the last place before encoding and socket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gone = asyncio.Event()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        super().connection_lost(exc)
        self.gone.set()

    def data_received(self, data: bytes) -> None:
        """Called by the loop; what grows beyond all bounds is cut off."""
        super().data_received(data)
        unfinished = len(self.receive_buffer) if self.receive_buffer else 0
        whole = self._connection._incoming_size  # noqa: SLF001 - asyncua lets the server set its limits
        if (unfinished > MAX_CHUNK_BYTES or whole > MAX_MESSAGE_BYTES) and self.transport is not None:
            self.transport.abort()

    def _send_request(
        self, request: Any, timeout: float = 1, message_type: Any = ua.MessageType.SecureMessage
    ) -> asyncio.Future[Any]:
        kind = request.TypeId
        if kind.NamespaceIndex != 0 or kind.Identifier not in READING_SERVICES:
            raise WriteRefusedError(f"{type(request).__name__} is not a reading service")
        return super()._send_request(request, timeout, message_type)

    def ask(self, request: Any, timeout_s: float = 0.0) -> asyncio.Future[Buffer]:
        """Send a request; its answer comes undecoded."""
        return self._send_request(request, timeout_s)


class _Session(UaSession):
    """A session whose publish loop is the source's own."""

    def ensure_publish_loop(self) -> None:
        """Start nothing: ``OpcUaSource`` publishes, so that silence and errors reach it."""


class _Transport(UaClient):
    """asyncua's client, made of the two classes above."""

    session: _Session

    def __init__(self, timeout_s: float) -> None:
        super().__init__(timeout_s)
        self.session = _Session(self)
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
            async with asyncio.timeout(min(self._timeout, CONNECT_MAX_S)):
                await asyncio.get_running_loop().create_connection(self._make_protocol, host, port)
        except BaseException:
            self._set_state(UaClientState.DISCONNECTED)
            raise
        self._set_state(UaClientState.SOCKET_OPEN)

    def ask(self, request: Any, timeout_s: float = 0.0) -> asyncio.Future[Buffer]:
        """Send a request; its answer comes undecoded."""
        if self.wire is None:
            raise ConnectionError("not connected")
        return self.wire.ask(request, timeout_s)

    async def answer(self, request: Any) -> bytes:
        """Send a request and wait for its answer, undecoded."""
        future = self.ask(request, self._timeout)
        try:
            async with asyncio.timeout(self._timeout):
                return _content(await future)
        finally:
            _forget(future)

    async def leave(self) -> None:
        """Leave no socket behind, whatever state it is in."""
        wire = self.wire
        if wire is not None and not wire.gone.is_set() and wire.transport is not None:
            wire.transport.abort()
            await wire.gone.wait()


def _content(answer: Buffer) -> bytes:
    content: bytes = answer.read(len(answer))
    return content


def _forget(future: asyncio.Future[Any]) -> None:
    """Nobody waits for it any more; what it failed with is known or does not matter."""
    if not future.cancel() and not future.cancelled():
        future.exception()


def _seen(future: asyncio.Future[Any]) -> None:
    """What it failed with is raised where it is waited for, if anybody still does."""
    if not future.cancelled():
        future.exception()


class _Client(Client):
    """asyncua's client with our transport."""

    uaclient: _Transport


@dataclass(frozen=True, slots=True)
class _Kept:
    """What lies in files for one attempt.

    Attributes:
        known: name -> content of the trusted files.
        own: certificate and key; None where there is no security.
        user: of ``identity = "certificate"``.
        password: of ``identity = "password"``.
    """

    known: dict[str, bytes]
    own: tuple[x509.Certificate, Any] | None = None
    user: tuple[x509.Certificate, Any] | None = None
    password: str = field(default="", repr=False)


class _Link:
    """How a server is reached: security, identity, and what is known of both sides' certificates."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._files: Lane[Any] = Lane("opcua files")
        self._peer = b""
        self._broken: list[str] = []
        self._judge_at = 0.0
        self._judging: asyncio.Future[dict[str, bytes]] | None = None
        self.facts: dict[str, Facts] = {}

    async def endpoints(self) -> list[Any]:
        """What the server offers, asked without security; nothing of it is trusted yet.

        Raises:
            SourceError: unreachable.
        """
        async with self._client() as client:
            await self._open_channel(client)
            with _translated(self._options.endpoint):
                return list(await client.get_endpoints())

    async def judged(self, endpoint: Any) -> Offer:
        """One endpoint for a person's eyes.

        Raises:
            SourceError: a folder of certificates cannot be read or written.
        """
        policy = str(endpoint.SecurityPolicyUri).rpartition("#")[2]
        for name, known in _POLICIES.items():
            policy = name if endpoint.SecurityPolicyUri == known.URI else policy
        mode = endpoint.SecurityMode.name.rstrip("_")
        kinds = {token.TokenType for token in endpoint.UserIdentityTokens or ()}
        facts, reason = None, "no certificate is shown"
        with self._fail_closed():
            if endpoint.ServerCertificate:
                reason = ""
                try:
                    facts = Facts.of(certificate(endpoint.ServerCertificate, "what the server shows"))
                    known = await self._from_files(self._known)
                    await self._trusted(endpoint.ServerCertificate, known)
                except DistrustError as error:
                    reason = str(error)
        return Offer(
            url=str(endpoint.EndpointUrl),
            security_policy=policy,
            security_mode=mode,
            identities=tuple(name for name, kind in _IDENTITIES.items() if kind in kinds),
            usable=policy in _POLICIES or policy == "None",
            facts=facts,
            trusted=not reason,
            reason=reason,
        )

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[_Client]:
        """A client with an activated session, taken down afterwards in any state.

        Raises:
            SourceError: unreachable, or not to be trusted, or it does not let us in.
        """
        options = self._options
        uri = options.application_uri or f"urn:{socket.gethostname()}:plantgate"
        policy: Any = SecurityPolicyNone()  # type: ignore[no-untyped-call]
        kept = _Kept({})
        self._peer, self._judging = b"", None
        if not options.insecure or options.identity != "anonymous":
            with self._fail_closed():
                kept = await self._from_files(self._gather)
        if kept.own is not None:
            own, key = kept.own
            with self._fail_closed():
                whose = f"the gateway's own certificate {options.own_files[0]}"
                in_date(own, whose, dt.datetime.now(dt.UTC))
                uri = options.application_uri or application_uri(own, str(options.own_files[0]))
            self.facts["gateway's own"] = Facts.of(own)
            peer = await self._server_certificate(kept.known)
            mode = _SECURITY_MODES[options.security_mode]
            policy = _POLICIES[options.security_policy](peer, own, key, mode)
        async with self._client() as client:
            client.application_uri = uri
            client.session_timeout = max(SESSION_MS, round(4 * options.publishing_ms))
            client.secure_channel_timeout = CHANNEL_MS
            client.security_policy = policy
            client.uaclient.set_security(policy)
            try:
                await self._open_channel(client)
                with _translated(options.endpoint):
                    await client.create_session()
            except SourceError as error:
                if options.insecure and any(word in error.detail for word in _DEMANDS):
                    what = "the server demands encryption: take insecure = true out and trust its certificate"
                    raise SourceError(Cause.REFUSED, f"{options.endpoint}: {what}") from error
                raise
            with self._fail_closed():
                identity = await self._identity(client, kept)
            with _translated(options.endpoint):
                await client.activate_session(**identity)
            yield client

    async def _open_channel(self, client: _Client) -> None:
        try:
            with _translated(self._options.endpoint):
                await client.connect_socket()
        except SourceError as error:
            raise _AbsentError(error.quality_cause, error.detail) from error
        with _translated(self._options.endpoint):
            await client.send_hello()
            await client.open_secure_channel()

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[_Client]:
        """A client for one connection, which leaves neither session nor socket behind."""
        client = _Client(self._options.endpoint, timeout=self._options.timeout_s)
        client.name = client.description = "Plantgate"
        client.product_uri = "urn:plantgate"
        client.uaclient = transport = _Transport(self._options.timeout_s)
        try:
            yield client
        finally:
            try:
                if transport.state in (UaClientState.CHANNEL_OPEN, UaClientState.CONNECTED):
                    await self._farewell(client)
            finally:
                await transport.leave()

    async def _farewell(self, client: _Client) -> None:
        """Tell the server that its session is free again, if it still listens."""
        try:
            async with asyncio.timeout(CLOSE_S):
                await client.close_session()
                await client.close_secure_channel()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - as in _translated
            log.debug("%s: no farewell: %s", self._options.endpoint, type(error).__name__)
        _stop_if_asked()

    async def _server_certificate(self, known: dict[str, bytes]) -> x509.Certificate:
        """Ask the server for its certificate and compare it with the trusted ones.

        Raises:
            SourceError: unreachable, or not to be trusted.
        """
        options = self._options
        wanted = (_POLICIES[options.security_policy].URI, _SECURITY_MODES[options.security_mode])
        endpoints = await self.endpoints()
        shown = [
            endpoint.ServerCertificate
            for endpoint in endpoints
            if (endpoint.SecurityPolicyUri, endpoint.SecurityMode) == wanted
        ]
        with self._fail_closed():
            if not any(endpoint.SecurityMode in _SECURITY_MODES.values() for endpoint in endpoints):
                raise DistrustError(
                    "the server offers no encryption (only None): switch on "
                    f"{options.security_policy} {options.security_mode} over there, "
                    "or set insecure = true to do without"
                )
            if not shown:
                offers = (
                    f"{str(endpoint.SecurityPolicyUri).rpartition('#')[2]} {endpoint.SecurityMode.name}"
                    for endpoint in endpoints
                )
                raise DistrustError(
                    f"the server offers no {options.security_policy} {options.security_mode} endpoint, "
                    f"only {', '.join(sorted(set(offers))) or 'none'}"
                )
            return await self._trusted(shown[0] or b"", known)

    def _begin(self, work: Callable[[], T]) -> asyncio.Future[T] | None:
        """Start with files in a thread, because a disk may never answer; None while earlier work hangs.

        Raises:
            OSError: there is no thread to be had.
        """
        out = self._files.ask(work)
        if out is not None:
            out.add_done_callback(_seen)
        return out

    async def _from_files(self, work: Callable[[], T]) -> T:
        """What comes of work with files.

        Raises:
            DistrustError: as the work does.
            OSError: as the work does, or it takes too long.
        """
        out = self._begin(work)
        if out is not None:
            await asyncio.wait({out}, timeout=self._options.timeout_s)
        if out is None or not out.done():
            raise TimeoutError(errno.ETIMEDOUT, "the disk does not answer in time", _FILES)
        return out.result()

    def _known(self) -> dict[str, bytes]:
        """In a thread: the trusted files; nothing lies there until somebody trusts something."""
        return certificate_files.trusted_files(self._options.trusted_place)

    def _gather(self) -> _Kept:
        """In a thread: everything an attempt needs; an own certificate is made at its usual place if nobody did.

        Raises:
            DistrustError: something cannot be used.
            OSError: something cannot be read.
        """
        options = self._options
        own = user = None
        if not options.insecure:
            if options.certificate is None and options.private_key is None:
                own_certificate(options)
            own = certificate_files.own_pair(*options.own_files)
        word = ""
        if options.identity == "certificate":
            assert options.user_certificate is not None, "Options require it"
            assert options.user_key is not None, "Options require it"
            user = certificate_files.own_pair(options.user_certificate, options.user_key)
        elif options.identity == "password":
            assert options.password_file is not None, "Options require it"
            word = certificate_files.password(options.password_file)
        return _Kept(self._known(), own, user, word)

    async def _trusted(self, shown: bytes, known: dict[str, bytes]) -> x509.Certificate:
        """Only what is trusted; what is unknown is kept for a person to look at.

        Raises:
            DistrustError: it is not trusted.
        """
        self._broken = no_certificates(known)
        try:
            peer = trusted(shown, known, dt.datetime.now(dt.UTC))
        except UnknownError as error:
            try:
                kept = await self._from_files(
                    partial(certificate_files.reject, self._options.rejected_folder, shown)
                )
            except (DistrustError, OSError) as problem:
                log.debug("%s: not kept: %s", self._options.endpoint, problem)
                raise error from None
            raise DistrustError(f"{error}; kept as {kept}, see `plantgate opcua trust`") from error
        self.facts["server's"] = Facts.of(peer)
        self._peer, self._judge_at = shown, time.monotonic() + TRUST_CHECK_S
        return peer

    async def _identity(self, client: _Client, kept: _Kept) -> dict[str, Any]:
        """What ``activate_session`` takes, once the server is known to protect it.

        Raises:
            DistrustError: the server does not let such users in, or a secret would travel readably.
        """
        options = self._options
        tokens: list[Any] = client._policy_ids or []  # noqa: SLF001 - asyncua offers no other way to choose
        fitting = [token for token in tokens if token.TokenType == _IDENTITIES[options.identity]]
        if not fitting:
            there = {name for name, kind in _IDENTITIES.items() if kind in {t.TokenType for t in tokens}}
            raise DistrustError(
                f'the server lets no identity = "{options.identity}" in, only {", ".join(sorted(there)) or "none"}'
            )
        if options.identity == "anonymous":
            return {}
        uris = {policy.URI for policy in _POLICIES.values()}
        safe = [t for t in fitting if (t.SecurityPolicyUri or client.security_policy.URI) in uris]
        encrypted = client.security_policy.Mode == ua.MessageSecurityMode.SignAndEncrypt
        if not safe and (options.identity == "certificate" or not encrypted):
            raise DistrustError(
                f'identity = "{options.identity}" cannot be used here: the server would have it unprotected'
            )
        if options.insecure:  # the token is encrypted for whoever owns this certificate
            await self._trusted(client.security_policy.peer_certificate or b"", kept.known)
        client._policy_ids = safe or fitting  # noqa: SLF001 - same
        if kept.user is not None:
            user, client.user_private_key = kept.user
            in_date(user, f"the user certificate {options.user_certificate}", dt.datetime.now(dt.UTC))
            self.facts["user's"] = Facts.of(user)
            return {"certificate": user}
        return {"username": options.username, "password": kept.password}

    def check_trust(self) -> None:
        """While a session stands: dates each time, and now and then the trusted files, without waiting for them.

        Raises:
            SourceError: a certificate has ended, or was taken out of the trusted ones.
        """
        self._still_in_date()
        now = time.monotonic()
        if self._judging is not None and self._judging.done():
            out, self._judging = self._judging, None
            with self._fail_closed():
                known = out.result()
                self._broken = no_certificates(known)
                trusted(self._peer, known, dt.datetime.now(dt.UTC))
        elif self._judging is None and self._peer and now >= self._judge_at:
            self._judge_at = now + TRUST_CHECK_S
            with self._fail_closed():
                self._judging = self._begin(self._known)

    def _still_in_date(self) -> None:
        now = dt.datetime.now(dt.UTC)
        for whose, facts in self.facts.items():
            if not facts.begins <= now <= facts.ends:
                what = f"the {whose} certificate has expired on {facts.ends:%Y-%m-%d}"
                if now < facts.begins:
                    what = f"the {whose} certificate is not valid before {facts.begins:%Y-%m-%d}, says this box's clock"
                raise SourceError(Cause.REFUSED, f"{self._options.endpoint}: {what}")

    def warning(self) -> str:
        """What a person should change although it works."""
        now = dt.datetime.now(dt.UTC)
        found = (
            ["no encryption, no check of whom we talk to (insecure = true)"] if self._options.insecure else []
        )
        found += [f"{name} is no certificate: mend or remove it" for name in self._broken]
        found += [
            f"the {whose} certificate ends on {facts.ends:%Y-%m-%d}, in {facts.days_left(now)} days"
            for whose, facts in sorted(self.facts.items())
            if facts.ends_soon(now)
        ]
        return "; ".join(found)

    @contextmanager
    def _fail_closed(self) -> Iterator[None]:
        """Doubt about a certificate, or no way to read one, ends the attempt."""
        try:
            yield
        except DistrustError as error:
            raise SourceError(Cause.REFUSED, f"{self._options.endpoint}: {error}") from error
        except OSError as error:
            what = f"{error.filename or _FILES}: {error.strerror}"
            raise SourceError(Cause.REFUSED, f"{self._options.endpoint}: {what}") from error


@dataclass(frozen=True, slots=True)
class _About:
    """What a server says of itself.

    Attributes:
        namespaces: their URIs, by index.
        read, items, history, browse: nodes in one request.
    """

    namespaces: tuple[str, ...]
    read: int
    items: int
    history: int
    browse: int


async def _about(client: _Client, endpoint: str) -> _About:
    """Namespaces and operation limits, in one read."""
    limits = "Server_ServerCapabilities_OperationLimits_"
    names = (
        "Server_NamespaceArray",
        f"{limits}MaxNodesPerRead",
        f"{limits}MaxMonitoredItemsPerCall",
        f"{limits}MaxNodesPerHistoryReadData",
        f"{limits}MaxNodesPerBrowse",
    )
    nodes = [ua.NodeId.from_string(f"i={getattr(ObjectIds, name)}") for name in names]
    with _translated(endpoint):
        array, *rest = await client.uaclient.session.read_attributes(nodes, AttributeIds.Value)
        found = array.Value.Value if array.Value is not None else None
        namespaces = tuple(str(uri) for uri in found or ())
        read, items, history, nodes_browsed = (_limit(answer) for answer in rest)
    return _About(namespaces, read, items, min(history, NODES), nodes_browsed)


def _limit(answer: ua.DataValue) -> int:
    value = answer.Value.Value if answer.Value is not None else None
    named = value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else ITEMS_PER_CALL
    return min(named, ITEMS_PER_CALL)


def _pages(nodes: Sequence[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(nodes), size):
        yield list(nodes[start : start + size])


# --- the life of one session ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Standing:
    """A session that stands.

    Attributes:
        subscription_id: 0 where it is polled.
        silence_s: so long without a word means that it stands no more.
        heard_at: monotonic seconds of the last word.
        clock_silence_s: the same for the server's clock, once it was seen to move; 0 where it is not subscribed.
        clock_at, clock_seen: when it was told last, and how often.
        next_sequence: number that the next message must have; the first has 1 (OPC 10000-4 section 7.21).
        renew_at: monotonic seconds at which the channel's keys must be renewed.
        nodes: row -> node, of points the server knows the namespace of.
        refused: row -> what the server says of it.
        named: periods whose refused nodes are known, where it is polled.
        retry_at: monotonic seconds at which refused nodes are tried again.
        told: everything was told once.
        published: so many messages came.
        ask_at: monotonic seconds before which the server's history is not asked for more.
        asked: the request for it that is under way.
    """

    client: _Client
    about: _About
    renew_at: float
    retry_at: float
    subscription_id: int = 0
    silence_s: float = 0.0
    heard_at: float = 0.0
    clock_silence_s: float = 0.0
    clock_at: float = 0.0
    clock_seen: int = 0
    next_sequence: int = 1
    nodes: dict[int, ua.NodeId] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)
    named: set[int] = field(default_factory=set)
    without_deadband: set[int] = field(default_factory=set)
    told: bool = False
    published: int = 0
    ask_at: float = 0.0
    asked: asyncio.Future[Buffer] | None = None

    def silences(self) -> Iterator[tuple[float, float, str]]:
        """Since when what is awaited, how long it may take, and what to say then."""
        yield self.heard_at, self.silence_s, "no sign of life"
        if self.clock_silence_s and self.clock_seen > 1:
            yield self.clock_at, self.clock_silence_s, "its clock has not been told"

    def awaited(self) -> set[asyncio.Future[Buffer]]:
        """Answers to come besides the publish."""
        return set() if self.asked is None else {self.asked}


class OpcUaSource:
    """An OPC UA server being followed; see ``kit.contract.Source``.

    Changes are posted as they are published. While there is no session nothing changes, so its loss is posted
    once, and again only when its cause changes. Where it is polled, every point is posted in every period instead,
    bad while there is no session.
    """

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        self._device = device
        self._options = options
        self._post = post
        self._link = _Link(options)
        self._addresses = [ua_address.parse(point.address) for point in device.points]
        self._rows = np.arange(len(device.points), dtype=np.uint16)
        self._columns = Columns(device)
        self._groups: dict[int, list[int]] = {}
        for row, point in enumerate(device.points):
            period_s = device.period_s if point.period_s is None else point.period_s
            self._groups.setdefault(pace.period_ns(period_s), []).append(row)
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._watches: dict[int, Watch] = {}
        self._no_history = np.full(len(device.points), not options.history)
        self._owed = Owed()
        self._server_ns = 0
        self._fallen: Cause | None = None
        self._connected = False
        self._since_ns = time.time_ns()
        self._detail = f"{options.endpoint}: not connected yet"
        self._refused = ""
        names = (
            *("publishes", "changes", "misses", "refused", "reconnects"),
            *("overflows", "gaps", "history", "history_given_up", "overruns"),
        )
        self._counters = dict.fromkeys(names, 0)

    def state(self) -> SourceState:
        """How the source is now."""
        said = [self._link.warning(), self._refused if self._connected else ""]
        detail = f"{self._detail}; {self._refused}" if self._connected and self._refused else self._detail
        return SourceState(
            self._connected,
            self._since_ns,
            detail,
            dict(self._counters),
            warning="; ".join(word for word in said if word),
        )

    async def run(self) -> None:
        """Follow for ever and post scans; ends by cancellation only."""
        if not self._addresses:
            await asyncio.get_running_loop().create_future()  # nothing is to be read
        if self._options.mode == "poll":
            for period, rows in self._groups.items():
                self._repeat(period, np.array(rows, dtype=np.uint16), None)
        try:
            await self._live()
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _live(self) -> None:
        """One session after the other."""
        failures = 0
        while True:
            heard = self._counters["publishes"]
            first_s, most_s = BACKOFF_FIRST_S, BACKOFF_MAX_S
            try:
                async with self._link.opened() as client:
                    standing = await self._prepared(client)
                    if self._options.mode == "poll":
                        await self._poll(standing)
                    else:
                        await self._subscribe(standing)
                        await self._follow(standing)
            except SourceError as error:
                self._fall(error)
                if isinstance(error, _AbsentError):
                    failures, first_s, most_s = 0, ABSENT_MAX_S, ABSENT_MAX_S
                elif error.quality_cause is Cause.REFUSED:
                    first_s, most_s = REFUSED_FIRST_S, REFUSED_MAX_S
            _stop_if_asked()
            failures = failures + 1 if self._counters["publishes"] == heard else 0
            bound_s = min(most_s, first_s * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, bound_s))  # noqa: S311 - jitter, no secret

    async def read(self) -> Scan:
        """Read every point once over a session of its own.

        Raises:
            SourceError: the server could not be reached or trusted.
        """
        if not self._addresses:
            return missed(self._device, self._rows, Cause.COMM, *_now())
        async with self._link.opened() as client:
            standing = await self._prepared(client)
            found = await self._values(standing, range(len(self._addresses)))
        return Columns(self._device).reading(found, _now())

    async def _prepared(self, client: _Client) -> _Standing:
        """What every use of a session needs first."""
        about = await _about(client, self._options.endpoint)
        now = time.monotonic()
        standing = _Standing(
            client,
            about,
            renew_at=now + 0.75 * client.secure_channel_timeout / 1000,
            retry_at=now + REFUSED_RETRY_S,
        )
        self._resolve(standing)
        return standing

    def _resolve(self, standing: _Standing) -> None:
        """Which node each point is on this server; what it does not know the namespace of is refused."""
        for row, address in enumerate(self._addresses):
            text = address.on(standing.about.namespaces)
            if text is None:
                standing.refused[row] = f"namespace {address.uri} unknown"
            elif row not in standing.nodes:
                standing.nodes[row] = ua.NodeId.from_string(text)

    # --- subscribed -------------------------------------------------------------------------------------

    async def _subscribe(self, standing: _Standing) -> None:
        """One subscription for all points; nodes the server refuses are posted bad."""
        options = self._options
        parameters = ua.CreateSubscriptionParameters()
        parameters.RequestedPublishingInterval = options.publishing_ms
        parameters.RequestedMaxKeepAliveCount = max(1, round(1000 * KEEP_ALIVE_S / options.publishing_ms))
        parameters.RequestedLifetimeCount = max(
            3 * parameters.RequestedMaxKeepAliveCount,
            round(1000 * SUBSCRIPTION_LIFE_S / options.publishing_ms),
        )
        parameters.PublishingEnabled = True
        with _translated(options.endpoint, 'without subscriptions? then set mode = "poll"'):
            made = await standing.client.uaclient.session.create_subscription(parameters, _ignore)
        standing.subscription_id = made.SubscriptionId
        keep_alive_s = made.RevisedPublishingInterval * made.RevisedMaxKeepAliveCount / 1000
        publishing_s = made.RevisedPublishingInterval / 1000
        standing.silence_s = 2 * max(publishing_s, min(keep_alive_s, KEEP_ALIVE_MAX_S)) + GRACE_S
        clock = ua.NodeId.from_string(f"i={ObjectIds.Server_ServerStatus_CurrentTime}")
        (answer,) = await self._create(standing, {len(self._addresses): clock})
        if answer.StatusCode.is_good():
            told_s = (
                max(answer.RevisedSamplingInterval, made.RevisedPublishingInterval, CLOCK_SAMPLING_MS) / 1000
            )
            standing.clock_silence_s = max(standing.silence_s, 3 * told_s + GRACE_S)
        await self._monitor(standing, sorted(standing.nodes))
        self._say_refused(standing)

    async def _monitor(self, standing: _Standing, rows: list[int]) -> None:
        """Add items; what the server refuses joins ``standing.refused``."""
        for page in _pages(rows, standing.about.items):
            nodes = {row: standing.nodes[row] for row in page}
            results = dict(zip(page, await self._create(standing, nodes), strict=True))
            plain = [row for row in page if results[row].StatusCode.value in _NO_DEADBAND]
            if plain:
                standing.without_deadband.update(plain)
                again = await self._create(standing, {row: nodes[row] for row in plain})
                results.update(zip(plain, again, strict=True))
            for row in page:
                code = results[row].StatusCode
                if code.is_good():
                    standing.refused.pop(row, None)
                else:
                    standing.refused[row] = code.name

    async def _create(self, standing: _Standing, nodes: dict[int, ua.NodeId]) -> list[Any]:
        request = ua.CreateMonitoredItemsParameters()
        request.SubscriptionId = standing.subscription_id
        request.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.ItemsToCreate = [self._item(standing, row, node) for row, node in nodes.items()]
        with _translated(self._options.endpoint):
            results = list(await standing.client.uaclient.session.create_monitored_items(request))
        if len(results) != len(nodes):
            what = f"{len(results)} answers for {len(nodes)} items"
            raise SourceError(Cause.GARBLED, f"{self._options.endpoint}: {what}")
        return results

    def _item(self, standing: _Standing, row: int, node: ua.NodeId) -> ua.MonitoredItemCreateRequest:
        """One point's item, or the server's clock behind the last point."""
        item = ua.MonitoredItemCreateRequest()
        item.ItemToMonitor.NodeId = node
        item.ItemToMonitor.AttributeId = AttributeIds.Value
        item.MonitoringMode = ua.MonitoringMode.Reporting
        wanted = item.RequestedParameters
        wanted.ClientHandle = row
        wanted.DiscardOldest = True
        if row == len(self._addresses):
            wanted.SamplingInterval, wanted.QueueSize = CLOCK_SAMPLING_MS, 1
            return item
        point = self._device.points[row]
        period_ms = self._options.sampling_ms if point.period_s is None else 1000 * point.period_s
        wanted.SamplingInterval, wanted.QueueSize = period_ms, self._options.queue_size
        if point.sample_deadband and row not in standing.without_deadband:
            told = ua.DataChangeFilter()
            told.Trigger = ua.DataChangeTrigger.StatusValue
            told.DeadbandType = ua.DeadbandType.Absolute
            told.DeadbandValue = point.sample_deadband
            wanted.Filter = told
        return item

    async def _follow(self, standing: _Standing) -> None:
        """Publish for ever.

        Raises:
            SourceError: the session stands no more.
        """
        transport = standing.client.uaclient
        standing.heard_at = time.monotonic()
        with _translated(self._options.endpoint):
            publish = transport.ask(_publish_request(standing, None))
        try:
            while True:
                await asyncio.wait(
                    {publish, *standing.awaited()},
                    timeout=self._patience_s(standing),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if publish.done():
                    with _translated(self._options.endpoint):
                        published = publish_answer(_content(publish.result()))
                        publish = transport.ask(_publish_request(standing, published))
                    self._take(standing, published)
                self._check_silence(standing)
                self._fill(standing)
                await self._upkeep(standing)
        finally:
            for future in (publish, *standing.awaited()):
                _forget(future)

    def _patience_s(self, standing: _Standing) -> float:
        """How long to wait for the next word."""
        until = [since + silence_s for since, silence_s, _ in standing.silences()]
        if standing.asked is not None:
            until.append(standing.ask_at + self._options.timeout_s)
        elif standing.told and self._owed.first is not None:
            until.append(standing.ask_at)
        return min(UPKEEP_S, max(0.0, min(until) - time.monotonic()))

    def _check_silence(self, standing: _Standing) -> None:
        now = time.monotonic()
        for since, silence_s, what in standing.silences():
            if now - since >= silence_s:
                raise SourceError(Cause.COMM, f"{self._options.endpoint}: {what} for {now - since:.1f} s")

    def _take(self, standing: _Standing, published: Published) -> None:
        """Post what one publish tells."""
        if published.ended:
            name = _name(published.ended)
            raise SourceError(Cause.COMM, f"{self._options.endpoint}: subscription ended, {name}")
        if published.subscription_id != standing.subscription_id:
            what = f"an answer for subscription {published.subscription_id}"
            raise SourceError(Cause.GARBLED, f"{self._options.endpoint}: {what}")
        standing.heard_at = time.monotonic()
        if published.sequence != standing.next_sequence:
            # a keep-alive, too, has the number that comes next; what was lost might never change again
            self._counters["gaps"] += 1
            what = f"a notification is lost, {published.sequence} came where {standing.next_sequence} was due"
            raise SourceError(Cause.GARBLED, f"{self._options.endpoint}: {what}")
        if published.data:
            standing.next_sequence = published.sequence % MAX_SEQUENCE + 1
        self._counters["publishes"] += 1
        self._stand()
        for found in published.changes:
            own = found.handles < len(self._addresses)
            if not own.all():
                standing.clock_at, standing.clock_seen = time.monotonic(), standing.clock_seen + 1
                found = news.chosen(found, np.flatnonzero(own))  # noqa: PLW2901 - without the clock
            self._say(self._columns.changes(found, _now()))
        standing.published += 1
        if not standing.told and not published.more and self._all_told(standing):
            standing.told = True
            self._begin_history(standing, published.published_ns)
        # not the greatest: a clock that was wrong once must not stand in the way for years
        self._server_ns = published.published_ns or self._server_ns

    async def _upkeep(self, standing: _Standing) -> None:
        """Between two answers: fresh keys in time, another try for refused nodes."""
        now = time.monotonic()
        self._link.check_trust()
        if now >= standing.renew_at:
            client = standing.client
            with _translated(self._options.endpoint):
                await client.open_secure_channel(renew=True)
                client.uaclient.revolve_security_token()
            standing.renew_at = now + 0.75 * client.secure_channel_timeout / 1000
        if standing.refused and now >= standing.retry_at:
            standing.retry_at = now + REFUSED_RETRY_S
            again, standing.refused = sorted(standing.refused), {}
            standing.about = await _about(standing.client, self._options.endpoint)
            self._resolve(standing)
            if standing.subscription_id:
                await self._monitor(standing, [row for row in again if row in standing.nodes])
            standing.named.clear()
            self._name_refused(standing)

    # --- polled -----------------------------------------------------------------------------------------

    async def _poll(self, standing: _Standing) -> None:
        """Read every group of points in its period.

        Raises:
            SourceError: the session stands no more.
        """
        periods = self._groups
        for period, rows in periods.items():
            self._watches.setdefault(period, Watch(self._device.points, rows))
        due = dict.fromkeys(periods, pace.Due(time.monotonic_ns(), 0))
        read: dict[int, int] = {}
        while due:
            period = min(due, key=lambda one: due[one].at_ns)
            await self._until(standing, due[period].at_s)
            found = await self._values(standing, periods[period])
            self._counters["publishes"] += 1
            self._stand()
            if period not in standing.named:
                standing.named.add(period)
                for row, code in zip(periods[period], found.status.tolist(), strict=True):
                    if row in standing.nodes and status_code.quality_of(code) == bad(Cause.REFUSED):
                        standing.refused[row] = _name(code)
                self._name_refused(standing)
            self._say([self._columns.reading(found, _now(), self._watches[period])])
            due[period] = pace.next_due(time.monotonic_ns(), period, self._device.slot, read.get(period))
            read[period] = due[period].at_ns
            self._counters["overruns"] += due[period].skipped
            await self._upkeep(standing)

    def _repeat(self, period: int, rows: IndexArray, last_ns: int | None) -> None:
        """Once in a period: while nothing can be read, say so again."""
        if self._fallen is not None and last_ns is not None:
            self._post(missed(self._device, rows, self._fallen, *_now()))
        due = pace.next_due(time.monotonic_ns(), period, self._device.slot, last_ns)
        loop = asyncio.get_running_loop()
        self._timers[period] = loop.call_at(due.at_s, self._repeat, period, rows, due.at_ns)

    async def _until(self, standing: _Standing, at_s: float) -> None:
        """Wait, and meanwhile keep the session: a server drops one that nobody uses."""
        step_s = max(POLL_STEP_LEAST_S, min(POLL_STEP_S, standing.client.session_timeout / 3000))
        clock = ua.NodeId.from_string(f"i={ObjectIds.Server_ServerStatus_CurrentTime}")
        while at_s - time.monotonic() > step_s:
            await asyncio.sleep(step_s)
            with _translated(self._options.endpoint):
                await standing.client.uaclient.session.read_attributes([clock], AttributeIds.Value)
            await self._upkeep(standing)
        await asyncio.sleep(max(0.0, at_s - time.monotonic()))

    async def _values(self, standing: _Standing, rows: Sequence[int]) -> DataValues:
        """Read these rows, in their order."""
        parts = {row: unknown(row) for row in rows if row not in standing.nodes}
        known = [row for row in rows if row in standing.nodes]
        for page in _pages(known, standing.about.read):
            request = ua.ReadRequest()
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.NodesToRead = [_value_of(standing.nodes[row]) for row in page]
            with _translated(self._options.endpoint):
                found = read_answer(await standing.client.uaclient.answer(request))
            if len(found.handles) != len(page):
                what = f"{len(found.handles)} values for {len(page)} nodes"
                raise SourceError(Cause.GARBLED, f"{self._options.endpoint}: {what}")
            parts[page[0]] = news.as_handles(found, page)
        found = news.appended(list(parts.values()))
        return news.chosen(found, np.argsort(found.handles))

    # --- history ----------------------------------------------------------------------------------------

    def _all_told(self, standing: _Standing) -> bool:
        """Has every point been told since the session stands, or is the rest waited for no longer?"""
        rows = [row for row in standing.nodes if row not in standing.refused]
        return standing.published >= TOLD_MESSAGES or not self._columns.said.lost[rows].any()

    def _begin_history(self, standing: _Standing, now_ns: int) -> None:
        """Once everything was told after an outage: what of this one and of earlier ones is to be read."""
        self._owe()
        rows = [row for row in standing.nodes if row not in standing.refused]
        readable = np.zeros(len(self._rows), dtype=np.bool_)
        readable[rows] = True
        self._owed.begin(now_ns, standing.about.history, readable & ~self._no_history)

    def _owe(self) -> None:
        """Note what of an outage that is over is missing."""
        plan = Backfill.plan(self._columns.said, self._no_history)
        self._given_up(self._owed.add(plan), "outages followed each other too fast")

    def _given_up(self, plans: Iterable[Backfill], why: str) -> None:
        n = sum(len(plan.given_up) for plan in plans)
        self._counters["history_given_up"] += n
        if n:
            log.warning(
                "%s: the server's history of %d points was not to be had: %s", self._device.name, n, why
            )

    def _fill(self, standing: _Standing) -> None:
        """One step of reading the history; live values go before it and never wait for it."""
        plan = self._owed.first
        if plan is None or not standing.told:
            return
        now = time.monotonic()
        if standing.asked is not None:
            future = standing.asked
            if future.done():
                self._remember(plan, future)
                self._owed.answered()
            elif now < standing.ask_at + self._options.timeout_s:
                return
            else:  # nobody waits for it any more; the next page may do better
                _forget(future)
                plan.give_up()
            standing.asked = None
        if self._owed.first is not plan:  # there is none to be had
            return
        if plan.over:
            if plan.pages:
                log.warning("%s: the server's history has more than is read", self._device.name)
            self._given_up([plan], "late, torn or refused")
            self._owed.done()
        elif now >= standing.ask_at:
            with _translated(self._options.endpoint):
                request = _history_request(plan, standing.nodes, plan.ask())
                standing.asked = standing.client.uaclient.ask(request, self._options.timeout_s)
            standing.ask_at = now + PAUSE_S

    def _remember(self, plan: Backfill, future: asyncio.Future[Buffer]) -> None:
        """Post what the server's history has for the rows asked for."""
        with _translated(self._options.endpoint):
            content = _content(future.result())
        try:
            answers = history_answer(content)
        except FaultError as fault:
            log.info("%s: no history: %s", self._device.name, _name(fault.status))
            if offers_none(fault.status):
                self._no_history[:] = True
                self._owed.clear()
            plan.give_up()
            return
        except TornError as error:  # live values know nothing of it
            log.debug("%s: a history that makes no sense: %s", self._device.name, error)
            plan.give_up()
            return
        found = plan.take(answers, self._no_history)
        if found is not None:
            for scan in self._columns.past(found, _now()):
                self._counters["history"] += len(scan.points)
                self._post(scan)

    def _interrupted(self) -> None:
        """The line is lost: what was not read yet stays owed."""
        self._owe()
        if self._owed.broken_off():
            self._no_history[:] = True
            self._given_up(
                self._owed.clear(), "the session ends whenever it is asked for; it is not any more"
            )
        interval_s = (self._options.sampling_ms + 2 * self._options.publishing_ms) / 1000
        self._columns.said.lose(told_until_ns(self._server_ns, interval_s))

    # --- what is said -----------------------------------------------------------------------------------

    def _say(self, scans: Iterable[Scan]) -> None:
        for scan in scans:
            self._counters["changes"] += len(scan.points)
            self._post(scan)
        self._counters["overflows"] = self._columns.overflows

    def _say_refused(self, standing: _Standing) -> None:
        """Post nodes the server does not give, and name them."""
        self._name_refused(standing)
        rows = np.array(sorted(standing.refused), dtype=np.uint16)
        if len(rows):
            self._counters["refused"] += len(rows)
            log.warning("%s: %s", self._device.name, self._refused)
            at = (time.time_ns(), time.monotonic_ns())
            self._post(missed(self._device, rows, Cause.REFUSED, *at))

    def _name_refused(self, standing: _Standing) -> None:
        rows = sorted(standing.refused)
        named = [f"{self._device.points[row].name} ({standing.refused[row]})" for row in rows[:NAMED_REFUSED]]
        more = [f"and {len(rows) - NAMED_REFUSED} more"] if len(rows) > NAMED_REFUSED else []
        total = len(self._addresses)
        self._refused = f"{len(rows)} of {total} nodes refused: {', '.join(named + more)}" if rows else ""

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
        if self._connected:
            self._connected, self._since_ns = False, time.time_ns()
            self._interrupted()
            for watch in self._watches.values():
                watch.interrupted()
        elif self._fallen is error.quality_cause:
            return
        log.warning("%s: %s", self._device.name, error.detail)
        self._fallen = error.quality_cause
        at = (time.time_ns(), time.monotonic_ns())
        self._post(missed(self._device, self._rows, error.quality_cause, *at))


def _value_of(node: ua.NodeId) -> ua.ReadValueId:
    wanted = ua.ReadValueId()
    wanted.NodeId = node
    wanted.AttributeId = AttributeIds.Value
    return wanted


def _publish_request(standing: _Standing, published: Published | None) -> ua.PublishRequest:
    """The next one, with thanks for the last."""
    request = ua.PublishRequest()
    request.Parameters.SubscriptionAcknowledgements = []
    if published is not None and published.data:
        done = ua.SubscriptionAcknowledgement()
        done.SubscriptionId = standing.subscription_id
        done.SequenceNumber = published.sequence
        request.Parameters.SubscriptionAcknowledgements.append(done)
    return request


def _history_request(plan: Backfill, nodes: dict[int, ua.NodeId], page: Page) -> ua.HistoryReadRequest:
    """Raw values of these nodes."""
    details = ua.ReadRawModifiedDetails()
    details.IsReadModified = False
    details.StartTime = _EPOCH + dt.timedelta(microseconds=page.from_ns // 1000)
    details.EndTime = _EPOCH + dt.timedelta(microseconds=-(-plan.to_ns // 1000))
    details.NumValuesPerNode = VALUES
    details.ReturnBounds = False
    request = ua.HistoryReadRequest()
    request.Parameters.HistoryReadDetails = details
    request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
    request.Parameters.ReleaseContinuationPoints = False
    for row, more in page.points.items():
        wanted = ua.HistoryReadValueId()
        wanted.NodeId = nodes[row]
        wanted.ContinuationPoint = more or None
        request.Parameters.NodesToRead.append(wanted)
    return request


def _now() -> Taken:
    return Taken(time.time_ns(), time.monotonic_ns())


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
def _translated(endpoint: str, hint: str = "") -> Iterator[None]:
    """Whatever asyncua raises becomes a SourceError here; a cancellation goes before everything.

    Args:
        endpoint: whom we talk to.
        hint: what to do where the server does not know the service.

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
        raise _meaning(endpoint, error, hint) from error
    _stop_if_asked()


def _name(status: int) -> str:
    """A status code's name in the standard."""
    return ua.StatusCode(ua.UInt32(status)).name


def _meaning(endpoint: str, error: BaseException, hint: str) -> SourceError:
    """What an exception out of asyncua says about the server."""
    if isinstance(error, (TimeoutError, asyncio.CancelledError)):  # the latter: a time-out met an answer
        return SourceError(Cause.COMM, f"{endpoint}: no answer in time")
    if isinstance(error, (UaStatusCodeError, FaultError)):
        name = _name(error.code if isinstance(error, UaStatusCodeError) else error.status)
        cause = Cause.REFUSED if name.startswith(_SECURITY_WORDS) else Cause.COMM
        more = f" ({hint})" if hint and name == "BadServiceUnsupported" else ""
        return SourceError(cause, f"{endpoint}: the server answers {name}{more}")
    if isinstance(error, OSError):
        return SourceError(Cause.COMM, f"{endpoint}: {error.strerror or error}")
    what = f"{type(error).__name__}: {error}"
    return SourceError(Cause.GARBLED, f"{endpoint}: the server's answer makes no sense ({what})")
