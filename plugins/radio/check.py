"""`siarhub radio check`: is everything there to go on air? Nothing that this does is heard on the radio.

The tone is played by a Liquidsoap of the check's own, without an output: a test tone has no place on a station's air.
The running one is only asked for its status.
"""

from __future__ import annotations

import asyncio
import math
import os
import subprocess
import tempfile
import wave
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.api import Sha256
from hub.api.files import sha256_of
from plugins.radio.as_run import Line, Position, read_on
from plugins.radio.liquidsoap import ExecutorLost, ExecutorRefused, Liquidsoap
from plugins.radio.local_playout import SCRIPT, LocalPlayout, PlayoutNotStarted, local_playout
from plugins.radio.playout import CHECK_TONE
from plugins.radio.settings import RadioSettings

TONE_S = 1.0
_HEARD_WITHIN_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    good: bool
    text: str


async def check(settings: RadioSettings) -> Sequence[Finding]:
    """What was found, in the order in which it was looked at."""
    script = settings.script or SCRIPT
    valid = await asyncio.to_thread(_check_script, script)
    tone = [await _check_tone(script)] if valid.good else []
    return [valid, *tone, await check_running(settings.socket)]


def _check_script(script: Path) -> Finding:
    if not script.is_file():
        return Finding(good=False, text=f"{script} is not there: set `script` in [plugins.radio]")
    # --check evaluates the script: without CHECK it would disturb the running executor.
    ours = {"SIARHUB_RADIO_CHECK": "yes", "SIARHUB_RADIO_OUTPUT": "dummy", "SIARHUB_RADIO_ALLOW_ROOT": "yes"}
    try:
        done = subprocess.run(
            ["liquidsoap", "--check", str(script)],
            env=os.environ | ours,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=120,
            check=False,
        )
    except FileNotFoundError:
        return Finding(good=False, text="liquidsoap is not installed: apt-get install liquidsoap")
    except subprocess.TimeoutExpired:
        return Finding(good=False, text=f"liquidsoap --check {script} did not end within 120 s")
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).decode("utf-8", "replace").split())[-300:]
        return Finding(good=False, text=f"{script} does not suit this Liquidsoap: {said}")
    return Finding(good=True, text=f"{script.name} suits the installed Liquidsoap")


async def _check_tone(script: Path) -> Finding:
    try:
        with tempfile.TemporaryDirectory(prefix="siarhub-") as folder:
            async with local_playout(Path(folder), output="dummy", script=script) as playout:
                seconds = await _play_tone(playout)
    except (PlayoutNotStarted, ExecutorLost, ExecutorRefused, OSError) as error:
        return Finding(good=False, text=f"a test tone could not be played: {error}")
    if seconds is None:
        return Finding(
            good=False, text=f"the as-run file does not say that the test tone ended in {_HEARD_WITHIN_S:.0f} s"
        )
    if abs(seconds - TONE_S) > 0.3:
        return Finding(good=False, text=f"of a test tone of {TONE_S:.1f} s only {seconds:.1f} s were played")
    return Finding(good=True, text=f"a test tone was played from start to end ({seconds:.2f} s), with no output")


async def _play_tone(playout: LocalPlayout) -> float | None:
    name = await asyncio.to_thread(make_tone, playout.media_folder)
    client = Liquidsoap(playout.socket)
    try:
        await client.status()
        await client.push(f"{CHECK_TONE}tone.1", f"{name}.wav")
    finally:
        await client.close()
    deadline = asyncio.get_running_loop().time() + _HEARD_WITHIN_S
    while asyncio.get_running_loop().time() < deadline:
        seconds = await asyncio.to_thread(_played, playout.as_run)
        if seconds is not None:
            return seconds
        await asyncio.sleep(0.1)
    return None


def _played(path: Path) -> float | None:
    lines: dict[str, Line] = {line.event: line for line in read_on(path, Position()).lines if line.token}
    return lines["end"].stream_s - lines["start"].stream_s if {"start", "end"} <= lines.keys() else None


def make_tone(folder: Path, *, hz: float = 1000.0, seconds: float = TONE_S, level: float = 0.25) -> Sha256:
    """A tone in the folder, named by its hash as a rendition is. Blocks."""
    rate = 48000
    values = (int(32767 * level * math.sin(2 * math.pi * hz * n / rate)) for n in range(int(seconds * rate)))
    samples = array("h", (value for one in values for value in (one, one)))
    temporary = folder / f"tone-{hz:.0f}.part"
    with wave.open(str(temporary), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    digest = sha256_of(temporary)
    temporary.replace(folder / f"{digest}.wav")
    return digest


async def check_running(socket: Path) -> Finding:
    """Does a Liquidsoap answer there, and is its output up? It is only asked."""
    client = Liquidsoap(socket, timeout_s=5)
    try:
        status = await client.status()
    except (ExecutorLost, ExecutorRefused) as error:
        return Finding(good=False, text=f"no Liquidsoap answers on {socket} ({error}): start its service")
    finally:
        await client.close()
    if not status.output_up:
        return Finding(good=False, text="Liquidsoap answers, but its output is down: nothing can be heard")
    return Finding(good=True, text=f"Liquidsoap answers on {socket}, and its output is up")
