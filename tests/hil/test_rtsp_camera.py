"""The RTSP server is a real one: it answers bare RTSP as it should, and leaves nothing behind."""

import asyncio

import pytest

from hil import rtsp_camera
from hil.rtsp_camera import RtspCamera, RtspCameraError


async def ask(url, method="DESCRIBE"):
    reader, writer = await asyncio.open_connection("127.0.0.1", int(url.split(":")[2].split("/")[0]))
    writer.write(f"{method} {url} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n".encode())
    async with asyncio.timeout(30):
        answer = (await reader.readuntil(b"\r\n\r\n")).decode()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize(("login", "status"), [("", "200 OK"), ("basic", "401"), ("digest", "401")])
def test_it_describes_its_stream_to_whom_it_may(tmp_path_factory, login, status):
    async def story():
        folder = tmp_path_factory.getbasetemp()
        async with RtspCamera(folder, login=login, password="x") as camera:
            answer = await ask(camera.url)
            assert status in answer.splitlines()[0]
            if login:
                assert f"www-authenticate: {login}" in answer.lower()
            url = camera.url
        with pytest.raises(OSError, match="Connect call failed"):
            await ask(url)

    asyncio.run(story())


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    (tmp_path / "moving.mkv").write_bytes(b"")
    monkeypatch.setattr(rtsp_camera, "SYSTEM_PYTHON", "/bin/false")

    async def story():
        with pytest.raises(RtspCameraError, match="python3-gi"):
            async with RtspCamera(tmp_path):
                pass

    asyncio.run(story())


def test_a_clip_that_cannot_be_made_is_named(tmp_path):
    async def story():
        with pytest.raises(RtspCameraError, match="no clip"):
            async with RtspCamera(tmp_path / "nowhere"):
                pass

    asyncio.run(story())
