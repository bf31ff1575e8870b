"""What could not be looked at is tried again by content, and refused only when it may be the file's own fault."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.intake.desk import Postponed, Submission, Verdict
from hub.intake.desk import Refused as RefusedVerdict
from hub.ledger import attempts
from hub.media.samples import make_audio, make_poster
from hub.reception import Reception
from tests.hub.test_reception import accepted, reception, submission
from tests.hub.world import Place, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, Place("screens"))
    yield world
    world.close()


@pytest.fixture
def tone(tmp_path: Path) -> Submission:
    make_audio(tmp_path / "tone.wav", 1.0, 440)
    return submission(tmp_path / "tone.wav")


def postponed(verdict: Verdict) -> str:
    assert isinstance(verdict, Postponed), verdict
    return verdict.reason


@contextmanager
def tools_killed() -> Iterator[list[int]]:
    """Every tool that this process starts is killed at once, as the kernel does for want of memory."""
    killed: list[int] = []
    over = threading.Event()

    def hunt() -> None:
        while not over.is_set():
            for pid in _children():
                if pid not in killed:
                    killed.append(pid)
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.001)

    hunter = threading.Thread(target=hunt)
    hunter.start()
    try:
        yield killed
    finally:
        over.set()
        hunter.join()


def _children() -> list[int]:
    lists = Path("/proc/self/task").glob("*/children")
    found = []
    for one in lists:
        try:
            found += [int(pid) for pid in one.read_text().split()]
        except OSError:  # the thread has ended
            continue
    return found


@contextmanager
def the_disk_failing(file: Path) -> Iterator[None]:
    """It cannot be opened."""
    kept = file.rename(file.with_suffix(".kept"))
    try:
        yield
    finally:
        kept.rename(file)


async def test_a_tool_killed_for_want_of_memory_is_no_refusal_at_once(world: World, tone: Submission) -> None:
    desk = reception(world)

    with tools_killed() as killed:
        assert "memory" not in postponed(await desk.consider(tone))
    assert killed
    postponed(await desk.consider(tone))  # not yet
    world.clock.advance(timedelta(seconds=31))

    assert accepted(await desk.consider(tone)) == "IP-2026-11-0001"


async def test_after_three_tries_it_is_refused_naming_memory_through_restarts_and_renames(
    world: World, tone: Submission
) -> None:
    with tools_killed() as killed:
        postponed(await reception(world).consider(tone))
        postponed(await reception(world).consider(replace(tone, name="lain.wav")))
        last = await reception(world).consider(tone)
        tries = len(killed)

        assert isinstance(last, RefusedVerdict)
        assert "memori" in last.reason
        again = await reception(world).consider(tone)

    assert isinstance(again, RefusedVerdict), "dragged back from Ditolak it is looked at once more, and answered"
    assert len(killed) > tries


async def test_dragged_back_when_the_machine_has_memory_again_it_is_taken(world: World, tone: Submission) -> None:
    with tools_killed():
        for _ in range(3):
            await reception(world).consider(tone)

    assert accepted(await reception(world).consider(tone)) == "IP-2026-11-0001"
    (left,) = await world.database.read(lambda db: db.execute("SELECT count(*) FROM attempt").fetchone())
    assert left == 0


async def test_a_failing_disk_is_never_the_files_fault_and_the_pauses_grow(world: World, tone: Submission) -> None:
    desk, pauses = reception(world), []
    with the_disk_failing(tone.files[0].vault_path):
        for _ in range(9):
            postponed(await desk.consider(tone))
            pauses.append(await _until_looked_at(world, desk, tone))

    assert pauses[:4] == [5, 10, 20, 40]
    assert pauses[-1] == 300
    world.clock.advance(timedelta(seconds=300))
    assert accepted(await desk.consider(tone)) == "IP-2026-11-0001"


async def test_a_new_name_does_not_start_anew_and_new_content_does(world: World, tone: Submission) -> None:
    desk, path = reception(world), tone.files[0].vault_path
    with the_disk_failing(path):
        postponed(await desk.consider(tone))

    postponed(await desk.consider(replace(tone, name="nama baru.wav")))
    make_poster(path.with_name("poster.png"), (32, 32))
    assert accepted(await desk.consider(submission(path.with_name("poster.png"), name=tone.name)))


async def test_what_nobody_dropped_again_is_forgotten(world: World) -> None:
    await world.database.write(attempts.count, "a" * 64, now=world.clock.now())
    world.clock.advance(timedelta(days=31))
    await world.database.write(attempts.count, "b" * 64, now=world.clock.now())

    assert await world.database.write(attempts.forget_older, world.clock.now() - timedelta(days=30)) == 1
    assert await world.database.write(attempts.count, "b" * 64, now=world.clock.now()) == 2


async def _until_looked_at(world: World, desk: Reception, given: Submission) -> int:
    """After how many seconds the bytes are looked at again; they are not looked at here."""
    patience = desk._patience
    began = world.clock.now()
    while patience.paused([given.files[0].sha256]):
        world.clock.advance(timedelta(seconds=1))
    return round((world.clock.now() - began).total_seconds())
