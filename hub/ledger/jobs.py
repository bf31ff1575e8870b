"""Jobs: what is still to be done. A job that is done is deleted; what came of it stands in the tables it changed."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from hub.api import Delivery, Item, Priority
from hub.ledger.wire import moment, stamp


class JobKind(StrEnum):
    PLAN = "plan"  # (item, plugin): which deliveries?
    TRANSCODE = "transcode"  # (asset): make every rendition of it that is wanted
    DELIVER = "deliver"  # (plugin, delivery)
    WITHDRAW = "withdraw"  # (item, plugin)


class JobState(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"  # found so at start: the hub was killed; it runs again
    DEAD = "dead"  # a person must act (retry)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    id: int
    kind: JobKind
    key: str
    lane: str
    item: str
    attempts: int  # this one included
    bugs: int  # how many of the earlier ones failed by a bug
    body: str
    urgent: bool


TRANSCODE_LANE = "transcode"
_ASKED_AGAIN = (
    "ON CONFLICT (kind, key) DO UPDATE SET urgent = max(urgent, excluded.urgent), body = excluded.body,"
    " item = excluded.item, not_before = min(not_before, excluded.not_before),"
    " again = (state = 'running'), attempts = CASE state WHEN 'dead' THEN 0 ELSE attempts END,"
    " bugs = CASE state WHEN 'dead' THEN 0 ELSE bugs END, reason = CASE state WHEN 'dead' THEN '' ELSE reason END,"
    " state = CASE state WHEN 'dead' THEN 'queued' ELSE state END"
)


def queue_plan(db: sqlite3.Connection, item: Item, plugin: str, *, now: datetime) -> None:
    _queue(db, JobKind.PLAN, f"{item.number}/{plugin}", plugin, item.number, item.priority, now, plugin)


def queue_plans(db: sqlite3.Connection, plugin: str, *, now: datetime) -> None:
    """As `queue_plan` for every live item, oldest number first, without reading the items."""
    db.execute(
        "INSERT INTO job (kind, key, lane, item, state, urgent, not_before, body)"  # noqa: S608 - constant
        " SELECT 'plan', number || '/' || ?1, ?1, number, 'queued', urgent, ?2, ?1 FROM item"
        f" WHERE state IN ('accepted', 'active') ORDER BY month, serial {_ASKED_AGAIN}",
        (plugin, stamp(now)),
    )


def queue_withdraw(db: sqlite3.Connection, item: Item, plugin: str, reason: str, *, now: datetime) -> None:
    """Always urgent: what must not be shown any more waits for no delivery."""
    _queue(db, JobKind.WITHDRAW, f"{item.number}/{plugin}", plugin, item.number, Priority.URGENT, now, reason)


def queue_delivery(db: sqlite3.Connection, item: Item, plugin: str, delivery: Delivery, *, now: datetime) -> None:
    _queue(db, JobKind.DELIVER, f"{plugin}/{delivery.key}", plugin, item.number, item.priority, now, delivery.key)


def queue_transcode(db: sqlite3.Connection, asset: str, item: Item, *, at: datetime) -> None:
    """Have the asset's wanted renditions made at `at`, or earlier if that was asked for before."""
    _queue(db, JobKind.TRANSCODE, asset, TRANSCODE_LANE, item.number, item.priority, at, "")


def hasten_transcode(db: sqlite3.Connection, asset: str, *, now: datetime) -> None:
    """Nothing more is to come for this asset: do not wait any longer."""
    db.execute(
        "UPDATE job SET not_before = ? WHERE kind = 'transcode' AND key = ? AND attempts = 0 AND not_before > ?",
        (stamp(now), asset, stamp(now)),
    )


def plans_left(db: sqlite3.Connection, item: str) -> int:
    row = db.execute("SELECT count(*) FROM job WHERE kind = 'plan' AND item = ? AND state != 'dead'", (item,))
    return int(row.fetchone()[0])


def claim(
    db: sqlite3.Connection, busy_lanes: Collection[str], limit: int, *, now: datetime, express: Collection[str] = ()
) -> list[Job]:
    """Take the next due jobs of lanes that have room, urgent ones first, and mark them running.

    A busy lane that is also in `express` has room for an urgent job.
    """
    rows = _due(db, [lane for lane in busy_lanes if lane not in express], limit, urgent=True, now=now)
    rows += _due(db, busy_lanes, limit - len(rows), urgent=False, now=now)
    for row in rows:
        db.execute("UPDATE job SET state = 'running', attempts = attempts + 1 WHERE id = ?", (row["id"],))
    return [_job(row) for row in rows]


def next_due(db: sqlite3.Connection, busy_lanes: Collection[str], express: Collection[str] = ()) -> datetime | None:
    """When the next job of a lane with room is due."""
    room, lanes = _has_room(busy_lanes, express)
    row = db.execute(f"SELECT min(not_before) AS at FROM job WHERE state = 'queued' AND {room}", lanes)  # noqa: S608
    at = row.fetchone()["at"]
    return moment(at) if at else None


