"""The engine keeps every lane busy, and no failure of one job is the trouble of another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import structlog

from hub.api import Priority, Rejected, RetryLater
from hub.jobs.engine import Effect, Engine, Work
from hub.jobs.settings import JobSettings
from hub.ledger import jobs
from hub.ledger.database import Database, LedgerError
from hub.ledger.jobs import Job, JobKind
from hub.testing import NOON, FakeClock, make_item

SETTINGS = JobSettings(transcodes=1, per_plugin=2, bug_attempts=2, first_retry_s=5)


class Shop:
    """An engine whose jobs do what `on` says, and the order in which they came."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock()
        self.database = Database(folder / "ledger.db")
        self.begun: list[str] = []
        self.failures: list[str] = []
        self.on: dict[str, Callable[[Job], Awaitable[None]]] = {}
        self.moved = asyncio.Event()
        work = Work(run=self._run, failed=self._failed)
        self.engine = Engine(
            self.database, dict.fromkeys(JobKind, work), SETTINGS, self.clock, structlog.get_logger("t"), self._move
        )

    async def plan(self, number: str, plugin: str = "p", **changes: object) -> None:
        item = make_item(number, **changes)
        await self.database.write(jobs.queue_plan, item, plugin, now=self.clock.now())
        self.engine.wake()

    async def counts(self) -> dict[str, int]:
        return await self.database.read(jobs.counts)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        async with asyncio.timeout(10):
            while not await holds():
                self.moved.clear()
                if not await holds():
                    await self.moved.wait()

    async def until_empty(self) -> None:
        async def empty() -> bool:
            return await self.counts() == {}

        await self.until(empty)

    async def until_counts(self, **wanted: int) -> None:
        async def so() -> bool:
            return await self.counts() == {name.replace("_", " "): count for name, count in wanted.items()}

        await self.until(so)

    async def until_begun(self, count: int) -> None:
        async def so() -> bool:
            return len(self.begun) >= count

        await self.until(so)

    async def _run(self, job: Job) -> Effect:
        self.begun.append(job.key)
        self._move()
        if act := self.on.get(job.lane):
            await act(job)
        return lambda db: None

    def _failed(self, job: Job, decision: object) -> Effect:
        self.failures.append(type(decision).__name__)
        return lambda db: None

    def _move(self) -> None:
        self.moved.set()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path)
    yield shop
    shop.database.close()


class running:
    def __init__(self, shop: Shop) -> None:
        self._shop, self._group = shop, asyncio.TaskGroup()

    async def __aenter__(self) -> asyncio.Task[None]:
        await self._group.__aenter__()
        self._task = self._group.create_task(self._shop.engine.run())
        return self._task

    async def __aexit__(self, *error: object) -> None:
        self._task.cancel()
        await self._group.__aexit__(None, None, None)


async def test_a_plugin_that_hangs_keeps_only_its_own_lane(shop: Shop) -> None:
    async def hang(job: Job) -> None:
        await asyncio.Event().wait()

    shop.on["stuck"] = hang
    for number in range(5):
        await shop.plan(str(number), "stuck")
    async with running(shop):
        await shop.until_begun(2)
        await shop.plan("after", "well")

        await shop.until_counts(plan_queued=3, plan_running=2)

    assert shop.begun.count("after/well") == 1
    assert len(shop.begun) == 3


async def test_urgent_items_go_first(shop: Shop) -> None:
    await shop.plan("1")
    await shop.plan("2", priority=Priority.URGENT)

    async with running(shop):
        await shop.until_empty()

    assert shop.begun == ["2/p", "1/p"]


async def test_an_urgent_job_does_not_wait_for_those_that_run(shop: Shop) -> None:
    go_on = asyncio.Event()

    async def slow(job: Job) -> None:
        await go_on.wait()

    shop.on["p"] = slow
    for number in range(20):
        await shop.plan(f"normal {number}")
    async with running(shop):
        await shop.until_begun(2)

        await shop.plan("urgent", priority=Priority.URGENT)
        await shop.plan("urgent too", priority=Priority.URGENT)
        await shop.until_begun(3)

        assert shop.begun[2] == "urgent/p"
        await shop.until_counts(plan_queued=19, plan_running=3)  # one place more, not one for each
        go_on.set()
        await shop.until_begun(4)
        assert shop.begun[3] == "urgent too/p"
        await shop.until_empty()


async def test_a_withdrawal_waits_for_no_delivery_whatever_its_item_is(shop: Shop) -> None:
    go_on = asyncio.Event()

    async def slow(job: Job) -> None:
        await go_on.wait()

    shop.on["p"] = slow
    for number in range(5):
        await shop.plan(str(number))
    async with running(shop):
        await shop.until_begun(2)

        await shop.database.write(jobs.queue_withdraw, make_item("old"), "p", "keliru", now=shop.clock.now())
        shop.engine.wake()
        await shop.until_counts(plan_queued=3, plan_running=2, withdraw_running=1)

        go_on.set()
        await shop.until_empty()


