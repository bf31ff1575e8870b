"""How an item comes round on a screen: weekdays, times of day, its share of the loop, or only in an emergency."""

from __future__ import annotations

import difflib
import re

from babel.dates import get_day_names

from hub.api import FALLBACK
from hub.messages import Refusal

MOST_DAYPARTS = 12
MOST_SHARE = 10
_DAY_MINUTES = 24 * 60
_DAYS = {
    name: number
    for number, names in enumerate(
        (
            "senin sen monday mon",
            "selasa sel tuesday tue tues",
            "rabu rab rebo wednesday wed",
            "kamis kam thursday thu thur thurs",
            "jumat jum'at jum friday fri",
            "sabtu sab saturday sat",
            "minggu min mgg ahad sunday sun",
        ),
        start=1,
    )
    for name in names.split()
}
_SETS = {
    "tiap hari": range(1, 8),
    "setiap hari": range(1, 8),
    "semua hari": range(1, 8),
    "semua": range(1, 8),
    "every day": range(1, 8),
    "everyday": range(1, 8),
    "daily": range(1, 8),
    "all": range(1, 8),
    "hari kerja": range(1, 6),
    "weekdays": range(1, 6),
    "weekday": range(1, 6),
    "working days": range(1, 6),
    "akhir pekan": range(6, 8),
    "weekend": range(6, 8),
    "weekends": range(6, 8),
}
_ALL_DAY = frozenset({"sepanjang hari", "seharian", "sehari penuh", "24 jam", "all day", "semua"})
_DASH = "[-–—]"
_WORD = r"(?:s/d|s\.\s?d\.|s\.d|sd|sampai dengan|sampai|hingga|to|until|through)"
_NAME = r"([^\s–—-]+)"
_DAY_RANGE = re.compile(rf"{_NAME}(?:\s*{_DASH}\s*|\s+{_WORD}\s+){_NAME}")
_AT = r"(?:pukul|jam|pkl\.?)?\s*(\d{1,2})(?:[.:](\d{2}))?"
_RANGE = re.compile(rf"{_AT}\s*(?:{_DASH}|{_WORD})\s*{_AT}(?:\s*wita)?", re.ASCII)


def parse_days(text: str, *, field: str) -> tuple[int, ...]:
    """The ISO weekdays that are named, ascending; () = every day. Raises: Refusal that says what to correct."""
    plain = re.sub(r"[’`´]", "'", text.casefold())
    parts = [" ".join(part.split()) for part in re.split(r"[,;+&\n/](?<!s/(?=d))| dan | and ", plain)]
    found = {day for part in parts if part.strip(" .") for day in _days_of(part.strip(" ."), text, field)}
    if text and not found:
        raise _not_days(text, field)
    return () if len(found) == 7 else tuple(sorted(found))


def parse_dayparts(text: str, *, field: str) -> str:
    """Times of day as `06:00-09:00, 22:00-05:00`, in order; those that overlap are joined. Raises: Refusal."""
    if " ".join(text.casefold().split()) in _ALL_DAY:
        return ""
    parts = [part.strip() for part in re.split(r"[,;\n]| dan | and |&", text.casefold()) if part.strip()]
    if text and not parts:
        raise _not_dayparts(text, field)
    joined = _joined(sorted(_daypart(part, text, field) for part in parts))
    if len(joined) > MOST_DAYPARTS:
        raise Refusal(
            '"{field}" has more than {most} times of day. Please join them, or leave some out.',
            field=field,
            most=MOST_DAYPARTS,
        )
    return "" if (0, _DAY_MINUTES) in joined else ", ".join(f"{_clock(a)}-{_clock(b)}" for a, b in joined)


