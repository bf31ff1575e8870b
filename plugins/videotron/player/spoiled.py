"""What the disk has spoiled, or a kill has left behind: out of the way of what comes next, and never in any number."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from pathlib import Path

from hub.api.files import write_atomically

KEPT = 3  # of what was set aside under one name: enough to look at, never a full disk


def put(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """As `write_atomically`, also where the disk has a folder of that name. Blocks. Raises: OSError."""
    try:
        write_atomically(path, data, mode=mode)
    except IsADirectoryError:
        set_aside(path)
        write_atomically(path, data, mode=mode)


def set_aside(path: Path) -> Path:
    """Keep it under another name, for whoever wants to know; older ones go. Blocks. Raises: OSError."""
    aside = path.with_name(f"{path.name}.spoiled-{secrets.token_hex(3)}")
    path.replace(aside)
    older = sorted(path.parent.glob(f"{path.name}.spoiled-*"), key=_changed_at, reverse=True)
    for one in [one for one in older if one != aside][KEPT - 1 :]:
        with contextlib.suppress(OSError):
            shutil.rmtree(one) if one.is_dir() else one.unlink()
    return aside


def clear_litter(folder: Path) -> int:
    """Delete what writes that were cut short have left in this folder; returns how many files. Blocks.

    Nobody else may be writing there.
    """
    gone = 0
    with contextlib.suppress(OSError):
        for path in folder.glob(".*.tmp"):
            with contextlib.suppress(OSError):
                path.unlink()
                gone += 1
    return gone


def _changed_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except OSError:
        return 0.0
