"""Hostile answers (20,000; a million with --long): what a strict reader calls invalid never becomes a good value.

Many sources of the product poll devices over real sockets; each device answers with an attack (``hil.hostile``)
while a strict reader (``hil.strict``) follows every byte it sends. A good value is right only if it stands in the
answer that the strict reader holds valid at that moment. Afterwards all devices turn honest, and every source must
read them again. The pause before a new connection is taken out, or a run would measure nothing else.

A share of the right answers must be believed even under attack, and no device may be asked for more than to be read.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import math
import random
import struct
import termios
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from drivers import modbus
from drivers.kit.contract import Source
from drivers.kit.quality import is_bad
from drivers.kit.scan import Device, Point, Scan
from hil.hostile import CLOSE, KINDS, REQUEST_BYTES, attack, question_of, truth_of
from hil.modbus_plc import READ_FUNCTIONS
from hil.scenarios import Figures
from hil.strict import READERS, Question, Reader

SHORT_ANSWERS: Final = 20_000
LONG_ANSWERS: Final = 1_000_000
SOURCES: Final = {"tcp": 48, "rtu_over_tcp": 48}
SEEDS: Final = Path(__file__).with_suffix(".hex")
"""What the coverage-guided fuzzer found (``make fuzz``): one attack a line, from behind the transaction identifier."""
SEED: Final = 8
UNIT: Final = 7
REGISTERS: Final = 12
PERIOD_S: Final = 0.05
TIMEOUT_S: Final = 0.05
PIECE_S: Final = 0.0005
"""Between two pieces of an attack."""
RECOVERY_S: Final = 30.0
"""Against hanging only."""
WARM: Final = 0.3
"""Share of the answers after which memory must be flat."""
MAX_GROWTH_BYTES: Final = 8 << 20
MIN_BELIEVED: Final = {"tcp": 0.25}
"""Share of the right answers that is believed at least; elsewhere one is enough, for without a transaction identifier
every answer after a doubtful one is doubtful, and thrown away by design."""
MAX_EXAMPLES: Final = 20
POLL_S: Final = 0.02

RIGHT: Final = "right"
HONEST: Final = "honest"

_POINTS: Final = (
    *(Point(f"u{k}", f"4{k + 1:04d}") for k in range(4)),
    Point("i4", "40005", type="int16"),
    Point("d5", "40006", type="uint32", order="CDAB"),
    Point("f7", "40008", type="float32"),
    Point("f9", "40010", type="float32", order="DCBA"),
    Point("b11", "40012", type="bit", bit=5),
)
_PLACES: Final = ((0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 2), (7, 2), (9, 2), (11, 1))
"""Of each point: its first register and how many it takes."""


def value_of(point: int, words: Mapping[int, int]) -> float:
    """What a point's registers mean, worked out by hand; NaN where they mean no number or are not known."""
    at, width = _PLACES[point]
    if any(k not in words for k in range(at, at + width)):
        return math.nan
    high, low = words[at], words[at + width - 1]
    match _POINTS[point].name[0]:
        case "u":
            value: float = high
        case "i":
            value = high - 0x1_0000 if high & 0x8000 else high
        case "d":
            value = low << 16 | high
        case "f" if at == 7:
            (value,) = struct.unpack(">f", struct.pack(">HH", high, low))
        case "f":
            (value,) = struct.unpack("<f", struct.pack(">HH", high, low))
        case _:
            value = high >> 5 & 1
    return float(value) if math.isfinite(value) else math.nan


@dataclass(slots=True)
class Tally:
    """What happened, over all devices.

    Attributes:
        kinds: answers by transport and kind of attack; those of the honest phase are of the kind ``HONEST``.
        believed: likewise, scans with a good value after such an answer.
        functions: how often each function code was asked.
        honest: the attack is over.
        breaches: examples of what was believed and must not be.
    """

    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    believed: Counter[tuple[str, str]] = field(default_factory=Counter)
    functions: Counter[int] = field(default_factory=Counter)
    honest: bool = False
    breaches: list[str] = field(default_factory=list)

    @property
    def writes_seen(self) -> int:
        """Requests that do more than read."""
        return sum(count for code, count in self.functions.items() if code not in READ_FUNCTIONS)

    def disbelief(self, transport: str) -> str:
        """Why a transport's right answers were believed too seldom under attack, "" if they were not."""
        right, believed = self.kinds[transport, RIGHT], self.believed[transport, RIGHT]
        least = max(1, math.ceil(MIN_BELIEVED.get(transport, 0.0) * right))
        if believed >= least:
            return ""
        return f"{transport}: {believed} of {right} right answers were believed under attack, {least} are due"


