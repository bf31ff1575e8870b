import asyncio
import contextlib
import gzip
import http.server
import os
import random
import subprocess
import threading
from pathlib import Path

import pytest
from PIL import Image

from hub.api import MediaKind
from hub.media import samples
from hub.media.probe import probe
from hub.media.settings import MediaSettings
from hub.messages import Refusal, catalogue

HALF = "its end is missing"
DAMAGED = "damaged"
TEXT = "This is a text"
SVG = "save it as PNG"


async def refusal(path: Path, settings: MediaSettings) -> str:
    with pytest.raises(Refusal) as caught:
        await probe(path, settings=settings)
    return str(caught.value)


async def test_a_video_is_measured_as_displayed(tmp_path, settings):
    info = await probe(samples.make_video(tmp_path / "a.mp4", 1, (320, 180), 25), settings=settings)

    assert (info.kind, info.container, info.width, info.height, info.fps) == (MediaKind.VIDEO, "mp4", 320, 180, 25)
    assert info.duration_s == pytest.approx(1.0, abs=0.1)
    assert (info.video_codec, info.audio_codec, info.sample_rate_hz) == ("h264", "aac", 48000)
    assert (info.rotation, info.sample_aspect, info.pixel_format) == (0, "1:1", "yuv420p")
    assert info.size_bytes == (tmp_path / "a.mp4").stat().st_size


async def test_a_video_of_a_phone_held_upright_is_tall(tmp_path, settings):
    info = await probe(samples.make_video(tmp_path / "a.mp4", 1, (320, 180), rotation=90), settings=settings)

    assert (info.width, info.height) == (180, 320)
    assert info.rotation in (90, 270)


async def test_a_photo_of_a_phone_held_upright_is_tall(tmp_path, settings):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn clockwise to see it upright
    Image.new("RGB", (120, 80), "red").save(tmp_path / "a.jpg", exif=exif)

    info = await probe(tmp_path / "a.jpg", settings=settings)

    assert (info.kind, info.width, info.height, info.rotation) == (MediaKind.IMAGE, 80, 120, 90)


@pytest.mark.parametrize("ending", ["wav", "mp3", "flac", "ogg", "m4a", "aac"])
async def test_sound_is_known_by_its_bytes_whatever_its_name(tmp_path, settings, ending):
    path = samples.make_audio(tmp_path / f"a.{ending}", 1).rename(tmp_path / "Diskon 50%d.mp4")

    info = await probe(path, settings=settings)

    assert (info.kind, info.video_codec) == (MediaKind.AUDIO, "")
    assert info.duration_s == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "bmp", "gif", "tiff"])
async def test_a_picture_is_a_picture(tmp_path, settings, ending):
    info = await probe(samples.make_poster(tmp_path / f"a.{ending}", (40, 60)), settings=settings)

    assert (info.kind, info.width, info.height, info.duration_s) == (MediaKind.IMAGE, 40, 60, None)


async def test_a_pdf_tells_its_pages(tmp_path, settings):
    info = await probe(samples.make_pdf(tmp_path / "a.pdf", 3, size_pt=(298, 420)), settings=settings)

    assert (info.kind, info.pages, info.width, info.height) == (MediaKind.DOCUMENT, 3, 298, 420)
    assert info.has_picture


async def test_a_song_with_cover_art_is_sound(tmp_path, settings):
    info = await probe(samples.make_covered_audio(tmp_path / "a.mp3", 1), settings=settings)

    assert (info.kind, info.has_picture, info.has_sound) == (MediaKind.AUDIO, False, True)


@pytest.mark.parametrize("fps", [1, 2, 5])
async def test_a_whole_film_of_few_pictures_a_second_is_whole(tmp_path, settings, fps):
    path = tmp_path / "slides.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"testsrc=s=64x32:r={fps}:d=6", "-pix_fmt", "yuv420p"]
    await asyncio.to_thread(subprocess.run, [*command, str(path)], check=True)

    info = await probe(path, settings=settings)

    assert info.duration_s == pytest.approx(6.0, abs=0.1)


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.avi", "a.mp3", "a.flac", "a.wav", "a.ogg", "a.png", "a.jpg", "a.webp", "a.pdf"]
)
async def test_a_half_copied_file_is_found(tmp_path, settings, name):
    said = await refusal(samples.make_half_copied(tmp_path / name), settings)

    assert HALF in said or DAMAGED in said


