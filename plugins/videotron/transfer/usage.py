"""How many bytes of films were sent to which screen, by day: for links that cost money, and for whoever asks why.

Kept in SQLite, written together every ten seconds and at the end: a kill of the hub forgets what was sent since, ten
seconds at most. Days are those of each screen's zone. Bytes to a group count for each screen that was in it then.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Clock, Log
from plugins.videotron.transfer.sender import Sent

FILE = "usage.sqlite3"
WRITE_EVERY_S = 10.0
MB = 1_000_000
KEEP = timedelta(days=800)
SCHEMA = """
CREATE TABLE IF NOT EXISTS sent (
  player TEXT NOT NULL, day TEXT NOT NULL, cid TEXT NOT NULL, alone INTEGER NOT NULL, grouped INTEGER NOT NULL,
  PRIMARY KEY (player, day, cid)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS content (
  cid TEXT NOT NULL, item TEXT NOT NULL, PRIMARY KEY (cid, item)
) STRICT, WITHOUT ROWID;
"""
ADD = """
INSERT INTO sent VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET alone = alone + excluded.alone, grouped = grouped + excluded.grouped
"""

Key = tuple[str, str, str]  # player, day, cid


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """What was sent to one screen."""

    today: int = 0
    month: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was sent of one file to one screen on one day, in bytes."""

    player: str
    day: str
    cid: str
    items: tuple[str, ...]
    alone: int
    grouped: int


class Usage:
    """Counts in memory; `write` blocks and makes durable what was counted since."""

    def __init__(self, path: Path, *, zone_of: Callable[[str], ZoneInfo], clock: Clock) -> None:
        self._path = path
        self._zone_of = zone_of
        self._clock = clock
        self._lock = threading.Lock()  # between the loop and the thread that writes
        self._new: dict[Key, list[int]] = {}
        self._contents: set[tuple[str, str]] = set()
        self._days: dict[str, dict[str, int]] = {}  # by player: bytes by day, of this month and what is not written yet

    def load(self) -> None:
        """Take up this month's figures; a damaged file is set aside. Blocks. Raises: sqlite3.Error, OSError."""
        try:
            self._recall()
        except sqlite3.OperationalError:  # locked, or a full disk: it may be whole
            raise
        except sqlite3.DatabaseError:
            self._path.replace(self._path.with_name(f"{self._path.name}.damaged"))
            self._recall()

    def _recall(self) -> None:
        today, db = self._clock.now().date(), _opened(self._path)
        try:
            with db:
                db.execute("DELETE FROM sent WHERE day < ?", [(today - KEEP).isoformat()])
            query = "SELECT player, day, sum(alone + grouped) FROM sent WHERE day >= ? GROUP BY player, day"
            found = db.execute(query, [(today - timedelta(days=32)).isoformat()]).fetchall()
        finally:
            db.close()
        with self._lock:
            for player, day, size in found:
                days = self._days.setdefault(player, {})
                days[day] = days.get(day, 0) + size

    def count(self, sent: Sent) -> None:
        """A block has gone out."""
        now = self._clock.now()
        with self._lock:
            for player in sent.players:
                day = self._day(player, now).isoformat()
                added = self._new.setdefault((player, day, sent.offer.content.cid), [0, 0])
                added[not sent.alone] += sent.size
                days = self._days.setdefault(player, {})
                days[day] = days.get(day, 0) + sent.size
            self._contents |= {(sent.offer.content.cid, item) for item in sent.offer.items}

    async def keep(self, log: Log) -> None:
        """Write every ten seconds, and what is left when it is cancelled."""
        try:
            while True:
                await asyncio.sleep(WRITE_EVERY_S)
                await self._write_or_say(log)
        finally:
            await self._write_or_say(log)

    def of(self, player: str) -> Sum:
        """Today's and this month's bytes of a screen, by its own calendar."""
        today = self._day(player, self._clock.now())
        with self._lock:
            days = self._days.get(player, {})
            month = sum(size for day, size in days.items() if day[:7] == today.isoformat()[:7])
            return Sum(today=days.get(today.isoformat(), 0), month=month)

    def row(self, player: str) -> dict[str, int]:
        """The same, for the rows of `siarhub videotron players --json`."""
        found = self.of(player)
        return {"bytes_today": found.today, "bytes_month": found.month}

    def over(self, limits_mb: Mapping[str, int]) -> list[str]:
        """A sentence for each screen to which more was sent this month than its limit. Approved films go on to it."""
        sums = {player: self.of(player).month / MB for player, limit in sorted(limits_mb.items()) if limit}
        return [
            f"{player} was sent {month:.0f} MB this month, its limit is {limits_mb[player]} MB; what is approved is"
            f" still sent: make its films smaller (max_bitrate_kbps), or raise monthly_limit_mb"
            for player, month in sums.items()
            if month > limits_mb[player]
        ]

    async def _write_or_say(self, log: Log) -> None:
        try:
            await asyncio.to_thread(self.write)
        except (sqlite3.Error, OSError) as error:  # figures must not stop the transfers; they are kept in memory
            log.warning("usage_was_not_written", reason=str(error))

    def write(self) -> None:
        """Blocks. Raises: sqlite3.Error; what could not be written is kept for the next time."""
        with self._lock:
            new, self._new = self._new, {}
            contents, self._contents = self._contents, set()
        if not new:
            return
        try:
            self._store(new, contents)
        except BaseException:
            with self._lock:
                self._contents |= contents
                for key, (alone, grouped) in new.items():
                    added = self._new.setdefault(key, [0, 0])
                    added[0], added[1] = added[0] + alone, added[1] + grouped
            raise

    def _store(self, new: dict[Key, list[int]], contents: set[tuple[str, str]]) -> None:
        db = _opened(self._path)
        try:
            with db:
                db.executemany(ADD, [(*key, *sizes) for key, sizes in new.items()])
                db.executemany("INSERT OR IGNORE INTO content VALUES (?, ?)", contents)
        finally:
            db.close()

    def _day(self, player: str, now: datetime) -> date:
        return now.astimezone(self._zone_of(player)).date()


def read_usage(path: Path, *, player: str | None = None, month: str | None = None) -> list[Row]:
    """What was sent, oldest day first; `month` is yyyy-mm. [] when nothing was counted yet. Blocks.

    Raises: sqlite3.Error.
    """
    if not path.exists():
        return []
    db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
    try:
        items: dict[str, list[str]] = {}
        for cid, item in db.execute("SELECT cid, item FROM content ORDER BY item"):
            items.setdefault(cid, []).append(item)
        query = "SELECT player, day, cid, alone, grouped FROM sent WHERE (? IS NULL OR player = ?) AND day LIKE ?"
        found: Iterable[tuple[str, str, str, int, int]] = db.execute(
            f"{query} ORDER BY day, player, cid", [player, player, f"{month or ''}%"]
        ).fetchall()
    finally:
        db.close()
    return [
        Row(player=one, day=day, cid=cid, items=tuple(items.get(cid, ())), alone=alone, grouped=grouped)
        for one, day, cid, alone, grouped in found
    ]


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(SCHEMA)
    except BaseException:
        db.close()
        raise
    return db
