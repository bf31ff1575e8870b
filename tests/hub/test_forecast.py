"""What accepted items will still take: known from their acceptance on, until it is written or never will be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.api import Filed, ItemState
from hub.forecast import still_to_come
from hub.intake.space import Need, need_of
from hub.ledger import items, jobs
from tests.hub.world import Place, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens", "one", "two"), Place("archive"))
    yield world
    world.close()


async def test_from_acceptance_to_the_archive_nothing_that_will_be_written_is_forgotten(world: World) -> None:
    item = await world.accept()
    size = item.assets[0].media.size_bytes

    accepted = await forecast(world)
    await plan_only(world)
    planned = await forecast(world)
    await world.settle()
    made = await forecast(world)
    fact = Filed(item=item.number, month="2026-11", path="Arsip/x", never_played=False)
    await world.journal("archive").record(fact, key="filed")

    assert accepted == Need(state=int(size * 0.5), archive=size)
    assert need_of([size]).state == size + accepted.state
    assert planned.state > 0
    assert planned.archive == size
    assert made == Need(archive=size)
    assert await forecast(world) == Need()


async def test_an_item_that_is_over_takes_nothing_more(world: World) -> None:
    item = await world.accept()
    await plan_only(world)

    await world.database.write(items.set_state, item, ItemState.ENDED, now=world.clock.now())

    assert await forecast(world) == Need()


async def forecast(world: World) -> Need:
    return await world.database.read(still_to_come)


async def plan_only(world: World) -> None:
    """Planned by every plugin; what is to be made waits."""
    for job in await world.database.write(lambda db: jobs.claim(db, [], 10, now=world.clock.now())):
        effect = await world.workflow.plan(job)
        await world.database.write(lambda db, job=job, effect=effect: (effect(db), jobs.finish(db, job)))
