"""A hub, a broker, a screen and a player that can be killed; what was signed for it, and what it said, is noted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiomqtt

from hub.api.files import sha256_of
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.local_trust import trust_each_other
from plugins.videotron.protocol import Manifest, Override, PlayerState, Topics, WireError, decode, decode_signed
from plugins.videotron.protocol.trust import begin
from tests.faults.process import Victim, hub_tables, write_config
from tests.faults.watched_screen import WatchedScreen

SCREEN, WATCHER = "gerbang", "pengamat"
SIZE = (128, 96)
BLOCK_BYTES = 1024
POLL_S = 0.1


@dataclass
class Record:
    """All that the hub signed for the player, and the last that the player said."""

    keys: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[tuple[int, int], Manifest] = field(default_factory=dict)
    overrides: dict[tuple[int, int], Override] = field(default_factory=dict)
    state: PlayerState | None = None
    unsigned: list[str] = field(default_factory=list)

    @property
    def newest(self) -> tuple[int, int]:
        return max(self.manifests, default=(0, 0))

    @property
    def newest_override(self) -> tuple[int, int]:
        return max(self.overrides, default=(0, 0))

    def hashes(self) -> set[str]:
        """Of every film that something signed has named."""
        named = {file.sha256 for manifest in self.manifests.values() for file in manifest.files()}
        return named | {film.sha256 for override in self.overrides.values() for film in override.films}

    def take(self, kind: str, payload: bytes) -> None:
        try:
            if kind == "manifest" and payload:
                manifest = decode_signed(Manifest, payload, self.keys)
                self.manifests[manifest.epoch, manifest.seq] = manifest
            elif kind == "override" and payload:
                override = decode_signed(Override, payload, self.keys)
                self.overrides[override.epoch, override.counter] = override
            elif kind == "state" and payload:
                self.state = decode(PlayerState, payload)
        except WireError as error:
            self.unsigned.append(f"{kind}: {error}")


@dataclass
class World:
    folder: Path
    broker: LocalBroker
    hub: Victim
    player: Victim
    screen: WatchedScreen
    record: Record
    loop: asyncio.AbstractEventLoop
    shown: dict[str, bool] = field(default_factory=dict)  # files that mpv had open: whether they were what they should

    @property
    def state(self) -> Path:
        return self.folder / "player"

    def siarhub(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("siarhub")), *words]
        config = {**os.environ, "SIARHUB_CONFIG": str(self.folder / "siarhub.toml")}
        return subprocess.run(command, env=config, capture_output=True, text=True, timeout=60)

    def items(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(self.siarhub("items", "--json").stdout or "[]")
        return found

    def agent_pid(self) -> int:
        """The player's own process, also below a strace."""
        return next(iter(self._descendants(lambda words: "siarhub-player" in words and "strace" not in words)), 0)

    def mpv_pids(self) -> list[int]:
        """The mpv that show pictures."""
        return self._descendants(lambda words: "input-ipc-client" in words)

    def kill(self, *pids: int, number: int = signal.SIGKILL) -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def until(self, check: Callable[[], object], within_s: float) -> bool:
        """Whether that came true in time; what mpv has open is looked at meanwhile."""
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            self.look()
            if check():
                return True
            time.sleep(POLL_S)  # other processes: there is no event to await
        return False

    def look(self) -> None:
        """Note each film that an mpv has open."""
        for film in self.playing():
            if film not in self.shown:
                with contextlib.suppress(OSError):
                    self.shown[film] = sha256_of(Path(film)) == Path(film).stem

    def playing(self) -> Iterator[str]:
        """The films that an mpv has open."""
        media = str(self.state / "media")
        yield from (file for pid in self.mpv_pids() for file in _open_files(pid) if file.startswith(media))

    def cut_off(self) -> None:
        """No hub and no broker any more."""
        self.hub.stop()
        asyncio.run_coroutine_threadsafe(self.broker.kill(), self.loop).result(10)

    @property
    def complete(self) -> bool:
        """Whether the player follows the newest of all, holds every film, and shows something of it."""
        state, record = self.record.state, self.record
        if not record.manifests or state is None or not state.online or (state.epoch, state.seq) != record.newest:
            return False
        wanted = {file.cid for file in record.manifests[record.newest].files()}
        override = state.override == record.newest_override[1]
        return override and wanted <= set(state.holds) and state.playing is not None

    def _descendants(self, fits: Callable[[str], bool]) -> list[int]:
        if self.player.pid is None:
            return []
        found, waiting = [], [self.player.pid]
        while waiting:
            pid = waiting.pop()
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if fits(words):
                    found.append(pid)
            for task in _tasks(pid):
                with contextlib.suppress(OSError):
                    waiting += map(int, (task / "children").read_text().split())
        return found


