"""Times of day as people write them, in a screen's own zone, over midnight."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from plugins.videotron.transfer.windows import is_open, opens_at, parse_windows

WITA = ZoneInfo("Asia/Makassar")


def local(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=WITA).astimezone(UTC)


@pytest.mark.parametrize(
    ("hour", "minute", "expected"),
    [(21, 59, False), (22, 0, True), (23, 59, True), (0, 0, True), (4, 59, True), (5, 0, False), (12, 30, True)],
)
def test_a_window_may_go_over_midnight_and_there_may_be_several(hour: int, minute: int, expected: bool) -> None:
    windows = parse_windows("22:00-05:00, 12:00-13:00")

    assert is_open(windows, local(23, hour, minute), WITA) is expected


def test_a_closed_window_opens_at_its_next_beginning() -> None:
    windows = parse_windows("22:00-05:00, 12:00-13:00")

    assert opens_at(windows, local(23, 6), WITA) == local(23, 12)
    assert opens_at(windows, local(23, 13), WITA) == local(23, 22)
    assert opens_at(parse_windows("01:00-02:00"), local(23, 13), WITA) == local(24, 1)
    assert opens_at(windows, local(23, 23), WITA) is None


def test_without_windows_it_is_always_open() -> None:
    assert parse_windows(" ") == ()
    assert opens_at((), local(23, 3), WITA) is None


def test_the_end_of_the_day_may_be_written_as_24_00() -> None:
    windows = parse_windows("20:00-24:00")

    assert is_open(windows, local(23, 23, 59), WITA)
    assert not is_open(windows, local(24, 0), WITA)


@pytest.mark.parametrize("text", ["22", "22:00", "22:00-25:00", "22:60-23:00", "10:00-10:00", "malam", "1:00-2:00,"])
def test_what_is_no_time_of_day_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"time of day|begins when it ends"):
        parse_windows(text)
