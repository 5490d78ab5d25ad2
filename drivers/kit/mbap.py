"""Decides what bytes from a Modbus TCP peer are: the awaited answer, a refusal, more to come, or nonsense. Pure.

Everything the protocol lets one check is checked, because Modbus TCP has no checksum: transaction,
protocol, length, unit, function code and byte count. Source: Modbus Messaging on TCP/IP V1.0b section 3.1.
"""

from __future__ import annotations

from collections import deque
from typing import Final, NamedTuple

from drivers.kit.planner import Block

HEADER_BYTES: Final = 7
"""Transaction (2), protocol (2), length (2), unit (1)."""
DATA_AT: Final = 9
"""Behind header, function code and byte count."""
REQUEST_BYTES: Final = 12
"""Every reading request: header, function code, start (2), count (2)."""
MIN_LENGTH: Final = 3
MAX_LENGTH: Final = 254
"""Bounds of the length field: unit and PDU, of which the shortest is an exception, the longest 253 bytes."""
EXCEPTION_BIT: Final = 0x80
MAX_LATE: Final = 256
"""So many given-up requests are remembered, so that their late answers are known and thrown away."""


class GarbledError(Exception):
    """The peer sent what nobody asked for: the stream cannot be trusted any more."""


class Frame(NamedTuple):
    """One whole frame: its transaction, and its bytes with header."""

    transaction: int
    adu: bytes


def take_frame(buffer: bytes) -> tuple[Frame | None, bytes]:
    """Cut the first whole frame off a buffer; None while it is not whole. Returns what is left, too.

    Raises:
        GarbledError: what stands there cannot be the beginning of a frame.
    """
    if len(buffer) >= 4 and buffer[2:4] != b"\x00\x00":
        raise GarbledError(f"protocol identifier {buffer[2:4].hex()} instead of 0000")
    if len(buffer) < HEADER_BYTES - 1:
        return None, buffer
    length = int.from_bytes(buffer[4:6], "big")
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise GarbledError(
            f"a frame of {length} bytes is announced, {MIN_LENGTH} to {MAX_LENGTH} are possible"
        )
    end = 6 + length
    if len(buffer) < end:
        return None, buffer
    return Frame(int.from_bytes(buffer[:2], "big"), buffer[:end]), buffer[end:]


def answer_start(block: Block) -> bytes:
    """What the right answer to a block's request starts with, behind the transaction identifier."""
    length = 3 + block.byte_count
    return (
        b"\x00\x00"
        + length.to_bytes(2, "big")
        + bytes((block.unit_id, block.function_code, block.byte_count))
    )


def exception_code(adu: bytes, block: Block) -> int:
    """The exception code of a frame that carries the right transaction but not the right answer.

    Raises:
        GarbledError: it is no exception to this block's request either; says what is wrong.
    """
    unit, function_code = adu[6], adu[7]
    if unit != block.unit_id:
        raise GarbledError(f"unit {unit} answered for unit {block.unit_id}")
    if function_code == block.function_code | EXCEPTION_BIT and len(adu) == HEADER_BYTES + 2 and adu[8]:
        return adu[8]
    if function_code != block.function_code:
        raise GarbledError(f"function code {function_code} answers function code {block.function_code}")
    raise GarbledError(
        f"{len(adu) - HEADER_BYTES - 2} data bytes (announced: {adu[8]}) instead of {block.byte_count}"
    )


class Question:
    """A block with what is known beforehand of its request and its answer.

    Attributes:
        block: what is asked for.
        unit_id: whom.
        request_rest: the request's bytes behind the transaction identifier.
        answer_start: the right answer's bytes behind the transaction identifier, up to its data.
        answer_bytes: length of the right answer.
    """

    __slots__ = ("answer_bytes", "answer_start", "block", "request_rest", "unit_id")

    def __init__(self, block: Block, request_rest: bytes) -> None:
        self.block = block
        self.unit_id = block.unit_id
        self.request_rest = request_rest
        self.answer_start = answer_start(block)
        self.answer_bytes = 2 + len(self.answer_start) + block.byte_count


class Conversation:
    """Both directions of one connection, one question at a time; bytes in, bytes out, no socket.

    Args:
        transaction: the last one of the connection before, so that an answer to that is not taken for one on this.

    Attributes:
        transaction: of the last question.
        late: answers that came after they were given up; counted and thrown away.
        answers: answers to questions, refusals among them.
    """

    __slots__ = (
        "_buffer",
        "_given_up",
        "_question",
        "_start",
        "answers",
        "late",
        "transaction",
    )

    def __init__(self, transaction: int = 0) -> None:
        self.transaction = transaction
        self._question: Question | None = None
        self._start = b""
        self._buffer = b""
        self._given_up: deque[int] = deque(maxlen=MAX_LATE)
        self.late = 0
        self.answers = 0

    def ask(self, question: Question) -> bytes:
        """The frame to send."""
        self.transaction = self.transaction % 0xFFFF + 1
        head = self.transaction.to_bytes(2, "big")
        self._question = question
        self._start = head + question.answer_start
        return head + question.request_rest

    def give_up(self) -> None:
        """Wait no longer for the answer; should it come later, it is known."""
        self._question = None
        self._given_up.append(self.transaction)

    def take_plain(self, received: bytearray, seen: memoryview, size: int) -> bytes | None:
        """The whole way of an ordinary answer: its data if the first ``size`` bytes are exactly the awaited one."""
        question = self._question
        if (
            question is None
            or size != question.answer_bytes
            or self._buffer
            or not received.startswith(self._start)
        ):
            return None
        self._question = None
        self.answers += 1
        return seen[DATA_AT:size].tobytes()

    def feed(self, data: bytes) -> bytes | int | None:
        """Take received bytes that are not, by themselves, the plain answer.

        Returns:
            The data bytes of the awaited answer, the exception code the device answered with, or None
            while neither is complete.

        Raises:
            GarbledError: the stream cannot be trusted any more, nor what it gave in the same breath.
        """
        outcome: bytes | int | None = None
        frame, self._buffer = take_frame(self._buffer + data)
        while frame is not None:
            outcome = self._judge(frame, outcome)
            frame, self._buffer = take_frame(self._buffer)
        return outcome

    def _judge(self, frame: Frame, outcome: bytes | int | None) -> bytes | int | None:
        """One whole frame that came in pieces, in company, or is not the plain answer."""
        question = self._question
        if question is not None and frame.transaction == self.transaction:
            self._question = None
            self.answers += 1
            if len(frame.adu) == question.answer_bytes and frame.adu.startswith(self._start):
                return frame.adu[DATA_AT:]
            return exception_code(frame.adu, question.block)
        if frame.transaction not in self._given_up:
            raise GarbledError(f"transaction {frame.transaction} was not asked for")
        self._given_up.remove(frame.transaction)
        self.late += 1
        return outcome
