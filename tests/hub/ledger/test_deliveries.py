"""How far deliveries come, and that nothing moves them back but a new plan."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import (
    Aired,
    AiringState,
    Delivered,
    Delivery,
    DeliveryFailed,
    DeliveryState,
    Item,
    ItemState,
    Played,
    Profile,
    Sha256,
    Want,
)
from hub.ledger import deliveries, facts, items, jobs, renditions
from hub.testing import NOON, make_rendition
from tests.hub.ledger.test_items import accept
from tests.hub.world import LARGE, SMALL

KEY = "screen"


def plan(db: sqlite3.Connection, item: Item, *profiles: Profile, key: str = KEY) -> Delivery:
    wants = tuple(Want(asset=item.assets[0].sha256, profile=profile) for profile in profiles)
    delivery = Delivery(key=key, item=item.number, destination=key, wants=wants)
    deliveries.plan(db, item, "p", [delivery], now=NOON, transcode_at=NOON + timedelta(seconds=2))
    return delivery


def make(db: sqlite3.Connection, item: Item, profile: Profile, folder: Path) -> Sha256:
    path = folder / f"{profile.__hash__()}"
    path.write_text(str(profile))
    rendition = make_rendition(path, item.assets[0], profile)
    renditions.made(db, rendition)
    deliveries.advance_all(db, item.assets[0].sha256, now=NOON, retry_at=NOON)
    return rendition.sha256


def state(db: sqlite3.Connection, key: str = KEY) -> DeliveryState:
    row = deliveries.get(db, "p", key)
    assert row is not None
    return row.state


def tell(db: sqlite3.Connection, fact: Delivered | DeliveryFailed | Played | Aired) -> DeliveryState:
    deliveries.apply_fact(db, "p", fact, now=NOON)
    return state(db)


def played(item: Item, rendition: Sha256) -> Played:
    return Played(
        delivery=KEY, item=item.number, destination=KEY, rendition=rendition, started_at=NOON, seconds=3.0,
        complete=True,
    )  # fmt: skip


def aired(item: Item, state: AiringState) -> Aired:
    return Aired(delivery=KEY, item=item.number, airing="1", destination=KEY, state=state, at=NOON, seconds=3.0)


@pytest.fixture
def item(db: sqlite3.Connection) -> Item:
    return accept(db)


def test_a_delivery_is_ready_when_the_last_of_its_renditions_is_made(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    plan(db, item, SMALL, LARGE)
    make(db, item, SMALL, tmp_path)
    assert state(db) is DeliveryState.PLANNED
    assert renditions.of_delivery(db, "p", KEY) is None

    make(db, item, LARGE, tmp_path)

    assert state(db) is DeliveryState.READY
    assert [one.profile for one in renditions.of_delivery(db, "p", KEY) or ()] == [SMALL, LARGE]
    assert jobs.counts(db)["deliver queued"] == 1


def test_a_delivery_that_wants_nothing_is_ready_at_once(db: sqlite3.Connection, item: Item) -> None:
    plan(db, item)

    assert state(db) is DeliveryState.READY


def test_a_plan_told_again_changes_nothing(db: sqlite3.Connection, item: Item) -> None:
    plan(db, item, SMALL)
    before = facts.newest(db)

    plan(db, item, SMALL)

    assert facts.newest(db) == before


def test_a_delivery_no_longer_named_is_withdrawn_and_comes_back_when_named_again(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    plan(db, item, SMALL)
    make(db, item, SMALL, tmp_path)
    plan(db, item, SMALL, key="other")
    assert (state(db), state(db, "other")) == (DeliveryState.WITHDRAWN, DeliveryState.READY)

    plan(db, item, SMALL)

    assert state(db) is DeliveryState.READY


@pytest.mark.parametrize("from_state", [DeliveryState.PLANNED, DeliveryState.TRANSCODING])
def test_late_proof_of_an_earlier_plan_does_not_end_the_delivery_of_the_new(
    db: sqlite3.Connection, item: Item, tmp_path: Path, from_state: DeliveryState
) -> None:
    plan(db, item, SMALL)
    old = make(db, item, SMALL, tmp_path)
    tell(db, Delivered(delivery=KEY, at=NOON))
    plan(db, item, LARGE)
    if from_state is DeliveryState.TRANSCODING:
        deliveries.transcoding_begun(db, item.assets[0].sha256, now=NOON)

    assert tell(db, played(item, old)) is from_state
    assert tell(db, Delivered(delivery=KEY, at=NOON)) is from_state
    new = make(db, item, LARGE, tmp_path)
    assert tell(db, played(item, old)) is DeliveryState.READY
    assert tell(db, played(item, new)) is DeliveryState.PLAYED


def test_facts_move_a_delivery_forward_only(db: sqlite3.Connection, item: Item, tmp_path: Path) -> None:
    plan(db, item, SMALL)
    made = make(db, item, SMALL, tmp_path)

    assert tell(db, aired(item, AiringState.PARTIAL)) is DeliveryState.READY
    assert tell(db, Delivered(delivery=KEY, at=NOON)) is DeliveryState.DELIVERED
    assert tell(db, played(item, made)) is DeliveryState.PLAYED
    assert tell(db, Delivered(delivery=KEY, at=NOON)) is DeliveryState.PLAYED
    assert tell(db, DeliveryFailed(delivery=KEY, at=NOON, reason="full")) is DeliveryState.PLAYED


def test_a_failed_delivery_that_arrives_after_all_is_delivered(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    plan(db, item, SMALL)
    make(db, item, SMALL, tmp_path)

    assert tell(db, DeliveryFailed(delivery=KEY, at=NOON, reason="full")) is DeliveryState.FAILED
    assert tell(db, Delivered(delivery=KEY, at=NOON)) is DeliveryState.DELIVERED


def test_proof_that_comes_after_the_end_counts_and_a_receipt_does_not(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    plan(db, item, SMALL)
    made = make(db, item, SMALL, tmp_path)
    deliveries.close_for_item(db, item.number, DeliveryState.EXPIRED, now=NOON)

    assert tell(db, Delivered(delivery=KEY, at=NOON)) is DeliveryState.EXPIRED
    assert tell(db, DeliveryFailed(delivery=KEY, at=NOON, reason="x")) is DeliveryState.EXPIRED
    assert tell(db, played(item, made)) is DeliveryState.PLAYED


def test_nothing_moves_a_withdrawn_delivery(db: sqlite3.Connection, item: Item, tmp_path: Path) -> None:
    plan(db, item, SMALL)
    made = make(db, item, SMALL, tmp_path)
    deliveries.close_for_item(db, item.number, DeliveryState.WITHDRAWN, now=NOON)

    for fact in (
        played(item, made), Delivered(delivery=KEY, at=NOON), DeliveryFailed(delivery=KEY, at=NOON, reason="x"),
        aired(item, AiringState.AIRED),
    ):  # fmt: skip
        assert tell(db, fact) is DeliveryState.WITHDRAWN


def test_what_was_played_stays_played_at_the_end_of_the_window(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    plan(db, item, SMALL)
    tell(db, played(item, make(db, item, SMALL, tmp_path)))

    deliveries.close_for_item(db, item.number, DeliveryState.EXPIRED, now=NOON)

    assert state(db) is DeliveryState.PLAYED


def test_a_failed_rendition_fails_only_the_deliveries_that_want_it(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    wants = [(SMALL, "small"), (LARGE, "large")]
    plans = [
        Delivery(key=key, item=item.number, destination=key, wants=(Want(asset=item.assets[0].sha256, profile=one),))
        for one, key in wants
    ]
    deliveries.plan(db, item, "p", plans, now=NOON, transcode_at=NOON)

    renditions.failed(db, item.assets[0].sha256, LARGE, "too long")
    make(db, item, SMALL, tmp_path)

    assert (state(db, "small"), state(db, "large")) == (DeliveryState.READY, DeliveryState.FAILED)
    row = deliveries.get(db, "p", "large")
    assert row is not None
    assert row.reason == "too long"


def test_a_person_can_have_a_failed_rendition_made_again(db: sqlite3.Connection, item: Item, tmp_path: Path) -> None:
    plan(db, item, SMALL)
    renditions.failed(db, item.assets[0].sha256, SMALL, "x")
    deliveries.advance_all(db, item.assets[0].sha256, now=NOON, retry_at=NOON)

    assert deliveries.reopen_failed(db, item, now=NOON) == 1

    assert renditions.wanted_profiles(db, item.assets[0].sha256) == [SMALL]
    make(db, item, SMALL, tmp_path)
    assert state(db) is DeliveryState.READY


def test_nobody_transcodes_for_an_item_that_is_over(db: sqlite3.Connection, item: Item) -> None:
    plan(db, item, SMALL)

    items.set_state(db, item, ItemState.ENDED, now=NOON)

    assert renditions.wanted_profiles(db, item.assets[0].sha256) == []


def test_a_plugin_sees_only_what_it_should_be_delivering(db: sqlite3.Connection, item: Item, tmp_path: Path) -> None:
    plan(db, item, SMALL)
    ended, failed = accept(db, "b"), accept(db, "c")
    plan(db, ended, SMALL, key="ended")
    plan(db, failed, SMALL, key="failed")
    items.set_state(db, ended, ItemState.ENDED, now=NOON)
    deliveries.apply_fact(db, "p", DeliveryFailed(delivery="failed", at=NOON, reason="x"), now=NOON)

    (only,) = deliveries.current(db, "p")

    assert (only.delivery.key, only.item, only.renditions) == (KEY, item, ())
    make(db, item, SMALL, tmp_path)
    assert deliveries.current(db, "p")[0].renditions == renditions.of_delivery(db, "p", KEY)
    assert deliveries.current(db, "other") == []


def test_a_rendition_made_for_one_item_serves_the_next_with_the_same_bytes(
    db: sqlite3.Connection, item: Item, tmp_path: Path
) -> None:
    plan(db, item, SMALL)
    make(db, item, SMALL, tmp_path)
    again = accept(db, "again", assets=tuple(replace(one) for one in item.assets))

    plan(db, again, SMALL, key="again")

    assert state(db, "again") is DeliveryState.READY
