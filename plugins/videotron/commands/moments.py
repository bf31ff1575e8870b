"""Ends as a person in a hurry writes them: `2h`, `90m`, `18:00`, `2026-11-23 18:00`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_LASTS = re.compile(r"(\d{1,4})\s*(m|min|menit|h|j|jam|d|hari)\Z", re.IGNORECASE)
_UNITS = {
    "m": timedelta(minutes=1),
    "min": timedelta(minutes=1),
    "menit": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "j": timedelta(hours=1),
    "jam": timedelta(hours=1),
    "d": timedelta(days=1),
    "hari": timedelta(days=1),
}


def until(text: str, now: datetime, zone: ZoneInfo) -> datetime:
    """The end that is meant, in UTC. A time of day is the next one. Raises: ValueError in a sentence."""
    plain = text.strip()
    if found := _LASTS.match(plain):
        return (now + int(found[1]) * _UNITS[found[2].lower()]).astimezone(UTC)
    try:
        if clock := re.fullmatch(r"(\d{1,2})[:.](\d{2})", plain):
            return _next(time(int(clock[1]), int(clock[2])), now, zone)
        moment = datetime.fromisoformat(plain)
    except ValueError:
        raise ValueError(f"{text[:40]!r} was not understood; write 2h, 90m, 18:00 or 2026-11-23 18:00") from None
    if len(plain) <= len("2026-11-23"):
        raise ValueError(f"{text[:40]!r} has no time of day; write for instance {plain} 18:00")
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def _next(at: time, now: datetime, zone: ZoneInfo) -> datetime:
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), at, zone)
    moment = today if today > local else datetime.combine(local.date() + timedelta(days=1), at, zone)
    return moment.astimezone(UTC)
