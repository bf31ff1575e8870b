"""The middle of the story: whose turn it is, what is told on the way, and what a failure says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from hub.api import Asset, Priority
from hub.media.transcoder import NotMade
from tests.hub.world import LARGE, SMALL, SOUND, Place, World

URGENT = {"priority": Priority.URGENT}


class Slow:
    """Transcodes that begin when they are asked to and end when they are let."""

    def __init__(self, world: World) -> None:
        self.begun: list[str] = []
        self.may_end = asyncio.Event()
        self._news = asyncio.Event()
        world.kitchen.on_make = self._make

    async def until_begun(self, count: int) -> None:
        async with asyncio.timeout(10):
            while len(self.begun) < count:
                self._news.clear()
                await self._news.wait()

    async def _make(self, asset: Asset) -> None:
        self.begun.append(asset.original_name)
        self._news.set()
        await self.may_end.wait()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, Place("screens", "one", "two"), transcodes=2, gather_s=2.0)
    yield world
    world.close()


async def test_an_urgent_item_is_transcoded_at_once_though_twenty_others_wait_and_two_run(world: World) -> None:
    slow = Slow(world)
    for number in range(20):
        await world.accept(f"{number}.mp4")
    async with world.running():
        await slow.until_begun(2)

        urgent = await world.accept("urgent.mp4", **URGENT)
        world.wake()
        await slow.until_begun(3)  # no time passes: nothing of it waits for a gather time

        assert slow.begun[2] == "urgent.mp4"
        assert [one.item for one in world.transcoding.progress() if one.urgent] == [urgent.number]
        assert len(world.transcoding.progress()) == 3
        slow.may_end.set()
        await world.settled()
    assert len(slow.begun) == 21


async def test_a_plan_that_hangs_holds_an_urgent_item_up_for_a_moment_only(tmp_path: Path) -> None:
    world = World(tmp_path, Place("screens"), Place("stuck", profile=SOUND), gather_s=60.0)
    slow, never = Slow(world), asyncio.Event()

    async def hang(item: object) -> None:
        await never.wait()

    world.places["stuck"].on_plan = hang
    await world.accept("urgent.mp4", **URGENT)
    async with world.running():
        async with asyncio.timeout(10):
            await world._changed.wait()  # the first plan is in
        assert slow.begun == []
        world.clock.advance(timedelta(seconds=0.2))
        world.wake()
        await slow.until_begun(1)
    world.close()


async def test_cores_are_shared_by_those_that_run_and_an_urgent_one_gets_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    slow = Slow(world)
    await world.accept("alone.mp4")
    async with world.running():
        await slow.until_begun(1)
        for name in ("second.mp4", "third.mp4"):
            await world.accept(name)
        world.wake()
        await slow.until_begun(2)
        await world.accept("urgent.mp4", **URGENT)
        world.wake()
        await slow.until_begun(3)
        slow.may_end.set()
        await world.settled()

    # Whoever is alone or last takes all cores; while others wait each has its half; the urgent one is not nice.
    assert world.kitchen.shares == [(0, False), (4, False), (0, True), (0, False)]


async def test_progress_names_item_and_outputs_and_is_gone_afterwards(world: World) -> None:
    slow = Slow(world)
    item = await world.accept("a.mp4", title="Siaga")
    async with world.running():
        await slow.until_begun(1)
        (one,) = world.transcoding.progress()
        world.clock.advance(timedelta(seconds=2))
        (later,) = world.transcoding.progress()
        slow.may_end.set()
        await world.settled()

    assert (one.item, one.title, one.name, one.part) == (item.number, "Siaga", "a.mp4", 0.5)
    assert one.outputs == ("64x48 H.264",)
    assert one.left_s is not None
    assert later.speed == 1.5  # half of six seconds in two
    assert world.transcoding.progress() == ()


async def test_the_log_tells_the_plan_at_the_start_and_the_outcome_at_the_end(world: World) -> None:
    world.places["screens"].profile = LARGE
    with capture_logs() as told:
        item = await world.accept("a.mp4")
        await world.settle()
        await world.later(seconds=3)

    begun, done = [one for one in told if one["event"].startswith("transcode_")]
    assert (begun["event"], begun["item"], begun["plan"]) == ("transcode_begun", item.number, "encode 128x96 H.264")
    assert (done["event"], done["made"], done["failed"], done["name"]) == ("transcode_done", 1, 0, "a.mp4")
    assert {"seconds", "speed", "bytes"} <= done.keys()


async def test_a_long_transcode_is_told_at_quarters_and_never_more_often_than_each_half_minute(world: World) -> None:
    item = await world.accept("a.mp4")
    run = None

    async def advance(asset: Asset) -> None:
        nonlocal run
        run = world.transcoding._runs[asset.sha256]
        run.told_part = 0.0
        for percent in range(1, 100):
            world.clock.advance(timedelta(seconds=2))
            world.transcoding._note(run, percent / 100)

    world.kitchen.on_make = advance
    with capture_logs() as told:
        await world.settle()
        await world.later(seconds=3)

    parts = [one["part"] for one in told if one["event"] == "transcode_advanced"]
    assert parts == [0.25, 0.5, 0.75]
    assert all(one["item"] == item.number for one in told if one["event"] == "transcode_advanced")


async def test_what_cannot_be_made_is_told_with_its_file_and_output_and_the_others_are_made(tmp_path: Path) -> None:
    world = World(tmp_path, Place("small"), Place("large", profile=LARGE))
    world.kitchen.refuse[SMALL] = NotMade(profile=SMALL, message="It broke.", values={}, transient=False)
    item = await world.accept("a.mp4")
    await world.settle()

    row = await world.row(item, "small")

    assert (row.state, row.reason) == ("failed", "a.mp4 (64x48 H.264): It broke.")
    assert (await world.states(item))["large/one"] == "delivered"
    world.close()


async def test_what_it_took_corrects_the_next_expectation(world: World) -> None:
    async def take_long(asset: Asset) -> None:
        world.clock.advance(timedelta(seconds=100))

    world.kitchen.on_make = take_long
    with capture_logs() as told:
        for name in ("a.mp4", "b.mp4"):
            await world.accept(name)
            await world.settle()
            await world.later(seconds=3)

    first, second = (one["expected_s"] for one in told if one["event"] == "transcode_begun")
    assert second > 10 * first
    assert (world.folder / "pace.json").exists()


async def test_what_is_put_off_says_why_until_it_is_made(tmp_path: Path) -> None:
    world = World(tmp_path, Place("screens"))
    full = NotMade(profile=SMALL, message="Only {free} MiB are free.", values={"free": 3}, transient=True)
    world.kitchen.refuse[SMALL] = full
    item = await world.accept("a.mp4")
    await world.settle()

    row = await world.row(item, "screens")
    assert (row.state, row.reason) == ("transcoding", "a.mp4 (64x48 H.264): Only 3 MiB are free.")
    assert world.transcoding.troubles() == (row.reason,)

    world.kitchen.refuse.clear()
    await world.later(minutes=1)

    assert (await world.row(item, "screens")).reason == ""
    assert world.transcoding.troubles() == ()
    world.close()


@pytest.mark.parametrize(
    ("doubtful", "states"), [(True, ["transcoding", "transcoding", "failed"]), (False, 3 * ["transcoding"])]
)
async def test_what_may_be_the_files_own_fault_is_tried_three_times_and_a_full_disk_for_ever(
    tmp_path: Path, doubtful: bool, states: list[str]
) -> None:
    world = World(tmp_path, Place("screens"))
    broken = NotMade(profile=SMALL, message="Out of memory.", values={}, transient=True, doubtful=doubtful)
    world.kitchen.refuse[SMALL] = broken
    item = await world.accept("a.mp4")
    await world.settle()

    seen = []
    for _ in states:
        seen.append((await world.row(item, "screens")).state)
        await world.later(minutes=1)

    assert seen == states
    world.close()
