"""The archive as a plugin: files each item once in its month's folder, and keeps the month's events and list.

The journal is the truth. Facts are written to the month's events, counted in the archive's own database, and only then
does this plugin's cursor move; an item that became due by them stays due until it is filed, whatever happens between.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta

import click

from hub.api import (
    Channel,
    Delivered,
    Delivery,
    Filed,
    Health,
    HealthState,
    Item,
    ItemNumber,
    JournalEntry,
    Order,
    Outcome,
    Pending,
    PluginContext,
    Receipt,
    Rendition,
    RetryLater,
    Service,
    hookimpl,
)
from plugins.archive.bag import BagDamaged
from plugins.archive.cabinet import Cabinet, Place
from plugins.archive.environment import problems_of
from plugins.archive.ledgerbook import Ledgerbook
from plugins.archive.months import Month
from plugins.archive.one_thread import OneThread
from plugins.archive.payload import SourceChanged
from plugins.archive.record import Cause, Filing
from plugins.archive.settings import ArchiveSettings
from plugins.archive.state import Due

DESTINATION = "arsip"
REPORT_ORDER = "archive.report"
REINDEX_ORDER = "archive.reindex"

# What concerns the whole archive or its disks, not one item: nothing is lost, and the same call works later.
_BLOCKING = (OSError, BagDamaged, sqlite3.OperationalError)


class ArchivePlugin:
    """Files items in `Arsip/<yyyy>/<yyyy-mm Month>/`, each month a BagIt bag."""

    Settings = ArchiveSettings

    keeps_templates = True

    def __init__(self, context: PluginContext[ArchiveSettings]) -> None:
        self._context = context
        self._root = context.settings.place(context.root)
        self._cabinet = Cabinet(self._root, context.settings, context.zone)
        self._run = OneThread("archive")
        self._book = Ledgerbook(context, self._cabinet, self._run)
        self._lock = asyncio.Lock()  # one writer of the archive at a time
        self._ready = False
        self._blocked = ""  # why nothing can be written now
        self._problems_again_at = float("-inf")
        self._problems: dict[ItemNumber, str] = {}  # items that cannot be filed as they are

    @hookimpl
    def hub_check_environment(self) -> Sequence[str]:
        return problems_of(self._root, self._context.translate)

    @staticmethod
    @hookimpl
    def hub_commands() -> click.Group:
        from plugins.archive.commands import archive

        return archive

    @hookimpl
    def hub_services(self) -> Sequence[Service]:
        return [Service(name="archive keeper", run=self._keep)]

    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        """Every item is archived, whatever its channels: the SOP's step 12 knows no exception."""
        return [Delivery(key=delivery_key(item.number), item=item.number, destination=DESTINATION)]

    @hookimpl
    async def hub_deliver(self, delivery: Delivery, item: Item, renditions: Sequence[Rendition]) -> Receipt | Pending:
        async with self._lock:
            await self._open()
            place = self._cabinet.place_of(item.number)
            if place is None and item.channels <= {Channel.ARCHIVE}:
                place = await self._file_now(item)
        if place is None:
            return Pending(detail=self._context.translate("waits for the first proven play"))
        return Receipt(detail=place.path)

    @hookimpl
    async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
        async with self._lock:
            await self._open()
            try:
                await self._book.take(entries)
                await self._file_due()
                await self._book.refresh_lists(force=False)
            except _BLOCKING as error:
                raise self._retry_later(error) from error
            self._blocked = ""

    @hookimpl
    async def hub_order(self, order: Order) -> Outcome:
        carry_out = {REPORT_ORDER: self._report, REINDEX_ORDER: self._reindex}.get(order.name)
        if carry_out is None:
            return Outcome(
                done=False, message=self._context.translate("The archive knows no order {name}.", name=order.name)
            )
        async with self._lock:
            try:
                await self._open()
                return await carry_out(order)
            except RetryLater as error:
                return Outcome(done=False, message=str(error))
            except _BLOCKING as error:
                return Outcome(done=False, message=str(self._retry_later(error)))

    async def _report(self, order: Order) -> Outcome:
        """Write a month's list anew."""
        try:
            month = Month.parse(order.args.get("month", ""))
        except ValueError:
            message = self._context.translate("Write the month as 2026-11 (year, dash, month).")
            return Outcome(done=False, message=message)
        return Outcome(done=True, message=str(await self._book.write_list(month)))

    async def _reindex(self, order: Order) -> Outcome:
        """Read the bags anew, count the whole journal anew, and write every month's list."""
        await self._run(self._cabinet.open)
        await self._book.renew()
        await self._file_due()
        await self._book.refresh_lists(force=True)
        items, months = self._cabinet.size
        return Outcome(
            done=True,
            message=self._context.translate(
                "{items} items in {months} months are indexed.", items=items, months=months
            ),
        )

    @hookimpl
    async def hub_health(self) -> Health:
        tell = self._context.translate
        details = {**{str(item): why for item, why in self._problems.items()}, **self._cabinet.damaged}
        if self._blocked:
            return Health(state=HealthState.DEGRADED, summary=self._blocked, details=details)
        if details:
            summary = tell("{count} items or months of the archive need a person", count=len(details))
            return Health(state=HealthState.DEGRADED, summary=summary, details=details)
        return Health(state=HealthState.OK)

    async def _keep(self) -> None:
        """Bring lists up to date, and try again by itself what could not be written."""
        wait_s = 0.0
        while True:
            await asyncio.sleep(wait_s)
            wait_s = await self._tidy()

    async def _tidy(self) -> float:
        """File what is due and write the lists; returns the seconds until it is worth trying again."""
        settings = self._context.settings
        async with self._lock:
            try:
                await self._open()
                await self._file_due()
                await self._book.refresh_lists(force=True)
            except _BLOCKING as error:
                self._retry_later(error)
                return settings.retry_every_s
            except RetryLater:
                return settings.retry_every_s
            self._blocked = ""
        return max(settings.refresh_every_s, 0.5)

    async def _open(self) -> None:
        """Recover the archive once, before anything else touches it. Raises: RetryLater."""
        if self._ready:
            return
        try:
            await self._run(self._cabinet.open)
            await self._book.open()
        except _BLOCKING as error:
            raise self._retry_later(error) from error
        self._ready = True
        self._context.log.info("archive_opened", root=str(self._root), damaged=len(self._cabinet.damaged))

    async def _file_now(self, item: Item) -> Place:
        due = Due(item=item.number, at=item.accepted_at, cause=Cause.ACCEPTED, problem="")
        try:
            return await self._file(item, due)
        except (*_BLOCKING, SourceChanged) as error:
            raise self._retry_later(error) from error

    async def _file_due(self) -> None:
        """File every due item; one that cannot be filed as it is does not hold up the others. Raises: OSError."""
        now = self._context.clock.monotonic()
        again = now >= self._problems_again_at  # a copy of a large original is not for every few seconds
        for due in await self._book.due():
            if due.item in self._problems and not again:
                continue
            self._problems.pop(due.item, None)
            item = await self._context.records.item(due.item)
            if item is None:
                await self._note_problem(due, self._context.translate("the hub's records do not know this item"))
                continue
            try:
                place = await self._file(item, due)
            except (SourceChanged, BagDamaged) as error:
                await self._note_problem(due, str(error))
                continue
            await self._tell_delivered(due.item, place)
            await self._book.done(due.item, place.month)
        if again:
            self._problems_again_at = now + self._context.settings.retry_every_s

    async def _file(self, item: Item, due: Due) -> Place:
        at = moment_of(item, due)
        _, names = self._cabinet.plan(item, at)
        known = await self._book.destinations(item.number)
        filing = Filing(
            item=item, at=at, now=self._context.clock.now(), cause=due.cause, names=names, destinations=known
        )
        place = await self._run(self._cabinet.file, filing)
        fact = Filed(item=item.number, month=str(place.month), path=place.path, never_played=due.cause.never_played)
        if await self._context.journal.record(fact, key=f"filed/{item.number}"):
            self._context.log.info("item_filed", item=item.number, path=place.path, cause=due.cause.value)
        await self._book.note_filed(place.month)
        return place

    async def _tell_delivered(self, number: ItemNumber, place: Place) -> None:
        fact = Delivered(delivery=delivery_key(number), at=self._context.clock.now(), detail=place.path)
        await self._context.journal.record(fact, key=f"archived/{number}")

    async def _note_problem(self, due: Due, problem: str) -> None:
        self._problems[due.item] = problem
        if problem != due.problem:
            self._context.log.warning("item_not_filed", item=due.item, reason=problem)
            await self._book.note_problem(due.item, problem)

    def _retry_later(self, error: Exception) -> RetryLater:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        told = self._context.translate(
            "The archive cannot be written now ({reason}). It goes on by itself as soon as it can.", reason=reason
        )
        if told != self._blocked:
            self._context.log.warning("archive_blocked", reason=reason, root=str(self._root))
        self._blocked = told
        return RetryLater(told)


def delivery_key(number: ItemNumber) -> str:
    return f"{number}/{DESTINATION}"


def moment_of(item: Item, due: Due) -> datetime:
    """The instant whose month the item is filed in: an item that ended, ended at the last moment of its window."""
    if due.cause is Cause.ENDED:
        return min(due.at, item.end - timedelta(microseconds=1))
    return due.at
