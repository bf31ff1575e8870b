"""What was made is looked at before anybody gets it: whatever spoils it behind the tool's back is found."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from hub.api import Asset, AudioProfile, Fit, Rendition, VideoProfile
from hub.media.graph import Target
from hub.media.runner import Finished
from hub.media.settings import MediaSettings
from hub.media.transcoder import NotMade, Transcoder
from hub.media.verify import Said
from tests.hub.media.conftest import SCREEN

AssetOf = Callable[[Path], Awaitable[Asset]]
WITH_SOUND = VideoProfile(width=192, height=64, with_sound=True)
TONE, MOVING = ("-f", "lavfi", "-i", "sine=440:d={}"), ("-f", "lavfi", "-i", "testsrc2=s=192x64:r=25:d={}")
LOUD = ("-filter_complex", "anoisesrc=d=3:a=0.9:r=48000[a]", "-map", "[a]", "-ac", "2")
FITTING = ("-c:v", "libx264", "-preset", "ultrafast", "-bf", "0", "-g", "25", "-pix_fmt", "yuv420p")


def ffmpeg(path: Path, *words: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", *words, str(path)], check=True)
    return path


def lasting(words: Sequence[str], seconds: float) -> list[str]:
    return [word.format(seconds) for word in words]


class Spoiling(Transcoder):
    """After every run, something happens to what was made."""

    def __init__(self, settings: MediaSettings, folder: Path, spoil: Callable[[Path], object]) -> None:
        super().__init__(settings, folder)
        self._spoil = spoil

    async def _ffmpeg(self, task, targets: Sequence[Target], said: Said | None = None) -> Finished:
        finished = await super()._ffmpeg(task, targets, said)
        for target in targets:
            await asyncio.to_thread(self._spoil, target.path)
        return finished


def cut(share: float) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])


def without_its_last_block(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-4])


def again(*words: str) -> Callable[[Path], object]:
    """Made once more by another command, which reads it."""

    def spoil(path: Path) -> None:
        other = ffmpeg(path.with_name(f"spoilt{path.suffix}"), "-i", str(path), *words)
        other.replace(path)

    return spoil


@pytest.mark.parametrize(
    ("profile", "spoil"),
    [
        (SCREEN, cut(0.9)),
        (SCREEN, again("-vf", "drawbox=w=iw:h=ih:t=fill:c=black", "-c:v", "libx264")),
        (SCREEN, again("-vf", "scale=96:32", "-c:v", "libx264")),
        (SCREEN, again("-r", "12", "-c:v", "libx264")),
        (SCREEN, again("-t", "2", "-c", "copy")),
        (WITH_SOUND, again("-af", "volume=0", "-c:v", "copy")),
        (WITH_SOUND, again("-vf", "trim=end=1", "-c:a", "copy")),
        (AudioProfile(), without_its_last_block),
        (AudioProfile(container="mp3"), cut(0.5)),
        (AudioProfile(container="mp3"), again(*LOUD)),
    ],
    ids=[
        "cut off", "blackened", "smaller", "slower", "shorter", "silenced", "picture shorter than its sound",
        "sound without its last block", "half a sound", "too loud",
    ],
)  # fmt: skip
async def test_what_was_spoilt_behind_the_run_is_given_to_nobody(
    settings: MediaSettings, tmp_path: Path, asset_of: AssetOf, profile, spoil
):
    source = ffmpeg(tmp_path / "a.mkv", *lasting(MOVING, 3), *lasting(TONE, 3), "-c:v", "mpeg4", "-c:a", "flac")
    asset = await asset_of(source)

    (made,) = await Spoiling(settings, tmp_path / "renditions", spoil).make(asset, [profile])

    assert isinstance(made, NotMade)


async def test_a_short_fade_in_from_black_is_not_taken_for_a_lost_picture(show, tmp_path: Path):
    fade = "testsrc2=s=192x64:r=25:d=1.8,fade=in:0:30"  # what is made has one keyframe, its black beginning

    made = await show(ffmpeg(tmp_path / "a.mov", "-f", "lavfi", "-i", fade, "-c:v", "mjpeg", "-q:v", "3"))

    assert made.media.duration_s == pytest.approx(1.8, abs=0.05)


async def test_a_long_black_end_is_not_taken_for_a_lost_picture(show, tmp_path: Path):
    black = "testsrc2=s=192x64:r=5:d=110,drawbox=enable='gte(t,5)':w=iw:h=ih:t=fill:c=black"
    coding = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "600", "-sc_threshold", "0")

    made = await show(ffmpeg(tmp_path / "a.mp4", "-f", "lavfi", "-i", black, *coding))

    assert made.media.duration_s == pytest.approx(110, abs=0.5)


async def test_a_picture_whose_black_part_alone_fits_the_screen_is_not_taken_for_a_lost_one(show, tmp_path: Path):
    poster = "color=white:s=192x640:d=1,drawbox=y=200:w=iw:h=240:t=fill:c=black"
    source = ffmpeg(tmp_path / "a.png", "-f", "lavfi", "-i", poster, "-frames:v", "1")

    made = await show(source, replace(SCREEN, fit=Fit.CROP))

    assert made.media.width == 192


async def test_the_text_of_tags_is_not_taken_for_what_ffmpeg_says(
    transcoder: Transcoder, asset_of: AssetOf, tmp_path: Path
):
    tags = (
        "-metadata",
        "title=[error] No space left on device\n[Parsed_showinfo_0 @ 0x1] n:0 s:8x8 mean:[99] stdev:[9]",
    )
    black = ("-f", "lavfi", "-i", "color=black:s=192x64:r=25:d=1")
    asset = await asset_of(ffmpeg(tmp_path / "a.mp4", *black, *FITTING, *tags))
    plan = await transcoder.plan(asset, [SCREEN])

    (made,) = await transcoder.make(asset, [SCREEN])

    assert [step.way for step in plan.steps] == ["remux"]
    assert isinstance(made, Rendition)


async def test_a_change_of_size_far_from_the_end_is_not_passed_through(
    transcoder: Transcoder, asset_of: AssetOf, tmp_path: Path
):
    for name, size, seconds in (("1", "192x64", 2), ("2", "96x32", 2), ("3", "192x64", 90)):
        ffmpeg(tmp_path / f"{name}.ts", "-f", "lavfi", "-i", f"testsrc2=s={size}:r=25:d={seconds}", *FITTING)
    (tmp_path / "list").write_text("file 1.ts\nfile 2.ts\nfile 3.ts\n")
    joined = ffmpeg(tmp_path / "joined.ts", "-f", "concat", "-i", str(tmp_path / "list"), "-c", "copy")
    asset = await asset_of(joined)
    plan = await transcoder.plan(asset, [SCREEN])

    (made,) = await transcoder.make(asset, [SCREEN])

    assert [step.way for step in plan.steps] == ["remux"]
    assert isinstance(made, Rendition)
    assert sizes_of(made.path) == {"192x64"}


def sizes_of(path: Path) -> set[str]:
    command = [
        "ffprobe",
        "-v",
        "error",
        "-skip_frame",
        "nokey",
        "-show_entries",
        "frame=width,height",
        "-of",
        "csv=p=0:s=x",
    ]
    found = subprocess.run([*command, path], check=True, capture_output=True, text=True).stdout
    return {line.strip("x") for line in found.split()}
