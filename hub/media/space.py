"""Free space that running transcodes have promised themselves: two of them must not count on the same bytes."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """There is not enough: what is free and not promised, and what would be needed, in MiB."""

    free_mib: int
    needed_mib: int


class Space:
    """The space of one file system, shared by the jobs of this process. `free_bytes` asks the file system."""

    def __init__(self, free_bytes: Callable[[], int]) -> None:
        self._free_bytes = free_bytes
        self._promised: dict[Path, int] = {}  # a job's work folder -> the most that it may write there
        self._lock = threading.Lock()

    def promise(self, folder: Path, most_bytes: int, *, keep_mib: int) -> Shortage | None:
        """Set `most_bytes` aside for what is written into `folder`, as long as it exists, or say what lacks. Blocks."""
        with self._lock:
            free_mib = (self._free_bytes() - self._outstanding()) >> 20
            needed_mib = (most_bytes >> 20) + keep_mib
            if most_bytes and free_mib < needed_mib:
                return Shortage(free_mib=max(0, free_mib), needed_mib=needed_mib)
            self._promised[folder] = most_bytes
            return None

    def give_back(self, folder: Path) -> None:
        """The job is over: what it wrote is written, and the rest is free again."""
        self._promised.pop(folder, None)

    def _outstanding(self) -> int:
        """What was promised and is not written yet; what is written is not free any more."""
        for folder in list(self._promised):
            if not folder.exists():  # a job that was cancelled while it asked: the answer came after its end
                self.give_back(folder)
        return sum(max(0, most - _size(folder)) for folder, most in list(self._promised.items()))


def _size(folder: Path) -> int:
    try:
        with os.scandir(folder) as entries:
            return sum(entry.stat(follow_symlinks=False).st_size for entry in entries)
    except OSError:
        return 0  # it is just being removed
