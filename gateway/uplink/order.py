"""What an authority sends down: a warning (预警), an order to deal with something (处置), a cancellation. Pure.

Both ends are here, what an authority says and how a gateway reads it, so that they cannot drift apart. A message is
what it claims to be only if one of the given keys signed its very bytes; whatever is not clearly one is refused.
An order is words for people: nothing in it names a value, a limit or an address, and nothing here can set one.
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from gateway.instant import rfc3339

SCHEMA: Final = "plantgate/1"
MAX_PAYLOAD_BYTES: Final = 64 << 10
MAX_TITLE: Final = 100
MAX_TEXT: Final = 2_000
MAX_POINTS: Final = 50
MAX_POINT: Final = 64
MAX_ANSWER_NS: Final = 366 * 86_400 * 10**9
"""Nobody may be given longer to answer."""

Kind: TypeAlias = Literal["warning", "order", "cancel"]
Colour: TypeAlias = Literal["red", "orange", "yellow", "blue"]

KINDS: Final = frozenset({"warning", "order", "cancel"})
COLOURS: Final = ("red", "orange", "yellow", "blue")
"""红橙黄蓝, the worst first."""
KEYS: Final = frozenset(
    {"schema", "recipient", "to", "id", "kind", "colour", "title", "text", "points"}
    | {"issued_at", "answer_by", "cancels"}
)
"""Every content has all of them and no other: a field nobody knows may change what the others mean."""

_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_TIME: Final = re.compile(r"2[01]\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?Z", re.ASCII)
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories that move the cursor, turn the direction of writing, or are not seen at all."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class OrderRefusedError(ValueError):
    """This is no order for this gateway, or cannot be taken now; the text says why, and quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class Order:
    """One message from above.

    Attributes:
        recipient: which authority, by the name it has in the gateway's configuration.
        to: the gateway it is meant for, ``site/gateway``.
        id: unique for this recipient.
        kind: ``warning``, ``order``, or ``cancel``, which ends another.
        colour: a warning's, of ``COLOURS``; "" for an order without one and for a cancellation.
        title: one line; "" only for a cancellation.
        text: what people are told, may have several lines.
        points: tags or the authority's codes of points it speaks of, as it wrote them.
        issued_ns: UTC nanoseconds.
        answer_by_ns: until when feedback is wanted, UTC nanoseconds; None for no time.
        cancels: id of what a cancellation ends, else "".
        digest: SHA-256 of the signed bytes, hex.
    """

    recipient: str
    to: str
    id: str
    kind: Kind
    colour: str
    title: str
    text: str
    points: tuple[str, ...]
    issued_ns: int
    answer_by_ns: int | None = None
    cancels: str = ""
    digest: str = ""


def topic(to: str, recipient: str, order_id: str) -> str:
    """Where an order is published, retained."""
    return f"{SCHEMA}/{to}/order/{recipient}/{order_id}"


def is_id(text: str) -> bool:
    """Whether this may be the id of an order."""
    return _ID.fullmatch(text) is not None


def content_of(order: Order) -> bytes:
    """The bytes that are signed."""
    return orjson.dumps(
        {
            "schema": SCHEMA,
            "recipient": order.recipient,
            "to": order.to,
            "id": order.id,
            "kind": order.kind,
            "colour": order.colour or None,
            "title": order.title,
            "text": order.text,
            "points": order.points,
            "issued_at": rfc3339(order.issued_ns),
            "answer_by": None if order.answer_by_ns is None else rfc3339(order.answer_by_ns),
            "cancels": order.cancels or None,
        }
    )


