"""What follows from a manifest: what to play now, what to fetch, what to keep. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from plugins.videotron.protocol import File, Manifest
from plugins.videotron.protocol.schedule import Entry, loop_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    loop: tuple[Entry, ...]  # to play now, in this order, again and again
    fetch: dict[str, File]  # by cid, the most urgent first
    keep: frozenset[str]  # hashes of the films that may stay on the disk
    next_change: datetime | None  # when the loop, or what is fetched, changes by the clock alone


def plan(
    manifest: Manifest | None,
    *,
    held: Collection[str],
    broken: Collection[str],
    now: datetime,
    urgent: Collection[File] = (),
) -> Plan:
    """What to do at `now` with the verified films `held`; `broken` ones cannot be played. `urgent`: an override's."""
    files = manifest.files() if manifest else ()
    # By the manifest, not the clock: a wrong clock must not empty the disk.
    keep = frozenset(file.sha256 for file in (*files, *urgent))
    if manifest is None:
        return Plan(loop=(), fetch=_missing(urgent, held, now), keep=keep, next_change=None)
    shown = loop_at(manifest, now=now, held=held, broken=broken)
    later = [i.fetch_after for i in manifest.items if i.fetch_after and i.fetch_after > now]
    return Plan(
        loop=shown.entries,
        fetch=_missing(urgent if shown.expired else _by_urgency(manifest, urgent, now), held, now),
        keep=keep,
        next_change=min((t for t in (shown.next_change, *later) if t), default=None),
    )


def _by_urgency(manifest: Manifest, urgent: Collection[File], now: datetime) -> list[File]:
    """An override's films first, then the fallback and what is kept ready, then items by their beginning."""
    items = sorted(
        (i for i in manifest.items if i.end > now), key=lambda i: (i.priority != "urgent", max(i.start, now))
    )
    ready = [*manifest.standby, *([manifest.fallback] if manifest.fallback else [])]
    return [*urgent, *ready, *items]


def _missing(files: Collection[File], held: Collection[str], now: datetime) -> dict[str, File]:
    """Those to fetch now, in this order."""
    fetch: dict[str, File] = {}
    for file in files:
        if file.sha256 not in held and (file.fetch_after is None or file.fetch_after <= now):
            fetch.setdefault(file.cid, file)
    return fetch
