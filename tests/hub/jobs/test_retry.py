"""Whether and when a failed job is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from hub.api import Rejected, RetryLater
from hub.jobs.retry import GiveUp, TryAgain, decide, pause
from hub.jobs.settings import JobSettings

SETTINGS = JobSettings(bug_attempts=3, first_retry_s=5, longest_retry_s=60)


def test_what_may_come_back_is_tried_for_ever() -> None:
    decision = decide(RetryLater("dark"), 10_000, 0, SETTINGS)

    assert isinstance(decision, TryAgain)
    assert decision.expected
    assert decision.after <= timedelta(seconds=60)


def test_a_plugin_may_say_how_long_to_wait() -> None:
    decision = decide(RetryLater("dark", after=timedelta(hours=2)), 1, 0, SETTINGS)

    assert decision == TryAgain(after=timedelta(hours=2), reason="dark", expected=True)


def test_what_is_rejected_is_given_up_at_once_with_its_words() -> None:
    assert decide(Rejected("no sound"), 1, 0, SETTINGS) == GiveUp(reason="no sound", expected=True)


def test_a_bug_is_tried_a_few_times_however_long_it_had_waited_before() -> None:
    verdicts = [decide(KeyError("x"), 500 + bugs, bugs, SETTINGS) for bugs in range(3)]

    assert [type(one) for one in verdicts] == [TryAgain, TryAgain, GiveUp]
    assert verdicts[2] == GiveUp(reason="KeyError: 'x'", expected=False)


def test_a_call_that_takes_too_long_is_no_puzzle_for_who_reads_it() -> None:
    assert decide(TimeoutError(), 1, 0, SETTINGS).reason == "took too long"
    assert decide(TimeoutError("p.hub_deliver did not answer within 300 s"), 1, 0, SETTINGS).reason == (
        "p.hub_deliver did not answer within 300 s"
    )


@pytest.mark.parametrize("attempts", [1, 2, 5, 100, 10**6])
def test_pauses_double_and_stay_within_their_limit(attempts: int) -> None:
    longest = min(5 * 2 ** min(attempts - 1, 40), 60)

    assert timedelta(seconds=longest * 0.79) <= pause(attempts, SETTINGS) <= timedelta(seconds=longest)
