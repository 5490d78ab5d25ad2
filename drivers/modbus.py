"""Reads Modbus TCP devices and posts their columns. Owns the socket and its life; decides no value, no plan.

Requests are built by pymodbus (its request classes and its framer) once per block and only get a new
transaction identifier per poll. Its client is not used: it accepts answers with transaction 0, of another
function code or too short, holds one lock through retries and builds a list of ints per answer; the checks
it leaves out are few (``kit.mbap``), and without it a poll costs about what a bare asyncio read costs.

Read-only by construction: ``encode_request`` knows four reading requests and no other, and ``Link.send``,
the one line that writes to a socket, looks at the function code of every frame again.

Longer than 400 lines, because a driver is one file: options, one connection, and the life of one device.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol
from weakref import WeakKeyDictionary

from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.kit.contract import Post, SourceState
from drivers.kit.decode import Decoder, compile_plan, scaling
from drivers.kit.errors import SourceError, WriteRefusedError
from drivers.kit.mbap import HEADER_BYTES, REQUEST_BYTES, Conversation, GarbledError, Question
from drivers.kit.options import refuse, within
from drivers.kit.pace import next_due, period_ns
from drivers.kit.patience import UNIT_ABSENT, Patience, cause_of_exception
from drivers.kit.planner import MAX_REGISTERS, READING_FUNCTION_CODES, Block, locate, plan
from drivers.kit.quality import Cause
from drivers.kit.scan import Device, Point, Scan, missed

POLLED: Final = True
"""Every point is posted in every period; see ``kit.contract``."""
BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
"""The wait before a new connection is drawn from 0 to a bound that doubles between these two."""
ROUNDS_TO_REOPEN: Final = 3
"""After so many rounds in a row with questions but no answer at all the connection is taken for half open."""
PROBE_SHARE: Final = 0.8
"""A silent unit is asked for this share of the time left before the next scan, so that the scan is not late."""
TIMEOUTS_PER_S: Final = 100
"""Timeouts are rounded up to these fractions of a second, so that requests of one slot share a timer."""
MIN_PROBE_S: Final = 0.02
"""With less time than this a silent unit is not asked."""

_NS_PER_S: Final = 1_000_000_000
_FRAMER: Final = FramerSocket(DecodePDU(is_server=False))
_REQUESTS: Final = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
assert _REQUESTS.keys() == READING_FUNCTION_CODES, "the allow-list of requests is the reading function codes"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """A device's own keys in gateway.toml.

    Attributes:
        host: address of the device; an IP address, so that no name server stands between box and PLC.
        port: TCP port.
        unit_id: unit identifier (站号) of points that name none.
        timeout_s: how long an answer or a connection may take.
        max_registers: most registers in one request, 2 to 125.
        max_gap: most unwanted registers read along to save a request.
    """

    host: str
    port: int = 502
    unit_id: int = 1
    timeout_s: float = 1.0
    max_registers: int = MAX_REGISTERS
    max_gap: int = 8

    def __post_init__(self) -> None:
        if not self.host.strip():
            refuse(
                "host", "PLC 地址为空。", "The address is empty.", " PLC 的 IP 地址", "the PLC's IP address"
            )
        within("port", self.port, 1, 65_535)
        within("unit_id", self.unit_id, 0, 255)
        within("timeout_s", self.timeout_s, 0.05, 60)
        within("max_registers", self.max_registers, 2, MAX_REGISTERS)
        within("max_gap", self.max_gap, 0, MAX_REGISTERS)


def check_point(point: Point, options: Options) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: it cannot be read as written.
    """
    locate(point, options.unit_id)
    scaling(point.scale, point.offset)


def connect(device: Device, options: Options, post: Post) -> ModbusSource:
    """A source for this device; opens nothing yet.

    Raises:
        PointError: a point cannot be read as written.
    """
    return ModbusSource(device, options, post)


class _SilentError(SourceError):
    """No answer in time."""


class _RefusedError(SourceError):
    """The device answered with an exception."""

    def __init__(self, code: int, block: Block) -> None:
        super().__init__(
            cause_of_exception(code),
            f"unit {block.unit_id} answers exception {code} to function code {block.function_code}, "
            f"offset {block.start}, count {block.count}",
        )
        self.code = code


def encode_request(block: Block) -> bytes:
    """The request for a block, its transaction identifier still 0.

    Raises:
        WriteRefusedError: the function code is not one that only reads.
    """
    request = _REQUESTS.get(block.function_code)
    if request is None:
        raise WriteRefusedError(f"function code {block.function_code} is not a reading one")
    return _FRAMER.buildFrame(request(address=block.start, count=block.count, dev_id=block.unit_id))


