"""The camera driver against the bench's camera: who asks, under which certificate, and by ONVIF."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import random
import re
import ssl
from collections import Counter
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
import source_contract as contract

from drivers import camera
from drivers.kit import onvif
from drivers.kit.errors import SourceError, WriteRefusedError
from drivers.kit.jpeg import check_whole
from drivers.kit.quality import Cause
from drivers.wire.certificate_files import MAX_TRUSTED
from hil.camera_sim import CameraSim, picture
from hil.onvif_sim import OnvifSim
from hil.pki import Authority, Credentials, Validity

PASSWORD = 'geheim "密码" & <b>'


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def sim(**how: object) -> CameraSim:
    return CameraSim("T-03", lambda: 50.0, password=PASSWORD, **how)


def asking(url: str, **more: object) -> camera.PictureCamera:
    return camera.connect("cam1", camera.Options(url, **more))


async def refusal(one: camera.PictureCamera) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await one.capture()
    assert PASSWORD not in caught.value.detail
    return caught.value


@pytest.mark.parametrize(
    ("login", "proof"),
    [
        ("basic", "basic"),
        ("MD5", "MD5"),
        ("MD5-sess", "MD5-sess"),
        ("SHA-256", "SHA-256"),
        ("SHA-256-sess", "SHA-256-sess"),
        ("all", "SHA-256"),
    ],
)
def test_the_strongest_way_offered_is_taken(login, proof, secret):
    async def story():
        before = contract.open_sockets()
        async with sim(login=login) as there:
            one = asking(there.url, username="viewer", password_file=secret)
            assert (await one.capture()).sha256 == there.served[0]
            assert there.proofs == [proof]
        await contract.sockets_gone(before)

    asyncio.run(story())


@pytest.mark.parametrize("login", ["basic", "SHA-256"])
def test_a_user_may_have_a_chinese_name(login, secret):
    async def story():
        async with sim(login=login, username="操作员") as there:
            one = asking(there.url, username="操作员", password_file=secret)
            assert (await one.capture()).sha256 == there.served[0]

    asyncio.run(story())


def test_a_wrong_password_is_tried_once_and_told(secret):
    async def story():
        async with sim(login="all") as there:
            secret.write_text("other")
            error = await refusal(asking(there.url, username="viewer", password_file=secret))
            assert error.quality_cause is Cause.REFUSED
            assert "user name or password" in error.detail
            assert there.proofs == ["SHA-256"]
            error = await refusal(asking(there.url))
            assert "user name or password" in error.detail

    asyncio.run(story())


def test_an_endless_refusal_is_cut(secret):
    async def endless(reader, writer):
        head = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nTransfer-Encoding: chunked\r\n\r\n"
        writer.write(head)
        try:
            while not writer.is_closing():
                writer.write(b"10000\r\n" + bytes(65_536) + b"\r\n")
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.transport.abort()

    async def story():
        before = contract.open_sockets()
        server = await asyncio.start_server(endless, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        error = await refusal(asking(url, username="viewer", password_file=secret, max_bytes=100_000))
        assert "more than 100000 bytes" in error.detail
        server.close()
        await contract.sockets_gone(before)

    asyncio.run(story())


# -- certificates -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("pki"))


def context(own: Credentials) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(own.certificate, own.key)
    return made


@asynccontextmanager
async def encrypted(own: Credentials, **how: object):
    before = contract.open_sockets()
    async with sim(tls=context(own), **how) as there:
        yield there
    await contract.sockets_gone(before)


@pytest.mark.parametrize("form", ["certificate", "certificate_der", "folder"])
def test_the_pinned_certificate_is_enough_and_its_name_does_not_matter(authority, secret, form, tmp_path):
    own = authority.server("cam", hosts=("elsewhere.invalid",))

    async def story():
        async with encrypted(own, login="SHA-256") as there:
            pin = tmp_path / "pins"
            pin.mkdir()
            (pin / "cam.pem").write_bytes(own.certificate.read_bytes())
            (pin / "README.txt").write_text("not a certificate, and none of its business")
            (pin / "old.pem").write_bytes(authority.server("old").certificate.read_bytes())
            chosen = pin if form == "folder" else getattr(own, form)
            one = asking(there.url, username="viewer", password_file=secret, trusted=chosen)
            assert (await one.capture()).sha256 == there.served[0]

    asyncio.run(story())


def test_nothing_is_sent_to_whom_is_not_trusted_not_even_if_our_own_authority_vouches(authority, secret):
    own, other = authority.server("cam"), authority.server("other")

    async def story():
        async with encrypted(own, login="basic") as there:
            for chosen in (other.certificate, authority.ca_file):
                one = asking(there.url, username="viewer", password_file=secret, trusted=chosen)
                error = await refusal(one)
                assert error.quality_cause is Cause.REFUSED
                assert own.fingerprint in error.detail
            assert other.fingerprint not in error.detail
            assert there.requests == 0

    asyncio.run(story())


@pytest.mark.parametrize("validity", [Validity.EXPIRED, Validity.NOT_YET])
def test_a_pinned_certificate_counts_between_its_dates_only(authority, validity):
    own = authority.server("cam", validity=validity)

    async def story():
        async with encrypted(own) as there:
            error = await refusal(asking(there.url, trusted=own.certificate))
            assert "this box's clock" in error.detail
            assert there.requests == 0

    asyncio.run(story())


def test_no_certificate_file_no_question(authority, tmp_path):
    own = authority.server("cam")
    (tmp_path / "empty").mkdir()
    (tmp_path / "no.pem").write_text("not a certificate")
    (tmp_path / "crowded").mkdir()
    for number in range(MAX_TRUSTED + 1):
        (tmp_path / f"crowded/{number}.pem").hardlink_to(own.certificate)

    async def story():
        async with encrypted(own) as there:
            for path in ("none.pem", "empty", "no.pem", "crowded"):
                error = await refusal(asking(there.url, trusted=tmp_path / path))
                assert error.quality_cause is Cause.REFUSED
            assert there.requests == 0

    asyncio.run(story())


# -- ONVIF --------------------------------------------------------------------------------------------


@asynccontextmanager
async def onvif_camera(**how: object):
    """A camera behind a router: the addresses it names are those it knows itself by."""
    before = contract.open_sockets()
    async with sim(login="SHA-256") as there:
        there.onvif = OnvifSim(
            lambda profile: f"http://10.9.8.7:{there.port}/snap?profile={profile}&q=1",
            f"http://10.9.8.7:{there.port}/onvif/media",
            password=PASSWORD,
            **how,
        )
        yield there, f"http://127.0.0.1:{there.port}/onvif/device_service"
    await contract.sockets_gone(before)


@pytest.mark.parametrize("ahead_s", [0.0, 3601.0, -86_400.0 * 365 * 5])
def test_onvif_asks_the_time_first_and_a_wrong_clock_does_no_harm(secret, ahead_s):
    async def story():
        async with onvif_camera(ahead_s=ahead_s) as (there, url):
            one = asking(url, onvif=True, username="viewer", password_file=secret)
            assert (await one.capture()).sha256 == there.served[0]
            assert there.onvif.asked == [
                ("GetSystemDateAndTime", False),
                ("GetCapabilities", True),
                ("GetProfiles", True),
                ("GetSnapshotUri", True),
            ]
            media = ("POST", "/onvif/media")
            assert there.asked[2:4] == [media, media]
            assert there.asked[-1] == ("GET", "/snap?profile=main&q=1")
            assert ("agrees" in one.note) == (ahead_s == 0)
            if ahead_s:
                word = "ahead of" if ahead_s > 0 else "behind"
                assert word in one.note
                told_s = float(one.note.split()[3])
                assert abs(told_s - abs(ahead_s)) <= 2
            await one.capture()
            assert len(there.onvif.asked) == 4, "the address is remembered"

    asyncio.run(story())


def test_onvif_asks_again_after_a_picture_that_failed(secret):
    async def story():
        async with onvif_camera() as (there, url):
            one = asking(url, onvif=True, profile="sub", username="viewer", password_file=secret)
            await one.capture()
            there.mode = "half"
            await refusal(one)
            there.mode = "ok"
            await one.capture()
            assert len(there.onvif.asked) == 8
            assert there.asked[-1] == ("GET", "/snap?profile=sub&q=1")

    asyncio.run(story())


def test_what_onvif_refuses_is_named(secret):
    async def story():
        async with onvif_camera() as (there, url):
            ask = {"onvif": True, "username": "viewer", "password_file": secret}
            error = await refusal(asking(url, profile="third", **ask))
            assert "it has: main, sub" in error.detail
            there.onvif.snapshot = lambda _: "https://10.9.8.7/snap"
            assert "asked by http" in (await refusal(asking(url, **ask))).detail
            there.onvif.snapshot = lambda _: "http://10.9.8.7:port/snap"
            assert (await refusal(asking(url, **ask))).quality_cause is Cause.GARBLED
            there.onvif.password = "another"
            error = await refusal(asking(url, **ask))
            assert error.quality_cause is Cause.REFUSED
            assert "not authorized" in error.detail.lower()
            there.mode = "missing"
            assert "404" in (await refusal(asking(url, **ask))).detail

    asyncio.run(story())


# -- read only ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "content"),
    [
        ("PUT", b""),
        ("DELETE", b""),
        ("POST", b""),
        ("POST", onvif.profiles_question("").replace(b"GetProfiles", b"SystemReboot")),
        ("POST", onvif.profiles_question("").replace(b"<GetProfiles", b"<SystemReboot/><GetProfiles", 1)),
        ("POST", b"user=admin&delete=all"),
    ],
)
def test_what_could_change_a_camera_is_stopped_before_the_socket(method, content):
    async def story():
        async with (
            sim() as there,
            httpx.AsyncClient(transport=camera._ReadOnly(verify=camera._Pins.of({}))) as client,
        ):
            with pytest.raises(WriteRefusedError):
                await client.request(method, there.url, content=content)
            assert (await client.post(there.url, content=onvif.time_question())).status_code == 200
            assert (await client.get(there.url)).status_code == 200
            assert [asked for asked, _ in there.asked] == ["POST", "GET"]

    asyncio.run(story())


class Liar:
    """A camera that answers well, damaged, torn or in noise, by a seed."""

    CHALLENGES = (
        b'Digest realm="\xe4\xb8\xad", nonce="\xff", algorithm=sha-256, qop="auth"',
        b'Digest realm="a, nonce=, Basic',
        b"Digest realm=a, nonce=b, qop=auth-int",
        b"\xff\x00,=",
        b"Basic",
    )

    def __init__(self, seed):
        self._dice = random.Random(seed)
        self._onvif = OnvifSim(lambda profile: f"http://h/{profile}", "http://h/m", username="")
        self._picture = picture("T", 50.0, dt.datetime.now(dt.UTC))

    async def visit(self, reader, writer):
        with suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            body = await reader.readexactly(int(length[1])) if length else b""
            writer.write(self._answer(head, body))
            await writer.drain()
        writer.close()

    def _answer(self, head, body):
        dice = self._dice
        said = self._onvif.answer(body)[1] if body else self._picture
        status = b"200 OK\r\n"
        if b"uthorization" not in head and dice.random() < 0.4:
            status = b"401 No\r\nWWW-Authenticate: " + dice.choice(self.CHALLENGES) + b"\r\n"
        answer = bytearray(b"HTTP/1.1 %sContent-Length: %d\r\n\r\n%s" % (status, len(said), said))
        for _ in range(dice.choice((0, 0, 1, 4))):
            answer[dice.randrange(min(len(answer), dice.choice((300, len(answer)))))] = dice.randrange(256)
        fate = dice.random()
        if fate < 0.1:
            return dice.randbytes(300)
        return bytes(answer[: dice.randrange(len(answer)) if fate < 0.2 else len(answer)])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whatever_a_camera_answers_is_a_whole_picture_or_an_error_with_a_cause(seed, secret):
    async def story():
        before = contract.open_sockets()
        server = await asyncio.start_server(Liar(seed).visit, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/x"
        came, told = Counter(), []
        for number in range(150):
            user = {"onvif": number % 2 == 0, "username": "viewer", "password_file": secret}
            try:
                shot = await asking(url, timeout_s=0.5, **user).capture()
            except SourceError as error:
                came[error.quality_cause] += 1
                told.append(error.detail)
            else:
                came["picture"] += 1
                check_whole(shot.jpeg)
        server.close()
        await contract.sockets_gone(before)
        assert set(came) == {Cause.COMM, Cause.REFUSED, Cause.GARBLED, "picture"}
        assert not any(PASSWORD in detail for detail in told)

    asyncio.run(story())


def test_a_cancelled_question_leaves_nothing(secret):
    async def story():
        async with onvif_camera() as (there, url):
            one = asking(url, onvif=True, username="viewer", password_file=secret)
            for step in range(40):
                there.mode = "hang" if step % 4 == 3 else "ok"
                before = contract.open_sockets()
                task = asyncio.create_task(one.capture())
                await asyncio.sleep(step * 0.0007)
                task.cancel()
                await asyncio.wait({task})
                there.mode = "ok"
                assert task.cancelled() or not task.exception()
                await contract.sockets_gone(before)
            shot = await one.capture()
            assert hashlib.sha256(shot.jpeg).digest() == shot.sha256

    asyncio.run(story())
