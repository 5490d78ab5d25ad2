"""Decides what the bytes of OPC UA data values say: columns, a numpy call for each run of equal layout. Pure.

A publish, read or history answer carries its values one behind the other, each as long as its own mask and type
make it. Neighbours nearly always look alike, so a run of them is one array of records; nothing is done per value in
Python then. Encoding: OPC 10000-6 sections 5.2.2.16 (Variant), 5.2.2.17 (DataValue); 10000-4 section 7.25 (items).

What is torn, or longer than its bytes, raises; a value of a kind that is no number spoils itself only.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.kit.scan import TimeArray, ValueArray

MAX_DEPTH: Final = 8
"""Values within values; deeper ones are nobody's measurement."""
MAX_TEXT: Final = 4096
"""A longer text is no measurement either (bytes)."""
FIRST_RUN: Final = 16
"""So many values are looked at first; the next look is twice as wide for as long as they are alike."""

BOOLEAN: Final = 1
INT64: Final = 8
UINT64: Final = 9
STRING: Final = 12
_LOCALIZED_TEXT: Final = 21
_DTYPES: Final = {
    1: "u1",
    2: "i1",
    3: "u1",
    4: "<i2",
    5: "<u2",
    6: "<i4",
    7: "<u4",
    8: "<i8",
    9: "<u8",
    10: "<f4",
    11: "<f8",
}
"""Numbers, by the number of their built-in type (OPC 10000-6 section 5.1.2)."""
_SIZES: Final = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 4, 8: 8, 9: 8, 10: 4, 11: 8, 13: 8, 14: 16, 19: 4}
"""Types of a fixed size."""
_COUNTED: Final = frozenset({12, 15, 16})
"""Types that are a length and so many bytes."""
_ARRAY: Final = 0x80
_DIMENSIONS: Final = 0x40
_EXACT: Final = 2**53
_TICKS_1970: Final = 116_444_736_000_000_000
"""100 ns since 1601 (OPC 10000-6 section 5.2.2.5)."""
_TICKS_LAST: Final = _TICKS_1970 + (2**63 - 1) // 100
_I32: Final = struct.Struct("<i")
_U32: Final = struct.Struct("<I")
_I64: Final = struct.Struct("<q")


class TornError(ValueError):
    """The bytes are not what they say they are."""


@dataclass(frozen=True, slots=True, eq=False)
class DataValues:
    """Columns of equal length n, in the order of the wire.

    Attributes:
        handles: uint32[n], the client handle of each item; all 0 where there is none.
        values: float64[n] as sent; NaN where there is no number.
        status: uint32[n], status codes.
        source_ns: int64[n], UTC nanoseconds of the source, else of the server; 0 = neither.
        numbers: bool[n], where ``values`` holds what was sent.
        texts: place -> text.
        whole: place -> whole number beyond 2**53.
    """

    handles: NDArray[np.uint32]
    values: ValueArray
    status: NDArray[np.uint32]
    source_ns: TimeArray
    numbers: NDArray[np.bool_]
    texts: Mapping[int, str] = field(default_factory=dict)
    whole: Mapping[int, int] = field(default_factory=dict)


class Bytes:
    """A place in a message, which moves on as things are taken; nothing is taken beyond its end."""

    __slots__ = ("at", "content", "end")

    def __init__(self, content: bytes, at: int = 0, end: int | None = None) -> None:
        self.content = content
        self.at = at
        self.end = len(content) if end is None else end

    def skip(self, size: int) -> int:
        """Move on; where it was.

        Raises:
            TornError: there is not so much left.
        """
        at = self.at
        if size < 0 or size > self.end - at:
            raise TornError(f"the message ends {size - (self.end - at)} bytes too early")
        self.at = at + size
        return at

    def byte(self) -> int:
        """Take one."""
        return self.content[self.skip(1)]

    def u32(self) -> int:
        """Take four."""
        return int(_U32.unpack_from(self.content, self.skip(4))[0])

    def i32(self) -> int:
        """Take four."""
        return int(_I32.unpack_from(self.content, self.skip(4))[0])

    def ticks_ns(self) -> int:
        """Take a time: UTC nanoseconds, 0 for none."""
        ticks = int(_I64.unpack_from(self.content, self.skip(8))[0])
        return (ticks - _TICKS_1970) * 100 if _TICKS_1970 < ticks <= _TICKS_LAST else 0

    def count(self, least: int = 1) -> int:
        """Take an array's length, null being none; it cannot announce more than fits, ``least`` bytes each.

        Raises:
            TornError: it does.
        """
        n = self.i32()
        if n > (self.end - self.at) // least:
            raise TornError(f"an array announces {n} entries in {self.end - self.at} bytes")
        return max(0, n)

    def counted(self) -> bytes:
        """Take a byte string, null being empty."""
        size = max(0, self.i32())
        at = self.skip(size)
        return self.content[at : at + size]

    def part(self, size: int) -> Bytes:
        """Take so many bytes as a message of their own."""
        at = self.skip(size)
        return Bytes(self.content, at, at + size)


