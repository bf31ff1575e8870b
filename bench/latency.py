"""From the drop to the start of ffmpeg: the hub with its default settings and with no quiet time, against Unmanic.

The clock runs from the moment at which the copied file is closed until an ffmpeg with an encoder stands among the
program's descendants, looked for each 5 ms. Each drop waits until the one before it is done, and a little longer, at a
different phase of whatever turns inside the program. Both make one 720p film; neither waits for a sidecar.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from statistics import median

from bench.alone import delivered, drop, hub_alone
from bench.footage import camera_clips
from bench.measure import Measure, spread
from bench.starts import Starts
from bench.unmanic import NotInstalled, unmanic_alone
from bench.waiting import until

DROPS = 5
SECONDS = 3
PROFILES = "(VideoProfile(width=1280, height=720),)"
TARGETS = {"default": 0.5, "quiet-0": 0.1}
SETTINGS = {"default": "", "quiet-0": "[intake]\nquiet_for_s = 0\n"}


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        clips = camera_clips(folder / "clips", DROPS, SECONDS)
        ours = {kind: asyncio.run(_hub(folder / kind, clips, SETTINGS[kind])) for kind in TARGETS}
        theirs, why = _theirs(folder / "unmanic", clips)
        for kind, target in TARGETS.items():
            noise = max(spread(ours[kind]), spread(theirs)) if theirs else spread(ours[kind])
            yield Measure(
                name=f"latency-{kind}",
                ours=median(ours[kind]),
                theirs=median(theirs) if theirs else None,
                target=target,
                spread=noise,
                note=f"ours {_range(ours[kind])} s, theirs {_range(theirs)} s",
                skipped=why,
            )


def _range(seconds: list[float]) -> str:
    return f"{min(seconds):.2f}-{max(seconds):.2f}" if seconds else "-"


def _theirs(folder: Path, clips: list[Path]) -> tuple[list[float], str]:
    try:
        return asyncio.run(_unmanic(folder, clips)), ""
    except NotInstalled as reason:
        return [], str(reason)


async def _hub(folder: Path, clips: list[Path], settings: str) -> list[float]:
    async with hub_alone(folder, PROFILES, settings) as hub:
        with Starts(hub.pid) as starts:
            times = []
            for number, clip in enumerate(clips, start=1):
                times.append(await _seconds(starts, partial(drop, folder, clip)))
                await until(partial(_has, folder, number), within_s=120)
                await asyncio.sleep(1.0 + 0.37 * number)
            return times


async def _unmanic(folder: Path, clips: list[Path]) -> list[float]:
    async with unmanic_alone(folder) as (pid, library):
        with Starts(pid) as starts:
            times = []
            for number, clip in enumerate(clips, start=1):
                times.append(await _seconds(starts, partial(_copy, clip, library)))
                await until(lambda: starts.running == 0, within_s=120)
                await asyncio.sleep(10.0 + 0.37 * number)  # it moves the file, and tests what it has moved
            return times


async def _seconds(starts: Starts, dropping: Callable[[], float]) -> float:
    closed = dropping()
    await until(lambda: starts.first_after(closed) is not None, within_s=120)
    found = starts.first_after(closed)
    assert found is not None  # until() has seen it
    return found


def _has(folder: Path, count: int) -> bool:
    return delivered(folder) == count


def _copy(clip: Path, library: Path) -> float:
    shutil.copyfile(clip, library / clip.name)
    return time.monotonic()
