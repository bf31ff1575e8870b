"""What this player refused of what the broker brought it: counted by kind for the hub, logged sparingly."""

from __future__ import annotations

from datetime import timedelta

from plugins.videotron.player.ports import Clock, Log
from plugins.videotron.protocol import Rejection, WireError

LOG_EVERY = timedelta(minutes=1)


class Rejections:
    """Since this process started."""

    def __init__(self, *, clock: Clock, log: Log) -> None:
        self._clock = clock
        self._log = log
        self._by_attack: dict[str, Rejection] = {}
        self._logged: dict[str, float] = {}

    def add(self, topic: str, error: WireError) -> None:
        now, attack = self._clock.now(), error.attack.value
        count = self._by_attack[attack].count if attack in self._by_attack else 0
        self._by_attack[attack] = Rejection(attack=attack, count=count + 1, last=now, text=str(error)[:300])
        moment = self._clock.monotonic()
        if moment - self._logged.get(attack, float("-inf")) >= LOG_EVERY.total_seconds():
            self._logged[attack] = moment
            self._log.warning("message_refused", topic=topic[:120], attack=attack, reason=str(error)[:300])

    def all(self) -> tuple[Rejection, ...]:
        """One for each kind, the latest first, at most 20."""
        return tuple(sorted(self._by_attack.values(), key=lambda one: one.last, reverse=True)[:20])
