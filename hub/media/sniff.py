"""What a file is by its first bytes, never by its name: the container that we then force on ffmpeg."""

from __future__ import annotations

import errno
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

from hub.api.models import MediaInfo, MediaKind
from hub.media.settings import MediaSettings
from hub.messages import Refusal

HEAD_BYTES = 4096

IMAGES = frozenset({"jpeg", "png", "webp", "gif", "bmp", "tiff", "heic", "avif"})
"""Pillow draws these (`hub.media.pictures`), and poppler draws PDF; ffmpeg opens everything else."""
DEMUXERS = {
    "mp4": "mov", "mkv": "matroska", "avi": "avi", "ts": "mpegts", "mpeg": "mpeg", "asf": "asf", "flv": "flv",
    "mxf": "mxf", "wav": "wav", "mp3": "mp3", "flac": "flac", "ogg": "ogg", "aac": "aac", "aiff": "aiff", "amr": "amr",
    "jpeg": "jpeg_pipe",  # to find damage that Pillow passes over
    "png": "png_pipe", "apng": "apng",  # what we have drawn
}  # fmt: skip
"""The one demuxer that may open each container."""
HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"})
BOMS = (b"\xff\xfe", b"\xfe\xff")  # before a text in UTF-16; also MPEG-1 Layer I, which nobody uses
AVIF_BRANDS = frozenset({b"avif", b"avis"})


def is_drawn(media: MediaInfo) -> bool:
    """Whether ffmpeg gets pictures that were drawn of it, and never the file itself."""
    return media.kind is MediaKind.DOCUMENT or media.container in IMAGES


def is_animation(media: MediaInfo) -> bool:
    """A moving picture of a kind that is mostly still: GIF, WebP, PNG, AVIF."""
    return media.kind is MediaKind.VIDEO and media.container in IMAGES


def is_one_picture(media: MediaInfo) -> bool:
    """Whether this video is a still in a video's clothes."""
    return media.kind is MediaKind.VIDEO and media.fps is not None and (media.duration_s or 0) * media.fps < 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Sniffed:
    container: str  # a key of DEMUXERS, one of IMAGES, or "pdf"
    size_bytes: int


def sniff(path: Path, settings: MediaSettings) -> Sniffed:
    """The container of the regular file at `path`. Blocks: use a thread.

    Raises: Refusal when it is empty, too large, not a regular file, or no media that we take; OSError.
    """
    fd = _open(path)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise _no_file()
        _check_size(status.st_size, settings)
        container = container_of(os.pread(fd, HEAD_BYTES, 0))
        if container == "mp3?":
            container = _behind_id3(fd)
    finally:
        os.close(fd)
    return Sniffed(container=container, size_bytes=status.st_size)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)  # a FIFO must not make us wait
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):  # a symbolic link; a socket
            raise _no_file() from error
        raise


def _no_file() -> Refusal:
    return Refusal("This is not an ordinary file. Copy the file itself here, not a link to it.")


def container_of(head: bytes) -> str:
    """The container that begins with `head`; "mp3?" when only what follows the ID3 tag can tell.

    Raises: Refusal, naming what it is where that helps.
    """
    if head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS | AVIF_BRANDS:
        return "avif" if _brands(head) & AVIF_BRANDS else "heic"
    if head[:4] in (b"II*\x00", b"MM\x00*") and head[8:10] == b"CR":
        raise Refusal("This is a camera's raw picture, which cannot be used. Save it as JPG and drop that.")
    for offset, magic, container in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return container
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return _riff(head)
    if _is_transport_stream(head):
        return "ts"
    if head[:2] == b"BM" and head[6:10] == b"\x00\x00\x00\x00":
        return "bmp"
    if len(head) > 3 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[:2] not in BOMS:
        return "aac" if head[1] & 0xF6 == 0xF0 else "mp3"
    raise _not_media(head)


