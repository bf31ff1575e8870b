"""What grows while a month runs: its events and its list in `berjalan/`, and the database they are counted in."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from hub.api import Item, ItemNumber, JournalEntry, PluginContext
from hub.api.files import write_atomically
from plugins.archive import events
from plugins.archive.cabinet import Cabinet
from plugins.archive.deviations import deviations_csv, deviations_name
from plugins.archive.months import Month
from plugins.archive.one_thread import OneThread
from plugins.archive.record import Destination
from plugins.archive.report import Line, group, list_csv, list_name
from plugins.archive.settings import ArchiveSettings
from plugins.archive.state import DATABASE, ArchiveState, Due

_PAGE = 1000


class Ledgerbook:
    """One caller at a time: the plugin holds its lock around every call but `open`."""

    def __init__(self, context: PluginContext[ArchiveSettings], cabinet: Cabinet, run: OneThread) -> None:
        self._run = run
        self._context = context
        self._cabinet = cabinet
        self._database = context.state_dir / DATABASE
        self._opened: ArchiveState | None = None
        self._items: dict[ItemNumber, Item] = {}
        self._refreshed_at = float("-inf")

    @property
    def _state(self) -> ArchiveState:
        assert self._opened is not None, "open() comes first"  # noqa: S101 - a mistake of ours, never of the world's
        return self._opened

    async def open(self) -> None:
        """Open the database and count what it lacks of the journal; a damaged one is made again from it.

        Raises: OSError, BagDamaged, sqlite3.OperationalError; a retry goes on where it stopped.
        """
        self._opened = await self._run(self._open_or_renew)
        while page := await self._context.records.entries(after=await self._run(self._counted), limit=_PAGE):
            await self.take(page)

    async def renew(self) -> None:
        """Count the whole journal anew. Raises: as `open`."""
        await self._run(self._discard)
        await self.open()

    async def take(self, entries: Sequence[JournalEntry]) -> None:
        """Write new facts to their months' events and count them. A retry is safe. Raises: OSError, BagDamaged."""
        await self._run(self._take_page, entries)

    async def due(self) -> list[Due]:
        return await self._run(self._state.due)

    async def done(self, item: ItemNumber, month: Month) -> None:
        """The item is filed and the journal knows it."""
        await self._run(self._state.filed, item, [month])

    async def note_filed(self, month: Month) -> None:
        """The list of a month changes."""
        await self._run(self._state.touch, month)

    async def note_problem(self, item: ItemNumber, problem: str) -> None:
        await self._run(self._state.note_problem, item, problem)

    async def destinations(self, item: ItemNumber) -> tuple[Destination, ...]:
        return await self._run(self._state.destinations, item)

    async def refresh_lists(self, *, force: bool) -> None:
        """Write the lists that changed, at most every `refresh_every_s` unless forced. Raises: OSError, BagDamaged."""
        now = self._context.clock.monotonic()
        if not force and now - self._refreshed_at < self._context.settings.refresh_every_s:
            return
        for month in await self._run(self._state.dirty_months):
            await self.write_list(month)
        self._refreshed_at = now

    async def write_list(self, month: Month) -> Path:
        """Write a month's list anew; returns its path. Raises: OSError, BagDamaged."""
        lines = await self._lines(month)
        return await self._run(self._write_list, month, lines)

    async def _lines(self, month: Month) -> list[Line]:
        totals = group(await self._run(self._state.totals, month))
        numbers = sorted({*totals, *self._cabinet.filed_in(month)})
        lines = []
        for number in numbers:
            place = self._cabinet.place_of(number)
            lines.append(
                Line(
                    number=number,
                    item=await self._item(number),
                    totals=totals.get(number, ()),
                    place=place.path if place else "",
                )
            )
        return lines

    async def _item(self, number: ItemNumber) -> Item | None:
        known = self._items.get(number) or await self._context.records.item(number)
        if known is not None:
            self._items[number] = known
        return known

    def _write_list(self, month: Month, lines: Sequence[Line]) -> Path:
        path = self._cabinet.growing_folder(month) / list_name(month)
        content = list_csv(lines, self._context.settings, self._context.zone)
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
        self._write_deviations(month)
        self._state.mark_clean(month)
        return path

    def _write_deviations(self, month: Month) -> None:
        folder = self._cabinet.growing_folder(month)
        path, content = folder / deviations_name(month), deviations_csv(folder / events.NAME)
        if content and (not path.is_file() or path.read_bytes() != content):
            write_atomically(path, content)

    def _counted(self) -> int:
        return self._state.seq

    def _take_page(self, page: Sequence[JournalEntry]) -> None:
        fresh = [entry for entry in page if entry.seq > self._state.seq]
        if fresh:
            self._write_events(fresh)  # first: a month with counted facts always has its events
            self._state.apply(fresh)

    def _write_events(self, entries: Sequence[JournalEntry]) -> None:
        zone = self._context.zone
        by_month: dict[Month, list[tuple[int, str]]] = {}
        for entry in entries:
            month = Month.of(events.happened_at(entry), zone)
            by_month.setdefault(month, []).append((entry.seq, events.line_of(entry, zone)))
        for month, lines in by_month.items():
            events.append_lines(self._cabinet.growing_folder(month) / events.NAME, lines)

    def _open_or_renew(self) -> ArchiveState:
        if self._opened is not None:
            self._opened.close()
        try:
            state = ArchiveState(self._database, self._context.zone)
            if not self._lost_events(state):
                return state
            state.close()
        except sqlite3.OperationalError:
            raise  # no room, no access: nothing is wrong with what it holds
        except sqlite3.DatabaseError as error:
            self._context.log.warning("archive_database_renewed", reason=str(error))
        self._discard()
        return ArchiveState(self._database, self._context.zone)

    def _discard(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
        for suffix in ("", "-wal", "-shm"):
            self._database.with_name(DATABASE + suffix).unlink(missing_ok=True)

    def _lost_events(self, state: ArchiveState) -> bool:
        """A month with counted facts has no file of events: only the journal can give them back."""
        return any(not (self._cabinet.list_folder(month) / events.NAME).is_file() for month in state.known_months())
