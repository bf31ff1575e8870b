"""Whose rights a check has: only those of the hub's user say anything about the hub."""

from __future__ import annotations

import os
import pwd
from pathlib import Path


def take_the_hubs(state_dir: Path) -> bool:
    """Root becomes the hub's user (the owner of its state folder) for the rest of this process, so that it can neither
    change what is the hub's nor take root's rights for the hub's.

    Returns whether this process has the hub's rights now: it is root or the hub's user.
    """
    try:
        owner = state_dir.stat()
    except OSError:
        return os.geteuid() == 0
    if os.geteuid() == 0 and owner.st_uid != 0:
        _become(owner.st_uid, owner.st_gid)
    return os.geteuid() == owner.st_uid or os.geteuid() == 0


def _become(uid: int, gid: int) -> None:
    try:
        os.initgroups(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:  # a number without a name, as in containers
        os.setgroups([gid])
    os.setgid(gid)
    os.setuid(uid)
