"""Waiting for another process, of which there is no event to await; and the plain script's side of a bench."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.measure import Cost

WITHIN_S = 1800.0


async def until(check: Callable[[], bool], *, within_s: float = WITHIN_S, every_s: float = 0.25) -> None:
    """Look until `check` says yes. Raises: TimeoutError."""
    deadline = time.monotonic() + within_s
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError("the bench did not come to its end")
        await asyncio.sleep(every_s)


async def script_cost(script: Path, folder: Path, clips: Sequence[Path], *words: str) -> Cost:
    """What `script INBOX OUT COUNT words...` takes from the first drop to its file `finished`."""
    inbox, out = folder / "in", folder / "out"
    inbox.mkdir(parents=True)
    out.mkdir()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    process = await asyncio.create_subprocess_exec(
        str(script), str(inbox), str(out), str(len(clips)), *words, start_new_session=True
    )
    await asyncio.sleep(1.0)  # inotifywait says nothing when it is ready
    began = time.monotonic()
    for clip in clips:
        shutil.copyfile(clip, inbox / clip.name)
    await until((out / "finished").exists, every_s=0.05)
    wall = time.monotonic() - began
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)  # inotifywait would wait for one more event
    await process.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    shutil.rmtree(folder)
    return Cost(wall_s=wall, cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
