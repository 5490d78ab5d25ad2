"""An RS-485 line with its units: every byte takes its time, one sender at a time, absent units are silent.

Touches ttys and sockets. Whoever wants to ask is attached to it by a tty (``hil.serial_pair``), or by TCP as behind a
converter that passes RTU frames on. Frames: MODBUS over Serial Line V1.02; what units answer: ``modbus_plc``.

A byte reaches the asker when its stop bit would have passed on the wire, never before. Who sends while another
does destroys both: the bytes that overlap come out random, and a request among them is heard by no unit. Not
shown: parity, the silence within a frame, the direction of the line drivers.
"""

from __future__ import annotations

import asyncio
import heapq
import os
import random
import time
import tty
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from pymodbus.framer import FramerRTU

from hil.answers import AnswerLog
from hil.modbus_plc import READ_FUNCTIONS, ModbusPlc, Unit

BITS_PER_BYTE: Final = 10
"""8N1, all that a pty can do; Modbus' own default 8E1 takes eleven."""
REQUEST_BYTES: Final = 8
"""Every reading request, and a write of one register or coil."""
LONG_WRITES: Final = frozenset({15, 16})
LONG_WRITE_HEAD_BYTES: Final = 7
CRC_BYTES: Final = 2
TURNAROUND_S: Final = 0.003
"""A unit thinks so long before it answers."""
TORN_S: Final = 0.05
"""The rest of a request that does not come within this is another request."""
MAX_ANSWERS: Final = 2_000_000
READ_BYTES: Final = 4096


@dataclass(slots=True)
class Asked:
    """One request that the asker put on the line, and what became of it.

    Attributes:
        unit_id: whom it named.
        mono_ns: CLOCK_MONOTONIC at which its last byte was through.
        counter: the answer counter that its answer carried; -1 where it carries none or there is none.
        done_ns: when the answer's last byte was through; 0 while there is none.
        collided: request or answer met another sender.
    """

    unit_id: int
    mono_ns: int
    counter: int = -1
    done_ns: int = 0
    collided: bool = False


