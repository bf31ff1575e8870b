"""What happens to one complete drop: claim, ask the desk, put away. Repeatable from any point."""

from __future__ import annotations

import asyncio
import errno
import os
import pwd
from collections.abc import AsyncIterator, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from weakref import WeakValueDictionary
from zoneinfo import ZoneInfo

from hub.api import Clock, Log, Sha256
from hub.intake.bundle import BundleKind
from hub.intake.claim import ChangedMeanwhile, NoSpace, Vault, is_full
from hub.intake.desk import Accepted, ClaimedFile, Desk, Postponed, Refused, Submission, Verdict
from hub.intake.evidence import Evidence, evidence_of, opened
from hub.intake.lookout import Lookout, Ready
from hub.intake.settings import ApprovalLevel, IntakeSettings
from hub.intake.settle import Settled
from hub.intake.shelf import CannotMove, Shelf
from hub.intake.sidecar import Sidecar, parse_note, parse_sidecar
from hub.intake.sidecar_text import MAX_BYTES
from hub.messages import Catalogue, Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """It stands in Diterima or Ditolak; or it changed, and is looked at anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """It stays where it is. Tried again when it changes, or after `after_s` (None: growing pauses)."""

    why: str  # in the office's language
    after_s: float | None
    full: bool = False  # for want of space


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What handling works with."""

    inbox: Path
    vault: Vault
    shelf: Shelf
    lookout: Lookout
    desk: Desk
    settings: IntakeSettings
    level: ApprovalLevel
    catalogue: Catalogue
    clock: Clock
    log: Log
    zone: ZoneInfo


