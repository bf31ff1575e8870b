"""What happens to one complete drop: claim, ask the desk, put away. Repeatable from any point."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import pwd
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Clock, Log, Sha256
from hub.intake.arrivals import Arrivals
from hub.intake.bundle import BundleKind
from hub.intake.claim import ChangedMeanwhile, NoSpace, Vault, is_full
from hub.intake.claims import Claims
from hub.intake.desk import Accepted, ClaimedFile, Desk, Postponed, Refused, RefusedDrop, Submission, Verdict
from hub.intake.evidence import evidence_of, opened
from hub.intake.lookout import Lookout, Ready
from hub.intake.moves import CannotMove
from hub.intake.outcome import Done, Later, Leaving
from hub.intake.refusals import Group, Refusing
from hub.intake.settings import ApprovalLevel, IntakeSettings
from hub.intake.settle import Settled
from hub.intake.shelf import Shelf
from hub.intake.sidecar import Sidecar, parse_note, parse_sidecar
from hub.intake.sidecar_text import MAX_BYTES
from hub.intake.space import Space
from hub.messages import Catalogue, Refusal

GLANCE_BYTES = 4096
HASHED_AT_ONCE = 64 << 20  # larger ones are copied first, which can be interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What handling works with. One set for each watched folder; vault, shelf, arrivals and desk are those of all."""

    inbox: Path
    vault: Vault
    shelf: Shelf
    arrivals: Arrivals
    lookout: Lookout
    space: Space
    desk: Desk
    settings: IntakeSettings
    level: ApprovalLevel
    catalogue: Catalogue
    clock: Clock
    log: Log
    zone: ZoneInfo


