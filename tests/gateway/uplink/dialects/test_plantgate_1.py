import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.record import Record, leaf_hash
from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Scan
from gateway.codec import Body, decode, encode_item, encode_samples
from gateway.instant import ClockState
from gateway.uplink.dialects import exists, load, plantgate_1
from gateway.uplink.message import Context, DialectError, PointNames, Receipt, Rejection

GOLDEN = Path(__file__).parents[1] / "golden"
T0 = 1_795_318_260_123_456_789
CLOCK = ClockState("synchronised", 0.5)
LISTS = {
    ("rev1", "plc1"): PointNames(("LT-101", "TT-101", "罐区/PT-101"), ("%", "℃", "MPa")),
    ("rev1", "gas"): PointNames(("GD-1", "GD-2"), ("%LEL", "%LEL")),
}
CONTEXT = Context("gw-1", "site-1", "0123456789abcdef", "feedface", lambda rev, device: LISTS[rev, device])


def record(lane, seq, body):
    return Record(lane, seq, T0, body, leaf_hash(body))


def reading():
    plc = Scan(
        "plc1",
        "rev1",
        np.array([0, 1, 2], np.uint16),
        np.array([80.1, -0.0, np.nan]),
        np.array([GOOD, quality(Status.UNCERTAIN, Cause.CALIBRATION), bad(Cause.COMM)], np.uint8),
        T0,
        0,
    )
    gas = Scan(
        "gas",
        "rev1",
        np.array([0, 1], np.uint16),
        np.array([0.1 + 0.2, 25.0]),
        np.full(2, GOOD, np.uint8),
        T0 + 1_000_000,
        0,
        np.array([T0 - 5_000_000, 0], np.int64),
    )
    return record("reading", 7, encode_samples([plc, gas], CLOCK, "rev1"))


def exact():
    plc = Scan(
        "plc1",
        "rev1",
        np.array([0, 1, 2], np.uint16),
        np.array([2.0**64, 4.0, np.nan]),
        np.array([quality(Status.UNCERTAIN, Cause.OVER_RANGE), GOOD, bad(Cause.MAINTENANCE)], np.uint8),
        T0,
        0,
        exact={0: 2**64 - 1, 1: "V1.2"},
    )
    history = replace(
        plc,
        exact=None,
        history=True,
        source_ns=np.full(3, T0 - 60_000_000_000),
        values=np.array([1.0, 2.5, np.nan]),
    )
    return record("reading", 8, encode_samples([plc, history], CLOCK, "rev1"))


def said(one, replay="live", **more):
    return load("plantgate/1", CONTEXT).encode(one, decode(one.body), replay, **more)


