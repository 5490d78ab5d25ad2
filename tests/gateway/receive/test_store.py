import hashlib
import json
import os
import sqlite3

import orjson
import pytest

from buffer.record import Record, leaf_hash
from gateway.codec import decode, encode_item
from gateway.errors import Exit, UserFacingError
from gateway.instant import ClockState
from gateway.receive.store import Arrived, Store, arrivals
from gateway.uplink.dialects import load
from gateway.uplink.message import Context

CONTEXT = Context("gw", "site", "spool", "volatile", lambda *_: None)


def arrival(lane, seq, item, replay="live", received_ns=1, jpeg=b""):
    kind = {"journal": "operator"}.get(lane, lane)
    body = encode_item(kind, item, ClockState("synchronised", 0.1), "rev")
    record = Record(lane, seq, 10**18, body, leaf_hash(body))
    message = load("plantgate/1", CONTEXT).encode(record, decode(body), replay, jpeg=jpeg)
    return Arrived(message.topic, message.payload, received_ns)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "r.db")
    yield made
    made.close()


def rows(tmp_path, query):
    connection = sqlite3.connect(tmp_path / "r.db")
    found = connection.execute(query).fetchall()
    connection.close()
    return found


def test_new_redelivered_conflict_and_malformed(store, tmp_path):
    first = arrival("journal", 1, {"a": 1})
    late = arrival("journal", 1, {"a": 1}, "backfill")
    other = arrival("journal", 1, {"a": 2})
    judged = store.commit([first, first, late, other, Arrived("x", b"garbage", 1)])
    assert [one.outcome for one in judged] == ["new", "redelivered", "redelivered", "conflict", "malformed"]
    log = list(arrivals(tmp_path / "r.db"))
    assert [one.n for one in log] == [1, 2, 3, 4, 5]
    assert [one.payload for one in log] == [first.payload, first.payload, first.payload, other.payload, b""]
    assert len({one.sha256 for one in log[:3]}) == 1
    assert log[3].sha256 != log[0].sha256


def test_what_is_committed_is_there_after_a_reopening(tmp_path):
    store = Store(tmp_path / "r.db")
    store.commit([arrival("journal", 1, {})])
    store.close()
    store = Store(tmp_path / "r.db")
    assert store.commit([arrival("journal", 1, {})])[0].outcome == "redelivered"
    store.close()
    assert rows(tmp_path, "PRAGMA journal_mode") == [("wal",)]


def test_alarm_shows_its_latest_change_whatever_the_order(store, tmp_path):
    def change(seq, change_no, active):
        item = {"alarm_id": "LT/high@1", "change_no": change_no, "point_id": "LT", "active": active}
        return arrival("alarm", seq, item)

    store.commit([change(1, 1, True), change(3, 3, False), change(2, 2, True)])
    assert rows(tmp_path, "SELECT alarm_id, change_no, active FROM alarm") == [("LT/high@1", 3, 0)]


def test_a_picture_given_up_before_a_redelivery_is_no_other_content(store, tmp_path):
    jpeg = b"\xff\xd8\xff\xd9"
    item = {"sha256": hashlib.sha256(jpeg).hexdigest()}
    whole, bare = arrival("snapshot", 1, item, jpeg=jpeg), arrival("snapshot", 1, item, "backfill")
    other = arrival("snapshot", 1, item, jpeg=b"\xff\xd8 another \xff\xd9")
    assert [one.outcome for one in store.commit([whole, bare, other])] == ["new", "redelivered", "conflict"]
    assert [one.payload for one in arrivals(tmp_path / "r.db")] == [
        whole.payload,
        whole.payload,
        other.payload,
    ]
    bare_first = [arrival("snapshot", 2, item), arrival("snapshot", 2, item, jpeg=jpeg)]
    assert [one.outcome for one in store.commit(bare_first)] == ["new", "redelivered"]
    assert list(arrivals(tmp_path / "r.db"))[-1].payload == bare_first[1].payload, "the picture is kept"
    assert rows(tmp_path, "SELECT size_bytes FROM snapshot") == [(4,), (4,)]


