"""The media folder: each sound under its own hash, so that no name from outside is ever a path."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from hub.api import Sha256
from hub.api.files import copy_durably, fsync_folder, sha256_of


class SoundDamaged(Exception):
    """The rendition is not what its hash says."""


def place(source: Path, sha256: Sha256, folder: Path) -> Path:
    """Have `source` stand in the folder as `<sha256>.wav`, whole and durable. Repeatable. Blocks: use a thread.

    Raises: OSError, SoundDamaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{sha256}.wav"
    if is_whole(target, sha256):
        return target
    if sha256_of(source) != sha256:
        raise SoundDamaged(f"the rendition {sha256[:12]} has changed since it was made")
    if os.path.lexists(target):
        target.unlink()
    if not _link(source, target):
        copy_durably(source, target)
    fsync_folder(folder)
    return target


def is_whole(path: Path, sha256: Sha256) -> bool:
    """A regular file with these bytes: not a link, not a pipe, not cut short. Blocks: use a thread."""
    try:
        return not path.is_symlink() and path.is_file() and sha256_of(path) == sha256
    except OSError:
        return False


def sweep(folder: Path, wanted: frozenset[str]) -> list[str]:
    """Remove the sounds that nothing wants any more: only files named as we name them. Blocks: use a thread."""
    gone = []
    for path in sorted(folder.glob("*.wav")):
        if _is_ours(path) and path.name not in wanted:
            path.unlink(missing_ok=True)
            gone.append(path.name)
    return gone


def _link(source: Path, target: Path) -> bool:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP, errno.EACCES):
            return False  # another file system, or one without links: a copy does as well
        raise
    return True


def _is_ours(path: Path) -> bool:
    return len(path.stem) == 64 and set(path.stem) <= set("0123456789abcdef")
