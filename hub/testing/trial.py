"""One plugin on trial: built in a folder of its own, and asked about items made up for it."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from unittest import SkipTest

from pydantic import ValidationError

from hub.api import (
    Aired,
    AiringState,
    AudioProfile,
    Delivered,
    Delivery,
    DeliveryChanged,
    DeliveryFailed,
    DeliveryState,
    Fact,
    Filed,
    Item,
    ItemChanged,
    ItemState,
    JournalEntry,
    MediaKind,
    OrderGiven,
    Played,
    Refused,
    Rejected,
    Rendition,
    RetryLater,
    Sha256,
    ThumbnailProfile,
    VideoProfile,
    Want,
)
from hub.plugin_host.host import PluginHost
from hub.testing.fakes import NOON, FakeHub, make_asset, make_context, make_item, make_media, make_rendition

T = TypeVar("T")
ANSWER_WITHIN_S = 20.0
NAME = "trial"
ENDINGS = {MediaKind.VIDEO: "mp4", MediaKind.AUDIO: "wav", MediaKind.IMAGE: "png", MediaKind.DOCUMENT: "pdf"}


class ContractBroken(AssertionError):
    """What the plugin does against the rules."""


class Trial:
    """Builds the plugin as the hub does, again and again over the same state; knows an item of each kind of media."""

    def __init__(self, plugin_class: Any, settings: Mapping[str, Any], folder: Path, *, size_bytes: int = 4096) -> None:
        self.hub = FakeHub()
        self.folder = folder
        self._class = plugin_class
        self._settings = settings
        self._size_bytes = size_bytes
        self.items = [self._item(number, kind) for number, kind in enumerate(MediaKind, start=1)]
        self.hub.known = list(self.items)

    def build(self) -> object:
        """A new instance, as after a restart of the hub. Raises: SkipTest when its settings keep it down."""
        try:
            settings = self._class.Settings.model_validate(dict(self._settings))
        except ValidationError as error:
            raise SkipTest("its settings do not validate") from error
        return self._class(make_context(settings, self.folder, hub=self.hub, name=NAME))

    def start(self, plugin: object | None = None) -> PluginHost:
        """A host with a new instance in it. Raises: SkipTest when the plugin says that it cannot run here."""
        host = PluginHost()
        host.register(plugin or self.build(), NAME)
        if problems := host.check_environment(NAME):
            raise SkipTest(f"it cannot run here: {'; '.join(problems)}")
        return host

    async def plans(self, host: PluginHost) -> list[tuple[Item, Delivery]]:
        """Every delivery that the plugin plans of the trial's items. Raises: SkipTest when there is none."""
        planned = [
            (item, delivery) for item in self.items for delivery in await answer(host.plan_deliveries(NAME, item))
        ]
        if not planned:
            raise SkipTest("it plans no delivery of a video, a sound, a picture or a document")
        return planned

    def renditions(self, delivery: Delivery, item: Item) -> tuple[Rendition, ...]:
        """Files as the hub would have made them. They hold no real media, only bytes of their own."""
        return tuple(self._rendition(want, item) for want in delivery.wants)

    def entries(self, item: Item, deliveries: Sequence[Delivery]) -> list[JournalEntry]:
        """One fact of every type about an item, as the journal tells them."""
        key = deliveries[0].key if deliveries else "none"
        facts = [*_facts(item, key), ItemChanged(item=item.number, state=ItemState.WITHDRAWN, reason="uji")]
        return [
            JournalEntry(seq=seq, recorded_at=NOON, plugin="hub", fact=fact) for seq, fact in enumerate(facts, start=1)
        ]

    def _item(self, number: int, kind: MediaKind) -> Item:
        name = f"contoh-{kind}.{ENDINGS[kind]}"
        path = self._file(f"originals/{name}", name)
        media = make_media(kind, size_bytes=path.stat().st_size)
        return make_item(
            f"IP-2026-11-{number:04}", assets=(make_asset(path, media=media, name=name),), title=f"Uji {kind}"
        )

    def _rendition(self, want: Want, item: Item) -> Rendition:
        asset = next((one for one in item.assets if one.sha256 == want.asset), None)
        if asset is None:
            raise ContractBroken(f"it wants a file that is not of {item.number}: {want.asset}")
        path = self._file(f"renditions/{item.number}-{abs(hash(want.profile))}", f"{item.number} {want.profile}")
        media = make_media(_MADE[type(want.profile)], size_bytes=path.stat().st_size)
        if not isinstance(want.profile, AudioProfile):
            media = replace(media, width=want.profile.width, height=want.profile.height)
        return make_rendition(path, asset, want.profile, media)

    def _file(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{content}\n".encode()
        path.write_bytes((line * (self._size_bytes // len(line) + 1))[: self._size_bytes])
        return path


_MADE = {VideoProfile: MediaKind.VIDEO, AudioProfile: MediaKind.AUDIO, ThumbnailProfile: MediaKind.IMAGE}


async def answer(asked: Awaitable[T]) -> T:
    """What a hook answers. Raises: ContractBroken when it takes too long; SkipTest when it may say no."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S) as limit:
            return await asked
    except RetryLater as error:
        raise SkipTest(f"its destination is away: {error}") from error
    except Rejected as error:
        raise SkipTest(f"it rejects the trial's item: {error}") from error
    except TimeoutError as error:
        if limit.expired():
            raise ContractBroken(f"it did not answer within {ANSWER_WITHIN_S:g} s") from error
        raise


def call(plugin: object, hook: str, **arguments: object) -> Awaitable[Any]:
    """Call a hook directly, with those arguments that it declares."""
    function = getattr(plugin, hook)
    return function(**{name: arguments[name] for name in inspect.signature(function).parameters})  # type: ignore[no-any-return]


def _facts(item: Item, key: str) -> list[Fact]:
    number, end = item.number, NOON + timedelta(seconds=6)
    return [
        ItemChanged(item=number, state=ItemState.ACCEPTED),
        DeliveryChanged(
            plugin=NAME, delivery=key, item=number, destination="d", state=DeliveryState.DELIVERED, reason=""
        ),
        Refused(name="salah.mp4", reason="rusak"),
        OrderGiven(order=1, name="retry", who="petugas", why="uji", done=True, outcome="selesai"),
        Delivered(delivery=key, at=NOON),
        DeliveryFailed(delivery=key, at=NOON, reason="uji"),
        Played(
            delivery=key, item=number, destination="d", rendition=Sha256("b" * 64), started_at=NOON, seconds=6.0,
            complete=True,
        ),
        Aired(
            delivery=key, item=number, airing="a1", destination="d", state=AiringState.AIRED, at=end, seconds=6.0,
        ),
        Filed(item=number, month="2026-11", path=f"2026/2026-11 November/data/{number}"),
    ]  # fmt: skip
