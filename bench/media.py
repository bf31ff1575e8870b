"""Two screens and the radio from one clip: one decode for all of them, against an ffmpeg process for each."""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.measure import Cost, Measure, cost_of
from hub.api import Asset, AudioProfile, Rendition, VideoProfile
from hub.api.files import sha256_of
from hub.media.probe import probe
from hub.media.samples import make_video
from hub.media.settings import MediaSettings
from hub.media.transcoder import Transcoder

SCREENS = ((1280, 720), (768, 384))


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as folder:
        clip = make_video(Path(folder) / "clip.mp4", 8.0, (1920, 1080))
        theirs = _singly(clip, Path(folder))
        ours = _together(clip, Path(folder))
        # Ours also verifies every output by decoding it, and measures the loudness before and after.
        yield Measure(name="media-outputs-cpu", ours=ours.cpu_s, theirs=theirs.cpu_s, target=1.0)
        yield Measure(name="media-outputs-wall", ours=ours.wall_s, theirs=theirs.wall_s, target=1.0)


def _singly(clip: Path, folder: Path) -> Cost:
    costs = [cost_of(_video(clip, folder / f"{w}.mp4", w, h)) for w, h in SCREENS]
    sound = ["-vn", "-af", "loudnorm=I=-16:TP=-1.5", "-ar", "48000", str(folder / "their.wav")]
    costs.append(cost_of(["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(clip), *sound]))
    return Cost(wall_s=sum(one.wall_s for one in costs), cpu_s=sum(one.cpu_s for one in costs))


def _video(clip: Path, out: Path, width: int, height: int) -> list[str]:
    fit = f"scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2,pad={width}:{height}:-1:-1"
    return ["ffmpeg", "-nostdin", "-v", "error", "-y", "-i", str(clip), "-an", "-vf", f"{fit},setsar=1,fps=25",
            "-c:v", "libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p", "-g", "50",
            "-maxrate", "6000k", "-bufsize", "12000k", "-movflags", "+faststart", str(out)]  # fmt: skip


def _together(clip: Path, folder: Path) -> Cost:
    async def make() -> None:
        settings = MediaSettings()
        asset = Asset(
            sha256=sha256_of(clip), path=clip, original_name=clip.name, media=await probe(clip, settings=settings)
        )
        profiles = [*(VideoProfile(width=w, height=h) for w, h in SCREENS), AudioProfile()]
        made = await Transcoder(settings, folder / "renditions").make(asset, profiles)
        assert all(isinstance(one, Rendition) for one in made), made

    before, began = _cpu(), time.monotonic()
    asyncio.run(make())
    return Cost(wall_s=time.monotonic() - began, cpu_s=_cpu() - before)


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
