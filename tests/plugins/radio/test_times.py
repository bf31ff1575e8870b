from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from plugins.radio.durations import parse_duration
from plugins.radio.times import Rules, first_slot, next_slot, times_passed

NOON = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
RULES = Rules(
    every=timedelta(minutes=30), late=timedelta(minutes=5), max_attempts=3, repeat_interrupted=True, tolerance_s=0.5
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30 min", 1800), ("1 h 30 min", 5400), ("45 menit", 2700), ("2 jam", 7200), ("90s", 90)]
)
def test_spans_are_read_as_people_write_them(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "30", "min", "0 min", "-5 min", "5 fortnights", "30 min!", "1.5 h"])
def test_what_is_no_span_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="30 min"):
        parse_duration(text)


def test_the_first_airing_is_at_once_but_not_before_the_window() -> None:
    last = NOON + timedelta(days=1)

    assert first_slot(NOON, NOON - timedelta(hours=1), last).at == NOON  # type: ignore[union-attr]
    assert first_slot(NOON, NOON + timedelta(hours=1), last).at == NOON + timedelta(hours=1)  # type: ignore[union-attr]
    assert first_slot(NOON, NOON, NOON - timedelta(seconds=1)) is None


def test_regular_times_are_counted_from_the_first_and_pass_the_month_end() -> None:
    anchor = datetime(2026, 11, 30, 15, 40, tzinfo=UTC)  # 23.40 WITA, the last of the month

    slot = next_slot(anchor + timedelta(minutes=7), anchor, anchor + timedelta(days=2), RULES)

    assert slot is not None
    assert slot.at == datetime(2026, 11, 30, 16, 10, tzinfo=UTC)
    assert slot.deadline == slot.at + RULES.late


def test_no_time_is_planned_that_would_end_outside_the_window() -> None:
    assert next_slot(NOON, NOON, NOON + timedelta(minutes=29), RULES) is None


def test_times_that_went_by_are_counted() -> None:
    far = NOON + timedelta(days=9)

    assert times_passed(NOON, NOON + timedelta(hours=5), far, RULES) == 11
    assert times_passed(NOON, NOON - timedelta(hours=5), far, RULES) == 0
