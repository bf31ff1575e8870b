"""The command line that runs a tool confined: it can read its input, write its output folder, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hub.media import jail
from hub.media.settings import MediaSettings

MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What one run of a tool may touch and use."""

    read: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    memory_mib: int = 3072
    file_mib: int = 4096
    cpu_s: int = 3600
    nice: int = 10
    idle_io: bool = True


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
        nice=settings.nice,
        idle_io=settings.idle_io,
    )


def confined(command: Sequence[str], limits: Confinement) -> list[str]:
    """The arguments that run `command` in the jail, as a child of the calling process (it dies with it)."""
    return [
        *(sys.executable, "-I", "-S", jail.__file__),
        f"parent={os.getpid()}",
        f"memory={limits.memory_mib * MIB}",
        f"file={limits.file_mib * MIB}",
        f"cpu={limits.cpu_s}",
        f"nice={limits.nice}",
        f"idle_io={int(limits.idle_io)}",
        *(f"read={path}" for path in limits.read),
        *(f"write={path}" for path in limits.write),
        "--",
        *command,
    ]


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


def sandbox_problems() -> list[str]:
    """What this system does not let the sandbox apply, one sentence each with the remedy; [] when it is whole."""
    command = [sys.executable, "-I", "-S", jail.__file__, "report=1", "--"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=10, check=False)
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
    if problem.startswith("resource limits"):
        return "Media tools run without limits on memory and time; let the unit allow prlimit64."
    return "Media tools run without a system call filter; the service unit's own filter still holds."
