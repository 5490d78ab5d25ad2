"""asyncua's own server with a few variables, as the OPC UA tests need it, and a recorder of its services."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from asyncua import Server, ua
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.server.uaprocessor import UaProcessor

from drivers import opcua
from drivers.kit.scan import Device, Point, Scan
from hil.pki import Credentials, Validity, opcua_application
from hil.ports import free_port

NAMESPACE = "urn:plantgate:test"
SERVER_URI = "urn:plantgate:test:server"
CLIENT_URI = "urn:plantgate:test:gateway"
ENCRYPTED = ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt
VARIABLES: dict[str, Any] = {"gas": 234.0, "contact": True, "text": "hello"}
POINTS = (
    Point("gas", f"nsu={NAMESPACE};s=gas", scale=0.1),
    Point("contact", "ns=2;s=contact"),
    Point("missing", f"nsu={NAMESPACE};s=missing"),
    Point("elsewhere", "nsu=urn:nobody;s=gas"),
    Point("text", f"nsu={NAMESPACE};s=text"),
)


class Plant:
    """A running server and its variables."""

    def __init__(self, port: int, server: Server, nodes: dict[str, Any]) -> None:
        self.port = port
        self.server = server
        self.nodes = nodes

    async def put(self, name: str, value: object, status: int = 0, stamp: dt.datetime | None = None) -> None:
        kind = value if isinstance(value, ua.Variant) else ua.Variant(value)
        data = ua.DataValue(
            kind,
            StatusCode=ua.StatusCode(status),
            SourceTimestamp=stamp or dt.datetime.now(dt.UTC),
        )
        await self.server.write_attribute_value(self.nodes[name].nodeid, data)


def certificates(folder: Path) -> dict[str, Credentials]:
    """Those of both sides, and ones that must not do."""
    return {
        "server": opcua_application(folder, "server", SERVER_URI),
        "other": opcua_application(folder, "other", SERVER_URI),
        "gateway": opcua_application(folder, "gateway", CLIENT_URI),
        "user": opcua_application(folder, "user", "urn:plantgate:test:user"),
        "expired": opcua_application(folder, "expired", SERVER_URI, validity=Validity.EXPIRED),
        "early": opcua_application(folder, "early", SERVER_URI, validity=Validity.NOT_YET),
        "old-gateway": opcua_application(folder, "old-gateway", CLIENT_URI, validity=Validity.EXPIRED),
    }


def count_services(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    """Every service request the server decrypted, by type identifier."""
    counted: Counter[int] = Counter()
    answer = UaProcessor._process_message

    async def count(self: UaProcessor, typeid: ua.NodeId, *rest: object) -> object:
        counted[typeid.Identifier] += 1
        return await answer(self, typeid, *rest)

    monkeypatch.setattr(UaProcessor, "_process_message", count)
    return counted


class Doorkeeper:
    """Lets in whom it knows."""

    def __init__(self, passwords: dict[str, str], certificate: bytes = b"") -> None:
        self._passwords = passwords
        self._certificate = certificate
        self.seen: list[tuple[str | None, str | None]] = []

    def get_user(
        self,
        iserver: object,
        username: str | None = None,
        password: str | None = None,
        certificate: Any = None,
    ) -> User | None:
        self.seen.append((username, password))
        if username is not None:
            right = self._passwords.get(username) == password
        else:
            right = certificate is not None and certificate == self._certificate
        return User(role=UserRole.User) if right else None


@asynccontextmanager
async def plant(
    credentials: Credentials,
    policy: ua.SecurityPolicyType | Sequence[ua.SecurityPolicyType] = ENCRYPTED,
    *,
    port: int = 0,
    variables: dict[str, Any] | None = None,
    doorkeeper: Doorkeeper | None = None,
    tokens: Sequence[type] | None = None,
    prepare: Callable[[Server], None] | None = None,
) -> AsyncIterator[Plant]:
    server = Server(user_manager=doorkeeper)  # type: ignore[arg-type]
    await server.init()
    port = port or free_port()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/plant")
    await server.set_application_uri(SERVER_URI)
    policies = [policy] if isinstance(policy, ua.SecurityPolicyType) else list(policy)
    server.set_security_policy(policies)
    if tokens is not None:
        server.set_identity_tokens(list(tokens))
    await server.load_certificate(str(credentials.certificate_der))
    await server.load_private_key(str(credentials.key), format="pem")
    index = await server.register_namespace(NAMESPACE)
    assert index == 2
    objects = server.nodes.objects
    nodes: dict[str, Any] = {}
    for name, value in (variables or VARIABLES).items():
        nodes[name] = await objects.add_variable(f"ns={index};s={name}", name, value)
        await nodes[name].set_writable()
    if prepare is not None:
        prepare(server)
    await server.start()
    try:
        yield Plant(port, server, nodes)
    finally:
        await server.stop()


def options(pki: dict[str, Credentials], port: int, **more: object) -> opcua.Options:
    chosen = {
        "url": f"opc.tcp://127.0.0.1:{port}/plant",
        "certificate": pki["gateway"].certificate,
        "private_key": pki["gateway"].key,
        "trusted": pki["server"].certificate,
        "rejected": pki["server"].certificate.parent / "rejected",
        "sampling_ms": 50.0,
        "publishing_ms": 50.0,
        "timeout_s": 2.0,
        **more,
    }
    return opcua.Options(**chosen)  # type: ignore[arg-type]


def source(
    pki: dict[str, Credentials],
    port: int,
    post: Callable[[Scan], None],
    points: tuple[Point, ...] = POINTS,
    **more: object,
) -> opcua.OpcUaSource:
    device = Device("gds", points, period_s=0.1, config_rev="r1")
    return opcua.connect(device, options(pki, port, **more), post)


def at(name: str, **more: Any) -> Point:
    """A point of the variable of this name."""
    return Point(name, f"nsu={NAMESPACE};s={name}", **more)
