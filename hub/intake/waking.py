"""Waking the one task that waits, from any thread."""

from __future__ import annotations

import asyncio
from contextlib import suppress


class Waker:
    """Many calls make one hop to the loop. Calls before the first `attend` are not needed: it begins awake."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._event = asyncio.Event()
        self._pending = False

    def __call__(self) -> None:
        """Wake it, or let its next wait return at once."""
        if self._pending or self._loop is None:
            return
        self._pending = True
        with suppress(RuntimeError):  # the loop was closed meanwhile
            self._loop.call_soon_threadsafe(self._event.set)

    def attend(self) -> None:
        """Whatever calls from here on wakes the next wait."""
        self._loop = asyncio.get_running_loop()
        self._event.clear()
        self._pending = False

    async def wait(self, within_s: float) -> None:
        """Returns when called, or after so many seconds."""
        with suppress(TimeoutError):  # not wait_for(): in Python 3.11 it can swallow a cancellation
            async with asyncio.timeout(max(0.0, within_s)):
                await self._event.wait()
