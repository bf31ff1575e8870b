"""What a person must act on shows in `siarhub status`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import Delivery, Rejected
from hub.testing import NOON
from hub.wellness import deliveries_part, failed_deliveries, transcoding_part
from hub.windows import Windows
from tests.hub.world import Place, World


async def reject(delivery: Delivery) -> None:
    raise Rejected("the screen is too small")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, Place("p", "one", "two"))
    yield world
    world.close()


async def summary(world: World) -> str:
    part = deliveries_part(await world.database.read(failed_deliveries))
    assert part.state == ("degraded" if part.summary else "ok")
    return part.summary


async def test_failed_deliveries_are_counted_and_their_items_named_with_the_remedy(world: World) -> None:
    world.places["p"].on_deliver = reject
    numbers = [(await world.accept(f"{name}.mp4")).number for name in "abcd"]
    await world.settle()

    said = await summary(world)

    assert f"8 deliveries failed ({', '.join(numbers[:3])}, ...)" in said
    assert "siarhub show ITEM" in said
    assert "siarhub retry ITEM" in said


async def test_what_is_delivered_or_tried_again_is_well(world: World) -> None:
    world.places["p"].on_deliver = reject
    item = await world.accept()
    await world.settle()
    assert "2 deliveries failed" in await summary(world)

    world.places["p"].on_deliver = None
    await world.workflow.retry(item.number)
    await world.settle()

    assert await summary(world) == ""


async def withdraw(world: World, number: str) -> None:
    await world.workflow.withdraw(number, "keliru", who="dini")
    await world.settle()


async def let_end(world: World, number: str) -> None:
    world.clock.advance(timedelta(days=31))
    await world.database.write(Windows(world.database, world.clock, world.wake)._cross_boundaries)


@pytest.mark.parametrize("end", [withdraw, let_end])
async def test_an_item_that_is_over_needs_nobody_any_more(
    world: World, end: Callable[[World, str], Awaitable[None]]
) -> None:
    world.places["p"].on_deliver = reject
    item = await world.accept(end=NOON + timedelta(days=30))
    await world.settle()
    assert "failed" in await summary(world)

    await end(world, item.number)

    assert await summary(world) == ""


def test_what_could_not_be_transcoded_just_now_is_told() -> None:
    assert transcoding_part(()).state == "ok"

    part = transcoding_part(("a.mp4: disk full", "b.mp4: disk full"))

    assert (part.state, part.summary) == ("degraded", "put off: a.mp4: disk full (1 more)")
