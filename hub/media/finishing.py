"""After the run: see that what was made is what was asked for, and bring a sound nearer to its loudness if need be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from hub.api.models import Asset, AudioProfile, MediaInfo, ThumbnailProfile, VideoProfile
from hub.media import loudness
from hub.media.canvas import Source
from hub.media.graph import Target, passes_through
from hub.media.r128 import Loudness, readings
from hub.media.runner import Finished
from hub.media.settings import MediaSettings
from hub.media.verify import AllBlack, Unfit, is_black, seen, verify_audio, verify_thumbnail, verify_video

CORRECTIONS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a run has left for one target, and what it was made from."""

    target: Target
    asset: Asset
    source: Source
    folder: Path
    before: Loudness | None  # of the source's sound, where a profile asks for it
    run: Finished  # that made it
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
            shown=seen(made.run) if passes_through([made.target]) else None,
            folder=made.folder,
            settings=settings,
        )
    except AllBlack as error:
        if not await is_black(made.source.paths[0], made.source.container, made.folder, settings):
            raise Unfit("nothing can be seen in it, but something can be seen in its original") from error
        return error.media


async def _check_sound(made: Made, profile: AudioProfile, settings: MediaSettings) -> Checked:
    target, after = await _levelled(made, profile, settings)
    media = await verify_audio(target.path, target.step, folder=made.folder, settings=settings)
    if after.is_silent:
        raise Unfit("it is silent, but its original is not")
    limited = 0.0
    if made.before is not None and target.gain is not None:
        limited = loudness.limited_db(made.before, target.gain)
    return Checked(media=media, after=after, limited_db=limited)


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
