"""What can be wrong with a play that is proved: signed, in its place, and yet not to be believed. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from plugins.videotron.protocol import ProofEntry
from plugins.videotron.protocol.chain import CLOCK_BEHIND, Result

AHEAD = timedelta(minutes=10)  # how far a player's clock may be ahead of the hub's
FLOOR = datetime(2026, 11, 1, tzinfo=UTC)  # no player is older than this program: an earlier time is a dead clock's
SHOWN = frozenset({Result.COMPLETED, Result.PARTIAL})


class Weight(StrEnum):
    OBJECTION = "objection"  # it proves nothing
    DOUBT = "doubt"  # it was shown, but the player cannot say when


@dataclass(frozen=True, slots=True)
class Remark:
    weight: Weight
    text: str


def remark_on(entry: ProofEntry, given: str | None, received_at: datetime) -> Remark | None:
    """What must be said about a play; `given` is the hash of the file that the player was given for the item."""
    if given is None:
        return Remark(Weight.OBJECTION, f"it was never given {entry.item} with file {entry.cid}")
    if given != entry.sha256:
        return Remark(Weight.OBJECTION, f"the file that it names for {entry.item} is another one than it was given")
    if _in_future(entry, received_at):
        text = f"it begins in the future ({_text(entry.started_at)}): the player's clock is wrong"
        return Remark(Weight.OBJECTION, text)
    if entry.started_at < FLOOR:
        return Remark(Weight.DOUBT, f"it begins in the past ({_text(entry.started_at)}): the player had no clock")
    if CLOCK_BEHIND in entry.reason:
        return Remark(Weight.DOUBT, f"the player's clock was behind: it was {_text(entry.started_at)} or later")
    return None


def proves(entry: ProofEntry, remark: Remark | None) -> bool:
    """Whether a play counts as one: its picture was shown, its end seen, and nothing speaks against it."""
    return entry.result in SHOWN and (remark is None or remark.weight is not Weight.OBJECTION)


def happened_at(entry: ProofEntry, received_at: datetime) -> datetime:
    """When a play began by the player's clock; with one that cannot be right, when the hub had its proof."""
    wrong = entry.started_at < FLOOR or _in_future(entry, received_at)
    return received_at if wrong else entry.started_at


def _in_future(entry: ProofEntry, received_at: datetime) -> bool:
    return entry.started_at > received_at + AHEAD


def _text(time: datetime) -> str:
    return time.isoformat(timespec="seconds")
