"""A down channel: real certificates in real files; floods and forgeries cost a count, a log line and an alarm."""

import asyncio
import datetime as dt
import logging
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import NameOID

from gateway import downlink
from gateway.above import Answer
from gateway.clock import SystemClock
from gateway.downlink import Downlinks, signing_keys
from gateway.uplink.order import MAX_PAYLOAD_BYTES, Order, OrderRefusedError, content_of, sign, topic
from hil.pki import Authority, Validity

TO = "site/gw"
CLOCK = SystemClock()
P_256, SM2 = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")
V3, V9 = bytes.fromhex("a003020102"), bytes.fromhex("a003020108")
"""As they stand in a certificate: curves of its key, versions of its form."""


def order(name="W-1"):
    return Order("province", TO, name, "warning", "red", "液位", "", (), CLOCK.now().utc_ns)


class Channel:
    """A house with nothing but a down channel."""

    def __init__(self, folder, validity=Validity.CURRENT, state=None):
        self.pki = Authority(folder / "pki")
        self.credentials = self.pki.client("orders", validity=validity)
        self.key = load_pem_private_key(self.credentials.key.read_bytes(), None)
        self.entries = []
        certificates = {"province": self.credentials.certificate}
        self.links = Downlinks(certificates, TO, state or {}, self.entries.append, CLOCK.now)
        self.line = self.links.channels["province"]

    def post(self, one, key=None):
        self.line.post(topic(TO, "province", one.id), sign(content_of(one), key or self.key))

    def failure(self):
        [(name, failure)] = self.links.failures(CLOCK.now())
        assert name == "order-refused/province"
        return failure

    async def judged(self, until):
        task = asyncio.create_task(self.line.run())
        async with asyncio.timeout(20):
            while not until():
                await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait({task})


def test_a_good_one_is_recorded_shown_and_answered(tmp_path):
    async def story():
        house = Channel(tmp_path)
        house.post(order())
        house.line.post(topic(TO, "province", "W-1"), b"")  # the authority takes it from the broker
        await house.judged(lambda: house.entries)
        assert house.failure() == ""
        assert [seen["name"] for seen in house.links.view()] == ["province/W-1"]
        house.links.answer("li", Answer("W-1", "a", "b"))
        assert [entry.kind for entry in house.entries] == ["warning_received", "feedback"]

    asyncio.run(story())


def test_a_forged_one_is_an_alarm_until_a_good_one_comes(tmp_path, caplog):
    async def story():
        house = Channel(tmp_path)
        foreign = ec.generate_private_key(ec.SECP256R1())
        with caplog.at_level(logging.INFO, "plantgate.downlink"):
            for n in range(5):
                house.post(order(f"W-{n}"), foreign)
            await house.judged(lambda: house.line.refused == 5)
        assert len([r for r in caplog.records if "refused" in r.message]) == 1, "told once"
        assert "signature" in house.failure()
        assert house.links.view() == []
        house.links.journal_refusals(CLOCK.now())
        house.links.journal_refusals(CLOCK.now())
        [entry] = house.entries
        assert (entry.kind, entry.item["count"], entry.item["last_msg_id"]) == ("order_refused", 5, "W-4")
        house.post(order("W-9"))
        await house.judged(lambda: len(house.entries) == 2)
        assert house.failure() == ""

    asyncio.run(story())


def test_a_refusal_does_not_stand_for_ever(tmp_path):
    house = asyncio.run(_with_one_refusal(tmp_path))
    now = CLOCK.now()
    assert house.failure() != ""
    later = replace(now, mono_ns=now.mono_ns + int(downlink.REFUSED_STANDS_S * 1e9))
    assert list(house.links.failures(later)) == [("order-refused/province", "")]


async def _with_one_refusal(folder):
    house = Channel(folder)
    house.line.post("x", b"x" * (MAX_PAYLOAD_BYTES + 1))
    assert house.line.refused == 1
    return house


