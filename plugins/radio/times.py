"""When an item airs: at once when its window has begun, then at regular times until the window closes. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How often, how late, how many times: the part of the settings that airings follow."""

    every: timedelta
    late: timedelta
    max_attempts: int
    repeat_interrupted: bool
    tolerance_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One time to air at. `deadline` is the last instant at which it may still begin."""

    at: datetime
    deadline: datetime
    first: bool


def first_slot(now: datetime, start: datetime, last: datetime) -> Slot | None:
    """The first airing: at once. It is bound to no clock time, so it may be late until `last`."""
    at = max(now, start)
    return Slot(at=at, deadline=last, first=True) if at <= last else None


def next_slot(now: datetime, anchor: datetime, last: datetime, rules: Rules) -> Slot | None:
    """The first regular time after `now`, counted from `anchor`, the time of the first airing."""
    steps = max(0, (now - anchor) // rules.every) + 1
    at = anchor + steps * rules.every
    return Slot(at=at, deadline=min(at + rules.late, last), first=False) if at <= last else None


def times_passed(planned: datetime, now: datetime, last: datetime, rules: Rules) -> int:
    """How many regular times, `planned` included, went by without an airing."""
    return int((min(now, last) - planned) // rules.every) + 1 if now >= planned else 0
