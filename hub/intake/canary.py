"""A file that the hub drops itself into a watched folder, to time how long a drop takes to be seen; and to notice
when the watch is dead, which nothing else would show."""

from __future__ import annotations

import asyncio
import errno
import math
import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import NoReturn

from hub.api import Clock, Log

NAME = ".siarhub-kenari"
"""Hidden, and ignored like every hidden name; it stands there for an instant only."""
MISSES = 2  # one may be bad luck (the folder was replaced); two are a dead watch
REMEMBERED = 100  # for the worst of the last


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryStatus:
    """How fast a drop is seen. All None until the first canary came through."""

    last_s: float | None
    worst_s: float | None  # of the last hundred
    at: datetime | None  # when one was last seen
    missed: int  # in a row
    cannot: str | None  # why none can be dropped, if so

    @property
    def dead(self) -> bool:
        return self.missed >= MISSES


class Canary:
    """Drops one every `every_s`, and at once again when one is not seen.

    `missed` is called after each that was not seen, with how many that makes in a row; `seen_after` tells by when the
    folder's way of watching should have seen one.
    """

    def __init__(
        self,
        folder: Path,
        *,
        every_s: float,
        seen_within: Callable[[], float],
        missed: Callable[[int], None],
        clock: Clock,
        log: Log,
    ) -> None:
        self._path = folder / NAME
        self._every_s = every_s
        self._seen_within = seen_within
        self._missed = missed
        self._clock = clock
        self._log = log
        self._dropped_at = math.inf  # monotonic; inf: none is on its way
        self._took_s: float | None = None
        self._seen = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._recent: deque[float] = deque(maxlen=REMEMBERED)
        self._last_at: datetime | None = None
        self._misses = 0
        self._cannot: str | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="canary")  # others may be busy for long, or hang
        self._hangs: asyncio.Future[None] | None = None

    async def run(self) -> NoReturn:
        """Until cancelled. Never raises for what is wrong with the folder: that is what `status` says."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                if await self._dropped():
                    await self._await_it()
                pause_s = min(1.0, self._every_s) if self._misses else self._every_s
                await asyncio.sleep(pause_s)
        finally:
            self._thread.shutdown(wait=False, cancel_futures=True)

    def status(self) -> CanaryStatus:
        return CanaryStatus(
            last_s=round(self._recent[-1], 4) if self._recent else None,
            worst_s=round(max(self._recent), 4) if self._recent else None,
            at=self._last_at,
            missed=self._misses,
            cannot=self._cannot,
        )

    def heard(self, path: str) -> bool:
        """For the watcher's thread: whether this event is the canary's, which is hereby seen."""
        if path != str(self._path):
            return False
        self._saw()
        return True

    def looked(self, began: float) -> None:
        """The folder was looked through from `began` (monotonic) on: where nothing is announced, that is seeing."""
        if self._dropped_at <= began:
            self._saw()

    def _saw(self) -> None:
        took_s, loop = self._clock.monotonic() - self._dropped_at, self._loop
        if took_s < 0 or loop is None:  # none is on its way: the tail of an earlier one
            return
        self._dropped_at = math.inf
        self._took_s = took_s
        with suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(self._seen.set)

    async def _dropped(self) -> bool:
        try:
            await self._answered()
            self._seen.clear()
            self._took_s = None
            await self._in_time(self._drop)
        except OSError as error:
            self._misses += isinstance(error, TimeoutError)  # drops of others are not seen either
            why = error.strerror or type(error).__name__
            if why != self._cannot:
                self._log.warning("canary_not_dropped", folder=self._path.parent.name, error=why)
            self._cannot = why
            return False
        self._cannot = None
        return True

    async def _in_time(self, work: Callable[[], None]) -> None:
        """Have it done in the thread. Raises: TimeoutError (an OSError) when the folder does not answer; OSError."""
        self._hangs = asyncio.get_running_loop().run_in_executor(self._thread, work)
        await self._answered()

    async def _answered(self) -> None:
        """Wait for what was asked last. However long a network mount hangs, it is asked only once."""
        if self._hangs is None:
            return
        if not (await asyncio.wait({self._hangs}, timeout=self._seen_within()))[0]:
            raise OSError(errno.ETIMEDOUT, "it does not answer")
        asked, self._hangs = self._hangs, None
        asked.result()

    def _drop(self) -> None:
        """Made and closed like a drop. Nothing is written, so that a full disk does not hide a dead watch."""
        with suppress(FileNotFoundError):
            self._path.unlink()  # of a hub that was killed; whatever it is, it is not followed
        self._dropped_at = self._clock.monotonic()
        try:
            os.close(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except OSError:
            self._dropped_at = math.inf
            raise

    async def _await_it(self) -> None:
        with suppress(TimeoutError):  # not wait_for(): in Python 3.11 it can swallow a cancellation
            async with asyncio.timeout(self._seen_within()):
                await self._seen.wait()
        self._dropped_at = math.inf
        with suppress(OSError):
            await self._in_time(partial(self._path.unlink, missing_ok=True))
        if self._took_s is not None:
            self._came_through(self._took_s)
        else:
            self._misses += 1
            if self._misses <= MISSES:  # then health says it
                self._log.warning(
                    "canary_not_seen",
                    folder=self._path.parent.name,
                    within_s=self._seen_within(),
                    in_a_row=self._misses,
                )
            self._missed(self._misses)

    def _came_through(self, took_s: float) -> None:
        if self._misses >= MISSES:
            self._log.info("watch_recovered", folder=self._path.parent.name, missed=self._misses)
        self._misses = 0
        self._recent.append(took_s)
        self._last_at = self._clock.now()
