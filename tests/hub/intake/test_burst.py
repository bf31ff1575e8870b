"""Bursts: none is missed though the kernel's queue overflows, and what is remembered does not grow with them."""

from __future__ import annotations

import asyncio
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog
from watchdog.observers.inotify_c import InotifyFD

from hub.clock import SystemClock
from hub.intake.desk import RefusedDrop
from hub.intake.lookout import Arriving, Round
from hub.intake.refusals import Refusing
from hub.intake.service import Intake
from hub.intake.status import SHOWN
from hub.intake.waiting_room import WaitingRoom
from hub.messages import Refusal, catalogue

NEVER_BY_LOOKING = {"rescan_every_s": 600.0, "canary_every_s": 600.0}


def queue_length() -> int:
    return int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


async def test_a_burst_that_overflows_the_kernel_s_queue_is_taken_whole(
    place: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    thaw, frozen = threading.Event(), threading.Event()
    handle = InotifyFD.handle_event

    def freezing(self: InotifyFD, event: Any) -> None:
        frozen.set()
        assert thaw.wait(60)
        handle(self, event)

    with structlog.testing.capture_logs() as logged:
        async with place.running(**NEVER_BY_LOOKING) as intake:
            await eventually(lambda: intake.status().canary.at)
            monkeypatch.setattr(InotifyFD, "handle_event", freezing)
            place.drop("pertama.mp4", b"SAMPAH")
            await asyncio.to_thread(frozen.wait, 10)  # the watch hears nothing from here on

            for _ in range(queue_length() // 2 + 200):  # an event for each; like ones in a row would be made one
                for name in ("a.part", "b.part"):
                    os.close(os.open(place.inbox / name, os.O_WRONLY | os.O_CREAT))
            names = [f"{number:04}.mp4" for number in range(500)]
            for name in names:
                place.drop(name, b"SAMPAH " + name.encode())  # their events are lost
            thaw.set()

            await eventually(lambda: place.desk.done == len(names) + 1, within_s=40)
    assert "watcher_overflowed" in [line["event"] for line in logged]
    assert {name for name, _ in place.desk.refusals} == {*names, "pertama.mp4"}
    assert place.left() == {"a.part", "b.part"}


async def test_a_burst_of_2000_is_accounted_for_and_nothing_of_it_stays_in_memory(place: Any, eventually: Any) -> None:
    good = {f"baik {number}.mp4" for number in range(100)}
    bad = {f"{number:04}.mp4" for number in range(1900)}
    for name in good:
        place.drop(name, name)
    for name in bad:
        place.drop(name, f"SAMPAH {name}")

    async with place.running() as intake:
        most = 0

        def accounted() -> bool:
            nonlocal most
            most = max(most, len(intake.status().waiting))
            return bool(place.desk.done == 2000)

        await eventually(accounted, within_s=60)
        await eventually(lambda: not intake.status().waiting and not intake.status().waiting_more)
        remembered = remembered_by(intake)

    assert {name for name, _ in place.desk.placed} == good
    assert {name for name, _ in place.desk.refusals} == bad
    assert bad | {f"{name}.alasan.txt" for name in bad} == place.refused_names()
    assert place.left() == set()
    assert most <= SHOWN
    assert remembered == 0
    assert not list(place.vault.glob(".moves/*"))


def remembered_by(intake: Intake) -> int:
    """Drops that are kept in mind though they are done."""
    (folder,) = intake._folders
    room, handling = folder._room, folder._handling
    return sum(map(len, (room._held, room._in_hand, room._next, handling._claims._held, handling._verdicts)))


def arriving(number: int) -> Arriving:
    since = datetime.fromtimestamp(1_000_000 - number, UTC)
    name = f"{number}.mp4"
    return Arriving(anchor=name, name=name, since=since, why=Refusal("It has only just arrived."), again_in_s=1.0)


def test_the_status_names_the_oldest_that_wait_and_why_and_counts_the_others() -> None:
    room = WaitingRoom(SystemClock())
    room.update(Round(ready=(), arriving=tuple(map(arriving, range(20_000))), names=frozenset()))

    shown = room.waiting(catalogue("id"))

    assert room.count == 20_000
    assert [one.name for one in shown] == [f"{number}.mp4" for number in range(19_999, 19_999 - SHOWN, -1)]
    assert shown[0].why == "Baru saja datang."
    assert room.waiting(catalogue("id")) is shown  # asked every few seconds: nothing is sorted again


async def test_same_name_new_bytes_dropped_while_the_first_is_handled_is_a_second_item(
    place: Any, eventually: Any
) -> None:
    handled, go_on = asyncio.Event(), asyncio.Event()
    consider = place.desk.consider

    async def slowly(submission: Any) -> Any:
        handled.set()
        await go_on.wait()
        return await consider(submission)

    place.desk.consider = slowly
    async with place.running():
        place.drop("klip.mp4", b"pertama")
        await asyncio.wait_for(handled.wait(), 10)
        place.drop(".klip.baru", b"kedua").rename(place.inbox / "klip.mp4")  # over the first one
        go_on.set()

        await eventually(lambda: len(place.desk.placed) == 2)

    accepted = [submission.files[0].vault_path.read_bytes() for submission in place.desk.submissions]
    assert accepted == [b"pertama", b"kedua"]
    by_target = {path.read_bytes() if path else None for _, path in place.desk.placed}
    assert by_target == {None, b"kedua"}  # the first was replaced where it stood; the vault has it


async def test_same_name_new_bytes_after_the_first_is_put_away_is_a_second_item(place: Any, eventually: Any) -> None:
    async with place.running():
        for data in (b"pertama", b"kedua"):
            count = len(place.desk.placed) + 1
            place.drop("klip.mp4", data)
            await eventually(lambda count=count: len(place.desk.placed) == count)

    assert len({number for _, (_, number) in place.desk.accepted.items()}) == 2
    assert {path.read_bytes() for _, path in place.desk.placed} == {b"pertama", b"kedua"}


async def test_one_of_many_refusals_that_cannot_be_moved_holds_up_no_other(place: Any) -> None:
    shelf = place.intake()._shelf
    shelf.prepare()
    refusing = []
    for name in ("a.mp4", "hilang.mp4", "b.mp4"):
        drop = RefusedDrop(name=name, reason="tidak", digests=frozenset())
        refusing.append(Refusing(names=(name,), drop=drop))
    place.drop("a.mp4")
    place.drop("b.mp4")
    (place.refused / "b.mp4").mkdir()

    group = shelf.refuse(place.inbox, refusing)

    assert [drop.name for drop in group.moved] == ["a.mp4", "b.mp4"]
    assert set(group.failed) == {"hilang.mp4"}
    assert {"a.mp4", "b (2).mp4", "a.mp4.alasan.txt", "b (2).mp4.alasan.txt"} <= place.refused_names()
    shelf.forget(group)
    assert not list(place.vault.glob(".moves/*"))
