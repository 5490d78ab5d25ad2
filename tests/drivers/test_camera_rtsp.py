"""RTSP stills through the real ffmpeg, from GStreamer's RTSP server."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import source_contract as contract
from PIL import Image

from drivers import camera
from drivers.kit.darkness import is_black
from drivers.kit.errors import SourceError
from drivers.kit.quality import Cause
from hil.rtsp_camera import RtspCamera

PASSWORD = "p:@/ 'ü%\\\""
PATIENT_S = 30.0


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD, encoding="utf-8")
    path.chmod(0o600)
    return path


def asking(url: str, **more: object) -> camera.PictureCamera:
    return camera.connect("cam1", camera.Options(url, **{"timeout_s": PATIENT_S, **more}))


async def refusal(one: camera.PictureCamera) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await one.capture()
    return caught.value


def children(name: str) -> list[int]:
    """Processes of this one by name, dead ones that nobody collected among them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            text = stat.read_text()
            if f"({name})" in text and int(text.rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize("login", ["", "basic", "digest"])
def test_a_still_comes_whole_whoever_asks(clips, secret, login):
    async def story():
        async with RtspCamera(clips, login=login, password=PASSWORD) as there:
            before = contract.open_sockets()
            user = {"username": "viewer", "password_file": secret} if login else {}
            shot = await asking(there.url, **user).capture()
            assert Image.open(io.BytesIO(shot.jpeg)).size == (640, 360)
            assert shot.sha256 == hashlib.sha256(shot.jpeg).digest()
            assert is_black(shot.jpeg) is False
            assert children("ffmpeg") == []
            await contract.sockets_gone(before)

    asyncio.run(story())


def test_black_and_still_streams_give_black_and_equal_pictures(clips):
    async def story():
        async with RtspCamera(clips, scene="black") as there:
            assert is_black((await asking(there.url).capture()).jpeg) is True
        async with RtspCamera(clips, scene="still") as there:
            one = asking(there.url)
            assert (await one.capture()).sha256 == (await one.capture()).sha256

    asyncio.run(story())


def test_what_goes_wrong_is_named_and_no_password_shows(clips, secret):
    async def story():
        async with RtspCamera(clips, login="digest", password="another") as there:
            user = {"username": "viewer", "password_file": secret}
            cases = [
                (asking(there.url, **user), Cause.REFUSED, "user name or password"),
                (asking(there.url), Cause.REFUSED, "user name or password"),
                (asking("rtsp://127.0.0.1:1/cam", **user), Cause.COMM, "refuses the connection"),
            ]
            secret_forms = (PASSWORD, "p%3A", "p:@")
            for one, cause, words in cases:
                error = await refusal(one)
                assert (error.quality_cause, words in error.detail) == (cause, True), error.detail
                assert not any(form in str(error) for form in secret_forms)
            secret.write_text("x" * 200)
            assert "longer than" in (await refusal(asking(there.url, **user))).detail
            assert children("ffmpeg") == []
        async with RtspCamera(clips) as there:
            assert "no such stream" in (await refusal(asking(there.url + "2"))).detail
            assert "more than 1024 bytes" in (await refusal(asking(there.url, max_bytes=1024))).detail
            assert children("ffmpeg") == []

    asyncio.run(story())


def test_the_password_is_in_no_argument_and_no_environment(clips, secret):
    async def story():
        async with RtspCamera(clips, login="digest", password=PASSWORD) as there:
            task = asyncio.create_task(asking(there.url, username="viewer", password_file=secret).capture())
            seen = b""
            while not task.done():
                for pid in children("ffmpeg"):
                    with suppress(OSError):
                        folder = Path(f"/proc/{pid}")
                        seen += (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
                await asyncio.sleep(0.01)
            await task
            assert b"pipe:0" in seen
            assert b"viewer" not in seen
            assert b"p%3A" not in seen
            assert b"rtsp://" not in seen

    asyncio.run(story())


def test_a_cancelled_still_leaves_no_process(clips):
    async def story():
        async with RtspCamera(clips) as there:
            before = contract.open_sockets()
            for step in range(12):
                task = asyncio.create_task(asking(there.url).capture())
                await asyncio.sleep(step * 0.03)
                task.cancel()
                await asyncio.wait({task})
                assert task.cancelled()
                async with asyncio.timeout(PATIENT_S):
                    while children("ffmpeg"):
                        await asyncio.sleep(0.01)
            await contract.sockets_gone(before)

    asyncio.run(story())


@asynccontextmanager
async def silent_camera():
    """Takes the connection and says nothing."""
    writers = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    try:
        yield f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/cam", writers
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()


def test_a_silent_camera_costs_its_time_and_no_process():
    async def story():
        before = contract.open_sockets()
        async with silent_camera() as (url, _):
            error = await refusal(asking(url, timeout_s=0.5))
            assert (error.quality_cause, children("ffmpeg")) == (Cause.COMM, [])
        await contract.sockets_gone(before)

    asyncio.run(story())


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH\r\n", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n", bytes(range(256)) * 40]
)
def test_whoever_speaks_no_rtsp_gives_an_error(said):
    async def answer(_, writer):
        writer.write(said)
        writer.close()

    async def story():
        before = contract.open_sockets()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        error = await refusal(asking(f"rtsp://127.0.0.1:{server.sockets[0].getsockname()[1]}/cam"))
        assert error.quality_cause in (Cause.COMM, Cause.GARBLED)
        server.close()
        await contract.sockets_gone(before)

    asyncio.run(story())


def test_a_stop_while_a_camera_is_silent_takes_less_than_a_second():
    async def story():
        before = contract.open_sockets()
        async with silent_camera() as (url, writers):
            task = asyncio.create_task(asking(url).capture())
            async with asyncio.timeout(PATIENT_S):
                while not writers:
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task}, timeout=contract.STOP_S)
            assert task.cancelled()
            assert children("ffmpeg") == []
        await contract.sockets_gone(before)

    asyncio.run(story())


def test_few_streams_are_decoded_at_a_time(clips):
    async def story():
        async with RtspCamera(clips) as there:
            tasks = [asyncio.create_task(asking(there.url).capture()) for _ in range(4)]
            most = 0
            while not all(task.done() for task in tasks):
                most = max(most, len(children("ffmpeg")))
                await asyncio.sleep(0.01)
            assert all(task.result().jpeg for task in tasks)
            assert most == camera.MAX_STREAMS

    asyncio.run(story())


def test_without_ffmpeg_the_package_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    error = asyncio.run(refusal(asking("rtsp://127.0.0.1/cam")))
    assert "apt-get install --no-install-recommends ffmpeg" in error.detail


def test_an_ffmpeg_that_cannot_be_started_is_an_error_of_its_camera(monkeypatch, tmp_path):
    (tmp_path / "ffmpeg").write_bytes(b"\x7fELF of another machine")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    error = asyncio.run(refusal(asking("rtsp://127.0.0.1:1/")))
    assert error.quality_cause is Cause.REFUSED
    assert "cannot be started" in error.detail


def test_what_a_camera_lacks_is_told_before_it_is_asked(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert camera.lacking(camera.Options("rtsp://127.0.0.1/")) == "ffmpeg"
    assert camera.lacking(camera.Options("http://127.0.0.1/")) == ""
