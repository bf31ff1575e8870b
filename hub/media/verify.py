"""Nobody gets a file that was not looked at: its shape, its length, its packets, its pictures.

A picture that we coded, or that passes through, is looked at by its keyframes: all packets are read to the end, the
first picture of every group is decoded strictly and must not be black. That finds what can go wrong in the making (a
full disk, a lost end, a wrong filter) for a fiftieth of what decoding all of it costs; `verify_every_frame` does that.
"""

from __future__ import annotations

import asyncio
import re
import wave
from dataclasses import dataclass
from pathlib import Path

from hub.api.errors import HubError
from hub.api.models import AudioProfile, MediaInfo, MediaKind, ThumbnailProfile, VideoProfile
from hub.media.graph import KEYFRAMES
from hub.media.inputs import MAX_ALLOC_BYTES, as_arguments, strict_options, url
from hub.media.planner import Step
from hub.media.probe import Headed, headers
from hub.media.r128 import SPOKEN
from hub.media.runner import Finished, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.wholeness import check_duration, check_whole

BLACK_LUMA, BLACK_SPREAD = 20.0, 2.0  # of limited range, where black is 16: above it something can be seen
SILENT_DB = -80.0


class Unfit(HubError):
    """A file that we made is not what its profile asks for; the text says in what, for the log."""


