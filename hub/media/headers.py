"""What the headers of a recording say, as ffprobe reads them in the jail: believed only so far as it can be."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from hub.api.errors import RetryLater
from hub.api.models import MediaInfo, MediaKind
from hub.media.blame import blamed
from hub.media.inputs import (
    MAX_ALLOC_BYTES,
    as_arguments,
    input_options,
    is_unreadable,
    most_streams,
    url,
)
from hub.media.pictures import too_long, too_many_pixels
from hub.media.runner import Finished, Stopped, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.sniff import IMAGES
from hub.messages import Refusal

_TOO_MANY_STREAMS = "exceeds max_streams"  # libavformat/options.c
LOOK_MIB = 1536  # no picture of a film is decoded here; resampling a sound of 1 Hz would take 2.3 GB
BUSY = 10  # a walk that moves may wait so much longer for the processor, whose time `confinement` limits all the same
_OUT_OF_TIME = f"received signal {int(signal.SIGXCPU)}."  # fftools/ffmpeg.c: it catches the jail's limit
_TOO_MANY_PIXELS = "exceeds specified max pixel count"  # libavutil/imgutils.c

_PACKETS = ("-show_packets", "-show_entries", "packet=pts_time:stream:stream_disposition:stream_side_data:format")


@dataclass(frozen=True, slots=True, kw_only=True)
class Headed:
    """What the headers of a file say; `info` has no duration yet, `duration_s` is only what they promise."""

    info: MediaInfo
    duration_s: float | None
    picture_s: float | None = None  # of the moving picture alone, where the container counts it
    walked_s: float | None = None  # until the last packet begins, where the packets were asked for, too

    def measured(self, duration_s: float) -> MediaInfo:
        return replace(self.info, duration_s=round(duration_s, 3))


async def read_streams(path: Path, folder: Path, container: str, settings: MediaSettings, *more: str) -> dict[str, Any]:
    """What ffprobe says of the format and its streams; `estimated` when the duration is only a guess.

    Raises: Refusal, RetryLater.
    """
    command = [
        *("ffprobe", "-v", "warning", "-hide_banner", "-max_alloc", str(MAX_ALLOC_BYTES), "-of", "json=c=1"),
        *("-show_format", "-show_streams", *more),
        *as_arguments(input_options(container, settings)),
        *("-i", url(path)),
    ]
    finished = await tool(command, path, folder, settings)
    if _TOO_MANY_PIXELS in finished.tail:
        raise too_many_pixels(settings.max_pixels)
    with unbelieved():
        return {**json.loads(finished.output), "estimated": "Estimating duration" in finished.tail}


async def tool(
    command: Sequence[str], path: Path, folder: Path, settings: MediaSettings, *, progress: bool = False
) -> Finished:
    """Run a tool that reads `path`; returns when it succeeded.

    Raises: Refusal when it did not, RetryLater when the machine is to blame.
    """
    limits = confinement(settings, within_s=settings.probe_within_s, read=[path], write=[folder])
    finished = await run(
        command,
        replace(limits, memory_mib=min(limits.memory_mib, LOOK_MIB)) if progress else limits,
        folder=folder,
        within_s=settings.probe_within_s * (BUSY if progress else 1),
        stall_after_s=settings.probe_within_s if progress else None,
    )
    if finished.ok:
        return finished
    out_of_time = finished.exit_code == -signal.SIGXCPU or _OUT_OF_TIME in finished.tail
    if out_of_time or finished.stopped in (Stopped.DEADLINE, Stopped.STALLED):
        raise Refusal(
            "Looking at this file took longer than {seconds} seconds, so it is probably damaged. Export it again as "
            "MP4, MP3, JPG or PDF.",
            seconds=round(settings.probe_within_s),
        )
    if _TOO_MANY_STREAMS in finished.tail:  # which ffmpeg calls a lack of memory
        raise _too_many_streams(f"> {most_streams(settings)}", settings)
    if (error := await asyncio.to_thread(blamed, finished, command[0])) is not None:
        raise error
    if await asyncio.to_thread(is_unreadable, path):
        raise RetryLater(f"{command[0]} could not work: {finished.says}")
    if _TOO_MANY_PIXELS in finished.tail:
        raise too_many_pixels(settings.max_pixels)
    raise damaged()


def damaged() -> Refusal:
    return Refusal(
        "This file is damaged: it cannot be read to its end. Export it again, or copy it again from its source."
    )


async def headers(
    path: Path, folder: Path, container: str, settings: MediaSettings, *, packets: bool = False
) -> Headed:
    """What the headers say; `container` is a key of DEMUXERS. With `packets` each of them is read, too.

    Raises: Refusal, RetryLater, OSError.
    """
    size_bytes = (await asyncio.to_thread(path.stat)).st_size
    found = await read_streams(path, folder, container, settings, *(_PACKETS if packets else ()))
    with unbelieved():
        return _read(found, container, size_bytes, settings, packets=packets)


def _read(
    found: Mapping[str, Any], container: str, size_bytes: int, settings: MediaSettings, *, packets: bool
) -> Headed:
    _check_streams(found["streams"], settings)
    video, (track, audio) = first(found["streams"], "video"), _default_sound(found["streams"])
    if video is None and any(_shows(stream) for stream in found["streams"]):
        raise Refusal("The picture of this file is of a kind that cannot be read. Export it as MP4 (H.264, AAC).")
    if video is None and audio is None:
        raise Refusal("This file has no picture and no sound. Export it again with at least one of them.")
    moving = MediaKind.IMAGE if container in IMAGES else MediaKind.VIDEO
    info = MediaInfo(kind=MediaKind.AUDIO if video is None else moving, container=container, size_bytes=size_bytes)
    if video is not None:
        info = _picture(info, video, settings)
    if audio is not None:
        info = replace(_sound(info, audio), audio_track=track)
    times = [float(packet["pts_time"]) for packet in found.get("packets", ()) if "pts_time" in packet]
    return Headed(
        info=info,
        duration_s=None if found["estimated"] else _duration(found["format"], container),
        picture_s=_number(video.get("duration")) if video is not None else None,
        walked_s=max(times, default=0.0) if packets else None,
    )


@contextlib.contextmanager
def unbelieved() -> Iterator[None]:
    """What a tool says that has met hostile bytes may be anything: where it makes no sense, the file is damaged.

    Raises: Refusal.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise damaged() from error