class HostileDevice:
    """A device on a port of its own that attacks whoever asks, and the source's judge.

    Args:
        transport: as the driver names it.
        seed: of its dice.
        tally: shared.
        seeds: attacks found by a fuzzer.
    """

    def __init__(self, transport: str, seed: int, tally: Tally, seeds: tuple[bytes, ...]) -> None:
        self.transport = transport
        self.name = f"{transport}{seed}"
        self.dice = random.Random(seed)
        self.tally = tally
        self.seeds = seeds
        self.words: dict[int, int] = {}
        self.last = ""
        self.port = 0
        self.good = asyncio.Event()
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for connection in tuple(self.connections):
            connection.cut()
        await asyncio.sleep(0)
        await self._server.wait_closed()

    def learn(self, question: Question, data: bytes) -> None:
        """The strict reader holds this for the answer: these registers may be believed until the next scan."""
        words = struct.unpack(f">{question.count}H", data)
        self.words.update(zip(range(question.start, question.start + question.count), words, strict=True))

    def take(self, scan: Scan) -> None:
        """Judge a scan of the source that asks this device."""
        trusted = ~is_bad(scan.quality)
        if not trusted.any():
            self.words.clear()
            return
        right = [value_of(point, self.words) for point in scan.points.tolist()]
        wrong = [
            f"{_POINTS[point].name} is {value!r} instead of {expected!r}"
            for point, value, expected, ok in zip(
                scan.points.tolist(), scan.values.tolist(), right, trusted.tolist(), strict=True
            )
            if ok and value != expected
        ]
        if wrong and len(self.tally.breaches) < MAX_EXAMPLES:
            self.tally.breaches.append(f"{self.name}: believed after {self.last}: {', '.join(wrong)}")
        self.words.clear()  # what was said before one scan is no ground for the next
        self.tally.believed[self.transport, self.last] += 1
        if self.tally.honest:
            self.good.set()


