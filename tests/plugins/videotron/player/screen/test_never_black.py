"""What an X server really shows, picture by picture: never black, but on order.

The outputs are mpv's own: `gpu` (OpenGL in software, here) and `x11`.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

ON_BOTH = pytest.mark.parametrize("vo", ["gpu", "x11"])
ON_GPU = pytest.mark.parametrize("vo", ["gpu"])
ON_X11 = pytest.mark.parametrize("vo", ["x11"])


@ON_BOTH
async def test_no_black_picture_over_changes_of_clip_loop_and_emergency(
    vo: str, stage: Any, recording: Any, colours: Any, clip: Any
) -> None:
    on = stage(vo)
    loop = [clip(colours[name]) for name in ("red", "lime", "yellow")]
    emergency = clip(colours["white"])

    async with on.playing(*loop) as playback, recording() as recorded:
        await on.played(3)
        playback.show((emergency,))
        await asyncio.sleep(0.3)
        playback.show(tuple(loop))
        await on.played(3)
        playback.show((loop[2], clip(colours["orange"])))
        await on.played(3)
        assert playback.vitals.output == vo

    assert recorded.black == 0
    assert len(recorded.seen) >= 8  # it did look closely enough to see the changes
    assert "white" in recorded.seen


@ON_BOTH
async def test_no_black_picture_when_what_comes_next_is_broken_or_missing(
    vo: str, stage: Any, recording: Any, colours: Any, clip: Any, tmp_path: Path
) -> None:
    (tmp_path / "text.mp4").write_text("#EXTM3U\n/etc/passwd\n")
    (tmp_path / "empty.mp4").touch()
    half = tmp_path / "half.mp4"
    half.write_bytes(colours["red"].read_bytes()[:900])
    bad = [clip(tmp_path / "text.mp4"), clip(tmp_path / "empty.mp4"), clip(half), clip(tmp_path / "missing.mp4")]
    on = stage(vo)

    async with on.playing(clip(colours["red"]), *bad, clip(colours["lime"])) as playback, recording() as recorded:
        while (await on.plays.get()).clip.key != "lime":
            pass
        playback.keep_ready(clip(colours["yellow"]))
        playback.show((bad[0], bad[3]))  # nothing in it can be shown
        while (await on.plays.get()).clip.key != "yellow":
            pass

    assert recorded.black == 0
    assert {"red", "lime", "yellow"} <= set(recorded.seen)


@ON_X11
async def test_the_spare_is_shown_at_once_when_nothing_of_a_new_loop_can_be(
    vo: str, stage: Any, recording: Any, colours: Any, clip: Any, tmp_path: Path
) -> None:
    on = stage(vo)
    on.playback.keep_ready(clip(colours["yellow"]))

    async with on.playing(clip(colours["white"])) as playback, recording() as recorded:
        playback.show((clip(tmp_path / "missing.mp4"),))
        while (await on.plays.get()).clip.key != "yellow":
            pass

    assert recorded.black == 0
    assert recorded.seen[:2] == ["white", "yellow"]


@ON_BOTH
async def test_an_mpv_is_replaced_at_the_end_of_a_clip_without_a_black_picture(
    vo: str, stage: Any, recording: Any, colours: Any, clip: Any
) -> None:
    on = stage(vo, recycle_after_h=0.5 / 3600)

    async with on.playing(*(clip(colours[name]) for name in ("red", "lime", "yellow"))) as playback:
        async with recording() as recorded:
            first = playback.pid
            while playback.recycles < 2:
                play = await on.plays.get()
                assert play.complete
        assert playback.pid != first
        assert playback.restarts == 0

    assert recorded.black == 0


@ON_GPU
async def test_black_on_order_is_black_and_no_fault_and_ends_at_once(
    vo: str, stage: Any, recording: Any, colours: Any, clip: Any, eventually: Any
) -> None:
    on = stage(vo, stalled_after_s=1)
    white = clip(colours["white"])

    async with on.playing(white) as playback:
        playback.show_black()
        cut = await on.plays.get()
        await asyncio.sleep(1.5)  # beyond a stall
        async with recording() as recorded:
            await asyncio.sleep(0.2)
            dark = len(recorded.frames)
            assert recorded.black == dark
            assert (playback.condition, playback.healthy, playback.restarts) == ("black", True, 0)
            playback.show((white,))
            await eventually(lambda: recorded.seen[-1] == "white")

    assert (cut.result, cut.reason) == ("partial", "black on order")
    assert len(recorded.frames) - dark < 100  # a second, of a hundred pictures each


@ON_X11
async def test_a_killed_mpv_leaves_the_screen_black_for_less_than_three_seconds(
    vo: str, stage: Any, recording: Any, colours: Any, clip: Any, eventually: Any
) -> None:
    on = stage(vo)

    async with on.playing(clip(colours["white"])) as playback, recording() as recorded:
        os.kill(playback.pid, signal.SIGKILL)
        cut = await on.plays.get()
        await eventually(lambda: recorded.black)
        await eventually(lambda: recorded.seen[-1] == "white")

    assert (cut.result, cut.reason) == ("partial", "mpv ended")
    assert 0 < recorded.black < 300


@ON_GPU
async def test_a_display_that_only_one_mpv_can_have_is_dark_for_less_than_three_seconds_a_day(
    vo: str,
    stage: Any,
    recording: Any,
    colours: Any,
    clip: Any,
    display: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = tmp_path / "mpv-alone"  # as under DRM: the player sees no windows, so the next mpv waits for this one's end
    alone.write_text(f'#!/bin/sh\nDISPLAY={display} exec mpv "$@"\n')
    alone.chmod(0o755)
    monkeypatch.delenv("DISPLAY")
    on = stage(vo, program=str(alone), recycle_after_h=0.5 / 3600)

    async with on.playing(clip(colours["red"]), clip(colours["lime"])) as playback, recording() as recorded:
        while playback.recycles < 1:
            assert (await on.plays.get()).complete
        await on.plays.get()

    assert playback.restarts == 0
    assert 0 < recorded.black < 300  # of a hundred a second
