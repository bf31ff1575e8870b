"""What a screen will show at an instant, and why not the rest: the player's own schedule, put in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from itertools import accumulate
from typing import Any

from plugins.videotron.protocol import Manifest, Mode, Override, Shows, Standby
from plugins.videotron.protocol.hours import zone_of
from plugins.videotron.protocol.schedule import LONGEST_FRESH_S, Entry, Loop, loop_at, stale_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """One screen at one instant."""

    at: datetime  # in the screen's zone
    shows: Shows
    loop: Loop  # the round that the schedule gives, also when an override hides it
    override: Override | None  # that is in force then
    manifest: Manifest
    alone: bool  # the player has heard nothing since this manifest
    alone_until: dict[tuple[str, str], datetime]  # by item and content: what a player that hears no more may show

    @property
    def zone(self) -> tzinfo:
        return zone_of(self.manifest.screen.zone)

    @property
    def starts(self) -> list[float]:
        """After how many seconds of a round each place comes; the last is the whole round."""
        return list(accumulate((entry.seconds for entry in self.loop.entries), initial=0.0))

    @property
    def last_alone(self) -> datetime | None:
        """When a player that hears no more has nothing left but the fallback; None = it has nothing else now."""
        return max(self.alone_until.values(), default=None)


def preview(manifest: Manifest, override: Override | None, *, at: datetime, alone: bool) -> Preview:
    """The screen at `at`; `alone`: its player hears nothing after this manifest, else the hub renews it in time.

    Raises: WireError when the screen's time zone is not known here.
    """
    local = at.astimezone(zone_of(manifest.screen.zone))
    loop = loop_at(manifest if alone else _renewed(manifest, at), now=at)
    in_force = override if override and _in_force(override, at) else None
    return Preview(
        at=local,
        shows=_shows(in_force, loop),
        loop=loop,
        override=in_force,
        manifest=manifest,
        alone=alone,
        alone_until={(i.item, i.cid): stale_at(manifest, i) for i in manifest.items if stale_at(manifest, i) > at},
    )


def as_json(shown: Preview) -> dict[str, Any]:
    """The object of `siarhub videotron preview --json`."""
    manifest, starts = shown.manifest, shown.starts
    return {
        "screen": manifest.aud,
        "at": shown.at.isoformat(),
        "zone": manifest.screen.zone,
        "alone": shown.alone,
        "shows": shown.shows,
        "loop": [
            {"place": place, "starts_s": round(starts[place - 1], 3)} | _entry(shown, entry)
            for place, entry in enumerate(shown.loop.entries, start=1)
        ],
        "round_s": round(starts[-1], 3),
        "next_change": _iso(shown, shown.loop.next_change),
        "left_out": [
            {"item": left.item, "title": left.title, "cid": left.cid, "why": left.why} for left in shown.loop.left_out
        ],
        "override": _override(shown),
        "fallback": _standby(manifest.fallback) if manifest.fallback else None,
        "alone_until": _iso(shown, shown.last_alone),
        "manifest": {
            "epoch": manifest.epoch,
            "seq": manifest.seq,
            "issued": _iso(shown, manifest.issued),
            "expires": _iso(shown, manifest.expires),
        },
    }


def _renewed(manifest: Manifest, at: datetime) -> Manifest:
    """The manifest as a hub that runs keeps renewing it: its items stay fresh until they end."""
    fresh = tuple(item.model_copy(update={"fresh_s": LONGEST_FRESH_S}) for item in manifest.items)
    last = max((at, *(item.end for item in manifest.items))) + timedelta(days=1)
    return manifest.model_copy(update={"issued": at, "expires": last, "items": fresh})


def _in_force(override: Override, at: datetime) -> bool:
    return override.mode is not Mode.NONE and (override.until is None or at < override.until)


def _shows(override: Override | None, loop: Loop) -> Shows:
    if override:
        return Shows.EMERGENCY if override.mode is Mode.EMERGENCY else Shows.BLACKOUT
    return Shows.ITEMS if loop.entries else Shows.FALLBACK


def _entry(shown: Preview, entry: Entry) -> dict[str, Any]:
    return {
        "key": entry.key,
        "item": entry.item,
        "title": entry.title,
        "cid": entry.cid,
        "seconds": entry.seconds,
        "alone_until": _iso(shown, shown.alone_until.get((entry.item, entry.cid))),
    }


def _override(shown: Preview) -> dict[str, Any] | None:
    if (override := shown.override) is None:
        return None
    return {
        "mode": override.mode,
        "issued": _iso(shown, override.issued),
        "until": _iso(shown, override.until),
        "films": [_standby(film) for film in override.films],
    }


def _standby(film: Standby) -> dict[str, Any]:
    return {"item": film.item, "title": film.title, "template": film.name, "cid": film.cid, "seconds": film.seconds}


def _iso(shown: Preview, moment: datetime | None) -> str | None:
    return moment.astimezone(shown.zone).isoformat() if moment else None
