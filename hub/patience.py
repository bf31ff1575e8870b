"""Bytes that could not be looked at just now: tried again with growing pauses, counted by content.

A new name for the same bytes does not start anew, new bytes under the same name do. A full or failing disk is never the
file's fault: that is tried for ever. What may be the file's own fault (want of memory) is tried a few times; then the
file is refused. Whoever drops the same bytes again has them looked at again, once: settings and machine may have
changed since, so nothing is answered from memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hub.api import Clock, RetryLater, Sha256
from hub.intake.desk import Postponed
from hub.ledger import attempts
from hub.ledger.database import Database
from hub.media.blame import Doubtful
from hub.messages import Catalogue

TRIES = 3
FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0
DOUBTFUL_PAUSE_S = 30.0  # a machine without memory needs a moment
REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pause:
    until: float  # monotonic
    failures: int
    why: str


class Patience:
    """Remembers pauses until the hub ends, and doubtful tries in the ledger."""

    def __init__(self, database: Database, clock: Clock, catalogue: Catalogue) -> None:
        self._database = database
        self._clock = clock
        self._say = catalogue
        self._pauses: dict[Sha256, _Pause] = {}

    def paused(self, digests: Iterable[Sha256]) -> Postponed | None:
        """The answer while one of these is not to be looked at yet."""
        now = self._clock.monotonic()
        held = (pause for digest in digests if (pause := self._pauses.get(digest)) and pause.until > now)
        return next((Postponed(reason=pause.why) for pause in held), None)

    async def failed(self, digest: Sha256, error: OSError | RetryLater) -> Postponed:
        """Put these bytes off. Raises: Refusal when they were tried often enough."""
        if isinstance(error, Doubtful):
            tries = await self._database.write(attempts.count, digest, now=self._clock.now())
            if tries >= TRIES:
                self._pauses.pop(digest, None)
                raise error.otherwise
        return self._put_off(digest, error)

    async def succeeded(self, digests: Iterable[Sha256]) -> None:
        """They could be looked at: nothing of before counts."""
        hashes = list(digests)
        for digest in hashes:
            self._pauses.pop(digest, None)
        await self._database.write(attempts.forget, hashes)

    def _put_off(self, digest: Sha256, error: OSError | RetryLater) -> Postponed:
        before = self._pauses.pop(digest, None)
        failures = before.failures + 1 if before else 1
        first = DOUBTFUL_PAUSE_S if isinstance(error, Doubtful) else FIRST_PAUSE_S
        pause_s = min(LONGEST_PAUSE_S, first * 2.0 ** min(failures - 1, 16))
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        told = self._say("It could not be looked at just now ({why}). The hub tries again by itself.", why=why)
        self._pauses[digest] = _Pause(until=self._clock.monotonic() + pause_s, failures=failures, why=told)
        while len(self._pauses) > REMEMBERED:  # the oldest; its bytes only lose their pause
            del self._pauses[next(iter(self._pauses))]
        return Postponed(reason=told)
