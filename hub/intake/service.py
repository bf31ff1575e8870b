"""The intake's service: looks round the watched folder, hands what is complete to workers, says what waits and why."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

from hub.api import Clock, Log
from hub.intake.claim import Vault, free_bytes
from hub.intake.desk import Desk
from hub.intake.evidence import Parts, ignore_lease_signal
from hub.intake.handling import Done, Handling, Later, Tools
from hub.intake.lookout import Lookout, Ready
from hub.intake.settings import ApprovalSettings, FolderNames, IntakeSettings
from hub.intake.settle import Settler
from hub.intake.shelf import Shelf
from hub.intake.status import IntakeStatus
from hub.intake.waiting_room import WaitingRoom
from hub.intake.watcher import Watcher, WatchMode
from hub.intake.welcome import ship_welcome
from hub.messages import Catalogue

PAUSE_RECHECK_S = 5.0
SHORTEST_GAP_S = 0.05  # between two looks
PLANS = ".moves"


class Intake:
    """Takes what is dropped in `<root>/Disetujui`. One bad file never stops it."""

    def __init__(
        self,
        root: Path,
        vault: Path,
        folders: FolderNames,
        settings: IntakeSettings,
        approval: ApprovalSettings,
        desk: Desk,
        catalogue: Catalogue,
        clock: Clock,
        log: Log,
        zone: ZoneInfo,
    ) -> None:
        self._settings, self._folders, self._level = settings, folders, approval.level
        self._desk, self._catalogue, self._clock, self._log = desk, catalogue, clock, log
        self._vault = Vault(vault, min_free_bytes=settings.min_free_bytes)
        self._shelf = Shelf(root, vault / PLANS, folders, clock=clock, zone=zone, catalogue=catalogue)
        inbox = self._shelf.inbox
        self._settler = Settler(inbox, settings, clock, on_lease_unknown=self._tell_lease_unknown)
        self._lookout = Lookout(inbox, self._settler, settings, clock)
        self._handling = Handling(
            Tools(
                inbox=inbox,
                vault=self._vault,
                shelf=self._shelf,
                lookout=self._lookout,
                desk=desk,
                settings=settings,
                level=approval.level,
                catalogue=catalogue,
                clock=clock,
                log=log,
                zone=zone,
            )
        )
        self._watcher = Watcher(inbox, wake=self._wake_from_thread, log=log)
        self._room = WaitingRoom(clock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._wake_pending = False
        self._work = asyncio.Event()
        self._paused: str | None = None
        self._last_event: datetime | None = None
        self._lease_told = False

    async def run(self) -> NoReturn:
        """Take what is dropped until cancelled. Raises: OSError when people's folders cannot be made at start."""
        self._loop = asyncio.get_running_loop()
        ignore_lease_signal()
        await asyncio.to_thread(self._prepare)
        await self._finish_refusals()
        for name, digests in await self._desk.open_arrivals():
            self._handling.open.setdefault(name, set()).add(digests)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._settings.at_once):
                    group.create_task(self._handle_what_comes(), name=f"intake: worker {number + 1}")
                group.create_task(self._keep_looking(), name="intake: lookout")
        finally:
            self._watcher.stop()
        raise AssertionError("the intake's tasks never return")

    def status(self) -> IntakeStatus:
        """What waits, and whether intake is paused, as of the last look round."""
        return IntakeStatus(
            paused=self._paused or self._room.lack_of_space(),
            waiting=tuple(self._room.waiting(self._catalogue)),
            last_event=self._last_event,
            watch=self._watcher.mode,
        )

    def _prepare(self) -> None:
        self._shelf.prepare()
        self._shelf.sweep()
        self._vault.prepare()
        try:
            ship_welcome(self._shelf.inbox, self._folders, self._level)
        except OSError as error:  # a full disk: the texts can wait
            self._log.warning("welcome_not_written", error=error.strerror)

    async def _finish_refusals(self) -> None:
        for move in await asyncio.to_thread(self._shelf.unfinished):
            await self._desk.refused(move.name, move.reason, move.digests)
            await asyncio.to_thread(self._shelf.forget, move)

    async def _keep_looking(self) -> NoReturn:
        while True:
            self._wake.clear()
            self._wake_pending = False
            began = self._clock.monotonic()
            pause_s = await self._look_round()
            gap_s = max(SHORTEST_GAP_S, 3 * (self._clock.monotonic() - began))
            await asyncio.sleep(gap_s)  # a burst of events must not become a burst of looks
            with suppress(TimeoutError):  # not wait_for(): in Python 3.11 it can swallow a cancellation
                async with asyncio.timeout(max(0.0, pause_s - gap_s)):
                    await self._wake.wait()

    async def _look_round(self) -> float:
        """One look; returns after how many seconds the next is due."""
        try:
            await asyncio.to_thread(self._watcher.ensure)
            self._settler.trust_lease = self._vault.trust_lease = not self._watcher.silent
            look = await asyncio.to_thread(self._lookout.look_round)
            await asyncio.to_thread(self._check_space)
        except OSError as error:
            self._pause(self._catalogue("The watched folder cannot be read: {error}.", error=error.strerror))
            with suppress(OSError):
                await asyncio.to_thread(self._shelf.prepare)
            return PAUSE_RECHECK_S
        anchors = self._room.update(look)
        self._handling.forget_all_but(anchors)
        await self._close_gone(look.names)
        self._work.set()
        return self._next_look_s()

    async def _close_gone(self, present: frozenset[str]) -> None:
        """Accepted drops whose source is gone: moved just before a crash, or taken away by somebody."""
        for name in self._handling.open.keys() - present - self._room.in_hand():
            for digests in list(self._handling.open.get(name, ())):
                target = await asyncio.to_thread(self._shelf.find_accepted, name, digests)
                try:
                    await self._handling.put_away(name, digests, target)
                except Exception:  # noqa: BLE001 - a bug behind the desk must not stop intake; tried at the next look
                    self._log.exception("arrival_not_closed", drop=name)

    def _check_space(self) -> None:
        free = min(free_bytes(self._vault.folder), free_bytes(self._shelf.inbox))
        if free >= self._settings.min_free_bytes:
            if self._paused is not None:
                self._log.info("intake_resumed")
            self._paused = None
            return
        self._pause(
            self._catalogue(
                "The disk is nearly full: {free:.1f} GB free, {reserve:.1f} GB are kept in reserve. Nothing is lost; "
                "intake goes on when there is space again.",
                free=free / 1e9,
                reserve=self._settings.min_free_bytes / 1e9,
            )
        )

    def _pause(self, why: str) -> None:
        if self._paused is None:
            self._log.warning("intake_paused", reason=why)
        self._paused = why

    def _next_look_s(self) -> float:
        polling = self._watcher.mode is WatchMode.POLLING
        due = self._settings.poll_every_s if polling else self._settings.rescan_every_s
        waiting = self._room.next_due_s()
        if waiting is not None:
            due = min(due, waiting)
        return min(due, PAUSE_RECHECK_S) if self._paused else due

    async def _handle_what_comes(self) -> NoReturn:
        while True:
            ready = None if self._paused else self._room.take()
            if ready is None:
                self._work.clear()
                await self._work.wait()
            else:
                await self._handle_one(ready)

    async def _handle_one(self, ready: Ready) -> None:
        outcome: Done | Later | None = None
        try:
            outcome = await self._handling.handle(ready)
        except Exception:  # noqa: BLE001 - isolation: whatever is wrong behind the desk concerns this drop only
            self._log.exception("drop_handling_crashed", drop=ready.name)
            outcome = Later(why=self._catalogue("The hub made a mistake; it tries again by itself."), after_s=None)
        finally:
            self._room.give_back(ready, outcome)
        self._last_event = self._clock.now()
        self._wake.set()

    def _wake_from_thread(self) -> None:
        """The one hop from the watcher's thread to the loop; many events make one hop."""
        if self._wake_pending or self._loop is None:
            return
        self._wake_pending = True
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._wake.set)

    def _tell_lease_unknown(self, parts: Parts) -> None:
        if not self._lease_told:
            self._lease_told = True
            self._log.warning(
                "lease_refused",
                consequence=f"a file counts as complete after {self._settings.quiet_without_lease_s:g} quiet seconds",
                remedy="give the hub CAP_LEASE, or let it own the dropped files",
            )