@contextlib.asynccontextmanager
async def world(folder: Path, screen: WatchedScreen) -> AsyncIterator[World]:
    """All of it running but the player, whose folder is enrolled."""
    async with local_broker(folder / "broker", [SCREEN, WATCHER]) as broker:
        await _let_watch(broker)
        hub, record = _hub(folder, broker), Record()
        record.keys = dict(begin((folder / "player" / "keychain.json").read_bytes()).online)
        made = World(
            loop=asyncio.get_running_loop(),
            folder=folder,
            broker=broker,
            hub=hub,
            player=_player(folder, broker),
            screen=screen,
            record=record,
        )
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(_watch(broker, record))
            hub.start()
            try:
                yield made
            finally:
                await asyncio.to_thread(made.player.kill)
                await asyncio.to_thread(hub.stop)
                watching.cancel()


async def _let_watch(broker: LocalBroker) -> None:
    acl = broker.folder / "acl"
    acl.write_text(f"{acl.read_text()}\nuser {WATCHER}\ntopic read {broker.namespace}/#\n")
    await broker.stop()
    await broker.start()


async def _watch(broker: LocalBroker, record: Record) -> None:
    topics = Topics(broker.namespace)
    async with aiomqtt.Client(
        broker.host,
        broker.port,
        protocol=aiomqtt.ProtocolVersion.V5,
        username=WATCHER,
        password=broker.passwords[WATCHER],
    ) as client:
        for topic in (topics.manifest(SCREEN), topics.override(SCREEN), topics.state(SCREEN)):
            await client.subscribe(topic, qos=1)
        with contextlib.suppress(aiomqtt.MqttError):  # at the end there is no broker
            async for message in client.messages:
                kind, _, _ = topics.parse(str(message.topic))
                record.take(kind, bytes(message.payload))


def _hub(folder: Path, broker: LocalBroker) -> Victim:
    for name in ("srv/Disetujui", "state", "plugins"):
        (folder / name).mkdir(parents=True)
    tables = hub_tables(folder) | {
        "plugins.archive": {"enabled": False},
        "plugins.videotron": {"namespace": broker.namespace, "block_bytes": BLOCK_BYTES, "hold_off_s": 0.0},
        "plugins.videotron.broker": {
            "host": broker.host, "port": broker.port, "username": broker.hub_username, "password": broker.hub_password,
        },
        f"plugins.videotron.screens.{SCREEN}": {"width": SIZE[0], "height": SIZE[1]},
    }  # fmt: skip
    trust_each_other(folder / "state" / "plugins" / "videotron", {SCREEN: folder / "player"})
    config = write_config(folder / "siarhub.toml", tables)
    return Victim(("siarhub", "run", "--config", str(config)), folder / "hub.log")


def _player(folder: Path, broker: LocalBroker) -> Victim:
    tables: dict[str, dict[str, object]] = {
        "": {"player": SCREEN, "state_dir": folder / "player"},
        "broker": {
            "host": broker.host, "port": broker.port, "username": SCREEN, "password": broker.passwords[SCREEN],
            "namespace": broker.namespace, "session_expiry_s": 5,
        },
        "screen": {"width": SIZE[0], "height": SIZE[1]},
        "mpv": {"vo": "x11", "stalled_after_s": 5},
    }  # fmt: skip
    config = write_config(folder / "player.toml", tables)
    return Victim(("siarhub-player", "run", "--config", str(config)), folder / "player.log")


@contextlib.contextmanager
def dead_clock() -> Iterator[str]:
    """What is started now begins in 1970, where libfaketime is installed; the text says whether it is."""
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        yield "clock right (apt-get install faketime for one that is not)"
        return
    facts = {"LD_PRELOAD": str(library), "FAKETIME": "@1970-01-02 00:00:00", "DONT_FAKE_MONOTONIC": "1"}
    os.environ.update(facts)
    try:
        yield "clock in 1970"
    finally:
        for name in facts:
            del os.environ[name]


def _tasks(pid: int) -> list[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return []


def _open_files(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(link.readlink())
