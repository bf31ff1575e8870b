"""500 simulated players at one real hub: how soon a change of what they may show has reached them all.

Each keeps a connection of its own, checks the signature of what comes, and answers with a signed state, as the real one
does; none fetches or shows films. The change is `siarhub withdraw`, measured from the start of the command.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import aiomqtt
from PIL import Image

from bench.measure import Measure
from bench.waiting import until
from hub.demo.stage import Child, program
from plugins.videotron.keys.keyring import load
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.local_trust import trust_each_other
from plugins.videotron.player.identity import Identity
from plugins.videotron.protocol import Manifest, PlayerState, Signs, Topics, decode_signed, encode_signed
from plugins.videotron.protocol.keychains import public_keys

PLAYERS = 500
WITHIN_S = 300.0


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as folder:
        came, rss_mib, cpu_percent = asyncio.run(_run(Path(folder)))
    note = f"{PLAYERS} players, from `siarhub withdraw` on"
    yield Measure(name="fleet-95-percent-s", ours=came[int(0.95 * PLAYERS) - 1], theirs=None, target=10.0, note=note)
    yield Measure(name="fleet-all-s", ours=came[-1], theirs=None, target=60.0, note=note)
    yield Measure(name="fleet-hub-rss-mib", ours=rss_mib, theirs=None, target=300.0)
    yield Measure(name="fleet-hub-idle-percent-of-a-core", ours=cpu_percent, theirs=None, target=None)


async def _run(folder: Path) -> tuple[list[float], float, float]:
    names = [f"screen-{number:03}" for number in range(PLAYERS)]
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(local_broker(folder / "broker", names))
        plugin = folder / "state" / "plugins" / "videotron"
        trust_each_other(plugin, {name: folder / "players" / name for name in names})
        keys = public_keys(load(plugin / "keys", now=datetime.now(UTC)).keyset.online)
        hub = await _start_hub(stack, folder, broker, names)
        players = [
            _Player(name, broker, Identity.load_or_make(folder / "players" / name), dict(keys)) for name in names
        ]
        group = await stack.enter_async_context(asyncio.TaskGroup())
        tasks = [group.create_task(player.run()) for player in players]
        stack.push_async_callback(_end, tasks)
        await _each(players, lambda player: player.manifest is not None)
        number = await _item_on_all(folder, players)
        idle = await _idle(hub)
        began = time.monotonic()
        for player in players:
            player.changed_at = 0.0
        await asyncio.to_thread(_siarhub, folder, "withdraw", number, "--reason", "bench")
        await _each(players, lambda player: player.manifest is not None and not player.manifest.items)
        came = sorted(player.changed_at - began for player in players)
        return came, _status_mib(hub, "VmHWM"), idle


@dataclass(slots=True)
class _Player:
    name: str
    broker: LocalBroker
    key: Signs
    hub_keys: dict[str, bytes]
    manifest: Manifest | None = None
    changed_at: float = 0.0
    n: int = 0
    topics: Topics = field(default_factory=Topics)

    async def run(self) -> None:
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                await self._session()
            await asyncio.sleep(1.0)

    async def _session(self) -> None:
        client = aiomqtt.Client(
            "127.0.0.1",
            self.broker.port,
            identifier=self.name,
            username=self.name,
            password=self.broker.passwords[self.name],
            protocol=aiomqtt.ProtocolVersion.V5,
            timeout=60,
        )
        async with client:
            await client.subscribe(self.topics.manifest(self.name), qos=0)
            async for message in client.messages:
                self._follow(bytes(message.payload))
                self.n += 1
                state = encode_signed(self._state(), self.key)
                await client.publish(self.topics.state(self.name), state, qos=1, retain=True)

    def _follow(self, payload: bytes) -> None:
        manifest = decode_signed(Manifest, payload, self.hub_keys)
        if self.manifest is None or manifest.seq > self.manifest.seq:
            self.manifest, self.changed_at = manifest, time.monotonic()

    def _state(self) -> PlayerState:
        now = datetime.now(UTC)
        return PlayerState(
            player=self.name, online=True, software="bench", boot="0" * 16, boots=1, n=self.n, keyset=1,
            epoch=1, seq=self.manifest.seq if self.manifest else 0, override=0, command=0, shows="items",
            playing=None, holds=(), mpv="idle", free_bytes=1 << 30, clock=now, time=now, chain="0" * 16, proof_seq=0,
        )  # fmt: skip


async def _start_hub(stack: AsyncExitStack, folder: Path, broker: LocalBroker, names: list[str]) -> Child:
    (folder / "srv" / "Disetujui").mkdir(parents=True)
    screens = "".join(f"[plugins.videotron.screens.{name}]\nwidth = 192\nheight = 96\n" for name in names)
    (folder / "siarhub.toml").write_text(f"""
[hub]
root = "{folder}/srv"
state_dir = "{folder}/state"
plugin_dir = "{folder}/plugins"
[approval]
level = "none"
[plugins.radio]
enabled = false
[plugins.videotron.broker]
port = {broker.port}
password = "{broker.hub_password}"
{screens}""")
    hub = Child("hub", ("siarhub", "run", "--config", str(folder / "siarhub.toml")), folder / "hub.log")
    stack.push_async_callback(hub.stop)
    await hub.start()
    await until((folder / "state" / "status.json").exists)
    return hub


async def _item_on_all(folder: Path, players: list[_Player]) -> str:
    """The number of an item that stands in every manifest."""
    picture = folder / "poster.png"
    Image.new("RGB", (192, 96), "teal").save(picture)
    picture.rename(folder / "srv" / "Disetujui" / "poster.png")
    await _each(players, lambda player: player.manifest is not None and bool(player.manifest.items))
    return str(players[0].manifest.items[0].item) if players[0].manifest else ""


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Python 3.11 loses cancellations in `wait_for`, in which aiomqtt waits: say it again until all have ended."""
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=1)


async def _each(players: list[_Player], check: Callable[[_Player], bool]) -> None:
    try:
        await until(lambda: all(map(check, players)), within_s=WITHIN_S, every_s=0.05)
    except TimeoutError:
        raise TimeoutError(f"{sum(map(check, players))} of {len(players)} players came so far") from None


async def _idle(hub: Child) -> float:
    """Percent of a core that the hub takes with all players connected and nothing to do."""
    await asyncio.sleep(20)
    before = _cpu_s(hub)
    await asyncio.sleep(20)
    return (_cpu_s(hub) - before) / 20 * 100


def _cpu_s(child: Child) -> float:
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def _status_mib(child: Child, key: str) -> float:
    lines = Path(f"/proc/{child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) / 1024


def _siarhub(folder: Path, *words: str) -> None:
    command = [program("siarhub"), *words, "--config", str(folder / "siarhub.toml")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
