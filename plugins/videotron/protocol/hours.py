"""On which days and at what times of day something is shown, in one time zone. Pure.

A time of day over midnight belongs to the day on which it begins. Where clocks are turned: a time that the clock skips
counts as if it had not been turned, and of a time that comes twice the first one counts.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from enum import StrEnum

from plugins.videotron.protocol.manifests import Daypart
from plugins.videotron.protocol.wire import WireError

ONE_DAY = timedelta(days=1)
LOOK_AGAIN_DAYS = 15  # a week repeats itself, but for clocks that are turned
_INDONESIA = {"Asia/Jakarta": 7, "Asia/Pontianak": 7, "Asia/Makassar": 8, "Asia/Jayapura": 9}


class Hour(StrEnum):
    """What the clock says of something that has days and times of day."""

    SHOWN = "shown"
    OTHER_DAY = "other day"  # it is not shown on this weekday
    OUTSIDE = "outside its hours"


def zone_of(name: str) -> tzinfo:
    """The time zone of that IANA name; Indonesia's without a database, too. Raises: WireError when it is not known."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        if name in _INDONESIA:
            return timezone(timedelta(hours=_INDONESIA[name]), name)
        raise WireError(f"the time zone {name} is not known here; install tzdata, or name another") from error


def dayparts_of(text: str) -> tuple[Daypart, ...]:
    """The times of day of an item as the hub keeps them: `06:00-09:00, 22:00-05:00`; () = the whole day."""
    parts = [part.strip().split("-") for part in text.split(",") if part.strip()]
    return tuple(Daypart(start=start, end=end.replace("24:00", "00:00")) for start, end in parts)


class Hours:
    """Weekdays (ISO, Monday = 1; none = every day) and times of day (none = the whole day) in a zone."""

    def __init__(self, days: Collection[int], dayparts: Collection[Daypart], zone: tzinfo) -> None:
        self._days = frozenset(days)
        self._dayparts = tuple((_clock(part.start), _clock(part.end)) for part in dayparts) or ((time(), time()),)
        self._zone = zone
        self._always = not days and not dayparts
        self._spans: dict[date, tuple[tuple[datetime, datetime], ...]] = {}

    def at(self, now: datetime) -> Hour:
        """What the clock says at that instant."""
        if self._always:
            return Hour.SHOWN
        day = self._day(now)
        if any(begin <= now < end for begin, end in self._spans_near(day)):
            return Hour.SHOWN
        return Hour.OTHER_DAY if self._days and day.isoweekday() not in self._days else Hour.OUTSIDE

    def next_change(self, now: datetime, limit: datetime) -> datetime | None:
        """The next instant until `limit` at which `at` answers otherwise; None = it does not.

        Where nothing changes for two weeks, the instant after them stands for "look again then".
        """
        if self._always:
            return None
        return _first_other(now, limit, self.at, self._borders_from(now))

    def _borders_from(self, now: datetime) -> Iterator[datetime]:
        """All instants, in order, at which the answer may change in the days to come; the last is where they end."""
        today = self._day(now)
        for ahead in range(LOOK_AGAIN_DAYS):
            day = today + ahead * ONE_DAY
            begins, ends = self._instant(day, time()), self._instant(day + ONE_DAY, time())
            yield from sorted({b for span in self._spans_near(day) for b in span if max(begins, now) < b < ends})
            yield ends

    def _spans_near(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """Those that may reach into a day: over midnight, and one day further where a clock skips an hour then."""
        return (span for ago in (2, 1, 0, -1) for span in self._spans_of(day - ago * ONE_DAY))

    def _spans_of(self, day: date) -> tuple[tuple[datetime, datetime], ...]:
        """From when until when what begins on this day is shown; a clock that is turned may leave nothing of it."""
        if day not in self._spans:
            shown = not self._days or day.isoweekday() in self._days
            self._spans[day] = tuple(self._span(day, *part) for part in self._dayparts) if shown else ()
        return self._spans[day]

    def _span(self, day: date, begin: time, end: time) -> tuple[datetime, datetime]:
        until = day if end > begin else day + ONE_DAY
        return self._instant(day, begin), self._instant(until, end)

    def _day(self, now: datetime) -> date:
        """The day whose midnight was last: a clock that is turned at midnight shows another date for a while."""
        day = now.astimezone(self._zone).date()
        if now >= self._instant(day + ONE_DAY, time()):
            return day + ONE_DAY
        return day if now >= self._instant(day, time()) else day - ONE_DAY

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self._zone).astimezone(UTC)


def _first_other(
    now: datetime, limit: datetime, answer: Callable[[datetime], object], borders: Iterable[datetime]
) -> datetime | None:
    present = answer(now)
    last = None
    for last in borders:
        if last > limit:
            return None
        if answer(last) != present:
            return last
    return last


def _clock(text: str) -> time:
    return time(int(text[:2]), int(text[3:]))
