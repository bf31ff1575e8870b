from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from plugins.archive.months import Month, local_iso

WITA = ZoneInfo("Asia/Makassar")


@pytest.mark.parametrize(
    ("instant", "folder"),
    [
        (datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC), "2026/2026-11 November"),
        (datetime(2026, 11, 30, 16, 0, tzinfo=UTC), "2026/2026-12 Desember"),
        (datetime(2026, 11, 30, 16, 30, tzinfo=UTC), "2026/2026-12 Desember"),
        (datetime(2026, 12, 31, 16, 0, tzinfo=UTC), "2027/2027-01 Januari"),
    ],
)
def test_a_month_begins_at_midnight_in_wita(instant: datetime, folder: str) -> None:
    assert Month.of(instant, WITA).folder == folder


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "26-11", "2026-11 ", "../../x", ""])
def test_what_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a month"):
        Month.parse(text)


def test_times_carry_the_offset_of_the_people() -> None:
    assert local_iso(datetime(2026, 11, 22, 4, 0, 0, 5, tzinfo=UTC), WITA) == "2026-11-22T12:00:00+08:00"
