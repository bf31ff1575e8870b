"""What may travel to a screen over a link that costs money, and how fast the hub may send at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from hub.testing import FakeClock
from plugins.videotron.bucket import Bucket
from plugins.videotron.settings import ScreenSettings
from plugins.videotron.transfer.links import Links

NOON = datetime(2026, 11, 23, 4, tzinfo=UTC)  # 12:00 in Banjarbaru, 13:00 in Jayapura


def links(clock: FakeClock, **settings: object) -> Links:
    screen = ScreenSettings(width=64, height=32, **settings)  # type: ignore[arg-type]
    return Links({"gate-1": screen}, zone_of=lambda player: ZoneInfo(screen.zone), clock=clock)


def test_outside_its_window_a_screen_fetches_only_what_is_urgent() -> None:
    clock = FakeClock(NOON)
    rules = links(clock, download_window="22:00-05:00")

    assert rules.fetch_after("gate-1", urgent=False) == datetime(2026, 11, 23, 14, tzinfo=UTC)
    assert rules.may_fetch("gate-1", urgent=True)
    clock.advance(timedelta(hours=10))
    assert rules.may_fetch("gate-1", urgent=False)


def test_a_window_is_read_in_the_screens_own_zone() -> None:
    rules = links(FakeClock(NOON), download_window="13:00-14:00", zone="Asia/Jayapura")

    assert rules.may_fetch("gate-1", urgent=False)


def test_a_screen_without_rules_and_one_that_is_not_configured_fetch_at_any_time() -> None:
    rules = links(FakeClock(NOON))

    assert rules.fetch_after("gate-1", urgent=False) is None
    assert rules.fetch_after("gate-9", urgent=False) is None
    assert not rules.is_slow("gate-1")
    assert links(FakeClock(NOON), link="slow").is_slow("gate-1")


@pytest.mark.parametrize("wrong", [{"download_window": "nights"}, {"download_limit_kbps": 100}, {"link": "4g"}])
def test_rules_that_cannot_be_followed_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ScreenSettings(width=64, height=32, **wrong)  # type: ignore[arg-type]


def test_a_bucket_lets_no_more_through_than_its_rate_and_a_short_burst() -> None:
    bucket, now, passed = Bucket(1000, burst_s=0.25), 0.0, 0
    while now < 10:
        wait = bucket.wait_s(now)
        if wait:
            now += wait
        else:
            bucket.take(100)
            passed += 100

    assert 10_000 <= passed <= 10_000 + 250 + 100


def test_a_bucket_without_a_rate_never_waits() -> None:
    bucket = Bucket(0)
    bucket.take(1 << 40)

    assert bucket.wait_s(0) == 0
