"""Films on the disk: fetched block by block, trusted by their hashes alone."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .trust import finish
from .wire import Block, Refused

Film = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Fetch:
    """One film on its way. `group` and `unicast` are the sequences seen last in this connection."""

    film: Film
    blocks: dict[str, Any]  # the block list
    have: list[bool]
    group: int = 0
    unicast: int = 0
    unreported: int = 0  # blocks
    reported_at: float = 0.0
    block_at: float = field(default=float("inf"))  # of the first block after the last report

    def due(self, now: float) -> bool:
        return self.unreported >= 8 or now >= self.block_at + 0.3 or now >= self.reported_at + 2

    def waits(self) -> bool:
        """Whether a flush marker is worth a report."""
        return time.monotonic() >= self.reported_at + 0.05


class Films:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._partial = folder / "partial"
        self._partial.mkdir(parents=True, exist_ok=True)
        self._held = {}  # cid to sha256 of each file that was read whole and found right
        for path in (path for path in folder.iterdir() if path.is_file()):
            sha256 = _sha256(path)
            if sha256[:32] == path.name:
                self._held[path.name] = sha256
            else:
                path.unlink()

    @property
    def cids(self) -> list[str]:
        return sorted(self._held)

    def holds(self, film: Film) -> bool:
        return self._held.get(film["cid"]) == film["sha256"]

    def begin(self, film: Film, blocks: dict[str, Any]) -> Fetch:
        """Go on where the last start was cut off: only what hashes right counts."""
        path, size = self._partial / film["cid"], blocks["block_bytes"]
        path.touch()
        with path.open("r+b") as file:
            file.truncate(min(film["size"], path.stat().st_size))
            have = [_right(blocks, index, file.read(size)) for index in range(blocks["n"])]
        return Fetch(film=film, blocks=blocks, have=have)

    def take(self, fetch: Fetch, block: Block) -> None:
        if block.index >= len(fetch.have) or not _right(fetch.blocks, block.index, block.data):
            raise Refused("wrong block", f"{fetch.film['cid']}, {block.index}")
        with (self._partial / fetch.film["cid"]).open("r+b") as file:
            file.seek(block.index * fetch.blocks["block_bytes"])
            file.write(block.data)
        fetch.have[block.index] = True

    def complete(self, fetch: Fetch) -> bool:
        """Put a whole file into its place; False (and begin anew) when it is not the one that was asked for."""
        path, film = self._partial / fetch.film["cid"], fetch.film
        if _sha256(path) != film["sha256"]:
            path.unlink()
            path.touch()
            fetch.have = [False] * len(fetch.have)
            return False
        with path.open("r+b") as file:
            os.fsync(file.fileno())
        finish(path, self._folder / film["cid"])
        self._held[film["cid"]] = film["sha256"]
        return True

    def forget_all_but(self, wanted: set[str]) -> None:
        for path in [*self._folder.iterdir(), *self._partial.iterdir()]:
            if path.is_file() and path.name not in wanted:
                path.unlink()
                self._held.pop(path.name, None)


def _right(blocks: dict[str, Any], index: int, data: bytes) -> bool:
    return hashlib.sha256(data).digest() == blocks["hashes"][32 * index : 32 * index + 32]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
