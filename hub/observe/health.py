"""How the hub is, as one file that commands read: `status.json` in the state folder, rewritten when it changes."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from hub.api.files import write_atomically

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
    transcoding: dict[str, float]  # asset -> part done, 0.0 to 1.0
    plugins: tuple[dict[str, str], ...] = field(default_factory=tuple)

    @property
    def state(self) -> str:
        states = {part.state for part in self.parts}
        return next((state for state in ("down", "degraded") if state in states), "ok")


def write_status(state_dir: Path, status: Status) -> None:
    write_atomically(state_dir / STATUS, json.dumps({"state": status.state, **asdict(status)}, default=str), mode=0o660)


def read_status(state_dir: Path) -> dict[str, Any] | None:
    """The last status written; None when there is none."""
    try:
        value: dict[str, Any] = json.loads((state_dir / STATUS).read_bytes())
    except (OSError, ValueError):
        return None
    return value
