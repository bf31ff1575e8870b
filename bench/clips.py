"""Many clips at once through the hub itself, against a shell script with the same presets.

Two kinds of work: two sizes of film and the radio's sound, and one film and an MP3. Ours also proves that every file
is whole, runs each tool in the sandbox, looks through every output to verify it, and keeps a ledger on the disk; the
script takes a SHA-256, transcodes one file after the other, keeps a copy, and trusts. Both have the same priority.

CLIPS=4 takes fewer clips, while one works on the hub.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.alone import delivered, drop, hub_alone
from bench.footage import camera_clips
from bench.measure import Cost, Measure, cost_of, cpu_of, spread
from bench.media import video_command
from bench.waiting import script_cost, until

CLIPS = int(os.environ.get("CLIPS", "20"))
SCRIPT = Path(__file__).with_name("naive-clips.sh")
SAME_PRIORITY = "[media]\nnice = 0\nidle_io = false\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What both sides make of each clip, and how good ours must be."""

    name: str  # also what the script is told
    profiles: str
    wall: float
    cpu: float


SCREENS = Work(
    name="screens",
    profiles="(VideoProfile(width=1280, height=720), VideoProfile(width=768, height=384), AudioProfile())",
    wall=0.75,
    cpu=0.85,
)
MP3 = Work(
    name="mp3",
    profiles='(VideoProfile(width=1280, height=720), AudioProfile(container="mp3"))',
    wall=0.92,
    cpu=1.05,
)
OWN_SHARE = 0.005


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        clips = camera_clips(folder / "clips", CLIPS)
        for work in (SCREENS, MP3):
            yield from asyncio.run(_compare(folder, clips, work))


async def _compare(folder: Path, clips: list[Path], work: Work) -> list[Measure]:
    """The same encode before, between and after says how steady the machine was."""
    steady = [_steady(folder, clips[0])]
    theirs = await script_cost(SCRIPT, folder / f"script-{work.name}", clips, work.name)
    steady.append(_steady(folder, clips[0]))
    ours, own_cpu_s, tools_cpu_s = await _hub(folder / f"hub-{work.name}", clips, work)
    steady.append(_steady(folder, clips[0]))
    wall, cpu = spread([one.wall_s for one in steady]), spread([one.cpu_s for one in steady])
    name = f"clips-{len(clips)}-{work.name}"
    return [
        Measure(name=f"{name}-wall", ours=ours.wall_s, theirs=theirs.wall_s, target=work.wall, spread=wall),
        Measure(name=f"{name}-cpu", ours=ours.cpu_s, theirs=theirs.cpu_s, target=work.cpu, spread=cpu),
        Measure(name=f"{name}-own-cpu", ours=own_cpu_s, theirs=tools_cpu_s, target=OWN_SHARE, spread=cpu),
    ]


def _steady(folder: Path, clip: Path) -> Cost:
    return cost_of(video_command(clip, folder / "steady.mp4", 768, 384))


async def _hub(folder: Path, clips: list[Path], work: Work) -> tuple[Cost, float, float]:
    """Its cost with all tools, its own processor seconds, and those of its tools."""
    async with hub_alone(folder, work.profiles, SAME_PRIORITY) as hub:
        (own_before, tools_before), began = cpu_of(hub.pid), time.monotonic()
        for clip in clips:
            drop(folder, clip, "Saluran: videotron, radio\n")
        await until(lambda: delivered(folder) == len(clips))
        wall, (own, tools) = time.monotonic() - began, cpu_of(hub.pid)
    own_cpu, tools_cpu = own - own_before, tools - tools_before
    return Cost(wall_s=wall, cpu_s=own_cpu + tools_cpu), own_cpu, tools_cpu
