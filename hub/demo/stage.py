"""The stage: a broker, a playout, two players and a hub, each a process of its own, in one folder."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from plugins.radio.listening import listening
from plugins.radio.local_playout import LocalPlayout, local_playout
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.local_trust import trust_each_other

STOP_WITHIN_S = 30.0
STATUS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """A screen of the demo."""

    id: str
    name: str
    width: int
    height: int
    fit: str


SCREENS = (
    Screen(id="gerbang", name="Gerbang Banjarbaru", width=768, height=384, fit="fit"),
    Screen(id="lobi", name="Lobi Dinas", width=480, height=640, fit="crop"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where everything is, once it runs."""

    folder: Path
    root: Path
    state_dir: Path
    config: Path
    recording: Path  # what a listener of the radio hears, from the beginning on
    listener_url: str
    players: Mapping[str, Path]  # screen -> the player's config
    children: tuple[Child, ...]  # the hub first, then the players
    broker: LocalBroker
    playout: LocalPlayout

    @property
    def hub(self) -> Child:
        return self.children[0]

    @property
    def plugin_dir(self) -> Path:
        return self.folder / "plugins"

    async def restart_hub(self) -> None:
        """Stop it in order and start it anew; meanwhile it counts as running."""
        self.hub.restarting = True
        try:
            await self.hub.stop()
            await self.hub.start()
        finally:
            self.hub.restarting = False


class Child:
    """A process of the demo, which can be killed and started again; its log is a file, for when it goes wrong."""

    def __init__(self, name: str, command: tuple[str, ...], log: Path) -> None:
        self.name = name
        self.log = log
        self.restarting = False
        self._command = command
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None  # noqa: S101 - asked only of what was started
        return self._process.pid

    @property
    def ended(self) -> str:
        """Why it is no longer there; '' while it runs."""
        code = self._process.returncode if self._process else None
        return "" if code is None or self.restarting else f"{self.name} ended with {code}; its log: {self.log}"

    async def start(self) -> None:
        with self.log.open("ab") as file:
            self._process = await asyncio.create_subprocess_exec(
                program(self._command[0]),
                *self._command[1:],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=os.environ | {"SIARHUB_CONFIG": ""},
                start_new_session=True,  # Ctrl-C in the terminal is for the demo, which ends them in order
            )

    async def stop(self) -> int:
        """End it in order, by force when it takes too long; returns its exit code."""
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    await process.wait()
            except TimeoutError:
                await self.kill()
        return process.returncode or 0

    async def kill(self) -> None:
        """SIGKILL, as a power cut."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def stage(folder: Path, *, approval: str = "record") -> AsyncIterator[Stage]:
    """Everything started and answering; all of it is ended after the block, in reverse order."""
    root, state_dir = folder / "srv", folder / "state"
    for path in (root / "Disetujui", state_dir, folder / "logs"):
        path.mkdir(parents=True)
    (folder / "plugins").mkdir(exist_ok=True)
    async with AsyncExitStack() as stack:
        radio = await stack.enter_async_context(local_playout(folder / "radio"))
        recording = folder / "radio" / "listener.wav"
        await stack.enter_async_context(listening(radio.listener_url, recording))
        broker = await stack.enter_async_context(local_broker(folder / "broker", [one.id for one in SCREENS]))
        players = {screen.id: _write_player(folder, broker, screen) for screen in SCREENS}
        states = {screen.id: folder / f"player-{screen.id}" for screen in SCREENS}
        await asyncio.to_thread(trust_each_other, state_dir / "plugins" / "videotron", states)
        config = _write_hub(folder, broker, radio.socket, radio.media_folder, radio.as_run, approval)
        children = [await _start(stack, folder, "hub", "siarhub", "run", "--config", str(config))]
        for name, player in players.items():
            command = ("siarhub-player", "run", "--config", str(player))
            children.append(await _start(stack, folder, f"player-{name}", *command))
        await _wait_for_hub(state_dir, children[0])
        yield Stage(
            folder=folder, root=root, state_dir=state_dir, config=config, recording=recording,
            listener_url=radio.listener_url, players=players, children=tuple(children), broker=broker, playout=radio,
        )  # fmt: skip


def program(name: str) -> str:
    """The command of this installation, not one that happens to be in PATH."""
    return str(Path(sys.executable).with_name(name))


def _write_hub(folder: Path, broker: LocalBroker, socket: Path, media: Path, as_run: Path, approval: str) -> Path:
    tables: dict[str, dict[str, object]] = {
        "hub": {"root": folder / "srv", "state_dir": folder / "state", "plugin_dir": folder / "plugins"},
        "approval": {"level": approval},
        "intake": {"sidecar_wait_s": 5.0, "incomplete_wait_s": 5.0, "min_free_bytes": 100 << 20},
        "plugins.videotron": {"namespace": broker.namespace},
        "plugins.videotron.broker": {
            "host": broker.host, "port": broker.port,
            "username": broker.hub_username, "password": broker.hub_password,
        },
        "plugins.radio": {"socket": socket, "media_folder": media, "as_run": as_run, "every": "1 min"},
    }  # fmt: skip
    for one in SCREENS:
        tables[f"plugins.videotron.screens.{one.id}"] = {
            "name": one.name, "width": one.width, "height": one.height, "fit": one.fit, "still_seconds": 4.0,
        }  # fmt: skip
    return _write(folder / "siarhub.toml", tables)


def _write_player(folder: Path, broker: LocalBroker, screen: Screen) -> Path:
    tables: dict[str, dict[str, object]] = {
        "": {"player": screen.id, "state_dir": folder / f"player-{screen.id}"},
        "broker": {
            "host": broker.host, "port": broker.port, "username": screen.id,
            "password": broker.passwords[screen.id], "namespace": broker.namespace,
        },
        "screen": {"width": screen.width, "height": screen.height},
        "mpv": {"vo": "null"},
    }  # fmt: skip
    return _write(folder / f"player-{screen.id}.toml", tables)


def _write(path: Path, tables: Mapping[str, Mapping[str, object]]) -> Path:
    lines = []
    for name, values in tables.items():
        lines += [f"[{name}]"] if name else []
        lines += [f"{key} = {json.dumps(value, default=str)}" for key, value in values.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    path.chmod(0o600)
    return path


async def _start(stack: AsyncExitStack, folder: Path, name: str, *command: str) -> Child:
    child = Child(name, command, folder / "logs" / f"{name}.log")
    stack.push_async_callback(child.stop)
    await child.start()
    return child


async def _wait_for_hub(state_dir: Path, hub: Child) -> None:
    async with asyncio.timeout(STATUS_WITHIN_S):
        while not (state_dir / "status.json").exists():
            if hub.ended:
                raise RuntimeError(hub.ended)
            await asyncio.sleep(0.1)  # another process: there is no event to await
