"""Putting away what was dropped: to Diterima with its receipt, to Ditolak with the reason, or a note beside it.

Nothing is overwritten. What belongs together moves anchor last, so after a crash a standing anchor means: not done yet.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import Clock, Sha256
from hub.api.files import fsync_folder, sha256_of, write_atomically
from hub.intake.moves import rename_without_replacing
from hub.intake.names import display_name, free_names, is_ignored, is_numbered_from, reason_name, receipt_name
from hub.intake.settings import FolderNames
from hub.messages import Catalogue, Refusal

HALF_WRITTEN_S = 600.0
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp")  # of write_atomically


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedMove:
    """A refusal on its way to Ditolak, kept in a file until the desk knows of it."""

    name: str  # display-safe
    reason: str
    digests: frozenset[Sha256]
    moves: tuple[tuple[str, str, int], ...]  # from, to, inode; the anchor last
    plan: Path


class CannotMove(Exception):
    """The file stays where it is; `why` is for a person."""

    def __init__(self, why: Refusal) -> None:
        super().__init__(str(why))
        self.why = why


class Shelf:
    """People's folders under one root. Every method blocks: use a thread."""

    def __init__(
        self, root: Path, plans: Path, folders: FolderNames, *, clock: Clock, zone: ZoneInfo, catalogue: Catalogue
    ) -> None:
        self.inbox = root / folders.approved
        self.accepted = root / folders.accepted
        self.refused = root / folders.refused
        self._folders = folders
        self._plans = plans
        self._clock = clock
        self._zone = zone
        self._catalogue = catalogue
        self._naming = threading.Lock()  # two at once must not choose the same free name

    def prepare(self) -> None:
        for folder in (self.inbox, self.accepted, self.refused, self._plans):
            folder.mkdir(parents=True, exist_ok=True)

    def sweep(self) -> None:
        """Clear away texts that a crash left half-written; only at start, when nobody else writes here."""
        for folder in (self.inbox, self.refused, self._plans):
            _sweep(folder, older_than_s=0.0)
        for folder in self.accepted.glob("*/"):  # receipts are brought up to date there meanwhile
            _sweep(folder, older_than_s=HALF_WRITTEN_S)

    def accept(self, names: Sequence[str], receipt: str) -> Path:
        """Move to this month's folder, receipt first; returns where the anchor (the last name) stands now.

        Raises: CannotMove, FileNotFoundError, OSError of a full or failing disk.
        """
        folder = self.accepted / f"{self._clock.now().astimezone(self._zone):%Y-%m}"
        with self._naming:
            folder.mkdir(parents=True, exist_ok=True)
            targets = free_names(names, lambda name: os.path.lexists(folder / name))
            receipt_path = folder / receipt_name(targets[-1])
            write_atomically(receipt_path, receipt)
            try:
                for name, target in zip(names, targets, strict=True):
                    _move(self.inbox / name, folder / target)
            except BaseException:
                receipt_path.unlink(missing_ok=True)
                raise
        self._moved(names, folder)
        return folder / targets[-1]

    def refuse(self, names: Sequence[str], *, name: str, reason: str, digests: frozenset[Sha256]) -> RefusedMove:
        """Move to Ditolak with the reason; call `forget` when the desk knows. Raises: as `accept`."""
        with self._naming:
            self.refused.mkdir(exist_ok=True)  # somebody may have tidied it away
            targets = free_names(names, self._taken_in_refused)
            inodes = [(self.inbox / n).lstat().st_ino for n in names]
            move = RefusedMove(
                name=name,
                reason=reason,
                digests=digests,
                moves=tuple(zip(names, targets, inodes, strict=True)),
                plan=self._plans / f"{secrets.token_hex(8)}.json",
            )
            write_atomically(move.plan, json.dumps(_plan_document(move)))
            self._carry_out(move)
        self._moved(names, self.refused)
        return move

    def unfinished(self) -> list[RefusedMove]:
        """Refusals that a crash interrupted, carried out now; the desk may or may not know them."""
        found = []
        for path in sorted(self._plans.glob("*.json")):
            move = _read_plan(path)
            with suppress(CannotMove, OSError), self._naming:
                self._carry_out(move)
                self._moved([name for name, _, _ in move.moves], self.refused)
                found.append(move)
        return found

    def forget(self, move: RefusedMove) -> None:
        move.plan.unlink(missing_ok=True)

    def find_accepted(self, name: str, digests: frozenset[Sha256]) -> Path | None:
        """Where an accepted drop stands that was moved just before a crash."""
        for path in self.accepted.glob("*/*"):
            if not is_ignored(path.name) and is_numbered_from(display_name(path.name), name):
                with suppress(OSError):
                    if _digests_in(path) >= digests:
                        return path
        return None

    def note_beside(self, name: str, reason: str) -> bool:
        """Say beside a file that stays in the watched folder why it does; False when these words stand there."""
        path = self.inbox / reason_name(name)
        text = self._catalogue(
            "Not yet processed: {name}\n\nReason:\n{reason}\n\nThis text disappears when the problem is solved.\n",
            name=display_name(name),
            reason=reason,
        )
        with suppress(OSError):
            if not path.is_symlink() and path.read_text(encoding="utf-8") == text:
                return False
        write_atomically(path, text)
        return True

    def clear_note(self, name: str) -> None:
        with suppress(OSError):
            (self.inbox / reason_name(name)).unlink()

    def _taken_in_refused(self, name: str) -> bool:
        return os.path.lexists(self.refused / name) or os.path.lexists(self.refused / reason_name(name))

    def _carry_out(self, move: RefusedMove) -> None:
        reason_path = self.refused / reason_name(move.moves[-1][1])
        done: list[tuple[Path, Path]] = []
        try:
            write_atomically(reason_path, self._reason_text(move))
            for name, target, inode in move.moves:
                source = self.inbox / name
                if _inode(source) == inode:
                    _move(source, self.refused / target)
                    done.append((self.refused / target, source))
        except (CannotMove, OSError):
            reason_path.unlink(missing_ok=True)
            for moved, source in done:
                with suppress(OSError):
                    rename_without_replacing(moved, source)
            move.plan.unlink(missing_ok=True)
            raise

    def _reason_text(self, move: RefusedMove) -> str:
        when = self._clock.now().astimezone(self._zone)
        return self._catalogue(
            "Not accepted: {name}\nTime: {when}\n\nReason:\n{reason}\n\nWhen it is corrected, drag the file (with its "
            "sidecar, if it has one) back into the folder {folder}. This text need not be removed.\n",
            name=move.name,
            when=f"{when:%d-%m-%Y %H:%M} {when.tzname()}",
            reason=move.reason,
            folder=self._folders.approved,
        )

    def _moved(self, names: Sequence[str], folder: Path) -> None:
        for name in names:
            self.clear_note(name)
        fsync_folder(folder)
        fsync_folder(self.inbox)


def _sweep(folder: Path, *, older_than_s: float) -> None:
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name) and time.time() - path.lstat().st_mtime >= older_than_s:
                path.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    try:
        rename_without_replacing(source, target)
    except (FileNotFoundError, FileExistsError):
        raise
    except OSError as error:
        raise CannotMove(
            Refusal(
                "The hub may not move this file out of the folder ({error}). Please move it away yourself, or ask the "
                "technician to correct the permissions of the folder. The hub tries again by itself.",
                error=error.strerror,
            )
        ) from error


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _digests_in(path: Path) -> set[Sha256]:
    files = [path] if path.is_file() else [inner for inner in path.iterdir() if inner.is_file()]
    return {sha256_of(file) for file in files if not file.is_symlink()}


def _plan_document(move: RefusedMove) -> dict[str, Any]:
    return {"name": move.name, "reason": move.reason, "digests": sorted(move.digests), "moves": move.moves}


def _read_plan(path: Path) -> RefusedMove:
    """The hub's own file, written atomically in its own folder: trusted."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return RefusedMove(
        name=document["name"],
        reason=document["reason"],
        digests=frozenset(map(Sha256, document["digests"])),
        moves=tuple((source, target, inode) for source, target, inode in document["moves"]),
        plan=path,
    )
