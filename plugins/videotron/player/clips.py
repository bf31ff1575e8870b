"""What goes on the screen, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from plugins.videotron.protocol.chain import Result

__all__ = ["Clip", "Play", "Result"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One place in the loop. `key` tells places apart; the same film may have several."""

    key: str
    path: Path
    item: str = ""  # "" = the fallback: shown, never proved
    sha256: str = ""
    # Of the manifest that it is shown by; a new manifest with the same clips is no reason to cut one.
    title: str = field(default="", compare=False)
    epoch: int = field(default=0, compare=False)
    manifest: int = field(default=0, compare=False)  # its seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """What was shown of one clip: from its first picture on the screen to its last, by the monotonic clock."""

    clip: Clip
    started_at: datetime  # of one that failed: when it was tried
    seconds: float
    result: Result
    reason: str = ""  # why it is not completed

    @property
    def complete(self) -> bool:
        return self.result is Result.COMPLETED
