"""How orders stand, for people: in words, and as a file that the command line reads while it waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import Translate
from hub.api.files import write_atomically
from plugins.videotron.emergency.overrides import Wish
from plugins.videotron.emergency.standing import Stand, Standing
from plugins.videotron.protocol import Mode

FILE = "emergencies.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One screen's order, and how it stands."""

    wish: Wish
    name: str  # what people call the screen
    counter: int
    standing: Standing

    def in_short(self) -> str:
        until = f" until {self.wish.until:%Y-%m-%d %H:%M} UTC" if self.wish.until else ""
        return f"{self.wish.mode.value}{until} by {self.wish.who}: {self.standing.stand.value}"

    def as_json(self) -> dict[str, Any]:
        wish, standing = self.wish, self.standing
        return {
            "screen": wish.player,
            "name": self.name,
            "order": wish.order,
            "mode": wish.mode.value,
            "template": wish.template,
            "item": wish.item or None,
            "reference": wish.reference or None,
            "until": wish.until.isoformat() if wish.until else None,
            "who": wish.who,
            "why": wish.why,
            "given_at": wish.given_at.isoformat(),
            "counter": self.counter,
            "state": standing.stand.value,
            "part": standing.part,
            "left_s": standing.left_s,
            "blocks": standing.blocks,
            "offline_since": standing.since.isoformat() if standing.since else None,
            "reason": standing.reason,
        }


class Reckoning:
    """Writes the file when it says something new."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._written: list[dict[str, Any]] | None = None

    async def write(self, now: datetime, rows: Sequence[Row]) -> None:
        """Never raises: a full disk must not keep an emergency from the screens."""
        content = [row.as_json() for row in rows]
        if content == self._written:
            return
        text = json.dumps({"v": 1, "written_at": now.isoformat(), "screens": content}, ensure_ascii=False, indent=1)
        try:
            await asyncio.to_thread(write_atomically, self._path, f"{text}\n", mode=0o640)
        except OSError:
            return  # the next change tries again
        self._written = content


def read_reckoning(folder: Path) -> list[dict[str, Any]]:
    """The rows that the hub wrote last; none when there is no such file. Blocks."""
    try:
        rows = json.loads((folder / FILE).read_text())["screens"]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def told_people(row: Row, say: Translate, zone: ZoneInfo) -> str:
    """One screen in a sentence, in the office's language."""
    return say(_SENTENCES[row.standing.stand], screen=row.wish.player, **_values(row.as_json(), zone))


def told_in_english(row: Mapping[str, Any], zone: ZoneInfo) -> str:
    """The same of a row of the file."""
    return _SENTENCES[Stand(row["state"])].format(screen=row["screen"], **_values(row, zone))


def is_final(row: Mapping[str, Any]) -> bool:
    """Whether waiting any longer would change nothing by itself soon."""
    return Stand(row["state"]) in (Stand.IN_FORCE, Stand.OFFLINE, Stand.FAILED, Stand.OVER, Stand.NOT_READY)


def _values(row: Mapping[str, Any], zone: ZoneInfo) -> dict[str, object]:
    since = row["offline_since"]
    blocks = row["blocks"]
    return {
        "since": f"{datetime.fromisoformat(since).astimezone(zone):%d-%m-%Y %H:%M}" if since else "?",
        "percent": "?" if row["part"] is None else f"{row['part']:.0%}",
        "left": "?" if row["left_s"] is None else f"{row['left_s']:.0f} s",
        "blocks": f"{blocks[0]}/{blocks[1]}" if blocks else "?",
        "reason": row["reason"],
        "mode": Mode(row["mode"]).value,
    }


_SENTENCES = {
    Stand.IN_FORCE: "{screen}: done, the screen confirms it",
    Stand.SENT: "{screen}: sent, not confirmed yet",
    Stand.OFFLINE: "{screen}: not there since {since}; it follows as soon as it is back",
    Stand.FETCHING: "{screen}: its film is on the way, block {blocks}",
    Stand.MAKING: "{screen}: its film is being made, {percent}, about {left} left",
    Stand.FILE: "{screen}: the file is being looked at",
    Stand.NOT_READY: "{screen}: there is no film of it for this screen yet; siarhub status says why",
    Stand.FAILED: "{screen}: cannot be shown: {reason}",
    Stand.OVER: "{screen}: over",
}
