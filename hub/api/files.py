"""Files that are whole or not there: temporary name in the same folder, write, fsync, rename, fsync the folder."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from hub.api.models import Sha256

CHUNK_BYTES = 1 << 20


def write_atomically(path: Path, data: bytes | str, *, mode: int = 0o644) -> None:
    """Put `data` at `path` so that a power cut leaves the old content or the new, never a mixture.

    Blocks: use a thread. Raises: OSError; the temporary file is gone then and `path` is as it was.
    """
    content = data.encode() if isinstance(data, str) else data
    temporary = path.with_name(f".{secrets.token_hex(6)}.tmp")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_folder(path.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable (a rename is not, until its folder is synced)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sha256_of(path: Path) -> Sha256:
    """The SHA-256 of a regular file. Blocks: use a thread."""
    with path.open("rb") as file:
        return Sha256(hashlib.file_digest(file, "sha256").hexdigest())


def copy_durably(source: Path, target: Path, *, mode: int = 0o444) -> Sha256:
    """Copy a file to `target` (which must not exist), fsync it and its folder; returns the SHA-256 of what was copied.

    Raises: FileExistsError, OSError; nothing stays at `target` then.
    """
    digest = hashlib.sha256()
    temporary = target.with_name(f".{secrets.token_hex(6)}.part")
    try:
        with source.open("rb") as reader, temporary.open("xb") as writer:
            while chunk := reader.read(CHUNK_BYTES):
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fchmod(writer.fileno(), mode)
            os.fsync(writer.fileno())
        target.hardlink_to(temporary)  # link, not rename: it refuses to overwrite
    finally:
        temporary.unlink(missing_ok=True)
    fsync_folder(target.parent)
    return Sha256(digest.hexdigest())
