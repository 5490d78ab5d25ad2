import asyncio
import hashlib
import random
import resource
import signal
import sqlite3
import ssl
import time
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from buffer.files import SnapshotFiles
from buffer.record import Append, Record, leaf_hash
from gateway.receive.service import Receiver, ReceiverSettings
from gateway.uplink import link
from gateway.uplink.dialects import plantgate_1
from gateway.uplink.encoder import Encoder
from gateway.uplink.message import Receipt, Rejection
from gateway.uplink.mqtt import MqttTransport
from hil.broker import Broker
from hil.pki import WRONG_HOST, Authority, Validity


class Answering:
    """A recipient whose answers a test decides."""

    def __init__(self, broker, answer):
        self.keys = []
        self._answer = answer
        helper = Receiver(_settings(broker))
        self._transport = MqttTransport(helper._endpoint(), self)

    def received(self, topic, payload):
        if topic.endswith("/status"):
            return
        incoming = plantgate_1.parse_message(topic, payload)
        self.keys.append(incoming.key)
        answer = self._answer(incoming.key)
        if answer is not None:
            payload = answer if isinstance(answer, bytes) else plantgate_1.encode_receipt(answer, 0)
            self._transport.publish(plantgate_1.receipt_topic_of(topic, "receiver"), payload)

    def delivered(self, handle, verdict, reason):
        pass

    def down(self, error):
        pass


def _settings(broker):
    credentials = broker.receivers["receiver"]
    return ReceiverSettings(
        "receiver",
        broker.host,
        broker.port,
        broker.authority.ca_file,
        credentials.certificate,
        credentials.key,
        broker.folder / "unused.db",
    )


@asynccontextmanager
async def answering(broker, answer):
    recipient = Answering(broker, answer)
    try:
        await recipient._transport.connect()
        yield recipient
    finally:
        await recipient._transport.close()


def accept(key):
    return Receipt("receiver", (key,))


