"""What is wrong with the picture, in one line: now, or a moment ago."""

from __future__ import annotations

TOLD_FOR_S = 300.0  # that the picture was lost, after it is back: somebody looks once a minute at most


class Faults:
    """`display` is what is wrong with the display; the rest follows from `lost` and `back`."""

    def __init__(self) -> None:
        self.display = ""
        self._lost = ""
        self._back_at: float | None = None

    def lost(self, reason: str) -> None:
        """There is no picture, or it did not move."""
        self._lost, self._back_at = reason, None

    def back(self, now: float) -> None:
        """There is a picture."""
        if self._lost and self._back_at is None:
            self._back_at = now

    def text(self, now: float, *, misfit: str) -> str:
        """All of it; "" = nothing is wrong."""
        picture = ""
        if self._lost and self._back_at is None:
            picture = f"mpv is started anew: {self._lost}"
        elif self._back_at is not None and now - self._back_at < TOLD_FOR_S:
            picture = f"the picture was lost and came back: {self._lost}"
        return "; ".join(part for part in (self.display, picture, misfit) if part)
