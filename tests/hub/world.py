"""The hub's inside on a temporary ledger: real database, host, workflow and engine; a clock that moves when told."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from hub.api import (
    Asset,
    AudioProfile,
    Channel,
    Delivery,
    DeliveryState,
    Draft,
    Item,
    JournalEntry,
    MediaInfo,
    MediaKind,
    Outcome,
    Pending,
    Profile,
    Receipt,
    Rendition,
    Sha256,
    VideoProfile,
    Want,
    hookimpl,
)
from hub.api.files import sha256_of
from hub.jobs.engine import Engine
from hub.jobs.settings import JobSettings
from hub.journal import Bell, LedgerRecords, PluginJournal
from hub.ledger import deliveries, items
from hub.ledger.database import Database
from hub.ledger.wire import stamp
from hub.media.pace import Pace
from hub.media.planner import TranscodePlan, plan
from hub.media.transcoder import NotMade
from hub.messages import catalogue
from hub.plugin_host.host import PluginHost
from hub.testing import NOON, FakeClock, make_asset, make_media
from hub.transcoding import Transcoding
from hub.workflow import Workflow

WITA = ZoneInfo("Asia/Makassar")
SOUND = AudioProfile()
SMALL, LARGE = VideoProfile(width=64, height=48), VideoProfile(width=128, height=96)
QUICK = {"gather_s": 0.0, "first_retry_s": 5.0, "bug_attempts": 3}


class Place:
    """A destination that keeps what it is given in memory; `on_*` overrule, and may wait or raise."""

    def __init__(self, name: str, *screens: str, profile: Profile = SMALL, pending: bool = False) -> None:
        self.name = name
        self.screens = list(screens or ("one",))
        self.profile = profile
        self.pending = pending
        self.holds: dict[str, tuple[Rendition, ...]] = {}
        self.calls: list[str] = []
        self.told: list[JournalEntry] = []
        self.objections: list[str] = []
        self.on_plan: Callable[[Item], Awaitable[None]] | None = None
        self.on_deliver: Callable[[Delivery], Awaitable[None]] | None = None
        self.on_withdraw: Callable[[Item], Awaitable[None]] | None = None
        self.on_check: Callable[[Draft], Awaitable[None]] | None = None

    @hookimpl
    async def hub_check_item(self, draft: Draft) -> Sequence[str]:
        if self.on_check:
            await self.on_check(draft)
        return self.objections

    @hookimpl
    async def hub_plan_deliveries(self, item: Item) -> Sequence[Delivery]:
        self.calls.append(f"plan {item.number}")
        screens = list(self.screens)
        if self.on_plan:
            await self.on_plan(item)
        wants = tuple(Want(asset=asset.sha256, profile=self.profile) for asset in item.assets)
        return [Delivery(key=f"{item.number}/{one}", item=item.number, destination=one, wants=wants) for one in screens]

    @hookimpl
    async def hub_deliver(self, delivery: Delivery, item: Item, renditions: Sequence[Rendition]) -> Receipt | Pending:
        self.calls.append(f"deliver {delivery.key}")
        if self.on_deliver:
            await self.on_deliver(delivery)
        self.holds[delivery.key] = tuple(renditions)
        return Pending() if self.pending else Receipt()

    @hookimpl
    async def hub_withdraw(self, item: Item, reason: str) -> None:
        self.calls.append(f"withdraw {item.number}: {reason}")
        if self.on_withdraw:
            await self.on_withdraw(item)
        for key in [key for key in self.holds if key.startswith(item.number)]:
            del self.holds[key]

    @hookimpl
    async def hub_order(self, order: Any) -> Outcome:
        self.calls.append(f"order {order.name} {order.id}")
        return Outcome(done=True, message=f"{order.name} done")

    @hookimpl
    async def hub_facts(self, entries: Sequence[JournalEntry]) -> None:
        self.told += entries


@dataclass
class Kitchen:
    """In place of the transcoder: writes a small file for each profile, and says what it is told to say."""

    folder: Path
    runs: list[tuple[str, tuple[Profile, ...]]] = field(default_factory=list)
    refuse: dict[Profile, NotMade] = field(default_factory=dict)
    on_make: Callable[[Asset], Awaitable[None]] | None = None
    shares: list[tuple[int, bool]] = field(default_factory=list)  # (threads, urgent) of each run

    def lent(self, *, threads: int, urgent: bool) -> Kitchen:
        self.shares.append((threads, urgent))
        return self

    async def make(
        self, asset: Asset, profiles: Sequence[Profile], *, on_progress: Callable[[float], None] | None = None,
        on_plan: Callable[[TranscodePlan], None] | None = None,
    ) -> Sequence[Rendition | NotMade]:  # fmt: skip
        self.runs.append((asset.sha256, tuple(profiles)))
        if on_plan and on_progress:
            on_plan(plan(asset, profiles))
            on_progress(0.5)
        if self.on_make:
            await self.on_make(asset)
        return [self.refuse.get(profile) or self._file(asset, profile) for profile in profiles]

    def _file(self, asset: Asset, profile: Profile) -> Rendition:
        self.folder.mkdir(exist_ok=True)
        data = f"{asset.sha256} {profile}".encode()
        draft = self.folder / "draft"
        draft.write_bytes(data)
        digest = sha256_of(draft)
        path = draft.rename(self.folder / digest)
        media = replace(make_media(), size_bytes=len(data))
        return Rendition(asset=asset.sha256, profile=profile, path=path, sha256=digest, media=media)


class World:
    """Everything between a draft and a destination."""

    def __init__(self, folder: Path, *places: Place, **settings: Any) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.log = structlog.get_logger("test")
        self.settings = JobSettings(**{**QUICK, **settings})
        self.database = Database(folder / "ledger.db")
        self.host = PluginHost()
        self.places = {place.name: place for place in places}
        for place in places:
            self.host.register(place, place.name)
        self.kitchen: Any = Kitchen(folder / "renditions")
        self.bell = Bell()
        self.start()

    def start(self) -> None:
        """Build what a start of the hub builds; the ledger and the places stay."""
        self._changed = asyncio.Event()
        pace = Pace(self.folder / "pace.json")
        self.transcoding = Transcoding(
            self.database, self.kitchen, self.settings, pace, self.clock, self.log, catalogue("en")
        )
        self.workflow = Workflow(
            self.database, self.host, self.transcoding, self.settings, self.clock, self.log, catalogue("en"), self.wake
        )
        self.engine = Engine(self.database, self.workflow.works, self.settings, self.clock, self.log, self._changed.set)

    def close(self) -> None:
        self.database.close()

    def wake(self) -> None:
        self.engine.wake()
        self.bell.ring()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(self.engine.run(), name="engine")
            try:
                yield
            finally:
                task.cancel()

    async def settle(self) -> None:
        """Run the engine until no job is due."""
        async with self.running():
            await self.settled()

    async def settled(self) -> None:
        """Wait until no job runs or is due now."""
        while True:
            self._changed.clear()
            if not await self.database.read(due, self.clock.now()):
                return
            self.engine.wake()
            async with asyncio.timeout(20):
                await self._changed.wait()

    async def later(self, **by: float) -> None:
        """Let time pass, and whatever is due then happen."""
        self.clock.advance(timedelta(**by))
        await self.settle()

    async def accept(self, name: str = "a.mp4", **changes: Any) -> Item:
        """Accept a draft of one file whose bytes follow from its name."""
        return await self.database.write(
            items.accept, self.draft(name, **changes), name=name, sidecar="", plugins=self.host.names,
            now=self.clock.now(), zone=WITA,
        )  # fmt: skip

    def draft(self, name: str = "a.mp4", **changes: Any) -> Draft:
        path = self.folder / name
        path.write_bytes(name.encode())
        base = Draft(
            title=name, assets=(make_asset(path, name=name),), channels=frozenset(Channel),
            start=NOON, end=NOON + timedelta(days=30),
        )  # fmt: skip
        return replace(base, **changes)

    async def states(self, item: Item) -> dict[str, str]:
        """destination -> state of every delivery of the item."""
        rows = await self.database.read(deliveries.of_item, item.number)
        return {f"{row.plugin}/{row.delivery.destination}": row.state.value for row in rows}

    async def row(self, item: Item, plugin: str, screen: str = "one") -> deliveries.DeliveryRow:
        found = await self.database.read(deliveries.get, plugin, f"{item.number}/{screen}")
        assert found is not None
        return found

    async def state(self, item: Item) -> str:
        found = await self.database.read(items.get, item.number)
        assert found is not None
        return found.state.value

    async def facts(self) -> list[Any]:
        return [entry.fact for entry in await LedgerRecords(self.database).entries(limit=100_000)]

    def journal(self, plugin: str) -> PluginJournal:
        return PluginJournal(plugin, self.database, self.clock, WITA, self.bell, self.log)


def due(db: sqlite3.Connection, now: datetime) -> int:
    row = db.execute(
        "SELECT count(*) FROM job WHERE state = 'running' OR state = 'queued' AND not_before <= ?", (stamp(now),)
    )
    return int(row.fetchone()[0])


def sound_asset(path: Path) -> Asset:
    media = MediaInfo(kind=MediaKind.AUDIO, container="wav", size_bytes=path.stat().st_size, audio_codec="pcm_s16le")
    return make_asset(path, media=media, name=path.name)


__all__ = ["LARGE", "SMALL", "SOUND", "WITA", "DeliveryState", "Kitchen", "Place", "Sha256", "World", "sound_asset"]
