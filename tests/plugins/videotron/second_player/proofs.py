"""The record of what was shown: a hash chain that grows over restarts and forgets only what the hub has."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .trust import write_durably

MOST_WAITING, BATCH, MOST_BATCH_BYTES = 1000, 200, 500_000
ROOT = "0" * 64


@dataclass(slots=True, kw_only=True)
class Record:
    chain: str = field(default_factory=lambda: secrets.token_hex(8))
    forgotten: int = 0  # seq of the last entry before those that wait, and its hash
    hash: str = ROOT
    waiting: list[str] = field(default_factory=list)  # the texts of the entries
    begun: dict[str, Any] | None = None  # a playback whose end was not seen yet
    note: str = ""  # stands at the end of its reason
    lost: int = 0
    cause: str = ""  # said by the first entry of this chain


class Proofs:
    def __init__(self, path: Path) -> None:
        self._path, self._record = path, Record()
        if path.exists():
            try:
                self._record = Record(**json.loads(path.read_bytes()))
            except (ValueError, TypeError):
                self._record = Record(cause="the record of proofs was spoiled")
        if self._record.begun:
            self.end("unknown", 0, "the player stopped before its end")

    @property
    def chain(self) -> str:
        return self._record.chain

    @property
    def seq(self) -> int:
        return self._record.forgotten + len(self._record.waiting)

    @property
    def waiting(self) -> int:
        return len(self._record.waiting)

    @property
    def lost(self) -> int:
        return self._record.lost

    def begin(self, play: dict[str, Any], note: str = "") -> None:
        """A film's first picture is on the screen: `play` has all of an entry but its number and its end."""
        self._record.begun, self._record.note = play, note
        self._write()

    def end(self, result: str, seconds: float, reason: str = "") -> None:
        record, play = self._record, self._record.begun
        record.begun = None
        if play is None:
            return
        if len(record.waiting) >= MOST_WAITING:
            record.lost += 1
        else:
            lost = f"lost {record.lost} before this" if record.lost else ""
            reason = "; ".join(filter(None, (lost, record.cause, reason, record.note)))[:300]
            entry = {"seq": self.seq + 1, **play, "seconds": round(min(seconds, 86400), 3), "result": result}
            entry["reason"] = reason
            record.waiting.append(json.dumps(entry, separators=(",", ":"), ensure_ascii=False))
            record.lost, record.cause = 0, ""
        self._write()

    def batch(self, player: str) -> dict[str, Any] | None:
        """The oldest entries that wait, as the document that the hub wants."""
        record, entries, size = self._record, [], 0
        for text in record.waiting[:BATCH]:
            size += 2 * len(text.encode())  # escaped once in the payload, and again in the envelope
            if size > MOST_BATCH_BYTES:
                break
            entries.append(text)
        return {"player": player, "chain": record.chain, "prev": record.hash, "entries": entries} if entries else None

    def acknowledge(self, ack: dict[str, Any]) -> bool:
        """Forget what the hub has; begin a new chain when it has something else than this record says."""
        record = self._record
        if ack["chain"] != record.chain or ack["seq"] < record.forgotten:
            return False
        hashes = [bytes.fromhex(record.hash)]
        for text in record.waiting[: ack["seq"] - record.forgotten]:
            hashes.append(hashlib.sha256(hashes[-1] + text.encode()).digest())
        if ack["seq"] > self.seq or hashes[-1].hex() != ack["hash"]:
            self._begin_anew("the disk of the player went back in time")
        elif ack["seq"] == record.forgotten:
            return False
        else:
            del record.waiting[: ack["seq"] - record.forgotten]
            record.forgotten, record.hash = ack["seq"], ack["hash"]
        self._write()
        return True

    def _begin_anew(self, cause: str) -> None:
        old = self._record
        self._record = Record(begun=old.begun, note=old.note, lost=old.lost, cause="" if old.waiting else cause)
        for number, text in enumerate(old.waiting, 1):
            entry = json.loads(text) | {"seq": number}
            if number == 1:
                entry["reason"] = "; ".join(filter(None, (cause, entry["reason"])))[:300]
            self._record.waiting.append(json.dumps(entry, separators=(",", ":"), ensure_ascii=False))

    def _write(self) -> None:
        write_durably(self._path, json.dumps(asdict(self._record)).encode())
