"""The gateway's own dialect ``plantgate/1`` (docs/wire.md): JSON, readings as columns. Pure; opens nothing.

Both ends are here, what the gateway says and what a recipient answers, so that they cannot drift apart.
"""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import numpy as np
import orjson

from buffer.record import LANES, Lane, Record, record_key
from drivers.kit.quality import Cause, QualityArray, Status
from drivers.kit.scan import Exact, Scan, TimeArray, ValueArray
from gateway.codec import Body
from gateway.instant import rfc3339
from gateway.uplink.message import Context, DialectError, Message, Receipt, Rejection, Replay

SCHEMA: Final = "plantgate/1"
MAX_RECEIPT_BYTES: Final = 256 << 10
MAX_RECEIPT_KEYS: Final = 1_000
MAX_MESSAGE_BYTES: Final = 16 << 20
"""A receiver reads nothing larger; what would be is not sent."""
MAX_KEY_CHARS: Final = 256
MAX_SEQ: Final = 2**63 - 1
"""What a database counts with."""
MAX_REASON_CHARS: Final = 500
MEMO_ENTRIES: Final = 4_096
"""Point lists and quality columns remembered in their written form; beyond it the memory starts anew."""

_NUMPY: Final = orjson.OPT_SERIALIZE_NUMPY
_PICTURE_HEAD: Final = struct.Struct(">I")
_SECOND_NS: Final = 10**9
_REPLAY: Final = re.compile(rb'"replay":"(?:live|backfill)"')
_STATUS_WORD: Final = {status: status.name.lower() for status in Status}


def dialect(context: Context) -> Plantgate1:
    """The entry every dialect file has."""
    return Plantgate1(context)


def gateway_topics() -> tuple[str, ...]:
    """What a receiver subscribes to: every lane of every gateway, and whether each gateway is there."""
    return tuple(f"{SCHEMA}/+/+/{lane}" for lane in (*LANES, "status"))


