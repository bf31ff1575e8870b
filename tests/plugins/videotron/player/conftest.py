"""A real broker, tiny real films, a scripted hub that speaks the wire format, players in-process or as the command."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
import structlog

from plugins.videotron.keys.keyring import Keyring, make
from plugins.videotron.local_broker import LocalBroker, local_broker
from plugins.videotron.player.agent import Agent, SystemClock
from plugins.videotron.player.settings import BrokerSettings, MpvSettings, PlayerSettings, ScreenSettings
from plugins.videotron.protocol import (
    Block,
    BlockFlag,
    BlockList,
    Document,
    HubState,
    Manifest,
    ManifestItem,
    Mode,
    Override,
    PlayerState,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    Report,
    ReportFlag,
    Screen,
    Standby,
    Topics,
    block_count,
    cid_of,
    decode,
    decode_report,
    encode_block,
    encode_signed,
    tag_of,
)

PLAYER = "gate-1"
SITE = "an-office"
BLOCK_BYTES = 1024
WITHIN_S = 15.0


@dataclass(frozen=True)
class Film:
    path: Path
    data: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def cid(self) -> str:
        return cid_of(self.sha256)

    @property
    def n(self) -> int:
        return block_count(len(self.data), BLOCK_BYTES)

    def block(self, index: int) -> bytes:
        return self.data[index * BLOCK_BYTES : (index + 1) * BLOCK_BYTES]

    def list(self) -> BlockList:
        hashes = b"".join(hashlib.sha256(self.block(i)).digest() for i in range(self.n))
        return BlockList(
            site=SITE,
            cid=self.cid,
            sha256=self.sha256,
            size=len(self.data),
            block_bytes=BLOCK_BYTES,
            n=self.n,
            hashes=base64.b64encode(hashes).decode(),
        )

    def entry(self, item: str = "IP-2026-11-0001", **changes: Any) -> ManifestItem:
        now = datetime.now(UTC)
        facts = {"start": now - timedelta(days=1), "end": now + timedelta(days=1), "seconds": 1.0, **changes}
        facts = {"title": f"About {item}", "fresh_s": 7 * 86400, **facts}
        return ManifestItem(item=item, cid=self.cid, sha256=self.sha256, size=len(self.data), **facts)

    def standby(self, item: str = "IP-2026-11-0009", name: str = "flood") -> Standby:
        return Standby(
            item=item,
            title=f"About {item}",
            name=name,
            cid=self.cid,
            sha256=self.sha256,
            size=len(self.data),
            seconds=1.0,
        )


def make_film(folder: Path, name: str, source: str, seconds: float) -> Film:
    path = folder / f"{name}.mp4"
    command = ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"{source}:s=64x48:r=25:d={seconds}"]
    subprocess.run([*command, "-c:v", "libx264", "-pix_fmt", "yuv420p", "-g", "25", str(path)], check=True)
    return Film(path, path.read_bytes())


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Film]:
    folder = tmp_path_factory.mktemp("films")
    made = {c: make_film(folder, c, f"color={c}", 1) for c in ("red", "blue")}
    made["long"] = make_film(folder, "long", "color=lime", 60)
    made["large"] = make_film(folder, "large", "testsrc=decimals=0", 2)
    return made


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[LocalBroker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    async with local_broker(folder, [PLAYER, "gate-2"]) as running:
        yield running


@dataclass
class ScriptedHub:
    """Says what a test tells it to, serves blocks to who reports a lack of them, remembers what players say."""

    broker: LocalBroker
    keyring: Keyring
    topics: Topics = field(default_factory=Topics)
    films: dict[str, Film] = field(default_factory=dict)  # served, by cid
    serving: bool = True
    acknowledging: bool = True
    states: list[PlayerState] = field(default_factory=list)
    reports: list[tuple[str, Report]] = field(default_factory=list)
    proofs: list[ProofOfPlay] = field(default_factory=list)
    sent: list[tuple[str, int]] = field(default_factory=list)  # blocks
    sequence: int = 0
    heard: asyncio.Condition = field(default_factory=asyncio.Condition)
    client: Any = None

    async def run(self, ready: asyncio.Event) -> None:
        login = {"username": self.broker.hub_username, "password": self.broker.hub_password}
        while True:
            with contextlib.suppress(aiomqtt.MqttError, ExceptionGroup):
                async with aiomqtt.Client(
                    "127.0.0.1", self.broker.port, protocol=aiomqtt.ProtocolVersion.V5, **login
                ) as self.client:
                    await self.client.subscribe(
                        [(self.topics.report("+", "+"), 1), (f"{self.topics.namespace}/s/#", 1)]
                    )
                    ready.set()
                    async for message in self.client.messages:
                        async with asyncio.TaskGroup() as group:  # else wait_for in aiomqtt may lose a cancellation
                            group.create_task(self._hear(*self.topics.parse(str(message.topic)), message.payload))
            await asyncio.sleep(0.1)  # the broker is another process: it may be down for a while

    async def until(self, true: Callable[[], Any]) -> Any:
        """What `true` gives, once a message made it something."""
        async with asyncio.timeout(WITHIN_S), self.heard:
            await self.heard.wait_for(lambda: bool(true()))
        return true()

    def signed(self, document: Document) -> bytes:
        return encode_signed(document, self.keyring.online)

    def manifest_of(self, seq: int, *entries: ManifestItem, **changes: Any) -> Manifest:
        issued = changes.pop("issued", datetime.now(UTC) - timedelta(hours=1))
        facts = {
            "site": SITE,
            "aud": PLAYER,
            "keyset": self.keyring.keyset.version,
            "epoch": self.keyring.keyset.epoch,
            "seq": seq,
            "issued": issued,
            "expires": issued + timedelta(days=7),
            "screen": Screen(width=64, height=48),
            "items": entries,
        }
        return Manifest(**facts | changes)

    async def manifest(self, seq: int, *entries: ManifestItem, **changes: Any) -> None:
        await self.say(self.topics.manifest(PLAYER), self.signed(self.manifest_of(seq, *entries, **changes)))

    async def override(self, counter: int, mode: Mode, *films: Standby, **changes: Any) -> None:
        facts = {"site": SITE, "aud": PLAYER, "keyset": 1, "epoch": 1, "counter": counter, "until": None}
        facts |= {"issued": datetime.now(UTC), "mode": mode, "films": films}
        await self.say(self.topics.override(PLAYER), self.signed(Override(**facts | changes)))

    async def say(self, topic: str, payload: bytes) -> None:
        """Whatever it is: what the broker itself could say."""
        await self.client.publish(topic, payload, qos=1, retain=True)

    async def serve(self, *films: Film) -> None:
        for film in films:
            self.films[film.cid] = film
            await self.say(self.topics.block_list(film.cid), self.signed(film.list()))

    async def started(self, run: str) -> None:
        await self.say(self.topics.hub, self.signed(HubState(site=SITE, online=True, run=run, now=datetime.now(UTC))))

    async def send(self, film: Film, indices: Iterable[int], *, data: bytes | None = None, alone: bool = False) -> None:
        topic = self.topics.unicast(PLAYER) if alone else self.topics.group(film.cid)
        for index in indices:
            self.sequence += 1
            self.sent.append((film.cid, index))
            block = Block(
                flags=BlockFlag.UNICAST if alone else BlockFlag.GROUP,
                tag=tag_of(film.cid),
                index=index,
                sequence=self.sequence,
                sent_ms=0,
                data=film.block(index) if data is None else data,
            )
            await self.client.publish(topic, encode_block(block), qos=1)

    def played(self, item: str = "", *, complete: bool | None = None) -> list[Any]:
        """The distinct playbacks that were proved."""
        entries = {(p.chain, e.seq): e for p in self.proofs for e in map(ProofEntry.model_validate_json, p.entries)}
        return [
            e
            for _, e in sorted(entries.items())
            if (not item or e.item == item) and (complete is None or (e.result == "completed") is complete)
        ]

    def last(self) -> PlayerState | None:
        return self.states[-1] if self.states else None

    def shows(self, item: str) -> bool:
        return bool(self.states and self.states[-1].playing and self.states[-1].playing.item == item)

    def reported(self, film: Film) -> Report | None:
        found = [r for cid, r in self.reports if cid == film.cid]
        return found[-1] if found else None

    async def _hear(self, kind: str, cid: str, player: str, payload: bytes) -> None:
        if kind == "state" and payload:
            self.states.append(decode(PlayerState, payload))
        elif kind == "report":
            report = decode_report(payload)
            self.reports.append((cid, report))
            await self._answer(cid, report)
        elif kind == "proof":
            await self._take_proof(decode(ProofOfPlay, payload))
        async with self.heard:
            self.heard.notify_all()

    async def _answer(self, cid: str, report: Report) -> None:
        film = self.films.get(cid)
        if film is None or not self.serving or ReportFlag.DONE in report.flags:
            return
        if report.group_sequence >= self.sequence or not report.group_sequence:
            await self.send(film, [i for i in range(film.n) if not report.have >> i & 1])

    async def _take_proof(self, proof: ProofOfPlay) -> None:
        self.proofs.append(proof)
        if self.acknowledging:
            last = ProofEntry.model_validate_json(proof.entries[-1])
            ack = ProofAck(site=SITE, player=proof.player, chain=proof.chain, seq=last.seq, hash=head_of(proof))
            await self.client.publish(self.topics.control(PLAYER), self.signed(ack), qos=0)


def head_of(proof: ProofOfPlay) -> str:
    """The hash of its last entry."""
    head = bytes.fromhex(proof.prev)
    for text in proof.entries:
        head = hashlib.sha256(head + text.encode()).digest()
    return head.hex()


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return make(tmp_path_factory.mktemp("keys"), SITE, now=datetime.now(UTC) - timedelta(days=1))


@pytest.fixture
def eventually() -> Callable[..., Any]:
    """`await eventually(true)`: for what has no event to await, such as another process; look until it is so."""

    async def look(true: Callable[[], Any], within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            while not true():  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.02)

    return look


@pytest.fixture
async def hub(broker: LocalBroker, keyring: Keyring) -> AsyncIterator[ScriptedHub]:
    scripted, ready = ScriptedHub(broker=broker, keyring=keyring), asyncio.Event()
    async with running(scripted.run(ready)):
        await ready.wait()
        yield scripted


@contextlib.asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    """The body runs beside `work`, which is cancelled after it."""
    async with asyncio.TaskGroup() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


@pytest.fixture
def settings(broker: LocalBroker, tmp_path: Path, films: dict[str, Film], keyring: Keyring) -> PlayerSettings:
    state = tmp_path / "player"
    state.mkdir(exist_ok=True)
    (state / "keychain.json").write_bytes(keyring.chain)
    return PlayerSettings(
        player=PLAYER,
        state_dir=state,
        fallback=films["long"].path,
        broker=BrokerSettings(port=broker.port, password=broker.passwords[PLAYER]),
        screen=ScreenSettings(width=64, height=48),
        mpv=MpvSettings(vo="null", stalled_after_s=3),
    )


@pytest.fixture
def start_agent(settings: PlayerSettings) -> Callable[[], Any]:
    """`async with start_agent() as agent`: a player in this process."""

    @contextlib.asynccontextmanager
    async def start() -> AsyncIterator[Agent]:
        agent = Agent(settings, clock=SystemClock(), log=structlog.get_logger())
        async with running(agent.run()):
            yield agent

    return start


@dataclass
class Command:
    """`siarhub-player` as a process of its own."""

    config: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen([*PROGRAM, "run", "--config", str(self.config)], stderr=subprocess.DEVNULL)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*PROGRAM, *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=20)

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return self.process.wait(timeout=10)

    def mpv_pid(self) -> int:
        return next(iter(self.mpv_pids()))

    def mpv_pids(self) -> list[int]:
        """The mpv that shows pictures; none in the moments before it is started."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [int(pid) for pid in children if "input-ipc-client" in Path(f"/proc/{pid}/cmdline").read_text()]


PROGRAM = [str(Path(sys.executable).with_name("siarhub-player"))]


@pytest.fixture
def command(settings: PlayerSettings, tmp_path: Path) -> Iterable[Command]:
    config = tmp_path / "player.toml"
    config.write_text(
        f'player = "{PLAYER}"\nstate_dir = "{settings.state_dir}"\nfallback = "{settings.fallback}"\n'
        f'[broker]\nport = {settings.broker.port}\npassword = "{settings.broker.password}"\n'
        '[screen]\nwidth = 64\nheight = 48\n[mpv]\nvo = "null"\nstalled_after_s = 3\n'
    )
    made = Command(config)
    yield made
    if made.process is not None and made.process.poll() is None:
        made.end(signal.SIGKILL)
