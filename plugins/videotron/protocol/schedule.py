"""What a screen shows at an instant, by its manifest and the clock alone: one code for player and hub. Pure.

A film is shown from its `start` until just before its `end`, on its days at its times of day in the screen's zone, and
not later than `fresh_s` after the manifest was issued; after the manifest's `expires`, nothing is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum

from plugins.videotron.protocol.hours import Hour, Hours, zone_of
from plugins.videotron.protocol.manifests import Daypart, Manifest, ManifestItem
from plugins.videotron.protocol.rounds import spread

URGENT_SHARE = 3  # an urgent item has at least so many places in a round
LONGEST_FRESH_S = 10 * 366 * 86400  # beyond that, the calendar would end first


class Why(StrEnum):
    """Why an item is not shown now."""

    OVER = "over"  # its window has ended
    EXPIRED = "manifest expired"
    STALE = "offline too long"  # nothing newer came from the hub within the time that its class allows
    NOT_YET = "not yet"  # its window has not begun
    OTHER_DAY = "other day"
    OUTSIDE_HOURS = "outside its hours"
    NOT_HELD = "not held"  # the player has not fetched it yet
    BROKEN = "broken"  # the player could not play it


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place in the loop; `key` stays the same while the manifest keeps this place of this film."""

    key: str
    item: str
    cid: str
    sha256: str
    title: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A film of the manifest that is not in the loop."""

    item: str
    cid: str
    title: str
    why: Why


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """What to show, again and again in this order, until `next_change`."""

    entries: tuple[Entry, ...]
    next_change: datetime | None  # when this answer changes by the clock alone; None = never
    left_out: tuple[LeftOut, ...]
    expired: bool  # the manifest is too old to show anything by it


def loop_at(
    manifest: Manifest, *, now: datetime, held: Collection[str] | None = None, broken: Collection[str] = ()
) -> Loop:
    """The loop at `now` with the films `held` (by sha256; None = all) that are not `broken`.

    Raises: WireError when the screen's time zone is not known here.
    """
    look = _Look(manifest=manifest, now=now, zone=zone_of(manifest.screen.zone))
    verdicts = [look.verdict(item, held, broken) for item in manifest.items]
    return Loop(
        entries=_round(manifest.items, [why is None for why in verdicts]),
        next_change=look.next_change(),
        left_out=tuple(
            LeftOut(item=item.item, cid=item.cid, title=item.title, why=why)
            for item, why in zip(manifest.items, verdicts, strict=True)
            if why
        ),
        expired=now >= manifest.expires,
    )


def stale_at(manifest: Manifest, item: ManifestItem) -> datetime:
    """The instant from which a player that hears nothing newer may not show this item any more."""
    fresh = timedelta(seconds=min(item.fresh_s, LONGEST_FRESH_S))
    return min(item.end, manifest.expires, manifest.issued + fresh)


@dataclass(slots=True, kw_only=True)
class _Look:
    """One look at a manifest: items with the same days and times of day are worked out once."""

    manifest: Manifest
    now: datetime
    zone: tzinfo
    hours: dict[tuple[tuple[int, ...], tuple[Daypart, ...]], Hours] = field(default_factory=dict)

    def verdict(self, item: ManifestItem, held: Collection[str] | None, broken: Collection[str]) -> Why | None:
        """Why it is not shown; None = it is."""
        if why := self._by_the_calendar(item):
            return why
        if (hour := self._hours(item).at(self.now)) is not Hour.SHOWN:
            return Why.OTHER_DAY if hour is Hour.OTHER_DAY else Why.OUTSIDE_HOURS
        if held is not None and item.sha256 not in held:
            return Why.NOT_HELD
        return Why.BROKEN if item.sha256 in broken else None

    def next_change(self) -> datetime | None:
        found = [self.manifest.expires] if self.now < self.manifest.expires else []
        for item in self.manifest.items:
            found += [border for border in self._borders(item) if border > self.now]
        by_the_clock = [h.next_change(self.now, min(found)) for h in self._hours_in_force()] if found else []
        return min([*found, *(border for border in by_the_clock if border)], default=None)

    def _by_the_calendar(self, item: ManifestItem) -> Why | None:
        if self.now >= item.end:
            return Why.OVER
        if self.now >= self.manifest.expires:
            return Why.EXPIRED
        if self.now >= stale_at(self.manifest, item):
            return Why.STALE
        return Why.NOT_YET if self.now < item.start else None

    def _borders(self, item: ManifestItem) -> Sequence[datetime]:
        """When the calendar's word on it may change."""
        stale = stale_at(self.manifest, item)
        return (item.start, stale, item.end) if item.start < stale else (stale, item.end)

    def _hours_in_force(self) -> list[Hours]:
        """Those on which what is shown depends now."""
        items = [item for item in self.manifest.items if not self._by_the_calendar(item)]
        return list({id(hours): hours for hours in map(self._hours, items)}.values())

    def _hours(self, item: ManifestItem) -> Hours:
        key = (item.days, item.dayparts)
        if key not in self.hours:
            self.hours[key] = Hours(item.days, item.dayparts, self.zone)
        return self.hours[key]


def _round(items: Sequence[ManifestItem], shown: Sequence[bool]) -> tuple[Entry, ...]:
    """The urgent ones first, then in the manifest's order, each as often as its share says."""
    names = _names(items)
    chosen = sorted((i for i in range(len(items)) if shown[i]), key=lambda i: items[i].priority != "urgent")
    places = spread([_share(items[i]) for i in chosen])
    urgent = (at for at, (which, _) in enumerate(places) if items[chosen[which]].priority == "urgent")
    first = next(urgent, 0)
    return tuple(
        _entry(items[chosen[which]], f"{names[chosen[which]]}/{place + 1}")
        for which, place in (*places[first:], *places[:first])
    )


def _names(items: Sequence[ManifestItem]) -> list[str]:
    """A name for each film of the manifest that does not depend on which are shown just now."""
    seen: Counter[tuple[str, str]] = Counter()
    names = []
    for item in items:
        seen[item.item, item.cid] += 1
        names.append(f"{item.item}/{item.cid}/{seen[item.item, item.cid]}")
    return names


def _share(item: ManifestItem) -> int:
    return max(item.share, URGENT_SHARE) if item.priority == "urgent" else item.share


def _entry(item: ManifestItem, key: str) -> Entry:
    return Entry(key=key, item=item.item, cid=item.cid, sha256=item.sha256, title=item.title, seconds=item.seconds)
