"""The ledger's file: one SQLite database, one writer, durable when a write returns.

WAL with `synchronous=FULL`: with NORMAL, SQLite keeps the file sound but a power cut takes acknowledged rows.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hub.api.errors import HubError
from hub.ledger.schema import MIGRATIONS

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[sqlite3.Connection, P], T]

BUSY_S = 15.0
FULL = 2  # PRAGMA synchronous


class LedgerError(HubError):
    """The ledger cannot be trusted or used; the message says what to do."""


class Database:
    """Runs queries (functions of a connection) off the event loop: writes one at a time, reads beside them.

    A write is one transaction: all of the function's changes are durable when `write` returns, or none happened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer = open_for_writing(path)
        self._reader = connect(path)
        self._reader.execute("PRAGMA query_only = ON")
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-read")

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query(connection, ...)` in one transaction."""

        def run() -> T:
            with transaction(self._writer):
                return query(self._writer, *args, **kwargs)

        # Shielded: a caller that is cancelled must not leave half of what it saw done unknown to the next start.
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._write_thread, run))

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query(connection, ...)` on a consistent view."""
        run = lambda: query(self._reader, *args, **kwargs)  # noqa: E731 - a def of the same length says less
        return await asyncio.get_running_loop().run_in_executor(self._read_thread, run)

    def close(self) -> None:
        self._write_thread.shutdown()
        self._read_thread.shutdown()
        self._reader.close()
        self._writer.close()


def open_for_writing(path: Path) -> sqlite3.Connection:
    """A connection to a ledger that is sound, durable and of the newest schema.

    Raises: LedgerError when the file is damaged, newer than this program, or cannot promise durability.
    """
    try:
        connection = connect(path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != FULL:
            raise LedgerError(f"{path}: SQLite does not accept synchronous=FULL; acknowledged work could be lost")
        if (verdict := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise LedgerError(f"{path}: damaged ({verdict}); stop the hub and restore the last backup of this file")
        migrate(connection, path)
    except sqlite3.Error as error:
        raise LedgerError(f"{path}: {error}; check the disk, the owner and the mode of this file") from error
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A read-only connection, for the commands that only show. Raises: LedgerError."""
    if not path.is_file():
        raise LedgerError(f"{path}: no ledger there yet; start the hub once (siarhub run)")
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that what was read inside is still true at the commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the schema to the newest version, one numbered step at a time, each in a transaction of its own."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise LedgerError(f"{path}: written by a newer Siar Hub (schema {version}); install that version again")
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        with transaction(connection):
            for statement in script.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
