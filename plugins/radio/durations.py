"""Spans of time as people write them in settings: `30 min`, `1 h 30 min`, `45 menit`, `2 jam`."""

from __future__ import annotations

import re
from datetime import timedelta

_SECONDS = {
    "s": 1, "sec": 1, "second": 1, "seconds": 1, "detik": 1,
    "m": 60, "min": 60, "minute": 60, "minutes": 60, "menit": 60,
    "h": 3600, "hour": 3600, "hours": 3600, "jam": 3600,
    "d": 86400, "day": 86400, "days": 86400, "hari": 86400,
}  # fmt: skip
_PART = re.compile(r"([0-9]{1,6})\s*([a-z]+)\s*")


def parse_duration(text: str) -> timedelta:
    """The span that `text` names, whole seconds, more than none.

    Raises: ValueError, which says what can be written.
    """
    rest, seconds = text.strip().lower(), 0
    while match := _PART.match(rest):
        if match[2] not in _SECONDS:
            raise ValueError(f"{text!r}: unknown unit {match[2]!r}; write for example '30 min' or '1 h 30 min'")
        seconds += int(match[1]) * _SECONDS[match[2]]
        rest = rest[match.end() :]
    if rest or seconds == 0:
        raise ValueError(f"{text!r} is not a span of time; write for example '30 min' or '1 h 30 min'")
    return timedelta(seconds=seconds)
