"""Proofs of play as they came, signed, kept for ever: SQLite in the plugin's state folder, only ever added to.

Every method blocks: call it in a thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from plugins.videotron.proofs.doubts import Remark, happened_at
from plugins.videotron.protocol import ProofOfPlay, WireError, decode
from plugins.videotron.protocol.chain import Segment, segment_of

FILE_NAME = "proofs.sqlite3"
MAX_FORKS = 50  # kept as evidence, for each player
SCHEMA = """
CREATE TABLE IF NOT EXISTS envelope (
  id INTEGER PRIMARY KEY,
  player TEXT NOT NULL, chain TEXT NOT NULL,
  first INTEGER NOT NULL, last INTEGER NOT NULL,
  fresh INTEGER NOT NULL,         -- the first entry that no earlier envelope has
  from_at TEXT NOT NULL, to_at TEXT NOT NULL,  -- when its earliest and its latest play began, UTC
  received_at TEXT NOT NULL,
  body BLOB NOT NULL              -- as it came: nothing else here is proof
) STRICT;
CREATE INDEX IF NOT EXISTS envelope_by_chain ON envelope (player, chain, last);
CREATE INDEX IF NOT EXISTS envelope_by_time ON envelope (player, to_at);
CREATE TABLE IF NOT EXISTS head (  -- of each chain: a row that is cut off at its end is missed
  id INTEGER PRIMARY KEY,
  player TEXT NOT NULL, chain TEXT NOT NULL, seq INTEGER NOT NULL, hash BLOB NOT NULL, since TEXT NOT NULL,
  UNIQUE (player, chain)
) STRICT;
CREATE TABLE IF NOT EXISTS gap (
  player TEXT NOT NULL, chain TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL, found_at TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS fork (
  player TEXT NOT NULL, chain TEXT NOT NULL, seq INTEGER NOT NULL, found_at TEXT NOT NULL, body BLOB NOT NULL,
  UNIQUE (player, body)
) STRICT;
CREATE TABLE IF NOT EXISTS remark (
  player TEXT NOT NULL, chain TEXT NOT NULL, seq INTEGER NOT NULL, weight TEXT NOT NULL, text TEXT NOT NULL,
  PRIMARY KEY (player, chain, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS journalled (one INTEGER PRIMARY KEY CHECK (one = 1), envelope INTEGER NOT NULL) STRICT;
INSERT OR IGNORE INTO journalled VALUES (1, 0);
CREATE TRIGGER IF NOT EXISTS envelope_stays BEFORE DELETE ON envelope BEGIN SELECT RAISE(ABORT, 'kept for ever'); END;
CREATE TRIGGER IF NOT EXISTS envelope_is BEFORE UPDATE ON envelope BEGIN SELECT RAISE(ABORT, 'kept as it came'); END;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """It is kept: now, or since it came the first time."""

    news: bool
    missing: tuple[int, int] | None = None  # first and last number of the gap before it
    other_chain: str = ""  # the one that this player had before this new one


@dataclass(frozen=True, slots=True, kw_only=True)
class Forked:
    """It contradicts what is kept: one of the two was not what happened."""

    seq: int  # the first entry that differs
    common: tuple[int, bytes] | None  # the last entry that does not, and its hash
    head: tuple[int, bytes]  # of what is kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An envelope as it is kept."""

    id: int
    player: str
    chain: str
    first: int
    last: int
    fresh: int
    from_at: str
    to_at: str
    received_at: datetime
    body: bytes


COLUMNS = "id, player, chain, first, last, fresh, from_at, to_at, received_at, body"


class ProofStore:
    def __init__(self, path: Path) -> None:
        """Open or make the database; `damaged` names one that was set aside. Raises: sqlite3.Error."""
        self._lock = threading.Lock()
        self.damaged: Path | None = None
        try:
            self._db = _opened(path)
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:  # locked, or a full disk: it may be whole
                raise
            self.damaged = _set_aside(path)
            self._db = _opened(path)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def add(self, segment: Segment, body: bytes, *, received_at: datetime) -> Stored | Forked:
        """Keep an envelope whose signature was checked; durable when this returns. The same again changes nothing."""
        with self._transaction():
            known = self._known(segment)
            told = segment.known()
            if forked := sorted(seq for seq in known.keys() & told.keys() if known[seq] != told[seq]):
                return self._forked(segment, body, forked[0], known, received_at)
            fresh = [seq for seq in range(segment.first, segment.last + 1) if seq not in known]
            if not fresh:
                return Stored(news=False)
            return self._add(segment, body, fresh[0], received_at)

    def to_journal(self, limit: int = 50) -> list[Kept]:
        """The oldest envelopes of which the journal has not been told."""
        query = f"SELECT {COLUMNS} FROM envelope WHERE id > (SELECT envelope FROM journalled) ORDER BY id LIMIT ?"  # noqa: S608
        with self._lock:
            return [kept(row) for row in self._db.execute(query, (limit,))]

    def journalled(self, envelope: Kept, remarks: Mapping[int, Remark]) -> None:
        """The journal has all of this envelope; `remarks` are kept with the entries of these numbers."""
        rows = [(envelope.player, envelope.chain, seq, one.weight, one.text) for seq, one in remarks.items()]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO remark VALUES (?, ?, ?, ?, ?)", rows)
            self._db.execute("UPDATE journalled SET envelope = max(envelope, ?)", (envelope.id,))

    def _add(self, segment: Segment, body: bytes, fresh: int, received_at: datetime) -> Stored:
        player, chain, now = segment.player, segment.chain, text_of(received_at)
        times = [text_of(happened_at(entry, received_at)) for entry in segment.entries]
        head = self._head(player, chain)
        other = "" if head else self._newest_chain(player)
        self._db.execute(
            "INSERT INTO envelope (player, chain, first, last, fresh, from_at, to_at, received_at, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (player, chain, segment.first, segment.last, fresh, min(times), max(times), now, body),
        )
        if head is None:
            begun = (player, chain, segment.last, segment.hashes[-1], now)
            self._db.execute("INSERT INTO head (player, chain, seq, hash, since) VALUES (?, ?, ?, ?, ?)", begun)
        elif segment.last > head[0]:
            grown = (segment.last, segment.hashes[-1], player, chain)
            self._db.execute("UPDATE head SET seq = ?, hash = ? WHERE player = ? AND chain = ?", grown)
        missing = self._missing(segment, head[0] if head else 0, now)
        return Stored(news=True, missing=missing, other_chain=other)

    def _missing(self, segment: Segment, before: int, now: str) -> tuple[int, int] | None:
        if segment.first <= before + 1:
            return None
        gap = (before + 1, segment.first - 1)
        self._db.execute("INSERT INTO gap VALUES (?, ?, ?, ?, ?)", (segment.player, segment.chain, *gap, now))
        return gap

    def _forked(
        self, segment: Segment, body: bytes, seq: int, known: dict[int, bytes], received_at: datetime
    ) -> Forked:
        count = self._db.execute("SELECT count(*) FROM fork WHERE player = ?", (segment.player,)).fetchone()[0]
        if count < MAX_FORKS:
            values = (segment.player, segment.chain, seq, text_of(received_at), body)
            self._db.execute("INSERT OR IGNORE INTO fork VALUES (?, ?, ?, ?, ?)", values)
        common = max((number for number in known if segment.first <= number < seq), default=None)
        head = self._head(segment.player, segment.chain)
        assert head is not None  # noqa: S101 - what is contradicted is there
        return Forked(seq=seq, common=None if common is None else (common, known[common]), head=head)

    def _known(self, segment: Segment) -> dict[int, bytes]:
        """The hashes that are kept, around the numbers of this segment."""
        query = f"SELECT {COLUMNS} FROM envelope WHERE player = ? AND chain = ? AND last >= ? AND first <= ?"  # noqa: S608
        bounds = (segment.player, segment.chain, segment.first - 1, segment.last + 1)
        known: dict[int, bytes] = {}
        for row in self._db.execute(query, bounds):
            with suppress(WireError):  # somebody changed it: it says nothing, and `verify-proof` will find it
                known |= segment_of(decode(ProofOfPlay, row[-1])).known()
        return known

    def _head(self, player: str, chain: str) -> tuple[int, bytes] | None:
        row: tuple[int, bytes] | None = self._db.execute(
            "SELECT seq, hash FROM head WHERE player = ? AND chain = ?", (player, chain)
        ).fetchone()
        return row

    def _newest_chain(self, player: str) -> str:
        query = "SELECT chain FROM head WHERE player = ? ORDER BY id DESC LIMIT 1"
        row = self._db.execute(query, (player,)).fetchone()
        return row[0] if row else ""

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            yield


def kept(row: tuple[Any, ...]) -> Kept:
    """The envelope in a row of `COLUMNS`."""
    names = ("id", "player", "chain", "first", "last", "fresh", "from_at", "to_at")
    return Kept(**dict(zip(names, row[:8], strict=True)), received_at=datetime.fromisoformat(row[8]), body=row[9])


def text_of(moment: datetime) -> str:
    """UTC, of one width, so that text sorts as time does."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=15)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> Path:
    """Kept for whoever can still read something in it; its log goes with it."""
    aside = path.with_name(f"{path.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    for suffix in ("", "-wal", "-shm"):
        if (one := path.with_name(path.name + suffix)).exists():
            one.replace(aside.with_name(aside.name + suffix))
    return aside
