"""Renditions as the players fetch them: cut into hashed blocks, named by the first digits of their hash."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hub.api import Rejected, Rendition, Sha256
from plugins.videotron.protocol import MAX_BLOCKS, BlockList, block_count, cid_of

READ_AHEAD_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """One file that players fetch."""

    path: Path
    blocks: BlockList

    @property
    def cid(self) -> str:
        return self.blocks.cid

    def stands(self) -> bool:
        """Whether the file is there, in its length. Blocks."""
        with contextlib.suppress(OSError):
            return self.path.stat().st_size == self.blocks.size
        return False

    def read(self, index: int, count: int = 1) -> list[bytes]:
        """`count` blocks from `index` on, fewer at the end of the file. Blocks the caller.

        Raises: OSError when the file is gone or shorter than it was.
        """
        size = self.blocks.block_bytes
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = [os.pread(fd, size, at * size) for at in range(index, min(index + count, self.blocks.n))]
        finally:
            os.close(fd)
        if sum(map(len, found)) != min(count * size, self.blocks.size - index * size):
            raise OSError(f"{self.path} has become shorter")
        return found


class ReadAhead:
    """Blocks of one content as they are needed: a run of them is read at a time while they are asked for in order."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._run = max(1, READ_AHEAD_BYTES // content.blocks.block_bytes)
        self._ahead: dict[int, bytes] = {}
        self._last = -2

    async def read(self, index: int) -> bytes:
        """Block `index`. Raises: OSError."""
        if index not in self._ahead:
            count = self._run if index == self._last + 1 else 1
            blocks = await asyncio.to_thread(self._content.read, index, count)
            self._ahead = dict(enumerate(blocks, start=index))
        self._last = index
        return self._ahead.pop(index)


class Library:
    """The contents in use, each hashed once."""

    def __init__(self, block_bytes: int) -> None:
        self._block_bytes = block_bytes
        self._contents: dict[Sha256, Content] = {}
        self._loading = asyncio.Lock()

    async def load(self, rendition: Rendition, *, site: str) -> Content:
        """The rendition as content. Raises: OSError, Rejected when the file is not what its record says."""
        async with self._loading:
            known = self._contents.pop(rendition.sha256, None)
            if (
                known is None
                or (known.path, known.blocks.site) != (rendition.path, site)
                or not await asyncio.to_thread(known.stands)
            ):
                known = await asyncio.to_thread(cut, rendition.path, rendition.sha256, self._block_bytes, site)
            self._contents[rendition.sha256] = known
            return known

    def find(self, sha256: str) -> Content | None:
        """A content in use, by its hash."""
        return self._contents.get(Sha256(sha256))

    def keep_only(self, wanted: Iterable[Sha256]) -> None:
        keep = set(wanted)
        self._contents = {sha256: content for sha256, content in self._contents.items() if sha256 in keep}


def cut(path: Path, sha256: Sha256, block_bytes: int, site: str) -> Content:
    """Hash a file whole and block by block. Blocks. Raises: OSError, Rejected."""
    whole, hashes, size = hashlib.sha256(), bytearray(), 0
    with path.open("rb") as file:
        while block := file.read(block_bytes):
            whole.update(block)
            hashes += hashlib.sha256(block).digest()
            size += len(block)
            if size > MAX_BLOCKS * block_bytes:
                raise Rejected(f"{path.name}: larger than {MAX_BLOCKS} blocks; raise plugins.videotron.block_bytes")
    if whole.hexdigest() != sha256:
        raise Rejected(f"{path.name}: the file is not the rendition that was verified ({sha256[:12]})")
    if size == 0:
        raise Rejected(f"{path.name}: the file is empty")
    blocks = BlockList(
        site=site,
        cid=cid_of(sha256),
        sha256=sha256,
        size=size,
        block_bytes=block_bytes,
        n=block_count(size, block_bytes),
        hashes=base64.b64encode(hashes).decode(),
    )
    return Content(path=path, blocks=blocks)
