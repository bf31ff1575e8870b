"""One watched folder: its watch and the canary in it, what is ready there, and what is on its way to Ditolak."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NoReturn

from hub.api import Clock
from hub.intake.canary import Canary
from hub.intake.handling import Handling, Tools
from hub.intake.lookout import Ready
from hub.intake.names import display_name
from hub.intake.outcome import Done, Later, Leaving
from hub.intake.settings import FolderTimes, IntakeSettings
from hub.intake.settle import Settler
from hub.intake.status import FolderStatus, Waiting
from hub.intake.waiting_room import WaitingRoom
from hub.intake.waking import Waker
from hub.intake.watcher import Watcher, WatchMode

SEEN_WITHIN_S = 10.0
POLLS_TO_SEE = 4
LOOKS_TO_SEE = 24  # in a backlog a tenth of the time is spent looking, and one look may just have begun
TOGETHER = 256  # refusals that are carried out at once: few enough for people to see them go


class WatchedFolder:
    """Looks round when told to, hands out what is ready, and takes it back."""

    def __init__(self, tools: Tools, settler: Settler, clock: Clock) -> None:
        self.inbox = tools.inbox
        self.wake = Waker()  # asks for a look
        self.work = asyncio.Event()  # there may be something to take
        self.unread = ""  # why it cannot be looked at
        self._tools, self._settler, self._clock = tools, settler, clock
        self._canary = Canary(
            self.inbox,
            every_s=tools.settings.canary_every_s,
            seen_within=self._seen_within_s,
            missed=self._canary_missed,
            clock=clock,
            log=tools.log,
        )
        self._watcher = Watcher(self.inbox, wake=self.wake, log=tools.log, canary=self._canary.heard)
        self._handling = Handling(tools)
        self._room = WaitingRoom(clock)
        self._leaving: list[Leaving] = []
        self._something_leaves = asyncio.Event()
        self._looked = asyncio.Event()
        self._watch_is_dead = False
        self._look_took_s = 0.0

    async def look_round(self) -> None:
        """One look; `unread` says it when the folder cannot be read."""
        began = self._clock.monotonic()
        try:
            await asyncio.to_thread(self._watch)
            look = await asyncio.to_thread(self._tools.lookout.look_round)
        except OSError as error:
            self._tools.arrivals.looked(self.inbox, None)
            self.unread = error.strerror or type(error).__name__
            self._tools.log.warning("folder_not_read", folder=self.inbox.name, error=self.unread)
            return
        self.unread = ""
        self._look_took_s = self._clock.monotonic() - began
        if self._watcher.mode is WatchMode.POLLING:
            self._canary.looked(began)
        self._handling.forget_all_but(self._room.update(look))
        self._tools.arrivals.looked(self.inbox, look.names)
        self._looked.set()

    def next_look_s(self) -> float:
        """After how many seconds a look is due, if nothing wakes it before."""
        settings = self._tools.settings
        due = settings.poll_every_s if self._watcher.mode is WatchMode.POLLING else settings.rescan_every_s
        waiting = self._room.next_due_s()
        return due if waiting is None else min(due, waiting)

    @property
    def backlog(self) -> int:
        """How many drops may be handled without another look."""
        return self._room.backlog

    def take(self, *, urgent: bool = False) -> Ready | None:
        """The next drop (or urgent one) to be handled; `handle` it."""
        return self._room.take(urgent=urgent)

    async def handle(self, ready: Ready) -> None:
        """Take it through. Never raises but for a cancellation."""
        outcome: Done | Later | Leaving | None = None
        try:
            outcome = await self._handling.handle(ready)
        except Exception:  # noqa: BLE001 - isolation: whatever is wrong behind the desk concerns this drop only
            outcome = self._crashed(ready)
        finally:
            if isinstance(outcome, Leaving):
                self._leaving.append(outcome)
                self._something_leaves.set()
            else:
                self._room.give_back(ready, outcome)
                self.wake()

    async def let_leave(self) -> NoReturn:
        """Carry out refusals, all at once that came while the last were carried out."""
        while True:
            self._something_leaves.clear()
            while self._leaving:
                group, self._leaving = self._leaving[:TOGETHER], self._leaving[TOGETHER:]
                await self._refuse(group)
            await self._something_leaves.wait()

    async def _refuse(self, group: list[Leaving]) -> None:
        outcomes: Sequence[Done | Later | None] = [None] * len(group)
        try:
            outcomes = await self._handling.refuse(group)
        except Exception:  # noqa: BLE001 - isolation: as in handle()
            outcomes = [self._crashed(one.ready) for one in group]
        finally:
            for one, outcome in zip(group, outcomes, strict=True):
                self._room.give_back(one.ready, outcome)
            self.wake()

    async def watch_the_watch(self) -> NoReturn:
        """Drop canaries, from the first look on."""
        await self._looked.wait()
        await self._canary.run()

    def stop(self) -> None:
        self._watcher.stop()

    def in_hand(self) -> set[str]:
        return self._room.in_hand()

    def lack_of_space(self) -> str | None:
        return self._room.lack_of_space()

    def waiting(self) -> tuple[Waiting, ...]:
        """The oldest that are not done."""
        return self._room.waiting(self._tools.catalogue)

    def status(self) -> FolderStatus:
        return FolderStatus(
            name=display_name(self.inbox.name),
            watch=self._watcher.mode,
            waiting=self._room.count,
            canary=self._canary.status(),
            trouble=self._trouble(),
        )

    def _watch(self) -> None:
        if self._watch_is_dead:
            self._watch_is_dead = False
            self._tools.log.warning("watch_rebuilt", folder=self.inbox.name)
            self._watcher.stop()
        self._watcher.ensure()
        self._settler.trust_lease = self._tools.vault.trust_lease = not self._watcher.silent

    def _canary_missed(self, in_a_row: int) -> None:
        """The folder may have been replaced: a look tells. A second one: the watch is dead, whatever it says."""
        self._watch_is_dead = in_a_row > 1
        self.wake()

    def _seen_within_s(self) -> float:
        polling = self._watcher.mode is WatchMode.POLLING
        if not polling:
            return min(SEEN_WITHIN_S, self._tools.settings.canary_every_s)
        slow = SEEN_WITHIN_S + POLLS_TO_SEE * self._tools.settings.poll_every_s
        return max(min(slow, self._tools.settings.canary_every_s), LOOKS_TO_SEE * self._look_took_s)

    def _trouble(self) -> str:
        canary, name = self._canary.status(), display_name(self.inbox.name)
        if canary.cannot:
            return (
                f"{name}: the hub cannot drop its canary there ({canary.cannot}), so nobody would notice a dead watch; "
                "correct the folder's owner and mode, or its disk"
            )
        if canary.dead and self._watcher.mode is WatchMode.POLLING:
            return f"{name}: it is not looked through in time; see whether its disk or its mount answers (ls)"
        if canary.dead:
            return (
                f"{name}: the watch is dead, {canary.missed} canaries were not announced; it is built anew, and drops "
                f"are found within {self._tools.settings.rescan_every_s:g} s meanwhile; if this stays, restart the hub"
            )
        return ""

    def _crashed(self, ready: Ready) -> Later:
        self._tools.log.exception("drop_handling_crashed", drop=ready.name)
        return Later(why=self._tools.catalogue("The hub made a mistake; it tries again by itself."), after_s=None)


def settings_of(folder: FolderTimes, common: IntakeSettings) -> IntakeSettings:
    """The common settings with what differs in one folder."""
    return common.model_copy(update=folder.model_dump(exclude_none=True))