class AllBlack(Unfit):
    """Nothing can be seen in it. Right only when nothing can be seen in the original; else it is as it should be."""

    def __init__(self, media: MediaInfo) -> None:
        super().__init__("nothing can be seen in it")
        self.media = media


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What reading a clip to its end has shown."""

    reached_s: float
    keyframes: int
    black: bool  # all that was decoded
    sizes: frozenset[str]  # of what was decoded, such as 1920x1080
    loudest_db: float | None  # None: no sound was looked for


async def verify_video(
    path: Path, step: Step, *, sound: bool, audible: bool, shown: Look | None, folder: Path, settings: MediaSettings
) -> MediaInfo:
    """The measured facts of a finished clip, which must have `sound` or none, and not be silent when `audible`.

    `shown` is what the run has shown that copied its pictures: then only the packets are read here.
    Raises: AllBlack, Unfit; Refusal, RetryLater from the probe.
    """
    profile = step.profile
    assert isinstance(profile, VideoProfile)  # noqa: S101 - the caller chose by it
    headed = await headers(path, folder, "mp4", settings, packets=shown is not None)
    info = headed.info
    wanted = f"{profile.width}x{profile.height} h264 yuv420p 1:1 0 {profile.fps:g}"
    found = (
        f"{info.width}x{info.height} {info.video_codec} {info.pixel_format} {info.sample_aspect} {info.rotation} "
        f"{info.fps or 0:g}"
    )
    if found != wanted:
        raise Unfit(f"made {found} instead of {wanted}")
    if info.has_sound is not sound:
        raise Unfit("the sound is missing" if sound else "there is sound that nobody asked for")
    measured = check_length(headed, step)
    look = shown or await _look(path, "mp4", folder, settings, sound=sound)
    if look.sizes != {f"{profile.width}x{profile.height}"}:
        raise Unfit(f"its pictures are {' and '.join(sorted(look.sizes))} large")
    check_duration(headed.duration_s, look.reached_s if headed.walked_s is None else headed.walked_s)
    if sound and audible and look.loudest_db is not None and look.loudest_db <= SILENT_DB:
        raise Unfit("it is silent, but its original is not")
    if look.black:
        raise AllBlack(measured)
    return measured


async def verify_audio(path: Path, step: Step, *, folder: Path, settings: MediaSettings) -> MediaInfo:
    """The measured facts of a finished sound, whose loudness the caller has measured.

    Raises: Unfit; Refusal, RetryLater from the probe.
    """
    profile = step.profile
    assert isinstance(profile, AudioProfile)  # noqa: S101 - the caller chose by it
    if profile.container == "wav":
        headed = await asyncio.to_thread(_wav_headers, path)
    else:
        headed = await headers(path, folder, profile.container, settings)
    info = headed.info
    if info.audio_channels != 2 or info.sample_rate_hz != profile.sample_rate_hz or info.has_picture:
        raise Unfit(
            f"made {info.audio_channels} channels of {info.audio_codec} at {info.sample_rate_hz} Hz, "
            f"picture: {info.video_codec or 'none'}"
        )
    return check_length(headed, step)


async def verify_thumbnail(path: Path, step: Step, *, folder: Path, settings: MediaSettings) -> MediaInfo:
    """The measured facts of a finished thumbnail.

    Raises: Unfit; Refusal, RetryLater from the probe.
    """
    profile = step.profile
    assert isinstance(profile, ThumbnailProfile)  # noqa: S101 - the caller chose by it
    info = (await headers(path, folder, "jpeg", settings)).info
    width, height = info.width or 0, info.height or 0
    if info.video_codec != "mjpeg" or not (0 < width <= profile.width and 0 < height <= profile.height):
        raise Unfit(f"made {info.video_codec} {width}x{height} for a box of {profile.width}x{profile.height}")
    await _look(path, "jpeg", folder, settings, sound=False)
    return info


def _wav_headers(path: Path) -> Headed:
    """A WAV of ours needs no tool in a jail. Raises: Unfit; Refusal when its end is missing."""
    check_whole(path, "wav")
    try:
        with wave.open(str(path), "rb") as sound:
            rate, frames, bits = sound.getframerate(), sound.getnframes(), 8 * sound.getsampwidth()
            info = MediaInfo(
                kind=MediaKind.AUDIO,
                container="wav",
                size_bytes=path.stat().st_size,
                audio_codec=f"pcm_s{bits}le",
                audio_channels=sound.getnchannels(),
                sample_rate_hz=rate,
            )
    except (wave.Error, EOFError) as error:
        raise Unfit(f"is no WAV of ours: {error}") from error
    return Headed(info=info, duration_s=frames / rate)


def check_length(headed: Headed, step: Step) -> MediaInfo:
    """The facts with their duration. Raises: Unfit when it is not as long as its source (2 %, or half a second)."""
    made_s = headed.duration_s or 0.0
    if abs(made_s - step.duration_s) > max(0.5, step.duration_s * 0.02):
        raise Unfit(f"lasts {made_s:.2f} s instead of {step.duration_s:.2f} s")
    return headed.measured(made_s)


async def is_black(path: Path, container: str, folder: Path, settings: MediaSettings) -> bool:
    """Whether nothing can be seen in the keyframes of an original. Raises: Unfit when it cannot be told."""
    return (await _look(path, container, folder, settings, sound=False)).black


async def _look(path: Path, container: str, folder: Path, settings: MediaSettings, *, sound: bool) -> Look:
    """Read it to its end, decode the keyframes (or all) strictly. Raises: Unfit."""
    skip = {"skip_loop_filter:v": "all"} if settings.verify_every_frame else KEYFRAMES
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", *SPOKEN, "-xerror", "-max_alloc", str(MAX_ALLOC_BYTES)),
        *("-progress", "pipe:1", "-threads", "1"),
        *as_arguments({**strict_options(container, settings), **skip}),
        *(
            "-i",
            url(path),
            "-map",
            "0:v:0",
            "-vf",
            "format=yuv420p,showinfo",
            "-fps_mode",
            "passthrough",
            "-f",
            "null",
            "-",
        ),
        *(("-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-") if sound else ()),
        *("-map", "0:v:0", "-c", "copy", "-f", "null", "-"),
    ]
    within_s = settings.transcode_within_s
    limits = confinement(settings, within_s=within_s, read=[path])
    finished = await run(command, limits, folder=folder, within_s=within_s, stall_after_s=settings.stall_after_s)
    return seen(finished)


_FRAME = re.compile(r"\[Parsed_showinfo_\d @ [^]]*] .*\bmean:\[(\d+)[^]]*] stdev:\[([\d.]+)")
_SIZE = re.compile(r"\[Parsed_showinfo_\d @ [^]]*] .*\bs:(\d+x\d+) ")
_LOUDEST = re.compile(r"\[Parsed_volumedetect_0 @ [^]]*] (?:\[info\] )?max_volume: (-?[\d.]+|-inf) dB")


def seen(finished: Finished) -> Look:
    """What a run has shown of its pictures (`showinfo`), from the end of its log: of a long clip only the last ones.

    Raises: Unfit.
    """
    if not finished.ok or "[error]" in finished.tail:
        raise Unfit(f"does not decode to its end: {finished.says}")
    frames = [(float(mean), float(spread)) for mean, spread in _FRAME.findall(finished.tail)]
    if not frames:
        raise Unfit("no picture of it could be decoded")
    loudest = _LOUDEST.findall(finished.tail)
    return Look(
        reached_s=finished.reached_s,
        keyframes=len(frames),
        sizes=frozenset(_SIZE.findall(finished.tail)),
        black=all(mean < BLACK_LUMA and spread < BLACK_SPREAD for mean, spread in frames),
        loudest_db=float(loudest[-1]) if loudest else None,
    )