def first(streams: Sequence[Mapping[str, Any]], kind: str) -> Mapping[str, Any] | None:
    """The first stream of a kind; cover art in a sound file is no video."""
    return next(
        (
            stream
            for stream in streams
            if stream.get("codec_type") == kind
            and stream.get("codec_name")
            and not stream.get("disposition", {}).get("attached_pic")
            and not (kind == "video" and not stream.get("width"))
        ),
        None,
    )


def _default_sound(streams: Sequence[Mapping[str, Any]]) -> tuple[int, Mapping[str, Any] | None]:
    """The sound that its maker marked as default, else the first, and which of them it is."""
    sounds = [stream for stream in streams if stream.get("codec_type") == "audio"]
    usable = [(number, stream) for number, stream in enumerate(sounds) if stream.get("codec_name")]
    marked = [one for one in usable if one[1].get("disposition", {}).get("default")]
    return next(iter([*marked, *usable]), (0, None))


def _picture(info: MediaInfo, stream: Mapping[str, Any], settings: MediaSettings) -> MediaInfo:
    width, height = int(stream["width"]), int(stream["height"])
    if width < 1 or height < 1:
        raise damaged()
    if width * height > settings.max_pixels:
        raise too_many_pixels(settings.max_pixels)
    rotation = _rotation(stream)
    if rotation in (90, 270):
        width, height = height, width
    fps = _ratio(stream.get("avg_frame_rate")) or _ratio(stream.get("r_frame_rate"))
    if fps is not None and fps > settings.max_fps:
        raise Refusal(
            "This video has {fps} pictures per second; at most {limit} can be used. Export it with 25 or 30.",
            fps=round(fps),
            limit=round(settings.max_fps),
        )
    aspect = _word(stream.get("sample_aspect_ratio") or "1:1")
    return replace(
        info,
        width=width,
        height=height,
        fps=fps,
        rotation=rotation,
        sample_aspect="1:1" if aspect in ("N/A", "0:1") else aspect,
        pixel_format=_pixel_format(stream),
        color_transfer=_word(stream.get("color_transfer") or ""),
        color_space=_word(stream.get("color_space") or ""),
        interlaced=stream.get("field_order", "progressive") != "progressive",
        video_codec=_word(stream["codec_name"]),
    )


