"""Fetches one JPEG from a camera: by HTTP, by ONVIF's snapshot address, or as a still of its RTSP stream.

Touches the network, ffmpeg as a process of its own, one password file and the trusted certificates. The picture is
taken whole or not at all, bounded in time and size. Connections, clients and processes are used for one picture and
thrown away; only an ONVIF camera's snapshot address is remembered, until a picture fails or an hour has passed.
Longer than 400 lines: three ways to the same picture with the same bounds are one driver.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import resource
import secrets
import shutil
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit
from weakref import WeakKeyDictionary

import httpx

from drivers.kit import onvif, rtsp
from drivers.kit.certificates import DistrustError, trusted
from drivers.kit.challenge import strongest
from drivers.kit.errors import SourceError, WriteRefusedError
from drivers.kit.jpeg import JpegError, check_whole
from drivers.kit.options import check_host, judge, refuse, within
from drivers.kit.quality import Cause
from drivers.kit.scan import Picture
from drivers.kit.shots import Shots
from drivers.wire import certificate_files
from drivers.wire.lane import Lane

REDISCOVER_S: Final = 3600.0
"""An ONVIF camera is asked again for its time and snapshot address after this long."""
TOLD_SKEW_S: Final = 2.0
"""A camera's clock that differs by less is right: the question itself takes time, the answer has whole seconds."""
GRACE_S: Final = 0.2
"""A look at a file that was given up, not hanging, ends within this."""
MAX_STREAMS: Final = 2
"""Streams decoded at the same time, over all cameras: each takes a core for about a second."""
STREAM_MEMORY_BYTES: Final = 1 << 30
PACKAGE: Final = "ffmpeg"

_MISSING: Final = (
    f"a stream needs {PACKAGE}, which is not installed; apt-get install --no-install-recommends {PACKAGE}"
)
_SCHEMES: Final = frozenset(("http", "https", "rtsp"))
_NOT_IN_URL: Final = frozenset(" '\"\\")
_LIKE_THIS: Final = (
    " http://192.168.10.41/路径 或 rtsp://192.168.10.41/路径",
    "http://192.168.10.41/path or rtsp://192.168.10.41/path",
)
_PORTS: Final = {"http": 80, "https": 443}
_PART_BYTES: Final = 65_536
_PLAIN: Final = {"Accept-Encoding": "identity"}
_SOAP: Final = {"Content-Type": "application/soap+xml; charset=utf-8"}
_AnswerT = TypeVar("_AnswerT")

_streams: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class Options:
    """A camera's own keys in gateway.toml.

    Attributes:
        url: address of the snapshot (http, https), of the stream (rtsp) or, with ``onvif``, of the camera's device
            service; without user name and password.
        onvif: ``url`` is an ONVIF device service, which is asked for the snapshot's address.
        profile: token of the ONVIF profile; "" takes the first.
        username: "" where the camera asks for none.
        password_file: file with the password, 0600 or a systemd credential; None where none is asked for.
        trusted: the camera's own certificate, or a folder of such; what https needs.
        timeout_s: how long a picture may take.
        max_bytes: how large it may be.
        period_s: see ``kit.shots.Shots``, as all that follow.
        before: pictures from before an alarm.
        after: pictures from after it.
        ring_s: time between two of those.
        ring_bytes: memory for those before.
        frozen_s: the same bytes for so long are a frozen camera.
    """

    url: str
    onvif: bool = False
    profile: str = ""
    username: str = ""
    password_file: Path | None = None
    trusted: Path | None = None
    timeout_s: float = 5.0
    max_bytes: int = 4 << 20
    period_s: float = 0.0
    before: int = 0
    after: int = 0
    ring_s: float = 1.0
    ring_bytes: int = 8 << 20
    frozen_s: float = 10.0

    def __post_init__(self) -> None:
        judge(
            partial(_check_url, self.url),
            self._check_ways,
            self._check_trusted,
            self._check_username,
            self._check_password,
            partial(within, "timeout_s", self.timeout_s, 0.1, 60),
            partial(within, "max_bytes", self.max_bytes, 1024, 64 << 20),
            lambda: self.shots,  # checks the rest
        )

    def _check_ways(self) -> None:
        if self.profile and not self.onvif:
            zh, en = "只有 onvif = true 时才有 profile。", "There is a profile only with onvif = true."
            refuse("profile", zh, en, " onvif = true，或删去 profile", "onvif = true, or leave profile out")
        if self.onvif and _scheme(self.url) == "rtsp":
            zh, en = "ONVIF 服务的地址不是 rtsp。", "The address of an ONVIF service is not rtsp."
            refuse("url", zh, en, " http://摄像机/onvif/device_service", "http://camera/onvif/device_service")

    def _check_trusted(self) -> None:
        scheme = _scheme(self.url)
        if scheme == "https" and self.trusted is None:
            zh, en = "https 摄像机需要其证书。", "A camera by https needs its certificate."
            refuse("trusted", zh, en, "摄像机证书文件的路径", "the path of the camera's certificate")
        if scheme in _SCHEMES - {"https"} and self.trusted is not None:
            zh, en = "没有 https 就没有证书可信。", "Without https there is no certificate to trust."
            refuse(
                "url", zh, en, " https:// 地址，或删去 trusted", "an https:// address, or leave trusted out"
            )

    def _check_username(self) -> None:
        if ":" in self.username or not self.username.isprintable():
            zh, en = "用户名中不能有冒号或控制字符。", "A user name holds no colon and no control character."
            refuse("username", zh, en, "不含这些字符的用户名", "a user name without them")

    def _check_password(self) -> None:
        if self.username and self.password_file is None:
            zh, en = "有用户名却没有密码文件。", "There is a user name but no password file."
            refuse("password_file", zh, en, "密码文件的路径", "the path of a password file")

    @property
    def shots(self) -> Shots:
        """When pictures are wanted.

        Raises:
            PointError: a number is out of its bounds.
        """
        return Shots(self.period_s, self.before, self.after, self.ring_s, self.ring_bytes, self.frozen_s)


