"""Bring a sound to the loudness of a profile: measure it, and say which gain and which limit do it."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hub.api.models import AudioProfile, MediaInfo
from hub.media.blame import blamed
from hub.media.inputs import MAX_ALLOC_BYTES, as_arguments, strict_options, url
from hub.media.planner import NO_SOUND, TOO_LONG, TOO_SHORT
from hub.media.r128 import METER, SPOKEN, STEREO, Loudness, as_text, readings
from hub.media.runner import Finished, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.sniff import DEMUXERS, sniff
from hub.messages import Refusal

TOLERANCE_LU = 0.3
MOST_LIMITING_DB = 6.0  # beyond this a louder gain would only squash it more
MP3_MARGIN_DB = 0.6  # coding adds peaks of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What is done to the sound for one audio profile. Without `limits` no peak comes near the ceiling."""

    gain_db: float
    ceiling_dbtp: float
    limits: bool


async def check_audio(
    path: Path, *, settings: MediaSettings, profile: AudioProfile | None = None, track: int = 0
) -> Loudness:
    """Decode the whole sound and measure it, before the item is accepted.

    Raises: Refusal when there is none, it is silent, damaged, too short or too long; RetryLater.
    """
    sniffed = await asyncio.to_thread(sniff, path, settings)
    if sniffed.container not in DEMUXERS:
        raise Refusal(NO_SOUND)
    with tempfile.TemporaryDirectory(prefix="siarhub-sound-") as folder:
        measured = await measure(path, sniffed.container, Path(folder), settings, track=track)
    refuse_unfit(measured, profile or AudioProfile())
    return measured


def known(media: MediaInfo) -> Loudness | None:
    """What was measured before, at intake; None when it was not."""
    if media.loudness_lufs is None or media.true_peak_dbtp is None or media.duration_s is None:
        return None
    return Loudness(integrated_lufs=media.loudness_lufs, true_peak_dbtp=media.true_peak_dbtp, seconds=media.duration_s)


def refuse_unfit(measured: Loudness, profile: AudioProfile) -> None:
    """Raises: Refusal when no gain makes this fit for the air."""
    if measured.seconds < profile.min_duration_s:
        raise Refusal(
            TOO_SHORT,
            seconds=round(measured.seconds, 1),
            limit=f"{profile.min_duration_s:g}",
        )
    if measured.seconds > profile.max_duration_s + 0.5:
        raise Refusal(
            TOO_LONG,
            seconds=round(measured.seconds),
            limit=f"{profile.max_duration_s:g}",
        )
    if measured.is_silent:
        raise Refusal("This recording is silent from beginning to end. Record it again with the microphone on.")


async def measure(path: Path, container: str, folder: Path, settings: MediaSettings, *, track: int = 0) -> Loudness:
    """Decode a sound strictly to its end and measure it.

    Raises: Refusal when the sound is missing or damaged; RetryLater when the machine failed.
    """
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", *SPOKEN, "-xerror", "-progress", "pipe:1"),
        *("-max_alloc", str(MAX_ALLOC_BYTES)),
        *as_arguments(strict_options(container, settings)),
        *("-i", url(path), "-map", f"0:a:{track}", "-t", f"{settings.max_duration_s + 1:g}"),
        *("-af", as_text(STEREO, METER), "-f", "null", "-"),
    ]
    finished = await run(
        command,
        confinement(settings, within_s=settings.transcode_within_s, read=[path]),
        folder=folder,
        within_s=settings.transcode_within_s,
        stall_after_s=settings.stall_after_s,
    )
    return _measured_by(finished)


def _measured_by(finished: Finished) -> Loudness:
    if (error := blamed(finished, "the measuring of the sound")) is not None:
        raise error
    measured = readings(finished) if finished.ok else []
    if measured:
        return measured[0]
    if "matches no streams" in finished.tail:
        raise Refusal(NO_SOUND)
    raise Refusal("The sound of this file is damaged: it cannot be decoded to its end. Export it again as MP3 or WAV.")


def first_gain(before: Loudness, profile: AudioProfile) -> Gain:
    margin = MP3_MARGIN_DB if profile.container == "mp3" else 0.1
    return _gain(before, profile.loudness_lufs - before.integrated_lufs, profile.true_peak_dbtp - margin)


def limited_db(before: Loudness, gain: Gain) -> float:
    """How much the limiter takes from the highest peak."""
    return round(max(0.0, before.true_peak_dbtp + gain.gain_db - gain.ceiling_dbtp), 2)


def better_gain(before: Loudness, after: Loudness, used: Gain, profile: AudioProfile) -> Gain | None:
    """A correction when the result misses the profile and another gain can mend it; None when it is good or best."""
    gain_db, ceiling = used.gain_db, used.ceiling_dbtp
    miss = profile.loudness_lufs - after.integrated_lufs
    overshoot = after.true_peak_dbtp - profile.true_peak_dbtp
    if abs(miss) > TOLERANCE_LU - 0.1 and limited_db(before, used) <= MOST_LIMITING_DB:
        gain_db += miss
    if overshoot > 0:
        ceiling -= overshoot + 0.1
    better = _gain(before, gain_db, ceiling)
    return None if (better.gain_db, better.ceiling_dbtp) == (used.gain_db, used.ceiling_dbtp) else better


def _gain(before: Loudness, gain_db: float, ceiling_dbtp: float) -> Gain:
    gain = Gain(gain_db=gain_db, ceiling_dbtp=ceiling_dbtp, limits=False)
    return replace(gain, limits=limited_db(before, gain) > 0)
