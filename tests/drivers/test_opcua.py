"""The OPC UA driver against asyncua's own server behind SignAndEncrypt, with a recorder of its services."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import random
from collections import Counter
from pathlib import Path

import pytest
import source_contract as contract
from asyncua import ua
from opcua_plant import POINTS, certificates, count_services, options, plant, source
from source_contract import Catch, all_lost, any_good, running, wire_to

from drivers import opcua
from drivers.kit.errors import PointError, SourceError
from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Point, Scan
from hil.pki import Credentials


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Credentials]:
    return certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    return count_services(monkeypatch)


class Latest:
    """What each point was last, over all scans, as the engine would see it."""

    def __init__(self, scans: list[Scan]) -> None:
        self.value: dict[str, float] = {}
        self.quality: dict[str, int] = {}
        for scan in scans:
            for row, value, state in zip(
                scan.points.tolist(), scan.values.tolist(), scan.quality.tolist(), strict=True
            ):
                self.value[POINTS[row].name] = value
                self.quality[POINTS[row].name] = state


def test_values_arrive_a_bad_node_spoils_itself_only_and_only_reading_services_are_used(
    pki: dict[str, Credentials], services: Counter[int]
) -> None:
    async def story() -> None:
        async with plant(pki["server"]) as server:
            catch = Catch()
            one = source(pki, server.port, catch.post)
            async with running(one):
                await catch.until(any_good)
                seen = Latest(catch.scans)
                assert seen.value["gas"] == 23.4
                assert seen.value["contact"] == 1
                assert seen.quality["missing"] == bad(Cause.REFUSED)
                assert seen.quality["elsewhere"] == bad(Cause.REFUSED)
                assert seen.quality["text"] == bad(Cause.GARBLED)
                stamp = dt.datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=dt.UTC)
                await server.put("gas", 250.0, stamp=stamp)
                scan = await catch.until(any_good)
                assert scan.points.tolist() == [0]
                assert scan.values.tolist() == [25.0]
                assert scan.source_ns is not None
                assert scan.source_ns.tolist() == [1_767_323_045_678_000_000]
                assert one.state().connected
            assert services[ua.ObjectIds.PublishRequest_Encoding_DefaultBinary] > 0
            assert set(services) <= opcua.READING_SERVICES

    asyncio.run(story())


def test_status_codes_and_nan_become_quality(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"]) as server:
            catch = Catch()
            async with running(source(pki, server.port, catch.post)):
                await catch.until(any_good)
                for value, status, expected in (
                    (5.0, ua.StatusCodes.BadSensorFailure, bad(Cause.DEVICE_FAULT)),
                    (5.0, ua.StatusCodes.BadOutOfService, bad(Cause.MAINTENANCE)),
                    (
                        5.0,
                        ua.StatusCodes.UncertainSensorNotAccurate,
                        quality(Status.UNCERTAIN, Cause.CALIBRATION),
                    ),
                    (math.nan, 0, bad(Cause.DEVICE_FAULT)),
                    (math.inf, 0, bad(Cause.DEVICE_FAULT)),
                    (5.0, 0, GOOD),
                ):
                    await server.put("gas", value, status)
                    scan = await catch.until(lambda _: True)
                    assert scan.points.tolist() == [0]
                    assert scan.quality.tolist() == [expected]

    asyncio.run(story())


def test_one_shot_read_has_every_point(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"]) as server:
            scan = await source(pki, server.port, Catch().post).read()
        assert scan.points.tolist() == [0, 1, 2, 3, 4]
        assert scan.values[:2].tolist() == [23.4, 1]
        assert scan.quality.tolist() == [
            GOOD,
            GOOD,
            bad(Cause.REFUSED),
            bad(Cause.REFUSED),
            bad(Cause.GARBLED),
        ]
        with pytest.raises(SourceError) as caught:
            await source(pki, server.port, Catch().post).read()
        assert caught.value.quality_cause is Cause.COMM

    asyncio.run(story())


@pytest.mark.parametrize(
    ("server", "doubts"),
    [
        ("other", [({}, "not trusted")]),
        ("expired", [({"trusted": "expired"}, "has expired")]),
        ("early", [({"trusted": "early"}, "not valid yet")]),
        (
            "server",
            [
                ({"certificate": "old-gateway", "private_key": "old-gateway"}, "own certificate"),
                ({"trusted": "nowhere"}, "trusted is none"),
                ({"certificate": "nowhere"}, "No such file"),
                ({"private_key": "no-key"}, "not a private key"),
                ({"private_key": "other"}, "does not belong"),
            ],
        ),
    ],
)
def test_any_doubt_about_a_certificate_ends_the_attempt(
    pki: dict[str, Credentials],
    services: Counter[int],
    server: str,
    doubts: list[tuple[dict[str, str], str]],
    tmp_path: Path,
) -> None:
    def path(key: str, name: str) -> Path:
        if name == "nowhere":
            return tmp_path / "nowhere.pem"
        if name == "no-key":
            (tmp_path / "no.key").write_text("no key")
            (tmp_path / "no.key").chmod(0o600)
            return tmp_path / "no.key"
        return pki[name].key if key == "private_key" else pki[name].certificate

    async def story() -> None:
        async with plant(pki[server]) as far:
            for more, words in doubts:
                catch = Catch()
                one = source(
                    pki, far.port, catch.post, **{key: path(key, name) for key, name in more.items()}
                )
                with pytest.raises(SourceError) as caught:
                    await one.read()
                assert words in caught.value.detail
                assert caught.value.quality_cause is Cause.REFUSED
                async with running(one):
                    scan = await catch.until(lambda _: True)
                    assert scan.quality.tolist() == [bad(Cause.REFUSED)] * 5
                    assert words in one.state().detail
            assert services[ua.ObjectIds.CreateSessionRequest_Encoding_DefaultBinary] == 0
            if server == "other":
                assert pki["other"].fingerprint in caught.value.detail
                assert pki["server"].fingerprint in caught.value.detail

    asyncio.run(story())


def test_a_server_without_encryption_is_refused(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], ua.SecurityPolicyType.NoSecurity) as far:
            with pytest.raises(SourceError) as caught:
                await source(pki, far.port, Catch().post).read()
            assert "SignAndEncrypt" in caught.value.detail

    asyncio.run(story())


def test_a_folder_of_trusted_certificates_will_do(pki: dict[str, Credentials], tmp_path: Path) -> None:
    for name in ("other", "server"):
        (tmp_path / f"{name}.der").write_bytes(pki[name].certificate_der.read_bytes())
    (tmp_path / "README").write_text("no certificate")

    async def story() -> None:
        async with plant(pki["server"]) as far:
            scan = await source(pki, far.port, Catch().post, trusted=tmp_path).read()
            assert scan.quality[0] == GOOD

    asyncio.run(story())


def test_a_static_server_stays_connected_by_keep_alives(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"]) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post)
            async with running(one):
                await catch.until(any_good)
                posted = len(catch.scans)
                before = one.state().counters["publishes"]
                async with asyncio.timeout(contract.PATIENCE_S):
                    while one.state().counters["publishes"] < before + 4:
                        await asyncio.sleep(0.05)
                assert len(catch.scans) == posted, "nothing changed, nothing is said"
                assert one.state().connected
                assert one.state().counters["misses"] == 0

    asyncio.run(story())


def test_a_fall_is_said_once_and_a_rebooted_server_is_followed_again(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"]) as far, wire_to(far.port) as wire:
            catch = Catch()
            one = source(pki, wire.port, catch.post)
            async with running(one):
                await catch.until(any_good)
                await wire.cut()
                await catch.until(all_lost)
                said = len(catch.scans)
                await asyncio.sleep(1.0)
                assert len(catch.scans) == said
                await wire.mend()
                await far.put("gas", 99.0)
                await catch.until(any_good)
                assert Latest(catch.scans).value["gas"] == 9.9
                assert one.state().counters["reconnects"] == 2

    asyncio.run(story())


def test_a_server_away_from_the_start_is_logged_once_down_and_once_up(
    pki: dict[str, Credentials], caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> None:
        async with plant(pki["server"]) as far, wire_to(far.port) as wire:
            await wire.cut()
            catch = Catch()
            one = source(pki, wire.port, catch.post)
            async with running(one):
                async with asyncio.timeout(contract.PATIENCE_S):
                    while one.state().counters["misses"] < 3:
                        await asyncio.sleep(0.05)
                assert [(r.levelname, r.message) for r in caplog.records] == [
                    ("WARNING", f"gds: {one.state().detail}")
                ]
                await wire.mend()
                await catch.until(any_good)

    with caplog.at_level("INFO", logger="drivers.opcua"):
        asyncio.run(story())
    told = [record.levelname for record in caplog.records if "nodes refused" not in record.message]
    assert told == ["WARNING", "INFO"]


def test_a_server_that_talks_nonsense_gives_a_cause_and_no_exception(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        dice = random.Random(11)

        async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            kind = dice.choice([b"ACKF", b"ERRF", b"MSGF", b"OPNF", b"\x00\x01", b"HTTP"])
            body = dice.randbytes(dice.randrange(200))
            writer.write(kind + (len(body) + 8).to_bytes(4, "little") + body)
            await asyncio.sleep(dice.choice([0, 0.1]))
            writer.transport.abort()

        server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in range(30):
            with pytest.raises(SourceError) as caught:
                await source(pki, port, Catch().post, timeout_s=0.3).read()
            assert caught.value.detail
        server.close()
        await server.wait_closed()

    asyncio.run(story())


@pytest.mark.parametrize(
    "address", ["", "gas", "ns=2", "ns=x;s=a", "ns=2;i=abc", "nsu=;s=a", "ns=2;x=1", "40001"]
)
def test_what_is_no_node_is_refused_in_both_languages(address: str, pki: dict[str, Credentials]) -> None:
    with pytest.raises(PointError) as caught:
        opcua.check_point(Point("a", address), options(pki, 4840))
    assert caught.value.field == "address"
    assert "nsu=" in caught.value.remedy["zh"]


@pytest.mark.parametrize(
    "address", ["ns=2;s=a;b=c", "nsu=urn:x;i=17", "i=2258", "ns=1;g=a3f0c7c2-0000-0000-0000-000000000001"]
)
def test_nodes_in_every_notation_pass(address: str, pki: dict[str, Credentials]) -> None:
    opcua.check_point(Point("a", address), options(pki, 4840))


@pytest.mark.parametrize(
    ("more", "field"), [({"type": "boool"}, "type"), ({"bit": 1}, "bit"), ({"scale": 0.0}, "scale")]
)
def test_a_point_that_does_not_fit_names_its_cell(
    more: dict[str, object], field: str, pki: dict[str, Credentials]
) -> None:
    with pytest.raises(PointError) as caught:
        opcua.check_point(Point("a", "ns=2;s=a", **more), options(pki, 4840))  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize("url", ["", "http://plc", "opc.tcp://", "opc.tcp://plc:99999", "plc:4840"])
def test_a_wrong_url_names_its_key(url: str) -> None:
    with pytest.raises(PointError) as caught:
        opcua.Options(url)
    assert caught.value.field == "url"


def test_the_port_may_be_left_out() -> None:
    assert opcua.Options("opc.tcp://plc/x").endpoint == "opc.tcp://plc:4840/x"
