"""A real pty pair as a serial line, and what a test plays at its far end: slaves, or a master of its own."""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from drivers.kit.rtu import crc


def framed(body: bytes) -> bytes:
    return body + crc(body)


@dataclass
class Asked:
    """One request as it came over the line."""

    unit: int
    function_code: int
    start: int
    count: int

    def answer(self, memory: Callable[[int], int] = lambda offset: offset & 0xFFFF) -> bytes:
        words = [memory(self.start + k) for k in range(self.count)]
        if self.function_code <= 2:
            data = bytearray((self.count + 7) // 8)
            for k, word in enumerate(words):
                data[k // 8] |= (word & 1) << k % 8
        else:
            data = bytearray(b"".join(word.to_bytes(2, "big") for word in words))
        return framed(bytes((self.unit, self.function_code, len(data))) + bytes(data))

    def refuse(self, code: int) -> bytes:
        return framed(bytes((self.unit, self.function_code | 0x80, code)))


@dataclass
class Bus:
    """The far end of the line: ``behave`` is called for every request, and sends when it likes.

    Attributes:
        asked: every request.
        noise: bytes that were no reading request.
    """

    file: int
    path: str
    behave: Callable[[Bus, Asked], None]
    asked: list[Asked] = field(default_factory=list)
    noise: bytes = b""
    _buffer: bytes = b""

    def send(self, data: bytes) -> None:
        os.write(self.file, data)

    def later(self, delay_s: float, data: bytes) -> None:
        asyncio.get_running_loop().call_later(delay_s, self.send, data)

    def heard(self) -> None:
        with suppress(BlockingIOError, OSError):
            self._buffer += os.read(self.file, 4096)
        while len(self._buffer) >= 8:
            frame, self._buffer = self._buffer[:8], self._buffer[8:]
            if framed(frame[:6]) != frame or frame[1] not in (1, 2, 3, 4):
                self.noise += frame
                continue
            start, count = int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
            one = Asked(frame[0], frame[1], start, count)
            self.asked.append(one)
            self.behave(self, one)


def right(bus: Bus, asked: Asked) -> None:
    """Every unit is there; register n of unit u holds 1000 u + n."""
    bus.send(asked.answer(lambda offset: (1000 * asked.unit + offset) & 0xFFFF))


@contextmanager
def line(behave: Callable[[Bus, Asked], None] = right) -> Iterator[Bus]:
    """Within a running loop: a line with somebody at its far end."""
    far, near = os.openpty()
    tty.setraw(near)
    os.set_blocking(far, False)
    bus = Bus(far, os.ttyname(near), behave)
    asyncio.get_running_loop().add_reader(far, bus.heard)
    try:
        yield bus
    finally:
        asyncio.get_running_loop().remove_reader(far)
        os.close(far)
        os.close(near)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
