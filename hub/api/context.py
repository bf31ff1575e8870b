"""What the hub lends a plugin. Protocols only: the hub implements them, `hub.testing` has fakes for tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from hub.api.facts import Fact, JournalEntry
from hub.api.models import CurrentDelivery, Item, ItemNumber, Progress


class PluginSettings(BaseModel):
    """Base of every `[plugins.<name>]` table: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = Field(True, description="false switches this plugin off.")


SettingsT = TypeVar("SettingsT", bound=PluginSettings, covariant=True)


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, aware, in UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back, for durations."""


class Log(Protocol):
    """A structlog logger, bound to the plugin's name: events in the past tense, facts as keywords."""

    def debug(self, event: str, **facts: Any) -> Any: ...
    def info(self, event: str, **facts: Any) -> Any: ...
    def warning(self, event: str, **facts: Any) -> Any: ...
    def error(self, event: str, **facts: Any) -> Any: ...
    def exception(self, event: str, **facts: Any) -> Any: ...


class Records(Protocol):
    """The hub's records, read only."""

    async def item(self, number: ItemNumber) -> Item | None: ...

    async def items(self) -> Sequence[Item]:
        """All items, oldest number first."""

    async def entries(
        self, *, after: int = 0, item: ItemNumber | None = None, limit: int = 1000
    ) -> Sequence[JournalEntry]:
        """Journal entries with a greater `seq` than `after`, oldest first; those of one item if asked."""


class Journal(Protocol):
    async def record(self, fact: Fact, *, key: str) -> bool:
        """Keep a fact for ever: durable when this returns. The same key again changes nothing and returns False."""

    async def record_many(self, facts: Sequence[tuple[str, Fact]]) -> int:
        """Keep many (key, fact) in one commit; returns how many were new."""


class Translate(Protocol):
    def __call__(self, message: str, /, **values: object) -> str:
        """The message in the office's language, its `{names}` filled in.

        The catalogue is `locale/<language>.po` beside the plugin's module.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginContext(Generic[SettingsT]):
    """All that a plugin gets. It keeps no other way into the hub."""

    name: str
    settings: SettingsT
    state_dir: Path  # the plugin's own, kept for ever, exists
    root: Path  # the folder under which people's folders stand (Disetujui, Arsip, ...)
    zone: ZoneInfo  # of the people: Asia/Makassar
    log: Log
    clock: Clock
    records: Records
    journal: Journal
    translate: Translate
    _hub: Hub
    _kept: Path | None = None

    @property
    def kept_dir(self) -> Path:
        """Where a running hub keeps this plugin's state, to be read only.

        It is `state_dir`, but for `siarhub check` and `plan`, which give a folder that is thrown away.
        """
        return self._kept or self.state_dir

    async def deliveries(self) -> Sequence[CurrentDelivery]:
        """The plugin's own deliveries to reconcile against.

        Withdrawn, failed and expired ones drop out, as do those of ended items.
        """
        return await self._hub.deliveries(self.name)

    def replan(self) -> None:
        """Ask the hub to call `hub_plan_deliveries` again for every item in its window (a screen or a slot changed)."""
        self._hub.replan(self.name)

    def progress(self) -> Sequence[Progress]:
        """What the hub transcodes just now and how far it is, from memory. () when nothing is transcoded."""
        return self._hub.progress()


class Hub(Protocol):
    """The part of the hub behind a context; plugins do not use it directly."""

    async def deliveries(self, plugin: str) -> Sequence[CurrentDelivery]: ...
    def replan(self, plugin: str) -> None: ...
    def progress(self) -> Sequence[Progress]: ...
