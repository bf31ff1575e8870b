"""Judging the radio from outside, as a listener does: record the output, look for a tone in the recording."""

from __future__ import annotations

import asyncio
import math
import wave
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

RATE_HZ = 8000


@asynccontextmanager
async def listening(url: str, path: Path, *, within_s: float = 20.0) -> AsyncIterator[None]:
    """Record what a listener of `url` hears, to `path` (WAV, mono, 8 kHz), for as long as the block runs.

    The stream must be MP3, as radio.liq sends it: letting ffmpeg guess costs eight seconds.

    The block begins when the recording has. Raises: OSError when nothing can be heard within `within_s`.
    """
    process = await _record(url, path)
    try:
        await _began(process, url, path, within_s)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def listen(url: str, seconds: float, path: Path) -> Path:
    """A recording of that many seconds. Raises: OSError."""
    async with listening(url, path):
        await asyncio.sleep(seconds)
    return path


def tone_level(path: Path, hz: float, *, start_s: float = 0.0, end_s: float | None = None) -> float:
    """The level of a tone in a recording, dBFS (-120 when there is none), by Goertzel's algorithm. Blocks.

    Source: G. Goertzel, An algorithm for the evaluation of finite trigonometric series, 1958.
    """
    samples = _samples(path)[int(start_s * RATE_HZ) : None if end_s is None else int(end_s * RATE_HZ)]
    return _goertzel(samples, hz)


def tone_seconds(path: Path, hz: float, *, above_dbfs: float = -40.0, step_s: float = 0.1) -> float:
    """For how many seconds of the recording the tone is there. Blocks."""
    samples, step = _samples(path), int(step_s * RATE_HZ)
    blocks = [samples[at : at + step] for at in range(0, len(samples) - step + 1, step)]
    return step_s * sum(_goertzel(block, hz) > above_dbfs for block in blocks)


def _goertzel(samples: array[int], hz: float) -> float:
    if not samples:
        return -120.0
    coefficient = 2 * math.cos(2 * math.pi * hz / RATE_HZ)
    one = two = 0.0
    for sample in samples:
        one, two = sample + coefficient * one - two, one
    power = max(0.0, one * one + two * two - coefficient * one * two)
    amplitude = 2 * math.sqrt(power) / len(samples) / 32768
    return max(-120.0, 20 * math.log10(amplitude)) if amplitude > 0 else -120.0


def _samples(path: Path) -> array[int]:
    """The samples of a recording, also of one whose ffmpeg was ended before it wrote the length."""
    with wave.open(str(path), "rb") as file:
        if (file.getnchannels(), file.getsampwidth(), file.getframerate()) != (1, 2, RATE_HZ):
            raise ValueError(f"{path.name} is not a recording of ours: mono, 16 bit, {RATE_HZ} Hz")
        data = file.readframes(file.getnframes())
    samples = array("h")
    samples.frombytes(data[: len(data) // 2 * 2])
    return samples


async def _began(process: asyncio.subprocess.Process, url: str, path: Path, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            while await asyncio.to_thread(_size_of, path) <= 1000:
                if process.returncode is not None:
                    raise OSError(f"ffmpeg could not listen to {url}: exit code {process.returncode}")
                await asyncio.sleep(0.05)
    except TimeoutError as error:
        raise OSError(f"nothing heard from {url} within {within_s:.0f} s") from error


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


async def _record(url: str, path: Path) -> asyncio.subprocess.Process:
    quickly = ["-fflags", "nobuffer", "-probesize", "32768", "-analyzeduration", "500000"]
    source = ["-protocol_whitelist", "http,tcp", "-f", "mp3", "-i", url]
    sound = ["-ac", "1", "-ar", str(RATE_HZ), "-c:a", "pcm_s16le", "-flush_packets", "1", "-f", "wav", str(path)]
    arguments = ["-v", "error", "-nostdin", "-y", *quickly, *source, *sound]
    return await asyncio.create_subprocess_exec(
        "ffmpeg",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
