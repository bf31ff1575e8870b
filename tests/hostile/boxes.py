"""MP4, Matroska, AVI and WAV whose headers lie: durations, sizes, counts, depths, references to other files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack, unpack_from

from hub.media.samples import make_time_gap
from tests.hostile.case import Case, Must, of_bytes
from tests.hostile.world import World

NESTS = frozenset({b"moov", b"trak", b"mdia", b"minf", b"stbl", b"dinf", b"edts", b"udta"})
GAP = pack(">IIIIIII", 3, 12, 512, 1, 1 << 30, 12, 512)  # of 23 hours, after 12 pictures
Change = Callable[[bytes], bytes]


def box(kind: bytes, content: bytes) -> bytes:
    return pack(">I4s", len(content) + 8, kind) + content


def rewritten(data: bytes, changes: dict[bytes, Change]) -> bytes:
    """The boxes of an MP4 with some of their contents changed, sizes kept right."""
    out, position = [], 0
    while position + 8 <= len(data):
        size, kind = unpack_from(">I4s", data, position)
        content = data[position + 8 : position + size]
        if kind in NESTS:
            content = rewritten(content, changes)
        out.append(box(kind, changes.get(kind, _same)(content)))
        position += size
    return b"".join(out)


def _same(content: bytes) -> bytes:
    return content


def _put(offset: int, value: bytes) -> Change:
    return lambda content: content[:offset] + value + content[offset + len(value) :]


def cases(world: World) -> Iterator[Case]:
    yield from _mp4_references(world)
    yield from _mp4_numbers(world)
    yield from _mp4_shapes(world)
    yield from _matroska(world)
    yield from _riff(world)
    yield Case(name="a-day-of-nothing.mkv", must=Must.REFUSE, make=make_time_gap, short=True)
    yield Case(name="ten-minutes-of-nothing.mkv", must=Must.DECIDE, make=lambda path: make_time_gap(path, 600))


def _mp4_references(world: World) -> Iterator[Case]:
    """The sound and the picture are in another file, says the header."""
    secret, whole = world.canary.files["mp4"], world.whole("mov")
    targets = {
        "url-http": box(b"url ", bytes(4) + f"http://{world.canary.host}/x.mp4\0".encode()),
        "url-file": box(b"url ", bytes(4) + f"file://{secret}\0".encode()),
        "urn": box(b"urn ", bytes(4) + b"secret\0" + f"file://{secret}\0".encode()),
        "alias": box(b"alis", bytes(4) + _alias(secret)),
        "rsrc": box(b"rsrc", bytes(4) + _alias(secret)),
    }
    for name, entry in targets.items():
        changed = rewritten(whole, {b"dref": lambda _, entry=entry: bytes(4) + pack(">I", 1) + entry})  # type: ignore[misc]
        yield of_bytes(f"its-media-is-elsewhere-{name}.mov", Must.DECIDE, changed, short=name in ("url-file", "alias"))
    for name, target in (("http", f"http://{world.canary.host}/y.mov"), ("file", f"file://{secret}")):
        entry = box(b"rdrf", bytes(4) + b"url " + pack(">I", len(target) + 1) + target.encode() + b"\0")
        movie = box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"rmra", box(b"rmda", entry)))
        yield of_bytes(f"quicktime-reference-movie-{name}.mov", Must.REFUSE, movie)
    wide = box(b"ftyp", b"qt  \0\0\0\0qt  ") + box(b"moov", box(b"cmov", box(b"dcom", b"zlib") + box(b"cmvd", _bomb())))
    yield of_bytes("compressed-header-bomb.mov", Must.REFUSE, wide)


def _alias(target: Path) -> bytes:
    """An alias record of the Macintosh with a path relative to the volume (libavformat/mov.c: mov_read_dref)."""
    name = target.name.encode()[:27]
    record = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    record += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + pack(">hh", 1, 4) + bytes(16)
    path = str(target).encode()
    path += b"\0" * (len(path) % 2)
    return pack(">I", 0) + record + pack(">HH", 18, len(path)) + path + pack(">HH", 0xFFFF, 0)


def _bomb() -> bytes:
    import zlib

    return pack(">I", 1 << 28) + zlib.compress(bytes(20 << 20), 9)


def _mp4_numbers(world: World) -> Iterator[Case]:
    whole = world.whole("mp4")
    most = b"\xff\xff\xff\xff"
    changes: dict[str, tuple[Must, dict[bytes, Change]]] = {
        "lasts-68-years": (Must.DECIDE, {b"mvhd": _put(16, b"\x7f\xff\xff\xff")}),
        "tracks-last-for-ever": (Must.DECIDE, {b"mdhd": _put(16, b"\x7f\xff\xff\xff"), b"tkhd": _put(20, most)}),
        "no-time-scale": (Must.DECIDE, {b"mvhd": _put(12, bytes(4)), b"mdhd": _put(12, bytes(4))}),
        "a-billion-frames-a-second": (Must.DECIDE, {b"mdhd": _put(12, pack(">I", 1_000_000_000))}),
        "gap-of-years": (
            Must.DECIDE,
            {b"stts": lambda _: bytes(4) + GAP},
        ),
        "no-duration-at-all": (Must.DECIDE, {b"stts": lambda _: bytes(4) + pack(">III", 1, 25, 0)}),
        "two-billion-samples": (Must.DECIDE, {b"stsz": _put(4, pack(">II", 0, 0x7FFFFFFF))}),
        "equal-samples-without-end": (Must.DECIDE, {b"stsz": _put(4, pack(">II", 1, 0x0FFFFFFF))}),
        "four-billion-chunks": (Must.DECIDE, {b"stco": _put(4, most)}),
        "chunks-outside": (Must.DECIDE, {b"stco": _put(8, b"\x7f\xff\xff\xff")}),
        "edits-without-end": (Must.DECIDE, {b"elst": _put(4, most)}),
        "edit-of-ages": (Must.DECIDE, {b"elst": _put(8, b"\x7f\xff\xff\xff")}),
        "edit-before-time": (Must.DECIDE, {b"elst": _put(12, b"\x80\x00\x00\x00")}),
        "no-size": (Must.DECIDE, {b"stsd": _put(40, bytes(4)), b"tkhd": _put(76, bytes(8))}),
        "largest-size": (Must.DECIDE, {b"stsd": _put(40, most), b"tkhd": _put(76, most + most)}),
        "turned-by-nonsense": (Must.DECIDE, {b"tkhd": _put(40, b"\x7f\xff" * 18)}),
        "no-codec": (Must.REFUSE, {b"stsd": _put(12, b"\0\0\0\0")}),
        "encrypted": (Must.DECIDE, {b"stsd": _put(12, b"encv")}),
        "another-codec": (Must.DECIDE, {b"stsd": _put(12, b"vp09")}),
    }
    for name, (must, change) in changes.items():
        yield of_bytes(f"{name}.mp4", must, rewritten(whole, change), short=name in ("gap-of-years", "no-codec"))


def _mp4_shapes(world: World) -> Iterator[Case]:
    whole = world.whole("mp4")
    head = box(b"ftyp", b"isom\0\0\2\0isom")
    nested = b""
    for _ in range(20_000):
        nested = pack(">I4s", len(nested) + 8, b"moov") + nested
    yield of_bytes("boxes-20000-deep.mp4", Must.REFUSE, head + nested, short=True)
    yield of_bytes("box-of-size-0-first.mp4", Must.REFUSE, pack(">I4s", 0, b"ftyp") + b"isom")
    yield of_bytes("box-of-size-1.mp4", Must.REFUSE, head + pack(">I4sQ", 1, b"moov", 1 << 62))
    yield of_bytes("box-of-size-4.mp4", Must.REFUSE, head + pack(">I4s", 4, b"moov") * 1000)
    yield of_bytes("a-million-boxes.mp4", Must.REFUSE, head + box(b"free", b"") * 1_000_000)
    yield of_bytes("header-twice.mp4", Must.DECIDE, whole + whole[whole.rindex(b"moov") - 4 :])
    yield of_bytes("1000-streams.mp4", Must.REFUSE, _many_tracks(whole, 1000), short=True)
    html = f"<html><script src=http://{world.canary.host}/></script></html>".encode()
    yield of_bytes("mp4-and-html.mp4", Must.TAKE, whole + box(b"free", html))
    fragments = box(b"moof", box(b"mfhd", bytes(8)) + box(b"traf", box(b"trun", bytes(4) + b"\xff\xff\xff\xff")))
    yield of_bytes("fragments-of-nothing.mp4", Must.DECIDE, whole + fragments * 2000)


def _many_tracks(whole: bytes, count: int) -> bytes:
    moov = whole.rindex(b"moov") - 4
    content = whole[moov + 8 :]
    start = content.index(b"trak") - 4
    track = content[start : start + unpack_from(">I", content, start)[0]]
    return whole[:moov] + box(b"moov", content[:start] + track * count)


def element(number: int, content: bytes) -> bytes:
    """A Matroska element with an eight-byte size."""
    name = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return name + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _matroska(world: World) -> Iterator[Case]:
    kind = element(0x1A45DFA3, element(0x4282, b"matroska"))
    track = element(0xAE, element(0xD7, b"\1") + element(0x83, b"\x11") + element(0x86, b"S_TEXT/UTF8"))
    info = element(0x1549A966, element(0x2AD7B1, b"\x0f\x42\x40"))
    tracks = element(0x1654AE6B, track * 1000)
    yield of_bytes("1000-streams.mkv", Must.REFUSE, kind + element(0x18538067, info + tracks), short=True)
    chapter = element(0xB6, element(0x73C4, b"\1") + element(0x91, b"\0") + element(0x80, element(0x85, b"x" * 50)))
    chapters = element(0x1043A770, element(0x45B9, chapter * 10_000))
    whole = world.whole("mkv")
    yield of_bytes("10000-chapters.mkv", Must.DECIDE, _with_segment(whole, chapters), short=True)
    nested = b""
    for _ in range(5000):
        nested = element(0xB6, nested)
    yield of_bytes("chapters-5000-deep.mkv", Must.DECIDE, _with_segment(whole, element(0x1043A770, nested)))
    tag = element(0x7373, element(0x67C8, element(0x45A3, b"TITLE") + element(0x4487, b"\x1b[2J\n\r" * 200_000)))
    yield of_bytes("title-of-a-megabyte.mkv", Must.DECIDE, _with_segment(whole, element(0x1254C367, tag)))
    links = element(0x3CB923, bytes(16)) + element(0x3C83AB, str(world.canary.files["mp4"]).encode())
    linked = kind + element(0x18538067, element(0x1549A966, links) + tracks[:20])
    yield of_bytes("goes-on-in-another-file.mkv", Must.REFUSE, linked)
    file = element(
        0x61A7, element(0x466E, b"../../evil.sh") + element(0x4660, b"text/x-sh") + element(0x465C, b"#!/bin/sh")
    )
    yield of_bytes("attachment.mkv", Must.DECIDE, _with_segment(whole, element(0x1941A469, file * 50)))
    yield of_bytes(
        "unknown-sizes.mkv", Must.REFUSE, kind + b"\x18\x53\x80\x67\x01" + b"\xff" * 7 + b"\x1f\x43\xb6\x75\xff" * 5000
    )
    segments = b"".join(b"\x18\x53\x80\x67\x01" + b"\xff" * 7 for _ in range(5000))
    yield of_bytes("segments-5000-deep.mkv", Must.REFUSE, kind + segments)


def _with_segment(whole: bytes, more: bytes) -> bytes:
    """A whole file with an element more at the end of its segment, whose size is made unknown."""
    start = whole.index(b"\x18\x53\x80\x67") + 4
    return whole[:start] + b"\x01" + b"\xff" * 7 + whole[start + 8 :] + more


def _riff(world: World) -> Iterator[Case]:
    for name, fields in {
        "no-channels": (1, 0, 48000, 96000, 2, 16),
        "255-channels": (1, 255, 48000, 48000 * 510, 510, 16),
        "65535-channels": (1, 65535, 48000, 0, 0, 16),
        "no-rate": (1, 2, 0, 0, 4, 16),
        "rate-of-1": (1, 2, 1, 4, 4, 16),
        "rate-of-768000": (1, 2, 768_000, 3_072_000, 4, 16),
        "rate-of-4-billion": (1, 2, 0xFFFFFFFF, 0xFFFFFFFF, 4, 16),
        "no-bits": (1, 2, 48000, 192000, 4, 0),
        "blocks-of-nothing": (1, 2, 48000, 0, 0, 16),
        "codec-of-nobody": (0x7777, 2, 48000, 192000, 4, 16),
    }.items():
        yield of_bytes(f"{name}.wav", Must.DECIDE, wav(fields, bytes(range(256)) * 750), short=name == "255-channels")
    ansi = b"LIST" + pack("<I", 60_016) + b"INFOINAM" + pack("<I", 60_000) + b"\x1b]0;pwn\x07\x1b[31m" * 4000
    good = wav((1, 1, 48000, 96000, 2, 16), world.whole("wav")[-48000:])
    yield of_bytes("title-with-escapes.wav", Must.DECIDE, good[:12] + ansi[:60_024] + good[12:])
    yield of_bytes("lists-without-end.wav", Must.DECIDE, good[:12] + b"LIST\x04\0\0\0INFO" * 50_000 + good[12:])
    avi = world.whole("avi")
    for name, offset, value in (("rate-1-0", 20, pack("<II", 0, 1)), ("rate-of-a-billion", 20, pack("<II", 1, 10**9)),
                                ("frames-without-end", 32, b"\xff\xff\xff\x7f")):  # fmt: skip
        at = avi.index(b"strh") + 8 + offset
        yield of_bytes(f"{name}.avi", Must.DECIDE, avi[:at] + value + avi[at + len(value) :])
    lists = b"LIST" + pack("<I", 0x7FFFFFF0) + b"hdrl"
    yield of_bytes("lists-10000-deep.avi", Must.REFUSE, b"RIFF\0\0\0\0AVI " + lists * 10_000)


def wav(fields: tuple[int, int, int, int, int, int], data: bytes) -> bytes:
    content = b"WAVEfmt " + pack("<I", 16) + pack("<HHIIHH", *fields) + b"data" + pack("<I", len(data)) + data
    return b"RIFF" + pack("<I", len(content)) + content
