"""Facts on their way: plugins record them in the ledger, and every observer is told from there, in order."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.api import Aired, Clock, Delivered, DeliveryFailed, Fact, Filed, Item, ItemNumber, JournalEntry, Log, Played
from hub.api.errors import Rejected, RetryLater
from hub.jobs.retry import pause
from hub.jobs.settings import JobSettings
from hub.ledger import deliveries, facts, items
from hub.ledger.database import Database
from hub.ledger.wire import faithful

BATCH = 500
GATHER_S = 0.05  # facts come in bursts, and a batch costs hardly more than one
FROM_PLUGINS = Delivered | DeliveryFailed | Played | Aired | Filed

Observer = Callable[[Sequence[JournalEntry]], Awaitable[None]]


class Bell:
    """Tells all observers at once that there is something new in the journal."""

    def __init__(self) -> None:
        self.rings = 0
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self.rings += 1
        self._rung.set()
        self._rung = asyncio.Event()

    async def wait(self, rings: int) -> None:
        """Return when it has been rung more often: whoever looks notes `rings` first, and misses nothing meanwhile."""
        if self.rings == rings:
            await self._rung.wait()


class PluginJournal:
    """The journal as one plugin writes it."""

    def __init__(self, plugin: str, database: Database, clock: Clock, zone: ZoneInfo, bell: Bell, log: Log) -> None:
        self._plugin = plugin
        self._database = database
        self._clock = clock
        self._zone = zone
        self._bell = bell
        self._log = log

    async def record(self, fact: Fact, *, key: str) -> bool:
        return await self.record_many([(key, fact)]) == 1

    async def record_many(self, facts: Sequence[tuple[str, Fact]]) -> int:
        """Keep the facts; those that are not this plugin's to tell are dropped, and named in the log."""
        new, refused = await self._database.write(_record, self._plugin, facts, self._clock.now(), self._zone)
        for key, reason in refused:
            self._log.warning("fact_refused", key=key, reason=reason)
        if new:
            self._bell.ring()
        return new


class LedgerRecords:
    """The hub's records as plugins may read them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def item(self, number: ItemNumber) -> Item | None:
        return await self._database.read_aside(items.get, number)

    async def items(self) -> Sequence[Item]:
        return await self._database.read_aside(items.all_items)

    async def entries(
        self, *, after: int = 0, item: ItemNumber | None = None, limit: int = 1000
    ) -> Sequence[JournalEntry]:
        return await self._database.read_aside(facts.entries, after=after, item=item, limit=limit)


class Teller:
    """Tells one observer the journal from its own cursor on, for ever; a failure is told again later."""

    def __init__(
        self, name: str, tell: Observer, database: Database, bell: Bell, settings: JobSettings, log: Log
    ) -> None:
        self.name = name
        self.trouble = ""  # why the observer lags, for health
        self._tell = tell
        self._database = database
        self._bell = bell
        self._settings = settings
        self._log = log

    async def run(self) -> None:
        cursor = await self._database.read(facts.cursor, self.name)
        failures = 0
        while True:
            rings = self._bell.rings
            entries = await self._database.read(facts.entries, after=cursor, limit=BATCH)
            if not entries:
                await self._bell.wait(rings)
                await asyncio.sleep(GATHER_S)
                continue
            if not await self._told(entries):
                failures += 1
                await asyncio.sleep(pause(failures, self._settings).total_seconds())
                continue
            failures, self.trouble, cursor = 0, "", entries[-1].seq
            await self._database.write(facts.move_cursor, self.name, cursor)

    async def _told(self, entries: Sequence[JournalEntry]) -> bool:
        try:
            await self._tell(entries)
        except RetryLater as error:
            self.trouble = str(error)
            self._log.warning("observer_asked_to_wait", observer=self.name, reason=str(error))
        except Exception as error:  # noqa: BLE001 - the isolation boundary: an observer is a plugin's code
            self.trouble = f"{type(error).__name__}: {error}"
            self._log.exception("observer_failed", observer=self.name, entries=len(entries))
        else:
            return True
        return False


def _record(
    db: sqlite3.Connection, plugin: str, told: Sequence[tuple[str, Fact]], now: datetime, zone: ZoneInfo
) -> tuple[int, list[tuple[str, str]]]:
    new, refused = 0, []
    for key, fact in told:
        try:
            new += _record_one(db, plugin, key, fact, now, zone)
        except Rejected as error:
            refused.append((key, str(error)))
    return new, refused


def _record_one(db: sqlite3.Connection, plugin: str, key: str, fact: Fact, now: datetime, zone: ZoneInfo) -> bool:
    if not isinstance(fact, FROM_PLUGINS):
        raise Rejected(f"{type(fact).__name__} is recorded by the hub itself")
    if not (isinstance(key, str) and key and faithful(key)):
        raise Rejected("a fact needs a key of plain text")
    if not faithful(fact):  # kept for ever and read by every observer: rubbish would stop them all
        raise Rejected(f"a field of this {type(fact).__name__} is not what hub.api.facts says (times need a time zone)")
    if isinstance(fact, Filed) and items.get(db, fact.item) is None:
        raise Rejected(f"there is no item {fact.item}")
    if not isinstance(fact, Filed):
        row = deliveries.get(db, plugin, fact.delivery)
        if row is None:
            raise Rejected(f"no delivery {fact.delivery!r} of this plugin")
        if isinstance(fact, Played | Aired) and row.delivery.item != fact.item:
            raise Rejected(f"delivery {fact.delivery!r} is of {row.delivery.item}, not of {fact.item}")
    if not facts.add(db, plugin, key, fact, now=now):
        return False
    if isinstance(fact, Played | Aired):
        facts.count_play(db, fact, zone)
    if not isinstance(fact, Filed):
        deliveries.apply_fact(db, plugin, fact, now=now)
    return True
