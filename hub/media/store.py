"""Where renditions stand: named by their hash, read-only, whole or not there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from hub.api.files import fsync_folder, sha256_of
from hub.api.models import Sha256

WORK = ".work"


class RenditionStore:
    """A folder `<aa>/<sha256>.<ending>`, and `.work/` for what is not finished."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sweep(self) -> None:
        """Remove what a killed hub left half-made. Only before anything is being made. Blocks."""
        shutil.rmtree(self.folder / WORK, ignore_errors=True)

    @asynccontextmanager
    async def work_folder(self) -> AsyncIterator[Path]:
        """A fresh private folder, gone afterwards."""
        folder = self.folder / WORK / secrets.token_hex(8)
        await asyncio.to_thread(folder.mkdir, parents=True, mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # a few files of ours: quicker than a cancellable thread

    def free_bytes(self) -> int:
        """What the file system has left for us. Blocks."""
        self.folder.mkdir(parents=True, exist_ok=True)
        status = os.statvfs(self.folder)
        return status.f_bavail * status.f_frsize

    def keep(self, made: Path) -> tuple[Sha256, Path]:
        """Move a verified file to its place, durably; an identical file that is there already stays. Blocks.

        Raises: OSError (an fsync that failed must not be tried again on the same file: make it anew).
        """
        digest = sha256_of(made)
        target = self.folder / digest[:2] / f"{digest}{made.suffix}"
        target.parent.mkdir(exist_ok=True)
        if _is_same(target, digest):
            os.utime(target)  # housekeeping spares what was used lately
        else:
            _fsync_read_only(made)
            made.replace(target)
            fsync_folder(target.parent)
            fsync_folder(self.folder)
        return digest, target


def _is_same(target: Path, digest: Sha256) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return sha256_of(target) == digest
    return False


def _fsync_read_only(path: Path) -> None:
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o444)
        os.fsync(fd)
    finally:
        os.close(fd)
