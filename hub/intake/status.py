"""What the intake says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.intake.canary import CanaryStatus
from hub.intake.watcher import WatchMode

SHOWN = 20  # of those that wait: the oldest


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One drop that is not done yet."""

    name: str  # display-safe
    since: datetime
    why: str  # in the office's language


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderStatus:
    """One watched folder."""

    name: str
    watch: WatchMode
    waiting: int
    canary: CanaryStatus
    trouble: str  # "" when its watch is well; else what is wrong and what to do


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeStatus:
    paused: str | None  # why, in the office's language
    waiting: tuple[Waiting, ...]  # the oldest, in the order of arrival
    waiting_more: int  # how many beside those
    last_event: datetime | None  # when a drop was last handled
    watch: WatchMode  # of the watched folder that fares worst
    canary: CanaryStatus  # likewise
    folders: tuple[FolderStatus, ...]

    @property
    def dead(self) -> bool:
        """Whether drops go unnoticed somewhere, until the next look round."""
        return any(folder.canary.dead for folder in self.folders)

    @property
    def trouble(self) -> str:
        return "; ".join(folder.trouble for folder in self.folders if folder.trouble)
