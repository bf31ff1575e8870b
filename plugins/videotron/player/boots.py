"""How often this player has started: with it, the hub can tell an old state from a new one."""

from __future__ import annotations

from pathlib import Path

from hub.api.files import write_atomically


def count_boot(folder: Path, *, now: int) -> int:
    """The number of this start, greater than all before it. Blocks.

    `now`, in seconds since 1970, keeps it so when the count was lost.
    """
    path = folder / "boots"
    try:
        count = int(path.read_text()) + 1
    except (OSError, ValueError):
        count = 1
    count = max(count, now)
    write_atomically(path, f"{count}\n")
    return count
