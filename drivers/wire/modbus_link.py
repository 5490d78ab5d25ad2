"""One Modbus connection over TCP, a serial line or RTU in TCP. Owns the socket or tty; decides no value, no plan.

Over 400 lines because each way of being connected is told from the first byte to the last, side by side.

Read-only: ``send`` of each is the one line that writes, and knows exactly the reading requests. An ``Ear`` has no
such line.
"""

from __future__ import annotations

import asyncio
import fcntl
import math
import termios
from collections.abc import Callable
from typing import Final, Protocol

from drivers.kit import mbap, rtu
from drivers.kit.address import READING_FUNCTION_CODES
from drivers.kit.errors import SourceError, WriteRefusedError
from drivers.kit.mbap import GarbledError
from drivers.kit.pace import Load
from drivers.kit.quality import Cause
from drivers.wire.bell import watch

QUIET_S: Final = 0.05
"""After anything but an awaited answer an RTU line must be silent for this before the next question."""
UNREAD_NS: Final = 1_000_000
"""So much later a question is put when bytes lie unread."""
RESTLESS_S: Final = 1.0
"""A line that is not silent for so long, beyond what it is waited for anyway, is of no use."""

RECEIVE_BYTES: Final = 65_536

_RECEIVED: Final = bytearray(RECEIVE_BYTES)
_RECEIVED_VIEW: Final = memoryview(_RECEIVED)


class SilentError(SourceError):
    """No answer in time."""


class Answer(Protocol):
    """Who waits for an answer."""

    def done(self) -> bool:
        """It does not wait any more."""

    def set_result(self, outcome: bytes | int, /) -> None:
        """The data bytes of the block, or the code of an exception."""

    def set_exception(self, error: Exception, /) -> None:
        """There is no answer; a ``SourceError`` says why, anything else is a defect."""


