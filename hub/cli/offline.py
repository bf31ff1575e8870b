"""The plugins as commands see them: built from the settings, in a process of its own, on a throw-away folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from hub.api import CurrentDelivery, Fact, Item, ItemNumber, JournalEntry, PluginContext, PluginSettings, Progress
from hub.clock import SystemClock
from hub.messages import catalogue
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginRecord, find_plugins, load_plugin
from hub.settings import Settings


class NoHub:
    """A hub that knows nothing and keeps nothing."""

    async def deliveries(self, plugin: str) -> Sequence[CurrentDelivery]:
        return ()

    def replan(self, plugin: str) -> None:
        return

    def progress(self) -> Sequence[Progress]:
        return ()

    async def item(self, number: ItemNumber) -> Item | None:
        return None

    async def items(self) -> Sequence[Item]:
        return ()

    async def entries(self, **_: Any) -> Sequence[JournalEntry]:
        return ()

    async def record(self, fact: Fact, *, key: str) -> bool:
        return False

    async def record_many(self, facts: Sequence[tuple[str, Fact]]) -> int:
        return 0


@contextmanager
def plugins_offline(settings: Settings) -> Iterator[tuple[PluginHost, list[PluginRecord]]]:
    """Every plugin that the settings name, brought up beside a running hub without touching its state."""
    host, hub = PluginHost(), NoHub()
    with TemporaryDirectory(prefix="siarhub-") as folder:

        def context_for(name: str, table: PluginSettings, module: Path) -> PluginContext[Any]:
            state_dir = Path(folder) / name
            state_dir.mkdir()
            return PluginContext(
                name=name, settings=table, state_dir=state_dir, root=settings.hub.root, zone=settings.hub.zone,
                log=structlog.get_logger(name), clock=SystemClock(), records=hub, journal=hub,
                translate=catalogue(settings.hub.language, module.parent), _hub=hub,
                _kept=settings.hub.state_dir / "plugins" / name,
            )  # fmt: skip

        found = find_plugins(settings.hub.plugin_dir)
        yield host, [load_plugin(host, one, settings.plugins.get(one.name, {}), context_for) for one in found]
