"""Claiming a dropped file: the hub's own durable copy in the vault, named by its hash. The original stays."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import secrets
import threading
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hub.api import Sha256
from hub.api.files import CHUNK_BYTES, fsync_folder, sha256_of
from hub.intake.desk import ClaimedFile
from hub.intake.evidence import Lease, ask_for_writers, evidence_of, opened, refuse_second_names
from hub.intake.names import display_name
from hub.intake.settle import Settled
from hub.messages import Refusal

INCOMING = ".incoming"


class ChangedMeanwhile(Exception):
    """The file is not what had settled: somebody writes it, or it is gone."""


class NoSpace(Exception):
    """There is not enough free space; `why` is for a person."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(str(why))
        self.why = why


class Vault:
    """Originals as `<vault>/<aa>/<sha256>`, read-only. Every copy is whole and durable, or not there."""

    def __init__(self, folder: Path, *, min_free_bytes: int, trust_lease: bool = True) -> None:
        self.folder = folder
        self.trust_lease = trust_lease
        self._min_free = min_free_bytes

    def prepare(self) -> None:
        """Make the folder, and clear away copies that a crash cut short. Blocks."""
        incoming = self.folder / INCOMING
        incoming.mkdir(parents=True, exist_ok=True)
        for leftover in incoming.iterdir():
            leftover.unlink(missing_ok=True)

    def beginnings(self) -> list[str]:
        """The first two digits of the hashes of all copies. Blocks."""
        return sorted(folder.name for folder in self.folder.glob("[0-9a-f][0-9a-f]"))

    def forget_all_but(self, known: Container[str], beginning: str) -> int:
        """Remove the copies of what was refused, of those that begin so; returns how many.

        Only while nothing is being claimed. Blocks.
        """
        forgotten = [path for path in (self.folder / beginning).iterdir() if path.name not in known]
        for path in forgotten:
            path.unlink()
        return len(forgotten)

    async def claim(self, inbox: Path, settled: Settled) -> ClaimedFile:
        """Copy a settled file. Raises: ChangedMeanwhile, NoSpace, Refusal, OSError; nothing stays in the vault then."""
        stop = threading.Event()
        try:
            return await asyncio.to_thread(self._claim, inbox, settled, stop)
        finally:
            stop.set()  # a cancelled claim must not go on copying gigabytes in its thread

    def touch(self, path: Path) -> bool:
        """Whether a copy is still there; housekeeping spares for a day what was touched. Blocks."""
        try:
            os.utime(path)
        except FileNotFoundError:
            return False
        return True

    def _claim(self, inbox: Path, settled: Settled, stop: threading.Event) -> ClaimedFile:
        if free_bytes(self.folder) - settled.evidence.size < self._min_free:
            raise NoSpace(Refusal("There is not enough free space on the disk for this file."))
        try:
            with opened(inbox, settled.parts) as source, self._temporary() as (temporary, target):
                self._check(source, settled)
                digest = _copy(source, target, stop)
                self._check(source, settled)
                path = self._keep(temporary, digest)
        except FileNotFoundError as error:
            raise ChangedMeanwhile from error
        return ClaimedFile(
            sha256=digest,
            vault_path=path,
            original_name=display_name(settled.parts[-1]),
            size_bytes=settled.evidence.size,
        )

    @contextmanager
    def _temporary(self) -> Iterator[tuple[Path, int]]:
        path = self.folder / INCOMING / f"{secrets.token_hex(8)}.part"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            yield path, fd
        finally:
            os.close(fd)
            path.unlink(missing_ok=True)

    def _check(self, source: int, settled: Settled) -> None:
        """Before and after the copy: it is still what had settled, and nobody writes it."""
        status = os.fstat(source)
        writer = self.trust_lease and ask_for_writers(source) is Lease.BUSY
        if writer or evidence_of(status) != settled.evidence:
            raise ChangedMeanwhile
        refuse_second_names(status)

    def _keep(self, temporary: Path, digest: Sha256) -> Path:
        folder = self.folder / digest[:2]
        path = folder / digest
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            fsync_folder(self.folder)
        try:
            path.hardlink_to(temporary)
        except FileExistsError:
            if sha256_of(path) != digest:  # damaged since: the fresh copy is right
                temporary.replace(path)
            self.touch(path)
        fsync_folder(folder)
        return path


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write on the filesystem of `folder`."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def is_full(error: OSError) -> bool:
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _copy(source: int, target: int, stop: threading.Event) -> Sha256:
    digest = hashlib.sha256()
    while chunk := os.read(source, CHUNK_BYTES):
        if stop.is_set():
            raise ChangedMeanwhile
        digest.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
    os.fchmod(target, 0o444)
    with suppress(OSError):
        os.posix_fadvise(source, 0, 0, os.POSIX_FADV_DONTNEED)
    os.fsync(target)
    return Sha256(digest.hexdigest())
