"""What a file from outside is, measured; or why it cannot be taken."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from hub.api.errors import HubError
from hub.api.models import MediaInfo
from hub.media.documents import read_document
from hub.media.headers import Headed, damaged, headers, refuse_too_long, tool
from hub.media.inputs import (
    MAX_ALLOC_BYTES,
    as_arguments,
    input_options,
    strict_options,
    url,
)
from hub.media.pictures import read_picture
from hub.media.r128 import CLIPPING, METER, SPOKEN, STEREO, as_text, readings
from hub.media.runner import Finished
from hub.media.settings import MediaSettings
from hub.media.sniff import IMAGES, Sniffed, sniff
from hub.media.wholeness import check_duration, check_whole
from hub.messages import Refusal

T = TypeVar("T")


async def probe(path: Path, *, settings: MediaSettings) -> MediaInfo:
    """Measure the file: its kind by its bytes, its size as displayed, its duration by walking every packet.

    The sound of a recording is decoded and its loudness measured on the way; damaged sound beside a picture is no
    obstacle here, then the loudness stays unknown.

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
        return await _recording(path, Path(folder), sniffed, settings)


async def _image(path: Path, folder: Path, sniffed: Sniffed, settings: MediaSettings) -> MediaInfo:
    info = await read_picture(path, folder, sniffed, settings)
    if sniffed.container == "jpeg" and info.pixel_format != "cmyk":
        await _decode_strictly(path, folder, settings)
    return info


async def _decode_strictly(path: Path, folder: Path, settings: MediaSettings) -> None:
    """libjpeg fills what is damaged with grey and says nothing; ffmpeg says it."""
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-xerror", "-max_alloc", str(MAX_ALLOC_BYTES)),
        *as_arguments(strict_options("jpeg", settings)),
        *("-i", url(path), "-map", "0:v:0", "-frames:v", "1", "-f", "null", "-"),
    ]
    await tool(command, path, folder, settings)


async def _recording(path: Path, folder: Path, sniffed: Sniffed, settings: MediaSettings) -> MediaInfo:
    headed, heard = await _headed_and_heard(path, folder, sniffed.container, settings)
    if track := headed.info.audio_track:  # few files have several sounds: the first guess is nearly always right
        try:
            heard = await _walk(path, folder, sniffed.container, settings, heard=True, track=track)
        except Refusal as refusal:
            heard = refusal
    if isinstance(heard, Refusal) and headed.info.has_picture:  # its sound may be damaged: that refuses no picture
        heard = await _walk(path, folder, sniffed.container, settings, heard=False)
    if isinstance(heard, BaseException):
        raise heard
    header_s, walked_s = headed.duration_s, heard.reached_s
    check_duration(header_s, walked_s, headed.info.fps)
    info = _with_sound(headed.info, heard) if headed.info.has_sound else headed.info
    return _as_measured(info, walked_s if header_s is None or walked_s > header_s * 1.02 + 0.5 else header_s, settings)


async def _headed_and_heard(
    path: Path, folder: Path, container: str, settings: MediaSettings
) -> tuple[Headed, Finished | HubError | OSError]:
    """Neither needs the other, and somebody waits for both; what the headers refuse is not walked to its end.

    Raises: Refusal, RetryLater, OSError from the headers.
    """
    async with asyncio.TaskGroup() as group:
        walking = group.create_task(_outcome(_walk(path, folder, container, settings, heard=True)), name="media: walk")
        headed = await _outcome(_short_enough(headers(path, folder, container, settings), settings))
        if not isinstance(headed, Headed):
            walking.cancel()
    if not isinstance(headed, Headed):
        raise headed
    return headed, walking.result()


async def _short_enough(reading: Awaitable[Headed], settings: MediaSettings) -> Headed:
    headed = await reading
    refuse_too_long(headed.duration_s, settings)
    return headed


async def _outcome(work: Awaitable[T]) -> T | HubError | OSError:
    try:
        return await work
    except (HubError, OSError) as error:
        return error


def _as_measured(info: MediaInfo, duration_s: float, settings: MediaSettings) -> MediaInfo:
    refuse_too_long(duration_s, settings)
    if duration_s <= 0:
        raise damaged()
    return replace(info, duration_s=round(duration_s, 3))


async def _walk(
    path: Path, folder: Path, container: str, settings: MediaSettings, *, heard: bool, track: int = 0
) -> Finished:
    """Read every packet to the end (about 2 % of an encode); `heard`: decode the sound strictly and measure it."""
    options = strict_options(container, settings) if heard else input_options(container, settings)
    sound = ("-c:a", "pcm_s16le", "-af", as_text(CLIPPING, STEREO, METER)) if heard else ("-c:a", "copy")
    command = [
        *("ffmpeg", "-nostdin", "-hide_banner", *SPOKEN, "-xerror", "-max_alloc", str(MAX_ALLOC_BYTES)),
        *("-progress", "pipe:1", *as_arguments(options), "-i", url(path), "-map", "0:V:0?"),
        *("-map", f"0:a:{track}?"),
        *("-c:v", "copy", *sound, "-t", f"{settings.max_duration_s + 1:g}", "-f", "null", "-"),
    ]
    return await tool(command, path, folder, settings, progress=True)


def _with_sound(info: MediaInfo, heard: Finished) -> MediaInfo:
    for loudness in readings(heard):
        return replace(
            info,
            loudness_lufs=loudness.integrated_lufs,
            true_peak_dbtp=loudness.true_peak_dbtp,
            clipped=loudness.clipped,
        )
    return info
