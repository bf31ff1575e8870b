"""Looking at a dropped file without trusting its name: its kind, whether it changed, whether somebody writes it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from hub.messages import Refusal

Parts = tuple[str, ...]
"""A dropped file relative to the watched folder: `(name,)`, or `(folder, name)`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Two looks with the same evidence saw the same bytes."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    def holds_for(self, status: os.stat_result) -> bool:
        """Whether this look saw the same; asked for thousands of files in every round."""
        return (
            self.ctime_ns == status.st_ctime_ns
            and self.inode == status.st_ino
            and self.size == status.st_size
            and self.mtime_ns == status.st_mtime_ns
            and self.device == status.st_dev
        )


class Lease(StrEnum):
    """What the kernel says about writers (fcntl(2), F_SETLEASE)."""

    FREE = "free"  # nobody has the file open for writing
    BUSY = "busy"  # somebody has
    UNKNOWN = "unknown"  # not our file and no CAP_LEASE, or a filesystem without leases


def evidence_of(status: os.stat_result) -> Evidence:
    return Evidence(
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
    )


def refuse_odd_kinds(status: os.stat_result) -> None:
    """Raises: Refusal for what is no ordinary file."""
    if stat.S_ISLNK(status.st_mode):
        raise Refusal("This is only a link to another file. Please drop the file itself.")
    if not stat.S_ISREG(status.st_mode):
        raise Refusal("This is not an ordinary file (a pipe, socket or device). Please drop a media file.")


def refuse_second_names(status: os.stat_result) -> None:
    """Raises: Refusal for a hard link: somebody could change the bytes through the other name."""
    if status.st_nlink != 1:
        raise Refusal("This file has a second name elsewhere (a hard link). Please drop a copy of the file.")


@contextmanager
def opened(folder: Path, parts: Parts) -> Iterator[int]:
    """A descriptor for reading; follows no symlink below `folder`, never blocks on a FIFO. Raises: OSError, Refusal."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            fd = _step(fd, part, os.O_DIRECTORY)
        refuse_odd_kinds(os.stat(parts[-1], dir_fd=fd, follow_symlinks=False))  # opening a device can do harm
        fd = _step(fd, parts[-1], os.O_NONBLOCK)
        refuse_odd_kinds(os.fstat(fd))
        yield fd
    finally:
        os.close(fd)


def ask_for_writers(fd: int) -> Lease:
    """Whether somebody has this file open for writing, by taking a read lease for a few microseconds."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return Lease.BUSY if error.errno == errno.EAGAIN else Lease.UNKNOWN
    fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return Lease.FREE


def ignore_lease_signal() -> None:
    """A writer that comes while we hold a lease only waits; without this, its SIGIO would end our process.

    Call it in the main thread before the first `ask_for_writers`.
    """
    with suppress(ValueError):  # not in the main thread: the daemon, which is, has done it
        signal.signal(signal.SIGIO, signal.SIG_IGN)


def _step(fd: int, name: str, flags: int) -> int:
    """Open `name` in the folder `fd`, which is closed when that worked."""
    try:
        inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags, dir_fd=fd)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Refusal("This is only a link to another file. Please drop the file itself.") from error
        raise
    os.close(fd)
    return inner
