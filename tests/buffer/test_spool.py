"""The spool on a real SQLite file: what is written, found again, given up, refused."""

from __future__ import annotations

import os
import shutil
import sqlite3
from dataclasses import replace

import pytest
from spoolkit import RECIPIENTS, SMALL, append, as_killed, gap_body, gap_in

from buffer.cursor import Position
from buffer.errors import (
    DiskError,
    RecordDamagedError,
    SpoolBusyError,
    SpoolCorruptError,
    SpoolFolderError,
    SpoolNewerError,
)
from buffer.record import LANES, Append, Draft, leaf_hash
from buffer.settings import Resume, SpoolSettings
from buffer.spool import SCHEMA_VERSION, Spool

DAY_NS = 86_400 * 10**9


@pytest.fixture
def path(tmp_path):
    return tmp_path / "spool.db"


@pytest.fixture
def opened(path):
    spools = []

    def opened(settings=SMALL, recipients=RECIPIENTS, at=path, **more):
        spools.append(Spool.open(at, settings, recipients, gap_body, **more))
        return spools[-1]

    yield opened
    for spool in spools:
        spool.close()


def everything(spool, lane, from_seq=1):
    return spool.read(lane, from_seq, 10**6, 10**9).records


def test_a_new_spool(opened, path):
    spool = opened()
    assert len(spool.spool_id) == 16
    assert int(spool.spool_id, 16)
    assert spool.heads == dict.fromkeys(LANES, 0)
    assert (spool.quarantined, spool.unclean, spool.pregrown, spool.last_ns()) == (None, False, True, 0)
    wal = path.with_name("spool.db-wal")
    assert wal.stat().st_size == SMALL.wal_pregrow_bytes
    conn = sqlite3.connect(path)
    assert conn.execute("PRAGMA page_size").fetchone() == (1024,)
    assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    conn.close()


def test_what_was_appended_is_found_again(opened):
    spool = opened()
    written = spool.append_many(
        [
            append("reading", b"r1" * 400, b"", created_ns=5, state={"engine": b"one"}),
            Append((Draft("alarm", 7, b"a1"), Draft("reading", 8, b"r3")), {"alarms": b"H"}),
        ],
        {("province", "reading"): Position(1, ((3, 3),))},
    )
    assert [(r.lane, r.seq) for one in written for r in one] == [
        ("reading", 1), ("reading", 2), ("alarm", 1), ("reading", 3),
    ]  # fmt: skip
    spool.append_many([append("alarm", b"a2", state={"engine": None})])
    spool_id, positions = spool.spool_id, spool.positions
    spool.close()
    spool = opened()
    assert not spool.unclean
    assert (spool.spool_id, spool.positions) == (spool_id, positions)
    assert spool.positions["province", "reading"] == Position(1, ((3, 3),))
    assert everything(spool, "reading") == (*written[0], written[1][1])
    assert [record.leaf for record in everything(spool, "alarm")] == [leaf_hash(b"a1"), leaf_hash(b"a2")]
    assert spool.state() == {"alarms": b"H"}
    assert spool.last_ns() == 8
    assert spool.next_leaf_no == 5


def test_pages_of_a_lane(opened):
    spool = opened()
    spool.append_many([append("reading", *(bytes([n]) * 100 for n in range(20)))])
    page = spool.read("reading", 3, 4, 10**6)
    assert ([r.seq for r in page.records], page.next_seq) == ([3, 4, 5, 6], 7)
    assert len(spool.read("reading", 3, 40, 350).records) == 3
    assert len(spool.read("reading", 3, 40, 1).records) == 1
    assert [r.seq for r in spool.read("reading", 3, 40, 10**6, up_to_seq=4).records] == [3, 4]
    nothing = spool.read("reading", 21, 4, 100)
    assert (nothing.records, nothing.next_seq) == ((), 21)


