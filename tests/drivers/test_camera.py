"""The camera driver against a small HTTP server on a real socket that answers byte for byte what it is told."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import io
import os
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import source_contract as contract
from PIL import Image

from drivers import camera
from drivers.kit.errors import PointError, SourceError
from drivers.kit.quality import Cause

REALM, NONCE = "camera", "5f2c"
Answer = Callable[[dict[str, str], asyncio.StreamWriter], Awaitable[None]]


def picture() -> bytes:
    out = io.BytesIO()
    Image.linear_gradient("L").save(out, "JPEG")
    return out.getvalue()


WHOLE = picture()


def reply(body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"HTTP/1.1 {status}\r\n{headers}Content-Length: {size}\r\n\r\n".encode() + body


def always(data: bytes) -> Answer:
    async def answer(_headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        writer.write(data)

    return answer


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                assert lines[0] == "GET /snap.jpg?channel=1 HTTP/1.1"
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
                headers["authorization"] = next(
                    (line.split(": ", 1)[1] for line in lines if line.lower().startswith("authorization")), ""
                )
                await answer(headers, writer)
        except (asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def there(port: int, **more: object) -> camera.HttpCamera:
    chosen = {"timeout_s": 1.0, **more}
    return camera.connect("cam1", camera.Options(f"http://127.0.0.1:{port}/snap.jpg?channel=1", **chosen))  # type: ignore[arg-type]


def test_a_picture_comes_whole_with_its_hash_and_leaves_no_socket() -> None:
    async def story() -> None:
        async with serving(always(reply(WHOLE))) as port:
            before = contract.open_sockets()
            shot = await there(port).capture()
            assert shot.jpeg == WHOLE
            assert shot.sha256 == hashlib.sha256(WHOLE).digest()
            assert shot.taken_ns > 0
            await contract.sockets_gone(before)

    asyncio.run(story())


async def silent(_headers: dict[str, str], _writer: asyncio.StreamWriter) -> None:
    return


async def dripping(_headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
    writer.write(reply(b"", length=len(WHOLE)))
    for byte in WHOLE:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.05)


async def torn(_headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
    writer.write(reply(WHOLE[:500], length=len(WHOLE)))
    await writer.drain()
    writer.close()


async def endless(_headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(100_000):
        writer.write(b"1000\r\n" + bytes(4096) + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize(
    ("answer", "cause", "words"),
    [
        (silent, Cause.COMM, "no picture within"),
        (dripping, Cause.COMM, "no picture within"),
        (torn, Cause.COMM, ""),
        (endless, Cause.GARBLED, "more than"),
        (always(b"SSH-2.0-OpenSSH\r\n\r\n"), Cause.COMM, ""),
        (always(reply(b"<html>log in</html>")), Cause.GARBLED, "not a JPEG"),
        (always(reply(WHOLE[:-2])), Cause.GARBLED, "torn"),
        (always(reply(b"")), Cause.GARBLED, "0 bytes"),
        (always(reply(b"", status="404 Not Found")), Cause.REFUSED, "404"),
        (always(reply(b"", status="302 Found", headers="Location: /other\r\n")), Cause.REFUSED, "302"),
        (always(reply(b"", status="401 Unauthorized")), Cause.REFUSED, "user name or password"),
        (always(reply(b"x", headers="Content-Encoding: gzip\r\n")), Cause.GARBLED, ""),
    ],
)
def test_anything_but_a_whole_picture_is_an_error_with_a_cause(
    answer: Answer, cause: Cause, words: str
) -> None:
    async def story() -> None:
        async with serving(answer) as port:
            before = contract.open_sockets()
            with pytest.raises(SourceError) as caught:
                await there(port, timeout_s=0.4, max_bytes=100_000).capture()
            assert caught.value.quality_cause is cause
            assert words in caught.value.detail
            assert "cam1" in caught.value.detail
            assert "channel" not in caught.value.detail, "a query may hold a password"
            await contract.sockets_gone(before)

    asyncio.run(story())


def test_nobody_there_is_an_error() -> None:
    async def story() -> int:
        async with serving(silent) as port:
            return port

    port = asyncio.run(story())
    with pytest.raises(SourceError) as caught:
        asyncio.run(there(port).capture())
    assert caught.value.quality_cause is Cause.COMM


def secret(tmp_path: Path, mode: int = 0o600) -> Path:
    path = tmp_path / "password"
    path.write_text("geheim 密码\n", encoding="utf-8")
    path.chmod(mode)
    return path


def test_basic_is_answered_when_asked_for(tmp_path: Path) -> None:
    seen: list[str] = []

    async def answer(headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        seen.append(headers["authorization"])
        right = "Basic " + base64.b64encode("admin:geheim 密码".encode()).decode()
        if headers["authorization"] == right:
            writer.write(reply(WHOLE))
        else:
            writer.write(reply(b"", status="401 No", headers='WWW-Authenticate: Basic realm="c"\r\n'))

    async def story() -> None:
        async with serving(answer) as port:
            one = there(port, username="admin", password_file=secret(tmp_path))
            assert (await one.capture()).jpeg == WHOLE
            assert seen[0] == "", "no password is sent unasked"

    asyncio.run(story())


def test_digest_is_preferred_and_right(tmp_path: Path) -> None:
    def md5(text: str) -> str:
        return hashlib.md5(text.encode()).hexdigest()

    async def answer(headers: dict[str, str], writer: asyncio.StreamWriter) -> None:
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', headers["authorization"].removeprefix("Digest ")))
        if given:
            first = md5(f"admin:{REALM}:geheim 密码")
            second = md5("GET:/snap.jpg?channel=1")
            wanted = md5(f"{first}:{NONCE}:{given['nc']}:{given['cnonce']}:auth:{second}")
            if given["response"] == wanted:
                writer.write(reply(WHOLE))
                return
        offers = (
            'WWW-Authenticate: Basic realm="c"\r\n'
            f'WWW-Authenticate: Digest realm="{REALM}", nonce="{NONCE}", qop="auth", algorithm=MD5\r\n'
        )
        writer.write(reply(b"", status="401 No", headers=offers))

    async def story() -> None:
        async with serving(answer) as port:
            one = there(port, username="admin", password_file=secret(tmp_path))
            assert (await one.capture()).jpeg == WHOLE
            assert (await one.capture()).jpeg == WHOLE

    asyncio.run(story())


def test_a_password_file_open_to_others_is_refused_unless_systemd_guards_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        async with serving(always(reply(WHOLE))) as port:
            one = there(port, username="admin", password_file=secret(tmp_path, 0o640))
            with pytest.raises(SourceError, match="chmod 600") as caught:
                await one.capture()
            assert "geheim" not in caught.value.detail
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
            assert (await one.capture()).jpeg == WHOLE
            with pytest.raises(SourceError, match="No such file"):
                await there(port, username="admin", password_file=tmp_path / "nowhere").capture()

    asyncio.run(story())


def test_a_dead_password_file_costs_its_camera_only_and_no_shared_thread(tmp_path: Path) -> None:
    """A FIFO hangs as a dead network drive does; names are looked up in the threads that all parts share."""
    path = tmp_path / "password"
    os.mkfifo(path, 0o600)

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1, "look-up"))
        async with serving(always(reply(WHOLE))) as port:
            one = there(port, username="admin", password_file=path, timeout_s=0.3)
            with pytest.raises(SourceError, match="no picture within") as first:
                await one.capture()
            for _ in range(5):
                with pytest.raises(SourceError, match="still do not answer") as again:
                    await one.capture()
                assert first.value.quality_cause is again.value.quality_cause is Cause.COMM
            assert sum(thread.name == "camera cam1" for thread in threading.enumerate()) == 1
            async with asyncio.timeout(10):
                assert await loop.getaddrinfo("localhost", 80)
                assert (await there(port).capture()).jpeg == WHOLE
                await asyncio.to_thread(path.write_text, "geheim")  # the drive is back
                path.unlink()
                secret(tmp_path)
                while True:
                    with suppress(SourceError):
                        assert (await one.capture()).jpeg == WHOLE
                        break
                    await asyncio.sleep(0.01)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://cam/1"}, "url"),
        ({"url": "rtsp://cam/1'\nfile x"}, "url"),
        ({"url": "rtsp://cam/1", "onvif": True}, "url"),
        ({"url": "https://cam/1"}, "trusted"),
        ({"trusted": Path("cam.pem")}, "url"),
        ({"profile": "p1"}, "profile"),
        ({"username": "a:b", "password_file": Path("p")}, "username"),
        ({"username": "a\x01", "password_file": Path("p")}, "username"),
        ({"period_s": 0.1}, "period_s"),
        ({"before": 8}, "before"),
        ({"after": 9}, "after"),
        ({"ring_s": 0.1}, "ring_s"),
        ({"ring_bytes": 1}, "ring_bytes"),
        ({"frozen_s": 0.0}, "frozen_s"),
        ({"url": "http://admin:secret@cam/1"}, "url"),
        ({"url": "http://cam:x/1"}, "url"),
        ({"url": "http://admin:secret/@cam/1"}, "url"),
        ({"url": "http:///snap.jpg"}, "url"),
        ({"url": "http:cam/snap.jpg"}, "url"),
        ({"url": "192.168.10.41/snap.jpg"}, "url"),
        ({"url": "rtsps://cam/1"}, "url"),
        ({"url": "http://[::1/1"}, "url"),
        ({"url": "http://cam:0/1"}, "url"),
        ({"url": "http://192.168.10.999/1"}, "url"),
        ({"url": "http://1号罐/1"}, "url"),
        ({"username": "admin"}, "password_file"),
        ({"timeout_s": 0.0}, "timeout_s"),
        ({"max_bytes": 10}, "max_bytes"),
    ],
)
def test_a_wrong_option_names_its_key_and_no_secret(more: dict[str, object], field: str) -> None:
    with pytest.raises(PointError) as caught:
        camera.Options(**{"url": "http://cam/1", **more})  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.others == ()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["HTTP://Cam-1.plant/1?user=a@b", "rtsp://192.168.10.41:554/1", "http://[fe80::1]:8080/1"]
)
def test_what_may_be_an_address_of_a_camera_is_taken(url: str) -> None:
    camera.Options(url)


def test_all_that_is_wrong_with_a_camera_is_told_at_once() -> None:
    with pytest.raises(PointError) as caught:
        camera.Options(
            "https://192.168.10.999/1", username="a:b", profile="p", before=8, ring_s=0.0, timeout_s=0.0
        )
    told = [error.field for error in (caught.value, *caught.value.others)]
    assert told == ["url", "profile", "trusted", "username", "password_file", "timeout_s", "before", "ring_s"]
