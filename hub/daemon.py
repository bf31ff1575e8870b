"""The composition root: builds every part, starts them in order, stops them in reverse; the only place with signals."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from hub.api import CurrentDelivery, HubError, Log, PluginContext, PluginSettings, Progress
from hub.api.service import sd_notify, watchdog_interval_s
from hub.clock import SystemClock
from hub.control import Orders
from hub.forecast import still_to_come
from hub.housekeeping import Housekeeping, Shortage
from hub.intake.claim import Vault, free_bytes
from hub.intake.service import Intake
from hub.jobs.engine import Engine
from hub.journal import Bell, LedgerRecords, PluginJournal, Teller
from hub.ledger import deliveries, items
from hub.ledger.database import Database
from hub.media.pace import Pace
from hub.media.transcoder import Transcoder
from hub.messages import catalogue
from hub.observe.lag import LagWatch
from hub.plugin_host.host import PluginHost
from hub.receipts import ReceiptWriter
from hub.reception import Reception
from hub.settings import Settings
from hub.supervision import Plugins
from hub.transcoding import Transcoding
from hub.wellness import Wellness
from hub.windows import Windows
from hub.workflow import Workflow

STOP_WITHIN_S = 20.0
NO_WATCHDOG_S = 3600.0
THREADS = 64  # for work that blocks; those that a network mount holds for ever must not be all there are

Run = Callable[[], Awaitable[None]]


class AlreadyRunning(HubError):
    """Another hub uses this state folder."""


class Daemon:
    """Everything that runs, for as long as `run` does."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state_dir = settings.hub.state_dir
        self._zone = settings.hub.zone
        self._clock = SystemClock()
        self._log: Log = structlog.get_logger("hub")
        self._stopping = asyncio.Event()
        self._bell = Bell()
        self._host = PluginHost()
        self._plugins = Plugins(self._host, settings.jobs, self._clock, self._log)
        self._lag = LagWatch(self._culprit, self._log)
        self._to_replan: set[str] = set()
        self._replan_asked = asyncio.Event()
        self._sources: dict[str, str] = {}  # plugin -> the folder or file its code stands in

    def stop(self) -> None:
        """Ask `run` to end, gracefully."""
        self._stopping.set()

    async def run(self) -> None:
        """Run until SIGTERM, SIGINT or `stop`. Raises: HubError when it cannot start; what a core part raised."""
        for one in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(one, self.stop)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS, thread_name_prefix="hub"))
        _prepare(self._state_dir)
        lock = _lock(self._state_dir)
        try:
            self._database = Database(self._state_dir / "ledger.db")
            try:
                self._build()
                await self._run_parts()
            finally:
                self._database.close()
        finally:
            os.close(lock)

    def _build(self) -> None:
        settings, say = self._settings, catalogue(self._settings.hub.language)
        transcoder = Transcoder(settings.media, self._state_dir / "renditions")
        transcoder.sweep()
        pace = Pace(self._state_dir / "pace.json")
        self._transcoding = Transcoding(self._database, transcoder, settings.jobs, pace, self._clock, self._log, say)
        self._workflow = Workflow(
            self._database, self._host, self._transcoding, settings.jobs, self._clock, self._log, say, self._wake
        )
        self._windows = Windows(self._database, self._clock, self._wake)
        self._engine = Engine(
            self._database, self._workflow.works, settings.jobs, self._clock, self._log, self._bell.ring
        )
        self._housekeeping = Housekeeping(
            self._database, self._state_dir / "renditions", self._state_dir / "vault",
            timedelta(days=settings.media.keep_renditions_days), self._shortage, self._clock, self._log,
        )  # fmt: skip
        self._receipts = ReceiptWriter(self._database, say, self._zone, settings.hub.language)
        self._orders = Orders(
            self._state_dir, self._database, self._workflow.order, settings.orders.emergency_group, self._clock,
            self._log, say, self._wake,
        )  # fmt: skip
        reception = Reception(
            self._database, self._host, self._workflow, self._receipts, settings.media, settings.approval.level,
            settings.intake.default_days, self._clock, self._log, say, self._zone, self._wake,
            settings.intake.same_bytes,
        )  # fmt: skip
        self._intake = Intake(
            root=settings.hub.root, vault=self._state_dir / "vault", folders=settings.folders,
            settings=settings.intake, approval=settings.approval, desk=reception, catalogue=say,
            clock=self._clock, log=self._log, zone=self._zone, archive=_archive(settings),
            forecast=partial(self._database.read, still_to_come),
        )  # fmt: skip

    def _shortage(self) -> Shortage:
        """Renditions that nobody needs go before intake and transcoding must pause: at twice their reserve. Blocks."""
        free = free_bytes(self._state_dir / "renditions")
        reserve = max(self._settings.intake.min_free_bytes, self._settings.media.keep_free_mib << 20)
        return Shortage(lacking=2 * reserve - free, wished=self._intake.wants_free_bytes - free)

    async def _take_in(self) -> None:
        """Copies of refused originals go first, before anything is claimed again; the hub itself is up meanwhile."""
        vault, forgotten = Vault(self._state_dir / "vault", min_free_bytes=0), 0
        for beginning in await asyncio.to_thread(vault.beginnings):
            known = await self._database.read(items.known_hashes, beginning)
            forgotten += await asyncio.to_thread(vault.forget_all_but, known, beginning)
        if forgotten:
            self._log.info("refused_copies_removed", files=forgotten)
        await self._intake.run()

    async def _run_parts(self) -> None:
        self._plugins.load(self._settings.hub.plugin_dir, self._settings.plugins, self._context_for)
        tellers = self._tellers()
        wellness = Wellness(
            self._state_dir, self._database, self._host, self._plugins, tellers, self._intake,
            self._transcoding, self._lag, self._clock,
        )  # fmt: skip
        async with asyncio.TaskGroup() as group:
            stages = [
                _start(group, {"lag": self._lag.run, "watchdog": _watchdog}),
                self._plugins.start_services(group),
                _start(group, {f"tell {teller.name}": teller.run for teller in tellers}),
                _start(group, {"jobs": self._engine.run, "replan": self._replan}),
                _start(group, {"windows": self._windows.run, "orders": self._orders.run}),
                _start(group, {"housekeeping": self._housekeeping.run}),
                _start(group, {"intake": self._take_in, "status": wellness.run}),
            ]
            sd_notify("READY=1", "STATUS=running")
            self._log.info("hub_started", plugins=self._host.names, pid=os.getpid())
            await self._stopping.wait()
            sd_notify("STOPPING=1", "STATUS=stopping")
            for tasks in reversed(stages):
                await self._end(tasks)
        self._log.info("hub_stopped")

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
            _hub=_HubForPlugins(self._database, self._ask_replan, self._transcoding.progress),
        )

    def _tellers(self) -> list[Teller]:
        make = partial(Teller, database=self._database, bell=self._bell, settings=self._settings.jobs, log=self._log)
        observers = [name for name in self._host.names if self._host.implements(name, "hub_facts")]
        return [
            make("hub/receipts", self._receipts.observe),
            *(make(name, partial(self._host.facts, name)) for name in observers),
        ]

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        """Cancel a stage; what does not end in its time is named, and left behind with the process."""
        for task in tasks:
            task.cancel()
        for task in tasks:
            within_s = self._plugins.stop_within_s(task.get_name(), STOP_WITHIN_S)
            if not await _ended(task, within_s):
                self._log.error("part_did_not_stop", part=task.get_name(), within_s=within_s)
                os._exit(1)  # the ledger is durable at every instant; waiting on would only cost the operator

    def _wake(self) -> None:
        self._engine.wake()
        self._windows.look()
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

    def _culprit(self, file: str) -> str | None:
        return next((name for name, source in self._sources.items() if Path(file).is_relative_to(source)), None)


