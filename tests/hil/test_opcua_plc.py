"""The simulated OPC UA PLC, judged by asyncua's client: encrypted or nothing, every value told apart."""

import asyncio
import contextlib
import datetime as dt

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

from hil.opcua_plc import NAMESPACE_URI, Change, OpcuaPlc
from hil.pki import Validity, opcua_application

CLIENT_URI = "urn:plantgate:test:client"


@pytest.fixture(scope="module")
def pki(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pki")
    return {
        "plc": opcua_application(folder, "plc", "urn:plantgate:hil:plc"),
        "client": opcua_application(folder, "client", CLIENT_URI),
        "stranger": opcua_application(folder, "stranger", CLIENT_URI),
        "expired": opcua_application(folder, "expired", CLIENT_URI, validity=Validity.EXPIRED),
    }


@pytest.fixture(scope="module")
def bench(pki):
    """One loop and one server for all tests here: building its address space takes two seconds."""
    trusted = [pki["client"].fingerprint, pki["expired"].fingerprint]
    plc = OpcuaPlc(pki["plc"], trusted, gas=["GT-101", "GT-102"], contacts=["XS-201"])
    with asyncio.Runner() as runner:
        runner.run(plc.start())
        yield runner, plc
        runner.run(plc.close())


@pytest.fixture
def run(bench):
    """Run a story with the server, its logs empty and its values unshown."""
    runner, plc = bench
    plc.changes.clear()
    plc.sent.clear()
    plc.services.clear()
    plc._shown.clear()
    plc.alive = 0
    return lambda story: runner.run(story(plc))


async def connected(plc, pki, name="client"):
    client = Client(plc.url, timeout=4)
    client.application_uri = CLIENT_URI
    own, theirs = pki[name], pki["plc"]
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        own.certificate,
        CertProperties(own.key, "pem"),
        server_certificate=theirs.certificate,
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    await client.connect()
    return client


class Inbox:
    def __init__(self):
        self.changes = []

    def datachange_notification(self, node, value, data):
        source = data.monitored_item.Value.SourceTimestamp.replace(tzinfo=dt.UTC)
        micros = (source - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)
        self.changes.append(Change(node.nodeid.Identifier, micros * 1000, value))


async def wait_until(holds):
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.02)


def test_values_arrive_as_logged_and_the_log_of_sent_values_is_what_arrived(run, pki):
    async def story(plc):
        await plc.show({"GT-101": 1.5, "GT-102": 0.8, "XS-201": True})
        client = await connected(plc, pki)
        inbox = Inbox()
        index = await client.get_namespace_index(NAMESPACE_URI)
        subscription = await client.create_subscription(50, inbox)
        nodes = [client.get_node(f"ns={index};s={name}") for name in ("GT-101", "GT-102", "XS-201", "alive")]
        await subscription.subscribe_data_change(nodes, queuesize=100)
        await wait_until(lambda: len(inbox.changes) == 4)
        await plc.show({"GT-101": 26.0, "GT-102": 0.8, "XS-201": False})
        await plc.show({"GT-101": 51.0, "GT-102": 0.8, "XS-201": False})
        await wait_until(lambda: len(inbox.changes) == 4 + 3 + 2)
        await client.disconnect()
        assert sorted(inbox.changes) == sorted(plc.sent) == sorted(plc.changes)
        assert [c.value for c in plc.changes if c.node == "GT-101"] == [1.5, 26.0, 51.0]
        assert [c.value for c in plc.changes if c.node == "alive"] == [1, 2, 3]
        assert len({c.source_ns for c in plc.changes}) == len(plc.changes)
        assert plc.services["CreateSession"] == plc.services["CreateSubscription"] == 1
        assert plc.services["Publish"] > 0
        assert plc.writes_seen == 0

    run(story)


def test_a_change_nobody_subscribed_to_is_logged_but_not_as_sent(run):
    async def story(plc):
        await plc.show({"GT-101": 1.0})
        assert [c.node for c in plc.changes] == ["GT-101", "alive"]
        assert plc.sent == []

    run(story)


