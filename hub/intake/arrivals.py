"""Accepted drops that are not put away yet, of all watched folders together; and who may handle which bytes now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Set
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from hub.api import Log, Sha256
from hub.intake.desk import Desk
from hub.intake.shelf import Shelf


class Arrivals:
    """Knows from the desk what is open, and closes it when its files are put away, or gone."""

    def __init__(self, desk: Desk, shelf: Shelf, log: Log) -> None:
        self._desk = desk
        self._shelf = shelf
        self._log = log
        self._open: dict[str, set[frozenset[Sha256]]] = {}
        self._present: dict[Path, frozenset[str]] = {}
        self._closing = asyncio.Lock()
        self._locks: WeakValueDictionary[Sha256, asyncio.Lock] = WeakValueDictionary()

    async def load(self) -> None:
        for name, digests in await self._desk.open_arrivals():
            self.opened(name, digests)

    def opened(self, name: str, digests: frozenset[Sha256]) -> None:
        self._open.setdefault(name, set()).add(digests)

    def is_open(self, name: str) -> bool:
        return name in self._open

    async def put_away(self, name: str, digests: frozenset[Sha256], target: Path | None) -> None:
        await self._desk.put_away(name, digests, target)
        waiting = self._open.get(name, set())
        waiting.discard(digests)
        if not waiting:
            self._open.pop(name, None)

    async def close_stale(self, name: str, digests: frozenset[Sha256]) -> None:
        """Another file stands now under the name of one that was accepted: that one is gone."""
        if sum(name in names for names in self._present.values()) > 1:
            return  # it may stand in another watched folder
        for old in self._open.get(name, set()) - {digests}:
            target = await asyncio.to_thread(self._shelf.find_accepted, name, old)
            await self.put_away(name, old, target)

    def looked(self, inbox: Path, names: frozenset[str] | None) -> None:
        """What stands in a watched folder, display-safe; None: it could not be seen."""
        if names is None:
            self._present.pop(inbox, None)
        else:
            self._present[inbox] = names

    async def close_gone(self, in_hand: Callable[[], Set[str]]) -> None:
        """Those whose source is gone: moved just before a crash, or taken away by somebody; not what is `in_hand`."""
        if not self._open or len(self._present) < len(self._shelf.inboxes):
            return  # a mount that is away may hold it
        async with self._closing:
            for name in self._open.keys() - in_hand() - frozenset().union(*self._present.values()):
                for digests in list(self._open.get(name, ())):
                    await self._close(name, digests)

    async def _close(self, name: str, digests: frozenset[Sha256]) -> None:
        target = await asyncio.to_thread(self._shelf.find_accepted, name, digests)
        try:
            await self.put_away(name, digests, target)
        except Exception:  # noqa: BLE001 - a bug behind the desk must not stop intake; tried at the next look
            self._log.exception("arrival_not_closed", drop=name)

    @asynccontextmanager
    async def alone_with(self, digests: frozenset[Sha256]) -> AsyncIterator[None]:
        """The same bytes under two names must come to the desk one after the other."""
        locks = [self._locks.setdefault(digest, asyncio.Lock()) for digest in sorted(digests)]
        async with AsyncExitStack() as stack:
            for lock in locks:
                await stack.enter_async_context(lock)
            yield
