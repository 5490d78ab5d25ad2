"""Fetches one JPEG by HTTP from a camera's snapshot address. Touches the network and one password file.

The picture is taken whole or not at all: bounded in time and size, from its first marker to its last.
A client is used for one picture and thrown away.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import ssl
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from drivers.kit.errors import SourceError
from drivers.kit.jpeg import JpegError, check_whole
from drivers.kit.options import refuse, within
from drivers.kit.quality import Cause
from drivers.kit.scan import Picture

MAX_PASSWORD_BYTES: Final = 1024
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Options:
    """A camera's own keys in gateway.toml.

    Attributes:
        url: address of the camera's snapshot, http or https, without user name and password.
        username: "" where the camera asks for none.
        password_file: file with the password, 0600 or a systemd credential; None where none is asked for.
        timeout_s: how long a picture may take.
        max_bytes: how large it may be.
    """

    url: str
    username: str = ""
    password_file: Path | None = None
    timeout_s: float = 3.0
    max_bytes: int = 4 << 20

    def __post_init__(self) -> None:
        try:
            parts = urlsplit(self.url)
            right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            right = False
        if not right:
            zh, en = "不是快照地址。", "This is not a snapshot address."
            refuse("url", zh, en, " http://摄像机地址/路径", "http://camera/path")
        if "@" in parts.netloc:
            zh, en = "网址中不能写用户名和密码。", "An address holds no user name and password."
            refuse("url", zh, en, "到 username 和 password_file 中", "them as username and password_file")
        if self.username and self.password_file is None:
            zh, en = "有用户名却没有密码文件。", "There is a user name but no password file."
            refuse("password_file", zh, en, "密码文件的路径", "the path of a password file")
        within("timeout_s", self.timeout_s, 0.1, 60)
        within("max_bytes", self.max_bytes, 1024, 64 << 20)


def connect(name: str, options: Options) -> HttpCamera:
    """A camera by this name; opens nothing yet."""
    return HttpCamera(name, options)


class _Challenged(httpx.Auth):
    """Answers a camera's challenge by digest where it offers that, else by basic; sends nothing unasked."""

    def __init__(self, username: str, password: str) -> None:
        self._digest = httpx.DigestAuth(username, password)
        self._basic = httpx.BasicAuth(username, password)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Called by httpx: the request, and after a challenge the request with an answer to it."""
        response = yield request
        if response.status_code != httpx.codes.UNAUTHORIZED:
            return
        offered = " ".join(response.headers.get_list("www-authenticate")).lower()
        if "digest" in offered:
            flow = self._digest.auth_flow(request)
            next(flow)  # its own first request, which has been answered already
            yield flow.send(response)
        elif "basic" in offered:
            yield next(self._basic.auth_flow(request))


class HttpCamera:
    """A camera with a snapshot address; see ``kit.contract.Camera``."""

    def __init__(self, name: str, options: Options) -> None:
        self._name = name
        self._options = options
        parts = urlsplit(options.url)
        # what is printed: without the query, where some cameras expect a password
        self._place = f"{name} ({parts.scheme}://{parts.netloc}{parts.path})"
        encrypted = parts.scheme == "https"
        # an empty context trusts nobody; loading the system's authorities is left to those who need them
        self._tls = ssl.create_default_context() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    async def capture(self) -> Picture:
        """One picture, bounded in size and time.

        Raises:
            SourceError: no whole JPEG came.
        """
        password = self._password()
        auth = _Challenged(self._options.username, password) if self._options.username else None
        try:
            async with (
                asyncio.timeout(self._options.timeout_s),
                httpx.AsyncClient(
                    verify=self._tls, trust_env=False, timeout=self._options.timeout_s
                ) as client,
                client.stream("GET", self._options.url, auth=auth) as response,
            ):
                if response.status_code != httpx.codes.OK:
                    raise self._error(Cause.REFUSED, _meaning(response.status_code))
                jpeg = await self._body(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._error(Cause.COMM, f"no picture within {self._options.timeout_s:g} s") from error
        except httpx.DecodingError as error:
            raise self._error(Cause.GARBLED, str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._error(Cause.COMM, str(error) or type(error).__name__) from error
        taken_ns = time.time_ns()
        try:
            check_whole(jpeg)
        except JpegError as error:
            raise self._error(Cause.GARBLED, str(error)) from error
        return Picture(jpeg, taken_ns, hashlib.sha256(jpeg).digest())

    async def _body(self, response: httpx.Response) -> bytes:
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self._options.max_bytes:
                raise self._error(Cause.GARBLED, f"more than {self._options.max_bytes} bytes came")
        return bytes(body)

    def _password(self) -> str:
        """Read anew for every picture, so that a changed password needs no restart."""
        path = self._options.password_file
        if path is None:
            return ""
        try:
            with path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(MAX_PASSWORD_BYTES)
        except OSError as error:
            raise self._error(Cause.REFUSED, f"{path}: {error.strerror}") from error
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        # systemd guards its folder of credentials itself, with an ACL that shows as group bits
        if mode & _OTHERS and not (credentials and path.is_relative_to(credentials)):
            raise self._error(Cause.REFUSED, f"{path} is open to others than its owner; chmod 600 {path}")
        try:
            return content.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise self._error(Cause.REFUSED, f"{path} is not UTF-8 text") from error

    def _error(self, cause: Cause, what: str) -> SourceError:
        return SourceError(cause, f"{self._place}: {what}")


def _meaning(status: int) -> str:
    if status == httpx.codes.UNAUTHORIZED:
        return "the camera refuses the user name or password (HTTP 401)"
    return f"the camera answers HTTP {status}"
