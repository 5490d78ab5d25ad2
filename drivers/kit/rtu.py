"""Decides what bytes on a Modbus RTU line are: the awaited answer, a refusal, a late one, or nonsense. Pure.

An RTU answer names its unit, function code and byte count, but not the question: one that comes late cannot be
told from the answer to the next question to the same unit. So a unit that did not answer in time may owe an
answer (``Debts``) and is not believed until it is even again. Source: MODBUS over Serial Line V1.02.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from drivers.kit.mbap import EXCEPTION_BIT, GarbledError
from drivers.kit.planner import BIT_TABLES, READING_FUNCTION_CODES, Block

REQUEST_BYTES: Final = 8
"""Every reading request: unit, function code, start (2), count (2), CRC (2)."""
EXCEPTION_BYTES: Final = 5
HEAD_BYTES: Final = 3
"""Unit, function code, byte count (or exception code)."""
CRC_BYTES: Final = 2
UNIT_IDS: Final = range(1, 248)
"""0 is for everyone and answered by nobody; above 247 is reserved (V1.02 section 2.2)."""
LATE_TIMEOUTS: Final = 3
"""An answer that did not come within so many timeouts of its question never comes."""
GAP_CHARACTERS: Final = 3.5
FAST_BAUD: Final = 19_200
FAST_GAP_NS: Final = 1_750_000
"""Silence between two frames: 3.5 characters, above 19200 baud 1.75 ms (V1.02 section 2.5.1.1)."""
MAX_STRAY_BYTES: Final = 512
"""So many unasked bytes are kept to see whether they are a frame."""


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_CRC: Final = _crc_table()


def crc(data: bytes) -> bytes:
    """CRC-16 of a frame as it goes over the line, low byte first (V1.02 section 6.2)."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC[(value ^ byte) & 0xFF]
    return value.to_bytes(2, "little")


def sound(frame: bytes) -> bool:
    """Its last two bytes are the CRC of the others."""
    return len(frame) > CRC_BYTES and crc(frame[:-CRC_BYTES]) == frame[-CRC_BYTES:]


def gap_ns(baud: int, byte_s: float) -> int:
    """How long a line must be silent between two frames."""
    return FAST_GAP_NS if baud > FAST_BAUD else round(GAP_CHARACTERS * byte_s * 1e9)


def is_reading_request(frame: bytes) -> bool:
    """Exactly one request that only reads, to exactly one unit."""
    return (
        len(frame) == REQUEST_BYTES
        and frame[0] in UNIT_IDS
        and frame[1] in READING_FUNCTION_CODES
        and sound(frame)
    )


def answer_length(head: bytes) -> int | None:
    """Bytes of the answer to a reading request that starts like this, at least HEAD_BYTES of it; None: no answer."""
    code = head[1] & ~EXCEPTION_BIT
    if code not in READING_FUNCTION_CODES:
        return None
    if head[1] & EXCEPTION_BIT:
        return EXCEPTION_BYTES
    count = head[2]
    if count == 0 or (code not in BIT_TABLES and count % 2):
        return None
    return HEAD_BYTES + count + CRC_BYTES


class Question:
    """A block with what is known beforehand of its request and its answer.

    Attributes:
        block: what is asked for.
        unit_id: whom.
        request: the whole request.
        answer_start: the right answer's bytes up to its data.
        answer_bytes: length of the right answer.
    """

    __slots__ = ("answer_bytes", "answer_start", "block", "request", "unit_id")

    def __init__(self, block: Block, request: bytes) -> None:
        self.block = block
        self.unit_id = block.unit_id
        self.request = request
        self.answer_start = bytes((block.unit_id, block.function_code, block.byte_count))
        self.answer_bytes = HEAD_BYTES + block.byte_count + CRC_BYTES


class _Debt:
    """One unit's: the question it did not answer, when it was asked, from when it may be asked again or believed."""

    __slots__ = ("asked_ns", "believed_ns", "question", "rested_ns")

    def __init__(self, question: Question) -> None:
        self.question = question
        self.asked_ns: deque[int] = deque()
        self.believed_ns: int | None = None
        self.rested_ns = 0


