"""Pictures from files: a player's JPEG through `darkroom.py`, frames of our own renditions through ffmpeg."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from hub.api import HubError
from plugins.videotron.screenshots.pictures import BYTES, SIDE, Picture

DARKROOM = Path(__file__).with_name("darkroom.py")
DEVELOPED_WITHIN_S = 10.0
DECODED_WITHIN_S = 30.0
AROUND_S = 0.6  # of the position that a player told: it lies between two looks
MOST_FRAMES = 80


class NoPicture(HubError):
    """What should be a picture is none; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Developed:
    """A player's picture: for comparing, and as a JPEG that we drew ourselves."""

    picture: Picture
    jpeg: bytes


async def develop(jpeg: bytes, *, width: int, height: int) -> Developed:
    """The picture in a JPEG from outside, which must be of this size. Raises: NoPicture."""
    command = [sys.executable, "-I", "-S", str(DARKROOM), str(_library()), str(width), str(height)]
    answer = await _answer(command, jpeg, within_s=DEVELOPED_WITHIN_S)
    if len(answer) <= BYTES:
        raise NoPicture("the darkroom said too little")
    return Developed(picture=Picture(answer[:BYTES]), jpeg=answer[BYTES:])


async def frames_around(film: Path, position_s: float) -> list[Picture]:
    """What the film shows from 0.6 s before to 0.6 s after this position. Raises: NoPicture."""
    begin = max(0.0, position_s - AROUND_S)
    command = [
        *_ffmpeg(film, begin, position_s + AROUND_S - begin),
        *("-vf", f"scale={SIDE}:{SIDE}:flags=area", "-frames:v", str(MOST_FRAMES)),
        *("-pix_fmt", "rgb24", "-f", "rawvideo", "pipe:1"),
    ]
    raw = await _answer(command, b"", within_s=DECODED_WITHIN_S)
    frames = [raw[at : at + BYTES] for at in range(0, len(raw) - BYTES + 1, BYTES)]
    if not frames:
        raise NoPicture(f"{film.name} has no picture at {position_s:.1f} s")
    return await asyncio.to_thread(lambda: [Picture(frame) for frame in frames])


async def still_of(film: Path, position_s: float, *, width: int, height: int) -> bytes:
    """One frame of our own film, as a JPEG of this size. Raises: NoPicture."""
    command = [
        *_ffmpeg(film, position_s, 1.0),
        *("-vf", f"scale={width}:{height}", "-frames:v", "1", "-q:v", "4", "-f", "mjpeg", "pipe:1"),
    ]
    jpeg = await _answer(command, b"", within_s=DECODED_WITHIN_S)
    if not jpeg:
        raise NoPicture(f"{film.name} has no picture at {position_s:.1f} s")
    return jpeg


def _ffmpeg(film: Path, begin_s: float, length_s: float) -> list[str]:
    quiet = [
        "nice",
        "-n",
        "10",
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-protocol_whitelist",
        "file,pipe",
        "-threads",
        "1",
    ]
    return [*quiet, "-ss", f"{begin_s:.3f}", "-t", f"{length_s:.3f}", "-f", "mov", "-i", f"file:{film}", "-an", "-sn"]


def _library() -> Path:
    """Where Python finds Pillow, which this process never imports."""
    spec = find_spec("PIL")
    if spec is None or spec.origin is None:
        raise NoPicture("Pillow is not installed")
    return Path(spec.origin).parents[1]


async def _answer(command: Sequence[str], data: bytes, *, within_s: float) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "OPENBLAS_NUM_THREADS": "1"},
        cwd="/",
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(within_s):
            answer, complaint = await process.communicate(data)
    except TimeoutError:
        raise NoPicture(f"{Path(command[0]).name} did not end within {within_s:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        reason = complaint.decode(errors="replace").strip().splitlines()
        raise NoPicture((reason[-1] if reason else f"exit code {process.returncode}")[:300])
    return answer