def test_a_flood_is_bounded_counted_and_names_no_foreign_word(tmp_path):
    async def story():
        house = Channel(tmp_path)
        for n in range(downlink.MAX_WAITING + 50):
            house.line.post(f"plantgate/1/site/gw/order/province/\x1b[31m{n}", b"noise")
        assert house.line.refused == 50
        assert "came at once" in house.failure()
        house.links.journal_refusals(CLOCK.now())
        assert house.entries[0].item["last_msg_id"] == ""

    asyncio.run(story())


def test_what_the_broker_refuses_is_said_until_it_lets_us_listen(tmp_path):
    async def story():
        house = Channel(tmp_path)
        house.line.deaf("Not authorized")
        assert "Not authorized" in house.failure()
        house.line.deaf("")
        assert house.failure() == ""

    asyncio.run(story())


@pytest.mark.parametrize("validity", [Validity.EXPIRED, Validity.NOT_YET])
def test_a_certificate_that_does_not_hold_now_signs_nothing(tmp_path, validity):
    async def story():
        house = Channel(tmp_path, validity)
        house.post(order())
        await house.judged(lambda: house.line.refused)
        assert "no valid P-256 certificate" in house.failure()
        assert house.entries == []

    asyncio.run(story())


def test_the_certificate_is_read_anew_so_that_an_authority_can_change_its_key(tmp_path):
    async def story():
        house = Channel(tmp_path)
        new = house.pki.client("orders-new")
        key = load_pem_private_key(new.key.read_bytes(), None)
        house.post(order("W-1"), key)
        await house.judged(lambda: house.line.refused)
        both = house.credentials.certificate.read_bytes() + new.certificate.read_bytes()
        house.credentials.certificate.write_bytes(both)
        house.post(order("W-2"), key)
        house.post(order("W-3"))
        await house.judged(lambda: len(house.entries) == 2)
        assert [entry.item["id"] for entry in house.entries] == ["W-2", "W-3"]

    asyncio.run(story())


def _certificate(key):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "orders")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1)
        .not_valid_before(now - dt.timedelta(1))
        .not_valid_after(now + dt.timedelta(1))
    )
    return builder.sign(key, SHA256())


def test_a_status_has_the_most_urgent_ones_without_their_texts(tmp_path, monkeypatch):
    monkeypatch.setattr(downlink, "MAX_BRIEF", 2)

    async def story():
        house = Channel(tmp_path)
        for n, colour in enumerate(("blue", "red", "yellow")):
            house.post(replace(order(f"W-{n}"), colour=colour, text="long"))
        await house.judged(lambda: len(house.entries) == 3)
        assert [(seen["colour"], "text" in seen) for seen in house.links.brief()] == [
            ("red", False),
            ("yellow", False),
        ]
        assert {seen["text"] for seen in house.links.view()} == {"long"}

    asyncio.run(story())


def test_which_files_give_keys(tmp_path):
    now = dt.datetime.now(dt.UTC)
    good = _certificate(ec.generate_private_key(ec.SECP256R1()))
    rsa_one = _certificate(rsa.generate_private_key(65_537, 2048))
    p384 = _certificate(ec.generate_private_key(ec.SECP384R1()))
    for form in (Encoding.PEM, Encoding.DER):
        (tmp_path / "good").write_bytes(good.public_bytes(form))
        assert len(signing_keys(tmp_path / "good", now)) == 1
    for content in (
        b"",
        b"-----BEGIN nothing",
        rsa_one.public_bytes(Encoding.PEM),
        p384.public_bytes(Encoding.PEM),
        good.public_bytes(Encoding.DER).replace(P_256, SM2),
        good.public_bytes(Encoding.DER).replace(V3, V9),
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(OrderRefusedError, match="orders_certificate"):
            signing_keys(tmp_path / "bad", now)
    with pytest.raises(OrderRefusedError, match="cannot be read"):
        signing_keys(tmp_path / "absent", now)


def test_a_state_that_cannot_be_read_goes_on_record_and_away(tmp_path):
    async def story():
        house = Channel(tmp_path, state={"above/province/W-1": b"torn"})
        house.links.begin()
        [entry] = house.entries
        assert (entry.kind, entry.state) == ("warnings_unreadable", {"above/province/W-1": None})

    asyncio.run(story())
