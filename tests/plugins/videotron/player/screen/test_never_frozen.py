"""A picture that stands still is noticed and replaced, whatever stands still; one that may do so is left alone."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

RECOVERED_WITHIN_S = 20


@pytest.fixture
def door(tmp_path: Path) -> tuple[str, Callable[..., None]]:
    """An mpv that somebody else can speak to as well: its program, and how to tell it something."""
    path, program = tmp_path / "door", tmp_path / "mpv-with-a-door"
    program.write_text(f'#!/bin/sh\nexec mpv "$@" --input-ipc-server={path} --ao=null\n')
    program.chmod(0o755)

    def tell(*command: Any) -> None:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(path))
            sock.sendall(json.dumps({"command": command}).encode() + b"\n")
            assert b"success" in sock.makefile("rb").readline()

    return str(program), tell


def make(path: Path, *options: str) -> None:
    subprocess.run(["ffmpeg", "-v", "error", *options, "-pix_fmt", "yuv420p", str(path)], check=True)


async def recovered(on: Any, pid: int, eventually: Any) -> float:
    """How long it took until another mpv showed a picture."""
    began, playback = monotonic(), on.playback
    await eventually(lambda: playback.showing and playback.pid != pid, RECOVERED_WITHIN_S)
    return monotonic() - began


async def test_a_stopped_mpv_is_replaced_and_told(stage: Any, colours: Any, clip: Any, eventually: Any) -> None:
    on = stage(stalled_after_s=2)

    async with on.playing(clip(colours["white"])) as playback:
        os.kill(pid := playback.pid, signal.SIGSTOP)

        await recovered(on, pid, eventually)

        cut = await on.plays.get()
        assert (cut.result, cut.reason) == ("partial", "mpv did not answer within 2 s")
        assert playback.trouble == "the picture was lost and came back: mpv did not answer within 2 s"
        assert (playback.restarts, playback.healthy) == (1, True)


async def test_an_mpv_that_answers_but_stands_still_is_replaced(
    stage: Any, colours: Any, clip: Any, door: Any, eventually: Any
) -> None:
    program, tell = door
    on = stage(program=program, stalled_after_s=2)

    async with on.playing(clip(colours["white"])) as playback:
        pid = playback.pid
        tell("set_property", "pause", True)

        assert await recovered(on, pid, eventually) < 6

        assert "stood still for 2 s" in playback.trouble


async def test_a_film_that_goes_on_without_its_picture_is_noticed(
    stage: Any, clip: Any, door: Any, eventually: Any, tmp_path: Path
) -> None:
    program, tell = door
    path = tmp_path / "loud.mp4"
    sources = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=30", "-f", "lavfi", "-i", "sine=d=30"]
    await asyncio.to_thread(make, path, *sources)
    on = stage(program=program, stalled_after_s=2, sound=True)

    async with on.playing(clip(path)) as playback:
        pid = playback.pid
        await eventually(lambda: playback.vitals.drew)
        tell("set_property", "vid", "no")  # its sound goes on, and with it its position

        await recovered(on, pid, eventually)

        assert "stood still for 2 s" in playback.trouble


async def test_an_mpv_that_holds_too_much_memory_is_replaced_once_at_the_end_of_a_clip(
    stage: Any, colours: Any, clip: Any
) -> None:
    on = stage(recycle_above_mb=1)

    async with on.playing(clip(colours["red"]), clip(colours["lime"])) as playback:
        first = playback.pid
        plays = await on.played(6)

        assert playback.pid != first
        assert (playback.recycles, playback.restarts) == (1, 0)  # always above the limit: not after each clip
        assert [p.clip.key for p in plays] == ["red", "lime"] * 3
        assert all(p.complete for p in plays)


async def test_a_still_picture_made_a_film_is_not_frozen_and_tells_where_it_is_and_what_it_costs(
    stage: Any, colours: Any, clip: Any, eventually: Any
) -> None:
    on = stage(stalled_after_s=1)

    async with on.playing(clip(colours["white"])) as playback:
        await eventually(lambda: (playback.vitals.position_s or 0) > 2)

        assert (playback.restarts, playback.trouble) == (0, "")
        vitals = playback.vitals
        assert abs(playback.position - (vitals.position_s or 0)) < 1
        assert vitals.duration_s == 60
        assert (vitals.output, vitals.hwdec, vitals.drew) == ("null", "no", True)
        assert (vitals.dropped_by_output, vitals.dropped_by_decoder) == (0, 0)
        assert 10 < vitals.memory_mb < 500


async def test_what_is_cut_short_by_its_file_is_not_called_complete(stage: Any, clip: Any, tmp_path: Path) -> None:
    whole, short = tmp_path / "whole.mp4", tmp_path / "short.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=s=64x48:r=25:d=8", "-g", "10", "-movflags", "+faststart"]
    await asyncio.to_thread(make, whole, *source)
    data = whole.read_bytes()
    short.write_bytes(data[: len(data) // 3])
    on = stage()

    async with on.playing(clip(short)):
        play = await on.plays.get()

    assert play.result == "partial"
    assert "of 8.0 s" in play.reason
