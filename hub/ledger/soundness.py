"""Whether the ledger's file can be trusted without reading all of it.

A large ledger takes seconds to look through. One that was closed in order and not touched since is as sound as it was
then, so the hub starts at once and looks later; after a crash, a power cut or a restored backup it looks first. A mark
beside the file, made at the close and taken away at the start, tells the two apart.
"""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

from hub.api.files import fsync_folder, write_atomically

MARK = "-closed"  # after the ledger's name, as SQLite's own side files


def verdict(connection: sqlite3.Connection) -> str:
    """What is wrong with the file; '' when it is sound. Reads all of it. Raises: sqlite3.Error."""
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return "" if found == "ok" else " ".join(found.split())


def was_closed_in_order(path: Path) -> bool:
    """Whether it is as a hub left it. Says so once: the mark is gone, durably, when this returns."""
    mark = _mark(path)
    try:
        in_order = mark.read_bytes() == _state(path).encode()  # whatever a bad disk made of it
        mark.unlink()
        fsync_folder(path.parent)
    except OSError:
        return False
    return in_order


def note_closed(path: Path) -> None:
    """The last connection is closed, and all is in the file. Without room for the mark, the next start looks first."""
    with suppress(OSError):
        write_atomically(_mark(path), _state(path))


def _mark(path: Path) -> Path:
    return path.with_name(path.name + MARK)


def _state(path: Path) -> str:
    status = path.stat()
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns}"
