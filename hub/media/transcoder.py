"""Make renditions: plan, one decode for all profiles, verify, keep. Repeatable: the same wishes give the same files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from hub.api.errors import HubError, RetryLater
from hub.api.models import Asset, AudioProfile, MediaKind, Profile, Rendition, VideoProfile
from hub.media import failures, loudness
from hub.media.canvas import Source
from hub.media.details import VideoDetails, basic_details, read_details
from hub.media.finishing import Made, check
from hub.media.graph import Target, command_for, passes_through
from hub.media.inputs import is_unreadable
from hub.media.pace import expect
from hub.media.pictures import draw
from hub.media.planner import Step, TranscodePlan, Way, pages_of, plan, seems_compliant
from hub.media.r128 import Loudness
from hub.media.runner import Finished, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.sniff import is_drawn
from hub.media.space import Space
from hub.media.store import RenditionStore
from hub.media.targets import targets_for
from hub.media.verify import Said, Unfit
from hub.messages import Refusal

log = structlog.get_logger("media")


@dataclass(frozen=True, slots=True, kw_only=True)
class NotMade:
    """A rendition that could not be made. `message` is a catalogue entry with its `values`; `transient`: try again;
    `doubtful`: but not for ever, since it may be the file's own fault.
    """

    profile: Profile
    message: str
    values: Mapping[str, object]
    transient: bool
    doubtful: bool = False

    @property
    def reason(self) -> Refusal:
        return Refusal(self.message, **self.values)


Result = Rendition | NotMade


@dataclass(slots=True)
class _Task:
    """One call of `make`: what it reads, where it works, and how far it is."""

    asset: Asset
    source: Source
    folder: Path
    shares: tuple[float, ...]  # what part of the work each run is
    on_progress: Callable[[float], None] | None
    before: Loudness | None = None  # the source's sound; None when no profile asks for it
    finished_runs: int = 0
    told: float = 0.0
    results: dict[Profile, Result] = field(default_factory=dict)

    def progress(self, reached_s: float, duration_s: float) -> None:
        """Tell how far all of it is; a corrected sound is made twice, which must not look like going back."""
        part = min(1.0, reached_s / duration_s) if duration_s > 0 else 0.0
        done = sum(self.shares[: self.finished_runs])
        whole = min(1.0, done + part * sum(self.shares[self.finished_runs : self.finished_runs + 1]))
        if self.on_progress is not None and whole > self.told:
            self.told = whole
            self.on_progress(whole)


class Transcoder:
    """Makes verified renditions in `folder`; several calls may run at once."""

    def __init__(self, settings: MediaSettings, folder: Path) -> None:
        self._settings = settings
        self._store = RenditionStore(folder)
        self._space = Space(self._store.free_bytes)

    def lent(self, *, threads: int, urgent: bool) -> Transcoder:
        """The same transcoder for one job: its share of the cores (0: all), and whether others stand back for it."""
        changes: dict[str, object] = {"threads": self._settings.threads or threads}
        if urgent:
            changes |= {"nice": 0, "idle_io": False}
        lent = copy(self)
        lent._settings = self._settings.model_copy(update=changes)
        return lent

    def sweep(self) -> None:
        """Remove half-made files of an earlier run; call once, before the first `make`. Blocks."""
        self._store.sweep()

    async def plan(self, asset: Asset, profiles: Sequence[Profile]) -> TranscodePlan:
        """What `make` would do and why; runs ffprobe, makes nothing.

        Raises: Refusal, RetryLater, OSError.
        """
        fine = (await self._details(asset, profiles))[1]
        return plan(asset, profiles, fine, remux=self._settings.remux_compliant)

    async def make(
        self,
        asset: Asset,
        profiles: Sequence[Profile],
        *,
        on_progress: Callable[[float], None] | None = None,
        on_plan: Callable[[TranscodePlan], None] | None = None,
    ) -> Sequence[Rendition | NotMade]:
        """A rendition for each profile, or why there is none, in the order of `profiles`.

        Every file returned was decoded whole, is on the disk for good, and is read-only. `on_plan` gets the plan before
        anything runs, `on_progress` 0.0 to 1.0 of the making; then what was made is checked.
        Raises: OSError when the asset or the renditions' folder cannot be read or written.
        """
        await asyncio.to_thread(_touch, asset.path)
        try:
            basic, fine = await self._details(asset, profiles)
        except HubError as error:
            return [_not_made(profile, error) for profile in profiles]
        chosen = plan(asset, tuple(dict.fromkeys(profiles)), fine, remux=self._settings.remux_compliant)
        if on_plan is not None:
            on_plan(chosen)
        async with self._store.work_folder() as folder:
            source = Source(media=asset.media, paths=(asset.path,), details=basic)
            task = _Task(asset, source, folder, expect(asset.media, chosen).shares, on_progress)
            try:
                await self._carry_out(task, chosen)
            finally:
                self._space.give_back(folder)
        return [task.results[profile] for profile in profiles]

    async def _details(self, asset: Asset, profiles: Sequence[Profile]) -> tuple[VideoDetails, VideoDetails | None]:
        if asset.media.kind is not MediaKind.VIDEO or not any(isinstance(p, VideoProfile) for p in profiles):
            return VideoDetails(), None
        fitting = any(isinstance(p, VideoProfile) and seems_compliant(asset.media, p) for p in profiles)
        basic = basic_details(asset.media)
        if not (fitting and self._settings.remux_compliant):
            return basic, None
        try:
            details = await read_details(asset, self._settings, packets=True)
        except Refusal:  # it passed the probe, so it can be decoded: without the details it is encoded
            return basic, None
        return details, details

    async def _carry_out(self, task: _Task, chosen: TranscodePlan) -> None:
        for profile, why in chosen.impossible:
            task.results[profile] = _impossible(task.asset, profile, why)
        if (full := await self._no_space(task, chosen)) is not None:
            task.results |= {step.profile: replace(full, profile=step.profile) for step in chosen.steps}
            return
        try:
            await self._prepare(task, chosen)
        except HubError as error:
            task.results |= {step.profile: _not_made(step.profile, error) for step in chosen.steps}
            return
        for steps in chosen.runs:
            await self._run(task, [step for step in steps if self._is_fit(task, step)])
            task.finished_runs += 1

    async def _no_space(self, task: _Task, chosen: TranscodePlan) -> NotMade | None:
        short = await asyncio.to_thread(
            self._space.promise, task.folder, chosen.most_bytes, keep_mib=self._settings.keep_free_mib
        )
        if short is None or not chosen.steps:
            return None
        log.warning("disk_space_was_short", free_mib=short.free_mib, needed_mib=short.needed_mib)
        values = {"free": short.free_mib, "needed": short.needed_mib}
        return NotMade(profile=chosen.steps[0].profile, message=failures.NO_SPACE, values=values, transient=True)

    async def _prepare(self, task: _Task, chosen: TranscodePlan) -> None:
        """Draw the picture or the pages and measure the sound, once for all steps.

        Raises: Refusal, RetryLater.
        """
        media = task.asset.media
        pictures = [step.profile for step in chosen.steps if not isinstance(step.profile, AudioProfile)]
        if is_drawn(media) and pictures:
            cover = max(one.width for one in pictures), max(one.height for one in pictures)
            pages = max(pages_of(media, one) for one in pictures)
            drawn = await draw(task.asset.path, task.folder, media, cover=cover, pages=pages, settings=self._settings)
            task.source = replace(task.source, paths=drawn)
        if any(isinstance(step.profile, AudioProfile) for step in chosen.steps):
            try:
                task.before = loudness.known(media) or await loudness.measure(
                    task.asset.path, media.container, task.folder, self._settings, track=media.audio_track
                )
            except HubError as error:
                sounds = [step.profile for step in chosen.steps if isinstance(step.profile, AudioProfile)]
                task.results |= {profile: _not_made(profile, error) for profile in sounds}

    def _is_fit(self, task: _Task, step: Step) -> bool:
        """Whether to make this step at all; silence is refused here."""
        if isinstance(step.profile, AudioProfile) and task.before is not None:
            try:
                loudness.refuse_unfit(task.before, step.profile)
            except Refusal as refusal:
                task.results[step.profile] = _not_made(step.profile, refusal)
        return step.profile not in task.results

    async def _run(self, task: _Task, steps: Sequence[Step]) -> None:
        """Make these steps in one process; when that fails, each alone, so that one bad output harms no other."""
        if not steps:
            return
        targets = targets_for(steps, task.folder, task.before)
        said = Said() if passes_through(targets) else None
        finished = await self._ffmpeg(task, targets, said)
        if finished.ok:
            await self._finish_all(task, targets, finished, said)
        elif len(steps) > 1 and finished.stopped is None and not finished.disk_full:
            log.warning("shared_run_failed", asset=task.asset.sha256, outputs=len(steps), reason=finished.says)
            for step in steps:
                await self._run(task, [step])
        else:
            await self._failed(task, steps, finished)

    async def _failed(self, task: _Task, steps: Sequence[Step], finished: Finished) -> None:
        transient = finished.transient or await asyncio.to_thread(is_unreadable, task.asset.path)
        message, values = failures.explain(finished, self._settings, transient=transient)
        log.warning("transcode_failed", asset=task.asset.sha256, reason=finished.says, transient=transient)
        for step in steps:
            if step.way is Way.REMUX and not transient:
                await self._run(task, [replace(step, way=Way.ENCODE)])
                continue
            task.results[step.profile] = NotMade(
                profile=step.profile,
                message=message,
                values=values,
                transient=transient,
                doubtful=finished.transient and not finished.disk_full,
            )

    async def _ffmpeg(self, task: _Task, targets: Sequence[Target], said: Said | None = None) -> Finished:
        command = await asyncio.to_thread(command_for, task.source, targets, self._settings)
        within_s = self._settings.transcode_within_s
        limits = confinement(self._settings, within_s=within_s, read=task.source.paths, write=[task.folder])
        longest = max(target.step.duration_s for target in targets)
        return await run(
            command,
            limits,
            folder=task.folder,
            within_s=within_s,
            stall_after_s=self._settings.stall_after_s,
            on_progress=lambda reached: task.progress(reached, longest),
            on_line=said,
        )

    async def _finish_all(self, task: _Task, targets: Sequence[Target], finished: Finished, said: Said | None) -> None:
        """Verify and keep all that a run has made, side by side: each look is short and uses one core."""
        try:
            async with asyncio.TaskGroup() as group:
                looks = {
                    target.step.profile: group.create_task(
                        self._finish(task, target, finished, said), name=f"media: verify {target.path.name}"
                    )
                    for target in targets
                }
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None  # one is enough to know that the disk fails
        task.results |= {profile: look.result() for profile, look in looks.items()}

    async def _finish(self, task: _Task, target: Target, finished: Finished, said: Said | None) -> Result:
        """Verify what was made and keep it."""
        profile = target.step.profile
        made = Made(
            target=target, asset=task.asset, source=task.source, folder=task.folder, before=task.before,
            run=finished, said=said, again=lambda better: self._ffmpeg(task, [better]),
        )  # fmt: skip
        try:
            checked = await check(made, self._settings)
        except HubError as error:
            log.warning("rendition_was_unfit", asset=task.asset.sha256, reason=str(error), way=target.step.way.value)
            if target.step.way is Way.REMUX and isinstance(error, Unfit | Refusal):
                await self._run(task, [replace(target.step, way=Way.ENCODE)])
                return task.results[profile]
            transient = isinstance(error, RetryLater)
            return NotMade(profile=profile, message=failures.NOT_CONVERTED, values={}, transient=transient)
        digest, path = await asyncio.to_thread(self._store.keep, target.path)
        return Rendition(
            asset=task.asset.sha256,
            profile=profile,
            path=path,
            sha256=digest,
            media=checked.media,
            loudness_lufs=checked.after.integrated_lufs if checked.after else None,
            true_peak_dbtp=checked.after.true_peak_dbtp if checked.after else None,
            limited_db=checked.limited_db,
        )


def _touch(path: Path) -> None:
    with path.open("rb") as file:
        file.read(1)


def _impossible(asset: Asset, profile: Profile, why: str) -> NotMade:
    return NotMade(profile=profile, message=why, values=failures.values_for(asset.media, profile), transient=False)


def _not_made(profile: Profile, error: HubError) -> NotMade:
    if isinstance(error, Refusal):
        return NotMade(profile=profile, message=error.message, values=error.values, transient=False)
    values = {"why": str(error)}
    return NotMade(profile=profile, message=failures.INTERRUPTED, values=values, transient=True)
