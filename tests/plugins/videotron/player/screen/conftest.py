"""A real X server without a monitor, what it shows recorded as it is, and a player's playback on it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog

from plugins.videotron.player.agent import SystemClock
from plugins.videotron.player.playback import Clip, Play, Playback
from plugins.videotron.player.settings import MpvSettings, ScreenSettings

WIDTH, HEIGHT = 320, 180  # of the small X server
GRID = (32, 18)  # how finely a recording looks at the picture
BLACK = 16  # luma; black is 0, in these films nothing is darker than 60
COLOURS = {"red": 76, "lime": 150, "yellow": 226, "orange": 173, "white": 255}  # and their luma


@contextlib.contextmanager
def x_server(width: int, height: int) -> Iterator[str]:
    """The DISPLAY of an X server of this size."""
    ours, its = os.pipe()
    command = ["Xvfb", "-displayfd", str(its), "-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=(its,), stderr=subprocess.DEVNULL) as server:
        os.close(its)
        try:
            with os.fdopen(ours) as told:
                number = told.readline().strip()
            assert number, "Xvfb did not start: apt install xvfb"
            yield f":{number}"
        finally:
            server.terminate()


@pytest.fixture(scope="session")
def small_display() -> Iterator[str]:
    with x_server(WIDTH, HEIGHT) as display:
        yield display


@pytest.fixture(scope="session")
def full_display() -> Iterator[str]:
    with x_server(1920, 1080) as display:
        yield display


@pytest.fixture
def display(small_display: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DISPLAY", small_display)
    return small_display


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Films of one colour each that fill the small X server: half a second, and `long` for white."""
    folder = tmp_path_factory.mktemp("colours")
    return {name: film(folder / f"{name}.mp4", name, 60 if name == "white" else 0.48) for name in COLOURS}


def film(path: Path, source: str, seconds: float, *, size: str = f"{WIDTH}x{HEIGHT}") -> Path:
    picture = source if "=" in source else f"color={source}"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"{picture}:s={size}:r=25:d={seconds}"]
    subprocess.run([*command, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", str(path)], check=True)
    return path


@dataclass
class Recording:
    """Every picture that the X server showed, as often as it can be looked at; each a small grid of luma."""

    frames: list[bytes] = field(default_factory=list)

    @property
    def black(self) -> int:
        """How many pictures were black, or had a black spot."""
        return sum(1 for frame in self.frames if min(frame) < BLACK)

    @property
    def seen(self) -> list[str]:
        """The colours in the order in which they filled the picture."""
        names: list[str] = []
        for frame in self.frames:
            name = next((n for n, luma in COLOURS.items() if all(abs(p - luma) < 12 for p in frame)), "other")
            if not names or names[-1] != name:
                names.append(name)
        return names


@pytest.fixture
def recording(display: str) -> Callable[[], Any]:
    @contextlib.asynccontextmanager
    async def record() -> AsyncIterator[Recording]:
        made = Recording()
        grab = ["-f", "x11grab", "-draw_mouse", "0", "-framerate", "100", "-video_size", f"{WIDTH}x{HEIGHT}"]
        small = f"scale={GRID[0]}:{GRID[1]}:flags=area,format=gray"
        process = await asyncio.create_subprocess_exec(
            *("ffmpeg", "-nostdin", "-v", "quiet", *grab, "-i", display, "-fps_mode", "passthrough"),
            *("-vf", small, "-f", "rawvideo", "-flush_packets", "1", "-"),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(_read(process, made))
            while not made.frames:  # noqa: ASYNC110 - another process's start has no event
                await asyncio.sleep(0.02)
            yield made
            process.terminate()
            await reading
        await process.wait()

    return record


async def _read(process: asyncio.subprocess.Process, recording: Recording) -> None:
    assert process.stdout is not None
    with contextlib.suppress(asyncio.IncompleteReadError):
        while True:
            recording.frames.append(await process.stdout.readexactly(GRID[0] * GRID[1]))


class Stage:
    """A playback and what it told."""

    def __init__(self, mpv: MpvSettings, screen: ScreenSettings, **more: Any) -> None:
        self.plays: asyncio.Queue[Play] = asyncio.Queue()
        self.broken: asyncio.Queue[Clip] = asyncio.Queue()
        self.begun: asyncio.Queue[Clip] = asyncio.Queue()
        self.playback = Playback(
            mpv=mpv,
            screen=screen,
            clock=SystemClock(),
            log=structlog.get_logger(),
            on_begin=lambda clip, _: self.begun.put_nowait(clip),
            on_play=self.plays.put_nowait,
            on_broken=self.broken.put_nowait,
            **more,
        )

    @contextlib.asynccontextmanager
    async def playing(self, *clips: Clip, within_s: float = 30) -> AsyncIterator[Playback]:
        """The body runs once the first picture is on the screen."""
        self.playback.show(clips)
        async with asyncio.timeout(within_s), asyncio.TaskGroup() as group:
            task = group.create_task(self.playback.run())
            if clips:
                await self.playback.first_picture.wait()
            yield self.playback
            task.cancel()

    async def played(self, count: int) -> list[Play]:
        return [await self.plays.get() for _ in range(count)]


@pytest.fixture
def stage() -> Callable[..., Stage]:
    def build(vo: str = "null", screen: ScreenSettings | None = None, **settings: Any) -> Stage:
        more = {"connectors": settings.pop("connectors")} if "connectors" in settings else {}
        context = {"gpu_context": "x11egl"} if vo == "gpu" else {}  # mpv takes a software renderer only when told to
        mpv = MpvSettings(vo=vo, **{"stalled_after_s": 5, **context, **settings})  # type: ignore[arg-type]
        return Stage(mpv, screen or ScreenSettings(width=WIDTH, height=HEIGHT), **more)

    return build


@pytest.fixture
def clip() -> Callable[..., Clip]:
    def build(path: Path, key: str = "") -> Clip:
        name = key or path.stem
        return Clip(key=name, path=path, item=name, sha256=name)

    return build
