"""Nobody gets a file that was not looked at: size, length, shape, and a full strict decode of what we made."""

from __future__ import annotations

from pathlib import Path

from hub.api.errors import HubError
from hub.api.models import MediaInfo, VideoProfile
from hub.media.inputs import as_arguments, strict_options, url
from hub.media.planner import Step
from hub.media.probe import probe
from hub.media.runner import run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings


class Unfit(HubError):
    """A file that we made is not what its profile asks for; the text says in what, for the log."""


async def verify_video(path: Path, step: Step, *, sound: bool, folder: Path, settings: MediaSettings) -> MediaInfo:
    """The measured facts of a finished clip.

    Raises: Unfit; Refusal, RetryLater from the probe.
    """
    decoded_s = await _decode_whole(path, folder, settings)
    info = await probe(path, settings=_trusting(settings), decoded_s=decoded_s)
    profile = step.profile
    assert isinstance(profile, VideoProfile)  # noqa: S101 - the caller chose by it
    wanted = f"{profile.width}x{profile.height} h264 yuv420p 1:1 0 {profile.fps:g}"
    found = (
        f"{info.width}x{info.height} {info.video_codec} {info.pixel_format} {info.sample_aspect} {info.rotation} "
        f"{info.fps or 0:g}"
    )
    if found != wanted:
        raise Unfit(f"made {found} instead of {wanted}")
    if info.has_sound is not sound:
        raise Unfit("the sound is missing" if sound else "there is sound that nobody asked for")
    check_length(info.duration_s or 0.0, step)
    return info


async def verify_audio(path: Path, step: Step, *, decoded_s: float, settings: MediaSettings) -> MediaInfo:
    """The measured facts of a finished sound, which the caller decoded whole when it measured the loudness.

    Raises: Unfit; Refusal, RetryLater from the probe.
    """
    info = await probe(path, settings=_trusting(settings), decoded_s=decoded_s)
    if info.audio_channels != 2 or info.has_picture:
        raise Unfit(f"made {info.audio_channels} channels of {info.audio_codec}, picture: {info.video_codec or 'none'}")
    check_length(info.duration_s or 0.0, step)
    return info


def check_length(made_s: float, step: Step) -> None:
    """Raises: Unfit when it is not as long as its source (2 %, or half a second)."""
    if abs(made_s - step.duration_s) > max(0.5, step.duration_s * 0.02):
        raise Unfit(f"lasts {made_s:.2f} s instead of {step.duration_s:.2f} s")


async def _decode_whole(path: Path, folder: Path, settings: MediaSettings) -> float:
    """Seconds of an MP4 of ours that decode without a fault. Raises: Unfit."""
    # Without the loop filter: it smooths the picture, and finds no fault, for a quarter of the time.
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-xerror", "-progress", "pipe:1"),
        *("-skip_loop_filter:v", "all", *as_arguments(strict_options("mp4", settings))),
        *("-i", url(path), "-f", "null", "-"),
    ]
    within_s = settings.transcode_within_s
    limits = confinement(settings, within_s=within_s, read=[path])
    finished = await run(command, limits, folder=folder, within_s=within_s, stall_after_s=settings.stall_after_s)
    if not finished.ok:
        raise Unfit(f"does not decode to its end: {finished.says}")
    return finished.reached_s


def _trusting(settings: MediaSettings) -> MediaSettings:
    """The limits for dropped files do not hold for ours: pages held long may well exceed the longest recording."""
    return settings.model_copy(update={"max_duration_s": float("inf"), "max_file_mib": 1 << 30})
