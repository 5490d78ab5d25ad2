"""A network camera that answers GET with a JPEG of a tank, or misbehaves on command. Touches sockets.

It may want to know who asks (basic, digest), speak TLS, and have ONVIF services beside.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import io
import re
import secrets
import ssl
from base64 import b64encode
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias

from PIL import Image, ImageDraw

from hil.onvif_sim import OnvifSim

SIZE_PX: Final = (640, 360)
TANK_PX: Final = (60, 60, 220, 330)
MAX_REQUEST_BYTES: Final = 8192
REQUEST_TIMEOUT_S: Final = 10.0

REALM: Final = "IP Camera(C1234)"

Mode: TypeAlias = Literal["ok", "hang", "half", "missing", "black", "frozen"]
Login: TypeAlias = Literal["", "basic", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "all"]
_HASHES: Final = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_ALL: Final[tuple[Login, ...]] = ("MD5", "basic", "SHA-256", "MD5-sess")


class CameraSim:
    """One camera looking at one tank; any path gives the picture.

    Args:
        name: written into the picture.
        level_percent: asked at every picture.
        host: address to listen on.
        port: 0 picks a free one.
        login: how a user proves itself; ``all``: several offers, the strongest neither first nor last.
        username: who may look.
        password: how they prove it.
        tls: speaks TLS with this context; None: it does not.

    Attributes:
        mode: ``ok``; ``hang`` (takes the request and says nothing); ``half`` (ends in the middle of the
            picture it announced); ``missing`` (404); ``black`` (no light, the time still in it); ``frozen`` (its
            last picture again and again).
        requests: requests taken, whatever the answer.
        asked: method and path of each.
        served: SHA-256 of each picture handed over whole, in order.
        proofs: the algorithms by which users proved themselves, in order.
        onvif: its ONVIF services, for POST.
    """

    def __init__(
        self,
        name: str,
        level_percent: Callable[[], float],
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        login: Login = "",
        username: str = "viewer",
        password: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.name = name
        self.level_percent = level_percent
        self.host = host
        self.port = port
        self.mode: Mode = "ok"
        self.requests = 0
        self.asked: list[tuple[str, str]] = []
        self.served: list[bytes] = []
        self.proofs: list[str] = []
        self.onvif: OnvifSim | None = None
        self._offers = {"": (), "all": _ALL}.get(login, (login,))
        self._user = (username, password)
        self._tls = tls
        self._nonce = secrets.token_hex(8)
        self._last = b""
        self._server: asyncio.Server | None = None
        self._visitors: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The snapshot's address."""
        scheme = "https" if self._tls else "http"
        return f"{scheme}://{self.host}:{self.port}/snapshot.jpg"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(
            self._visit, self.host, self.port, limit=MAX_REQUEST_BYTES, ssl=self._tls
        )
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
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                length = re.search(r"(?im)^content-length: *(\d+)", head)
                body = await reader.readexactly(int(length[1])) if length else b""
            self.requests += 1
            method, path, _ = head.split(" ", 2)
            self.asked.append((method, path))
            if self.mode == "hang":
                await reader.read()
                return
            writer.write(self._answer(head, body))
            await writer.drain()
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError):
            return  # a visitor that left early or asked nothing sensible
        finally:
            writer.transport.abort() if self.mode == "hang" else writer.close()
            self._visitors.discard(task)

    def _answer(self, head: str, body: bytes) -> bytes:
        if self.mode == "missing":
            return _reply("404 Not Found", "text/plain", b"")
        if head.startswith("POST ") and self.onvif:
            status, said = self.onvif.answer(body)
            return _reply(status, "application/soap+xml", said)
        if self._offers and not self._is_known(head):
            return _reply("401 Unauthorized", "text/html", b"<html>401</html>", self._challenges())
        jpeg = self._picture()
        if self.mode == "half":
            whole = _reply("200 OK", "image/jpeg", jpeg)
            return whole[: -len(jpeg) // 2]
        self.served.append(hashlib.sha256(jpeg).digest())
        return _reply("200 OK", "image/jpeg", jpeg)

    def _picture(self) -> bytes:
        if self.mode != "frozen" or not self._last:
            now = dt.datetime.now().astimezone()
            self._last = picture(self.name, self.level_percent(), now, dark=self.mode == "black")
        return self._last

    def _challenges(self) -> list[str]:
        told = []
        for offer in self._offers:
            if offer == "basic":
                told.append(f'Basic realm="{REALM}"')
            else:
                told.append(
                    f'Digest realm="{REALM}", qop="auth,auth-int", nonce="{self._nonce}", algorithm={offer}'
                )
        return told

    def _is_known(self, head: str) -> bool:
        found = re.search(r"(?im)^authorization: (\S+) (.*)\r$", head)
        if found is None:
            return False
        username, password = self._user
        if found[1] == "Basic":
            self.proofs.append("basic")
            return (
                "basic" in self._offers and found[2] == b64encode(f"{username}:{password}".encode()).decode()
            )
        said = {
            key: quoted or plain
            for key, quoted, plain in re.findall(r'(\w+)=(?:"([^"]*)"|([^,]*))', found[2])
        }
        self.proofs.append(said["algorithm"])
        return said["algorithm"] in self._offers and said["response"] == self._response(head, said)

    def _response(self, head: str, said: dict[str, str]) -> str:
        """What the user must answer (RFC 7616 section 3.4)."""
        name, _, _ = said["algorithm"].partition("-sess")
        method, path, _ = head.split(" ", 2)

        def digest(*parts: str) -> str:
            return _HASHES[name](":".join(parts).encode()).hexdigest()

        secret = digest(self._user[0], REALM, self._user[1])
        if "-sess" in said["algorithm"]:
            secret = digest(secret, self._nonce, said["cnonce"])
        return digest(secret, self._nonce, said["nc"], said["cnonce"], said["qop"], digest(method, path))


def picture(name: str, level_percent: float, now: dt.datetime, *, dark: bool = False) -> bytes:
    """A JPEG with the tank's name, its level as a bar and the time in full; in the dark only the time."""
    image = Image.new("RGB", SIZE_PX, (4, 4, 6) if dark else (225, 230, 235))
    draw = ImageDraw.Draw(image)
    if dark:
        draw.text((260, 290), now.isoformat(" ", "milliseconds"), fill=(255, 255, 255), font_size=22)
        return _jpeg(image)
    left, top, right, bottom = TANK_PX
    surface = bottom - (bottom - top) * min(max(level_percent, 0.0), 100.0) / 100.0
    draw.rectangle((left, surface, right, bottom), fill=(60, 120, 190))
    draw.rectangle(TANK_PX, outline=(40, 40, 40), width=4)
    draw.text((260, 60), name, fill=(0, 0, 0), font_size=40)
    draw.text((260, 130), f"{level_percent:.1f} %", fill=(0, 0, 0), font_size=56)
    draw.text((260, 290), now.isoformat(" ", "milliseconds"), fill=(0, 0, 0), font_size=22)
    return _jpeg(image)


def _jpeg(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "JPEG", quality=80)
    return out.getvalue()


def _reply(status: str, mime: str, body: bytes, challenges: Sequence[str] = ()) -> bytes:
    lines = [
        f"HTTP/1.1 {status}",
        f"Content-Type: {mime}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    ]
    lines += [f"WWW-Authenticate: {one}" for one in challenges]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body
