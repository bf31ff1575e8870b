"""Names what blocks the event loop: a thread sees that the loop is late, and looks at what it is doing."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType

from hub.api import Log

BEAT_S = 1.0
LATE_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The loop stood still for so long, in this plugin (or "hub") at this place."""

    culprit: str
    place: str
    seconds: float
    at_monotonic: float


class LagWatch:
    """Watches the loop that runs `run`; `last` is the newest block that was seen."""

    def __init__(self, culprit_of: Callable[[str], str | None], log: Log) -> None:
        self.last: Block | None = None
        self._culprit_of = culprit_of
        self._log = log
        self._beat = time.monotonic()
        self._stop = threading.Event()

    async def run(self) -> None:
        loop_thread = threading.get_ident()
        watcher = threading.Thread(target=self._watch, args=(loop_thread,), name="lag-watch", daemon=True)
        self._beat = time.monotonic()
        watcher.start()
        try:
            while True:
                self._beat = time.monotonic()
                await asyncio.sleep(BEAT_S)
        finally:
            self._stop.set()

    def _watch(self, loop_thread: int) -> None:
        told = 0.0
        while not self._stop.wait(BEAT_S):
            late, beat = time.monotonic() - self._beat, self._beat
            if late < BEAT_S + LATE_S:
                continue
            culprit, place = self._blame(sys._current_frames().get(loop_thread))
            self.last = Block(culprit=culprit, place=place, seconds=late, at_monotonic=time.monotonic())
            if beat != told:
                told = beat
                self._log.error("event_loop_blocked", culprit=culprit, place=place, seconds=round(late, 1))

    def _blame(self, frame: FrameType | None) -> tuple[str, str]:
        """The innermost plugin on the stack, else the innermost frame of all."""
        here = f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "unknown"
        while frame is not None:
            if culprit := self._culprit_of(frame.f_code.co_filename):
                return culprit, f"{frame.f_code.co_filename}:{frame.f_lineno}"
            frame = frame.f_back
        return "hub", here