class RtuBus:
    """The line and its units.

    Args:
        units: by unit identifier.
        baud: bits per second.
        seed: of noise.

    Attributes:
        plc: what the units know and answer; ``plc.dead_units`` are silent.
        late_s: unit identifier -> how much later than usual it answers, drawn per answer.
        garbled: unit identifier -> share of its answers in which a byte is another.
        mute: unit identifier -> registers; it is silent when asked for one of them.
        muted: how often one was.
        asked: every request in order.
        functions: how often the asker asked for each function code, heard by a unit or not.
        taken_bytes: from the asker; where another master asks, anything but 0 is an intrusion.
        collisions: how often somebody sent while another did.
        unreadable: runs of bytes from the asker that were no request.
        busy_s: how long bytes were on the line.
    """

    def __init__(self, units: Mapping[int, Unit], baud: int, *, seed: int = 0) -> None:
        self.plc = ModbusPlc(units, AnswerLog(keep_registers=False), seed=seed)
        self.late_s: dict[int, Callable[[], float]] = {}
        self.garbled: dict[int, float] = {}
        self.mute: dict[int, range] = {}
        self.muted = 0
        self.byte_s = BITS_PER_BYTE / baud
        self.asked: list[Asked] = []
        self.functions: Counter[int] = Counter()
        self.taken_bytes = 0
        self.collisions = 0
        self.unreadable = 0
        self.busy_s = 0.0
        self._dice = random.Random(seed)
        self._loop = asyncio.get_running_loop()
        self._ears: list[Callable[[bytes], None]] = []
        self._under_way: list[tuple[float, int, int]] = []
        self._serial = 0
        self._timer: asyncio.TimerHandle | None = None
        self._busy_until_s = 0.0
        self._begun = b""
        self._begun_s = 0.0
        self._begun_collided = False
        self._sender: Asked | None = None
        self._later: set[asyncio.TimerHandle] = set()

    @property
    def writes_seen(self) -> int:
        """Requests of the asker that do more than read, or that nobody could read."""
        return self.unreadable + sum(n for code, n in self.functions.items() if code not in READ_FUNCTIONS)

    # -- who is attached ------------------------------------------------------------------------------

    def attach(self, hear: Callable[[bytes], None]) -> None:
        """Give the bytes of the line to ``hear``, too."""
        self._ears.append(hear)

    def detach(self, hear: Callable[[bytes], None]) -> None:
        """Take it off the line."""
        self._ears.remove(hear)

    def open_tty(self, path: Path) -> BusTty:
        """Attach the far end of a tty; a context."""
        return BusTty(self, path)

    async def serve_tcp(self, host: str = "127.0.0.1") -> asyncio.Server:
        """Attach whoever connects, as a converter would; the caller closes the server."""
        return await self._loop.create_server(lambda: _Converter(self), host, 0)

    def close(self) -> None:
        """Nothing more comes over the line."""
        for handle in (*self._later, *([self._timer] if self._timer else [])):
            handle.cancel()
        self._later.clear()
        self._under_way.clear()

    # -- what is said on it ---------------------------------------------------------------------------

    def take(self, data: bytes) -> None:
        """Bytes from the asker: they are on the line from now on."""
        now_s = self._loop.time()
        self.taken_bytes += len(data)
        if self._begun and now_s - self._begun_s > TORN_S:
            self._spoil()
        self._begun, self._begun_s = self._begun + data, now_s
        _, end_s, collided = self._occupy(None, len(data), now_s)
        self._begun_collided |= collided
        while len(self._begun) >= REQUEST_BYTES:
            length = _request_length(self._begun)
            if length > len(self._begun):
                return
            frame = self._begun[:length]
            if not _sound(frame):
                self._spoil()
                return
            self._begun = self._begun[length:]
            self.functions[frame[1]] += 1
            self._hear(Asked(frame[0], _mono_ns(end_s), collided=self._begun_collided), frame, end_s)
            self._begun_collided = False

    def say(self, frame: bytes) -> Asked:
        """A request of another master, which everyone attached hears, too."""
        asked = Asked(frame[0], 0)
        end_s = self._send(asked, frame)
        asked.mono_ns = _mono_ns(end_s)
        self._hear(asked, frame, end_s)
        return asked

    def _spoil(self) -> None:
        self.unreadable += 1
        self._begun, self._begun_collided = b"", False

    def _hear(self, asked: Asked, frame: bytes, end_s: float) -> None:
        """A request is on the line until ``end_s``; the unit it names has it then."""
        assert len(self.asked) < MAX_ANSWERS, "the log is full: run shorter or raise its bound"
        self.asked.append(asked)
        self._call_at(end_s, lambda: self._answer(asked, frame[1:-CRC_BYTES]))

    def _answer(self, asked: Asked, request: bytes) -> None:
        if asked.collided:
            return
        unit_id = asked.unit_id
        if _touches(request, self.mute.get(unit_id, range(0))):
            self.muted += 1
            return
        pdu = self.plc.answer(unit_id, request)
        if pdu is None:
            return
        if request[0] in READ_FUNCTIONS and pdu[0] in (3, 4) and request[1:3] == b"\0\0":
            asked.counter = self.plc.units[unit_id].counter
        frame = bytearray((unit_id, *pdu))
        frame += _crc(bytes(frame))
        if self._dice.random() < self.garbled.get(unit_id, 0.0):
            frame[self._dice.randrange(len(frame))] ^= self._dice.randrange(1, 256)
            asked.counter = -1
        late_s = self.late_s[unit_id]() if unit_id in self.late_s else 0.0
        self._call_at(self._loop.time() + TURNAROUND_S + late_s, lambda: self._reply(asked, bytes(frame)))

    def _reply(self, asked: Asked, frame: bytes) -> None:
        asked.done_ns = _mono_ns(self._send(asked, frame))

    def _send(self, sender: Asked, frame: bytes) -> float:
        """Put bytes under way to whoever is attached; returns when the last is through."""
        occupied_s = self._busy_until_s
        from_s, end_s, _ = self._occupy(sender, len(frame), self._loop.time())
        for n, byte in enumerate(frame):
            at_s = from_s + n * self.byte_s
            seen = self._dice.randrange(256) if at_s < occupied_s else byte
            self._serial += 1
            heapq.heappush(self._under_way, (at_s + self.byte_s, self._serial, seen))
        self._arm()
        return end_s

    def _occupy(self, sender: Asked | None, count: int, from_s: float) -> tuple[float, float, bool]:
        """Somebody (None: the asker) begins to send so many bytes; what others send meanwhile is destroyed with them.

        Returns:
            when it begins, when it ends, and whether it met another.
        """
        collided = from_s < self._busy_until_s and sender is not self._sender
        if sender is None and not collided:
            from_s = max(from_s, self._busy_until_s)
        end_s = from_s + count * self.byte_s
        if collided:
            self.collisions += 1
            for one in (sender, self._sender):
                if one is not None:
                    one.collided = True
            self._begun_collided |= self._sender is None
            self._under_way = [
                (at_s, serial, self._dice.randrange(256) if at_s - self.byte_s < end_s else byte)
                for at_s, serial, byte in self._under_way
            ]
        self.busy_s += max(0.0, end_s - max(from_s, self._busy_until_s))
        self._sender, self._busy_until_s = sender, max(self._busy_until_s, end_s)
        return from_s, end_s, collided

    # -- time -----------------------------------------------------------------------------------------

    def _call_at(self, at_s: float, call: Callable[[], None]) -> None:
        def ring() -> None:
            self._later.discard(handle)
            call()

        handle = self._loop.call_at(at_s, ring)
        self._later.add(handle)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._under_way[0][0], self._deliver) if self._under_way else None

    def _deliver(self) -> None:
        """Hand over every byte whose stop bit has passed."""
        now_s = self._loop.time()
        through = bytearray()
        while self._under_way and self._under_way[0][0] <= now_s:
            through.append(heapq.heappop(self._under_way)[2])
        self._timer = None
        if through:
            for hear in tuple(self._ears):
                hear(bytes(through))
        self._arm()


