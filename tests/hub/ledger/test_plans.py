"""What is asked at each start, at each step and every few seconds never reads a whole table that only grows."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from hub.api import Channel, Delivery, Draft, Filed, Item, ItemChanged, ItemState, VideoProfile, Want
from hub.ledger import deliveries, facts, items, jobs, orders, renditions
from hub.ledger.database import transaction
from hub.ledger.items import Place
from hub.testing import NOON, make_asset
from hub.wellness import failed_deliveries
from tests.hub.world import WITA

GROWING = re.compile(r"^SCAN (item|asset|delivery|want|rendition|fact|play_total|person_order|job)\b")
LATER = NOON + timedelta(days=1)


@pytest.fixture
def item(db: sqlite3.Connection) -> Item:
    asset = make_asset()
    draft = Draft(title="a", assets=(asset,), channels=frozenset(Channel), start=NOON, end=NOON + timedelta(days=30))
    with transaction(db):
        item = items.accept(db, draft, name="a", sidecar="", plugins=("p",), now=NOON, zone=WITA)
        want = Want(asset=asset.sha256, profile=VideoProfile(width=64, height=48))
        delivery = Delivery(key="k", item=item.number, destination="d", wants=(want,))
        deliveries.plan(db, item, "p", [delivery], now=NOON, transcode_at=NOON)
    return item


Query = Callable[[sqlite3.Connection, Item], object]
PERIODIC: dict[str, Query] = {
    "open arrivals": lambda db, item: items.open_arrivals(db),
    "known hashes": lambda db, item: items.known_hashes(db, "ab"),
    "live items": lambda db, item: items.all_items(db, items.LIVE),
    "next boundary": lambda db, item: items.next_boundary(db),
    "crossing": lambda db, item: items.crossing_a_boundary(db, LATER),
    "same bytes": lambda db, item: items.with_same_bytes(db, [item.assets[0].sha256]),
    "asset": lambda db, item: items.asset(db, item.assets[0].sha256),
    "reason": lambda db, item: items.reason_of(db, item),
    "current deliveries": lambda db, item: deliveries.current(db, "p"),
    "transcoding begun": lambda db, item: deliveries.transcoding_begun(db, item.assets[0].sha256, now=NOON),
    "advance": lambda db, item: deliveries.advance_all(db, item.assets[0].sha256, now=NOON, retry_at=NOON),
    "failed deliveries": lambda db, item: failed_deliveries(db),
    "wanted profiles": lambda db, item: renditions.wanted_profiles(db, item.assets[0].sha256),
    "assets wanted": lambda db, item: renditions.assets_wanted(db, item.number),
    "files in use": lambda db, item: renditions.files_in_use(db, "ab"),
    "still wanted": lambda db, item: renditions.still_wanted(db),
    "not filed": lambda db, item: items.bytes_not_filed(db),
    "not planned": lambda db, item: items.bytes_not_planned(db),
    "idle bytes": lambda db, item: renditions.idle_bytes(db, since=LATER),
    "idle": lambda db, item: renditions.idle(db, since=LATER, limit=5),
    "facts": lambda db, item: facts.entries(db, after=0),
    "facts of an item": lambda db, item: facts.entries(db, item=item.number),
    "last of a kind": lambda db, item: [facts.last_of(db, item.number, kind) for kind in (Filed, ItemChanged)],
    "totals": lambda db, item: facts.totals(db, item.number),
    "newest fact": lambda db, item: facts.newest(db),
    "orders": lambda db, item: orders.waiting(db),
    "claim": lambda db, item: jobs.claim(db, ["x"], 1, now=LATER),
    "next due": lambda db, item: jobs.next_due(db, ["x"]),
    "requeue": lambda db, item: jobs.requeue_running(db, now=NOON),
    "plan anew": lambda db, item: jobs.queue_plans(db, "p", now=NOON),
    "plans left": lambda db, item: jobs.plans_left(db, item.number),
    "revive": lambda db, item: jobs.revive(db, item.number, now=NOON),
    "waiting": lambda db, item: jobs.waiting_reasons(db, item.number),
    "withdraw": lambda db, item: deliveries.close_for_item(db, item.number, DeliveryWithdrawn, now=NOON),
    "accept": lambda db, item: items.accept(
        db, item_draft(item), name="b", sidecar="", plugins=("p",), now=NOON, zone=WITA
    ),
    "first page": lambda db, item: items.page(db, limit=50),
    "page of a state": lambda db, item: items.page(db, limit=50, states=[ItemState.ENDED, ItemState.ACTIVE]),
    "page before": lambda db, item: items.page(db, limit=50, before=Place("2026-11", 7)),
}
DeliveryWithdrawn = deliveries.DeliveryState.WITHDRAWN


def item_draft(item: Item) -> Draft:
    return Draft(title="b", assets=(make_asset(name="b"),), channels=item.channels, start=item.start, end=item.end)


@pytest.mark.parametrize("name", PERIODIC)
def test_no_periodic_query_reads_a_whole_table(db: sqlite3.Connection, item: Item, name: str) -> None:
    scans = list(_scans(db, lambda: PERIODIC[name](db, item)))

    assert scans == []


@pytest.mark.parametrize("name", ["first page", "page before", "page of a state", "claim"])
def test_a_page_is_read_along_an_index_and_not_sorted(db: sqlite3.Connection, item: Item, name: str) -> None:
    plans = [line for _, plan in _plans(db, lambda: PERIODIC[name](db, item)) for line in plan]

    assert not [line for line in plans if "TEMP B-TREE FOR ORDER BY" in line]


def _scans(db: sqlite3.Connection, act: Callable[[], object]) -> Iterator[str]:
    for statement, plan in _plans(db, act):
        for line in plan:
            if GROWING.match(line) and not line.endswith("INDEX order_waiting"):  # of the waiting ones alone
                yield f"{line}: {statement}"


def _plans(db: sqlite3.Connection, act: Callable[[], object]) -> Iterator[tuple[str, list[str]]]:
    """Every statement that the act executes, as SQLite would carry it out."""
    statements: list[str] = []
    db.set_trace_callback(statements.append)
    try:
        act()
    finally:
        db.set_trace_callback(None)
    assert statements
    for statement in statements:
        yield statement, [row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")]