def test_a_failed_transaction_leaves_nothing(opened):
    spool = opened()
    spool.append_many([append("reading", b"kept")])
    with pytest.raises(DiskError):
        spool.append_many([append("reading", b"lost"), append("alarm", b"lost", created_ns=None)])
    assert spool.heads["reading"] == 1
    assert spool.append_many([append("reading", b"next")])[0][0].seq == 2
    assert [r.body for r in everything(spool, "reading")] == [b"kept", b"next"]


def test_as_a_kill_leaves_it(opened, path, tmp_path):
    spool = opened()
    spool.append_many([append("reading", b"x" * 50, state={"k": b"v"})])
    again = opened(at=as_killed(path, tmp_path / "killed"))
    assert again.unclean
    assert everything(again, "reading") == everything(spool, "reading")
    assert again.state() == {"k": b"v"}


def test_a_torn_end_of_the_log_costs_only_the_torn_commit(opened, path, tmp_path):
    spool = opened()
    for n in range(5):
        spool.append_many([append("alarm", bytes([n]) * 300)])
    killed = as_killed(path, tmp_path / "torn")
    wal = killed.with_name("spool.db-wal")
    content = bytearray(wal.read_bytes())
    torn = content.rindex(leaf_hash(bytes([4]) * 300))
    content[torn : torn + 20] = os.urandom(20)
    wal.write_bytes(content)
    again = opened(at=killed)
    assert again.quarantined is None
    assert [r.seq for r in everything(again, "alarm")] == [1, 2, 3, 4]


