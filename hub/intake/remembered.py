"""What a look round remembers of the drops that stand there; forgotten when they are gone."""

from __future__ import annotations

import os
from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hub.api import Clock
from hub.intake.evidence import Evidence, evidence_of
from hub.intake.names import display_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    """What stays the same of a drop for as long as it stands there."""

    name: str  # display-safe
    since: datetime  # first seen
    arrived_ns: int


class Drops:
    """Each drop as it was first seen, by its name in the watched folder."""

    def __init__(self, inbox: Path, clock: Clock) -> None:
        self._inbox = inbox
        self._clock = clock
        self._drops: dict[str, Drop] = {}

    def of(self, anchor: str) -> Drop:
        known = self._drops.get(anchor)
        if known is None:
            name, since = display_name(anchor), self._clock.now()
            known = self._drops[anchor] = Drop(name=name, since=since, arrived_ns=self._arrived_ns(anchor))
        return known

    def forget_all_but(self, present: Set[str]) -> None:
        for gone in self._drops.keys() - present:
            del self._drops[gone]

    def _arrived_ns(self, anchor: str) -> int:
        try:
            return (self._inbox / anchor).lstat().st_ctime_ns  # mtime may be that of the original
        except OSError:
            return int(self._clock.now().timestamp() * 1e9)


class Quiet:
    """Since when a dropped folder, or an upload in one, is unchanged."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[Evidence, float]] = {}

    def look(self, path: str, fd: int) -> float:
        """For how many seconds `path`, below the folder `fd`, is unchanged. Raises: OSError."""
        status = os.stat(path, dir_fd=fd, follow_symlinks=False)
        known = self._seen.get(path)
        if known is None or not known[0].holds_for(status):
            known = self._seen[path] = (evidence_of(status), self._clock.monotonic())
        return self._clock.monotonic() - known[1]

    def evidence(self, path: str) -> Evidence:
        """As of the last `look`."""
        return self._seen[path][0]

    def forget_all_but(self, present: Set[str]) -> None:
        for path in [path for path in self._seen if path.partition("/")[0] not in present]:
            del self._seen[path]
