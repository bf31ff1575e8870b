"""The composition root: builds every part, starts them in order, stops them in reverse; the only place with signals."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import structlog

from hub.api import Health, HealthState, HubError, Log, PluginContext, PluginSettings, Service
from hub.api.context import Hub
from hub.api.service import sd_notify, watchdog_interval_s
from hub.clock import SystemClock
from hub.control import Orders
from hub.intake.service import Intake
from hub.jobs.engine import Engine
from hub.jobs.retry import pause
from hub.journal import Bell, LedgerRecords, PluginJournal, Teller
from hub.ledger import deliveries, jobs
from hub.ledger.database import Database
from hub.media.transcoder import Transcoder
from hub.messages import catalogue
from hub.observe.health import Part, Status, write_status
from hub.observe.lag import LagWatch
from hub.plugin_host.host import PluginHost
from hub.plugin_host.loader import PluginRecord, PluginState, find_plugins, load_plugin
from hub.receipts import ReceiptWriter
from hub.reception import Reception
from hub.settings import Settings
from hub.workflow import Workflow

STATUS_EVERY_S = 5.0
STEADY_S = 60.0
RECENT_BLOCK_S = 600.0


class AlreadyRunning(HubError):
    """Another hub uses this state folder."""


@dataclass(slots=True)
class _ServiceState:
    """How a plugin's service is: `trouble` says why it is down, '' while it runs."""

    plugin: str
    service: Service
    trouble: str = ""
    failures: int = 0