def test_a_hundred_reopenings_keep_the_counts(opened):
    spool_id = None
    for n in range(100):
        spool = opened()
        spool_id = spool_id or spool.spool_id
        assert spool.spool_id == spool_id
        assert spool.heads["reading"] == n
        spool.append_many([append("reading", b"%d" % n)], {("bureau", "reading"): Position(n // 2)})
        spool.close()
    spool = opened()
    assert [r.body for r in everything(spool, "reading")] == [b"%d" % n for n in range(100)]
    assert spool.positions["bureau", "reading"] == Position(49)


def test_recipients_come_and_go(opened):
    spool = opened(recipients=("province",))
    spool.append_many(
        [append("reading", *[b"x" * 50] * 10, created_ns=1)], {("province", "reading"): Position(10)}
    )
    spool.append_many([append("reading", b"y", created_ns=200 * DAY_NS)])
    assert spool.purge(120 * DAY_NS).up_to == {"reading": 10}
    spool.append_many(
        [append("reading", b"z", created_ns=200 * DAY_NS)], {("province", "reading"): Position(12)}
    )
    spool.close()
    spool = opened(recipients=("bureau",))
    assert spool.positions["bureau", "reading"] == Position(10), "it starts at the oldest kept record"
    spool.append_many([], {("bureau", "reading"): Position(12)})
    assert spool.purge(400 * DAY_NS).up_to == {"reading": 11}
    spool.close()
    assert opened(recipients=("province", "bureau")).positions["province", "reading"] == Position(12)


def test_nothing_unsettled_leaves_by_age(opened):
    spool = opened()
    spool.append_many([append("reading", *[b"x"] * 5, created_ns=1)], {("province", "reading"): Position(5)})
    assert spool.purge(10_000 * DAY_NS).up_to == {}


def test_giving_up_unsettled_readings_is_declared_in_the_same_transaction(opened, path, tmp_path):
    settings = replace(SMALL, quota_bytes=200 << 10, reserve_bytes=20 << 10)
    spool = opened(settings)
    for n in range(200):
        spool.append_many([append("reading", os.urandom(2_000), created_ns=n + 1)])
    spool.append_many([append("alarm", b"alarm")])
    trace = []
    spool._conn.set_trace_callback(lambda sql: trace.append(sql.split()[0]))
    purged = spool.purge(1_000)
    spool._conn.set_trace_callback(None)
    assert trace.count("COMMIT") == 1
    assert trace.index("DELETE") < trace.index("INSERT") < trace.index("COMMIT")
    gap = gap_in(purged.declared[0])
    last = purged.up_to["reading"]
    assert gap == {
        "lane": "reading", "first_seq": 1, "last_seq": last, "from_ns": 1, "to_ns": last,
        "cause": "quota", "dropped": last,
    }  # fmt: skip
    while purged.more:
        purged = spool.purge(1_000)
    assert spool.usage().used_bytes <= settings.quota_bytes
    assert spool.usage().used_bytes > settings.quota_bytes // 2, "no more is given up than needed"
    assert len(everything(spool, "alarm")) == 1
    again = opened(settings, at=as_killed(path, tmp_path / "killed"))
    assert [gap_in(r)["last_seq"] for r in everything(again, "journal")][:1] == [last]
    assert all(again.positions[name, "reading"].low >= last for name in RECIPIENTS)


def test_by_quota_alone_nothing_ages_and_the_stamp_is_the_time_of_now(opened):
    settings = replace(SMALL, quota_bytes=200 << 10, reserve_bytes=20 << 10)
    spool = opened(settings, recipients=("province",))
    spool.append_many([append("alarm", b"a", b"b", created_ns=1)], {("province", "alarm"): Position(2)})
    for n in range(150):
        spool.append_many([append("reading", os.urandom(2_000), created_ns=n + 1)])
    purged = spool.purge(1_000 * DAY_NS, by_age=False)
    assert list(purged.up_to) == ["reading"], "old and settled, but the clock may not say so"
    assert [record.created_ns for record in purged.declared] == [1_000 * DAY_NS]
    assert spool.purge(1_000 * DAY_NS).up_to["alarm"] == 1


def test_a_number_is_not_given_twice_after_all_went(opened):
    spool = opened(recipients=())
    spool.append_many([append("alarm", *[b"x"] * 3)])
    spool.purge(1_000 * DAY_NS)
    spool.close()
    spool = opened(recipients=())
    assert spool.append_many([append("alarm", b"y")])[0][0].seq == 4


def test_a_tally_spares_adding_up_a_whole_lane(opened, monkeypatch):
    monkeypatch.setattr("buffer.spool.TALLY_EVERY", 10)
    spool = opened(recipients=())
    for n in range(25):
        spool.append_many([append("reading", os.urandom(100 + n), created_ns=n)])
    before = spool.lanes["reading"].stored_bytes
    spool.close()
    spool = opened(recipients=())
    assert spool._conn.execute("SELECT counted_to FROM tally WHERE lane = 'reading'").fetchone() == (20,)
    assert spool.lanes["reading"].stored_bytes == before
    spool.purge(1_000 * DAY_NS)
    left = spool.lanes["reading"].stored_bytes
    spool.close()
    assert opened(recipients=()).lanes["reading"].stored_bytes == left < 300


def test_only_one_process_holds_a_spool(opened, path):
    opened()
    with pytest.raises(SpoolBusyError, match="another process"):
        Spool.open(path, SMALL, RECIPIENTS, gap_body)


def test_a_newer_spool_is_refused_and_untouched(opened, path):
    opened().close()
    conn = sqlite3.connect(path)
    conn.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    conn.close()
    before = path.read_bytes()
    with pytest.raises(SpoolNewerError, match="newer version"):
        opened()
    assert path.read_bytes() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["spool.db", "spool.db.lock"]


def test_a_folder_that_is_not_there(opened, tmp_path):
    with pytest.raises(SpoolFolderError, match="create it"):
        opened(at=tmp_path / "nowhere" / "spool.db")


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param(lambda _: b"this is no database" * 100, id="no database"),
        pytest.param(lambda content: content[:1_000] + bytes(5_000) + content[6_000:], id="zeroed pages"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut in half"),
        pytest.param(lambda content: content[:-9_000] + os.urandom(9_000), id="noise at the end"),
        pytest.param(lambda content: content[:40], id="cut in the header"),
    ],
)
def test_a_damaged_file_is_set_aside(opened, path, wrong):
    spool = opened()
    spool.append_many([append("reading", os.urandom(5_000), os.urandom(5_000))])
    spool_id = spool.spool_id
    spool.close()
    path.write_bytes(wrong(path.read_bytes()))
    damaged = path.read_bytes()
    spool = opened()
    assert spool.quarantined is not None
    assert spool.quarantined.read_bytes() == damaged
    assert spool.spool_id != spool_id
    assert spool.append_many([append("reading", b"fresh")])[0][0].seq == 1


def test_set_aside_spools_are_bounded(opened, path):
    for _ in range(5):
        path.write_bytes(b"no database")
        opened().close()
    assert len([p for p in path.parent.iterdir() if "quarantine" in p.name]) == 2


def test_a_damaged_record_is_named(opened):
    spool = opened()
    spool.append_many([append("reading", b"one", b"two", b"three", created_ns=9)])
    spool._conn.execute("UPDATE reading SET leaf = zeroblob(32) WHERE seq = 2")
    assert [r.seq for r in spool.read("reading", 1, 9, 99).records] == [1], "the sound ones first"
    with pytest.raises(RecordDamagedError, match="reading/2") as damaged:
        spool.read("reading", 2, 9, 99)
    assert (damaged.value.seq, damaged.value.created_ns) == (2, 9)


@pytest.mark.parametrize("running", [False, True])
def test_a_damaged_newest_record_costs_only_itself(opened, running):
    spool = opened()
    spool.append_many([append("reading", *[b"sound" * 50] * 499), append("reading", b"damaged" * 50)])
    spool._conn.execute("UPDATE reading SET leaf = zeroblob(32) WHERE seq = 500")
    resume = resume_of(spool) if running else None
    spool.close()
    spool = opened(resume=resume)
    assert spool.quarantined is None
    assert spool.heads["reading"] == 500
    assert len(everything(spool, "reading")) == 499
    with pytest.raises(RecordDamagedError, match="reading/500"):
        spool.read("reading", 500, 9, 99)
    assert spool.append_many([append("reading", b"next")])[0][0].seq == 501


@pytest.mark.parametrize("damage", ["low = 'x'", "ranges = x'80'"])
def test_a_damaged_position_means_sending_again(opened, damage):
    spool = opened()
    spool.append_many([append("alarm", b"x")], {("province", "alarm"): Position(1)})
    spool.close()
    conn = sqlite3.connect(spool._path)
    conn.execute("DROP TABLE position")
    conn.execute("CREATE TABLE position (recipient, lane, low, ranges, PRIMARY KEY (recipient, lane))")
    conn.execute("INSERT INTO position VALUES ('province', 'alarm', 1, x'')")
    conn.execute(f"UPDATE position SET {damage}")
    conn.commit()
    conn.close()
    spool = opened()
    assert spool.quarantined is None
    assert spool.positions["province", "alarm"] == Position()


def test_a_missing_table_sets_the_file_aside(opened, path):
    opened().close()
    conn = sqlite3.connect(path)
    conn.execute("DROP TABLE position")
    conn.close()
    assert opened().quarantined is not None


def resume_of(spool):
    return Resume(spool.spool_id, spool.heads, spool.next_leaf_no, spool.last_ns())


def test_reopening_while_running_wants_the_very_same_spool(opened, path):
    spool = opened()
    resume = resume_of(spool)
    spool.close()
    aside = path.with_name("aside")
    path.rename(aside)
    with pytest.raises(DiskError, match="gone"):
        opened(resume=resume)
    assert not path.exists(), "nothing is made on a naked mount point"
    opened().close()
    with pytest.raises(DiskError, match="another spool"):
        opened(resume=resume)
    path.write_bytes(b"no database")
    with pytest.raises(SpoolCorruptError):
        opened(resume=resume)
    shutil.copy(aside, path)
    assert opened(resume=resume).spool_id == resume.spool_id


def test_a_commit_reported_as_failed_is_undone_at_reopening(opened):
    spool = opened()
    spool.append_many([append("reading", b"one", b"two")])
    resume = resume_of(spool)
    spool.append_many([append("reading", b"three"), append("alarm", b"H")])
    spool.close()
    spool = opened(resume=resume)
    assert (spool.heads["reading"], spool.heads["alarm"], spool.next_leaf_no) == (2, 0, 2)
    spool.append_many([append("reading", b"three")])
    assert [r.body for r in everything(spool, "reading")] == [b"one", b"two", b"three"]


def test_a_disk_that_lost_what_it_had_acknowledged(opened, path, tmp_path):
    spool = opened()
    spool.append_many([append("reading", b"one", created_ns=5)])
    lost = as_killed(path, tmp_path / "lost")
    spool.append_many([append("reading", b"two", b"three")])
    again = opened(at=lost, resume=resume_of(spool))
    gap = gap_in(everything(again, "journal")[0])
    assert (gap["first_seq"], gap["last_seq"], gap["cause"], gap["dropped"]) == (2, 3, "disk", 2)
    assert again.append_many([append("reading", b"four")])[0][0].seq == 4, "no key is given twice"


def lost_and_reopened(spool, path, opened, tmp_path):
    """Two readings and an alarm that were acknowledged are gone; nothing else was appended since."""
    spool.append_many([append("reading", b"one", created_ns=5)])
    lost = as_killed(path, tmp_path / "lost")
    spool.append_many(
        [append("reading", b"two", b"three", created_ns=8), append("alarm", b"H", created_ns=9)]
    )
    return lost, resume_of(spool), opened(at=lost, resume=resume_of(spool))


def test_numbers_a_disk_lost_are_not_given_again_after_a_restart(opened, path, tmp_path):
    lost, _, again = lost_and_reopened(opened(), path, opened, tmp_path)
    leaf_no = again.next_leaf_no
    for _ in range(2):
        again.close()
        again = opened(at=lost)
        assert (again.heads["reading"], again.heads["alarm"], again.next_leaf_no) == (3, 1, leaf_no)
        assert again.positions["province", "alarm"] == Position(1), "nobody waits for what is gone"
        assert again.positions["province", "reading"] == Position(0, ((2, 3),))
    again.append_many([], {(name, "reading"): Position(3) for name in RECIPIENTS})
    while again.purge(1_000 * DAY_NS).more:
        pass
    assert again.lanes["reading"].oldest == 0, "all that was left is old and settled"
    again.close()
    again = opened(at=lost)
    assert again.append_many([append("reading", b"four"), append("alarm", b"HH")])[0][0].seq == 4
    assert again.heads["alarm"] == 2


def test_a_loss_is_declared_once_and_when_the_declaration_was_not_acknowledged_again(opened, path, tmp_path):
    lost, before, again = lost_and_reopened(opened(), path, opened, tmp_path)
    assert [record.seq for record in again.declared] == [1, 2]
    gaps = [gap_in(record) for record in again.declared]
    assert [(gap["lane"], gap["from_ns"], gap["to_ns"]) for gap in gaps] == [
        ("alarm", 9, 9),
        ("reading", 5, 9),
    ]
    assert {record.created_ns for record in again.declared} == {9}, "never 1970"
    declared = resume_of(again)
    again.close()
    again = opened(at=lost, resume=declared)
    assert (again.declared, again.heads["journal"]) == ((), 2)
    again.append_many([append("reading", b"reported as failed")])
    again.close()
    again = opened(at=lost, resume=declared)
    assert (again.declared, again.heads["reading"]) == ((), 3)
    again.close()
    again = opened(at=lost, resume=before)
    assert [gap_in(record) for record in again.declared] == gaps, "its record was undone"
    assert [gap_in(record) for record in everything(again, "journal")] == gaps


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="30 days"):
        SpoolSettings(retention_s=29 * 86_400)
    with pytest.raises(ValueError, match="below quota"):
        SpoolSettings(quota_bytes=10, reserve_bytes=10)
