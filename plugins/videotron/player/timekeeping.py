"""The time a player goes by: its clock, but never before what something signed has shown to be past.

A machine without a battery wakes up in 1970. Nothing is refused for being "from the future" then: the floor is raised
instead, goes on by the monotonic clock, and the hub is told that the clock is wrong. A clock that is ahead cannot be
told from the truth: later time wins, and what has expired is not shown.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from plugins.videotron.player.ports import Clock

BEHIND = timedelta(seconds=5)  # what the way through the network may take


class Timekeeper:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._floor: datetime | None = None
        self._raised_at = 0.0  # monotonic

    def raise_to(self, floor: datetime) -> None:
        """It is not earlier than this."""
        if self._floor is None or floor > self._floor_now(self._floor):
            self._floor, self._raised_at = floor, self._clock.monotonic()

    def begin_anew(self, floor: datetime) -> None:
        """What was signed before counts no more: a stolen key may have said any time."""
        self._floor, self._raised_at = floor, self._clock.monotonic()

    def now(self) -> datetime:
        """Aware, in UTC."""
        clock = self._clock.now()
        return clock if self._floor is None else max(clock, self._floor_now(self._floor))

    def monotonic(self) -> float:
        return self._clock.monotonic()

    @property
    def behind(self) -> timedelta:
        """How much the machine's clock is behind what is known; zero when it may be right."""
        behind = self.now() - self._clock.now()
        return behind if behind > BEHIND else timedelta(0)

    def _floor_now(self, floor: datetime) -> datetime:
        return floor + timedelta(seconds=self._clock.monotonic() - self._raised_at)