class _Connection(asyncio.Protocol):
    def __init__(self, device: HostileDevice) -> None:
        self._device = device
        self._buffer = b""
        self._previous = b""
        self._reader: Reader = READERS[device.transport]()
        self._question = Question(0, 0, 0, 0, 0)
        self._sending: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._device.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._device.connections.discard(self)
        self._stop()

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        size = REQUEST_BYTES[self._device.transport]
        while len(self._buffer) >= size:
            request, self._buffer = self._buffer[:size], self._buffer[size:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        device, dice = self._device, self._device.dice
        question = question_of(device.transport, request)
        device.tally.functions[question.function_code] += 1
        self._stop()  # a slow attack under way ends here, as a new question does to a real device
        if question.function_code not in READ_FUNCTIONS:
            return
        self._reader.asked(question)
        self._question = question
        truth = truth_of(device.transport, question, dice.randbytes(question.data_bytes), self._previous)
        self._previous = truth.answer
        if device.tally.honest:
            device.last = HONEST
            device.tally.kinds[device.transport, HONEST] += 1
            self._send((truth.answer,), "")
            return
        chosen = attack(dice, truth, device.seeds)
        device.last = chosen.kind
        device.tally.kinds[device.transport, chosen.kind] += 1
        self._send(chosen.pieces, chosen.end)

    def _send(self, pieces: tuple[bytes, ...], end: str) -> None:
        self._sending = None
        if self._transport is None or self._transport.is_closing():
            return
        if self._is_asked():  # a new question is here already: the old answer ends, as in data_received
            return
        if pieces:
            self._reader.sent(pieces[0])
            if self._reader.valid is not None:
                self._device.learn(self._question, self._reader.valid)
            self._transport.write(pieces[0])
        if len(pieces) > 1:
            loop = asyncio.get_running_loop()
            self._sending = loop.call_later(PIECE_S, self._send, pieces[1:], end)
        elif end == CLOSE:
            self._transport.close()

    def _is_asked(self) -> bool:
        """Bytes lie in the socket that the loop has not handed over yet."""
        assert self._transport is not None
        waiting = fcntl.ioctl(self._transport.get_extra_info("socket").fileno(), termios.FIONREAD, b"\0" * 4)
        return waiting != b"\0" * 4

    def _stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None


async def run(*, long: bool) -> Figures:
    """Attack and judge."""
    return await play(LONG_ANSWERS if long else SHORT_ANSWERS)


async def play(
    answers: int,
    sources: dict[str, int] | None = None,
    make: Callable[[Device, Any, Callable[[Scan], None]], Source] = modbus.connect,
) -> Figures:
    """Attack with so many answers.

    Args:
        answers: how many.
        sources: transport -> number of sources.
        make: the driver under test; another one where a test needs a broken one.
    """
    tally, sources = Tally(), sources or SOURCES
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(str(context.get("exception", context))))
    memory = [0, 0]
    async with AsyncExitStack() as stack:
        stack.enter_context(_without_pauses())
        stack.enter_context(_errors_into(complaints))
        devices, running = await _start(stack, tally, sources, make)
        while tally.kinds.total() < answers and not any(task.done() for task in running):
            if not memory[0] and tally.kinds.total() >= WARM * answers:
                memory[0] = _resident_bytes()
            await asyncio.sleep(POLL_S)
        memory[1] = _resident_bytes()
        problems = [why for transport in sources if (why := tally.disbelief(transport))]
        tally.honest = True
        recovered = await _recovered(devices)
        complaints += [f"run() ended: {task}" for task in running if task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    problems += [*tally.breaches, *complaints[:MAX_EXAMPLES]]
    attacks = {transport: sum(tally.kinds[transport, kind] for kind in KINDS) for transport in sources}
    growth = memory[1] - memory[0]
    if growth > MAX_GROWTH_BYTES:
        problems.append(f"memory grew by {growth} bytes")
    if tally.writes_seen:
        problems.append(f"{tally.writes_seen} requests that do more than read")
    if recovered < len(devices):
        problems.append(f"{len(devices) - recovered} sources do not read an honest device any more")
    return {
        "verdict": "fail" if problems else "pass",
        "seed": SEED,
        "answers": sum(attacks.values()),
        "answers_by_transport": attacks,
        "right": {transport: tally.kinds[transport, RIGHT] for transport in sources},
        "right_believed": {transport: tally.believed[transport, RIGHT] for transport in sources},
        "breaches": len(tally.breaches),
        "exceptions": len(complaints),
        "recovered": recovered,
        "sources": len(devices),
        "kinds": {kind: sum(tally.kinds[transport, kind] for transport in sources) for kind in KINDS},
        "memory_growth_bytes": growth,
        "modbus_writes_seen": tally.writes_seen,
        "problems": problems,
    }


async def _start(
    stack: AsyncExitStack, tally: Tally, sources: dict[str, int], make: Callable[..., Source]
) -> tuple[list[HostileDevice], list[asyncio.Task[None]]]:
    found = tuple(bytes.fromhex(line) for line in SEEDS.read_text(encoding="ascii").split())
    devices: list[HostileDevice] = []
    running: list[asyncio.Task[None]] = []
    for transport, number in sources.items():
        for _ in range(number):
            device = HostileDevice(transport, SEED + len(devices), tally, found)
            await stack.enter_async_context(device)
            options = modbus.Options(
                host="127.0.0.1", port=device.port, unit_id=UNIT, timeout_s=TIMEOUT_S, transport=transport
            )
            plan = Device(device.name, _POINTS, PERIOD_S, slot=len(devices))
            source = make(plan, options, device.take)
            running.append(asyncio.create_task(source.run(), name=device.name))
            devices.append(device)
    return devices, running


async def _recovered(devices: list[HostileDevice]) -> int:
    waits = [asyncio.create_task(device.good.wait()) for device in devices]
    done, waiting = await asyncio.wait(waits, timeout=RECOVERY_S)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return len(done)


@contextmanager
def _without_pauses() -> Iterator[None]:
    kept = modbus.BACKOFF_MAX_S
    setattr(modbus, "BACKOFF_MAX_S", 0.0)  # noqa: B010 - a constant to everyone but this bench
    try:
        yield
    finally:
        setattr(modbus, "BACKOFF_MAX_S", kept)  # noqa: B010 - as above


@contextmanager
def _errors_into(complaints: list[str]) -> Iterator[None]:
    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(complaints) < MAX_EXAMPLES:
                complaints.append(f"{record.name}: {record.getMessage()}")

    listener = Listener(logging.ERROR)
    logging.getLogger().addHandler(listener)
    quiet = logging.getLogger("drivers.modbus")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # a line for every fall would be all that is measured
    try:
        yield
    finally:
        quiet.setLevel(level)
        logging.getLogger().removeHandler(listener)


def _resident_bytes() -> int:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise RuntimeError("/proc/self/status names no VmRSS")
