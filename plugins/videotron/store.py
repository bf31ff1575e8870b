"""What the hub has told its players, kept through restarts: manifests, retained topics, and who was given what.

SQLite in the plugin's state folder. Every method blocks: call it in a thread.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hub.api import CurrentDelivery, ItemNumber, Sha256
from plugins.videotron.database import opened, set_aside
from plugins.videotron.keys.keyring import Keyring
from plugins.videotron.manifests import Programme
from plugins.videotron.protocol import Manifest, Screen, WireError, cid_of, decode, encode_signed

SCHEMA = """
CREATE TABLE IF NOT EXISTS manifest (
  player TEXT PRIMARY KEY, digest TEXT NOT NULL, document BLOB NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS given (
  player TEXT NOT NULL, item TEXT NOT NULL, cid TEXT NOT NULL, sha256 TEXT NOT NULL, delivery TEXT NOT NULL,
  PRIMARY KEY (player, item, cid)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retained (topic TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A file that a player was told to play: what a proof of play must refer to."""

    delivery: str
    item: ItemNumber
    sha256: Sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """The manifest in force for a player; `document` goes out as it stands, now and after every restart."""

    player: str
    manifest: Manifest
    document: bytes
    digest: str  # of what it says, whenever it was said

    @property
    def version(self) -> tuple[int, int]:
        return self.manifest.epoch, self.manifest.seq


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a player's manifest should say, and the deliveries that it comes from."""

    player: str
    screen: Screen | None  # None: as it was, for a player whose screen is no longer configured
    programme: Programme = field(default_factory=Programme)
    deliveries: Sequence[CurrentDelivery] = ()
    fetch_kbps: int = 0


class Store:
    def __init__(self, path: Path) -> None:
        """Open or make the database. A damaged one is set aside: manifests are issued anew. Raises: sqlite3.Error."""
        self._lock = threading.Lock()
        self._cache: dict[str, Issued] = {}
        try:
            self._db = opened(path, SCHEMA)
        except sqlite3.OperationalError:  # locked, or a full disk: it may be whole
            raise
        except sqlite3.DatabaseError:
            set_aside(path)
            self._db = opened(path, SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def issue(
        self, wishes: Sequence[Wish], *, keyring: Keyring, now: datetime, valid: timedelta, reissue: timedelta
    ) -> dict[str, Issued]:
        """By player, the manifest with its programme: the one in force while it says the same and is fresh, else a
        newer one. What it gives a player is remembered, for the proofs, before anybody can see the manifest.
        """
        with self._lock:
            known = {wish.player: self._issued(wish.player) for wish in wishes}
            new: list[tuple[Wish, str, Issued]] = []
            for wish in wishes:
                before = known[wish.player]
                digest = _digest(wish, keyring)
                if before is None or before.digest != digest or not _is_fresh(before.manifest, now, reissue):
                    new.append((wish, digest, _signed(wish, before, digest, keyring, now, valid)))
            if new:
                self._remember(new)
            self._cache |= {issued.player: issued for _, _, issued in new}
            return {wish.player: self._cache[wish.player] for wish in wishes}

    def issued(self, player: str) -> Issued | None:
        """The manifest in force for a player; None when it was never sent one."""
        with self._lock:
            return self._issued(player)

    def players(self) -> list[str]:
        """Everybody who was ever sent a manifest."""
        with self._lock:
            return [row[0] for row in self._db.execute("SELECT player FROM manifest ORDER BY player")]

    def given(self, player: str, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Given]:
        """What the player was given, by (item, cid); a pair that it never was is not in the answer."""
        found: dict[tuple[str, str], Given] = {}
        query = "SELECT delivery, sha256 FROM given WHERE player = ? AND item = ? AND cid = ?"
        with self._lock:
            for item, cid in set(keys):
                if row := self._db.execute(query, (player, item, cid)).fetchone():
                    found[item, cid] = Given(delivery=row[0], item=ItemNumber(item), sha256=Sha256(row[1]))
        return found

    def retained(self) -> set[str]:
        """The topics that may hold a retained document of ours at the broker."""
        with self._lock:
            return {row[0] for row in self._db.execute("SELECT topic FROM retained")}

    def will_retain(self, topics: Iterable[str]) -> None:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT OR IGNORE INTO retained VALUES (?)", [(topic,) for topic in topics])

    def cleared(self, topics: Iterable[str]) -> None:
        with self._lock, self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("DELETE FROM retained WHERE topic = ?", [(topic,) for topic in topics])

    def _issued(self, player: str) -> Issued | None:
        if player not in self._cache and (found := _read_issued(self._db, player)):
            self._cache[player] = found
        return self._cache.get(player)

    def _remember(self, new: Sequence[tuple[Wish, str, Issued]]) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO manifest VALUES (?, ?, ?)",
                [(issued.player, digest, issued.document) for _, digest, issued in new],
            )
            self._db.executemany(
                "INSERT OR REPLACE INTO given VALUES (?, ?, ?, ?, ?)",
                [
                    (wish.player, one.item.number, cid_of(rendition.sha256), rendition.sha256, one.delivery.key)
                    for wish, _, _ in new
                    for one in wish.deliveries
                    for rendition in one.renditions
                ],
            )


def _read_issued(db: sqlite3.Connection, player: str) -> Issued | None:
    row = db.execute("SELECT document, digest FROM manifest WHERE player = ?", (player,)).fetchone()
    if row is None:
        return None
    try:
        return Issued(player=player, manifest=decode(Manifest, row[0]), document=row[0], digest=row[1])
    except WireError:  # of another version, or spoiled: it is issued anew, above it by the clock
        return None


def _is_fresh(manifest: Manifest, now: datetime, reissue: timedelta) -> bool:
    return abs(now - manifest.issued) < reissue and now < manifest.expires


def _signed(
    wish: Wish, before: Issued | None, digest: str, keyring: Keyring, now: datetime, valid: timedelta
) -> Issued:
    manifest = Manifest(
        site=keyring.site,
        aud=wish.player,
        keyset=keyring.keyset.version,
        epoch=keyring.keyset.epoch,
        seq=_next_seq(before, keyring, now),
        issued=now.astimezone(UTC),
        expires=(now + valid).astimezone(UTC),
        screen=wish.screen or (before.manifest.screen if before else Screen(width=16, height=16)),
        fetch_kbps=wish.fetch_kbps,
        items=wish.programme.items,
        standby=wish.programme.standby,
        fallback=wish.programme.fallback,
    )
    manifest, document = _sealed(manifest, keyring)
    return Issued(player=wish.player, manifest=manifest, document=document, digest=digest)


def _sealed(manifest: Manifest, keyring: Keyring) -> tuple[Manifest, bytes]:
    """The manifest, signed. Of more films than a document can carry, the last ones in playing order are left out."""
    while True:
        try:
            return manifest, encode_signed(manifest, keyring.online)
        except WireError:  # hundreds of films with long titles and many times of day
            if not manifest.items:
                raise
            manifest = manifest.model_copy(update={"items": manifest.items[: len(manifest.items) * 9 // 10]})


def _next_seq(before: Issued | None, keyring: Keyring, now: datetime) -> int:
    """Never below the seconds since 1970: a hub that lost this file must still be above what players have seen."""
    last = before.manifest.seq if before and before.manifest.epoch == keyring.keyset.epoch else 0
    return max(last + 1, int(now.timestamp()))


def _digest(wish: Wish, keyring: Keyring) -> str:
    """Of all that must be said anew when it changes, the keys that say it included."""
    parts = [keyring.site, str(keyring.keyset.version), keyring.online.public.hex(), repr(wish.screen)]
    parts += [f"fetch {wish.fetch_kbps}"] if wish.fetch_kbps else []
    parts += [repr(item) for item in wish.programme.items]
    parts += ["standby", *(repr(film) for film in wish.programme.standby), "fallback", repr(wish.programme.fallback)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
