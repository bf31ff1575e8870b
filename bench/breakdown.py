"""`python -m bench.breakdown`: where the processor time of one clip goes, tool by tool; for whoever makes it cheaper.

The work of the hub for one clip (look, listen, make, verify, keep) is done here in one process, one step at a time, so
that each tool's time is the difference of what the children used before and after it. Its start in the jail counts.
"""

from __future__ import annotations

import asyncio
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.footage import camera_clip, compliant_clip
from bench.measure import Cost, cost_of
from hub.api import Asset, AudioProfile, Profile, Rendition, ThumbnailProfile, VideoProfile
from hub.api.files import sha256_of
from hub.media import loudness, probe, runner
from hub.media.sandbox import Confinement, confined
from hub.media.settings import MediaSettings
from hub.media.transcoder import Transcoder

VIDEOS = tuple(VideoProfile(width=width, height=height) for width, height in ((1280, 720), (768, 384), (384, 192)))
SCREEN, MP3, WAV = VideoProfile(width=1920, height=1080), AudioProfile(container="mp3"), AudioProfile()
CASES: tuple[tuple[str, Callable[[Path], Path], tuple[Profile, ...]], ...] = (
    ("720p + 384p + radio wav", camera_clip, (*VIDEOS[:2], WAV)),
    ("720p + mp3", camera_clip, (VIDEOS[0], MP3)),
    ("3 sizes + radio wav + thumbnail", camera_clip, (*VIDEOS, WAV, ThumbnailProfile())),
    ("compliant 1080p for 1920x1080", compliant_clip, (SCREEN,)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """One step, and what it used."""

    what: str
    tools: Cost
    own_cpu_s: float = 0.0


class Recorder:
    """Stands in for `hub.media.runner.run` and notes what each tool used."""

    def __init__(self) -> None:
        self.spent: list[Spent] = []
        self._run = runner.run
        self._alone = asyncio.Lock()  # side by side, two tools would have each other's time

    async def run(self, command: Sequence[str], limits: Confinement, **options: Any) -> Any:
        async with self._alone:
            before, began = _used(resource.RUSAGE_CHILDREN), time.monotonic()
            finished = await self._run(command, limits, **options)
            cost = Cost(wall_s=time.monotonic() - began, cpu_s=_used(resource.RUSAGE_CHILDREN) - before)
        self.spent.append(Spent(what=_name(command), tools=cost))
        return finished

    def listen(self) -> None:
        for name, module in list(sys.modules.items()):
            if name.startswith("hub.media.") and vars(module).get("run") is self._run:
                module.run = self.run  # type: ignore[attr-defined]


async def main() -> None:
    """Print a table for each case."""
    recorder = Recorder()
    recorder.listen()
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        start = await asyncio.to_thread(cost_of, confined(["true"], Confinement(nice=0, idle_io=False)))
        print(f"start of a tool in the jail: {start.cpu_s:.3f} CPU-s, {start.wall_s:.3f} s")
        for number, (title, make_clip, profiles) in enumerate(CASES):
            recorder.spent.clear()
            clip = await asyncio.to_thread(make_clip, folder / f"source-{number}.mp4")
            print(f"\n## {title}")
            _print(await _steps(clip, profiles, folder / f"renditions-{number}", recorder))


async def _steps(clip: Path, profiles: Sequence[Profile], folder: Path, recorder: Recorder) -> list[Spent]:
    settings = MediaSettings(nice=0, idle_io=False)
    parts: list[Spent] = []

    async def note(what: str, work: Any) -> Any:
        own, seen, began = _used(resource.RUSAGE_SELF), len(recorder.spent), time.monotonic()
        result = await work
        parts.extend(replace(one, what=f"{what}: {one.what}") for one in recorder.spent[seen:])
        used = _used(resource.RUSAGE_SELF) - own
        parts.append(Spent(what=f"{what}: all", tools=Cost(wall_s=time.monotonic() - began, cpu_s=0), own_cpu_s=used))
        return result

    digest = await note("claim (sha256 only)", asyncio.to_thread(sha256_of, clip))
    media = await note("look", probe.probe(clip, settings=settings))
    if media.loudness_lufs is None and any(isinstance(one, AudioProfile) for one in profiles):
        heard = await note("listen", loudness.check_audio(clip, settings=settings))
        media = replace(media, loudness_lufs=heard.integrated_lufs, true_peak_dbtp=heard.true_peak_dbtp)
    asset = Asset(sha256=digest, path=clip, original_name=clip.name, media=media)
    made = await note("make", Transcoder(settings, folder).make(asset, profiles))
    assert all(isinstance(one, Rendition) for one in made), made
    return parts


def _print(parts: Sequence[Spent]) -> None:
    whole = sum(one.tools.cpu_s + one.own_cpu_s for one in parts)
    print("| step | tool CPU-s | own CPU-s | wall s | share |\n|---|---|---|---|---|")
    for one in parts:
        share = 100 * (one.tools.cpu_s + one.own_cpu_s) / whole
        print(f"| {one.what} | {one.tools.cpu_s:.3f} | {one.own_cpu_s:.3f} | {one.tools.wall_s:.3f} | {share:.1f} % |")
    print(f"| whole | {sum(one.tools.cpu_s for one in parts):.3f} | {sum(one.own_cpu_s for one in parts):.3f} | | |")


def _name(command: Sequence[str]) -> str:
    """What a tool is run for, by its arguments."""
    words = " ".join(command)
    if command[0] == "ffprobe":
        return "ffprobe, every packet" if "-show_packets" in command else "ffprobe"
    measures = ", measuring the loudness" if "ebur128" in words else ""
    encoders = [name for name in ("libx264", "libmp3lame", "mjpeg") if name in command]
    if "-f null" in words and not encoders:
        return ("walk the packets" if "copy" in command else "decode whole") + measures
    codecs = [value for option, value in pairwise(command) if option.startswith("-c:")]
    return "ffmpeg " + "+".join(codecs) + measures


def _used(who: int) -> float:
    used = resource.getrusage(who)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    asyncio.run(main())