def _scheme(url: str) -> str:
    return url.partition(":")[0].lower()


def _check_url(url: str) -> None:
    """Could this be a camera's address? What is wrong never repeats it whole: a password may stand in it.

    Raises:
        PointError: it is none.
    """
    if any(sign in _NOT_IN_URL or not sign.isprintable() for sign in url):
        zh, en = "网址中不能有空格、引号或反斜线。", "An address holds no space, quotation mark or backslash."
        refuse("url", zh, en, "不含这些字符的网址", "it without them")
    if _scheme(url) not in _SCHEMES or "://" not in url:
        zh, en = (
            "网址不以 http://、https:// 或 rtsp:// 开头。",
            "It begins with no http://, https:// or rtsp://.",
        )
        refuse("url", zh, en, *_LIKE_THIS)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        zh, en = "网址中的主机或端口不对。", "The host or the port in the address is wrong."
        refuse("url", zh, en, *_LIKE_THIS)
    if "@" in parts.netloc:
        zh, en = "网址中不能写用户名和密码。", "An address holds no user name and password."
        refuse("url", zh, en, "到 username 和 password_file 中", "them as username and password_file")
    if not host:
        refuse("url", "网址中没有主机。", "There is no host in the address.", *_LIKE_THIS)
    if port == 0:
        zh, en = "端口不能是 0。", "There is no port 0."
        refuse("url", zh, en, " 1 到 65535 的端口", "a port from 1 to 65535")
    check_host("url", host)


def connect(name: str, options: Options) -> PictureCamera:
    """A camera by this name; opens nothing yet."""
    if urlsplit(options.url).scheme == "rtsp":
        return RtspCamera(name, options)
    return OnvifCamera(name, options) if options.onvif else HttpCamera(name, options)


def lacking(options: Options) -> str:
    """The Debian package that this camera needs and this box does not have; "" if none."""
    needed = urlsplit(options.url).scheme == "rtsp" and shutil.which(PACKAGE) is None
    return PACKAGE if needed else ""


def _login(request: httpx.Request, offered: list[str], username: str, password: str) -> bool:
    """Put the answer to a camera's strongest challenge into a request; False where it offers none we know."""
    chosen = strongest(offered)
    request.headers.encoding = "utf-8"  # for names and realms in Chinese
    if chosen.startswith("Digest"):
        flow = httpx.DigestAuth(username, password).auth_flow(request)
        next(flow)  # its own first request, which has been answered already
        challenge = httpx.Headers({"www-authenticate": chosen}, encoding="utf-8")
        flow.send(httpx.Response(httpx.codes.UNAUTHORIZED, headers=challenge, request=request))
    elif chosen:
        next(httpx.BasicAuth(username, password).auth_flow(request))
    return bool(chosen)


