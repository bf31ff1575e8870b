"""Filing items one after the other: our rolling bag against bagit-python, brought up to date after each item.

Ours is crash-safe (every step fsynced, an intent before each) and writes a record for each item; theirs is neither.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from bench.measure import Measure
from hub.api import Asset, Item, MediaInfo, MediaKind
from hub.api.files import sha256_of
from hub.testing import NOON, make_item
from plugins.archive.cabinet import Cabinet
from plugins.archive.record import Cause, Filing
from plugins.archive.settings import ArchiveSettings

ITEMS = 30
BYTES = 8 << 20
THEIRS = """
import bagit, shutil, sys
from pathlib import Path
folder = Path(sys.argv[1]); folder.mkdir()
bag = bagit.make_bag(str(folder), checksums=["sha256"])
for original in sys.argv[2:]:
    shutil.copyfile(original, folder / "data" / Path(original).name)
    bag.save(manifests=True)
"""


def measures() -> Iterator[Measure]:
    with tempfile.TemporaryDirectory(prefix="siar-") as name:
        folder = Path(name)
        items = [_item(folder, number) for number in range(1, ITEMS + 1)]
        began = time.monotonic()
        originals = [str(item.assets[0].path) for item in items]
        subprocess.run([sys.executable, "-W", "ignore", "-c", THEIRS, str(folder / "bag"), *originals], check=True)
        theirs, began = time.monotonic() - began, time.monotonic()
        cabinet = Cabinet(folder / "Arsip", ArchiveSettings(keep_free_mb=0), ZoneInfo("Asia/Makassar"))
        cabinet.open()
        for item in items:
            at = NOON + timedelta(hours=1)
            cabinet.file(Filing(item=item, at=at, now=at, cause=Cause.PLAYED, names=cabinet.plan(item, at)[1]))
        ours = time.monotonic() - began
        yield Measure(name=f"archive-file-{ITEMS}-items", ours=ours, theirs=theirs, target=0.5)
        _unlock(folder)


def _item(folder: Path, number: int) -> Item:
    path = folder / f"{number:03}.mp4"
    path.write_bytes(os.urandom(BYTES))
    media = MediaInfo(kind=MediaKind.VIDEO, container="mp4", size_bytes=BYTES)
    asset = Asset(sha256=sha256_of(path), path=path, original_name=path.name, media=media)
    return make_item(f"IP-2026-11-{number:04}", assets=(asset,))


def _unlock(folder: Path) -> None:
    """The archive's folders are read-only for people; here they are thrown away."""
    for path in folder.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(folder / "Arsip")