ALARM = {
    "alarm_id": "LT-101/high@1",
    "transition": "raise",
    "level": {"start": "H", "worst": "HH"},
    "value": 86.5,
}
VECTORS = {
    "reading.json": lambda: said(reading()),
    "exact.json": lambda: said(exact()),
    "alarm.json": lambda: said(record("alarm", 3, encode_item("alarm", ALARM, CLOCK, "rev1")), "backfill"),
    "volatile.json": lambda: said(
        record("alarm", 1, encode_item("alarm", ALARM, ClockState("unsynchronised"), "rev1")), durable=False
    ),
    "gap.json": lambda: said(
        record("journal", 9, encode_item("gap", {"lane": "reading", "dropped": 4}, CLOCK, "rev1"))
    ),
    "snapshot.bin": lambda: said(
        record("snapshot", 2, encode_item("snapshot", {"id": "s1", "size_bytes": 4}, CLOCK, "rev1")),
        jpeg=b"\xff\xd8\xff\xd9",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_golden_vectors_never_change(name):
    assert VECTORS[name]().payload == (GOLDEN / name).read_bytes()


def test_reading_columns():
    envelope = orjson.loads(said(reading()).payload)
    plc, gas = envelope["scans"]
    assert plc["value"] == [80.1, -0.0, None]
    assert plc["quality"] == ["good", "uncertain", "bad"]
    assert plc["cause"] == ["none", "calibration", "comm"]
    assert plc["unit"] == ["%", "℃", "MPa"]
    assert plc["t_gateway"] == "2026-11-22T03:31:00.123Z"
    assert "t_source" not in plc
    assert gas["quality"] == "good"
    assert gas["unit"] == "%LEL"
    assert gas["t_source"] == ["2026-11-22T03:31:00.118Z", None]
    assert b"0.30000000000000004" in said(reading()).payload


def test_texts_long_whole_numbers_and_history():
    plc, history = orjson.loads(said(exact()).payload)["scans"]
    assert plc["value"] == [18_446_744_073_709_551_615, "V1.2", None]
    assert plc["quality"] == ["uncertain", "good", "bad"]
    assert plc["cause"] == ["over_range", "none", "maintenance"]
    assert "history" not in plc
    assert history["history"] is True
    assert history["value"] == [1.0, 2.5, None]
    assert history["t_source"][0] == "2026-11-22T03:30:00.123Z"


def test_same_columns_are_written_from_memory_and_stay_right():
    dialect = load("plantgate/1", CONTEXT)
    one = reading()
    first = dialect.encode(one, decode(one.body), "live").payload
    assert dialect.encode(one, decode(one.body), "live").payload == first
    assert len(dialect._points) == 2


def test_memory_of_columns_is_bounded(monkeypatch):
    monkeypatch.setattr(plantgate_1, "MEMO_ENTRIES", 3)
    dialect = load("plantgate/1", CONTEXT)
    for rows in range(1, 4):
        for start in range(4 - rows):
            points = np.arange(start, start + rows, dtype=np.uint16)
            scan = Scan("plc1", "rev1", points, np.zeros(rows), np.full(rows, GOOD, np.uint8), T0, 0)
            one = record("reading", 1, encode_samples([scan], CLOCK, "rev1"))
            names = orjson.loads(dialect.encode(one, decode(one.body), "live").payload)["scans"][0][
                "point_id"
            ]
            assert names == list(LISTS["rev1", "plc1"].names[start : start + rows])
            assert len(dialect._points) <= 3


def test_unknown_point_list_is_an_error_of_this_record():
    scan = Scan("gone", "rev0", np.zeros(1, np.uint16), np.zeros(1), np.full(1, GOOD, np.uint8), T0, 0)
    one = record("reading", 1, encode_samples([scan], CLOCK, "rev0"))
    with pytest.raises(DialectError, match="gw-1/0123456789abcdef/reading/1"):
        said(one)


def test_index_beyond_the_point_list_is_an_error_of_this_record():
    scan = Scan("gas", "rev1", np.array([5], np.uint16), np.zeros(1), np.full(1, GOOD, np.uint8), T0, 0)
    with pytest.raises(DialectError):
        said(record("reading", 1, encode_samples([scan], CLOCK, "rev1")))


def test_header_without_item_is_an_error():
    with pytest.raises(DialectError):
        load("plantgate/1", CONTEXT).encode(record("journal", 1, b"x"), Body("gap", {}), "live")


def test_parse_message_reads_what_encode_says():
    message = said(reading(), "backfill")
    incoming = plantgate_1.parse_message(message.topic, message.payload)
    assert (incoming.key, incoming.lane, incoming.seq) == (message.key, "reading", 7)
    picture = VECTORS["snapshot.bin"]()
    assert plantgate_1.parse_message(picture.topic, picture.payload).jpeg == b"\xff\xd8\xff\xd9"


def test_replay_is_no_part_of_the_content():
    live, late = said(reading()), said(reading(), "backfill")
    assert live.payload != late.payload
    contents = {plantgate_1.parse_message(one.topic, one.payload).content for one in (live, late)}
    assert len(contents) == 1
    other = live.payload.replace(b"80.1", b"80.2")
    assert plantgate_1.parse_message(live.topic, other).content not in contents


def test_replay_is_no_part_of_a_snapshots_content_either_though_its_header_grows():
    one = record("snapshot", 3, encode_item("snapshot", {"id": "cam1@1"}, CLOCK, "rev1"))
    live, late = said(one, jpeg=b"\xff\xd8"), said(one, "backfill", jpeg=b"\xff\xd8")
    assert live.payload[:4] != late.payload[:4]
    contents = {plantgate_1.parse_message(each.topic, each.payload).content for each in (live, late)}
    assert len(contents) == 1
    other = said(one, jpeg=b"\xff\xd9")
    assert plantgate_1.parse_message(other.topic, other.payload).content not in contents


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("msg_id", "gw-1/s/reading/8"),
        ("seq", 0),
        ("seq", True),
        ("lane", "alarm"),
        ("site_id", "x"),
        ("scans", []),
    ],
)
def test_parse_message_refuses_what_contradicts_itself(field, value):
    message = said(reading())
    envelope = {**orjson.loads(message.payload), field: value}
    with pytest.raises(DialectError):
        plantgate_1.parse_message(message.topic, orjson.dumps(envelope))


