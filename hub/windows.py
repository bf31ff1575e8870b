"""Opens and closes the items' windows by the clock."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from hub.api import Clock, DeliveryState, ItemState
from hub.ledger import deliveries, items, jobs
from hub.ledger.database import Database

LONGEST_TICK_S = 30.0


class Windows:
    """Sleeps until the next window begins or ends; `look` when there may be a nearer one."""

    def __init__(self, database: Database, clock: Clock, wake: Callable[[], None]) -> None:
        self._database = database
        self._clock = clock
        self._wake = wake
        self._changed = asyncio.Event()

    def look(self) -> None:
        """A new item may have a nearer boundary than the one waited for."""
        self._changed.set()

    async def run(self) -> None:
        while True:
            self._changed.clear()
            if await self._database.write(self._cross_boundaries):
                self._wake()
            upcoming = await self._database.read(items.next_boundary)
            pause = LONGEST_TICK_S
            if upcoming is not None:
                pause = min(max((upcoming - self._clock.now()).total_seconds(), 0.0), pause)
            try:
                async with asyncio.timeout(pause):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def _cross_boundaries(self, db: sqlite3.Connection) -> int:
        now = self._clock.now()
        crossing = items.crossing_a_boundary(db, now)
        for item, state in crossing:
            items.set_state(db, item, state, now=now)
            if state is ItemState.ENDED:
                jobs.drop_for_item(db, item.number)
                deliveries.close_for_item(db, item.number, DeliveryState.EXPIRED, now=now)
        return len(crossing)