class Bell:
    """One timer per instant, for everyone who waits for it: timers of their own cost about half a read."""

    def __init__(self) -> None:
        self._waiting: dict[float, _Instant] = {}

    def call_at(self, at_s: float, key: object, call: Callable[[], None]) -> None:
        """Call when the running loop's clock shows this; ``call`` must not raise."""
        instant = self._waiting.get(at_s)
        if instant is None:
            timer = asyncio.get_running_loop().call_at(at_s, self._ring, at_s)
            instant = self._waiting[at_s] = _Instant(timer, {})
        instant.calls[key] = call

    def take_back(self, at_s: float, key: object) -> None:
        """Do not call any more, if it has not been."""
        instant = self._waiting.get(at_s)
        if instant is not None:
            instant.calls.pop(key, None)
            if not instant.calls:
                instant.timer.cancel()
                del self._waiting[at_s]

    def _ring(self, at_s: float) -> None:
        for call in self._waiting.pop(at_s).calls.values():
            call()


class _Instant(NamedTuple):
    timer: asyncio.TimerHandle
    calls: dict[object, Callable[[], None]]


_BELLS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, Bell]] = WeakKeyDictionary()


def _bell() -> Bell:
    """The running loop's."""
    return _BELLS.setdefault(asyncio.get_running_loop(), Bell())


class Answer(Protocol):
    """Who waits for an answer: a future, or ``_Rounds``."""

    def done(self) -> bool:
        """It does not wait any more."""

    def set_result(self, outcome: bytes | int, /) -> None:
        """The data bytes of the block, or the code of an exception."""

    def set_exception(self, error: SourceError, /) -> None:
        """There is no answer."""


class Link(asyncio.Protocol):
    """One TCP connection, used once: one request at a time.

    Attributes:
        lost: why it can no longer be used, "" while it can.
        talk: what was said on it.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._bell = _bell()
        self._transport: asyncio.Transport | None = None
        self._closed: asyncio.Future[None] = self._loop.create_future()
        self._answer: Answer | None = None
        self._late_s = 0.0
        self.talk = Conversation()
        self.lost = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop; whoever waits for an answer learns that none comes."""
        self._end(SourceError(Cause.COMM, f"connection lost: {exc or 'closed by the device'}"))
        if not self._closed.done():
            self._closed.set_result(None)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        try:
            outcome = self.talk.feed(data)
        except GarbledError as error:
            self._end(SourceError(Cause.GARBLED, f"garbled answer: {error}"))
            return
        answer = self._answer
        # done: the reader was cancelled or gave up in this very turn of the loop
        if outcome is not None and answer is not None and not answer.done():
            answer.set_result(outcome)

    def _give_up(self, unit_id: int) -> None:
        answer = self._answer
        if answer is not None and not answer.done():
            self.talk.give_up()
            answer.set_exception(_SilentError(Cause.COMM, f"unit {unit_id}: no answer in time"))

    def _end(self, error: SourceError) -> None:
        """Use this connection no more."""
        self.lost = self.lost or error.detail
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        if self._transport is not None:
            self._transport.abort()

    def send(self, adu: bytes) -> None:
        """Write one request; the only line of this driver that writes to a socket.

        Raises:
            WriteRefusedError: it is not exactly one reading request.
        """
        if len(adu) != REQUEST_BYTES or adu[HEADER_BYTES] not in READING_FUNCTION_CODES:
            raise WriteRefusedError(f"not a reading request: {adu.hex()}")
        assert self._transport is not None, "the loop made the connection before anyone could ask"
        self._transport.write(adu)

    def put(self, question: Question, timeout_s: float, answer: Answer) -> None:
        """Send a question; ``answer`` gets what comes of it, then the asker calls ``release``.

        Raises:
            SourceError: the link is lost.
        """
        if self.lost:
            raise SourceError(Cause.COMM, self.lost)
        self.send(self.talk.ask(question))
        self._answer = answer
        self._late_s = math.ceil((self._loop.time() + timeout_s) * TIMEOUTS_PER_S) / TIMEOUTS_PER_S
        self._bell.call_at(self._late_s, self, partial(self._give_up, question.block.unit_id))

    def release(self) -> None:
        """Nobody waits for an answer any more."""
        self._bell.take_back(self._late_s, self)
        self._answer = None

    async def ask(self, question: Question, timeout_s: float) -> bytes:
        """The data bytes of a block.

        Raises:
            SourceError: no usable answer; the link may be lost with it.
        """
        answer: asyncio.Future[bytes | int] = self._loop.create_future()
        self.put(question, timeout_s, answer)
        try:
            outcome = await answer
        finally:
            self.release()
        if isinstance(outcome, int):
            raise _RefusedError(outcome, question.block)
        return outcome

    async def close(self, why: str = "closed by the gateway") -> None:
        """Leave no socket behind."""
        self._end(SourceError(Cause.COMM, why))
        await self._closed


