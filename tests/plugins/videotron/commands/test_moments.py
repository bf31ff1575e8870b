"""Ends as a person in a hurry writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from plugins.videotron.commands.moments import until

WITA = ZoneInfo("Asia/Makassar")  # UTC+8
NOW = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)  # 11:30


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2h", "2026-11-23T05:30"), ("90m", "2026-11-23T05:00"), ("1d", "2026-11-24T03:30"),
        ("2 jam", "2026-11-23T05:30"),
        ("18:00", "2026-11-23T10:00"), ("18.00", "2026-11-23T10:00"), ("11:30", "2026-11-24T03:30"),
        ("2026-11-23 18:00", "2026-11-23T10:00"), ("2026-11-23T18:00+09:00", "2026-11-23T09:00"),
    ],
)  # fmt: skip
def test_an_end_is_understood(text: str, meant: str) -> None:
    assert until(text, NOW, WITA) == datetime.fromisoformat(meant).replace(tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "25:00", "2026-11-23", "h", "99999h", "2026-13-01 10:00"])
def test_what_is_not_understood_is_answered_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"18:00"):
        until(text, NOW, WITA)
