"""Whether a file is all there, by what its container says of itself: an exit code of 0 does not prove it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from hub.messages import Refusal

_TAIL_BYTES = 4096
_MAX_BOXES = 100_000


def check_whole(path: Path, container: str) -> None:
    """Compare the sizes that the container names with the file's. Blocks: use a thread.

    Raises: Refusal when the end is missing; OSError.
    """
    checks = {"mp4": _boxes_fit, "wav": _riff_fits, "avi": _riff_fits, "webp": _riff_fits, "pdf": _pdf_ends}
    check = checks.get(container)
    if check is None:
        return
    with path.open("rb") as file:
        if not check(file.fileno(), os.fstat(file.fileno()).st_size):
            raise half_copied()


def check_duration(header_s: float | None, walked_s: float) -> None:
    """Raises: Refusal when the packets end before the duration that the header promises."""
    if header_s is not None and walked_s < header_s * 0.98 - 0.5:
        raise half_copied()


def half_copied() -> Refusal:
    return Refusal(
        "Only part of this file arrived: its end is missing. Copy it again from where it was made, and wait until the "
        "copy is finished."
    )


def _boxes_fit(fd: int, size: int) -> bool:
    """ISO/IEC 14496-12: the boxes at the top level fill the file, and one of them is `moov`."""
    position, kinds = 0, set()
    for _ in range(_MAX_BOXES):
        header = os.pread(fd, 16, position)
        if len(header) < 8:
            break
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            length = struct.unpack(">Q", header[8:])[0]
        elif length == 0:
            length = size - position
        if length < 8 or not _is_box_name(kind):
            return b"moov" in kinds  # rubbish behind the last box: some cameras leave it
        kinds.add(kind)
        position += length
    return b"moov" in kinds and position <= size


def _is_box_name(kind: bytes) -> bool:
    return all(32 <= byte < 127 or byte == 0xA9 for byte in kind)


def _riff_fits(fd: int, size: int) -> bool:
    magic, length = struct.unpack("<4sI", os.pread(fd, 8, 0))
    if magic != b"RIFF" or length in (0, 0xFFFFFFFF):
        return True  # 64-bit form, or written to a pipe: the size is elsewhere or unknown
    return bool(length + 8 <= size + 1)  # some writers count the padding byte that they leave out


def _pdf_ends(fd: int, size: int) -> bool:
    return b"startxref" in os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