class ModbusSource:
    """A Modbus TCP device being read; see ``kit.contract.Source``.

    A unit that fell silent no longer holds up the others: its points are posted bad at once, and it is asked
    again in the time left over after each scan (one silent unit in turn).

    Attributes:
        questions: what is asked for in each scan, in this order.
        slot: place within the period.
        timeout_s: how long an answer may take.
    """

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        self.questions: list[Question] = []
        self.slot = device.slot
        self.timeout_s = options.timeout_s
        self._device = device
        self._options = options
        self._post = post
        self._endpoint = f"modbus tcp {options.host}:{options.port}"
        self._blocks = plan(
            device.points, options.unit_id, max_registers=options.max_registers, max_gap=options.max_gap
        )
        self._patience = Patience(device.points, options.unit_id)
        self._failures = 0
        self._mute_rounds = 0
        self._connected = False
        self._since_ns = time.time_ns()
        self._detail = f"{self._endpoint}: not connected yet"
        names = ("answers", "misses", "garbled", "refused", "late", "reconnects", "overruns")
        self._counters = dict.fromkeys(names, 0)
        self._take(self._blocks)

    def _take(self, blocks: tuple[Block, ...]) -> None:
        """Ask for these blocks from now on."""
        self.questions = [_question(block) for block in blocks]
        self._decoder: Decoder = compile_plan(self._device.points, self._options.unit_id, blocks)

    def overran(self, skipped: int) -> None:
        """Count points of the grid that went by unread."""
        self._counters["overruns"] += skipped

    def finish(self, parts: list[bytes], link: Link) -> None:
        """Post a scan whose every block was read."""
        self._post(self._scan_of(parts))
        if link.talk.late:
            self._counters["late"] += link.talk.late
            link.talk.late = 0

    def state(self) -> SourceState:
        """How the source is now."""
        return SourceState(self._connected, self._since_ns, self._detail, dict(self._counters))

    async def read(self) -> Scan:
        """Read every point once over a connection of its own.

        Raises:
            SourceError: the device could not be reached at all.
        """
        link = await self._open()
        try:
            return await self._scan(link)
        finally:
            await link.close()

    async def run(self) -> None:
        """Read for ever and post scans; ends by cancellation only."""
        link: Link | None = None
        dialling: asyncio.Task[Link] | None = None
        period, bell = period_ns(self._device.period_s), _bell()
        last_ns: int | None = None
        begun = _Begun([])
        try:
            while True:
                if link is not None:
                    await self._poll(link, period, last_ns, begun)
                    begun = _Begun([])
                    if link.lost:
                        await link.close()
                        link = None
                    elif self._connected and self._patience.at_ease:
                        rounds = _Rounds(self, link, bell, period, last_ns)
                        begun = await rounds.until_trouble()
                        last_ns = rounds.last_ns
                        continue
                due = next_due(time.monotonic_ns(), period, self._device.slot, last_ns)
                self.overran(due.skipped)
                if link is not None:
                    await _sleep_until(due.at_s, bell)
                else:
                    dialling = dialling or asyncio.create_task(self._dial(), name=f"dial {self._device.name}")
                    await asyncio.wait({dialling}, timeout=due.at_s - time.monotonic())
                    if dialling.done():
                        link, dialling = dialling.result(), None
                        continue  # a device that is back is read at once, not only when its turn comes
                    self._miss()
                last_ns = due.at_ns
        finally:
            if dialling is not None:
                dialling.cancel()
                (end,) = await asyncio.gather(dialling, return_exceptions=True)
                link = end if isinstance(end, Link) else link
            if link is not None:
                await link.close()

    async def _dial(self) -> Link:
        """A new connection, however long it takes."""
        while True:
            if self._failures:
                bound_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failures, 10))
                await asyncio.sleep(random.uniform(0, bound_s))  # noqa: S311 - jitter, no secret
            self._failures += 1
            try:
                link = await self._open()
            except SourceError as error:
                self._turn(connected=False, detail=error.detail)
                if self._failures == 1:
                    self._miss()
                continue
            self._counters["reconnects"] += 1
            if self._patience.forget_refusals():
                self._take(self._blocks)
            return link

    async def _open(self) -> Link:
        host, port, timeout_s = self._options.host, self._options.port, self._options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                _, link = await asyncio.get_running_loop().create_connection(Link, host, port)
        except TimeoutError as error:
            detail = f"{self._endpoint}: no connection within {timeout_s:g} s"
            raise SourceError(Cause.COMM, detail) from error
        except OSError as error:
            raise SourceError(Cause.COMM, f"{self._endpoint}: {error.strerror or error}") from error
        return link

    def _miss(self) -> None:
        """Say of every point that it could not be read."""
        self._counters["misses"] += 1
        at = (time.time_ns(), time.monotonic_ns())
        self._post(missed(self._device, self._decoder.points, Cause.COMM, *at))

    async def _poll(self, link: Link, period: int, last_ns: int | None, begun: _Begun) -> None:
        """One scan; then, in the time that is left, one question to a silent unit."""
        answers = link.talk.answers - len(begun.parts)
        self._post(await self._scan(link, begun))
        if not link.lost:
            self._failures = 0
            if self._patience.silent:
                due_ns = next_due(time.monotonic_ns(), period, self._device.slot, last_ns).at_ns
                if await self._probe(link, due_ns):
                    self._post(await self._scan(link))
        self._counters["late"] += link.talk.late
        link.talk.late = 0
        self._mute_rounds = (
            self._mute_rounds + 1 if link.talk.answers == answers and self._patience.silent else 0
        )
        if self._mute_rounds >= ROUNDS_TO_REOPEN:
            self._mute_rounds = 0
            await link.close("nothing on this connection answers")

    async def _scan(self, link: Link, begun: _Begun | None = None) -> Scan:
        """Ask for every block; a block without a usable answer makes its own points bad and no others."""
        parts, trouble = begun or _Begun([])
        failed: list[tuple[int, Cause]] = []
        detail = ""
        number, planned = len(parts), len(self.questions)
        while number < len(self.questions):
            question = self.questions[number]
            if trouble is not None:
                got: bytes | SourceError | tuple[Block, ...] = self._blame(question.block, trouble) or trouble
                trouble = None
            else:
                got = await self._fetch(question, link)
            if isinstance(got, tuple):
                self.questions[number : number + 1] = [_question(block) for block in got]
                continue
            if isinstance(got, SourceError):
                failed.append((number, got.quality_cause))
                detail = got.detail or detail
                got = bytes(question.block.byte_count)
            parts.append(got)
            number += 1
        if number != planned:
            blocks = [question.block for question in self.questions]
            self._decoder = compile_plan(self._device.points, self._options.unit_id, blocks)
        if failed or not self._connected:
            self._judge(any_good=len(failed) < number, detail=detail or link.lost, lost=bool(link.lost))
        return self._scan_of(parts, failed)

    def _scan_of(self, parts: list[bytes], failed: Sequence[tuple[int, Cause]] = ()) -> Scan:
        """The answers of all blocks as columns, taken now."""
        self._counters["answers"] += len(parts) - len(failed)
        taken_ns, taken_mono_ns = time.time_ns(), time.monotonic_ns()
        raw = parts[0] if len(parts) == 1 else b"".join(parts)
        values, quality = self._decoder.decode(raw, failed)
        device, points = self._device, self._decoder.points
        return Scan(
            device.name, device.config_rev, points, values, quality, taken_ns, taken_mono_ns, None, raw
        )

    async def _fetch(self, question: Question, link: Link) -> bytes | SourceError | tuple[Block, ...]:
        """A block's data, why there is none, or the smaller blocks to ask for in its place."""
        patience, block = self._patience, question.block
        if not patience.at_ease and (cause := patience.excuse(block, time.monotonic_ns())) is not None:
            return SourceError(cause, "")
        try:
            data = await link.ask(question, self._options.timeout_s)
        except SourceError as error:
            return self._blame(block, error) or error
        if not patience.at_ease:
            patience.answered(block)
        return data

    def _blame(self, block: Block, error: SourceError) -> tuple[Block, ...]:
        """Count a failed request and draw what follows from it; returns what to ask for in its place."""
        absent = isinstance(error, _RefusedError) and error.code in UNIT_ABSENT
        if absent or isinstance(error, _SilentError):
            self._counters["misses"] += 1
            self._patience.fell_silent(block.unit_id)
        elif isinstance(error, _RefusedError):
            self._counters["refused"] += 1
            return self._patience.refusal(block, error.code, time.monotonic_ns())
        elif error.quality_cause is Cause.GARBLED:
            self._counters["garbled"] += 1
        return ()

    async def _probe(self, link: Link, due_ns: int) -> bool:
        """Is the silent unit whose turn it is back? Takes no longer than until the next scan is due."""
        left_s = (due_ns - time.monotonic_ns()) / _NS_PER_S
        budget_s = min(self._options.timeout_s, PROBE_SHARE * left_s)
        if budget_s < MIN_PROBE_S:
            return False
        block = self._patience.probe([question.block for question in self.questions])
        try:
            await link.ask(_question(block), budget_s)
        except SourceError as error:
            if isinstance(error, _RefusedError) and error.code not in UNIT_ABSENT:
                self._patience.answered(block)  # a refusal is an answer
                return True
            self._blame(block, error)
            return False
        self._patience.answered(block)
        return True

    def _judge(self, *, any_good: bool, detail: str, lost: bool) -> None:
        """Connected means: the link stands and at least one block was read."""
        if any_good and not lost:
            self._turn(connected=True, detail=f"{self._endpoint}: {detail}" if detail else self._endpoint)
        elif detail:
            self._turn(connected=False, detail=f"{self._endpoint}: {detail}")

    def _turn(self, *, connected: bool, detail: str) -> None:
        self._detail = detail
        if connected != self._connected:
            self._connected, self._since_ns = connected, time.time_ns()
            log.log(logging.INFO if connected else logging.WARNING, "%s: %s", self._device.name, detail)


