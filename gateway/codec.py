"""Domain to canonical bytes and back. Pure: what it writes is what is hashed, proven and kept for years.

Canonical form ``PGR1`` (described for readers outside this house in docs/canonical.md):

    magic b"PGR1" | u32 little-endian length of the header | header | columns

The header is JSON: UTF-8, keys sorted, no spaces. For ``kind = "sample"`` it holds one list per property of the
record's scans (device, rows, taken_ns, source, raw) and the columns follow it in this order, each over all
scans, little-endian, without padding: points u16, values f64, quality u8, source times i64 (only rows of scans
whose ``source`` is 1), raw bytes. Every other kind has an ``item`` in its header and no columns.
The form is versioned by its magic; PGR1 never changes.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from drivers.kit.scan import Exact, Scan
from gateway.instant import ClockState

MAGIC: Final = b"PGR1"
_HEAD: Final = struct.Struct("<4sI")
MAX_HEADER_BYTES: Final = 4 << 20
"""A longer header is not one of ours."""
MAX_TEXT_CHARS: Final = 10_000
"""A longer text is cut."""
EXACT_BYTES: Final = 32
CHARACTER_BYTES: Final = 6
"""What one exact value takes of a header at most, and each character of a text beyond that."""


class CodecError(ValueError):
    """These bytes are not a canonical record of this version: integrity is bad, do not use them."""


@dataclass(frozen=True, slots=True)
class Body:
    """A decoded record.

    Attributes:
        kind: ``sample``, ``alarm``, ``snapshot``, ``gap``, ``start``, ``stop``, ``config_change``, …
        header: the whole header, ``config_rev`` and ``clock`` among it; ``item`` for all kinds but ``sample``.
        scans: the scans of a ``sample``, else ().
    """

    kind: str
    header: dict[str, Any]
    scans: tuple[Scan, ...] = ()


def _assemble(header: dict[str, Any], columns: bytes = b"") -> bytes:
    text = orjson.dumps(header, option=orjson.OPT_SORT_KEYS)
    return _HEAD.pack(MAGIC, len(text)) + text + columns


def encode_item(kind: str, item: dict[str, Any], clock: ClockState, config_rev: str) -> bytes:
    """Canonical bytes of one thing that happened: an alarm change, a gap, a start."""
    return _assemble({"kind": kind, "clock": clock.item(), "config_rev": config_rev, "item": item})


def encode_samples(scans: list[Scan], clock: ClockState, config_rev: str, *, keep_raw: bool = False) -> bytes:
    """Canonical bytes of one flush of readings, n rows in all.

    Args:
        scans: at least one, in the order in which they were taken.
        clock: state of the clock at the flush.
        config_rev: version of the point lists the scans index.
        keep_raw: also keep the registers as read.

    Raises:
        ValueError: ``scans`` is empty.
    """
    if not scans:
        raise ValueError("a flush needs at least one scan")
    sourced = [scan.source_ns for scan in scans if scan.source_ns is not None]
    raws = [scan.raw if keep_raw else b"" for scan in scans]
    header: dict[str, Any] = {
        "kind": "sample",
        "clock": clock.item(),
        "config_rev": config_rev,
        "device": [scan.device for scan in scans],
        "rows": [len(scan.points) for scan in scans],
        "taken_ns": [scan.taken_ns for scan in scans],
        "source": [int(scan.source_ns is not None) for scan in scans],
        "raw": [len(raw) for raw in raws],
    }
    if any(scan.exact for scan in scans):
        header["exact"] = [_exact_item(scan.exact or {}) for scan in scans]
    if any(scan.history for scan in scans):
        header["history"] = [int(scan.history) for scan in scans]
    columns = (
        np.concatenate([scan.points for scan in scans]).astype("<u2", copy=False).tobytes(),
        np.concatenate([scan.values for scan in scans]).astype("<f8", copy=False).tobytes(),
        np.concatenate([scan.quality for scan in scans]).astype("u1", copy=False).tobytes(),
        np.concatenate(sourced).astype("<i8", copy=False).tobytes() if sourced else b"",
        *raws,
    )
    return _assemble(header, b"".join(columns))


def exact_bytes(exact: Exact) -> int:
    """The most that exact values take of a record's header."""
    texts = sum(min(len(value), MAX_TEXT_CHARS) for value in exact.values() if isinstance(value, str))
    return EXACT_BYTES * len(exact) + CHARACTER_BYTES * texts


