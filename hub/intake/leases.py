"""For `siarhub check`: where the kernel cannot say who still writes a file, so that a longer quiet is waited for."""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from hub.intake.evidence import Lease, ask_for_writers, ignore_lease_signal
from hub.intake.watcher import filesystem_kind, is_silent_filesystem

_LONGER = "so files are taken only after a longer quiet time"
_CAP_LEASE = 28  # linux/capability.h


def lease_problem(folder: Path) -> str | None:
    """Why nobody could be told here who writes; None when the filesystem knows leases, or cannot be tried."""
    if is_silent_filesystem(folder):
        kind = filesystem_kind(folder)
        return f"{folder}: a network mount ({kind}) does not tell who writes, {_LONGER}; a local folder is better"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".siarhub-lease-") as file:
            answer = _lease_of(Path(file.name))
    except OSError:
        return None  # whether the folder is writable is another check
    if answer is Lease.BUSY:  # we have it open for writing, so this is the right answer
        return None
    return f"{folder}: this filesystem ({filesystem_kind(folder)}) knows no leases, {_LONGER}"


def rights_problem(folder: Path, pid: int) -> str | None:
    """Why the process `pid` is told nothing about files of others in the folder, if others may drop there."""
    try:
        status, mode = Path(f"/proc/{pid}/status").read_text(), folder.stat().st_mode
    except OSError:
        return None
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)
    if not mode & 0o022 or capabilities is None or int(capabilities[1], 16) >> _CAP_LEASE & 1:
        return None
    return (
        f"{folder}: the running hub has no CAP_LEASE and is not told who writes files that others own, {_LONGER}; "
        "start it by its unit, which gives it that, or let the share make the hub the owner (Samba: force user)"
    )


def _lease_of(path: Path) -> Lease:
    ignore_lease_signal()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return ask_for_writers(fd)
    finally:
        os.close(fd)