class Plantgate1:
    """Says records. Keeps written forms of what repeats (point lists, quality columns), nothing else."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._root = f"{SCHEMA}/{context.site_id}/{context.gateway_id}"
        self._points: dict[tuple[str, str, bytes], tuple[orjson.Fragment, orjson.Fragment]] = {}
        self._qualities: dict[bytes, tuple[orjson.Fragment, orjson.Fragment]] = {}
        self._seconds: tuple[int, str] = (-1, "")

    def encode(
        self, record: Record, body: Body, replay: Replay, *, durable: bool = True, jpeg: bytes = b""
    ) -> Message:
        """See ``Dialect.encode``."""
        context = self._context
        store = context.spool_id if durable else context.volatile_id
        key = record_key(context.gateway_id, store, record.lane, record.seq)
        header = body.header
        envelope: dict[str, Any] = {
            "schema": SCHEMA,
            "msg_id": key,
            "gateway_id": context.gateway_id,
            "site_id": context.site_id,
            "lane": record.lane,
            "seq": record.seq,
            "created_at": self._stamp(record.created_ns),
            "kind": body.kind,
            "replay": replay,
            "config_rev": header.get("config_rev", ""),
            "clock": header.get("clock"),
            "durable": durable,
            "leaf": record.leaf.hex(),
        }
        try:
            if body.kind == "sample":
                envelope["scans"] = [self._scan(scan) for scan in body.scans]
            else:
                envelope["items"] = [header["item"]]
            payload = orjson.dumps(envelope, option=_NUMPY)
        except (KeyError, IndexError, ValueError, TypeError) as e:
            raise DialectError(f"{key} cannot be said in {SCHEMA}: {e}") from e
        if record.lane == "snapshot":
            payload = _PICTURE_HEAD.pack(len(payload)) + payload + jpeg
        if len(payload) > MAX_MESSAGE_BYTES:
            raise DialectError(
                f"{key} would be {len(payload)} bytes, a message has {MAX_MESSAGE_BYTES} at most"
            )
        return Message(key, record.lane, record.seq, f"{self._root}/{record.lane}", payload)

    def parse_receipt(self, payload: bytes) -> Receipt:
        """See ``Dialect.parse_receipt``."""
        return parse_receipt(payload)

    def client_id(self, recipient: str) -> str:
        """See ``Dialect.client_id``."""
        return f"{self._context.site_id}/{self._context.gateway_id}/{recipient}"

    def receipt_topic(self, recipient: str) -> str:
        """See ``Dialect.receipt_topic``."""
        return f"{self._root}/receipt/{recipient}"

    def order_topics(self, recipient: str) -> str:
        """See ``Dialect.order_topics``."""
        return f"{self._root}/order/{recipient}/+"

    def status_topic(self) -> str:
        """See ``Dialect.status_topic``."""
        return f"{self._root}/status"

    def status(self, recipient: str, state: str) -> bytes:
        """See ``Dialect.status``."""
        return orjson.dumps(
            {
                "schema": SCHEMA,
                "gateway_id": self._context.gateway_id,
                "site_id": self._context.site_id,
                "recipient": recipient,
                "state": state,
            }
        )

    def _scan(self, scan: Scan) -> dict[str, Any]:
        names, units = self._columns_of(scan)
        word, cause = self._quality(scan.quality)
        values = scan.values
        out: dict[str, Any] = {
            "device": scan.device,
            "t_gateway": self._stamp(scan.taken_ns),
            "point_id": names,
            # The array writer wants aligned doubles; columns cut out of a record's bytes may lie anywhere.
            "value": values if values.flags.aligned else values.copy(),
            "quality": word,
            "cause": cause,
            "unit": units,
        }
        if scan.exact:
            out["value"] = _exact_values(scan.values, scan.exact)
        if scan.source_ns is not None:
            out["t_source"] = _source_times(scan.source_ns)
        if scan.history:
            out["history"] = True
        return out

    def _columns_of(self, scan: Scan) -> tuple[orjson.Fragment, orjson.Fragment]:
        key = (scan.config_rev, scan.device, scan.points.tobytes())
        known = self._points.get(key)
        if known is None:
            listed = self._context.points(scan.config_rev, scan.device)
            rows = scan.points.tolist()
            names = _written([listed.names[row] for row in rows])
            units = _column([listed.units[row] for row in rows])
            known = _remember(self._points, key, (names, units))
        return known

    def _quality(self, quality: QualityArray) -> tuple[orjson.Fragment, orjson.Fragment]:
        key = quality.tobytes()
        known = self._qualities.get(key)
        if known is None:
            words = [_STATUS_WORD[Status(byte & 3 if byte & 3 != 2 else 0)] for byte in key]
            causes = [Cause(byte >> 2).word for byte in key]
            known = _remember(self._qualities, key, (_column(words), _column(causes)))
        return known

    def _stamp(self, utc_ns: int) -> str:
        second, ns = divmod(utc_ns, _SECOND_NS)
        known, text = self._seconds
        if known != second:
            text = rfc3339(second * _SECOND_NS)[:-4]
            self._seconds = (second, text)
        return f"{text}{ns // 1_000_000:03d}Z"


def _remember(memo: dict[Any, Any], key: Any, value: Any) -> Any:
    if len(memo) >= MEMO_ENTRIES:
        memo.clear()
    memo[key] = value
    return value


def _column(rows: Sequence[str]) -> orjson.Fragment:
    """Written as one word where every row has the same, else row by row."""
    constant = len(set(rows)) == 1
    return _written(rows[0] if constant else list(rows))


def _written(value: object) -> orjson.Fragment:
    # The writer's own bytes keep the whole buffer they were written into, 16 KB for one word; a copy does not.
    return orjson.Fragment(bytes(memoryview(orjson.dumps(value))))


def _exact_values(values: ValueArray, exact: Exact) -> list[float | int | str]:
    """The column with its texts and long whole numbers in their places; the writer makes NaN null."""
    column: list[float | int | str] = values.tolist()
    for row, value in exact.items():
        column[row] = value
    return column


def _source_times(source_ns: TimeArray) -> list[str | None]:
    texts = np.datetime_as_string(source_ns.astype("M8[ns]"), unit="ms", timezone="UTC").tolist()
    return [text if ns else None for text, ns in zip(texts, source_ns.tolist(), strict=True)]


@dataclass(frozen=True, slots=True)
class Incoming:
    """A message as a receiver reads it.

    Attributes:
        key: its ``msg_id``.
        lane: its lane.
        seq: its number there.
        envelope: the whole JSON object.
        jpeg: the picture of a snapshot, else empty.
        content: SHA-256 of the JSON object without the word behind ``replay``: a redelivery may say backfill of
            what went out live, and is the same message. A snapshot's header length is left out, for it counts
            that word; so is the picture its item names by SHA-256, for it may be given up before a redelivery.
    """

    key: str
    lane: Lane
    seq: int
    envelope: dict[str, Any]
    jpeg: bytes
    content: bytes


def parse_message(topic: str, payload: bytes) -> Incoming:
    """Read what a gateway sent.

    Raises:
        DialectError: not a message of this dialect, or on a topic of another gateway, site or lane.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise DialectError(f"{len(payload)} bytes, more than {MAX_MESSAGE_BYTES}")
    lane = topic.rpartition("/")[2]
    if lane not in LANES:
        raise DialectError(f"topic {topic!r} names no lane")
    text, jpeg = _split_picture(payload) if lane == "snapshot" else (payload, b"")
    envelope = _object(text)
    key, seq = envelope.get("msg_id"), envelope.get("seq")
    gateway, site = envelope.get("gateway_id"), envelope.get("site_id")
    if topic != f"{SCHEMA}/{site}/{gateway}/{lane}" or envelope.get("lane") != lane:
        raise DialectError(f"topic {topic!r} is not the one of its content")
    if not _is_key(key) or type(seq) is not int or not 1 <= seq <= MAX_SEQ:
        raise DialectError("msg_id or seq is missing")
    if not _is_key(site):  # the topic of a receipt is longer than that of its message
        raise DialectError(f"site_id is no text of at most {MAX_KEY_CHARS} characters")
    parts = key.split("/")
    if len(parts) != 4 or [parts[0], *parts[2:]] != [gateway, lane, str(seq)]:
        raise DialectError(f"msg_id {key!r} is not gateway/spool/lane/seq of its message")
    kind = envelope.get("kind")
    body = envelope.get("scans" if kind == "sample" else "items")
    if not isinstance(kind, str) or not isinstance(body, list) or not body:
        raise DialectError(f"{key}: kind or content is missing")
    foreign = b"" if _is_named(jpeg, body[0]) else jpeg
    content = hashlib.sha256(_REPLAY.sub(b'"replay":""', text, count=1) + foreign).digest()
    return Incoming(key, lane, seq, envelope, jpeg, content)


