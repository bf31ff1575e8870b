"""Tidies a renditions' folder until it is killed: the victim of test_housekeeping. Usage: FOLDER."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import structlog

from hub.api import Channel, Clock, Delivery, Draft, Rendition, Sha256, VideoProfile, Want
from hub.api.files import sha256_of
from hub.housekeeping import Housekeeping, Shortage
from hub.ledger import deliveries, items, renditions
from hub.ledger.database import Database, open_for_writing, transaction
from hub.testing import NOON, FakeClock, make_asset, make_media
from tests.hub.world import WITA

LATER = NOON + timedelta(days=90)


def prepare(folder: Path) -> tuple[Sequence[Path], Sequence[Path]]:
    """A ledger with live and ended items of one rendition each; the files needed, and those idle for long."""
    folder.mkdir()
    db = open_for_writing(folder / "ledger.db")
    needed, idle = [], []
    for number in range(6):
        live = number % 2 == 0
        path = _rendition_file(folder, number)
        (needed if live else idle).append(path)
        with transaction(db):
            _item(db, number, path, live=live)
    with transaction(db):
        renditions.note_idle(db, now=NOON)
    db.close()
    return needed, idle


def tidy(database: Database, folder: Path, clock: Clock) -> None:
    month, log = timedelta(days=30), structlog.get_logger("test")
    keeper = Housekeeping(
        database, folder / "renditions", folder / "vault", month, lambda: Shortage(lacking=0), clock, log
    )
    asyncio.run(keeper.tidy())


def _rendition_file(folder: Path, number: int) -> Path:
    draft = folder / "draft"
    draft.write_bytes(f"rendition {number}".encode())
    digest = sha256_of(draft)
    path = folder / "renditions" / digest[:2] / f"{digest}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    os.utime(draft.rename(path), times=(NOON.timestamp(), NOON.timestamp()))
    return path


def _item(db: items.sqlite3.Connection, number: int, path: Path, *, live: bool) -> None:
    asset = make_asset(name=f"{number}.mp4")
    object.__setattr__(asset, "sha256", Sha256(f"{number:064}"))
    draft = Draft(
        title=str(number), assets=(asset,), channels=frozenset(Channel), start=NOON, end=LATER + timedelta(days=1)
    )  # fmt: skip
    item = items.accept(db, draft, name=str(number), sidecar="", plugins=(), now=NOON, zone=WITA)
    profile = VideoProfile(width=64, height=48)
    want = Want(asset=asset.sha256, profile=profile)
    delivery = Delivery(key=item.number, item=item.number, destination="d", wants=(want,))
    deliveries.plan(db, item, "p", [delivery], now=NOON, transcode_at=NOON)
    digest = Sha256(path.stem)
    renditions.made(
        db, Rendition(asset=asset.sha256, profile=profile, path=path, sha256=digest, media=make_media())
    )  # fmt: skip
    if not live:
        items.set_state(db, item, items.ItemState.ENDED, now=NOON)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    opened = Database(where / "ledger.db")
    tidy(opened, where, FakeClock(time=LATER))
    opened.close()