class _ReadOnly(httpx.AsyncHTTPTransport):
    """The last place before the socket: a GET or one of ONVIF's reading questions, or nothing."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Called by httpx.

        Raises:
            WriteRefusedError: it is something else.
        """
        if request.method == "POST":
            try:
                onvif.operation(request.content)
            except onvif.OnvifError as error:
                raise WriteRefusedError(f"a POST that asks for something else: {error}") from error
        elif request.method != "GET":
            raise WriteRefusedError(f"{request.method} is no reading request")
        return await super().handle_async_request(request)


class _Pins(ssl.SSLContext):
    """Trusts these certificates and no authority; without any it trusts nobody.

    Attributes:
        files: the trusted ones, by name.
    """

    files: dict[str, bytes]

    @classmethod
    def of(cls, files: dict[str, bytes]) -> _Pins:
        """A context for one picture."""
        pins = cls(ssl.PROTOCOL_TLS_CLIENT)
        pins.check_hostname = False  # the certificate itself is known, byte for byte
        pins.verify_mode = ssl.CERT_NONE  # no authority is asked: the handshake below judges
        pins.sslobject_class = _Pinned
        pins.files = files
        return pins


class _Pinned(ssl.SSLObject):
    """A TLS connection that ends before anything is sent, unless the camera is a trusted one."""

    def do_handshake(self) -> None:
        """Called by anyio; the handshake itself proves that the camera holds its certificate's key.

        Raises:
            DistrustError: it is not trusted.
        """
        super().do_handshake()
        pins = self.context
        assert isinstance(pins, _Pins)
        trusted(self.getpeercert(binary_form=True) or b"", pins.files, dt.datetime.now(dt.UTC))


class PictureCamera:
    """What all kinds share: one picture within bounds, judged off the loop; see ``kit.contract.Camera``."""

    def __init__(self, name: str, options: Options) -> None:
        self._options = options
        parts = urlsplit(options.url)
        # what is printed: without the query, where some cameras expect a password
        self._place = f"{name} ({parts.scheme}://{parts.netloc}{parts.path})"
        self._lane: Lane[Any] = Lane(f"camera {name}")
        self.note = ""

    @property
    def shots(self) -> Shots:
        """When pictures are wanted."""
        return self._options.shots

    async def capture(self) -> Picture:
        """One picture, bounded in size and time.

        Raises:
            SourceError: no whole JPEG came.
        """
        try:
            async with asyncio.timeout(self._options.timeout_s):
                jpeg = await self._fetch(await self._read(self._password))
                taken_ns = time.time_ns()
                digest = await asyncio.to_thread(_checked, jpeg)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise self._error(Cause.COMM, f"no picture within {self._options.timeout_s:g} s") from error
        except JpegError as error:
            raise self._error(Cause.GARBLED, str(error)) from error
        return Picture(jpeg, taken_ns, digest)

    async def _fetch(self, password: str) -> bytes:
        raise NotImplementedError

    async def _read(self, call: Callable[[], _AnswerT]) -> _AnswerT:
        """What a file says; on a dead disk this camera fails, and no thread that others need waits for it.

        Raises:
            SourceError: it cannot be used, or an earlier look at it still hangs.
        """
        try:
            answer = self._lane.ask(call)
            if answer is None:
                await asyncio.sleep(GRACE_S)
                answer = self._lane.ask(call)
            if answer is None:
                what = "its files (password, certificate) still do not answer; is their disk or network drive alive?"
                raise self._error(Cause.COMM, what)
            found: _AnswerT = await asyncio.shield(answer)
        except DistrustError as error:
            raise self._error(Cause.REFUSED, str(error)) from error
        except OSError as error:
            what = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            cause = Cause.COMM if isinstance(error, BlockingIOError) else Cause.REFUSED
            raise self._error(cause, what) from error
        return found

    def _password(self) -> str:
        """Read anew for every picture, so that a changed password needs no restart."""
        path = self._options.password_file
        return "" if path is None else certificate_files.password(path)

    def _error(self, cause: Cause, what: str) -> SourceError:
        return SourceError(cause, f"{self._place}: {what}")


def _checked(jpeg: bytes) -> bytes:
    """SHA-256 of a whole JPEG.

    Raises:
        JpegError: it is none.
    """
    check_whole(jpeg)
    return hashlib.sha256(jpeg).digest()