class Handling:
    """Takes ready bundles through. Any exception but those of a bug in the desk becomes `Later`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._claims = Claims(tools.inbox, tools.vault, tools.space)
        self._verdicts: dict[str, tuple[object, Refused]] = {}

    async def handle(self, ready: Ready) -> Done | Later | Leaving:
        """Accepted, refused, or kept for later with the reason."""
        outcome: Done | Later | Leaving
        try:
            outcome = await self._handle(ready)
        except (OSError, ChangedMeanwhile, NoSpace, CannotMove) as error:
            outcome = await self._not_done(ready, error)
        if not isinstance(outcome, Later):
            self._claims.ended(ready)
        return outcome

    async def refuse(self, leaving: Sequence[Leaving]) -> list[Done | Later]:
        """Move refused drops to Ditolak together, and tell the desk; the outcome of each."""
        try:
            group = await asyncio.to_thread(self._set_aside, leaving)
        except OSError as error:  # not one of them was moved
            return [await self._not_done(one.ready, error) for one in leaving]
        await self.tell(group)
        outcomes: list[Done | Later] = []
        for one in leaving:
            failure = group.failed.get(one.ready.bundle.anchor)
            if failure is None:
                self._verdicts.pop(one.ready.bundle.anchor, None)  # dragged back, it is asked about anew
                self._tools.log.info("drop_refused", drop=one.ready.name, reason=one.drop.reason)
            outcomes.append(Done() if failure is None else await self._not_done(one.ready, failure))
        return outcomes

    async def tell(self, group: Group) -> None:
        """The desk hears of what stands in Ditolak now; then the plan is done with."""
        if group.moved:
            await self._tools.desk.refused(group.moved)
        await asyncio.to_thread(self._tools.shelf.forget, group)

    def forget_all_but(self, anchors: Set[str]) -> None:
        """Drop what is remembered of drops that are gone."""
        for anchor in self._verdicts.keys() - anchors:
            del self._verdicts[anchor]
        self._claims.forget_all_but(anchors)

    async def _not_done(self, ready: Ready, error: Exception) -> Done | Later:
        """It stands where it stood: because it changed, because somebody must act, or for a while."""
        match error:
            case ChangedMeanwhile() | FileNotFoundError():
                self._tools.lookout.doubt(ready)
                return Done()
            case NoSpace():
                return Later(why=error.why.say(self._tools.catalogue), after_s=None, full=True)
            case CannotMove():
                return await self._stays(ready, error.why)
            case PermissionError():
                return await self._stays(ready, _no_permission(error))
            case OSError():
                why = error.strerror
                self._tools.log.warning("drop_not_handled", drop=ready.name, error=str(why), errno=error.errno)
                return self._later("The disk reported an error: {error}.", full=is_full(error), error=why)
        raise error

    async def _handle(self, ready: Ready) -> Done | Later | Leaving:
        if ready.unreadable:
            return await self._stays(ready, ready.unreadable)
        if ready.problem:
            return self._leaving(ready, ready.problem.say(self._tools.catalogue))
        if ready.bundle.kind is BundleKind.TEXT:
            return await self._handle_text(ready)
        return await self._glance(ready) or await self._handle_media(ready)

    async def _glance(self, ready: Ready) -> Leaving | None:
        """What can never be taken is refused without a copy; most of a careless drop of a whole disk is such."""
        if ready.bundle.kind is BundleKind.FOLDER or self._tools.arrivals.is_open(ready.name):
            return None
        (settled,) = ready.media
        seen = await asyncio.to_thread(self._hopeless, settled) if settled.evidence.size <= HASHED_AT_ONCE else None
        return self._leaving(ready, *seen) if seen else None

    def _hopeless(self, settled: Settled) -> tuple[str, frozenset[Sha256]] | None:
        """Why its first bytes can never do, and the hash of all of them."""
        with opened(self._tools.inbox, settled.parts) as fd:
            reason = self._tools.desk.glance(os.pread(fd, GLANCE_BYTES, 0))
            if reason is None:
                return None
            with open(fd, "rb", closefd=False) as file:
                digest = Sha256(hashlib.file_digest(file, "sha256").hexdigest())
            if evidence_of(os.fstat(fd)) != settled.evidence:
                raise ChangedMeanwhile
        return reason, frozenset({digest})

    async def _handle_text(self, ready: Ready) -> Done | Later | Leaving:
        """A withdrawal note; any other text waits for its media."""
        text = ready.media[0]
        data = await asyncio.to_thread(self._read, text)
        try:
            note = parse_note(data, is_json=_is_json(text))
        except Refusal as refusal:
            return self._leaving(ready, refusal.say(self._tools.catalogue))
        if note is None:
            return self._lone_sidecar(ready)
        who = await asyncio.to_thread(owner_of, self._tools.inbox / ready.bundle.anchor)
        verdict = await self._tools.desk.withdraw(note, name=ready.name, who=who)
        return await self._follow(ready, verdict, frozenset())

    def _lone_sidecar(self, ready: Ready) -> Later | Leaving:
        rest = self._waiting_left(ready)
        if rest > 0 or ready.bundle.awaited:
            return self._later("It waits for the media file of the same name.", after_s=max(rest, 1.0))
        why = Refusal(
            "This text has no media file: none has the same name. Please drop it together with its media file. (To "
            "withdraw an item, the text needs the lines Tarik and Alasan.)"
        )
        return self._leaving(ready, why.say(self._tools.catalogue))

    async def _handle_media(self, ready: Ready) -> Done | Later | Leaving:
        files = await self._claims.all_of(ready)
        digests = frozenset(file.sha256 for file in files)
        async with self._tools.arrivals.alone_with(digests):
            await self._tools.arrivals.close_stale(ready.name, digests)
            begun = await self._tools.desk.begun(ready.name, digests)
            if begun:
                return await self._accept(ready, begun, digests)
            rest = self._waiting_left(ready)
            if ready.sidecar is None and self._tools.level is ApprovalLevel.RECORD and rest > 0:
                return self._later("It waits for its sidecar.", after_s=rest)
            return await self._follow(ready, await self._ask(ready, files), digests)

    async def _ask(self, ready: Ready, files: tuple[ClaimedFile, ...]) -> Verdict:
        known = self._verdicts.get(ready.bundle.anchor)
        if known and known[0] == ready.fingerprint:
            return known[1]
        try:
            sidecar = await self._sidecar(ready)
        except Refusal as refusal:
            return Refused(reason=refusal.say(self._tools.catalogue))
        if not await asyncio.to_thread(self._tools.lookout.is_unchanged, ready):
            raise ChangedMeanwhile
        folder = ready.bundle.kind is BundleKind.FOLDER
        return await self._tools.desk.consider(Submission(name=ready.name, files=files, sidecar=sidecar, folder=folder))

    async def _sidecar(self, ready: Ready) -> Sidecar | None:
        if ready.sidecar is None:
            return None
        data = await asyncio.to_thread(self._read, ready.sidecar)
        return parse_sidecar(data, is_json=_is_json(ready.sidecar), zone=self._tools.zone)

    async def _follow(self, ready: Ready, verdict: Verdict, digests: frozenset[Sha256]) -> Done | Later | Leaving:
        match verdict:
            case Accepted():
                return await self._accept(ready, verdict, digests)
            case Refused(reason=reason):
                self._verdicts[ready.bundle.anchor] = (ready.fingerprint, verdict)
                return self._leaving(ready, reason, digests)
            case Postponed(reason=reason):
                return Later(why=reason, after_s=None)

    async def _accept(self, ready: Ready, accepted: Accepted, digests: frozenset[Sha256]) -> Done | Later:
        """Move what is in the ledger already. A change since then is a new drop, looked at anew."""
        if digests:
            self._tools.arrivals.opened(ready.name, digests)
        target = await asyncio.to_thread(self._shelve, ready, accepted.receipt)
        if digests:
            await self._tools.arrivals.put_away(ready.name, digests, target)
            self._claims.accepted(ready)
        self._tools.log.info("drop_accepted", drop=ready.name, item=accepted.number)
        return Done()

    def _shelve(self, ready: Ready, receipt: str) -> Path:
        if not self._tools.lookout.is_unchanged(ready):
            raise ChangedMeanwhile
        return self._tools.shelf.accept(self._tools.inbox, ready.names, receipt)

    def _leaving(self, ready: Ready, reason: str, digests: frozenset[Sha256] = frozenset()) -> Leaving:
        return Leaving(ready=ready, drop=RefusedDrop(name=ready.name, reason=reason, digests=digests))

    def _set_aside(self, leaving: Sequence[Leaving]) -> Group:
        """Refuse those that are still as they were when they were looked at. Blocks."""
        same = [one for one in leaving if not one.ready.fingerprint or self._tools.lookout.is_unchanged(one.ready)]
        drops = [Refusing(names=one.ready.names, drop=one.drop) for one in same]
        group = self._tools.shelf.refuse(self._tools.inbox, drops)
        changed = {one.ready.bundle.anchor for one in leaving} - {one.ready.bundle.anchor for one in same}
        return replace(group, failed={**group.failed, **dict.fromkeys(changed, ChangedMeanwhile())})

    async def _stays(self, ready: Ready, why: Refusal) -> Later:
        """It can be neither read nor moved: say so beside it."""
        reason = why.say(self._tools.catalogue)
        try:
            if await asyncio.to_thread(self._tools.shelf.note_beside, self._tools.inbox, ready.bundle.anchor, reason):
                self._tools.log.warning("drop_stays", drop=ready.name, reason=reason)
        except OSError as error:
            self._tools.log.warning("note_not_written", drop=ready.name, error=error.strerror)
        return Later(why=reason, after_s=self._tools.settings.retry_after_s)

    def _waiting_left(self, ready: Ready) -> float:
        return self._tools.settings.sidecar_wait_s - (self._tools.clock.monotonic() - ready.quiet_since)

    def _later(self, why: str, *, after_s: float | None = None, full: bool = False, **values: object) -> Later:
        return Later(why=self._tools.catalogue(why, **values), after_s=after_s, full=full)

    def _read(self, settled: Settled) -> bytes:
        """A sidecar, at most a byte more than allowed. Raises: ChangedMeanwhile, OSError."""
        with opened(self._tools.inbox, settled.parts) as fd:
            if evidence_of(os.fstat(fd)) != settled.evidence:
                raise ChangedMeanwhile
            data = bytearray()
            while len(data) <= MAX_BYTES and (chunk := os.read(fd, MAX_BYTES + 1 - len(data))):
                data += chunk
            return bytes(data)


def owner_of(path: Path) -> str:
    """The name of a file's owner, or `uid 1005`."""
    uid = path.lstat().st_uid
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _is_json(settled: Settled) -> bool:
    return settled.parts[-1].casefold().endswith(".json")


def _no_permission(error: PermissionError) -> Refusal:
    reason = os.strerror(error.errno or errno.EACCES)
    return Refusal(
        "The hub may not read or move this file ({error}). Please allow it, or copy the file again through the shared "
        "folder. The hub tries again by itself.",
        error=reason,
    )
