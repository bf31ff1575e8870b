"""The values of the airing queue, and the judgement of one that ended. Pure."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hub.api import Aired, AiringState, ItemNumber, Sha256
from plugins.radio.as_run import Line


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """An item that airs until its window closes."""

    delivery: str
    item: ItemNumber
    destination: str
    sha256: Sha256
    duration_s: float
    starts: datetime
    ends: datetime

    @property
    def last(self) -> datetime:
        """The last instant at which it may begin, so as to end inside its window."""
        return self.ends - timedelta(seconds=self.duration_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Airing:
    """One planned broadcast."""

    id: str
    delivery: str
    item: ItemNumber
    destination: str
    sha256: Sha256
    duration_s: float
    planned_at: datetime
    deadline: datetime
    first: bool
    state: AiringState
    attempt: int
    withdrawing: bool
    boot: str
    started_at: datetime | None
    start_stream_s: float | None
    start_up: bool
    start_downs: int
    reason: str

    @property
    def token(self) -> str:
        """What the executor calls this attempt: no late line of an earlier one can be taken for it."""
        return f"{self.id}.{self.attempt}"

    @property
    def file_name(self) -> str:
        return f"{self.sha256}.wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How an attempt ended."""

    state: AiringState
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the journal must learn, under a key that makes it learn it once."""

    key: str
    fact: Aired


def judge(airing: Airing, end: Line, tolerance_s: float) -> Verdict:
    """Aired only when start, end, seconds and output agree."""
    seconds = max(0.0, end.stream_s - (airing.start_stream_s or 0.0))
    allowed = min(tolerance_s, airing.duration_s / 4)
    if seconds < airing.duration_s - allowed:
        return _partial(seconds, f"cut after {seconds:.1f} of {airing.duration_s:.1f} s")
    if seconds > airing.duration_s + 2 * tolerance_s:
        return _partial(seconds, f"took {seconds:.1f} s for {airing.duration_s:.1f} s: something came between")
    if not (airing.start_up and end.output_up) or airing.start_downs != end.downs:
        return _partial(seconds, "the output was down: nobody could hear it")
    return Verdict(state=AiringState.AIRED, seconds=seconds)


def token_parts(token: str) -> tuple[str, int] | None:
    """The airing's id and the attempt, or None when the token was never ours."""
    airing, dot, attempt = token.rpartition(".")
    return (airing, int(attempt)) if dot and attempt.isascii() and attempt.isdigit() and len(attempt) < 9 else None


def airing_from(row: sqlite3.Row) -> Airing:
    return Airing(
        id=row["id"],
        delivery=row["delivery"],
        item=ItemNumber(row["item"]),
        destination=row["destination"],
        sha256=Sha256(row["sha256"]),
        duration_s=row["duration_s"],
        planned_at=datetime.fromisoformat(row["planned_at"]),
        deadline=datetime.fromisoformat(row["deadline"]),
        first=bool(row["first"]),
        state=AiringState(row["state"]),
        attempt=row["attempt"],
        withdrawing=bool(row["withdrawing"]),
        boot=row["boot"],
        started_at=datetime.fromisoformat(row["started_at"]) if row["started_at"] else None,
        start_stream_s=row["start_stream_s"],
        start_up=bool(row["start_up"]),
        start_downs=row["start_downs"] or 0,
        reason=row["reason"],
    )


def programme_from(row: sqlite3.Row) -> Programme:
    return Programme(
        delivery=row["delivery"],
        item=ItemNumber(row["item"]),
        destination=row["destination"],
        sha256=Sha256(row["sha256"]),
        duration_s=row["duration_s"],
        starts=datetime.fromisoformat(row["starts"]),
        ends=datetime.fromisoformat(row["ends"]),
    )


def outcome_from(row: sqlite3.Row) -> Outcome:
    fact = Aired(
        delivery=row["delivery"],
        item=ItemNumber(row["item"]),
        airing=row["airing"],
        destination=row["destination"],
        state=AiringState(row["state"]),
        at=datetime.fromisoformat(row["at"]),
        seconds=row["seconds"],
        reason=row["reason"],
    )
    return Outcome(key=row["key"], fact=fact)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _partial(seconds: float, reason: str) -> Verdict:
    return Verdict(state=AiringState.PARTIAL, seconds=seconds, reason=reason)
