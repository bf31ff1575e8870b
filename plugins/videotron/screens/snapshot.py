"""`players.json`: how the players are, for commands and for the next start of the hub."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hub.api.files import write_atomically

SNAPSHOT = "players.json"
STALE_AFTER = timedelta(minutes=1)  # the hub writes it every few seconds


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