def sign(content: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The payload: the content and its signature."""
    signature = key.sign(content, ec.ECDSA(SHA256()))
    written = {
        "content": base64.b64encode(content).decode(),
        "signature": base64.b64encode(signature).decode(),
    }
    return orjson.dumps({"schema": SCHEMA, **written})


def parse(
    arrived_on: str, payload: bytes, recipient: str, to: str, keys: Iterable[ec.EllipticCurvePublicKey]
) -> Order:
    """Read what came down.

    Args:
        arrived_on: its topic.
        payload: as it came.
        recipient: whose channel it is.
        to: this gateway, ``site/gateway``.
        keys: P-256 keys of which one must have signed it.

    Raises:
        OrderRefusedError: anything at all is not as it must be.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise OrderRefusedError(f"it has more than {MAX_PAYLOAD_BYTES} bytes")
    envelope = _object(payload, "it")
    if envelope.keys() != {"schema", "content", "signature"} or envelope["schema"] != SCHEMA:
        raise OrderRefusedError(f"it is no envelope of {SCHEMA}")
    content, signature = _bytes(envelope["content"]), _bytes(envelope["signature"])
    if not any(_signed(content, signature, key) for key in keys):
        raise OrderRefusedError("its signature is not of the certificate of this recipient")
    order = read_content(content)
    if order.recipient != recipient:
        raise OrderRefusedError("it is of another recipient than its channel")
    if order.to != to:
        raise OrderRefusedError("it is meant for another gateway")
    if arrived_on != topic(to, recipient, order.id):
        raise OrderRefusedError("its topic does not name its id")
    return order


def read_content(content: bytes) -> Order:
    """Read signed bytes; who signed them is not asked here.

    Raises:
        OrderRefusedError: a field is missing, foreign, of the wrong type, too long, or not readable.
    """
    fields = _object(content, "its content")
    if fields.keys() != KEYS or fields["schema"] != SCHEMA:
        raise OrderRefusedError("its content has not the fields of an order")
    kind, colour, cancels = fields["kind"], fields["colour"], fields["cancels"]
    if not isinstance(kind, str) or kind not in KINDS:
        raise OrderRefusedError("its kind is not known")
    is_cancel = kind == "cancel"
    if (colour is None and kind == "warning") or (
        colour is not None and (is_cancel or colour not in COLOURS)
    ):
        raise OrderRefusedError("its colour is not red, orange, yellow or blue")
    if (cancels is not None) != is_cancel or (is_cancel and not _is_id(cancels)):
        raise OrderRefusedError("it does not say clearly what it cancels")
    if not _is_id(fields["id"]) or cancels == fields["id"]:
        raise OrderRefusedError("its id is not 1 to 64 letters, digits, dots, hyphens and underscores")
    issued_ns = _time(fields["issued_at"])
    answer_by_ns = None if fields["answer_by"] is None else _time(fields["answer_by"])
    if answer_by_ns is not None and (is_cancel or not 0 < answer_by_ns - issued_ns <= MAX_ANSWER_NS):
        raise OrderRefusedError("its answer_by is not after its issued_at, or too long after it")
    points = fields["points"]
    if not isinstance(points, list) or len(points) > MAX_POINTS or (is_cancel and points):
        raise OrderRefusedError(f"its points are no list of at most {MAX_POINTS}")
    return Order(
        recipient=_line(fields["recipient"], "recipient", 1, MAX_POINT),
        to=_line(fields["to"], "to", 1, 2 * MAX_POINT + 1),
        id=fields["id"],
        kind=kind,  # type: ignore[arg-type] # it is one of KINDS
        colour=colour or "",
        title=_line(fields["title"], "title", 0 if is_cancel else 1, MAX_TITLE),
        text=_line(fields["text"], "text", 0, MAX_TEXT, "\n"),
        points=tuple(_line(point, "points", 1, MAX_POINT) for point in points),
        issued_ns=issued_ns,
        answer_by_ns=answer_by_ns,
        cancels=cancels or "",
        digest=hashlib.sha256(content).hexdigest(),
    )


def _object(text: bytes, what: str) -> dict[str, Any]:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as e:
        raise OrderRefusedError(f"{what} is not JSON") from e
    if not isinstance(fields, dict):
        raise OrderRefusedError(f"{what} is no JSON object")
    return fields


def _bytes(text: object) -> bytes:
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError as e:
        raise OrderRefusedError("its content or signature is not base64") from e


def _signed(content: bytes, signature: bytes, key: ec.EllipticCurvePublicKey) -> bool:
    try:
        key.verify(signature, content, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _is_id(value: object) -> bool:
    return isinstance(value, str) and is_id(value)


def _line(value: object, name: str, least: int, most: int, also: str = "") -> str:
    if not isinstance(value, str) or not least <= len(value) <= most or (least and not value.strip()):
        raise OrderRefusedError(f"its {name} is no text of {least} to {most} characters")
    if any(unicodedata.category(letter) in _UNFIT and letter not in also for letter in value):
        raise OrderRefusedError(f"its {name} holds characters that cannot be shown")
    return value


def _time(value: object) -> int:
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            since = datetime.fromisoformat(value) - _EPOCH
        except ValueError:
            pass  # the 31st of a short month
        else:
            return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000
    raise OrderRefusedError("its times are not RFC 3339 in UTC")
