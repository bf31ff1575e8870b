"""The player's record of every playback: durable before it is sent, kept until the hub has it.

All of it blocks: use a thread.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from plugins.videotron.protocol import ProofAck, ProofEntry, ProofOfPlay

BATCH = 100
# AUTOINCREMENT: a number is never given twice, not even after the entry that had it was acknowledged and deleted.
SCHEMA = """
create table if not exists plays (
    seq integer primary key autoincrement,
    boot text not null,
    item text not null,
    cid text not null,
    started_at text not null,
    seconds real not null,
    complete integer not null
) strict;
create table if not exists lost (plays integer not null) strict;
insert into lost select 0 where not exists (select * from lost);
"""


class ProofLog:
    """Plays that the hub has not acknowledged yet, oldest first."""

    def __init__(self, path: Path, *, boot: str, keep: int) -> None:
        self._boot = boot
        self.chain = boot
        self.seq = 0
        self._keep = keep
        self._lock = threading.Lock()
        self._db = _opened(path)
        self._count = self._one("select count(*) from plays")

    def record(self, *, item: str, cid: str, started_at: datetime, seconds: float, complete: bool) -> bool:
        """Keep one playback; it survives a power cut from here on. False: there is no room, it is counted as lost."""
        with self._lock, self._db:
            if self._count >= self._keep:
                self._db.execute("update lost set plays = plays + 1")
                return False
            self._db.execute(
                "insert into plays (boot, item, cid, started_at, seconds, complete) values (?, ?, ?, ?, ?, ?)",
                (self._boot, item, cid, started_at.isoformat(), seconds, complete),
            )
            self._count += 1
            return True

    def next_batch(self, player: str) -> ProofOfPlay | None:
        """The oldest plays that wait, of one boot; None when the hub has all."""
        with self._lock:
            rows = self._db.execute(
                "select seq, item, cid, started_at, seconds, complete, boot from plays"
                " where boot = (select boot from plays order by seq limit 1) order by seq limit ?",
                (BATCH,),
            ).fetchall()
        if not rows:
            return None
        entries = tuple(
            ProofEntry(
                seq=seq,
                boot=boot,
                item=item,
                title="",
                cid=cid,
                sha256=cid + "0" * 32,
                epoch=0,
                manifest=0,
                started_at=datetime.fromisoformat(started_at),
                seconds=min(seconds, 86400.0),
                result="completed" if complete else "partial",
            ).model_dump_json()
            for seq, item, cid, started_at, seconds, complete, boot in rows
        )
        return ProofOfPlay(player=player, chain=self.chain, prev="0" * 64, entries=entries)

    def forget(self, ack: ProofAck) -> int:
        """Drop what the hub has dealt with; returns how many that were."""
        with self._lock, self._db:
            done = self._db.execute("delete from plays where seq <= ?", (ack.seq,)).rowcount
            self._count -= done
            return done

    @property
    def waiting(self) -> int:
        return self._count

    @property
    def lost(self) -> int:
        """Plays that could not be kept since this record was begun."""
        return self._one("select plays from lost")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def _one(self, query: str) -> int:
        with self._lock:
            return int(self._db.execute(query).fetchone()[0])


def open_proof_log(path: Path, *, boot: str, keep: int, set_aside: Callable[[Path], None]) -> ProofLog:
    """The record; one that the disk has spoiled is set aside and told, and a new one begun: the screen goes on."""
    try:
        return ProofLog(path, boot=boot, keep=keep)
    except sqlite3.DatabaseError:
        spoiled = path.with_name(f"{path.name}.spoiled-{boot}")
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        path.replace(spoiled)
        set_aside(spoiled)
        return ProofLog(path, boot=boot, keep=keep)


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, check_same_thread=False, timeout=10)
    try:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("pragma journal_size_limit = 1048576")
        db.executescript(SCHEMA)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
