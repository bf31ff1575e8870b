"""What the archive needs from the machine, and where its commands find it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from hub.api import Translate
from hub.api.files import write_atomically

_WHERE = "archive-root.json"


def problems_of(root: Path, tell: Translate) -> list[str]:
    """Why the archive cannot work at `root`, a sentence each with the remedy."""
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    if not nearest.is_dir():
        return [tell("{path} is not a folder: the archive cannot stand there. Move it away.", path=nearest)]
    if not os.access(nearest, os.W_OK | os.X_OK):
        return [tell("The hub may not write in {path}: give that folder to the hub's user (chown).", path=nearest)]
    return []


def remember_root(state_dir: Path, root: Path) -> None:
    """Note where the archive stands, for commands that run without the daemon. Raises: OSError."""
    content = json.dumps({"root": str(root.absolute())})
    path = state_dir / _WHERE
    if not path.is_file() or path.read_text(encoding="utf-8") != content:
        write_atomically(path, content)


def recall_root(state_dir: Path, folder: Path) -> Path | None:
    """Where the archive stands: an absolute setting, else what the daemon noted; None when it never ran."""
    if folder.is_absolute():
        return folder
    try:
        return Path(json.loads((state_dir / _WHERE).read_text(encoding="utf-8"))["root"])
    except (FileNotFoundError, ValueError, KeyError):
        return None
