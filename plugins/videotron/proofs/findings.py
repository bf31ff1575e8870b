"""What came of checking a month of proofs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

ALIKE = 10


@dataclass(slots=True, kw_only=True)
class ItemCount:
    """What was shown of one item."""

    title: str
    results: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    journal: int = 0  # plays that the hub's journal has


@dataclass(slots=True, kw_only=True)
class Findings:
    """What came of the check. `problems` are reasons for "no", `notes` are for whoever wants to know."""

    envelopes: int = 0
    entries: int = 0
    lost: int = 0  # plays that the player had no room for
    items: dict[str, ItemCount] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    alike: Counter[str] = field(default_factory=Counter)  # told so often of one chain

    def tell(self, chain: str, kind: str, text: str, *, grave: bool) -> None:
        """Name something that may be wrong with thousands of plays: the first few, and how many there are."""
        told, where = self.problems if grave else self.notes, f"chain {chain}: {kind}"
        self.alike[where] += 1
        if self.alike[where] <= ALIKE:
            told.append(f"chain {chain}: {text}")
        elif self.alike[where] == ALIKE + 1:
            told.append(where)  # its place; `finish` says how many

    def finish(self) -> None:
        for told in (self.problems, self.notes):
            told[:] = [f"{one}: {self.alike[one]} in all" if one in self.alike else one for one in told]


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A month: from its first instant until before the next one's."""

    start: datetime
    end: datetime

    def holds(self, moment: datetime) -> bool:
        return self.start <= moment < self.end


def plays(count: int) -> str:
    return f"{count} play" if count == 1 else f"{count} plays"


def ranges(numbers: Iterable[int]) -> str:
    """Numbers in short: "3, 5 to 9"; of many pieces the first twenty."""
    pieces: list[list[int]] = []
    for number in sorted(numbers):
        if pieces and number == pieces[-1][1] + 1:
            pieces[-1][1] = number
        else:
            pieces.append([number, number])
    texts = [str(first) if first == last else f"{first} to {last}" for first, last in pieces]
    return ", ".join(texts[:20]) + (f" and {len(texts) - 20} more" if len(texts) > 20 else "")
