"""Says again what a player must follow, until the player says that it does.

Manifests and overrides travel at QoS 0, so that they never wait behind blocks at the broker. QoS 0 may be lost: only a
player's own signed state tells that it has one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PAUSES_S = (0.3, 1.0, 3.0, 10.0)  # the last one again and again


@dataclass(slots=True, kw_only=True)
class _Said:
    document: bytes
    times: int
    next_at: float
    followed: bool = False


class Insisting:
    """What is to be said on which topic. All of it from memory: a new session with the broker begins anew."""

    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}

    def said(self, topic: str, document: bytes, now: float) -> None:
        """It was published just now."""
        known = self._said.get(topic)
        if known is None or known.document != document:
            known = self._said[topic] = _Said(document=document, times=0, next_at=now)
        known.next_at = now + PAUSES_S[min(known.times, len(PAUSES_S) - 1)]
        known.times += 1

    def followed(self, topic: str, *, yes: bool) -> None:
        """Whether its player says that it follows the document on this topic."""
        if known := self._said.get(topic):
            known.followed = yes

    def forget(self, topics: Iterable[str]) -> None:
        for topic in topics:
            self._said.pop(topic, None)

    def due(self, now: float) -> list[tuple[str, bytes]]:
        """What should be said again now."""
        return [(topic, one.document) for topic, one in self._said.items() if not one.followed and one.next_at <= now]

    def next_at(self) -> float | None:
        """When something is due; None: everything is followed."""
        return min((one.next_at for one in self._said.values() if not one.followed), default=None)
