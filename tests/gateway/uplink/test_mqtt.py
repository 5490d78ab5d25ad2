import asyncio
import json
import os
import socket
import ssl
import threading
from pathlib import Path

import pytest

from gateway.uplink import mqtt
from gateway.uplink.message import TooLargeError, Verdict
from gateway.uplink.mqtt import Endpoint, MqttTransport
from gateway.uplink.transport import LinkError
from hil.broker import Broker
from hil.pki import WRONG_HOST, Authority, Validity
from hil.ports import free_port

ROOT = "plantgate/1/site/gateway"


class Heard:
    """A listener that notes what it hears."""

    def __init__(self):
        self.messages = []
        self.verdicts = {}
        self.fallen = asyncio.get_running_loop().create_future()

    def received(self, topic, payload):
        self.messages.append((topic, payload))

    def delivered(self, handle, verdict, reason):
        self.verdicts[handle] = (verdict, reason)

    def down(self, error):
        self.fallen.set_result(error)


def gateway_end(broker, **more):
    given = {
        "host": broker.host,
        "port": broker.port,
        "ca": broker.authority.ca_file,
        "certificate": broker.gateway.certificate,
        "private_key": broker.gateway.key,
        "client_id": "gateway",
        "listen": (f"{ROOT}/receipt/receiver",),
        "every_delivery": True,
    }
    return Endpoint(**{**given, **more})


def receiver_end(broker, *topics, **more):
    credentials = broker.receivers["receiver"]
    given = {
        "certificate": credentials.certificate,
        "private_key": credentials.key,
        "client_id": "receiver",
        "listen": topics or ("plantgate/1/+/+/reading",),
    }
    return gateway_end(broker, **{**given, **more})


def server_tls(broker):
    own = broker.authority.server("own")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.certificate, own.key)
    return context


async def refusal(endpoint):
    transport = MqttTransport(endpoint, Heard())
    try:
        with pytest.raises(LinkError) as caught:
            await asyncio.wait_for(transport.connect(), 20)
    finally:
        await transport.close()
    return caught.value


def test_there_and_back(lab, tmp_path):
    async def main():
        async with Broker(tmp_path) as broker:
            here, there = Heard(), Heard()
            sender, receiver = (
                MqttTransport(gateway_end(broker), here),
                MqttTransport(receiver_end(broker), there),
            )
            try:
                await receiver.connect()
                await sender.connect()
                large = bytes(range(256)) * 2_000
                handle = sender.publish(f"{ROOT}/reading", large)
                await lab.until(lambda: there.messages and handle in here.verdicts)
                assert there.messages == [(f"{ROOT}/reading", large)]
                assert here.verdicts[handle][0] is Verdict.ACCEPTED
                receiver.publish(f"{ROOT}/receipt/receiver", b"yes")
                await lab.until(lambda: here.messages)
                assert here.messages == [(f"{ROOT}/receipt/receiver", b"yes")]
            finally:
                await sender.close()
                await receiver.close()
            with pytest.raises(LinkError):
                sender.publish("x", b"")

    lab.once(main())


def test_more_than_a_socket_takes_at_once_is_written_as_it_drains(lab, tmp_path):
    async def main():
        async with Broker(tmp_path) as broker:
            here, there = Heard(), Heard()
            sender = MqttTransport(gateway_end(broker), here)
            receiver = MqttTransport(receiver_end(broker, max_incoming_bytes=4 << 20), there)
            try:
                await receiver.connect()
                await sender.connect()
                began_s = asyncio.get_running_loop().time()
                handles = [sender.publish(f"{ROOT}/reading", bytes([n]) * 2_000_000) for n in range(15)]
                assert asyncio.get_running_loop().time() - began_s < 1.0, "publishing waits for nobody"
                await lab.until(lambda: len(here.verdicts) == 15 and len(there.messages) == 15)
                assert [payload[0] for _, payload in there.messages] == list(range(15))
                assert set(here.verdicts) == set(handles)
            finally:
                await sender.close()
                await receiver.close()

    lab.once(main())


