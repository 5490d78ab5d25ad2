"""The receiver's own database: everything that arrived, in the order of arrival. Only file here with SQLite.

What must hold:

1. ``arrival`` logs every message before any unique index sees it, redeliveries and conflicts included.
2. A key is stored once; the same key with another content is kept apart and refused.
3. ``commit`` returns after the transaction is durable (WAL, synchronous=FULL): only then may a receipt go out.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

import orjson
import zstandard
from sqlite_utils import Database

from gateway.errors import Exit, UserFacingError
from gateway.uplink.dialects.plantgate_1 import MAX_SEQ, Incoming, parse_message, parse_status
from gateway.uplink.message import DialectError
from gateway.uplink.order import is_id

SCHEMA_VERSION: Final = 2
BUSY_TIMEOUT_S: Final = 5.0
ZSTD_LEVEL: Final = 1
"""The receiver must keep up; the bureau's own database compresses as it likes."""

Outcome: TypeAlias = Literal["new", "redelivered", "conflict", "malformed"]

_SCHEMA: Final = """
BEGIN;
CREATE TABLE arrival (n INTEGER PRIMARY KEY, key TEXT NOT NULL, sha256 BLOB NOT NULL,
  received_ns INTEGER NOT NULL, outcome TEXT NOT NULL);
CREATE TABLE message (key TEXT PRIMARY KEY, site_id TEXT NOT NULL, gateway_id TEXT NOT NULL, lane TEXT NOT NULL,
  seq INTEGER NOT NULL, kind TEXT NOT NULL, created_at TEXT NOT NULL, replay TEXT NOT NULL,
  durable INTEGER NOT NULL, sha256 BLOB NOT NULL, received_ns INTEGER NOT NULL, payload BLOB NOT NULL);
CREATE TABLE conflict (n INTEGER PRIMARY KEY REFERENCES arrival (n), payload BLOB NOT NULL);
CREATE TABLE alarm (gateway_id TEXT NOT NULL, alarm_id TEXT NOT NULL, change_no INTEGER NOT NULL,
  point_id TEXT NOT NULL, active INTEGER NOT NULL, item TEXT NOT NULL, key TEXT NOT NULL,
  PRIMARY KEY (gateway_id, alarm_id));
CREATE TABLE snapshot (key TEXT PRIMARY KEY, gateway_id TEXT NOT NULL, item TEXT NOT NULL,
  size_bytes INTEGER NOT NULL);
CREATE TABLE status (site_id TEXT NOT NULL, gateway_id TEXT NOT NULL, recipient TEXT NOT NULL,
  state TEXT NOT NULL, since_ns INTEGER NOT NULL, PRIMARY KEY (site_id, gateway_id, recipient));
PRAGMA user_version = 1;
COMMIT;
"""
_FEEDBACK: Final = """
BEGIN;
CREATE TABLE feedback (key TEXT PRIMARY KEY, site_id TEXT NOT NULL, gateway_id TEXT NOT NULL,
  recipient TEXT NOT NULL, order_id TEXT NOT NULL, item TEXT NOT NULL);
PRAGMA user_version = 2;
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A message as it came off the line."""

    topic: str
    payload: bytes
    received_ns: int


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of an arrival; ``key`` is "" and ``reason`` says why where it was no message at all.

    Attributes:
        orders: recipient and id of what was sent down and is on record over there now.
    """

    topic: str
    key: str
    outcome: Outcome
    reason: str = ""
    orders: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class StoredArrival:
    """One line of the raw log; ``payload`` is what the sender meant by this key that time."""

    n: int
    key: str
    sha256: bytes
    received_ns: int
    outcome: Outcome
    payload: bytes


class Store:
    """The open database; used by one thread.

    Args:
        path: its file; made if missing.

    Raises:
        UserFacingError: the folder cannot be written, the file is no database or of a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pack = zstandard.ZstdCompressor(level=ZSTD_LEVEL)
        try:
            connection = sqlite3.connect(
                path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._db = Database(connection, execute_plugins=False, recursive_triggers=False)
            try:
                self._prepare(connection)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as e:
            raise _unusable(path, e) from e

    def commit(self, arrived: Iterable[Arrived]) -> list[Judged]:
        """Store what arrived, one transaction; durable when it returns.

        Raises:
            UserFacingError: the disk is full or does not answer; nothing of it is stored.
        """
        try:
            with self._db.conn:
                self._db.conn.execute("BEGIN IMMEDIATE")
                return [judged for one in arrived if (judged := self._store(one)) is not None]
        except sqlite3.Error as e:
            raise _unusable(self._path, e) from e

    def close(self) -> None:
        """Close the file."""
        self._db.conn.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        found = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if found == 0:
            connection.executescript(_SCHEMA)
        if found < SCHEMA_VERSION:
            connection.executescript(_FEEDBACK)
        elif found > SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"schema {found} is of a newer version")

    def _store(self, one: Arrived) -> Judged | None:
        if one.topic.endswith("/status"):
            self._store_status(one)
            return None
        try:
            message = parse_message(one.topic, one.payload)
        except DialectError as e:
            self._log("", b"", one.received_ns, "malformed")
            return Judged(one.topic, "", "malformed", str(e))
        row = self._db.conn.execute("SELECT sha256 FROM message WHERE key = ?", (message.key,)).fetchone()
        if row is None:
            self._log(message.key, message.content, one.received_ns, "new")
            self._keep(message, one)
            return Judged(one.topic, message.key, "new", orders=_orders_of(message))
        if row[0] == message.content:
            self._log(message.key, message.content, one.received_ns, "redelivered")
            self._complete(message, one)
            return Judged(one.topic, message.key, "redelivered", orders=_orders_of(message))
        n = self._log(message.key, message.content, one.received_ns, "conflict")
        self._db.conn.execute("INSERT INTO conflict VALUES (?, ?)", (n, self._pack.compress(one.payload)))
        return Judged(one.topic, message.key, "conflict", "the same key came with another content")

    def _store_status(self, one: Arrived) -> None:
        try:
            told = parse_status(one.topic, one.payload)
        except DialectError:
            return  # nothing that is counted or answered
        self._db.conn.execute(
            "INSERT INTO status VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET state = excluded.state, since_ns = excluded.since_ns",
            (*told, one.received_ns),
        )

    def _log(self, key: str, sha256: bytes, received_ns: int, outcome: Outcome) -> int:
        cursor = self._db.conn.execute(
            "INSERT INTO arrival (key, sha256, received_ns, outcome) VALUES (?, ?, ?, ?)",
            (key, sha256, received_ns, outcome),
        )
        assert cursor.lastrowid is not None, "an insert has a row number"
        return cursor.lastrowid

    def _keep(self, message: Incoming, one: Arrived) -> None:
        envelope = message.envelope
        self._db.conn.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                message.key,
                envelope["site_id"],
                envelope["gateway_id"],
                message.lane,
                message.seq,
                envelope["kind"],
                _text(envelope.get("created_at")),
                _text(envelope.get("replay")),
                int(envelope.get("durable") is True),
                message.content,
                one.received_ns,
                self._pack.compress(one.payload),
            ),
        )
        items = envelope.get("items")
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                self._keep_item(message, item)

    def _complete(self, message: Incoming, one: Arrived) -> None:
        """A picture that was missing at first has come after all."""
        if (
            message.jpeg
            and self._db.conn.execute(
                "UPDATE snapshot SET size_bytes = ? WHERE key = ? AND size_bytes = 0",
                (len(message.jpeg), message.key),
            ).rowcount
        ):
            self._db.conn.execute(
                "UPDATE message SET payload = ? WHERE key = ?",
                (self._pack.compress(one.payload), message.key),
            )

    def _keep_item(self, message: Incoming, item: dict[str, Any]) -> None:
        """Beside the message, which is stored whole: an odd item costs its own line in these tables, no more."""
        gateway_id = message.envelope["gateway_id"]
        try:
            text = orjson.dumps(item).decode()
        except orjson.JSONEncodeError:  # it may be read deeper than it may be written
            return
        if message.envelope["kind"] == "alarm":
            # Changes may come out of order over a bad line; the latest is the one with the highest number.
            change_no = item.get("change_no")
            self._db.conn.execute(
                "INSERT INTO alarm VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " change_no = excluded.change_no, point_id = excluded.point_id, active = excluded.active,"
                " item = excluded.item, key = excluded.key WHERE excluded.change_no >= alarm.change_no",
                (
                    gateway_id,
                    _text(item.get("alarm_id")) or message.key,
                    change_no if isinstance(change_no, int) and 0 < change_no <= MAX_SEQ else 0,
                    _text(item.get("point_id")),
                    int(item.get("active") is True),
                    text,
                    message.key,
                ),
            )
        elif message.envelope["kind"] == "snapshot":
            self._db.conn.execute(
                "INSERT OR IGNORE INTO snapshot VALUES (?, ?, ?, ?)",
                (message.key, gateway_id, text, len(message.jpeg)),
            )
        elif message.envelope["kind"] == "feedback":
            whose = (
                message.envelope["site_id"],
                gateway_id,
                _text(item.get("recipient")),
                _text(item.get("id")),
            )
            self._db.conn.execute(
                "INSERT OR IGNORE INTO feedback VALUES (?, ?, ?, ?, ?, ?)", (message.key, *whose, text)
            )


