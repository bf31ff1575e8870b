"""The films on this machine's disk: named by their hash, whole and verified or still a `.part`. All of it blocks.

There is no journal: what a `.part` holds is found by hashing its blocks again, so a kill at any instruction costs
nothing that was already written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from hub.api.errors import HubError
from hub.api.files import fsync_folder, sha256_of
from plugins.videotron.player.spoiled import set_aside
from plugins.videotron.protocol import BlockList, block_count

if TYPE_CHECKING:
    from hashlib import _Hash

MB = 1 << 20
CATCH_UP_BLOCKS = 2  # a block, so that little is left to hash when the last one comes


class NoRoom(HubError):
    """The disk has no room for this file now."""


class BadFile(HubError):
    """All blocks were right, and yet the whole is not: the list of blocks lies, or the disk does."""


@dataclass(slots=True)
class Part:
    """A film on its way: `have` has bit i set when block i is verified and written.

    The hash of the whole grows with the blocks from the first on, so that the end need not read all again.
    """

    path: Path
    blocks: BlockList
    digests: bytes
    fd: int
    have: int = 0
    _whole: _Hash = field(default_factory=hashlib.sha256)
    _hashed: int = 0  # blocks that are in it, from the first on

    @property
    def complete(self) -> bool:
        return self.have == (1 << self.blocks.n) - 1

    def holds(self, index: int) -> bool:
        return bool(self.have >> index & 1)

    def fits(self, index: int, data: bytes | memoryview) -> bool:
        """Whether these are the bytes of that block."""
        return index < self.blocks.n and hashlib.sha256(data).digest() == self.digests[32 * index : 32 * index + 32]

    def put(self, index: int, data: bytes | memoryview) -> bool:
        """Whether these are the bytes of that block; they are in their place then.

        Blocks. Raises: OSError, also when the disk is full.
        """
        if not self.fits(index, data):
            return False
        if self.holds(index):
            return True
        view, offset = memoryview(data), index * self.blocks.block_bytes
        while view:
            written = os.pwrite(self.fd, view, offset)
            view, offset = view[written:], offset + written
        self._add(index, data)
        self._catch_up(CATCH_UP_BLOCKS)
        return True

    def recall(self, index: int) -> None:
        """Count a block of an earlier run, if the disk has it whole. Blocks. Raises: OSError."""
        data = os.pread(self.fd, self.blocks.block_bytes, index * self.blocks.block_bytes)
        if self.fits(index, data):
            self._add(index, data)

    def sha256(self) -> str:
        """Of all that was written. Blocks. Raises: OSError."""
        self._catch_up(self.blocks.n)
        return self._whole.hexdigest()

    def _add(self, index: int, data: bytes | memoryview) -> None:
        self.have |= 1 << index
        if index == self._hashed:
            self._whole.update(data)
            self._hashed += 1

    def _catch_up(self, most: int) -> None:
        """Hash what came before its turn, `most` blocks of it."""
        size = self.blocks.block_bytes
        while most and self.holds(self._hashed):
            self._whole.update(os.pread(self.fd, size, self._hashed * size))
            self._hashed, most = self._hashed + 1, most - 1

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Store:
    """The folder of films. A file under its final name was whole, verified and synced when it got that name."""

    def __init__(self, folder: Path, *, keep_free_bytes: int) -> None:
        self._folder = folder
        self._keep_free_bytes = keep_free_bytes
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except FileExistsError:  # the disk made something else of it
            set_aside(folder)
            folder.mkdir(parents=True)

    def path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.mp4"

    def free_bytes(self) -> int:
        stat = os.statvfs(self._folder)
        return stat.f_bavail * stat.f_frsize

    def verify(self, sha256: str, size: int | None = None) -> bool:
        """Whether the film is here and is what its name says; one that is not is deleted, to be fetched again."""
        path = self.path(sha256)
        try:
            if (size is None or path.stat().st_size == size) and sha256_of(path) == sha256:
                return True
        except FileNotFoundError:
            return False
        except OSError:  # an unreadable sector: the file is as good as gone
            pass
        with contextlib.suppress(OSError):  # a disk that is read-only now: it is not played, that is enough
            set_aside(path) if path.is_dir() else path.unlink(missing_ok=True)
        return False

    def open_part(self, blocks: BlockList) -> Part:
        """Begin or resume a film: every block already on the disk is checked again and counted.

        Raises: NoRoom, OSError.
        """
        path = self._part_path(blocks.sha256)
        self._make_sure_of_room(path, blocks.size)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        part = Part(path=path, blocks=blocks, digests=blocks.digests(), fd=fd)
        try:
            held = min(os.fstat(fd).st_size, blocks.size)
            os.ftruncate(fd, blocks.size)
            for index in range(block_count(held, blocks.block_bytes)):
                part.recall(index)
        except BaseException:
            part.close()
            raise
        return part

    def finish(self, part: Part) -> Path:
        """The film under its final name, checked as a whole, durable.

        Raises: BadFile (the part is deleted then), OSError.
        """
        if part.sha256() != part.blocks.sha256:
            part.close()
            part.path.unlink(missing_ok=True)
            raise BadFile(
                f"{part.blocks.cid}: the blocks fit their list, but the file is not the one that was promised"
            )
        os.fsync(part.fd)
        part.close()
        target = self.path(part.blocks.sha256)
        part.path.replace(target)
        fsync_folder(self._folder)
        return target

    def sweep(self, keep: frozenset[str]) -> list[str]:
        """Delete every film, whole or not, whose hash is not in `keep`; returns the names that went."""
        gone = [p for p in self._folder.iterdir() if p.name.partition(".")[0] not in keep and p.is_file()]
        for path in gone:
            path.unlink(missing_ok=True)
        return [path.name for path in gone]

    def present(self) -> frozenset[str]:
        """The hashes of the films here, by name only: `verify` before playing one."""
        return frozenset(p.stem for p in self._folder.glob("*.mp4"))

    def _part_path(self, sha256: str) -> Path:
        return self._folder / f"{sha256}.part"

    def _make_sure_of_room(self, path: Path, size: int) -> None:
        try:
            allocated = path.stat().st_blocks * 512
        except FileNotFoundError:
            allocated = 0
        missing = size - allocated + self._keep_free_bytes - self.free_bytes()
        if missing > 0:
            raise NoRoom(f"the disk lacks {-(-missing // MB)} MB for a film of {-(-size // MB)} MB")
