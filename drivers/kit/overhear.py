"""Decides what a foreign Modbus RTU master's traffic says about our points. Pure: it hears, it never speaks.

A line of two wires shows both directions. A value is taken from an answer only where the very question was heard
directly before it: same unit, same function code, the byte count that was asked for, both CRCs right; and only at
the moment its last byte comes: what had to wait behind a false head is old and is not told.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from drivers.kit.address import BIT_TABLES, locate
from drivers.kit.mbap import EXCEPTION_BIT
from drivers.kit.planner import Block
from drivers.kit.rtu import (
    CRC_BYTES,
    EXCEPTION_BYTES,
    HEAD_BYTES,
    LATE_TIMEOUTS,
    REQUEST_BYTES,
    is_reading_request,
    sound,
)
from drivers.kit.scan import Point

SHORT_WRITES: Final = frozenset({5, 6})
WRITE_COILS: Final = 15
LONG_WRITES: Final = frozenset({WRITE_COILS, 16})
"""What a foreign master may write; it is skipped over, request and answer."""
LONG_WRITE_HEAD_BYTES: Final = 7
MAX_WRITE_DATA_BYTES: Final = 246
"""Data of the longest write (V1.1b3 sections 6.11 and 6.12)."""
MAX_DATA_BYTES: Final = 250
"""Data of the longest answer (V1.1b3 sections 6.1 and 6.3)."""
MAX_BUFFER_BYTES: Final = 1024
MAX_MEMO: Final = 256
"""So many different questions are remembered with what they hold for us."""


class Heard(NamedTuple):
    """An answer to a question that was heard, too.

    Attributes:
        unit_id, function_code, start, items: the question.
        data: of the answer, b"" where the unit refused.
    """

    unit_id: int
    function_code: int
    start: int
    items: int
    data: bytes

    @property
    def byte_count(self) -> int:
        """Bytes of data in a right answer."""
        return (self.items + 7) // 8 if self.function_code in BIT_TABLES else 2 * self.items


class Overhearing:
    """Makes questions with their answers out of the bytes of a line.

    A question to which nothing was heard leaves its unit in doubt: what it answers soon after may be the late answer
    to that question.

    Args:
        timeout_ns: how long the master waits for an answer.

    Attributes:
        garbled: bytes that belonged to no frame, counted by run.
    """

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._buffer = b""
        self._gone = 0
        self._arrivals: deque[tuple[int, int]] = deque()  # per piece: bytes received up to its end, and when
        self._question: Heard | None = None
        self._asked_ns = 0
        self._last_ns = 0
        self._doubted_ns: dict[int, int] = {}
        self._in_step = True
        self.garbled = 0

    def forget(self) -> None:
        """The line was opened anew."""
        self._drop(len(self._buffer))
        self._question = None

    def feed(self, data: bytes, now_ns: int) -> list[Heard]:
        """Take received bytes; returns the answers that are complete with them and may be believed."""
        if (
            now_ns - self._last_ns > self._timeout_ns
        ):  # nothing that was under way goes on after such a silence
            self._drop(len(self._buffer))
        self._last_ns = now_ns
        self._buffer += data
        self._arrivals.append((self._gone + len(self._buffer), now_ns))
        self._drop(max(0, len(self._buffer) - MAX_BUFFER_BYTES))
        return list(self._taken(now_ns))

    def _taken(self, now_ns: int) -> Iterator[Heard]:
        while self._buffer:
            question = self._question
            if question is not None and now_ns - self._asked_ns > self._timeout_ns:
                self._unanswered(now_ns)
                question = None
            if question is not None:
                length = self._answer_length(question)
                if length > len(self._buffer):
                    return
                if length and sound(self._buffer[:length]):
                    is_news = self._arrived_ns(length) == now_ns
                    frame = self._cut(length)
                    self._question = None
                    if self._is_believed(question.unit_id, now_ns) and is_news:
                        yield question._replace(data=self._data_of(frame))
                    continue
            length = self._other_length()
            if length > len(self._buffer):
                return
            if length:
                asked_ns = self._arrived_ns(length)
                self._take_other(self._cut(length), asked_ns, now_ns)
            else:
                self._slip(now_ns)

    def _cut(self, length: int) -> bytes:
        frame = self._buffer[:length]
        self._drop(length)
        self._in_step = True
        return frame

    def _drop(self, length: int) -> None:
        self._buffer = self._buffer[length:]
        self._gone += length
        while self._arrivals and self._arrivals[0][0] <= self._gone:
            self._arrivals.popleft()

    def _arrived_ns(self, length: int) -> int:
        """When the last of so many bytes at the buffer's front came."""
        return next(came_ns for end, came_ns in self._arrivals if end >= self._gone + length)

    def _answer_length(self, question: Heard) -> int:
        """Of the answer or refusal that the buffer may start with; 0 if it does not."""
        head = self._buffer[:HEAD_BYTES]
        refusal = bytes((question.unit_id, question.function_code | EXCEPTION_BIT))
        # A master may ask for more than an answer can hold; that is refused, or nobody answers.
        if question.byte_count <= MAX_DATA_BYTES:
            right = bytes((question.unit_id, question.function_code, question.byte_count))
            if head == right[: len(head)]:
                return HEAD_BYTES + question.byte_count + CRC_BYTES
        if head[:2] == refusal[: len(head)]:
            return EXCEPTION_BYTES
        return 0

    def _data_of(self, frame: bytes) -> bytes:
        return b"" if frame[1] & EXCEPTION_BIT else frame[HEAD_BYTES:-CRC_BYTES]

    def _other_length(self) -> int:
        """Of the request, or the answer to a write, that the buffer starts with; 0 if it does not."""
        buffer = self._buffer
        if len(buffer) < REQUEST_BYTES:
            return REQUEST_BYTES
        short = buffer[:REQUEST_BYTES]
        if is_reading_request(short) or (buffer[1] in SHORT_WRITES | LONG_WRITES and sound(short)):
            return REQUEST_BYTES
        if buffer[1] in LONG_WRITES and _is_long_write(buffer):
            length = LONG_WRITE_HEAD_BYTES + buffer[6] + CRC_BYTES
            if length > len(buffer) or sound(buffer[:length]):
                return length
        return 0

    def _take_other(self, frame: bytes, asked_ns: int, now_ns: int) -> None:
        if self._question is not None:
            self._unanswered(now_ns)
        if is_reading_request(frame):
            start, items = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
            self._question = Heard(frame[0], frame[1], start, items, b"")
            self._asked_ns = asked_ns

    def _unanswered(self, now_ns: int) -> None:
        assert self._question is not None, "only a question can stay unanswered"
        self._doubted_ns[self._question.unit_id] = now_ns
        self._question = None

    def _is_believed(self, unit_id: int, now_ns: int) -> bool:
        """No answer of this unit may still be on its way."""
        doubted_ns = self._doubted_ns.get(unit_id)
        if doubted_ns is None:
            return True
        if now_ns - doubted_ns <= LATE_TIMEOUTS * self._timeout_ns:
            return False
        del self._doubted_ns[unit_id]
        return True

    def _slip(self, now_ns: int) -> None:
        """The first byte begins nothing."""
        if self._question is not None:
            self._unanswered(now_ns)
        self.garbled += self._in_step
        self._in_step = False
        self._drop(1)


