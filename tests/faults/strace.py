"""strace as the hand that kills: at the n-th call of one name in some thread of a program, never in its children."""

from __future__ import annotations

import collections
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

CALLS = (
    "openat", "write", "writev", "pwrite64", "copy_file_range", "sendfile", "ftruncate", "fallocate",
    "fsync", "fdatasync", "rename", "renameat", "renameat2", "link", "linkat", "unlink", "unlinkat", "mkdir", "mkdirat",
    "chmod", "fchmod", "fchmodat",
)  # fmt: skip
_LINE = re.compile(r"(\d+) +(\w+)\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A place to kill at. strace counts calls for each thread by itself."""

    call: str
    when: int

    def __str__(self) -> str:
        return f"{self.call} {self.when}"


def needed() -> None:
    """Raises: RuntimeError when strace is missing."""
    if shutil.which("strace") is None:
        raise RuntimeError("strace is missing: apt-get install strace")


def tracing(trace: Path) -> list[str]:
    """The command's beginning that writes down every call of `CALLS`, with the paths behind the descriptors."""
    return [*_STRACE, "-y", "-o", str(trace), "-e", f"trace={','.join(CALLS)}"]


def killing(point: Point) -> list[str]:
    """The command's beginning that kills the program there."""
    inject = f"inject={point.call}:signal=SIGKILL:when={point.when}"
    return [*_STRACE, "-o", "/dev/null", "-e", f"trace={point.call}", "-e", inject]


def points(trace: Path, below: Path, mute: Sequence[str] = ()) -> list[Point]:
    """Every call that may change the disk below that folder, in the order in which they were first made.

    Paths that contain a word of `mute` do not count: logs.
    """
    seen: collections.Counter[tuple[str, str]] = collections.Counter()
    found: dict[Point, None] = {}
    for line in trace.read_text(errors="replace").splitlines():
        match = _LINE.match(line)
        if match is None:
            continue
        seen[match[1], match[2]] += 1
        changes = match[2] != "openat" or "O_CREAT" in line or "O_TRUNC" in line
        if changes and str(below) in line and not any(word in line for word in mute):
            found[Point(call=match[2], when=seen[match[1], match[2]])] = None
    return list(found)


# -b execve lets go of children: ffprobe and mpv are no victims, and their calls must not be counted.
_STRACE = ("strace", "-f", "-b", "execve", "-qq", "--signal=none", "--seccomp-bpf")
