"""What the archive needs from the machine."""

from __future__ import annotations

import os
from pathlib import Path

from hub.api import Translate


def problems_of(root: Path, tell: Translate) -> list[str]:
    """Why the archive cannot work at `root`, a sentence each with the remedy."""
    nearest = next(folder for folder in (root, *root.parents) if folder.exists())
    if not nearest.is_dir():
        return [tell("{path} is not a folder: the archive cannot stand there. Move it away.", path=nearest)]
    if not os.access(nearest, os.W_OK | os.X_OK):
        return [tell("The hub may not write in {path}: give that folder to the hub's user (chown).", path=nearest)]
    return []