class BusTty:
    """The bus's end of a pair of ttys.

    Args:
        bus: the line.
        path: the tty.
    """

    def __init__(self, bus: RtuBus, path: Path) -> None:
        self._bus = bus
        self._path = path
        self._file = -1

    def __enter__(self) -> Self:
        """Open it.

        Raises:
            OSError: there is no such tty.
        """
        self._file = os.open(self._path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(self._file)
        asyncio.get_running_loop().add_reader(self._file, self._read)
        self._bus.attach(self._hear)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bus.detach(self._hear)
        asyncio.get_running_loop().remove_reader(self._file)
        os.close(self._file)

    def _read(self) -> None:
        self._bus.take(os.read(self._file, READ_BYTES))

    def _hear(self, data: bytes) -> None:
        with suppress(BlockingIOError):  # nobody has read for long: on a line such bytes are gone
            os.write(self._file, data)


class _Converter(asyncio.Protocol):
    """One TCP connection to a converter before the line."""

    def __init__(self, bus: RtuBus) -> None:
        self._bus = bus
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._bus.attach(transport.write)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._bus.detach(self._transport.write)

    def data_received(self, data: bytes) -> None:
        self._bus.take(data)


@dataclass(frozen=True, slots=True)
class Dcs:
    """A control system that is the master of the line: it asks, and it writes.

    Attributes:
        bus: the line.
        reads: requests without their CRC: unit, function code, data.
        writes: likewise, requests that write; one of them after each round of reads.
        timeout_s: how long it waits for an answer.
        pause_s: between two looks whether it came, and with that at least between two requests.
    """

    bus: RtuBus
    reads: Sequence[bytes]
    writes: Sequence[bytes] = ()
    timeout_s: float = 0.3
    pause_s: float = 0.01

    async def run(self) -> None:
        """Ask for ever."""
        turn = 0
        while True:
            await self._ask(self.reads)
            if self.writes:
                await self._ask([self.writes[turn % len(self.writes)]])
                turn += 1

    async def _ask(self, requests: Iterable[bytes]) -> None:
        for request in requests:
            asked = self.bus.say(request + _crc(request))
            for _ in range(int(self.timeout_s / self.pause_s) + 1):
                await asyncio.sleep(self.pause_s)
                if 0 < asked.done_ns < time.monotonic_ns():
                    break


def _crc(data: bytes) -> bytes:
    return FramerRTU.compute_CRC(data).to_bytes(2, "big")


def _sound(frame: bytes) -> bool:
    return _crc(frame[:-CRC_BYTES]) == frame[-CRC_BYTES:]


def _request_length(begun: bytes) -> int:
    return LONG_WRITE_HEAD_BYTES + begun[6] + CRC_BYTES if begun[1] in LONG_WRITES else REQUEST_BYTES


def _touches(request: bytes, registers: range) -> bool:
    start, count = (int.from_bytes(request[at : at + 2], "big") for at in (1, 3))
    return start < registers.stop and registers.start < start + count


def _mono_ns(at_s: float) -> int:
    """The loop's clock is CLOCK_MONOTONIC."""
    return round(at_s * 1e9)
