"""Which machine is the player of which screen: its public key, since when, and whether it was revoked.

SQLite in the plugin's state folder. The daemon alone writes, by a person's order; commands read.
Every method but `key_of` blocks: call it in a thread.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import sqlite3
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hub.api import HubError, Order, Outcome
from plugins.videotron.database import opened

FILE = "enrolments.db"
ENROLLED, REVOKED = "videotron.enrolled", "videotron.revoked"
SCHEMA = """
CREATE TABLE IF NOT EXISTS enrolment (
  player TEXT NOT NULL, key BLOB NOT NULL, since TEXT NOT NULL, who TEXT NOT NULL,
  revoked_at TEXT, why TEXT NOT NULL DEFAULT '', PRIMARY KEY (player, key)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS one_machine_a_screen ON enrolment (player) WHERE revoked_at IS NULL;
"""


class NotEnrolled(HubError):
    """The enrolment cannot be written down; the text says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    player: str
    key: bytes  # Ed25519, 32 bytes
    since: datetime
    who: str
    revoked_at: datetime | None
    why: str  # of the revocation


class Enrolments:
    """The daemon's record. `damaged` names a file that was set aside because it could not be read."""

    def __init__(self, path: Path) -> None:
        """Open or make the record. Raises: sqlite3.Error."""
        self._lock = threading.Lock()
        self.damaged: Path | None = None
        try:
            self._db = _opened(path)
        except sqlite3.OperationalError:  # locked, or a full disk: it may be whole
            raise
        except sqlite3.DatabaseError:
            self.damaged = _set_aside(path)
            self._db = _opened(path)
        self._now = {row.player: row.key for row in self.rows() if row.revoked_at is None}

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def key_of(self, player: str) -> bytes | None:
        """The public key of the machine at this screen now. From memory.

        None: nobody is enrolled there, or who was is revoked; what this screen says counts for nothing then.
        """
        return self._now.get(player)

    def rows(self) -> Sequence[Enrolment]:
        """Every enrolment there ever was, the oldest first."""
        with self._lock:
            return _rows(self._db)

    def enrol(self, player: str, key: bytes, *, at: datetime, who: str) -> None:
        """This machine is the screen's from now on; who was there before is revoked. Repeatable.

        Raises: NotEnrolled when this key was revoked, or is another screen's.
        """
        with self._lock:
            for row in _rows(self._db):
                if row.key == key and row.revoked_at:
                    raise NotEnrolled(
                        f"this machine's key was revoked ({row.player}: {row.why}); if the machine is trusted again,"
                        " have it make a new one: siarhub-player forget"
                    )
                if row.key == key and row.player != player:
                    raise NotEnrolled(
                        f"this machine is the player of {row.player}; revoke that first: siarhub videotron revoke"
                    )
            with _transaction(self._db):
                self._db.execute(
                    "UPDATE enrolment SET revoked_at = ?, why = 'another machine took its place'"
                    " WHERE player = ? AND key != ? AND revoked_at IS NULL",
                    (_text(at), player, key),
                )
                self._db.execute(
                    "INSERT INTO enrolment (player, key, since, who) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (player, key, _text(at), who),
                )
            self._now[player] = key

    def revoke(self, player: str, *, at: datetime, why: str) -> bool:
        """Nobody is the screen's player any more; False when nobody was."""
        with self._lock, _transaction(self._db):
            changed = self._db.execute(
                "UPDATE enrolment SET revoked_at = ?, why = ? WHERE player = ? AND revoked_at IS NULL",
                (_text(at), why, player),
            ).rowcount
        self._now.pop(player, None)
        return bool(changed)


async def carry_out(order: Order, enrolments: Enrolments, screens: Collection[str]) -> Outcome | None:
    """What came of `videotron.enrolled` or `videotron.revoked`; None: it is neither.

    Their args: `player`, and `key` (base64 of 32 bytes) of an enrolment.
    """
    player = order.args.get("player", "")
    if order.name == REVOKED:
        was = await asyncio.to_thread(enrolments.revoke, player, at=order.given_at, why=order.why)
        return Outcome(done=True, message=f"{player} is revoked" if was else f"{player} was not enrolled")
    if order.name != ENROLLED:
        return None
    if player not in screens:
        return _no(f"the running hub knows no screen {player}: add it, then systemctl restart siarhub")
    if (key := _public_key(order.args.get("key", ""))) is None:
        return _no("that is no player's key: base64 of 32 bytes, from siarhub-player identity")
    try:
        await asyncio.to_thread(enrolments.enrol, player, key, at=order.given_at, who=order.who)
    except NotEnrolled as error:
        return _no(str(error))
    return Outcome(done=True, message=f"{player} is enrolled")


def read_enrolments(state_dir: Path) -> Sequence[Enrolment]:
    """For commands: every enrolment there ever was; none when there is no record yet. Blocks. Raises: sqlite3.Error."""
    path = state_dir / FILE
    if not path.exists():
        return ()
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return _rows(db)
    finally:
        db.close()


def _no(why: str) -> Outcome:
    return Outcome(done=False, message=why)


def _public_key(text: str) -> bytes | None:
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return key if len(key) == 32 else None


def _rows(db: sqlite3.Connection) -> list[Enrolment]:
    query = "SELECT player, key, since, who, revoked_at, why FROM enrolment ORDER BY since, rowid"
    return [
        Enrolment(
            player=player,
            key=key,
            since=datetime.fromisoformat(since),
            who=who,
            revoked_at=datetime.fromisoformat(revoked_at) if revoked_at else None,
            why=why,
        )
        for player, key, since, who, revoked_at, why in db.execute(query)
    ]


@contextlib.contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _opened(path: Path) -> sqlite3.Connection:
    # No WAL: a reader of another user needs no file beside it.
    return opened(path, SCHEMA, journal="DELETE", synchronous="EXTRA")


def _set_aside(path: Path) -> Path:
    """Kept for whoever wants to look."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    path.with_name(f"{path.name}-journal").unlink(missing_ok=True)
    return aside