def parse_share(text: str, *, field: str) -> int:
    """How many places the item has in one round of the loop. Raises: Refusal."""
    if not text:
        return 1
    found = re.fullmatch(r"(\d{1,3})(?:\s*(?:x|kali|times))?", text.casefold().strip(), re.ASCII)
    if not found or not 1 <= int(found.group(1)) <= MOST_SHARE:
        raise Refusal(
            'The value "{value}" of "{field}" was not understood. It says how many times the item is shown in one '
            "round of the screen: write a whole number from 1 to {most}, such as {field}: 3.",
            value=text[:80],
            field=field,
            most=MOST_SHARE,
        )
    return int(found.group(1))


def parse_template(text: str, *, field: str) -> str:
    """The name under which an emergency order calls the item: `a-z`, `0-9`, `-`. Raises: Refusal."""
    name = re.sub(r"[\s_]+", "-", text.casefold().strip())
    if name and not re.fullmatch(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?", name):
        raise Refusal(
            'The name "{value}" of "{field}" cannot be used. Write a short name of letters, digits and hyphens, at '
            "most 40 characters, such as {field}: banjir.",
            value=text[:80],
            field=field,
        )
    return FALLBACK if name == "fallback" else name


def spell_days(days: tuple[int, ...], language: str) -> str:
    """`Senin-Jumat, Minggu` in a language of Babel; "" for every day."""
    names = get_day_names("wide", locale=language)
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ", ".join(_run([str(names[day - 1]) for day in run]) for run in runs)


def _run(names: list[str]) -> str:
    return f"{names[0]}-{names[-1]}" if len(names) > 2 else ", ".join(names)


def _days_of(part: str, text: str, field: str) -> list[int]:
    part = part if part in _SETS else part.removeprefix("hari ").strip()
    if part in _SETS:
        return list(_SETS[part])
    if part in _DAYS:
        return [_DAYS[part]]
    if found := _DAY_RANGE.fullmatch(part):
        first, last = (_day(name, text, field) for name in found.groups())
        return [(first - 1 + step) % 7 + 1 for step in range((last - first) % 7 + 1)]
    return [_day(part, text, field)]


def _day(name: str, text: str, field: str) -> int:
    if name in _DAYS:
        return _DAYS[name]
    near = difflib.get_close_matches(name, _DAYS, n=1, cutoff=0.6)
    if near:
        raise Refusal(
            'The day "{day}" of "{field}" is not known. Did you mean "{nearest}"? Please correct it and drop it again.',
            day=name[:80],
            field=field,
            nearest=near[0].capitalize(),
        )
    raise _not_days(text, field)


def _not_days(text: str, field: str) -> Refusal:
    return Refusal(
        'The days "{value}" of "{field}" were not understood. Write them like this: Senin-Jumat, Minggu.',
        value=text[:80],
        field=field,
    )


def _daypart(part: str, text: str, field: str) -> tuple[int, int]:
    """From and until, in minutes of the day on which it begins: over midnight, the end is beyond 24 hours."""
    found = _RANGE.fullmatch(part)
    if not found:
        raise _not_dayparts(text, field)
    hour1, minute1, hour2, minute2 = (int(digits or 0) for digits in found.groups())
    first, last = hour1 * 60 + minute1, hour2 * 60 + minute2
    if max(minute1, minute2) > 59 or first >= _DAY_MINUTES or last > _DAY_MINUTES or first == last:
        raise _not_dayparts(text, field)
    return first, last if last > first else last + _DAY_MINUTES


def _joined(parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Those of one day that overlap or touch as one, unless that could not be written as one time of day."""
    found: list[tuple[int, int]] = []
    for first, last in parts:
        before = found[-1] if found else (-1, -1)
        whole = (before[0], max(before[1], last))
        if first <= before[1] and (whole[1] - whole[0] < _DAY_MINUTES or whole == (0, _DAY_MINUTES)):
            found[-1] = whole
        else:
            found.append((first, last))
    return found


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _not_dayparts(text: str, field: str) -> Refusal:
    return Refusal(
        'The times "{value}" of "{field}" were not understood. Write them like this: 06:00-09:00, 16:00-21:00.',
        value=text[:80],
        field=field,
    )
