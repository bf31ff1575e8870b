"""What is known of each player: when it was heard, what it holds and plays. In memory; a snapshot for people."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hub.api import Clock
from hub.api.files import write_atomically
from plugins.videotron.protocol import Attack, PlayerState, Refused
from plugins.videotron.settings import ScreenSettings

SNAPSHOT = "players.json"
STALE_AFTER = timedelta(minutes=1)  # the hub writes it every few seconds


@dataclass(slots=True, kw_only=True)
class Seen:
    """What one player has said."""

    last_seen: datetime | None = None  # None = never
    state: PlayerState | None = None
    holds: set[str] = field(default_factory=set)


class Roster:
    def __init__(self, screens: Mapping[str, ScreenSettings], *, silent_after: timedelta, clock: Clock) -> None:
        self._screens = screens
        self._silent_after = silent_after
        self._clock = clock
        self._seen = {player: Seen() for player in screens}
        self.changed = True  # since the last snapshot

    def __contains__(self, player: str) -> bool:
        return player in self._seen

    def on_state(self, player: str, state: PlayerState, *, retained: bool) -> bool:
        """Take in a player's state; True when what it holds or follows has changed.

        A retained one tells what the player last said, not that it is there now. A will is news about the link only.
        """
        seen = self._seen[player]
        self.changed = True
        if not state.online:
            seen.state = (seen.state or state).model_copy(update={"online": False})
            return False
        before = seen.state
        if before is not None and (state.boots, state.n) < (before.boots, before.n):
            raise Refused(Attack.REPLAYED, "a state from before the last one")
        if not retained:
            seen.last_seen = self._clock.now()
        seen.state, seen.holds = state, set(state.holds)
        return before is None or _of_note(before) != _of_note(state)

    def follows(self, player: str) -> tuple[int, int] | None:
        """The manifest that the player says it follows; None when it was not heard yet."""
        seen = self._seen.get(player)
        return (seen.state.epoch, seen.state.seq) if seen and seen.state else None

    def state(self, player: str) -> PlayerState | None:
        """What the player said last; None when it was not heard yet."""
        seen = self._seen.get(player)
        return seen.state if seen else None

    def heard(self, player: str) -> None:
        self._seen[player].last_seen = self._clock.now()
        self.changed = True

    def holds(self, player: str, cids: Iterable[str]) -> bool:
        return player in self._seen and self._seen[player].holds.issuperset(cids)

    def online(self, player: str) -> bool:
        """Whether the player was heard lately and has not said goodbye."""
        seen = self._seen[player]
        if seen.last_seen is None or (seen.state and not seen.state.online):
            return False
        return self._clock.now() - seen.last_seen <= self._silent_after

    def offline(self) -> list[str]:
        return [player for player in sorted(self._seen) if not self.online(player)]

    def last_seen(self, player: str) -> datetime | None:
        return self._seen[player].last_seen

    def errors(self, player: str) -> tuple[str, ...]:
        state = self._seen[player].state
        return tuple(f"{problem.code}: {problem.text}" for problem in state.problems) if state else ()

    def snapshot(
        self, *, seqs: Mapping[str, int], wanted: Mapping[str, set[str]], progress: Mapping[str, tuple[int, int]]
    ) -> list[dict[str, Any]]:
        """The players as `siarhub videotron players --json` shows them."""
        self.changed = False
        return [
            self._row(player, seqs.get(player, 0), wanted.get(player, set())) | {"receiving": progress.get(player)}
            for player in sorted(self._seen)
        ]

    def recall(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take over when players were last seen from the snapshot of an earlier run."""
        for row in rows:
            if (seen := self._seen.get(row["player"])) and row["last_seen"]:
                seen.last_seen = seen.last_seen or datetime.fromisoformat(row["last_seen"])

    def _row(self, player: str, seq: int, wanted: set[str]) -> dict[str, Any]:
        seen = self._seen[player]
        row = unheard(player, self._screens[player]) | {
            "online": self.online(player),
            "last_seen": seen.last_seen.isoformat() if seen.last_seen else None,
            "wanted": len(wanted),
            "held": len(wanted & seen.holds),
            "seq": seq,
        }
        return row | _told(seen.state) if seen.state else row


def unheard(player: str, screen: ScreenSettings) -> dict[str, Any]:
    """The row of a configured screen whose player was never heard."""
    return {
        "player": player,
        "name": screen.name,
        "width": screen.width,
        "height": screen.height,
        "online": False,
        "last_seen": None,
        "wanted": 0,
        "held": 0,
        "seq": 0,
        "seq_followed": None,
        "playing": None,
        "mpv": None,
        "shows": None,
        "software": None,
        "free_bytes": None,
        "clock": None,
        "errors": [],
        "receiving": None,
    }


def _of_note(state: PlayerState) -> tuple[object, ...]:
    return state.holds, state.epoch, state.seq, state.override, state.shows, state.online


def _told(state: PlayerState) -> dict[str, Any]:
    return {
        "seq_followed": state.seq,
        "playing": state.playing.model_dump(mode="json") if state.playing else None,
        "mpv": state.mpv,
        "software": state.software,
        "free_bytes": state.free_bytes,
        "clock": state.clock.isoformat(),
        "shows": state.shows,
        "errors": [f"{problem.code}: {problem.text}" for problem in state.problems],
    }


class SnapshotFile:
    """The one writer of the snapshot: after `end`, a write that was still under way cannot bring anybody back.

    Its methods block: call them in a thread.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._ended = False

    def write(self, now: datetime, rows: list[dict[str, Any]]) -> None:
        with self._lock:
            if not self._ended:
                write_snapshot(self._folder, now, rows)

    def end(self, now: datetime, rows: list[dict[str, Any]]) -> None:
        """The hub stops: from now on it knows of nobody being online."""
        with self._lock:
            self._ended = True
            write_snapshot(self._folder, now, [row | {"online": False} for row in rows])


def write_snapshot(folder: Path, written_at: datetime, rows: list[dict[str, Any]]) -> None:
    """Keep the roster for `siarhub videotron players` and the next start. Blocks."""
    content = {"v": 1, "written_at": written_at.isoformat(), "players": rows}
    write_atomically(folder / SNAPSHOT, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def read_snapshot(folder: Path, now: datetime) -> list[dict[str, Any]]:
    """The rows of the last snapshot; none when there is none or it cannot be read. Blocks.

    When the hub has not written it lately, it knows of nobody being online.
    """
    try:
        content = json.loads((folder / SNAPSHOT).read_text())
        rows: list[dict[str, Any]] = content["players"]
        stale = now - datetime.fromisoformat(content["written_at"]) > STALE_AFTER
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row | {"online": False} for row in rows] if stale else rows