class HttpCamera(PictureCamera):
    """A camera with a snapshot address."""

    async def _fetch(self, password: str) -> bytes:
        files = await self._read(self._trusted)
        transport = _ReadOnly(verify=_Pins.of(files), trust_env=False)
        try:
            async with httpx.AsyncClient(
                transport=transport, trust_env=False, timeout=self._options.timeout_s
            ) as client:
                return await self._picture(client, password)
        except httpx.TimeoutException:
            raise
        except DistrustError as error:
            raise self._error(Cause.REFUSED, str(error)) from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise self._error(Cause.COMM, str(error) or type(error).__name__) from error

    async def _picture(self, client: httpx.AsyncClient, password: str) -> bytes:
        return await self._get(client, self._options.url, password)

    async def _get(self, client: httpx.AsyncClient, url: str, password: str) -> bytes:
        request = client.build_request("GET", url, headers=_PLAIN)
        status, body = await self._ask(client, request, password, self._options.max_bytes)
        if status != httpx.codes.OK:
            raise self._error(Cause.REFUSED, _meaning(status))
        return body

    async def _ask(
        self, client: httpx.AsyncClient, request: httpx.Request, password: str, max_bytes: int
    ) -> tuple[int, bytes]:
        """Status and body; asks a second time where the camera wants to know who asks."""
        response = await client.send(request, stream=True)
        try:
            body = await self._body(response, max_bytes)
            status, offered = response.status_code, response.headers.get_list("www-authenticate")
        finally:
            await response.aclose()
        username = self._options.username
        if status != httpx.codes.UNAUTHORIZED or not username or "authorization" in request.headers:
            return status, body
        if not _login(request, offered, username, password):
            return status, body
        return await self._ask(client, request, password, max_bytes)

    async def _body(self, response: httpx.Response, max_bytes: int) -> bytes:
        body = bytearray()
        async for part in response.aiter_raw():  # never unpacked: a small body may unpack to a large one
            body += part
            if len(body) > max_bytes:
                raise self._error(Cause.GARBLED, f"more than {max_bytes} bytes came")
        return bytes(body)

    def _trusted(self) -> dict[str, bytes]:
        """The trusted certificates, read anew for every picture, as the password is."""
        path = self._options.trusted
        return {} if path is None else certificate_files.trusted_files(path)


class OnvifCamera(HttpCamera):
    """A camera that says by ONVIF where its snapshot is."""

    def __init__(self, name: str, options: Options) -> None:
        super().__init__(name, options)
        self._snapshot = ""
        self._until_s = 0.0

    async def _picture(self, client: httpx.AsyncClient, password: str) -> bytes:
        if not self._snapshot or time.monotonic() > self._until_s:
            self._snapshot = await self._discover(client, password)
            self._until_s = time.monotonic() + REDISCOVER_S
        try:
            return await self._get(client, self._snapshot, password)
        except BaseException:
            self._snapshot = ""  # perhaps it has moved: next time the camera is asked again
            raise

    async def _discover(self, client: httpx.AsyncClient, password: str) -> str:
        options = self._options
        ask = partial(self._question, client, password)
        asked = dt.datetime.now(dt.UTC)
        said = await ask(options.url, onvif.time_question(), onvif.camera_time)
        now = dt.datetime.now(dt.UTC)
        ahead = said - (asked + (now - asked) / 2) if said else dt.timedelta()
        self.note = _clock_note(ahead.total_seconds()) if said else "its clock cannot be asked"

        def header() -> str:
            camera_time = dt.datetime.now(dt.UTC) + ahead
            return onvif.user_header(options.username, password, secrets.token_bytes(16), camera_time)

        found = await ask(options.url, onvif.services_question(header()), onvif.media_address)
        media = self._here(found) if found else options.url
        tokens = await ask(media, onvif.profiles_question(header()), onvif.profile_tokens)
        profile = options.profile or next(iter(tokens), "")
        if profile not in tokens:
            there = ", ".join(tokens) or "none"
            raise self._error(Cause.REFUSED, f'the camera has no profile "{profile}"; it has: {there}')
        return self._here(
            await ask(media, onvif.snapshot_question(profile, header()), onvif.snapshot_address)
        )

    async def _question(
        self,
        client: httpx.AsyncClient,
        password: str,
        url: str,
        question: bytes,
        read: Callable[[bytes], _AnswerT],
    ) -> _AnswerT:
        request = client.build_request("POST", url, content=question, headers={**_PLAIN, **_SOAP})
        status, body = await self._ask(client, request, password, onvif.MAX_ANSWER_BYTES)
        if status == httpx.codes.UNAUTHORIZED:
            raise self._error(Cause.REFUSED, _meaning(status))
        try:
            return read(body)
        except onvif.OnvifError as error:
            if error.refused or status == httpx.codes.OK:
                raise self._error(Cause.REFUSED if error.refused else Cause.GARBLED, str(error)) from error
            raise self._error(Cause.REFUSED, f"{_meaning(status)} ({error})") from error

    def _here(self, address: str) -> str:
        """An address the camera names, on the host we know: what stands behind a router does not know its own."""
        ours = urlsplit(self._options.url)
        try:
            named = urlsplit(address)
            port = named.port or _PORTS.get(named.scheme, 0)
        except ValueError as error:
            raise self._error(Cause.GARBLED, "the camera names an address that is none") from error
        if named.scheme != ours.scheme:
            what = f"the camera names a {named.scheme} address, but it is asked by {ours.scheme}"
            raise self._error(Cause.REFUSED, f"{what}; write that address as url without onvif")
        host = f"[{ours.hostname}]" if ":" in (ours.hostname or "") else ours.hostname
        return urlunsplit((named.scheme, f"{host}:{port}", named.path, named.query, ""))