class _HubForPlugins:
    """Implements `hub.api.context.Hub`."""

    def __init__(
        self,
        database: Database,
        ask_replan: Callable[[str], None],
        progress: Callable[[], Sequence[Progress]],
    ) -> None:
        self._database = database
        self._ask_replan = ask_replan
        self._progress = progress

    async def deliveries(self, plugin: str) -> Sequence[CurrentDelivery]:
        return await self._database.read_aside(deliveries.current, plugin)

    def replan(self, plugin: str) -> None:
        self._ask_replan(plugin)

    def progress(self) -> Sequence[Progress]:
        return self._progress()


async def _ended(task: asyncio.Task[None], within_s: float) -> bool:
    """Whether it ends in time. It is cancelled again each second: Python 3.11's `wait_for` can lose a cancellation."""
    for _ in range(max(1, round(within_s))):
        if task in (await asyncio.wait({task}, timeout=1.0))[0]:
            return True
        task.cancel()
    return False


def _start(group: asyncio.TaskGroup, parts: dict[str, Run]) -> list[asyncio.Task[None]]:
    return [group.create_task(_core(name, run), name=name) for name, run in parts.items()]


async def _core(name: str, run: Run) -> None:
    """A part that the hub cannot be without: when it ends, the process ends, and systemd starts it again."""
    await run()
    raise RuntimeError(f"{name} ended by itself")


async def _watchdog() -> None:
    interval = watchdog_interval_s()
    while True:
        sd_notify("WATCHDOG=1")
        await asyncio.sleep(interval or NO_WATCHDOG_S)


def _archive(settings: Settings) -> Path | None:
    """Where originals stand once more: all that the hub knows of a plugin's table, since its disk may be another."""
    table = settings.plugins.get("archive", {})
    return settings.hub.root / str(table.get("folder", "Arsip")) if table.get("enabled", True) else None


def _prepare(state_dir: Path) -> None:
    """The group may write orders into the ledger, and read plugins' state; the files are the hub's alone."""
    state_dir.mkdir(parents=True, exist_ok=True)
    for name, mode in {"vault": 0o700, "renditions": 0o700, "plugins": 0o750}.items():
        (state_dir / name).mkdir(mode=mode, exist_ok=True)
        (state_dir / name).chmod(mode)


def _lock(state_dir: Path) -> int:
    lock = os.open(state_dir / "daemon.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise AlreadyRunning(f"another hub runs on {state_dir}; stop it first (systemctl stop siarhub)") from error
    return lock
