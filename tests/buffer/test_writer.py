"""The thread and its async face, on a real spool."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from spoolkit import RECIPIENTS, SMALL, append, as_killed, gap_body, gap_in

from buffer.cursor import Position
from buffer.errors import DiskError, QueueFullError, SpoolFolderError, SpoolNewerError
from buffer.record import Ack
from buffer.spool import Spool
from buffer.writer import SpoolWriter

DAY_NS = 86_400 * 10**9


def run(tmp_path, story, settings=SMALL, recipients=RECIPIENTS, on_declared=None):
    async def body():
        writer = SpoolWriter(tmp_path / "spool.db", settings, recipients, gap_body, on_declared=on_declared)
        opened = await writer.start()
        try:
            await story(writer, opened)
        finally:
            await writer.close()
        assert not [thread for thread in threading.enumerate() if thread.name == "spool"]

    asyncio.run(asyncio.wait_for(body(), 60))


def test_appends_are_resolved_in_order_and_are_on_record(tmp_path):
    async def story(writer, opened):
        assert opened.heads["reading"] == 0
        appends = [writer.append(append("reading", b"%d" % n, state={"n": b"%d" % n})) for n in range(50)]
        written = await asyncio.gather(*appends)
        assert [records[0].seq for records in written] == list(range(1, 51))
        found = Spool.open(as_killed(tmp_path / "spool.db", tmp_path / "k"), SMALL, (), gap_body)
        assert found.heads["reading"] == 50, "durable before the future resolved"
        assert found.state() == {"n": b"49"}
        found.close()
        page = await writer.read("reading", 40, 100, 10**6)
        assert [record.body for record in page.records] == [b"%d" % n for n in range(39, 50)]

    run(tmp_path, story)


def test_what_gathers_shares_a_commit(tmp_path):
    async def story(writer, _):
        await writer.append(append("alarm", b"first"))
        commits = []
        spool = writer._owner._spool
        real = spool.append_many

        def counted(works, positions=None):
            commits.append(len(works))
            return real(works, positions)

        spool.append_many = counted
        await asyncio.gather(*(writer.append(append("alarm", b"x")) for _ in range(200)))
        assert sum(commits) == 200
        assert len(commits) < 100

    run(tmp_path, story)


def test_reads_come_from_the_disk_when_memory_forgot(tmp_path):
    async def story(writer, _):
        for n in range(20):
            await writer.append(append("reading", b"%d" % n * 1_000))
        page = await writer.read("reading", 1, 100, 10**6)
        assert [record.seq for record in page.records] == list(range(1, 21))
        limited = await writer.read("reading", 3, 100, 10**6, up_to_seq=5)
        assert ([record.seq for record in limited.records], limited.next_seq) == ([3, 4, 5], 6)
        nothing = await writer.read("reading", 21, 10, 10**6)
        assert (nothing.records, nothing.next_seq) == ((), 21)

    run(tmp_path, story, replace(SMALL, cache_bytes=3_000))


def test_settlements_travel_with_the_next_commit_or_alone_after_a_while(tmp_path):
    async def story(writer, _):
        saved = []
        await writer.append(append("reading", *[b"x"] * 9))
        spool = writer._owner._spool
        real = spool.append_many

        def seen(works, positions=None):
            saved.append((len(works), dict(positions or {})))
            return real(works, positions)

        spool.append_many = seen
        key = ("province", "reading")
        writer.settle(Ack(*key, ((1, 2),)))
        writer.settle(Ack(*key, ((5, 6),)))
        assert writer.position(*key) == Position(2, ((5, 6),))
        await writer.append(append("alarm", b"y"))
        assert saved == [(1, {key: Position(2, ((5, 6),))})]
        assert writer._timer is None, "no wake-up for what is saved"
        writer.settle(Ack(*key, ((3, 4),)))
        while len(saved) < 2:
            await asyncio.sleep(0.01)
        assert saved[1] == (0, {key: Position(6)})

    run(tmp_path, story, replace(SMALL, settle_s=0.05))


def test_nothing_unrecorded_can_be_settled(tmp_path):
    async def story(writer, _):
        await writer.append(append("alarm", b"x", b"y"))
        writer.settle(Ack("bureau", "alarm", ((1, 10**12),)))
        writer.settle(Ack("bureau", "alarm", ((50, 60),)))
        assert writer.position("bureau", "alarm") == Position(2)
        with pytest.raises(KeyError):
            writer.settle(Ack("nobody", "alarm", ((1, 1),)))
        with pytest.raises(ValueError, match="not a range"):
            writer.settle(Ack("bureau", "alarm", ((2, 1),)))

    run(tmp_path, story)


def test_settlements_survive_a_close(tmp_path):
    async def first(writer, _):
        await writer.append(append("reading", *[b"x"] * 9))
        writer.settle(Ack("province", "reading", ((1, 3), (7, 8))))

    async def second(writer, opened):
        assert opened.positions["province", "reading"] == Position(3, ((7, 8),))
        assert not opened.unclean
        assert writer.position("bureau", "reading") == Position()

    run(tmp_path, first)
    run(tmp_path, second)


def test_a_purge_declares_and_moves_positions_on(tmp_path):
    settings = replace(SMALL, quota_bytes=300 << 10, reserve_bytes=20 << 10)

    async def story(writer, _):
        for n in range(400):
            await writer.append(append("reading", os.urandom(2_000), created_ns=n + 1))
        declared = await writer.purge(10_000, by_age=False)
        assert {record.created_ns for record in declared} == {10_000}
        gaps = [gap_in(record) for record in declared]
        assert gaps[0]["first_seq"] == 1
        last = gaps[-1]["last_seq"]
        assert sum(gap["dropped"] for gap in gaps) == last
        assert writer.position("province", "reading") == Position(last)
        page = await writer.read("reading", 1, 1, 10**6)
        assert page.records[0].seq == last + 1
        assert writer.stats().bytes <= settings.quota_bytes
        assert writer.stats().lanes["reading"].oldest == last + 1
        assert (await writer.append(append("journal", b"after")))[0].seq == len(declared) + 1

    run(tmp_path, story, settings)


def test_a_damaged_record_is_passed_over_and_declared(tmp_path):
    told = []

    async def story(writer, _):
        await writer.append(append("reading", b"one" * 99, b"two" * 99, b"three" * 99, created_ns=7))
        writer._recent.forget("reading", 3)
        await writer._ask(lambda spool, _: spool._conn.execute("UPDATE reading SET size = 5 WHERE seq = 2"))
        first = await writer.read("reading", 1, 9, 10**6)
        assert ([r.seq for r in first.records], first.next_seq) == ([1], 2)
        second = await writer.read("reading", 2, 9, 10**6)
        assert (second.records, second.next_seq) == ((), 3)
        assert [(record.lane, record.seq) for record in told] == [("journal", 1)], "nobody appended it"
        assert [r.seq for r in (await writer.read("reading", 3, 9, 10**6)).records] == [3]
        gap = gap_in((await writer.read("journal", 1, 9, 10**6)).records[0])
        assert (gap["lane"], gap["first_seq"], gap["last_seq"], gap["cause"]) == ("reading", 2, 2, "disk")
        assert writer.position("bureau", "reading") == Position(0, ((2, 2),))
        assert writer.stats().state == "ok"
        assert len(told) == 1

    run(tmp_path, story, on_declared=told.extend)


def test_what_a_disk_lost_is_told_and_waited_for_no_more(tmp_path):
    told = []
    path = tmp_path / "spool.db"

    async def story(writer, _):
        await writer.append(append("reading", b"one", created_ns=5))
        older = as_killed(path, tmp_path / "older")
        await writer.append(append("reading", b"two", b"three", created_ns=6))
        writer.settle(Ack("province", "reading", ((1, 1),)))
        with pytest.raises(DiskError, match="torn"):
            await writer._ask(tear)
        while writer.stats().busy_s:  # it closes the file behind the error
            await asyncio.sleep(0.01)
        for suffix in ("", "-wal"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
            older.with_name(older.name + suffix).rename(path.with_name(path.name + suffix))
        back = await writer.append(append("journal", b"back"))
        assert [(record.lane, record.seq) for record in told] == [("journal", 1)]
        assert (gap_in(told[0])["first_seq"], gap_in(told[0])["last_seq"]) == (2, 3)
        assert back[0].seq == 2
        assert writer.position("province", "reading") == Position(3)
        assert writer.position("bureau", "reading") == Position(0, ((2, 3),))
        assert [record.seq for record in (await writer.read("journal", 1, 9, 999)).records] == [1, 2]

    def tear(_spool, _owner):
        raise DiskError("torn")

    async def later(writer, opened):
        assert opened.positions["province", "reading"] == Position(3)
        assert (await writer.append(append("reading", b"four")))[0].seq == 4

    run(tmp_path, story, on_declared=told.extend)
    run(tmp_path, later)


def test_what_one_caller_appends_after_another_is_written_after_it(tmp_path):
    async def story(writer, _):
        hanging = threading.Event()
        blocked = asyncio.ensure_future(writer._ask(lambda *_: hanging.wait(30)))
        await asyncio.sleep(0.05)
        reading = asyncio.ensure_future(writer.append(append("reading", b"r", state={"alarms": b"first"})))
        await asyncio.sleep(0)
        alarm = asyncio.ensure_future(writer.append(append("alarm", b"a", state={"alarms": b"second"})))
        await asyncio.sleep(0)
        hanging.set()
        await asyncio.gather(blocked, reading, alarm)

    async def later(_writer, opened):
        assert opened.state == {"alarms": b"second"}

    run(tmp_path, story)
    run(tmp_path, later)


def test_the_queue_is_bounded_while_the_disk_hangs(tmp_path):
    async def story(writer, _):
        hanging = threading.Event()
        blocked = asyncio.ensure_future(writer._ask(lambda *_: hanging.wait(30)))
        await asyncio.sleep(0.05)
        waiting = [asyncio.ensure_future(writer.append(append("alarm", b"x"))) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFullError, match="5 jobs wait"):
            await writer.append(append("alarm", b"y"))
        assert writer.stats().busy_s > 0
        assert writer.stats().queued == 5
        waiting[0].cancel()
        hanging.set()
        await blocked
        assert [records[0].seq for records in await asyncio.gather(*waiting[1:])] == [2, 3, 4, 5]

    run(tmp_path, story, replace(SMALL, queue_max=5))


def test_closing_with_a_hung_disk_leaves_it_behind(tmp_path):
    hanging = threading.Event()

    async def body():
        writer = SpoolWriter(tmp_path / "spool.db", replace(SMALL, close_s=0.1), RECIPIENTS, gap_body)
        await writer.start()
        blocked = asyncio.ensure_future(writer._ask(lambda *_: hanging.wait(30)))
        await asyncio.sleep(0.05)
        waiting = asyncio.ensure_future(writer.append(append("alarm", b"x")))
        await asyncio.sleep(0)
        await writer.close()
        for future in (blocked, waiting):
            with pytest.raises(DiskError, match="hangs"):
                await future
        with pytest.raises(DiskError, match="closed"):
            await writer.append(append("alarm", b"x"))

    asyncio.run(body())
    hanging.set()  # the loop is closed by now: the thread ends without a word
    for thread in threading.enumerate():
        if thread.name == "spool":
            thread.join(20)
            assert not thread.is_alive()


def test_an_idle_thread_uses_no_cpu(tmp_path):
    async def story(writer, _):
        await writer.append(append("alarm", b"x"))
        thread = next(thread for thread in threading.enumerate() if thread.name == "spool")
        clock = time.pthread_getcpuclockid(thread.ident)

        def switches():
            status = Path(f"/proc/self/task/{thread.native_id}/status").read_text(encoding="ascii")
            return [line for line in status.splitlines() if "ctxt_switches" in line]

        await asyncio.sleep(0.1)
        before, slept = time.clock_gettime_ns(clock), switches()
        await asyncio.sleep(0.7)
        assert time.clock_gettime_ns(clock) == before
        assert switches() == slept

    run(tmp_path, story)


def test_what_start_refuses_leaves_no_thread(tmp_path):
    async def body():
        writer = SpoolWriter(tmp_path / "none" / "spool.db", SMALL, RECIPIENTS, gap_body)
        with pytest.raises(SpoolFolderError, match="create it"):
            await writer.start()
        (tmp_path / "none").mkdir()
        assert (await writer.start()).heads["alarm"] == 0, "it may be tried again"
        await writer.close()

    asyncio.run(body())
    assert not [thread for thread in threading.enumerate() if thread.name == "spool"]


def test_a_newer_spool_is_refused(tmp_path):
    async def nothing(_writer, _opened):
        return

    run(tmp_path, nothing)
    content = bytearray((tmp_path / "spool.db").read_bytes())
    content[60:64] = (9).to_bytes(4, "big")
    (tmp_path / "spool.db").write_bytes(content)
    with pytest.raises(SpoolNewerError, match="schema 9"):
        run(tmp_path, nothing)


def test_a_quarantine_is_told(tmp_path):
    (tmp_path / "spool.db").write_bytes(b"no database at all")

    async def story(_writer, opened):
        assert opened.quarantined is not None
        assert opened.quarantined.read_bytes() == b"no database at all"

    run(tmp_path, story)


def test_damaged_pages_cost_only_their_own_records(tmp_path, monkeypatch):
    monkeypatch.setattr("buffer.spool.FULL_CHECK_MAX_BYTES", 0)  # as with a large file
    monkeypatch.setattr("buffer.spool.TALLY_EVERY", 1)

    async def fill(writer, _):
        for _ in range(60):
            await writer.append(append("reading", os.urandom(300), created_ns=9))

    async def story(writer, _):
        found, at = [], 1
        while at <= 60:
            page = await writer.read("reading", at, 7, 10**6)
            found += [record.seq for record in page.records]
            assert page.next_seq > at
            at = page.next_seq
        gaps = [gap_in(record) for record in (await writer.read("journal", 1, 99, 10**6)).records]
        assert sorted(found + [gap["first_seq"] for gap in gaps]) == list(range(1, 61))
        assert 1 <= len(gaps) < 10
        assert writer.position("province", "reading").is_settled(gaps[0]["first_seq"])

    run(tmp_path, fill)
    path = tmp_path / "spool.db"
    with contextlib.closing(sqlite3.connect(path)) as conn:
        rows = conn.execute(
            "SELECT pageno FROM dbstat WHERE name = 'reading' AND pagetype = 'leaf'"
        ).fetchall()
    content = bytearray(path.read_bytes())
    page = rows[len(rows) // 2][0]
    content[(page - 1) * 1024 : page * 1024] = os.urandom(1024)
    path.write_bytes(content)
    run(tmp_path, story)