class Daemon:
    """Everything that runs, for as long as `run` does."""

    def __init__(self, settings: Settings, log: Log | None = None) -> None:
        self._settings = settings
        self._zone = settings.hub.zone
        self._clock = SystemClock()
        self._log: Log = log or structlog.get_logger("hub")
        self._state_dir = settings.hub.state_dir
        self._started_at = self._clock.now()
        self._stopping = asyncio.Event()
        self._bell = Bell()
        self._host = PluginHost()
        self._records: list[PluginRecord] = []
        self._services: list[_ServiceState] = []
        self._to_replan: set[str] = set()
        self._replan_asked = asyncio.Event()
        self._sources: dict[str, str] = {}  # plugin -> the folder or file its code stands in

    def stop(self) -> None:
        """Ask `run` to end, gracefully."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or `stop`. Raises: HubError when it cannot start; what a core part raised."""
        loop = asyncio.get_running_loop()
        for one in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(one, self.stop)
        self._state_dir.mkdir(parents=True, exist_ok=True)
        lock = _lock(self._state_dir)
        self._database = Database(self._state_dir / "ledger.db")
        try:
            self._build()
            await self._run_parts()
        finally:
            self._database.close()
            os.close(lock)

    def _build(self) -> None:
        say = catalogue(self._settings.hub.language)
        self._transcoder = Transcoder(self._settings.media, self._state_dir / "renditions")
        self._transcoder.sweep()
        self._workflow = Workflow(
            self._database, self._host, self._transcoder, self._settings.jobs, self._clock, self._log, say, self._wake
        )
        self._engine = Engine(
            self._database, self._workflow.works, self._settings.jobs, self._clock, self._log, self._bell.ring
        )
        self._receipts = ReceiptWriter(self._database, say, self._zone, self._settings.hub.language)
        self._orders = Orders(self._state_dir, self._database, self._carry_out, self._clock, self._log)
        self._lag = LagWatch(self._culprit, self._log)
        reception = Reception(
            self._database, self._host, self._workflow, self._receipts, self._settings.media,
            self._settings.approval.level, self._settings.intake.default_days, self._clock, self._log, say,
            self._zone, self._wake,
        )  # fmt: skip
        self._intake = Intake(
            root=self._settings.hub.root, vault=self._state_dir / "vault", folders=self._settings.folders,
            settings=self._settings.intake, approval=self._settings.approval, desk=reception, catalogue=say,
            clock=self._clock, log=self._log, zone=self._zone,
        )  # fmt: skip

    async def _run_parts(self) -> None:
        self._load_plugins()
        try:
            async with asyncio.TaskGroup() as group:
                stages = [
                    self._start_core(group, {"lag": self._lag.run, "watchdog": _watchdog}),
                    self._start_plugin_services(group),
                    self._start_core(group, {f"tell {teller.name}": teller.run for teller in self._tellers()}),
                    self._start_core(group, {"jobs": self._engine.run, "replan": self._replan}),
                    self._start_core(group, {"windows": self._workflow.keep_windows, "orders": self._orders.run}),
                    self._start_core(group, {"intake": self._intake.run, "status": self._keep_status}),
                ]
                sd_notify("READY=1", "STATUS=running")
                self._log.info("hub_started", plugins=[one.name for one in self._records], pid=os.getpid())
                await self._stopping.wait()
                sd_notify("STOPPING=1", "STATUS=stopping")
                for tasks in reversed(stages):
                    await self._end(tasks)
        finally:
            self._log.info("hub_stopped")

    def _load_plugins(self) -> None:
        for found in find_plugins(self._settings.hub.plugin_dir):
            record = load_plugin(self._host, found, self._settings.plugins.get(found.name, {}), self._context_for)
            self._records.append(record)
            if record.state in (PluginState.RUNNING, PluginState.DISABLED):
                continue
            self._log.error("plugin_stays_down", plugin=record.name, state=record.state, reason=record.reason)
        for name in self._settings.plugins.keys() - {record.name for record in self._records}:
            reason = f"[plugins.{name}] is set, but no such plugin is installed or in {self._settings.hub.plugin_dir}"
            self._records.append(PluginRecord(name=name, state=PluginState.BROKEN, origin="settings", reason=reason))

    def _context_for(self, name: str, settings: PluginSettings, module: Path) -> PluginContext[Any]:
        state_dir = self._state_dir / "plugins" / name
        state_dir.mkdir(parents=True, exist_ok=True)
        self._sources[name] = str(module.parent if module.name in ("plugin.py", "__init__.py") else module)
        log = structlog.get_logger(name).bind(plugin=name)
        return PluginContext(
            name=name,
            settings=settings,
            state_dir=state_dir,
            root=self._settings.hub.root,
            zone=self._zone,
            log=log,
            clock=self._clock,
            records=LedgerRecords(self._database),
            journal=PluginJournal(name, self._database, self._clock, self._zone, self._bell, log),
            translate=catalogue(self._settings.hub.language, module.parent),
            _hub=_HubForPlugins(self._database, self._ask_replan),
        )

    def _start_core(
        self, group: asyncio.TaskGroup, parts: dict[str, Callable[[], Awaitable[None]]]
    ) -> list[asyncio.Task[None]]:
        return [group.create_task(_core(name, run), name=name) for name, run in parts.items()]

    def _start_plugin_services(self, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        for plugin in self._host.names:
            try:
                self._services += [_ServiceState(plugin, service) for service in self._host.services(plugin)]
            except Exception as error:  # noqa: BLE001 - the isolation boundary: third-party code
                self._plugin_broke(plugin, f"hub_services: {type(error).__name__}: {error}")
        return [group.create_task(self._keep(one), name=f"{one.plugin}: {one.service.name}") for one in self._services]

    def _plugin_broke(self, plugin: str, reason: str) -> None:
        self._host.unregister(plugin)
        self._log.error("plugin_stays_down", plugin=plugin, reason=reason)
        self._records = [
            PluginRecord(name=one.name, state=PluginState.BROKEN, origin=one.origin, reason=reason)
            if one.name == plugin else one
            for one in self._records
        ]  # fmt: skip

    def _tellers(self) -> list[Teller]:
        make = partial(Teller, database=self._database, bell=self._bell, settings=self._settings.jobs, log=self._log)
        self._all_tellers = [make("receipts", self._receipts.observe)]
        for plugin in self._host.names:
            if self._host.implements(plugin, "hub_facts"):
                self._all_tellers.append(make(plugin, partial(self._host.facts, plugin)))
        return self._all_tellers

    async def _keep(self, state: _ServiceState) -> None:
        """Run a plugin's service again whenever it ends, with backoff; a long steady run forgives old failures."""
        while True:
            begun = self._clock.monotonic()
            try:
                await state.service.run()
                state.trouble = "it returned"
            except Exception as error:  # noqa: BLE001 - the isolation boundary: a plugin's service
                state.trouble = f"{type(error).__name__}: {error}"
                self._log.exception("plugin_service_crashed", plugin=state.plugin, service=state.service.name)
            steady = self._clock.monotonic() - begun > STEADY_S
            state.failures = 1 if steady else state.failures + 1
            await asyncio.sleep(pause(state.failures, self._settings.jobs).total_seconds())
            state.trouble = ""

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Cancel a stage; what does not end in its time is named, and left behind with the process."""
        for task in tasks:
            task.cancel()
        limits = {f"{one.plugin}: {one.service.name}": one.service.stop_within for one in self._services}
        for task in tasks:
            limit = limits.get(task.get_name())
            _, late = await asyncio.wait({task}, timeout=limit.total_seconds() if limit else 20.0)
            if late:
                self._log.error("part_did_not_stop", part=task.get_name())
                self._database.close()
                os._exit(1)  # the ledger is durable at every instant; waiting on would only cost the operator

    async def _carry_out(self, order: Any) -> Any:
        outcome = await self._workflow.order(order)
        self._wake()
        return outcome

    def _wake(self) -> None:
        self._engine.wake()
        self._bell.ring()

    def _ask_replan(self, plugin: str) -> None:
        self._to_replan.add(plugin)
        self._replan_asked.set()

    async def _replan(self) -> None:
        self._to_replan.update(self._host.names)  # at start: a screen added since then shows today's items
        while True:
            while self._to_replan:
                await self._workflow.replan(self._to_replan.pop())
            self._replan_asked.clear()
            await self._replan_asked.wait()

    async def _keep_status(self) -> None:
        last, written = None, 0.0
        while True:
            status = await self._status()
            content = (status.parts, status.jobs, status.intake, status.transcoding)
            if content != last or self._clock.monotonic() - written > STEADY_S:
                await asyncio.to_thread(write_status, self._state_dir, status)
                sd_notify(f"STATUS={status.state}: {sum(status.jobs.values())} jobs")
                last, written = content, self._clock.monotonic()
            await asyncio.sleep(STATUS_EVERY_S)

    async def _status(self) -> Status:
        counts = await self._database.read(jobs.counts)
        dead = sum(count for name, count in counts.items() if name.endswith(" dead"))
        parts = [self._intake_part(), Part(name="jobs", state="degraded" if dead else "ok", summary=_dead(dead))]
        parts += [await self._plugin_part(record) for record in self._records]
        parts += self._lag_part()
        return Status(
            version=version("siarhub"),
            pid=os.getpid(),
            started_at=self._started_at,
            written_at=self._clock.now(),
            parts=tuple(parts),
            jobs=counts,
            intake=_plain(self._intake.status()),
            transcoding=dict(self._workflow.progress),
            plugins=tuple(_plain(record) for record in self._records),
        )

    def _intake_part(self) -> Part:
        status = self._intake.status()
        return Part(name="intake", state="degraded" if status.paused else "ok", summary=status.paused or "")

    async def _plugin_part(self, record: PluginRecord) -> Part:
        if record.state is PluginState.DISABLED:
            return Part(name=record.name, state="ok", summary="disabled")
        if record.state is not PluginState.RUNNING:
            return Part(name=record.name, state="down", summary=f"{record.state}: {record.reason}")
        troubles = [
            f"{one.service.name}: {one.trouble}" for one in self._services if one.plugin == record.name and one.trouble
        ]
        troubles += [f"facts: {one.trouble}" for one in self._all_tellers if one.name == record.name and one.trouble]
        health = await self._host.health(record.name)
        if troubles:
            health = Health(state=HealthState.DOWN, summary="; ".join((*troubles, *filter(None, (health.summary,)))))
        return Part(name=record.name, state=health.state, summary=health.summary)

    def _lag_part(self) -> list[Part]:
        block = self._lag.last
        if block is None or self._clock.monotonic() - block.at_monotonic > RECENT_BLOCK_S:
            return []
        summary = f"{block.culprit} blocked the hub for {block.seconds:.1f} s at {block.place}"
        return [Part(name="loop", state="degraded", summary=summary)]

    def _culprit(self, file: str) -> str | None:
        return next((name for name, source in self._sources.items() if file.startswith(source)), None)


class _HubForPlugins(Hub):
    def __init__(self, database: Database, ask_replan: Callable[[str], None]) -> None:
        self._database = database
        self._ask_replan = ask_replan

    async def deliveries(self, plugin: str) -> Any:
        return await self._database.read(deliveries.current, plugin)

    def replan(self, plugin: str) -> None:
        self._ask_replan(plugin)


async def _core(name: str, run: Callable[[], Awaitable[None]]) -> None:
    """A part that the hub cannot be without: when it ends, the process ends, and systemd starts it again."""
    await run()
    raise RuntimeError(f"{name} ended by itself")


async def _watchdog() -> None:
    interval = watchdog_interval_s()
    while True:
        sd_notify("WATCHDOG=1")
        await asyncio.sleep(interval or 3600.0)


def _lock(state_dir: Path) -> int:
    lock = os.open(state_dir / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise AlreadyRunning(f"another hub runs on {state_dir}; stop it first (systemctl stop siarhub)") from error
    return lock


def _dead(count: int) -> str:
    return f"{count} steps were given up; see siarhub items, then siarhub retry ITEM" if count else ""


def _plain(value: Any) -> dict[str, Any]:
    return asdict(value)
