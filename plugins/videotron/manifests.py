"""Which films each player should hold and show: pure functions of the deliveries and the configured screens."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hub.api import (
    FALLBACK,
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
    Rendition,
    Sha256,
    Want,
)
from plugins.videotron.emergency.asked import is_reference
from plugins.videotron.protocol import File, ManifestItem, Standby
from plugins.videotron.protocol.hours import dayparts_of
from plugins.videotron.settings import OfflineSettings, ScreenSettings
from plugins.videotron.transfer.contents import Content

MAX_ITEMS, MAX_STANDBY = 1000, 100  # the protocol's
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Programme:
    """What one player's manifest says of films: those of its loop, those kept ready, the one for empty times."""

    items: tuple[ManifestItem, ...] = ()
    standby: tuple[Standby, ...] = ()
    fallback: Standby | None = None

    def files(self) -> tuple[File, ...]:
        return (*self.items, *self.standby, *((self.fallback,) if self.fallback else ()))


def programme(
    deliveries: Sequence[CurrentDelivery],
    contents: Mapping[Sha256, Content],
    *,
    offline: OfflineSettings,
    fetch_after: Callable[[bool], datetime | None],
    kept: Collection[ItemNumber] = (),
) -> Programme:
    """What one player holds and shows by its deliveries; a rendition whose content could not be loaded is left out.

    An item with a template's name is kept ready and never in the loop, as are those of `kept` (an emergency's own).
    `fetch_after` says from when on this screen may fetch, by whether it is urgent.
    """
    films = [
        (current, rendition)
        for current in deliveries
        for rendition in current.renditions
        if rendition.sha256 in contents
    ]
    waiting = _by_need([film for film in films if is_kept(film[0], kept)], kept)
    ready = [_standby(current.item, rendition, contents) for current, rendition in waiting]
    loop = [
        _item(current.item, rendition, contents, offline, fetch_after)
        for current, rendition in films
        if not is_kept(current, kept)
    ]
    spare = [film for film in ready if film.name == FALLBACK]
    newest = [film for film in spare if film.item == spare[0].item]
    return Programme(
        items=tuple(loop[:MAX_ITEMS]),
        standby=tuple(film for film in ready if film.name != FALLBACK)[:MAX_STANDBY],
        fallback=newest[-1] if newest else None,
    )


def _by_need(
    films: Sequence[tuple[CurrentDelivery, Rendition]], kept: Collection[ItemNumber]
) -> list[tuple[CurrentDelivery, Rendition]]:
    """What an emergency was ordered with; then of each template the item that an order shows, the one accepted last;
    then those that it replaced: these go when there are too many. The newest first in each."""
    found = sorted(films, key=lambda film: (film[0].item.accepted_at, film[0].item.number), reverse=True)
    shown: dict[str, ItemNumber] = {}
    for current, _ in found:
        shown.setdefault(current.item.template, current.item.number)
    return sorted(found, key=lambda film: _need(film[0].item, kept, shown))


def _need(item: Item, kept: Collection[ItemNumber], shown: Mapping[str, ItemNumber]) -> int:
    if is_emergencys(item, kept):
        return 0
    return 1 if shown[item.template] == item.number else 2


def is_kept(current: CurrentDelivery, kept: Collection[ItemNumber]) -> bool:
    """Whether its films stand ready, and are fetched whatever a screen's download window."""
    return bool(current.item.template) or is_emergencys(current.item, kept)


def is_emergencys(item: Item, kept: Collection[ItemNumber]) -> bool:
    """Whether it was dropped for an emergency alone, whatever became of the order."""
    return item.number in kept or (item.approval is not None and is_reference(item.approval.number))


def _item(
    item: Item,
    rendition: Rendition,
    contents: Mapping[Sha256, Content],
    offline: OfflineSettings,
    fetch_after: Callable[[bool], datetime | None],
) -> ManifestItem:
    content = contents[rendition.sha256]
    return ManifestItem(
        cid=content.cid,
        sha256=rendition.sha256,
        size=content.blocks.size,
        seconds=rendition.media.duration_s or 0.0,
        fetch_after=fetch_after(item.priority is Priority.URGENT),
        item=item.number,
        title=item.title[:300],
        start=item.start,
        end=item.end,
        days=item.days,
        dayparts=dayparts_of(item.dayparts),
        priority="urgent" if item.priority is Priority.URGENT else "normal",
        share=min(item.share, 20),
        classification=item.classification.value if item.classification else "",
        approval=_approval(item)[:200],
        fresh_s=offline.fresh_s(item),
    )


def _standby(item: Item, rendition: Rendition, contents: Mapping[Sha256, Content]) -> Standby:
    content = contents[rendition.sha256]
    return Standby(
        cid=content.cid,
        sha256=rendition.sha256,
        size=content.blocks.size,
        seconds=rendition.media.duration_s or 0.0,
        item=item.number,
        title=item.title[:300],
        name=item.template,
    )


def _approval(item: Item) -> str:
    approval = item.approval
    return f"{approval.number}, {approval.date:%Y-%m-%d}, {approval.approver}" if approval else ""


def _playing_order(current: CurrentDelivery) -> tuple[bool, datetime, str]:
    return current.item.priority is not Priority.URGENT, current.item.start, current.item.number


def _nearest(name: str, known: Sequence[str]) -> str:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.5)), "")
