"""Reading what Liquidsoap wrote of its playing: JSON lines, read on from where the last reading was made durable."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READ_BYTES = 1 << 20
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """How far the file was read: kept in the same transaction as what was learnt from it."""

    inode: int = 0
    offset: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One thing that the executor did."""

    event: str  # boot, out, start, end, silence, noise
    n: int
    at: float  # wall clock, seconds since the epoch
    boot: str
    output_up: bool
    downs: int  # how often the output went down since the boot
    token: str = ""
    stream_s: float = 0.0  # the stream's own clock, which no clock step moves


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    lines: tuple[Line, ...]
    bad: int  # lines that were none
    position: Position


def read_on(path: Path, position: Position) -> Reading:
    """What was written after `position`. A line without its end is left for the next time. Blocks: use a thread.

    When the file was renamed and a new one begun, the rest of the old one is read first, if it still stands beside.
    """
    try:
        inode = path.stat().st_ino
    except FileNotFoundError:
        return Reading(lines=(), bad=0, position=position)
    if position.inode in (0, inode):
        return _read(path, Position(inode=inode, offset=position.offset))
    if old := _find(path, position.inode):
        rest = _read(old, position)
        if rest.position != position:
            return rest
    return _read(path, Position(inode=inode))


def last_read(path: Path, position: Position) -> Line | None:
    """The newest line before `position`, when it is one of ours. Blocks. Raises: OSError."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_ino != position.inode:
            return None
        begin = max(0, position.offset - _TAIL_BYTES)
        file.seek(begin)
        raws = file.read(position.offset - begin).split(b"\n")
    return next((line for raw in reversed(raws) if (line := parse(raw))), None)


def parse(raw: bytes) -> Line | None:
    """The line, or None when it is not one of ours: torn, foreign, or with a number that is none."""
    try:
        said: Any = json.loads(raw.decode("utf-8", "replace"))
        line = Line(
            event=str(said["ev"])[:20],
            n=int(said["n"]),
            at=float(said["t"]),
            boot=str(said["boot"])[:200],
            output_up=said["out"] == "up",
            downs=int(said["downs"]),
            token=str(said.get("id", ""))[:64],
            stream_s=float(said.get("s", 0.0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    sane = math.isfinite(line.at) and 0 < line.at < 32503680000 and math.isfinite(line.stream_s)
    return line if sane else None


def _read(path: Path, position: Position) -> Reading:
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        offset = position.offset if position.offset <= size else 0  # cut short by somebody: begin anew
        file.seek(offset)
        block = file.read(_READ_BYTES)
    whole = block[: block.rfind(b"\n") + 1]
    if not whole and len(block) == _READ_BYTES:
        whole = block  # a megabyte without a line end is no line
    raws = [raw for raw in whole.split(b"\n") if raw.strip()]
    lines = [parse(raw) for raw in raws]
    return Reading(
        lines=tuple(line for line in lines if line),
        bad=lines.count(None),
        position=Position(inode=position.inode, offset=offset + len(whole)),
    )


def _find(path: Path, inode: int) -> Path | None:
    with os.scandir(path.parent) as entries:
        return next((Path(e.path) for e in entries if e.name.startswith(path.name) and e.inode() == inode), None)
