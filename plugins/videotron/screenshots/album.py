"""The screenshots on the hub's disk: `<folder>/<screen>/<time>.jpg`, beside a wrong one `<time>.approved.jpg`.

Bounded: of each screen the newest 48, and of each day before them one, for 60 days. Every method blocks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.api.files import write_atomically

NEWEST = 48
DAYS = 60
STAMP = "%Y%m%dT%H%M%SZ"


class Album:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, screen: str, at: datetime, jpeg: bytes, approved: bytes | None) -> tuple[Path, Path | None]:
        """Keep a picture, and the one that was approved for its place; returns their paths. Raises: OSError."""
        folder = self._folder / screen
        folder.mkdir(parents=True, exist_ok=True)
        stem = f"{at.astimezone(UTC):{STAMP}}"
        beside = None
        if approved is not None:
            beside = folder / f"{stem}.approved.jpg"
            write_atomically(beside, approved, mode=0o640)
        picture = folder / f"{stem}.jpg"
        write_atomically(picture, jpeg, mode=0o640)
        self._thin_out(folder, at)
        return picture, beside

    def _thin_out(self, folder: Path, now: datetime) -> None:
        taken = sorted({path.name.partition(".")[0] for path in folder.glob("*.jpg")}, reverse=True)
        keep, days = set(taken[:NEWEST]), set[str]()
        oldest = f"{now.astimezone(UTC) - timedelta(days=DAYS):{STAMP}}"
        for stem in taken[NEWEST:]:
            day = stem[:8]
            if stem >= oldest and day not in days:
                keep.add(stem)
            days.add(day)
        for stem in set(taken) - keep:
            (folder / f"{stem}.approved.jpg").unlink(missing_ok=True)
            (folder / f"{stem}.jpg").unlink(missing_ok=True)