def _is_long_write(head: bytes) -> bool:
    """Does the byte count of a write go with its quantity? Stray bytes must not keep the line waiting."""
    items, byte_count = int.from_bytes(head[4:6], "big"), head[6]
    right = (items + 7) // 8 if head[1] == WRITE_COILS else 2 * items
    return 0 < byte_count == right <= MAX_WRITE_DATA_BYTES


class _Copy(NamedTuple):
    """Where a point's bytes are in an answer's data, and where in the notebook; a bit: which of the byte."""

    place: int
    source: int
    bit: int
    target: int
    length: int


class Notebook:
    """The last bytes overheard of every point, and when; a value always comes whole from one answer.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        rows: which points, rising.

    Attributes:
        blocks: one per point, in the order of ``rows``; what a decoder is compiled for.
        raw: their data, one behind the other.
        heard_ns: int64[n], when each was last heard, monotonic.
        refused: bool[n], what was heard last was a refusal.
        newest_ns: when anything of it was last heard.
    """

    def __init__(self, points: tuple[Point, ...], unit_id: int, rows: Sequence[int]) -> None:
        spans = [locate(points[row], unit_id) for row in rows]
        self.blocks = tuple(
            Block(span.unit_id, span.function_code, span.offset, span.width, (row,))
            for span, row in zip(spans, rows, strict=True)
        )
        self.raw = bytearray(sum(block.byte_count for block in self.blocks))
        self.heard_ns: NDArray[np.int64] = np.zeros(len(self.blocks), dtype=np.int64)
        self.refused: NDArray[np.bool_] = np.zeros(len(self.blocks), dtype=np.bool_)
        self.newest_ns = 0
        self._memo: dict[tuple[int, int, int, int], tuple[_Copy, ...]] = {}

    def begin(self, now_ns: int) -> None:
        """Nothing was heard before now."""
        self.heard_ns[:] = now_ns
        self.refused[:] = False

    def note(self, heard: Heard, now_ns: int) -> None:
        """Take from an answer what is ours."""
        copies = self._copies(heard)
        for place, source, bit, target, length in copies:
            self.heard_ns[place] = now_ns
            self.refused[place] = not heard.data
            if heard.data and bit >= 0:
                self.raw[target] = heard.data[source] >> bit & 1
            elif heard.data:
                self.raw[target : target + length] = heard.data[source : source + length]
        if copies:
            self.newest_ns = now_ns

    def _copies(self, heard: Heard) -> tuple[_Copy, ...]:
        known = self._memo.get(heard[:4])
        if known is None:
            known = tuple(self._find(heard))
            if len(self._memo) < MAX_MEMO:
                self._memo[heard[:4]] = known
        return known

    def _find(self, heard: Heard) -> Iterator[_Copy]:
        target = 0
        for place, block in enumerate(self.blocks):
            start = block.start - heard.start
            is_asked = block.unit_id == heard.unit_id and block.function_code == heard.function_code
            if is_asked and start >= 0 and start + block.count <= heard.items:
                if block.function_code in BIT_TABLES:
                    yield _Copy(place, start // 8, start % 8, target, 1)
                else:
                    yield _Copy(place, 2 * start, -1, target, block.byte_count)
            target += block.byte_count