class Wired(asyncio.BufferedProtocol):
    """A connection that is used once.

    Buffered, because else the loop takes 256 KiB of fresh memory for every answer, which costs more than reading it.

    Attributes:
        lost: why it can no longer be used, "" while it can.
    """

    __slots__ = ("__weakref__", "_closed", "_loop", "_transport", "lost")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self.lost = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> bytearray:
        """Called by the loop, which fills it and calls ``buffer_updated`` before anyone else's turn."""
        del sizehint
        return _RECEIVED

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        self.data_received(bytes(_RECEIVED_VIEW[:nbytes]))

    def data_received(self, data: bytes) -> None:
        """Bytes arrived."""
        raise NotImplementedError

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop; whoever waits for an answer learns that none comes."""
        self._end(SourceError(Cause.COMM, f"connection lost: {exc or 'closed by the device'}"))
        if not self._closed.done():
            self._closed.set_result(None)

    def _end(self, error: SourceError) -> None:
        """Use this connection no more."""
        self.lost = self.lost or error.detail
        if self._transport is not None:
            self._transport.abort()

    def drop(self, why: str) -> None:
        """Use this connection no more."""
        self._end(SourceError(Cause.COMM, why))

    async def close(self) -> None:
        """Leave no socket behind."""
        self.drop("closed by the gateway")
        await self._closed


class Link(Wired):
    """A Modbus TCP connection: one request at a time.

    Args:
        load: is told how long questions were under way.
        transaction: see ``mbap.Conversation``.

    Attributes:
        talk: what was said on it.
        took_s: how long the last question was under way.
        late_s: see ``bell.Waiting``.
    """

    __slots__ = (
        "_answer",
        "_asked_s",
        "_load",
        "_now_s",
        "_tcp",
        "_unit_id",
        "_watch",
        "late_s",
        "talk",
        "took_s",
    )

    talk: mbap.Conversation | rtu.Conversation

    def __init__(self, load: Load, transaction: int = 0) -> None:
        super().__init__()
        self._load = load
        self._watch = watch()
        self._now_s = self._loop.time
        self._answer: Answer | None = None
        self._unit_id = 0
        self._asked_s = 0.0
        self.took_s = 0.0
        self.late_s = math.inf
        self.talk = self._tcp = mbap.Conversation(transaction)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        super().connection_made(transport)
        self._watch.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._watch.leave(self)
        super().connection_lost(exc)

    @property
    def transaction(self) -> int:
        """Of the last question over TCP."""
        return self._tcp.transaction

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        outcome = self._tcp.take_plain(_RECEIVED, _RECEIVED_VIEW, nbytes)
        answer = self._answer
        if outcome is None:
            self.data_received(bytes(_RECEIVED_VIEW[:nbytes]))
        elif answer is not None and not answer.done():
            answer.set_result(outcome)

    def data_received(self, data: bytes) -> None:
        """See ``Wired``."""
        try:
            outcome = self._tcp.feed(data)
        except GarbledError as error:
            self._end(SourceError(Cause.GARBLED, f"garbled answer: {error}"))
            return
        answer = self._answer
        # done: the reader was cancelled or gave up in this very turn of the loop
        if outcome is not None and answer is not None and not answer.done():
            answer.set_result(outcome)

    def give_up(self) -> None:
        """See ``bell.Waiting``."""
        self.late_s = math.inf
        answer = self._answer
        if answer is not None and not answer.done():
            unit_id = self._unit_id
            self.talk.give_up()
            answer.set_exception(SilentError(Cause.COMM, f"unit {unit_id}: no answer in time"))

    def _end(self, error: SourceError) -> None:
        if self._answer is not None and not self._answer.done():
            self.talk.give_up()
            self._answer.set_exception(error)
        super()._end(error)

    def send(self, adu: bytes) -> None:
        """Write one request; the only line that writes to this socket.

        Raises:
            WriteRefusedError: it is not exactly one reading request.
        """
        if len(adu) != mbap.REQUEST_BYTES or adu[mbap.HEADER_BYTES] not in READING_FUNCTION_CODES:
            raise WriteRefusedError(f"not a reading request: {adu.hex()}")
        assert self._transport is not None, "the loop made the connection before anyone could ask"
        self._transport.write(adu)

    def put(self, question: mbap.Question | rtu.Question, timeout_s: float, answer: Answer) -> None:
        """Send a question; ``answer`` gets what comes of it, then the asker calls ``release``.

        Args:
            question: of this connection's protocol.
            timeout_s: how long the answer may take.
            answer: who waits.

        Raises:
            SourceError: the link is lost.
        """
        if self.lost:
            raise SourceError(Cause.COMM, self.lost)
        assert isinstance(question, mbap.Question)
        self.send(self._tcp.ask(question))
        self._wait(question.unit_id, timeout_s, answer)

    def _wait(self, unit_id: int, timeout_s: float, answer: Answer) -> None:
        self._answer = answer
        self._unit_id = unit_id
        self._asked_s = now_s = self._now_s()
        self.late_s = late_s = now_s + timeout_s
        if late_s < self._watch.at_s:
            self._watch.wake_by(late_s)

    def release(self) -> None:
        """Nobody waits for an answer any more."""
        if self._answer is not None:
            self.took_s = self._now_s() - self._asked_s
            self._load.busy_s += self.took_s
            self._answer = None
            self.late_s = math.inf

    async def ask(self, question: mbap.Question | rtu.Question, timeout_s: float) -> bytes | int:
        """The data bytes of a block, or the code of an exception.

        Raises:
            SourceError: no usable answer; the link may be lost with it.
        """
        answer: asyncio.Future[bytes | int] = self._loop.create_future()
        try:
            self.put(question, timeout_s, answer)
            return await answer
        finally:
            self.release()


class RtuLink(Link):
    """An RTU conversation on a tty, or in a TCP connection to a converter.

    Args:
        load: is told how long questions were under way.
        debts: of the units on this line, over all its connections.
        gap_ns: silence between two frames, 0 where a converter sees to it.
        byte_s: time a byte takes on the line; comes on top of the time a unit may take to answer.
    """

    __slots__ = (
        "_byte_s",
        "_gap_ns",
        "_patient_ns",
        "_pending",
        "_stranger_until_s",
    )

    talk: rtu.Conversation

    def __init__(self, load: Load, debts: rtu.Debts, gap_ns: int, byte_s: float) -> None:
        super().__init__(load)
        self._gap_ns = gap_ns
        self._byte_s = byte_s
        self._pending: asyncio.TimerHandle | None = None
        self._patient_ns = 0
        self._stranger_until_s = 0.0
        self.talk = rtu.Conversation(debts)
        self.talk.heard_ns = self._now_ns()

    def _now_ns(self) -> int:
        return round(self._loop.time() * 1e9)

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        Wired.buffer_updated(self, nbytes)

    def data_received(self, data: bytes) -> None:
        """See ``Wired``."""
        if self._loop.time() < self._stranger_until_s:
            self.talk.heard_ns = self._now_ns()
            return
        answer = self._answer
        try:
            outcome = self.talk.feed(data, self._now_ns())
        except GarbledError as error:
            if answer is None or answer.done():
                self._end(SourceError(Cause.GARBLED, str(error)))
            else:
                answer.set_exception(SourceError(Cause.GARBLED, f"garbled answer: {error}"))
            return
        if outcome is not None and answer is not None and not answer.done():
            answer.set_result(outcome)

    async def settle(self, silent_s: float, at_least_s: float = 0.0) -> None:
        """Wait until the line was silent for so long: what others asked before is answered by then.

        Args:
            silent_s: how long the line must be silent.
            at_least_s: how long to wait in any case; what comes meanwhile is an answer to somebody else.

        Raises:
            SourceError: it never is silent.
        """
        begun_s = self._loop.time()
        self._stranger_until_s = begun_s + at_least_s
        while not self.lost:
            now_s = self._loop.time()
            left_s = max(self.talk.heard_ns / 1e9 + silent_s, begun_s + at_least_s) - now_s
            if left_s <= 0:
                return
            if now_s - begun_s > at_least_s + silent_s + RESTLESS_S:
                raise SourceError(Cause.GARBLED, "the line is never silent: does another master ask on it?")
            await asyncio.sleep(left_s)
        raise SourceError(Cause.GARBLED, self.lost)

    def send(self, adu: bytes) -> None:
        """Write one request; the only line that writes to this line.

        Raises:
            WriteRefusedError: it is not exactly one reading request.
        """
        if not rtu.is_reading_request(adu):
            raise WriteRefusedError(f"not a reading request: {adu.hex()}")
        assert self._transport is not None, "the line was opened before anyone could ask"
        self._transport.write(adu)

    def put(self, question: mbap.Question | rtu.Question, timeout_s: float, answer: Answer) -> None:
        """See ``Link.put``; waits for the silence that must be before a frame."""
        if self.lost:
            raise SourceError(Cause.COMM, self.lost)
        assert isinstance(question, rtu.Question)
        self._answer = answer
        self._asked_s = self._loop.time()
        self._patient_ns = self._now_ns() + round(RESTLESS_S * 1e9)
        self._say(question, timeout_s, answer)

    def _say(self, question: rtu.Question, timeout_s: float, answer: Answer) -> None:
        """Ask, or come back when the line may be silent."""
        self._pending = None
        now_ns = self._now_ns()
        quiet_ns = max(self._gap_ns, round(QUIET_S * 1e9)) if self.talk.restless else self._gap_ns
        wait_ns = self.talk.heard_ns + quiet_ns - now_ns
        if wait_ns <= 0 and self._is_told():
            # What lies unread came before the question, so it cannot be its answer: the loop reads it first.
            wait_ns = UNREAD_NS
        if wait_ns > 0 and now_ns > self._patient_ns:
            self._end(SourceError(Cause.GARBLED, "the line is never silent"))
        elif wait_ns > 0:
            self._pending = self._loop.call_later(wait_ns / 1e9, self._say_later, question, timeout_s, answer)
        else:
            self.send(self.talk.ask(question, now_ns))
            on_line_s = (rtu.REQUEST_BYTES + question.answer_bytes) * self._byte_s
            self._wait(question.unit_id, timeout_s + on_line_s, answer)

    def _is_told(self) -> bool:
        """Bytes have come that the loop has not handed over yet."""
        assert self._transport is not None, "the line was opened before anyone could ask"
        file = self._transport.get_extra_info("socket") or self._transport.get_extra_info("file")
        try:
            waiting = fcntl.ioctl(file, termios.FIONREAD, b"\0" * 4)
        except (OSError, ValueError):  # just closed; the loop will say so
            return False
        return waiting != b"\0" * 4

    def _say_later(self, question: rtu.Question, timeout_s: float, answer: Answer) -> None:
        try:
            self._say(question, timeout_s, answer)
        except Exception as error:  # noqa: BLE001 - a defect is the task's to raise
            answer.set_exception(error)

    def release(self) -> None:
        """See ``Link.release``; a question that was not asked yet is not asked any more."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        super().release()


class Ear(Wired):
    """Hears a line on which somebody else is the master.

    Args:
        hear: is given what arrives.
    """

    __slots__ = ("_hear",)

    def __init__(self, hear: Callable[[bytes], None]) -> None:
        super().__init__()
        self._hear = hear

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        self._hear(data)

    async def lost_by(self, at_s: float) -> bool:
        """Wait until then, on the loop's clock, or until the line is lost: is it?"""
        await asyncio.wait({self._closed}, timeout=at_s - self._loop.time())
        return bool(self.lost)
