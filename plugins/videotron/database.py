"""How the plugin opens a database of its own, and what it does with one that the disk has spoiled."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def opened(path: Path, schema: str, *, journal: str = "WAL", synchronous: str = "FULL") -> sqlite3.Connection:
    """The database, looked through and with its tables; for one writer, in whatever thread. Blocks.

    Raises: sqlite3.OperationalError when it is locked or the disk full: it may be whole; sqlite3.DatabaseError when it
    is spoiled.
    """
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        db.execute(f"PRAGMA journal_mode = {journal}")
        db.execute(f"PRAGMA synchronous = {synchronous}")
        if (verdict := db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)
        db.executescript(schema)
    except BaseException:
        db.close()
        raise
    return db


def set_aside(path: Path) -> None:
    """Keep a spoiled one for whoever wants to look, as `<name>.damaged`; its log goes with it. Raises: OSError."""
    for one in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        if one.exists():
            one.replace(one.with_name(f"{one.name}.damaged"))
