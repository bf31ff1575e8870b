"""Deliveries and the renditions they want: what goes where, and how far it has come."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.api import (
    Aired,
    AiringState,
    CurrentDelivery,
    Delivered,
    Delivery,
    DeliveryChanged,
    DeliveryFailed,
    DeliveryState,
    Item,
    Played,
)
from hub.ledger import facts, items, jobs, renditions
from hub.ledger.wire import from_json, moment, stamp, to_json

_STEPS = (
    DeliveryState.PLANNED,
    DeliveryState.TRANSCODING,
    DeliveryState.READY,
    DeliveryState.HANDED_OVER,
    DeliveryState.DELIVERED,
    DeliveryState.PLAYED,
)
CLOSED = (DeliveryState.FAILED, DeliveryState.WITHDRAWN, DeliveryState.EXPIRED)
PlayFact = Played | Aired


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryRow:
    """A delivery as people see it."""

    plugin: str
    delivery: Delivery
    state: DeliveryState
    reason: str
    updated_at: datetime
    attempts: int


def get(db: sqlite3.Connection, plugin: str, key: str) -> DeliveryRow | None:
    row = db.execute(f"{_SELECT} WHERE plugin = ? AND key = ?", (plugin, key)).fetchone()
    return _row(row) if row else None


def of_item(db: sqlite3.Connection, item: str) -> list[DeliveryRow]:
    rows = db.execute(f"{_SELECT} WHERE item = ? ORDER BY plugin, destination, key", (item,))
    return [_row(row) for row in rows]


def current(db: sqlite3.Connection, plugin: str) -> list[CurrentDelivery]:
    """What the plugin should be delivering: live items only, nothing withdrawn, failed or expired."""
    rows = db.execute(
        # CROSS: the live items first, which are few, however many deliveries the plugin has ever had.
        f"{_COLUMNS} FROM item CROSS JOIN delivery ON delivery.item = item.number"
        " WHERE +plugin = ? AND item.state IN ('accepted', 'active')"
        " AND +delivery.state NOT IN ('failed', 'withdrawn', 'expired') ORDER BY item.month, item.serial, key",
        (plugin,),
    ).fetchall()
    found = []
    for row in map(_row, rows):
        item = items.get(db, row.delivery.item)
        assert item is not None  # noqa: S101 - a foreign key promises it
        made = renditions.of_delivery(db, plugin, row.delivery.key)
        found.append(CurrentDelivery(delivery=row.delivery, state=row.state, item=item, renditions=made or ()))
    return found


def plan(
    db: sqlite3.Connection,
    item: Item,
    plugin: str,
    wanted: Sequence[Delivery],
    *,
    now: datetime,
    transcode_at: datetime,
) -> None:
    """Make the item's deliveries of this plugin what the plugin says now; those it no longer names are withdrawn."""
    known = {row.delivery.key: row for row in of_item(db, item.number) if row.plugin == plugin}
    for delivery in wanted:
        row = known.pop(delivery.key, None)
        if row is None or row.delivery != delivery or row.state in (DeliveryState.WITHDRAWN, DeliveryState.EXPIRED):
            _put(db, plugin, delivery, now)
            advance(db, item, plugin, delivery, now=now, transcode_at=transcode_at)
    for row in known.values():
        if row.state not in CLOSED:
            change(db, row, DeliveryState.WITHDRAWN, "no longer planned", now=now)


def advance(
    db: sqlite3.Connection, item: Item, plugin: str, delivery: Delivery, *, now: datetime, transcode_at: datetime
) -> None:
    """Move a planned delivery on: to ready when all its renditions are made, to failed when one cannot be."""
    row = get(db, plugin, delivery.key)
    if row is None or row.state not in (DeliveryState.PLANNED, DeliveryState.TRANSCODING):
        return
    wants = renditions.wanted_by(db, plugin, delivery.key)
    if failed := next((want for want in wants if want["state"] == "failed"), None):
        change(db, row, DeliveryState.FAILED, failed["reason"], now=now)
    elif all(want["state"] == "made" for want in wants):
        change(db, row, DeliveryState.READY, "", now=now)
        jobs.queue_delivery(db, item, plugin, delivery, now=now)
    else:
        for asset in {want["asset"] for want in wants if want["state"] == "wanted"}:
            jobs.queue_transcode(db, asset, item, at=transcode_at)


def change(db: sqlite3.Connection, row: DeliveryRow, state: DeliveryState, reason: str = "", *, now: datetime) -> None:
    """Set the state and tell it."""
    where = (row.plugin, row.delivery.key)
    db.execute(
        "UPDATE delivery SET state = ?, reason = ?, updated_at = ? WHERE plugin = ? AND key = ?",
        (state, reason, stamp(now), *where),
    )
    if state is row.state:
        return
    fact = DeliveryChanged(
        plugin=row.plugin, delivery=row.delivery.key, item=row.delivery.item,
        destination=row.delivery.destination, state=state, reason=reason,
    )  # fmt: skip
    key = f"delivery/{row.plugin}/{row.delivery.key}/{facts.newest(db) + 1}"
    facts.add(db, "hub", key, fact, now=now)


def note(db: sqlite3.Connection, plugin: str, key: str, reason: str, *, now: datetime) -> None:
    """Say why a delivery has not come further, without changing its state."""
    db.execute(
        "UPDATE delivery SET reason = ?, updated_at = ? WHERE plugin = ? AND key = ?", (reason, stamp(now), plugin, key)
    )


def close_for_item(db: sqlite3.Connection, item: str, state: DeliveryState, *, now: datetime) -> None:
    """The item is withdrawn, or its window is over: what was not played by then never will be."""
    spared = (state, *CLOSED, *((DeliveryState.PLAYED,) if state is DeliveryState.EXPIRED else ()))
    for row in of_item(db, item):
        if row.state not in spared:
            change(db, row, state, now=now)