class Debts:
    """Units that may owe an answer, over all connections of a line.

    Until nothing can come any more such a unit is asked nothing but the very question it did not answer. What then
    answers may be the answer to any asking of it (a unit answers in order), so its value is thrown away, and the unit
    is even when nothing more came from it for a timeout, counted from when the last asking's answer would be in were
    it as late as this one may have been. If more does come, it is late indeed: it is left alone until nothing can come
    any more, so that the next question to it is the only one on its way, and must answer that.

    Args:
        timeout_ns: how long an answer may take.
    """

    def __init__(self, timeout_ns: int) -> None:
        self._timeout_ns = timeout_ns
        self._of: dict[int, _Debt] = {}

    def __contains__(self, unit_id: object) -> bool:
        return unit_id in self._of

    def question(self, unit_id: int, now_ns: int) -> Question | None:
        """The only one that a unit in debt may be asked; None: any, what it may owe does not come any more."""
        debt = self._of[unit_id]
        is_over = not debt.asked_ns or now_ns - debt.asked_ns[-1] > LATE_TIMEOUTS * self._timeout_ns
        return None if is_over else debt.question

    def asked(self, question: Question, asked_ns: int) -> None:
        """A question was given up, or, of a unit in debt, asked again."""
        debt = self._of.setdefault(question.block.unit_id, _Debt(question))
        debt.question = question
        debt.asked_ns.append(asked_ns)
        debt.believed_ns = None
        self._forget(debt, asked_ns)

    def answered(self, unit_id: int, now_ns: int) -> None:
        """A unit in debt answered while it was asked."""
        debt = self._of[unit_id]
        self._forget(debt, now_ns)
        lateness_ns = now_ns - debt.asked_ns.popleft() if debt.asked_ns else 0
        last_ns = debt.asked_ns[-1] + lateness_ns if debt.asked_ns else now_ns
        debt.believed_ns = max(now_ns, last_ns) + self._timeout_ns

    def late(self, unit_id: int, now_ns: int) -> None:
        """A unit in debt answered while it was not asked."""
        debt = self._of[unit_id]
        self._forget(debt, now_ns)
        if debt.asked_ns:
            debt.asked_ns.popleft()
        debt.believed_ns = None
        debt.rested_ns = now_ns + LATE_TIMEOUTS * self._timeout_ns

    def _forget(self, debt: _Debt, now_ns: int) -> None:
        while len(debt.asked_ns) > 1 and now_ns - debt.asked_ns[0] > LATE_TIMEOUTS * self._timeout_ns:
            debt.asked_ns.popleft()

    def silent_until_ns(self, unit_id: int, block: Block) -> int:
        """Until then a unit in debt is left alone; it is even then, or is asked.

        Args:
            unit_id: whose debt.
            block: what the unit should be asked for; where that is not what it may owe, nothing can come any more then.
        """
        debt = self._of[unit_id]
        if debt.believed_ns is not None:
            return debt.believed_ns
        if not debt.asked_ns or block == debt.question.block:
            return debt.rested_ns
        return max(debt.rested_ns, debt.asked_ns[-1] + LATE_TIMEOUTS * self._timeout_ns + 1)

    def forgive(self, now_ns: int) -> tuple[int, ...]:
        """Units that are even by now; their debts are forgotten."""
        even = tuple(
            unit_id
            for unit_id, debt in self._of.items()
            if debt.believed_ns is not None and now_ns >= debt.believed_ns
        )
        for unit_id in even:
            del self._of[unit_id]
        return even