async def test_an_empty_file_is_refused(tmp_path, settings):
    (tmp_path / "a.mp4").touch()

    assert "empty" in await refusal(tmp_path / "a.mp4", settings)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"<html><body>video</body></html>", TEXT),
        (b"<?xml version='1.0'?><!-- x --><svg xmlns='http://www.w3.org/2000/svg'/>", SVG),
        ("<SVG width='10'/>".encode("utf-16"), SVG),
        (gzip.compress(b"<svg xmlns='http://www.w3.org/2000/svg'/>" + os.urandom(9000)), SVG),
        (gzip.compress(b"anything else"), "ZIP"),
        (b"PK\x03\x04" + bytes(100), "ZIP"),
        (bytes(4096), "not a video"),
        (os.urandom(64).replace(b"\xff", b"\x01") * 64, "not a video"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), HALF),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00" + bytes(100), "raw picture"),
        (b"MZ" + bytes(500), "not a video"),
    ],
    ids=["html", "svg", "svg16", "svgz", "gzip", "zip", "zeros", "noise", "heic", "raw", "exe"],
)
async def test_what_is_no_media_is_named(tmp_path, settings, content, expected):
    (tmp_path / "a.mp4").write_bytes(content)

    assert expected in await refusal(tmp_path / "a.mp4", settings)


async def test_links_and_pipes_are_refused_at_once(tmp_path, settings):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "link.mp4").symlink_to("/etc/passwd")

    for name in ("pipe.mp4", "link.mp4"):
        assert "not an ordinary file" in await refusal(tmp_path / name, settings)


async def test_no_playlist_opens_another_file(tmp_path, settings):
    target = samples.make_video(tmp_path / "rahasia.mp4", 1)

    for make in (samples.make_playlist, samples.make_concat_list):
        for where in (str(target), target.name):
            assert TEXT in await refusal(make(tmp_path / "jebakan.mp4", where), settings)


async def test_no_file_makes_us_ask_the_network(tmp_path, settings, canary):
    for make in (samples.make_playlist, samples.make_concat_list):
        await refusal(make(tmp_path / "jebakan.mp4", canary.address), settings)
    external = b"\x89PNG\r\n\x1a\n" + make(tmp_path / "x", canary.address).read_bytes()
    (tmp_path / "berkedok.mp4").write_bytes(external)
    await refusal(tmp_path / "berkedok.mp4", settings)

    assert canary.hits == []


async def test_a_picture_that_unfolds_to_256_million_pixels_is_refused(tmp_path, settings):
    path = samples.make_png_bomb(tmp_path / "a.png")

    assert path.stat().st_size < 100_000
    assert "too large: at most 120 million pixels" in await refusal(path, settings)


async def test_a_gap_of_a_day_between_two_pictures_is_refused(tmp_path, settings):
    assert "lasts 1500 minutes" in await refusal(samples.make_time_gap(tmp_path / "a.mkv"), settings)


async def test_limits_come_from_the_settings(tmp_path):
    video, pdf = samples.make_video(tmp_path / "a.mp4", 2), samples.make_pdf(tmp_path / "a.pdf", 3)

    assert "lasts" in await refusal(video, MediaSettings(max_duration_s=1))
    assert "pictures per second" in await refusal(video, MediaSettings(max_fps=10))
    assert "million pixels" in await refusal(video, MediaSettings(max_pixels=1024))
    assert "holds 2 streams" in await refusal(video, MediaSettings(max_streams=1))
    assert "has 3 pages" in await refusal(pdf, MediaSettings(max_pages=2))
    assert "took longer" in await refusal(video, MediaSettings(probe_within_s=0.001))


