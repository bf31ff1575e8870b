"""The intake's service: looks round the watched folders, hands what is complete to workers, says what waits and why."""

from __future__ import annotations

import asyncio
from datetime import datetime
from heapq import nsmallest
from itertools import chain
from operator import attrgetter
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

from hub.api import Clock, Log
from hub.intake.arrivals import Arrivals
from hub.intake.claim import Vault, free_bytes
from hub.intake.desk import Desk
from hub.intake.evidence import Parts, ignore_lease_signal
from hub.intake.folder import WatchedFolder, settings_of
from hub.intake.handling import Tools
from hub.intake.lookout import Lookout
from hub.intake.refusals import Group
from hub.intake.settings import ApprovalSettings, FolderNames, IntakeSettings
from hub.intake.settle import Settler
from hub.intake.shelf import Shelf
from hub.intake.space import Forecast, Place, Space
from hub.intake.status import SHOWN, IntakeStatus
from hub.intake.watcher import WatchMode
from hub.intake.welcome import ship_welcome
from hub.messages import Catalogue

PAUSE_RECHECK_S = 5.0
SHORTEST_GAP_S = 0.05  # between two looks
LOOK_SHARE = 4  # at most one part in so many of the time is spent looking
BACKLOG = 64  # while so many are known, nothing is gained by looking for more
BACKLOG_GAP_S, BACKLOG_LOOK_SHARE = 2.0, 10
PLANS = ".moves"
_WORST_FIRST = (WatchMode.STARTING, WatchMode.POLLING, WatchMode.EVENTS)


