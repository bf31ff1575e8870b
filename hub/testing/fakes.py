"""Makers of values, and a hub that keeps in memory what a plugin records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from hub.api import (
    Asset,
    Channel,
    CurrentDelivery,
    Delivery,
    DeliveryState,
    Fact,
    Item,
    ItemNumber,
    ItemState,
    JournalEntry,
    MediaInfo,
    MediaKind,
    PluginContext,
    PluginSettings,
    Profile,
    Progress,
    Rendition,
    Sha256,
)
from hub.api.files import sha256_of

NOON = datetime(2026, 11, 22, 4, 0, tzinfo=UTC)  # 12.00 WITA


@dataclass
class FakeClock:
    """A clock that moves only when told to."""

    time: datetime = NOON
    elapsed: float = 0.0

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, by: timedelta) -> None:
        self.time += by
        self.elapsed += by.total_seconds()


@dataclass
class FakeHub:
    """Keeps what a plugin records, in memory; `items`, `current` and `under_way` are what it is told."""

    clock: FakeClock = field(default_factory=FakeClock)
    known: list[Item] = field(default_factory=list)
    current: list[CurrentDelivery] = field(default_factory=list)
    under_way: list[Progress] = field(default_factory=list)
    recorded: list[JournalEntry] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    replans: int = 0
    plugin: str = "test"

    async def deliveries(self, plugin: str) -> Sequence[CurrentDelivery]:
        return list(self.current)

    def replan(self, plugin: str) -> None:
        self.replans += 1

    def progress(self) -> Sequence[Progress]:
        return tuple(self.under_way)

    async def item(self, number: ItemNumber) -> Item | None:
        return next((item for item in self.known if item.number == number), None)

    async def items(self) -> Sequence[Item]:
        return sorted(self.known, key=lambda item: item.number)

    async def entries(
        self, *, after: int = 0, item: ItemNumber | None = None, limit: int = 1000
    ) -> Sequence[JournalEntry]:
        found = [e for e in self.recorded if e.seq > after and (item is None or getattr(e.fact, "item", None) == item)]
        return found[:limit]

    async def record(self, fact: Fact, *, key: str) -> bool:
        return await self.record_many([(key, fact)]) == 1

    async def record_many(self, facts: Sequence[tuple[str, Fact]]) -> int:
        new = [(key, fact) for key, fact in facts if key not in self.keys]
        for key, fact in new:
            self.keys.add(key)
            seq = len(self.recorded) + 1
            self.recorded.append(JournalEntry(seq=seq, recorded_at=self.clock.now(), plugin=self.plugin, fact=fact))
        return len(new)

    def facts(self, kind: type[Any]) -> list[Any]:
        """The recorded facts of one type, oldest first."""
        return [entry.fact for entry in self.recorded if isinstance(entry.fact, kind)]


def make_context(
    settings: PluginSettings, folder: Path, *, hub: FakeHub | None = None, name: str = "test"
) -> PluginContext[Any]:
    """A context whose state folder and people's root stand under `folder`."""
    fake = hub or FakeHub()
    state, root = folder / "state" / name, folder / "root"
    state.mkdir(parents=True, exist_ok=True)
    root.mkdir(parents=True, exist_ok=True)
    return PluginContext(
        name=name,
        settings=settings,
        state_dir=state,
        root=root,
        zone=ZoneInfo("Asia/Makassar"),
        log=structlog.get_logger(name),
        clock=fake.clock,
        records=fake,
        journal=fake,
        translate=lambda message, /, **values: message.format(**values),
        _hub=fake,
    )


def make_media(kind: MediaKind = MediaKind.VIDEO, **changes: Any) -> MediaInfo:
    base = {
        MediaKind.VIDEO: MediaInfo(
            kind=MediaKind.VIDEO, container="mp4", size_bytes=1000, duration_s=6.0, width=1280, height=720, fps=25.0,
            pixel_format="yuv420p", video_codec="h264", audio_codec="aac", audio_channels=2, sample_rate_hz=48000,
        ),
        MediaKind.AUDIO: MediaInfo(
            kind=MediaKind.AUDIO, container="wav", size_bytes=1000, duration_s=6.0, audio_codec="pcm_s16le",
            audio_channels=2, sample_rate_hz=48000,
        ),
        MediaKind.IMAGE: MediaInfo(
            kind=MediaKind.IMAGE, container="png", size_bytes=1000, width=1280, height=720, video_codec="png",
        ),
        MediaKind.DOCUMENT: MediaInfo(kind=MediaKind.DOCUMENT, container="pdf", size_bytes=1000, pages=1),
    }[kind]  # fmt: skip
    return replace(base, **changes)


def make_asset(path: Path | None = None, *, media: MediaInfo | None = None, name: str = "contoh.mp4") -> Asset:
    """An asset; its hash is that of `path` when there is one."""
    digest = sha256_of(path) if path else Sha256("a" * 64)
    return Asset(sha256=digest, path=path or Path("/nowhere"), original_name=name, media=media or make_media())


def make_item(number: str = "IP-2026-11-0001", **changes: Any) -> Item:
    base = Item(
        number=ItemNumber(number),
        state=ItemState.ACTIVE,
        accepted_at=NOON,
        title="Imbauan Siaga Karhutla",
        assets=(make_asset(),),
        channels=frozenset(Channel),
        start=NOON,
        end=NOON + timedelta(days=30),
    )
    return replace(base, **changes)


def make_rendition(path: Path, asset: Asset, profile: Profile, media: MediaInfo | None = None) -> Rendition:
    return Rendition(
        asset=asset.sha256, profile=profile, path=path, sha256=sha256_of(path), media=media or make_media()
    )


def make_current(
    delivery: Delivery, item: Item, *renditions: Rendition, state: DeliveryState = DeliveryState.READY
) -> CurrentDelivery:
    return CurrentDelivery(delivery=delivery, state=state, item=item, renditions=renditions)
