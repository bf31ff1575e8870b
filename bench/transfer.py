"""Films of 100 MiB to players over the one MQTT connection, beside HTTP: time, upload, memory, losses, kills, control.

Real processes: the hub's Broker, Sender and contents; the player's Connection, Fetching and Store, without mpv; and
Debian's Mosquitto. Files lie in memory where there is room, for both sides, so that no disk is measured.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from bench import transfer_kills
from bench.measure import ROUNDS, Measure, spread
from bench.slow_link import slow_link
from bench.transfer_rig import Film, Rig, Run, Screen, race_to_the_end, rig
from bench.transfer_rivals import curl, curl_tee_sha256, downloads, missing, nginx
from bench.waiting import until

MB = 1 << 20
SIZE = int(os.environ.get("MB", "100")) * MB
TEN = [Screen(name=f"p{number}", after_s=number / 9) for number in range(10)]
BACKLOG = 24 * MB
SLOW_LINK = 1_000_000  # bytes a second
CONTROLS = 5


def measures() -> Iterator[Measure]:
    base = "/dev/shm" if shutil.disk_usage("/dev/shm").free > 24 * SIZE else None  # noqa: S108 - memory, not a file
    with tempfile.TemporaryDirectory(prefix="siar-", dir=base) as folder:
        film = Film.random(Path(folder) / "film.bin", SIZE)
        if need := missing():
            yield Measure(name="transfer-one", ours=0, theirs=None, target=None, skipped=f"nginx, curl: {need}")
            return
        yield from asyncio.run(_one(Path(folder), film))
        yield from asyncio.run(_ten(Path(folder), film))
        yield from transfer_kills.measures(Path(folder), film)
        yield asyncio.run(_control(Path(folder)))


def about(receive_maximum: int) -> str:
    """What the broker is, for the reader of a measure."""
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    said = subprocess.run([program, "-h"], capture_output=True, text=True, check=False).stdout.split("\n")[0]
    return f"{said}, Receive Maximum {receive_maximum}"


async def _one(folder: Path, film: Film) -> list[Measure]:
    ours: list[float] = []
    plain: list[float] = []
    hashed: list[float] = []
    async with nginx(folder / "nginx", film) as url:
        for number in range(ROUNDS):
            plain.append(await curl(url))
            hashed.append(await curl_tee_sha256(url, folder / "tee"))
            async with rig(folder / f"one-{number}", [film], ["p0"]) as made:
                ours.append((await race_to_the_end(made, [Screen(name="p0")])).seconds)
                note = about(made.receive_maximum)
            shutil.rmtree(folder / f"one-{number}")
    noise = max(spread(ours), spread(hashed))
    return [
        Measure(
            name="transfer-one-curl", ours=median(ours), theirs=median(plain), target=1 / 0.12, spread=noise,
            note=f"{median(plain) / median(ours):.2f} of its speed, wished 0.2; {note}",
        ),
        Measure(
            name="transfer-one-tee-sha256", ours=median(ours), theirs=median(hashed), target=1 / 0.8, spread=noise,
            note=f"{median(hashed) / median(ours):.2f} of its speed, wished 1.2; {note}",
        ),
    ]  # fmt: skip


async def _ten(folder: Path, film: Film) -> list[Measure]:
    theirs: list[float] = []
    plain: list[Run] = []
    lossy: list[Run] = []
    for number in range(ROUNDS):
        async with nginx(folder / f"nginx-{number}", film) as url:
            theirs.append(await downloads(url, film, folder, TEN))
        async with _crowd(folder / "ten", film) as made:
            plain.append(await race_to_the_end(made, TEN))
            note = about(made.receive_maximum)
        async with _crowd(folder / "loss", film) as made:
            lossy.append(await race_to_the_end(made, [replace(one, loss=0.05) for one in TEN]))
    seconds = [one.seconds for one in plain]
    noise, usual = max(spread(seconds), spread(theirs)), median(seconds)
    cpu_s = max(one.hub.cpu_s for one in plain) * 100 * MB / SIZE
    return [
        Measure(name="transfer-ten-upload", ours=max(one.upload for one in plain), theirs=1.0, target=1.05, note=note),
        Measure(name="transfer-ten-time", ours=usual, theirs=median(theirs), target=2.0, spread=noise, note=note),
        Measure(name="transfer-ten-hub-cpu", ours=cpu_s, theirs=None, target=1.0, note="s a 100 MiB"),
        Measure(
            name="transfer-ten-hub-rss", ours=max(one.hub.peak_rss_mib for one in plain), theirs=None, target=120,
            note="MiB",
        ),
        Measure(
            name="transfer-loss-upload", ours=max(one.upload for one in lossy), theirs=1.0, target=1.5,
            note="5 % lost by each",
        ),
        Measure(
            name="transfer-loss-time", ours=median(one.seconds for one in lossy), theirs=usual, target=1.5, spread=noise
        ),
        *await _slow(folder, film, usual),
    ]  # fmt: skip


async def _slow(folder: Path, film: Film, usual: float) -> list[Measure]:
    """One of ten has a fifth of the speed that the ten had."""
    rate = SIZE / max(usual - 1.0, 0.1) / 5
    async with _crowd(folder / "slow", film) as made, slow_link(made.broker.port, rate) as port:
        slow = await race_to_the_end(made, [*TEN[:9], replace(TEN[9], port=port)])
    others = max(at for player, at in slow.by_player.items() if player != TEN[9].name)
    told = f"{rate / 1e6:.1f} MB/s, whole after {slow.seconds:.1f} s"
    return [
        Measure(name="transfer-slow-upload", ours=slow.upload, theirs=1.0, target=1.1, note=told),
        Measure(name="transfer-slow-others", ours=others, theirs=usual, target=1.2, note=told),
    ]


@asynccontextmanager
async def _crowd(folder: Path, film: Film) -> AsyncIterator[Rig]:
    async with rig(folder, [film], [one.name for one in TEN]) as made:
        yield made
    shutil.rmtree(folder)


async def _control(folder: Path) -> Measure:
    """The longest that a control message takes to a player behind a backlog on a slow link."""
    film = Film.random(folder / "backlog.bin", BACKLOG + 8 * MB, seed=2)
    options: dict[str, Any] = {"receive_maximum": 1, "window_bytes": 2 * BACKLOG, "hold_off_s": 0.0}
    async with rig(folder / "control", [film], ["p0"], **options) as made, slow_link(made.broker.port, SLOW_LINK) as to:
        player = await made.start_players([Screen(name="p0", port=to)])
        player.go()
        await until(lambda: made.figures.bytes >= BACKLOG, within_s=60, every_s=0.05)
        took = [await _told(made, player) for _ in range(CONTROLS)]
        await player.kill()
        note = f"of {CONTROLS}: {', '.join(f'{one:.2f}' for one in took)} s; {about(made.receive_maximum)}"
    return Measure(name="transfer-control", ours=max(took), theirs=None, target=1.0, note=note)


async def _told(made: Rig, player: Any) -> float:
    """Seconds from the order to say something until the player has it."""
    assert made.hub
    began = time.monotonic()
    made.hub.go("p0")
    while (said := await player.next()) and said["event"] != "control":
        pass
    await asyncio.sleep(0.5)
    return float(said["at"]) - began if said else float("inf")
