"""After the run: see that what was made is what was asked for, and bring a sound nearer to its loudness if need be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hub.api.models import Asset, AudioProfile, MediaInfo, ThumbnailProfile, VideoProfile
from hub.media import loudness
from hub.media.canvas import Source
from hub.media.graph import Target
from hub.media.planner import LOUDNESS_WITHIN_LU, Way, pages_of
from hub.media.r128 import Loudness, readings
from hub.media.runner import Finished
from hub.media.settings import MediaSettings
from hub.media.verify import (
    AllBlack,
    Said,
    Unfit,
    check_seconds,
    is_black,
    seen,
    verify_audio,
    verify_thumbnail,
    verify_video,
)

CORRECTIONS = 3
TOO_LOUD_DB = 1.0  # after all corrections: a sound too low for lack of room below the peaks is aired, none too loud


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run has left for one target, and what it was made from."""

    target: Target
    asset: Asset
    source: Source
    folder: Path
    before: Loudness | None  # of the source's sound, where a profile asks for it
    run: Finished  # that made it
    said: Said | None  # what it showed of its pictures, where it only copied them
    again: Callable[[Target], Awaitable[Finished]]  # make only this target


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """It is what its profile asks for."""

    media: MediaInfo
    after: Loudness | None = None
    limited_db: float | None = None


async def check(made: Made, settings: MediaSettings) -> Checked:
    """Raises: Unfit when it is not what was asked for; Refusal, RetryLater."""
    step, profile = made.target.step, made.target.step.profile
    if isinstance(profile, AudioProfile):
        return await _check_sound(made, profile, settings)
    if isinstance(profile, ThumbnailProfile):
        media = await verify_thumbnail(made.target.path, step, folder=made.folder, settings=settings)
        return Checked(media=media)
    return Checked(media=await _check_video(made, profile, settings))


async def _check_video(made: Made, profile: VideoProfile, settings: MediaSettings) -> MediaInfo:
    original = made.asset.media
    before = loudness.known(original)
    try:
        return await verify_video(
            made.target.path,
            made.target.step,
            sound=profile.with_sound and original.has_sound,
            audible=before is not None and not before.is_silent,
            shown=seen(made.run, made.said) if made.said is not None else None,
            folder=made.folder,
            settings=settings,
        )
    except AllBlack as error:
        if not await _is_black_itself(made, profile, settings):
            raise Unfit("nothing can be seen in it, but something can be seen in its original") from error
        return error.media


async def _is_black_itself(made: Made, profile: VideoProfile, settings: MediaSettings) -> bool:
    """Whether nothing can be seen in the original either, in none of the pages that are shown."""
    source = made.source
    pages = source.paths[: pages_of(source.media, profile)]
    for page in pages:
        if not await is_black(page, source.container, made.folder, settings, screen=profile):
            return False
    return True


async def _check_sound(made: Made, profile: AudioProfile, settings: MediaSettings) -> Checked:
    target, after = await _levelled(made, profile, settings)
    media = await verify_audio(target.path, target.step, folder=made.folder, settings=settings)
    _check_heard(after, target, profile)
    limited = 0.0
    if made.before is not None and target.gain is not None:
        limited = loudness.limited_db(made.before, target.gain)
    return Checked(media=media, after=after, limited_db=limited)


def _check_heard(after: Loudness, target: Target, profile: AudioProfile) -> None:
    """What was heard of it, whatever its header says of itself. Raises: Unfit."""
    if after.is_silent:
        raise Unfit("it is silent, but its original is not")
    check_seconds(after.seconds, target.step)
    over_lu = after.integrated_lufs - profile.loudness_lufs
    over_db = after.true_peak_dbtp - profile.true_peak_dbtp
    passed_through = target.step.way is Way.REMUX  # then it must be as it was known to be
    if max(over_lu, over_db) > TOO_LOUD_DB or (passed_through and abs(over_lu) > LOUDNESS_WITHIN_LU + 0.1):
        raise Unfit(f"it has {after.integrated_lufs:.1f} LUFS, true peak {after.true_peak_dbtp:.1f} dBTP")


async def _levelled(made: Made, profile: AudioProfile, settings: MediaSettings) -> tuple[Target, Loudness]:
    """Measure the result; make it again with a better gain while that helps.

    Raises: Refusal, RetryLater, Unfit.
    """
    target = made.target
    heard = readings(made.run) if target.meter else []
    after = heard[0] if heard else await _measure(made, profile, settings)
    for _ in range(CORRECTIONS):
        if made.before is None or target.gain is None:
            break
        better = loudness.better_gain(made.before, after, target.gain, profile)
        if better is None:
            break
        target = replace(target, gain=better, meter=False)
        finished = await made.again(target)
        if not finished.ok:
            raise Unfit(f"the corrected sound was not made: {finished.says}")
        after = await _measure(made, profile, settings)
    return target, after


async def _measure(made: Made, profile: AudioProfile, settings: MediaSettings) -> Loudness:
    return await loudness.measure(made.target.path, profile.container, made.folder, settings)
