"""What the intake says about itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.intake.watcher import WatchMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One drop that is not done yet."""

    name: str  # display-safe
    since: datetime
    why: str  # in the office's language


@dataclass(frozen=True, slots=True, kw_only=True)
class IntakeStatus:
    paused: str | None  # why, in the office's language
    waiting: tuple[Waiting, ...]  # in the order of arrival
    last_event: datetime | None  # when a drop was last handled
    watch: WatchMode
