"""What follows from a play list: what to play now, what to fetch, what to keep. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from plugins.videotron.protocol import Playlist, PlaylistItem


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One place in the loop; `key` stays the same while the play list still has this film of this item."""

    key: str
    item: str
    cid: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    file_bytes: int
    total_bytes: int
    entries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    loop: tuple[Entry, ...]  # to play now, in this order, again and again
    fetch: dict[str, PlaylistItem]  # by cid, the most urgent first
    keep: frozenset[str]  # hashes of the films that may stay on the disk
    next_change: datetime | None  # when the loop changes by the clock alone


def refusals(playlist: Playlist, *, player: str, serial: int, limits: Limits) -> list[str]:
    """Why this play list must not be followed; [] = it may."""
    sizes = {i.sha256: i.size for i in playlist.items}
    found = []
    if playlist.aud != player:
        found.append(f"a play list for {playlist.aud}")
    if playlist.serial < serial:
        found.append(f"play list {playlist.serial} is older than {serial}, which is followed")
    if len(playlist.items) > limits.entries:
        found.append(f"a play list of {len(playlist.items)} entries; {limits.entries} are allowed")
    if max(sizes.values(), default=0) > limits.file_bytes or sum(sizes.values()) > limits.total_bytes:
        found.append(f"play list {playlist.serial} asks for larger films than this player may hold")
    if any(i.size != sizes[i.sha256] for i in playlist.items):
        found.append(f"play list {playlist.serial} gives one film two sizes")
    if len({i.cid for i in playlist.items}) != len(sizes) or any(i.cid != i.sha256[:32] for i in playlist.items):
        found.append(f"play list {playlist.serial} has a content id that is not its film's")
    return found


def plan(playlist: Playlist | None, *, held: Collection[str], broken: Collection[str], now: datetime) -> Plan:
    """What to do at `now` with the verified films `held`; `broken` ones cannot be played.

    A clock that shows a time before the play list was issued is wrong (no battery, no network yet): that time counts
    then.
    """
    items = playlist.items if playlist else ()
    now = max(now, playlist.issued) if playlist else now
    wanted = [i for i in items if i.end > now]
    playable = [i for i in wanted if i.start <= now and i.sha256 in held and i.sha256 not in broken]
    missing = sorted((i for i in wanted if i.sha256 not in held), key=lambda i: max(i.start, now))
    borders = [t for i in wanted for t in (i.start, i.end) if t > now]
    fetch: dict[str, PlaylistItem] = {}
    for item in missing:
        fetch.setdefault(item.cid, item)
    return Plan(
        loop=_entries(playable),
        fetch=fetch,
        keep=frozenset(i.sha256 for i in items),  # by the list, not the clock: a wrong clock must not empty the disk
        next_change=min(borders, default=None),
    )


def _entries(items: list[PlaylistItem]) -> tuple[Entry, ...]:
    seen: Counter[tuple[str, str]] = Counter()
    entries = []
    for i in items:
        seen[i.item, i.cid] += 1
        key = f"{i.item}/{i.cid}/{seen[i.item, i.cid]}"
        entries.append(Entry(key=key, item=i.item, cid=i.cid, sha256=i.sha256))
    return tuple(entries)
