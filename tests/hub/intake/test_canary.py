"""The hub's own drop: how fast the watch sees it, and that a dead watch is noticed and built anew."""

from __future__ import annotations

import ctypes
import os
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from watchdog.observers.inotify_c import InotifyFD

from hub.intake import canary
from hub.intake.service import Intake
from hub.wellness import intake_part

NEVER_BY_LOOKING = {"rescan_every_s": 600.0, "canary_every_s": 0.5}


def watches() -> dict[int, list[int]]:
    """The kernel's watches of this process: inotify descriptor -> watch descriptors (proc(5), fdinfo)."""
    found: dict[int, list[int]] = {}
    for link in Path("/proc/self/fd").iterdir():
        try:
            if str(link.readlink()) == "anon_inode:inotify":
                text = Path(f"/proc/self/fdinfo/{link.name}").read_text()
                found[int(link.name)] = [int(wd, 16) for wd in re.findall(r"inotify wd:([0-9a-f]+)", text)]
        except OSError:
            continue
    return found


def cut_the_watch() -> None:
    """The threads live on and wait; the kernel announces nothing any more."""
    libc = ctypes.CDLL(None)
    for fd, descriptors in watches().items():
        for descriptor in descriptors:
            assert libc.inotify_rm_watch(fd, descriptor) == 0


def readers() -> list[InotifyFD]:
    return [thread for thread in threading.enumerate() if isinstance(thread, InotifyFD)]


def health(intake: Intake) -> str:
    return intake_part(intake.status()).state


async def test_a_drop_of_the_hub_s_own_is_seen_through_the_watch_at_once(place: Any, eventually: Any) -> None:
    async with place.running(**NEVER_BY_LOOKING) as intake:
        await eventually(lambda: intake.status().canary.at)

        seen = intake.status().canary
        assert 0 < seen.last_s <= seen.worst_s < 0.2
        await eventually(lambda: intake.status().canary.at > seen.at)
        assert health(intake) == "ok"
    assert place.desk.done == 0
    assert place.refused_names() == set()


async def test_a_dead_watch_turns_health_red_and_is_built_anew(place: Any, eventually: Any) -> None:
    async with place.running(**NEVER_BY_LOOKING) as intake:
        await eventually(lambda: intake.status().canary.at)

        cut_the_watch()

        await eventually(lambda: health(intake) == "down")
        assert "Disetujui: the watch is dead" in intake_part(intake.status()).summary
        await eventually(lambda: health(intake) == "ok")
        assert not intake.status().trouble
        place.drop("klip.mp4")
        await eventually(lambda: place.desk.placed)


async def test_the_death_of_the_thread_that_reads_the_kernel_s_events_is_got_over(place: Any, eventually: Any) -> None:
    async with place.running(**NEVER_BY_LOOKING) as intake:
        await eventually(lambda: intake.status().canary.at)
        (reader,) = readers()

        reader.stop()
        reader.join()

        await eventually(readers)
        since = intake.status().canary.at
        await eventually(lambda: intake.status().canary.at > since)
        assert intake.status().watch == "events"


async def test_drops_are_still_found_when_no_watch_can_be_had(
    place: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As on a network mount; none can be mounted here.
    monkeypatch.setattr("hub.intake.watcher.is_silent_filesystem", lambda folder: True)
    async with place.running(poll_every_s=0.3, canary_every_s=2.0) as intake:
        await eventually(lambda: intake.status().canary.at)

        assert intake.status().watch == "polling"
        assert 0 < intake.status().canary.last_s < 2.0
        assert health(intake) == "ok"
        place.drop("klip.mp4")
        await eventually(lambda: place.desk.placed)


async def test_a_canary_that_a_killed_hub_left_behind_is_taken_for_no_drop(place: Any, eventually: Any) -> None:
    secret = place.root / "rahasia"
    secret.write_text("tetap")
    (place.inbox / canary.NAME).symlink_to(secret)

    async with place.running(**NEVER_BY_LOOKING) as intake:
        await eventually(lambda: intake.status().canary.at)

    assert secret.read_text() == "tetap"
    assert place.left() == set()
    assert place.desk.done == 0


async def test_a_folder_in_which_none_can_be_dropped_says_so_and_goes_on_working(place: Any, eventually: Any) -> None:
    (place.inbox / canary.NAME / "dalam").mkdir(parents=True)
    async with place.running(**NEVER_BY_LOOKING) as intake:
        await eventually(lambda: intake.status().canary.cannot)

        assert health(intake) == "degraded"
        assert "cannot drop its canary" in intake_part(intake.status()).summary
        place.drop("klip.mp4")
        await eventually(lambda: place.desk.placed)
        (place.inbox / canary.NAME / "dalam").rmdir()
        (place.inbox / canary.NAME).rmdir()
        await eventually(lambda: health(intake) == "ok")


async def test_a_folder_that_hangs_turns_health_red_until_it_answers(
    place: Any, eventually: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, answers, asked, opens = threading.Event(), threading.Event(), [], os.open

    def hanging(path: Any, *args: Any, **kwargs: Any) -> int:  # no mount can be made to hang here
        if hangs.is_set() and str(path).startswith(str(place.inbox)):
            asked.append(str(path))
            assert answers.wait(30)
        return opens(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", hanging)
    async with place.running(**NEVER_BY_LOOKING) as intake:
        await eventually(lambda: intake.status().canary.at)

        hangs.set()

        await eventually(lambda: health(intake) == "down")
        assert "it does not answer" in intake_part(intake.status()).summary
        await eventually(lambda: intake.status().canary.missed > canary.MISSES)
        assert asked.count(str(place.inbox / canary.NAME)) == 1, "not one thread more for each that is missed"
        hangs.clear()
        answers.set()
        await eventually(lambda: health(intake) == "ok")
