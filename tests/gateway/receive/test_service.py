import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from gateway.errors import Exit, UserFacingError
from gateway.receive import service
from gateway.receive.service import Receiver, ReceiverSettings
from gateway.receive.store import arrivals
from gateway.uplink.dialects import plantgate_1
from gateway.uplink.mqtt import Endpoint, MqttTransport
from hil.broker import Broker
from hil.pki import Authority

ROOT = "plantgate/1/site/gateway"


def settings_at(broker, store, **more):
    credentials = broker.receivers["receiver"]
    given = {
        "recipient": "receiver",
        "host": broker.host,
        "port": broker.port,
        "ca": broker.authority.ca_file,
        "certificate": credentials.certificate,
        "private_key": credentials.key,
        "store": store,
    }
    return ReceiverSettings(**{**given, **more})


def journal(seq, text="x"):
    return (
        b'{"schema":"plantgate/1","msg_id":"gateway/s/journal/%d","gateway_id":"gateway","site_id":"site",'
        b'"lane":"journal","seq":%d,"kind":"operator","replay":"live","items":[{"text":"%s"}]}'
        % (seq, seq, text.encode())
    )


class Gateway:
    """A gateway's end of the line, and nothing more."""

    def __init__(self, broker):
        self.receipts = []
        self.transport = MqttTransport(
            Endpoint(
                broker.host,
                broker.port,
                broker.authority.ca_file,
                broker.gateway.certificate,
                broker.gateway.key,
                "gateway",
                (f"{ROOT}/receipt/receiver",),
            ),
            self,
        )

    def received(self, topic, payload):
        self.receipts.append(plantgate_1.parse_receipt(payload))

    def delivered(self, handle, verdict, reason):
        pass

    def down(self, error):
        pass

    @property
    def accepted(self):
        return [key for receipt in self.receipts for key in receipt.accepted]

    async def says(self, payload, want):
        """Publish until the receiver has answered ``want`` (it may not be subscribed yet)."""
        async with asyncio.timeout(20):
            while not want():
                self.transport.publish(f"{ROOT}/journal", payload)
                await asyncio.sleep(0.05)


def test_receipt_only_after_it_is_stored(tmp_path):
    async def main():
        store = tmp_path / "r.db"
        async with Broker(tmp_path / "broker") as broker:
            stop = asyncio.Event()
            serving = asyncio.create_task(Receiver(settings_at(broker, store)).run(stop))
            gateway = Gateway(broker)
            await gateway.transport.connect()
            await gateway.says(journal(1), lambda: gateway.accepted)
            assert [one.key for one in arrivals(store)][:1] == ["gateway/s/journal/1"]
            await gateway.says(
                journal(1, "other"), lambda: any(receipt.rejected for receipt in gateway.receipts)
            )
            refused = next(receipt.rejected for receipt in gateway.receipts if receipt.rejected)[0]
            assert (refused.key, refused.item) == ("gateway/s/journal/1", None)
            gateway.transport.publish(f"{ROOT}/journal", b"garbage")
            await gateway.says(journal(2), lambda: "gateway/s/journal/2" in gateway.accepted)
            await gateway.transport.close()
            stop.set()
            await serving
        outcomes = {one.outcome for one in arrivals(store)}
        assert {"new", "conflict", "malformed"} <= outcomes

    asyncio.run(main())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("mqtt-", "receive-"))]


def test_broker_that_comes_back_finds_it_again(tmp_path):
    async def main():
        async with Broker(tmp_path / "broker") as broker:
            stop = asyncio.Event()
            serving = asyncio.create_task(Receiver(settings_at(broker, tmp_path / "r.db")).run(stop))
            for seq in (1, 2):
                gateway = Gateway(broker)
                await gateway.transport.connect()
                await gateway.says(journal(seq), lambda: gateway.accepted)  # noqa: B023 - awaited in the loop
                await gateway.transport.close()
                await broker.restart()
            stop.set()
            await serving

    asyncio.run(main())


def test_beyond_its_bound_it_leaves_messages_to_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr(service, "INBOX_BYTES", 1_000)

    async def main():
        receiver = Receiver(ReceiverSettings("r", "h", 1, tmp_path, tmp_path, tmp_path, tmp_path / "r.db"))
        for _ in range(10):
            receiver.received("topic", bytes(300))
        assert len(receiver._inbox) == 3

    asyncio.run(main())


def test_refusal_ends_it_with_words(tmp_path):
    async def main():
        stranger = Authority(tmp_path / "other", "Stranger")
        async with Broker(tmp_path / "broker") as broker:
            settings = settings_at(broker, tmp_path / "r.db", ca=stranger.ca_file)
            with pytest.raises(UserFacingError) as caught:
                await Receiver(settings).run(asyncio.Event())
            assert caught.value.code == "E-TLS-CA"
            assert caught.value.exit_code == Exit.ENVIRONMENT
            assert "CA" in caught.value.line("zh")

    asyncio.run(main())


PROGRAM = """
import sys
from pathlib import Path
from gateway.receive.service import ReceiverSettings, run
recipient, host, port, ca, certificate, key, store = sys.argv[1:]
sys.exit(run(ReceiverSettings(recipient, host, int(port), Path(ca), Path(certificate), Path(key), Path(store)), "en"))
"""


def start(settings):
    places = [settings.ca, settings.certificate, settings.private_key, settings.store]
    words = [settings.recipient, settings.host, str(settings.port), *map(str, places)]
    return subprocess.Popen([sys.executable, "-c", PROGRAM, *words], stderr=subprocess.PIPE, text=True)


def test_process_stops_on_sigterm(tmp_path):
    async def main():
        async with Broker(tmp_path / "broker") as broker:
            process = start(settings_at(broker, tmp_path / "r.db"))
            gateway = Gateway(broker)
            await gateway.transport.connect()
            await gateway.says(journal(1), lambda: gateway.accepted)
            await gateway.transport.close()
            process.send_signal(signal.SIGTERM)
            _, said = await asyncio.to_thread(process.communicate, timeout=10)
            assert process.returncode == 0, said

    asyncio.run(main())


@pytest.mark.parametrize("trouble", ["folder", "certificate"])
def test_process_says_what_keeps_it_from_serving(tmp_path, trouble):
    broker = Broker(tmp_path / "broker")
    settings = settings_at(broker, tmp_path / ("none/r.db" if trouble == "folder" else "r.db"))
    if trouble == "certificate":
        os.truncate(settings.certificate, 0)
    process = start(settings)
    _, said = process.communicate(timeout=20)
    assert process.returncode == Exit.ENVIRONMENT
    assert "Traceback" not in said
    assert ("E-RECEIVE-STORE" if trouble == "folder" else "E-TLS-FILE") in said
