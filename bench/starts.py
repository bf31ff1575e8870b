"""When does a program's ffmpeg begin to encode? Seen from outside, in /proc, in the same way for every program."""

from __future__ import annotations

import threading
import time
from pathlib import Path

LOOK_EVERY_S = 0.005
ENCODER = b"libx264"


class Starts:
    """Watches the descendants of a process for an ffmpeg that encodes; a context manager."""

    def __init__(self, pid: int) -> None:
        self.began: dict[int, float] = {}  # the encoder's process id -> monotonic time
        self.running = 0
        self._root = pid
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="bench: starts")

    def __enter__(self) -> Starts:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def first_after(self, when: float) -> float | None:
        """Seconds from then to the first encoder that began later; None when there is none yet."""
        return min((began - when for began in self.began.values() if began > when), default=None)

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            encoders = [pid for pid in descendants(self._root) if _encodes(pid)]
            for pid in encoders:
                self.began.setdefault(pid, time.monotonic())
            self.running = len(encoders)


def descendants(pid: int) -> list[int]:
    """All processes below this one, as far as they are still there."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            below = [int(word) for word in children.read_text().split()]
        except OSError:  # the thread has ended meanwhile
            continue
        for child in below:
            found += [child, *descendants(child)]
    return found


def _encodes(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].rpartition(b"/")[2] == b"ffmpeg" and ENCODER in words
