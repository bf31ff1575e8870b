"""A player's record made by hand, the hub's keeper of proofs over a fake journal, and the broker between them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog

from hub.api import Fact, ItemNumber, Played, Sha256
from hub.testing import FakeClock, FakeHub
from plugins.videotron.complaints import Complaints
from plugins.videotron.proofs.keeper import ProofKeeper
from plugins.videotron.proofs.store import FILE_NAME, ProofStore
from plugins.videotron.protocol import (
    Document,
    ProofAck,
    ProofEntry,
    ProofOfPlay,
    SigningKey,
    Topics,
    decode_signed,
    encode_signed,
    key_id,
)
from plugins.videotron.protocol.chain import BEGINNING, link
from plugins.videotron.store import Given

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)
ITEM, FILM = "IP-2026-11-0001", "a" * 64
HUB_KEY = SigningKey(bytes(range(32)))


class Cut(Exception):
    """The power of the hub, in a test."""


@dataclass
class Record:
    """A player's chain, made by hand: what it says is up to the test."""

    player: str = "gate-1"
    key: SigningKey = field(default_factory=SigningKey.new)
    chain: str = field(default_factory=lambda: secrets.token_hex(8))
    boot: str = "00000000000000aa"
    texts: list[str] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=lambda: [BEGINNING])

    def play(self, *, at: datetime = NOON, **changes: Any) -> ProofEntry:
        """One more entry."""
        facts = {"item": ITEM, "title": "Cegah DBD", "cid": FILM[:32], "sha256": FILM, "epoch": 1, "manifest": 7}
        facts |= {"started_at": at + timedelta(seconds=10 * len(self.texts)), "seconds": 9.5, "result": "completed"}
        entry = ProofEntry(**{"seq": len(self.texts) + 1, "boot": self.boot, **facts, **changes})
        self.texts.append(entry.model_dump_json())
        self.hashes.append(link(self.hashes[-1], self.texts[-1]))
        return entry

    def plays(self, count: int, **changes: Any) -> Record:
        for _ in range(count):
            self.play(**changes)
        return self

    def proof(self, first: int = 1, last: int | None = None, **changes: Any) -> ProofOfPlay:
        last = len(self.texts) if last is None else last
        facts = {"player": self.player, "chain": self.chain, "prev": self.hashes[first - 1].hex()}
        return ProofOfPlay(**{**facts, "entries": tuple(self.texts[first - 1 : last]), **changes})

    def sent(self, first: int = 1, last: int | None = None, **changes: Any) -> bytes:
        return encode_signed(self.proof(first, last, **changes), self.key)

    def fork(self, after: int) -> Record:
        """Another record that is the same up to there."""
        return Record(
            player=self.player,
            key=self.key,
            chain=self.chain,
            texts=self.texts[:after],
            hashes=self.hashes[: after + 1],
        )


class Journal(FakeHub):
    """Keeps facts by key; the power can be cut before or after it wrote them."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock=clock)
        self.by_key: dict[str, Fact] = {}
        self.cut_before = self.cut_after = False

    async def record_many(self, facts: Iterable[tuple[str, Fact]]) -> int:
        if self.cut_before:
            raise Cut
        new = {key: fact for key, fact in facts if key not in self.by_key}
        self.by_key |= new
        if self.cut_after:
            raise Cut
        return len(new)

    def between(self, first: str, last: str) -> Iterator[tuple[str, Fact]]:
        return iter(sorted((key, fact) for key, fact in self.by_key.items() if first <= key <= last))

    @property
    def plays(self) -> list[Played]:
        return [fact for fact in self.by_key.values() if isinstance(fact, Played)]


class Films:
    """What each player was given."""

    def given(self, player: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Given]:
        given = Given(delivery=f"{ITEM}/{player}", item=ItemNumber(ITEM), sha256=Sha256(FILM))
        return {key: given for key in keys if key == (ITEM, FILM[:32])}


@dataclass
class Wire:
    """What the hub says to its players."""

    acks: list[ProofAck] = field(default_factory=list)
    said: asyncio.Event = field(default_factory=asyncio.Event)
    cut: bool = False

    async def publish(self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False) -> None:
        if self.cut:
            raise Cut
        ack = decode_signed(ProofAck, payload, {key_id(HUB_KEY.public): HUB_KEY.public})
        assert topic == Topics().control(ack.player)
        self.acks.append(ack)
        self.said.set()


class Hub:
    """The hub's side of proofs; `restart` is another process on the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock(NOON + timedelta(hours=1))
        self.journal = Journal(self.clock)
        self.wire = Wire()
        self.keys: dict[str, SigningKey] = {}
        self.start()

    def start(self) -> None:
        self.store = ProofStore(self.folder / FILE_NAME)
        self.complaints = Complaints(clock=self.clock, log=structlog.get_logger())
        self.keeper = ProofKeeper(
            topics=Topics(),
            store=Films(),  # type: ignore[arg-type]
            proofs=self.store,
            sign=self._sign,
            site="kalsel",
            journal=self.journal,
            complaints=self.complaints,
            clock=self.clock,
            log=structlog.get_logger(),
        )

    def restart(self) -> None:
        self.store.close()
        self.journal.cut_before = self.journal.cut_after = self.wire.cut = False
        self.start()

    def enrol(self, record: Record) -> None:
        self.keys[record.player] = record.key

    async def hear(self, payload: bytes, player: str = "gate-1") -> list[ProofAck]:
        """Take what came, do all that follows from it, and say what was answered. Raises: WireError, Cut."""
        key = self.keys[player].public
        self.keeper.take(player, payload, {key_id(key): key})
        self.wire.acks.clear()
        await self.settle()
        return list(self.wire.acks)

    async def settle(self) -> None:
        """One session with the broker, as long as there is anything to do."""
        cut: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as group:
                task = group.create_task(self.keeper.run(self.wire))  # type: ignore[arg-type]
                await self._idle()
                task.cancel()
        except* Cut as found:
            cut = found.exceptions[0]
        if cut is not None:  # raised in there, Python before 3.11.4 would put it into a group
            raise cut

    async def _idle(self) -> None:
        """Until the keeper has said so much and waits for more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(5):
                while not (self.keeper._waiting.empty() and self.keeper._waiting._getters) and not self._tries_later:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)

    @property
    def _tries_later(self) -> bool:
        return "cannot be kept" in self.complaints.recent().get("proofs", "")

    def _sign(self, document: Document) -> bytes:
        return encode_signed(document, HUB_KEY)


@pytest.fixture
def record() -> Record:
    return Record()


@pytest.fixture
def hub(tmp_path: Path, record: Record) -> Iterator[Hub]:
    made = Hub(tmp_path)
    made.enrol(record)
    yield made
    made.store.close()


@pytest.fixture
def tools() -> Any:
    """What test modules need of this file: importlib mode has no package to import it from."""

    class Tools:
        Hub = Hub
        Record = Record
        Cut = Cut
        noon = NOON
        item = ITEM
        film = FILM

    return Tools
