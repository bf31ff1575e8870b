"""Removes renditions that nobody needs any more, and copies of files that were refused; never an accepted original.

A rendition is idle when no live item wants it. It is kept for a while, since the same bytes may be disseminated again
at no cost; it goes earlier, the longest idle first, only when the disk is short. First the ledger says that it is gone,
in one transaction that looks once more whether somebody wants it; then the file goes. After a kill in between, the file
is one that no row knows, and goes as such; whoever wants the rendition again has it made again.

Other files that no row knows go when nobody touched them for a day: what is made or found again, what is claimed or
asked about again gets a fresh time, long before its row is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from hub.api import Clock, Log, Rendition
from hub.ledger import attempts, items, renditions
from hub.ledger.database import Database

FIRST_LOOK_S = 120.0  # a start has better things to do
LOOK_EVERY_S = 60.0  # at the free space
TIDY_EVERY_S = 3600.0
CHECK_EVERY_S = 86400.0  # the ledger, whole
IDLE_AT_LEAST = timedelta(hours=1)  # even on a short disk: plugins have let go of it by then
UNKNOWN_FOR = timedelta(days=1)  # a file may be a moment older than its row
TRIES_KEPT = timedelta(days=30)
BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """What the disk lacks, in bytes; nothing when not above 0."""

    lacking: int  # to work on at all: whatever helps is done
    wished: int = 0  # for a drop that waits: done only when it is enough


class Housekeeping:
    """Tidies the renditions' folder and the vault now and then. `shortage` looks at the disk, and may block."""

    def __init__(
        self,
        database: Database,
        folder: Path,
        vault: Path,
        keep_for: timedelta,
        shortage: Callable[[], Shortage],
        clock: Clock,
        log: Log,
    ) -> None:
        self._database = database
        self._folder = folder
        self._vault = vault
        self._keep_for = keep_for
        self._unknown: dict[Path, float] = {}  # in the vault, as of the last round
        self._shortage = shortage
        self._clock = clock
        self._log = log

    async def run(self) -> NoReturn:
        """Raises: LedgerError when the daily look through the ledger finds damage."""
        await asyncio.sleep(FIRST_LOOK_S)
        tidied = checked = float("-inf")
        while True:
            now = self._clock.monotonic()
            if now - checked >= CHECK_EVERY_S:
                checked = now
                await self._database.check()
            if now - tidied >= TIDY_EVERY_S or await self._lacking() > 0:
                tidied = now
                await self._tidied()
            await asyncio.sleep(LOOK_EVERY_S)

    async def tidy(self) -> int:
        """One round; returns how many files went. Raises: OSError."""
        now = self._clock.now()
        await self._database.write(attempts.forget_older, now - TRIES_KEPT)
        await self._database.write(renditions.note_idle, now=now)
        gone = await self._let_go() + await self._make_room()
        gone += sum([await self._remove_unknown(shard) for shard in await asyncio.to_thread(_shards, self._folder)])
        return gone + await self._forget_refused()

    async def _tidied(self) -> None:
        try:
            await self.tidy()
        except OSError as error:  # the disk fails or is closed to us: the next round may do better
            self._log.warning("renditions_not_tidied", error=str(error))

    async def _let_go(self) -> int:
        """Those idle for long enough."""
        since, gone = self._clock.now() - self._keep_for, 0
        while batch := await self._database.read(renditions.idle, since=since, limit=BATCH):
            gone += await self._remove(batch, reason="idle for long")
        return gone

    async def _make_room(self) -> int:
        """While the disk is short, those that are idle at all; a batch no larger than what is lacking."""
        since, gone = self._clock.now() - IDLE_AT_LEAST, 0
        while (lacking := await self._lacking()) > 0:
            batch = await self._database.read(renditions.idle, since=since, limit=BATCH)
            freed = await self._remove(list(_as_much_as(batch, lacking)), reason="the disk is short")
            if not freed:
                break
            gone += freed
        return gone

    async def _lacking(self) -> int:
        """How many bytes are to be made free of what is idle."""
        short = await asyncio.to_thread(self._shortage)
        if short.wished <= max(0, short.lacking):
            return short.lacking
        since = self._clock.now() - IDLE_AT_LEAST
        there = await self._database.read(renditions.idle_bytes, since=since)
        return short.wished if short.wished <= there else short.lacking

    async def _remove(self, batch: list[Rendition], *, reason: str) -> int:
        """Row first, then file; returns how many files went.

        These were idle for longer than any making of the same bytes anew takes, so they need not be a day old.
        """
        if not batch:
            return 0
        await self._database.write(renditions.remove, batch)
        let_go = frozenset(one.sha256 for one in batch)
        gone = sum([await self._remove_unknown(shard, let_go) for shard in sorted({one[:2] for one in let_go})])
        self._log.info("renditions_removed", renditions=len(batch), files=gone, reason=reason)
        return gone

    async def _remove_unknown(self, shard: str, let_go: frozenset[str] = frozenset()) -> int:
        known = await self._database.read(renditions.files_in_use, shard)
        return await asyncio.to_thread(lambda: _unlink(self._unknown_in(self._folder / shard, known, let_go)))

    async def _forget_refused(self) -> int:
        """Copies in the vault that became no item's original, on the second look at them.

        A second, because the clock may have jumped, and a drop that is judged just now must find its copy.
        """
        before, self._unknown, gone = self._unknown, {}, 0
        for shard in await asyncio.to_thread(_shards, self._vault):
            known = await self._database.read(items.known_hashes, shard)
            found = await asyncio.to_thread(self._unknown_in, self._vault / shard, known)
            again = [path for path, touched in found.items() if before.get(path) == touched]
            self._unknown.update(found)
            gone += await asyncio.to_thread(_unlink, again)
        if gone:
            self._log.info("refused_copies_removed", files=gone)
        return gone

    def _unknown_in(
        self, shard: Path, known: frozenset[str], let_go: frozenset[str] = frozenset()
    ) -> dict[Path, float]:
        """The files that no row knows and nobody touched for long, with their times. Blocks."""
        now, found = self._clock.now(), dict[Path, float]()
        for path in shard.iterdir():
            digest = path.name.partition(".")[0]
            old = now - (IDLE_AT_LEAST if digest in let_go else UNKNOWN_FOR)
            if digest not in known and (touched := path.lstat().st_mtime) <= old.timestamp():
                found[path] = touched
        return found


def _unlink(paths: Iterable[Path]) -> int:
    gone = list(paths)
    for path in gone:
        path.unlink()
    return len(gone)


def _shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("[0-9a-f][0-9a-f]"))


def _as_much_as(batch: Iterable[Rendition], needed: int) -> Iterable[Rendition]:
    for one in batch:
        if needed <= 0:
            return
        needed -= one.media.size_bytes
        yield one