_MAGIC = (
    (4, b"ftyp", "mp4"), (4, b"moov", "mp4"), (4, b"mdat", "mp4"), (4, b"wide", "mp4"), (4, b"free", "mp4"),
    (4, b"skip", "mp4"),
    (0, b"\x1aE\xdf\xa3", "mkv"), (0, b"OggS", "ogg"), (0, b"fLaC", "flac"), (0, b"ID3", "mp3?"), (0, b"#!AMR", "amr"),
    (0, b"\x00\x00\x01\xba", "mpeg"), (0, b"0&\xb2u\x8ef\xcf\x11", "asf"), (0, b"FLV\x01", "flv"),
    (0, b"\x06\x0e+4", "mxf"), (0, b"GIF87a", "gif"), (0, b"GIF89a", "gif"), (0, b"\xff\xd8\xff", "jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"II*\x00", "tiff"), (0, b"MM\x00*", "tiff"), (0, b"%PDF-", "pdf"),
    (8, b"AIFF", "aiff"), (8, b"AIFC", "aiff"),
)  # fmt: skip


def _brands(head: bytes) -> frozenset[bytes]:
    """The brands of a file in the ISO base media format: its own, and those that it is compatible with."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    return frozenset({head[8:12], *(head[at : at + 4] for at in range(16, end, 4))})


def _riff(head: bytes) -> str:
    container = {b"WAVE": "wav", b"AVI ": "avi", b"WEBP": "webp"}.get(head[8:12])
    if container is None:
        raise _not_media(head)
    return container


def _is_transport_stream(head: bytes) -> bool:
    # 188-byte packets, or 192 with a time stamp before each (AVCHD cameras).
    return any(
        len(head) > start + 4 * packet and all(head[start + n * packet] == 0x47 for n in range(5))
        for start, packet in ((0, 188), (4, 192))
    )


def _behind_id3(fd: int) -> str:
    size = os.pread(fd, 4, 6)
    behind = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(size, (21, 14, 7, 0), strict=False))
    head = os.pread(fd, 4, behind)
    if head == b"fLaC":
        return "flac"
    return "aac" if len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 else "mp3"


def _check_size(size_bytes: int, settings: MediaSettings) -> None:
    if size_bytes == 0:
        raise Refusal("This file is empty. Copy it again from where it was made.")
    if size_bytes > settings.max_file_mib << 20:
        raise Refusal(
            "This file is too large: {size} MiB, at most {limit} MiB is taken. Export it with a lower quality.",
            size=size_bytes >> 20,
            limit=settings.max_file_mib,
        )


def _not_media(head: bytes) -> Refusal:
    plain = _unzipped(head)
    if plain[:2] in BOMS:
        plain = plain[2:].replace(b"\x00", b"")
    if b"<svg" in plain.lower() or b"www.w3.org/2000/svg" in plain:
        return Refusal(
            "This is an SVG drawing, which cannot be used: it may look different everywhere. Open it, save it as PNG "
            "(at least 1920 pixels wide) or PDF, and drop that."
        )
    if head[:2] == b"PK" or head[:2] == b"\x1f\x8b":
        return Refusal(
            "This is a ZIP or an Office document, which cannot be used. Save it as PDF, picture or video and drop that."
        )
    if b"\x00" not in plain and sum(byte < 9 for byte in plain) == 0:
        return Refusal(
            "This is a text, not a video, sound, picture or PDF, whatever its name says. "
            "Drop the media file itself; a playlist or a web page cannot be used."
        )
    return Refusal("This is not a video, sound, picture or PDF that can be used. Use MP4, MP3, WAV, JPG, PNG or PDF.")


def _unzipped(head: bytes) -> bytes:
    """What a gzip file begins with (an SVG as SVGZ), else `head`; no more than as much again is unfolded."""
    if head[:2] != b"\x1f\x8b":
        return head
    try:
        return zlib.decompressobj(wbits=31).decompress(head, HEAD_BYTES)
    except zlib.error:
        return head
