"""Wakes the intake when something happens in the watched folder. Only a hint: the look-round is the truth."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from typing_extensions import override
from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from hub.api import Log

# Created is needed for `mv` from outside, moved for `x.part` -> `x`, closed for a copy.
EVENTS: list[type[FileSystemEvent]] = [
    FileClosedEvent,
    FileMovedEvent,
    FileCreatedEvent,
    DirCreatedEvent,
    DirMovedEvent,
]
_SILENT_FILESYSTEMS = ("cifs", "smb", "nfs", "fuse", "9p", "vboxsf", "virtiofs", "afs", "ceph", "gluster", "sshfs")


class WatchMode(StrEnum):
    EVENTS = "events"  # the kernel tells us (inotify)
    POLLING = "polling"  # we look: a network mount, or no watch to be had
    STARTING = "starting"


class Watcher:
    """One inotify observer, replaced when it dies. `wake` is called from its thread."""

    def __init__(
        self, inbox: Path, *, wake: Callable[[], None], log: Log, canary: Callable[[str], bool] = lambda path: False
    ) -> None:
        """`canary` is asked of each event's path, in the observer's thread: True is the hub's own, and wakes nobody."""
        self._inbox = inbox
        self._wake = wake
        self._canary = canary
        self._log = log
        self._observer: BaseObserver | None = None
        self._watched_inode: int | None = None
        self._overflows = _OverflowListener(self._overflowed)
        self.mode = WatchMode.STARTING
        self.silent = False  # on a mount where others' changes, and their writers, are not seen

    def ensure(self) -> None:
        """Watch, unless that is impossible; call it every now and then. Blocks shortly."""
        inode = self._inbox.stat().st_ino
        if self._observer is not None:
            if self._alive(self._observer) and inode == self._watched_inode:
                return
            self._log.warning("watcher_died", folder=str(self._inbox))
            self.stop()
        self.silent = is_silent_filesystem(self._inbox)
        if self.silent:
            self._set_mode(WatchMode.POLLING, reason="this filesystem announces no changes")
            return
        self._start(inode)

    def stop(self) -> None:
        logging.getLogger("watchdog.observers").removeHandler(self._overflows)
        observer, self._observer = self._observer, None
        if observer is not None:
            with suppress(OSError, RuntimeError, KeyError):
                observer.stop()
                observer.join(timeout=2.0)

    def _start(self, inode: int) -> None:
        observer = Observer()
        observer.name = "intake watcher"
        observer.daemon = True
        try:
            observer.schedule(_Handler(self._wake, self._canary), str(self._inbox), recursive=True, event_filter=EVENTS)
            observer.start()
        except OSError as error:  # no more inotify watches or instances
            self._set_mode(WatchMode.POLLING, reason=f"cannot watch: {error.strerror}")
            return
        self._observer, self._watched_inode = observer, inode
        logging.getLogger("watchdog.observers").addHandler(self._overflows)
        self._set_mode(WatchMode.EVENTS, reason="")
        self._wake()  # whatever came before the watch stood

    def _alive(self, observer: BaseObserver) -> bool:
        return observer.is_alive() and bool(observer.emitters) and all(e.is_alive() for e in observer.emitters)

    def _set_mode(self, mode: WatchMode, *, reason: str) -> None:
        if mode is not self.mode:
            self._log.info("watch_mode_changed", mode=mode.value, reason=reason)
        self.mode = mode

    def _overflowed(self) -> None:
        self._log.warning("watcher_overflowed", remedy="looking through the whole folder")
        self._wake()


def is_silent_filesystem(folder: Path) -> bool:
    """Whether the folder is on a mount whose changes by others the kernel does not see (cifs, nfs, fuse ...)."""
    return filesystem_kind(folder).startswith(_SILENT_FILESYSTEMS)


def filesystem_kind(folder: Path) -> str:
    """The type of the filesystem that holds the folder, such as ext4 or fuse.sshfs; "" when unknown."""
    return filesystem_of(folder, Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))


def filesystem_of(folder: Path, mountinfo: str) -> str:
    """The filesystem type of the mount that holds the folder (proc_pid_mountinfo(5)); "" when unknown."""
    real = os.path.realpath(folder)
    best, kind = -1, ""
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split(" ")[4]) if before else ""
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if point and inside and len(point) >= best:  # the last mount on a point is the one seen
            best, kind = len(point), after.split(" ")[0]
    return kind


class _Handler(FileSystemEventHandler):
    def __init__(self, wake: Callable[[], None], canary: Callable[[str], bool]) -> None:
        self._wake = wake
        self._canary = canary

    @override
    def dispatch(self, event: FileSystemEvent) -> None:
        if not self._canary(os.fsdecode(event.src_path)):
            self._wake()


class _OverflowListener(logging.Handler):
    """watchdog says only in its log that the kernel's queue overflowed."""

    def __init__(self, overflowed: Callable[[], None]) -> None:
        super().__init__(logging.WARNING)
        self._overflowed = overflowed

    @override
    def emit(self, record: logging.LogRecord) -> None:
        if "overflow" in record.getMessage():
            self._overflowed()
