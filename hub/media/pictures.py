"""Pictures, still and moving: looked at and drawn by Pillow in the jail (`drawing.py`); ffmpeg gets plain PNG."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hub.api.errors import RetryLater
from hub.api.models import MediaInfo, MediaKind
from hub.media import drawing
from hub.media.blame import blamed
from hub.media.documents import draw_pages
from hub.media.inputs import absolute, is_unreadable
from hub.media.runner import Finished, run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.media.sniff import Sniffed, is_animation
from hub.messages import Refusal

PIXEL_FORMATS = {
    "1": "monob", "L": "gray", "LA": "ya8", "La": "ya8", "P": "pal8", "PA": "pal8", "RGB": "rgb24", "RGBX": "rgb0",
    "RGBA": "rgba", "RGBa": "rgba", "CMYK": "cmyk", "YCbCr": "yuv444p", "LAB": "lab", "F": "grayf32", "I": "gray32",
    "I;16": "gray16", "I;16B": "gray16",
}  # fmt: skip
"""Pillow's mode -> the name in `MediaInfo`, ffmpeg's where it has one."""


CODECS = {"jpeg": "mjpeg", "heic": "hevc", "avif": "av1"}


class Facts(BaseModel):
    """What the child says of a picture. It has met hostile bytes, so it is not believed without measure."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    width: int = Field(ge=1, le=1 << 20)  # upright, with square pixels
    height: int = Field(ge=1, le=1 << 20)
    rotation: Literal[0, 90, 180, 270]
    mode: str = Field(max_length=8)
    transfer: Literal["", "smpte2084", "arib-std-b67"]
    pages: int = Field(ge=1, le=1 << 20)
    frames: int = Field(ge=1, le=1 << 20)
    duration_ms: int = Field(ge=1)


async def read_picture(path: Path, folder: Path, sniffed: Sniffed, settings: MediaSettings) -> MediaInfo:
    """Measure a picture by decoding all of it: every frame of an animation (a video), every page of a TIFF.

    Raises: Refusal (damaged, too large, too many pages, too long), RetryLater.
    """
    words = [f"pages={settings.max_pages + 1 if sniffed.container == 'tiff' else 0}"]
    facts = await _drawing(path, folder, sniffed.container, words, settings, within_s=settings.probe_within_s)
    if facts.pages > settings.max_pages:
        raise Refusal(
            "This picture has more than {limit} pages, which is too many to show. Save only the pages that matter.",
            limit=settings.max_pages,
        )
    info = MediaInfo(
        kind=MediaKind.IMAGE,
        container=sniffed.container,
        size_bytes=sniffed.size_bytes,
        width=facts.width,
        height=facts.height,
        rotation=facts.rotation,
        pixel_format=PIXEL_FORMATS.get(facts.mode, ""),
        color_transfer=facts.transfer,
        video_codec=CODECS.get(sniffed.container, sniffed.container),
        pages=facts.pages if facts.pages > 1 else None,
    )
    return _moving(info, facts, settings) if facts.frames > 1 else info


def _moving(info: MediaInfo, facts: Facts, settings: MediaSettings) -> MediaInfo:
    if facts.width * facts.height > settings.max_pixels:
        raise too_many_pixels(settings.max_pixels)
    seconds = facts.duration_ms / 1000
    if seconds > settings.max_duration_s:
        raise too_long(seconds, settings)
    rate = round(facts.frames / seconds, 3)
    return replace(info, kind=MediaKind.VIDEO, duration_s=seconds, fps=rate)


