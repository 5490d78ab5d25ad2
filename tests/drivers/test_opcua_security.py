"""Who is let in, who is not, and what may leave the house, in every security mode, against real servers."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds
from opcua_plant import (
    CLIENT_URI,
    ENCRYPTED,
    SERVER_URI,
    Doorkeeper,
    certificates,
    count_services,
    options,
    plant,
    source,
)
from source_contract import Catch, any_good, running

from drivers import opcua
from drivers.kit.certificates import DistrustError
from drivers.kit.errors import PointError, SourceError, WriteRefusedError
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.ua_options import POLICIES
from hil.pki import Credentials, Validity, opcua_application

MODES = [(policy, mode) for policy in POLICIES for mode in ("Sign", "SignAndEncrypt")]
NONE = ua.SecurityPolicyType.NoSecurity
ALL_POLICIES = [getattr(ua.SecurityPolicyType, f"{policy}_{mode}") for policy, mode in MODES]
SESSION = ObjectIds.CreateSessionRequest_Encoding_DefaultBinary
ACTIVATE = ObjectIds.ActivateSessionRequest_Encoding_DefaultBinary
WORD = "correct horse"


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Credentials]:
    return certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    return count_services(monkeypatch)


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(WORD + "\n")
    path.chmod(0o600)
    return path


WRITING = [
    name.removesuffix("_Encoding_DefaultBinary")
    for name in dir(ObjectIds)
    if name.endswith("Request_Encoding_DefaultBinary")
    and getattr(ObjectIds, name) not in opcua.READING_SERVICES
    and hasattr(ua, name.removesuffix("_Encoding_DefaultBinary"))
    and hasattr(getattr(ua, name.removesuffix("_Encoding_DefaultBinary"))(), "TypeId")
    and hasattr(getattr(ua, name.removesuffix("_Encoding_DefaultBinary"))(), "RequestHeader")
]


def test_the_list_of_refused_services_has_all_that_write() -> None:
    assert {
        *("WriteRequest", "CallRequest", "AddNodesRequest", "AddReferencesRequest", "DeleteNodesRequest"),
        *("DeleteReferencesRequest", "HistoryUpdateRequest", "TransferSubscriptionsRequest"),
        *("SetTriggeringRequest", "RegisterServerRequest", "RegisterServer2Request", "CancelRequest"),
    } <= set(WRITING)


@pytest.mark.parametrize(("policy", "mode"), [*MODES, ("None", "None")])
def test_every_mode_reads_and_every_writing_service_is_refused_before_the_socket(
    policy: str, mode: str, pki: dict[str, Credentials], services: Counter[int]
) -> None:
    async def story() -> None:
        kind = NONE if policy == "None" else getattr(ua.SecurityPolicyType, f"{policy}_{mode}")
        more: dict[str, Any] = {"security_policy": policy, "security_mode": mode}
        if policy == "None":
            more = {"insecure": True, "certificate": None, "private_key": None, "trusted": None}
        async with plant(pki["server"], kind) as far:
            one = source(pki, far.port, Catch().post, **more)
            assert (await one.read()).quality[0] == GOOD
            async with one._link.opened() as client:
                session = client.uaclient.session
                assert client.security_policy.Mode.name.rstrip("_") == mode
                for name in WRITING:
                    with pytest.raises(WriteRefusedError):
                        await session._send_request(getattr(ua, name)())
                node = ua.NodeId("gas", 2)
                with pytest.raises(WriteRefusedError):
                    await client.get_node(node).write_value(1)
                with pytest.raises(WriteRefusedError):
                    await session.call([ua.CallMethodRequest()])
                (value,) = await session.read_attributes([node], ua.AttributeIds.Value)
                assert value.Value is not None
                assert value.Value.Value == 234
            assert set(services) <= opcua.READING_SERVICES

    asyncio.run(story())


def test_no_security_is_used_only_if_it_is_asked_for_and_then_it_is_a_warning(
    pki: dict[str, Credentials], services: Counter[int]
) -> None:
    async def story() -> None:
        async with plant(pki["server"], NONE) as far:
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post).read()
            assert "SignAndEncrypt" in caught.value.detail
            assert "None" in caught.value.detail, "what is offered is named"
            assert services[SESSION] == 0
            catch = Catch()
            one = source(pki, far.port, catch.post, insecure=True)
            async with running(one):
                await catch.until(any_good)
                assert "insecure" in one.state().warning

    asyncio.run(story())


def test_a_server_with_every_policy_is_not_used_below_what_was_asked(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], ua.SecurityPolicyType.Basic256Sha256_Sign) as far:
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post).read()
            assert (
                "no Basic256Sha256 SignAndEncrypt endpoint, only Basic256Sha256 Sign" in caught.value.detail
            )

    asyncio.run(story())


@pytest.mark.parametrize(
    "policy",
    [
        ENCRYPTED,
        ua.SecurityPolicyType.Basic256Sha256_Sign,
        ua.SecurityPolicyType.Aes128Sha256RsaOaep_Sign,
        ua.SecurityPolicyType.Aes256Sha256RsaPss_Sign,
    ],
    ids=lambda policy: policy.name,
)
def test_a_user_with_the_right_password_is_let_in(
    policy: ua.SecurityPolicyType, pki: dict[str, Credentials], password: Path, tmp_path: Path
) -> None:
    async def story() -> None:
        door = Doorkeeper({"reader": WORD})
        name, mode = policy.name.split("_")
        more = {
            "security_policy": name,
            "security_mode": mode,
            "identity": "password",
            "username": "reader",
            "password_file": password,
        }
        async with plant(pki["server"], policy, doorkeeper=door, tokens=[ua.UserNameIdentityToken]) as far:
            assert (await source(pki, far.port, Catch().post, **more).read()).quality[0] == GOOD
            assert door.seen[-1] == ("reader", WORD)
            wrong = tmp_path / "wrong"
            wrong.write_text("guess")
            wrong.chmod(0o600)
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, **{**more, "password_file": wrong}).read()
            assert caught.value.quality_cause is Cause.REFUSED
            assert "BadUserAccessDenied" in caught.value.detail
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, security_policy=name, security_mode=mode).read()
            assert "only password" in caught.value.detail

    asyncio.run(story())


def test_a_password_never_travels_readably(
    pki: dict[str, Credentials], password: Path, services: Counter[int]
) -> None:
    async def story() -> None:
        more: dict[str, Any] = {
            "insecure": True,
            "identity": "password",
            "username": "reader",
            "password_file": password,
        }
        door = Doorkeeper({"reader": WORD})
        async with plant(pki["server"], NONE, doorkeeper=door, tokens=[ua.UserNameIdentityToken]) as far:
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, **more).read()
            assert "unprotected" in caught.value.detail
            assert services[ACTIVATE] == 0
        async with plant(
            pki["server"], [NONE, ENCRYPTED], doorkeeper=door, tokens=[ua.UserNameIdentityToken]
        ) as far:
            other = pki["other"].certificate
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, **more, trusted=other).read()
            assert "not trusted" in caught.value.detail, "it would be encrypted for a stranger"
            assert services[ACTIVATE] == 0
            assert (await source(pki, far.port, Catch().post, **more).read()).quality[0] == GOOD
            assert door.seen == [("reader", WORD)]

    asyncio.run(story())


def test_a_password_file_open_to_others_is_not_used_and_no_secret_is_logged(
    pki: dict[str, Credentials], password: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    more = {"identity": "password", "username": "reader", "password_file": password}

    async def story() -> None:
        door = Doorkeeper({"reader": WORD})
        async with plant(pki["server"], doorkeeper=door, tokens=[ua.UserNameIdentityToken]) as far:
            await source(pki, far.port, Catch().post, **more).read()
            password.chmod(0o640)  # noqa: ASYNC240 - a moment
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, **more).read()
            assert "chmod 600" in caught.value.detail

    asyncio.run(story())
    assert WORD not in caplog.text


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes256Sha256RsaPss"])
def test_a_user_with_a_certificate_is_let_in(policy: str, pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        door = Doorkeeper({}, pki["user"].certificate_der.read_bytes())
        kind = getattr(ua.SecurityPolicyType, f"{policy}_SignAndEncrypt")
        async with plant(pki["server"], kind, doorkeeper=door, tokens=[ua.X509IdentityToken]) as far:
            more = {"security_policy": policy, "identity": "certificate"}
            right = {"user_certificate": pki["user"].certificate_der, "user_key": pki["user"].key}
            assert (await source(pki, far.port, Catch().post, **more, **right).read()).quality[0] == GOOD
            wrong = {"user_certificate": pki["other"].certificate, "user_key": pki["other"].key}
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, **more, **wrong).read()
            assert "BadUserAccessDenied" in caught.value.detail

    asyncio.run(story())


def test_an_unknown_certificate_is_kept_and_trusted_by_its_fingerprint(
    pki: dict[str, Credentials], tmp_path: Path
) -> None:
    async def story() -> None:
        more = {"trusted": tmp_path / "trusted", "rejected": tmp_path / "rejected"}
        more["trusted"].mkdir()
        async with plant(pki["server"]) as far:
            chosen = options(pki, far.port, **more)
            catch = Catch()
            one = source(pki, far.port, catch.post, **more)
            async with running(one):
                await catch.until(lambda _: True)
                assert pki["server"].fingerprint in one.state().detail
                (kept,) = [file for file in opcua.stored_certificates(chosen) if file.place == "rejected"]
                assert kept.facts is not None
                assert kept.facts.fingerprint == pki["server"].fingerprint
                assert kept.facts.application_uri == SERVER_URI
                with pytest.raises(DistrustError):
                    opcua.trust(chosen, "00112233")
                typed = pki["server"].fingerprint.upper()
                moved = opcua.trust(chosen, ":".join(typed[at : at + 2] for at in range(0, 64, 2)))
                assert moved.path.parent == tmp_path / "trusted"
                await catch.until(any_good)
            places = {file.place for file in opcua.stored_certificates(chosen)}
            assert places == {"own", "trusted"}

    asyncio.run(story())


@pytest.mark.parametrize("key", ["trusted", "password_file"])
def test_a_disk_that_hangs_stops_neither_the_loop_nor_a_stop(
    key: str, pki: dict[str, Credentials], tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe"  # opening it for reading waits for a writer
    os.mkfifo(pipe, 0o600)
    more: dict[str, Any] = {key: pipe, "timeout_s": 0.5}
    if key == "password_file":
        more |= {"identity": "password", "username": "reader"}

    async def story() -> None:
        catch = Catch()
        one = source(pki, 4840, catch.post, **more)
        task = asyncio.create_task(one.run())
        beats, worst_s, begun = 0, 0.0, time.monotonic()
        while not catch.scans or time.monotonic() - begun < 2.5:
            at = time.monotonic()
            await asyncio.sleep(0.02)
            worst_s, beats = max(worst_s, time.monotonic() - at), beats + 1
            assert at - begun < 30
        assert worst_s < 0.5
        assert "the disk does not answer in time" in one.state().detail
        assert sum(thread.name == "opcua files" for thread in threading.enumerate()) == 1
        before = time.monotonic()
        task.cancel()
        await asyncio.wait({task})
        assert time.monotonic() - before < 1

    try:
        asyncio.run(story())
    finally:
        descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        time.sleep(0.1)
        os.close(descriptor)


def test_a_certificate_taken_out_ends_its_session(
    pki: dict[str, Credentials], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "TRUST_CHECK_S", 0.2)
    monkeypatch.setattr(opcua, "UPKEEP_S", 0.1)
    own = tmp_path / "trusted" / "server.der"
    own.parent.mkdir()
    own.write_bytes(pki["server"].certificate_der.read_bytes())

    async def story() -> None:
        async with plant(pki["server"]) as far:
            for mode in ("subscribe", "poll"):
                catch = Catch()
                more = {"trusted": own.parent, "rejected": tmp_path / "rejected", "mode": mode}
                one = source(pki, far.port, catch.post, **more)
                async with running(one):
                    await catch.until(any_good)
                    await asyncio.sleep(0.6)
                    assert one.state().connected
                    own.rename(tmp_path / "aside.der")
                    await catch.until(lambda scan: bool((scan.quality == bad(Cause.REFUSED)).all()))
                    assert "not trusted" in one.state().detail
                    (tmp_path / "aside.der").rename(own)
                    await catch.until(any_good)

    asyncio.run(story())


@pytest.mark.parametrize(("moved", "words"), [(-10_000, "has expired"), (10_000, "is not valid before")])
def test_a_certificate_out_of_date_ends_its_session(
    moved: int, words: str, pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "UPKEEP_S", 0.1)

    async def story() -> None:
        async with plant(pki["server"]) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post)
            async with running(one):
                await catch.until(any_good)
                facts = one._link.facts["server's"]
                days = dt.timedelta(days=moved)
                one._link.facts["server's"] = replace(
                    facts, begins=facts.begins + days, ends=facts.ends + days
                )
                scan = await catch.until(lambda scan: bool((scan.quality == bad(Cause.REFUSED)).all()))
                assert len(scan.points) == 5
                assert any(words in text for text in told)

    told: list[str] = []
    plain = opcua.OpcUaSource._fall

    def fall(self: opcua.OpcUaSource, error: SourceError) -> None:
        told.append(error.detail)
        plain(self, error)

    monkeypatch.setattr(opcua.OpcUaSource, "_fall", fall)
    asyncio.run(story())


def test_a_broken_file_stands_in_nobodys_way_and_is_named(
    pki: dict[str, Credentials], tmp_path: Path
) -> None:
    more = {"trusted": tmp_path / "trusted", "rejected": tmp_path / "rejected"}

    async def story() -> None:
        async with plant(pki["server"]) as far:
            one = source(pki, far.port, Catch().post, **more)
            with pytest.raises(SourceError, match="trusted is none; kept as"):
                await one.read()
            more["trusted"].mkdir()
            (more["trusted"] / "torn.der").write_bytes(b"0")
            with pytest.raises(SourceError, match=r"to be mended.*torn\.der; kept as"):
                await one.read()
            (kept,) = more["rejected"].iterdir()
            kept.rename(more["trusted"] / kept.name)
            assert (await one.read()).quality[0] == GOOD
            assert "torn.der is no certificate" in one.state().warning
            assert list(more["rejected"].iterdir()) == []

    asyncio.run(story())


def test_a_trusted_certificate_that_has_expired_is_not_kept_as_a_stranger(
    pki: dict[str, Credentials], tmp_path: Path
) -> None:
    async def story() -> None:
        async with plant(pki["expired"]) as far:
            more = {"trusted": pki["expired"].certificate, "rejected": tmp_path / "rejected"}
            with pytest.raises(SourceError, match="has expired"):
                await source(pki, far.port, Catch().post, **more).read()
            assert not (tmp_path / "rejected").exists()

    asyncio.run(story())


def test_what_to_do_where_one_side_has_no_encryption(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], NONE) as far:
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post).read()
            assert "switch on Basic256Sha256 SignAndEncrypt over there" in caught.value.detail
            assert "insecure = true" in caught.value.detail
            assert "trust" not in caught.value.detail
        async with plant(pki["server"]) as far:
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post, insecure=True).read()
            assert "take insecure = true out" in caught.value.detail
            assert caught.value.quality_cause is Cause.REFUSED

    asyncio.run(story())


def test_a_changed_certificate_ends_it_although_the_name_is_the_same(
    pki: dict[str, Credentials], tmp_path: Path
) -> None:
    async def story() -> None:
        catch = Catch()
        async with plant(pki["server"]) as far:
            port = far.port
            one = source(pki, port, catch.post, rejected=tmp_path)
            async with running(one):
                await catch.until(any_good)
                await far.server.stop()
                changed = opcua_application(tmp_path / "new", "server", SERVER_URI)
                async with plant(changed, port=port):
                    await catch.until(lambda scan: bool((scan.quality == Cause.REFUSED << 2).all()))
                    assert changed.fingerprint in one.state().detail
                    assert not any(any_good(scan) for scan in catch.scans[catch._seen :])
                await far.server.start()

    asyncio.run(story())


def test_what_a_server_offers_is_told_without_trusting_it(
    pki: dict[str, Credentials], tmp_path: Path, services: Counter[int]
) -> None:
    async def story() -> None:
        async with plant(pki["server"], [NONE, *ALL_POLICIES]) as far:
            chosen = options(pki, far.port, trusted=tmp_path / "none.der", rejected=tmp_path / "rejected")
            assert not any(one.trusted for one in await opcua.offered(chosen)), "nothing is trusted yet"
            offers = await opcua.offered(options(pki, far.port, trusted=pki["other"].certificate))
            assert {(one.security_policy, one.security_mode) for one in offers} == {("None", "None"), *MODES}
            assert not any(one.trusted for one in offers)
            assert {one.facts.fingerprint for one in offers if one.facts} == {pki["server"].fingerprint}
            offers = await opcua.offered(options(pki, far.port))
            assert all(one.trusted and not one.reason for one in offers)
            assert services[SESSION] == 0

    asyncio.run(story())


def test_certificates_that_end_soon_are_a_warning(tmp_path: Path) -> None:
    ending = {
        name: opcua_application(tmp_path, name, uri, validity=Validity.ENDING)
        for name, uri in (("server", SERVER_URI), ("gateway", CLIENT_URI))
    }

    async def story() -> None:
        async with plant(ending["server"]) as far:
            catch = Catch()
            one = source(ending, far.port, catch.post)
            async with running(one):
                await catch.until(any_good)
                warning = one.state().warning
                assert "the server's certificate ends on" in warning
                assert "the gateway's own certificate ends on" in warning

    asyncio.run(story())


def test_the_own_certificate_is_made_where_nobody_named_one(
    pki: dict[str, Credentials], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drivers.kit.ua_options.FOLDER", tmp_path / "opcua")

    async def story() -> None:
        async with plant(pki["server"]) as far:
            one = source(pki, far.port, Catch().post, certificate=None, private_key=None)
            assert (await one.read()).quality[0] == GOOD
        assert (tmp_path / "opcua" / "own.key").stat().st_mode & 0o777 == 0o600

    asyncio.run(story())


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"security_policy": "Basic256"}, "security_policy"),
        ({"security_mode": "None"}, "security_mode"),
        ({"identity": "root"}, "identity"),
        ({"identity": "password"}, "username"),
        ({"identity": "password", "username": "a"}, "password_file"),
        ({"identity": "certificate"}, "user_certificate"),
        ({"username": "a"}, "identity"),
        ({"mode": "push"}, "mode"),
        ({"queue_size": 0}, "queue_size"),
        ({"url": "opc.tcp://reader:secret@plc"}, "url"),
    ],
)
def test_a_wrong_option_names_its_key(more: dict[str, Any], field: str) -> None:
    with pytest.raises(PointError) as caught:
        opcua.Options(**{"url": "opc.tcp://plc", **more})
    assert caught.value.field == field
    assert "secret" not in str(caught.value)
