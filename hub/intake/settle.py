"""Is a dropped file complete? By evidence: nobody writes it, it was unchanged for a while, and its end is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from hub.api import Clock
from hub.endings import Missing, keeps_its_end_to_itself, missing_end, unwritten_end
from hub.intake.evidence import (
    Evidence,
    Lease,
    Parts,
    ask_for_writers,
    evidence_of,
    opened,
    refuse_odd_kinds,
    refuse_second_names,
)
from hub.intake.settings import IntakeSettings
from hub.intake.watcher import filesystem_kind
from hub.messages import Refusal

WRITER_RECHECK_S = 1.0
_HOLES_FOR_ZEROS = ("zfs",)  # there a hole may be silence that was really written


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


@dataclass(slots=True, kw_only=True)
class _Memory:
    """What is known of a file for as long as its evidence holds."""

    evidence: Evidence
    since: float  # monotonic
    verdict: Settled | Unusable | None = None
    end_seen: bool = False  # its end was looked for
    missing: Missing | None = None
    untold: bool = False  # this kind of file does not say where its end is


class Settler:
    """Remembers since when each dropped file is unchanged, and what was found. Blocks: use a thread."""

    def __init__(
        self, inbox: Path, settings: IntakeSettings, clock: Clock, *, on_lease_unknown: Callable[[Parts], None]
    ) -> None:
        self._inbox = inbox
        self._folder = str(inbox)
        self._settings = settings
        self._clock = clock
        self._on_lease_unknown = on_lease_unknown
        self._seen: dict[Parts, _Memory] = {}
        self.trust_lease = True  # a network mount answers for its own client only

    def look(self, parts: Parts, status: os.stat_result | None = None) -> Look:
        """What the file looks like now; `status` is a fresh lstat of it. Raises: FileNotFoundError, other OSError."""
        status = status or os.lstat("/".join((self._folder, *parts)))
        memory = self._memory_of(parts, status)
        if memory.verdict is not None:
            return memory.verdict
        if waiting := self._too_early(memory):
            return waiting
        try:
            refuse_odd_kinds(status)
            found = self._look_inside(parts, memory)
        except PermissionError:
            return Unreadable(why=_not_ours(), evidence=memory.evidence)
        except Refusal as why:
            found = Unusable(why=why, evidence=memory.evidence)
        if not isinstance(found, Busy):
            memory.verdict = found
        return found

    def begin(self, parts: Parts) -> None:
        """Start the file's clock, if it does not run: whoever waits for a folder need not wait for its files after it.

        Raises: FileNotFoundError, other OSError.
        """
        self._memory_of(parts, os.lstat("/".join((self._folder, *parts))))

    def doubt(self, parts: Parts) -> None:
        """Ask for writers again at the next look, though nothing seems to have changed."""
        if known := self._seen.get(parts):
            known.verdict = None

    def forget_all_but(self, present: Set[str]) -> None:
        """Forget the files of drops that are gone; `present` are the names in the watched folder."""
        for parts in [parts for parts in self._seen if parts[0] not in present]:
            del self._seen[parts]

    def _memory_of(self, parts: Parts, status: os.stat_result) -> _Memory:
        known = self._seen.get(parts)
        if known is None or not known.evidence.holds_for(status):
            known = self._seen[parts] = _Memory(evidence=evidence_of(status), since=self._clock.monotonic())
        return known

    def _too_early(self, memory: _Memory) -> Busy | None:
        """Without opening it: it changed a moment ago, or the end that it lacked may still come."""
        rest = self._settings.quiet_for_s - self._quiet_for_s(memory)
        if rest > 0:
            return Busy(why=Refusal("It has only just arrived."), again_in_s=rest)
        rest = self._settings.incomplete_wait_s - self._quiet_for_s(memory)
        if memory.missing and rest > 0:
            return Busy(why=_lacks_its_end(memory.missing), again_in_s=rest)
        return self._may_still_arrive(memory) if memory.untold else None

    def _may_still_arrive(self, memory: _Memory) -> Busy | None:
        longer = self._settings.quiet_without_lease_s - self._quiet_for_s(memory)
        return Busy(why=Refusal("It may still be arriving."), again_in_s=longer) if longer > 0 else None

    def _look_inside(self, parts: Parts, memory: _Memory) -> Settled | Busy | Unusable:
        with opened(self._inbox, parts) as fd:
            status = os.fstat(fd)
            if not memory.evidence.holds_for(status):
                return Busy(why=Refusal("It is changing."), again_in_s=self._settings.quiet_for_s)
            if waiting := self._ask_for_writers(fd, parts, memory, status):
                return waiting
            self._refuse_sizes(status.st_size)
            refuse_second_names(status)
            if waiting := self._look_at_end(fd, memory):
                return waiting
        return Settled(parts=parts, evidence=memory.evidence, quiet_since=memory.since)

    def _ask_for_writers(self, fd: int, parts: Parts, memory: _Memory, status: os.stat_result) -> Busy | None:
        lease = ask_for_writers(fd) if self.trust_lease else Lease.UNKNOWN
        if lease is Lease.BUSY:
            return Busy(why=Refusal("It is still being written."), again_in_s=WRITER_RECHECK_S)
        if lease is Lease.UNKNOWN and self.trust_lease:
            self._on_lease_unknown(parts)
        # Some programs create first and write later; some link the finished upload to its name, then unlink the other.
        doubtful = lease is Lease.UNKNOWN or not status.st_size or status.st_nlink > 1
        return self._may_still_arrive(memory) if doubtful else None

    def _look_at_end(self, fd: int, memory: _Memory) -> Busy | None:
        """Looked for once; a file that lacks its end is given time. Then the probe says what is wrong with it.

        Raises: Refusal when the rest was only reserved, which no probe could tell from black and silence.
        """
        if not memory.end_seen:
            memory.missing = missing_end(fd) or unwritten_end(fd)
            # With no quiet time at all, evidence alone decides, and there is none to be had here.
            memory.untold = self._settings.quiet_for_s > 0 and keeps_its_end_to_itself(fd)
            memory.end_seen = True
        if waiting := self._too_early(memory):
            return waiting
        if memory.missing and unwritten_end(fd) and not filesystem_kind(self._inbox).startswith(_HOLES_FOR_ZEROS):
            raise Refusal(
                "Only part of this file arrived: its end is missing. Copy it again from where it was made, and wait "
                "until the copy is finished."
            )
        return None

    def _quiet_for_s(self, memory: _Memory) -> float:
        return self._clock.monotonic() - memory.since

    def _refuse_sizes(self, size: int) -> None:
        if not size:
            raise Refusal("The file is empty. Please copy it again.")
        if size > self._settings.max_file_bytes:
            raise Refusal(
                "The file is larger than {limit:.1f} GB. Please make it smaller, or ask the technician to raise the "
                "limit.",
                limit=self._settings.max_file_bytes / 1e9,
            )


def _lacks_its_end(missing: Missing) -> Refusal:
    if missing.percent is None:
        return Refusal("Its end has not arrived yet.")
    return Refusal("Its end has not arrived yet: {percent} % is here.", percent=missing.percent)


def _not_ours() -> Refusal:
    return Refusal(
        "The hub may not read this file (its owner allows it to nobody else). Please allow reading, or copy the file "
        "again through the shared folder. The hub tries again by itself."
    )
