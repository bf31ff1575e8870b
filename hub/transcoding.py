"""The middle of the story: every rendition of one asset that somebody waits for, made in one go."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from datetime import timedelta

from hub.api import Asset, Clock, Log, Profile, Rendition
from hub.jobs.engine import Effect
from hub.jobs.retry import Decision, GiveUp
from hub.ledger import deliveries, items, renditions
from hub.ledger.database import Database
from hub.ledger.jobs import Job
from hub.media.transcoder import NotMade, Transcoder
from hub.messages import Catalogue

DISK_FULL = timedelta(minutes=1)

Results = Sequence[Rendition | NotMade]


class Transcoding:
    """Does the jobs of kind `transcode`. `progress` is how far each asset in work has come, 0 to 1."""

    def __init__(
        self, database: Database, transcoder: Transcoder, clock: Clock, log: Log, catalogue: Catalogue
    ) -> None:
        self.progress: dict[str, float] = {}
        self._database = database
        self._transcoder = transcoder
        self._clock = clock
        self._log = log
        self._catalogue = catalogue
        self._tried: dict[str, Sequence[Profile]] = {}  # asset -> what its last run was to make
        self._making: dict[str, asyncio.Task[Results]] = {}

    async def run(self, job: Job) -> Effect:
        """Make the wanted renditions: one decode for all of them."""
        profiles = await self._database.read(renditions.wanted_profiles, job.key)
        asset = await self._database.read(items.asset, job.key)
        if asset is None or not profiles:
            return lambda db: None
        await self._database.write(deliveries.transcoding_begun, job.key, now=self._clock.now())
        self._tried[job.key] = profiles
        made = await self._make(asset, profiles)
        return lambda db: self._record(db, asset, made)

    def failed(self, job: Job, decision: Decision) -> Effect:
        """What a failure of the whole run changes."""

        def effect(db: sqlite3.Connection) -> None:
            # What was asked for while it ran has not been tried yet.
            for profile in self._tried.get(job.key, ()) if isinstance(decision, GiveUp) else ():
                renditions.failed(db, job.key, profile, decision.reason)
            now = self._clock.now()
            deliveries.advance_all(db, job.key, now=now, retry_at=now + DISK_FULL)

        return effect

    async def stop_unwanted(self) -> None:
        """End the runs that nobody waits for any more: an hour's programme must not keep its place."""
        for asset, making in list(self._making.items()):
            if not await self._database.read(renditions.wanted_profiles, asset):
                making.cancel()

    async def _make(self, asset: Asset, profiles: Sequence[Profile]) -> Results:
        """The results in the order of `profiles`; none when the run was stopped as unwanted."""
        self.progress[asset.sha256] = 0.0
        try:
            async with asyncio.TaskGroup() as group:
                making = group.create_task(
                    self._transcoder.make(asset, profiles, on_progress=lambda part: self._note(asset, part)),
                    name=f"make: {asset.sha256[:12]}",
                )
                self._making[asset.sha256] = making
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None  # of the one task: its failure decides what becomes of the job
        finally:
            del self.progress[asset.sha256]
            self._making.pop(asset.sha256, None)
        if making.cancelled():
            self._log.info("transcode_stopped", asset=asset.sha256, reason="nobody waits for it any more")
            return ()
        return making.result()

    def _note(self, asset: Asset, part: float) -> None:
        self.progress[asset.sha256] = part

    def _record(self, db: sqlite3.Connection, asset: Asset, made: Results) -> None:
        now, retry_at = self._clock.now(), self._clock.now() + DISK_FULL
        for result in made:
            if isinstance(result, Rendition):
                renditions.made(db, result)
            elif not result.transient:
                reason = self._catalogue(result.message, **result.values)
                renditions.failed(db, asset.sha256, result.profile, reason)
        deliveries.advance_all(db, asset.sha256, now=now, retry_at=retry_at)