class _Layout(NamedTuple):
    """What a value of this mask and type looks like, handle included."""

    dtype: np.dtype[np.void]
    number: bool


@lru_cache(maxsize=1024)
def _layout(mask: int, kind: int, with_handle: bool) -> _Layout | None:
    """None where the length differs from value to value."""
    fields: list[tuple[str, str]] = [("handle", "<u4")] if with_handle else []
    fields.append(("mask", "u1"))
    number = False
    if mask & 1:
        fields.append(("kind", "u1"))
        if kind in _DTYPES:
            fields.append(("value", _DTYPES[kind]))
            number = True
        elif kind in _SIZES:
            fields.append(("value", f"V{_SIZES[kind]}"))
        elif kind != 0:
            return None
    fields += [
        (name, form)
        for bit, name, form in (
            (2, "status", "<u4"),
            (4, "source", "<i8"),
            (16, "source_pico", "<u2"),
            (8, "server", "<i8"),
            (32, "server_pico", "<u2"),
        )
        if mask & bit
    ]
    return _Layout(np.dtype(fields), number)


class _Columns:
    """The columns while they are being filled."""

    def __init__(self, n: int) -> None:
        self.handles = np.zeros(n, dtype=np.uint32)
        self.values = np.full(n, np.nan)
        self.status = np.zeros(n, dtype=np.uint32)
        self.ticks = np.zeros(n, dtype=np.int64)
        self.numbers = np.zeros(n, dtype=np.bool_)
        self.texts: dict[int, str] = {}
        self.whole: dict[int, int] = {}

    def take(self, place: int, run: NDArray[np.void], layout: _Layout) -> None:
        """A run of equal layout."""
        names = run.dtype.names or ()
        rows = slice(place, place + len(run))
        if "handle" in names:
            self.handles[rows] = run["handle"]
        if layout.number:
            sent = run["value"]
            self.values[rows] = sent != 0 if run["kind"][0] == BOOLEAN else sent
            self.numbers[rows] = True
            if run["kind"][0] in (INT64, UINT64):
                for index in np.flatnonzero(np.abs(self.values[rows]) >= _EXACT).tolist():
                    self.whole[place + index] = int(sent[index])
        if "status" in names:
            self.status[rows] = run["status"]
        if "server" in names:
            self.ticks[rows] = run["server"]
        if "source" in names:
            source = run["source"]
            self.ticks[rows] = np.where(source > 0, source, self.ticks[rows]) if "server" in names else source

    def done(self) -> DataValues:
        real = (self.ticks > _TICKS_1970) & (self.ticks <= _TICKS_LAST)
        times = np.where(real, (self.ticks - _TICKS_1970) * 100, 0)
        return DataValues(self.handles, self.values, self.status, times, self.numbers, self.texts, self.whole)


def data_values(message: Bytes, with_handle: bool) -> DataValues:
    """Take an array of data values, or of monitored items' notifications (``with_handle``).

    Raises:
        TornError: it is torn.
    """
    head = 5 if with_handle else 1
    n = message.count(head)
    columns = _Columns(n)
    place, width = 0, FIRST_RUN
    with np.errstate(all="ignore"):  # a signalling NaN is judged later, not warned about
        while place < n:
            taken = _run(message, columns, place, min(width, n - place), head)
            width = width * 2 if taken == width else FIRST_RUN
            place += taken
        return columns.done()