async def test_the_place_for_urgent_jobs_is_not_given_to_others(shop: Shop) -> None:
    go_on = asyncio.Event()

    async def slow(job: Job) -> None:
        await go_on.wait()

    shop.on["p"] = slow
    await shop.plan("urgent", priority=Priority.URGENT)
    for number in range(3):
        await shop.plan(f"normal {number}")
    async with running(shop):
        await shop.until_counts(plan_queued=2, plan_running=2)
        go_on.set()
        await shop.until_empty()


async def test_a_dark_screen_is_tried_again_when_its_time_has_come(shop: Shop) -> None:
    async def dark(job: Job) -> None:
        if job.attempts < 4:
            raise RetryLater("dark", after=timedelta(minutes=5))

    shop.on["p"] = dark
    await shop.plan("1")
    async with running(shop):
        for attempt in (1, 2, 3):
            await shop.until_begun(attempt)
            await shop.until_counts(plan_queued=1)
            assert shop.begun == ["1/p"] * attempt
            shop.clock.advance(timedelta(minutes=5))
            shop.engine.wake()
        await shop.until_empty()

    assert shop.failures == ["TryAgain"] * 3


async def test_what_is_rejected_is_not_tried_again(shop: Shop) -> None:
    async def reject(job: Job) -> None:
        raise Rejected("no picture")

    shop.on["p"] = reject
    await shop.plan("1")
    async with running(shop):
        await shop.until_counts(plan_dead=1)

    assert (shop.begun, shop.failures) == (["1/p"], ["GiveUp"])


@pytest.mark.parametrize("error", [KeyError("bug"), TimeoutError("late"), sqlite3.OperationalError("its own database")])
async def test_a_plugins_bug_is_given_up_after_a_few_attempts_and_stops_nobody(shop: Shop, error: Exception) -> None:
    async def fail(job: Job) -> None:
        raise error

    shop.on["p"] = fail
    await shop.plan("1")
    async with running(shop):
        await shop.until_begun(1)
        await shop.until_counts(plan_queued=1)
        shop.clock.advance(timedelta(minutes=1))
        shop.engine.wake()
        await shop.until_counts(plan_dead=1)
        await shop.plan("2", "other")
        await shop.until_begun(3)

    assert shop.failures == ["TryAgain", "GiveUp"]


async def test_a_job_asked_for_again_while_it_runs_runs_again(shop: Shop) -> None:
    go_on = asyncio.Event()

    async def wait(job: Job) -> None:
        await go_on.wait()

    shop.on["p"] = wait
    await shop.plan("1")
    async with running(shop):
        await shop.until_begun(1)
        await shop.plan("1")
        await shop.plan("1")
        go_on.set()
        await shop.until_empty()

    assert shop.begun == ["1/p", "1/p"]


async def test_what_is_cut_off_runs_again_at_the_next_start(shop: Shop) -> None:
    hang = asyncio.Event()

    async def wait(job: Job) -> None:
        await hang.wait()

    shop.on["p"] = wait
    await shop.plan("1")
    async with running(shop):
        await shop.until_begun(1)
    assert await shop.counts() == {"plan running": 1}

    hang.set()
    async with running(shop):
        await shop.until_empty()

    assert shop.begun == ["1/p", "1/p"]


async def test_a_broken_ledger_ends_the_engine(shop: Shop) -> None:
    async def fail(job: Job) -> None:
        await shop.database.read(lambda db: db.execute("SELECT * FROM nowhere"))

    shop.on["p"] = fail
    await shop.plan("1")

    with pytest.raises(ExceptionGroup) as caught:
        await shop.engine.run()

    assert caught.group_contains(LedgerError)


async def test_an_effect_that_fails_leaves_nothing_half_written(shop: Shop) -> None:
    def effect(db: sqlite3.Connection) -> None:
        jobs.queue_plan(db, make_item("half"), "p", now=NOON)
        raise KeyError("effect")

    async def run(job: Job) -> Effect:
        shop.begun.append(job.key)
        return effect

    work = Work(run=run, failed=shop._failed)
    shop.engine = Engine(
        shop.database, {JobKind.PLAN: work}, SETTINGS, shop.clock, structlog.get_logger("t"), shop.moved.set
    )
    await shop.plan("1")
    async with running(shop):
        await shop.until_begun(1)
        await shop.until_counts(plan_queued=1)

    assert shop.failures == ["TryAgain"]


async def test_a_job_queued_between_the_look_and_the_sleep_is_not_missed(shop: Shop) -> None:
    looked = asyncio.Event()
    sleep = shop.engine._sleep

    async def queue_then_sleep(due: datetime | None) -> None:
        if not looked.is_set():
            looked.set()
            await shop.plan("late")  # after the look, before the sleep
        await sleep(due)

    shop.engine._sleep = queue_then_sleep  # type: ignore[method-assign]
    async with running(shop):
        await shop.until_begun(1)
        await shop.until_empty()

    assert shop.begun == ["late/p"]
