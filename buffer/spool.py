"""The spool's tables: the only file of this folder that touches SQLite. Synchronous; one thread owns it.

What must hold, in every state on the disk:

1. A record, the state beside it and the positions saved with it are one transaction; it is durable (WAL,
   synchronous=FULL) before ``append_many`` returns.
2. ``seq`` of a lane counts 1, 2, 3, …; a hole is below a lane's oldest record or was declared as a gap.
3. No number is given twice: the newest record of a lane is never deleted, and where a disk lost it the lane's
   tally stands for it.
4. ``leaf`` is the RFC 6962 leaf of the canonical bytes and ``leaf_no`` its place over all lanes; neither
   changes when storage is packed anew.
5. Unsettled records are deleted only together with the gap record that says so.

Over 400 lines because SQLite is to be seen from one file.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Final

from sqlite_utils import Database

from buffer import disk, packing, retention
from buffer.cursor import Position, settled_by_all
from buffer.errors import DiskError, RecordDamagedError, SpoolCorruptError, SpoolFullError
from buffer.packing import Packing
from buffer.record import LANES, Append, Batch, Draft, Gap, Lane, Record, leaf_hash
from buffer.settings import LaneState, PositionKey, Purged, Resume, SpoolSettings, Usage

__all__ = ["PositionKey", "Purged", "Resume", "Spool", "SpoolSettings"]

SCHEMA_VERSION: Final = 1
FULL_CHECK_MAX_BYTES: Final = 32 << 20
"""Up to this size every page is checked at open; above it only schema and heads."""
PURGE_PAGE: Final = 256
"""Records of a lane one purge step looks at: bounds the transaction, and so the write-ahead log."""
TALLY_EVERY: Final = 1_000
"""Records of a lane after which its tally is written down."""
ROW_BYTES: Final = 64
"""What a row takes up beside its body, roughly; shares out the pages in use between the lanes."""
BUSY_TIMEOUT_S: Final = 5.0
"""How long another program that reads the file (a backup) may hold a lock."""

_COLUMNS: Final = ("seq", "created_ns", "leaf_no", "leaf", "size", "body")
_TABLES: Final = (*LANES, "meta", "state", "position", "tally")
_INSERT: Final = {
    lane: f"INSERT INTO {lane} (seq, created_ns, leaf_no, leaf, size, body) VALUES (?, ?, ?, ?, ?, ?)"  # noqa: S608 - lanes are a closed list of this code
    for lane in LANES
}
_READ: Final = {
    lane: f"SELECT seq, created_ns, leaf, size, body FROM {lane}"  # noqa: S608 - as above
    " WHERE seq BETWEEN ? AND ? ORDER BY seq LIMIT ?"
    for lane in LANES
}
_CORRUPT: Final = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Spool:
    """One open spool. Made by ``open``; used by one thread; thrown away after a ``DiskError``.

    Attributes:
        spool_id: 16 hexadecimal digits, drawn when the file was created.
        quarantined: where a damaged predecessor was set aside, None where there was none.
        unclean: the last owner did not close it (killed, or power lost).
        declared: journal records written by opening it: what its disk lost since ``resume``.
        pregrown: whether there was room to give the write-ahead log its size.
    """

    def __init__(
        self,
        path: Path,
        settings: SpoolSettings,
        recipients: Iterable[str],
        gap_body: Callable[[Gap], bytes],
        store: Packing,
    ) -> None:
        self._path = path
        self._settings = settings
        self._recipients = tuple(recipients)
        self._gap_body = gap_body
        self._store = store
        self._lock = -1
        self._lanes: dict[Lane, LaneState] = {lane: LaneState() for lane in LANES}
        self._positions: dict[PositionKey, Position] = {}
        self._db: Database | None = None
        self._next_leaf_no = 0
        self.spool_id = ""
        self.quarantined: Path | None = None
        self.unclean = False
        self.declared: tuple[Record, ...] = ()
        self.pregrown = True

    @classmethod
    def open(
        cls,
        path: Path,
        settings: SpoolSettings,
        recipients: Iterable[str],
        gap_body: Callable[[Gap], bytes],
        *,
        resume: Resume | None = None,
        store: Packing | None = None,
    ) -> Spool:
        """Open, create, or set a damaged file aside and create.

        Args:
            path: the database file.
            settings: its bounds.
            recipients: who must settle; a new one starts at the oldest kept record, the row of one that is
                gone stays but holds nothing back.
            gap_body: canonical bytes of a journal record that declares a gap.
            resume: only this very spool will do; nothing is created and nothing set aside.
            store: how bodies are packed; zstd if not given.

        Raises:
            SpoolFolderError: the folder is missing or may not be written.
            SpoolBusyError: another process holds it.
            SpoolNewerError: a newer version wrote it; untouched.
            SpoolFullError: no room even to open it.
            DiskError: the disk did not answer, or with ``resume`` the file is missing or another.
            SpoolCorruptError: damaged, with ``resume``.
        """
        if resume is not None and not path.exists():
            raise DiskError(f"{path}: the spool is gone; is its disk mounted?")
        spool = cls(path, settings, recipients, gap_body, store or packing.zstd())
        spool._lock = disk.lock(path)
        try:
            try:
                spool._open(resume)
            except SpoolCorruptError:
                spool._disconnect()
                if resume is not None:
                    raise
                spool.quarantined = disk.quarantine(path)
                spool._open(None)
        except BaseException:
            spool.close()
            raise
        return spool

    def _open(self, resume: Resume | None) -> None:
        path = self._path
        if path.exists() and disk.looks_damaged(path, SCHEMA_VERSION):
            raise SpoolCorruptError(f"{path}: this is no SQLite database")
        self.unclean = disk.beside(path, "-wal").exists()
        with self._translated("open"):
            mode = "rw" if resume is not None else "rwc"
            conn = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={mode}",
                uri=True,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
            )
            self._db = Database(conn, execute_plugins=False, recursive_triggers=False)
            self._migrate()
            self._configure()
            self._check()
            if resume is not None:
                self._undo_unacknowledged(resume)
            self._load()
            self._take_up_positions()
            self.pregrown = disk.pregrow(path, self._settings.wal_pregrow_bytes)
            if resume is not None:
                self._declare_lost(resume)

    @property
    def _conn(self) -> sqlite3.Connection:
        if self._db is None:
            raise DiskError(f"{self._path}: the spool is not open")
        conn: sqlite3.Connection = self._db.conn
        return conn

    def _pragma(self, name: str) -> int:
        return int(self._conn.execute(f"PRAGMA {name}").fetchone()[0])

    def _migrate(self) -> None:
        conn = self._conn
        found = self._pragma("user_version")
        if found > SCHEMA_VERSION:
            raise disk.newer(self._path, found, SCHEMA_VERSION)
        if found == 0:
            conn.execute(f"PRAGMA page_size = {self._settings.page_bytes}")
            conn.execute("PRAGMA journal_mode = WAL")
        for version in range(found + 1, SCHEMA_VERSION + 1):
            script = resources.files("buffer").joinpath(f"migrations/{version:04}.sql").read_text("utf-8")
            conn.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")
        if found < SCHEMA_VERSION:
            conn.execute("PRAGMA wal_checkpoint").fetchone()

    def _configure(self) -> None:
        conn = self._conn
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute(f"PRAGMA wal_autocheckpoint = {self._settings.checkpoint_pages}").fetchone()
        conn.execute(f"PRAGMA journal_size_limit = {self._settings.wal_pregrow_bytes}").fetchone()
        conn.execute("PRAGMA secure_delete = OFF").fetchone()
        journal = conn.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        synchronous = self._pragma("synchronous")
        if (journal, synchronous) != ("wal", 2):
            raise DiskError(
                f"{self._path}: this file system does not let SQLite promise durability "
                f"(journal_mode {journal}, synchronous {synchronous}); use a local disk"
            )

    def _check(self) -> None:
        """The structure only, bounded in time; a record's bytes are verified where they are read.

        One record that is damaged is passed over there, and must not cost the sound ones.
        """
        assert self._db is not None
        if missing := set(_TABLES) - set(self._db.table_names()):
            raise SpoolCorruptError(f"{self._path}: table {min(missing)} is missing")
        for lane in LANES:
            if tuple(column.name for column in self._db[lane].columns) != _COLUMNS:
                raise SpoolCorruptError(f"{self._path}: table {lane} has other columns")
        if self._pragma("page_count") * self._pragma("page_size") <= FULL_CHECK_MAX_BYTES:
            verdict = self._conn.execute("PRAGMA quick_check(1)").fetchone()[0]
            if verdict != "ok":
                raise SpoolCorruptError(f"{self._path}: {verdict}")

    def _undo_unacknowledged(self, resume: Resume) -> None:
        """A commit reported as failed may yet be in the log: its caller appends it again, so it goes."""
        if (found := self._read_id()) != resume.spool_id:
            raise DiskError(f"{self._path}: another spool ({found}) lies where {resume.spool_id} was")
        undone: dict[Lane, int] = {}
        with self._transaction() as conn:
            for lane in LANES:
                head = resume.heads.get(lane, 0)
                undone[lane] = conn.execute(f"DELETE FROM {lane} WHERE seq > ?", (head,)).rowcount  # noqa: S608 - lanes are a closed list
                conn.execute("DELETE FROM tally WHERE lane = ? AND counted_to > ?", (lane, head))
            if undone["journal"]:  # a declared loss may be among it, and is to be found again
                for lane in LANES:
                    conn.execute(
                        f"DELETE FROM tally WHERE lane = ? AND counted_to > (SELECT coalesce(max(seq), 0) FROM {lane})",  # noqa: S608 - as above
                        (lane,),
                    )

    def _declare_lost(self, resume: Resume) -> None:
        """A disk lost what it had acknowledged: its numbers stay taken, nobody waits for it, the hole is declared.

        The tallies, written beside the declaration, keep the numbers taken.
        """
        self._next_leaf_no = max(self._next_leaf_no, resume.next_leaf_no)
        change = _Change(dict(self._lanes), self._next_leaf_no)
        at_ns = max(self.last_ns(), resume.last_ns)
        gaps: list[Gap] = []
        settled: dict[PositionKey, Position] = {}
        for lane, known in self._lanes.items():
            head = resume.heads.get(lane, 0)
            if known.head < head:
                lost = (known.head + 1, head)
                gaps.append(Gap(lane, *lost, known.last_ns or at_ns, at_ns, "disk", head - known.head))
                change.lanes[lane] = replace(known, head=head)
                for recipient in self._recipients:
                    settled[recipient, lane] = self._positions[recipient, lane].settle([lost])
        if gaps:
            with self._transaction() as conn:
                self.declared = tuple(
                    self._insert(conn, change, Draft("journal", at_ns, self._gap_body(gap))) for gap in gaps
                )
                _save_positions(conn, settled)
                _save_tallies(conn, change.lanes, 0)
            self._accept(change, settled)

    def _read_id(self) -> str:
        assert self._db is not None
        for row in self._db["meta"].rows_where("name = 'spool_id'"):
            return str(row["value"])
        raise SpoolCorruptError(f"{self._path}: the spool has no id")

    def _load(self) -> None:
        assert self._db is not None
        self.spool_id = self._read_id()
        tallies = {row["lane"]: (row["counted_to"], row["stored_bytes"]) for row in self._db["tally"].rows}
        for lane in LANES:
            newest = self._conn.execute(
                f"SELECT seq, leaf_no, created_ns FROM {lane} ORDER BY seq DESC LIMIT 1"  # noqa: S608 - lanes are a closed list
            ).fetchone()
            head, leaf_no, last_ns = newest or (0, -1, 0)
            oldest = self._conn.execute(f"SELECT min(seq) FROM {lane}").fetchone()[0]  # noqa: S608 - as above
            counted_to, stored = tallies.get(lane, (0, 0))
            if not all(type(found) is int for found in (leaf_no, last_ns, counted_to, stored)):
                raise SpoolCorruptError(f"{self._path}: the newest record or the tally of {lane} is damaged")
            stored += self._conn.execute(
                f"SELECT coalesce(sum(length(body) + {ROW_BYTES}), 0) FROM {lane} WHERE seq > ?",  # noqa: S608 - as above
                (counted_to,),
            ).fetchone()[0]
            # A tally beyond the newest record: a disk lost what came after it, and those numbers stay taken.
            self._lanes[lane] = LaneState(oldest or 0, max(head, counted_to), stored, counted_to, last_ns)
            self._next_leaf_no = max(self._next_leaf_no, leaf_no + 1)

    def _take_up_positions(self) -> None:
        assert self._db is not None
        found: dict[PositionKey, Position] = {}
        for row in self._db["position"].rows:
            with suppress(TypeError, ValueError):  # damaged: all is sent again, and absorbed by its key
                found[row["recipient"], row["lane"]] = Position.unpack(row["low"], row["ranges"])
        for recipient in self._recipients:
            for lane, known in self._lanes.items():
                before_oldest = known.oldest - 1 if known.oldest else known.head
                place = found.get((recipient, lane), Position()).up_to(known.head)
                self._positions[recipient, lane] = (
                    place.settle([(1, before_oldest)]) if before_oldest else place
                )

    def append_many(
        self, works: Sequence[Append], positions: Mapping[PositionKey, Position] | None = None
    ) -> list[tuple[Record, ...]]:
        """Write all of this as one transaction; durable when it returns.

        Args:
            works: what each caller appends.
            positions: recipients' places to save beside it.

        Raises:
            SpoolFullError: no room; nothing of it is recorded, the spool stays usable.
            DiskError: the disk did not do it; throw this object away and open again with ``resume``.
        """
        change = _Change(dict(self._lanes), self._next_leaf_no)
        with self._transaction() as conn:
            written = []
            for work in works:
                written.append(tuple(self._insert(conn, change, draft) for draft in work.drafts))
                _save_state(conn, work.state)
            _save_positions(conn, positions or {})
            _save_tallies(conn, change.lanes, TALLY_EVERY)
        self._accept(change, positions or {})
        return written

    def _insert(self, conn: sqlite3.Connection, change: _Change, draft: Draft) -> Record:
        known = change.lanes[draft.lane]
        record = Record(draft.lane, known.head + 1, draft.created_ns, draft.body, leaf_hash(draft.body))
        stored = self._store.pack(draft.body)
        row = (record.seq, record.created_ns, change.next_leaf_no, record.leaf, len(draft.body), stored)
        conn.execute(_INSERT[draft.lane], row)
        stored_bytes = known.stored_bytes + len(stored) + ROW_BYTES
        change.lanes[draft.lane] = replace(
            known,
            oldest=known.oldest or record.seq,
            head=record.seq,
            stored_bytes=stored_bytes,
            last_ns=record.created_ns,
        )
        change.next_leaf_no += 1
        return record

    def _accept(self, change: _Change, positions: Mapping[PositionKey, Position]) -> None:
        """After the commit, and only then, the owner's own knowledge changes."""
        self._lanes, self._next_leaf_no = change.lanes, change.next_leaf_no
        self._positions.update(positions)

    def read(
        self, lane: Lane, from_seq: int, max_records: int, max_bytes: int, up_to_seq: int | None = None
    ) -> Batch:
        """A page of records from ``from_seq`` on; one record at least, however large, if there is one.

        Raises:
            RecordDamagedError: the first record's bytes do not give its leaf.
            DiskError: the disk did not answer.
        """
        last = self._lanes[lane].head if up_to_seq is None else min(self._lanes[lane].head, up_to_seq)
        records: list[Record] = []
        left = max_bytes
        with self._translated("read"):
            cursor = self._conn.cursor()
            try:
                rows = cursor.execute(_READ[lane], (from_seq, last, max_records))
                for seq, created_ns, leaf, size, stored in rows:
                    if records and size > left:
                        break
                    left -= size
                    records.append(self._verified(lane, seq, created_ns, leaf, size, stored))
            except RecordDamagedError:
                if not records:  # the sound ones before it first
                    raise
            except sqlite3.DatabaseError as e:
                if e.sqlite_errorcode & 0xFF not in _CORRUPT:
                    raise
                if not records:
                    raise RecordDamagedError(
                        lane, from_seq, self.last_ns(), f"its page is damaged ({e})"
                    ) from e
            finally:
                cursor.close()
        next_seq = records[-1].seq + 1 if records else max(from_seq, last + 1)
        return Batch(lane, tuple(records), next_seq)

    def purge(self, now_ns: int, *, by_age: bool = True) -> Purged:
        """One bounded step of retention and quota; gap records are in the same transaction.

        Args:
            now_ns: UTC nanoseconds, the stamp of what is declared.
            by_age: whether that clock's years are right; if not, only the quota decides, for a clock far ahead
                would age everything.

        Raises:
            SpoolFullError, DiskError: as ``append_many``.
        """
        usage = self.usage()
        stored_bytes = sum(known.stored_bytes for known in self._lanes.values())
        share = usage.used_bytes / max(1, stored_bytes)
        with self._translated("read"):
            uses = [self._lane_use(lane, share) for lane in LANES]
        room_bytes = usage.file_bytes + usage.free_bytes - self._settings.wal_pregrow_bytes
        limits = retention.Limits(
            max(0, min(self._settings.quota_bytes, room_bytes)),
            self._settings.reserve_bytes,
            int(self._settings.retention_s * 1e9),
        )
        plan = retention.plan(uses, limits, now_ns if by_age else None)
        if not plan.up_to:
            return Purged({}, (), more=False)
        return self._carry_out(plan, now_ns)

    def _carry_out(self, plan: retention.Plan, now_ns: int) -> Purged:
        positions = {
            (recipient, lane): self._positions[recipient, lane].settle([(1, last)])
            for lane, last in plan.up_to.items()
            for recipient in self._recipients
        }
        change = _Change(dict(self._lanes), self._next_leaf_no)
        with self._transaction() as conn:
            for lane, last in plan.up_to.items():
                known = change.lanes[lane]
                freed = conn.execute(
                    f"SELECT sum(length(body) + {ROW_BYTES}) FROM {lane} WHERE seq <= ?",  # noqa: S608 - lanes are a closed list
                    (last,),
                ).fetchone()[0]
                conn.execute(f"DELETE FROM {lane} WHERE seq <= ?", (last,))  # noqa: S608 - as above
                oldest = conn.execute(f"SELECT min(seq) FROM {lane}").fetchone()[0]  # noqa: S608 - as above
                change.lanes[lane] = replace(
                    known, oldest=oldest or 0, stored_bytes=known.stored_bytes - freed
                )
            declared = tuple(
                self._insert(conn, change, Draft("journal", now_ns, self._gap_body(gap))) for gap in plan.gaps
            )
            _save_positions(conn, positions)
            _save_tallies(conn, change.lanes, 0)
        self._accept(change, positions)
        return Purged(plan.up_to, declared, plan.more)

    def _lane_use(self, lane: Lane, share: float) -> retention.LaneUse:
        known = self._lanes[lane]
        rows = self._conn.execute(
            f"SELECT seq, created_ns, length(body) FROM {lane} ORDER BY seq LIMIT ?",  # noqa: S608 - lanes are a closed list
            (PURGE_PAGE,),
        ).fetchall()
        oldest = [
            retention.Kept(seq, created_ns, max(1, int((stored + ROW_BYTES) * share)))
            for seq, created_ns, stored in rows
        ]
        settled = settled_by_all(self._positions[recipient, lane] for recipient in self._recipients)
        return retention.LaneUse(lane, known.head, int(known.stored_bytes * share), oldest, settled)

    @property
    def heads(self) -> dict[Lane, int]:
        """The newest seq ever given in each lane, 0 where there is none yet."""
        return {lane: known.head for lane, known in self._lanes.items()}

    @property
    def lanes(self) -> dict[Lane, LaneState]:
        """Each lane as it stands."""
        return dict(self._lanes)

    @property
    def next_leaf_no(self) -> int:
        """The place the next record takes in the tree over all lanes."""
        return self._next_leaf_no

    @property
    def positions(self) -> dict[PositionKey, Position]:
        """Where every recipient of now stands, as saved."""
        return dict(self._positions)

    def state(self) -> dict[str, bytes]:
        """All small named values."""
        with self._translated("read"):
            return dict(self._conn.execute("SELECT name, value FROM state").fetchall())

    def last_ns(self) -> int:
        """The newest creation time on record, UTC nanoseconds; 0 for an empty spool."""
        return max(known.last_ns for known in self._lanes.values())

    def usage(self) -> Usage:
        """How full it is.

        Raises:
            DiskError: the disk did not answer.
        """
        with self._translated("read"):
            page_bytes, pages = self._pragma("page_size"), self._pragma("page_count")
            used = pages - self._pragma("freelist_count")
        return Usage(used * page_bytes, pages * page_bytes, disk.free_bytes(self._path.parent))

    def close(self) -> None:
        """Copy the log back and let go of everything; what cannot be copied stays in the log."""
        self._disconnect()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _disconnect(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):  # the disk may be the reason for closing; the log keeps what it has
                self._db.conn.close()
            self._db = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        conn = self._conn
        with self._translated("write"):
            conn.execute("BEGIN IMMEDIATE")
            try:
                yield conn
                conn.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # the first error is the one to tell
                    if conn.in_transaction:
                        conn.execute("ROLLBACK")
                raise

    @contextmanager
    def _translated(self, deed: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            code = getattr(e, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            if code & 0xFF == sqlite3.SQLITE_FULL:
                raise SpoolFullError(f"{self._path}: the disk is full; free space or lower the quota") from e
            if code & 0xFF in _CORRUPT:
                raise SpoolCorruptError(f"{self._path}: damaged ({e}); restart, and it is set aside") from e
            name = getattr(e, "sqlite_errorname", type(e).__name__)
            raise DiskError(f"{self._path}: the disk did not {deed} ({name}: {e}); try again later") from e

    def _verified(
        self, lane: Lane, seq: int, created_ns: int, leaf: bytes, size: int, stored: bytes
    ) -> Record:
        try:
            body = self._store.unpack(stored, size)
        except (TypeError, ValueError) as e:  # a damaged row may give other types than were written
            raise RecordDamagedError(lane, seq, created_ns, str(e)) from e
        if leaf_hash(body) != leaf:
            raise RecordDamagedError(lane, seq, created_ns, "the bytes do not give the recorded leaf")
        return Record(lane, seq, created_ns, body, leaf)


@dataclass(slots=True)
class _Change:
    """A transaction in the making; it becomes the spool's own knowledge only after the commit."""

    lanes: dict[Lane, LaneState]
    next_leaf_no: int


def _save_state(conn: sqlite3.Connection, state: Mapping[str, bytes | None]) -> None:
    for name, value in state.items():
        if value is None:
            conn.execute("DELETE FROM state WHERE name = ?", (name,))
        else:
            conn.execute(
                "INSERT INTO state VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )


def _save_positions(conn: sqlite3.Connection, positions: Mapping[PositionKey, Position]) -> None:
    if positions:
        conn.executemany(
            "INSERT INTO position VALUES (?, ?, ?, ?) ON CONFLICT (recipient, lane)"
            " DO UPDATE SET low = excluded.low, ranges = excluded.ranges",
            [(*key, position.low, position.pack_ranges()) for key, position in positions.items()],
        )


def _save_tallies(conn: sqlite3.Connection, lanes: dict[Lane, LaneState], every: int) -> None:
    """Write down the tally of lanes that grew by ``every`` records since."""
    for lane, known in lanes.items():
        if known.head - known.counted_to >= every:
            conn.execute(
                "INSERT INTO tally VALUES (?, ?, ?) ON CONFLICT (lane)"
                " DO UPDATE SET counted_to = excluded.counted_to, stored_bytes = excluded.stored_bytes",
                (lane, known.head, known.stored_bytes),
            )
            lanes[lane] = replace(known, counted_to=known.head)