@given(st.binary(max_size=200), st.sampled_from(["reading", "snapshot", "status", "x"]))
def test_garbage_is_never_a_message(payload, lane):
    with pytest.raises(DialectError):
        plantgate_1.parse_message(f"plantgate/1/site-1/gw-1/{lane}", payload)


def test_receipt_round_trip():
    receipt = Receipt("province", ("a/b/reading/1",), (Rejection("a/b/alarm/2", 0, "no such point"),))
    assert plantgate_1.parse_receipt(plantgate_1.encode_receipt(receipt, T0)) == receipt


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
GOOD_KEYS = ["g/s/reading/1", "g/s/reading/2"]


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "schema": st.just("plantgate/1") | JSON,
            "recipient": st.just("province") | JSON,
            "accepted": st.lists(st.sampled_from(GOOD_KEYS) | JSON, max_size=3) | JSON,
            "rejected": JSON
            | st.lists(st.fixed_dictionaries({"msg_id": st.just("k"), "item": JSON, "reason": JSON})),
        },
    )
)
def test_only_clear_receipts_acknowledge(fields):
    try:
        receipt = plantgate_1.parse_receipt(orjson.dumps(fields))
    except DialectError:
        return
    assert fields["schema"] == "plantgate/1"
    assert list(receipt.accepted) == fields["accepted"]
    assert all(isinstance(key, str) and key for key in receipt.accepted)
    assert len(receipt.rejected) == len(fields["rejected"])


@given(st.binary(max_size=300))
def test_garbage_is_never_a_receipt(payload):
    with pytest.raises(DialectError):
        plantgate_1.parse_receipt(payload)


@given(st.data())
def test_a_damaged_receipt_never_acknowledges_another_key(data):
    keys = tuple(f"gw/spool/reading/{n}" for n in range(1, 4))
    good = bytearray(plantgate_1.encode_receipt(Receipt("province", keys), T0))
    cut = data.draw(st.integers(0, len(good)))
    with pytest.raises(DialectError):
        plantgate_1.parse_receipt(bytes(good[:cut]) if cut < len(good) else bytes(good) + b"}")


@pytest.mark.parametrize(
    "fields",
    [
        {"accepted": ["k"] * 1001, "rejected": []},
        {"accepted": ["k" * 257], "rejected": []},
        {"accepted": ["k"], "rejected": [{"msg_id": "k", "item": None, "reason": "no"}]},
        {"accepted": [], "rejected": [{"msg_id": "k", "item": True, "reason": "no"}]},
    ],
)
def test_receipts_are_bounded_and_consistent(fields):
    with pytest.raises(DialectError):
        plantgate_1.parse_receipt(orjson.dumps({"schema": "plantgate/1", "recipient": "p", **fields}))


def test_oversized_receipt():
    with pytest.raises(DialectError, match="bytes"):
        plantgate_1.parse_receipt(b" " * (plantgate_1.MAX_RECEIPT_BYTES + 1))


def test_status():
    dialect = load("plantgate/1", CONTEXT)
    told = plantgate_1.parse_status(dialect.status_topic(), dialect.status("province", "online"))
    assert told == ("site-1", "gw-1", "province", "online")
    with pytest.raises(DialectError):
        plantgate_1.parse_status("plantgate/1/site-1/other/status", dialect.status("province", "online"))
    with pytest.raises(DialectError, match="recipient"):
        plantgate_1.parse_status(
            dialect.status_topic(), dialect.status("", "online").replace(b'"recipient":"",', b"")
        )


def test_snapshot_head_beyond_the_message():
    with pytest.raises(DialectError, match="longer"):
        plantgate_1.parse_message("plantgate/1/s/g/snapshot", struct.pack(">I", 99) + b"{}")


@pytest.mark.parametrize("name", ["plantgate/2", "../plantgate", "plantgate_1", "os", ""])
def test_unknown_dialect(name):
    assert not exists(name)
    with pytest.raises(DialectError):
        load(name, CONTEXT)