def reopen_failed(db: sqlite3.Connection, item: Item, *, now: datetime) -> int:
    """A person says: try again. Failed renditions are wanted again, failed deliveries planned again."""
    reopened = 0
    for row in of_item(db, item.number):
        if row.state is not DeliveryState.FAILED:
            continue
        db.execute(
            "UPDATE rendition SET state = 'wanted', reason = '' WHERE state = 'failed' AND (asset, digest) IN"
            " (SELECT asset, digest FROM want WHERE plugin = ? AND key = ?)",
            (row.plugin, row.delivery.key),
        )
        change(db, row, DeliveryState.PLANNED, now=now)
        advance(db, item, row.plugin, row.delivery, now=now, transcode_at=now)
        reopened += 1
    return reopened


def apply_fact(
    db: sqlite3.Connection, plugin: str, fact: Delivered | DeliveryFailed | PlayFact, *, now: datetime
) -> None:
    """Let a plugin's fact move its delivery forward, never back; late proof may still follow the end of the window."""
    row = get(db, plugin, fact.delivery)
    if row is None or row.state is DeliveryState.WITHDRAWN:
        return
    if row.state is DeliveryState.EXPIRED and not isinstance(fact, Played | Aired):
        return
    if isinstance(fact, DeliveryFailed) and row.state is not DeliveryState.PLAYED:
        change(db, row, DeliveryState.FAILED, fact.reason, now=now)
        return
    if isinstance(fact, DeliveryFailed) or _is_of_an_earlier_plan(db, row, fact):
        return
    proved = isinstance(fact, Played) or (isinstance(fact, Aired) and fact.state is AiringState.AIRED)
    if isinstance(fact, Aired) and not proved:
        return
    state = DeliveryState.PLAYED if proved else DeliveryState.DELIVERED
    if row.state in CLOSED or _STEPS.index(row.state) < _STEPS.index(state):
        detail = fact.detail if isinstance(fact, Delivered) else ""
        change(db, row, state, detail, now=now)


def transcoding_begun(db: sqlite3.Connection, asset: str, *, now: datetime) -> None:
    for row, _ in _waiting_for(db, asset):
        if row.state is DeliveryState.PLANNED:
            change(db, row, DeliveryState.TRANSCODING, now=now)


def advance_all(db: sqlite3.Connection, asset: str, *, now: datetime, retry_at: datetime) -> None:
    """After a run over this asset: move on every delivery that waited for it."""
    for row, item in _waiting_for(db, asset):
        advance(db, item, row.plugin, row.delivery, now=now, transcode_at=retry_at)


def note_waiting(db: sqlite3.Connection, asset: str, reason: str, *, now: datetime) -> None:
    """Say of every delivery that waits for this asset why it still does."""
    for row, _ in _waiting_for(db, asset):
        note(db, row.plugin, row.delivery.key, reason, now=now)


_COLUMNS = (
    "SELECT delivery.*, coalesce((SELECT attempts FROM job WHERE job.kind = 'deliver'"
    " AND job.key = delivery.plugin || '/' || delivery.key), 0) AS attempts"
)
_SELECT = f"{_COLUMNS} FROM delivery"


def _is_of_an_earlier_plan(db: sqlite3.Connection, row: DeliveryRow, fact: Delivered | PlayFact) -> bool:
    """Late word of what was there before a new plan must not end the delivery of the new."""
    if row.state in (DeliveryState.PLANNED, DeliveryState.TRANSCODING):
        return True
    made = renditions.hashes(db, row.plugin, row.delivery.key)
    return isinstance(fact, Played) and bool(made) and fact.rendition not in made


def _put(db: sqlite3.Connection, plugin: str, delivery: Delivery, now: datetime) -> None:
    existing = get(db, plugin, delivery.key)
    db.execute(
        "INSERT INTO delivery VALUES (?, ?, ?, ?, 'planned', '', ?, ?) ON CONFLICT DO UPDATE SET state = 'planned',"
        " reason = '', destination = excluded.destination, updated_at = excluded.updated_at, body = excluded.body",
        (plugin, delivery.key, delivery.item, delivery.destination, stamp(now), to_json(delivery)),
    )
    renditions.want(db, plugin, delivery)
    fact = DeliveryChanged(
        plugin=plugin, delivery=delivery.key, item=delivery.item,
        destination=delivery.destination, state=DeliveryState.PLANNED,
    )  # fmt: skip
    suffix = "" if existing is None else f"/{facts.newest(db) + 1}"
    facts.add(db, "hub", f"delivery/{plugin}/{delivery.key}/planned{suffix}", fact, now=now)


def _waiting_for(db: sqlite3.Connection, asset: str) -> list[tuple[DeliveryRow, Item]]:
    rows = db.execute(
        f"{_SELECT} WHERE state IN ('planned', 'transcoding') AND EXISTS (SELECT 1 FROM want"  # noqa: S608 - constant
        " WHERE want.plugin = delivery.plugin AND want.key = delivery.key AND want.asset = ?)",
        (asset,),
    ).fetchall()
    found = [(row, items.get(db, row.delivery.item)) for row in map(_row, rows)]
    return [(row, item) for row, item in found if item is not None and item.state in items.LIVE]


def _row(row: sqlite3.Row) -> DeliveryRow:
    return DeliveryRow(
        plugin=row["plugin"],
        delivery=from_json(Delivery, row["body"]),
        state=DeliveryState(row["state"]),
        reason=row["reason"],
        updated_at=moment(row["updated_at"]),
        attempts=row["attempts"],
    )
