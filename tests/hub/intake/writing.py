"""Another process that writes into the watched folder, one step for each order: nothing is timed, nothing is mocked."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from struct import pack

PROGRAM = """
import json, os, sys
def put(start, end):
    view = memoryview(data)[start:end]
    while view:
        done = os.pwrite(fd, view, start)
        view, start = view[done:], start + done
data = open(sys.argv[1], "rb").read()
for line in sys.stdin:
    what, *more = json.loads(line)
    if what == "open":
        fd = os.open(more[0], os.O_WRONLY | os.O_CREAT, 0o644)
    elif what == "put":
        put(*more)
    elif what == "reserve":
        os.ftruncate(fd, len(data))
    elif what == "close":
        os.close(fd)
    elif what != "open_later":
        getattr(os, what)(*(tuple(one) if isinstance(one, list) else one for one in more))
    print("done", flush=True)
    if what == "open_later":
        while not os.listdir(more[1]):
            pass
        fd = os.open(more[0], os.O_WRONLY)
        put(0, 1)
"""


class Writer:
    """`open`, `reserve` (the whole size at once), `put` (a share of the bytes), `close`, or any function of os.

    `open_later` answers first, and opens and changes the file as soon as something stands in the folder named with it.
    """

    def __init__(self, process: asyncio.subprocess.Process, size: int) -> None:
        self._process = process
        self._size = size

    async def do(self, what: str, *more: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([what, *more]).encode() + b"\n")
        assert await self._process.stdout.readline() == b"done\n"

    async def open(self, path: Path) -> None:
        await self.do("open", str(path))

    async def put(self, start: float, end: float) -> None:
        """The bytes from one share of the whole to another, where they belong."""
        await self.do("put", int(start * self._size), int(end * self._size))

    async def close(self) -> None:
        await self.do("close")

    async def kill(self) -> None:
        self._process.kill()
        await self._process.wait()


@asynccontextmanager
async def writing(data: bytes) -> AsyncIterator[Writer]:
    """A process that has these bytes to write."""
    fd = os.memfd_create("source")
    os.write(fd, data)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PROGRAM, f"/proc/self/fd/{fd}"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=[fd],
    )
    try:
        yield Writer(process, len(data))
    finally:
        os.close(fd)
        if process.returncode is None:
            process.kill()
        await process.wait()
        assert process.stdin
        process.stdin.close()


def box(kind: bytes, data: bytes) -> bytes:
    return pack(">I4s", 8 + len(data), kind) + data


def film(size: int = 200_000, *, index_first: bool = False, salt: bytes = b"") -> bytes:
    """The outline of an MP4: its boxes are right, its pictures are not."""
    index, media = box(b"moov", bytes(1000)), box(b"mdat", b"\x5a" * size + salt)
    return box(b"ftyp", b"isomisom") + (index + media if index_first else media + index)


def made(path: Path, data: bytes, *, mtime: int | None = None) -> Path:
    path.write_bytes(data)
    if mtime is not None:
        os.utime(path, (mtime, mtime))
    return path


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