class Intake:
    """Takes what is dropped in `<root>/Disetujui` and in further watched folders. One bad file never stops it."""

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
        archive: Path | None = None,
        forecast: Forecast | None = None,
    ) -> None:
        """`archive`: where a third copy of each original will stand; `forecast`: what accepted items still take."""
        self._settings, self._names, self._level = settings, folders, approval.level
        self._desk, self._catalogue, self._clock, self._log, self._zone = desk, catalogue, clock, log, zone
        self._vault = Vault(vault, min_free_bytes=settings.min_free_bytes)
        self._shelf = Shelf(
            root,
            vault / PLANS,
            folders,
            reserve_bytes=settings.min_free_bytes,
            clock=clock,
            zone=zone,
            catalogue=catalogue,
        )
        self._arrivals = Arrivals(desk, self._shelf, log)
        places = {Place.PEOPLE: root, Place.STATE: vault, **({Place.ARCHIVE: archive} if archive else {})}
        self._space = Space(places, reserve_bytes=settings.min_free_bytes, forecast=forecast, clock=clock)
        self._folders = [
            self._folder(root / name, settings_of(times, settings)) for name, times in folders.watched.items()
        ]
        self._paused: str | None = None
        self._last_event: datetime | None = None
        self._lease_told = False

    def _folder(self, inbox: Path, settings: IntakeSettings) -> WatchedFolder:
        settler = Settler(inbox, settings, self._clock, on_lease_unknown=self._tell_lease_unknown)
        tools = Tools(
            inbox=inbox,
            vault=Vault(self._vault.folder, min_free_bytes=settings.min_free_bytes),
            shelf=self._shelf,
            arrivals=self._arrivals,
            lookout=Lookout(inbox, settler, settings, self._clock),
            space=self._space,
            desk=self._desk,
            settings=settings,
            level=self._level,
            catalogue=self._catalogue,
            clock=self._clock,
            log=self._log,
            zone=self._zone,
        )
        return WatchedFolder(tools, settler, self._clock)

    async def run(self) -> NoReturn:
        """Take what is dropped until cancelled. Raises: OSError when people's folders cannot be made at start."""
        ignore_lease_signal()
        await asyncio.to_thread(self._prepare)
        await self._tell(await asyncio.to_thread(self._shelf.finish))
        await self._arrivals.load()
        try:
            async with asyncio.TaskGroup() as group:
                for folder in self._folders:
                    self._employ(group, folder)
                    group.create_task(self._keep_looking(folder), name=f"intake: lookout in {folder.inbox.name}")
                    group.create_task(folder.let_leave(), name=f"intake: refusals of {folder.inbox.name}")
                    group.create_task(folder.watch_the_watch(), name=f"intake: canary of {folder.inbox.name}")
        finally:
            for folder in self._folders:
                folder.stop()
        raise AssertionError("the intake's tasks never return")

    def _employ(self, group: asyncio.TaskGroup, folder: WatchedFolder) -> None:
        """Workers of its own: neither its burst nor its mount, when that hangs, holds up another folder."""
        for number in range(self._settings.at_once):
            name = f"intake: worker {number + 1} of {folder.inbox.name}"
            group.create_task(self._handle_what_comes(folder), name=name)
        # One more for what is urgent: it waits for no large file that is being copied.
        name = f"intake: express worker of {folder.inbox.name}"
        group.create_task(self._handle_what_comes(folder, urgent=True), name=name)

    @property
    def wants_free_bytes(self) -> int:
        """So much free on the hub's own disk would let the smallest of the drops in that wait for space there; or 0."""
        return self._space.wants_free_bytes

    def status(self) -> IntakeStatus:
        """What waits, whether intake is paused, and how well it watches, as of the last look round."""
        folders = tuple(folder.status() for folder in self._folders)
        oldest = nsmallest(SHOWN, chain(*(folder.waiting() for folder in self._folders)), key=attrgetter("since"))
        lacking = (folder.lack_of_space() for folder in self._folders)
        worst = max(folders, key=lambda one: (one.canary.missed, bool(one.canary.cannot), one.canary.worst_s or 0.0))
        return IntakeStatus(
            paused=self._paused or self._unread() or next(filter(None, lacking), None),
            waiting=tuple(oldest),
            waiting_more=sum(folder.waiting for folder in folders) - len(oldest),
            last_event=self._last_event,
            watch=min((folder.watch for folder in folders), key=_WORST_FIRST.index),
            canary=worst.canary,
            folders=folders,
        )

    def _prepare(self) -> None:
        self._shelf.prepare()
        self._vault.prepare()

    def _prepare_inbox(self, inbox: Path) -> None:
        try:
            self._shelf.prepare_inbox(inbox)
            ship_welcome(inbox, self._names, self._level)
        except OSError as error:  # a mount that is away, a full disk: it is looked at again, and the texts can wait
            self._log.warning("folder_not_prepared", folder=inbox.name, error=error.strerror)

    async def _tell(self, groups: list[Group]) -> None:
        """The desk hears of refusals that could be carried out only now."""
        for group in groups:
            if group.moved:
                await self._desk.refused(group.moved)
            await asyncio.to_thread(self._shelf.forget, group)

    async def _keep_looking(self, folder: WatchedFolder) -> NoReturn:
        """Each folder for itself: a network mount that hangs holds up no other."""
        await asyncio.to_thread(self._prepare_inbox, folder.inbox)
        while True:
            folder.wake.attend()
            began = self._clock.monotonic()
            pause_s = await self._look(folder)
            gap_s = _gap_s(folder, self._clock.monotonic() - began)
            await asyncio.sleep(gap_s)  # a burst of events must not become a burst of looks
            await folder.wake.wait(pause_s - gap_s)

    async def _look(self, folder: WatchedFolder) -> float:
        """One look; returns after how many seconds the next is due."""
        await folder.look_round()
        try:
            await asyncio.to_thread(self._check_space)
        except OSError as error:
            self._pause(self._catalogue("The disk reported an error: {error}.", error=error.strerror))
        if folder.unread:
            await asyncio.to_thread(self._prepare_inbox, folder.inbox)
        if self._shelf.stuck:
            await self._tell(await asyncio.to_thread(self._shelf.finish_stuck))
        await self._arrivals.close_gone(lambda: {name for one in self._folders for name in one.in_hand()})
        folder.work.set()
        due = folder.next_look_s()
        return min(due, PAUSE_RECHECK_S) if self._paused or folder.unread else due

    def _unread(self) -> str | None:
        """Which watched folder cannot be looked at, and why."""
        found = next((folder for folder in self._folders if folder.unread), None)
        if found is None:
            return None
        why = f"{found.inbox.name}: {found.unread}" if len(self._folders) > 1 else found.unread
        return self._catalogue("The watched folder cannot be read: {error}.", error=why)

    def _check_space(self) -> None:
        free = min(free_bytes(self._vault.folder), free_bytes(self._shelf.root))
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

    async def _handle_what_comes(self, folder: WatchedFolder, *, urgent: bool = False) -> NoReturn:
        while True:
            ready = None if self._paused else folder.take(urgent=urgent)
            if ready is None:
                folder.work.clear()
                await folder.work.wait()
            else:
                await folder.handle(ready)
                self._last_event = self._clock.now()

    def _tell_lease_unknown(self, parts: Parts) -> None:
        if not self._lease_told:
            self._lease_told = True
            self._log.warning(
                "lease_refused",
                consequence=f"a file counts as complete after {self._settings.quiet_without_lease_s:g} quiet seconds",
                remedy="give the hub CAP_LEASE, or let it own the dropped files",
            )


def _gap_s(folder: WatchedFolder, took_s: float) -> float:
    if folder.backlog > BACKLOG:
        return max(BACKLOG_GAP_S, (BACKLOG_LOOK_SHARE - 1) * took_s)
    return max(SHORTEST_GAP_S, (LOOK_SHARE - 1) * took_s)