def test_everything_of_every_lane_is_settled_by_receipts(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.receiving(lab.receiver_at(broker, tmp_path / "r.db")),
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            jpeg = b"\xff\xd8 a tank \xff\xd9"
            name = hashlib.sha256(jpeg).hexdigest()
            house.pictures.store(jpeg)
            await house.append(*(lab.reading(n) for n in range(1, 21)))
            house.start()
            for n in range(21, 31):
                await house.append(
                    lab.reading(n),
                    lab.item("alarm", n),
                    lab.item("journal", n),
                    lab.item("snapshot", n, sha256=name),
                )
            await house.append(lab.item("snapshot", 31, sha256="0" * 64))
            await lab.until(lambda: house.backlog() == 0)
            status = house.senders[0].status()
            assert status["state"] == "connected"
            assert status["last_acknowledged_at"] == "2026-11-22T03:31:31.123Z"
            assert house.senders[0].silent_s(0) == 0
        store = tmp_path / "r.db"
        assert sorted(lab.seqs(store, "reading")) == list(range(1, 31))
        for lane in ("alarm", "journal"):
            assert lab.seqs(store, lane) == list(range(1, 11))
        assert lab.seqs(store, "snapshot") == list(range(1, 12))
        pictures = [one.payload for one in lab.arrived(store) if "/snapshot/" in one.key]
        assert all(payload.endswith(jpeg) for payload in pictures[:-1])
        assert pictures[-1].endswith(b"}"), "a picture that is gone goes out as its header alone"

    lab.once(main())


def test_positions_survive_a_restart(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.receiving(lab.receiver_at(broker, tmp_path / "r.db")),
        ):
            for begin in (1, 11):
                async with lab.house(tmp_path, lab.recipient_at(broker)) as house:
                    house.start()
                    for n in range(begin, begin + 10):
                        await house.append(lab.reading(n))
                    await lab.until(lambda: house.backlog() == 0)
        assert sorted(lab.seqs(tmp_path / "r.db", "reading")) == list(range(1, 21))
        assert lab.arrived(tmp_path / "r.db", "redelivered") == []

    lab.once(main())


def test_puback_settles_only_where_somebody_is_subscribed(lab, tmp_path):
    async def main():
        async with Broker(tmp_path / "broker") as broker:
            recipient = lab.recipient_at(broker, acknowledged_by="puback")
            async with lab.house(tmp_path, recipient) as house:
                house.start()
                await house.append(*(lab.reading(n) for n in range(1, 41)))
                await lab.until(lambda: house.senders[0].state == "connected")
                await asyncio.sleep(0.3)
                assert house.backlog() == 40
                async with answering(broker, lambda _: None) as there:
                    await lab.until(lambda: house.backlog() == 0 and len(there.keys) >= 40)
                    assert {int(key.split("/")[3]) for key in there.keys} == set(range(1, 41))

    lab.once(main())


def test_broker_killed_midway_loses_nothing_and_keeps_order(lab, tmp_path):
    async def main():
        store = tmp_path / "r.db"
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.receiving(lab.receiver_at(broker, store)),
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            house.start()
            await house.append(*(lab.reading(n) for n in range(1, 301)))
            for n in range(301, 361):
                await house.append(lab.reading(n))
                if n in {310, 330}:
                    await asyncio.sleep(0.2)
                    broker.kill()
                    await asyncio.sleep(0.1)
                    await broker.restart()
                await asyncio.sleep(0.01)
            await lab.until(lambda: house.backlog() == 0, 60)
        got = lab.arrived(store)
        assert sorted(lab.seqs(store, "reading")) == list(range(1, 361))
        assert lab.arrived(store, "conflict") == []
        assert lab.arrived(store, "malformed") == []
        for replay in (b'"replay":"live"', b'"replay":"backfill"'):
            order = [int(one.key.split("/")[3]) for one in got if replay in one.payload]
            assert order == sorted(order)

    lab.once(main())


def test_lost_receipts_bring_the_same_keys_again(lab, tmp_path):
    async def main():
        dice = random.Random(4)
        stored = []

        def forgetful(key):
            if key not in stored:
                stored.append(key)
            return accept(key) if dice.random() < 0.6 else None

        async with (
            Broker(tmp_path / "broker") as broker,
            answering(broker, forgetful) as there,
            lab.house(tmp_path, lab.recipient_at(broker, receipt_timeout_s=0.1)) as house,
        ):
            await house.append(*(lab.reading(n) for n in range(1, 31)))
            house.start()
            await lab.until(lambda: house.backlog() == 0, 60)
            assert [int(key.split("/")[3]) for key in stored] == list(range(1, 31))
            assert len(there.keys) > 30

    lab.once(main())


def test_garbage_and_foreign_receipts_settle_nothing(lab, tmp_path):
    answers = [
        lambda _: b"\x00garbage",
        lambda _: b'{"schema":"plantgate/1"',
        lambda key: Receipt("somebody else", (key,)),
        lambda key: Receipt("receiver", (key.replace("/1", "/2"),)),
    ]

    async def main():
        turn = iter(answers)

        def nonsense(key):
            return next(turn, accept)(key)

        async with (
            Broker(tmp_path / "broker") as broker,
            answering(broker, nonsense) as there,
            lab.house(tmp_path, lab.recipient_at(broker, receipt_timeout_s=0.2)) as house,
        ):
            await house.append(lab.reading(1))
            house.start()
            await lab.until(lambda: house.backlog() == 0)
            assert len(there.keys) == len(answers) + 1

    lab.once(main())


def test_recipient_that_comes_late_gets_everything_in_order(lab, tmp_path):
    async def main():
        store = tmp_path / "r.db"
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            house.start()
            await house.append(*(lab.reading(n) for n in range(1, 101)))
            await lab.until(lambda: house.senders[0].state == "connected")
            for n in range(101, 131):
                await house.append(lab.reading(n))
            async with lab.receiving(lab.receiver_at(broker, store)):
                await lab.until(lambda: house.backlog() == 0, 30)
        got = lab.arrived(store)
        assert len(got) == 130
        for replay in (b'"replay":"live"', b'"replay":"backfill"'):
            order = [int(one.key.split("/")[3]) for one in got if replay in one.payload]
            assert order == sorted(order)

    lab.once(main())


def test_rejected_is_kept_apart_and_what_follows_goes_on(lab, tmp_path):
    async def main():
        def picky(key):
            if key.endswith("/3"):
                return Receipt("receiver", (), (Rejection(key, None, "no such point"),))
            if key.endswith("/4"):
                return Receipt("receiver", (key,), (Rejection(key, 0, "value out of range"),))
            return accept(key)

        async with (
            Broker(tmp_path / "broker") as broker,
            answering(broker, picky),
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            house.start()
            await house.append(*(lab.reading(n) for n in range(1, 7)))
            await lab.until(lambda: house.backlog() == 0)
            assert [(name, key[-2:], reason) for name, key, reason in house.rejected] == [
                ("receiver", "/3", "no such point"),
                ("receiver", "/4", "item 0: value out of range"),
            ]
            assert house.senders[0].status()["rejected"] == 2

    lab.once(main())


def test_what_cannot_be_said_or_is_too_large_does_not_stop_the_rest(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker", settings=("max_packet_size 3000",)) as broker,
            answering(broker, accept),
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            house.start()
            await house.append(
                lab.item("journal", 1), lab.item("journal", 2, note="x" * 4_000), lab.item("journal", 3)
            )
            await house.append(lab.reading(1), lab.reading(2, rows=4), lab.reading(3))
            await lab.until(lambda: house.backlog() == 0)
            assert sorted(key.split("/")[-2:] for _, key, _ in house.rejected) == [
                ["journal", "2"],
                ["reading", "2"],
            ]

    lab.once(main())


@pytest.mark.parametrize("case", ["expired", "host", "ca", "acl"])
def test_refusal_is_named_and_nothing_is_settled(lab, tmp_path, case):
    async def main():
        authority = Authority(tmp_path / "other", "Other")
        server = {
            "expired": lambda: authority.server(validity=Validity.EXPIRED),
            "host": lambda: authority.server(hosts=WRONG_HOST),
            "ca": authority.server,
            "acl": lambda: None,
        }[case]()
        async with Broker(tmp_path / "broker", server=server) as broker:
            files = {"ca": authority.ca_file} if case in {"expired", "host"} else {}
            if case == "acl":
                stranger = broker.authority.client("stranger")
                files = {"certificate": stranger.certificate, "private_key": stranger.key}
            async with lab.house(tmp_path, lab.recipient_at(broker, **files)) as house:
                await house.append(lab.reading(1))
                house.start()
                await lab.until(lambda: house.senders[0].state == "unauthorised")
                sender = house.senders[0]
                codes = {
                    "expired": "E-TLS-EXPIRED",
                    "host": "E-TLS-HOST",
                    "ca": "E-TLS-CA",
                    "acl": "E-LINK-UNAUTHORISED",
                }
                assert sender.detail == codes[case]
                status = sender.status()
                assert status["backlog"]["reading"] == 1
                assert status["next_retry_s"] > 100
                assert set(status["detail"]) == {"zh", "en"}
                await lab.until(lambda: sender.status()["backlog_oldest_at"] == "2026-11-22T03:31:01.123Z")

    lab.once(main())


def test_one_dead_recipient_leaves_the_other_alone(lab, tmp_path):
    async def main():
        async with Broker(tmp_path / "p") as province, Broker(tmp_path / "b") as bureau:
            province.kill()
            async with (
                lab.receiving(lab.receiver_at(bureau, tmp_path / "r.db")),
                lab.house(
                    tmp_path,
                    lab.recipient_at(province, name="province"),
                    lab.recipient_at(bureau, name="receiver"),
                ) as house,
            ):
                house.start()
                for n in range(1, 51):
                    await house.append(lab.reading(n))
                await lab.until(lambda: house.backlog(1) == 0)
                assert house.backlog(0) == 50
                assert house.senders[0].state == "waiting"
                assert house.senders[0].detail == "E-LINK-UNREACHABLE"
                assert house.senders[0].silent_s(10**18) > 0
        assert len(lab.seqs(tmp_path / "r.db", "reading")) == 50

    lab.once(main())


class BrokenAtFirst(Encoder):
    """An encoder with a planted defect that goes away."""

    defects = 2

    def message(self, *record, **more):
        if self.defects:
            self.defects -= 1
            raise RuntimeError("planted")
        return super().message(*record, **more)


def test_a_defect_in_one_sender_is_its_own_and_passes(lab, tmp_path, caplog):
    async def main():
        names = ("receiver", "other")
        async with (
            Broker(tmp_path / "p", receivers=names) as one,
            Broker(tmp_path / "b", receivers=names) as two,
            lab.receiving(lab.receiver_at(one, tmp_path / "r1.db")),
            lab.receiving(lab.receiver_at(two, tmp_path / "r2.db", "other")),
            lab.house(tmp_path, lab.recipient_at(one), lab.recipient_at(two, name="other")) as house,
        ):
            house.start()
            house.senders[1]._encoder = BrokenAtFirst("plantgate/1", house.context)
            await lab.until(lambda: [sender.state for sender in house.senders] == ["connected"] * 2)
            house.senders[1]._link._encoder = house.senders[1]._encoder
            await house.append(*(lab.reading(n) for n in range(1, 11)))
            await lab.until(lambda: house.backlog(0) == 0)
            await lab.until(lambda: house.backlog(1) == 0)
        assert lab.arrived(tmp_path / "r1.db", "redelivered") == []
        assert sorted(lab.seqs(tmp_path / "r2.db", "reading")) == list(range(1, 11))

    lab.once(main())
    assert sum("defect" in record.message for record in caplog.records) == 2


def test_alarms_go_before_the_backlog_and_live_before_backfill(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            await house.append(*(lab.reading(n) for n in range(1, 401)))
            await house.append(*(lab.item("alarm", n) for n in range(1, 21)))
            async with answering(broker, accept) as there:
                house.start()
                await lab.until(lambda: len(there.keys) > 60)
                await house.append(lab.reading(401), lab.item("alarm", 21))
                await lab.until(lambda: house.backlog() == 0)
                lanes = [key.split("/")[2:] for key in there.keys]
                alarms = [at for at, (lane, _) in enumerate(lanes) if lane == "alarm"]
                assert alarms[19] < 60, "20 alarms within the first messages, beside the backlog"
                live = lanes.index(["reading", "401"])
                assert live < len(lanes) - 200, "live did not wait for the backlog"
                assert alarms[20] < len(lanes) - 200

    lab.once(main())


def test_a_long_backlog_goes_in_pages(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            for begin in range(0, 5_000, 500):
                await house.append(*(lab.reading(begin + n) for n in range(1, 501)))
            most = 0

            def watch(key):
                nonlocal most
                held = house.senders[0]._link
                pages = sum(len(cursor.page) for cursor in held._cursors.values())
                most = max(most, pages + len(held._window))
                return accept(key)

            async with answering(broker, watch) as there:
                before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                house.start()
                await lab.until(lambda: house.backlog() == 0, 60)
                grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            assert len(there.keys) == 5_000
            assert most <= link.PAGE_RECORDS + 32
            assert grown_kib < 20_000

    lab.once(main())


def test_two_recipients_on_one_broker_leave_each_other_alone(lab, tmp_path):
    async def main():
        names = ("province", "bureau")
        async with (
            Broker(tmp_path / "broker", receivers=names) as broker,
            lab.receiving(lab.receiver_at(broker, tmp_path / "province.db", "province")),
            lab.receiving(lab.receiver_at(broker, tmp_path / "bureau.db", "bureau")),
            lab.house(tmp_path, *(lab.recipient_at(broker, name) for name in names)) as house,
        ):
            house.start()
            await lab.until(lambda: [one.state for one in house.senders] == ["connected"] * 2)
            links = [one._link for one in house.senders]
            for n in range(1, 31):
                await house.append(lab.reading(n))
                await asyncio.sleep(0.02)
            await lab.until(lambda: house.backlog(0) == house.backlog(1) == 0)
            assert [one._link for one in house.senders] == links, "each has its first connection still"
        for name in names:
            assert len(lab.seqs(tmp_path / f"{name}.db", "reading")) == 30
            connection = sqlite3.connect(tmp_path / f"{name}.db")
            assert connection.execute(
                "SELECT count(*) FROM status WHERE recipient = ?", (name,)
            ).fetchone() == (1,)
            connection.close()

    lab.once(main())


def test_a_refused_lane_is_named_and_stands_alone_until_it_is_let_in(lab, tmp_path):
    async def main():
        async with Broker(tmp_path / "broker") as broker:
            access = broker.folder / "mosquitto.acl"
            open_to_all = access.read_text()
            lanes = ["status", "reading", "snapshot", "alarm"]
            some = "\n".join(f"topic write plantgate/1/site/gateway/{lane}" for lane in lanes)
            access.write_text(open_to_all.replace("topic write plantgate/1/site/gateway/+", some))
            await broker.restart()
            async with (
                lab.receiving(lab.receiver_at(broker, tmp_path / "r.db")),
                lab.house(tmp_path, lab.recipient_at(broker)) as house,
            ):
                await house.append(*(lab.item("journal", n) for n in range(1, 51)))
                house.start()
                sender = house.senders[0]
                sender._window = replace(sender._window, refused_retry_s=0.5)
                await lab.until(lambda: sender.state == "unauthorised")
                first = sender._link
                for n in range(1, 41):
                    await house.append(lab.reading(n), lab.item("alarm", n))
                await lab.until(lambda: sender.backlog() == {"journal": 50})
                assert sender._link is first, "the line stood all the while"
                status = sender.status()
                assert (status["state"], status["code"]) == ("unauthorised", "E-LINK-UNAUTHORISED")
                assert all("journal" in status["detail"][language] for language in ("zh", "en"))
                assert status["next_retry_s"] is not None
                access.write_text(open_to_all)
                broker._tree.send_signal(signal.SIGHUP)
                await lab.until(lambda: not sender.backlog())
                assert (sender.state, sender.detail) == ("connected", "")
                assert sender._link is first
        assert lab.seqs(tmp_path / "r.db", "journal") == list(range(1, 51))

    lab.once(main())


@pytest.mark.parametrize("stuck", ["journal", "alarm", "backfill"])
def test_silence_is_counted_by_what_waits_longest(lab, tmp_path, stuck):
    """Whatever else is acknowledged: another lane, another alarm, live readings beside their backfill."""
    never = {"journal": "/journal/1", "alarm": "/alarm/2", "backfill": "/reading/1"}[stuck]

    async def main():
        def answer(key):
            return None if key.endswith(never) else accept(key)

        async with (
            Broker(tmp_path / "broker") as broker,
            answering(broker, answer) as there,
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            await house.append(lab.reading(1), lab.item("journal", 1), lab.item("alarm", 1))
            house.start()
            await lab.until(lambda: len({key.split("/")[2] for key in there.keys}) == 3)
            await house.append(lab.reading(2), lab.item("alarm", 2))
            await lab.until(lambda: any(key.endswith(never) for key in there.keys))
            began_s = asyncio.get_running_loop().time()
            for n in range(3, 23):
                await house.append(lab.reading(n), lab.item("alarm", n))
                await asyncio.sleep(0.05)
            await lab.until(lambda: house.backlog() == 1)
            waited_s = asyncio.get_running_loop().time() - began_s
            assert house.senders[0].silent_s(time.monotonic_ns()) >= waited_s > 1.0

    lab.once(main())


def test_silence_ends_with_what_waited_whether_taken_or_rejected_here(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker", settings=("max_packet_size 3000",)) as broker,
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            house.start()
            await house.append(lab.item("journal", 1, note="x" * 4_000), lab.reading(1))
            await asyncio.sleep(0.6)
            assert house.senders[0].silent_s(time.monotonic_ns()) > 0.5
            async with answering(broker, accept):
                await lab.until(lambda: house.backlog() == 0)
                assert house.senders[0].silent_s(time.monotonic_ns()) == 0
                await house.append(lab.item("journal", 2))
                assert house.senders[0].silent_s(time.monotonic_ns()) < 0.5
            sender = house.senders[0]
            sender.volatile(volatile_alarm(lab, 1))
            await asyncio.sleep(0.1)
            assert sender.silent_s(time.monotonic_ns()) > 0.05, "an alarm from memory is waited for like any"

    lab.once(main())


class Mute(Receiver):
    """It stores, and its receipts are lost."""

    def _answer(self, judged):
        pass


class Narrow:
    """A broker that allows two unconfirmed publishes and takes its time; mosquitto confirms at once."""

    ALLOWED = 2

    def __init__(self, slow_s):
        self.most = self.unconfirmed = 0
        self.keys = []
        self._slow_s = slow_s

    async def speak(self, reader, writer):
        try:
            while True:
                kind = (await reader.readexactly(1))[0]
                length, shift = 0, 0
                while True:
                    byte = (await reader.readexactly(1))[0]
                    length |= (byte & 127) << shift
                    shift += 7
                    if byte < 128:
                        break
                self._hear(kind, await reader.readexactly(length), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _hear(self, kind, packet, writer):
        if kind == 0x10:
            writer.write(b"\x20\x06\x00\x00\x03\x21" + self.ALLOWED.to_bytes(2, "big"))
        elif kind == 0x82:
            writer.write(b"\x90\x04" + packet[:2] + b"\x00\x01")
        elif kind & 0xF6 == 0x32:
            end = 2 + int.from_bytes(packet[:2], "big")
            self.unconfirmed += 1
            self.most = max(self.most, self.unconfirmed)
            topic, payload = packet[2:end].decode(), packet[end + 3 :]
            asyncio.get_running_loop().call_later(
                self._slow_s, self._confirm, packet[end : end + 2], topic, payload, writer
            )

    def _confirm(self, mid, topic, payload, writer):
        self.unconfirmed -= 1
        writer.write(b"\x40\x02" + mid)
        if not topic.endswith("/status"):
            self.keys.append(plantgate_1.parse_message(topic, payload).key)
            answer = plantgate_1.receipt_topic_of(topic, "receiver").encode()
            said = plantgate_1.encode_receipt(accept(self.keys[-1]), 0)
            rest = len(answer).to_bytes(2, "big") + answer + b"\x00" + said
            size = bytes([len(rest) & 127 | 128, len(rest) >> 7]) if len(rest) > 127 else bytes([len(rest)])
            writer.write(b"\x30" + size + rest)


@pytest.mark.parametrize("timeout_s", [10.0, 0.05])
def test_no_more_is_unconfirmed_than_the_broker_allows(lab, tmp_path, timeout_s):
    """With the short time-out messages go out again while the broker still has the first."""

    async def main():
        broker = Broker(tmp_path / "broker")
        own = broker.authority.server("own")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(own.certificate, own.key)
        narrow = Narrow(0.01 if timeout_s == 10.0 else 0.08)
        server = await asyncio.start_server(narrow.speak, broker.host, broker.port, ssl=tls)
        async with (
            server,
            lab.house(tmp_path, lab.recipient_at(broker, receipt_timeout_s=timeout_s)) as house,
        ):
            house.start()
            await lab.until(lambda: house.senders[0].state == "connected")
            await house.append(*(lab.reading(n) for n in range(1, 31)), lab.item("alarm", 1))
            await lab.until(lambda: house.backlog() == 0, 40)
            await house.stop_senders()
        assert narrow.most == Narrow.ALLOWED
        assert len(set(narrow.keys)) == 31

    lab.once(main())


def test_a_picture_given_up_before_its_redelivery_is_accepted_without(lab, tmp_path):
    async def main():
        store = tmp_path / "r.db"
        jpeg = b"\xff\xd8 a tank \xff\xd9"
        async with Broker(tmp_path / "broker") as broker:
            stop = asyncio.Event()
            mute = Mute(lab.receiver_at(broker, store))
            serving = asyncio.create_task(mute.run(stop))
            await lab.until(lambda: mute._transport is not None)
            async with lab.house(tmp_path, lab.recipient_at(broker)) as house:
                house.pictures.store(jpeg)
                house.start()
                await house.append(lab.item("snapshot", 1, sha256=hashlib.sha256(jpeg).hexdigest()))
                await lab.until(lambda: lab.seqs(store, "snapshot") == [1])
                await house.stop_senders()
                stop.set()
                await serving
                for path in (tmp_path / "pictures").rglob("*"):
                    if path.is_file():
                        path.unlink()
                house.start()
                async with lab.receiving(lab.receiver_at(broker, store)):
                    await lab.until(lambda: house.backlog() == 0)
                assert house.rejected == []
        assert lab.arrived(store, "conflict") == []
        assert [one.payload.endswith(jpeg) for one in lab.arrived(store)] == [True]

    lab.once(main())


def test_what_no_receiver_takes_is_rejected_here_and_the_largest_other_arrives(lab, tmp_path):
    """The bound is the dialect's, so the broker's silence about too large a packet is never met."""

    async def main():
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.receiving(lab.receiver_at(broker, tmp_path / "r.db")),
            lab.house(tmp_path, lab.recipient_at(broker, receipt_timeout_s=10.0)) as house,
        ):
            house.pictures = SnapshotFiles(tmp_path / "large", 64 << 20)
            house.start()
            bound = plantgate_1.MAX_MESSAGE_BYTES

            async def picture(n, size):
                jpeg = bytes(size)
                house.pictures.store(jpeg)
                await house.append(lab.item("snapshot", n, sha256=hashlib.sha256(jpeg).hexdigest()))

            await lab.until(lambda: house.senders[0].state == "connected")
            await picture(1, 1)
            await lab.until(lambda: house.backlog() == 0)
            overhead = len(lab.arrived(tmp_path / "r.db")[0].payload) - 1
            await picture(2, bound - overhead + 1)
            await picture(3, bound - overhead)
            await picture(4, 2)
            await lab.until(lambda: house.backlog() == 0)
            assert [(key, str(bound + 1) in reason) for _, key, reason in house.rejected] == [
                ("snapshot/2", True)
            ]
        assert lab.seqs(tmp_path / "r.db", "snapshot") == [1, 3, 4]
        assert len(lab.arrived(tmp_path / "r.db")[1].payload) == bound

    lab.once(main())


def volatile_alarm(lab, n):
    draft = lab.item("alarm", n)
    return Record("alarm", n, draft.created_ns, draft.body, leaf_hash(draft.body))


def test_alarms_from_memory_and_their_durable_copies(lab, tmp_path):
    async def main():
        hold = set()

        def answer(key):
            return None if key in hold else accept(key)

        async with (
            Broker(tmp_path / "broker") as broker,
            answering(broker, answer) as there,
            lab.house(tmp_path, lab.recipient_at(broker, receipt_timeout_s=0.3)) as house,
        ):
            house.start()
            sender = house.senders[0]
            await lab.until(lambda: sender.state == "connected")
            hold.add("gateway/volatile/alarm/2")
            for n in (1, 2):
                sender.volatile(volatile_alarm(lab, n))
            await lab.until(lambda: sender.status()["not_durable"] == 1 and len(there.keys) > 1)
            # The disk is back: 1 was acknowledged, 2 is on its way, 3 never went out.
            records = await house.spool.append(Append(tuple(lab.item("alarm", n) for n in (1, 2, 3))))
            sender.recovered({1: 1, 2: 2})
            sender.appended(records)
            await lab.until(lambda: "alarm/3" in " ".join(there.keys))
            assert sender.backlog() == {"alarm": 1}
            hold.clear()
            await lab.until(lambda: not sender.backlog())
            assert sender.status()["not_durable"] == 0
            durable = {key for key in there.keys if "volatile" not in key}
            assert [key[-8:] for key in durable] == ["/alarm/3"], "an alarm is told once"

    lab.once(main())


def test_alarms_from_memory_survive_the_line(lab, tmp_path):
    async def main():
        async with (
            Broker(tmp_path / "broker") as broker,
            lab.house(tmp_path, lab.recipient_at(broker)) as house,
        ):
            house.start()
            house.senders[0].volatile(volatile_alarm(lab, 1))
            await lab.until(lambda: house.senders[0].state == "connected")
            await broker.restart()
            async with answering(broker, accept) as there:
                await lab.until(lambda: house.senders[0].status()["not_durable"] == 0)
                assert set(there.keys) == {"gateway/volatile/alarm/1"}

    lab.once(main())


def test_stopped_at_random_moments_leaves_nothing(lab, tmp_path):
    """Thread, socket and task: ``once`` looks for what is left after each round."""
    dice = random.Random(11)

    async def round_of(folder, broker, seconds):
        async with (
            lab.receiving(lab.receiver_at(broker, folder / "r.db")),
            lab.house(folder, lab.recipient_at(broker)) as house,
        ):
            house.start()
            await house.append(*(lab.reading(n) for n in range(1, 200)))
            await asyncio.sleep(seconds)
            began_s = asyncio.get_running_loop().time()
            await house.stop_senders()
            assert asyncio.get_running_loop().time() - began_s < 5

    async def main():
        async with Broker(tmp_path / "broker") as broker:
            for n in range(25):
                folder = tmp_path / str(n)
                folder.mkdir()
                await round_of(folder, broker, dice.random() * 0.15)

    lab.once(main())
