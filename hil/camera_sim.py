"""A network camera that answers GET with a JPEG of a tank, or misbehaves on command. Touches sockets."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
from collections.abc import Callable
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

from PIL import Image, ImageDraw

SIZE_PX: Final = (640, 360)
TANK_PX: Final = (60, 60, 220, 330)
MAX_REQUEST_BYTES: Final = 8192
REQUEST_TIMEOUT_S: Final = 10.0

Mode: TypeAlias = Literal["ok", "hang", "half", "missing"]


class CameraSim:
    """One camera looking at one tank; any path gives the picture.

    Args:
        name: written into the picture.
        level_percent: asked at every picture.
        host: address to listen on.
        port: 0 picks a free one.

    Attributes:
        mode: ``ok``; ``hang`` (takes the request and says nothing); ``half`` (ends in the middle of the
            picture it announced); ``missing`` (404).
        requests: requests taken, whatever the answer.
        served: SHA-256 of each picture handed over whole, in order.
    """

    def __init__(
        self, name: str, level_percent: Callable[[], float], *, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.name = name
        self.level_percent = level_percent
        self.host = host
        self.port = port
        self.mode: Mode = "ok"
        self.requests = 0
        self.served: list[bytes] = []
        self._server: asyncio.Server | None = None
        self._visitors: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The snapshot's address."""
        return f"http://{self.host}:{self.port}/snapshot.jpg"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._visit, self.host, self.port, limit=MAX_REQUEST_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        visitors = tuple(self._visitors)
        for visitor in visitors:
            visitor.cancel()
        await asyncio.gather(*visitors, return_exceptions=True)
        await self._server.wait_closed()

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visitors.add(task)
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                await reader.readuntil(b"\r\n\r\n")
            self.requests += 1
            await self._answer(reader, writer)
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            return  # a visitor that left early or asked nothing sensible
        finally:
            writer.transport.abort() if self.mode == "hang" else writer.close()
            self._visitors.discard(task)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "hang":
            await reader.read()
            return
        if self.mode == "missing":
            writer.write(_head("404 Not Found", "text/plain", 0))
            await writer.drain()
            return
        jpeg = picture(self.name, self.level_percent(), dt.datetime.now().astimezone())
        half = self.mode == "half"
        body = jpeg[: len(jpeg) // 2] if half else jpeg
        writer.write(_head("200 OK", "image/jpeg", len(jpeg)) + body)
        await writer.drain()
        if not half:
            self.served.append(hashlib.sha256(jpeg).digest())


def picture(name: str, level_percent: float, now: dt.datetime) -> bytes:
    """A JPEG with the tank's name, its level as a bar and the time in full."""
    image = Image.new("RGB", SIZE_PX, (225, 230, 235))
    draw = ImageDraw.Draw(image)
    left, top, right, bottom = TANK_PX
    surface = bottom - (bottom - top) * min(max(level_percent, 0.0), 100.0) / 100.0
    draw.rectangle((left, surface, right, bottom), fill=(60, 120, 190))
    draw.rectangle(TANK_PX, outline=(40, 40, 40), width=4)
    draw.text((260, 60), name, fill=(0, 0, 0), font_size=40)
    draw.text((260, 130), f"{level_percent:.1f} %", fill=(0, 0, 0), font_size=56)
    draw.text((260, 290), now.isoformat(" ", "milliseconds"), fill=(0, 0, 0), font_size=22)
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _head(status: str, mime: str, length: int) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Type: {mime}", f"Content-Length: {length}", "Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii")
