"""What came of handling one drop."""

from __future__ import annotations

from dataclasses import dataclass

from hub.intake.desk import RefusedDrop
from hub.intake.lookout import Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It stands in Diterima or Ditolak; or it changed, and is looked at anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """It stays where it is. Tried again when it changes, or after `after_s` (None: growing pauses)."""

    why: str  # in the office's language
    after_s: float | None
    full: bool = False  # for want of space


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """It is refused. `Handling.refuse` moves it to Ditolak, many at a time."""

    ready: Ready
    drop: RefusedDrop
