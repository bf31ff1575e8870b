"""Small made-up media for the demo, the tests and the bench: the same bytes every time, and broken ones on purpose.

These run ffmpeg directly, on input of our own. They block: use a thread.
"""

from __future__ import annotations

import subprocess
import zlib
from pathlib import Path
from struct import pack

BITEXACT = ("-fflags", "+bitexact", "-flags", "+bitexact", "-map_metadata", "-1")


def make_video(
    path: Path,
    seconds: float = 2.0,
    size: tuple[int, int] = (320, 180),
    fps: int = 25,
    tone_hz: int | None = 440,
    *,
    picture: str = "testsrc2",
    rotation: int = 0,
    video_options: tuple[str, ...] = ("-pix_fmt", "yuv420p"),
) -> Path:
    """H.264 (and AAC when there is a tone) in the container that the name's ending says.

    `picture` is a lavfi source with a recognisable pattern: testsrc2, smptebars, rgbtestsrc, or "color=red".
    """
    width, height = size
    joint = ":" if "=" in picture else "="
    source = f"{picture}{joint}size={width}x{height}:rate={fps}:duration={seconds}"
    sound = ["-f", "lavfi", "-i", _tone(tone_hz, seconds), "-c:a", "aac", "-b:a", "96k"] if tone_hz else []
    encode = ["-c:v", "libx264", "-preset", "ultrafast", "-g", str(fps), "-threads", "1", *video_options]
    _ffmpeg("-f", "lavfi", "-i", source, *sound, *encode, "-t", str(seconds), path=path)
    if rotation:
        plain = path.replace(path.with_name(f"plain-{path.name}"))
        _ffmpeg("-i", f"file:{plain}", "-c", "copy", "-metadata:s:v:0", f"rotate={rotation}", path=path, keep=True)
        plain.unlink()
    return path


def make_audio(
    path: Path, seconds: float = 2.0, tone_hz: int = 440, *, channels: int = 2, volume_db: float = -12.0
) -> Path:
    """A tone, in the format that the name's ending says (.wav, .mp3, .flac, .ogg)."""
    _ffmpeg(
        "-f", "lavfi", "-i", _tone(tone_hz, seconds), "-af", f"volume={volume_db}dB", "-ac", str(channels), path=path
    )
    return path


def make_poster(path: Path, size: tuple[int, int] = (400, 600), *, picture: str = "rgbtestsrc") -> Path:
    """One picture, as the name's ending says (.png, .jpg, .webp, .bmp, .gif, .tiff)."""
    joint = ":" if "=" in picture else "="
    source = f"{picture}{joint}size={size[0]}x{size[1]}:rate=1"
    _ffmpeg("-f", "lavfi", "-i", source, "-frames:v", "1", "-update", "1", path=path)
    return path


def make_pdf(path: Path, pages: int = 1, *, size_pt: tuple[int, int] = (298, 420)) -> Path:
    """A PDF of coloured pages: red, green, blue, and again."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{3 + 2 * page} 0 R" for page in range(pages))
    objects.append(f"<< /Type /Pages /Count {pages} /Kids [{kids}] >>".encode())
    for page in range(pages):
        colour = ("1 0 0", "0 1 0", "0 0 1")[page % 3]
        box = f"/MediaBox [0 0 {size_pt[0]} {size_pt[1]}]"
        drawing = f"{colour} rg 0 0 {size_pt[0]} {size_pt[1]} re f 1 1 1 rg 20 20 60 60 re f".encode()
        objects.append(f"<< /Type /Page /Parent 2 0 R {box} /Contents {4 + 2 * page} 0 R >>".encode())
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawing), drawing))
    path.write_bytes(_pdf(objects, trailer="/Root 1 0 R"))
    return path


def make_half_copied(path: Path, *, seconds: float = 2.0, share: float = 0.6) -> Path:
    """The first part of a file whose header promises all of it (an MP4 with its index in front)."""
    whole = path.with_name(f"whole-{path.name}")
    if path.suffix in (".mp4", ".mkv", ".ts", ".avi"):
        faststart = ("-movflags", "+faststart") if path.suffix == ".mp4" else ()
        make_video(whole, seconds, video_options=("-pix_fmt", "yuv420p", *faststart))
    elif path.suffix in (".jpg", ".png", ".webp"):
        make_poster(whole, picture="testsrc2")
    elif path.suffix == ".pdf":
        make_pdf(whole, pages=3)
    else:
        make_audio(whole, seconds)
    data = whole.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    whole.unlink()
    return path


def make_playlist(path: Path, target: str) -> Path:
    """An HLS playlist under any name: opened carelessly it makes ffmpeg read `target` (a path or an address)."""
    path.write_text(f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXTINF:2.0,\n{target}\n#EXT-X-ENDLIST\n")
    return path


def make_concat_list(path: Path, target: str) -> Path:
    """An ffconcat script: the other way in which a text opens another file."""
    path.write_text(f"ffconcat version 1.0\nfile '{target}'\n")
    return path


def make_text(path: Path) -> Path:
    path.write_text("Bukan video: hanya tulisan biasa yang diberi nama .mp4.\n" * 20)
    return path


def make_png_bomb(path: Path, side: int = 16000) -> Path:
    """A few kilobytes that unfold to `side` x `side` pixels."""
    header = pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((side // 8 + 1) * side), 9)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + _png_chunk(b"IHDR", header) + _png_chunk(b"IDAT", rows) + _png_chunk(b"IEND", b"")
    )
    return path


def make_covered_audio(path: Path, seconds: float = 2.0) -> Path:
    """An MP3 with cover art, which ffprobe calls a video stream."""
    sound, cover = path.with_name(f"sound-{path.name}"), path.with_name(f"cover-{path.stem}.jpg")
    make_audio(sound, seconds)
    make_poster(cover, (64, 64))
    inputs = ("-i", f"file:{sound}", "-i", f"file:{cover}")
    _ffmpeg(*inputs, "-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v", "attached_pic", path=path)
    sound.unlink()
    cover.unlink()
    return path


def make_silence(path: Path, seconds: float = 2.0) -> Path:
    _ffmpeg("-f", "lavfi", "-i", "anullsrc=r=48000:cl=stereo", "-t", str(seconds), path=path)
    return path


def make_time_gap(path: Path, gap_s: int = 90_000) -> Path:
    """A tiny Matroska file whose last picture is `gap_s` seconds after the others: a bomb for frame-rate filters."""
    source = "testsrc2=size=64x64:rate=5:duration=2"
    late = f"setpts='if(gte(N,9),PTS+{gap_s}/TB,PTS)'"
    _ffmpeg("-f", "lavfi", "-i", source, "-vf", late, "-vsync", "vfr", "-c:v", "libx264", path=path)
    return path


def _tone(tone_hz: int | None, seconds: float) -> str:
    return f"sine=frequency={tone_hz}:sample_rate=48000:duration={seconds}"


def _ffmpeg(*arguments: str, path: Path, keep: bool = False) -> None:
    exact = BITEXACT[:4] if keep else BITEXACT
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y", *arguments, *exact, f"file:{path}"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def _png_chunk(kind: bytes, data: bytes) -> bytes:
    return pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))


def _pdf(objects: list[bytes], *, trailer: str) -> bytes:
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += f"trailer\n<< /Size {len(objects) + 1} {trailer} >>\nstartxref\n{table}\n%%EOF\n".encode()
    return bytes(out)