class Handling:
    """Takes one ready bundle through. Any exception but those of a bug in the desk becomes `Later`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._claims: dict[tuple[tuple[str, ...], Evidence], ClaimedFile] = {}
        self._verdicts: dict[str, tuple[object, Refused]] = {}
        self._same_bytes: WeakValueDictionary[Sha256, asyncio.Lock] = WeakValueDictionary()
        self.open: dict[str, set[frozenset[Sha256]]] = {}  # accepted, not yet put away

    async def handle(self, ready: Ready) -> Done | Later:
        """Accepted, refused, or kept for later with the reason."""
        try:
            return await self._handle(ready)
        except (ChangedMeanwhile, FileNotFoundError):
            return Done()
        except NoSpace:
            return self._later("There is not enough free space on the disk for this file.", full=True)
        except CannotMove as error:
            return await self._stays(ready, error.why)
        except PermissionError as error:
            return await self._stays(ready, _no_permission(error))
        except OSError as error:
            self._tools.log.warning("drop_not_handled", drop=ready.name, error=str(error.strerror), errno=error.errno)
            return self._later("The disk reported an error: {error}.", full=is_full(error), error=error.strerror)

    def forget_all_but(self, anchors: Set[str]) -> None:
        """Drop what is remembered of drops that are gone."""
        for anchor in self._verdicts.keys() - anchors:
            del self._verdicts[anchor]
        for key in [key for key in self._claims if key[0][0] not in anchors]:
            del self._claims[key]

    async def _handle(self, ready: Ready) -> Done | Later:
        if ready.unreadable:
            return await self._stays(ready, ready.unreadable)
        if ready.problem:
            return await self._refuse(ready, ready.problem.say(self._tools.catalogue), frozenset())
        if ready.bundle.kind is BundleKind.TEXT:
            return await self._handle_text(ready)
        return await self._handle_media(ready)

    async def _handle_text(self, ready: Ready) -> Done | Later:
        """A withdrawal note; any other text waits for its media."""
        text = ready.media[0]
        data = await asyncio.to_thread(self._read, text)
        try:
            note = parse_note(data, is_json=_is_json(text))
        except Refusal as refusal:
            return await self._refuse(ready, refusal.say(self._tools.catalogue), frozenset())
        if note is None:
            return await self._lone_sidecar(ready)
        who = await asyncio.to_thread(owner_of, self._tools.inbox / ready.bundle.anchor)
        verdict = await self._tools.desk.withdraw(note, name=ready.name, who=who)
        return await self._follow(ready, verdict, frozenset())

    async def _lone_sidecar(self, ready: Ready) -> Done | Later:
        rest = self._waiting_left(ready)
        if rest > 0 or ready.bundle.awaited:
            return self._later("It waits for the media file of the same name.", after_s=max(rest, 1.0))
        why = Refusal(
            "This text has no media file: none has the same name. Please drop it together with its media file. (To "
            "withdraw an item, the text needs the lines Tarik and Alasan.)"
        )
        return await self._refuse(ready, why.say(self._tools.catalogue), frozenset())

    async def _handle_media(self, ready: Ready) -> Done | Later:
        files = await self._claim_all(ready)
        digests = frozenset(file.sha256 for file in files)
        async with self._alone_with(digests):
            await self._close_stale(ready.name, digests)
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

    async def _follow(self, ready: Ready, verdict: Verdict, digests: frozenset[Sha256]) -> Done | Later:
        match verdict:
            case Accepted():
                return await self._accept(ready, verdict, digests)
            case Refused(reason=reason):
                self._verdicts[ready.bundle.anchor] = (ready.fingerprint, verdict)
                return await self._refuse(ready, reason, digests)
            case Postponed(reason=reason):
                return Later(why=reason, after_s=None)

    async def _accept(self, ready: Ready, accepted: Accepted, digests: frozenset[Sha256]) -> Done | Later:
        """Move what is in the ledger already. A change since then is a new drop, looked at anew."""
        if digests:
            self.open.setdefault(ready.name, set()).add(digests)
        if not await asyncio.to_thread(self._tools.lookout.is_unchanged, ready):
            raise ChangedMeanwhile
        target = await asyncio.to_thread(self._tools.shelf.accept, ready.names, accepted.receipt)
        if digests:
            await self.put_away(ready.name, digests, target)
        self._tools.log.info("drop_accepted", drop=ready.name, item=accepted.number)
        return Done()

    async def put_away(self, name: str, digests: frozenset[Sha256], target: Path | None) -> None:
        await self._tools.desk.put_away(name, digests, target)
        waiting = self.open.get(name, set())
        waiting.discard(digests)
        if not waiting:
            self.open.pop(name, None)

    async def _refuse(self, ready: Ready, reason: str, digests: frozenset[Sha256]) -> Done:
        if ready.fingerprint and not await asyncio.to_thread(self._tools.lookout.is_unchanged, ready):
            raise ChangedMeanwhile
        move = await asyncio.to_thread(
            lambda: self._tools.shelf.refuse(ready.names, name=ready.name, reason=reason, digests=digests)
        )
        await self._tools.desk.refused(move.name, move.reason, move.digests)
        await asyncio.to_thread(self._tools.shelf.forget, move)
        self._verdicts.pop(ready.bundle.anchor, None)  # dragged back, it is asked about anew
        self._tools.log.info("drop_refused", drop=ready.name, reason=reason)
        return Done()

    async def _stays(self, ready: Ready, why: Refusal) -> Later:
        """It can be neither read nor moved: say so beside it."""
        reason = why.say(self._tools.catalogue)
        try:
            if await asyncio.to_thread(self._tools.shelf.note_beside, ready.bundle.anchor, reason):
                self._tools.log.warning("drop_stays", drop=ready.name, reason=reason)
        except OSError as error:
            self._tools.log.warning("note_not_written", drop=ready.name, error=error.strerror)
        return Later(why=reason, after_s=self._tools.settings.retry_after_s)

    async def _close_stale(self, name: str, digests: frozenset[Sha256]) -> None:
        """Another file stands now under the name of one that was accepted: that one is gone."""
        for old in self.open.get(name, set()) - {digests}:
            target = await asyncio.to_thread(self._tools.shelf.find_accepted, name, old)
            await self.put_away(name, old, target)

    async def _claim_all(self, ready: Ready) -> tuple[ClaimedFile, ...]:
        found: dict[Sha256, ClaimedFile] = {}
        for settled in ready.media:
            key = (settled.parts, settled.evidence)
            if key not in self._claims:
                self._claims[key] = await self._tools.vault.claim(self._tools.inbox, settled)
            found.setdefault(self._claims[key].sha256, self._claims[key])
        return tuple(found.values())

    @asynccontextmanager
    async def _alone_with(self, digests: frozenset[Sha256]) -> AsyncIterator[None]:
        """The same bytes under two names must come to the desk one after the other."""
        locks = [self._same_bytes.setdefault(digest, asyncio.Lock()) for digest in sorted(digests)]
        async with AsyncExitStack() as stack:
            for lock in locks:
                await stack.enter_async_context(lock)
            yield

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
