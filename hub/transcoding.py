"""The middle of the story: every rendition of one asset that somebody waits for, made in one go."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from hub.api import Asset, Clock, ItemNumber, Log, Profile, Progress, Rendition
from hub.api.profiles import in_words
from hub.jobs.engine import Effect
from hub.jobs.retry import Decision, GiveUp
from hub.jobs.settings import JobSettings
from hub.ledger import deliveries, items, jobs, renditions
from hub.ledger.database import Database
from hub.ledger.jobs import Job
from hub.media import failures
from hub.media.pace import Pace, expect
from hub.media.planner import TranscodePlan
from hub.media.speed import Speed
from hub.media.transcoder import NotMade, Transcoder
from hub.messages import Catalogue

DISK_FULL = timedelta(minutes=1)
DOUBTFUL_TRIES = 3
TELL_EVERY_S = 30.0
TELL_EVERY_PART = 0.25

Results = Sequence[Rendition | NotMade]


@dataclass(slots=True)
class _Run:
    """One transcode that runs now."""

    asset: Asset
    item: ItemNumber
    title: str
    urgent: bool
    outputs: tuple[str, ...]
    threads: int
    begun: float
    making: asyncio.Task[Results] | None = None
    speed: Speed | None = None  # once it is planned
    plan: TranscodePlan | None = None
    told_at: float = 0.0  # when the log last told of it
    told_part: float = 0.0

    def progress(self) -> Progress:
        return Progress(
            asset=self.asset.sha256,
            item=self.item,
            title=self.title,
            name=self.asset.original_name,
            part=round(self.speed.part, 4) if self.speed else 0.0,
            speed=_round(self.speed.times_real) if self.speed else None,
            left_s=round(self.speed.left_s, 1) if self.speed else None,
            outputs=self.outputs,
            urgent=self.urgent,
        )


class Transcoding:
    """Does the jobs of kind `transcode`."""

    def __init__(
        self,
        database: Database,
        transcoder: Transcoder,
        settings: JobSettings,
        pace: Pace,
        clock: Clock,
        log: Log,
        catalogue: Catalogue,
    ) -> None:
        self._database = database
        self._transcoder = transcoder
        self._at_once = settings.transcodes_at_once
        self._pace = pace
        self._clock = clock
        self._log = log
        self._catalogue = catalogue
        self._tried: dict[str, Sequence[Profile]] = {}  # asset -> what its last run was to make
        self._runs: dict[str, _Run] = {}
        self._doubts: Counter[tuple[str, Profile]] = Counter()  # failures that may be the file's own fault
        self._put_off: dict[str, str] = {}  # asset -> its name, and why it could not be made just now

    def progress(self) -> tuple[Progress, ...]:
        """How far each transcode that runs now has come; the one begun first stands first."""
        return tuple(run.progress() for run in self._runs.values())

    def troubles(self) -> tuple[str, ...]:
        """What could not be made just now and is tried again by itself: file, output and reason."""
        return tuple(self._put_off.values())

    async def run(self, job: Job) -> Effect:
        """Make the wanted renditions: one decode for all of them."""
        profiles = await self._database.read(renditions.wanted_profiles, job.key)
        asset = await self._database.read(items.asset, job.key)
        item = await self._database.read(items.get, job.item)
        self._put_off.pop(job.key, None)
        if asset is None or item is None or not profiles:
            return lambda db: None
        await self._database.write(deliveries.transcoding_begun, job.key, now=self._clock.now())
        self._tried[job.key] = profiles
        run = _Run(
            asset, item.number, item.title, job.urgent, tuple(in_words(profile) for profile in profiles),
            await self._threads(job), self._clock.monotonic(),
        )  # fmt: skip
        made = await self._make(run, profiles)
        made = [self._with_an_end(asset, one) for one in made]
        later = next((one for one in made if isinstance(one, NotMade) and one.transient), None)
        if later is not None:
            self._put_off[job.key] = self._why(asset, later)
        return lambda db: self._record(db, asset, made, self._put_off.get(job.key, ""))

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
        for asset, run in list(self._runs.items()):
            wanted = await self._database.read(renditions.wanted_profiles, asset)
            if run.making is not None and not wanted:
                run.making.cancel()

    async def _threads(self, job: Job) -> int:
        """This run's share of the cores; 0 = all of them.

        An urgent one gets all, for the others stand back for it; so does the last of a queue, since those beside it end
        and a share is for the whole of a run.
        """
        waiting = await self._database.read(jobs.due_transcodes, self._clock.now())
        if job.urgent or not waiting:
            return 0
        running = sum(1 for run in self._runs.values() if not run.urgent)
        return max(1, len(os.sched_getaffinity(0)) // min(self._at_once, running + 1 + waiting))

    async def _make(self, run: _Run, profiles: Sequence[Profile]) -> Results:
        """The results in the order of `profiles`; none when the run was stopped as unwanted."""
        asset = run.asset
        transcoder = self._transcoder.lent(threads=run.threads, urgent=run.urgent)
        self._runs[asset.sha256] = run
        try:
            async with asyncio.TaskGroup() as group:
                run.making = group.create_task(
                    transcoder.make(
                        asset,
                        profiles,
                        on_progress=lambda part: self._note(run, part),
                        on_plan=lambda plan: self._planned(run, plan),
                    ),
                    name=f"make: {asset.sha256[:12]}",
                )
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None  # of the one task: its failure decides what becomes of the job
        finally:
            self._runs.pop(asset.sha256, None)
        if run.making.cancelled():
            self._log.info("transcode_stopped", **_who(run), reason="nobody waits for it any more")
            return ()
        await self._tell_end(run, run.making.result())
        return run.making.result()

    def _planned(self, run: _Run, plan: TranscodePlan) -> None:
        media, run.plan = run.asset.media, plan
        expected = expect(media, plan, factor=self._pace.factor, cores=run.threads)
        longest = max((step.duration_s for step in plan.steps), default=0.0)
        run.speed = Speed(self._clock, longest, expected)
        run.told_at = self._clock.monotonic()
        self._log.info(
            "transcode_begun",
            **_who(run),
            urgent=run.urgent,
            plan="; ".join(
                f"{steps[0].way} {', '.join(in_words(one.profile) for one in steps)}" for steps in plan.runs
            ),
            expected_s=round(expected.seconds, 1),
            expected_mib=round(plan.expected_bytes / (1 << 20), 1),
            threads=run.threads or "all",
        )

    def _note(self, run: _Run, part: float) -> None:
        """Sometimes the log is told too: at most three times, and not more often than every half minute."""
        if run.speed is None:
            return
        run.speed.reach(part)
        now = self._clock.monotonic()
        if part >= 1.0 or part - run.told_part < TELL_EVERY_PART or now - run.told_at < TELL_EVERY_S:
            return
        run.told_at, run.told_part = now, part
        speed, left = run.speed.times_real, run.speed.left_s
        self._log.info("transcode_advanced", **_who(run), part=round(part, 2), speed=_round(speed), left_s=round(left))

    async def _tell_end(self, run: _Run, made: Results) -> None:
        took = self._clock.monotonic() - run.begun
        whole = [one for one in made if isinstance(one, Rendition)]
        media_s = run.speed.media_s if run.speed else 0.0
        self._log.info(
            "transcode_done",
            **_who(run),
            made=len(whole),
            failed=len(made) - len(whole),
            seconds=round(took, 2),
            speed=_round(media_s / took if took > 0 else None),
            bytes=sum(one.media.size_bytes for one in whole),
        )
        if run.plan is not None and made and len(whole) == len(made):
            usual = expect(run.asset.media, run.plan, cores=run.threads).seconds
            await asyncio.to_thread(self._pace.note, expected_s=usual, took_s=took)

    def _with_an_end(self, asset: Asset, one: Rendition | NotMade) -> Rendition | NotMade:
        """What may be the file's own fault is not tried for ever."""
        key = (asset.sha256, one.profile)
        if isinstance(one, Rendition) or not one.doubtful:
            self._doubts.pop(key, None)
            return one
        self._doubts[key] += 1
        if self._doubts[key] < DOUBTFUL_TRIES:
            return one
        tries = self._doubts.pop(key)
        return replace(one, message=failures.TOO_HEAVY, values={"tries": tries}, transient=False)

    def _why(self, asset: Asset, missing: NotMade) -> str:
        """Of several files and screens, it says which."""
        reason = self._catalogue(missing.message, **missing.values)
        return f"{asset.original_name} ({in_words(missing.profile)}): {reason}"

    def _record(self, db: sqlite3.Connection, asset: Asset, made: Results, put_off: str) -> None:
        now, retry_at = self._clock.now(), self._clock.now() + DISK_FULL
        for result in made:
            if isinstance(result, Rendition):
                renditions.made(db, result)
            elif not result.transient:
                renditions.failed(db, asset.sha256, result.profile, self._why(asset, result))
        deliveries.advance_all(db, asset.sha256, now=now, retry_at=retry_at)
        if put_off:
            deliveries.note_waiting(db, asset.sha256, put_off, now=now)


def _who(run: _Run) -> dict[str, str]:
    return {"item": run.item, "name": run.asset.original_name, "asset": run.asset.sha256[:12]}


def _round(speed: float | None) -> float | None:
    return round(speed, 2) if speed is not None else None
