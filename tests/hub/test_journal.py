"""Facts are kept once, only from whom they concern, and told to every observer in order."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hub.api import (
    Delivered,
    DeliveryFailed,
    Filed,
    Item,
    ItemChanged,
    ItemNumber,
    ItemState,
    JournalEntry,
    Played,
    RetryLater,
    Sha256,
)
from hub.journal import LedgerRecords, Teller
from hub.ledger import facts
from hub.testing import NOON
from tests.hub.world import Place, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens"), Place("other"))
    yield world
    world.close()


def proof(item: Item, **changes: Any) -> Played:
    base = Played(
        delivery=f"{item.number}/one", item=item.number, destination="one", rendition=Sha256("a" * 64),
        started_at=NOON, seconds=3.0, complete=True,
    )  # fmt: skip
    return replace(base, **changes)


def teller(world: World, tell: Any, name: str = "observer") -> Teller:
    return Teller(name, tell, world.database, world.bell, world.settings, world.log)


async def test_a_fact_is_kept_once_and_counted_once(world: World) -> None:
    item = await world.accept()
    await world.settle()
    journal = world.journal("screens")

    assert await journal.record(proof(item), key="1")
    assert not await journal.record(proof(item, seconds=99.0), key="1")
    assert await journal.record_many([("1", proof(item)), ("2", proof(item)), ("2", proof(item))]) == 1

    (total,) = await world.database.read(facts.totals, item.number)
    assert (total.plays, total.seconds) == (2, 6.0)


async def test_a_plugin_cannot_speak_for_another_nor_for_the_hub(world: World) -> None:
    item = await world.accept()
    await world.settle()
    stranger, journal = world.journal("nobody"), world.journal("screens")

    assert not await stranger.record(proof(item), key="1")
    assert not await journal.record(replace(proof(item), item=ItemNumber("IP-2026-11-0009")), key="1")
    assert not await journal.record(ItemChanged(item=item.number, state=ItemState.WITHDRAWN), key="1")
    assert not await journal.record(Filed(item=ItemNumber("IP-2020-01-0001"), month="2020-01", path="x"), key="1")

    assert not [fact for fact in await world.facts() if isinstance(fact, Played | Filed)]


@pytest.mark.parametrize(
    "changes",
    [
        {"seconds": "three"},
        {"seconds": math.nan},
        {"seconds": None},
        {"started_at": datetime(2026, 11, 22, 12)},  # noqa: DTZ001 - naive on purpose
        {"started_at": "2026"},
        {"destination": 7},
        {"destination": "\ud800"},
        {"complete": "yes, mostly"},
        {"rendition": ["x"]},
    ],
)
async def test_rubbish_from_a_plugin_never_enters_the_journal(world: World, changes: dict[str, Any]) -> None:
    item = await world.accept()
    await world.settle()

    assert not await world.journal("screens").record(proof(item, **changes), key="1")
    assert await world.journal("screens").record(proof(item), key="1")

    assert len(await LedgerRecords(world.database).entries()) == len(await world.facts())


@pytest.mark.parametrize("key", ["", 7, None, "\ud800"])
async def test_a_fact_needs_a_key_of_plain_text(world: World, key: Any) -> None:
    item = await world.accept()
    await world.settle()

    assert not await world.journal("screens").record(proof(item), key=key)


async def test_one_bad_fact_of_many_does_not_cost_the_good_ones(world: World) -> None:
    item = await world.accept()
    await world.settle()
    told = [("1", proof(item, seconds="x")), ("2", proof(item)), ("3", proof(item, delivery="unknown"))]

    assert await world.journal("screens").record_many(told) == 1


async def test_a_refusal_of_the_destination_fails_the_delivery(world: World) -> None:
    item = await world.accept()
    await world.settle()
    fact = DeliveryFailed(delivery=f"{item.number}/one", at=NOON, reason="card full")

    await world.journal("other").record(fact, key="1")

    assert await world.states(item) == {"other/one": "failed", "screens/one": "delivered"}


async def test_an_observer_is_told_all_in_order_and_goes_on_after_a_restart(world: World) -> None:
    seen: list[int] = []
    done = asyncio.Event()

    async def tell(entries: Sequence[JournalEntry]) -> None:
        seen.extend(entry.seq for entry in entries)
        done.set()

    async def one_run(until: int) -> None:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(teller(world, tell).run())
            while await world.database.read(facts.cursor, "observer") < until:
                await done.wait()
                await asyncio.sleep(0)
            task.cancel()

    await world.accept()
    await one_run(1)
    await world.accept("b.mp4")
    await one_run(2)

    assert seen == [1, 2]


async def test_a_fact_recorded_while_the_observer_looks_is_not_missed(world: World) -> None:
    told = asyncio.Queue[int]()

    async def tell(entries: Sequence[JournalEntry]) -> None:
        for entry in entries:
            await told.put(entry.seq)

    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        task = group.create_task(teller(world, tell).run())
        for number in range(30):
            await world.accept(f"{number}.mp4")
            world.bell.ring()
        assert [await told.get() for _ in range(30)] == list(range(1, 31))
        task.cancel()


@pytest.mark.parametrize("error", [RetryLater("busy"), KeyError("bug")])
async def test_an_observer_that_fails_is_told_again_and_named_meanwhile(tmp_path: Path, error: Exception) -> None:
    world = World(tmp_path, first_retry_s=0.01)
    troubles: list[str] = []
    done = asyncio.Event()

    async def tell(entries: Sequence[JournalEntry]) -> None:
        troubles.append(observer.trouble)
        if len(troubles) < 3:
            raise error
        done.set()

    observer = teller(world, tell)
    await world.accept()
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        task = group.create_task(observer.run())
        await done.wait()
        while observer.trouble:  # noqa: ASYNC110 - a field tells nobody
            await asyncio.sleep(0)
        task.cancel()

    assert troubles[0] == ""
    assert "bus" in troubles[1] or "bug" in troubles[1]
    world.close()


async def test_late_words_about_a_withdrawn_item_are_kept_but_change_nothing(world: World) -> None:
    item = await world.accept()
    await world.settle()
    await world.workflow.withdraw(item.number, "keliru", who="dini")

    assert await world.journal("screens").record(Delivered(delivery=f"{item.number}/one", at=NOON), key="1")

    assert (await world.states(item))["screens/one"] == "withdrawn"
