"""What the player says of itself: when a state is due, and what it refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from .wire import Refused

BY_THEMSELVES = {"n", "position", "clock", "time", "free_bytes", "received_bytes", "received_bytes_per_s", "machine"}
BY_THEMSELVES |= {"chain", "proof_seq", "proofs_waiting", "last", "count"}


class States:
    """Says a state when something in it has changed, at most once a second, and at least every minute."""

    def __init__(self, say: Callable[[], dict[str, Any]], compose: Callable[[], dict[str, Any]]) -> None:
        self._say, self._compose = say, compose
        self._said: Any = None
        self._at = float("-inf")

    def step(self, monotonic: float, *, now: bool = False) -> None:
        waited = monotonic - self._at
        if now or waited >= 60 or (waited >= 1 and _lasting(self._compose()) != self._said):
            self._said, self._at = _lasting(self._say()), monotonic


def _lasting(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _lasting(one) for key, one in value.items() if key not in BY_THEMSELVES}
    return [_lasting(one) for one in value] if isinstance(value, list) else value


class Rejections:
    def __init__(self) -> None:
        self._by_kind: dict[str, dict[str, Any]] = {}

    def count(self, refused: Refused, now: datetime) -> None:
        before = self._by_kind.get(refused.verdict, {"count": 0})
        told = {
            "attack": refused.verdict,
            "count": before["count"] + 1,
            "last": now.isoformat(),
            "text": refused.text[:300],
        }
        self._by_kind[refused.verdict] = told

    def told(self) -> list[dict[str, Any]]:
        return list(self._by_kind.values())[:20]
