"""The journal: each fact once, in order, and a cursor for each observer."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

from hub.api import Aired, AiringState, Filed, ItemNumber, Played, Sha256
from hub.ledger import facts
from hub.testing import NOON
from tests.hub.world import WITA

ONE, TWO = ItemNumber("IP-2026-11-0001"), ItemNumber("IP-2026-11-0002")


def filed(item: ItemNumber = ONE) -> Filed:
    return Filed(item=item, month="2026-11", path="2026/2026-11 November/x")


def played(at: datetime, seconds: float = 3.0) -> Played:
    return Played(
        delivery="d", item=ONE, destination="gate", rendition=Sha256("a" * 64), started_at=at, seconds=seconds,
        complete=True,
    )  # fmt: skip


def test_a_key_is_kept_once_for_each_plugin(db: sqlite3.Connection) -> None:
    assert facts.add(db, "p", "1", filed(), now=NOON)
    assert not facts.add(db, "p", "1", filed(TWO), now=NOON)
    assert facts.add(db, "q", "1", filed(), now=NOON)

    assert [(entry.plugin, entry.fact) for entry in facts.entries(db)] == [("p", filed()), ("q", filed())]


def test_entries_come_in_order_after_a_cursor_and_of_one_item(db: sqlite3.Connection) -> None:
    for key, item in enumerate((ONE, TWO, ONE)):
        facts.add(db, "p", str(key), filed(item), now=NOON)

    assert [entry.seq for entry in facts.entries(db, after=1)] == [2, 3]
    assert [entry.seq for entry in facts.entries(db, item=ONE)] == [1, 3]
    assert [entry.seq for entry in facts.entries(db, limit=1)] == [1]
    assert facts.newest(db) == 3


def test_what_a_plugin_recorded_is_found_by_its_keys_in_their_order(db: sqlite3.Connection) -> None:
    for plugin, key in (("p", "b/2"), ("p", "b/1"), ("p", "a/9"), ("p", "c/1"), ("q", "b/3")):
        facts.add(db, plugin, key, filed(), now=NOON)

    assert list(facts.by_key(db, "p", "b/", "b0")) == [("b/1", filed()), ("b/2", filed())]


def test_plays_are_counted_by_the_day_in_wita(db: sqlite3.Connection) -> None:
    late = datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC)
    facts.count_play(db, played(late), WITA)
    facts.count_play(db, played(datetime(2026, 11, 30, 16, 0, tzinfo=UTC), 2.5), WITA)

    assert [row["day"] for row in db.execute("SELECT day FROM play_total ORDER BY day")] == ["2026-11-30", "2026-12-01"]
    (total,) = facts.totals(db, ONE)
    assert (total.plays, total.seconds, total.first_at) == (2, 5.5, late)


def test_only_what_was_really_aired_is_counted(db: sqlite3.Connection) -> None:
    for state in AiringState:
        fact = Aired(delivery="d", item=ONE, airing="1", destination="fm", state=state, at=NOON, seconds=1.0)
        facts.count_play(db, fact, WITA)

    assert [total.plays for total in facts.totals(db, ONE)] == [1]


def test_a_cursor_never_goes_back(db: sqlite3.Connection) -> None:
    for seq in (5, 3):
        facts.move_cursor(db, "o", seq)

    assert (facts.cursor(db, "o"), facts.cursor(db, "new")) == (5, 0)
