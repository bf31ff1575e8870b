"""A month's events, a JSON line each, in `berjalan/peristiwa.jsonl`: appended, never rewritten, each fact once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from hub.api import Aired, Delivered, DeliveryFailed, JournalEntry, Played
from hub.api.files import fsync_folder
from plugins.archive.months import local_iso

NAME = "peristiwa.jsonl"

# A clock that is wrong by more than this says nothing: then the time at which the hub learnt of it counts.
EARLIEST = timedelta(days=92)
LATEST = timedelta(days=1)

# Event types of PREMIS; what has none there stays empty.
_PREMIS = {
    "Played": "dissemination",
    "Aired": "dissemination",
    "Filed": "ingestion",
    "Refused": "validation",
}


def happened_at(entry: JournalEntry) -> datetime:
    """When a fact happened, as far as its own time can be believed; else when the hub recorded it."""
    fact = entry.fact
    claimed = entry.recorded_at
    if isinstance(fact, Played):
        claimed = fact.started_at
    elif isinstance(fact, Aired | Delivered | DeliveryFailed):
        claimed = fact.at
    known = claimed.tzinfo is not None and entry.recorded_at - EARLIEST <= claimed <= entry.recorded_at + LATEST
    return claimed if known else entry.recorded_at


def line_of(entry: JournalEntry, zone: tzinfo) -> str:
    """One fact as a line of JSON, its times with the offset of the people's zone."""
    kind = type(entry.fact).__name__
    line: dict[str, Any] = {
        "seq": entry.seq,
        "waktu": local_iso(happened_at(entry), zone),
        "dicatat": local_iso(entry.recorded_at, zone),
        "oleh": entry.plugin,
        "peristiwa": kind,
        "premis": _PREMIS.get(kind),
        "isi": _jsonable(asdict(entry.fact), zone),
    }
    return json.dumps(line, ensure_ascii=True)


def append_lines(path: Path, lines: Iterable[tuple[int, str]]) -> int:
    """Append the lines whose number is greater than the last one in the file, durably; returns how many were new.

    A line torn by a kill is cut off first. Blocks. Raises: OSError; a retry is safe.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        os.fchmod(fd, 0o644)  # people read it, whatever the service's umask
        end, last = _whole_end(fd)
        os.ftruncate(fd, end)
        new = [line for seq, line in lines if seq > last]
        _write_all(fd, "".join(f"{line}\n" for line in new).encode(), end)
        os.fsync(fd)
        if end == 0:
            fsync_folder(path.parent)
    finally:
        os.close(fd)
    return len(new)


def _whole_end(fd: int) -> tuple[int, int]:
    """Where the last whole line ends, and its number; lines that cannot be read are looked past, not removed."""
    size = os.fstat(fd).st_size
    window = 1 << 16
    while True:
        start = max(0, size - window)
        tail = os.pread(fd, size - start, start)
        whole = tail.rfind(b"\n") + 1
        numbers = [number for line in tail[:whole].split(b"\n") if (number := _seq(line)) is not None]
        if numbers or start == 0:
            return (start + whole, max(numbers, default=0))
        window *= 4


def _seq(line: bytes) -> int | None:
    try:
        seq = json.loads(line)["seq"]
    except (ValueError, TypeError, KeyError):
        return None
    return seq if isinstance(seq, int) else None


def _write_all(fd: int, data: bytes, at: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, at)
        view, at = view[written:], at + written


def _jsonable(value: Any, zone: tzinfo) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _jsonable(inner, zone) for key, inner in value.items()}
    if isinstance(value, datetime):
        return local_iso(value, zone) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return value
