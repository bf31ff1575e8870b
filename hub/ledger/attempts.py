"""Files that could not be looked at, for a reason that may be their own: how often it was tried, by content."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from datetime import datetime

from hub.ledger.wire import stamp


def count(db: sqlite3.Connection, sha256: str, *, now: datetime) -> int:
    """Note one more failure; returns how many there are of these bytes."""
    row = db.execute(
        "INSERT INTO attempt VALUES (?, 1, ?) ON CONFLICT DO UPDATE SET tries = tries + 1, last_at = excluded.last_at"
        " RETURNING tries",
        (sha256, stamp(now)),
    ).fetchone()
    return int(row["tries"])


def forget(db: sqlite3.Connection, hashes: Iterable[str]) -> None:
    """They could be looked at after all."""
    db.executemany("DELETE FROM attempt WHERE sha256 = ?", [(one,) for one in hashes])


def forget_older(db: sqlite3.Connection, than: datetime) -> int:
    """Nobody dropped them again for so long."""
    return db.execute("DELETE FROM attempt WHERE last_at < ?", (stamp(than),)).rowcount
