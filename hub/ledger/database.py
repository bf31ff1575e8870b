"""The ledger's file: one SQLite database, one writer, durable when a write returns.

WAL with `synchronous=FULL`: with NORMAL, SQLite keeps the file sound but a power cut takes acknowledged rows.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

from hub.api.errors import HubError
from hub.ledger import soundness
from hub.ledger.schema import APPLICATION, MIGRATIONS

P = ParamSpec("P")
T = TypeVar("T")
Query = Callable[Concatenate[sqlite3.Connection, P], T]

BUSY_S = 15.0
SMALL_BYTES = 32 << 20  # looked through in a fraction of a second
FULL = 2  # PRAGMA synchronous


class LedgerError(HubError):
    """The ledger cannot be trusted or used; the message says what to do."""


class Database:
    """Runs queries (functions of a connection) off the event loop: writes one at a time, reads beside them.

    A write is one transaction: all of the function's changes are durable when `write` returns, or none happened.
    Opening looks through the whole file when it is small or was not closed in order; `check` does so at any time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._distrusted = False
        look_first = not soundness.was_closed_in_order(path) or path.stat().st_size <= SMALL_BYTES
        self._writer = open_for_writing(path, look_first=look_first)
        self._reader, self._aside = _reader(path), _reader(path)
        self._write_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-write")
        self._read_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-read")
        self._aside_thread = ThreadPoolExecutor(1, thread_name_prefix="ledger-aside")

    async def write(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query(connection, ...)` in one transaction."""

        def run() -> T:
            with transaction(self._writer):
                return query(self._writer, *args, **kwargs)

        # Shielded: a caller that is cancelled must not leave half of what it saw done unknown to the next start.
        with self._trusted():
            return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._write_thread, run))

    async def read(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query(connection, ...)` on a consistent view."""
        run = lambda: query(self._reader, *args, **kwargs)  # noqa: E731 - a def of the same length says less
        with self._trusted():
            return await asyncio.get_running_loop().run_in_executor(self._read_thread, run)

    async def read_aside(self, query: Query[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, for what may be much: the hub's own short reads do not wait behind it."""
        run = lambda: query(self._aside, *args, **kwargs)  # noqa: E731 - as above
        with self._trusted():
            return await asyncio.get_running_loop().run_in_executor(self._aside_thread, run)

    async def check(self) -> None:
        """Look through the whole file, beside all other work. Raises: LedgerError when it is damaged."""
        with self._trusted(), closing(connect(self._path)) as connection:
            looking = asyncio.get_running_loop().run_in_executor(None, soundness.verdict, connection)
            try:
                found = await asyncio.shield(looking)
            except asyncio.CancelledError:
                connection.interrupt()  # a stop need not wait for the end of a large file
                await asyncio.wait([looking])
                raise
            if found:
                self._distrusted = True
                raise LedgerError(_damaged(self._path, found))

    @contextmanager
    def _trusted(self) -> Iterator[None]:
        # A name of its own: plugins keep databases too, and an error of theirs is not the ledger's.
        try:
            yield
        except sqlite3.Error as error:
            self._distrusted = True
            raise LedgerError(f"{self._path}: {error}; check the disk, then start the hub again") from error

    def close(self) -> None:
        for thread in (self._write_thread, self._read_thread, self._aside_thread):
            thread.shutdown()
        for connection in (self._aside, self._reader, self._writer):
            connection.close()
        if not self._distrusted:
            soundness.note_closed(self._path)


def open_for_writing(path: Path, *, look_first: bool = False) -> sqlite3.Connection:
    """A connection to a ledger that is durable and of the newest schema; `look_first` reads the whole file for damage.

    Raises: LedgerError when the file is damaged, newer than this program, or cannot promise durability.
    """
    _create(path)
    with _opened(path) as connection:
        _check_kind(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        if connection.execute("PRAGMA synchronous").fetchone()[0] != FULL:
            raise LedgerError(f"{path}: SQLite does not accept synchronous=FULL; acknowledged work could be lost")
        if look_first and (found := soundness.verdict(connection)):
            raise LedgerError(_damaged(path, found))
        migrate(connection, path)
    return connection


def _create(path: Path) -> None:
    """A new ledger is for its group too: persons' orders are rows in it. SQLite's side files take over its mode."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
    except FileExistsError:
        return
    except OSError as error:
        raise LedgerError(f"{path}: {error.strerror}; check the disk, the owner and the mode of its folder") from error
    os.fchmod(fd, 0o660)
    os.close(fd)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A read-only connection, for the commands that only show. Raises: LedgerError."""
    if not path.is_file():
        raise LedgerError(f"{path}: no ledger there yet; start the hub once (siarhub run)")
    with _opened(path) as connection:
        connection.execute("PRAGMA query_only = ON")
        if _check_kind(connection, path) < len(MIGRATIONS):
            raise LedgerError(f"{path}: written by an older Siar Hub; start the hub once, which brings it up to date")
    return connection


def connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _reader(path: Path) -> sqlite3.Connection:
    connection = connect(path)
    connection.execute("PRAGMA query_only = ON")
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
    while (version := _check_kind(connection, path)) < len(MIGRATIONS):
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] != version:
                continue  # another process was quicker
            for statement in MIGRATIONS[version].split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {version + 1}")


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection that stays open when all is well; whatever SQLite says against it is a LedgerError."""
    connection = None
    try:
        connection = connect(path)
        yield connection
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, sqlite3.Error):
            raise LedgerError(_explained(path, error)) from error
        raise


def _check_kind(connection: sqlite3.Connection, path: Path) -> int:
    """The schema's version. Raises: LedgerError for another program's database, and for a newer one."""
    connection.execute("BEGIN")  # one view: another start may be making the ledger just now
    try:
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = connection.execute("PRAGMA application_id").fetchone()[0]
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    # The very first ledgers bore no mark.
    if application != APPLICATION and (application or version > 1 or (version == 0 and tables)):
        raise LedgerError(f"{path}: this is another program's database, not the hub's ledger; correct state_dir")
    if version > len(MIGRATIONS):
        raise LedgerError(f"{path}: written by a newer Siar Hub (schema {version}); install that version again")
    return version


def _explained(path: Path, error: sqlite3.Error) -> str:
    if isinstance(error, sqlite3.OperationalError) or type(error) is not sqlite3.DatabaseError:
        return f"{path}: {error}; check the disk, the owner and the mode of this file and of its folder"
    return _damaged(path, str(error))


def _damaged(path: Path, verdict: str) -> str:
    return f"{path}: damaged ({verdict}); stop the hub and restore the last backup of this file"