def due_transcodes(db: sqlite3.Connection, now: datetime) -> int:
    """How many transcodes wait for nothing but a place."""
    row = db.execute(
        "SELECT count(*) FROM job WHERE kind = 'transcode' AND state = 'queued' AND not_before <= ?", (stamp(now),)
    )
    return int(row.fetchone()[0])


def finish(db: sqlite3.Connection, job: Job) -> None:
    """The job is done: it goes, or runs once more when that was asked for while it ran."""
    db.execute("DELETE FROM job WHERE id = ? AND again = 0", (job.id,))
    db.execute(
        "UPDATE job SET state = 'queued', again = 0, attempts = 0, bugs = 0, reason = '' WHERE id = ?", (job.id,)
    )


def put_back(db: sqlite3.Connection, job: Job, *, at: datetime, reason: str, bug: bool) -> None:
    """Queue the job again; at once when that was asked for while it ran."""
    db.execute(
        "UPDATE job SET state = 'queued', not_before = CASE again WHEN 1 THEN not_before ELSE ? END, again = 0,"
        " reason = ?, bugs = bugs + ? WHERE id = ?",
        (stamp(at), reason, bug, job.id),
    )


def bury(db: sqlite3.Connection, job: Job, reason: str) -> None:
    """Nobody tries it any more until a person says so; but what was asked for while it ran is still tried once."""
    db.execute(
        "UPDATE job SET state = CASE again WHEN 1 THEN 'queued' ELSE 'dead' END, again = 0, bugs = 0, reason = ?"
        " WHERE id = ?",
        (reason, job.id),
    )


def requeue_running(db: sqlite3.Connection, *, now: datetime) -> int:
    """At start: what was running when the hub ended runs again, at once."""
    return db.execute("UPDATE job SET state = 'queued', not_before = ? WHERE state = 'running'", (stamp(now),)).rowcount


def revive(db: sqlite3.Connection, item: str, *, now: datetime) -> int:
    """A person says: try the item's dead jobs again."""
    return db.execute(
        "UPDATE job SET state = 'queued', attempts = 0, bugs = 0, not_before = ?, reason = ''"
        " WHERE item = ? AND state = 'dead'",
        (stamp(now), item),
    ).rowcount


def drop_for_item(db: sqlite3.Connection, item: str) -> None:
    """Nothing more is to be planned or delivered for this item. A transcode may serve other items too and stays."""
    db.execute(
        "DELETE FROM job WHERE item = ? AND (kind IN ('plan', 'deliver') AND state != 'running'"
        " OR kind = 'transcode' AND state = 'dead')",
        (item,),
    )


def counts(db: sqlite3.Connection) -> dict[str, int]:
    rows = db.execute("SELECT kind || ' ' || state AS what, count(*) AS n FROM job GROUP BY 1 ORDER BY 1")
    return {row["what"]: row["n"] for row in rows}


def waiting_reasons(db: sqlite3.Connection, item: str) -> list[tuple[str, str, str]]:
    """(kind, key, reason) of the item's jobs that failed at least once."""
    rows = db.execute("SELECT kind, key, reason FROM job WHERE item = ? AND reason != ''", (item,))
    return [(row["kind"], row["key"], row["reason"]) for row in rows]


def _has_room(busy_lanes: Collection[str], express: Collection[str]) -> tuple[str, tuple[str, ...]]:
    """The condition for a job whose lane has room, and what fills its marks."""
    busy, fast = ", ".join("?" * len(busy_lanes)), ", ".join("?" * len(express))
    return f"(lane NOT IN ({busy}) OR urgent AND lane IN ({fast}))", (*busy_lanes, *express)


def _queue(
    db: sqlite3.Connection, kind: JobKind, key: str, lane: str, item: str, priority: Priority, at: datetime, body: str
) -> None:
    db.execute(
        "INSERT INTO job (kind, key, lane, item, state, urgent, not_before, body)"  # noqa: S608 - constant
        f" VALUES (?, ?, ?, ?, 'queued', ?, ?, ?) {_ASKED_AGAIN}",
        (kind, key, lane, item, priority is Priority.URGENT, stamp(at), body),
    )


def _due(
    db: sqlite3.Connection, busy_lanes: Collection[str], limit: int, *, urgent: bool, now: datetime
) -> list[sqlite3.Row]:
    """Those of one urgency alone: they come along an index, however many wait."""
    marks = ", ".join("?" * len(busy_lanes))
    return db.execute(
        "SELECT * FROM job WHERE state = 'queued' AND urgent = ? AND not_before <= ?"  # noqa: S608 - marks
        f" AND lane NOT IN ({marks}) ORDER BY not_before, id LIMIT ?",
        (urgent, stamp(now), *busy_lanes, limit),
    ).fetchall()


def _job(row: sqlite3.Row) -> Job:
    return Job(
        id=row["id"],
        kind=JobKind(row["kind"]),
        key=row["key"],
        lane=row["lane"],
        item=row["item"],
        attempts=row["attempts"] + 1,
        bugs=row["bugs"],
        body=row["body"],
        urgent=bool(row["urgent"]),
    )