class Conversation:
    """Both directions of one line, one question at a time; bytes in, bytes out, no tty.

    Args:
        debts: of the units on this line.

    Attributes:
        late: answers that came after they were given up; counted and thrown away.
        answers: answers to questions, refusals among them.
        heard_ns: when the last byte came.
        restless: what came last was not an awaited answer, so the line must be silent before the next question.
    """

    def __init__(self, debts: Debts) -> None:
        self._debts = debts
        self._question: Question | None = None
        self._asked_ns = 0
        self._buffer = b""
        self._echo = b""
        self.late = 0
        self.answers = 0
        self.heard_ns = 0
        self.restless = False

    def ask(self, question: Question, now_ns: int) -> bytes:
        """The frame to send."""
        self._question, self._asked_ns = question, now_ns
        self._buffer, self._echo = b"", question.request
        self.restless = False
        if question.block.unit_id in self._debts:
            self._debts.asked(question, now_ns)
        return question.request

    def give_up(self) -> None:
        """Wait no longer for the answer; its unit may owe it."""
        question, self._question = self._question, None
        self._buffer = b""
        self.restless = True
        if question is not None and question.block.unit_id not in self._debts:
            self._debts.asked(question, self._asked_ns)

    def feed(self, data: bytes, now_ns: int) -> bytes | int | None:
        """Take received bytes.

        Returns:
            The data bytes of the awaited answer, the exception code the unit answered with, or None while neither
            is complete.

        Raises:
            GarbledError: these bytes are no answer; the line must be silent before the next question.
        """
        self.heard_ns = now_ns
        self._buffer += data
        question = self._question
        if question is not None and self._echo:
            self._skip_echo()
        while self._question is not None and len(self._buffer) >= HEAD_BYTES:
            length = self._length(self._question)
            if len(self._buffer) < length:
                return None
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if frame[0] != self._question.block.unit_id:
                self._late(frame, now_ns)
                continue
            return self._judge(self._question, frame, now_ns)
        if self._question is None:
            self._stray(now_ns)
        return None

    def _skip_echo(self) -> None:
        """Some converters hear themselves: the request comes back before the answer."""
        echo = self._echo
        if self._buffer.startswith(echo):
            self._buffer, self._echo = self._buffer[len(echo) :], b""
        elif not echo.startswith(self._buffer):
            self._echo = b""

    def _length(self, question: Question) -> int:
        """Of the frame that the buffer starts with, which must be the awaited answer, its refusal, or a late one."""
        head = self._buffer[:HEAD_BYTES]
        if self._echo:  # not whole yet
            return REQUEST_BYTES
        if head == question.answer_start:
            return question.answer_bytes
        if head[0] == question.block.unit_id:
            if head[1] == question.block.function_code | EXCEPTION_BIT:
                return EXCEPTION_BYTES
            raise self._garbled(
                f"unit {head[0]} answers with {head.hex()} instead of {question.answer_start.hex()}"
            )
        length = answer_length(head) if head[0] in self._debts else None
        if length is None:
            raise self._garbled(
                f"bytes that start with {head.hex()} came instead of unit {question.block.unit_id}'s answer"
            )
        return length

    def _judge(self, question: Question, frame: bytes, now_ns: int) -> bytes | int:
        """The frame that looks like the awaited one."""
        if not sound(frame):
            if frame[1] == question.block.function_code:
                self._question = None  # it was the answer, torn: nothing is owed
            raise self._garbled(f"an answer of unit {frame[0]} has a wrong CRC")
        self._question = None
        if self._buffer:
            self._question = question
            raise self._garbled(f"{len(self._buffer)} bytes came behind unit {frame[0]}'s answer")
        code = frame[2]
        if frame[1] & EXCEPTION_BIT and not code:
            raise self._garbled(f"unit {frame[0]} answers with exception 0")
        self.answers += 1
        if frame[0] in self._debts:
            self._debts.answered(frame[0], now_ns)
        return code if frame[1] & EXCEPTION_BIT else frame[HEAD_BYTES:-CRC_BYTES]

    def _late(self, frame: bytes, now_ns: int) -> None:
        """A whole frame of another unit, one that owes an answer."""
        if not sound(frame):
            raise self._garbled(f"a late answer of unit {frame[0]} has a wrong CRC")
        self.late += 1
        self._debts.late(frame[0], now_ns)

    def _garbled(self, why: str) -> GarbledError:
        """The question, if any is still open, is given up with this."""
        self.give_up()
        return GarbledError(why)

    def _stray(self, now_ns: int) -> None:
        """Bytes while nobody is asked: late answers; noise, which a line may have; or a foreign master's.

        Raises:
            GarbledError: somebody else speaks here, or a unit answers more often than it was asked.
        """
        self.restless = True
        while len(self._buffer) >= HEAD_BYTES:
            if len(self._buffer) >= REQUEST_BYTES and is_reading_request(self._buffer[:REQUEST_BYTES]):
                raise GarbledError(f"another master asks on this line: {self._buffer[:REQUEST_BYTES].hex()}")
            length = answer_length(self._buffer[:HEAD_BYTES])
            if length is None:
                self._buffer = b""
                return
            if len(self._buffer) < length:
                return
            frame, self._buffer = self._buffer[:length], self._buffer[length:]
            if not sound(frame):
                self._buffer = b""
            elif frame[0] in self._debts:
                self.late += 1
                self._debts.late(frame[0], now_ns)
            else:
                raise GarbledError(f"unit {frame[0]} answers without being asked")
