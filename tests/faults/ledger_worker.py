"""Accepts items, a transaction each, until it is killed: the victim of ledger_sweep. Usage: FOLDER COUNT."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Channel, Draft
from hub.ledger import items
from hub.ledger.database import open_for_writing, transaction
from hub.testing import NOON, make_asset

ZONE = ZoneInfo("Asia/Makassar")


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    db = open_for_writing(folder / "ledger.db")
    db.execute("PRAGMA wal_autocheckpoint = 12")  # so that checkpoints are met too
    for _ in range(count):
        with transaction(db):
            serial = len(items.all_items(db)) + 1
            now = NOON + timedelta(days=4 * serial)  # over the end of the month
            draft = Draft(
                title=f"item {serial}", assets=(make_asset(name=f"{serial}.mp4"),), channels=frozenset(Channel),
                start=NOON, end=NOON + timedelta(days=90),
            )  # fmt: skip
            item = items.accept(db, draft, name=f"{serial}.mp4", sidecar="", plugins=("one", "two"), now=now, zone=ZONE)
        print(item.number, flush=True)  # noqa: T201 - said only after it is durable
    db.close()


if __name__ == "__main__":
    main()
