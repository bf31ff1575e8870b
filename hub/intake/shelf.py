"""Putting away what was dropped: to Diterima with its receipt, to Ditolak with the reason, or a note beside it.

Nothing is overwritten. What belongs together moves anchor last, so after a crash a standing anchor means: not done yet.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from hub.api import Clock, Sha256
from hub.api.files import sha256_of, write_atomically
from hub.intake.ferry import Brought, bring, brought, leave
from hub.intake.moves import (
    CannotMove,
    inode_of,
    make_durable,
    may_not_move,
    move,
    rename_without_replacing,
    write_text,
)
from hub.intake.names import display_name, free_names, is_ignored, is_numbered_from, reason_name, receipt_name
from hub.intake.notes import Notes, clear_note
from hub.intake.refusals import Group, RefusedMove, Refusing, drop_document, read_drop, read_plan, write_plan
from hub.intake.settings import FolderNames
from hub.messages import Catalogue, Refusal

HALF_WRITTEN_S = 600.0
_TEMPORARY = re.compile(r"\.[0-9a-f]{12}\.tmp")  # of write_atomically


class Shelf:
    """People's folders under one root. Every method blocks: use a thread.

    A drop stands in a watched folder, `inbox`, which may be on another file system than the rest.
    """

    def __init__(
        self,
        root: Path,
        plans: Path,
        folders: FolderNames,
        *,
        reserve_bytes: int,
        clock: Clock,
        zone: ZoneInfo,
        catalogue: Catalogue,
    ) -> None:
        self.root = root
        self.inboxes = [root / name for name in folders.watched]
        self.accepted = root / folders.accepted
        self.refused = root / folders.refused
        self._plans = plans
        self._reserve = reserve_bytes
        self._clock = clock
        self._zone = zone
        self._notes = Notes(clock, zone, catalogue)
        self._stuck: list[Brought] = []
        self._naming = threading.Lock()  # two at once must not choose the same free name

    def prepare(self) -> None:
        """Make the folders, and clear away texts that a crash left half-written; only at start."""
        for folder in (self.inboxes[0], self.accepted, self.refused, self._plans):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.refused, self._plans):
            _sweep(folder, older_than_s=0.0)
        for folder in self.accepted.glob("*/"):  # receipts are brought up to date there meanwhile
            _sweep(folder, older_than_s=HALF_WRITTEN_S)

    def prepare_inbox(self, inbox: Path) -> None:
        """The same for a watched folder, while nothing is handled in it. Raises: OSError."""
        inbox.mkdir(parents=True, exist_ok=True)
        _sweep(inbox, older_than_s=0.0)

    def accept(self, inbox: Path, names: Sequence[str], receipt: str) -> Path:
        """Move to this month's folder, receipt first; returns where the anchor (the last name) stands now.

        Raises: CannotMove, FileNotFoundError, OSError of a full or failing disk.
        """
        try:
            return self._accept(inbox, names, receipt)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
        return self._accept_brought(self._bring(inbox, names, self.accepted, {"accept": receipt}))

    def refuse(self, inbox: Path, drops: Sequence[Refusing]) -> Group:
        """Move them to Ditolak, each with its reason; call `forget` when the desk knows of those that were moved.

        Raises: OSError of a full or failing disk, when none could be begun.
        """
        group = self._refuse(inbox, drops)
        for drop in drops:
            if _is_elsewhere(group.failed.get(drop.names[-1])):
                group = self._refuse_from_elsewhere(inbox, drop, group)
        return group

    def finish(self) -> list[Group]:
        """What a crash interrupted is carried out now, at start; the desk may or may not know of these refusals."""
        groups = []
        for path in sorted(self._plans.glob("*.json")):
            inbox, moves = read_plan(path, inbox=self.inboxes[0])
            with suppress(OSError):
                groups.append(self._carry_out(path, inbox, moves))
        self._stuck = [*brought(self.accepted), *brought(self.refused)]
        return groups + self.finish_stuck()

    @property
    def stuck(self) -> bool:
        """Whether something was brought over and could not go on."""
        return bool(self._stuck)

    def finish_stuck(self) -> list[Group]:
        """What was brought over from another file system, and could not go on then (a full disk), goes on now."""
        groups = []
        for _ in range(len(self._stuck)):
            with suppress(CannotMove, OSError, IndexError):  # another folder's thread may take it first
                one = self._stuck.pop(0)
                if "accept" in one.then:
                    self._accept_brought(one)
                else:
                    groups.append(self._refuse_brought(one))
        return [group for group in groups if group.plans]

    def forget(self, group: Group) -> None:
        for plan in group.plans:
            plan.unlink(missing_ok=True)

    def find_accepted(self, name: str, digests: frozenset[Sha256]) -> Path | None:
        """Where an accepted drop stands that was moved just before a crash."""
        for path in self.accepted.glob("*/*"):
            if not is_ignored(path.name) and is_numbered_from(display_name(path.name), name):
                with suppress(OSError):
                    if _digests_in(path) >= digests:
                        return path
        return None

    def note_beside(self, inbox: Path, name: str, reason: str) -> bool:
        """Say beside a file that stays in the watched folder why it does; False when these words stand there."""
        return self._notes.put_beside(inbox, name, reason)

    def _accept(self, inbox: Path, names: Sequence[str], receipt: str) -> Path:
        folder = self.accepted / f"{self._clock.now().astimezone(self._zone):%Y-%m}"
        with self._naming:
            folder.mkdir(parents=True, exist_ok=True)
            targets = free_names(names, lambda name: os.path.lexists(folder / name))
            receipt_path = folder / receipt_name(targets[-1])
            write_atomically(receipt_path, receipt)
            try:
                for name, target in zip(names, targets, strict=True):
                    move(inbox / name, folder / target)
            except BaseException:
                receipt_path.unlink(missing_ok=True)
                raise
        for name in names:
            clear_note(inbox, name)
        make_durable((), (folder, inbox))
        return folder / targets[-1]

    def _bring(self, inbox: Path, names: Sequence[str], target: Path, then: dict[str, Any]) -> Brought:
        try:
            return bring(inbox, names, target, then=then, reserve_bytes=self._reserve)
        except Refusal as why:
            raise CannotMove(why) from why
        except PermissionError as error:
            raise may_not_move(error) from error

    def _accept_brought(self, one: Brought) -> Path:
        try:
            path = self._accept(one.folder, one.names, one.then["accept"]) if one.names else one.folder
        except (CannotMove, OSError):
            self._stuck.append(one)
            raise
        leave(one.folder)
        return path

    def _refuse_brought(self, one: Brought) -> Group:
        drop = read_drop(one.then["refuse"])
        group = Group(plans=(), moved=(), failed={})
        try:
            if one.names:
                group = self._refuse(one.folder, [Refusing(names=one.names, drop=drop)])
        finally:
            if one.names and not group.moved:
                self._stuck.append(one)
        leave(one.folder)
        return group

    def _refuse(self, inbox: Path, drops: Sequence[Refusing]) -> Group:
        with self._naming:
            self.refused.mkdir(exist_ok=True)  # somebody may have tidied it away
            chosen: set[str] = set()
            moves, gone = [], dict[str, Exception]()
            for one in drops:
                try:
                    moves.append(self._planned(inbox, one, chosen))
                except OSError as error:
                    gone[one.names[-1]] = error
            if not moves:
                return Group(plans=(), moved=(), failed=gone)
            plan = write_plan(self._plans, inbox, moves)
            moved, failed = self._move_all(inbox, moves)
        return self._made_durable(plan, inbox, moved, {**failed, **gone})

    def _refuse_from_elsewhere(self, inbox: Path, one: Refusing, group: Group) -> Group:
        """The group with this drop, brought over from another file system and refused from there."""
        anchor = one.names[-1]
        try:
            own = self._refuse_brought(self._bring(inbox, one.names, self.refused, {"refuse": drop_document(one.drop)}))
        except (CannotMove, OSError) as error:
            return replace(group, failed={**group.failed, anchor: error})
        failed = {name: why for name, why in group.failed.items() if name != anchor}
        return Group(
            plans=(*group.plans, *own.plans), moved=(*group.moved, *own.moved), failed={**failed, **own.failed}
        )

    def _dropped_in(self, inbox: Path) -> str:
        """The name of the watched folder; what was brought over lies elsewhere by now."""
        return (inbox if inbox in self.inboxes else self.inboxes[0]).name

    def _planned(self, inbox: Path, one: Refusing, chosen: set[str]) -> RefusedMove:
        """Where it goes; `chosen` are the names that others of its group will have taken."""
        targets = free_names(one.names, lambda name: name in chosen or self._taken_in_refused(name))
        chosen.update(*((name, reason_name(name)) for name in targets))
        inodes = [os.lstat(f"{inbox}/{name}").st_ino for name in one.names]  # no Path: a burst comes by here
        return RefusedMove(drop=one.drop, moves=tuple(zip(one.names, targets, inodes, strict=True)))

    def _taken_in_refused(self, name: str) -> bool:
        return os.path.lexists(f"{self.refused}/{name}") or os.path.lexists(f"{self.refused}/{reason_name(name)}")

    def _carry_out(self, plan: Path, inbox: Path, moves: Sequence[RefusedMove]) -> Group:
        with self._naming:
            moved, failed = self._move_all(inbox, moves)
        return self._made_durable(plan, inbox, moved, failed)

    def _move_all(self, inbox: Path, moves: Sequence[RefusedMove]) -> tuple[list[RefusedMove], dict[str, Exception]]:
        """What was moved, or stands in Ditolak already; and what could not be."""
        moved, failed = list[RefusedMove](), dict[str, Exception]()
        for one in moves:
            try:
                self._move_with_reason(inbox, one)
                moved.append(one)
            except (CannotMove, OSError) as error:
                failed[one.moves[-1][0]] = error
        return moved, failed

    def _made_durable(
        self, plan: Path, inbox: Path, moved: Sequence[RefusedMove], failed: dict[str, Exception]
    ) -> Group:
        """All at once, and while others may choose names: a busy disk can take its time."""
        make_durable([self.refused / reason_name(one.moves[-1][1]) for one in moved], (self.refused, inbox))
        return Group(plans=(plan,), moved=tuple(one.drop for one in moved), failed=failed)

    def _move_with_reason(self, inbox: Path, refusal: RefusedMove) -> None:
        reason_path = f"{self.refused}/{reason_name(refusal.moves[-1][1])}"
        done: list[tuple[str, str]] = []
        try:
            write_text(reason_path, self._notes.of_refusal(refusal.drop, self._dropped_in(inbox)))
            for name, target, inode in refusal.moves:
                source, place = f"{inbox}/{name}", f"{self.refused}/{target}"
                if inode_of(source) == inode:
                    move(source, place)
                    done.append((place, source))
        except (CannotMove, OSError):
            Path(reason_path).unlink(missing_ok=True)
            for gone, source in done:
                with suppress(OSError):
                    rename_without_replacing(gone, source)
            raise
        for name, _, _ in refusal.moves:
            clear_note(inbox, name)


def _sweep(folder: Path, *, older_than_s: float) -> None:
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name) and time.time() - path.lstat().st_mtime >= older_than_s:
                path.unlink(missing_ok=True)


def _is_elsewhere(error: Exception | None) -> bool:
    return isinstance(error, OSError) and error.errno == errno.EXDEV


def _digests_in(path: Path) -> set[Sha256]:
    files = [path] if path.is_file() else [inner for inner in path.iterdir() if inner.is_file()]
    return {sha256_of(file) for file in files if not file.is_symlink()}
