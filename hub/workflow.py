"""READ THIS FIRST: the story of one item, from its acceptance to the last receipt.

    accepted (hub/reception.py) -> plan -> transcode (hub/transcoding.py) -> deliver -> facts come back
    (hub/journal.py) -> the window ends (hub/windows.py), or a person withdraws it

Each step is a job. A job reads the ledger, does its work outside, and returns what the ledger must say now; the
engine writes that in the transaction that ends the job. So a step that was cut off runs again, and its effect happens
once.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from functools import partial

from hub.api import (
    Clock,
    DeliveryState,
    Item,
    ItemState,
    Log,
    Order,
    Outcome,
    Pending,
    Priority,
    Rejected,
    Rendition,
    RetryLater,
)
from hub.api.files import sha256_of
from hub.jobs.engine import Effect, Work
from hub.jobs.retry import Decision, GiveUp
from hub.jobs.settings import JobSettings
from hub.ledger import deliveries, items, jobs, renditions
from hub.ledger.database import Database
from hub.ledger.jobs import Job, JobKind
from hub.messages import Catalogue
from hub.plugin_host.host import PluginHost
from hub.transcoding import Transcoding

PLUGIN_DOWN = timedelta(minutes=5)
URGENT_GATHER = timedelta(seconds=0.2)  # plans come within milliseconds; one decode for all is the quickest for all

Lost = Sequence[tuple[deliveries.DeliveryRow, tuple[Rendition, ...]]]
Look = Callable[[tuple[Rendition, ...]], tuple[Rendition, ...]]
_HELD = (DeliveryState.READY, DeliveryState.HANDED_OVER, DeliveryState.DELIVERED, DeliveryState.PLAYED)


class Workflow:
    """Carries accepted items through planning, transcoding and delivery, and takes them back."""

    def __init__(
        self,
        database: Database,
        host: PluginHost,
        transcoding: Transcoding,
        settings: JobSettings,
        clock: Clock,
        log: Log,
        catalogue: Catalogue,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._host = host
        self._transcoding = transcoding
        self._gather = timedelta(seconds=settings.gather_s)
        self._clock = clock
        self._log = log
        self._catalogue = catalogue
        self._wake = wake

    @property
    def works(self) -> Mapping[JobKind, Work]:
        """How each kind of job is done."""
        return {
            JobKind.PLAN: Work(run=self.plan, failed=lambda job, decision: partial(_forget_if_over, job)),
            JobKind.TRANSCODE: Work(run=self._transcoding.run, failed=self._transcoding.failed),
            JobKind.DELIVER: Work(run=self.deliver, failed=self._delivery_failed),
            JobKind.WITHDRAW: Work(run=self.take_back, failed=lambda job, decision: _nothing),
        }

    async def plan(self, job: Job) -> Effect:
        """Ask one plugin for its deliveries of one item."""
        item, plugin = await self._item(job), job.lane
        if item.state not in items.LIVE:
            return _nothing
        self._must_run(plugin)
        wanted = await self._host.plan_deliveries(plugin, item)
        own = {asset.sha256 for asset in item.assets}
        if foreign := [want.asset for delivery in wanted for want in delivery.wants if want.asset not in own]:
            raise Rejected(f"{plugin} wants a file that is not of {item.number}: {foreign[0]}")
        lost = await self._lost(item.number, _missing, (plugin,), _HELD)

        def effect(db: sqlite3.Connection) -> None:
            now = self._clock.now()
            if (fresh := items.get(db, item.number)) is None or fresh.state not in items.LIVE:
                return
            deliveries.plan(db, fresh, plugin, wanted, now=now, transcode_at=now + self._gather_for(fresh))
            for row, gone in lost:
                self._make_again(db, fresh, plugin, row.delivery.key, gone)
            if not jobs.plans_left(db, item.number):
                for asset in renditions.assets_wanted(db, item.number):
                    jobs.hasten_transcode(db, asset, now=now)

        return effect

    async def deliver(self, job: Job) -> Effect:
        """Bring one delivery to its destination through its plugin."""
        item, plugin = await self._item(job), job.lane
        row = await self._database.read(deliveries.get, plugin, job.body)
        if row is None or item.state not in items.LIVE or row.state is not DeliveryState.READY:
            return partial(self._take_back_again, job)
        self._must_run(plugin)
        made = await self._database.read(renditions.of_delivery, plugin, job.body)
        lost = await asyncio.to_thread(_missing, made or ())
        if made is None or lost:
            return lambda db: self._make_again(db, item, plugin, job.body, lost)
        reply = await self._host.deliver(plugin, row.delivery, item, made)
        state = DeliveryState.HANDED_OVER if isinstance(reply, Pending) else DeliveryState.DELIVERED

        def effect(db: sqlite3.Connection) -> None:
            now_row = deliveries.get(db, plugin, job.body)
            # A fact of the plugin may have been quicker than its reply, or a new plan.
            if now_row is not None and now_row.state is DeliveryState.READY and now_row.delivery == row.delivery:
                deliveries.change(db, now_row, state, reply.detail, now=self._clock.now())
            self._take_back_again(job, db)

        return effect

    async def take_back(self, job: Job) -> Effect:
        """Have one plugin take a withdrawn item back."""
        self._must_run(job.lane)
        await self._host.withdraw(job.lane, await self._item(job), job.body)
        return _nothing

    async def withdraw(self, number: str, reason: str, *, who: str) -> Outcome:
        """Withdraw an item everywhere. Again is no mistake: it says that it was done already."""
        outcome = await self._database.write(self._withdraw, number, reason, who)
        await self._transcoding.stop_unwanted()
        return outcome

    async def retry(self, number: str) -> Outcome:
        """Try everything of an item again that had been given up, and make again what is damaged on the disk."""
        lost = await self._lost(number, _damaged, self._host.names, (*_HELD, DeliveryState.FAILED))
        return await self._database.write(self._retry, number, lost)

    async def order(self, order: Order) -> Outcome:
        """Carry out a person's order: the hub's own here, a plugin's by the plugin that its name begins with."""
        number = order.args.get("item", "")
        if order.name == "withdraw":
            return await self.withdraw(number, order.why, who=order.who)
        if order.name == "retry":
            return await self.retry(number)
        plugin = order.name.partition(".")[0]
        if plugin not in self._host.names:
            return Outcome(done=False, message=f"no running plugin {plugin!r} carries out {order.name!r}")
        return await self._host.order(plugin, order)

    async def replan(self, plugin: str) -> None:
        """Ask a plugin again for the deliveries of every item in its window."""
        await self._database.write(jobs.queue_plans, plugin, now=self._clock.now())
        self._wake()

    def _withdraw(self, db: sqlite3.Connection, number: str, reason: str, who: str) -> Outcome:
        item, now, say = items.get(db, number), self._clock.now(), self._catalogue
        if item is None:
            return Outcome(done=False, message=say("There is no item {number}.", number=number))
        if item.state is ItemState.WITHDRAWN:
            return Outcome(done=True, message=say("{number} had been withdrawn already.", number=number))
        items.set_state(db, item, ItemState.WITHDRAWN, now=now, reason=reason, who=who)
        jobs.drop_for_item(db, item.number)
        deliveries.close_for_item(db, item.number, DeliveryState.WITHDRAWN, now=now)
        holders = {row.plugin for row in deliveries.of_item(db, item.number)}
        for plugin in sorted({*self._host.names, *holders}):  # one that is down now takes it back when it is up again
            jobs.queue_withdraw(db, item, plugin, reason, now=now)
        return Outcome(done=True, message=say("{number} is withdrawn.", number=number))

    def _retry(self, db: sqlite3.Connection, number: str, lost: Lost) -> Outcome:
        item, now = items.get(db, number), self._clock.now()
        if item is None:
            return Outcome(done=False, message=self._catalogue("There is no item {number}.", number=number))
        again = 0
        if item.state in items.LIVE:
            for row, gone in lost:
                self._make_again(db, item, row.plugin, row.delivery.key, gone)
            again = len(lost) + deliveries.reopen_failed(db, item, now=now)
        again += jobs.revive(db, item.number, now=now)
        if item.state not in items.LIVE and not again:  # a withdrawal that was given up is tried again
            return Outcome(done=False, message=f"{number} is {item.state}; drop it again to show it again")
        return Outcome(done=True, message=f"{number}: {again} steps are tried again")

    def _delivery_failed(self, job: Job, decision: Decision) -> Effect:
        def effect(db: sqlite3.Connection) -> None:
            row = deliveries.get(db, job.lane, job.body)
            if row is None or row.state is not DeliveryState.READY:
                return
            if isinstance(decision, GiveUp):
                deliveries.change(db, row, DeliveryState.FAILED, decision.reason, now=self._clock.now())
            else:
                deliveries.note(db, job.lane, job.body, decision.reason, now=self._clock.now())

        def both(db: sqlite3.Connection) -> None:
            effect(db)
            _forget_if_over(job, db)
            self._take_back_again(job, db)

        return both

    def _take_back_again(self, job: Job, db: sqlite3.Connection) -> None:
        """Withdrawn while it was being delivered: what that left behind is taken back after it."""
        item = items.get(db, job.item)
        if item is not None and item.state is ItemState.WITHDRAWN:
            jobs.queue_withdraw(db, item, job.lane, items.reason_of(db, item), now=self._clock.now())

    def _make_again(
        self, db: sqlite3.Connection, item: Item, plugin: str, key: str, lost: tuple[Rendition, ...]
    ) -> None:
        now = self._clock.now()
        for rendition in lost:
            renditions.lost(db, rendition.asset, rendition.profile)
        row = deliveries.get(db, plugin, key)
        if row is not None and row.state not in (DeliveryState.WITHDRAWN, DeliveryState.EXPIRED):
            deliveries.change(db, row, DeliveryState.PLANNED, "a rendition was lost and is made again", now=now)
            deliveries.advance(db, item, plugin, row.delivery, now=now, transcode_at=now)

    async def _lost(self, number: str, look: Look, plugins: Collection[str], states: Collection[DeliveryState]) -> Lost:
        """The item's deliveries whose files are no longer what was made: a restored backup, a failing disk."""
        made = await self._database.read(_made, number, plugins, states)
        return await asyncio.to_thread(lambda: [(row, lost) for row, files in made if (lost := look(files))])

    def _gather_for(self, item: Item) -> timedelta:
        """How long its transcode waits for the plans of others."""
        return min(self._gather, URGENT_GATHER) if item.priority is Priority.URGENT else self._gather

    async def _item(self, job: Job) -> Item:
        item = await self._database.read(items.get, job.item)
        if item is None:
            raise Rejected(f"the ledger has no item {job.item}")
        return item

    def _must_run(self, plugin: str) -> None:
        if plugin not in self._host.names:
            raise RetryLater(f"the plugin {plugin} is not running; see siarhub plugins", after=PLUGIN_DOWN)


def _nothing(db: sqlite3.Connection) -> None:
    """The job found nothing left to do."""


def _forget_if_over(job: Job, db: sqlite3.Connection) -> None:
    """An item that has ended meanwhile needs no further attempt, and no person to order one."""
    item = items.get(db, job.item)
    if item is not None and item.state not in items.LIVE:
        jobs.drop_for_item(db, item.number)


def _missing(files: tuple[Rendition, ...]) -> tuple[Rendition, ...]:
    return tuple(one for one in files if not one.path.is_file() or one.path.stat().st_size != one.media.size_bytes)


def _damaged(files: tuple[Rendition, ...]) -> tuple[Rendition, ...]:
    """As `_missing`, but every byte is looked at: for a person who says that something is wrong."""
    missing = _missing(files)
    return tuple(one for one in files if one in missing or sha256_of(one.path) != one.sha256)


def _made(db: sqlite3.Connection, number: str, plugins: Collection[str], states: Collection[DeliveryState]) -> Lost:
    rows = [row for row in deliveries.of_item(db, number) if row.plugin in plugins and row.state in states]
    return [(row, renditions.of_delivery(db, row.plugin, row.delivery.key) or ()) for row in rows]
