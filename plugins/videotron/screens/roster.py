"""What is known of each player: when it was heard, what it holds and shows, how far its clock is off. In memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hub.api import Clock
from plugins.videotron.protocol import Attack, PlayerState, Refused
from plugins.videotron.settings import ScreenSettings

OVERTAKEN_BY = timedelta(minutes=2)


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one player has said."""

    last_seen: datetime | None = None  # None = never
    online: bool = False  # it has not said goodbye
    state: PlayerState | None = None
    order: tuple[int, int] = (-1, -1)  # (boots, n) of the last state that was taken in
    key: str = ""  # id of the key that signed it: another key counts anew
    holds: set[str] = field(default_factory=set)
    clock_offset: timedelta | None = None  # the player's clock, against ours when its state came
    out_of_step_since: datetime | None = None  # it follows another manifest than the one in force
    shows_since: datetime | None = None  # what it shows now


class Roster:
    def __init__(self, screens: Mapping[str, ScreenSettings], *, silent_after: timedelta, clock: Clock) -> None:
        self._screens = screens
        self._silent_after = silent_after
        self._clock = clock
        self._seen = {player: Seen() for player in screens}
        self.changed = True  # since somebody last looked at all of it

    def __contains__(self, player: str) -> bool:
        return player in self._seen

    @property
    def screens(self) -> Mapping[str, ScreenSettings]:
        return self._screens

    def seen(self, player: str) -> Seen:
        return self._seen[player]

    def on_state(self, player: str, state: PlayerState, *, retained: bool, key: str = "") -> bool:
        """Take in a state whose signature holds; True when what it holds or follows, or that it is there, is news.

        A retained one tells what the player last said, not that it is there now. A will is news about the link only.
        Raises: Refused for one that is older than the last, or says something else under its number.
        """
        seen = self._seen[player]
        if key != seen.key:
            seen.key, seen.order = key, (-1, -1)
        self.changed = True
        if not state.online:
            return self._on_goodbye(seen, state)
        if _is_late(seen, state):
            return False
        self._judge(seen, state)
        before, was_online = seen.state, self.online(player)
        # The last one once more is what a broker says for a player that is gone.
        self._take_in(seen, state, live=not retained and (state.boots, state.n) > seen.order)
        return before is None or _of_note(before) != _of_note(state) or was_online != self.online(player)

    def follows(self, player: str) -> tuple[int, int] | None:
        """The manifest that the player says it follows; None when it was not heard yet."""
        seen = self._seen.get(player)
        return (seen.state.epoch, seen.state.seq) if seen and seen.state else None

    def state(self, player: str) -> PlayerState | None:
        """What the player said last; None when it was not heard yet."""
        seen = self._seen.get(player)
        return seen.state if seen else None

    def holds(self, player: str, cids: Iterable[str]) -> bool:
        return player in self._seen and self._seen[player].holds.issuperset(cids)

    def online(self, player: str) -> bool:
        """Whether the player was heard lately and has not said goodbye."""
        seen = self._seen[player]
        if seen.last_seen is None or not seen.online:
            return False
        return self._clock.now() - seen.last_seen <= self._silent_after

    def offline(self) -> list[str]:
        return [player for player in sorted(self._seen) if not self.online(player)]

    def last_seen(self, player: str) -> datetime | None:
        return self._seen[player].last_seen

    def recall(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over, from the snapshot of an earlier run, when players were seen and what must not come again."""
        for row in rows:
            seen = self._seen.get(str(row.get("player")))
            if seen is not None and seen.state is None:
                last = row.get("last_seen")
                seen.last_seen = seen.last_seen or (datetime.fromisoformat(last) if last else None)
                seen.key, seen.order = str(row.get("key") or ""), (int(row.get("boots", -1)), int(row.get("n", -1)))

    def forget(self, player: str) -> None:
        """Its machine was revoked: what that said tells nothing of the screen any more."""
        if player in self._seen:
            self._seen[player] = Seen()
            self.changed = True

    def _judge(self, seen: Seen, state: PlayerState) -> None:
        order = (state.boots, state.n)
        if order < seen.order:
            raise Refused(
                Attack.REPLAYED, f"a state from before the last one ({_named(order)}, not {_named(seen.order)})"
            )
        if order == seen.order and seen.state is not None and seen.state != state:
            raise Refused(Attack.EQUIVOCATION, f"another state under the number of the last one ({_named(order)})")

    def _take_in(self, seen: Seen, state: PlayerState, *, live: bool) -> None:
        now = self._clock.now()
        if live:
            seen.last_seen, seen.online, seen.clock_offset = now, True, state.clock - now
        if seen.state is None or _shown(seen.state) != _shown(state) or seen.shows_since is None:
            seen.shows_since = state.playing.since if state.playing else now
        seen.state, seen.order, seen.holds = state, (state.boots, state.n), set(state.holds)

    def _on_goodbye(self, seen: Seen, state: PlayerState) -> bool:
        """A will has the number of the state with which its connection began; one of an earlier boot says nothing."""
        if state.boots < seen.order[0]:
            return False
        was_online, seen.online = seen.online, False
        seen.state = seen.state or state
        seen.order = max(seen.order, (state.boots, state.n))
        return was_online


def _is_late(seen: Seen, state: PlayerState) -> bool:
    """Sent just before the last one, and overtaken by it when the connection broke: neither news nor an attack."""
    last = seen.state
    if last is None or (state.boot, state.boots) != (last.boot, last.boots) or state.n >= seen.order[1]:
        return False
    return last.clock - state.clock < OVERTAKEN_BY


def _of_note(state: PlayerState) -> tuple[object, ...]:
    return state.holds, state.epoch, state.seq, state.override, state.command, state.shows


def _shown(state: PlayerState) -> tuple[object, ...]:
    return state.shows, (state.playing.item, state.playing.cid) if state.playing else None


def _named(order: tuple[int, int]) -> str:
    return f"start {order[0]}, number {order[1]}"
