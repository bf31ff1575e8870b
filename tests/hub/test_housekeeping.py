"""Renditions go when nobody needs them any more, and never before; originals never."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import Item, ItemState
from hub.api.files import sha256_of
from hub.housekeeping import Housekeeping, Shortage
from hub.ledger import items, renditions
from hub.ledger.database import Database
from hub.testing import FakeClock
from tests.faults import strace
from tests.hub import housekeeping_worker
from tests.hub.world import LARGE, SMALL, Place, World

REPOSITORY = Path(__file__).parents[2]
MONTH = timedelta(days=30)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens"))
    yield world
    world.close()


def housekeeping(
    world: World, lacking: Callable[[], int] = lambda: 0, wished: Callable[[], int] = lambda: 0
) -> Housekeeping:
    def shortage() -> Shortage:
        return Shortage(lacking=lacking(), wished=wished())

    vault = world.folder / "vault"
    return Housekeeping(world.database, world.kitchen.folder, vault, MONTH, shortage, world.clock, world.log)


async def shown(world: World, name: str = "a.mp4") -> tuple[Item, Path]:
    """An item that is delivered, and its rendition where the hub keeps it."""
    item = await world.accept(name)
    await world.settle()
    (rendition,) = world.places["screens"].holds[f"{item.number}/one"]
    return item, rendition.path


async def over(world: World, item: Item) -> None:
    await world.database.write(items.set_state, item, ItemState.ENDED, now=world.clock.now())


def aged(world: World) -> None:
    """The kitchen's files are as old as the fake clock says."""
    for path in world.kitchen.folder.rglob("*.mp4"):
        os.utime(path, times=(0, world.clock.now().timestamp() - 5 * 86400))


