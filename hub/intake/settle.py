"""Is a dropped file complete? By evidence: nobody has it open for writing, and it was unchanged for a while."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hub.api import Clock
from hub.intake.evidence import (
    Evidence,
    Lease,
    Parts,
    ask_for_writers,
    evidence_of,
    ignore_lease_signal,
    opened,
    refuse_odd_kinds,
    refuse_second_names,
)
from hub.intake.settings import IntakeSettings
from hub.intake.watcher import is_silent_filesystem
from hub.messages import Refusal

WRITER_RECHECK_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Complete, as far as can be seen from outside."""

    parts: Parts
    evidence: Evidence
    quiet_since: float  # monotonic


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Still arriving; look again in `again_in_s`."""

    why: Refusal
    again_in_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """Will never do, whatever is waited for."""

    why: Refusal
    evidence: Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """The hub may not read it; a person must change that."""

    why: Refusal
    evidence: Evidence


Look = Settled | Busy | Unusable | Unreadable


class Settler:
    """Remembers since when each dropped file is unchanged. Blocks: use a thread."""

    def __init__(
        self, inbox: Path, settings: IntakeSettings, clock: Clock, *, on_lease_unknown: Callable[[Parts], None]
    ) -> None:
        self._inbox = inbox
        self._settings = settings
        self._clock = clock
        self._on_lease_unknown = on_lease_unknown
        self._seen: dict[Parts, tuple[Evidence, float]] = {}
        self.trust_lease = True  # a network mount answers for its own client only

    def look(self, parts: Parts) -> Look:
        """What the file looks like now. Raises: FileNotFoundError, other OSError."""
        status = self._inbox.joinpath(*parts).lstat()
        evidence = evidence_of(status)
        quiet_since = self._quiet_since(parts, evidence)
        rest = self._settings.quiet_for_s - (self._clock.monotonic() - quiet_since)
        if rest > 0:
            return Busy(why=Refusal("It has only just arrived."), again_in_s=rest)
        try:
            refuse_odd_kinds(status)
            return self._look_inside(parts, evidence, quiet_since)
        except PermissionError:
            return Unreadable(why=_not_ours(), evidence=evidence)
        except Refusal as why:
            return Unusable(why=why, evidence=evidence)

    def forget_all_but(self, present: set[Parts]) -> None:
        for parts in self._seen.keys() - present:
            del self._seen[parts]

    def _quiet_since(self, parts: Parts, evidence: Evidence) -> float:
        known = self._seen.get(parts)
        if known is None or known[0] != evidence:
            known = self._seen[parts] = (evidence, self._clock.monotonic())
        return known[1]

    def _look_inside(self, parts: Parts, evidence: Evidence, quiet_since: float) -> Look:
        with opened(self._inbox, parts) as fd:
            status = os.fstat(fd)
            if evidence_of(status) != evidence:
                return Busy(why=Refusal("It is changing."), again_in_s=self._settings.quiet_for_s)
            lease = ask_for_writers(fd) if self.trust_lease else Lease.UNKNOWN
        if lease is Lease.BUSY:
            return Busy(why=Refusal("It is still being written."), again_in_s=WRITER_RECHECK_S)
        if lease is Lease.UNKNOWN and self.trust_lease:
            self._on_lease_unknown(parts)
        longer = self._settings.quiet_without_lease_s - (self._clock.monotonic() - quiet_since)
        if longer > 0 and (lease is Lease.UNKNOWN or not evidence.size):  # some programs create first, write later
            return Busy(why=Refusal("It may still be arriving."), again_in_s=longer)
        self._refuse_sizes(evidence.size)
        refuse_second_names(status)
        return Settled(parts=parts, evidence=evidence, quiet_since=quiet_since)

    def _refuse_sizes(self, size: int) -> None:
        if not size:
            raise Refusal("The file is empty. Please copy it again.")
        if size > self._settings.max_file_bytes:
            raise Refusal(
                "The file is larger than {limit:.1f} GB. Please make it smaller, or ask the technician to raise the "
                "limit.",
                limit=self._settings.max_file_bytes / 1e9,
            )


def lease_problem(folder: Path) -> str | None:
    """For `siarhub check`: why the kernel cannot say whether somebody still writes a file in this folder."""
    if is_silent_filesystem(folder):
        return f"{folder} is a network mount: files are taken only after a longer quiet time; a local folder is better"
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".siarhub-lease-") as file:
            answer = _lease_of(Path(file.name))
    except OSError:
        return None  # whether the folder is writable is another check
    if answer is Lease.BUSY:  # we have it open for writing, so this is the right answer
        return None
    return f"{folder}: this filesystem knows no leases, so files are taken only after a longer quiet time"


def _lease_of(path: Path) -> Lease:
    ignore_lease_signal()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return ask_for_writers(fd)
    finally:
        os.close(fd)


def _not_ours() -> Refusal:
    return Refusal(
        "The hub may not read this file (its owner allows it to nobody else). Please allow reading, or copy the file "
        "again through the shared folder. The hub tries again by itself."
    )