async def draw(
    path: Path, folder: Path, media: MediaInfo, *, cover: tuple[int, int], pages: int, settings: MediaSettings
) -> tuple[Path, ...]:
    """What ffmpeg reads instead of the picture or PDF at `path`: PNG files in `folder`, one a page, or one animated.

    They are upright, in sRGB (an HDR picture: in its own colours), without alpha, and large enough to `cover` a screen
    of that width and height, as far as the original is.
    Raises: Refusal, RetryLater.
    """
    if media.kind is MediaKind.DOCUMENT:
        return tuple(await draw_pages(path, folder, pages=pages, longest_side=max(cover) * 3 // 2, settings=settings))
    moves = is_animation(media)
    words = [f"folder={absolute(folder)}", f"width={cover[0]}", f"height={cover[1]}", f"animated={int(moves)}"]
    words.append(f"pages={0 if moves else pages}")
    within_s = settings.transcode_within_s if moves else settings.probe_within_s
    await _drawing(path, folder, media.container, words, settings, within_s=within_s)
    drawn = [folder / "frames.png"] if moves else _pages(folder)
    if len(drawn) != (1 if moves else pages):
        raise damaged_picture()
    return tuple(drawn)


def _pages(folder: Path) -> list[Path]:
    return sorted(folder.glob("page-*.png"))


async def _drawing(
    path: Path, folder: Path, container: str, words: Sequence[str], settings: MediaSettings, *, within_s: float
) -> Facts:
    limits = confinement(settings, within_s=within_s, read=[path], write=[folder])
    limits = replace(limits, entry=Path(drawing.__file__))
    command = [
        *(f"library={where}" for where in library()),
        f"container={container}",
        f"path={absolute(path)}",
        f"pixels={settings.max_still_pixels}",
        *words,
    ]
    finished = await run(command, limits, folder=folder, within_s=within_s)
    if not finished.ok:
        raise _explained(finished, path, settings, within_s)
    try:
        return Facts.model_validate_json(finished.output)
    except ValidationError as error:
        raise damaged_picture() from error


def unreadable_pictures() -> list[str]:
    """Which kinds of picture cannot be drawn with what is installed, one sentence each with the remedy. Blocks."""
    command = [sys.executable, "-I", "-S", drawing.__file__, "--", *(f"library={where}" for where in library())]
    try:
        done = subprocess.run([*command, "report=1"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return [f"Pictures cannot be drawn: {error}. Install the hub again."]
    if done.returncode != 0:
        return [f"Pictures cannot be drawn: {done.stderr[-300:].strip()}. Install the hub again."]
    return [
        f"Pictures of the kind {name.upper()} cannot be read. Install the hub again: "
        f"{'pillow-heif' if name == 'heic' else 'Pillow'} for Python is missing or broken."
        for name in done.stdout.split()
    ]


def library() -> tuple[str, ...]:
    """Where the child finds the hub and what draws pictures: an isolated Python knows neither."""
    roots = dict.fromkeys(_root_of(name) for name in ("hub", "PIL", "pillow_heif"))
    return tuple(str(root) for root in roots if root is not None)


def _root_of(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).resolve().parent.parent if found and found.origin else None


def _explained(finished: Finished, path: Path, settings: MediaSettings, within_s: float) -> Exception:
    if finished.exit_code == drawing.TOO_LARGE:
        return too_many_pixels(settings.max_still_pixels)
    if finished.stopped is not None:
        return Refusal(
            "Drawing this picture took longer than {seconds} seconds. Save it smaller or simpler, or as JPG.",
            seconds=round(within_s),
        )
    if (error := blamed(finished, "the drawing of pictures")) is not None:
        return error
    if is_unreadable(path):
        return RetryLater(f"the picture could not be drawn: {finished.says}")
    return damaged_picture()


def damaged_picture() -> Refusal:
    return Refusal(
        "This picture is damaged, or of a kind that cannot be read. Open it, save it as JPG or PNG, and drop that."
    )


def too_many_pixels(limit: int) -> Refusal:
    return Refusal(
        "This picture is too large: at most {limit} million pixels can be used. Save it smaller, such as 1920 x 1080.",
        limit=round(limit / 1_000_000),
    )


def too_long(seconds: float, settings: MediaSettings) -> Refusal:
    return Refusal(
        "This recording lasts {minutes} minutes; at most {limit} are taken. Cut it, or drop it in parts.",
        minutes=round(seconds / 60),
        limit=round(settings.max_duration_s / 60),
    )
