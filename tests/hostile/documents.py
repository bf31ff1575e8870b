"""PDFs with actions, references, loops and bombs."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tests.hostile.case import Case, Must, lazily, of_bytes
from tests.hostile.world import World

PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Contents 4 0 R %s >>"
PAGES = b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R %s >>"


def stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), more, data)


def pdf(*objects: bytes, trailer: bytes = b"", prev: bytes = b"") -> bytes:
    """A PDF of these objects, the first of which is the catalogue."""
    out, places = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"), []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    at = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s %s >>\n" % (
        len(objects) + 1,
        trailer,
        prev.replace(b"HERE", b"%d" % at),
    )
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % at)


def page(drawing: bytes, *more: bytes, catalog: bytes = b"", attributes: bytes = b"") -> bytes:
    return pdf(CATALOG % catalog, PAGES, PAGE % attributes, stream(drawing), *more)


IMAGE = b"/Type /XObject /Subtype /Image /Width %d /Height %d /BitsPerComponent 8 /ColorSpace /DeviceGray "
BLUE = b"0 0 1 rg 0 0 200 200 re f"


def cases(world: World) -> Iterator[Case]:
    yield from _actions(world)
    yield from _trees()
    yield from _bombs()
    yield from _sizes()


def _actions(world: World) -> Iterator[Case]:
    http, secret = f"http://{world.canary.host}/p".encode(), str(world.canary.files["txt"]).encode()
    launch = b"/OpenAction << /S /Launch /F (/bin/sh) /Unix (touch /tmp/pwned) >>"
    script = b"/OpenAction << /S /JavaScript /JS (app.launchURL('%s')) >>" % http
    form = b"/AcroForm << /XFA [(x) 5 0 R] >>"
    entity = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file://%s">]><a>&x;</a>' % secret
    yield of_bytes("javascript.pdf", Must.TAKE, page(BLUE, catalog=script), short=True)
    yield of_bytes("launch.pdf", Must.TAKE, page(BLUE, catalog=launch))
    yield of_bytes("open-url.pdf", Must.TAKE, page(BLUE, catalog=b"/OpenAction << /S /URI /URI (%s) >>" % http))
    yield of_bytes("xml-form.pdf", Must.TAKE, page(BLUE, stream(entity), catalog=form))
    for name, target in (("file", secret), ("http", http), ("up", b"../canary/secret.txt")):
        where = b"/F << /Type /Filespec /F (%s) /FS %s >>" % (target, b"/URL" if name == "http" else b"/File")
        image = stream(b"", IMAGE % (8, 8) + where)
        drawing = b"200 0 0 200 0 0 cm /I Do"
        resources = b"/Resources << /XObject << /I 5 0 R >> >>"
        yield of_bytes(
            f"picture-elsewhere-{name}.pdf",
            Must.DECIDE,
            page(drawing, image, attributes=resources),
            short=name == "file",
        )
    font = b"<< /Type /Font /Subtype /TrueType /BaseFont /../../../../etc/passwd >>"
    text = b"BT /F 12 Tf 10 10 Td (x) Tj ET"
    yield of_bytes(
        "font-elsewhere.pdf", Must.DECIDE, page(text, font, attributes=b"/Resources << /Font << /F 5 0 R >> >>")
    )
    crypt = b"/Encrypt << /Filter /Standard /V 1 /R 2 /O (%s) /U (%s) /P -44 >> /ID [(x)(x)]" % (b"o" * 32, b"u" * 32)
    yield of_bytes(
        "encrypted.pdf", Must.REFUSE, pdf(CATALOG % b"", PAGES, PAGE % b"", stream(BLUE), trailer=crypt), short=True
    )
    yield of_bytes(
        "encrypted-by-nobody.pdf",
        Must.REFUSE,
        pdf(CATALOG % b"", PAGES, PAGE % b"", stream(BLUE), trailer=crypt.replace(b"Standard", b"Nobody")),
    )
    names = b"/Names << /EmbeddedFiles << /Names [(a.exe) 5 0 R] >> >>"
    yield of_bytes(
        "file-inside.pdf", Must.TAKE, page(BLUE, stream(b"MZ" * 5000, b"/Type /EmbeddedFile"), catalog=names)
    )
    title = b"/Info << /Title (%s) >>" % (b"\\033[2J\\033]0;x\\007" * 50_000)
    yield of_bytes(
        "title-of-a-megabyte.pdf", Must.DECIDE, pdf(CATALOG % b"", PAGES, PAGE % b"", stream(BLUE), trailer=title)
    )
    pages = b"/Info << /Title (x\\nPages: 1\\nEncrypted: no\\nPage size: 1 x 1 pts) >>"
    yield of_bytes(
        "title-that-lies.pdf", Must.DECIDE, pdf(CATALOG % b"", PAGES, PAGE % b"", stream(BLUE), trailer=pages)
    )
    yield of_bytes("pdf-and-zip.pdf", Must.DECIDE, page(BLUE) + b"PK\x05\x06" + bytes(18))
    yield of_bytes("zip-and-pdf.pdf", Must.REFUSE, b"PK\x03\x04" + bytes(60) + page(BLUE))


def _trees() -> Iterator[Case]:
    def tree(pages: bytes) -> bytes:
        return pdf(CATALOG % b"", pages, PAGE % b"", stream(BLUE))

    yield of_bytes(
        "100000-pages-promised.pdf", Must.REFUSE, tree(PAGES.replace(b"Count 1", b"Count 100000")), short=True
    )
    yield of_bytes("pages-less-than-none.pdf", Must.DECIDE, tree(PAGES.replace(b"Count 1", b"Count -5")))
    yield of_bytes(
        "pages-without-number.pdf", Must.DECIDE, tree(PAGES.replace(b"Count 1", b"Count 99999999999999999999"))
    )
    yield of_bytes("tree-of-itself.pdf", Must.DECIDE, tree(PAGES.replace(b"3 0 R", b"2 0 R 3 0 R")), short=True)
    yield of_bytes("only-itself.pdf", Must.REFUSE, tree(PAGES.replace(b"3 0 R", b"2 0 R")))
    yield of_bytes("no-pages.pdf", Must.REFUSE, tree(b"<< /Type /Pages /Count 0 /Kids [] >>"))
    yield of_bytes(
        "xref-of-itself.pdf",
        Must.DECIDE,
        pdf(CATALOG % b"", PAGES, PAGE % b"", stream(BLUE), prev=b"/Prev HERE"),
        short=True,
    )
    yield of_bytes("xref-before-itself.pdf", Must.DECIDE, page(BLUE).replace(b"startxref\n", b"startxref\n99999"))
    yield of_bytes(
        "length-of-itself.pdf",
        Must.DECIDE,
        pdf(CATALOG % b"", PAGES, PAGE % b"", b"<< /Length 4 0 R >>\nstream\n%s\nendstream" % BLUE),
    )
    chain = [b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % (n + 3) for n in range(5000)]
    deep = pdf(CATALOG % b"", *chain, b"<< /Type /Page /MediaBox [0 0 9 9] >>")
    yield of_bytes("tree-5000-deep.pdf", Must.DECIDE, deep)


def _bombs() -> Iterator[Case]:
    yield lazily("drawing-bomb.pdf", Must.DECIDE, _drawing_bomb)
    yield of_bytes("arrays-200000-deep.pdf", Must.DECIDE, page(BLUE, b"[" * 200_000, catalog=b"/X 5 0 R"))
    yield of_bytes("drawing-200000-deep.pdf", Must.DECIDE, page(b"[" * 200_000))
    yield of_bytes("states-200000-deep.pdf", Must.DECIDE, page(b"q " * 200_000 + BLUE))
    form = stream(b"/F Do", b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 5 0 R >> >>")
    uses = b"/Resources << /XObject << /F 5 0 R >> >>"
    yield of_bytes("form-of-itself.pdf", Must.DECIDE, page(b"/F Do", form, attributes=uses), short=True)
    big = IMAGE % (60_000, 60_000)
    yield of_bytes(
        "picture-of-10-gigabytes.pdf",
        Must.DECIDE,
        page(b"200 0 0 200 0 0 cm /F Do", stream(b"x", big), attributes=uses),
    )
    tile = stream(
        b"0 0 1 1 re f",
        b"/PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 1 1] /XStep 0.0001 /YStep 0.0001 /Resources << >>",
    )
    paint = b"/Pattern cs /P scn 0 0 200 200 re f"
    yield of_bytes(
        "tiles-without-end.pdf", Must.DECIDE, page(paint, tile, attributes=b"/Resources << /Pattern << /P 5 0 R >> >>")
    )
    calculator = stream(b"{ " + b"dup mul " * 20_000 + b"}", b"/FunctionType 4 /Domain [0 1] /Range [0 1 0 1 0 1]")
    shading = b"/Resources << /Shading << /S << /ShadingType 1 /ColorSpace /DeviceRGB /Function 5 0 R >> >> >>"
    yield of_bytes("calculator.pdf", Must.DECIDE, page(b"/S sh", calculator, attributes=shading))
    nested = b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F %d 0 R >> >>"
    forms = [stream(b"/F Do " * 10, nested % (6 + n)) for n in range(12)]
    yield of_bytes(
        "billion-laughs.pdf",
        Must.DECIDE,
        page(b"/F Do", *forms, stream(BLUE, b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"), attributes=uses),
    )


def _drawing_bomb() -> bytes:
    once = zlib.compress(b"0 0 1 1 re f\n" * 4_000_000, 9)
    bomb = stream(zlib.compress(once, 9), b"/Filter [/FlateDecode /FlateDecode]")
    return pdf(CATALOG % b"", PAGES, PAGE % b"", bomb)


def _sizes() -> Iterator[Case]:
    for name, sides in {"huge": b"1e9 1e9", "astronomic": b"1e300 1e300", "empty": b"0 0", "negative": b"-500 -500",
                        "hair": b"1 1000000", "nan": b"nan nan"}.items():  # fmt: skip
        sized = page(BLUE).replace(b"[0 0 200 200]", b"[0 0 %s]" % sides)
        yield of_bytes(f"page-{name}.pdf", Must.DECIDE, sized, short=name == "huge")
    yield of_bytes("page-turned.pdf", Must.DECIDE, page(BLUE, attributes=b"/Rotate 90 /UserUnit 1e9"))
