"""Loudness by EBU R128 / ITU-R BS.1770: measure, and say which gain brings a sound to a profile."""

from __future__ import annotations

import asyncio
import math
import re
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from hub.api.errors import RetryLater
from hub.api.models import AudioProfile, MediaInfo
from hub.media.graph import Gain, sound_filter
from hub.media.inputs import MAX_ALLOC_BYTES, as_arguments, strict_options, url
from hub.media.planner import NO_SOUND, TOO_LONG, TOO_SHORT
from hub.media.runner import Finished, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.sniff import DEMUXERS, sniff
from hub.messages import Refusal

SILENT_LUFS = -69.0  # the gate of BS.1770 is -70: a sound below it has no loudness
TOLERANCE_LU = 0.3
MOST_LIMITING_DB = 6.0  # beyond this a louder gain would only squash it more
MP3_MARGIN_DB = 0.6  # coding adds peaks of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Loudness:
    """`seconds` is how much sound was decoded."""

    integrated_lufs: float
    true_peak_dbtp: float
    seconds: float

    @property
    def is_silent(self) -> bool:
        return self.integrated_lufs <= SILENT_LUFS or not math.isfinite(self.true_peak_dbtp)


async def check_audio(path: Path, *, settings: MediaSettings, profile: AudioProfile | None = None) -> Loudness:
    """Decode the whole sound and measure it, before the item is accepted.

    Raises: Refusal when there is none, it is silent, damaged, too short or too long; RetryLater.
    """
    sniffed = await asyncio.to_thread(sniff, path, settings)
    if sniffed.container not in DEMUXERS:
        raise Refusal(NO_SOUND)
    with tempfile.TemporaryDirectory(prefix="siarhub-sound-") as folder:
        finished = await measure_run(path, sniffed.container, Path(folder), settings)
    measured = measured_by(finished)
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


async def measure_run(path: Path, container: str, folder: Path, settings: MediaSettings) -> Finished:
    """Decode the first sound strictly and let ebur128 write its summary at the end of `tail`."""
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-v", "info", "-xerror", "-progress", "pipe:1"),
        *("-max_alloc", str(MAX_ALLOC_BYTES)),
        *as_arguments(strict_options(container, settings)),
        *("-i", url(path), "-map", "0:a:0", "-t", f"{settings.max_duration_s + 1:g}"),
        *("-af", f"{sound_filter()},ebur128=peak=true:framelog=verbose", "-f", "null", "-"),
    ]
    return await run(
        command,
        confinement(settings, within_s=settings.transcode_within_s, read=[path]),
        folder=folder,
        within_s=settings.transcode_within_s,
        stall_after_s=settings.stall_after_s,
    )


def read_summary(finished: Finished) -> Loudness | None:
    """The measurement from ebur128's summary; None when there is no summary."""
    _, found, summary = finished.tail.rpartition("Summary:")
    integrated = re.search(r"\bI:\s+(-?[\d.]+|-inf|nan) LUFS", summary)
    peak = re.search(r"True peak:\s+Peak:\s+(-?[\d.]+|-inf|nan) dBFS", summary)
    if not found or integrated is None or peak is None:
        return None
    return Loudness(
        integrated_lufs=float(integrated.group(1)),
        true_peak_dbtp=float(peak.group(1)),
        seconds=finished.reached_s,
    )


def measured_by(finished: Finished) -> Loudness:
    """What the run measured.

    Raises: Refusal when the sound is missing or damaged; RetryLater when the machine failed.
    """
    if finished.transient:
        raise RetryLater(f"the sound could not be measured: {finished.says}")
    measured = read_summary(finished) if finished.ok else None
    if measured is not None:
        return measured
    if "matches no streams" in finished.tail:
        raise Refusal(NO_SOUND)
    raise Refusal("The sound of this file is damaged: it cannot be decoded to its end. Export it again as MP3 or WAV.")


def first_gain(measured: Loudness, profile: AudioProfile) -> Gain:
    margin = MP3_MARGIN_DB if profile.container == "mp3" else 0.1
    return Gain(gain_db=profile.loudness_lufs - measured.integrated_lufs, ceiling_dbtp=profile.true_peak_dbtp - margin)


def limited_db(measured: Loudness, gain: Gain) -> float:
    """How much the limiter takes from the highest peak."""
    return round(max(0.0, measured.true_peak_dbtp + gain.gain_db - gain.ceiling_dbtp), 2)


def better_gain(before: Loudness, after: Loudness, used: Gain, profile: AudioProfile) -> Gain | None:
    """A correction when the result misses the profile and another gain can mend it; None when it is good or best."""
    gain = used
    miss = profile.loudness_lufs - after.integrated_lufs
    overshoot = after.true_peak_dbtp - profile.true_peak_dbtp
    if abs(miss) > TOLERANCE_LU - 0.1 and limited_db(before, used) <= MOST_LIMITING_DB:
        gain = replace(gain, gain_db=gain.gain_db + miss)
    if overshoot > 0:
        gain = replace(gain, ceiling_dbtp=gain.ceiling_dbtp - overshoot - 0.1)
    return None if gain == used else gain
