"""Keeps plugins up: loads each one or says why it stays down, and runs its services again whenever they end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hub.api import Clock, Log, Service
from hub.jobs.retry import pause
from hub.jobs.settings import JobSettings
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import ContextFor, PluginRecord, PluginState, find_plugins, load_plugin

STEADY_S = 60.0


@dataclass(slots=True)
class Kept:
    """A plugin's service and how it is: `trouble` says why it is down, '' while it runs."""

    plugin: str
    service: Service
    trouble: str = ""
    failures: int = 0

    @property
    def name(self) -> str:
        return f"{self.plugin}: {self.service.name}"


class Plugins:
    """The plugins of one hub. `records` says what became of each that was found or named in the settings."""

    def __init__(self, host: PluginHost, settings: JobSettings, clock: Clock, log: Log) -> None:
        self.records: tuple[PluginRecord, ...] = ()
        self._host = host
        self._settings = settings
        self._clock = clock
        self._log = log
        self._kept: list[Kept] = []

    def load(self, folder: Path, tables: Mapping[str, Mapping[str, Any]], context_for: ContextFor) -> None:
        """Bring up every plugin that is found; one that cannot be harms nobody and is named."""
        records = [
            load_plugin(self._host, found, tables.get(found.name, {}), context_for) for found in find_plugins(folder)
        ]
        for name in sorted(tables.keys() - {record.name for record in records}):
            reason = f"[plugins.{name}] is set, but no such plugin is installed or in {folder}"
            records.append(PluginRecord(name=name, state=PluginState.BROKEN, origin="settings", reason=reason))
        self.records = tuple(records)
        for record in records:
            if record.state not in (PluginState.RUNNING, PluginState.DISABLED):
                self._log.error("plugin_stays_down", plugin=record.name, state=record.state, reason=record.reason)

    def start_services(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Run every service of every plugin in the group, each for ever."""
        for plugin in self._host.names:
            try:
                self._kept += [Kept(plugin, service) for service in self._host.services(plugin)]
            except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
                self._broke(plugin, f"hub_services: {type(error).__name__}: {error}")
        return [group.create_task(self._keep(one), name=one.name) for one in self._kept]

    def stop_within_s(self, task: str, otherwise: float) -> float:
        """How long the task of a service may take to stop."""
        return next((one.service.stop_within.total_seconds() for one in self._kept if one.name == task), otherwise)

    def troubles(self, plugin: str) -> list[str]:
        """Why services of this plugin are down now."""
        return [f"{one.service.name}: {one.trouble}" for one in self._kept if one.plugin == plugin and one.trouble]

    async def _keep(self, one: Kept) -> None:
        """Run a service again whenever it ends, with backoff; a long steady run forgives old failures."""
        while True:
            begun = self._clock.monotonic()
            try:
                await one.service.run()
                one.trouble = "it returned"
            except Exception as error:  # noqa: BLE001 - the isolation boundary: a plugin's service
                one.trouble = f"{type(error).__name__}: {error}"
                self._log.exception("plugin_service_crashed", plugin=one.plugin, service=one.service.name)
            steady = self._clock.monotonic() - begun > STEADY_S
            one.failures = 1 if steady else one.failures + 1
            await asyncio.sleep(pause(one.failures, self._settings).total_seconds())
            one.trouble = ""

    def _broke(self, plugin: str, reason: str) -> None:
        self._host.unregister(plugin)
        self._log.error("plugin_stays_down", plugin=plugin, reason=reason)
        self.records = tuple(
            replace(one, state=PluginState.BROKEN, reason=reason) if one.name == plugin else one for one in self.records
        )
