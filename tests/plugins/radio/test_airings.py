"""The queue alone: what it promises, and what holds whatever happens in whichever order."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hub.api import AiringState, ItemNumber, Sha256
from plugins.radio.airings import Airings
from plugins.radio.as_run import Line, Position, Reading
from plugins.radio.database import Database, DatabaseUnsafe
from plugins.radio.records import Programme
from plugins.radio.times import Rules

NOON = datetime(2026, 11, 30, 4, 0, tzinfo=UTC)
RULES = Rules(
    every=timedelta(minutes=30), late=timedelta(minutes=5), max_attempts=3, repeat_interrupted=True, tolerance_s=0.5
)


def programme(n: int = 1, **changes: object) -> Programme:
    base = {
        "delivery": f"IP-2026-11-{n:04d}/radio", "item": ItemNumber(f"IP-2026-11-{n:04d}"), "destination": "Radio",
        "sha256": Sha256(f"{n:064x}"), "duration_s": 10.0, "starts": NOON, "ends": NOON + timedelta(days=30),
    }  # fmt: skip
    return Programme(**(base | changes))  # type: ignore[arg-type]


def said(event: str, token: str, n: int, *, stream_s: float = 0.0, boot: str = "b1", at: datetime = NOON) -> Reading:
    line = Line(event=event, n=n, at=at.timestamp(), boot=boot, output_up=True, downs=0, token=token, stream_s=stream_s)
    return Reading(lines=(line,), bad=0, position=Position(inode=1, offset=n))


@pytest.fixture
def airings(tmp_path: Path) -> Airings:
    return Airings(Database(tmp_path / "a.sqlite"), RULES)


def test_only_one_airing_ahead_is_planned_whatever_is_repeated(airings: Airings) -> None:
    for _ in range(3):
        airings.hold(programme(), NOON)
        airings.plan(NOON)

    assert airings.next_due() is not None
    assert airings.next_time() is None


def test_an_airing_is_aired_only_when_start_end_and_seconds_agree(airings: Airings) -> None:
    airings.hold(programme(), NOON)
    airings.plan(NOON)
    due = airings.next_due()
    assert due is not None
    sent = airings.begin_send(due, "b1", NOON)
    assert sent is not None
    assert airings.begin_send(due, "b1", NOON) is None

    airings.apply(said("start", sent.token, 1, stream_s=5.0), NOON)
    airings.apply(said("end", sent.token, 2, stream_s=14.9), NOON)
    airings.apply(said("end", sent.token, 2, stream_s=14.9), NOON)

    (outcome,) = airings.unreported()
    assert outcome.fact.state is AiringState.AIRED
    assert outcome.fact.seconds == pytest.approx(9.9)
    airings.reported([outcome])
    assert not airings.unreported()


def test_a_late_line_of_an_earlier_attempt_says_nothing_about_this_one(airings: Airings) -> None:
    airings.hold(programme(), NOON)
    airings.plan(NOON)
    first = airings.begin_send(airings.next_due(), "b1", NOON)  # type: ignore[arg-type]
    assert first is not None
    airings.lost(first.token, "the executor lost it", NOON)
    second = airings.begin_send(airings.next_due(), "b1", NOON)  # type: ignore[arg-type]
    assert second is not None

    airings.apply(said("start", first.token, 1), NOON)
    airings.apply(said("end", first.token, 2, stream_s=10.0), NOON)

    assert [airing.state for airing in airings.given()] == [AiringState.SENT]
    assert second.token != first.token


def test_the_first_airing_waits_for_the_executor_and_regular_ones_are_missed(airings: Airings) -> None:
    airings.hold(programme(), NOON)
    later = NOON + timedelta(hours=3)
    airings.plan(later)
    due = airings.next_due()

    assert due is not None
    assert due.first
    assert not airings.unreported()


def test_what_can_not_end_inside_its_window_is_never_sent(airings: Airings) -> None:
    airings.hold(programme(ends=NOON + timedelta(minutes=1)), NOON)
    airings.plan(NOON + timedelta(seconds=55))

    assert airings.next_due() is None
    assert [outcome.fact.state for outcome in airings.unreported()] == [AiringState.MISSED]


def test_a_database_of_a_newer_program_is_left_alone(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "a.sqlite")
    db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(DatabaseUnsafe, match="99"):
        Airings(Database(tmp_path / "a.sqlite"), RULES).plan(NOON)


def test_a_killed_writer_leaves_whole_transactions(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import sys; from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from plugins.radio.airings import Airings
        from plugins.radio.database import Database
        from tests.plugins.radio.test_airings import NOON, RULES, programme
        airings = Airings(Database(Path(sys.argv[1])), RULES)
        for n in range(1, 10000):
            airings.hold(programme(n), NOON)
            airings.plan(NOON)
            print(n, flush=True)
    """)
    root = str(Path(__file__).parents[3])
    path = tmp_path / "a.sqlite"
    process = subprocess.Popen([sys.executable, "-c", code, path, root], stdout=subprocess.PIPE, cwd=root, text=True)
    assert process.stdout is not None
    told = [int(process.stdout.readline()) for _ in range(9)][-1]
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read().split()
    process.stdout.close()
    process.wait()
    told = max([told, *(int(n) for n in rest if n)])

    airings = Airings(Database(path), RULES)
    held = airings.programmes()
    assert len(held) >= told
    airings.plan(NOON)
    assert len(airings.files_wanted()) == len(held)


