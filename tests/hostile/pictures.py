"""Pictures that unfold to more than they seem, point at themselves, or say absurd sizes."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from struct import pack

from tests.hostile.case import Case, Must, lazily, of_bytes
from tests.hostile.world import World

PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, *more: bytes, rows: bytes | None = None) -> bytes:
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = (width * depth * channels + 7) // 8 + 1
    data = zlib.compress(bytes(row * height), 9) if rows is None else rows
    header = chunk(b"IHDR", pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG + header + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def cases(world: World) -> Iterator[Case]:
    yield from _png(world)
    yield from _jpeg(world)
    yield from _gif(world)
    yield from _bmp()
    yield from _tiff()
    yield from _webp(world)
    yield from _heif(world)


def _png(world: World) -> Iterator[Case]:
    nothing = zlib.compress(b"")
    yield lazily("16000x16000.png", Must.REFUSE, lambda: png(16000, 16000, 1, 0), short=True)
    yield lazily("10000x10000-in-colour.png", Must.DECIDE, lambda: png(10000, 10000, 8, 2))
    yield of_bytes("largest-size.png", Must.REFUSE, png(0x7FFFFFFF, 0x7FFFFFFF, 8, 6, rows=nothing), short=True)
    yield of_bytes("no-size.png", Must.REFUSE, png(0, 0, 8, 2, rows=nothing))
    yield of_bytes("negative-size.png", Must.REFUSE, png(0xFFFFFF00, 0xFFFFFF00, 8, 2, rows=nothing))
    yield of_bytes("1x1.png", Must.TAKE, png(1, 1, 8, 2), short=True)
    yield of_bytes("1x16384.png", Must.DECIDE, png(1, 16384, 8, 2), short=True)
    yield of_bytes("16384x1.png", Must.DECIDE, png(16384, 1, 8, 2))
    yield of_bytes("1x2000000.png", Must.DECIDE, png(1, 2_000_000, 1, 0))
    yield of_bytes("rows-missing.png", Must.REFUSE, png(4000, 4000, 8, 2, rows=zlib.compress(bytes(1000))))
    yield of_bytes("no-palette.png", Must.DECIDE, png(64, 64, 8, 3))
    bomb = zlib.compress(bytes(64 << 20), 9)
    ztxt = chunk(b"zTXt", b"Title\0\0" + bomb)
    yield of_bytes("text-bomb.png", Must.DECIDE, png(64, 64, 8, 2, ztxt), short=True)
    yield of_bytes("text-bombs.png", Must.DECIDE, png(64, 64, 8, 2, *[ztxt] * 40))
    yield of_bytes("profile-bomb.png", Must.DECIDE, png(64, 64, 8, 2, chunk(b"iCCP", b"p\0\0" + bomb)))
    yield lazily("data-bomb.png", Must.DECIDE, lambda: png(64, 64, 8, 2, rows=zlib.compress(bytes(256 << 20), 9)))
    yield of_bytes("chunk-of-2-gigabytes.png", Must.REFUSE, PNG + b"\x7f\xff\xff\xffIDAT" + bytes(100))
    yield of_bytes("100000-chunks.png", Must.DECIDE, png(64, 64, 8, 2, *[chunk(b"tEXt", b"k\0v")] * 100_000))
    html = f"<script>fetch('http://{world.canary.host}/')</script>".encode()
    yield of_bytes("png-and-html.png", Must.TAKE, world.whole("png") + html)
    frames = [chunk(b"fcTL", pack(">IIIIIHHBB", n, 64, 64, 0, 0, 0, 0, 0, 0)) for n in range(50_000)]
    yield of_bytes("50000-frames.png", Must.DECIDE, png(64, 64, 8, 2, chunk(b"acTL", pack(">II", 50_000, 0)), *frames))


def _jpeg(world: World) -> Iterator[Case]:
    whole = world.whole("jpg")
    at = next(whole.index(mark) for mark in (b"\xff\xc0", b"\xff\xc2") if mark in whole)
    for name, size in (("65500x65500", (65500, 65500)), ("no-size", (0, 0)), ("1x65500", (65500, 1))):
        changed = whole[: at + 5] + pack(">HH", *size) + whole[at + 9 :]
        must = Must.DECIDE if name == "1x65500" else Must.REFUSE
        yield of_bytes(f"{name}.jpg", must, changed, short=name == "65500x65500")
    scan = whole.index(b"\xff\xda")
    yield of_bytes("10000-scans.jpg", Must.DECIDE, whole[:-2] + whole[scan : scan + 200] * 10_000 + whole[-2:])
    yield of_bytes("segments-without-end.jpg", Must.DECIDE, whole[:2] + b"\xff\xe1\x00\x04Ex" * 200_000 + whole[2:])
    exif = b"Exif\0\0MM\0*\0\0\0\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\xff\xff\x00\x00\x00\x00\x00\x08"
    yield of_bytes("exif-loop.jpg", Must.DECIDE, whole[:2] + b"\xff\xe1" + pack(">H", len(exif) + 2) + exif + whole[2:])
    yield of_bytes("jpg-and-zip.jpg", Must.DECIDE, whole + _zip())


def _zip() -> bytes:
    return b"PK\x03\x04" + bytes(26) + b"PK\x05\x06" + bytes(18)


def _gif(world: World) -> Iterator[Case]:
    def gif(width: int, height: int, frames: int, frame: tuple[int, int] = (1, 1), delay: int = 0) -> bytes:
        head = b"GIF89a" + pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6)
        control = b"\x21\xf9\x04\x00" + pack("<H", delay) + b"\0\0"
        one = control + b"\x2c" + pack("<HHHHB", 0, 0, *frame, 0) + b"\x02\x02\x44\x01\x00"
        loop = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
        return head + loop + one * frames + b"\x3b"

    yield of_bytes("65535x65535.gif", Must.REFUSE, gif(65535, 65535, 1), short=True)
    yield of_bytes("65535x65535-moving.gif", Must.REFUSE, gif(65535, 65535, 100))
    yield of_bytes("100000-frames.gif", Must.DECIDE, gif(16, 16, 100_000))
    yield of_bytes("frames-of-11-minutes.gif", Must.DECIDE, gif(16, 16, 50, delay=65535))
    yield of_bytes("no-size.gif", Must.REFUSE, gif(0, 0, 1, (0, 0)))
    yield of_bytes("frame-outside.gif", Must.DECIDE, gif(16, 16, 3, (60000, 60000)))
    yield of_bytes("gifar.gif", Must.DECIDE, world.whole("gif") + _zip())
    yield of_bytes("big-canvas-many-frames.gif", Must.DECIDE, gif(5000, 5000, 2000))


def _bmp() -> Iterator[Case]:
    def bmp(width: int, height: int, bits: int = 24, packed: int = 0, data: bytes = bytes(64)) -> bytes:
        header = pack("<IiiHHIIiiII", 40, width, height, 1, bits, packed, len(data), 0, 0, 0, 0)
        return b"BM" + pack("<IHHI", 54 + len(data), 0, 0, 54) + header + data

    yield of_bytes("upside-down.bmp", Must.DECIDE, bmp(4, -4))
    yield of_bytes("negative-width.bmp", Must.REFUSE, bmp(-4, 4))
    yield of_bytes("largest-size.bmp", Must.REFUSE, bmp(0x7FFFFFFF, 0x7FFFFFFF), short=True)
    yield of_bytes("smallest-size.bmp", Must.REFUSE, bmp(-0x80000000, -0x80000000))
    yield of_bytes("no-size.bmp", Must.REFUSE, bmp(0, 0))
    yield of_bytes("run-length-bomb.bmp", Must.REFUSE, bmp(20000, 20000, 8, 1, b"\xff\x01" * 50_000))
    yield of_bytes("no-bits.bmp", Must.REFUSE, bmp(64, 64, 0))


def _tiff() -> Iterator[Case]:
    def tiff(tags: dict[int, tuple[int, int]], next_at: int = 0, data: bytes = bytes(64)) -> bytes:
        entries = b"".join(pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items()))
        return b"II*\0" + pack("<I", 8) + pack("<H", len(tags)) + entries + pack("<I", next_at) + data

    def tags(width: int, height: int, bytes_there: int = 64) -> dict[int, tuple[int, int]]:
        return {256: (4, width), 257: (4, height), 258: (3, 8), 259: (3, 1), 262: (3, 1), 273: (4, 134), 277: (3, 1),
                278: (4, height), 279: (4, bytes_there)}  # fmt: skip

    yield of_bytes("8x8.tiff", Must.DECIDE, tiff(tags(8, 8)))
    yield of_bytes("follows-itself.tiff", Must.DECIDE, tiff(tags(8, 8), 8), short=True)
    yield of_bytes("100000x100000.tiff", Must.REFUSE, tiff(tags(100_000, 100_000)))
    yield of_bytes("largest-size.tiff", Must.REFUSE, tiff(tags(0xFFFFFFFF, 0xFFFFFFFF)))
    yield of_bytes("no-size.tiff", Must.REFUSE, tiff(tags(0, 0)))
    yield of_bytes("strip-outside.tiff", Must.REFUSE, tiff({**tags(8, 8), 273: (4, 0x7FFFFFFF)}))
    yield of_bytes("strips-without-end.tiff", Must.REFUSE, tiff(tags(8, 8, 0xFFFFFFFF)))
    page = pack("<H", 9) + b"".join(
        pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags(8, 8).items())
    )
    pages = b"".join(page + pack("<I", 8 + (n + 1) * (len(page) + 4)) for n in range(10_000))
    yield of_bytes("10000-pages.tiff", Must.REFUSE, b"II*\0" + pack("<I", 8) + pages)


def _webp(world: World) -> Iterator[Case]:
    def riff(*chunks: bytes) -> bytes:
        content = b"WEBP" + b"".join(chunks)
        return b"RIFF" + pack("<I", len(content)) + content

    def part(kind: bytes, data: bytes) -> bytes:
        return kind + pack("<I", len(data)) + data + b"\0" * (len(data) % 2)

    def canvas(width: int, height: int) -> bytes:
        return part(b"VP8X", b"\x02\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little"))

    still = world.whole("webp")
    picture = still[still.index(b"VP8 ") if b"VP8 " in still else still.index(b"VP8L") :]
    where = bytes(6) + (159).to_bytes(3, "little") + (89).to_bytes(3, "little")
    anim, frame = part(b"ANIM", bytes(6)), part(b"ANMF", where + b"\x01\0\0\0" + picture)
    yield of_bytes("largest-canvas.webp", Must.REFUSE, riff(canvas(1 << 24, 1 << 24), anim, frame), short=True)
    yield of_bytes("16000x16000-moving.webp", Must.REFUSE, riff(canvas(16000, 16000), anim, frame * 10))
    yield of_bytes("3000-frames.webp", Must.DECIDE, riff(canvas(160, 90), anim, frame * 3000))
    eternal = part(b"ANMF", where + b"\xff\xff\xff\0" + picture)
    yield of_bytes("frames-of-5-hours.webp", Must.DECIDE, riff(canvas(160, 90), anim, eternal * 3))
    lossless = part(b"VP8L", b"\x2f" + pack("<I", 0x0FFFFFFF) + bytes(64))
    yield of_bytes("16384x16384-of-nothing.webp", Must.REFUSE, riff(lossless))
    yield of_bytes("chunk-outside.webp", Must.REFUSE, riff(b"VP8 \xf0\xff\xff\x7f" + bytes(64)))


def _heif(world: World) -> Iterator[Case]:
    for kind in ("heic", "avif"):
        whole = world.whole(kind)
        at = whole.index(b"ispe") + 8
        for name, side in (("largest-size", 0x7FFFFFFF), ("20000x20000", 20_000), ("no-size", 0)):
            changed = whole[:at] + pack(">II", side, side) + whole[at + 8 :]
            yield of_bytes(
                f"{name}.{kind}", Must.DECIDE if kind == "avif" else Must.REFUSE, changed, short=side > 1 << 20
            )
        for name in (b"iloc", b"iinf", b"ipma", b"pitm"):
            at_box = whole.index(name) + 8
            yield of_bytes(
                f"{name.decode()}-of-nonsense.{kind}", Must.DECIDE, whole[:at_box] + b"\xff" * 8 + whole[at_box + 8 :]
            )
