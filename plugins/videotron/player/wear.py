"""When an mpv is to be replaced although it plays: it grows over days, by a little with each film."""

from __future__ import annotations

from plugins.videotron.player.settings import MpvSettings

NOT_AGAIN_FOR_S = 600.0


class Wear:
    """Knows of the mpv before: one that is always above the limit must not be replaced after each clip."""

    def __init__(self, settings: MpvSettings) -> None:
        self._settings = settings
        self._replaced_at = float("-inf")

    def reason(self, *, now: float, age_s: float, memory_mb: float) -> str:
        """Why it is to be replaced at the end of the clip; "" = it is not."""
        if age_s >= self._settings.recycle_after_h * 3600:
            return f"it has run for {self._settings.recycle_after_h:g} h"
        if memory_mb > self._settings.recycle_above_mb and now - self._replaced_at >= NOT_AGAIN_FOR_S:
            self._replaced_at = now
            return f"it holds {memory_mb:.0f} MB of memory"
        return ""
