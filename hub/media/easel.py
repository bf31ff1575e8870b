"""What drawn pictures become: a PNG a page, or one APNG for an animation. Runs in the jail, behind `drawing.py`."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

Picture = Any  # PIL.Image.Image
SIGNATURE = b"\x89PNG\r\n\x1a\n"


class Pages:
    """Each picture a file of its own: `page-0001.png` and so on."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._count = 0

    def add(self, picture: Picture, _milliseconds: int) -> None:
        self._count += 1
        picture.save(f"{self._folder}/page-{self._count:04}.png", "PNG", compress_level=1)

    def finish(self) -> None:
        return


class Film:
    """All pictures in one `frames.png`, each with its time: an APNG (the PNG specification, third edition, 11.3.6).

    One picture is in memory at a time, however long the animation is.
    """

    def __init__(self, folder: str) -> None:
        self._file = open(f"{folder}/frames.png", "wb")  # noqa: PTH123, SIM115 - closed by finish, or by the end
        self._header = b""
        self._frames = 0
        self._sequence = 0

    def add(self, picture: Picture, milliseconds: int) -> None:
        """Raises: ValueError when it is not as large as the first one."""
        encoded = io.BytesIO()
        picture.save(encoded, "PNG", compress_level=1)
        chunks = list(_chunks(encoded.getvalue()))
        header = next(data for kind, data in chunks if kind == b"IHDR")
        pixels = b"".join(data for kind, data in chunks if kind == b"IDAT")
        if not self._frames:
            self._begin(header)
        if header != self._header:
            raise ValueError("frames of different sizes")
        self._frames += 1
        self._write(b"fcTL", self._number(), header[:8], bytes(8), struct.pack(">HHH", milliseconds, 1000, 0))
        if self._frames == 1:
            self._write(b"IDAT", pixels)
        else:
            self._write(b"fdAT", self._number(), pixels)

    def finish(self) -> None:
        """Complete it: only now is it known how many frames it has."""
        self._write(b"IEND")
        self._file.seek(len(SIGNATURE) + 12 + len(self._header))
        self._write(b"acTL", struct.pack(">II", self._frames, 0))
        self._file.close()

    def _begin(self, header: bytes) -> None:
        self._header = header
        self._file.write(SIGNATURE)
        self._write(b"IHDR", header)
        self._write(b"acTL", bytes(8))

    def _number(self) -> bytes:
        self._sequence += 1
        return struct.pack(">I", self._sequence - 1)

    def _write(self, kind: bytes, *parts: bytes) -> None:
        data = b"".join(parts)
        self._file.write(struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)))


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(SIGNATURE)
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length
