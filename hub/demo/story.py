"""The story so far, told from what the hub wrote down: new facts as sentences, and what is under way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from hub.api import (
    Aired,
    AiringState,
    DeliveryChanged,
    DeliveryState,
    Filed,
    ItemChanged,
    ItemState,
    JournalEntry,
    Played,
    Refused,
)
from hub.ledger import facts, items
from hub.ledger.database import open_for_reading
from hub.observe.health import read_status
from plugins.videotron.screens.snapshot import read_snapshot

_TOLD = {
    DeliveryState.TRANSCODING: "[cyan]transcoding[/] for",
    DeliveryState.READY: "[cyan]transcoded[/] for",
    DeliveryState.HANDED_OVER: "on its way to",
    DeliveryState.DELIVERED: "[green]delivered[/] to",
    DeliveryState.FAILED: "[red]FAILED[/] at",
}


@dataclass(slots=True)
class Story:
    """Reads the hub's ledger; remembers what it has told."""

    state_dir: Path
    seen: int = 0
    plays: int = 0
    titles: dict[str, str] = field(default_factory=dict)
    reached: set[tuple[str, str]] = field(default_factory=set)  # (item, milestone)
    month_folders: set[str] = field(default_factory=set)
    _first: set[tuple[str, str]] = field(default_factory=set)

    def news(self) -> Iterator[str]:
        """One sentence for every fact that is new and worth telling. Blocks."""
        ledger = open_for_reading(self.state_dir / "ledger.db")
        try:
            for entry in facts.entries(ledger, after=self.seen):
                self.seen = entry.seq
                if sentence := self._tell(ledger, entry):
                    yield sentence
        finally:
            ledger.close()

    def transcoding(self) -> float | None:
        """How far the present transcode is, 0 to 1; None when there is none. Blocks."""
        parts = [one["part"] for one in (read_status(self.state_dir) or {}).get("transcoding", ())]
        return min(parts, default=None)

    def receiving(self) -> float | None:
        """How much of what is on its way the players hold, 0 to 1; None when nothing is. Blocks."""
        rows = read_snapshot(self.state_dir / "plugins" / "videotron", datetime.now(UTC))
        parts = [row["receiving"] for row in rows if row.get("receiving")]
        return sum(held for held, _ in parts) / sum(blocks for _, blocks in parts) if parts else None

    def _tell(self, ledger: sqlite3.Connection, entry: JournalEntry) -> str:
        match entry.fact:
            case ItemChanged(item=number, state=ItemState.ACCEPTED | ItemState.ACTIVE):
                return self._accepted(ledger, number)
            case DeliveryChanged(item=number, destination=where, state=state, reason=reason):
                self.reached.add((number, f"{state}:{where}"))
                if (
                    state is DeliveryState.READY
                    and (number, f"{DeliveryState.TRANSCODING}:{where}") not in self.reached
                ):
                    return ""  # there was nothing to transcode
                why = f": {reason}" if reason and state is DeliveryState.FAILED else ""
                return f"{number} {_TOLD[state]} {where}{why}" if state in _TOLD else ""
            case Played(item=number, destination=where, seconds=seconds):
                return self._played(number, where, seconds)
            case Aired(item=number, state=state, seconds=seconds, reason=reason):
                return self._aired(number, state, seconds, reason)
            case Filed(item=number, path=path):
                self.reached.add((number, "filed"))
                self.month_folders.add("/".join(Path(path).parts[:2]))
                return f"{number} [bold green]filed[/] in {path}"
            case Refused(name=name, reason=reason):
                return f"[red]refused[/] {name}: {reason}"
        return ""

    def _accepted(self, ledger: sqlite3.Connection, number: str) -> str:
        if number in self.titles:
            return ""
        item = items.get(ledger, number)
        self.titles[number] = item.title if item else ""
        return f"[bold]accepted {number}[/] {self.titles[number]}"

    def _played(self, number: str, where: str, seconds: float) -> str:
        self.plays += 1
        self.reached.add((number, f"played:{where}"))
        if (number, where) in self._first:
            return ""
        self._first.add((number, where))
        return f"{number} [bold green]played[/] on {where} for {seconds:.1f} s (first of many)"

    def _aired(self, number: str, state: AiringState, seconds: float, reason: str) -> str:
        if state is not AiringState.AIRED:
            return f"{number} [yellow]{state}[/] on the radio: {reason}"
        self.reached.add((number, "aired"))
        return f"{number} [bold green]aired[/] for {seconds:.1f} s"
