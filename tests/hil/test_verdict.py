"""The judgement put to the test on a real run: every kind of harm must be seen."""

import contextlib
import copy
import shutil
import sqlite3

import orjson
import pytest
import zstandard

from hil.verdict import judge_site


@pytest.fixture
def site(finished, tmp_path):
    """The finished site with a copy of the province's store to do harm to."""
    harmed = copy.copy(finished[0])
    harmed.stores = dict(harmed.stores, province=tmp_path / "province.db")
    shutil.copy(finished[0].stores["province"], harmed.stores["province"])
    return harmed


@contextlib.contextmanager
def store(site):
    with contextlib.closing(sqlite3.connect(site.stores["province"])) as connection, connection:
        yield connection


def first_reading(connection, newest=False):
    order = "DESC" if newest else "ASC"
    query = f"SELECT key, payload FROM message WHERE lane = 'reading' ORDER BY seq {order}"
    for key, packed in connection.execute(query):
        envelope = orjson.loads(zstandard.ZstdDecompressor().decompress(packed))
        if any(scan["device"] == "plc1" and scan["value"][0] is not None for scan in envelope["scans"]):
            return key, envelope
    raise AssertionError("no reading arrived")


def packed(envelope):
    return zstandard.ZstdCompressor().compress(orjson.dumps(envelope))


def test_both_recipients_got_everything_that_was_answered(finished):
    judgement = judge_site(finished[0])
    for delivery in judgement.deliveries.values():
        assert delivery.clean, delivery.count.examples
        assert delivery.acknowledged == judgement.values_read
    assert judgement.values_recorded == judgement.values_read > 100
    assert judgement.reads_seen > 0


def test_the_gateway_only_reads_and_one_planted_write_is_seen_on_each_link(finished):
    site, clean, _ = finished
    assert clean == (0, 0)
    judgement = judge_site(site)
    assert (judgement.modbus_writes_seen, judgement.opcua_write_services_seen) == (1, 1)
    assert judgement.figures()["verdict"] == "fail"
    assert any("writes seen" in problem for problem in judgement.problems())


def test_a_message_that_did_not_arrive_is_a_loss(site):
    with store(site) as connection:
        key, envelope = first_reading(connection)
        connection.execute("DELETE FROM arrival WHERE key = ?", (key,))
    values = sum(value is not None for scan in envelope["scans"] for value in scan["value"])
    assert judge_site(site).deliveries["province"].count.lost == values


def test_a_value_that_changed_on_its_way_is_seen(site):
    with store(site) as connection:
        key, envelope = first_reading(connection)
        scan = next(
            scan for scan in envelope["scans"] if scan["device"] == "plc1" and scan["value"][0] is not None
        )
        scan["value"][3] += 0.5
        connection.execute("UPDATE message SET payload = ? WHERE key = ?", (packed(envelope), key))
    delivery = judge_site(site).deliveries["province"]
    assert delivery.altered == 1
    assert not delivery.clean


def test_the_same_reading_under_a_second_key_is_a_duplicate(site):
    with store(site) as connection:
        key, envelope = first_reading(connection, newest=True)
        connection.execute(
            "INSERT INTO message SELECT key || '0', site_id, gateway_id, lane, seq, kind, created_at, replay,"
            " durable, sha256, received_ns, payload FROM message WHERE key = ?",
            (key,),
        )
        connection.execute(
            "INSERT INTO arrival (key, sha256, received_ns, outcome)"
            " SELECT key || '0', sha256, received_ns, 'new' FROM arrival WHERE key = ?",
            (key,),
        )
    values = sum(value is not None for scan in envelope["scans"] for value in scan["value"])
    assert judge_site(site).deliveries["province"].count.duplicates == values


def test_a_reading_nobody_answered_is_an_invention(site):
    with store(site) as connection:
        key, envelope = first_reading(connection)
        scan = next(
            scan for scan in envelope["scans"] if scan["device"] == "plc1" and scan["value"][0] is not None
        )
        scan["value"][0] += 1_000_000
        connection.execute("UPDATE message SET payload = ? WHERE key = ?", (packed(envelope), key))
    count = judge_site(site).deliveries["province"].count
    assert count.unknown == 51
    assert count.lost == 51


def test_what_falls_into_a_promised_window_may_be_missing_and_is_counted(site):
    with store(site) as connection:
        key, _ = first_reading(connection)
        connection.execute("DELETE FROM arrival WHERE key = ?", (key,))
    whole_run = [(0, site.cut_ns)]
    delivery = judge_site(site, whole_run).deliveries["province"]
    assert delivery.count.lost == 0
    assert delivery.excused_lost > 0
