"""What a plugin's own commands get as `click.Context.obj`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from hub.api.context import PluginSettings
from hub.api.models import Outcome


class CommandContext(Protocol):
    @property
    def root(self) -> Path:
        """The folder under which people's folders stand."""

    @property
    def zone(self) -> ZoneInfo:
        """The people's time zone."""

    def settings(self, plugin: str, model: type[PluginSettings]) -> PluginSettings:
        """The validated `[plugins.<name>]` table; exits with 2 and every error when it is wrong."""

    def state_dir(self, plugin: str) -> Path:
        """The plugin's state folder: open databases there read-only."""

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        """Write an order in the ledger, wake the daemon, wait for what came of it."""
