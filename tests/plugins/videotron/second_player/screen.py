"""Instead of a picture: a timer for each film. What is on it, and the proof of it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .proofs import Proofs
from .schedule import Place

# A grey picture, 16 x 8: as good as what a timer has to show.
PICTURE = base64.b64decode(
    "/9j/4AAQSkZJRgABAgAAAQABAAD//gAQTGF2YzU5LjM3LjEwMAD/2wBDAAgEBAQEBAUFBQUFBQYGBgYGBgYGBgYGBgYHBwcICAgHBwcGBgcHCAgICAkJ"
    "CQgICAgJCQoKCgwMCwsODg4RERT/xABKAAEAAAAAAAAAAAAAAAAAAAAAAQEAAAAAAAAAAAAAAAAAAAAAEAEAAAAAAAAAAAAAAAAAAAAAEQEAAAAAAAAA"
    "AAAAAAAAAAAA/8AAEQgACAAQAwESAAISAAMSAP/aAAwDAQACEQMRAD8AAAAA/9k="
)
WIDTH, HEIGHT = 16, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What should be on the screen now: these places in turn; none, and it is black or the player's own film."""

    shows: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Playing:
    place: Place
    since: datetime
    started: float
    seconds: float


class Screen:
    def __init__(self, proofs: Proofs, *, boot: str, film_s: float | None) -> None:
        self._proofs, self._boot, self._film_s = proofs, boot, film_s
        self._last, self._behind = "", False
        self.playing: Playing | None = None
        self.shows = "nothing"

    def step(self, plan: Plan, *, monotonic: float, now: datetime, behind: bool, manifest: tuple[int, int]) -> None:
        """Bring the screen up to this moment. `manifest` is the (epoch, seq) that stands in proofs, `behind`: the
        clock is before `now`."""
        self.shows, self._behind = plan.shows, behind
        keys = [place.key for place in plan.places]
        if self.playing and monotonic - self.playing.started >= self.playing.seconds:
            self._end("completed", self.playing.seconds)
        elif self.playing and self.playing.place.key not in keys:
            self._end("partial", monotonic - self.playing.started, f"cut for {plan.shows}")
        if self.playing is None and keys:
            following = keys.index(self._last) + 1 if self._last in keys else 0
            self._begin(plan.places[following % len(keys)], monotonic, now, manifest)

    def stop(self, monotonic: float) -> None:
        if self.playing:
            self._end("partial", monotonic - self.playing.started, "the player was stopped")

    def _begin(self, place: Place, monotonic: float, now: datetime, manifest: tuple[int, int]) -> None:
        film = place.film
        seconds = self._film_s or film["seconds"] or 1.0
        self.playing = Playing(place=place, since=now, started=monotonic, seconds=seconds)
        self._last = place.key
        of_film = {key: film[key] for key in ("item", "title", "cid", "sha256")}
        play: dict[str, Any] = {"boot": self._boot, **of_film, "epoch": manifest[0], "manifest": manifest[1]}
        self._proofs.begin(play | {"started_at": now.isoformat()}, note="the clock was behind" if self._behind else "")

    def _end(self, result: str, seconds: float, reason: str = "") -> None:
        self.playing = None
        self._proofs.end(result, seconds, reason)
