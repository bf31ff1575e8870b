"""Weekdays, times of day, shares and templates as people write them."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.intake.rhythm import MOST_DAYPARTS, parse_dayparts, parse_days, parse_share, parse_template, spell_days
from hub.messages import Refusal, catalogue

DAY = 24 * 60
TIMES = st.tuples(st.integers(0, DAY - 1), st.integers(1, DAY)).filter(lambda pair: pair[0] != pair[1] % DAY)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("Senin-Jumat, Minggu", (1, 2, 3, 4, 5, 7)),
        ("senin s/d rabu", (1, 2, 3)),
        ("Sabtu s.d. Senin", (1, 6, 7)),
        ("Sabtu sampai dengan Minggu", (6, 7)),
        ("jum’at dan ahad", (5, 7)),
        ("Kamis/Jumat", (4, 5)),
        ("hari Senin", (1,)),
        ("Hari kerja", (1, 2, 3, 4, 5)),
        ("Akhir pekan", (6, 7)),
        ("tiap hari", ()),
        ("Setiap Hari", ()),
        ("Minggu-Sabtu", ()),
        ("Mon - Fri; Sun", (1, 2, 3, 4, 5, 7)),
        ("weekdays and Saturday", (1, 2, 3, 4, 5, 6)),
        ("Saturday to Tuesday", (1, 2, 6, 7)),
        ("", ()),
    ],
)
def test_days_are_understood_in_both_languages_and_over_the_end_of_the_week(
    written: str, meant: tuple[int, ...]
) -> None:
    assert parse_days(written, field="Hari") == meant


@pytest.mark.parametrize(
    ("written", "said"),
    [("Jumaat", 'Apakah maksudnya "Jumat"'), ("besok", "Senin-Jumat, Minggu"), ("1-5", "1-5"), (",", "Tulis seperti")],
)
def test_a_day_that_is_none_is_refused_with_the_remedy(written: str, said: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_days(written, field="Hari")

    assert said in refused.value.say(catalogue("id"))


@pytest.mark.parametrize(
    ("days", "spelt"),
    [((), ""), ((1, 2, 3, 4, 5, 7), "Senin-Jumat, Minggu"), ((6, 7), "Sabtu, Minggu"), ((3,), "Rabu")],
)
def test_days_are_told_as_people_say_them(days: tuple[int, ...], spelt: str) -> None:
    assert spell_days(days, "id") == spelt


@settings(deadline=None)
@given(st.sets(st.integers(1, 7), min_size=1, max_size=6))
def test_what_is_told_reads_back_as_the_same_days(days: set[int]) -> None:
    for language in ("id", "en"):
        assert parse_days(spell_days(tuple(sorted(days)), language), field="Hari") == tuple(sorted(days))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("22:00-05:00", "22:00-05:00"),
        ("pukul 06.00 s.d. 09.00 WITA", "06:00-09:00"),
        ("16-21, 6-9", "06:00-09:00, 16:00-21:00"),
        ("06:00-09:00, 08:00-10:00", "06:00-10:00"),
        ("06:00-09:00 dan 09:00-12:00", "06:00-12:00"),
        ("23:00-04:00, 22:00-02:00", "22:00-04:00"),
        ("18:00-24:00", "18:00-00:00"),
        ("00:00-24:00", ""),
        ("00:00-12:00, 12:00-24:00", ""),
        ("sepanjang hari", ""),
        # joined they could not be written: 25 hours of one day
        ("08:00-24:00, 20:00-09:00", "08:00-00:00, 20:00-09:00"),
        # the first belongs to the day before
        ("22:00-05:00, 04:00-06:00", "04:00-06:00, 22:00-05:00"),
    ],
)
def test_times_of_day_are_put_in_order_and_joined_where_they_overlap(written: str, meant: str) -> None:
    assert parse_dayparts(written, field="Jam") == meant


@pytest.mark.parametrize(
    "written", ["06:00-06:00", "24:00-05:00", "12:60-13:00", "06:00", "06:00-25:00", ";", "06:00-09:00-12:00", "٠٦-٠٩"]
)
def test_times_that_are_none_are_refused_with_an_example(written: str) -> None:
    with pytest.raises(Refusal, match="Write them like this: 06:00-09:00"):
        parse_dayparts(written, field="Jam")


def test_more_times_of_day_than_a_screen_takes_are_refused() -> None:
    with pytest.raises(Refusal, match=str(MOST_DAYPARTS)):
        parse_dayparts(", ".join(f"{hour}:00-{hour}:30" for hour in range(MOST_DAYPARTS + 1)), field="Jam")


@settings(max_examples=200, deadline=None)
@given(st.lists(TIMES, min_size=1, max_size=6))
def test_joining_changes_no_minute_in_which_something_is_shown(parts: list[tuple[int, int]]) -> None:
    written = ", ".join(f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in parts)

    parsed = parse_dayparts(written, field="Jam")

    assert _minutes(parsed or "00:00-24:00") == _minutes(written)
    assert parse_dayparts(parsed, field="Jam") == parsed
    begins = [part[:5] for part in parsed.split(", ")]
    assert all(a <= b for a, b in pairwise(begins))


@pytest.mark.parametrize(("written", "meant"), [("", 1), ("1", 1), ("3", 3), ("3x", 3), ("10 kali", 10)])
def test_a_share_is_a_small_number(written: str, meant: int) -> None:
    assert parse_share(written, field="Porsi") == meant


@pytest.mark.parametrize("written", ["0", "11", "-1", "tiga", "2.5", "٣", "9" * 5000])
def test_another_share_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(Refusal) as refused:
        parse_share(written, field="Porsi")

    assert "misalnya Porsi: 3" in refused.value.say(catalogue("id"))


@pytest.mark.parametrize(
    ("written", "meant"),
    [("", ""), ("banjir", "banjir"), ("Banjir  Besar_2", "banjir-besar-2"), ("Fallback", "cadangan"), ("x" * 40,) * 2],
)
def test_a_template_has_a_name_that_an_order_can_call(written: str, meant: str) -> None:
    assert parse_template(written, field="Templat") == meant


@pytest.mark.parametrize("written", ["../x", "a/b", "x" * 41, "-", "banjir!", "洪水", "-a"])
def test_a_name_that_no_order_could_call_is_refused(written: str) -> None:
    with pytest.raises(Refusal):
        parse_template(written, field="Templat")


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused(text: str) -> None:
    for parse in (parse_days, parse_dayparts, parse_share, parse_template):
        with suppress(Refusal):
            parse(text, field="x")


def _minutes(dayparts: str) -> set[int]:
    """The minutes of the day on which a part begins, beyond 24 hours those of the day after."""
    shown: set[int] = set()
    for part in dayparts.split(", "):
        first, last = (int(time[:2]) * 60 + int(time[3:]) for time in part.split("-"))
        shown.update(range(first, last if last > first else last + DAY))
    return shown
