"""Where each pixel of a film lies on a real output of 1920x1080, counted pixel by pixel."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from plugins.videotron.player.geometry import misfit, placement
from plugins.videotron.player.settings import MpvSettings, PlayerSettings, ScreenSettings, StripSettings

OUTPUT = (1920, 1080)
SHARP = bytes(0 if luma < 128 else 255 for luma in range(256))
Picture = list[bytes]  # rows of luma, 0 or 255


@pytest.fixture
def noise(tmp_path: Path) -> Callable[[int, int], tuple[Path, Picture]]:
    """A film of black and white pixels at random: moved, scaled or cut by one pixel it is another picture."""

    def make(width: int, height: int) -> tuple[Path, Picture]:
        rng = random.Random(width * height)
        rows = [bytes(rng.choices((0, 255), k=width)) for _ in range(height)]
        path = tmp_path / f"noise-{width}x{height}.mp4"
        raw = ["-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-r", "25", "-i", "-"]
        repeated = ["-vf", "loop=loop=24:size=1", "-c:v", "libx264", "-preset", "ultrafast", "-qp", "0"]
        command = ["ffmpeg", "-v", "error", "-y", *raw, *repeated, "-pix_fmt", "yuv420p", str(path)]
        subprocess.run(command, input=b"".join(rows), check=True)
        return path, rows

    return make


@pytest.fixture
def shown(full_display: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Picture]:
    monkeypatch.setenv("DISPLAY", full_display)
    size = f"{OUTPUT[0]}x{OUTPUT[1]}"
    grab = ["ffmpeg", "-v", "error", "-f", "x11grab", "-draw_mouse", "0", "-video_size", size, "-i", full_display]
    command = [*grab, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]

    def look() -> Picture:
        picture = subprocess.run(command, capture_output=True, check=True).stdout.translate(SHARP)
        return [picture[row : row + OUTPUT[0]] for row in range(0, len(picture), OUTPUT[0])]

    return look


def on_black(*pieces: tuple[Picture, int, int]) -> Picture:
    """An output with these pictures at these places."""
    rows = [bytearray(OUTPUT[0]) for _ in range(OUTPUT[1])]
    for piece, x, y in pieces:
        for number, row in enumerate(piece):
            rows[y + number][x : x + len(row)] = row
    return [bytes(row) for row in rows]


async def settles(look: Callable[[], Picture], wanted: Picture) -> int:
    """How many rows are wrong at last; the window needs a moment after its first picture."""
    wrong = -1
    for _ in range(20):
        picture = await asyncio.to_thread(look)
        wrong = sum(1 for got, want in zip(picture, wanted, strict=True) if got != want)
        if not wrong:
            break
        await asyncio.sleep(0.05)
    return wrong


@pytest.mark.parametrize(
    ("vo", "canvas", "x", "y", "fullscreen"),
    [
        ("x11", (336, 504), 801, 33, True),
        ("x11", (336, 504), 1584, 576, True),
        ("gpu", (768, 384), 1152, 695, True),
        ("x11", (1920, 540), 0, 270, True),
        ("gpu", (1920, 540), 0, 540, True),
        ("x11", (64, 48), 1855, 1031, True),
        ("x11", (336, 504), 801, 33, False),
        ("gpu", (768, 384), 100, 50, False),
    ],
)
async def test_each_pixel_lies_where_the_settings_say(
    vo: str, canvas: tuple[int, int], x: int, y: int, fullscreen: bool, noise: Any, shown: Any, stage: Any, clip: Any
) -> None:
    path, picture = await asyncio.to_thread(noise, *canvas)
    on = stage(vo, ScreenSettings(width=canvas[0], height=canvas[1], x=x, y=y, fullscreen=fullscreen))

    async with on.playing(clip(path)):
        assert await settles(shown, on_black((picture, x, y))) == 0


@pytest.mark.parametrize("vo", ["x11", "gpu"])
async def test_a_long_screen_is_folded_into_strips(vo: str, noise: Any, shown: Any, stage: Any, clip: Any) -> None:
    path, picture = await asyncio.to_thread(noise, 8704, 192)
    widths = [1920, 1920, 1920, 1920, 1024]
    strips = tuple(StripSettings(x=1920 * n, width=width, height=192, to_y=192 * n) for n, width in enumerate(widths))
    on = stage(vo, ScreenSettings(width=8704, height=192, y=7, strips=strips))

    async with on.playing(clip(path)):
        pieces = [([row[s.x : s.x + s.width] for row in picture], 0, 7 + s.to_y) for s in strips]
        assert await settles(shown, on_black(*pieces)) == 0


async def test_strips_may_lie_anywhere_and_leave_the_rest_black(noise: Any, shown: Any, stage: Any, clip: Any) -> None:
    path, picture = await asyncio.to_thread(noise, 640, 64)
    right = StripSettings(x=320, width=320, height=64, to_x=100, to_y=0)
    left = StripSettings(x=0, y=2, width=320, height=60, to_x=0, to_y=200)
    on = stage("x11", ScreenSettings(width=640, height=64, x=11, y=500, strips=(right, left)))

    async with on.playing(clip(path)):
        pieces = [(([row[320:] for row in picture]), 111, 500), ([row[:320] for row in picture[2:62]], 11, 700)]
        assert await settles(shown, on_black(*pieces)) == 0


async def test_an_output_too_small_for_the_picture_is_told(
    noise: Any, display: Any, stage: Any, clip: Any, eventually: Any
) -> None:
    path, _ = await asyncio.to_thread(noise, 336, 504)
    on = stage("x11", ScreenSettings(width=336, height=504, x=10))

    async with on.playing(clip(path)) as playback:
        await eventually(lambda: playback.trouble)

        assert playback.trouble == "the output is 320x180: the picture of 336x504 at 10,0 lies beyond it"


def test_a_picture_that_fits_is_not_told() -> None:
    screen = ScreenSettings(width=1920, height=540, y=540)

    assert misfit(screen, 1920, 1080) == ""
    assert misfit(screen, 0, 0) == ""  # not known yet
    assert misfit(screen, 1920, 1079) != ""


def test_a_film_in_one_piece_near_the_corner_needs_no_filter() -> None:
    assert not [o for o in placement(ScreenSettings(width=1920, height=540, y=540)) if o.startswith("--vf")]


@pytest.mark.parametrize(
    ("strips", "why"),
    [
        ([{"x": 100, "width": 600, "height": 64}], "beyond the film"),
        ([{"width": 320, "height": 64}, {"x": 320, "width": 320, "height": 64, "to_y": 62}], "over another one"),
        ([{"width": 319, "height": 64}], "multiple of 2"),
    ],
)
def test_strips_that_cannot_be_are_refused(strips: list[dict[str, int]], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ScreenSettings(width=640, height=64, strips=strips)


def test_strips_are_refused_with_pictures_that_stay_in_the_decoder() -> None:
    screen = ScreenSettings(width=640, height=64, strips=(StripSettings(width=320, height=64),))

    with pytest.raises(ValidationError, match="-copy"):
        PlayerSettings(player="gate-1", screen=screen, mpv=MpvSettings(hwdec="auto-safe"))
    PlayerSettings(player="gate-1", screen=screen, mpv=MpvSettings(hwdec="auto-copy"))
