"""``plantgate warn``: an authority sends one warning, order or cancellation down to a gateway. Touches a line, a key.

It is published retained, so that a gateway that is away gets it when it is back; the receiver takes it from the
broker once the gateway has it on record.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.errors import Exit, UserFacingError
from gateway.uplink.message import TooLargeError, Verdict
from gateway.uplink.mqtt import Endpoint, MqttTransport
from gateway.uplink.order import Order, OrderRefusedError, content_of, read_content, sign, topic
from gateway.uplink.transport import LinkError

CONFIRM_S: Final = 10.0
"""So long the broker may take to confirm."""


@dataclass(frozen=True, slots=True)
class Desk:
    """From where an authority sends.

    Attributes:
        host: the broker's name, must match its certificate.
        port: its TLS port.
        ca: trust anchor, PEM.
        certificate: the authority's client certificate, PEM.
        private_key: its key, PEM.
        signing_key: P-256 key, PEM, whose certificate gateways have as ``orders_certificate``.
    """

    host: str
    port: int
    ca: Path
    certificate: Path
    private_key: Path
    signing_key: Path


class _Confirmation:
    """Waits for the broker's word on one publish."""

    def __init__(self) -> None:
        self.said: asyncio.Future[tuple[Verdict, str]] = asyncio.get_running_loop().create_future()

    def received(self, topic: str, payload: bytes) -> None:
        """See ``Listener.received``: what we send ourselves."""

    def delivered(self, handle: int, verdict: Verdict, reason: str) -> None:
        """See ``Listener.delivered``."""
        del handle
        if not self.said.done():
            self.said.set_result((verdict, reason))

    def down(self, error: LinkError) -> None:
        """See ``Listener.down``."""
        if not self.said.done():
            self.said.set_exception(error)


async def issue(desk: Desk, order: Order) -> str:
    """Sign an order and leave it at the broker. Returns its topic.

    Raises:
        UserFacingError: the key cannot be used, the order is not one a gateway takes, or the broker refuses it.
    """
    try:
        content = content_of(order)
        read_content(content)
    except (OrderRefusedError, orjson.JSONEncodeError) as e:
        raise _wrong(str(e)) from e
    payload = sign(content, _signing_key(desk.signing_key))
    at = topic(order.to, order.recipient, order.id)
    confirmation = _Confirmation()
    transport = MqttTransport(_endpoint(desk, order, at), confirmation)
    try:
        await transport.connect()
        transport.publish(at, payload, retain=True)
        async with asyncio.timeout(CONFIRM_S):
            verdict, reason = await confirmation.said
    except LinkError as e:
        raise UserFacingError(e.code, Exit.UNREACHABLE, f"{desk.host}:{desk.port}", e.cause, e.remedy) from e
    except (TimeoutError, TooLargeError) as e:
        raise _unconfirmed(desk, str(e) or "no answer") from e
    finally:
        await transport.close()
    if verdict is not Verdict.ACCEPTED:
        raise _unconfirmed(desk, reason)
    return at


def _endpoint(desk: Desk, order: Order, at: str) -> Endpoint:
    return Endpoint(
        host=desk.host,
        port=desk.port,
        ca=desk.ca,
        certificate=desk.certificate,
        private_key=desk.private_key,
        client_id=f"warn/{order.recipient}/{secrets.token_hex(4)}",
        listen=(at,),
        every_delivery=True,
    )


def _signing_key(path: Path) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as e:
        raise _bad_key(path, str(e)) from e
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise _bad_key(path, "not P-256")
    return key


def _bad_key(path: Path, why: str) -> UserFacingError:
    return UserFacingError(
        "E-WARN-KEY",
        Exit.ENVIRONMENT,
        str(path),
        {"zh": f"签名私钥无法使用（{why}）。", "en": f"The signing key cannot be used ({why})."},
        {"zh": "须为未加密的 P-256 私钥，PEM 格式。", "en": "It must be an unencrypted P-256 key, PEM."},
    )


def _wrong(why: str) -> UserFacingError:
    return UserFacingError(
        "E-WARN-ORDER",
        Exit.USAGE,
        "",
        {"zh": f"网关不会接受它（{why}）。", "en": f"No gateway would take it ({why})."},
        {"zh": "请改正后再发；格式见 docs/wire.md。", "en": "Mend it; docs/wire.md has the form."},
    )


def _unconfirmed(desk: Desk, why: str) -> UserFacingError:
    return UserFacingError(
        "E-WARN-BROKER",
        Exit.UNREACHABLE,
        f"{desk.host}:{desk.port}",
        {"zh": f"代理服务器没有收下（{why}）。", "en": f"The broker did not take it ({why})."},
        {
            "zh": "请检查该证书对 order 主题的写权限。",
            "en": "Check that this certificate may write to the order topics.",
        },
    )
