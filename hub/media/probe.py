"""What a file from outside is, measured; or why it cannot be taken."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from hub.api.errors import RetryLater
from hub.api.models import MediaInfo, MediaKind
from hub.media.documents import read_document
from hub.media.inputs import MAX_ALLOC_BYTES, as_arguments, input_options, is_unreadable, strict_options, url
from hub.media.runner import Finished, Stopped, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.sniff import IMAGES, Sniffed, sniff
from hub.media.wholeness import check_duration, check_whole
from hub.messages import Refusal

_TOO_MANY_PIXELS = "exceeds specified max pixel count"  # libavutil/imgutils.c


async def probe(path: Path, *, settings: MediaSettings, decoded_s: float | None = None) -> MediaInfo:
    """Measure the file: its kind by its bytes, its size as displayed, its duration by walking every packet.

    Whoever has just decoded a recording to its end gives the seconds found; then it is not walked again.

    Raises: Refusal (what is wrong and what to do: empty, not media, half-copied, too large, damaged, encrypted, ...);
    RetryLater when the machine failed, not the file; OSError when it cannot be read.
    """
    sniffed = await asyncio.to_thread(sniff, path, settings)
    await asyncio.to_thread(check_whole, path, sniffed.container)
    with tempfile.TemporaryDirectory(prefix="siarhub-probe-") as folder:
        if sniffed.container == "pdf":
            return await read_document(path, Path(folder), sniffed.size_bytes, settings)
        if sniffed.container in IMAGES:
            return await _image(path, Path(folder), sniffed, settings)
        return await _recording(path, Path(folder), sniffed, settings, decoded_s)


async def read_streams(path: Path, folder: Path, container: str, settings: MediaSettings, *more: str) -> dict[str, Any]:
    """What ffprobe says of the format and its streams; `estimated` when the duration is only a guess.

    Raises: Refusal, RetryLater.
    """
    command = [
        *("ffprobe", "-v", "warning", "-hide_banner", "-max_alloc", str(MAX_ALLOC_BYTES), "-of", "json"),
        *("-show_format", "-show_streams", *more),
        *as_arguments(input_options(container, settings)),
        *("-i", url(path)),
    ]
    finished = await tool(command, path, folder, settings)
    try:
        found: dict[str, Any] = json.loads(finished.output)
    except ValueError as error:
        raise damaged() from error
    if _TOO_MANY_PIXELS in finished.tail:
        raise _too_many_pixels(settings)
    return {**found, "estimated": "Estimating duration" in finished.tail}


async def tool(
    command: Sequence[str], path: Path, folder: Path, settings: MediaSettings, *, progress: bool = False
) -> Finished:
    """Run a tool that reads `path`; returns when it succeeded.

    Raises: Refusal when it did not, RetryLater when the machine is to blame.
    """
    limits = confinement(settings, within_s=settings.probe_within_s, read=[path], write=[folder])
    finished = await run(
        command,
        limits,
        folder=folder,
        within_s=settings.probe_within_s,
        stall_after_s=settings.probe_within_s if progress else None,
    )
    if finished.ok:
        return finished
    if finished.stopped in (Stopped.DEADLINE, Stopped.STALLED):
        raise Refusal(
            "Looking at this file took longer than {seconds} seconds, so it is probably damaged. Export it again as "
            "MP4, MP3, JPG or PDF.",
            seconds=round(settings.probe_within_s),
        )
    if finished.disk_full or finished.exit_code == -9 or await asyncio.to_thread(is_unreadable, path):
        raise RetryLater(f"{command[0]} could not work: {finished.says}")
    if _TOO_MANY_PIXELS in finished.tail:
        raise _too_many_pixels(settings)
    raise damaged()


def damaged() -> Refusal:
    return Refusal(
        "This file is damaged: it cannot be read to its end. Export it again, or copy it again from its source."
    )


async def _image(path: Path, folder: Path, sniffed: Sniffed, settings: MediaSettings) -> MediaInfo:
    found = await read_streams(
        path, folder, sniffed.container, settings, "-show_frames", "-read_intervals", "%+#1", "-select_streams", "v:0"
    )
    frames = [frame for frame in found.get("frames", []) if frame.get("width")]
    stream = first(found["streams"], "video")
    if stream is None or not frames:
        raise damaged()
    info = _picture(_base(MediaKind.IMAGE, sniffed), {**stream, **frames[0]}, settings)
    await _decode_whole(path, folder, sniffed.container, settings)
    return replace(info, fps=None)


async def _decode_whole(path: Path, folder: Path, container: str, settings: MediaSettings) -> None:
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-xerror", "-max_alloc", str(MAX_ALLOC_BYTES)),
        *as_arguments(strict_options(container, settings)),
        *("-i", url(path), "-map", "0:v:0", "-frames:v", "1", "-f", "null", "-"),
    ]
    await tool(command, path, folder, settings)


async def _recording(
    path: Path, folder: Path, sniffed: Sniffed, settings: MediaSettings, decoded_s: float | None
) -> MediaInfo:
    found = await read_streams(path, folder, sniffed.container, settings)
    _check_streams(found["streams"], settings)
    video, audio = first(found["streams"], "video"), first(found["streams"], "audio")
    if video is None and audio is None:
        raise Refusal("This file has no picture and no sound. Export it again with at least one of them.")
    kind = MediaKind.AUDIO if video is None else MediaKind.VIDEO
    info = _base(kind, sniffed)
    if video is not None:
        info = _picture(info, video, settings)
    if audio is not None:
        info = _sound(info, audio)
    header_s = None if found["estimated"] else _number(found["format"].get("duration"))
    _check_duration(header_s, settings)
    walked_s = await _walk(path, folder, sniffed.container, settings) if decoded_s is None else decoded_s
    check_duration(header_s, walked_s)
    return _as_measured(info, walked_s if header_s is None or walked_s > header_s * 1.02 + 0.5 else header_s, settings)


def _as_measured(info: MediaInfo, duration_s: float, settings: MediaSettings) -> MediaInfo:
    _check_duration(duration_s, settings)
    if info.container == "gif" and duration_s < 0.2:
        return replace(info, kind=MediaKind.IMAGE, fps=None)
    if duration_s <= 0:
        raise damaged()
    return replace(info, duration_s=round(duration_s, 3))


async def _walk(path: Path, folder: Path, container: str, settings: MediaSettings) -> float:
    """Seconds until the end of the last packet that is really there (costs about 2 % of an encode)."""
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-xerror", "-progress", "pipe:1"),
        *as_arguments(input_options(container, settings)),
        *("-i", url(path), "-map", "0:V:0?", "-map", "0:a:0?", "-c", "copy", "-f", "null", "-"),
    ]
    return (await tool(command, path, folder, settings, progress=True)).reached_s


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


def _base(kind: MediaKind, sniffed: Sniffed) -> MediaInfo:
    return MediaInfo(kind=kind, container=sniffed.container, size_bytes=sniffed.size_bytes)


def _picture(info: MediaInfo, stream: Mapping[str, Any], settings: MediaSettings) -> MediaInfo:
    width, height = int(stream["width"]), int(stream["height"])
    if width * height > settings.max_pixels:
        raise _too_many_pixels(settings)
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
    aspect = str(stream.get("sample_aspect_ratio") or "1:1")
    return replace(
        info,
        width=width,
        height=height,
        fps=fps,
        rotation=rotation,
        sample_aspect="1:1" if aspect in ("N/A", "0:1") else aspect,
        pixel_format=str(stream.get("pix_fmt") or ""),
        color_transfer=str(stream.get("color_transfer") or ""),
        color_space=str(stream.get("color_space") or ""),
        interlaced=stream.get("field_order", "progressive") != "progressive",
        video_codec=str(stream["codec_name"]),
    )


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
        audio_codec=str(stream["codec_name"]),
        audio_channels=channels,
        sample_rate_hz=int(stream.get("sample_rate") or 0),
    )


def _check_streams(streams: Sequence[object], settings: MediaSettings) -> None:
    if len(streams) > settings.max_streams:
        raise Refusal(
            "This file holds {count} streams; at most {limit} can be used. Export it with one picture and one sound.",
            count=len(streams),
            limit=settings.max_streams,
        )


def _check_duration(duration_s: float | None, settings: MediaSettings) -> None:
    if duration_s is not None and duration_s > settings.max_duration_s:
        raise Refusal(
            "This recording lasts {minutes} minutes; at most {limit} are taken. Cut it, or drop it in parts.",
            minutes=round(duration_s / 60),
            limit=round(settings.max_duration_s / 60),
        )


def _too_many_pixels(settings: MediaSettings) -> Refusal:
    return Refusal(
        "This picture is too large: at most {limit} million pixels can be used. Save it smaller, such as 1920 x 1080.",
        limit=round(settings.max_pixels / 1_000_000),
    )


def _number(value: object) -> float | None:
    try:
        return float(str(value))
    except ValueError:
        return None


def _ratio(value: object) -> float | None:
    try:
        return float(Fraction(str(value))) or None
    except (ValueError, ZeroDivisionError):
        return None
