"""The durable queue: one row per planned broadcast, each change of state an event with its reason.

planned -> due -> sent -> on air -> aired | partial | failed | missed | withdrawn. A method is one
transaction, and blocks: use a thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime

from hub.api import AiringState, ItemNumber
from plugins.radio.as_run import Line, Position, Reading
from plugins.radio.database import Database, text_of
from plugins.radio.records import (
    Airing,
    Outcome,
    Programme,
    Verdict,
    airing_from,
    judge,
    moment,
    outcome_from,
    programme_from,
)
from plugins.radio.rows import by_id, find, insert, move, programme_values, select
from plugins.radio.times import Rules, first_slot, next_slot, times_passed

S = AiringState
LIVE = (S.PLANNED, S.DUE, S.SENT, S.ON_AIR)
GIVEN = (S.SENT, S.ON_AIR)


class Airings:
    def __init__(self, database: Database, rules: Rules) -> None:
        self._database = database
        self._rules = rules

    # What the hub asks for

    def hold(self, programme: Programme, now: datetime) -> None:
        """Air this until its window closes. Repeatable; takes up again what was closed."""
        with self._database.writing() as db:
            known = db.execute("SELECT sha256 FROM programmes WHERE delivery = ?", (programme.delivery,)).fetchone()
            db.execute(
                "INSERT INTO programmes (delivery, item, destination, sha256, duration_s, starts, ends, active)"
                " VALUES (:delivery, :item, :destination, :sha256, :duration_s, :starts, :ends, 1)"
                " ON CONFLICT (delivery) DO UPDATE SET sha256 = excluded.sha256, duration_s = excluded.duration_s,"
                " starts = excluded.starts, ends = excluded.ends, active = 1, reason = ''",
                programme_values(programme),
            )
            if known and known["sha256"] != programme.sha256:
                self._give_new_sound(db, programme, now)
            self._plan_one(db, programme, now)

    def close(self, delivery: str, reason: str, now: datetime) -> None:
        """Air it no more. What the executor has already is marked, for the playout to take back. Repeatable."""
        with self._database.writing() as db:
            db.execute("UPDATE programmes SET active = 0, reason = ? WHERE delivery = ?", (reason, delivery))
            for airing in select(db, "delivery = ? AND state IN ('planned', 'due')", delivery):
                self._end(db, airing, Verdict(state=S.WITHDRAWN, seconds=0.0, reason=reason), now)
            for airing in select(db, "delivery = ? AND state IN ('sent', 'on air') AND NOT withdrawing", delivery):
                move(db, airing, airing.state, f"to be taken back: {reason}", now, withdrawing=1)

    def deliveries_of(self, item: ItemNumber) -> Sequence[str]:
        with self._database.reading() as db:
            return [row[0] for row in db.execute("SELECT delivery FROM programmes WHERE item = ?", (item,))]

    def programmes(self) -> Sequence[Programme]:
        """Those that still air."""
        with self._database.reading() as db:
            return [programme_from(row) for row in db.execute("SELECT * FROM programmes WHERE active")]

    # What the playout asks

    def plan(self, now: datetime) -> None:
        """Bring the queue up to `now`: due what has come, missed what has passed, and one airing ahead per item."""
        with self._database.writing() as db:
            for airing in select(db, "state IN ('planned', 'due')"):
                self._bring_up(db, airing, now)
            idle = db.execute(
                "SELECT * FROM programmes p WHERE active AND NOT EXISTS (SELECT 1 FROM airings a"
                " WHERE a.delivery = p.delivery AND a.state IN ('planned', 'due', 'sent', 'on air'))"
            ).fetchall()
            for row in idle:
                self._plan_one(db, programme_from(row), now)

    def next_due(self) -> Airing | None:
        with self._database.reading() as db:
            rows = db.execute("SELECT * FROM airings WHERE state = 'due' ORDER BY planned_at, id LIMIT 1").fetchall()
        return airing_from(rows[0]) if rows else None

    def busy(self) -> bool:
        """Something is due, or with the executor."""
        with self._database.reading() as db:
            return bool(db.execute("SELECT 1 FROM airings WHERE state IN ('due', 'sent', 'on air') LIMIT 1").fetchone())

    def next_time(self) -> datetime | None:
        """When the next planned airing comes due."""
        with self._database.reading() as db:
            earliest = db.execute("SELECT min(planned_at) FROM airings WHERE state = 'planned'").fetchone()[0]
        return datetime.fromisoformat(earliest) if earliest else None

    def given(self) -> Sequence[Airing]:
        """What the executor has, as far as we know."""
        with self._database.reading() as db:
            return select(db, "state IN ('sent', 'on air')")

    def find(self, token: str) -> Airing | None:
        """The airing whose present attempt has this token."""
        with self._database.reading() as db:
            return find(db, token)

    def files_wanted(self) -> frozenset[str]:
        with self._database.reading() as db:
            rows = db.execute(
                "SELECT sha256 FROM programmes WHERE active UNION SELECT sha256 FROM airings"
                " WHERE state IN ('planned', 'due', 'sent', 'on air')"
            ).fetchall()
        return frozenset(f"{row[0]}.wav" for row in rows)

    # What becomes of an airing

    def begin_send(self, airing: Airing, boot: str, now: datetime) -> Airing | None:
        """Write down that it is sent, before it is; None when it is not due any more."""
        with self._database.writing() as db:
            current = by_id(db, airing.id)
            if current is None or current.state is not S.DUE:
                return None
            fresh = {"started_at": None, "start_stream_s": None, "start_up": None, "start_downs": None}
            move(db, current, S.SENT, "", now, attempt=current.attempt + 1, boot=boot, sent_at=text_of(now), **fresh)
            return by_id(db, airing.id)

    def adopt(self, token: str, boot: str, now: datetime) -> None:
        """The executor turned out to have it."""
        with self._database.writing() as db:
            airing = find(db, token)
            if airing and (airing.state is S.DUE or (airing.state in GIVEN and airing.boot != boot)):
                state = S.SENT if airing.state is S.DUE else airing.state
                move(db, airing, state, "found in the executor", now, boot=boot)

    def lost(self, token: str, reason: str, now: datetime) -> None:
        """The executor has it no more and wrote no end: due again, or over."""
        with self._database.writing() as db:
            airing = find(db, token)
            if airing is None or airing.state not in GIVEN:
                return
            if airing.withdrawing:
                self._end(db, airing, Verdict(state=S.WITHDRAWN, seconds=0.0, reason=airing.reason), now)
            elif airing.state is S.ON_AIR:
                self._interrupted(db, airing, Verdict(state=S.PARTIAL, seconds=0.0, reason=reason), now)
            else:
                self._try_again(db, airing, S.FAILED, reason, now)

    def fail(self, token: str, reason: str, now: datetime) -> None:
        """It can not be aired."""
        with self._database.writing() as db:
            if (airing := find(db, token)) and airing.state in LIVE:
                self._end(db, airing, Verdict(state=S.FAILED, seconds=0.0, reason=reason), now)

    # What the as-run file says

    def position(self) -> Position:
        with self._database.reading() as db:
            row = db.execute("SELECT inode, offset FROM position").fetchone()
        return Position(inode=row["inode"], offset=row["offset"])

    def apply(self, reading: Reading, now: datetime) -> None:
        """Learn from the lines, each once, and remember how far they were read: one transaction."""
        with self._database.writing() as db:
            for line in reading.lines:
                if self._keep(db, line):
                    self._learn(db, line, now)
            db.execute("UPDATE position SET inode = ?, offset = ?", (reading.position.inode, reading.position.offset))

    # What the hub's journal must learn

    def unreported(self, limit: int = 200) -> Sequence[Outcome]:
        with self._database.reading() as db:
            rows = db.execute("SELECT * FROM outcomes WHERE reported = 0 ORDER BY rowid LIMIT ?", (limit,)).fetchall()
        return [outcome_from(row) for row in rows]

    def reported(self, outcomes: Iterable[Outcome]) -> None:
        with self._database.writing() as db:
            db.executemany("UPDATE outcomes SET reported = 1 WHERE key = ?", [(outcome.key,) for outcome in outcomes])

    # Private

    def _plan_one(self, db: sqlite3.Connection, programme: Programme, now: datetime) -> None:
        row = db.execute("SELECT anchor, active FROM programmes WHERE delivery = ?", (programme.delivery,)).fetchone()
        live = select(db, "delivery = ? AND state IN ('planned', 'due', 'sent', 'on air')", programme.delivery)
        if live or not row["active"]:
            return
        anchor = datetime.fromisoformat(row["anchor"]) if row["anchor"] else None
        if anchor is None:
            slot = first_slot(now, programme.starts, programme.last)
        else:
            slot = next_slot(now, anchor, programme.last, self._rules)
        if slot is None:
            db.execute(
                "UPDATE programmes SET active = 0, reason = 'window over' WHERE delivery = ?", (programme.delivery,)
            )
        else:
            insert(db, programme, slot, now)

    def _bring_up(self, db: sqlite3.Connection, airing: Airing, now: datetime) -> None:
        if now > airing.deadline:
            self._miss(db, airing, now)
        elif airing.state is S.PLANNED and airing.planned_at <= now:
            move(db, airing, S.DUE, "", now)
        elif airing.state is S.PLANNED and not airing.first and airing.planned_at - now > self._rules.every:
            self._move_earlier(db, airing, now)

    def _miss(self, db: sqlite3.Connection, airing: Airing, now: datetime) -> None:
        # One row speaks for all the times that passed: a long stop must not leave a thousand rows, nor a burst.
        programme = db.execute("SELECT * FROM programmes WHERE delivery = ?", (airing.delivery,)).fetchone()
        passed = times_passed(airing.planned_at, now, programme_from(programme).last, self._rules)
        reason = airing.reason or "its time passed"
        if passed > 1:
            reason = f"{reason}; {passed} regular times went by, the last before {text_of(now)[:19]}Z"
        self._end(db, airing, Verdict(state=S.MISSED, seconds=0.0, reason=reason), now)

    def _move_earlier(self, db: sqlite3.Connection, airing: Airing, now: datetime) -> None:
        # The clock was set back, or `every` is shorter now: do not wait for a time that is too far away.
        row = db.execute("SELECT * FROM programmes WHERE delivery = ?", (airing.delivery,)).fetchone()
        steps = (airing.planned_at - now) // self._rules.every
        at = airing.planned_at - steps * self._rules.every
        deadline = min(at + self._rules.late, programme_from(row).last)
        reason = "moved: the clock or the settings changed"
        move(db, airing, S.PLANNED, reason, now, planned_at=text_of(at), deadline=text_of(deadline))

    def _give_new_sound(self, db: sqlite3.Connection, programme: Programme, now: datetime) -> None:
        for airing in select(db, "delivery = ? AND state IN ('planned', 'due')", programme.delivery):
            changes = {"sha256": programme.sha256, "duration_s": programme.duration_s}
            move(db, airing, airing.state, "new rendition", now, **changes)

    def _keep(self, db: sqlite3.Connection, line: Line) -> bool:
        values = (text_of(moment(line.at)), line.event, line.boot, line.n, line.output_up, line.token, line.stream_s)
        done = db.execute(
            "INSERT OR IGNORE INTO as_run (at, event, boot, n, output_up, token, stream_s)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            values,
        )
        return done.rowcount == 1

    def _learn(self, db: sqlite3.Connection, line: Line, now: datetime) -> None:
        airing = find(db, line.token) if line.token else None
        if airing is None or airing.state not in LIVE:
            return
        if line.event == "start" and airing.state in (S.DUE, S.SENT):
            began = {"started_at": text_of(moment(line.at)), "start_stream_s": line.stream_s, "boot": line.boot}
            move(db, airing, S.ON_AIR, "", now, start_up=line.output_up, start_downs=line.downs, **began)
        elif line.event == "end" and airing.state is S.ON_AIR and airing.boot == line.boot:
            db.execute("UPDATE airings SET ended_at = ? WHERE id = ?", (text_of(moment(line.at)), airing.id))
            self._ended(db, airing, judge(airing, line, self._rules.tolerance_s), now)

    def _ended(self, db: sqlite3.Connection, airing: Airing, verdict: Verdict, now: datetime) -> None:
        if verdict.state is S.AIRED:
            self._end(db, airing, verdict, now)
        elif airing.withdrawing:
            reason = f"{airing.reason}; {verdict.reason}"
            self._end(db, airing, Verdict(state=S.WITHDRAWN, seconds=verdict.seconds, reason=reason), now)
        else:
            self._interrupted(db, airing, verdict, now)

    def _interrupted(self, db: sqlite3.Connection, airing: Airing, verdict: Verdict, now: datetime) -> None:
        self._end(db, airing, verdict, now)
        if self._rules.repeat_interrupted:
            self._try_again(db, airing, S.PARTIAL, verdict.reason, now)

    def _try_again(
        self, db: sqlite3.Connection, airing: Airing, otherwise: AiringState, reason: str, now: datetime
    ) -> None:
        row = db.execute("SELECT * FROM programmes WHERE delivery = ?", (airing.delivery,)).fetchone()
        last = programme_from(row).last
        if row["active"] and airing.attempt < self._rules.max_attempts and now <= last:
            deadline = min(max(airing.deadline, now + self._rules.late), last)
            move(db, airing, S.DUE, f"again: {reason}", now, deadline=text_of(deadline))
        elif otherwise is not S.PARTIAL:
            self._end(db, airing, Verdict(state=otherwise, seconds=0.0, reason=reason), now)

    def _end(self, db: sqlite3.Connection, airing: Airing, verdict: Verdict, now: datetime) -> None:
        move(db, airing, verdict.state, verdict.reason, now, seconds=verdict.seconds)
        db.execute(
            "INSERT OR IGNORE INTO outcomes (key, airing, delivery, item, destination, state, at, seconds, reason)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                f"{airing.token}/{verdict.state.value.replace(' ', '-')}",
                airing.id,
                airing.delivery,
                airing.item,
                airing.destination,
                verdict.state,
                text_of(airing.started_at or airing.planned_at),
                verdict.seconds,
                verdict.reason,
            ),
        )