class RtspCamera(PictureCamera):
    """A camera that has a stream only."""

    async def capture(self) -> Picture:
        """One picture, once its turn has come; see ``kit.contract.Camera``."""
        loop = asyncio.get_running_loop()
        async with _streams.setdefault(loop, asyncio.Semaphore(MAX_STREAMS)):
            return await super().capture()

    async def _fetch(self, password: str) -> bytes:
        program = await self._read(partial(shutil.which, PACKAGE))
        if program is None:
            raise self._error(Cause.REFUSED, _MISSING)
        script = self._script(password)
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                program, *rtsp.ARGUMENTS, stdin=pipe, stdout=pipe, stderr=pipe, env={"LC_ALL": "C"}
            )
        except OSError as error:
            raise self._error(Cause.REFUSED, f"{program} cannot be started: {error.strerror}") from error
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        tail = asyncio.create_task(_tail(process.stderr))
        try:
            with suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_AS, (STREAM_MEMORY_BYTES, STREAM_MEMORY_BYTES))
            process.stdin.write(script)
            process.stdin.close()
            jpeg = await self._bounded(process.stdout)
            code = await process.wait()
        finally:
            await asyncio.shield(_reap(process, tail))
        if code or not jpeg:
            raise self._error(*rtsp.failure(tail.result()))
        return jpeg

    def _script(self, password: str) -> bytes:
        """What ffmpeg reads on its input, where nobody else can."""
        options = self._options
        parts = urlsplit(options.url)
        login = f"{quote(options.username, safe='')}:{quote(password, safe='')}@" if options.username else ""
        if len(login) > rtsp.MAX_LOGIN:
            longest = f"longer than {PACKAGE} takes ({rtsp.MAX_LOGIN} characters, others than a-z and 0-9 count more)"
            raise self._error(Cause.REFUSED, f"user name and password are {longest}")
        return rtsp.script(urlunsplit((parts.scheme, login + parts.netloc, parts.path, parts.query, "")))

    async def _bounded(self, stream: asyncio.StreamReader) -> bytes:
        body = bytearray()
        while part := await stream.read(_PART_BYTES):
            body += part
            if len(body) > self._options.max_bytes:
                raise self._error(Cause.GARBLED, f"more than {self._options.max_bytes} bytes came")
        return bytes(body)


async def _tail(stream: asyncio.StreamReader) -> bytes:
    kept = b""
    while part := await stream.read(_PART_BYTES):
        kept = (kept + part)[-_PART_BYTES:]
    return kept


async def _reap(process: asyncio.subprocess.Process, tail: asyncio.Task[bytes]) -> None:
    """End a process for certain, and read its pipes to their ends, for they close only then."""
    with suppress(ProcessLookupError):
        process.kill()
    assert process.stdout is not None
    while await process.stdout.read(_PART_BYTES):
        pass
    await tail
    await process.wait()


def _clock_note(ahead_s: float) -> str:
    if abs(ahead_s) < TOLD_SKEW_S:
        return "its clock agrees with ours"
    return f"its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"


def _meaning(status: int) -> str:
    if status == httpx.codes.UNAUTHORIZED:
        return "the camera refuses the user name or password (HTTP 401)"
    return f"the camera answers HTTP {status}"