class AnyOrder(RuleBasedStateMachine):
    """Time passes, executors come and go, people withdraw: in any order, each attempt ends at most once."""

    def __init__(self) -> None:
        super().__init__()
        self.database = Database(Path(":memory:"))
        self.database._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self.database._connection.row_factory = sqlite3.Row
        from plugins.radio.database import _migrate

        _migrate(self.database._connection)
        self.airings = Airings(self.database, RULES)
        self.now, self.n, self.boot = NOON, 0, 1
        self.withdrawn: set[str] = set()
        self.ends: Counter[str] = Counter()

    @rule(n=st.integers(1, 3))
    def hold(self, n: int) -> None:
        if programme(n).delivery not in self.withdrawn:
            self.airings.hold(programme(n), self.now)

    @rule(seconds=st.sampled_from([1, 20, 400, 2000, 90000]))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)
        self.airings.plan(self.now)

    @rule()
    def feed(self) -> None:
        due = self.airings.next_due()
        if due is not None and not self.airings.given():
            sent = self.airings.begin_send(due, f"b{self.boot}", self.now)
            assert sent is not None
            assert due.delivery not in self.withdrawn

    @precondition(lambda self: self.airings.given())
    @rule(event=st.sampled_from(["start", "end"]), seconds=st.sampled_from([3.0, 10.0]))
    def a_line_comes(self, event: str, seconds: float) -> None:
        (airing,) = self.airings.given()
        self.n += 1
        at = 0.0 if event == "start" else seconds
        self.airings.apply(said(event, airing.token, self.n, stream_s=at, boot=airing.boot, at=self.now), self.now)

    @rule()
    def the_executor_restarts(self) -> None:
        self.boot += 1
        for airing in self.airings.given():
            self.airings.lost(airing.token, "restarted", self.now)

    @rule(n=st.integers(1, 3))
    def withdraw(self, n: int) -> None:
        self.withdrawn.add(programme(n).delivery)
        self.airings.close(programme(n).delivery, "keliru", self.now)

    @invariant()
    def one_live_airing_an_item_and_one_end_an_attempt(self) -> None:
        with self.database.reading() as db:
            live = db.execute(
                "SELECT delivery, count(*) FROM airings WHERE state IN ('planned', 'due', 'sent', 'on air') GROUP BY 1"
            ).fetchall()
            keys = [row[0] for row in db.execute("SELECT key FROM outcomes")]
            over = db.execute("SELECT count(*) FROM airings WHERE attempt > 3").fetchone()[0]
            unexplained = db.execute(
                "SELECT count(*) FROM airings WHERE state IN ('aired', 'failed', 'missed', 'withdrawn')"
                " AND id NOT IN (SELECT airing FROM outcomes)"
            ).fetchone()[0]
        assert all(row[1] == 1 for row in live)
        assert len({key.split("/")[0] for key in keys if key.endswith("/aired")}) == sum(
            k.endswith("/aired") for k in keys
        )
        assert (over, unexplained) == (0, 0)

    @invariant()
    def no_withdrawn_item_waits(self) -> None:
        due = self.airings.next_due()
        assert due is None or due.delivery not in self.withdrawn

    def teardown(self) -> None:
        self.database.close()


AnyOrder.TestCase.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
TestAnyOrder = AnyOrder.TestCase
