"""What is wrong with the picture: now, or a moment ago."""

from __future__ import annotations

from dataclasses import dataclass

TOLD_FOR_S = 300.0  # that the picture was lost, after it is back: somebody looks once a minute at most
STOOD_STILL = "the picture stood still"  # how the reason for a restart begins when that is why


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFaults:
    """Each in one line; "" = nothing is wrong."""

    display: str = ""
    picture: str = ""  # there is none, or there was none
    frozen: str = ""  # it did not move
    misfit: str = ""  # it is not where it should be on the output

    @property
    def text(self) -> str:
        """All of it in one line."""
        return "; ".join(part for part in (self.display, self.picture, self.frozen, self.misfit) if part)


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

    def all(self, now: float, *, misfit: str) -> PictureFaults:
        """What is wrong, `misfit` among it."""
        picture = self._picture(now)
        frozen = self._lost.startswith(STOOD_STILL)
        return PictureFaults(
            display=self.display,
            picture="" if frozen else picture,
            frozen=picture if frozen else "",
            misfit=misfit,
        )

    def _picture(self, now: float) -> str:
        if self._lost and self._back_at is None:
            return f"mpv is started anew: {self._lost}"
        if self._back_at is not None and now - self._back_at < TOLD_FOR_S:
            return f"the picture was lost and came back: {self._lost}"
        return ""


def reason_in(group: BaseExceptionGroup[BaseException]) -> str:
    """What the first of these errors says, however deep it lies."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
