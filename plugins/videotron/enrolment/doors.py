"""Doors at the broker for one enrolment each: two accounts that are there only while the technician's command runs.

`enrolling.json` in the folder of accounts names them. A command that was killed leaves its door behind; it counts no
longer when its time is over, and the next change of any account takes it out of the broker's files.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hub.api.files import write_atomically

DOORS = "enrolling.json"
_ID = re.compile(r"[0-9a-f]{16}")
_LINE = re.compile(r"enrol(ler)?\.[0-9a-f]{16}:\$7\$[0-9]+\$[A-Za-z0-9+/=]+\$[A-Za-z0-9+/=]+\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """The accounts of one code: the player's until it has its own, and the command's."""

    id: str
    until: float  # Unix seconds
    password_lines: tuple[str, ...]  # of Mosquitto's password_file

    @property
    def account(self) -> str:
        return f"enrol.{self.id}"

    @property
    def hub_account(self) -> str:
        return f"enroller.{self.id}"


def open_doors(folder: Path) -> Sequence[Door]:
    """The doors whose time is not over; a file that says anything else opens none. Blocks."""
    try:
        said = json.loads((folder / DOORS).read_text())
        doors = [Door(id=d["id"], until=d["until"], password_lines=tuple(d["password_lines"])) for d in said]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return tuple(door for door in doors if _sound(door) and door.until > time.time())


def keep_doors(folder: Path, doors: Sequence[Door]) -> None:
    """Blocks. Raises: OSError."""
    if doors or (folder / DOORS).exists():
        write_atomically(folder / DOORS, json.dumps([asdict(door) for door in doors]) + "\n", mode=0o600)


def _sound(door: Door) -> bool:
    return (
        bool(_ID.fullmatch(door.id))
        and isinstance(door.until, int | float)
        and all(_LINE.fullmatch(line) for line in door.password_lines)
    )
