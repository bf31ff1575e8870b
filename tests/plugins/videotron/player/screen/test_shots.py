"""What a screenshot says of a real output: the film, wherever it lies on it, and not what a film should be."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from plugins.videotron.player.settings import ScreenSettings, StripSettings
from plugins.videotron.player.shots import shrink
from plugins.videotron.screenshots.developing import develop, frames_around
from plugins.videotron.screenshots.pictures import Difference, nearest

FOLDED = (StripSettings(width=160, height=60), StripSettings(x=160, width=160, height=60, to_y=64))
PLACES = {
    "in the corner": ScreenSettings(width=160, height=120),
    "at an offset": ScreenSettings(width=160, height=120, x=100, y=40),
    "in a window": ScreenSettings(width=160, height=120, x=10, y=20, fullscreen=False),
    "folded": ScreenSettings(width=320, height=60, strips=FOLDED),
    "folded, at an offset": ScreenSettings(width=320, height=60, x=120, y=50, strips=FOLDED),
}


def film(folder: Path, screen: ScreenSettings) -> Path:
    path = folder / "film.mp4"
    source = ["-f", "lavfi", "-i", f"testsrc2=s={screen.width}x{screen.height}:r=25", "-t", "30", "-c:v", "libx264"]
    subprocess.run(["ffmpeg", "-v", "error", *source, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path


async def compared(picture: Path, screen: ScreenSettings, path: Path, position: float) -> Difference:
    """As player and hub do it."""
    small = shrink(picture, screen)
    assert Image.open(io.BytesIO(small.jpeg)).size == (screen.width, screen.height)
    developed = await develop(small.jpeg, width=small.width, height=small.height)
    return nearest(developed.picture, await frames_around(path, position))[1]


@pytest.mark.parametrize(
    ("vo", "place"), [*(("gpu", place) for place in PLACES), ("x11", "at an offset"), ("x11", "folded, at an offset")]
)
async def test_the_film_is_recognised_wherever_it_lies_on_the_output(display, stage, clip, tmp_path, vo, place):
    screen = PLACES[place]
    path = film(tmp_path, screen)

    async with stage(vo, screen).playing(clip(path)) as playback:
        position = await playback.screenshot(tmp_path / "shot.jpg")

    assert (await compared(tmp_path / "shot.jpg", screen, path, position)).score < 0.8
