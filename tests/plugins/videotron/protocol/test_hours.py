"""Weekdays and times of day in a zone: borders to the instant, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plugins.videotron.protocol import Daypart, WireError
from plugins.videotron.protocol import hours as hours_module
from plugins.videotron.protocol.hours import LOOK_AGAIN_DAYS, Hour, Hours, dayparts_of, zone_of

WITA = ZoneInfo("Asia/Makassar")
FAR = datetime(2030, 1, 1, tzinfo=UTC)
MONDAY, FRIDAY, SATURDAY, SUNDAY = 1, 5, 6, 7
QUARTER = timedelta(minutes=15)
STRANGE = (
    "Asia/Makassar", "Europe/Berlin", "America/St_Johns", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia",
    "America/Toronto", "Africa/Cairo",
)  # fmt: skip
TURNED = (  # clocks are turned near these days, in one of the zones above at midnight, in one over a whole day
    date(2026, 3, 29), date(2026, 10, 25), date(2018, 11, 4), date(2018, 2, 18), date(2011, 12, 30), date(2026, 4, 5),
    date(2010, 9, 10), date(2001, 10, 28), date(2000, 4, 2),
)  # fmt: skip


def hours(days: tuple[int, ...] = (), dayparts: str = "", zone: str = "Asia/Makassar") -> Hours:
    return Hours(days, dayparts_of(dayparts), ZoneInfo(zone))


def local(text: str, zone: str = "Asia/Makassar") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))


def borders(of: Hours, since: datetime, count: int, zone: str = "Asia/Makassar") -> list[tuple[str, Hour]]:
    found, now = [], since
    for _ in range(count):
        after = of.next_change(now, FAR)
        assert after is not None
        now = after
        found.append((f"{now.astimezone(ZoneInfo(zone)):%a %d %H:%M}", of.at(now)))
    return found


def test_the_times_of_day_of_an_item_are_read() -> None:
    assert dayparts_of("06:00-09:00, 22:00-05:00") == (
        Daypart(start="06:00", end="09:00"),
        Daypart(start="22:00", end="05:00"),
    )
    assert dayparts_of("18:00-24:00") == (Daypart(start="18:00", end="00:00"),)
    assert dayparts_of("") == ()


def test_always_never_changes() -> None:
    assert hours().at(local("2026-11-23 00:00")) is Hour.SHOWN
    assert hours().next_change(local("2026-11-23 00:00"), FAR) is None


def test_a_time_of_day_begins_at_its_first_instant_and_ends_before_its_last() -> None:
    morning, instant = hours(dayparts="06:00-09:00"), timedelta(microseconds=1)

    assert morning.at(local("2026-11-23 06:00") - instant) is Hour.OUTSIDE
    assert morning.at(local("2026-11-23 06:00")) is Hour.SHOWN
    assert morning.at(local("2026-11-23 09:00") - instant) is Hour.SHOWN
    assert morning.at(local("2026-11-23 09:00")) is Hour.OUTSIDE


def test_a_time_of_day_over_midnight_belongs_to_the_day_on_which_it_begins() -> None:
    night = hours((FRIDAY,), "22:00-05:00")

    assert borders(night, local("2026-11-26 12:00"), 5) == [
        ("Fri 27 00:00", Hour.OUTSIDE),
        ("Fri 27 22:00", Hour.SHOWN),
        ("Sat 28 05:00", Hour.OTHER_DAY),
        ("Fri 04 00:00", Hour.OUTSIDE),
        ("Fri 04 22:00", Hour.SHOWN),
    ]


def test_a_time_of_day_that_ends_where_it_begins_lasts_a_day() -> None:
    assert borders(hours((FRIDAY,), "06:00-06:00"), local("2026-11-27 05:00"), 2) == [
        ("Fri 27 06:00", Hour.SHOWN),
        ("Sat 28 06:00", Hour.OTHER_DAY),
    ]


def test_weekdays_over_the_end_of_the_month_and_the_year() -> None:
    weekend = hours((SATURDAY, SUNDAY))

    assert borders(weekend, local("2027-01-01 12:00"), 2) == [
        ("Sat 02 00:00", Hour.SHOWN),
        ("Mon 04 00:00", Hour.OTHER_DAY),
    ]
    assert weekend.at(local("2027-01-31 23:59")) is Hour.SHOWN
    assert weekend.at(local("2027-02-01 00:00")) is Hour.OTHER_DAY


def test_the_leap_day_is_a_day_like_any_other() -> None:
    tuesday_night = hours((2,), "23:00-01:00")  # 29 February 2028 is a Tuesday

    assert borders(tuesday_night, local("2028-02-29 12:00"), 2) == [
        ("Tue 29 23:00", Hour.SHOWN),
        ("Wed 01 01:00", Hour.OTHER_DAY),
    ]


@pytest.mark.parametrize(
    ("zone", "begins"),
    [("Asia/Jakarta", "23:00"), ("Asia/Makassar", "22:00"), ("Asia/Jayapura", "21:00")],
)
def test_six_in_the_morning_is_the_screen_s_own(zone: str, begins: str) -> None:
    begin = hours((MONDAY,), "06:00-09:00", zone).next_change(datetime(2026, 11, 22, 18, tzinfo=UTC), FAR)

    assert f"{begin:%Y-%m-%d %H:%M}" == f"2026-11-22 {begins}"


def test_a_machine_without_a_database_of_zones_knows_indonesia_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hours_module.zoneinfo, "ZoneInfo", _unknown)

    at = datetime(2026, 11, 23, tzinfo=UTC)
    offsets = [at.astimezone(zone_of(f"Asia/{name}")).hour for name in ("Jakarta", "Makassar", "Jayapura")]

    assert offsets == [7, 8, 9]
    with pytest.raises(WireError, match="Europe/Berlin"):
        zone_of("Europe/Berlin")


@pytest.mark.parametrize("name", ["Asia/Atlantis", "Asia", "x", "../etc/passwd", ""])
def test_a_zone_that_is_none_is_named(name: str) -> None:
    with pytest.raises(WireError, match="time zone"):
        zone_of(name)


def test_a_time_that_the_clock_skips_counts_as_if_it_had_not_been_turned() -> None:
    early = hours(dayparts="02:30-05:00", zone="Europe/Berlin")  # on 29 March 2026 two o'clock is three

    assert borders(early, local("2026-03-29 00:00", "Europe/Berlin"), 2, "Europe/Berlin") == [
        ("Sun 29 03:30", Hour.SHOWN),
        ("Sun 29 05:00", Hour.OUTSIDE),
    ]


def test_of_a_time_that_comes_twice_the_first_counts() -> None:
    early = hours(dayparts="00:00-02:30", zone="Europe/Berlin")  # on 25 October 2026 three o'clock is two
    end = early.next_change(local("2026-10-25 00:00", "Europe/Berlin"), FAR)

    assert end == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def test_where_nothing_changes_for_two_weeks_it_is_looked_at_again_then() -> None:
    always = hours(dayparts="00:00-12:00, 12:00-00:00")

    again = always.next_change(local("2026-11-23 08:00"), FAR)

    assert again == local("2026-11-23 00:00") + timedelta(days=LOOK_AGAIN_DAYS)
    assert always.next_change(local("2026-11-23 08:00"), local("2026-11-30 00:00")) is None


@settings(max_examples=120, deadline=None)
@given(
    days=st.sets(st.integers(1, 7), max_size=6),
    parts=st.lists(st.tuples(st.integers(0, 95), st.integers(0, 95)), max_size=3),
    zone=st.sampled_from(STRANGE),
    day=st.sampled_from(TURNED),
)
def test_no_change_is_skipped_and_none_is_invented_whatever_the_clocks_do(
    days: set[int], parts: list[tuple[int, int]], zone: str, day: date
) -> None:
    quarters = [f"{a // 4:02}:{a % 4 * 15:02}-{b // 4:02}:{b % 4 * 15:02}" for a, b in parts]
    of = hours(tuple(days), ", ".join(quarters), zone)
    now = datetime(day.year, day.month, day.day, tzinfo=UTC) - timedelta(days=2)
    until = now + timedelta(days=12)

    change = of.next_change(now, until)
    while now < until:  # all borders lie on quarters of an hour: between them nothing changes
        present = of.at(now)
        now += QUARTER
        if change is not None and now == change:
            assert of.at(now) is not present
            change = of.next_change(now, until)
        else:
            assert of.at(now) is present
            assert change is None or now < change


@settings(max_examples=60, deadline=None)
@given(days=st.sets(st.integers(1, 7), max_size=6), start=st.integers(0, 95), length=st.integers(1, 95))
def test_where_no_clock_is_turned_it_is_what_the_wall_clock_says(days: set[int], start: int, length: int) -> None:
    end = (start + length) % 96
    of = hours(tuple(days), f"{start // 4:02}:{start % 4 * 15:02}-{end // 4:02}:{end % 4 * 15:02}")
    for step in range(8 * 96):
        now = datetime(2026, 11, 23, tzinfo=WITA) + step * QUARTER
        quarter, weekday = now.hour * 4 + now.minute // 15, now.isoweekday()
        began = weekday if quarter >= start else (weekday - 2) % 7 + 1
        inside = start <= quarter < end if end > start else quarter >= start or quarter < end
        assert (of.at(now) is Hour.SHOWN) == (inside and (not days or began in days))


def _unknown(name: str) -> ZoneInfo:
    raise hours_module.zoneinfo.ZoneInfoNotFoundError(name)
