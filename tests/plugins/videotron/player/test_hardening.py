"""Files that would make a plain mpv fetch, read or run something: not one request, not one file beside it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from plugins.videotron.player.agent import SystemClock
from plugins.videotron.player.clips import Clip, Play
from plugins.videotron.player.command import HARDENED, OFF_WHERE_KNOWN, command_line, known_options
from plugins.videotron.player.playback import Playback
from plugins.videotron.player.settings import MpvSettings, ScreenSettings

SCREEN = ScreenSettings(width=64, height=48)
LURES = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n",
    "m3u": "#EXTM3U\n{url}\n",
    "pls": "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    "edl": "# mpv EDL v0\n{url},0,5\n",
    "cue": 'FILE "{url}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n',
    "concat": "ffconcat version 1.0\nfile '{url}'\n",
    "dash": '<?xml version="1.0"?><MPD><Period><BaseURL>{url}</BaseURL></Period></MPD>',
    "sdp": "v=0\nc=IN IP4 127.0.0.1\nm=video {port} RTP/AVP 96\n",
}


class Canary:
    """Counts who comes to fetch something."""

    def __init__(self) -> None:
        self.visits = 0

    def visit(self, _: Any, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


@contextlib.asynccontextmanager
async def canary() -> AsyncIterator[tuple[Canary, int]]:
    bird = Canary()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = await asyncio.start_server(bird.visit, sock=listening.dup())
        async with server:
            yield bird, listening.getsockname()[1]


async def shown(*clips: Clip) -> list[Play]:
    """What came of each clip, shown once."""
    plays: asyncio.Queue[Play] = asyncio.Queue()
    playback = Playback(
        mpv=MpvSettings(vo="null", stalled_after_s=5),
        screen=SCREEN,
        clock=SystemClock(),
        log=structlog.get_logger(),
        on_begin=lambda *_: None,
        on_play=plays.put_nowait,
        on_broken=lambda _: None,
    )
    playback.show(clips)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(playback.run())
        told = [await plays.get() for _ in clips]
        task.cancel()
    return told


def clip(path: Path) -> Clip:
    return Clip(key=path.stem, path=path, item=path.stem, sha256=path.stem)


async def test_hostile_files_fetch_nothing_and_the_good_one_plays(films: Any, tmp_path: Path) -> None:
    async with canary() as (bird, port):
        for name, lure in LURES.items():
            url = f"http://127.0.0.1:{port}/{name}.ts"
            (tmp_path / f"{name}.mp4").write_text(lure.format(url=url, port=port))

        told = await shown(*(clip(tmp_path / f"{name}.mp4") for name in LURES), clip(films["red"].path))

        assert bird.visits == 0
    assert {play.clip.key: str(play.result) for play in told} == dict.fromkeys(LURES, "failed") | {"red": "completed"}


async def test_nothing_that_lies_beside_a_film_is_opened(films: Any, tmp_path: Path) -> None:
    film = tmp_path / "film.mp4"
    film.write_bytes(films["red"].data)
    ran = tmp_path / "ran"
    (tmp_path / "film.srt").write_text("1\n00:00:00,000 --> 00:00:09,000\nwords\n")
    (tmp_path / "film.mp4.conf").write_text("pause=yes\n")
    (tmp_path / "mpv.conf").write_text("pause=yes\n")
    (tmp_path / "film.lua").write_text(f"io.open('{ran}', 'w')\n")

    told = await shown(clip(film))

    assert told[0].complete
    assert not ran.exists()


@pytest.mark.parametrize("option", [*HARDENED, "--demuxer-lavf-format=mov", "--keep-open=no", "--cache=no"])
def test_every_door_is_closed_on_the_command_line(option: str) -> None:
    assert option in command_line(MpvSettings(), SCREEN, 7)


def test_only_options_that_this_mpv_has_are_given_to_it() -> None:
    known = known_options("mpv")
    given = {o.removeprefix("--").removesuffix("=no") for o in command_line(MpvSettings(), SCREEN, 7)}

    assert {"ytdl", "osc"} <= known
    assert given & set(OFF_WHERE_KNOWN) == set(OFF_WHERE_KNOWN) & known
    assert known_options("no-such-mpv") == frozenset()