def arrivals(path: Path) -> Iterator[StoredArrival]:
    """The raw arrival log in order, for whoever judges loss, duplicates and order.

    ``payload`` is as it came; a redelivery's is that of its key's first arrival, whose content is the same (of a
    snapshot, the first with its picture).
    """
    unpack = zstandard.ZstdDecompressor()
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        rows = connection.execute(
            "SELECT n, a.key, a.sha256, a.received_ns, outcome, coalesce(c.payload, m.payload)"
            " FROM arrival a LEFT JOIN conflict c USING (n) LEFT JOIN message m ON m.key = a.key ORDER BY n"
        )
        for n, key, sha256, received_ns, outcome, packed in rows:
            payload = b"" if packed is None else unpack.decompress(packed)
            yield StoredArrival(n, key, sha256, received_ns, outcome, payload)


def _orders_of(message: Incoming) -> tuple[tuple[str, str], ...]:
    """What this message says is on record: an order, or a cancellation and what it cancels."""
    if message.envelope["kind"] not in ("warning_received", "warning_cancelled"):
        return ()
    items = [item for item in message.envelope["items"] if isinstance(item, dict)]
    named = ((item.get("recipient"), item.get(key)) for item in items for key in ("id", "cancels"))
    return tuple(
        (whose, one) for whose, one in named if isinstance(whose, str) and isinstance(one, str) and is_id(one)
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _unusable(path: Path, error: sqlite3.Error) -> UserFacingError:
    return UserFacingError(
        "E-RECEIVE-STORE",
        Exit.ENVIRONMENT,
        str(path),
        {"zh": f"接收库无法使用（{error}）。", "en": f"The receiver's database cannot be used ({error})."},
        {
            "zh": "请检查磁盘空间、目录权限与文件；未确认的数据会重新发送。",
            "en": "Check disk space, permissions and the file; what was not confirmed will be sent again.",
        },
    )
