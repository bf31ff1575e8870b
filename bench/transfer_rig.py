"""A broker, a hub and players as processes of their own, for the measures and the faults of transfers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.transfer_hub import Figures, read_figures
from bench.transfer_wire import HubsKey
from bench.waiting import until
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.player.settings import LAN_IN_FLIGHT
from plugins.videotron.protocol import cid_of

REPOSITORY = Path(__file__).parents[1]
BLOCK_BYTES = 262144
WITHIN_S = 300.0
PREFIX = ("-m",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    path: Path
    sha256: str
    size: int

    @classmethod
    def random(cls, path: Path, size: int, seed: int = 1) -> Film:
        """A file that no link can compress."""
        data = random.Random(seed).randbytes(size)
        path.write_bytes(data)
        return cls(path=path, sha256=hashlib.sha256(data).hexdigest(), size=size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """One player to come: when it begins, after the others' moment, and what is between it and the broker."""

    name: str
    after_s: float = 0.0
    loss: float = 0.0
    port: int | None = None  # of the proxy that it connects through


@dataclass(slots=True, kw_only=True)
class Rig:
    folder: Path
    broker: LocalBroker
    films: Sequence[Film]
    block_bytes: int = BLOCK_BYTES
    hold_off_s: float = 1.0
    upload_limit_kbps: int = 0
    window_bytes: int = 4 << 20  # as the settings have it
    receive_maximum: int = LAN_IN_FLIGHT  # as the players have it for `link = "lan"`
    players: Sequence[str] = ()
    key: str = field(default_factory=HubsKey.new)
    hub: Process | None = None
    _sent_before: int = 0
    _cpu_before: float = 0.0

    @property
    def figures(self) -> Figures:
        """What the hubs have used since the beginning; the memory of the last one."""
        now = read_figures(self.folder / "figures")
        return Figures(
            bytes=now.bytes + self._sent_before,
            cpu_s=now.cpu_s + self._cpu_before,
            peak_rss_mib=now.peak_rss_mib,
        )

    async def start_hub(self) -> None:
        so_far = self.figures
        self._sent_before, self._cpu_before = so_far.bytes, so_far.cpu_s
        (self.folder / "figures").unlink(missing_ok=True)
        job = {
            "key": self.key,
            "port": self.broker.port,
            "password": self.broker.hub_password,
            "files": [(str(film.path), film.sha256) for film in self.films],
            "players": list(self.players),
            "block_bytes": self.block_bytes,
            "hold_off_s": self.hold_off_s,
            "upload_limit_kbps": self.upload_limit_kbps,
            "window_bytes": self.window_bytes,
            "figures": str(self.folder / "figures"),
        }
        self.hub = await Process.start("bench.transfer_hub", self.folder / "hub.json", job)

    async def start_players(self, screens: Sequence[Screen]) -> Process:
        """One process with these players; they begin with `go`."""
        job = {
            "key": self.key,
            "files": [
                {"cid": cid_of(film.sha256), "sha256": film.sha256, "size": film.size, "seconds": 1.0}
                for film in self.films
            ],
            "players": [self._player(screen) for screen in screens],
        }
        return await Process.start("bench.transfer_player", self.folder / f"{screens[0].name}.json", job)

    def whole(self, player: str) -> bool:
        """Whether the player has every file, byte for byte."""
        files = [(self.folder / player / f"{film.sha256}.mp4", film.path) for film in self.films]
        return all(got.exists() and got.read_bytes() == sent.read_bytes() for got, sent in files)

    def _player(self, screen: Screen) -> dict[str, Any]:
        return asdict(screen) | {
            "player": screen.name,
            "port": screen.port or self.broker.port,
            "password": self.broker.passwords[screen.name],
            "folder": str(self.folder / screen.name),
            "receive_maximum": self.receive_maximum,
        }


@dataclass(slots=True, kw_only=True)
class Process:
    """One of our programs; what it said, line by line."""

    process: asyncio.subprocess.Process
    log: Path
    said: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    async def start(cls, module: str, path: Path, job: dict[str, Any]) -> Process:
        """Started and ready."""
        await asyncio.to_thread(path.write_text, json.dumps(job))
        with path.with_suffix(".log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, *PREFIX, module, str(path), cwd=REPOSITORY, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            )  # fmt: skip
        assert process.stdout
        if await process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"{module} did not start: {path.with_suffix('.log').read_text()[-2000:]}")
        return cls(process=process, log=path.with_suffix(".log"))

    def go(self, line: str = "") -> None:
        """Say something to it: that the moment has come, or what it should do."""
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())

    async def next(self) -> dict[str, Any] | None:
        """The next thing it says; None at its end."""
        assert self.process.stdout
        line = await self.process.stdout.readline()
        if line:
            self.said.append(json.loads(line))
            return self.said[-1]
        return None

    async def rest(self) -> list[dict[str, Any]]:
        """All that it said, when it has ended."""
        async with asyncio.timeout(WITHIN_S):
            while await self.next():
                pass
        await self.process.wait()
        return self.said

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


@contextlib.asynccontextmanager
async def rig(folder: Path, films: Sequence[Film], players: Sequence[str], **options: Any) -> AsyncIterator[Rig]:
    """A running broker and a running hub that offers these films to these players."""
    (folder / "broker").mkdir(parents=True)
    async with local_broker(folder / "broker", players) as broker:
        made = Rig(folder=folder, broker=broker, films=films, players=players, **options)
        await made.start_hub()
        try:
            yield made
        finally:
            if made.hub:
                await made.hub.kill()


async def until_sent(made: Rig, size: int) -> None:
    """Until the hub has sent so many bytes."""
    await until(lambda: made.figures.bytes >= size, within_s=60, every_s=0.01)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What it took until all players had the film."""

    seconds: float  # from the moment at which the first began
    upload: float  # bytes sent, over the bytes of the film
    by_player: dict[str, float]  # seconds
    hub: Figures


async def race_to_the_end(made: Rig, screens: Sequence[Screen]) -> Run:
    """All players from their beginning to the last whole film, in two processes."""
    halves = [half for half in (screens[::2], screens[1::2]) if half]
    processes = [await made.start_players(half) for half in halves]
    began = time.monotonic()
    for process in processes:
        process.go()
    said = [line for process in processes for line in await process.rest() if line["event"] == "fetched"]
    if not all([await asyncio.to_thread(made.whole, screen.name) for screen in screens]):
        raise RuntimeError("a player does not have what was sent")
    ends = {line["player"]: float(line["at"]) - began for line in said}
    size = sum(film.size for film in made.films)
    return Run(seconds=max(ends.values()), upload=made.figures.bytes / size, by_player=ends, hub=made.figures)
