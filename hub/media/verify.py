"""Nobody gets a file that was not looked at: its shape, its length, its packets, its pictures.

A picture that we coded, or that passes through, is looked at by its keyframes: all packets are read to the end, the
first picture of every group is decoded strictly and must not be black. That finds what can go wrong in the making (a
full disk, a lost end, a wrong filter) for a fiftieth of what decoding all of it costs; `verify_every_frame` does that.
"""

from __future__ import annotations

import asyncio
import re
import wave
from dataclasses import dataclass, field
from pathlib import Path

from hub.api.errors import HubError
from hub.api.models import AudioProfile, Fit, MediaInfo, MediaKind, ThumbnailProfile, VideoProfile
from hub.media.graph import KEYFRAMES
from hub.media.headers import Headed, headers
from hub.media.inputs import MAX_ALLOC_BYTES, as_arguments, strict_options, url
from hub.media.planner import Step
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
    await asyncio.to_thread(check_whole, path, "mp4")
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
    check_duration(headed.duration_s, look.reached_s if headed.walked_s is None else headed.walked_s, info.fps)
    if sound and audible and look.loudest_db is not None and look.loudest_db <= SILENT_DB:
        raise Unfit("it is silent, but its original is not")
    if look.black and await is_black(path, "mp4", folder, settings):  # keyframes alone may be: a short fade-in
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
    check_seconds(made_s, step)
    if headed.picture_s is not None:  # the sound beside it may be whole
        check_seconds(headed.picture_s, step)
    return headed.measured(made_s)


def check_seconds(made_s: float, step: Step) -> None:
    """Raises: Unfit."""
    if abs(made_s - step.duration_s) > max(0.5, step.duration_s * 0.02):
        raise Unfit(f"lasts {made_s:.2f} s instead of {step.duration_s:.2f} s")


async def is_black(
    path: Path, container: str, folder: Path, settings: MediaSettings, *, screen: VideoProfile | None = None
) -> bool:
    """Whether nothing can be seen in any of its pictures, or in what `screen` would show of them.

    Raises: Unfit when it cannot be told.
    """
    part = ""
    if screen is not None and screen.fit is Fit.CROP:
        shape = f"{screen.width}/{screen.height}"
        part = rf"crop=min(iw\,max(2\,ih*{shape}/sar)):min(ih\,max(2\,iw*sar/({shape}))),"
    return (await _look(path, container, folder, settings, sound=False, every=True, part=part)).black


async def _look(
    path: Path,
    container: str,
    folder: Path,
    settings: MediaSettings,
    *,
    sound: bool,
    every: bool = False,
    part: str = "",
) -> Look:
    """Read it to its end, decode the keyframes (or all) strictly. Raises: Unfit."""
    skip = {"skip_loop_filter:v": "all"} if every or settings.verify_every_frame else KEYFRAMES
    shown = ("-vf", f"{part}format=yuv420p,showinfo", "-fps_mode", "passthrough", "-f", "null", "-")
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", *SPOKEN, "-xerror", "-max_alloc", str(MAX_ALLOC_BYTES)),
        *("-progress", "pipe:1", "-threads", "1"),
        *as_arguments({**strict_options(container, settings), **skip}),
        *("-i", url(path), "-map", "0:v:0", *shown),
        *(("-map", "0:a:0", "-af", "volumedetect", "-f", "null", "-") if sound else ()),
        *("-map", "0:v:0", "-c", "copy", "-f", "null", "-"),
    ]
    within_s, said = settings.transcode_within_s, Said()
    limits = confinement(settings, within_s=within_s, read=[path])
    finished = await run(
        command, limits, folder=folder, within_s=within_s, stall_after_s=settings.stall_after_s, on_line=said
    )
    return seen(finished, said)


# At the beginning of a line stands only what ffmpeg says itself: a file's own tags follow behind a level or spaces.
_FRAME = re.compile(rb"\[Parsed_showinfo_\d+ @ [^]]*] .*\bs:(\d+x\d+) .*\bmean:\[(\d+)[^]]*] stdev:\[([\d.]+)")
_LOUDEST = re.compile(rb"\[Parsed_volumedetect_0 @ [^]]*] (?:\[info\] )?max_volume: (-?[\d.]+|-inf) dB")
_ERROR = re.compile(rb"(?:\[[^]]* @ [^]]*] )?\[(?:error|fatal|panic)\]")


@dataclass(slots=True)
class Said:
    """What is gathered from the lines of a run that shows its pictures (`showinfo`)."""

    keyframes: int = 0
    black: bool = True
    sizes: set[str] = field(default_factory=set)
    loudest_db: float | None = None
    failed: bool = False

    def __call__(self, line: bytes) -> None:
        if shown := _FRAME.match(line):
            self.keyframes += 1
            self.sizes.add(shown[1].decode())
            self.black = self.black and float(shown[2]) < BLACK_LUMA and float(shown[3]) < BLACK_SPREAD
        elif heard := _LOUDEST.match(line):
            self.loudest_db = float(heard[1])
        elif _ERROR.match(line):
            self.failed = True


def seen(finished: Finished, said: Said) -> Look:
    """What a run has shown of its pictures, from its first line to its last.

    Raises: Unfit.
    """
    if not finished.ok or said.failed:
        raise Unfit(f"does not decode to its end: {finished.says}")
    if not said.keyframes:
        raise Unfit("no picture of it could be decoded")
    return Look(
        reached_s=finished.reached_s,
        keyframes=said.keyframes,
        sizes=frozenset(said.sizes),
        black=said.black,
        loudest_db=said.loudest_db,
    )