@pytest.fixture(autouse=True)
def sharded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kitchen puts files where the real store does."""
    make = world.kitchen._file

    def put(asset: object, profile: object) -> object:
        made = make(asset, profile)
        folder = world.kitchen.folder / made.sha256[:2]
        folder.mkdir(exist_ok=True)
        object.__setattr__(made, "path", made.path.rename(folder / f"{made.sha256}.mp4"))
        aged(world)
        return made

    monkeypatch.setattr(world.kitchen, "_file", put)


async def test_a_rendition_is_kept_while_an_item_is_live_and_a_month_longer(world: World) -> None:
    item, path = await shown(world)
    keeper = housekeeping(world)

    world.clock.advance(2 * MONTH)
    assert await keeper.tidy() == 0
    await over(world, item)
    assert await keeper.tidy() == 0
    world.clock.advance(MONTH - timedelta(minutes=1))
    assert await keeper.tidy() == 0
    assert path.exists()
    world.clock.advance(timedelta(minutes=1))

    assert await keeper.tidy() == 1
    assert not path.exists()
    assert sha256_of(item.assets[0].path) == item.assets[0].sha256, "an original is never removed"


async def test_the_same_bytes_again_cost_no_transcode_while_the_rendition_is_kept(world: World) -> None:
    first, path = await shown(world)
    await over(world, first)
    await housekeeping(world).tidy()
    world.clock.advance(MONTH - timedelta(minutes=1))
    runs = len(world.kitchen.runs)

    second = await world.accept("a.mp4", end=world.clock.now() + MONTH)
    await world.settle()

    assert world.places["screens"].holds[f"{second.number}/one"][0].path == path
    assert len(world.kitchen.runs) == runs, "nothing was transcoded"
    world.clock.advance(timedelta(days=2))
    assert await housekeeping(world).tidy() == 0, "the month begins anew with the last item that needs it"


async def test_after_it_was_removed_it_is_made_again_for_whoever_wants_it(world: World) -> None:
    first, path = await shown(world)
    await over(world, first)
    await housekeeping(world).tidy()
    world.clock.advance(MONTH)
    assert await housekeeping(world).tidy() == 1

    second = await world.accept("a.mp4", end=world.clock.now() + MONTH)
    await world.settle()

    assert len(world.kitchen.runs) == 2
    assert await world.states(second) == {"screens/one": "delivered"}
    assert path.exists()
    assert await housekeeping(world).tidy() == 0


async def test_of_two_items_with_the_same_rendition_the_last_decides(world: World) -> None:
    first, path = await shown(world)
    await world.accept("a.mp4", end=world.clock.now() + 3 * MONTH)
    await world.settle()
    await over(world, first)
    await housekeeping(world).tidy()
    world.clock.advance(MONTH)

    assert await housekeeping(world).tidy() == 0
    assert path.exists()


async def test_what_a_screen_that_was_taken_away_needed_goes_too(world: World) -> None:
    item, path = await shown(world)
    world.places["screens"].profile = LARGE
    await world.workflow.replan("screens")
    await world.settle()
    await housekeeping(world).tidy()
    world.clock.advance(MONTH)

    assert await housekeeping(world).tidy() == 1
    assert not path.exists()
    world.places["screens"].profile = SMALL
    await world.workflow.replan("screens")
    await world.settle()
    assert path.exists(), "put back as soon as it is wanted again"
    assert await world.states(item) == {"screens/one": "delivered"}


async def test_on_a_short_disk_the_longest_idle_go_first_and_only_as_many_as_needed(world: World) -> None:
    keeper, paths = housekeeping(world), []
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        item, path = await shown(world, name)
        paths.append(path)
        await over(world, item)
        await keeper.tidy()
        world.clock.advance(timedelta(hours=2))
    live, needed = await shown(world, "d.mp4")
    size = paths[0].stat().st_size
    begun = sum(path.stat().st_size for path in paths)

    def half_a_file() -> int:  # until something has gone
        return size // 2 - (begun - sum(path.stat().st_size for path in paths if path.exists()))

    assert await housekeeping(world, half_a_file).tidy() == 1
    assert [path.exists() for path in paths] == [False, True, True]
    assert await housekeeping(world, lambda: 1 << 60).tidy() == 2
    assert [path.exists() for path in (*paths, needed)] == [False, False, False, True]
    assert await world.state(live) == "active"


async def test_on_a_short_disk_what_was_made_today_goes_too_and_what_was_just_made_again_does_not(world: World) -> None:
    (item, path), (other, again) = await shown(world, "a.mp4"), await shown(world, "b.mp4")
    made = world.clock.now().timestamp()
    os.utime(path, times=(made, made))
    for one in (item, other):
        await over(world, one)
    await housekeeping(world).tidy()
    world.clock.advance(timedelta(hours=2))
    now = world.clock.now().timestamp()
    os.utime(again, times=(now, now))  # the store found it there, its row is written next

    assert await housekeeping(world, lambda: 1 << 60).tidy() == 1

    assert [path.exists(), again.exists()] == [False, True]


async def test_for_a_drop_that_waits_for_space_room_is_made_when_that_is_enough(world: World) -> None:
    paths = []
    for name in ("a.mp4", "b.mp4"):
        item, path = await shown(world, name)
        paths.append(path)
        await over(world, item)
        await housekeeping(world).tidy()
        world.clock.advance(timedelta(hours=2))
    size = paths[0].stat().st_size

    assert await housekeeping(world, wished=lambda: 10 * size).tidy() == 0, "in vain, so it is left alone"
    needed = iter([size, 0])
    assert await housekeeping(world, wished=lambda: next(needed, 0)).tidy() == 1

    assert [path.exists() for path in paths] == [False, True]


async def test_even_on_a_short_disk_what_has_only_just_become_idle_is_spared(world: World) -> None:
    item, path = await shown(world)
    await over(world, item)

    await housekeeping(world, lambda: 1 << 60).tidy()

    assert path.exists(), "a player may be fetching it"


async def test_a_file_that_no_row_knows_goes_after_a_day_and_nothing_else_there_does(world: World) -> None:
    _, path = await shown(world)
    stray, fresh = path.with_name("0" * 64 + ".mp4"), path.with_name("1" * 64 + ".mp4")
    work = world.kitchen.folder / ".work" / "x" / "0.mp4"
    work.parent.mkdir(parents=True)
    for one in (stray, fresh, work):
        one.write_bytes(b"x")
    now = world.clock.now().timestamp()
    os.utime(stray, times=(now, now - 86401))
    os.utime(work, times=(now, now - 86401))
    os.utime(fresh, times=(now, now - 3600))

    assert await housekeeping(world).tidy() == 1

    assert [one.exists() for one in (path, stray, fresh, work)] == [True, False, True, True]


async def test_copies_of_what_was_refused_go_after_a_day_and_those_of_accepted_items_never(world: World) -> None:
    item, _ = await shown(world)
    await over(world, item)
    accepted, refused, waiting = (
        world.folder / "vault" / digest[:2] / digest for digest in (item.assets[0].sha256, "a" * 64, "b" * 64)
    )
    now = world.clock.now().timestamp()
    for copy, age in ((accepted, 9e6), (refused, 86401), (waiting, 3600)):
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(b"x")
        os.utime(copy, times=(now, now - age))
    (world.folder / "vault" / ".moves").mkdir()

    keeper = housekeeping(world)

    assert [await keeper.tidy(), await keeper.tidy()] == [0, 1]

    assert [copy.exists() for copy in (accepted, refused, waiting)] == [True, False, True]


async def test_late_proof_of_what_was_removed_still_counts_and_that_of_something_else_does_not(world: World) -> None:
    item, _ = await shown(world)
    before = await world.database.read(renditions.hashes, "screens", f"{item.number}/one")
    await over(world, item)
    await housekeeping(world).tidy()
    world.clock.advance(MONTH)
    await housekeeping(world).tidy()

    assert await world.database.read(renditions.hashes, "screens", f"{item.number}/one") == before
    assert await world.database.read(renditions.of_delivery, "screens", f"{item.number}/one") is None


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is missing: apt-get install strace")
@pytest.mark.parametrize("call", ["fdatasync", "unlink"])
def test_a_kill_at_any_step_loses_nothing_needed_and_the_next_round_ends_it(tmp_path: Path, call: str) -> None:
    when = 0
    while True:
        when += 1
        folder = tmp_path / str(when)
        needed, idle = housekeeping_worker.prepare(folder)
        command = [*strace.killing(strace.Point(call=call, when=when)), sys.executable, "-m"]
        done = subprocess.run(
            [*command, "tests.hub.housekeeping_worker", str(folder)], cwd=REPOSITORY, capture_output=True, check=False
        )

        assert all(path.exists() for path in needed)
        if done.returncode != -signal.SIGKILL:
            break
        _again(folder)
        assert [path.exists() for path in (*needed, *idle)] == [True] * len(needed) + [False] * len(idle)
    assert done.returncode == 0, done.stderr.decode()
    assert when > len(idle)


def _again(folder: Path) -> None:
    database = Database(folder / "ledger.db")
    clock = FakeClock(time=housekeeping_worker.LATER)
    housekeeping_worker.tidy(database, folder, clock)
    with_files = database._reader.execute("SELECT body ->> '$.path' AS path FROM rendition WHERE state = 'made'")
    assert all(Path(row["path"]).exists() for row in with_files), "the ledger names no file that is gone"
    database.close()
