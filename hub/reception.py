"""The desk: what was dropped and claimed is accepted, in one ledger transaction, or refused with a reason."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from hub.api import Asset, AudioProfile, Channel, Clock, Draft, Item, ItemNumber, ItemState, Log, MediaKind, Sha256
from hub.api import Refused as RefusedFact
from hub.api.errors import RetryLater
from hub.intake.desk import Accepted, ClaimedFile, Postponed, Refused, RefusedDrop, Submission, Verdict
from hub.intake.draft import make_draft
from hub.intake.settings import ApprovalLevel, SameBytes
from hub.intake.sidecar import Sidecar, WithdrawalNote
from hub.ledger import facts, items
from hub.ledger.database import Database
from hub.media import loudness
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.media.sniff import container_of
from hub.messages import Catalogue, Refusal
from hub.patience import Patience
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
        same_bytes: SameBytes = SameBytes.REFUSE,
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
        self._same_bytes = same_bytes
        self._patience = Patience(database, clock, catalogue)

    def glance(self, head: bytes) -> str | None:
        try:
            container_of(head)
        except Refusal as refusal:
            return refusal.say(self._say)
        return None

    async def begun(self, name: str, digests: frozenset[Sha256]) -> Accepted | None:
        number = await self._database.read(items.arrival, name, digests)
        return await self._accepted(number) if number else None

    async def consider(self, submission: Submission) -> Verdict:
        digests = frozenset(file.sha256 for file in submission.files)
        if begun := await self.begun(submission.name, digests):
            return begun
        if paused := self._patience.paused(digests):
            return paused
        try:
            repeats = await self._first_with_same_bytes(submission, digests)
            draft = replace(await self._draft(submission), repeats=repeats)
        except Refusal as refusal:
            return Refused(reason=refusal.say(self._say))
        except _NotNow as put_off:
            return await self._put_off(submission, put_off)
        await self._patience.succeeded(digests)
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

    async def refused(self, drops: Sequence[RefusedDrop]) -> None:
        await self._database.write(self._note_refusals, drops)
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

    async def _put_off(self, submission: Submission, put_off: _NotNow) -> Verdict:
        self._log.warning("file_not_looked_at", name=submission.name, reason=str(put_off.error))
        try:
            return await self._patience.failed(put_off.asset, put_off.error)
        except Refusal as refusal:
            name = next(file.original_name for file in submission.files if file.sha256 == put_off.asset)
            return Refused(reason=self._naming(name, submission, refusal).say(self._say))

    async def _asset(self, file: ClaimedFile, submission: Submission) -> Asset:
        try:
            with _trouble_of(file.sha256):
                media = await probe(file.vault_path, settings=self._media)
        except Refusal as refusal:
            raise self._naming(file.original_name, submission, refusal) from refusal
        return Asset(sha256=file.sha256, path=file.vault_path, original_name=file.original_name, media=media)

    async def _heard(self, draft: Draft) -> Draft:
        """What is to be aired must have something to hear; what was measured need not be measured again."""
        voiced = [asset for asset in draft.assets if asset.media.has_sound]
        spoken = next((asset for asset in voiced if asset.media.kind is MediaKind.AUDIO), voiced[0])
        if known := loudness.known(spoken.media):
            loudness.refuse_unfit(known, AudioProfile())
            return draft
        with _trouble_of(spoken.sha256):  # beside its picture it could not be decoded: this says what is wrong
            track = spoken.media.audio_track
            measured = await loudness.check_audio(spoken.path, settings=self._media, track=track)
        media = replace(spoken.media, loudness_lufs=measured.integrated_lufs, true_peak_dbtp=measured.true_peak_dbtp)
        assets = tuple(replace(asset, media=media) if asset is spoken else asset for asset in draft.assets)
        return replace(draft, assets=assets)

    def _naming(self, file: str, submission: Submission, refusal: Refusal) -> Refusal:
        """The refusal; of several files, it says which."""
        if not submission.folder:
            return refusal
        return Refusal("{file}: {reason}", file=file, reason=refusal.say(self._say))

    async def _first_with_same_bytes(self, submission: Submission, digests: frozenset[Sha256]) -> ItemNumber | None:
        known = await self._database.read(items.with_same_bytes, digests)
        if not known:
            return None
        mark = sidecar_mark(submission.sidecar)
        twins = [item for item, sidecar in known if not mark or sidecar == mark]
        if twins and not self._may_repeat([item for item, _ in known]):
            raise _already_known(next((one for one in twins if one.state is not ItemState.WITHDRAWN), twins[0]))
        return known[0][0].number

    def _may_repeat(self, known: Sequence[Item]) -> bool:
        """Whether the same bytes may come again without a new sidecar: never after a person took them back."""
        return self._same_bytes is SameBytes.REPEAT and known[-1].state is not ItemState.WITHDRAWN

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

    def _note_refusals(self, db: sqlite3.Connection, drops: Sequence[RefusedDrop]) -> None:
        now = self._clock.now()
        for drop in drops:
            sha256 = next(iter(drop.digests)) if len(drop.digests) == 1 else None
            # The day is in the key: told once after a crash, and again when the same thing is dropped another day.
            key = f"{drop.name}\0{drop.reason}\0{sha256}\0{now:%Y-%m-%d}"
            mark = hashlib.sha256(key.encode()).hexdigest()[:32]
            facts.add(
                db, "hub", f"refused/{mark}", RefusedFact(name=drop.name, reason=drop.reason, sha256=sha256), now=now
            )


class _NotNow(Exception):
    """An asset could not be looked at just now."""

    def __init__(self, asset: Sha256, error: OSError | RetryLater) -> None:
        super().__init__(str(error))
        self.asset = asset
        self.error = error


@contextmanager
def _trouble_of(asset: Sha256) -> Iterator[None]:
    """Whatever the machine has against looking at this asset. Raises: _NotNow."""
    try:
        yield
    except (OSError, RetryLater) as error:
        raise _NotNow(asset, error) from error


_LATER_FIELDS = ("days", "share", "template")


def sidecar_mark(sidecar: Sidecar | None) -> str:
    """A stable mark of what a sidecar says; '' for none. Equal sidecars have equal marks after a restart too."""
    if sidecar is None:
        return ""
    said = asdict(sidecar)
    for name in _LATER_FIELDS:  # marks in the ledger are older than these: what does not use them keeps its mark
        if said[name] == getattr(Sidecar(), name):
            del said[name]
    plain = json.dumps(said, default=lambda value: sorted(value) if isinstance(value, frozenset) else str(value))
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
