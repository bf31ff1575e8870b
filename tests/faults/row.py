"""What a sweep found: a line of `make faults`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was left of the work after one fault and the next start, as seen from outside."""

    lost: bool = False
    doubled: bool = False
    damaged: bool = False
    why: str = ""  # for the one who must find the bug


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line: at how many points something was lost, doubled or damaged."""

    name: str
    points: int
    lost: int
    doubled: int
    damaged: int

    @property
    def passed(self) -> bool:
        return self.points > 0 and not (self.lost or self.doubled or self.damaged)

    @property
    def as_json(self) -> dict[str, object]:
        return asdict(self) | {"passed": self.passed}

    def __str__(self) -> str:
        return f"{self.name}  {self.points}  {self.lost}  {self.doubled}  {self.damaged}"


def row_of(name: str, judged: Iterable[Judged]) -> Row:
    """The line for these judgements, one a point; what was wrong is told on stderr as it is found."""
    found = [_told(name, one) for one in judged]
    return Row(
        name=name,
        points=len(found),
        lost=sum(one.lost for one in found),
        doubled=sum(one.doubled for one in found),
        damaged=sum(one.damaged for one in found),
    )


def _told(name: str, one: Judged) -> Judged:
    if one.lost or one.doubled or one.damaged:
        kinds = [kind for kind in ("lost", "doubled", "damaged") if getattr(one, kind)]
        print(f"{name}: {', '.join(kinds)}: {one.why}", file=sys.stderr, flush=True)  # noqa: T201 - its purpose
    return one
