"""Whether a player's picture is told from a wrong one: real clips, as ffmpeg makes them, seen through a bad JPEG."""

from __future__ import annotations

import io
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageEnhance

from plugins.videotron.player.settings import ScreenSettings
from plugins.videotron.player.shots import shrink
from plugins.videotron.screenshots.developing import frames_around
from plugins.videotron.screenshots.pictures import BYTES, SIDE, Difference, Picture, difference, nearest

SECONDS, FPS = 3, 25
CLIPS = {
    "pattern": "testsrc2=s=320x180:r=25",
    "digits": "testsrc=s=320x180:r=25",
    "bars": "smptehdbars=s=320x180:r=25",
    "zoom": "mandelbrot=s=320x180:r=25",
    "glow": "gradients=s=320x180:r=25:speed=0.05:seed=1:n=4",
    "turning": "smptehdbars=s=320x180:r=25,rotate=PI*t/2",
    "plain": "color=navy:s=320x180:r=25",
}


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("clips")
    for name, source in CLIPS.items():
        command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-t", str(SECONDS), "-c:v", "libx264"]
        subprocess.run(
            [*command, "-preset", "veryfast", "-pix_fmt", "yuv420p", str(folder / f"{name}.mp4")], check=True
        )
    return {name: folder / f"{name}.mp4" for name in CLIPS}


@pytest.fixture(scope="module")
def frames(films: dict[str, Path]) -> dict[str, list[Image.Image]]:
    """Every frame of every clip, in full."""
    found = {}
    for name, film in films.items():
        command = ["ffmpeg", "-v", "error", "-i", str(film), "-pix_fmt", "rgb24", "-f", "rawvideo", "-"]
        raw = subprocess.run(command, check=True, capture_output=True).stdout
        size = 320 * 180 * 3
        found[name] = [Image.frombytes("RGB", (320, 180), raw[at : at + size]) for at in range(0, len(raw), size)]
    return found


def sent(picture: Image.Image, folder: Path, *, wide: int = 320) -> Picture:
    """What comes of a picture on the way from a screen so wide to the hub."""
    screen = ScreenSettings(width=wide, height=wide * 9 // 16)
    picture.resize((screen.width, screen.height)).save(folder / "shot.png", compress_level=0)
    return seen(Image.open(io.BytesIO(shrink(folder / "shot.png", screen).jpeg)))


def seen(picture: Image.Image) -> Picture:
    return Picture(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX).tobytes())


async def compared(shot: Picture, film: Path, position_s: float) -> Difference:
    return nearest(shot, await frames_around(film, position_s))[1]


def test_no_right_picture_is_ever_called_wrong(frames, tmp_path):
    """Some hundred pictures, each told half a second wrong at most."""
    chance, scores = random.Random(1), []
    for name in CLIPS:
        around = [seen(frame) for frame in frames[name]]
        for _ in range(40):
            at = chance.randrange(len(around))
            told = min(max(at + chance.randint(-12, 12), 0), len(around) - 1)
            shot = sent(frames[name][at], tmp_path, wide=chance.choice((64, 128, 256, 320, 1280)))
            scores.append((nearest(shot, around[max(0, told - 15) : told + 16])[1].score, name))

    assert max(scores)[0] < 0.7, max(scores)


def test_a_picture_of_another_clip_is_always_told(frames, tmp_path):
    chance, scores = random.Random(2), []
    around = {name: [seen(frame) for frame in frames[name]] for name in CLIPS}
    for name in CLIPS:
        for other in CLIPS.keys() - {name}:
            at = chance.randrange(15, len(around[other]) - 15)
            shot = sent(chance.choice(frames[name]), tmp_path)
            scores.append((nearest(shot, around[other][at - 15 : at + 16])[1].score, name, other))

    assert min(scores)[0] > 2, min(scores)


def covered(picture: Image.Image) -> Image.Image:
    half = picture.copy()
    half.paste((0, 0, 0), (0, 0, picture.width // 2, picture.height))
    return half


def swapped(picture: Image.Image) -> Image.Image:
    red, green, blue = picture.split()
    return Image.merge("RGB", (blue, red, green))


def sticker(picture: Image.Image) -> Image.Image:
    spoiled = picture.copy()
    spoiled.paste((255, 255, 255), (picture.width // 2, 0, picture.width, picture.height // 2))
    return spoiled


def turned(picture: Image.Image) -> Image.Image:
    return picture.transpose(Image.Transpose.ROTATE_180)


@pytest.mark.parametrize("spoil", [covered, swapped, sticker, turned])
@pytest.mark.parametrize("name", ["pattern", "digits", "zoom", "glow"])
async def test_a_spoiled_picture_is_told(films, frames, tmp_path, name, spoil: Callable[[Image.Image], Image.Image]):
    found = await compared(sent(spoil(frames[name][40]), tmp_path), films[name], 40 / FPS)

    assert found.score > 1.5, found


async def test_a_screen_somewhat_brighter_or_darker_is_the_same_picture(films, frames, tmp_path):
    for factor in (0.92, 1.08):
        dimmer = ImageEnhance.Brightness(frames["digits"][40]).enhance(factor)

        assert (await compared(sent(dimmer, tmp_path), films["digits"], 40 / FPS)).same


def test_black_is_black_and_dark_is_not():
    assert Picture(bytes(BYTES)).black
    assert Picture(bytes([16]) * BYTES).black
    assert not Picture(bytes([40]) * BYTES).black
    assert not Picture(bytes(BYTES - 300) + bytes([255]) * 300).black


def test_flat_pictures_are_told_apart_by_their_colours_alone():
    navy, gray = (Picture(bytes(colour) * (SIDE * SIDE)) for colour in ((0, 0, 128), (128, 128, 128)))

    assert difference(navy, navy) == Difference(hash_bits=None, mean=0.0, worst=0.0)
    assert not difference(navy, gray).same


def test_what_is_no_picture_is_refused():
    with pytest.raises(ValueError, match="3072"):
        Picture(b"x")
