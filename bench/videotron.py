"""One film of some 20 MB to three players at once over MQTT, against `mosquitto_pub` of the whole file.

Ours goes in blocks with hashes, is fsynced, and is acknowledged by the players themselves; theirs is written by three
`mosquitto_sub`s and checked by `sha256sum`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.chain import plain_broker, running
from bench.measure import Measure
from bench.waiting import until
from hub.api import DeliveryChanged, DeliveryState, JournalEntry
from hub.ledger import facts
from hub.ledger.database import open_for_reading

TOPIC = "led/v1/bench"
SCREENS = dict.fromkeys(("one", "two", "three"), (1280, 720))


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as folder:
        clip = _heavy_clip(Path(folder))
        ours, film = asyncio.run(_ours(Path(folder) / "hub", clip))
        theirs = asyncio.run(_theirs(Path(folder), film))
        # Ours cuts, signs, verifies each block and fsyncs; it waits for nobody, since all three report at once.
        yield Measure(name="videotron-deliver-wall", ours=ours, theirs=theirs, target=1.5)


async def _ours(folder: Path, clip: Path) -> tuple[float, Path]:
    """Seconds from the hand-over of the playlist to the last player's receipt, and the film that was sent."""
    async with running(folder, SCREENS):
        begin = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%d")
        (folder / "srv" / "Disetujui" / f"{clip.stem}.txt").write_text(f"Mulai: {begin}\nSaluran: videotron\n")
        shutil.copyfile(clip, folder / "srv" / "Disetujui" / clip.name)
        await until(lambda: len(_reached(folder, DeliveryState.DELIVERED)) == len(SCREENS))
        sent, held = _reached(folder, DeliveryState.HANDED_OVER), _reached(folder, DeliveryState.DELIVERED)
    film = max((folder / "state" / "renditions").glob("??/*.mp4"), key=lambda path: path.stat().st_size)
    return (max(one.recorded_at for one in held) - min(one.recorded_at for one in sent)).total_seconds(), film


def _reached(folder: Path, state: DeliveryState) -> list[JournalEntry]:
    ledger = open_for_reading(folder / "state" / "ledger.db")
    try:
        return [
            entry for entry in facts.entries(ledger)
            if isinstance(entry.fact, DeliveryChanged) and (entry.fact.plugin, entry.fact.state) == ("videotron", state)
        ]  # fmt: skip
    finally:
        ledger.close()


async def _theirs(folder: Path, film: Path) -> float:
    outs, receivers = [folder / f"{name}.got" for name in SCREENS], []
    async with plain_broker() as port:
        address = ["-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", TOPIC]
        for out in outs:
            with out.open("wb") as file:
                command = ["mosquitto_sub", *address, "-C", "1", "-N"]
                receivers.append(await asyncio.create_subprocess_exec(*command, stdout=file))
        await asyncio.sleep(1.0)  # mosquitto_sub does not say when it has subscribed
        began = time.monotonic()
        await _run("mosquitto_pub", *address, "-f", str(film))
        for receiver in receivers:
            await receiver.wait()
        await _run("sha256sum", *map(str, outs))
        await asyncio.to_thread(os.sync)
        return time.monotonic() - began


async def _run(*command: str) -> None:
    await (await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)).wait()


def _heavy_clip(folder: Path) -> Path:
    """Noise does not compress: a film near the profile's highest bit rate."""
    clip = folder / "heavy.mp4"
    source = "color=gray:size=1280x720:rate=25:duration=30,noise=alls=60:allf=t"
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-b:v", "8M", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", source, *encode, str(clip)], check=True)
    return clip
