"""The plan of a group of refusals: a file that stands from before the first is moved until the desk knows of all."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hub.api import Sha256
from hub.api.files import write_atomically
from hub.intake.desk import RefusedDrop


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusing:
    """One drop to be moved to Ditolak."""

    names: tuple[str, ...]  # the anchor last
    drop: RefusedDrop


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMove:
    """Where each file of it goes: from, to, inode; the anchor last."""

    drop: RefusedDrop
    moves: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Refusals that are carried out together. Call `Shelf.forget` when the desk knows of those that were moved."""

    plans: tuple[Path, ...]
    moved: tuple[RefusedDrop, ...]
    failed: dict[str, Exception]  # anchor -> why it stands where it was


def write_plan(plans: Path, inbox: Path, moves: Sequence[RefusedMove]) -> Path:
    """Durable when it returns. Raises: OSError."""
    plan = plans / f"{secrets.token_hex(8)}.json"
    write_atomically(plan, json.dumps({"inbox": str(inbox), "refusals": [_document(move) for move in moves]}))
    return plan


def read_plan(path: Path, *, inbox: Path) -> tuple[Path, list[RefusedMove]]:
    """The hub's own file, written atomically in its own folder: trusted. `inbox` is for those that name none."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return Path(document.get("inbox", inbox)), [_move(one) for one in document.get("refusals", [document])]


def drop_document(drop: RefusedDrop) -> dict[str, Any]:
    return {"name": drop.name, "reason": drop.reason, "digests": sorted(drop.digests)}


def read_drop(document: dict[str, Any]) -> RefusedDrop:
    digests = frozenset(map(Sha256, document["digests"]))
    return RefusedDrop(name=document["name"], reason=document["reason"], digests=digests)


def _document(move: RefusedMove) -> dict[str, Any]:
    return {**drop_document(move.drop), "moves": move.moves}


def _move(document: dict[str, Any]) -> RefusedMove:
    moves = tuple((source, target, inode) for source, target, inode in document["moves"])
    return RefusedMove(drop=read_drop(document), moves=moves)
