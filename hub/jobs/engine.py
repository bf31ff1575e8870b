"""Runs jobs: claims due ones, hands each to its handler, and records what came of it in one transaction."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from hub.api import Clock, Log
from hub.jobs.retry import Decision, GiveUp, TryAgain, decide
from hub.jobs.settings import JobSettings
from hub.ledger import jobs
from hub.ledger.database import Database, LedgerError
from hub.ledger.jobs import TRANSCODE_LANE, Job, JobKind

Effect = Callable[[sqlite3.Connection], None]
"""What a job changed, written in the same transaction that ends it."""

Handler = Callable[[Job], Awaitable[Effect]]

LONGEST_SLEEP_S = 30.0
EXPRESS = 1  # places of each lane beside its limit, for urgent jobs alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How one kind of job is done."""

    run: Handler
    failed: Callable[[Job, Decision], Effect]  # what a failure changes, beside the job itself


class Engine:
    """Keeps every lane busy: transcodes by one limit, each plugin by its own, so that none starves another.

    Each lane has one place more, for an urgent job: that one waits for nobody who runs.
    """

    def __init__(
        self,
        database: Database,
        works: Mapping[JobKind, Work],
        settings: JobSettings,
        clock: Clock,
        log: Log,
        changed: Callable[[], None],
    ) -> None:
        """`changed` is called after each job: the ledger says something new."""
        self._database = database
        self._works = works
        self._settings = settings
        self._clock = clock
        self._log = log
        self._changed = changed
        self._wake = asyncio.Event()
        self._running: Counter[str] = Counter()

    def wake(self) -> None:
        """There may be a job to do now."""
        self._wake.set()

    @property
    def idle(self) -> bool:
        return not self._running.total()

    async def run(self) -> None:
        """Work until cancelled; the jobs that run then are done again at the next start."""
        again = await self._database.write(jobs.requeue_running, now=self._clock.now())
        if again:
            self._log.info("interrupted_jobs_requeued", jobs=again)
        async with asyncio.TaskGroup() as group:
            while True:
                self._wake.clear()
                # One at a time: the lane of the job just claimed may be full now.
                lanes = self._full_lanes(0), self._full_lanes(EXPRESS)
                claimed, due = await self._database.write(_claim, *lanes, self._clock.now())
                for job in claimed:
                    self._running[job.lane] += 1
                    group.create_task(self._carry_out(job), name=f"job: {job.kind} {job.key}")
                if not claimed:
                    await self._sleep(due)

    async def _sleep(self, due: datetime | None) -> None:
        pause = LONGEST_SLEEP_S
        if due is not None:
            pause = min(max((due - self._clock.now()).total_seconds(), 0.0), pause)
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            return

    def _full_lanes(self, more: int) -> list[str]:
        return [lane for lane, count in self._running.items() if count >= self._limit(lane) + more]

    def _limit(self, lane: str) -> int:
        return self._settings.transcodes_at_once if lane == TRANSCODE_LANE else self._settings.per_plugin

    async def _carry_out(self, job: Job) -> None:
        started = self._clock.monotonic()
        try:
            effect = await self._works[job.kind].run(job)
            await self._database.write(_finish, job, effect)
            self._log.info("job_done", **self._facts(job, started))
        except LedgerError:
            raise  # the process ends, the next start recovers
        except Exception as error:  # noqa: BLE001 - the isolation boundary: a plugin's bug must not stop the others
            await self._failed(job, error, started)
        finally:
            self._running[job.lane] -= 1
            self._wake.set()
            self._changed()

    async def _failed(self, job: Job, error: Exception, started: float) -> None:
        decision = decide(error, job.attempts, job.bugs, self._settings)
        note = self._works[job.kind].failed(job, decision)
        await self._database.write(_settle_failure, job, decision, note, self._clock)
        tell = self._log.warning if decision.expected else self._log.exception
        event = "job_given_up" if isinstance(decision, GiveUp) else "job_put_back"
        tell(event, reason=decision.reason, **self._facts(job, started))

    def _facts(self, job: Job, started: float) -> dict[str, object]:
        seconds = round(self._clock.monotonic() - started, 3)
        return {"kind": job.kind, "key": job.key, "item": job.item, "attempt": job.attempts, "seconds": seconds}


def _claim(
    db: sqlite3.Connection, full: list[str], overfull: list[str], now: datetime
) -> tuple[list[Job], datetime | None]:
    """The next job, or when one will be due. A full lane's jobs do not count: the end of a job in it wakes us."""
    express = [lane for lane in full if lane not in overfull]
    claimed = jobs.claim(db, full, 1, now=now, express=express)
    return claimed, None if claimed else jobs.next_due(db, full, express)


def _finish(db: sqlite3.Connection, job: Job, effect: Effect) -> None:
    jobs.finish(db, job)
    effect(db)


def _settle_failure(db: sqlite3.Connection, job: Job, decision: Decision, note: Effect, clock: Clock) -> None:
    match decision:
        case TryAgain(after=after, reason=reason, expected=expected):
            jobs.put_back(db, job, at=clock.now() + after, reason=reason, bug=not expected)
        case GiveUp(reason=reason):
            jobs.bury(db, job, reason)
    note(db)