def _is_named(jpeg: bytes, item: object) -> bool:
    """Whether the picture is none, or the one that the item names."""
    return not jpeg or (isinstance(item, dict) and item.get("sha256") == hashlib.sha256(jpeg).hexdigest())


def parse_status(topic: str, payload: bytes) -> tuple[str, str, str, str]:
    """Site, gateway, recipient and state of a birth or last will.

    Raises:
        DialectError: it is none, or on another gateway's topic.
    """
    fields = _object(payload)
    site, gateway, state = fields.get("site_id"), fields.get("gateway_id"), fields.get("state")
    recipient = fields.get("recipient")
    if topic != f"{SCHEMA}/{site}/{gateway}/status" or state not in ("online", "offline"):
        raise DialectError(f"no status of the gateway of topic {topic!r}")
    if not isinstance(recipient, str):
        raise DialectError("a status without recipient")
    return str(site), str(gateway), recipient, str(state)


def _split_picture(payload: bytes) -> tuple[bytes, bytes]:
    if len(payload) < _PICTURE_HEAD.size:
        raise DialectError("a snapshot shorter than its own head")
    (length,) = _PICTURE_HEAD.unpack_from(payload)
    end = _PICTURE_HEAD.size + length
    if end > len(payload):
        raise DialectError("a snapshot's header is longer than the message")
    return payload[_PICTURE_HEAD.size : end], payload[end:]


def encode_receipt(receipt: Receipt, at_ns: int) -> bytes:
    """What a receiver answers once everything named is on its disk."""
    return orjson.dumps(
        {
            "schema": SCHEMA,
            "recipient": receipt.recipient,
            "accepted": receipt.accepted,
            "rejected": [
                {"msg_id": one.key, "item": one.item, "reason": one.reason} for one in receipt.rejected
            ],
            "at": rfc3339(at_ns),
        }
    )


def receipt_topic_of(message_topic: str, recipient: str) -> str:
    """Where a receiver answers a message of this topic."""
    return f"{message_topic.rpartition('/')[0]}/receipt/{recipient}"


def parse_receipt(payload: bytes) -> Receipt:
    """Read a receipt; what is not clearly one acknowledges nothing.

    Raises:
        DialectError: too large, not JSON, another schema, a field missing or of the wrong type, a key both
            accepted and rejected.
    """
    if len(payload) > MAX_RECEIPT_BYTES:
        raise DialectError(f"a receipt of {len(payload)} bytes, more than {MAX_RECEIPT_BYTES}")
    fields = _object(payload)
    recipient = fields.get("recipient")
    accepted, rejected = fields.get("accepted"), fields.get("rejected")
    if not isinstance(recipient, str) or not isinstance(accepted, list) or not isinstance(rejected, list):
        raise DialectError("a receipt without recipient, accepted and rejected")
    if len(accepted) + len(rejected) > MAX_RECEIPT_KEYS:
        raise DialectError(f"a receipt of more than {MAX_RECEIPT_KEYS} keys")
    if not all(_is_key(key) for key in accepted):
        raise DialectError("accepted holds something that is no key")
    refusals = tuple(_rejection(one) for one in rejected)
    if not {one.key for one in refusals if one.item is None}.isdisjoint(accepted):
        raise DialectError("a key is both accepted and rejected")
    return Receipt(recipient, tuple(accepted), refusals)


def _rejection(one: object) -> Rejection:
    if not isinstance(one, dict):
        raise DialectError("rejected holds something that is no object")
    key, item, reason = one.get("msg_id"), one.get("item"), one.get("reason")
    if (
        not _is_key(key)
        or not (item is None or (type(item) is int and item >= 0))
        or not isinstance(reason, str)
    ):
        raise DialectError("a rejection without msg_id, item and reason")
    return Rejection(key, item, reason[:MAX_REASON_CHARS])


def _is_key(key: object) -> TypeGuard[str]:
    return isinstance(key, str) and 0 < len(key) <= MAX_KEY_CHARS


def _object(text: bytes) -> dict[str, Any]:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError as e:
        raise DialectError(f"not JSON: {e}") from e
    if not isinstance(fields, dict) or fields.get("schema") != SCHEMA:
        raise DialectError(f"not an object of schema {SCHEMA}")
    return fields