class _Begun(NamedTuple):
    """A scan that did not come to its end: the blocks read so far, and why the next one was not."""

    parts: list[bytes]
    trouble: SourceError | None = None


class _Rounds:
    """Scan after scan while all is well, done where timer and answers arrive, so that no task is woken for it.

    Waking a task costs a turn of the loop, which is as much as the rest of the read. Whatever is not the plain
    answer in time ends the rounds, and the source's task goes on with the very scan at the very block.

    Attributes:
        last_ns: the point of the grid that was read last.
    """

    def __init__(
        self, source: ModbusSource, link: Link, bell: Bell, period: int, last_ns: int | None
    ) -> None:
        self._source = source
        self._link = link
        self._bell = bell
        self._period = period
        self._over: asyncio.Future[_Begun] = asyncio.get_running_loop().create_future()
        self._parts: list[bytes] = []
        self._due_s = 0.0
        self._due_ns = 0
        self.last_ns = last_ns

    async def until_trouble(self) -> _Begun:
        """Run until a scan meets trouble; returns that scan."""
        self._wait()
        try:
            return await self._over
        finally:
            self._bell.take_back(self._due_s, self)
            self._link.release()

    def done(self) -> bool:
        """See ``Answer``."""
        return self._over.done()

    def set_result(self, outcome: bytes | int, /) -> None:
        """See ``Answer``."""
        self._link.release()
        if isinstance(outcome, int):
            self.set_exception(_RefusedError(outcome, self._source.questions[len(self._parts)].block))
            return
        self._parts.append(outcome)
        self._guarded(self._go_on)

    def set_exception(self, error: SourceError, /) -> None:
        """See ``Answer``."""
        self._over.set_result(_Begun(self._parts, error))

    def _wait(self) -> None:
        source = self._source
        due = next_due(time.monotonic_ns(), self._period, source.slot, self.last_ns)
        source.overran(due.skipped)
        self._due_ns, self._due_s = due.at_ns, due.at_s
        self._bell.call_at(self._due_s, self, self._begin)

    def _begin(self) -> None:
        if not self._over.done():
            self.last_ns, self._parts = self._due_ns, []
            self._guarded(self._go_on)

    def _go_on(self) -> None:
        source, link = self._source, self._link
        if len(self._parts) < len(source.questions):
            link.put(source.questions[len(self._parts)], source.timeout_s, self)
            return
        source.finish(self._parts, link)
        self._wait()

    def _guarded(self, deed: Callable[[], None]) -> None:
        """What fails here must reach the source's task, not the loop's."""
        try:
            deed()
        except SourceError as error:
            self.set_exception(error)
        except Exception as error:  # noqa: BLE001 - a defect is the task's to raise
            self._over.set_exception(error)


def _question(block: Block) -> Question:
    return Question(block, encode_request(block)[2:])


async def _sleep_until(deadline_s: float, bell: Bell) -> None:
    """Sleep until the loop's clock shows exactly this, so that devices of one slot wake in one turn."""
    waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    bell.call_at(deadline_s, waking, partial(_wake, waking))
    try:
        await waking
    finally:
        bell.take_back(deadline_s, waking)


def _wake(waking: asyncio.Future[None]) -> None:
    if not waking.done():
        waking.set_result(None)
