"""Dates and times as office staff write them: 3 November 2026, 03-11-2026 08.00, 2026-11-03T08:00+08:00."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from hub.messages import Refusal

_MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "januari jan january",
            "februari feb pebruari february",
            "maret mar march",
            "april apr",
            "mei may",
            "juni jun june",
            "juli jul july",
            "agustus agu agt ags aug august",
            "september sep sept",
            "oktober okt oct october",
            "november nov nopember nop",
            "desember des dec december",
        ),
        start=1,
    )
    for name in names.split()
}
_ZONES = {"wita": "Asia/Makassar", "wib": "Asia/Jakarta", "wit": "Asia/Jayapura"}
_WEEKDAY = r"(?:(?:senin|selasa|rabu|kamis|jum['’]?at|sabtu|minggu|ahad|\w+day)\s*,?\s+)?"
_DAY_MONTH_NAME = re.compile(rf"{_WEEKDAY}(\d{{1,2}})[\s.-]+([a-z]+)\.?[\s.,-]+(\d{{4}})(?!\d)")
_DAY_MONTH = re.compile(rf"{_WEEKDAY}(\d{{1,2}})[-/.](\d{{1,2}})[-/.](\d{{4}})(?!\d)")
_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?!\d)")
_TIME = re.compile(r"(?:[\s,]+|\s*t)?(?:pukul|jam|pkl\.?)?\s*(\d{1,2})[.:](\d{2})(?:[.:](\d{2}))?\s*(wita|wib|wit)?$")


def parse_date(text: str, *, field: str) -> date:
    """A day. Raises: Refusal naming `field`."""
    found = _read_date(text.strip().casefold())
    if found is None or found[1].strip():
        raise _not_a_date(text, field)
    return _in_range(found[0])


def parse_start(text: str, *, field: str, zone: ZoneInfo) -> datetime:
    """When a window opens, in UTC; a day alone means its first instant. Raises: Refusal."""
    day, clock_time = _read_moment(text, field, zone)
    return clock_time or _midnight(day, zone)


def parse_end(text: str, *, field: str, zone: ZoneInfo) -> datetime:
    """The first instant after a window, in UTC; a day alone includes that whole day. Raises: Refusal."""
    day, clock_time = _read_moment(text, field, zone)
    return clock_time or _midnight(day + timedelta(days=1), zone)


def _read_moment(text: str, field: str, zone: ZoneInfo) -> tuple[date, datetime | None]:
    try:
        exact = datetime.fromisoformat(text.strip().upper())
    except ValueError:
        exact = None
    if exact is not None and exact.tzinfo is not None:
        return _in_range(exact.date()), exact.astimezone(UTC)
    found = _read_date(text.strip().casefold())
    if found is None:
        raise _not_a_date(text, field)
    day, rest = _in_range(found[0]), found[1]
    return day, _at(day, rest, text, field, zone) if rest.strip() else None


def _in_range(day: date) -> date:
    """A year that an office means; the ends of the calendar overflow when a time zone is applied."""
    if not 2000 <= day.year <= 2199:
        raise Refusal("The date {date} is out of range. Please write a nearer date.", date=day)
    return day


def _read_date(text: str) -> tuple[date, str] | None:
    for pattern, order in ((_ISO, "ymd"), (_DAY_MONTH, "dmy"), (_DAY_MONTH_NAME, "dmy")):
        if found := pattern.match(text):
            values = dict(zip(order, found.groups(), strict=True))
            month = values["m"]
            try:
                number = int(month) if month.isdigit() else _MONTHS[month]
                return date(int(values["y"]), number, int(values["d"])), text[found.end() :]
            except (ValueError, KeyError):
                return None
    return None


def _at(day: date, rest: str, text: str, field: str, zone: ZoneInfo) -> datetime:
    found = _TIME.fullmatch(rest)
    if not found:
        raise _not_a_date(text, field)
    hour, minute, second = (int(digits or 0) for digits in found.group(1, 2, 3))
    named = found.group(4)
    where = ZoneInfo(_ZONES[named]) if named else zone
    if (hour, minute, second) == (24, 0, 0):
        return _midnight(day + timedelta(days=1), where)
    try:
        return datetime.combine(day, time(hour, minute, second), where).astimezone(UTC)
    except ValueError as error:
        raise _not_a_date(text, field) from error


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _not_a_date(text: str, field: str) -> Refusal:
    return Refusal(
        'The date "{value}" of "{field}" was not understood. Write it like this: 3 November 2026, or with a time: '
        "3 November 2026 08:00.",
        value=text[:80],
        field=field,
    )
