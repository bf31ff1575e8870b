"""Whose fault a failed run of a tool is: the machine's, the file's, or nobody can tell yet."""

from __future__ import annotations

from pathlib import Path

from hub.api.errors import RetryLater
from hub.media.runner import Finished, Stopped
from hub.messages import Refusal

SHORT_MIB = 512  # with less than this available, want of memory is the machine's
MEMINFO, CGROUPS = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


class Doubtful(RetryLater):
    """It may succeed later, or never: after a few tries, `otherwise` is what to say."""

    def __init__(self, reason: str, *, otherwise: Refusal) -> None:
        super().__init__(reason)
        self.otherwise = otherwise


def blamed(finished: Finished, tool: str) -> Refusal | RetryLater | None:
    """What to raise when the machine has, or may have, a part in the failure; None when it is the file's alone. Blocks.

    A full disk is never the file's fault. Killed from outside: the kernel took memory back, from this tool perhaps
    because of this very file. Refused memory while the machine has plenty: the tool's own limit, and the file's fault.
    """
    why = f"{tool} could not work: {finished.says}"
    if finished.ok:
        return None
    if finished.disk_full:
        return RetryLater(why)
    if finished.stopped is Stopped.STALLED:
        return Doubtful(why, otherwise=no_progress())
    if not finished.out_of_memory:
        return None
    if finished.exit_code < 0 or available_mib() < SHORT_MIB:
        return Doubtful(why, otherwise=too_much_memory())
    return too_much_memory()


def too_much_memory() -> Refusal:
    return Refusal(
        "Looking at this file needs more memory than one file may use. Export it again in a smaller size (such as "
        "1920 x 1080, MP4), or ask the technician to look into it."
    )


def no_progress() -> Refusal:
    return Refusal(
        "Looking at this file came to a standstill several times, so it is probably damaged. Export it again as MP4, "
        "MP3, JPG or PDF."
    )


def available_mib() -> int:
    """What the machine, and the control group that the hub runs in, could still give. Blocks."""
    found = [_meminfo_mib()]
    try:
        group = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
        folder = CGROUPS / group.lstrip("/")
        most = (folder / "memory.max").read_text().strip()
        if most != "max":
            found.append((int(most) - int((folder / "memory.current").read_text())) >> 20)
    except (OSError, ValueError, StopIteration):
        pass  # no such account here: the machine's alone
    return min(found)


def _meminfo_mib() -> int:
    try:
        lines = MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) >> 10 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return SHORT_MIB
