"""What the archive has learnt from the journal: totals for the lists, and the items that are due to be filed.

A cache with a cursor: rebuilt from the journal when it is lost. One transaction a batch, `synchronous=FULL`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from hub.api import (
    Aired,
    AiringState,
    DeliveryChanged,
    DeliveryState,
    ItemChanged,
    ItemNumber,
    ItemState,
    JournalEntry,
    OrderGiven,
    Played,
)
from plugins.archive.events import happened_at
from plugins.archive.months import Month, local_iso
from plugins.archive.record import Cause, Destination

DATABASE = "arsip.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cursor(one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL);
INSERT OR IGNORE INTO cursor VALUES (1, 0);
CREATE TABLE IF NOT EXISTS plays(item TEXT, month TEXT, channel TEXT, destination TEXT,
    whole INTEGER NOT NULL, part INTEGER NOT NULL, seconds REAL NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL,
    PRIMARY KEY (item, month, channel, destination)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted(channel TEXT, airing TEXT, PRIMARY KEY (channel, airing)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deliveries(channel TEXT, delivery TEXT, item TEXT NOT NULL, destination TEXT NOT NULL,
    delivered INTEGER NOT NULL, PRIMARY KEY (channel, delivery)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS deliveries_by_item ON deliveries(item);
CREATE TABLE IF NOT EXISTS proved(item TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due(item TEXT PRIMARY KEY, at TEXT NOT NULL, cause TEXT NOT NULL, problem TEXT NOT NULL)
    WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS months(month TEXT PRIMARY KEY, dirty INTEGER NOT NULL) WITHOUT ROWID;
PRAGMA user_version = 1;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """An item to be filed, and what stood in the way last time."""

    item: ItemNumber
    at: datetime
    cause: Cause
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthTotals:
    """What was proved of one item at one destination in one month."""

    item: ItemNumber
    destination: Destination
    last: str


class ArchiveState:
    """The archive's own database. Every method blocks; one caller at a time."""

    def __init__(self, path: Path, zone: tzinfo) -> None:
        self._zone = zone
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    @property
    def seq(self) -> int:
        """The last journal entry that is counted here."""
        return int(self._db.execute("SELECT seq FROM cursor").fetchone()[0])

    def apply(self, entries: Sequence[JournalEntry]) -> None:
        """Count new entries, all or none; those already counted change nothing."""
        after = self.seq
        with self._transaction():
            for entry in entries:
                if entry.seq > after:
                    self._count(entry)
            newest = max((entry.seq for entry in entries), default=0)
            self._db.execute("UPDATE cursor SET seq = max(seq, ?)", (newest,))

    def due(self) -> list[Due]:
        """What is still to be filed, oldest first."""
        rows = self._db.execute("SELECT item, at, cause, problem FROM due ORDER BY at, item")
        return [
            Due(item=ItemNumber(item), at=datetime.fromisoformat(at), cause=Cause(cause), problem=problem)
            for item, at, cause, problem in rows
        ]

    def filed(self, item: ItemNumber, months: Sequence[Month]) -> None:
        """The item is in the archive and in the journal: nothing is due, and the lists change."""
        with self._transaction():
            self._db.execute("DELETE FROM due WHERE item = ?", (item,))
            for month in months:
                self._touch(month)

    def touch(self, month: Month) -> None:
        """The list of the month is to be written again."""
        self._touch(month)

    def note_problem(self, item: ItemNumber, problem: str) -> None:
        self._db.execute("UPDATE due SET problem = ? WHERE item = ?", (problem, item))

    def proved_at(self, item: ItemNumber) -> datetime | None:
        """When the item was first proved to have played, as far as the journal tells by now."""
        row = self._db.execute("SELECT at FROM proved WHERE item = ?", (item,)).fetchone()
        return datetime.fromisoformat(row[0]) if row else None

    def dirty_months(self) -> list[Month]:
        return [
            Month.parse(text) for (text,) in self._db.execute("SELECT month FROM months WHERE dirty ORDER BY month")
        ]

    def known_months(self) -> list[Month]:
        """Every month in which something happened."""
        return [Month.parse(text) for (text,) in self._db.execute("SELECT month FROM months ORDER BY month")]

    def mark_clean(self, month: Month) -> None:
        self._db.execute("UPDATE months SET dirty = 0 WHERE month = ?", (str(month),))

    def totals(self, month: Month) -> list[MonthTotals]:
        """What was proved in a month, by item and destination."""
        rows = self._db.execute(
            "SELECT item, channel, destination, whole, part, seconds, first, last FROM plays WHERE month = ?"
            " ORDER BY item, channel, destination",
            (str(month),),
        )
        return [
            MonthTotals(
                item=ItemNumber(item),
                destination=Destination(
                    channel=channel, name=name, plays=whole, partial=part, seconds=seconds, first=first
                ),
                last=last,
            )
            for item, channel, name, whole, part, seconds, first, last in rows
        ]

    def destinations(self, item: ItemNumber) -> tuple[Destination, ...]:
        """All that is known of an item by now, by destination; the archive itself is none."""
        rows = self._db.execute(
            "SELECT channel, destination, max(planned), max(delivered), sum(whole), sum(part), sum(seconds), min(first)"
            " FROM (SELECT channel, destination, 1 AS planned, delivered, 0 AS whole, 0 AS part, 0.0 AS seconds,"
            "       NULL AS first FROM deliveries WHERE item = :item"
            "       UNION ALL SELECT channel, destination, NULL, NULL, whole, part, seconds, first FROM plays"
            "       WHERE item = :item)"
            " WHERE channel <> 'archive' GROUP BY channel, destination ORDER BY channel, destination",
            {"item": item},
        )
        return tuple(
            Destination(
                channel=channel, name=name, planned=_known(planned), delivered=_known(delivered),
                plays=whole, partial=part, seconds=seconds, first=first or "",
            )
            for channel, name, planned, delivered, whole, part, seconds, first in rows
        )  # fmt: skip

    def _count(self, entry: JournalEntry) -> None:
        fact, at = entry.fact, happened_at(entry)
        if isinstance(fact, Played):
            self._count_play(entry.plugin, fact.item, fact.destination, at, fact.seconds, whole=fact.complete)
            self._proved(fact.item, at)
        elif isinstance(fact, Aired):
            self._count_airing(entry.plugin, fact, at)
        elif isinstance(fact, DeliveryChanged):
            self._count_delivery(fact)
        elif isinstance(fact, ItemChanged) and fact.state in (ItemState.ENDED, ItemState.WITHDRAWN):
            cause = Cause.ENDED if fact.state is ItemState.ENDED else Cause.WITHDRAWN
            if self.proved_at(fact.item) is None:
                self._due(fact.item, at, cause)
        self._touch(Month.of(at, self._zone), dirty=isinstance(fact, Played | Aired | OrderGiven))

    def _count_airing(self, channel: str, fact: Aired, at: datetime) -> None:
        if fact.state not in (AiringState.AIRED, AiringState.PARTIAL):
            return
        new = self._db.execute("INSERT OR IGNORE INTO counted VALUES (?, ?)", (channel, fact.airing)).rowcount
        if new:  # one airing may be told again, as when a partial one is judged anew
            whole = fact.state is AiringState.AIRED
            self._count_play(channel, fact.item, fact.destination, at, fact.seconds, whole=whole)
        if fact.state is AiringState.AIRED:
            self._proved(fact.item, at)

    def _count_play(
        self, channel: str, item: str, destination: str, at: datetime, seconds: float, *, whole: bool
    ) -> None:
        when = local_iso(at, self._zone)
        self._db.execute(
            "INSERT INTO plays VALUES (:item, :month, :channel, :destination, :whole, :part, :seconds, :at, :at)"
            " ON CONFLICT DO UPDATE SET whole = whole + :whole, part = part + :part, seconds = seconds + :seconds,"
            " first = min(first, :at), last = max(last, :at)",
            {
                "item": item, "month": str(Month.of(at, self._zone)), "channel": channel, "destination": destination,
                "whole": int(whole), "part": int(not whole), "seconds": max(0.0, seconds), "at": when,
            },
        )  # fmt: skip

    def _count_delivery(self, fact: DeliveryChanged) -> None:
        delivered = fact.state in (DeliveryState.DELIVERED, DeliveryState.PLAYED)
        self._db.execute(
            "INSERT INTO deliveries VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET delivered = max(delivered, excluded.delivered)",
            (fact.plugin, fact.delivery, fact.item, fact.destination, int(delivered)),
        )

    def _proved(self, item: ItemNumber, at: datetime) -> None:
        moment = (item, at.astimezone(UTC).isoformat())
        if self._db.execute("INSERT OR IGNORE INTO proved VALUES (?, ?)", moment).rowcount:
            self._due(item, at, Cause.PLAYED)

    def _due(self, item: ItemNumber, at: datetime, cause: Cause) -> None:
        known = self._db.execute("SELECT cause FROM due WHERE item = ?", (item,)).fetchone()
        if known is None or Cause(known[0]).never_played > cause.never_played:
            self._db.execute(
                "INSERT OR REPLACE INTO due VALUES (?, ?, ?, '')", (item, at.astimezone(UTC).isoformat(), cause)
            )

    def _touch(self, month: Month, *, dirty: bool = True) -> None:
        self._db.execute(
            "INSERT INTO months VALUES (?, ?) ON CONFLICT DO UPDATE SET dirty = max(dirty, excluded.dirty)",
            (str(month), int(dirty)),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _known(flag: int | None) -> bool | None:
    return None if flag is None else bool(flag)
