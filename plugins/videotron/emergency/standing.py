"""How an order stands at one screen: a pure look at what was ordered, what the player was told, and what it says."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.api import CurrentDelivery, DeliveryState, Progress
from plugins.videotron.emergency.overrides import Change, InForce, Wish
from plugins.videotron.protocol import Manifest, Mode, PlayerState, Standby

MAX_FILMS = 20  # the protocol's
_MAKING = {DeliveryState.PLANNED, DeliveryState.TRANSCODING}


class Stand(StrEnum):
    IN_FORCE = "in force"  # the player says so
    SENT = "sent"  # the player has not confirmed it yet
    OFFLINE = "offline"  # it is told as soon as it is back
    FETCHING = "fetching"  # its film is on the way to the screen
    MAKING = "making"  # its film is being rendered for this screen
    FILE = "waiting for the file"
    NOT_READY = "not ready"  # there is no film of it for this screen
    FAILED = "failed"  # and will not come by itself
    OVER = "over"  # its time has passed, or its item was withdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Player:
    """What is known of a screen's player."""

    online: bool
    last_seen: datetime | None
    state: PlayerState | None
    manifest: Manifest | None
    receiving: tuple[int, int] | None = None  # blocks held and in all, of what it fetches

    @property
    def holds(self) -> Collection[str]:
        return self.state.holds if self.state else ()

    def films(self, item: str) -> tuple[Standby, ...]:
        """The films of an item that its manifest names, in order."""
        if self.manifest is None:
            return ()
        spare = (self.manifest.fallback,) if self.manifest.fallback else ()
        kept = tuple(film for film in (*self.manifest.standby, *spare) if film.item == item)
        return kept or tuple(
            Standby(
                cid=film.cid, sha256=film.sha256, size=film.size, seconds=film.seconds, item=film.item, title=film.title
            )
            for film in self.manifest.items
            if film.item == item
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    stand: Stand
    part: float | None = None  # of the making, 0 to 1
    left_s: float | None = None
    blocks: tuple[int, int] | None = None  # of the sending
    since: datetime | None = None  # offline
    reason: str = ""


def change(wish: Wish | None, told: InForce | None, player: Player, *, signer: str, now: datetime) -> Change | None:
    """What the player must be told now; None: what it was told is right."""
    if told is not None and told.override.mode is not Mode.NONE and told.over(now):
        return _after(wish, told, player, now) or Change(wish=told.wish, mode=Mode.NONE)
    if wish is not None and (told is None or told.wish != wish.key) and (new := _wished(wish, told, player, now)):
        return new
    if told is not None and told.signer != signer:
        override = told.override
        return Change(wish=told.wish, mode=override.mode, until=override.until, films=override.films)
    return None


def _after(wish: Wish | None, told: InForce, player: Player, now: datetime) -> Change | None:
    return _wished(wish, None, player, now) if wish and wish.key != told.wish else None


def _wished(wish: Wish, told: InForce | None, player: Player, now: datetime) -> Change | None:
    if wish.mode is not Mode.EMERGENCY:
        if wish.until is not None and wish.until <= now:
            return None
        return Change(wish=wish.key, mode=wish.mode, until=wish.until)
    films = player.films(wish.item) if wish.item else ()
    if not films or wish.failed or (wish.until is not None and wish.until <= now):
        return None
    busy = told is not None and told.override.mode is Mode.EMERGENCY and not told.over(now)
    if busy and not {film.cid for film in films} <= set(player.holds):
        return None  # what is on the screen stays until the new films are there
    return Change(wish=wish.key, mode=Mode.EMERGENCY, until=wish.until, films=films[:MAX_FILMS])


def standing(
    wish: Wish,
    told: InForce | None,
    player: Player,
    *,
    deliveries: Sequence[CurrentDelivery],
    progress: Sequence[Progress],
    now: datetime,
) -> Standing:
    """How it stands. `deliveries` are all that the hub has now."""
    if told is None or told.wish != wish.key:
        return _not_told(wish, player, deliveries, progress, now)
    if wish.mode is not Mode.NONE and told.over(now):
        return Standing(stand=Stand.OVER)
    confirmed = player.state is not None and player.state.override == told.override.counter
    if not player.online:
        return Standing(stand=Stand.OFFLINE, since=player.last_seen)
    if not {film.cid for film in told.override.films} <= set(player.holds):
        return Standing(stand=Stand.FETCHING, blocks=player.receiving)
    if not confirmed or not _is_seen(wish, player):
        return Standing(stand=Stand.SENT)
    return Standing(stand=Stand.IN_FORCE)


def _is_seen(wish: Wish, player: Player) -> bool:
    """Whether the player shows what was ordered, too."""
    shows = player.state.shows if player.state else ""
    return shows not in (Mode.EMERGENCY, Mode.BLACKOUT) if wish.mode is Mode.NONE else shows == wish.mode


def _not_told(
    wish: Wish, player: Player, deliveries: Sequence[CurrentDelivery], progress: Sequence[Progress], now: datetime
) -> Standing:
    if wish.failed:
        return Standing(stand=Stand.FAILED, reason=wish.failed)
    if wish.until is not None and wish.until <= now:
        return Standing(stand=Stand.OVER)
    if wish.mode is not Mode.EMERGENCY:
        return Standing(stand=Stand.SENT)
    if not wish.item:
        return Standing(stand=Stand.FILE)
    mine = [one for one in deliveries if one.item.number == wish.item and one.delivery.destination == wish.player]
    if not mine:
        return Standing(stand=Stand.FAILED, reason=f"siarhub show {wish.item}")
    if player.films(wish.item):
        return Standing(stand=Stand.FETCHING, blocks=player.receiving)
    if any(one.state in _MAKING for one in mine):
        run = next((one for one in progress if one.item == wish.item), None)
        return Standing(stand=Stand.MAKING, part=run.part if run else None, left_s=run.left_s if run else None)
    return Standing(stand=Stand.NOT_READY)