async def subscribed(plc, pki):
    client = await connected(plc, pki)
    index = await client.get_namespace_index(NAMESPACE_URI)
    subscription = await client.create_subscription(50, Inbox())
    await subscription.subscribe_data_change(client.get_node(f"ns={index};s=GT-101"))
    await wait_until(lambda: plc.sent)
    return client


def test_what_is_written_after_a_client_died_does_not_count_as_sent(run, pki):
    async def story(plc):
        await plc.show({"GT-101": 1.0})
        client = await subscribed(plc, pki)
        client.uaclient.protocol.transport.abort()
        await asyncio.sleep(0.1)
        await plc.show({"GT-101": 2.0})
        await asyncio.sleep(0.3)
        assert [c.value for c in plc.sent] == [1.0]
        with contextlib.suppress(ConnectionError):
            await client.disconnect()

    run(story)


def test_a_reboot_forgets_its_subscriptions(run, pki):
    async def story(plc):
        await plc.show({"GT-101": 1.0})
        client = await subscribed(plc, pki)
        assert plc._server.iserver.subscription_service.subscriptions
        await plc.stop()
        assert not plc._server.iserver.subscription_service.subscriptions
        with contextlib.suppress(ConnectionError):
            await client.disconnect()
        await plc.start()

    run(story)


def test_a_planted_write_and_call_are_refused_and_counted(run, pki):
    async def story(plc):
        await plc.show({"GT-101": 1.0})
        client = await connected(plc, pki)
        node = client.get_node(f"ns={await client.get_namespace_index(NAMESPACE_URI)};s=GT-101")
        with pytest.raises(ua.UaStatusCodeError):
            await node.write_value(99.0)
        with pytest.raises(ua.UaStatusCodeError):
            await client.nodes.server.call_method(ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems), 1)
        assert await node.read_value() == 1.0
        assert plc.services["Write"] == plc.services["Call"] == 1
        assert plc.writes_seen == 2
        await client.disconnect()

    run(story)


@pytest.mark.parametrize("name", ["stranger", "expired"])
def test_an_untrusted_or_expired_certificate_is_refused(run, pki, name):
    async def story(plc):
        with pytest.raises(ua.UaError):
            await connected(plc, pki, name)
        assert plc.services["CreateSession"] == 1
        assert "Read" not in plc.services

    run(story)


def test_an_unsecured_client_is_refused(run):
    async def story(plc):
        with pytest.raises((ua.UaError, ConnectionError, TimeoutError)):
            await Client(plc.url, timeout=2).connect()

    run(story)


def test_a_bad_node_has_a_bad_status_and_recovers(run, pki):
    async def story(plc):
        plc.set_bad("GT-102")
        await plc.show({"GT-101": 1.0, "GT-102": 2.0})
        client = await connected(plc, pki)
        index = await client.get_namespace_index(NAMESPACE_URI)
        bad = client.get_node(f"ns={index};s=GT-102")
        with pytest.raises(ua.uaerrors.BadSensorFailure):
            await bad.read_value()
        assert await client.get_node(f"ns={index};s=GT-101").read_value() == 1.0
        plc.set_good("GT-102")
        await plc.show({"GT-102": 2.0})
        assert await bad.read_value() == 2.0
        assert [c.value for c in plc.changes if c.node == "GT-102"] == [None, 2.0]
        await client.disconnect()

    run(story)


def test_a_reboot_ends_sessions_and_comes_back_at_the_same_address(run, pki):
    async def story(plc):
        url = plc.url
        await plc.show({"GT-101": 1.0})
        client = await connected(plc, pki)
        await plc.stop()
        await plc.show({"GT-101": 5.0})
        assert not plc.running
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", plc.port)
        await client.disconnect()
        await plc.start()
        assert plc.url == url
        await plc.show({"GT-101": 2.0})
        again = await connected(plc, pki)
        index = await again.get_namespace_index(NAMESPACE_URI)
        assert await again.get_node(f"ns={index};s=GT-101").read_value() == 2.0
        assert [c.value for c in plc.changes if c.node == "GT-101"] == [1.0, 2.0]
        await again.disconnect()

    run(story)
