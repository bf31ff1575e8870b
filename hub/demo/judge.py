"""The judge: looks at the screens, listens to the radio, checks the month folder. It never asks the hub."""

from __future__ import annotations

import asyncio
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from hub.demo.stage import Screen, program
from plugins.radio.listening import tone_seconds

ALIKE = 0.90  # SSIM of a screenshot and the dropped picture, brought to the screen's size

_FIT = {
    "fit": "scale={w}:{h}:force_original_aspect_ratio=decrease:force_divisible_by=2,pad={w}:{h}:-1:-1",
    "crop": "scale={w}:{h}:force_original_aspect_ratio=increase,crop={w}:{h}",
    "fill": "scale={w}:{h}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found from outside; `good` says whether it is as it should be."""

    what: str
    good: bool
    detail: str


async def screenshot(player: Path, target: Path) -> bool:
    """Have a player's mpv save what it shows now; False when it cannot yet."""
    code, _ = await _run(program("siarhub-player"), "screenshot", "--config", str(player), "--to", str(target))
    return code == 0


async def likeness(shot: Path, source: Path, screen: Screen) -> float:
    """How like the dropped picture is to the screenshot: the best SSIM (0 to 1) over all frames of the source."""
    fit = _FIT[screen.fit].format(w=screen.width, h=screen.height)
    graph = f"[0:v]{fit},setsar=1,format=yuv420p[a];[1:v]format=yuv420p[b];[a][b]ssim=stats_file=-:shortest=1"
    arguments = ["-nostdin", "-v", "error", "-i", f"file:{source}", "-loop", "1", "-i", f"file:{shot}",
                 "-filter_complex", graph, "-f", "null", "-"]  # fmt: skip
    _, output = await _run("ffmpeg", *arguments)
    return max((float(value) for value in re.findall(r"All:([0-9.]+)", output)), default=0.0)


async def _run(*command: str) -> tuple[int, str]:
    """Exit code and output of a process, which ends with us."""
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *command, stdin=silent, stdout=asyncio.subprocess.PIPE, stderr=silent
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, output.decode(errors="replace")


def hear(recording: Path, hz: int, seconds: float) -> Verdict:
    """Whether the listener's recording has the spot's tone, for about as long as the spot. Blocks."""
    heard = tone_seconds(recording, hz)
    good = heard >= 0.9 * seconds
    return Verdict(what="radio", good=good, detail=f"{hz} Hz heard for {heard:.1f} s of {seconds:.1f} s")


def check_month(folder: Path) -> Verdict:
    """`sha256sum -c --strict` in a month folder, as anybody may run it. Blocks."""
    lists = sorted(folder.glob("*manifest-sha256.txt"))
    for one in lists:
        done = subprocess.run(
            ["sha256sum", "-c", "--strict", "--quiet", one.name],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return Verdict(what="archive", good=False, detail=(done.stdout + done.stderr).strip())
    files = sum(1 for path in (folder / "data").rglob("*") if path.is_file())
    return Verdict(what="archive", good=bool(lists) and files > 0, detail=f"sha256sum -c --strict: {files} files OK")
