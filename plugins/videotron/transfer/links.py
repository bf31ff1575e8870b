"""What may travel to which screen, and when: the rules for links that are slow or cost money."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

from hub.api import Clock
from plugins.videotron.settings import LinkKind, ScreenSettings
from plugins.videotron.transfer.windows import Window, opens_at, parse_windows


class Links:
    """The rules of the configured screens; a player of none of them has no rule."""

    def __init__(
        self, screens: Mapping[str, ScreenSettings], *, zone_of: Callable[[str], ZoneInfo], clock: Clock
    ) -> None:
        self._zone_of = zone_of
        self._clock = clock
        self._windows: dict[str, tuple[Window, ...]] = {
            player: windows for player, screen in screens.items() if (windows := parse_windows(screen.download_window))
        }
        self._slow = {player for player, screen in screens.items() if screen.link is LinkKind.SLOW}

    def fetch_after(self, player: str, *, urgent: bool) -> datetime | None:
        """Not before when this player may fetch a film; None: now. What is urgent waits for no window."""
        if urgent or player not in self._windows:
            return None
        return opens_at(self._windows[player], self._clock.now(), self._zone_of(player))

    def may_fetch(self, player: str, *, urgent: bool) -> bool:
        return self.fetch_after(player, urgent=urgent) is None

    def is_slow(self, player: str) -> bool:
        """Whether little may be on its way to this player, so that what comes later need not wait behind it."""
        return player in self._slow
