"""Renames that never overwrite, and making them durable."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from hub.api.files import fsync_folder
from hub.messages import Refusal

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_UNSUPPORTED = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP})
FEW = 4  # files; more are cheaper to write out with all that the file system holds back


class CannotMove(Exception):
    """The file stays where it is; `why` is for a person."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(str(why))
        self.why = why


def move(source: Path | str, target: Path | str) -> None:
    """Rename without replacing.

    Raises: CannotMove; OSError when it is gone, the name is taken, or the target is on another file system.
    """
    try:
        rename_without_replacing(source, target)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.EEXIST, errno.EXDEV):
            raise
        raise may_not_move(error) from error


def may_not_move(error: OSError) -> CannotMove:
    return CannotMove(
        Refusal(
            "The hub may not move this file out of the folder ({error}). Please move it away yourself, or ask the "
            "technician to correct the permissions of the folder. The hub tries again by itself.",
            error=error.strerror,
        )
    )


def rename_without_replacing(source: Path | str, target: Path | str) -> None:
    """Rename in one step (renameat2(2), RENAME_NOREPLACE). Raises: FileExistsError, other OSError."""
    renameat2 = getattr(_libc(), "renameat2", None)
    if renameat2 is not None:
        done = renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
        if done == 0:
            return
        number = ctypes.get_errno()
        if number not in _UNSUPPORTED:
            raise OSError(number, os.strerror(number), str(source), None, str(target))
    if os.path.lexists(target):  # a network mount: the hub alone writes in the target folders
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    Path(source).rename(target)


def write_text(path: str, text: str) -> None:
    """A text where there was none, or another try of it; `make_durable` is for power cuts. Raises: OSError."""
    if os.path.lexists(path):
        Path(path).unlink()
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        os.fchmod(fd, 0o644)
        file.write(text)


def inode_of(path: str) -> int | None:
    """None when nothing stands there."""
    try:
        return os.lstat(path).st_ino
    except FileNotFoundError:
        return None


def make_durable(files: Sequence[Path], folders: Iterable[Path]) -> None:
    """When this returns, the files' bytes and the folders' names survive a power cut. Raises: OSError."""
    if len(files) > FEW:
        for folder in {folder.stat().st_dev: folder for folder in folders if folder.exists()}.values():
            _sync_filesystem(folder)
        return
    for path in files:
        with suppress(FileNotFoundError):  # tidied away by somebody
            _fsync(path)
    for folder in folders:
        with suppress(FileNotFoundError):
            fsync_folder(folder)


def _fsync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_filesystem(folder: Path) -> None:
    """syncfs(2); since Linux 5.8 it also reports what could not be written."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if _libc().syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(fd)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)
