"""How often this player has started: with it, the hub can tell an old state from a new one."""

from __future__ import annotations

import contextlib
from pathlib import Path

from plugins.videotron.player.spoiled import put
from plugins.videotron.protocol.wire import MAX_SAFE_INTEGER


def count_boot(folder: Path, *, now: int) -> int:
    """The number of this start, greater than all before it. Blocks.

    `now`, in seconds since 1970, keeps it so when the count was lost, or cannot be kept: the screen goes on without.
    """
    path = folder / "boots"
    try:
        count = int(path.read_text()[:20]) + 1
    except (OSError, ValueError):
        count = 1
    count = max(count if count <= MAX_SAFE_INTEGER else 1, now)
    with contextlib.suppress(OSError):
        put(path, f"{count}\n")
    return count
