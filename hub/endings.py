"""Whether the end of a file is there, by what its container says of itself: nothing is decoded, little is read.

Two parts of the hub ask: intake, before it takes a dropped file, and the probe, which refuses what was cut off.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct

HEAD_BYTES = 64
_TAIL_BYTES = 4096
_MOST_PARTS = 50_000  # boxes, chunks: a few hours of a fragmented MP4; more are not counted
_MOST_SCAN_BYTES = 32 << 20  # of a picture that does not end as it should
_PAGE_BYTES = 65_307  # the longest Ogg page

_BE32, _LE32, _BE64, _LE64 = Struct(">I"), Struct("<I"), Struct(">Q"), Struct("<Q")
_PICTURES = frozenset({b"heic", b"heix", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """The file stops before its own end."""

    have: int  # bytes
    wanted: int | None  # None: it does not say how many it should have

    @property
    def percent(self) -> int | None:
        return None if not self.wanted else min(99, 100 * self.have // self.wanted)


def missing_end(fd: int, container: str | None = None) -> Missing | None:
    """What the file lacks of its end; None when it is there, or when this kind of file does not tell.

    `container` is named as by `hub.media.sniff`; without it the first bytes decide. Blocks shortly. Raises: OSError.
    """
    size = os.fstat(fd).st_size
    check = _CHECKS.get(container or _container_at(os.pread(fd, HEAD_BYTES, 0)))
    return check(fd, size) if check and size else None


def keeps_its_end_to_itself(fd: int) -> bool:
    """Whether this is a kind of media that looks the same half and whole: only time can tell. Raises: OSError."""
    head = os.pread(fd, _UNTOLD_BYTES, 0)
    if _container_at(head) == "mp3":
        return _stream_table(fd) is None
    return head.startswith(_UNTOLD) or _is_adts(head) or _is_transport_stream(head)


def unwritten_end(fd: int) -> Missing | None:
    """What was only reserved: the size was set at once and the rest never written (a hole up to the end of the file).

    Some file systems make a hole of zeros, too. Raises: OSError.
    """
    size = os.fstat(fd).st_size
    if not size or _data_from(fd, size - 1) is not None:
        return None
    written = 0
    for _ in range(_MOST_PARTS):
        begin = _data_from(fd, written)
        if begin is None:
            break
        written = os.lseek(fd, begin, os.SEEK_HOLE)
    return Missing(have=written, wanted=size)


def _data_from(fd: int, offset: int) -> int | None:
    try:
        return os.lseek(fd, offset, os.SEEK_DATA)
    except OSError as error:
        return None if error.errno == errno.ENXIO else offset  # it does not tell holes: all counts as data


def _container_at(head: bytes) -> str:
    for offset, magic, container in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return container
    if head[:4] in (b"RIFF", b"RF64", b"BW64"):
        return "wav"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "bmp"
    return "mp3" if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 else ""


_MAGIC = (
    (4, b"ftyp", "mp4"), (4, b"moov", "mp4"), (4, b"mdat", "mp4"), (4, b"wide", "mp4"), (4, b"free", "mp4"),
    (4, b"skip", "mp4"), (0, b"\x1aE\xdf\xa3", "mkv"), (0, b"OggS", "ogg"), (0, b"FORM", "aiff"), (0, b"%PDF-", "pdf"),
    (0, b"\x89PNG\r\n\x1a\n", "png"), (0, b"\xff\xd8\xff", "jpeg"), (0, b"GIF8", "gif"), (0, b"ID3", "mp3"),
)  # fmt: skip


_UNTOLD_BYTES = 1024
_UNTOLD = (
    b"fLaC", b"FLV\x01", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"#!AMR", b"\x06\x0e+4", b"II*\x00", b"MM\x00*",
)  # fmt: skip


def _is_adts(head: bytes) -> bool:
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0


def _is_transport_stream(head: bytes) -> bool:
    return any(
        len(head) > start + 4 * packet and all(head[start + n * packet] == 0x47 for n in range(5))
        for start, packet in ((0, 188), (4, 192))
    )


def _boxes(fd: int, size: int) -> Missing | None:
    """ISO/IEC 14496-12: the boxes at the top level fill the file, and one of them is the index."""
    position, kinds = 0, set()
    index = b"meta" if os.pread(fd, 4, 8) in _PICTURES else b"moov"
    for _ in range(_MOST_PARTS):
        header = os.pread(fd, 16, position)
        if len(header) < 8:
            break
        length, kind = _BE32.unpack_from(header)[0], header[4:8]
        if length == 1 and len(header) == 16:
            length = _BE64.unpack_from(header, 8)[0]
        elif length == 0:
            length = size - position
        if length < 8 or not _is_box_name(kind):
            break  # rubbish behind the last box: some cameras leave it
        kinds.add(kind)
        position += length
    else:
        return None  # more boxes than are worth counting
    if position > size:
        return Missing(have=size, wanted=position)
    return None if index in kinds else Missing(have=size, wanted=None)


def _is_box_name(kind: bytes) -> bool:
    return all(32 <= byte < 127 or byte == 0xA9 for byte in kind)


def _riff(fd: int, size: int) -> Missing | None:
    """WAV, AVI (of several RIFF parts when it is long) and WebP; some writers count a padding byte they leave out."""
    position = 0
    for _ in range(_MOST_PARTS):
        head = os.pread(fd, 28, position)
        if head[:4] != b"RIFF":
            break
        length = _LE32.unpack_from(head, 4)[0] if len(head) >= 8 else 0
        if length in (0, 0xFFFFFFFF):
            return None  # written to a pipe: the size is unknown
        position += length + 8
    if position == 0 and head[:4] in (b"RF64", b"BW64") and head[12:16] == b"ds64" and len(head) == 28:
        position = _LE64.unpack_from(head, 20)[0] + 8
    return Missing(have=size, wanted=position) if position > size + 1 else None


def _form(fd: int, size: int) -> Missing | None:
    head = os.pread(fd, 8, 0)
    wanted = _BE32.unpack_from(head, 4)[0] + 8 if len(head) == 8 else 0
    return Missing(have=size, wanted=wanted) if wanted > size + 1 else None


def _segment(fd: int, size: int) -> Missing | None:
    """Matroska (RFC 9559): the segment names its size, unless it was written to a pipe."""
    position = 0
    for element in (b"\x1aE\xdf\xa3", b"\x18S\x80g"):
        head = os.pread(fd, 12, position)
        length, width = _vint(head[4:])
        if head[:4] != element or length is None:
            return None
        position += 4 + width + length
    return Missing(have=size, wanted=position) if position > size else None


def _vint(data: bytes) -> tuple[int | None, int]:
    """An EBML length and its own width; None when it is cut off or means "unknown"."""
    width = 9 - data[0].bit_length() if data and data[0] else 9
    if len(data) < width:
        return None, width
    value = int.from_bytes(data[:width], "big") & ((1 << 7 * width) - 1)
    return (None if value == (1 << 7 * width) - 1 else value), width


def _pages(fd: int, size: int) -> Missing | None:
    """Ogg: the last page is as long as its table says."""
    start = max(0, size - _PAGE_BYTES)
    tail = os.pread(fd, _PAGE_BYTES, start)
    at = tail.rfind(b"OggS")
    page = tail[at:] if at >= 0 else b""
    count = page[26] if len(page) > 26 else 255
    wanted = start + at + 27 + count + sum(page[27 : 27 + count])
    return Missing(have=size, wanted=None) if page and wanted > size else None


def _chunks(fd: int, size: int) -> Missing | None:
    """PNG: chunk after chunk up to IEND."""
    position = 8
    for _ in range(_MOST_PARTS):
        head = os.pread(fd, 8, position)
        if len(head) < 8:
            return Missing(have=size, wanted=None)
        position += 12 + _BE32.unpack_from(head)[0]
        if head[4:] == b"IEND" and position <= size:
            return None
    return None


def _jpeg(fd: int, size: int) -> Missing | None:
    """The end marker, at the end or (before what phones append) somewhere behind the picture's first scan."""
    if os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).rstrip(b"\0\r\n ").endswith(b"\xff\xd9"):
        return None
    scan = _first_scan(fd)
    last = b""
    for position in range(scan or size, min(size, (scan or 0) + _MOST_SCAN_BYTES), 1 << 20):
        piece = os.pread(fd, 1 << 20, position)
        if b"\xff\xd9" in last + piece:  # the picture's own bytes never hold it: 0xff is followed by 0 there
            return None
        last = piece[-1:]
    return Missing(have=size, wanted=None)


