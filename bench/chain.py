"""Drop to all outputs, for 1 and 20 clips, against a plain shell script at the same presets; and what idling costs.

All outputs: two screens of different sizes hold their films, the radio holds the sound, the original is stored. (The
archive files an item with its first proved play; the script copies at once. Here items begin later, so nothing plays.)
Ours also looks at every file before and decodes every output after; the script trusts them.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.footage import camera_clips
from bench.measure import Cost, Measure, cpu_of, rss_mib
from bench.waiting import script_cost, until
from hub.demo.stage import Child
from hub.ledger import deliveries, items
from hub.ledger.database import open_for_reading
from plugins.radio.local_playout import free_port
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.local_trust import trust_each_other

CLIPS = 20
SCREENS = {"large": (1280, 720), "small": (768, 384)}
IDLE_S = 30.0
NAIVE = Path(__file__).with_name("naive.sh")


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as folder:
        clips = camera_clips(Path(folder) / "clips", CLIPS)
        yield from asyncio.run(_compare(Path(folder), clips))


async def _compare(folder: Path, clips: list[Path]) -> list[Measure]:
    found = []
    for count in (1, CLIPS):
        theirs = await _script(folder / f"naive-{count}", clips[:count])
        resting = count == 1
        ours, own_cpu, tools_cpu, idle = await _hub(folder / f"hub-{count}", clips[:count], idle=resting)
        found += [
            Measure(
                name=f"chain-wall-{count}", ours=ours.wall_s, theirs=theirs.wall_s, target=0.95 if count > 1 else 1.5
            ),
            Measure(name=f"chain-cpu-{count}", ours=ours.cpu_s, theirs=theirs.cpu_s, target=1.0 if count > 1 else 1.3),
            Measure(name=f"chain-own-cpu-{count}", ours=own_cpu, theirs=tools_cpu, target=0.01 if count > 1 else 0.1),
        ]
        if resting:
            found += [Measure(name="idle-cpu-percent", ours=idle[0], theirs=None, target=0.3),
                      Measure(name="idle-rss-mib", ours=idle[1], theirs=None, target=100)]  # fmt: skip
    return found


async def _script(folder: Path, clips: list[Path]) -> Cost:
    async with plain_broker() as port:
        return await script_cost(NAIVE, folder, clips, str(port))


async def _hub(folder: Path, clips: list[Path], *, idle: bool) -> tuple[Cost, float, float, tuple[float, float]]:
    async with running(folder, SCREENS) as hub:
        resting = await _rest(hub.pid) if idle else (0.0, 0.0)
        (own_before, tools_before), began = cpu_of(hub.pid), time.monotonic()
        for clip in clips:
            begin = (datetime.now(UTC) + timedelta(days=3)).strftime("%Y-%m-%d")
            sidecar = f"Mulai: {begin}\nSaluran: videotron, radio\n"
            (folder / "srv" / "Disetujui" / f"{clip.stem}.txt").write_text(sidecar)
            shutil.copyfile(clip, folder / "srv" / "Disetujui" / clip.name)
        await until(lambda: _delivered(folder / "state" / "ledger.db") == len(clips), every_s=0.05)
        wall, (own, tools) = time.monotonic() - began, cpu_of(hub.pid)
    own_cpu, tools_cpu = own - own_before, tools - tools_before
    return Cost(wall_s=wall, cpu_s=own_cpu + tools_cpu), own_cpu, tools_cpu, resting


async def _rest(pid: int) -> tuple[float, float]:
    """Percent of a core and MiB of a hub that has nothing to do."""
    before = cpu_of(pid)[0]
    await asyncio.sleep(IDLE_S)
    return 100 * (cpu_of(pid)[0] - before) / IDLE_S, rss_mib(pid)


@asynccontextmanager
async def plain_broker() -> AsyncIterator[int]:
    """The port of a Mosquitto as it comes, for the plain script: no accounts, no limits."""
    port, program = free_port(), shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin") or "mosquitto"
    silent = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(program, "-p", str(port), stdout=silent, stderr=silent)
    try:
        await asyncio.sleep(1.0)  # it does not say when it listens
        yield port
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def running(folder: Path, screens: Mapping[str, tuple[int, int]]) -> AsyncIterator[Child]:
    """A hub with a broker and a player for each screen, started and at rest."""
    (folder / "srv" / "Disetujui").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(local_broker(folder / "broker", list(screens)))
        (folder / "siarhub.toml").write_text(_settings(folder, broker, screens))
        states = {screen: folder / f"player-{screen}" for screen in screens}
        trust_each_other(folder / "state" / "plugins" / "videotron", states)
        hub = Child("hub", ("siarhub", "run", "--config", str(folder / "siarhub.toml")), folder / "hub.log")
        players = [_player(folder, broker, screen, size) for screen, size in screens.items()]
        for child in (hub, *players):
            stack.push_async_callback(child.stop)
            await child.start()
        await until((folder / "state" / "status.json").exists)
        await asyncio.sleep(3.0)  # start-up is not what is measured
        yield hub


def _settings(folder: Path, broker: LocalBroker, screens: Mapping[str, tuple[int, int]]) -> str:
    sizes = {name: f"width = {width}\nheight = {height}\n" for name, (width, height) in screens.items()}
    tables = "".join(f"[plugins.videotron.screens.{name}]\n{size}" for name, size in sizes.items())
    return f"""
[hub]
root = "{folder}/srv"
state_dir = "{folder}/state"
plugin_dir = "{folder}/plugins"
[approval]
level = "none"
[media]
nice = 0
idle_io = false
[plugins.radio]
socket = "{folder}/no.sock"
[plugins.videotron.broker]
port = {broker.port}
password = "{broker.hub_password}"
{tables}"""


def _player(folder: Path, broker: LocalBroker, screen: str, size: tuple[int, int]) -> Child:
    config = folder / f"player-{screen}.toml"
    config.write_text(f"""
player = "{screen}"
state_dir = "{folder}/player-{screen}"
[broker]
port = {broker.port}
password = "{broker.passwords[screen]}"
[screen]
width = {size[0]}
height = {size[1]}
[mpv]
vo = "null"
""")
    return Child(f"player-{screen}", ("siarhub-player", "run", "--config", str(config)), folder / f"{screen}.log")


def _delivered(ledger: Path) -> int:
    """How many items are held by every screen and by the radio."""
    try:
        db = open_for_reading(ledger)
    except sqlite3.Error:
        return 0
    try:
        found = 0
        for item in items.all_items(db):
            rows = [row for row in deliveries.of_item(db, item.number) if row.plugin != "archive"]
            found += len(rows) == len(SCREENS) + 1 and all(row.state == "delivered" for row in rows)
        return found
    finally:
        db.close()
