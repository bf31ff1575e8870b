"""What people ordered above the schedule, screen by screen, and the signed overrides that came of it. Durable.

A wish is the latest order about a screen; an override is what its player is told. They differ while an emergency waits
for its film. SQLite in a file of its own: every write is on the disk when the method returns. Methods that write block.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from hub.api import ItemNumber
from plugins.videotron.database import opened, set_aside
from plugins.videotron.keys.keyring import Keyring
from plugins.videotron.protocol import (
    MAX_SAFE_INTEGER,
    Mode,
    Override,
    Standby,
    WireError,
    decode,
    encode_signed,
    key_id,
)

DATABASE = "overrides.sqlite3"
SCHEMA = """
CREATE TABLE IF NOT EXISTS wish (
  player TEXT PRIMARY KEY, order_id INTEGER NOT NULL, mode TEXT NOT NULL, template TEXT NOT NULL, item TEXT NOT NULL,
  file TEXT NOT NULL, reference TEXT NOT NULL, until TEXT, who TEXT NOT NULL, why TEXT NOT NULL, given_at TEXT NOT NULL,
  failed TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS override (
  player TEXT PRIMARY KEY, wish TEXT NOT NULL, signer TEXT NOT NULL, document BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS own_item (item TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The latest order about one screen."""

    player: str
    order: int
    mode: Mode
    template: str = ""  # of an emergency: the template's name,
    item: str = ""  # or the item's number; both "" while its file has not been accepted yet
    file: str = ""  # the SHA-256 of the file that is dropped for it,
    reference: str = ""  # and the approval number in its sidecar
    until: datetime | None
    who: str
    why: str
    given_at: datetime
    failed: str = ""  # why its file cannot be shown

    @property
    def key(self) -> str:
        """Of this order alone: a ledger that was restored from a backup counts its orders from an earlier one on."""
        return f"{self.order}/{self.given_at.isoformat()}"

    def comes_after(self, other: Wish) -> bool:
        """Whether this is the later one, also when either the ledger or the clock went back in between."""
        return self.order > other.order or self.given_at > other.given_at


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a player must be told next."""

    wish: str  # the key of the wish that asks for it
    mode: Mode
    until: datetime | None = None
    films: tuple[Standby, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """What a player is told: `document` goes out as it stands, now and after every restart."""

    wish: str  # the key of the wish that it came of
    signer: str
    override: Override
    document: bytes

    def over(self, now: datetime) -> bool:
        """Whether it does nothing (any more)."""
        until = self.override.until
        return self.override.mode is Mode.NONE or (until is not None and until <= now)


class Overrides:
    """Reads are from memory. One writer: the daemon."""

    def __init__(self, path: Path) -> None:
        """Open or make the database; a damaged one is set aside. Raises: sqlite3.Error."""
        self._lock = threading.Lock()
        try:
            self._db = opened(path, SCHEMA)
        except sqlite3.OperationalError:  # locked, or a full disk: it may be whole
            raise
        except sqlite3.DatabaseError:
            set_aside(path)
            self._db = opened(path, SCHEMA)
        self.wishes: Mapping[str, Wish] = {one.player: one for one in map(_wish, self._db.execute(_WISHES))}
        self.in_force: Mapping[str, InForce] = dict(_readable(self._db.execute(_OVERRIDES)))
        self.own_items = frozenset(ItemNumber(row[0]) for row in self._db.execute("SELECT item FROM own_item"))

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def wish(self, wishes: Sequence[Wish]) -> None:
        """Keep these; each replaces the one before about its screen."""
        rows = [
            (one.player, one.order, one.mode.value, one.template, one.item, one.file, one.reference,
             one.until.isoformat() if one.until else None, one.who, one.why, one.given_at.isoformat(), one.failed)
            for one in wishes
        ]  # fmt: skip
        with self._lock:
            self._write("INSERT OR REPLACE INTO wish VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self.wishes = {**self.wishes, **{one.player: one for one in wishes}}

    def accepted(self, order: int, item: ItemNumber) -> None:
        """The file of this order is an item now: kept for its emergency, and never shown by the schedule."""
        with self._lock:
            self._write("INSERT OR IGNORE INTO own_item VALUES (?)", [(item,)])
            self.own_items |= {item}
        self.wish([replace(one, item=item) for one in self.wishes.values() if one.order == order])

    def failed(self, order: int, reason: str) -> None:
        """What this order asked for cannot be shown."""
        self.wish([replace(one, failed=reason[:1000]) for one in self.wishes.values() if one.order == order])

    def issue(
        self, due: Mapping[str, Change], *, keyring: Keyring, now: datetime, seen: Mapping[str, int] | None = None
    ) -> Mapping[str, InForce]:
        """Sign and keep an override for each of these players, in one commit; returns them by player.

        `seen` has the counters that players say they follow, under these keys.
        """
        with self._lock:
            counters = {player: (seen or {}).get(player, 0) for player in due}
            issued = {player: self._signed(player, one, keyring, now, counters[player]) for player, one in due.items()}
            rows = [(player, one.wish, one.signer, one.document) for player, one in issued.items()]
            self._write("INSERT OR REPLACE INTO override VALUES (?, ?, ?, ?)", rows)
            self.in_force = {**self.in_force, **issued}
            return issued

    def _signed(self, player: str, due: Change, keyring: Keyring, now: datetime, seen: int) -> InForce:
        before = self.in_force.get(player)
        # Never below the milliseconds since 1970, nor below what the player follows: a lost database must still be
        # above what players have seen, even when the server's clock was ahead then.
        above = max(before.override.counter if before else 0, seen) + 1
        override = Override(
            site=keyring.site,
            aud=player,
            keyset=keyring.keyset.version,
            epoch=keyring.keyset.epoch,
            counter=min(max(above, int(now.timestamp() * 1000)), MAX_SAFE_INTEGER),
            issued=now.astimezone(UTC),
            until=due.until.astimezone(UTC) if due.until else None,
            mode=due.mode,
            films=due.films,
        )
        document = encode_signed(override, keyring.online)
        return InForce(wish=due.wish, signer=signer_of(keyring), override=override, document=document)

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(statement, rows)


def signer_of(keyring: Keyring) -> str:
    """What must be the same for a signature to be believed still."""
    keyset = keyring.keyset
    return f"{keyring.site}/{keyset.epoch}/{key_id(keyring.online.public)}"


_WISHES = "SELECT player, order_id, mode, template, item, file, reference, until, who, why, given_at, failed FROM wish"
_OVERRIDES = "SELECT player, wish, signer, document FROM override"


def _wish(row: tuple[str, int, str, str, str, str, str, str | None, str, str, str, str]) -> Wish:
    return Wish(
        player=row[0],
        order=row[1],
        mode=Mode(row[2]),
        template=row[3],
        item=row[4],
        file=row[5],
        reference=row[6],
        until=datetime.fromisoformat(row[7]) if row[7] else None,
        who=row[8],
        why=row[9],
        given_at=datetime.fromisoformat(row[10]),
        failed=row[11],
    )


def _readable(rows: Iterable[tuple[str, str, str, bytes]]) -> Iterator[tuple[str, InForce]]:
    for player, wish, signer, document in rows:
        with contextlib.suppress(WireError):  # of another version: it is issued anew, above it by the clock
            yield player, InForce(wish=wish, signer=signer, override=decode(Override, document), document=document)
