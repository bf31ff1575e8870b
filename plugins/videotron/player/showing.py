"""What the screen shows now: an override before the schedule, the schedule before the fallback. Never nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from plugins.videotron.protocol import Manifest, Mode, Override, Shows, Standby
from plugins.videotron.protocol.schedule import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """`loop` is played again and again; with `shows` FALLBACK and an empty loop the player's own film is."""

    shows: Shows
    loop: tuple[Entry, ...] = ()
    missing: tuple[Standby, ...] = ()  # films of an emergency that are not here yet


def decide(
    loop: tuple[Entry, ...],
    *,
    manifest: Manifest | None,
    override: Override | None,
    held: Collection[str],
    broken: Collection[str],
) -> Showing:
    """What to show, of the films that are held and can be played.

    An emergency of which nothing is here leaves the schedule as it is until the first of its films has come.
    """
    if override is not None and override.mode is Mode.BLACKOUT:
        return Showing(shows=Shows.BLACKOUT)
    missing: tuple[Standby, ...] = ()
    if override is not None and override.mode is Mode.EMERGENCY:
        missing = tuple(film for film in override.films if film.sha256 not in held)
        if here := _entries(film for film in override.films if film.sha256 in held and film.sha256 not in broken):
            return Showing(shows=Shows.EMERGENCY, loop=here, missing=missing)
    if loop:
        return Showing(shows=Shows.ITEMS, loop=loop, missing=missing)
    spare = manifest.fallback if manifest else None
    if spare is not None and spare.sha256 in held and spare.sha256 not in broken:
        return Showing(shows=Shows.FALLBACK, loop=_entries([spare]), missing=missing)
    return Showing(shows=Shows.FALLBACK, missing=missing)


def _entries(films: Iterable[Standby]) -> tuple[Entry, ...]:
    return tuple(
        Entry(
            key=f"override/{n}/{film.cid}",
            item=film.item,
            cid=film.cid,
            sha256=film.sha256,
            title=film.title,
            seconds=film.seconds,
        )
        for n, film in enumerate(films)
    )
