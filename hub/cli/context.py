"""What every command works with: the settings, the ledger to read, and orders to give."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from hub import control, settings, vouching
from hub.api import Fact, HubError, Outcome, PluginSettings
from hub.ledger import facts as journal
from hub.ledger.database import open_for_reading
from hub.plugin_host.loader import explain

WRONG_USAGE = 2


class Context:
    """`click.Context.obj` of every command; implements `hub.api.cli.CommandContext`."""

    def __init__(self) -> None:
        self.config: Path | None = None
        self._settings: settings.Settings | None = None

    @property
    def console(self) -> Console:
        return Console()

    @property
    def all_settings(self) -> settings.Settings:
        """The settings; exits with 2 and every mistake when they are wrong."""
        if self._settings is None:
            try:
                self._settings = settings.load(settings.find(self.config))
            except settings.SettingsError as error:
                click.echo(_who_may_read(error) or str(error), err=True)
                raise SystemExit(WRONG_USAGE) from error
        return self._settings

    @property
    def root(self) -> Path:
        return self.all_settings.hub.root

    @property
    def drop_folder(self) -> Path:
        return self.root / self.all_settings.folders.approved

    @property
    def caller(self) -> str:
        return vouching.caller()

    @property
    def zone(self) -> ZoneInfo:
        return self.all_settings.hub.zone

    @property
    def hub_state_dir(self) -> Path:
        return self.all_settings.hub.state_dir

    @property
    def ledger_path(self) -> Path:
        return self.hub_state_dir / "ledger.db"

    def ledger(self) -> sqlite3.Connection:
        """The ledger, to read; exits with 1 and the remedy when there is none."""
        try:
            return open_for_reading(self.ledger_path)
        except (HubError, sqlite3.Error) as error:
            raise fail(f"{error}") from error

    def settings(self, plugin: str, model: type[PluginSettings]) -> PluginSettings:
        try:
            return model.model_validate(self.all_settings.plugins.get(plugin, {}))
        except ValidationError as error:
            click.echo("\n".join(explain(error, f"plugins.{plugin}")), err=True)
            raise SystemExit(WRONG_USAGE) from error

    def state_dir(self, plugin: str) -> Path:
        return self.hub_state_dir / "plugins" / plugin

    def facts(self, plugin: str, *, first: str, last: str) -> Iterator[tuple[str, Fact]]:
        with closing(self.ledger()) as ledger:
            yield from journal.by_key(ledger, plugin, first, last)

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        return self.give(name, args, why, may_wait=False)

    def give(self, name: str, args: Mapping[str, str], why: str, *, may_wait: bool) -> Outcome:
        try:
            return control.give(self.hub_state_dir, self.ledger_path, name, args, why, may_wait=may_wait)
        except (HubError, OSError, sqlite3.Error) as error:
            remedy = "ask to be added to the group that may give orders, or use sudo"
            return Outcome(done=False, message=f"the order could not be written: {error}; {remedy}")


def _who_may_read(error: settings.SettingsError) -> str:
    cause = error.__cause__
    if not isinstance(cause, PermissionError):
        return ""
    remedy = "use sudo, or be added to it (sudo adduser NAME siarhub, then log in again)"
    return f"{cause.filename}: {cause.strerror}; as installed, only the group siarhub may read it: {remedy}"


def fail(reason: str) -> SystemExit:
    """The answer is no: print why, exit with 1."""
    click.echo(reason, err=True)
    return SystemExit(1)


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def legible(text: str) -> Text:
    """Text from outside for a terminal: no markup, and no control characters that would steer it."""
    return Text("".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return sorted(value) if isinstance(value, frozenset | set) else str(value)


def finish(outcome: Outcome) -> None:
    """Print what came of an order, and exit accordingly."""
    click.echo(outcome.message, err=not outcome.done)
    if not outcome.done:
        raise SystemExit(1)
