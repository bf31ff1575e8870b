"""The pictures and the sound of one clip: one decode for all of them, against an ffmpeg process for each.

And a clip that already is as a screen needs it, passed through, against encoding it again. Ours counts all that
`Transcoder.make` does: it measures the sound that it made, and looks through every output to verify it; theirs trusts
ffmpeg's word. What looking at the clip costs before that, once for all that is made of it, is said beside it. Both
sides run at the same priority.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.footage import PLAIN, camera_clip, compliant_clip
from bench.measure import Cost, Measure, cost, cost_of, race
from hub.api import Asset, AudioProfile, MediaInfo, Profile, Rendition, ThumbnailProfile, VideoProfile
from hub.api.files import sha256_of
from hub.media.planner import Way
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.media.transcoder import Transcoder

SETTINGS = MediaSettings(nice=0, idle_io=False)
SECONDS = 15
SCREENS = ((1280, 720), (768, 384), (384, 192))
FULL_HD = (1920, 1080)
OUTPUTS: tuple[Profile, ...] = (
    *(VideoProfile(width=width, height=height) for width, height in SCREENS),
    AudioProfile(),
    ThumbnailProfile(),
)


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        yield from _outputs(Path(name))
        yield from _compliant(Path(name))


def asset_of(path: Path) -> tuple[Asset, Cost]:
    """The file as the hub knows it after a look, and what the look cost."""
    found: list[MediaInfo] = []
    looked = cost(lambda: found.append(asyncio.run(probe(path, settings=SETTINGS))))
    return Asset(sha256=sha256_of(path), path=path, original_name=path.name, media=found[0]), looked


def made(asset: Asset, profiles: Sequence[Profile], folder: Path) -> list[Rendition]:
    """All renditions, in a store that knows none of them yet."""
    results = asyncio.run(Transcoder(SETTINGS, folder).make(asset, profiles))
    renditions = [one for one in results if isinstance(one, Rendition)]
    assert len(renditions) == len(profiles), results
    return renditions


def _outputs(folder: Path) -> Iterator[Measure]:
    clip = camera_clip(folder / "clip.mp4", SECONDS)
    asset, looked = asset_of(clip)
    run = race(
        lambda number: cost(lambda: made(asset, OUTPUTS, folder / f"ours-{number}")),
        lambda number: _singly(clip, folder / f"theirs-{number}"),
    )
    note = f"looking at the clip and measuring its sound before costs {looked.cpu_s:.2f} CPU-s more"
    yield run.cpu("media-outputs-cpu", 0.68, note=note)
    yield run.wall("media-outputs-wall", 0.65)


def _singly(clip: Path, folder: Path) -> Cost:
    folder.mkdir()
    commands = [video_command(clip, folder / f"{width}.mp4", width, height) for width, height in SCREENS]
    loud = ("-vn", "-af", "loudnorm=I=-16:TP=-1.5", "-ar", "48000", "-ac", "2")
    commands.append([*PLAIN, "-i", str(clip), *loud, str(folder / "sound.wav")])
    box = ("-frames:v", "1", "-vf", "scale=480:270:force_original_aspect_ratio=decrease", "-q:v", "4")
    commands.append([*PLAIN, "-ss", str(SECONDS / 10), "-i", str(clip), *box, str(folder / "small.jpg")])
    return sum((cost_of(command) for command in commands), start=Cost(wall_s=0, cpu_s=0))


def video_command(clip: Path, out: Path, width: int, height: int) -> list[str]:
    """What a technician writes for a screen: the same preset, quality, limits and shape as our profile."""
    fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2,pad={width}:{height}:-1:-1"
    return [
        *(*PLAIN, "-i", str(clip), "-map", "0:v:0", "-an", "-vf", f"{fit},setsar=1,fps=25"),
        *("-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-maxrate", "6000k", "-bufsize", "12000k"),
        *("-g", "50", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(out)),
    ]


def _compliant(folder: Path) -> Iterator[Measure]:
    clip = compliant_clip(folder / "compliant.mp4", SECONDS)
    asset, looked = asset_of(clip)
    profile = VideoProfile(width=FULL_HD[0], height=FULL_HD[1])
    (step,) = asyncio.run(Transcoder(SETTINGS, folder / "plan").plan(asset, [profile])).steps
    assert step.way is Way.REMUX, step.reasons
    run = race(
        lambda number: cost(lambda: made(asset, [profile], folder / f"through-{number}")),
        lambda number: cost_of(video_command(clip, folder / "again.mp4", *FULL_HD)),
    )
    note = f"looking at the clip before costs {looked.cpu_s:.2f} CPU-s more"
    yield run.cpu("media-compliant-cpu", 0.04, note=note)
