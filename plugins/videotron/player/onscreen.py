"""The one clip that mpv is at: when it was tried, when its picture came, and what came of it in the end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from plugins.videotron.player.clips import Clip, Play, Result
from plugins.videotron.player.vitals import Vitals

SURELY_THE_SAME_S = 0.5
MUCH_SHORTER = 0.9  # of the length that its container gives: less than this was not the whole film


@dataclass(slots=True, kw_only=True)
class OnScreen:
    clip: Clip
    entry: int  # mpv's
    tried_at: datetime
    started_at: datetime | None = None  # None until its first picture is shown
    began: float = 0.0  # monotonic
    duration_s: float | None = None

    def note_length(self, now: float, vitals: Vitals) -> None:
        """Take the length from the vitals, if they are surely of this film and not of the one that follows it."""
        if self.started_at is None or self.duration_s is not None or vitals.position_s is None:
            return
        if abs(now - self.began - vitals.position_s) < SURELY_THE_SAME_S:
            self.duration_s = vitals.duration_s

    def at_its_end(self, now: float) -> tuple[Result, str]:
        """What came of it, now that it has reached its end: a file that is cut short reaches it too soon."""
        seconds, length = now - self.began, self.duration_s
        if length is None or seconds >= min(MUCH_SHORTER * length, length - 1):
            return Result.COMPLETED, ""
        return Result.PARTIAL, f"the file ended after {seconds:.1f} of {length:.1f} s"

    def play(self, now: float, result: Result, reason: str) -> Play | None:
        """What is to be told of it; None of one that was cut before anything of it was seen."""
        if self.started_at is None:
            failed = Play(clip=self.clip, started_at=self.tried_at, seconds=0.0, result=result, reason=reason)
            return failed if result is Result.FAILED else None
        return Play(clip=self.clip, started_at=self.started_at, seconds=now - self.began, result=result, reason=reason)
