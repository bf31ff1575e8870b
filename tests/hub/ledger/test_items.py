"""Numbers without gaps or repeats, and arrivals that stay open until their files are moved."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hub.api import Draft, Item, ItemState, Priority
from hub.ledger import facts, items, jobs
from hub.ledger.database import transaction
from hub.testing import NOON, make_asset
from tests.faults import ledger_sweep
from tests.hub.world import WITA


def draft(name: str = "a", **changes: object) -> Draft:
    values: dict[str, object] = {
        "title": name, "assets": (make_asset(name=name),), "channels": frozenset(), "start": NOON,
        "end": NOON + timedelta(days=30), **changes,
    }  # fmt: skip
    return Draft(**values)  # type: ignore[arg-type]


def accept(db: sqlite3.Connection, name: str = "a", now: datetime = NOON, **changes: object) -> Item:
    with transaction(db):
        return items.accept(db, draft(name, **changes), name=name, sidecar="", plugins=("p",), now=now, zone=WITA)


def test_numbers_begin_anew_with_the_month_in_wita(db: sqlite3.Connection) -> None:
    last_of_november = datetime(2026, 11, 30, 15, 59, 59, tzinfo=UTC)  # 23.59 WITA

    numbers = [accept(db, now=last_of_november + timedelta(seconds=after)).number for after in (0, 0, 1, 1)]

    assert numbers == ["IP-2026-11-0001", "IP-2026-11-0002", "IP-2026-12-0001", "IP-2026-12-0002"]


def test_a_clock_that_is_set_back_repeats_no_number(db: sqlite3.Connection) -> None:
    months = (NOON, NOON + timedelta(days=30), NOON)

    assert [accept(db, now=now).number[-7:] for now in months] == ["11-0001", "12-0001", "11-0002"]


def test_numbers_go_on_beyond_four_digits_in_order(db: sqlite3.Connection) -> None:
    accept(db)
    db.execute("PRAGMA foreign_keys = OFF")
    db.execute("UPDATE item SET serial = 9999, number = 'IP-2026-11-9999'")

    accept(db)

    assert [item.number for item in items.all_items(db)] == ["IP-2026-11-9999", "IP-2026-11-10000"]


def test_a_rolled_back_acceptance_leaves_no_gap_and_no_trace(db: sqlite3.Connection) -> None:
    def crash() -> None:
        with transaction(db):
            items.accept(db, draft("b"), name="b", sidecar="", plugins=("p",), now=NOON, zone=WITA)
            raise KeyboardInterrupt

    accept(db)
    with pytest.raises(KeyboardInterrupt):
        crash()

    number = accept(db, "c").number

    assert number == "IP-2026-11-0002"
    assert [name for name, _ in items.open_arrivals(db)] == ["a", "c"]
    assert facts.newest(db) == 2
    assert jobs.counts(db) == {"plan queued": 2}


def test_an_item_reads_back_as_it_was_accepted(db: sqlite3.Connection) -> None:
    item = accept(db, title="Siaga 🔥 'Karhutla'; DROP TABLE item", priority=Priority.URGENT, screens=("gate",))

    assert items.get(db, item.number) == item
    assert items.all_items(db) == [item]
    assert items.asset(db, item.assets[0].sha256) == item.assets[0]


def test_how_it_comes_round_reads_back_and_an_older_ledger_says_always(db: sqlite3.Connection) -> None:
    item = accept(db, days=(1, 7), dayparts="22:00-05:00", share=3, template="banjir")

    assert items.get(db, item.number) == item

    db.execute("UPDATE item SET draft = json_remove(draft, '$.days', '$.share', '$.template')")
    older = items.get(db, item.number)
    assert older is not None
    assert (older.days, older.share, older.template) == ((), 1, "")


def test_an_item_whose_window_has_not_begun_waits_for_it(db: sqlite3.Connection) -> None:
    later = NOON + timedelta(hours=1)
    item = accept(db, start=later)

    assert item.state is ItemState.ACCEPTED
    assert items.next_boundary(db) == later
    assert items.crossing_a_boundary(db, later - timedelta(microseconds=1)) == []
    assert [state for _, state in items.crossing_a_boundary(db, later)] == [ItemState.ACTIVE]
    assert [state for _, state in items.crossing_a_boundary(db, item.end)] == [ItemState.ENDED]


def test_an_arrival_is_open_until_its_files_are_moved(db: sqlite3.Connection) -> None:
    item = accept(db)
    hashes = frozenset(asset.sha256 for asset in item.assets)

    assert items.arrival(db, "a", hashes) == item.number
    assert items.arrival(db, "b", hashes) is None
    assert items.put_away(db, "a", hashes, "/srv/a") == item.number
    assert items.put_away(db, "a", hashes, None) is None

    assert items.open_arrivals(db) == []
    assert items.target_of(db, item.number) == "/srv/a"


def test_same_bytes_are_found_whatever_their_order_and_only_when_all_are_the_same(db: sqlite3.Connection) -> None:
    one, two = make_asset(name="1"), make_asset(name="2")
    other = type(one)(sha256="b" * 64, path=one.path, original_name="b", media=one.media)  # type: ignore[arg-type]
    pair = accept(db, assets=(one, other))
    single = accept(db, assets=(two,))

    assert [item.number for item, _ in items.with_same_bytes(db, ["b" * 64, "a" * 64])] == [pair.number]
    assert [item.number for item, _ in items.with_same_bytes(db, ["a" * 64])] == [single.number]


def test_a_change_of_state_is_told_once(db: sqlite3.Connection) -> None:
    item = accept(db)

    for _ in range(2):
        items.set_state(db, item, ItemState.WITHDRAWN, now=NOON, reason="keliru", who="dini")

    told = [entry.fact for entry in facts.entries(db, item=item.number)]
    assert [getattr(fact, "state", None) for fact in told] == [ItemState.ACTIVE, ItemState.WITHDRAWN]
    assert items.reason_of(db, item) == "keliru"


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
def test_a_kill_at_any_fdatasync_neither_loses_nor_doubles_what_was_acknowledged() -> None:
    row = ledger_sweep.main(short=True)

    assert row.points >= 5
    assert row.passed, str(row)


def test_the_victim_of_the_sweep_does_what_the_sweep_thinks(tmp_path: Path) -> None:
    assert ledger_sweep.run_worker(tmp_path, "inject=fdatasync:signal=SIGKILL:when=1") == -signal.SIGKILL
    assert os.path.exists(tmp_path / "ledger.db")  # noqa: PTH110
