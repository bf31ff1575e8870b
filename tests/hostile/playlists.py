"""Texts that name other files, under the names of media and behind the first bytes of media."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.hostile.case import Case, Must, of_bytes
from tests.hostile.world import World

NAMES = ("mp4", "mkv", "jpg", "mp3", "wav", "gif", "ts")
HEADS = {  # the first bytes of media, so that only what follows gives it away
    "mp4": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2",
    "mkv": b"\x1aE\xdf\xa3",
    "gif": b"GIF89a",
    "jpg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00",
    "png": b"\x89PNG\r\n\x1a\n",
    "mp3": b"ID3\x03\x00\x00\x00\x00\x00\x00",
    "pdf": b"%PDF-1.4\n",
    "flac": b"fLaC",
    "ogg": b"OggS",
    "mpg": b"\x00\x00\x01\xba",
    "aac": b"\xff\xf1\x50\x80",
    "tiff": b"II*\x00",
    "bmp": b"BM\x36\x00\x00\x00\x00\x00\x00\x00",
    "wav": b"RIFF\x00\x10\x00\x00WAVE",
}


def cases(world: World) -> Iterator[Case]:
    for position, (name, text) in enumerate(_texts(world)):
        ending = NAMES[(position + world.seed) % len(NAMES)]
        short = position % 4 == 0
        yield of_bytes(f"{name}.{ending}", Must.REFUSE, text.encode(), short=short)
    hls = _hls(f"http://{world.canary.host}/secret.ts").encode()
    for kind, head in HEADS.items():
        yield of_bytes(f"hls-behind-the-head-of-{kind}.{kind}", Must.REFUSE, head + b"\n" + hls, short=kind == "mp4")
        yield of_bytes(f"hls-behind-a-bom-{kind}.{kind}", Must.REFUSE, b"\xef\xbb\xbf" + hls)
    yield from _beside(world)


def _references(world: World) -> dict[str, str]:
    secret = world.canary.files
    return {
        "absolute": str(secret["ts"]),
        "file-url": f"file://{secret['mp4']}",
        "file-short": f"file:{secret['mp4']}",
        "http": f"http://{world.canary.host}/a.ts",
        "tcp": f"tcp://{world.canary.host}",
        "udp": f"udp://{world.canary.udp}",
        "text": str(secret["txt"]),
        "up": "../canary/secret.ts",
        "subfile": f"subfile,,start,0,end,1000,,:{secret['mp4']}",
        "concat": f"concat:{secret['ts']}|{secret['ts']}",
        "crypto": f"crypto+file:{secret['ts']}",
        "passwd": "/etc/passwd",
        "proc": "/proc/self/environ",
    }


def _texts(world: World) -> Iterator[tuple[str, str]]:
    for kind, target in _references(world).items():
        yield f"hls-{kind}", _hls(target)
        yield f"ffconcat-{kind}", f"ffconcat version 1.0\nfile '{target}'\n"
        yield f"m3u-{kind}", f"#EXTM3U\n{target}\n"
    http, local = f"http://{world.canary.host}/b", str(world.canary.files["mp4"])
    for kind, target in (("http", http), ("local", local)):
        yield from _one_each(kind, target, world)


def _hls(target: str) -> str:
    return f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{target}\n#EXT-X-ENDLIST\n"


def _one_each(kind: str, target: str, world: World) -> Iterator[tuple[str, str]]:
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{target}",IV=0x00000000000000000000000000000001\n'
    mapped = f'#EXT-X-MAP:URI="{target}"\n'
    yield f"hls-key-{kind}", _hls("whole.ts").replace("#EXTINF", key + "#EXTINF")
    yield f"hls-map-{kind}", _hls("whole.ts").replace("#EXTINF", mapped + "#EXTINF")
    yield f"hls-master-{kind}", f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{target}\n"
    yield (
        f"dash-{kind}",
        (
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            'mediaPresentationDuration="PT2S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period>'
            '<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
            f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>"
        ),
    )
    yield f"smil-{kind}", f'<smil><body><video src="{target}"/></body></smil>'
    yield (
        f"xspf-{kind}",
        (
            '<?xml version="1.0"?><playlist xmlns="http://xspf.org/ns/0/" version="1"><trackList><track>'
            f"<location>{target}</location></track></trackList></playlist>"
        ),
    )
    yield f"pls-{kind}", f"[playlist]\nFile1={target}\nNumberOfEntries=1\nVersion=2\n"
    yield f"asx-{kind}", f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>'
    yield f"edl-{kind}", f"# mpv EDL v0\n{target},0,2\n"
    yield f"cue-{kind}", f'FILE "{target}" WAVE\n  TRACK 01 AUDIO\n    INDEX 01 00:00:00\n'
    yield f"ram-{kind}", f"{target}\n"
    yield (
        f"svg-{kind}",
        (
            '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
            f'<image xlink:href="{target}" width="64" height="64"/><script>fetch("{target}")</script></svg>'
        ),
    )
    yield (
        f"xml-entity-{kind}",
        (
            f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "{target}">]><svg xmlns="http://www.w3.org/2000/svg">'
            "<text>&x;</text></svg>"
        ),
    )
    yield f"html-{kind}", f'<!DOCTYPE html><video src="{target}"></video><img src="{target}">'
    yield f"mvg-{kind}", f"push graphic-context\nviewbox 0 0 64 64\nfill 'url({target})'\npop graphic-context\n"
    yield f"postscript-{kind}", f"%!PS-Adobe-3.0\n({target}) (r) file 100 string readstring pop print showpage\n"
    host, _, port = world.canary.udp.partition(":")
    yield f"sdp-{kind}", f"v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=video {port} RTP/AVP 96\n"
    yield f"rtsp-text-{kind}", f"RTSPtextrtsp://{world.canary.host}/x\n"
    yield f"avisynth-{kind}", f'DirectShowSource("{target}")\n'


def _beside(world: World) -> Iterator[Case]:
    """A playlist with a harmless neighbour that it names, relative: no neighbour is ever read."""

    def make(path: Path) -> None:
        path.with_name("neighbour.ts").write_bytes(world.whole("ts"))
        path.write_text(_hls("neighbour.ts"))

    yield Case(name="hls-relative.mp4", must=Must.REFUSE, make=make, short=True)
    yield of_bytes("image-sequence-%03d.png", Must.TAKE, world.whole("png"))
    yield of_bytes("concat:a.mp4", Must.TAKE, world.whole("mp4"), short=True)
    yield of_bytes("-i.mp4", Must.TAKE, world.whole("mp4"))
    yield of_bytes("a'b;[x],y=z\\n.mp4", Must.TAKE, world.whole("mp4"))
