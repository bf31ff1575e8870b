"""Whether a file is all there, by what its container says of itself: an exit code of 0 does not prove it."""

from __future__ import annotations

from pathlib import Path

from hub.endings import missing_end
from hub.messages import Refusal

# Of the others a lost end shows in the walk or the decoding, and some are whole without it.
_CERTAIN = frozenset({"mp4", "heic", "avif", "mkv", "wav", "avi", "aiff", "webp", "png", "pdf"})


LATE_PICTURES = 4  # x264 and x265 reorder over three at most by default, and one is the last itself


def check_whole(path: Path, container: str) -> None:
    """Compare the sizes that the container names with the file's. Blocks: use a thread.

    Raises: Refusal when the end is missing; OSError.
    """
    if container not in _CERTAIN:
        return
    with path.open("rb") as file:
        if missing_end(file.fileno(), container):
            raise half_copied()


def check_duration(header_s: float | None, walked_s: float, fps: float | None) -> None:
    """Raises: Refusal when the packets end before the duration that the header promises.

    A walk is told by when packets are decoded: with B frames the last one is decoded up to some pictures before it is
    shown, and it lasts a picture longer. At a few pictures a second that is no small part of a film.
    """
    pictures_s = LATE_PICTURES / fps if fps else 0.0
    if header_s is not None and walked_s < header_s * 0.98 - 0.5 - pictures_s:
        raise half_copied()


def half_copied() -> Refusal:
    return Refusal(
        "Only part of this file arrived: its end is missing. Copy it again from where it was made, and wait until the "
        "copy is finished."
    )
