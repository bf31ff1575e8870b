"""The ledger's file: durable, of the right schema, and honest when it is not."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from hub.ledger import database, soundness
from hub.ledger.database import Database, LedgerError, open_for_reading, open_for_writing, transaction
from hub.ledger.schema import MIGRATIONS


def version_of(path: Path) -> int:
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
    finally:
        connection.close()


def execute(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_a_ledger_is_durable_at_every_commit(db: sqlite3.Connection) -> None:
    assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert db.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_a_sqlite_that_does_not_keep_its_promise_is_refused(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Careless(sqlite3.Connection):
        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:  # type: ignore[override]
            return super().execute(sql.replace("synchronous = FULL", "synchronous = OFF"), *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(database, "connect", lambda path: sqlite3.connect(path, factory=Careless, isolation_level=None))

    with pytest.raises(LedgerError, match="synchronous=FULL"):
        open_for_writing(ledger)


def test_a_file_that_is_no_database_says_to_restore_the_backup(ledger: Path) -> None:
    ledger.write_bytes(b"this was a ledger once " * 500)

    with pytest.raises(LedgerError, match=r"damaged.*restore the last backup"):
        open_for_writing(ledger)
    with pytest.raises(LedgerError, match=r"damaged.*restore the last backup"):
        open_for_reading(ledger)


def tear(ledger: Path, *, keep_times: bool = False) -> None:
    times = ledger.stat()
    data = bytearray(ledger.read_bytes())
    data[4096 : 4096 * 3] = b"\xff" * 8192
    ledger.write_bytes(data)
    if keep_times:  # as a disk does it
        os.utime(ledger, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_torn_page_is_found_at_the_start(ledger: Path) -> None:
    Database(ledger).close()
    tear(ledger)

    for _ in range(2):
        with pytest.raises(LedgerError, match=r"damaged.*restore the last backup"):
            Database(ledger)


async def test_a_large_ledger_that_was_closed_in_order_is_looked_through_after_the_start(
    ledger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SMALL_BYTES", 0)
    Database(ledger).close()
    tear(ledger, keep_times=True)

    opened = Database(ledger)
    with pytest.raises(LedgerError, match=r"damaged.*restore the last backup"):
        await opened.check()
    opened.close()

    with pytest.raises(LedgerError, match=r"damaged.*restore the last backup"):
        Database(ledger)


@pytest.mark.parametrize(
    "trouble", ["killed", "written to by an order", "restored from a backup", "with a damaged mark"]
)
def test_a_large_ledger_that_may_have_changed_is_looked_through_first(
    ledger: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    monkeypatch.setattr(database, "SMALL_BYTES", 0)
    looked = count_looks(monkeypatch)
    Database(ledger).close()
    Database(ledger).close()
    assert looked == [True, False]

    match trouble:
        case "killed":
            Database(ledger)  # never closed
        case "written to by an order":
            execute(ledger, "INSERT INTO person_order (name, args, who, why, given_at) VALUES ('x', '{}', 'a', '', '')")
        case "with a damaged mark":
            ledger.with_name(ledger.name + soundness.MARK).write_bytes(b"\xff\xfe\0")
        case _:
            backup = ledger.read_bytes()
            ledger.unlink()
            ledger.write_bytes(backup)
    looked.clear()
    Database(ledger).close()

    assert looked == [True]


def count_looks(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    looked: list[bool] = []

    def open_it(path: Path, *, look_first: bool = False) -> sqlite3.Connection:
        looked.append(look_first)
        return open_for_writing(path, look_first=look_first)

    monkeypatch.setattr(database, "open_for_writing", open_it)
    return looked


async def test_a_look_through_the_ledger_that_is_cut_off_ends_at_once(ledger: Path) -> None:
    opened = Database(ledger)
    async with asyncio.TaskGroup() as group:
        looking = group.create_task(opened.check())
        await asyncio.sleep(0)
        looking.cancel()

    assert await opened.read(lambda db: db.execute("SELECT count(*) FROM item").fetchone()[0]) == 0
    opened.close()


def test_a_newer_ledger_is_left_alone_and_says_so(ledger: Path, db: sqlite3.Connection) -> None:
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

    for open_it in (open_for_writing, open_for_reading):
        with pytest.raises(LedgerError, match="newer Siar Hub"):
            open_it(ledger)
    assert version_of(ledger) == len(MIGRATIONS) + 1


@pytest.mark.parametrize("version", [0, 1, len(MIGRATIONS)])
def test_another_programs_database_is_left_alone(ledger: Path, version: int) -> None:
    execute(ledger, "CREATE TABLE song (title TEXT)", f"PRAGMA user_version = {version}")

    with pytest.raises(LedgerError):
        open_for_writing(ledger)

    assert version_of(ledger) == version


def test_a_database_with_another_mark_is_left_alone(ledger: Path) -> None:
    execute(ledger, "PRAGMA application_id = 77")

    with pytest.raises(LedgerError, match="another program's"):
        open_for_writing(ledger)


def test_a_folder_that_is_missing_or_a_path_that_is_a_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="check the disk, the owner"):
        open_for_writing(tmp_path / "nowhere" / "ledger.db")
    with pytest.raises(LedgerError, match="check the disk, the owner"):
        open_for_writing(tmp_path)


def test_reading_where_there_is_no_ledger_makes_none(ledger: Path) -> None:
    with pytest.raises(LedgerError, match="start the hub once"):
        open_for_reading(ledger)

    assert not ledger.exists()


def test_an_older_ledger_is_brought_up_to_date_by_the_hub_only(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as older:
        older.setattr(database, "MIGRATIONS", MIGRATIONS[:1])
        open_for_writing(ledger).close()
    execute(ledger, "PRAGMA application_id = 0")  # as the first ones were

    with pytest.raises(LedgerError, match="older Siar Hub; start the hub once"):
        open_for_reading(ledger)
    open_for_writing(ledger).close()

    open_for_reading(ledger).close()
    assert version_of(ledger) == len(MIGRATIONS)


def test_a_failing_migration_leaves_the_version_before_it(ledger: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = "CREATE TABLE half (x);\nINSERT INTO nowhere VALUES (1)"
    with monkeypatch.context() as patch:
        patch.setattr(database, "MIGRATIONS", (*MIGRATIONS, broken))
        with pytest.raises(LedgerError, match="nowhere"):
            open_for_writing(ledger)

    db = open_for_writing(ledger)

    assert version_of(ledger) == len(MIGRATIONS)
    assert db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'half'").fetchone()[0] == 0
    db.close()


def test_two_processes_may_make_the_ledger_at_the_same_time(ledger: Path) -> None:
    errors: list[BaseException] = []
    barrier = threading.Barrier(4)

    def start() -> None:
        barrier.wait()
        try:
            open_for_writing(ledger).close()
        except LedgerError as error:
            errors.append(error)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert version_of(ledger) == len(MIGRATIONS)


def test_a_transaction_that_fails_changes_nothing(db: sqlite3.Connection) -> None:
    def fail() -> None:
        with transaction(db):
            db.execute("INSERT INTO observer VALUES ('x', 1)")
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert db.execute("SELECT count(*) FROM observer").fetchone()[0] == 0


async def test_a_write_goes_on_when_its_caller_is_cancelled(ledger: Path) -> None:
    database = Database(ledger)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(db: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()
        db.execute("INSERT INTO observer VALUES ('x', 1)")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(database.write(slowly))
        await asyncio.to_thread(begun.wait)
        task.cancel()
        go_on.set()

    row = await database.write(lambda db: db.execute("SELECT cursor FROM observer").fetchone())  # after the other write
    assert row["cursor"] == 1
    database.close()


async def test_a_long_read_aside_holds_up_no_other(ledger: Path) -> None:
    database = Database(ledger)
    begun, go_on = threading.Event(), threading.Event()

    def slowly(db: sqlite3.Connection) -> int:
        begun.set()
        go_on.wait()
        return int(db.execute("SELECT count(*) FROM item").fetchone()[0])

    async with asyncio.TaskGroup() as group:
        long = group.create_task(database.read_aside(slowly))
        await asyncio.to_thread(begun.wait)
        assert await database.read(lambda db: db.execute("SELECT 1").fetchone()[0]) == 1
        go_on.set()

    assert long.result() == 0
    with pytest.raises(LedgerError, match="readonly"):
        await database.read_aside(lambda db: db.execute("DELETE FROM observer"))
    database.close()


async def test_the_ledgers_own_errors_bear_its_name(ledger: Path) -> None:
    database = Database(ledger)

    for attempt in (database.read, database.write):
        with pytest.raises(LedgerError, match="no such table"):
            await attempt(lambda db: db.execute("SELECT * FROM nowhere"))
    with pytest.raises(LedgerError, match="readonly"):
        await database.read(lambda db: db.execute("DELETE FROM observer"))

    database.close()


def test_a_new_ledger_is_for_its_group_too_whatever_the_umask(ledger: Path) -> None:
    before = os.umask(0o077)
    try:
        open_for_writing(ledger).close()
    finally:
        os.umask(before)

    assert ledger.stat().st_mode & 0o777 == 0o660
