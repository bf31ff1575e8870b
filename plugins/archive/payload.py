"""Payload on its way into a bag: written whole, read-only and synced, and hashed while it is copied."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hub.api import Sha256
from hub.api.files import CHUNK_BYTES, write_atomically


class SourceChanged(Exception):
    """A file to be filed is missing, unreadable, or no longer the one that was approved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadFile:
    """A file to be put in a bag: the bytes themselves, or an original with the hash that it must still have."""

    name: str
    source: Path | bytes
    sha256: Sha256 | None = None


def write_payload(target: Path, file: PayloadFile) -> tuple[Sha256, int]:
    """Write one payload file, read-only and synced; returns its hash and size."""
    if isinstance(file.source, bytes):
        write_atomically(target, file.source, mode=0o444)
        return Sha256(hashlib.sha256(file.source).hexdigest()), len(file.source)
    digest, size = _copy(file.source, target)
    if file.sha256 is not None and digest != file.sha256:
        raise SourceChanged(f"{file.name}: the original is no longer the file that was approved")
    return digest, size


def _copy(source: Path, target: Path) -> tuple[Sha256, int]:
    digest, size = hashlib.sha256(), 0
    with _Original(source, target.name) as original, target.open("xb") as writer:
        _reserve(writer.fileno(), original.size)
        while chunk := original.read():
            writer.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        writer.truncate()
        writer.flush()
        os.fchmod(writer.fileno(), 0o444)
        os.fsync(writer.fileno())
    return Sha256(digest.hexdigest()), size


class _Original:
    """An original being read; whatever is wrong with it is its own affair, not the archive's."""

    def __init__(self, path: Path, name: str) -> None:
        self._name = name
        with self._blamed():
            self._file = path.open("rb", buffering=0)
            self.size = os.fstat(self._file.fileno()).st_size

    def read(self) -> bytes:
        with self._blamed():
            return self._file.read(CHUNK_BYTES)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @contextmanager
    def _blamed(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceChanged(f"{self._name}: the original cannot be read: {error.strerror}") from error


def _reserve(fd: int, size: int) -> None:
    """Take the space at once, so that a full disk is met before the first byte is copied."""
    try:
        if size:
            os.posix_fallocate(fd, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise
