"""What is shown when: the loop of a manifest at an instant, and the next instant at which it changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

Film = dict[str, Any]
Span = tuple[datetime, datetime]
TEN_YEARS_S = 3660 * 86400  # beyond that, the calendar would end first


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    key: str
    film: Film


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    places: tuple[Place, ...]  # none: the fallback
    until: datetime | None  # the next border; None: nothing changes by the clock alone any more


def loop(manifest: dict[str, Any], now: datetime, holds: Callable[[Film], bool]) -> Loop:
    zone, shown, borders = manifest["screen"]["zone"], [], {manifest["expires"]}
    for name, film in _named(manifest["items"]):
        last = min(
            film["end"], manifest["expires"], manifest["issued"] + timedelta(seconds=min(film["fresh_s"], TEN_YEARS_S))
        )
        spans = list(_spans(film, now, zone))
        borders |= {film["start"], film["end"], last, *(border for span in spans for border in span)}
        in_hours = not (film["days"] or film["dayparts"]) or any(start <= now < end for start, end in spans)
        if film["start"] <= now < last and in_hours and holds(film):
            shown.append((name, film))
    return Loop(places=tuple(_round(shown)), until=min((border for border in borders if border > now), default=None))


def _named(items: list[Film]) -> Iterator[tuple[str, Film]]:
    counted: Counter[str] = Counter()
    for film in items:
        name = f"{film['item']}/{film['cid']}"
        counted[name] += 1
        yield f"{name}/{counted[name]}", film


def _spans(film: Film, now: datetime, zone: ZoneInfo) -> Iterator[Span]:
    """Its times of day, of the days around now; over a week ahead, so that the next border is among them."""
    if not film["days"] and not film["dayparts"]:
        return
    today = now.astimezone(zone).date()
    for day in (today + timedelta(days=n) for n in range(-2, 9)):
        if not film["days"] or day.isoweekday() in film["days"]:
            yield from (span for span in _of_day(film["dayparts"], day, zone) if span[0] < span[1])


def _of_day(parts: list[dict[str, str]], day: date, zone: ZoneInfo) -> Iterator[Span]:
    following = day + timedelta(days=1)
    if not parts:
        yield _instant(day, time(), zone), _instant(following, time(), zone)
    for part in parts:
        start, end = time.fromisoformat(part["start"]), time.fromisoformat(part["end"])
        yield _instant(day, start, zone), _instant(following if end <= start else day, end, zone)


def _instant(day: date, at: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, at, zone).astimezone(UTC)  # fold 0: of two the first, of none the offset from before


def _round(shown: list[tuple[str, Film]]) -> list[Place]:
    films = [one for one in shown if one[1]["priority"] == "urgent"]
    urgent = len(films)
    films += [one for one in shown if one[1]["priority"] != "urgent"]
    counts = [max(3, film["share"]) if n < urgent else film["share"] for n, (_, film) in enumerate(films)]
    total, placed, order = sum(counts), [0] * len(films), []
    for slot in range(total):
        may = [n for n, count in enumerate(counts) if placed[n] < count and placed[n] * total // count <= slot]
        n = min(may, key=lambda n: (-(-(placed[n] + 1) * total // counts[n]), -counts[n], n))
        placed[n] += 1
        order.append((n, Place(key=f"{films[n][0]}/{placed[n]}", film=films[n][1])))
    first = next((slot for slot, (n, _) in enumerate(order) if n < urgent), 0)
    return [place for _, place in order[first:] + order[:first]]
