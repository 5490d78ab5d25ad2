"""A TCP proxy in front of a Modbus simulator that counts every function code. Touches sockets.

It forwards bytes untouched and reads MBAP frames beside them, in both directions, so it sees what really
crossed the wire and not what a simulator says it saw. It can also delay, swallow or cut.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from types import TracebackType
from typing import Final, Self

from hil.modbus_plc import MAX_LENGTH, READ_FUNCTIONS

CHUNK_BYTES: Final = 64 * 1024
MBAP_BYTES: Final = 7


class FrameReader:
    """Function codes out of a byte stream of Modbus TCP frames, however it is cut into pieces.

    Attributes:
        lost: bytes could not be read as frames; from then on nothing is read, and that is said here.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.lost = False

    def feed(self, data: bytes) -> list[int]:
        """Function codes of the frames completed by ``data``."""
        codes: list[int] = []
        buffer = self._rest + data
        while len(buffer) > MBAP_BYTES and not self.lost:
            length = int.from_bytes(buffer[4:6], "big")
            if buffer[2:4] != b"\0\0" or not 2 <= length <= MAX_LENGTH:
                self.lost = True
                break
            if len(buffer) < 6 + length:
                break
            codes.append(buffer[MBAP_BYTES])
            buffer = buffer[6 + length :]
        self._rest = b"" if self.lost else buffer
        return codes


class Recorder:
    """Listens on a port of its own and forwards to a simulator.

    Args:
        target_port: where the simulator listens.
        target_host: likewise.
        host: where to listen.
        port: 0 picks a free one.

    Attributes:
        requests: function codes seen on the way to the simulator.
        answers: function codes seen on the way back (exceptions with 128 added).
        unreadable: request streams that were no Modbus TCP; they count as breaches.
        delay_s: every piece waits this long before it is forwarded.
        swallow: nothing is forwarded any more, connections stand (a half-open link).
    """

    def __init__(
        self, target_port: int, *, target_host: str = "127.0.0.1", host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.target_host = target_host
        self.target_port = target_port
        self.host = host
        self.port = port
        self.requests: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self.unreadable = 0
        self.delay_s = 0.0
        self.swallow = False
        self._server: asyncio.Server | None = None
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    @property
    def breaches(self) -> int:
        """Requests seen that were not plain reads. Anything but 0 fails a run."""
        writes = sum(count for code, count in self.requests.items() if code not in READ_FUNCTIONS)
        return writes + self.unreadable

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._link, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        links = tuple(self._links)
        for task in links:
            task.cancel()
        await asyncio.gather(*links, return_exceptions=True)
        await self._server.wait_closed()

    def reset(self) -> None:
        """Cut every connection with a TCP reset; new ones are accepted."""
        for task, writer in tuple(self._links.items()):
            writer.transport.abort()
            task.cancel()

    async def _link(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links[task] = writer
        directions: list[asyncio.Task[None]] = []
        far_writer: asyncio.StreamWriter | None = None
        try:
            far_reader, far_writer = await asyncio.open_connection(self.target_host, self.target_port)
            directions = [
                asyncio.create_task(self._forward(reader, far_writer, self.requests)),
                asyncio.create_task(self._forward(far_reader, writer, self.answers)),
            ]
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            # The simulator refuses, or we cut the link ourselves and nobody awaits this task: asyncio.streams
            # of 3.11 would print a traceback for a cancelled connection callback.
            return
        finally:
            for direction in directions:
                direction.cancel()
            for side in (writer, far_writer):
                if side is not None:
                    side.transport.abort()
            with contextlib.suppress(asyncio.CancelledError):  # as above, if it comes while we leave anyway
                await asyncio.gather(*directions, return_exceptions=True)
            del self._links[task]

    async def _forward(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Counter[int]
    ) -> None:
        frames = FrameReader()
        while data := await reader.read(CHUNK_BYTES):
            seen.update(frames.feed(data))
            if frames.lost and seen is self.requests:
                self.unreadable += 1
                return
            if self.delay_s > 0:
                await asyncio.sleep(self.delay_s)
            if not self.swallow:
                writer.write(data)
                await writer.drain()
