"""What came of a file: one line for machines, and which of them are bugs of ours."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Outcome(StrEnum):
    MADE = "accepted, rendition made"
    REFUSED = "refused"
    NOTHING = "accepted, nothing made"  # it looked whole, and every rendition was refused with a reason
    UNREADABLE = "unreadable"  # the disk or its permissions; no fault of the file's
    UNEXPECTED = "not as it must be"  # a case of ours that was taken and must be refused, or the other way round
    BLAMED = "machine blamed"  # twice: the hub would try this file again for ever
    OVER = "over a limit"
    TOUCHED = "canary touched"
    LEFT_OVER = "something left behind"
    HUNG = "hung"
    CRASHED = "crashed"

    @property
    def is_bug(self) -> bool:
        return self not in (Outcome.MADE, Outcome.REFUSED, Outcome.NOTHING, Outcome.UNREADABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """`template` is the reason as the catalogue has it, so that equal reasons can be counted."""

    path: str
    outcome: Outcome
    reason: str = ""
    template: str = ""
    seconds: float = 0.0
    memory_mib: int = 0  # the largest resident size of any of its tools
    disk_mib: int = 0

    @property
    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def result_of(line: dict[str, Any]) -> Result:
    return Result(**{**line, "outcome": Outcome(line["outcome"])})
