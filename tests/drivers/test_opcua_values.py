"""What reaches the gateway of what a real server says: queues, deadbands, histories, texts, polls, limits."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from asyncua import Server, ua
from asyncua.server.history import HistoryDict
from asyncua.server.internal_subscription import InternalSubscription
from asyncua.ua.object_ids import ObjectIds
from opcua_plant import NAMESPACE, Plant, at, certificates, count_services, plant, source
from source_contract import Catch, all_lost, any_good, running, wire_to

from drivers import opcua
from drivers.kit import backfill
from drivers.kit.errors import PointError, SourceError
from drivers.kit.quality import GOOD, Cause, Status, bad, is_good, quality
from drivers.kit.scan import Point, Scan
from drivers.kit.ua_answer import Published
from hil.pki import Credentials
from hil.ports import free_port

START = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
ITEMS = ObjectIds.CreateMonitoredItemsRequest_Encoding_DefaultBinary
READ = ObjectIds.ReadRequest_Encoding_DefaultBinary
HISTORY = ObjectIds.HistoryReadRequest_Encoding_DefaultBinary


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Credentials]:
    return certificates(tmp_path_factory.mktemp("pki"))


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Counter[int]:
    return count_services(monkeypatch)


def told(scans: list[Scan], row: int = 0, *, history: bool = False) -> list[tuple[float, int]]:
    """Good values of a row and their source times, in the order they were posted."""
    found = []
    for scan in scans:
        for place in np.flatnonzero((scan.points == row) & is_good(scan.quality)).tolist():
            if scan.history is history:
                stamp = 0 if scan.source_ns is None else int(scan.source_ns[place])
                found.append((float(scan.values[place]), stamp))
    return found


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def test_every_queued_value_between_two_publishes_is_posted_in_order(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 0.0, "level": 0.0}) as far:
            catch = Catch()
            points = (at("gas"), at("level"))
            one = source(pki, far.port, catch.post, points, publishing_ms=400.0, queue_size=50)
            async with running(one):
                await catch.until(any_good)
                for number in range(1, 8):
                    await far.put("gas", float(number))
                    if number % 3 == 0:
                        await far.put("level", float(number))
                await eventually(lambda: any(value == 7 for value, _ in told(catch.scans)))
                assert [value for value, _ in told(catch.scans)] == [0, 1, 2, 3, 4, 5, 6, 7]
                assert [value for value, _ in told(catch.scans, 1)] == [0, 3, 6]
                assert one.state().counters["overflows"] == 0
                assert one.state().counters["gaps"] == 0

    asyncio.run(story())


def test_a_queue_of_one_keeps_the_newest(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 0.0}) as far:
            catch = Catch()
            async with running(
                source(pki, far.port, catch.post, (at("gas"),), publishing_ms=500.0, queue_size=1)
            ):
                await catch.until(any_good)
                for number in range(1, 6):
                    await far.put("gas", float(number))
                await eventually(lambda: told(catch.scans)[-1][0] == 5)
                assert len(told(catch.scans)) < 6

    asyncio.run(story())


def test_the_server_leaves_out_what_stays_within_the_deadband(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 10.0, "level": 10.0}) as far:
            catch = Catch()
            points = (at("gas", sample_deadband=2.0), at("level"))
            async with running(source(pki, far.port, catch.post, points)):
                await catch.until(any_good)
                for value in (11.0, 9.0, 13.0, 12.5):
                    await far.put("gas", value)
                    await far.put("level", value)
                    await eventually(lambda value=value: told(catch.scans, 1)[-1][0] == value)  # type: ignore[misc]
                assert [value for value, _ in told(catch.scans)] == [10, 13]

    asyncio.run(story())


def test_whole_numbers_beyond_doubles_and_texts_come_exactly(pki: dict[str, Credentials]) -> None:
    big, huge = 2**53 + 1, 2**64 - 3
    variables = {
        "total": ua.Variant(big, ua.VariantType.Int64),
        "serial": ua.Variant(huge, ua.VariantType.UInt64),
        "small": ua.Variant(-7, ua.VariantType.Int64),
        "batch": "批次 A-17",
        "list": [1.0, 2.0],
        "when": ua.Variant(START, ua.VariantType.DateTime),
        "note": ua.Variant(ua.LocalizedText("关闭", "zh"), ua.VariantType.LocalizedText),
    }
    points = (
        at("total", type="int64"),
        at("serial", type="uint64"),
        at("small"),
        at("batch", type="string"),
        at("list"),
        at("when"),
        at("note", type="string"),
        Point("half", f"nsu={NAMESPACE};s=total", scale=0.5),
        Point("number as text", f"nsu={NAMESPACE};s=small", type="string"),
    )

    async def story() -> None:
        async with plant(pki["server"], variables=variables) as far:
            catch = Catch()
            async with running(source(pki, far.port, catch.post, points)):
                subscribed = await catch.until(any_good)
            for scan in (subscribed, await source(pki, far.port, Catch().post, points).read()):
                assert scan.exact == {0: big, 1: huge, 3: "批次 A-17", 6: "关闭"}
                assert scan.values[:4].tolist() == [float(big), float(huge), -7, 7]
                assert scan.values[7] == big / 2
                assert scan.quality.tolist() == [
                    *(GOOD, GOOD, GOOD, GOOD),
                    *(bad(Cause.GARBLED), bad(Cause.GARBLED), GOOD, GOOD, bad(Cause.GARBLED)),
                ]

    asyncio.run(story())


def test_the_servers_time_stands_in_for_the_sources_and_ranges_are_judged(
    pki: dict[str, Credentials],
) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 10.0}) as far:
            catch = Catch()
            point = at("gas", range_lo=0.0, range_hi=100.0)
            async with running(source(pki, far.port, catch.post, (point,))):
                await catch.until(any_good)
                data = ua.DataValue(ua.Variant(107.0), ServerTimestamp=START)
                await far.server.write_attribute_value(far.nodes["gas"].nodeid, data)
                scan = await catch.until(lambda _: True)
                assert scan.quality.tolist() == [quality(Status.UNCERTAIN, Cause.OVER_RANGE)]
                assert scan.values.tolist() == [107]
                assert scan.source_ns is not None
                assert scan.source_ns.tolist() == [1_767_323_045_000_000_000]

    asyncio.run(story())


def limited(read: int, items: int) -> Callable[[Server], None]:
    """A server that refuses larger requests, as it says."""

    def prepare(server: Server) -> None:
        service = server.iserver.subscription_service
        plain = service.create_monitored_items

        async def create(params: ua.CreateMonitoredItemsParameters, *rest: Any) -> Any:
            if len(params.ItemsToCreate) > items:
                raise ua.uaerrors.BadTooManyOperations
            return await plain(params, *rest)

        service.create_monitored_items = create  # type: ignore[method-assign]
        attributes = server.iserver.attribute_service
        plain_read = attributes.read

        def read_few(params: ua.ReadParameters) -> Any:
            if len(params.NodesToRead) > read:
                raise ua.uaerrors.BadTooManyOperations
            return plain_read(params)

        attributes.read = read_few  # type: ignore[method-assign]

    return prepare


def test_requests_stay_within_the_servers_operation_limits(
    pki: dict[str, Credentials], services: Counter[int]
) -> None:
    names = [f"v{number}" for number in range(23)]

    async def story() -> None:
        async with plant(
            pki["server"], variables=dict.fromkeys(names, 1.5), prepare=limited(read=7, items=10)
        ) as far:
            for node, most in (
                (ObjectIds.Server_ServerCapabilities_OperationLimits_MaxNodesPerRead, 7),
                (ObjectIds.Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall, 10),
            ):
                data = ua.DataValue(ua.Variant(most, ua.VariantType.UInt32))
                await far.server.write_attribute_value(ua.NodeId(node, 0), data)
            points = tuple(at(name) for name in names)
            catch = Catch()
            async with running(source(pki, far.port, catch.post, points)):
                await eventually(lambda: sum(len(scan.points) for scan in catch.scans) == 23)
            assert services[ITEMS] == 1 + 3, "the clock, then 10 + 10 + 3"
            before = services[READ]
            scan = await source(pki, far.port, Catch().post, points).read()
            assert (scan.quality == GOOD).all()
            assert services[READ] - before == 1 + 4

    asyncio.run(story())


def test_a_refused_deadband_costs_only_the_deadband(pki: dict[str, Credentials]) -> None:
    def prepare(server: Server) -> None:
        service = server.iserver.subscription_service
        plain = service.create_monitored_items

        async def create(params: ua.CreateMonitoredItemsParameters, *rest: Any) -> Any:
            if any(item.RequestedParameters.Filter for item in params.ItemsToCreate):
                refused = ua.MonitoredItemCreateResult()
                refused.StatusCode = ua.StatusCode(ua.StatusCodes.BadFilterNotAllowed)
                return [refused for _ in params.ItemsToCreate]
            return await plain(params, *rest)

        service.create_monitored_items = create  # type: ignore[method-assign]

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}, prepare=prepare) as far:
            catch = Catch()
            async with running(source(pki, far.port, catch.post, (at("gas", sample_deadband=5.0),))):
                await catch.until(any_good)
                await far.put("gas", 1.5)
                await catch.until(lambda scan: scan.values.tolist() == [1.5])

    asyncio.run(story())


def test_bad_nodes_are_named_and_come_back_when_the_server_has_them(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "REFUSED_RETRY_S", 0.3)

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}) as far:
            catch = Catch()
            points = (at("gas"), at("late"), Point("strange", "nsu=urn:later;s=x"))
            one = source(pki, far.port, catch.post, points)
            async with running(one):
                await catch.until(any_good)
                state = one.state()
                assert "2 of 3 nodes refused: late (Bad" in state.detail
                assert "strange (namespace urn:later unknown)" in state.warning
                await far.server.nodes.objects.add_variable("ns=2;s=late", "late", 5.0)
                await catch.until(lambda scan: scan.points.tolist() == [1] and any_good(scan))
                index = await far.server.register_namespace("urn:later")
                await far.server.nodes.objects.add_variable(f"ns={index};s=x", "x", 6.0)
                await catch.until(lambda scan: scan.points.tolist() == [2] and any_good(scan))
                assert "refused" not in one.state().detail

    asyncio.run(story())


def test_polled_reads_post_every_point_in_its_period_and_find_what_is_frozen(
    pki: dict[str, Credentials], services: Counter[int]
) -> None:
    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 1.0, "still": 2.0}) as far,
            wire_to(far.port) as wire,
        ):
            catch = Catch()
            points = (
                at("gas"),
                at("still", frozen_s=0.5),
                Point("no", "nsu=urn:no;s=x"),
                at("gas", period_s=0.3),
            )
            one = source(pki, wire.port, catch.post, points, mode="poll", timeout_s=0.5)
            async with running(one):
                scan = await catch.until(any_good)
                assert scan.points.tolist() == [0, 1, 2]
                assert scan.quality.tolist() == [GOOD, GOOD, bad(Cause.REFUSED)]
                assert "no (namespace urn:no unknown)" in one.state().warning
                await catch.until(lambda scan: scan.points.tolist() == [3])
                frozen = await catch.until(
                    lambda scan: len(scan.points) > 1 and scan.quality[1] == bad(Cause.FROZEN)
                )
                assert math.isnan(frozen.values[1])
                assert frozen.quality[0] == GOOD
                await far.put("still", 3.0)
                await catch.until(lambda scan: len(scan.points) > 1 and scan.quality[1] == GOOD)
                fast = sum(0 in scan.points for scan in catch.scans)
                slow = sum(3 in scan.points for scan in catch.scans)
                assert 1.5 < fast / slow < 5
                wire.hold()
                lost = await catch.until(all_lost)
                assert len(lost.points) == 4
                await wire.mend()
                await catch.until(any_good)
            assert services[ObjectIds.CreateSubscriptionRequest_Encoding_DefaultBinary] == 0

    asyncio.run(story())


def test_a_polled_node_that_does_not_exist_is_named(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas"), at("nowhere")), mode="poll")
            async with running(one):
                scan = await catch.until(any_good)
                assert scan.quality.tolist() == [GOOD, bad(Cause.REFUSED)]
                assert "1 of 2 nodes refused: nowhere (BadNodeIdUnknown)" in one.state().detail

    asyncio.run(story())


def test_a_server_without_subscriptions_is_told_how_to_be_read(pki: dict[str, Credentials]) -> None:
    def prepare(server: Server) -> None:
        async def refuse(*_: object, **__: object) -> Any:
            raise ua.uaerrors.BadServiceUnsupported

        server.iserver.subscription_service.create_subscription = refuse  # type: ignore[method-assign]

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}, prepare=prepare) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas"),))
            async with running(one):
                await catch.until(all_lost)
                assert 'set mode = "poll"' in one.state().detail
            async with running(source(pki, far.port, catch.post, (at("gas"),), mode="poll")):
                await catch.until(any_good)

    asyncio.run(story())


def test_a_server_that_sends_without_end_is_cut_off(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        sent = 0
        endless = (b"ACKF", 2**31 - 1), (b"MSGF", 2**31 - 1)

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.read(100)
            kind, size = endless[sent > 0]
            writer.write(kind + size.to_bytes(4, "little"))
            try:
                while True:
                    writer.write(bytes(1 << 16))
                    await writer.drain()
                    sent += 1 << 16
            except OSError:
                pass
            writer.transport.abort()

        server = await asyncio.start_server(flood, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for _ in endless:
            with pytest.raises(SourceError):
                await source(pki, port, Catch().post, (at("gas"),), timeout_s=10.0).read()
        assert sent < 40 << 20
        server.close()
        await server.wait_closed()

    asyncio.run(story())


def test_keys_are_renewed_in_time_and_nothing_is_lost_meanwhile(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "CHANNEL_MS", 600)
    renewed = 0
    plain = opcua._Client.open_secure_channel

    async def counted(self: opcua._Client, renew: bool = False) -> None:
        nonlocal renewed
        renewed += renew
        await plain(self, renew)

    monkeypatch.setattr(opcua._Client, "open_secure_channel", counted)

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 0.0}) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas"),), publishing_ms=50.0, queue_size=100)
            async with running(one):
                await catch.until(any_good)
                for number in range(1, 41):
                    await far.put("gas", float(number))
                    await asyncio.sleep(0.06)
                await eventually(lambda: told(catch.scans)[-1][0] == 40)
                assert [value for value, _ in told(catch.scans)] == list(range(41))
                assert renewed >= 3
                assert one.state().counters["misses"] == 0

    asyncio.run(story())


def test_silence_of_the_clock_alone_ends_a_session(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "GRACE_S", 0.2)

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 0.0}) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas"),))
            async with running(one):
                await catch.until(any_good)
                await asyncio.sleep(2.5)
                far.server.iserver.time_task.cancel()  # keep-alives go on
                far.server.iserver.time_task = asyncio.create_task(asyncio.sleep(0))
                await catch.until(all_lost)
                assert "its clock has not been told" in one.state().detail
                await catch.until(any_good)

    asyncio.run(story())


def test_a_lost_notification_is_no_stale_value(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = InternalSubscription._pop_publish_result
    lose = False

    def pop(self: InternalSubscription) -> ua.PublishResult:
        nonlocal lose
        found = plain(self)
        told = [
            one.ClientHandle
            for each in found.NotificationMessage.NotificationData
            for one in each.MonitoredItems
        ]
        if lose and 0 in told:
            lose = False
            return plain(self)
        return found

    monkeypatch.setattr(InternalSubscription, "_pop_publish_result", pop)

    async def story() -> None:
        nonlocal lose
        async with plant(pki["server"], variables={"gas": 1.0}) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas"),))
            async with running(one):
                await catch.until(any_good)
                lose = True
                await far.put("gas", 99.0)
                await catch.until(lambda scan: scan.quality.tolist() == [bad(Cause.GARBLED)])
                assert (await catch.until(any_good)).values.tolist() == [99]
                assert not lose
                assert one.state().counters["gaps"] == 1

    asyncio.run(story())


@pytest.mark.parametrize(("number", "following"), [(1, 2), (2**32 - 2, 2**32 - 1), (2**32 - 1, 1)])
def test_numbers_of_messages_begin_again_behind_the_last(
    number: int, following: int, pki: dict[str, Credentials]
) -> None:
    one = source(pki, 4840, Catch().post, ())
    standing: Any = opcua._Standing(None, None, 0, 0, next_sequence=number, told=True)  # type: ignore[arg-type]
    told = Published(0, False, number, 0, True, (), 0)
    one._take(standing, told)
    assert standing.next_sequence == following
    one._take(standing, replace(told, sequence=following, data=False))
    assert standing.next_sequence == following
    with pytest.raises(SourceError, match="a notification is lost"):
        one._take(standing, told)


def test_a_device_polled_rarely_keeps_its_session_meanwhile(
    pki: dict[str, Credentials], services: Counter[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "POLL_STEP_S", 0.1)

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas", period_s=2.0),), mode="poll")
            async with running(one):
                for _ in range(3):
                    await catch.until(any_good)
                assert services[READ] > 10
                assert len(catch.scans) == 3
                assert one.state().counters["reconnects"] == 1

    asyncio.run(story())


def test_a_polled_device_that_is_away_is_bad_again_in_every_period(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}) as far, wire_to(far.port) as wire:
            catch = Catch()
            points = (at("gas"), at("gas", period_s=0.5))
            one = source(pki, wire.port, catch.post, points, mode="poll", timeout_s=0.5)
            async with running(one):
                await catch.until(any_good)
                await wire.cut()
                await catch.until(all_lost)
                for rows in ([0], [1], [0]):
                    scan = await catch.until(lambda scan, rows=rows: scan.points.tolist() == rows)  # type: ignore[misc]
                    assert scan.quality.tolist() == [bad(Cause.COMM)]
                assert one.state().counters["reconnects"] == 1
                await wire.mend()
                await catch.until(any_good)

    asyncio.run(story())
    assert opcua.polled(source(pki, 4840, Catch().post, mode="poll")._options)
    assert not opcua.polled(source(pki, 4840, Catch().post)._options)


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
def test_a_device_without_points_is_quiet(mode: str, pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        catch = Catch()
        one = source(pki, free_port(), catch.post, (), mode=mode)
        assert len((await one.read()).points) == 0
        async with running(one):
            await asyncio.sleep(0.3)
        assert catch.scans == []

    asyncio.run(story())


def test_a_farewell_that_fails_neither_hides_a_stop_nor_leaves_a_socket(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    wires: list[opcua._Wire] = []

    async def fail(self: opcua._Client) -> None:
        assert self.uaclient.wire is not None
        wires.append(self.uaclient.wire)
        raise ValueError("an answer that nobody can read")

    monkeypatch.setattr(opcua._Client, "close_session", fail)

    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 1.0}) as far:
            catch = Catch()
            one = source(pki, far.port, catch.post, (at("gas"),))
            assert (await one.read()).values.tolist() == [1]
            task = asyncio.create_task(one.run())
            await catch.until(any_good)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert len(wires) >= 2
            assert all(wire.gone.is_set() for wire in wires)

    asyncio.run(story())


# --- outages ------------------------------------------------------------------------------------------


async def outage(
    far: Plant, wire: Any, catch: Catch, values: int, *, between: bool = True
) -> list[tuple[float, int]]:
    """Cut the line, change the value so many times meanwhile, mend it; what was written."""
    await wire.cut()
    await catch.until(all_lost)
    written = []
    for number in range(values if between else 0):
        await far.put("gas", 100.0 + number)
        data = await far.nodes["gas"].read_data_value()
        stamp = data.SourceTimestamp.replace(tzinfo=dt.UTC)
        written.append((100.0 + number, round(stamp.timestamp() * 1e6) * 1000))
    await wire.mend()
    return written


def historized(largest_answer: int) -> Callable[[Server], None]:
    return lambda server: server.iserver.history_manager.set_storage(HistoryDict(largest_answer))


@pytest.mark.parametrize(
    ("values", "largest_answer"), [(20, 10_000), (35, 10), (250, 10_000)], ids=["one", "continued", "cut"]
)
def test_the_missing_interval_comes_from_the_servers_history_each_value_once(
    values: int, largest_answer: int, pki: dict[str, Credentials], services: Counter[int]
) -> None:
    async def story() -> None:
        async with (
            plant(
                pki["server"],
                variables={"gas": 0.0, "level": 7.0, "plain": 1.0},
                prepare=historized(largest_answer),
            ) as far,
            wire_to(far.port) as wire,
        ):
            await far.server.historize_node_data_change([far.nodes["gas"], far.nodes["level"]], count=1000)
            catch = Catch()
            points = (at("gas"), at("level"), at("plain"))
            one = source(pki, wire.port, catch.post, points, timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                for value in (1.0, 2.0):
                    await far.put("gas", value)
                    await catch.until(any_good)
                written = await outage(far, wire, catch, values)
                await catch.until(lambda scan: any_good(scan) and not scan.history)
                await eventually(lambda: len(told(catch.scans, history=True)) >= values - 1)
                await far.put("gas", 5.0)
                await eventually(lambda: told(catch.scans)[-1][0] == 5)
                assert told(catch.scans, history=True) == written[:-1], "the last one came alive"
                live = told(catch.scans)
                assert written[-1] in live
                everything = [stamp for _, stamp in live + told(catch.scans, history=True) if stamp]
                assert len(everything) == len(set(everything)), "none twice"
                assert told(catch.scans, 1, history=True) == []
                assert [value for value, _ in told(catch.scans, 1)] == [7, 7]
                assert told(catch.scans, 1)[1][1] == 0, "said again, but its time was said before"
                assert services[HISTORY] > 0
                assert one.state().counters["history"] == values - 1

    asyncio.run(story())


def test_a_server_without_history_is_asked_once_and_the_rest_goes_on(
    pki: dict[str, Credentials], services: Counter[int]
) -> None:
    def prepare(server: Server) -> None:
        async def refuse(_: object) -> Any:
            raise ua.uaerrors.BadServiceUnsupported

        server.iserver.history_manager.read_history = refuse  # type: ignore[method-assign,assignment]

    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 0.0}, prepare=prepare) as far,
            wire_to(far.port) as wire,
        ):
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"),), timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                for _ in range(2):
                    await outage(far, wire, catch, 3)
                    await catch.until(any_good)
                    await asyncio.sleep(0.5)
                assert one.state().connected
                assert services[HISTORY] == 1
                assert not any(scan.history for scan in catch.scans)

    asyncio.run(story())


@pytest.mark.parametrize("how", ["late", "refused", "empty"])
def test_a_history_that_is_not_to_be_had_ends_no_session(
    how: str, pki: dict[str, Credentials], caplog: pytest.LogCaptureFixture
) -> None:
    async def read(_: object) -> Any:
        if how == "refused":
            raise ua.uaerrors.BadTooManyOperations
        await asyncio.sleep(2 if how == "late" else 0)
        return []

    def prepare(server: Server) -> None:
        server.iserver.history_manager.read_history = read  # type: ignore[method-assign,assignment]

    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 0.0}, prepare=prepare) as far,
            wire_to(far.port) as wire,
        ):
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"),), timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                await outage(far, wire, catch, 3)
                await catch.until(any_good)
                await eventually(lambda: one.state().counters["history_given_up"] == 1)
                assert one.state().connected
                assert one.state().counters["reconnects"] == 2
                assert caplog.text.count("not to be had") == 1
                await far.put("gas", 5.0)
                await catch.until(lambda scan: scan.values.tolist() == [5])

    asyncio.run(story())


def test_history_may_be_left_alone(pki: dict[str, Credentials], services: Counter[int]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 0.0}) as far, wire_to(far.port) as wire:
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"),), history=False)
            async with running(one):
                await catch.until(any_good)
                await outage(far, wire, catch, 3)
                await catch.until(any_good)
                await asyncio.sleep(0.3)
                assert services[HISTORY] == 0

    asyncio.run(story())


def test_more_history_than_the_bound_is_left_and_said(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(backfill, "VALUES", 10)
    monkeypatch.setattr(opcua, "VALUES", 10)
    plan = backfill.Backfill.plan.__func__  # type: ignore[attr-defined]

    def small(cls: Any, *args: Any) -> Any:
        found = plan(cls, *args)
        if found is not None:
            found.left = 20
        return found

    monkeypatch.setattr(backfill.Backfill, "plan", classmethod(small))
    caplog.set_level(logging.WARNING)

    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 0.0}) as far,
            wire_to(far.port) as wire,
        ):
            await far.server.historize_node_data_change([far.nodes["gas"]], count=1000)
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"),), timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                await outage(far, wire, catch, 60)
                await eventually(lambda: "has more than is read" in caplog.text)
                assert 15 <= len(told(catch.scans, history=True)) <= 20

    asyncio.run(story())


def test_a_line_lost_again_while_the_history_is_read_loses_nothing_of_it(
    pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "PAUSE_S", 0.2)

    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 0.0, "level": 7.0}, prepare=historized(5)) as far,
            wire_to(far.port) as wire,
        ):
            await far.server.historize_node_data_change([far.nodes["gas"]], count=1000)
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"), at("level")), timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                written = []
                for number in range(1, 4):
                    written += await outage(far, wire, catch, 20)
                    await eventually(lambda number=number: len(told(catch.scans, history=True)) >= 5 * number)  # type: ignore[misc]
                    assert len(told(catch.scans, history=True)) < 15 * number, "still being read"
                await eventually(lambda: len(told(catch.scans, history=True)) == 3 * 19)
                past = told(catch.scans, history=True)
                assert past == [one for place, one in enumerate(written, 1) if place % 20], "in order, once"
                assert one.state().counters["history_given_up"] == 0

    asyncio.run(story())


def test_a_server_that_falls_whenever_its_history_is_asked_for_is_not_asked_for_ever(
    pki: dict[str, Credentials], caplog: pytest.LogCaptureFixture
) -> None:
    falls: list[asyncio.Task[None]] = []

    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 0.0}) as far,
            wire_to(far.port) as wire,
        ):

            async def fall() -> None:
                await wire.cut()
                await far.put("gas", 50.0 + len(falls))
                await wire.mend()

            async def read(_: object) -> Any:
                falls.append(asyncio.create_task(fall()))
                await asyncio.sleep(1)
                return []

            far.server.iserver.history_manager.read_history = read  # type: ignore[method-assign,assignment]
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"),), timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                await outage(far, wire, catch, 3)
                await eventually(lambda: "it is not any more" in caplog.text)
                await asyncio.gather(*falls)
                await catch.until(any_good)
                await outage(far, wire, catch, 3)
                await catch.until(any_good)
                await asyncio.sleep(0.5)
                assert one.state().connected
                assert len(falls) == backfill.MAX_BROKEN
                assert one.state().counters["history_given_up"] >= 1

    asyncio.run(story())


def remembered(content: Any, status: int = 0) -> ua.HistoryReadResult:
    """What a history answers of one node; with what it has as if all were well."""
    return ua.HistoryReadResult(ua.StatusCode(status), None, content)  # type: ignore[arg-type]


def past_values(*contents: Any) -> ua.HistoryData:
    """Values from a moment ago, one behind the other."""
    start = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=0.1)
    moments = [start + dt.timedelta(microseconds=place) for place in range(len(contents))]
    stamped = [
        ua.DataValue(ua.Variant(content), StatusCode=ua.StatusCode(0), SourceTimestamp=moment)  # type: ignore[arg-type]
        for content, moment in zip(contents, moments, strict=True)
    ]
    return ua.HistoryData(stamped)


@pytest.mark.parametrize(
    ("results", "levels", "qualities", "given_up"),
    [
        (lambda: [remembered(past_values(66.0))], [], [], 2),
        (lambda: [remembered(past_values(66.0))] * 3, [], [], 2),
        (
            lambda: [remembered(past_values(66.0), ua.StatusCodes.BadTimeout), remembered(past_values(5.0))],
            [5.0],
            [],
            1,
        ),
        (
            lambda: [remembered(ua.HistoryEvent([])), remembered(past_values(5.0))],
            [5.0],
            [],
            1,
        ),
        (
            lambda: [remembered(past_values("66", [66.0], math.nan)), remembered(past_values(5.0))],
            [5.0],
            [bad(Cause.GARBLED), bad(Cause.GARBLED), bad(Cause.DEVICE_FAULT)],
            0,
        ),
    ],
    ids=["fewer", "more", "bad status", "events", "no numbers"],
)
def test_a_history_that_is_torn_or_foreign_inside_gives_a_cause_or_a_gap_and_never_a_number(
    results: Callable[[], list[ua.HistoryReadResult]],
    levels: list[float],
    qualities: list[int],
    given_up: int,
    pki: dict[str, Credentials],
) -> None:
    async def read(_: object) -> Any:
        return results()

    def prepare(server: Server) -> None:
        server.iserver.history_manager.read_history = read  # type: ignore[method-assign,assignment]

    async def story() -> None:
        async with (
            plant(pki["server"], variables={"gas": 0.0, "level": 0.0}, prepare=prepare) as far,
            wire_to(far.port) as wire,
        ):
            catch = Catch()
            one = source(pki, wire.port, catch.post, (at("gas"), at("level")), timeout_s=1.0)
            async with running(one):
                await catch.until(any_good)
                await wire.cut()
                await catch.until(all_lost)
                await asyncio.sleep(0.3)
                for name in ("gas", "level"):  # told again later than what the history makes up
                    await far.put(name, 1.0, stamp=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=20))
                await wire.mend()
                await catch.until(any_good)
                await eventually(lambda: one.state().counters["history_given_up"] == given_up)
                past = len(levels) + len(qualities)
                await eventually(lambda: one.state().counters["history"] == past)
                assert told(catch.scans, history=True) == []
                assert [value for value, _ in told(catch.scans, 1, history=True)] == levels
                wrong = [scan.quality[0] for scan in catch.scans if scan.history and scan.points[0] == 0]
                assert wrong == qualities
                assert one.state().counters["reconnects"] == 2

    asyncio.run(story())


# --- browsing -----------------------------------------------------------------------------------------


def test_browsing_shows_addresses_that_the_point_table_takes(pki: dict[str, Credentials]) -> None:
    async def story() -> None:
        async with plant(pki["server"], variables={"gas": 23.5, "list": [1, 2]}) as far:
            tank = await far.server.nodes.objects.add_object("ns=2;i=7", "Tank 1")
            await tank.add_variable("ns=2;s=Tank1.Level", "Level", ua.Variant(3, ua.VariantType.Int16))
            broken = await tank.add_variable("ns=2;s=Tank1.Broken", "Broken", 1.0)
            await far.server.write_attribute_value(
                broken.nodeid, ua.DataValue(StatusCode=ua.StatusCode(ua.StatusCodes.BadSensorFailure))
            )
            chosen = source(pki, far.port, Catch().post)._options
            rows = await opcua.browse(chosen)
            plain = [
                (row.node, row.depth, row.name, row.kind, row.type, row.value, row.status) for row in rows
            ]
            assert plain == [
                (f"nsu={NAMESPACE};s=gas", 1, "gas", "variable", "Double", 23.5, "Good"),
                (f"nsu={NAMESPACE};s=list", 1, "list", "variable", "Int64[]", "[1, 2]", "Good"),
                (f"nsu={NAMESPACE};i=7", 1, "Tank 1", "object", "", None, ""),
                (f"nsu={NAMESPACE};s=Tank1.Level", 2, "Level", "variable", "Int16", 3, "Good"),
                (f"nsu={NAMESPACE};s=Tank1.Broken", 2, "Broken", "variable", "", None, "BadSensorFailure"),
            ]
            for row in rows:
                opcua.check_point(Point("a", row.node), chosen)
            assert [row.name for row in await opcua.browse(chosen, f"nsu={NAMESPACE};i=7", 1)] == [
                "Level",
                "Broken",
            ]
            assert [row.name for row in await opcua.browse(chosen, depth=1)] == ["gas", "list", "Tank 1"]
            assert any(row.name == "ServerStatus" for row in await opcua.browse(chosen, "i=2253", 1))
            with pytest.raises(SourceError, match="BadNodeId"):
                await opcua.browse(chosen, f"nsu={NAMESPACE};s=nowhere")
            with pytest.raises(SourceError, match="does not know urn:nobody"):
                await opcua.browse(chosen, "nsu=urn:nobody;s=a")
            with pytest.raises(PointError):
                await opcua.browse(chosen, "tank")

    asyncio.run(story())


def test_browsing_ends_at_its_bound(pki: dict[str, Credentials], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua, "MAX_BROWSED", 20)

    async def story() -> None:
        names = [f"v{number}" for number in range(60)]
        async with plant(pki["server"], variables=dict.fromkeys(names, 1.0)) as far:
            rows = await opcua.browse(source(pki, far.port, Catch().post)._options)
            assert 10 < len(rows) <= 20

    asyncio.run(story())
