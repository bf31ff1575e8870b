"""The archive on disk: finds every item by its number, files a new one once. The bags themselves are the index."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, tzinfo
from pathlib import Path

from hub.api import Item, ItemNumber
from plugins.archive.bag import GROWING, PAYLOAD, Bag, BagDamaged, make_folders
from plugins.archive.months import Month
from plugins.archive.names import MAX_BYTES, safe_file_name, safe_name, unique_name
from plugins.archive.payload import PayloadFile
from plugins.archive.record import (
    JSON_NAME,
    TEXT_NAME,
    Filing,
    primary_kind,
    record_json,
    record_text,
    size_of,
)
from plugins.archive.settings import ArchiveSettings
from plugins.archive.texts import OPENING, opening, tag_files

MAX_PATH = 200
MAX_FOLDER_BYTES = 90

_MONTH_FOLDER = re.compile(r"(\d{4}-\d{2}) [A-Z][a-z]+")
_ITEM_PATH = re.compile(rf"({PAYLOAD}/[^/]+/\d{{4}}-\d{{2}}-\d{{2}} (IP-\d{{4}}-\d{{2}}-\d{{4,}})(?: [^/]*)?)/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an item is filed; `path` is relative to the archive's root."""

    month: Month
    path: str


class Cabinet:
    """Every method blocks; one writer at a time."""

    def __init__(self, root: Path, settings: ArchiveSettings, zone: tzinfo) -> None:
        self.root = root
        self.damaged: dict[str, str] = {}  # month folders that could not be read, with the reason
        self._settings = settings
        self._zone = zone
        self._places: dict[ItemNumber, Place] = {}

    def open(self) -> None:
        """Finish what a kill cut short, and read what is filed. Repeatable. Raises: OSError."""
        make_archive_root(self.root)
        self.damaged.clear()
        for month, bag in bags(self.root):
            try:
                bag.recover()
                bag.sweep()
                self._index(month, bag)
            except BagDamaged as error:
                self.damaged[bag.folder.name] = str(error)

    @property
    def size(self) -> tuple[int, int]:
        """How many items are filed, in how many months."""
        return len(self._places), len({place.month for place in self._places.values()})

    def place_of(self, number: ItemNumber) -> Place | None:
        return self._places.get(number)

    def filed_in(self, month: Month) -> list[ItemNumber]:
        return sorted(number for number, place in self._places.items() if place.month == month)

    def growing_folder(self, month: Month) -> Path:
        """The month's `berjalan/`, made with the month's bag when there is none yet. Raises: OSError, BagDamaged."""
        if not Bag(self.root / month.folder).exists:
            self._bag(month, today=f"{month}-01")
        return make_folders(self.root / month.folder, GROWING)

    def list_folder(self, month: Month) -> Path:
        """Where `berjalan/` of a month stands, whether it exists or not."""
        return self.root / month.folder / GROWING

    def file(self, filing: Filing) -> Place:
        """File an item, or find it where it is filed already.

        Raises: OSError (the archive cannot be written now), SourceChanged, BagDamaged; a retry is safe.
        """
        known = self._places.get(filing.item.number)
        if known is not None:
            return known
        month = Month.of(filing.at, self._zone)
        bag = self._bag(month, today=self._date(filing.now))
        self._index(month, bag)  # a recovery just now may have completed it
        if filing.item.number not in self._places:
            self._append(month, bag, filing)
        return self._places[filing.item.number]

    def plan(self, item: Item, at: datetime) -> tuple[str, tuple[str, ...]]:
        """The folder for an item in its month's bag, and the names of its files."""
        month = Month.of(at, self._zone)
        title = safe_name(item.title)
        folder = safe_name(f"{self._date(at)} {item.number} {title}", max_bytes=MAX_FOLDER_BYTES)
        place = f"{PAYLOAD}/{self._settings.media_folders.of(primary_kind(item))}/{folder}"
        room = min(MAX_BYTES, MAX_PATH - len(month.folder) - len(place) - 2)
        taken = {JSON_NAME, TEXT_NAME}
        names = tuple(
            unique_name(safe_file_name(asset.original_name, max_bytes=room), taken, max_bytes=room)
            for asset in item.assets
        )
        return place, names

    def _append(self, month: Month, bag: Bag, filing: Filing) -> None:
        item = filing.item
        place, names = self.plan(item, filing.at)
        originals = [
            PayloadFile(name=name, source=asset.path, sha256=asset.sha256)
            for asset, name in zip(item.assets, names, strict=True)
        ]
        records = [
            PayloadFile(name=JSON_NAME, source=record_json(filing, self._settings, self._zone)),
            PayloadFile(name=TEXT_NAME, source=record_text(filing, self._settings, self._zone)),
        ]
        self._require_space(sum(size_of(asset) for asset in item.assets))
        bag.append(place, [*originals, *records], tag_files(self._settings, month, self._date(filing.now)))
        self._index(month, bag)

    def _bag(self, month: Month, *, today: str) -> Bag:
        bag = Bag(make_folders(make_archive_root(self.root), month.folder))
        bag.recover()
        if not bag.exists:
            first = PayloadFile(name=OPENING, source=opening(month, self._settings))
            bag.append(PAYLOAD, [first], tag_files(self._settings, month, today))
        return bag

    def _index(self, month: Month, bag: Bag) -> None:
        for number, folder in items_of(bag.manifest()).items():
            path = (bag.folder / folder).relative_to(self.root).as_posix()
            self._places.setdefault(number, Place(month=month, path=path))

    def _require_space(self, size: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free < size + self._settings.keep_free_mb * 1_000_000:
            raise OSError(errno.ENOSPC, "not enough free space for the next item", str(self.root))

    def _date(self, at: datetime) -> str:
        return at.astimezone(self._zone).date().isoformat()


def make_archive_root(root: Path) -> Path:
    """The archive's root, made when it is missing. Raises: OSError."""
    if not root.is_dir():
        root.mkdir(parents=True)
        root.chmod(0o755)
    return root


def items_of(manifest: Iterable[str]) -> dict[ItemNumber, str]:
    """The items that a bag's manifest lists, each with its folder in the bag."""
    matches = (_ITEM_PATH.match(path) for path in manifest)
    return {ItemNumber(match[2]): match[1] for match in matches if match}


def bags(root: Path) -> Iterator[tuple[Month, Bag]]:
    """Every month's bag below the archive's root, oldest first."""
    for folder in sorted(root.glob("[0-9][0-9][0-9][0-9]/*")):
        match = _MONTH_FOLDER.fullmatch(folder.name)
        if match and folder.is_dir() and not folder.is_symlink():
            try:
                yield Month.parse(match[1]), Bag(folder)
            except ValueError:
                continue
