"""Times of day at which a screen's link may be used for films, as people write them: `22:00-05:00, 12:00-13:00`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

PATTERN = re.compile(r"\s*(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\s*\Z")
MIDNIGHT_LATE = (24, 0)  # people write the end of the day so


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """From `start` until just before `end`, every day; `end` at or before `start` is on the next day."""

    start: time
    end: time

    def holds(self, at: time) -> bool:
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def parse_windows(text: str) -> tuple[Window, ...]:
    """The windows in this text; () when it is empty. Raises: ValueError with the part that is none."""
    return tuple(_parse(part) for part in text.split(",")) if text.strip() else ()


def is_open(windows: Sequence[Window], now: datetime, zone: ZoneInfo) -> bool:
    """Whether one of the windows holds this moment; without windows it is always so."""
    local = now.astimezone(zone).time()
    return not windows or any(window.holds(local) for window in windows)


def opens_at(windows: Sequence[Window], now: datetime, zone: ZoneInfo) -> datetime | None:
    """When the next window begins, in UTC; None while one is open."""
    if is_open(windows, now, zone):
        return None
    today = now.astimezone(zone).date()
    starts = [
        datetime.combine(today + timedelta(days=days), window.start, tzinfo=zone).astimezone(UTC)
        for window in windows
        for days in (0, 1, 2)
    ]
    return min(start for start in starts if start > now)


def _parse(part: str) -> Window:
    found = PATTERN.match(part)
    numbers = [int(number) for number in found.groups()] if found else []
    try:
        begin, end = (numbers[0], numbers[1]), (numbers[2], numbers[3])
        window = Window(start=time(*begin), end=time(0) if end == MIDNIGHT_LATE else time(*end))
    except (IndexError, ValueError):
        raise ValueError(f'{part.strip()!r} is no time of day from-to, such as "22:00-05:00"') from None
    if window.start == window.end:
        raise ValueError(f"{part.strip()!r} begins when it ends; leave it out for the whole day")
    return window
