"""Jobs: one of each, claimed once, asked again while they run."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta

from hub.api import Priority
from hub.ledger import jobs
from hub.ledger.jobs import Job
from hub.testing import NOON, make_item

SOON = NOON + timedelta(seconds=1)
ITEM = make_item()


def claim(db: sqlite3.Connection, *busy: str) -> Job | None:
    found = jobs.claim(db, busy, 1, now=NOON)
    return found[0] if found else None


def running(db: sqlite3.Connection) -> Job:
    jobs.queue_plan(db, ITEM, "p", now=NOON)
    job = claim(db)
    assert job is not None
    return job


def test_the_same_job_stands_in_the_queue_once(db: sqlite3.Connection) -> None:
    for _ in range(2):
        jobs.queue_plan(db, ITEM, "p", now=NOON)

    assert claim(db) is not None
    assert claim(db) is None


def test_urgent_jobs_come_first_then_the_oldest(db: sqlite3.Connection) -> None:
    for number, plugin in (("1", "a"), ("2", "b")):
        jobs.queue_plan(db, make_item(number), plugin, now=NOON - timedelta(seconds=int(number)))
    jobs.queue_plan(db, make_item("3", priority=Priority.URGENT), "c", now=NOON)

    assert [job.lane for _ in range(3) if (job := claim(db))] == ["c", "b", "a"]


def test_a_busy_lane_hides_its_jobs_and_no_others(db: sqlite3.Connection) -> None:
    for plugin in ("a", "b"):
        jobs.queue_plan(db, ITEM, plugin, now=NOON)

    assert jobs.next_due(db, ("a", "b")) is None
    job = claim(db, "a")
    assert job is not None
    assert job.lane == "b"


def test_a_job_is_not_claimed_before_its_time(db: sqlite3.Connection) -> None:
    jobs.queue_plan(db, ITEM, "p", now=SOON)

    assert claim(db) is None
    assert jobs.next_due(db, ()) == SOON


def test_a_job_asked_for_while_it_runs_runs_once_more(db: sqlite3.Connection) -> None:
    job = running(db)
    jobs.queue_plan(db, ITEM, "p", now=NOON)

    jobs.finish(db, job)

    again = claim(db)
    assert again is not None
    assert again.attempts == 1
    jobs.finish(db, again)
    assert jobs.counts(db) == {}


def test_a_job_asked_for_while_it_fails_is_tried_at_once_and_only_once_more(db: sqlite3.Connection) -> None:
    job = running(db)
    jobs.queue_plan(db, ITEM, "p", now=NOON)

    jobs.put_back(db, job, at=NOON + timedelta(hours=1), reason="away", bug=False)

    again = claim(db)
    assert again is not None
    jobs.finish(db, again)
    assert jobs.counts(db) == {}


def test_a_job_asked_for_while_it_is_given_up_still_runs(db: sqlite3.Connection) -> None:
    job = running(db)
    jobs.queue_plan(db, ITEM, "p", now=NOON)

    jobs.bury(db, job, "never")

    again = claim(db)
    assert again is not None
    jobs.bury(db, again, "never")
    assert jobs.counts(db) == {"plan dead": 1}


def test_a_dead_job_that_is_asked_for_again_starts_afresh(db: sqlite3.Connection) -> None:
    jobs.bury(db, running(db), "never")
    jobs.queue_plan(db, ITEM, "p", now=NOON)

    job = claim(db)

    assert job is not None
    assert (job.attempts, job.bugs) == (1, 0)


def test_only_bugs_are_counted_as_bugs(db: sqlite3.Connection) -> None:
    jobs.put_back(db, running(db), at=NOON, reason="dark", bug=False)
    job = claim(db)
    assert job is not None
    jobs.put_back(db, job, at=NOON, reason="oops", bug=True)

    last = claim(db)

    assert last is not None
    assert (last.attempts, last.bugs) == (3, 1)
    assert jobs.waiting_reasons(db, ITEM.number) == [("plan", f"{ITEM.number}/p", "oops")]


def test_what_ran_when_the_hub_ended_runs_again_at_once(db: sqlite3.Connection) -> None:
    running(db)

    assert jobs.requeue_running(db, now=NOON) == 1

    assert claim(db) is not None


def test_a_transcode_that_failed_is_not_hastened(db: sqlite3.Connection) -> None:
    jobs.queue_transcode(db, "x", ITEM, at=SOON)
    jobs.hasten_transcode(db, "x", now=NOON)
    job = claim(db)
    assert job is not None
    jobs.put_back(db, job, at=SOON, reason="away", bug=False)

    jobs.hasten_transcode(db, "x", now=NOON)

    assert claim(db) is None


def test_an_item_that_is_over_keeps_only_what_must_still_be_done(db: sqlite3.Connection) -> None:
    jobs.bury(db, running(db), "never")
    jobs.queue_plan(db, ITEM, "q", now=NOON)
    jobs.queue_transcode(db, "x", ITEM, at=NOON)
    jobs.queue_withdraw(db, ITEM, "p", "wrong", now=NOON)
    jobs.queue_plan(db, replace(ITEM, number=make_item("IP-2026-11-0002").number), "p", now=NOON)

    jobs.drop_for_item(db, ITEM.number)

    assert jobs.counts(db) == {"plan queued": 1, "transcode queued": 1, "withdraw queued": 1}


def test_a_person_revives_the_dead_jobs_of_one_item(db: sqlite3.Connection) -> None:
    jobs.bury(db, running(db), "never")

    assert jobs.revive(db, "IP-2020-01-0001", now=NOON) == 0
    assert jobs.revive(db, ITEM.number, now=NOON) == 1
    assert claim(db) is not None


def test_all_live_items_are_planned_anew_as_each_alone_would_be(db: sqlite3.Connection) -> None:
    states = {"A": "active", "B": "accepted", "C": "ended", "D": "withdrawn", "E": "active"}
    for serial, (number, state) in enumerate(states.items(), 1):
        row = (number, "2026-11", serial, state, "", "", "", number == "E", "{}", "", None)
        db.execute("INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    jobs.queue_plan(db, make_item("A"), "p", now=NOON)
    first = claim(db)
    assert first is not None

    jobs.queue_plans(db, "p", now=NOON)
    jobs.queue_plans(db, "q", now=NOON)

    claimed = [job.key for _ in range(9) if (job := claim(db))]
    assert claimed == ["E/p", "E/q", "B/p", "A/q", "B/q"]
    jobs.finish(db, first)
    assert (again := claim(db)) is not None
    assert (again.key, again.lane, again.body, again.item) == ("A/p", "p", "p", "A")
