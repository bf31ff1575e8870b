"""Real mpv without a screen: a loop without gaps, cut at once, that no bad film can stop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from plugins.videotron.player.agent import SystemClock
from plugins.videotron.player.command import command_line
from plugins.videotron.player.fallback import fallback_clip
from plugins.videotron.player.playback import Clip, Play, Playback, Result
from plugins.videotron.player.settings import MpvSettings, PlayerSettings, ScreenSettings

SCREEN = ScreenSettings(width=64, height=48)
MPV = MpvSettings(vo="null", stalled_after_s=5)


class Stage:
    """A playback and what it told."""

    def __init__(self) -> None:
        self.begun: list[tuple[Clip, datetime]] = []
        self.plays: asyncio.Queue[Play] = asyncio.Queue()
        self.broken: asyncio.Queue[Clip] = asyncio.Queue()
        self.playback = Playback(
            mpv=MPV,
            screen=SCREEN,
            clock=SystemClock(),
            log=structlog.get_logger(),
            on_begin=lambda clip, at: self.begun.append((clip, at)),
            on_play=self.plays.put_nowait,
            on_broken=self.broken.put_nowait,
        )

    @contextlib.asynccontextmanager
    async def showing(self, *clips: Clip) -> AsyncIterator[Playback]:
        self.playback.show(clips)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            task = group.create_task(self.playback.run())
            yield self.playback
            task.cancel()


def clip(path: Path, key: str) -> Clip:
    return Clip(key=key, path=path, item=key, sha256=key)


async def test_one_film_follows_another_without_a_gap(films: Any) -> None:
    stage = Stage()
    async with stage.showing(clip(films["red"].path, "red"), clip(films["blue"].path, "blue")):
        plays = [await stage.plays.get() for _ in range(3)]

    assert [p.clip.key for p in plays] == ["red", "blue", "red"]
    for before, after in itertools.pairwise(plays):
        gap = after.started_at - before.started_at - timedelta(seconds=before.seconds)
        assert gap < timedelta(seconds=0.2)  # measured 0.01 on a quiet machine


async def test_a_beginning_is_told_at_the_first_picture_with_the_time_that_its_play_will_have(films: Any) -> None:
    stage = Stage()
    async with stage.showing(clip(films["red"].path, "red")):
        play = await stage.plays.get()

    assert stage.begun[0] == (play.clip, play.started_at)


async def test_a_change_of_what_comes_next_does_not_disturb_the_film_on_the_screen(films: Any) -> None:
    stage = Stage()
    red, blue = clip(films["red"].path, "red"), clip(films["blue"].path, "blue")
    async with stage.showing(red) as playback:
        await playback.first_picture.wait()
        playback.show((red, blue))
        plays = [await stage.plays.get() for _ in range(2)]

    assert [(p.clip.key, p.complete) for p in plays] == [("red", True), ("blue", True)]


async def test_a_file_that_is_no_film_is_told_and_the_others_go_on(films: Any, tmp_path: Path) -> None:
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"#EXTM3U\n" + str(films["red"].path).encode())
    stage = Stage()
    async with stage.showing(clip(bad, "bad"), clip(films["blue"].path, "blue")):
        told, tried, play = await stage.broken.get(), await stage.plays.get(), await stage.plays.get()

    assert told.key == "bad"
    assert (tried.clip.key, tried.result, tried.seconds) == ("bad", Result.FAILED, 0)
    assert tried.reason == "unrecognized file format"
    assert (play.clip.key, play.result) == ("blue", Result.COMPLETED)


async def test_an_empty_loop_clears_the_screen(films: Any) -> None:
    stage = Stage()
    async with stage.showing(clip(films["long"].path, "long")) as playback:
        await playback.first_picture.wait()
        playback.show(())
        play = await stage.plays.get()

        assert not play.complete
        assert playback.showing is None
        assert playback.healthy


@pytest.mark.parametrize("size", [(64, 48), (63, 47)])
async def test_the_fallback_is_made_once_and_can_be_shown(tmp_path: Path, size: tuple[int, int]) -> None:
    screen = ScreenSettings(width=size[0], height=size[1])
    settings = PlayerSettings(player="gate-1", state_dir=tmp_path, screen=screen, mpv=MPV)

    made = await fallback_clip(settings)
    again = await fallback_clip(settings)

    assert made == again
    assert made.path.name == f"fallback-{size[0] - size[0] % 2}x{size[1] - size[1] % 2}.mp4"
    stage = Stage()
    async with stage.showing(made) as playback:
        await playback.first_picture.wait()
        await playback.screenshot(tmp_path / "screen.png")
    assert (tmp_path / "screen.png").read_bytes().startswith(b"\x89PNG")


def test_mpv_is_told_to_open_nothing_but_the_film() -> None:
    options = command_line(MPV, SCREEN, 7)

    for door in (
        "--no-config",
        "--ytdl=no",
        "--load-scripts=no",
        "--access-references=no",
        "--demuxer-lavf-format=mov",
    ):
        assert door in options
    assert "--input-ipc-client=fd://7" in options
    assert not any("socket" in o for o in options)  # no file that others could speak to