def _pixel_format(stream: Mapping[str, Any]) -> str:
    """ffmpeg's own decoders pass over the alpha of WebM, which lies beside the picture."""
    found = _word(stream.get("pix_fmt") or "")
    beside = stream.get("codec_name") in ("vp8", "vp9") and stream.get("tags", {}).get("alpha_mode") == "1"
    return "yuva420p" if beside and found == "yuv420p" else found


def _rotation(stream: Mapping[str, Any]) -> int:
    """Degrees clockwise; a display matrix counts the other way round (libavutil/display.h)."""
    for side in stream.get("side_data_list", []):
        if "rotation" in side:
            return round(-float(side["rotation"])) % 360
    return 0


def _sound(info: MediaInfo, stream: Mapping[str, Any]) -> MediaInfo:
    channels = int(stream.get("channels") or 0)
    if channels == 0:
        raise damaged()
    return replace(
        info,
        audio_codec=_word(stream["codec_name"]),
        audio_channels=channels,
        sample_rate_hz=int(stream.get("sample_rate") or 0),
    )


def _shows(stream: Mapping[str, Any]) -> bool:
    """Whether it is a picture, read or not: without it, a film would pass for a mere sound."""
    return stream.get("codec_type") == "video" and not stream.get("disposition", {}).get("attached_pic")


def _check_streams(streams: Sequence[object], settings: MediaSettings) -> None:
    if len(streams) > settings.max_streams:
        raise _too_many_streams(str(len(streams)), settings)


def _too_many_streams(count: str, settings: MediaSettings) -> Refusal:
    return Refusal(
        "This file holds {count} streams; at most {limit} can be used. Export it with one picture and one sound.",
        count=count,
        limit=settings.max_streams,
    )


def refuse_too_long(duration_s: float | None, settings: MediaSettings) -> None:
    if duration_s is not None and duration_s > settings.max_duration_s:
        raise too_long(duration_s, settings)


def _duration(form: Mapping[str, Any], container: str) -> float | None:
    """Matroska and MP4 count it from zero, wherever the recording begins; all others from the beginning."""
    duration_s, start_s = _number(form.get("duration")), _number(form.get("start_time"))
    if container not in ("mkv", "mp4") or duration_s is None or start_s is None:
        return duration_s
    return max(0.0, duration_s - max(0.0, start_s))


def _number(value: object) -> float | None:
    try:
        number = float(str(value))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _word(value: object) -> str:
    """A name as ffmpeg gives them; some of them come back to it in a filter. Raises: ValueError for anything else."""
    if re.fullmatch(r"[\w./:-]{0,40}", str(value), re.ASCII) is None:
        raise ValueError(f"no name of ffmpeg's: {str(value)[:40]!r}")
    return str(value)


def _ratio(value: object) -> float | None:
    try:
        ratio = float(Fraction(str(value)))
    except (ValueError, ZeroDivisionError, OverflowError):
        return None
    return ratio if ratio > 0 else None
