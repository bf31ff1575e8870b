"""The radio's own SQLite file: opened so that a commit survives a power cut, or not at all."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

FILE_NAME = "airings.sqlite"

_MIGRATIONS = (
    """
    CREATE TABLE programmes (
        delivery TEXT PRIMARY KEY,      -- the delivery's key
        item TEXT NOT NULL,
        destination TEXT NOT NULL,
        sha256 TEXT NOT NULL,           -- of the sound; the file in the media folder is <sha256>.wav
        duration_s REAL NOT NULL,
        starts TEXT NOT NULL,
        ends TEXT NOT NULL,
        anchor TEXT,                    -- time of the first airing; regular times are counted from it
        active INTEGER NOT NULL,
        reason TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE TABLE airings (
        id TEXT PRIMARY KEY,
        delivery TEXT NOT NULL REFERENCES programmes,
        item TEXT NOT NULL,
        destination TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        duration_s REAL NOT NULL,
        planned_at TEXT NOT NULL,
        deadline TEXT NOT NULL,         -- the last instant at which it may begin
        first INTEGER NOT NULL,
        state TEXT NOT NULL,
        attempt INTEGER NOT NULL DEFAULT 0,
        withdrawing INTEGER NOT NULL DEFAULT 0,
        boot TEXT NOT NULL DEFAULT '',
        sent_at TEXT,
        started_at TEXT,
        start_stream_s REAL,
        start_up INTEGER,
        start_downs INTEGER,
        ended_at TEXT,
        seconds REAL NOT NULL DEFAULT 0,
        reason TEXT NOT NULL DEFAULT '',
        updated_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX airings_live ON airings (state) WHERE state IN ('planned', 'due', 'sent', 'on air');
    CREATE INDEX airings_of ON airings (delivery);
    CREATE INDEX airings_of_item ON airings (item);
    CREATE INDEX airings_at ON airings (planned_at);
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        airing TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        at TEXT NOT NULL,
        state TEXT NOT NULL,
        reason TEXT NOT NULL
    ) STRICT;
    CREATE TABLE outcomes (             -- what the hub's journal must learn, until it has
        key TEXT PRIMARY KEY,
        airing TEXT NOT NULL,
        delivery TEXT NOT NULL,
        item TEXT NOT NULL,
        destination TEXT NOT NULL,
        state TEXT NOT NULL,
        at TEXT NOT NULL,
        seconds REAL NOT NULL,
        reason TEXT NOT NULL,
        reported INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX outcomes_unreported ON outcomes (reported) WHERE reported = 0;
    CREATE TABLE as_run (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL, event TEXT NOT NULL, boot TEXT NOT NULL, n INTEGER NOT NULL,
        output_up INTEGER NOT NULL, token TEXT NOT NULL, stream_s REAL NOT NULL,
        UNIQUE (boot, n)
    ) STRICT;
    CREATE INDEX as_run_at ON as_run (at);
    CREATE TABLE position (
        one INTEGER PRIMARY KEY CHECK (one = 1), inode INTEGER NOT NULL, offset INTEGER NOT NULL
    ) STRICT;
    INSERT INTO position VALUES (1, 0, 0);
    """,
)


class DatabaseUnsafe(Exception):
    """SQLite will not keep what it is told: this file must not be used."""


class Database:
    """One connection, one transaction at a time, from whichever thread. Opened at first use."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction: durable after the block, undone when the block raises."""
        with self._lock:
            db = self._open()
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._open()

    def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
            try:
                _make_safe(db)
                _migrate(db)
            except BaseException:
                db.close()
                raise
            self._connection = db
        return self._connection


def open_read_only(path: Path) -> sqlite3.Connection:
    """For commands: sees what is committed, changes nothing. Raises: sqlite3.OperationalError without the file."""
    uri = f"file:{path.absolute().as_posix().replace('?', '%3f').replace('#', '%23')}?mode=ro"
    if not path.with_name(path.name + "-wal").exists():
        uri += "&immutable=1"  # the hub is down; SQLite would make side files, in a folder where the reader may not
    db = sqlite3.connect(uri, uri=True)
    db.row_factory = sqlite3.Row
    return db


def text_of(moment: datetime) -> str:
    """UTC, of one width, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _make_safe(db: sqlite3.Connection) -> None:
    db.row_factory = sqlite3.Row
    journal = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    synchronous = db.execute("PRAGMA synchronous").fetchone()[0]
    if journal != "wal" or synchronous != 2:
        raise DatabaseUnsafe(f"journal_mode is {journal}, synchronous is {synchronous}: wal and 2 are needed")


def _migrate(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise DatabaseUnsafe(f"the radio's database has version {version}; this program knows {len(_MIGRATIONS)}")
    for number, script in enumerate(_MIGRATIONS[version:], version + 1):
        db.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")
