"""How fast a transcode is and when it will be done, from how far it has come. Pure but for the clock it is given."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from hub.api.context import Clock
from hub.media.pace import Expectation

WINDOW_S = 30.0  # the speed is that of the last half minute: other jobs come and go
_SETTLED_PART = 0.02  # below it the expectation is the better guess


@dataclass(slots=True)
class Speed:
    """Of one transcode. `media_s` is how long the recording lasts, `expected` how long the work was thought to take."""

    clock: Clock
    media_s: float
    expected: Expectation
    part: float = 0.0  # of the making; at 1.0 what was made is being checked
    begun: float = field(init=False)
    _seen: deque[tuple[float, float]] = field(init=False)  # (when, how far), oldest first
    _made: float | None = None  # when the part reached 1.0

    def __post_init__(self) -> None:
        self.begun = self.clock.monotonic()
        self._seen = deque([(self.begun, 0.0)])

    def reach(self, part: float) -> None:
        """It has come so far, 0.0 to 1.0."""
        now, self.part = self.clock.monotonic(), max(self.part, min(1.0, part))
        self._seen.append((now, self.part))
        while len(self._seen) > 2 and now - self._seen[1][0] >= WINDOW_S:
            self._seen.popleft()
        if self.part >= 1.0 and self._made is None:
            self._made = now

    @property
    def times_real(self) -> float | None:
        """Seconds of the recording done in a second; None when it cannot be told yet."""
        rate = self._rate()
        return rate * self.media_s if rate and self.media_s > 0 else None

    @property
    def left_s(self) -> float:
        """Seconds until all is made and checked."""
        runs_s, checks_s = max(0.01, sum(self.expected.runs_s)), self.expected.checks_s
        now = self.clock.monotonic()
        if self._made is not None:
            slower = (self._made - self.begun) / runs_s
            return max(0.0, checks_s * slower - (now - self._made))
        rate = self._rate() if self.part > _SETTLED_PART else None
        if not rate:
            return max(0.0, self.expected.seconds - (now - self.begun))
        return (1.0 - self.part + checks_s / runs_s) / rate

    def _rate(self) -> float | None:
        """Parts a second, lately; slower with each moment in which nothing comes."""
        when, part = self._seen[0]
        now = self._made if self._made is not None else self.clock.monotonic()
        return (self.part - part) / (now - when) if self.part > part and now > when else None
