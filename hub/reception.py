"""The desk: what was dropped and claimed is accepted, in one ledger transaction, or refused with a reason."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Asset, Channel, Clock, Draft, Item, ItemNumber, ItemState, Log, MediaKind, Sha256
from hub.api import Refused as RefusedFact
from hub.api.errors import RetryLater
from hub.intake.desk import Accepted, ClaimedFile, Postponed, Refused, Submission, Verdict
from hub.intake.draft import make_draft
from hub.intake.settings import ApprovalLevel
from hub.intake.sidecar import Sidecar, WithdrawalNote
from hub.ledger import facts, items
from hub.ledger.database import Database
from hub.media.loudness import check_audio
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.messages import Catalogue, Refusal
from hub.plugin_host.host import PluginHost
from hub.receipts import ReceiptWriter
from hub.workflow import Workflow


class Reception:
    """Implements `hub.intake.desk.Desk`."""

    def __init__(
        self,
        database: Database,
        host: PluginHost,
        workflow: Workflow,
        receipts: ReceiptWriter,
        media: MediaSettings,
        level: ApprovalLevel,
        default_days: int,
        clock: Clock,
        log: Log,
        catalogue: Catalogue,
        zone: ZoneInfo,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._host = host
        self._workflow = workflow
        self._receipts = receipts
        self._media = media
        self._level = level
        self._default_days = default_days
        self._clock = clock
        self._log = log
        self._say = catalogue
        self._zone = zone
        self._wake = wake

    async def begun(self, name: str, digests: frozenset[Sha256]) -> Accepted | None:
        number = await self._database.read(items.arrival, name, digests)
        return await self._accepted(number) if number else None

    async def consider(self, submission: Submission) -> Verdict:
        digests = frozenset(file.sha256 for file in submission.files)
        if begun := await self.begun(submission.name, digests):
            return begun
        try:
            repeats = await self._first_with_same_bytes(submission, digests)
            draft = replace(await self._draft(submission), repeats=repeats)
        except Refusal as refusal:
            return Refused(reason=refusal.say(self._say))
        except (OSError, RetryLater) as error:
            return Postponed(reason=str(error))
        objections = await self._host.check_item(draft)
        if refusals := [one.problem for one in objections if not one.failed]:
            return Refused(reason="\n".join(refusals))
        for one in objections:
            self._log.error("item_check_failed", name=submission.name, plugin=one.plugin, reason=one.problem)
        # The plugin of one of the item's channels must have looked; anybody else's failure holds nobody up.
        if needed := [f"{one.plugin}: {one.problem}" for one in objections if one.plugin in draft.channels]:
            return Postponed(reason=self._say("A plugin could not check it: {problem}", problem="; ".join(needed)))
        return await self._accept(submission, draft)

    async def withdraw(self, note: WithdrawalNote, *, name: str, who: str) -> Verdict:
        outcome = await self._workflow.withdraw(note.number, note.reason, who=who)
        self._wake()
        if not outcome.done:
            return Refused(reason=outcome.message)
        return Accepted(number=note.number, receipt=outcome.message + "\n")

    async def put_away(self, name: str, digests: frozenset[Sha256], target: Path | None) -> None:
        number = await self._database.write(items.put_away, name, digests, str(target) if target else None)
        if number is not None and target is not None:
            await self._receipts.bring_up_to_date([number])

    async def refused(self, name: str, reason: str, digests: frozenset[Sha256]) -> None:
        sha256 = next(iter(digests)) if len(digests) == 1 else None
        await self._database.write(self._note_refusal, RefusedFact(name=name, reason=reason, sha256=sha256))
        self._wake()

    async def open_arrivals(self) -> Sequence[tuple[str, frozenset[Sha256]]]:
        return await self._database.read(items.open_arrivals)

    async def _draft(self, submission: Submission) -> Draft:
        assets = [await self._asset(file, submission) for file in submission.files]
        draft = make_draft(
            submission,
            assets,
            level=self._level,
            default_days=self._default_days,
            now=self._clock.now(),
            zone=self._zone,
        )
        return await self._heard(draft) if Channel.RADIO in draft.channels else draft

    async def _asset(self, file: ClaimedFile, submission: Submission) -> Asset:
        try:
            media = await probe(file.vault_path, settings=self._media)
        except Refusal as refusal:
            if not submission.folder:
                raise
            # Of several files, say which.
            raise Refusal("{file}: {reason}", file=file.original_name, reason=refusal.say(self._say)) from refusal
        return Asset(sha256=file.sha256, path=file.vault_path, original_name=file.original_name, media=media)

    async def _heard(self, draft: Draft) -> Draft:
        """What is to be aired must have something to hear; what was measured need not be measured again."""
        voiced = [asset for asset in draft.assets if asset.media.has_sound]
        spoken = next((asset for asset in voiced if asset.media.kind is MediaKind.AUDIO), voiced[0])
        measured = await check_audio(spoken.path, settings=self._media)
        media = replace(spoken.media, loudness_lufs=measured.integrated_lufs, true_peak_dbtp=measured.true_peak_dbtp)
        assets = tuple(replace(asset, media=media) if asset is spoken else asset for asset in draft.assets)
        return replace(draft, assets=assets)

    async def _first_with_same_bytes(self, submission: Submission, digests: frozenset[Sha256]) -> ItemNumber | None:
        known = await self._database.read(items.with_same_bytes, digests)
        if not known:
            return None
        mark = sidecar_mark(submission.sidecar)
        twins = [item for item, sidecar in known if not mark or sidecar == mark]
        if not twins:
            return known[0][0].number
        raise _already_known(next((one for one in twins if one.state is not ItemState.WITHDRAWN), twins[0]))

    async def _accept(self, submission: Submission, draft: Draft) -> Verdict:
        item = await self._database.write(
            items.accept,
            draft,
            name=submission.name,
            sidecar=sidecar_mark(submission.sidecar),
            plugins=self._host.names,
            now=self._clock.now(),
            zone=self._zone,
        )
        self._log.info("item_accepted", item=item.number, name=submission.name, files=len(draft.assets))
        self._wake()
        return await self._accepted(item.number)

    async def _accepted(self, number: ItemNumber) -> Accepted:
        return Accepted(number=number, receipt=await self._receipts.text(number))

    def _note_refusal(self, db: sqlite3.Connection, fact: RefusedFact) -> None:
        now = self._clock.now()
        # The day is in the key: told once after a crash, and again when the same thing is dropped another day.
        mark = hashlib.sha256(f"{fact.name}\0{fact.reason}\0{fact.sha256}\0{now:%Y-%m-%d}".encode()).hexdigest()[:32]
        facts.add(db, "hub", f"refused/{mark}", fact, now=now)


def sidecar_mark(sidecar: Sidecar | None) -> str:
    """A stable mark of what a sidecar says; '' for none. Equal sidecars have equal marks after a restart too."""
    if sidecar is None:
        return ""
    plain = json.dumps(
        asdict(sidecar), default=lambda value: sorted(value) if isinstance(value, frozenset) else str(value)
    )
    return hashlib.sha256(plain.encode()).hexdigest()


def _already_known(item: Item) -> Refusal:
    if item.state is ItemState.WITHDRAWN:
        return Refusal(
            "This is the same file as {number}, which was withdrawn. To show it again, drop it with a new sidecar that "
            "names its approval.",
            number=item.number,
        )
    return Refusal(
        "This is the same file as {number}, which was accepted already; nothing has to be done. To show it once more, "
        "drop it with a new sidecar.",
        number=item.number,
    )
