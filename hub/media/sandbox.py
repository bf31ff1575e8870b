"""The command line that runs a tool confined: it can read its input, write its output folder, and nothing else."""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.media import jail
from hub.media.settings import MediaSettings

MIB = 1 << 20
MOST_FILES = 5000  # a PDF of fifty pages makes fifty
JAIL = Path(jail.__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What one run of a tool may touch and use."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    memory_mib: int = 3072
    file_mib: int = 4096
    cpu_s: int = 3600
    tasks: int | None = None  # of all processes of this user; None: as many as the system lets it have
    nice: int = 10
    idle_io: bool = True
    entry: Path | None = None  # a Python file of ours that goes into the jail itself; None: `command` is a program


def confinement(
    settings: MediaSettings, *, within_s: float, read: Sequence[Path] = (), write: Sequence[Path] = ()
) -> Confinement:
    """The confinement that the settings ask for, for a run that may take `within_s` seconds on every core."""
    return Confinement(
        read=tuple(path.resolve() for path in read),
        write=tuple(path.resolve() for path in write),
        memory_mib=settings.memory_mib,
        file_mib=settings.max_output_mib,
        cpu_s=int(within_s * (os.cpu_count() or 1)) + 1,
        tasks=_tasks_for_a_tool(),
        nice=settings.nice,
        idle_io=settings.idle_io,
    )


def confined(command: Sequence[str], limits: Confinement) -> list[str]:
    """The arguments that run `command` in the jail, as a child of the calling process (it dies with it)."""
    return [
        *(sys.executable, "-I", "-S", _compiled(limits.entry or JAIL)),
        f"parent={os.getpid()}",
        f"memory={limits.memory_mib * MIB}",
        f"file={limits.file_mib * MIB}",
        f"cpu={limits.cpu_s}",
        *([] if limits.tasks is None else [f"tasks={limits.tasks}"]),
        f"nice={limits.nice}",
        f"idle_io={int(limits.idle_io)}",
        *(f"read={path}" for path in limits.read),
        *(f"write={path}" for path in limits.write),
        "--",
        *command,
    ]


def fills_the_disk(limits: Confinement) -> bool:
    """Whether the run has written more than any honest one: the kernel limits each file, but not how many. Blocks."""
    most_bytes, most_files = 2 * limits.file_mib * MIB, MOST_FILES
    for folder in limits.write:
        for parent, _, names in os.walk(folder):
            most_files -= len(names)
            most_bytes -= sum(_bytes_of(os.path.join(parent, name)) for name in names[:MOST_FILES])  # noqa: PTH118
            if most_files < 0 or most_bytes < 0:
                return True
    return False


def _bytes_of(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except OSError:
        return 0  # it is gone again


def clean_environment(folder: Path) -> dict[str, str]:
    """All the environment that a tool gets: nothing of the hub's, and its temporary files in `folder`."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LC_ALL": "C.UTF-8",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "XDG_CACHE_HOME": str(folder),
        "MALLOC_ARENA_MAX": "4",  # each reserves 64 MiB of the address space that the jail limits
        "AV_LOG_FORCE_NOCOLOR": "1",
    }


@functools.cache
def _compiled(source: Path) -> str:
    """The compiled file, made here where nobody has made it: compiling would be a third of each start."""
    compiled = Path(importlib.util.cache_from_source(str(source)))
    if _is_compiled(source, compiled):
        return str(compiled)
    import py_compile  # seldom needed, and slow to import

    try:
        py_compile.compile(str(source), str(compiled), doraise=True)  # replaces it in one step
    except OSError:  # a folder that only root may write
        return str(source)
    return str(compiled)


def _is_compiled(source: Path, compiled: Path) -> bool:
    """Whether it is of this source and for this Python (PEP 552: it bears a date and a size, or a hash)."""
    try:
        head, text, status = compiled.read_bytes()[:16], source.read_bytes(), source.stat()
    except OSError:
        return False
    dated = (int(status.st_mtime) & 0xFFFFFFFF).to_bytes(4, "little") + len(text).to_bytes(4, "little")
    wanted = dated if head[4:8] == bytes(4) else importlib.util.source_hash(text)
    return head[:4] == importlib.util.MAGIC_NUMBER and head[8:] == wanted


@functools.cache
def _tasks_for_a_tool() -> int | None:
    """In a service with TasksMax, three quarters of it: a tool that starts threads without end must not starve the hub.

    The kernel counts all that this user runs, so it is said only where the hub has a user of its own: in a service.
    """
    try:
        group = Path("/proc/self/cgroup").read_text().rpartition("::")[2].strip().lstrip("/")
        most = int((Path("/sys/fs/cgroup") / group / "pids.max").read_text())
    except (OSError, ValueError):  # no cgroup, or "max"
        return None
    return most * 3 // 4 if group.endswith(".service") and os.geteuid() != 0 else None


def sandbox_problems() -> list[str]:
    """What this system does not let the sandbox apply, one sentence each with the remedy; [] when it is whole."""
    command = [sys.executable, "-I", "-S", _compiled(JAIL), "report=1", "--"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"The sandbox for media tools does not start: {error}."]
    if done.returncode != 0:
        return [f"The sandbox for media tools does not start: {done.stderr.decode(errors='replace')[-300:]}"]
    return [f"{line}. {_remedy(line)}" for line in done.stdout.decode().splitlines() if line]


def _remedy(problem: str) -> str:
    if problem.startswith("Landlock"):
        return (
            "Media tools run with limits but can read other files. Use a kernel with Landlock (5.13 or later, "
            "lsm=landlock), and let the unit allow it: SystemCallFilter=landlock_create_ruleset landlock_add_rule "
            "landlock_restrict_self."
        )
    if problem.startswith("capabilities"):
        return "Media tools keep rights of root; do not run the hub as root (make install gives it a user of its own)."
    if problem.startswith("resource limits"):
        return "Media tools run without limits on memory and time; let the unit allow prlimit64."
    return "Media tools run without a system call filter; the service unit's own filter still holds."
