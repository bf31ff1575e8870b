"""One line of a bench: ours beside what a user would pick instead, both measured in the same run."""

from __future__ import annotations

import os
import resource
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
ROUNDS = int(os.environ.get("ROUNDS", "3"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """`ratio` is ours / theirs, and must not be above `target`. Without `theirs`, ours itself must not be above it.
    Without a target it is only told.

    `spread` is the noise of the machine: how far equal runs lay apart, as a part of their median. What could not be
    measured here has `skipped`, the reason, and counts as ok.
    """

    name: str
    ours: float
    theirs: float | None
    target: float | None
    spread: float | None = None
    note: str = ""
    skipped: str = ""

    @property
    def ratio(self) -> float:
        return self.ours if self.theirs is None else self.ours / self.theirs

    @property
    def ok(self) -> bool:
        return bool(self.skipped) or self.target is None or self.ratio <= self.target

    def __str__(self) -> str:
        if self.skipped:
            return f"{self.name}  {self.ours:.3f}  -  -  -  skipped  ({self.skipped})"
        target = "-" if self.target is None else f"{self.target:g}"
        theirs = "-" if self.theirs is None else f"{self.theirs:.3f}"
        verdict = "ok" if self.ok else "short"
        remarks = [] if self.spread is None else [f"noise {self.spread:.0%}"]
        remarks += [self.note] if self.note else []
        tail = f"  ({'; '.join(remarks)})" if remarks else ""
        return f"{self.name}  {self.ours:.3f}  {theirs}  {self.ratio:.3f}  {target}  {verdict}{tail}"

    def as_json(self) -> dict[str, Any]:
        ratio = None if self.skipped else self.ratio
        return {**asdict(self), "ratio": ratio, "ok": self.ok}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Seconds on the clock, and seconds of processor time with all children."""

    wall_s: float
    cpu_s: float

    def __add__(self, other: Cost) -> Cost:
        return Cost(wall_s=self.wall_s + other.wall_s, cpu_s=self.cpu_s + other.cpu_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """The costs of both sides, run in turn, so that whatever else the machine does meets both alike."""

    ours: tuple[Cost, ...]
    theirs: tuple[Cost, ...]

    def cpu(self, name: str, target: float, *, note: str = "") -> Measure:
        return self._measure(name, target, [one.cpu_s for one in self.ours], [one.cpu_s for one in self.theirs], note)

    def wall(self, name: str, target: float, *, note: str = "") -> Measure:
        return self._measure(name, target, [one.wall_s for one in self.ours], [one.wall_s for one in self.theirs], note)

    def _measure(self, name: str, target: float, ours: list[float], theirs: list[float], note: str) -> Measure:
        noise = max(spread(ours), spread(theirs)) if len(ours) > 1 else None
        return Measure(name=name, ours=median(ours), theirs=median(theirs), target=target, spread=noise, note=note)


def race(ours: Callable[[int], Cost], theirs: Callable[[int], Cost], rounds: int = ROUNDS) -> Race:
    """Run both sides in turn; each gets the number of its round."""
    pairs = [(theirs(number), ours(number)) for number in range(rounds)]
    return Race(ours=tuple(one for _, one in pairs), theirs=tuple(one for one, _ in pairs))


def spread(values: Sequence[float]) -> float:
    """How far equal runs lie apart, as a part of their median."""
    return (max(values) - min(values)) / median(values) if median(values) else 0.0


def cost_of(command: Sequence[str], **options: Any) -> Cost:
    """Run a command to its end. Raises: CalledProcessError."""
    return cost(lambda: subprocess.run(command, check=True, capture_output=True, **options))


def cost(work: Callable[[], object]) -> Cost:
    """What a piece of work costs: this process and those of its children that end meanwhile."""
    before, began = used_cpu_s(), time.monotonic()
    work()
    return Cost(wall_s=time.monotonic() - began, cpu_s=used_cpu_s() - before)


def used_cpu_s() -> float:
    """Processor seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def cpu_of(pid: int) -> tuple[float, float]:
    """Processor seconds of a running process itself, and of its children that have ended (proc(5), stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    own, children = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
    return own / TICKS, children / TICKS


def rss_mib(pid: int) -> float:
    """Resident memory of a process, MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
