"""Windows open and close by the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import ItemState
from hub.testing import NOON
from hub.windows import Windows
from tests.hub.world import Place, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens", "one"))
    yield world
    world.close()


async def test_windows_open_and_close_by_the_clock(world: World) -> None:
    item = await world.accept(start=NOON + timedelta(hours=1), end=NOON + timedelta(hours=2))
    assert item.state is ItemState.ACCEPTED
    windows = Windows(world.database, world.clock, world.wake)

    async def until(state: str) -> None:
        async with asyncio.timeout(10):
            while await world.state(item) != state:
                windows.look()
                await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(windows.run())
        world.clock.advance(timedelta(hours=1))
        await until("active")
        world.clock.advance(timedelta(hours=1))
        await until("ended")
        task.cancel()

    assert [one.state for one in await world.facts()] == ["accepted", "active", "ended"]