async def test_a_pdf_with_a_password_is_refused(tmp_path, settings):
    """A standard security handler with a user password that nobody knows (PDF 32000-1, 7.6)."""
    plain = samples.make_pdf(tmp_path / "a.pdf").read_bytes()
    secret = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s> >> /ID [<00><00>]" % (
        b"ab" * 32,
        b"cd" * 32,
    )
    (tmp_path / "a.pdf").write_bytes(plain.replace(b"/Root 1 0 R", b"/Root 1 0 R " + secret))

    assert "protected by a password" in await refusal(tmp_path / "a.pdf", settings)


async def test_a_damaged_pdf_is_refused(tmp_path, settings):
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7\nrubbish\nstartxref\n9\n%%EOF\n")

    assert "PDF is damaged" in await refusal(tmp_path / "a.pdf", settings)


async def test_a_file_of_subtitles_alone_has_no_picture_and_no_sound(tmp_path, settings):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHalo\n")
    command = ["ffmpeg", "-v", "error", "-i", "a.srt", "-c:s", "srt", "a.mkv"]
    subprocess.run(command, cwd=tmp_path, check=True)  # noqa: ASYNC221 - a test may block

    assert "no picture and no sound" in await refusal(tmp_path / "a.mkv", settings)


async def test_a_name_is_never_an_option_a_pattern_or_a_protocol(tmp_path, settings):
    source = samples.make_poster(tmp_path / "a.png", (40, 60)).read_bytes()

    for name in (
        "-i.png",
        "%d.jpg",
        " spasi.png",
        "concat:a.png",
        "baris\nbaru.png",
        "Jum'at 🎬.png",
        "x" * 251 + ".png",
    ):
        (tmp_path / name).write_bytes(source)
        assert (await probe(tmp_path / name, settings=settings)).kind is MediaKind.IMAGE


async def test_the_office_reads_the_reason_in_indonesian(tmp_path, settings):
    (tmp_path / "a.mp4").touch()

    with pytest.raises(Refusal) as caught:
        await probe(tmp_path / "a.mp4", settings=settings)

    assert caught.value.say(catalogue("id")) == "Berkas ini kosong. Salin lagi dari tempat asalnya."


class Canary:
    def __init__(self) -> None:
        self.hits: list[str] = []
        hits = self.hits

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hits.append(self.path)
                self.send_error(404)

        self.server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/a.ts"


@pytest.fixture
def canary():
    made = Canary()
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


async def test_no_damage_ends_in_anything_but_a_refusal_or_a_measurement(tmp_path, settings):
    """Bytes changed, cut and put in at random, the same every time."""
    dice = random.Random(104.7)
    seeds = [
        samples.make_video(tmp_path / "s.mp4", 0.4, (64, 48)).read_bytes(),
        samples.make_audio(tmp_path / "s.ogg", 0.6).read_bytes(),
        samples.make_poster(tmp_path / "s.png", (40, 40)).read_bytes(),
        samples.make_pdf(tmp_path / "s.pdf", 2).read_bytes(),
    ]

    for _ in range(12):
        data = bytearray(dice.choice(seeds))
        start, length = dice.randrange(len(data)), dice.randrange(1, 200)
        data[start : start + length] = dice.randbytes(dice.randrange(200))
        (tmp_path / "x").write_bytes(data)
        with contextlib.suppress(Refusal):
            assert (await probe(tmp_path / "x", settings=settings)).size_bytes == len(data)


async def test_a_recording_whose_headers_are_too_long_is_refused_before_it_is_heard(tmp_path: Path):
    silence = ("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "7200", "-c:a", "flac")
    command = ["ffmpeg", "-v", "error", *silence, tmp_path / "a.flac"]
    await asyncio.to_thread(subprocess.run, command, check=True)

    async with asyncio.timeout(8):  # an hour of it is heard in twenty seconds
        said = await refusal(tmp_path / "a.flac", MediaSettings())

    assert "at most" in said
