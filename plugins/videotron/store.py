"""What the hub has told its players, kept through restarts: serials, retained topics, and who was given what.

SQLite in the plugin's state folder. Every method blocks: call it in a thread.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub.api import CurrentDelivery, ItemNumber, Sha256
from plugins.videotron.protocol import Playlist, PlaylistItem, Screen, cid_of, decode, encode

SCHEMA = """
CREATE TABLE IF NOT EXISTS playlist (
  player TEXT PRIMARY KEY, serial INTEGER NOT NULL, digest TEXT NOT NULL, items INTEGER NOT NULL, document BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS given (
  player TEXT NOT NULL, item TEXT NOT NULL, cid TEXT NOT NULL, sha256 TEXT NOT NULL, delivery TEXT NOT NULL,
  PRIMARY KEY (player, item, cid)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retained (topic TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file that a player was told to play: what a proof of play must refer to."""

    delivery: str
    item: ItemNumber
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The playlist in force for a player; `document` goes out as it stands, now and after every restart."""

    player: str
    serial: int
    items: int
    document: bytes


class Store:
    def __init__(self, path: Path) -> None:
        """Open or make the database. A damaged one is set aside: playlists are issued anew. Raises: sqlite3.Error."""
        self._lock = threading.Lock()
        try:
            self._db = _opened(path)
        except sqlite3.OperationalError:  # locked, or a full disk: it may be whole
            raise
        except sqlite3.DatabaseError:
            _set_aside(path)
            self._db = _opened(path)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def issue(
        self,
        player: str,
        screen: Screen | None,
        items: tuple[PlaylistItem, ...],
        deliveries: Sequence[CurrentDelivery],
        now: datetime,
    ) -> Issued:
        """The playlist with these items: the one in force when it says the same, else a new one with a higher serial.

        `screen` None: as it was, for a player whose screen is no longer configured.
        What it gives the player is remembered, for the proofs, before anybody can see the playlist.
        """
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            row = self._row(player)
            screen = screen or (decode(Playlist, row[3]).screen if row else Screen(width=16, height=16))
            digest = _digest(screen, items)
            if row and row[1] == digest:
                return Issued(player=player, serial=row[0], items=row[2], document=row[3])
            # Never below the seconds since 1970: a hub that lost this file must still be above what players have seen.
            serial = max((row[0] if row else 0) + 1, int(now.timestamp()))
            playlist = Playlist(aud=player, serial=serial, issued=now.astimezone(UTC), screen=screen, items=items)
            issued = Issued(player=player, serial=serial, items=len(items), document=encode(playlist))
            self._remember(issued, digest, deliveries)
            return issued

    def players(self) -> list[str]:
        """Everybody who was ever sent a playlist."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT player FROM playlist ORDER BY player")]

    def given(self, player: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Given]:
        """What the player was given, by (item, cid); a pair that it never was is not in the answer."""
        found: dict[tuple[str, str], Given] = {}
        query = "SELECT delivery, sha256 FROM given WHERE player = ? AND item = ? AND cid = ?"
        with self._lock:
            for item, cid in set(keys):
                if row := self._db.execute(query, (player, item, cid)).fetchone():
                    found[item, cid] = Given(delivery=row[0], item=ItemNumber(item), sha256=Sha256(row[1]))
        return found

    def retained(self) -> set[str]:
        """The topics that may hold a retained document of ours at the broker."""
        with self._lock:
            return {row[0] for row in self._db.execute("SELECT topic FROM retained")}

    def will_retain(self, topics: Iterable[str]) -> None:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO retained VALUES (?)", [(topic,) for topic in topics])

    def cleared(self, topics: Iterable[str]) -> None:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM retained WHERE topic = ?", [(topic,) for topic in topics])

    def _row(self, player: str) -> tuple[int, str, int, bytes] | None:
        query = "SELECT serial, digest, items, document FROM playlist WHERE player = ?"
        row: tuple[int, str, int, bytes] | None = self._db.execute(query, (player,)).fetchone()
        return row

    def _remember(self, issued: Issued, digest: str, deliveries: Sequence[CurrentDelivery]) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO playlist VALUES (?, ?, ?, ?, ?)",
            (issued.player, issued.serial, digest, issued.items, issued.document),
        )
        self._db.executemany(
            "INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?, ?)",
            [
                (issued.player, current.item.number, cid_of(rendition.sha256), rendition.sha256, current.delivery.key)
                for current in deliveries
                if current.delivery.destination == issued.player
                for rendition in current.renditions
            ],
        )


def _digest(screen: Screen, items: tuple[PlaylistItem, ...]) -> str:
    text = "\n".join([screen.model_dump_json(), *(item.model_dump_json() for item in items)])
    return hashlib.sha256(text.encode()).hexdigest()


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)
        db.executescript(SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> None:
    """Kept for whoever wants to look, as `<name>.damaged`; its log goes with it."""
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if one.exists():
            one.replace(one.with_name(f"{one.name}.damaged"))