def _exact_item(exact: Exact) -> dict[str, int | str]:
    """Row -> value; half a character, which UTF-8 cannot hold, becomes a question mark."""
    return {
        str(row): value[:MAX_TEXT_CHARS].encode("utf-8", "replace").decode()
        if isinstance(value, str)
        else value
        for row, value in exact.items()
    }


def _exact_of(item: dict[str, Any], rows: int) -> Exact | None:
    exact = {int(row): value for row, value in item.items()}
    if not all(0 <= row < rows and type(value) in (int, str) for row, value in exact.items()):
        raise ValueError("exact names no row of its scan, or holds neither text nor whole number")
    return exact or None


def decode(body: bytes) -> Body:
    """Read canonical bytes back.

    Raises:
        CodecError: another magic, a torn header, or columns of another length than the header says.
    """
    if len(body) < _HEAD.size:
        raise CodecError("shorter than its own head")
    magic, length = _HEAD.unpack_from(body)
    if magic != MAGIC:
        raise CodecError(f"magic {magic!r} is not {MAGIC!r}")
    if length > MAX_HEADER_BYTES or _HEAD.size + length > len(body):
        raise CodecError("header longer than the record")
    try:
        header: dict[str, Any] = orjson.loads(body[_HEAD.size : _HEAD.size + length])
        kind = str(header["kind"])
    except (orjson.JSONDecodeError, KeyError, TypeError) as e:
        raise CodecError(f"header: {e}") from e
    offset = _HEAD.size + length
    if kind != "sample":
        if offset != len(body):
            raise CodecError("bytes after the header")
        return Body(kind, header)
    try:
        return Body(kind, header, _decode_scans(body, offset, header))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError) as e:
        raise CodecError(f"columns: {e}") from e


def _decode_scans(body: bytes, offset: int, header: dict[str, Any]) -> tuple[Scan, ...]:
    rows: list[int] = header["rows"]
    total = sum(rows)
    sourced = sum(n for n, has in zip(rows, header["source"], strict=True) if has)
    if min(rows, default=0) < 0 or offset + total * 11 + sourced * 8 + sum(header["raw"]) != len(body):
        raise CodecError("columns of another length than the header says")
    points = np.frombuffer(body, "<u2", total, offset)
    values = np.frombuffer(body, "<f8", total, offset + total * 2)
    quality = np.frombuffer(body, "u1", total, offset + total * 10)
    source = np.frombuffer(body, "<i8", sourced, offset + total * 11)
    raw_at = offset + total * 11 + sourced * 8
    exact, history = header.get("exact", [{}] * len(rows)), header.get("history", [0] * len(rows))
    lists = (header["device"], rows, header["taken_ns"], header["source"], header["raw"], exact, history)
    scans = []
    row = source_row = 0
    for device, n, taken_ns, has_source, raw_bytes, exact_item, is_history in zip(*lists, strict=True):
        scans.append(
            Scan(
                device=device,
                config_rev=header["config_rev"],
                points=points[row : row + n],
                values=values[row : row + n],
                quality=quality[row : row + n],
                taken_ns=taken_ns,
                taken_mono_ns=0,
                source_ns=source[source_row : source_row + n] if has_source else None,
                raw=body[raw_at : raw_at + raw_bytes],
                exact=_exact_of(exact_item, n),
                history=bool(is_history),
            )
        )
        row += n
        source_row += n if has_source else 0
        raw_at += raw_bytes
    return tuple(scans)
