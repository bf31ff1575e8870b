"""Whether and when a failed job is tried again. Pure."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta

from hub.api import Rejected, RetryLater
from hub.jobs.settings import JobSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class TryAgain:
    after: timedelta
    reason: str
    expected: bool  # a bug's traceback is logged, an expected failure's is not


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """A person must act."""

    reason: str
    expected: bool


Decision = TryAgain | GiveUp


def decide(error: Exception, attempts: int, bugs: int, settings: JobSettings) -> Decision:
    """What to do after the `attempts`-th failure: RetryLater always comes back, Rejected never, a bug a few times.

    `bugs` is how many of the earlier attempts failed by a bug: a long wait for a dark screen does not count.
    """
    if isinstance(error, RetryLater):
        return TryAgain(after=error.after or pause(attempts, settings), reason=str(error), expected=True)
    if isinstance(error, Rejected):
        return GiveUp(reason=str(error), expected=True)
    late = isinstance(error, TimeoutError)
    reason = str(error) or "took too long" if late else f"{type(error).__name__}: {error}"
    if bugs + 1 >= settings.bug_attempts:
        return GiveUp(reason=reason, expected=False)
    return TryAgain(after=pause(attempts, settings), reason=reason, expected=False)


def pause(attempts: int, settings: JobSettings) -> timedelta:
    """Doubling from the first pause to the longest, spread a little so that many do not come back at once."""
    seconds = min(settings.first_retry_s * 2.0 ** min(attempts - 1, 32), settings.longest_retry_s)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.0))  # noqa: S311 - spread, not a secret
