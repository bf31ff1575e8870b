"""Makers for the archive's tests: items with real files, journal entries, checks by independent tools."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from hub.api import Fact, Item, JournalEntry, Played, Sha256
from hub.testing import NOON, FakeHub, make_asset, make_context, make_item
from plugins.archive.plugin import ArchivePlugin
from plugins.archive.settings import ArchiveSettings

SYSTEM_PYTHON = sys.executable


@dataclass
class Archive:
    """A plugin on a folder, the hub it talks to, and the archive as people see it."""

    folder: Path
    hub: FakeHub
    settings: ArchiveSettings
    plugin: ArchivePlugin

    @property
    def root(self) -> Path:
        return self.folder / "root" / "Arsip"

    @property
    def state(self) -> Path:
        return self.folder / "state" / "archive"

    def restart(self) -> None:
        """A new plugin on the same folders, as after a kill."""
        context = make_context(self.settings, self.folder, hub=self.hub, name="archive")
        self.plugin = ArchivePlugin(context)

    def add_item(
        self, number: str = "IP-2026-11-0001", *, names: tuple[str, ...] = ("siaga.mp4",), **changes: Any
    ) -> Item:
        vault = self.folder / "vault"
        vault.mkdir(exist_ok=True)
        assets = []
        for name in names:
            path = vault / f"{number}-{len(assets)}"
            path.write_bytes(f"{number} {name!r}".encode(errors="replace") * 50)
            assets.append(make_asset(path, name=name))
        item = make_item(number, assets=tuple(assets), **changes)
        self.hub.known.append(item)
        return item

    def tell(self, *facts: Fact, plugin: str = "videotron", at: datetime | None = None) -> list[JournalEntry]:
        """Facts as the journal keeps them."""
        entries = []
        for fact in facts:
            seq = len(self.hub.recorded) + 1
            entry = JournalEntry(seq=seq, recorded_at=at or self.hub.clock.now(), plugin=plugin, fact=fact)
            self.hub.recorded.append(entry)
            entries.append(entry)
        return entries


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    settings = ArchiveSettings(keep_free_mb=0, refresh_every_s=0)
    hub = FakeHub(plugin="archive")
    plugin = ArchivePlugin(make_context(settings, tmp_path, hub=hub, name="archive"))
    return Archive(folder=tmp_path, hub=hub, settings=settings, plugin=plugin)


@pytest.fixture
def played() -> Callable[..., Played]:
    def make(
        item: str = "IP-2026-11-0001", *, at: datetime = NOON, screen: str = "gerbang", complete: bool = True
    ) -> Played:
        return Played(
            delivery=f"{item}/{screen}",
            item=item,  # type: ignore[arg-type]
            destination=screen,
            rendition=Sha256("b" * 64),
            started_at=at,
            seconds=6.0,
            complete=complete,
        )

    return make


@pytest.fixture
def check_bag() -> Callable[[Path], None]:
    """Fails unless coreutils, bagit-python and our own verification all call the bag whole."""

    def check(folder: Path) -> None:
        from plugins.archive.verify import verify

        for manifest in ("manifest-sha256.txt", "tagmanifest-sha256.txt"):
            done = subprocess.run(
                ["sha256sum", "-c", "--strict", "--quiet", manifest],
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
        done = subprocess.run(
            [SYSTEM_PYTHON, "-W", "ignore", "-m", "bagit", "--validate", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert verify(folder) == []

    return check


@pytest.fixture
def month_folder(archive: Archive) -> Path:
    return archive.root / "2026" / "2026-11 November"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)
