"""Which files each player should hold and play: pure functions of the deliveries and the configured screens."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.api import (
    Asset,
    Channel,
    CurrentDelivery,
    Delivery,
    DeliveryState,
    Draft,
    Item,
    ItemNumber,
    ItemState,
    MediaKind,
    Priority,
    Sha256,
    Want,
)
from plugins.videotron.contents import Content
from plugins.videotron.protocol import PlaylistItem
from plugins.videotron.settings import ScreenSettings

MAX_ITEMS = 1000
READY_STATES = {DeliveryState.READY, DeliveryState.HANDED_OVER, DeliveryState.DELIVERED, DeliveryState.PLAYED}
LIVE_STATES = {ItemState.ACCEPTED, ItemState.ACTIVE}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownScreen:
    """A name in a sidecar that is neither a screen nor a group."""

    name: str
    nearest: str  # "" when none is like it
    known: tuple[str, ...]


def screens_of(draft: Draft, screens: Mapping[str, ScreenSettings]) -> list[str]:
    """The screens that a draft is meant for: all, or those it names itself or by a group."""
    if Channel.VIDEOTRON not in draft.channels:
        return []
    named = {name.strip().lower() for name in draft.screens}
    return [
        screen_id
        for screen_id, screen in sorted(screens.items())
        if not named or screen_id in named or named & set(screen.groups)
    ]


def unknown_screens(draft: Draft, screens: Mapping[str, ScreenSettings]) -> list[UnknownScreen]:
    """The names in a draft that mean no screen, each with the nearest one that does."""
    known = sorted({*screens, *(group for screen in screens.values() for group in screen.groups)})
    return [
        UnknownScreen(name=name, nearest=_nearest(name.strip().lower(), known), known=tuple(known))
        for name in draft.screens
        if name.strip().lower() not in known
    ]


def pictures_of(draft: Draft) -> list[Asset]:
    """The assets that a screen can show; the cover picture of a recording is none."""
    return [asset for asset in draft.assets if asset.media.kind is not MediaKind.AUDIO and asset.media.has_picture]


def plan(item: Item, screens: Mapping[str, ScreenSettings]) -> list[Delivery]:
    """One delivery a screen, of every picture of the item in that screen's profile."""
    pictures = pictures_of(item)
    if not pictures:
        return []
    return [
        Delivery(
            key=f"{item.number}/{screen_id}",
            item=item.number,
            destination=screen_id,
            wants=tuple(Want(asset=asset.sha256, profile=screens[screen_id].profile()) for asset in pictures),
        )
        for screen_id in screens_of(item, screens)
    ]


def to_show(
    deliveries: Sequence[CurrentDelivery], *, now: datetime, withdrawn: Collection[ItemNumber]
) -> list[CurrentDelivery]:
    """The deliveries whose files are made and whose window is not over, in playing order."""
    found = [
        current
        for current in deliveries
        if current.state in READY_STATES
        and current.item.state in LIVE_STATES
        and current.item.number not in withdrawn
        and current.item.end > now
        and current.renditions
        and len(current.renditions) == len(current.delivery.wants)
    ]
    return sorted(found, key=_playing_order)


def playlist_items(
    screen_id: str, deliveries: Sequence[CurrentDelivery], contents: Mapping[Sha256, Content]
) -> tuple[PlaylistItem, ...]:
    """What one player plays; a rendition whose content could not be loaded is left out."""
    items = [
        PlaylistItem(
            item=current.item.number,
            cid=contents[rendition.sha256].cid,
            sha256=rendition.sha256,
            size=contents[rendition.sha256].blocks.size,
            start=current.item.start,
            end=current.item.end,
            seconds=rendition.media.duration_s or 0.0,
        )
        for current in deliveries
        if current.delivery.destination == screen_id
        for rendition in current.renditions
        if rendition.sha256 in contents
    ]
    return tuple(items[:MAX_ITEMS])


def _playing_order(current: CurrentDelivery) -> tuple[bool, datetime, str]:
    return current.item.priority is not Priority.URGENT, current.item.start, current.item.number


def _nearest(name: str, known: Sequence[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), "")
