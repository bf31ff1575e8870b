"""The file of the player's record of playbacks."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from plugins.videotron.protocol.chain import BEGINNING

# `head` stays when all entries are gone: neither number nor hash is ever given twice. `showing` is what is on now.
SCHEMA = """
create table if not exists head (
    one integer primary key check (one = 1),
    chain text not null,
    seq integer not null,
    hash blob not null,
    why text not null,
    lost integer not null,
    lost_ever integer not null
) strict;
create table if not exists entry (seq integer primary key, prev blob not null, text text not null) strict;
create table if not exists showing (one integer primary key check (one = 1), text text not null) strict;
"""


@dataclass(frozen=True, slots=True)
class Head:
    chain: str
    seq: int
    hash: bytes
    why: str  # a new chain was begun: the next entry tells
    lost: int  # not told yet
    lost_ever: int


def opened(path: Path, why: str) -> sqlite3.Connection:
    """The database, made when it is not there; a new chain tells `why` it was begun. Raises: sqlite3.DatabaseError."""
    db = sqlite3.connect(path, check_same_thread=False, timeout=10, isolation_level=None)
    try:
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("pragma journal_size_limit = 1048576")
        if (verdict := db.execute("pragma quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)
        db.executescript(SCHEMA)
        first = (secrets.token_hex(8), BEGINNING, why)
        db.execute("insert or ignore into head values (1, ?, 0, ?, ?, 0, 0)", first)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
