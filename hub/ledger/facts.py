"""The journal: facts in order, each kept once, and a cursor for every observer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple
from zoneinfo import ZoneInfo

from hub.api import Aired, AiringState, Fact, ItemNumber, JournalEntry, Played
from hub.ledger.wire import FACT_KINDS, from_json, moment, stamp, to_json


class Total(NamedTuple):
    """How often and how long an item was proved on one destination."""

    destination: str
    plays: int
    seconds: float
    first_at: datetime
    last_at: datetime


def add(db: sqlite3.Connection, plugin: str, key: str, fact: Fact, *, now: datetime) -> bool:
    """Keep a fact; False when this plugin has recorded that key already."""
    added = db.execute(
        "INSERT INTO fact (recorded_at, plugin, key, kind, item, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (plugin, key) DO NOTHING",
        (stamp(now), plugin, key, type(fact).__name__, getattr(fact, "item", None), to_json(fact)),
    )
    return added.rowcount == 1


def count_play(db: sqlite3.Connection, fact: Played | Aired, zone: ZoneInfo) -> None:
    """Add a proved play or airing to the day's total."""
    if isinstance(fact, Aired) and fact.state is not AiringState.AIRED:
        return
    at = fact.started_at if isinstance(fact, Played) else fact.at
    db.execute(
        "INSERT INTO play_total VALUES (?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET plays = plays + 1,"
        " seconds = seconds + excluded.seconds, first_at = min(first_at, excluded.first_at),"
        " last_at = max(last_at, excluded.last_at)",
        (fact.item, fact.destination, at.astimezone(zone).strftime("%Y-%m-%d"), fact.seconds, stamp(at), stamp(at)),
    )


def totals(db: sqlite3.Connection, item: str) -> list[Total]:
    rows = db.execute(
        "SELECT destination, sum(plays) AS plays, sum(seconds) AS seconds, min(first_at) AS first_at,"
        " max(last_at) AS last_at FROM play_total WHERE item = ? GROUP BY destination ORDER BY destination",
        (item,),
    )
    return [
        Total(r["destination"], r["plays"], r["seconds"], moment(r["first_at"]), moment(r["last_at"])) for r in rows
    ]


def entries(
    db: sqlite3.Connection, *, after: int = 0, item: ItemNumber | None = None, limit: int = 1000
) -> list[JournalEntry]:
    """Entries with a greater `seq`, oldest first."""
    if item is None:
        rows = db.execute("SELECT * FROM fact WHERE seq > ? ORDER BY seq LIMIT ?", (after, limit))
    else:
        rows = db.execute("SELECT * FROM fact WHERE item = ? AND seq > ? ORDER BY seq LIMIT ?", (item, after, limit))
    return [_entry(row) for row in rows]


def by_key(db: sqlite3.Connection, plugin: str, first: str, last: str) -> Iterator[tuple[str, Fact]]:
    """What a plugin recorded under the keys from `first` to `last`, in the order of the keys."""
    query = "SELECT key, kind, body FROM fact WHERE plugin = ? AND key BETWEEN ? AND ? ORDER BY key"
    for row in db.execute(query, (plugin, first, last)):
        yield row["key"], from_json(FACT_KINDS[row["kind"]], row["body"])


def last_of(db: sqlite3.Connection, item: str, kind: type[Fact]) -> JournalEntry | None:
    # The kind stands in the text: only then does SQLite see that an index of one kind serves.
    query = f"SELECT * FROM fact WHERE item = ? AND kind = '{kind.__name__}' ORDER BY seq DESC LIMIT 1"  # noqa: S608
    row = db.execute(query, (item,)).fetchone()
    return _entry(row) if row else None


def newest(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM fact").fetchone()[0])


def cursor(db: sqlite3.Connection, observer: str) -> int:
    row = db.execute("SELECT cursor FROM observer WHERE name = ?", (observer,)).fetchone()
    return int(row["cursor"]) if row else 0


def move_cursor(db: sqlite3.Connection, observer: str, seq: int) -> None:
    db.execute(
        "INSERT INTO observer VALUES (?, ?) ON CONFLICT DO UPDATE SET cursor = max(cursor, excluded.cursor)",
        (observer, seq),
    )


def _entry(row: sqlite3.Row) -> JournalEntry:
    fact = from_json(FACT_KINDS[row["kind"]], row["body"])
    return JournalEntry(seq=row["seq"], recorded_at=moment(row["recorded_at"]), plugin=row["plugin"], fact=fact)
