"""The kept proofs of play as commands read them: of a running or a stopped hub, changing nothing. All of it blocks."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from plugins.videotron.proofs.doubts import Remark, Weight
from plugins.videotron.proofs.store import COLUMNS, FILE_NAME, Kept, kept, text_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One record of a player, as the hub remembers it: what is kept must reach `seq` and end in `hash`."""

    id: str
    seq: int
    hash: bytes
    since: datetime
    gaps: frozenset[tuple[int, int]] = frozenset()  # what was known to be missing when it came
    remarks: dict[int, Remark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """The first and the last number of a piece of a chain; `last` below `first` is the place between two pieces."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork:
    chain: str
    seq: int
    found_at: datetime


class Proofs:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def chains(self, player: str) -> list[Chain]:
        """The player's records, oldest first."""
        query = "SELECT chain, seq, hash, since FROM head WHERE player = ? ORDER BY id"
        return [
            Chain(
                id=chain,
                seq=seq,
                hash=digest,
                since=datetime.fromisoformat(since),
                gaps=self._gaps(player, chain),
                remarks=self._remarks(player, chain),
            )
            for chain, seq, digest, since in self._db.execute(query, (player,)).fetchall()
        ]

    def stretch(self, player: str, chain: Chain, start: datetime, end: datetime) -> Stretch | None:
        """The numbers of the chain's plays from `start` until before `end`; of the hole that there is instead of them.

        By number and not by time: a clock may be set back.
        """
        who, times = (player, chain.id), (text_of(start), text_of(end))
        where = "FROM envelope WHERE player = ? AND chain = ?"
        query = f"SELECT min(first), max(last) {where} AND to_at >= ? AND from_at < ?"
        first, last = self._db.execute(query, (*who, *times)).fetchone()
        if first is not None:
            return Stretch(first=first, last=last)
        before = self._db.execute(f"SELECT max(last) {where} AND to_at < ?", (*who, times[0])).fetchone()[0]
        after = self._db.execute(f"SELECT min(first) {where} AND from_at >= ?", (*who, times[1])).fetchone()[0]
        if before is None:
            return None if after or chain.since >= end else Stretch(first=1, last=chain.seq)
        return Stretch(first=before + 1, last=after - 1 if after else chain.seq)

    def envelopes(self, player: str, chain: Chain, stretch: Stretch) -> Iterator[Kept]:
        """Those of the stretch, with one before and one after it, in the chain's order."""
        of_chain = "player = :player AND chain = :chain"
        query = (
            f"SELECT {COLUMNS} FROM envelope WHERE {of_chain} AND (first <= :last AND last >= :first"  # noqa: S608
            f" OR id = (SELECT id FROM envelope WHERE {of_chain} AND last < :first ORDER BY last DESC, id LIMIT 1)"
            f" OR id = (SELECT id FROM envelope WHERE {of_chain} AND first > :last ORDER BY first, id LIMIT 1))"
            " ORDER BY first, last, id"
        )
        values = {"player": player, "chain": chain.id, "first": stretch.first, "last": stretch.last}
        for row in self._db.execute(query, values):
            yield kept(row)

    def forks(self, player: str, start: datetime, end: datetime) -> list[Fork]:
        query = "SELECT chain, seq, found_at FROM fork WHERE player = ? AND found_at >= ? AND found_at < ?"
        rows = self._db.execute(query, (player, text_of(start), text_of(end)))
        return [Fork(chain=chain, seq=seq, found_at=datetime.fromisoformat(at)) for chain, seq, at in rows]

    def journalled(self) -> int:
        """The last envelope of which the hub has told its journal."""
        return int(self._db.execute("SELECT envelope FROM journalled").fetchone()[0])

    def holds(self, player: str, chain: Chain, seq: int) -> bool:
        """Whether an envelope with this entry is kept by now."""
        query = "SELECT 1 FROM envelope WHERE player = ? AND chain = ? AND last >= ? AND first <= ?"
        return self._db.execute(query, (player, chain.id, seq, seq)).fetchone() is not None

    def _gaps(self, player: str, chain: str) -> frozenset[tuple[int, int]]:
        rows = self._db.execute("SELECT first, last FROM gap WHERE player = ? AND chain = ?", (player, chain))
        return frozenset((first, last) for first, last in rows)

    def _remarks(self, player: str, chain: str) -> dict[int, Remark]:
        query = "SELECT seq, weight, text FROM remark WHERE player = ? AND chain = ?"
        return {seq: Remark(Weight(weight), text) for seq, weight, text in self._db.execute(query, (player, chain))}


@contextmanager
def open_proofs(state_dir: Path) -> Iterator[Proofs]:
    """The proofs in the plugin's state folder. Raises: sqlite3.Error, also when none was ever kept."""
    path = (state_dir / FILE_NAME).absolute()
    uri = f"{path.as_uri()}?mode=ro"
    if not path.with_name(path.name + "-wal").exists():
        uri += "&immutable=1"  # the hub is down; SQLite would make side files, in a folder where the reader may not
    db = sqlite3.connect(uri, uri=True)
    try:
        yield Proofs(db)
    finally:
        db.close()
