"""The camera's pictures are real JPEGs that change with the tank, and each misbehaviour is what it says."""

import asyncio
import datetime as dt
import hashlib
import io

import httpx
import pytest
from PIL import Image

from hil.camera_sim import CameraSim, picture

NOW = dt.datetime(2026, 11, 22, 11, 31, tzinfo=dt.UTC)


def run(story):
    async def whole():
        async with CameraSim("T-03", lambda: 61.5) as camera, httpx.AsyncClient(timeout=0.5) as client:
            await story(camera, client)

    asyncio.run(whole())


def test_the_picture_is_a_jpeg_and_is_counted():
    async def story(camera, client):
        for _ in range(2):
            answer = await client.get(camera.url)
        assert answer.headers["content-type"] == "image/jpeg"
        assert Image.open(io.BytesIO(answer.content)).size == (640, 360)
        assert camera.requests == len(camera.served) == 2
        assert camera.served[-1] == hashlib.sha256(answer.content).digest()

    run(story)


def test_the_bar_shows_the_level():
    def blue_rows(level):
        column = Image.open(io.BytesIO(picture("T-03", level, NOW))).convert("RGB").crop((140, 64, 141, 326))
        return sum(b > r + 60 for r, _, b in column.get_flattened_data())

    assert blue_rows(0) == 0
    assert 0.45 < blue_rows(50) / blue_rows(100) < 0.55
    assert blue_rows(100) > 250


def test_the_time_is_in_the_picture():
    later = NOW + dt.timedelta(seconds=1)
    assert picture("T-03", 50, NOW) == picture("T-03", 50, NOW) != picture("T-03", 50, later)


def test_missing():
    async def story(camera, client):
        camera.mode = "missing"
        assert (await client.get(camera.url)).status_code == 404
        assert (camera.requests, camera.served) == (1, [])

    run(story)


def test_half_a_picture():
    async def story(camera, client):
        camera.mode = "half"
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(camera.url)
        assert (camera.requests, camera.served) == (1, [])

    run(story)


def test_hang_and_recover():
    async def story(camera, client):
        camera.mode = "hang"
        with pytest.raises(httpx.ReadTimeout):
            await client.get(camera.url)
        camera.mode = "ok"
        assert (await client.get(camera.url)).status_code == 200
        assert camera.requests == 2

    run(story)


def test_the_end_cuts_a_visitor_that_hangs():
    async def whole():
        async with CameraSim("T-03", lambda: 0.0) as camera:
            camera.mode = "hang"
            reader, writer = await asyncio.open_connection(camera.host, camera.port)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            while not camera.requests:
                await asyncio.sleep(0.01)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()

    asyncio.run(whole())


def test_dark_and_frozen_pictures():
    async def story(camera, client):
        camera.mode = "black"
        dark = Image.open(io.BytesIO((await client.get(camera.url)).content)).convert("L")
        assert sum(dark.histogram()[40:]) < 0.05 * 640 * 360
        camera.mode = "frozen"
        first, second = [(await client.get(camera.url)).content for _ in range(2)]
        assert first == second
        camera.mode = "ok"
        assert (await client.get(camera.url)).content != first

    run(story)


@pytest.mark.parametrize("login", ["basic", "MD5", "MD5-sess", "SHA-256", "SHA-256-sess"])
def test_a_login_is_asked_for_and_only_the_right_one_counts(login):
    async def story():
        async with CameraSim("T", lambda: 0.0, login=login, password="secret") as camera:
            kind = httpx.BasicAuth if login == "basic" else httpx.DigestAuth
            async with httpx.AsyncClient(timeout=5) as client:
                assert (await client.get(camera.url)).status_code == 401
                assert (await client.get(camera.url, auth=kind("viewer", "wrong"))).status_code == 401
                assert (await client.get(camera.url, auth=kind("viewer", "secret"))).status_code == 200
            assert camera.proofs == [login, login]
            assert len(camera.served) == 1

    asyncio.run(story())
