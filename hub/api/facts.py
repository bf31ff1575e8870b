"""Facts: what happened, in the order in which the hub learnt of it. The journal keeps them for ever."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.api.models import DeliveryState, ItemNumber, ItemState, Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemChanged:
    """The item was accepted, became active, ended or was withdrawn. Recorded by the hub."""

    item: ItemNumber
    state: ItemState
    reason: str = ""
    who: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryChanged:
    """A delivery reached a new state. Recorded by the hub."""

    plugin: str
    delivery: str  # the delivery's key
    item: ItemNumber
    destination: str
    state: DeliveryState
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Something dropped was refused. Recorded by the hub."""

    name: str
    reason: str
    sha256: Sha256 | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderGiven:
    """A person gave an order and this came of it. Recorded by the hub."""

    order: int
    name: str
    who: str
    why: str
    done: bool
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """The receipt of a delivery that was `Pending`. Recorded by the plugin."""

    delivery: str  # the delivery's key
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryFailed:
    """The destination refuses a delivery for good; a person must act. Recorded by the plugin."""

    delivery: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """Proof of play: one playback on one screen. Recorded by the plugin. Sets the delivery to `played`."""

    delivery: str
    item: ItemNumber
    destination: str
    rendition: Sha256
    started_at: datetime
    seconds: float  # by the player's monotonic clock
    complete: bool  # it ran to its end


class AiringState(StrEnum):
    PLANNED = "planned"
    DUE = "due"
    SENT = "sent"  # given to the executor
    ON_AIR = "on air"
    AIRED = "aired"  # start, end and seconds agree
    HANDED_OVER = "handed over"  # given to other automation, not confirmed
    PARTIAL = "partial"  # began, did not run to its end
    FAILED = "failed"
    MISSED = "missed"  # its time passed
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Aired:
    """How one planned broadcast ended. Recorded by the plugin. `aired` sets the delivery to `played`."""

    delivery: str
    item: ItemNumber
    airing: str
    destination: str
    state: AiringState
    at: datetime  # start on air; the planned time when it never was
    seconds: float
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """The item stands in a month folder of the archive. Recorded by the plugin."""

    item: ItemNumber
    month: str  # yyyy-mm, WITA
    path: str  # of the item's folder, relative to the archive's root
    never_played: bool = False


Fact = ItemChanged | DeliveryChanged | Refused | OrderGiven | Delivered | DeliveryFailed | Played | Aired | Filed


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """A fact as the journal keeps it. `seq` grows without repeats; an observer may see an entry more than once."""

    seq: int
    recorded_at: datetime
    plugin: str  # who recorded it; "hub" for the hub's own
    fact: Fact