def _run(message: Bytes, columns: _Columns, place: int, most: int, head: int) -> int:
    """Take values of equal layout, at least one and at most ``most``; how many."""
    start = message.at
    at = start + head - 1
    if at >= message.end:
        raise TornError("the message ends before its values do")
    mask = message.content[at]
    if mask & 0xC0:
        raise TornError(f"a data value has the unknown mask {mask:#04x}")
    kind = message.content[at + 1] if mask & 1 and at + 1 < message.end else 0
    layout = _layout(mask, kind, head == 5)
    if layout is None:
        _one(message, columns, place, head, mask)
        return 1
    size = layout.dtype.itemsize
    fits = min(most, (message.end - start) // size)
    if fits == 0:
        raise TornError("the message ends within a value")
    run = np.frombuffer(message.content, layout.dtype, fits, start)
    alike = run["mask"] == mask
    if mask & 1:
        alike &= run["kind"] == kind
    taken = fits if alike.all() else int(alike.argmin())
    columns.take(place, run[:taken], layout)
    message.skip(taken * size)
    return taken


def _one(message: Bytes, columns: _Columns, place: int, head: int, mask: int) -> None:
    """Take a value whose length only its content tells."""
    if head == 5:
        columns.handles[place] = message.u32()
    message.skip(1)
    kind = message.byte()
    if kind in (STRING, _LOCALIZED_TEXT):
        content = message.counted() if kind == STRING else _localized(message)
        if len(content) <= MAX_TEXT:
            columns.texts[place] = content.decode("utf-8", "replace")
    else:
        _skip_variant(message, kind, 0)
    if mask & 2:
        columns.status[place] = message.u32()
    ticks = 0
    for bit, size in ((4, 8), (16, 2), (8, 8), (32, 2)):
        if mask & bit:
            at = message.skip(size)
            if size == 8:
                ticks = ticks or int(_I64.unpack_from(message.content, at)[0])
    columns.ticks[place] = ticks


def _localized(message: Bytes) -> bytes:
    mask = message.byte()
    if mask & 1:
        message.counted()
    return message.counted() if mask & 2 else b""


def _skip_variant(message: Bytes, kind: int, depth: int) -> None:
    one = kind & 0x3F
    if kind & _ARRAY:
        n = message.count()
        if one in _SIZES:
            message.skip(n * _SIZES[one])
        else:
            for _ in range(n):
                _skip(message, one, depth + 1)
        if kind & _DIMENSIONS:
            message.skip(4 * message.count(4))
    elif one:
        _skip(message, one, depth + 1)


def _skip(message: Bytes, kind: int, depth: int) -> None:  # noqa: C901 - one branch for each built-in type
    """Pass over one value of a built-in type."""
    if depth > MAX_DEPTH:
        raise TornError("values within values without end")
    if kind in _SIZES:
        message.skip(_SIZES[kind])
    elif kind in _COUNTED or kind > 25:
        message.counted()
    elif kind in (17, 18):
        skip_node_id(message)
    elif kind == 20:
        message.skip(2)
        message.counted()
    elif kind == _LOCALIZED_TEXT:
        _localized(message)
    elif kind == 22:
        skip_node_id(message)
        if message.byte() & 3:
            message.counted()
    elif kind == 23:
        mask = message.byte()
        if mask & 1:
            _skip_variant(message, message.byte(), depth + 1)
        message.skip(sum(size for bit, size in ((2, 4), (4, 8), (16, 2), (8, 8), (32, 2)) if mask & bit))
    elif kind == 24:
        _skip_variant(message, message.byte(), depth + 1)
    else:
        skip_diagnostics(message, depth)


def skip_node_id(message: Bytes) -> int:
    """Pass over a node id (OPC 10000-6 section 5.2.2.9), its number if it has one, else -1.

    Raises:
        TornError: it is torn.
    """
    encoding = message.byte()
    kind = encoding & 0x3F
    number = -1
    if kind == 0:
        number = message.byte()
    elif kind == 1:
        space = message.byte()
        at = message.skip(2)
        number = int.from_bytes(message.content[at : at + 2], "little") if space == 0 else -1
    elif kind == 2:
        at = message.skip(2)
        value = message.u32()
        number = value if message.content[at : at + 2] == b"\0\0" else -1
    elif kind in (3, 5):
        message.skip(2)
        message.counted()
    elif kind == 4:
        message.skip(18)
    else:
        raise TornError(f"a node id has the unknown kind {kind}")
    if encoding & 0x80:
        message.counted()
    if encoding & 0x40:
        message.skip(4)
    return number


def skip_diagnostics(message: Bytes, depth: int = 0) -> None:
    """Pass over a DiagnosticInfo (OPC 10000-6 section 5.2.2.12).

    Raises:
        TornError: it is torn.
    """
    if depth > MAX_DEPTH:
        raise TornError("diagnostics within diagnostics without end")
    mask = message.byte()
    message.skip(4 * (mask & 0x0F).bit_count())
    if mask & 0x10:
        message.counted()
    if mask & 0x20:
        message.skip(4)
    if mask & 0x40:
        skip_diagnostics(message, depth + 1)
