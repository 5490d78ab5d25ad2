"""The bench's broker is a real one: it admits by certificate, keeps the topics apart, dies and comes back."""

import asyncio
import os
import ssl
import subprocess
import time

import paho.mqtt.client as mqtt
import pytest

from hil.broker import Broker, BrokerError
from hil.pki import Authority, Validity
from hil.processes import find_tool

ROOT = "plantgate/1/site/gateway"


class Peer:
    """A paho client as an independent party."""

    def __init__(self, broker, credentials, name):
        self.inbox, self.acknowledged, self.connected = [], {}, None
        self.client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=mqtt.MQTTv5)
        self.client.tls_set(broker.authority.ca_file, credentials.certificate, credentials.key)
        self.client.on_message = lambda _c, _u, message: self.inbox.append((message.topic, message.payload))
        self.client.on_publish = lambda _c, _u, mid, reason, _p: self.acknowledged.update({mid: reason})
        self.client.on_connect = lambda _c, _u, _f, reason, _p: setattr(self, "connected", reason)
        self.client.connect(broker.host, broker.port)
        self.client.loop_start()

    def publish(self, topic, payload=b"x"):
        mid = self.client.publish(topic, payload, qos=1).mid
        wait_until(lambda: mid in self.acknowledged)
        return self.acknowledged[mid].getName()

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


def wait_until(holds, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < end, "what was waited for never came"
        time.sleep(0.01)


def test_gateway_and_receiver_see_what_they_may_and_no_more(tmp_path):
    async def story():
        async with Broker(tmp_path) as broker:
            gateway = Peer(broker, broker.gateway, "gw")
            receiver = Peer(broker, broker.receivers["receiver"], "rx")
            try:
                wait_until(lambda: gateway.connected == "Success" and receiver.connected == "Success")
                receiver.client.subscribe("plantgate/1/#", qos=1)
                gateway.client.subscribe(f"{ROOT}/receipt/+", qos=1)
                wait_until(lambda: gateway.publish(f"{ROOT}/reading", b"1") == "Success" and receiver.inbox)
                assert receiver.publish(f"{ROOT}/receipt/receiver", b"2") == "Success"
                wait_until(lambda: gateway.inbox)
                assert receiver.inbox[0] == (f"{ROOT}/reading", b"1")
                assert gateway.inbox == [(f"{ROOT}/receipt/receiver", b"2")]
                assert gateway.publish(f"{ROOT}/receipt/receiver") == "Not authorized"
                assert gateway.publish("plantgate/1/site/other/reading") == "Not authorized"
                assert receiver.publish(f"{ROOT}/reading") == "Not authorized"
                assert receiver.publish(f"{ROOT}/receipt/province") == "Not authorized"
            finally:
                gateway.close()
                receiver.close()

    asyncio.run(story())


def publish_once(broker, authority, credentials):
    """One publish by Debian's own client; returns its exit status."""
    argv = [find_tool("mosquitto_pub", "mosquitto-clients"), "-h", "localhost", "-p", str(broker.port)]
    argv += ["--cafile", authority.ca_file, "-t", f"{ROOT}/reading", "-m", "x", "-q", "1", "-V", "5"]
    if credentials is not None:
        argv += ["--cert", credentials.certificate, "--key", credentials.key]
    return subprocess.run(argv, capture_output=True, timeout=20, check=False).returncode


def test_only_certificates_of_its_authority_are_admitted(tmp_path):
    async def story():
        async with Broker(tmp_path / "b") as broker:
            stranger = Authority(tmp_path / "s", "Somebody else")
            own = broker.authority
            assert publish_once(broker, own, broker.gateway) == 0
            assert publish_once(broker, own, None) != 0
            assert publish_once(broker, own, stranger.client("gateway")) != 0
            assert publish_once(broker, own, own.client("old", validity=Validity.EXPIRED)) != 0
            assert publish_once(broker, stranger, broker.gateway) != 0

    asyncio.run(story())


@pytest.mark.parametrize("persistence", [False, True])
def test_killed_it_comes_back_on_its_port_with_or_without_its_store(tmp_path, persistence):
    async def story():
        async with Broker(tmp_path, persistence=persistence) as broker:
            port = broker.port
            gateway = Peer(broker, broker.gateway, "gw")
            gateway.client.publish(f"{ROOT}/status", b"online", qos=1, retain=True)
            wait_until(lambda: gateway.acknowledged)
            gateway.close()
            await asyncio.sleep(0.3)  # mosquitto saves its store on change from its main loop
            broker.kill()
            assert not broker.running
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(broker.host, port)
            await broker.restart()
            assert broker.port == port
            receiver = Peer(broker, broker.receivers["receiver"], "rx")
            receiver.client.subscribe("plantgate/1/#")
            wait_until(lambda: receiver.inbox or not persistence)
            receiver.close()
            return receiver.inbox

    kept = asyncio.run(story())
    assert kept == ([(f"{ROOT}/status", b"online")] if persistence else [])


def test_it_leaves_no_process(tmp_path):
    async def story():
        broker = Broker(tmp_path)
        async with broker:
            return broker._tree.pids()

    pids = asyncio.run(story())
    assert len(pids) == 1
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_wrong_setting_is_reported_with_the_broker_s_own_words(tmp_path):
    broker = Broker(tmp_path, settings=("no_such_setting 1",))
    with pytest.raises(BrokerError, match="no_such_setting"):
        asyncio.run(broker.start())
    assert not broker.running


def test_a_bad_server_certificate_can_be_planted(tmp_path):
    authority = Authority(tmp_path / "other", "Another CA")

    async def story():
        async with Broker(tmp_path / "b", server=authority.server()) as broker:
            context = ssl.create_default_context(cafile=broker.authority.ca_file)
            with pytest.raises(ssl.SSLCertVerificationError):
                await asyncio.open_connection("localhost", broker.port, ssl=context)

    asyncio.run(story())