def test_room_is_what_the_broker_allows(lab, tmp_path):
    async def main():
        async with Broker(tmp_path, settings=("max_inflight_messages 7",)) as broker:
            here = Heard()
            told = {"status_topic": f"{ROOT}/status", "birth": b"online", "will": b"offline"}
            sender = MqttTransport(gateway_end(broker, every_delivery=False, **told), here)
            try:
                await sender.connect()
                assert sender.room == 6, "the birth is on its way"
                for n in range(6):
                    sender.publish(f"{ROOT}/status", b"%d" % n)
                assert sender.room == 0
                sender.publish(f"{ROOT}/status", b"", sure=False)
                await lab.until(lambda: sender.room == 7)
                accepted = [verdict for verdict, _ in here.verdicts.values() if verdict is Verdict.ACCEPTED]
                assert len(accepted) <= 1, (
                    "the line tells when there is room again, not of every good delivery"
                )
            finally:
                await sender.close()

    lab.once(main())


def test_nobody_subscribed_is_not_delivered(lab, tmp_path):
    async def main():
        async with Broker(tmp_path) as broker:
            here = Heard()
            sender = MqttTransport(gateway_end(broker, every_delivery=False), here)
            try:
                await sender.connect()
                handle = sender.publish(f"{ROOT}/reading", b"1")
                await lab.until(lambda: handle in here.verdicts)
                assert here.verdicts[handle] == (Verdict.NO_RECEIPT, "No matching subscribers")
            finally:
                await sender.close()

    lab.once(main())


def test_publishing_where_it_is_not_allowed(lab, tmp_path):
    async def main():
        async with Broker(tmp_path) as broker:
            here = Heard()
            sender = MqttTransport(gateway_end(broker), here)
            try:
                await sender.connect()
                handle = sender.publish("plantgate/1/another/site/reading", b"1")
                await lab.until(lambda: handle in here.verdicts)
                assert here.verdicts[handle][0] is Verdict.UNAUTHORISED
            finally:
                await sender.close()

    lab.once(main())


