"""A token bucket: so many bytes a second, and a short burst."""

from __future__ import annotations

BURST_S = 0.25
LEAST_S = 1e-6  # no clock tells less apart


class Bucket:
    """Let something through while it is not in debt; what goes through is paid for afterwards, however large."""

    def __init__(self, bytes_per_s: float, *, burst_s: float = BURST_S) -> None:
        """`bytes_per_s` 0: no limit."""
        self._rate = bytes_per_s
        self._most = bytes_per_s * burst_s
        self._level = self._most
        self._at = 0.0

    def wait_s(self, now: float) -> float:
        """How long until something may go through; 0: now."""
        if not self._rate:
            return 0.0
        self._level = min(self._most, self._level + (now - self._at) * self._rate)
        self._at = now
        wait_s = -self._level / self._rate
        return wait_s if wait_s > LEAST_S else 0.0

    def take(self, size: int) -> None:
        """Something went through."""
        self._level -= size
