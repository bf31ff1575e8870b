"""What commands read of the plugin's databases: of a running or a stopped hub, changing nothing. Blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from plugins.videotron.protocol import Manifest, Override, decode

T = TypeVar("T")

STORE = "videotron.sqlite3"
OVERRIDES = "overrides.sqlite3"
_NO_TABLE = "no such table"  # a hub from before wrote this file, and none has run since


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a player was last told."""

    manifest: Manifest
    override: Override | None


def told_to(folder: Path, player: str) -> Told | None:
    """What the hub last signed for a player; None = it never did. Raises: sqlite3.Error, WireError."""
    manifest = read(folder / STORE, lambda db: _document(db, "manifest", player))
    if manifest is None:
        return None
    override = read(folder / OVERRIDES, lambda db: _document(db, "override", player))
    return Told(manifest=decode(Manifest, manifest), override=decode(Override, override) if override else None)


def read(path: Path, query: Callable[[sqlite3.Connection], T]) -> T | None:
    """What a query finds; None = there is no such file, or it is older than the query. Raises: sqlite3.Error."""
    if not path.exists():
        return None
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not path.with_name(f"{path.name}-wal").exists():
        uri += "&immutable=1"  # the hub is down; SQLite would make side files, in a folder where the reader may not
    with closing(sqlite3.connect(uri, uri=True, timeout=5)) as db:
        try:
            return query(db)
        except sqlite3.OperationalError as error:
            if _NO_TABLE in str(error):
                return None
            raise


def _document(db: sqlite3.Connection, table: str, player: str) -> bytes | None:
    row = db.execute(f"SELECT document FROM {table} WHERE player = ?", (player,)).fetchone()  # noqa: S608 - our own words
    return row[0] if row else None
