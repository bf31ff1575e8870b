"""Runs an intake as nobody until it has nothing more to do: argv is root and vault."""

from __future__ import annotations

import asyncio
import concurrent.futures.thread  # noqa: F401 - loaded late otherwise, when nobody may not read it
import os
import sys
from datetime import datetime
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[3])]

from conftest import WITA, Place, wait_until  # noqa: E402

from hub.messages import catalogue  # noqa: E402


async def main(root: Path, vault: Path) -> None:
    place = Place(root=root, vault=vault)
    async with place.running():
        notes = [root / "Disetujui" / f"{name}.alasan.txt" for name in ("milik-root.mp4", "folder-root")]
        await wait_until(lambda: bool(place.desk.placed) and all(note.exists() for note in notes))


if __name__ == "__main__":
    catalogue("id")  # nobody may not read the interpreter's files everywhere: import what is imported late
    WITA.tzname(datetime.now(WITA))
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
