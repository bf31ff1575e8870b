"""What a plugin's own commands get as `click.Context.obj`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from hub.api.context import PluginSettings
from hub.api.facts import Fact
from hub.api.models import Outcome


class CommandContext(Protocol):
    @property
    def root(self) -> Path:
        """The folder under which people's folders stand."""

    @property
    def drop_folder(self) -> Path:
        """The watched folder, into which approved content is dropped."""

    @property
    def caller(self) -> str:
        """Who runs this command: the login name, and the one behind sudo."""

    @property
    def zone(self) -> ZoneInfo:
        """The people's time zone."""

    def settings(self, plugin: str, model: type[PluginSettings]) -> PluginSettings:
        """The validated `[plugins.<name>]` table; exits with 2 and every error when it is wrong."""

    def state_dir(self, plugin: str) -> Path:
        """The plugin's state folder: open databases there read-only."""

    def facts(self, plugin: str, *, first: str, last: str) -> Iterator[tuple[str, Fact]]:
        """What the plugin has recorded in the journal under the keys from `first` to `last`, in the order of the keys.

        Read from the ledger as it stands, with the hub running or not; exits with 1 when there is none.
        """

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        """Write an order in the ledger, wake the daemon, wait for what came of it."""
