"""Files items in an archive until it is killed: the victim of the archive's fault tests. Usage: FOLDER COUNT."""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Asset, Item, MediaInfo, MediaKind, Sha256
from hub.api.files import sha256_of
from hub.testing import NOON, make_item
from plugins.archive.cabinet import Cabinet
from plugins.archive.record import Cause, Filing
from plugins.archive.settings import ArchiveSettings

ZONE = ZoneInfo("Asia/Makassar")
BEGIN = "/begin-of-what-may-be-killed"  # looked for, never there: a mark in the trace


def number_of(count: int) -> str:
    return f"IP-2026-11-{count:04}"


def item_of(folder: Path, count: int) -> Item:
    """An item of two originals that stand in `folder`."""
    assets = []
    for name in ("gambar.mp4", "suara.wav"):
        path = folder / f"{count}-{name}"
        if not path.exists():
            path.write_bytes(f"{count} {name} ".encode() * 2000)
        media = MediaInfo(kind=MediaKind.VIDEO, container="mp4", size_bytes=path.stat().st_size)
        assets.append(Asset(sha256=Sha256(sha256_of(path)), path=path, original_name=name, media=media))
    return make_item(number_of(count), assets=tuple(assets))


def filing_of(cabinet: Cabinet, item: Item) -> Filing:
    at = NOON + timedelta(hours=1)
    return Filing(item=item, at=at, now=at, cause=Cause.PLAYED, names=cabinet.plan(item, at)[1])


def open_cabinet(folder: Path) -> Cabinet:
    """The archive below `folder`, recovered."""
    cabinet = Cabinet(folder / "Arsip", ArchiveSettings(keep_free_mb=0), ZONE)
    cabinet.open()
    return cabinet


def main() -> None:
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    vault = folder / "vault"
    vault.mkdir(exist_ok=True)
    items = [item_of(vault, number) for number in range(1, count + 1)]
    os.path.exists(BEGIN)  # noqa: PTH110 - one plain system call, to be found in the trace
    cabinet = open_cabinet(folder)
    for item in items:
        cabinet.file(filing_of(cabinet, item))
        print(item.number, flush=True)  # noqa: T201 - said only after it is filed


if __name__ == "__main__":
    main()
