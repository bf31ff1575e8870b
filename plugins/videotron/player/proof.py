"""The player's record of every playback: a hash chain, durable before it is sent, kept until the hub has it.

All of it blocks: use a thread.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from plugins.videotron.player.proof_db import Head, opened
from plugins.videotron.player.spoiled import set_aside
from plugins.videotron.protocol import ProofAck, ProofEntry, ProofOfPlay, cid_of
from plugins.videotron.protocol.chain import BEGINNING, CLOCK_BEHIND, Result, link, lost_before, with_lost, without_lost

BATCH = 200
BATCH_BYTES = 100_000  # as sent: some brokers refuse more than 128 KB
LONGEST_S = 86400.0
IN_MEMORY = Path(":memory:")
NEVER_SEEN = "its end was not seen: the power was cut, or the player was killed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A film's first picture is on the screen."""

    item: str
    title: str
    sha256: str
    epoch: int  # of the manifest that it is played by
    manifest: int  # its seq
    started_at: datetime
    clock_behind: bool = False  # the time is a floor: it may have been later


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How it ended, `seconds` later by the monotonic clock."""

    shown: Shown
    seconds: float
    result: Result
    reason: str = ""


class ProofLog:
    """Plays that the hub has not acknowledged yet, oldest first, and the head of their chain."""

    def __init__(self, path: Path, *, boot: str, keep: int, set_aside: Callable[[Path], None]) -> None:
        """Open or begin the record; one that the disk has spoiled is set aside and told, and a new chain begun.

        What was on the screen when the last process ended becomes an entry `unknown`. On a disk that takes nothing the
        record is kept in memory, and `trouble` says so: the screen goes on.
        """
        self._path = path
        self._boot = boot
        self._keep = keep
        self._set_aside = set_aside
        self._lock = threading.Lock()
        self.trouble = ""
        self._db = self._open()
        self._now = self._head()  # in memory: the state is asked for while another thread waits for the disk
        self.waiting = self._count(self._now)
        with contextlib.suppress(sqlite3.Error), self._writing():  # full, maybe: then before the next that is recorded
            self._end_unseen()

    def record(self, events: Iterable[Shown | Ended]) -> bool:
        """Keep these, in this order, in one commit; they survive a power cut from here on.

        False: there was no room for some; they are counted, and the next entry tells how many. Raises: sqlite3.Error.
        """
        with self._writing():
            kept = [self._take(event) for event in events]
        return all(kept)

    def next_batch(self, player: str) -> ProofOfPlay | None:
        """The oldest plays that wait; None when the hub has all. Raises: sqlite3.Error."""
        with self._writing():
            rows = self._oldest()
            if rows is None:  # an entry does not fit its hash: the disk changed it
                self._begin_anew("an entry before this was spoiled on the disk")
                rows = self._oldest()
            if not rows:
                return None
            texts = tuple(text for _, text in rows[: _how_many(rows)])
            return ProofOfPlay(player=player, chain=self._head().chain, prev=rows[0][0].hex(), entries=texts)

    def forget(self, ack: ProofAck) -> int:
        """Drop what the hub has dealt with; returns how many that were. Raises: sqlite3.Error.

        When the hub has other entries under these numbers, or more, then this record is older than what was sent from
        it (a disk that lost what it had written): what waits goes on in a new chain.
        """
        with self._writing():
            head = self._head()
            if ack.chain != head.chain:
                return 0
            own = self._hash_at(ack.seq, head)
            if own is None and ack.seq <= head.seq:  # long forgotten
                return 0
            if own is None or bytes.fromhex(ack.hash) != own:
                self._begin_anew("the record on the disk was older than what the hub has")
                return 0
            return self._db.execute("delete from entry where seq <= ?", (ack.seq,)).rowcount

    @property
    def chain(self) -> str:
        return self._now.chain

    @property
    def seq(self) -> int:
        """The number of the newest entry of the chain."""
        return self._now.seq

    @property
    def lost(self) -> int:
        """Plays that could not be kept since this record was begun."""
        return self._now.lost_ever

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction. A database that turns out to be spoiled is replaced; the caller tries again."""
        with self._lock:
            try:
                with self._db:
                    self._db.execute("begin immediate")
                    yield
                self._now = self._head()
                self.waiting = self._count(self._now)
            except sqlite3.DatabaseError as error:
                if type(error) is sqlite3.DatabaseError:  # malformed; a full or slow disk is one of its subclasses
                    self._db.close()
                    self._db = self._begun_after_spoiled()
                raise

    def _open(self) -> sqlite3.Connection:
        try:
            return self._opened_or_begun()
        except (sqlite3.DatabaseError, OSError) as error:
            self.trouble = f"plays are recorded in memory alone: {error}"
            return opened(IN_MEMORY, "the record on the disk could not be opened")

    def _opened_or_begun(self) -> sqlite3.Connection:
        if self._path.is_dir():  # the disk made something else of it
            return self._begun_after_spoiled()
        try:
            return opened(self._path, "")
        except sqlite3.DatabaseError as error:
            if type(error) is not sqlite3.DatabaseError:
                raise
            return self._begun_after_spoiled()

    def _begun_after_spoiled(self) -> sqlite3.Connection:
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._set_aside(set_aside(self._path))
        return opened(self._path, "the record before this was spoiled")

    # --- within a transaction

    def _take(self, event: Shown | Ended) -> bool:
        try:
            return self._begin(event) if isinstance(event, Shown) else self._end(event)
        except ValidationError:  # a manifest that no hub of ours makes: nothing may keep the others from being recorded
            self._count_lost()
            return False

    def _begin(self, shown: Shown) -> bool:
        entry = self._entry(Ended(shown=shown, seconds=0.0, result=Result.UNKNOWN, reason=NEVER_SEEN))
        kept = self._end_unseen()
        self._db.execute("insert into showing values (1, ?)", (entry.model_dump_json(),))
        return kept

    def _end(self, ended: Ended) -> bool:
        entry = self._entry(ended)
        marked = self._marked()
        if marked and marked == (entry.item, entry.started_at):
            self._db.execute("delete from showing")
        return self._append(entry)

    def _end_unseen(self) -> bool:
        """What was begun and has no end gets one."""
        row = self._db.execute("select text from showing").fetchone()
        if row is None:
            return True
        self._db.execute("delete from showing")
        try:
            return self._append(ProofEntry.model_validate_json(row[0]))
        except ValidationError:  # spoiled on the disk
            self._count_lost()
            return False

    def _marked(self) -> tuple[str, datetime] | None:
        row = self._db.execute("select text from showing").fetchone()
        try:
            entry = ProofEntry.model_validate_json(row[0]) if row else None
        except ValidationError:
            return None
        return (entry.item, entry.started_at) if entry else None

    def _entry(self, ended: Ended) -> ProofEntry:
        shown = ended.shown
        return ProofEntry(
            seq=1,  # its number comes with its place
            boot=self._boot,
            item=shown.item,
            title=shown.title[:300],
            cid=cid_of(shown.sha256),
            sha256=shown.sha256,
            epoch=shown.epoch,
            manifest=shown.manifest,
            started_at=shown.started_at.astimezone(UTC),
            seconds=round(min(max(ended.seconds, 0.0), LONGEST_S), 3),
            result=ended.result.value,
            reason="; ".join(part for part in (ended.reason[:150], CLOCK_BEHIND * shown.clock_behind) if part),
        )

    def _append(self, entry: ProofEntry) -> bool:
        head = self._head()
        if self._count(head) >= self._keep:
            self._count_lost()
            return False
        reason = with_lost(head.lost, "; ".join(part for part in (head.why, entry.reason) if part))[:300]
        text = entry.model_copy(update={"seq": head.seq + 1, "reason": reason}).model_dump_json()
        self._db.execute("insert into entry values (?, ?, ?)", (head.seq + 1, head.hash, text))
        self._db.execute("update head set seq = seq + 1, hash = ?, why = '', lost = 0", (link(head.hash, text),))
        return True

    def _count_lost(self, plays: int = 1) -> None:
        self._db.execute("update head set lost = lost + ?, lost_ever = lost_ever + ?", (plays, plays))

    def _oldest(self) -> list[tuple[bytes, str]] | None:
        """The entries to send next, each with the hash before it; None when one of them is not what was written."""
        rows = self._db.execute("select prev, text from entry order by seq limit ?", (BATCH + 1,)).fetchall()
        hashes = [row[0] for row in rows[1:]] + [self._head().hash]
        sound = all(link(prev, text) == after for (prev, text), after in zip(rows[:BATCH], hashes, strict=False))
        return rows[:BATCH] if sound else None

    def _begin_anew(self, why: str) -> None:
        """What waits, in a new chain; an entry that cannot be read is lost, and counted."""
        texts = [row[0] for row in self._db.execute("select text from entry order by seq")]
        self._db.execute("delete from entry")
        self._db.execute(
            "update head set chain = ?, seq = 0, hash = ?, why = ?", (secrets.token_hex(8), BEGINNING, why)
        )
        for text in texts:
            try:
                entry = ProofEntry.model_validate_json(text)
            except ValidationError:
                self._count_lost()
                continue
            self._db.execute("update head set lost = lost + ?", (lost_before(entry.reason),))  # they were counted
            self._append(entry.model_copy(update={"reason": without_lost(entry.reason)}))

    def _hash_at(self, seq: int, head: Head) -> bytes | None:
        """The hash of an entry; None when it is not known any more, or not yet."""
        if seq == head.seq:
            return head.hash
        row = self._db.execute("select prev from entry where seq = ?", (seq + 1,)).fetchone()
        return row[0] if row else None

    def _count(self, head: Head) -> int:
        oldest = self._db.execute("select min(seq) from entry").fetchone()[0]
        return head.seq - oldest + 1 if oldest else 0

    def _head(self) -> Head:
        return Head(*self._db.execute("select chain, seq, hash, why, lost, lost_ever from head").fetchone())


def _how_many(rows: list[tuple[bytes, str]]) -> int:
    """How many of these go into one envelope; at least one."""
    size = 0
    for at, (_, text) in enumerate(rows):
        once = json.dumps(text, ensure_ascii=False)  # a text in a text in a text
        size += len(json.dumps(once, ensure_ascii=False).encode())
        if at and size > BATCH_BYTES:
            return at
    return len(rows)