def _first_scan(fd: int) -> int | None:
    """Where the first scan begins, behind the thumbnail that may be in the segments before it."""
    position = 2
    for _ in range(1000):
        head = os.pread(fd, 4, position)
        if len(head) < 4 or head[0] != 0xFF:
            return None
        if head[1] == 0xDA:
            return position
        position += 1 if head[1] == 0xFF else 2 + int.from_bytes(head[2:], "big")
    return None


def _gif(fd: int, size: int) -> Missing | None:
    tail = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES)).rstrip(b"\0")
    return None if tail.endswith(b";") else Missing(have=size, wanted=None)


def _pdf(fd: int, size: int) -> Missing | None:
    tail = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    return None if b"startxref" in tail else Missing(have=size, wanted=None)


def _xing(fd: int, size: int) -> Missing | None:
    """MP3: the table in the first frame of most files (tags behind the stream come on top)."""
    wanted = _stream_table(fd) or _stream_start(fd)
    return Missing(have=size, wanted=wanted) if wanted > size else None


def _stream_start(fd: int) -> int:
    head = os.pread(fd, 10, 0)
    if head[:3] != b"ID3" or len(head) < 10:
        return 0
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))


def _stream_table(fd: int) -> int | None:
    """Where the stream ends, when its first frame tells."""
    start = _stream_start(fd)
    frame = os.pread(fd, 64, start)
    for offset in (36, 21, 13):  # by MPEG version and channels
        table = frame[offset : offset + 16]
        if table[:4] in (b"Xing", b"Info") and len(table) == 16 and table[7] & 2:
            return start + int(_BE32.unpack_from(table, 12 if table[7] & 1 else 8)[0])
    return None


def _bitmap(fd: int, size: int) -> Missing | None:
    head = os.pread(fd, 10, 0)
    wanted = _LE32.unpack_from(head, 2)[0] if len(head) == 10 else 0
    return Missing(have=size, wanted=wanted) if wanted > size else None


_CHECKS: dict[str, Callable[[int, int], Missing | None]] = {
    "mp4": _boxes, "heic": _boxes, "avif": _boxes, "mkv": _segment, "wav": _riff, "avi": _riff, "webp": _riff,
    "aiff": _form, "ogg": _pages, "mp3": _xing, "png": _chunks, "jpeg": _jpeg, "gif": _gif, "bmp": _bitmap, "pdf": _pdf,
}  # fmt: skip