def strict_broker(folder):
    """A broker that says no in its SUBACK to all but receipts; access lists refuse in silence."""
    broker = Broker(folder)
    plugin = next(Path("/usr/lib").glob("*/mosquitto_dynamic_security.so"))
    role = {"acltype": "subscribePattern", "topic": f"{ROOT}/receipt/#", "allow": True}
    free = {"publishClientSend": True, "publishClientReceive": True, "unsubscribe": True, "subscribe": False}
    rules = {
        "defaultACLAccess": free,
        "roles": [{"rolename": "gateway", "acls": [role]}],
        "clients": [{"username": "gateway", "roles": [{"rolename": "gateway"}]}],
    }
    (folder / "rules.json").write_text(json.dumps(rules))
    lines = (folder / "mosquitto.conf").read_text().splitlines()
    lines = [line for line in lines if not line.startswith("acl_file")]
    lines[0:0] = [f"plugin {plugin}", f"plugin_opt_config_file {folder / 'rules.json'}"]
    (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")
    return broker


def test_a_broker_that_refuses_the_down_channel_still_takes_the_record(lab, tmp_path):
    orders = f"{ROOT}/order/receiver/+"

    async def main():
        async with Broker(tmp_path / "free") as broker:
            transport = MqttTransport(gateway_end(broker, listen_too=(orders,)), Heard())
            await transport.connect()
            assert transport.deaf == ""
            await transport.close()
        async with strict_broker(tmp_path / "strict") as broker:
            heard = Heard()
            transport = MqttTransport(gateway_end(broker, listen_too=(orders,)), heard)
            await transport.connect()
            assert transport.deaf == "Not authorized"
            handle = transport.publish(f"{ROOT}/receipt/receiver", b"x")
            await lab.until(lambda: handle in heard.verdicts)
            await transport.close()
            refused = await refusal(gateway_end(broker, listen=(orders,)))
            assert refused.code == "E-LINK-UNAUTHORISED"

    lab.once(main())


def test_what_is_retained_waits_for_who_comes_later_and_goes_with_an_empty_one(lab, tmp_path):
    at = f"{ROOT}/order/receiver/W-1"

    async def main():
        async with Broker(tmp_path) as broker:
            for payload in (b"warning", b""):
                sender = MqttTransport(receiver_end(broker), Heard())
                await sender.connect()
                sender.publish(at, payload, retain=True)
                await sender.close()
                heard = Heard()
                late = MqttTransport(gateway_end(broker, listen_too=(f"{ROOT}/order/receiver/+",)), heard)
                await late.connect()
                if payload:
                    await lab.until(lambda: heard.messages)  # noqa: B023 - awaited within the turn
                await asyncio.sleep(0.2)
                await late.close()
                assert heard.messages == ([(at, payload)] if payload else [])

    lab.once(main())


def test_birth_and_last_will(lab, tmp_path):
    async def main():
        async with Broker(tmp_path) as broker:
            there = Heard()
            receiver = MqttTransport(receiver_end(broker, "plantgate/1/+/+/status"), there)
            told = {"status_topic": f"{ROOT}/status", "birth": b"online", "will": b"offline"}
            sender = MqttTransport(gateway_end(broker, **told), Heard())
            try:
                await sender.connect()
                await receiver.connect()
                await lab.until(lambda: [(f"{ROOT}/status", b"online")] == there.messages)
                await sender.close()
                await lab.until(lambda: (f"{ROOT}/status", b"offline") in there.messages)
            finally:
                await sender.close()
                await receiver.close()

    lab.once(main())


@pytest.mark.parametrize(
    ("server", "code"),
    [
        ({"validity": Validity.EXPIRED}, "E-TLS-EXPIRED"),
        ({"validity": Validity.NOT_YET}, "E-TLS-NOT-YET"),
        ({"hosts": WRONG_HOST}, "E-TLS-HOST"),
    ],
)
def test_doubtful_certificate_ends_it(lab, tmp_path, server, code):
    async def main():
        authority = Authority(tmp_path / "other")
        async with Broker(tmp_path / "broker", server=authority.server(**server)) as broker:
            assert (await refusal(gateway_end(broker, ca=authority.ca_file))).code == code

    lab.once(main())


def test_unknown_authority_ends_it(lab, tmp_path):
    async def main():
        stranger = Authority(tmp_path / "other", "Stranger")
        async with Broker(tmp_path / "broker") as broker:
            error = await refusal(gateway_end(broker, ca=stranger.ca_file))
            assert error.code == "E-TLS-CA"
            assert error.unauthorised

    lab.once(main())


def test_broker_that_does_not_know_us_is_named(lab, tmp_path):
    async def main():
        stranger = Authority(tmp_path / "other", "Stranger").client("gateway")
        async with Broker(tmp_path / "broker") as broker:
            endpoint = gateway_end(broker, certificate=stranger.certificate, private_key=stranger.key)
            error = await refusal(endpoint)
            assert error.code == "E-TLS-OURS", error
            assert error.unauthorised

    lab.once(main())


def test_nobody_listens(lab, tmp_path):
    async def main():
        broker = Broker(tmp_path)
        error = await refusal(gateway_end(broker))
        assert error.code == "E-LINK-UNREACHABLE"
        assert not error.unauthorised

    lab.once(main())


def test_host_that_does_not_exist(lab, tmp_path):
    async def main():
        broker = Broker(tmp_path)
        for host in ("does-not-exist.invalid", "x" * 70):
            assert (await refusal(gateway_end(broker, host=host))).code == "E-LINK-UNREACHABLE"

    lab.once(main())


def test_session_taken_over_is_named(lab, tmp_path):
    """Mosquitto 2.0.11 closes without a word, so a server of our own says it."""

    async def main():
        broker = Broker(tmp_path)

        async def speak(reader, writer):
            await reader.readexactly((await reader.readexactly(2))[1])
            writer.write(b"\x20\x03\x00\x00\x00")
            subscribe = await reader.readexactly((await reader.readexactly(2))[1])
            writer.write(b"\x90\x04" + subscribe[:2] + b"\x00\x01" + b"\xe0\x01\x8e")
            await writer.drain()
            await reader.read()
            writer.close()

        server = await asyncio.start_server(speak, broker.host, broker.port, ssl=server_tls(broker))
        async with server:
            here = Heard()
            transport = MqttTransport(gateway_end(broker), here)
            try:
                await transport.connect()
                assert (await asyncio.wait_for(here.fallen, 20)).code == "E-LINK-TAKEN-OVER"
            finally:
                await transport.close()

    lab.once(main())


def test_broker_killed(lab, tmp_path):
    async def main():
        async with Broker(tmp_path) as broker:
            here = Heard()
            transport = MqttTransport(gateway_end(broker), here)
            try:
                await transport.connect()
                broker.kill()
                assert (await asyncio.wait_for(here.fallen, 20)).code == "E-LINK-LOST"
                with pytest.raises(LinkError):
                    transport.publish(f"{ROOT}/reading", b"1")
            finally:
                await transport.close()

    lab.once(main())


def test_larger_than_the_broker_takes(lab, tmp_path):
    async def main():
        async with Broker(tmp_path, settings=("max_packet_size 2000",)) as broker:
            transport = MqttTransport(gateway_end(broker), Heard())
            try:
                await transport.connect()
                transport.publish(f"{ROOT}/reading", bytes(1_800))
                with pytest.raises(TooLargeError, match="2100 bytes"):
                    transport.publish(f"{ROOT}/reading", bytes(2_100))
            finally:
                await transport.close()

    lab.once(main())


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x20\x03\x00\x87\x00", bytes(range(256))]
)
def test_server_that_speaks_no_tls(lab, tmp_path, answer):
    async def main():
        broker = Broker(tmp_path)

        async def speak(_, writer):
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(speak, broker.host, broker.port)
        async with server:
            error = await refusal(gateway_end(broker))
            assert error.code in {"E-TLS-FAILED", "E-LINK-UNREACHABLE"}

    lab.once(main())


