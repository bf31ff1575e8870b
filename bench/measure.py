"""One line of a bench: ours beside what a user would pick instead, both measured in the same run."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`ratio` is ours / theirs, and must not be above `target`. Without `theirs`, ours itself must not be above it."""

    name: str
    ours: float
    theirs: float | None
    target: float

    @property
    def ratio(self) -> float:
        return self.ours if self.theirs is None else self.ours / self.theirs

    @property
    def ok(self) -> bool:
        return self.ratio <= self.target

    def __str__(self) -> str:
        theirs = "-" if self.theirs is None else f"{self.theirs:.3f}"
        verdict = "ok" if self.ok else "short"
        return f"{self.name}  {self.ours:.3f}  {theirs}  {self.ratio:.3f}  {self.target:g}  {verdict}"

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "ratio": self.ratio, "ok": self.ok}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock, and seconds of processor time with all children."""

    wall_s: float
    cpu_s: float


def cost_of(command: Sequence[str], **options: Any) -> Cost:
    """Run a command to its end. Raises: CalledProcessError."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall_s=wall, cpu_s=cpu)


def cpu_of(pid: int) -> tuple[float, float]:
    """Processor seconds of a running process itself, and of its children that have ended (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / TICKS, children / TICKS


def rss_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
