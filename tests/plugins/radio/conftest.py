from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hub.api import Aired, Delivery, DeliveryState, Item, MediaKind
from hub.testing import FakeHub, make_asset, make_context, make_current, make_item, make_media, make_rendition
from plugins.radio.check import make_tone
from plugins.radio.local_playout import LocalPlayout
from plugins.radio.plugin import RadioPlugin
from plugins.radio.settings import RadioSettings
from tests.fakes.liquidsoap import FakeLiquidsoap

NUMBERS = itertools.count(1)


class SystemClock:
    """The real clock, with a step that a test may add."""

    step = timedelta()
    elapsed = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + self.step

    def monotonic(self) -> float:
        return time.monotonic()


async def until(condition: Callable[[], Any], *, within_s: float = 20.0) -> Any:
    """Wait for something outside this process."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.03)
    return found


@dataclass
class Station:
    """A hub with the radio plugin and one executor."""

    folder: Path
    executor: Any
    settings: dict[str, Any]

    def __post_init__(self) -> None:
        self.clock = SystemClock()
        self.hub = FakeHub(clock=self.clock)  # type: ignore[arg-type]
        self.reboot()

    def reboot(self) -> None:
        """A new process, as far as the plugin can tell."""
        base = {"socket": self.executor.socket, "media_folder": self.executor.media_folder}
        settings = RadioSettings(**(base | {"as_run": self.executor.as_run, "command_timeout_s": 5} | self.settings))
        self.plugin = RadioPlugin(make_context(settings, self.folder, hub=self.hub, name="radio"))

    @asynccontextmanager
    async def on_duty(self) -> AsyncIterator[None]:
        """The plugin's services run while the block does."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(service.run()) for service in self.plugin.hub_services()]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def deliver(self, *, hz: float = 1000.0, seconds: float = 0.5, **changes: Any) -> Item:
        """An item whose tone is held by the radio."""
        now = self.clock.now()
        window = {"start": now - timedelta(seconds=1), "end": now + timedelta(days=1)}
        media = make_media(MediaKind.AUDIO, duration_s=seconds)
        originals = self.folder / "renditions"
        originals.mkdir(exist_ok=True)
        name = await asyncio.to_thread(make_tone, originals, hz=hz, seconds=seconds)
        asset = make_asset(originals / f"{name}.wav", media=media)
        item = make_item(f"IP-2026-11-{next(NUMBERS):04d}", assets=(asset,), **(window | changes))
        (delivery,) = await self.plugin.hub_plan_deliveries(item)
        rendition = make_rendition(asset.path, asset, delivery.wants[0].profile, media)
        await self._give(delivery, item, rendition)
        return item

    async def _give(self, delivery: Delivery, item: Item, rendition: Any) -> None:
        self.hub.current.append(make_current(delivery, item, rendition))
        await self.plugin.hub_deliver(delivery, item, [rendition])
        self.hub.current[-1] = make_current(delivery, item, rendition, state=DeliveryState.DELIVERED)

    def aired(self, item: Item) -> list[Aired]:
        return [fact for fact in self.hub.facts(Aired) if fact.item == item.number]

    async def outcome(self, item: Item, *, within_s: float = 20.0) -> Aired:
        """How its first airing ended, when it has."""
        found: list[Aired] = await until(lambda: self.aired(item), within_s=within_s)
        return found[0]


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"BUSY": 0.1, "IDLE": 0.3, "UNLINKED": 0.2}.items():
        monkeypatch.setattr(f"plugins.radio.playout.{name}_PAUSE_S", seconds)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def one_liquidsoap(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalPlayout]:
    """The real one, started once: for tests that leave it as they found it."""
    playout = LocalPlayout(tmp_path_factory.mktemp("liq"))
    await playout.start()
    yield playout
    await playout.stop()


@pytest_asyncio.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeLiquidsoap]:
    executor = FakeLiquidsoap(tmp_path)
    await executor.start()
    yield executor
    await executor.stop()


@pytest.fixture(params=["fake", "real"])
def executor(request: pytest.FixtureRequest) -> Any:
    """The fake and the real one: what a test promises must hold for both."""
    return request.getfixturevalue("fake" if request.param == "fake" else "one_liquidsoap")


@pytest.fixture
def station(executor: Any, tmp_path: Path) -> Station:
    return Station(folder=tmp_path, executor=executor, settings={})


@pytest.fixture
def fake_station(fake: FakeLiquidsoap, tmp_path: Path) -> Station:
    return Station(folder=tmp_path, executor=fake, settings={})