@pytest.mark.parametrize(
    "answer", [b"\x20\x03\x00\x87\x00", b"\x20\x03\x00\xfe\x00", b"\xff" * 8, b"\x20\xff\xff\xff\x7f"]
)
def test_server_that_speaks_tls_and_garbage(lab, tmp_path, answer):
    async def main():
        broker = Broker(tmp_path)

        async def speak(_, writer):
            writer.write(answer)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(speak, broker.host, broker.port, ssl=server_tls(broker))
        async with server:
            error = await refusal(gateway_end(broker))
            assert error.code in {"E-LINK-GARBLED", "E-LINK-LOST", "E-LINK-UNAUTHORISED"}
            await asyncio.sleep(0.05)

    lab.once(main())


@pytest.mark.parametrize("deed", ["tcp", "tls"])
def test_cancelled_while_connecting_leaves_nothing(lab, tmp_path, deed):
    """A host that never answers: the SYN is dropped (full backlog), or TLS is."""

    async def main():
        broker = Broker(tmp_path)
        with socket.socket() as silent:
            silent.bind((broker.host, free_port()))
            silent.listen(0)
            fillers = []
            if deed == "tcp":
                for _ in range(3):
                    filler = socket.socket()
                    filler.setblocking(False)
                    filler.connect_ex(silent.getsockname())
                    fillers.append(filler)
            transport = MqttTransport(gateway_end(broker, port=silent.getsockname()[1]), Heard())
            connecting = asyncio.create_task(transport.connect())
            await asyncio.sleep(0.2)
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            began_s = asyncio.get_running_loop().time()
            await transport.close()
            assert asyncio.get_running_loop().time() - began_s < 1.0, "the wait was interrupted, not sat out"
            for filler in fillers:
                filler.close()
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("mqtt-")]

    lab.once(main())


@pytest.mark.parametrize("answer", [b"", b"\x20\x03\x00\x00\x00"])
def test_broker_that_does_not_answer_is_given_up(lab, tmp_path, monkeypatch, answer):
    """TLS stands, and then: no word at all, or a connection but never a subscription."""
    monkeypatch.setattr(mqtt, "ANSWER_S", 0.3)

    async def main():
        broker = Broker(tmp_path)
        gone = asyncio.Event()

        async def speak(reader, writer):
            writer.write(answer)
            await reader.read()
            writer.close()
            gone.set()

        server = await asyncio.start_server(speak, broker.host, broker.port, ssl=server_tls(broker))
        async with server:
            assert (await refusal(gateway_end(broker))).code == "E-LINK-UNANSWERED"
            await gone.wait()

    lab.once(main())


def test_a_disk_that_hangs_over_a_certificate_holds_up_this_line_alone(lab, tmp_path):
    async def main():
        broker = Broker(tmp_path)
        hanging = tmp_path / "hanging.pem"
        os.mkfifo(hanging)
        connecting = asyncio.create_task(refusal(gateway_end(broker, ca=hanging)))
        await asyncio.sleep(0.1)
        assert not connecting.done(), "the loop goes on, the line waits"
        hanging.write_bytes(b"")
        assert (await connecting).code == "E-TLS-FILE"

    lab.once(main())
