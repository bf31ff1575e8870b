"""How the hub is, as one file that commands read: `status.json` in the state folder, rewritten when it changes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.api import Progress

STATUS = "status.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the hub and how it is; `state` is ok, degraded or down."""

    name: str
    state: str
    summary: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What `siarhub status` shows. The schema of `--json`."""

    version: str
    pid: int
    started_at: datetime
    written_at: datetime
    parts: tuple[Part, ...]
    jobs: dict[str, int]
    intake: dict[str, Any]
    transcoding: tuple[Progress, ...]  # what is transcoded now
    plugins: tuple[dict[str, str], ...] = field(default_factory=tuple)

    @property
    def state(self) -> str:
        states = {part.state for part in self.parts}
        return next((state for state in ("down", "degraded") if state in states), "ok")


def write_status(state_dir: Path, status: Status) -> None:
    """Replace the file. Each second while something is transcoded, so it is not brought to the disk as records are.

    It is about now: after a loss of power it is made anew. One writer only. Raises: OSError.
    """
    draft = state_dir / f".{STATUS}.new"
    draft.unlink(missing_ok=True)  # what was cut off; and others may write in this folder: never follow a link
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o660), "w") as file:
        os.fchmod(file.fileno(), 0o660)
        json.dump({"state": status.state, **asdict(status)}, file, default=str)
    draft.replace(state_dir / STATUS)


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """The last status written; None when there is none."""
    try:
        value: dict[str, Any] = json.loads((state_dir / STATUS).read_bytes())
    except (OSError, ValueError):
        return None
    return value