def test_snapshot_and_status(store, tmp_path):
    store.commit([arrival("snapshot", 1, {"sha256": "00"}, jpeg=b"\xff\xd8\xff\xd9")])
    assert rows(tmp_path, "SELECT size_bytes FROM snapshot") == [(4,)]
    dialect = load("plantgate/1", CONTEXT)
    for state in ("online", "offline"):
        assert store.commit([Arrived(dialect.status_topic(), dialect.status("province", state), 5)]) == []
    store.commit([Arrived(dialect.status_topic(), dialect.status("bureau", "online"), 5)])
    store.commit([Arrived("plantgate/1/site/gw/status", b"garbage", 6)])
    assert rows(tmp_path, "SELECT * FROM status") == [
        ("site", "gw", "province", "offline", 5),
        ("site", "gw", "bureau", "online", 5),
    ]


def nested(depth):
    return {"a": nested(depth - 1)} if depth else {}


ODD = [
    ("alarm", {"items": [{"change_no": "x"}, "no object"]}),
    ("alarm", {"items": [{"change_no": 2**63, "alarm_id": None}]}),
    ("alarm", {"items": [{"change_no": -1, "point_id": [], "alarm_id": 7}]}),
    ("alarm", {"items": [nested(400)]}),
    ("alarm", {"created_at": nested(900), "replay": 5, "durable": "yes"}),
    ("alarm", {"kind": "sample", "scans": [{}], "items": None}),
    ("alarm", {"kind": "sample", "scans": [{}], "items": 5}),
    ("snapshot", {"items": [{"id": "1"}, {"id": "2"}]}),
]


@pytest.mark.parametrize(("lane", "odd"), ODD)
def test_odd_content_is_stored_like_any_other(store, lane, odd):
    """Whatever one gateway sends, the receiver serves the others on."""
    good = arrival(lane, 1, {})
    text = good.payload if lane == "alarm" else good.payload[4:]
    changed = json.dumps({**orjson.loads(text), **odd}).encode()
    payload = changed if lane == "alarm" else len(changed).to_bytes(4, "big") + changed
    judged = store.commit([Arrived(good.topic, payload, 1), arrival("journal", 1, {})])
    assert [one.outcome for one in judged] == ["new", "new"]


@pytest.mark.parametrize(
    "odd",
    [
        {"seq": 2**63, "msg_id": f"gw/spool/alarm/{2**63}"},
        {"site_id": ["site"]},
        {"site_id": "s" * 65_500},
    ],
)
def test_what_no_database_or_answer_takes_is_malformed_and_nothing_else_is_held_up(store, odd):
    envelope = {**orjson.loads(arrival("alarm", 1, {}).payload), **odd}
    topic = f"plantgate/1/{envelope['site_id']}/gw/alarm"
    judged = store.commit([Arrived(topic, orjson.dumps(envelope), 1), arrival("journal", 1, {})])
    assert [one.outcome for one in judged] == ["malformed", "new"]


@pytest.mark.parametrize("state", [["online"], {"a": 1}, None])
def test_a_status_that_is_none_disturbs_nobody(store, state):
    fields = {"schema": "plantgate/1", "site_id": "site", "gateway_id": "gw", "state": state}
    assert store.commit([Arrived("plantgate/1/site/gw/status", orjson.dumps(fields), 1)]) == []


def test_disk_full_is_said_and_nothing_is_half_stored(store, tmp_path):
    store.commit([arrival("journal", 1, {})])
    pages = store._db.conn.execute("PRAGMA page_count").fetchone()[0]
    store._db.conn.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(UserFacingError) as caught:
        store.commit([arrival("snapshot", seq, {}, jpeg=os.urandom(100_000)) for seq in range(1, 5)])
    assert caught.value.exit_code == Exit.ENVIRONMENT
    assert len(list(arrivals(tmp_path / "r.db"))) == 1


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_unusable_file(tmp_path, content):
    path = tmp_path / ("r.db" if content else "missing/r.db")
    if content:
        path.write_bytes(content)
    with pytest.raises(UserFacingError) as caught:
        Store(path)
    assert caught.value.exit_code == Exit.ENVIRONMENT
    assert str(path) in caught.value.line("zh")


def test_newer_file_is_left_alone(tmp_path):
    connection = sqlite3.connect(tmp_path / "r.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(UserFacingError, match="newer"):
        Store(tmp_path / "r.db")
