"""How a file from outside is opened: one forced demuxer, the file protocol alone, an absolute `file:` path."""

from __future__ import annotations

from pathlib import Path

from hub.media.settings import MediaSettings
from hub.media.sniff import DEMUXERS, IMAGES

MAX_ALLOC_BYTES = 1 << 30


def input_options(container: str, settings: MediaSettings) -> dict[str, str]:
    """Options before `-i`. The whitelist alone stops playlists from opening other files; `-f` forbids guessing, too."""
    demuxer = DEMUXERS[container]
    pixels = settings.max_still_pixels if container in IMAGES else settings.max_pixels
    return {
        "protocol_whitelist": "file",
        "format_whitelist": demuxer,
        "f": demuxer,
        "max_pixels": str(pixels),
        "max_streams": str(most_streams(settings)),
    }


def most_streams(settings: MediaSettings) -> int:
    """More than are ever used, to say how many there are; a thousand would take 1.6 GB before they are counted."""
    return max(64, settings.max_streams + 1)


def strict_options(container: str, settings: MediaSettings) -> dict[str, str]:
    """As `input_options`, and an error in the file is an error of the run."""
    return {**input_options(container, settings), "err_detect": "explode"}


def as_arguments(options: dict[str, str]) -> list[str]:
    return [word for name, value in options.items() for word in (f"-{name}", value)]


def url(path: Path) -> str:
    """The path so that no name can mean a protocol, an option or a pattern."""
    return f"file:{absolute(path)}"


def absolute(path: Path) -> str:
    return str(path.resolve())


def is_unreadable(path: Path) -> bool:
    """Whether the disk fails under the file. ffmpeg says EIO for damaged media, too, so its word is not enough."""
    try:
        with path.open("rb") as file:
            while file.read(1 << 20):
                pass
    except OSError:
        return True
    return False
