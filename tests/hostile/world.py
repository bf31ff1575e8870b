"""What the cases are made of: a canary to point at, and one small whole file of each kind, the same every time."""

from __future__ import annotations

import io
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pillow_heif
from PIL import Image

from hub.media.samples import BITEXACT, make_audio, make_pdf, make_poster, make_video
from tests.hostile.canary import Canary

SIZE = (160, 90)
VIDEOS = ("mp4", "mov", "mkv", "avi", "ts", "m2ts", "mpg", "flv", "wmv", "mxf", "webm")
SOUNDS = ("wav", "mp3", "flac", "ogg", "aac", "aiff")
PICTURES = ("png", "jpg", "webp", "bmp", "tiff", "gif")
MODERN = ("heic", "avif")
EVERY = (*VIDEOS, "fast.mp4", *SOUNDS, *PICTURES, *MODERN, "pdf")
_CODECS = {
    "mpg": ("mpeg2video", "mp2"),
    "wmv": ("wmv2", "wmav2"),
    "flv": ("flv1", "libmp3lame"),
    "webm": ("libvpx", "libopus"),
    "avi": ("mpeg4", "libmp3lame"),
}


@dataclass(frozen=True, slots=True)
class World:
    """`folder` holds the whole files; `seed` decides what is broken where."""

    folder: Path
    canary: Canary
    seed: int = 1

    def whole(self, kind: str) -> bytes:
        """A small file of this kind that the hub takes."""
        return _whole(self.folder, kind)


@cache
def _whole(folder: Path, kind: str) -> bytes:
    path = folder / f"whole.{kind}"
    _make(path, kind)
    return path.read_bytes()


def _make(path: Path, kind: str) -> None:
    if kind in MODERN:
        _modern(path, kind)
    elif kind in SOUNDS:
        make_audio(path, 1.0)
    elif kind in PICTURES:
        make_poster(path, SIZE)
    elif kind == "pdf":
        make_pdf(path, 2)
    elif kind in _CODECS or kind == "mxf":
        _clip(path, *_CODECS.get(kind, ("mpeg2video", "pcm_s16le")))
    else:
        more = ("-movflags", "+faststart") if kind == "fast.mp4" else ()
        make_video(path, 1.0, SIZE, video_options=("-pix_fmt", "yuv420p", *more))


def _clip(path: Path, video: str, audio: str) -> None:
    size = (640, 480) if path.suffix == ".mxf" else SIZE
    source = f"testsrc2=size={size[0]}x{size[1]}:rate=25:duration=1"
    rate = "44100" if path.suffix in (".flv", ".wmv") else "48000"
    inputs = ("-f", "lavfi", "-i", source, "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1")
    codecs = ("-c:v", video, "-c:a", audio, "-ar", rate, "-pix_fmt", "yuv420p", "-threads", "1")
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, *codecs, "-t", "1", *BITEXACT, f"file:{path}"]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _modern(path: Path, kind: str) -> None:
    pillow_heif.register_heif_opener()
    picture = Image.radial_gradient("L").resize(SIZE).convert("RGB")
    made = io.BytesIO()
    picture.save(made, "HEIF" if kind == "heic" else "AVIF")
    path.write_bytes(made.getvalue())
