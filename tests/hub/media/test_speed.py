from datetime import timedelta

import pytest

from hub.media.pace import Expectation
from hub.media.speed import Speed
from hub.testing import FakeClock

EXPECTED = Expectation(runs_s=(40.0,), checks_s=10.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def speed(clock: FakeClock) -> Speed:
    return Speed(clock, 60.0, EXPECTED)


def after(clock: FakeClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


def test_before_anything_came_the_expectation_counts_down(clock, speed):
    after(clock, 20)

    assert (speed.times_real, speed.left_s) == (None, 30.0)


def test_speed_and_time_left_follow_from_how_far_it_came(clock, speed):
    after(clock, 20)
    speed.reach(0.5)

    assert speed.times_real == pytest.approx(1.5)
    assert speed.left_s == pytest.approx(20 + 10)  # the other half, and checking in the same proportion


def test_the_speed_is_that_of_the_last_half_minute(clock, speed):
    for _ in range(10):
        after(clock, 10)
        speed.reach(speed.part + 0.01)
    for _ in range(8):
        after(clock, 5)
        speed.reach(speed.part + 0.1)

    assert speed.times_real == pytest.approx(60 * 0.1 / 5, rel=0.1)


def test_one_that_stands_still_gets_slower_and_later(clock, speed):
    after(clock, 10)
    speed.reach(0.5)
    sooner = speed.left_s

    after(clock, 10)

    assert speed.times_real == pytest.approx(1.5)
    assert speed.left_s == pytest.approx(2 * sooner)


def test_when_all_is_made_the_checking_is_what_is_left(clock, speed):
    after(clock, 20)
    speed.reach(1.0)
    assert speed.left_s == pytest.approx(5)  # twice as quick as expected so far

    after(clock, 60)

    assert speed.left_s == 0.0
    assert speed.times_real == pytest.approx(3.0)


def test_it_never_goes_back(clock, speed):
    after(clock, 10)
    speed.reach(0.6)
    speed.reach(0.4)

    assert speed.part == 0.6
