"""Videos of every shape, label and defect, transcoded for a screen, judged by the colours of single points."""

import hashlib
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
import pytest

from hub.api import AudioProfile, Fit, MediaKind, Pages, Rendition, VideoProfile
from hub.media import samples
from hub.media.probe import probe
from hub.media.transcoder import NotMade
from hub.messages import Refusal
from tests.hub.media.looking import (
    BLACK,
    BLUE,
    CORNERS,
    GREEN,
    RED,
    WHITE,
    YELLOW,
    corners,
    frames_of,
    nearest,
    picture,
    quarters,
)

SCREEN = VideoProfile(width=192, height=64, fit=Fit.FILL, still_s=0.4)
LOSSLESS = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "1")
PLAIN = (*LOSSLESS, "-pix_fmt", "yuv420p")


def ffmpeg(path: Path, *arguments: object) -> Path:
    command = ["ffmpeg", "-nostdin", "-v", "error", "-y", *map(str, arguments), path]
    subprocess.run(command, check=True, cwd=path.parent)
    return path


def film(path: Path, *options: object, size: tuple[int, int] = (96, 64), seconds: float = 0.4, rate: int = 25) -> Path:
    """The four quarters, as a video."""
    still = path.with_name("quarters.png")
    quarters(size).save(still)
    return ffmpeg(path, "-loop", 1, "-framerate", rate, "-t", seconds, "-i", still, *(options or PLAIN))


def colour(name: str, seconds: float, size: str = "192x64", rate: int = 25) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"color={name}:s={size}:r={rate}:d={seconds}")


def tone(hertz: int, seconds: float) -> tuple[str, ...]:
    return ("-f", "lavfi", "-i", f"sine=frequency={hertz}:duration={seconds}")


async def test_every_shape_of_screen_gets_its_size_with_square_pixels(tmp_path, transcoder, asset_of):
    sizes = [(192, 64), (480, 96), (96, 480), (128, 128), (1920, 384)]
    profiles = [VideoProfile(width=width, height=height, fit=fit) for width, height in sizes for fit in Fit]

    for made in await transcoder.make(await asset_of(film(tmp_path / "a.mp4")), profiles):
        width, height, fit = made.profile.width, made.profile.height, made.profile.fit
        assert (made.media.width, made.media.height, made.media.sample_aspect) == (width, height, "1:1")
        shown = picture(made.path)
        step = min(width, height) // 5  # inside the picture, however it was fitted
        around = [(-step, -step), (-step, step), (step, -step), (step, step)]
        assert [nearest(shown[height // 2 + y, width // 2 + x]) for y, x in around] == list(CORNERS)
        edges = {nearest(shown[1, 1]), nearest(shown[-2, -2])}
        assert edges == ({BLACK} if fit is Fit.FIT else {RED, YELLOW})


async def test_an_odd_size_is_no_obstacle(tmp_path, show):
    made = await show(film(tmp_path / "a.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv444p", size=(161, 91)))

    assert corners(made.path) == list(CORNERS)


@pytest.mark.parametrize("size", ["2x200", "4x4000"])
async def test_a_strip_is_shown_however_narrow(tmp_path, show, size):
    path = ffmpeg(tmp_path / "a.mkv", *colour("white", 0.2, size, 10), "-c:v", "ffv1", "-pix_fmt", "yuv444p")

    assert nearest(picture((await show(path, replace(SCREEN, fit=Fit.CROP))).path)[32, 96]) == WHITE


TURNS = {  # the display matrix of ISO/IEC 14496-12, 8.3.2 -> where the stored quarters come to stand
    "as stored": ((1, 0, 0, 1), (RED, GREEN, BLUE, YELLOW)),
    "a quarter clockwise": ((0, 1, -1, 0), (BLUE, RED, YELLOW, GREEN)),
    "half": ((-1, 0, 0, -1), (YELLOW, BLUE, GREEN, RED)),
    "a quarter back": ((0, -1, 1, 0), (GREEN, YELLOW, RED, BLUE)),
    "mirrored": ((-1, 0, 0, 1), (GREEN, RED, YELLOW, BLUE)),
    "upside down mirrored": ((1, 0, 0, -1), (BLUE, YELLOW, RED, GREEN)),
}


@pytest.mark.parametrize("turn", TURNS)
async def test_a_video_is_shown_as_it_was_seen_however_the_telephone_was_held(tmp_path, show, turn):
    matrix, expected = TURNS[turn]
    path = film(tmp_path / "a.mp4")
    path.write_bytes(with_matrix(path.read_bytes(), matrix))

    assert corners((await show(path)).path) == list(expected)


async def test_oblong_pixels_are_shown_square_when_turned_too(tmp_path, show):
    """Anamorphic: 64 x 64 stored, twice as wide as high; turned it is twice as high as wide."""
    path = film(tmp_path / "a.mp4", "-vf", "setsar=2", *PLAIN, size=(64, 64))
    wide = picture((await show(path, replace(SCREEN, fit=Fit.FIT))).path)
    path.write_bytes(with_matrix(path.read_bytes(), TURNS["a quarter clockwise"][0]))
    tall = picture((await show(path, replace(SCREEN, fit=Fit.FIT))).path)

    assert (width_of(wide), width_of(tall)) == (pytest.approx(128, abs=3), pytest.approx(32, abs=3))


async def test_pictures_that_come_irregularly_are_shown_at_their_time(tmp_path, show):
    """5 a second in the first second, 50 in the other: red, then green."""
    graph = "[0][1]concat,select='if(lt(t,1),not(mod(n,10)),1)'"
    inputs = (*colour("0xDC1E1E", 1, rate=50), *colour("0x1EB43C", 1, rate=50))
    path = ffmpeg(tmp_path / "a.mkv", *inputs, "-filter_complex", graph, "-vsync", "vfr", *PLAIN)

    made = await show(path)

    assert (made.media.fps, frames_of(made.path)) == (25, 50)
    assert [nearest(picture(made.path, at_s)[32, 96]) for at_s in (0.5, 0.9, 1.1, 1.9)] == [RED, RED, GREEN, GREEN]


@pytest.mark.parametrize(
    ("container", "options"),
    [
        ("mov", ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le")),
        ("mkv", (*LOSSLESS, "-pix_fmt", "yuv420p10le")),
        ("mkv", (*LOSSLESS, "-pix_fmt", "yuv444p")),
        ("mov", ("-c:v", "qtrle")),
        ("avi", ("-c:v", "rawvideo", "-pix_fmt", "bgr24")),
        ("avi", ("-c:v", "rawvideo", "-pix_fmt", "yuyv422")),
        ("avi", ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p")),
        ("mov", ("-c:v", "png", "-pix_fmt", "rgb48be")),
        ("mpg", ("-c:v", "mpeg2video", "-q:v", "2", "-pix_fmt", "yuv420p")),
        ("webm", ("-c:v", "libvpx", "-b:v", "2M", "-deadline", "realtime")),
    ],
    ids=lambda value: value if isinstance(value, str) else value[1],
)
async def test_every_kind_of_video_shows_its_colours(tmp_path, show, container, options):
    made = await show(film(tmp_path / f"a.{container}", *options))

    assert corners(made.path) == list(CORNERS)
    assert (made.media.video_codec, made.media.pixel_format) == ("h264", "yuv420p")


@pytest.mark.parametrize(
    ("matrix", "label", "limits", "size"),
    [
        ("bt601", "smpte170m", "tv", (96, 64)),
        ("bt601", "bt470bg", "pc", (96, 64)),
        ("bt709", "bt709", "tv", (96, 64)),
        ("bt709", "bt709", "pc", (96, 64)),
        ("bt601", "", "tv", (96, 64)),  # without a label: by the size, as by custom
        ("bt709", "", "tv", (1280, 720)),
    ],
)
async def test_colours_are_read_as_they_are_labelled(tmp_path, show, matrix, label, size, limits):
    graph = f"format=gbrp,scale=out_color_matrix={matrix}:out_range={limits},format=yuv420p"
    labels = ("-colorspace", label) if label else ()
    path = film(tmp_path / "a.mp4", "-vf", graph, *LOSSLESS, "-color_range", limits, *labels, size=size, seconds=0.12)

    assert corners((await show(path)).path) == list(CORNERS)


@pytest.mark.parametrize(
    ("transfer", "paper", "mid", "labelled"),
    [("smpte2084", 573, 397, True), ("smpte2084", 573, 397, False), ("arib-std-b67", 721, 397, True)],
)
async def test_hdr_is_as_bright_as_paper_and_skin_should_be(tmp_path, show, transfer, paper, mid, labelled):
    """10-bit codes of paper white and mid grey (ITU-R BT.2408, table 1) beside black and the brightest of all."""
    steps = f"lum='if(lt(X,48),64,if(lt(X,96),{mid},if(lt(X,144),{paper},940)))':cb=512:cr=512"
    labels = ("-color_primaries", "bt2020", "-colorspace", "bt2020nc") if labelled else ()
    source = f"color=black:s=192x64:r=25:d=0.2,format=yuv420p10le,geq={steps}"
    path = ffmpeg(tmp_path / "a.mkv", "-f", "lavfi", "-i", source, *LOSSLESS, "-color_trc", transfer, *labels)

    made = await show(path)

    dark, grey, white, peak = (int(picture(made.path)[32, x].mean()) for x in (24, 72, 120, 168))
    assert dark < 6
    assert 80 < grey < 135
    assert 200 < white < 240
    assert peak > 250
    assert (made.media.color_transfer, made.media.pixel_format) == ("bt709", "yuv420p")


async def test_hdr_keeps_its_hues_and_a_large_one_is_made_small_first(tmp_path, show):
    """Red, green, blue and yellow at 100 cd/m2, coded in ITU-R BT.2020."""
    graph = (
        "setparams=color_trc=bt709:color_primaries=bt709:colorspace=gbr:range=pc,zscale=t=linear:npl=203,format=gbrpf32le,"
        "zscale=p=bt2020:t=smpte2084:m=bt2020nc:r=tv:npl=203,format=yuv420p10le"
    )
    labels = ("-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc")
    path = film(tmp_path / "a.mkv", "-vf", f"format=gbrp,{graph}", *LOSSLESS, *labels, size=(960, 640), seconds=0.12)

    shown = picture((await show(path)).path)

    for (y, x), wanted in zip(((16, 48), (16, 144), (48, 48), (48, 144)), CORNERS, strict=True):
        pixel = shown[y, x]
        assert np.abs(pixel - np.array(wanted)).max() < 50, pixel


@pytest.mark.parametrize("codec", ["h264", "mpeg2video"])
async def test_interlaced_pictures_have_no_combs(tmp_path, settings, show, codec):
    """A white bar that moves 8 columns with each field: without deinterlacing, odd and even rows differ."""
    moving = "color=black:s=192x64:r=50:d=0.8[b];color=white:s=48x64:r=50:d=0.8[w];[b][w]overlay=x='8*n':y=0"
    encode = {
        "h264": ("-c:v", "libx264", "-qp", "4", "-flags", "+ilme+ildct", "-x264opts", "tff=1"),  # MBAFF, as cameras do
        "mpeg2video": ("-c:v", "mpeg2video", "-q:v", "2", "-flags", "+ilme+ildct"),
    }[codec]
    graph = f"{moving},interlace=scan=tff:lowpass=off,format=yuv420p"
    path = ffmpeg(tmp_path / "a.ts", "-filter_complex", graph, *encode)

    info = await probe(path, settings=settings)
    made = await show(path)

    rows = picture(made.path, 0.2)[8:56, :, 1]
    assert info.interlaced
    assert np.abs(rows[::2].mean(0) - rows[1::2].mean(0)).max() < 60  # a comb differs by 255


async def test_a_transparent_video_stands_on_white(tmp_path, show):
    layer = quarters(mode="RGBA")
    layer.paste((0, 0, 0, 0), (48, 0, 96, 64))
    layer.save(tmp_path / "layer.png")

    kinds = [("mov", "qtrle", "argb"), ("mov", "prores_ks", "yuva444p10le")]
    kinds += [("webm", codec, "yuva420p") for codec in ("libvpx", "libvpx-vp9")]
    for ending, codec, pixels in kinds:
        more = ("-b:v", "4M", "-auto-alt-ref", 0) if ending == "webm" else ()
        encode = ("-c:v", codec, "-pix_fmt", pixels, *more)
        path = ffmpeg(tmp_path / f"a.{ending}", "-loop", 1, "-t", 0.2, "-i", tmp_path / "layer.png", *encode)
        assert corners((await show(path)).path) == [RED, WHITE, BLUE, WHITE], codec


@pytest.mark.parametrize("ending", ["m4a", "mp3", "flac"])
async def test_cover_art_is_not_video(tmp_path, settings, ending):
    cover = ffmpeg(tmp_path / "cover.png", *colour("blue", 1, "64x64"), "-frames:v", 1, "-update", 1)
    pieces = (*tone(440, 1), "-i", cover, "-map", 0, "-map", 1, "-c:v", "copy", "-disposition:v", "attached_pic")
    path = ffmpeg(tmp_path / f"a.{ending}", *pieces)

    info = await probe(path, settings=settings)

    assert (info.kind, info.has_picture, info.has_sound) == (MediaKind.AUDIO, False, True)


async def test_cover_art_in_front_of_a_film_is_not_the_film(tmp_path, show):
    cover = ffmpeg(tmp_path / "cover.png", *colour("white", 1, "64x64"), "-frames:v", 1, "-update", 1)
    plain = film(tmp_path / "plain.mp4")
    maps = ("-map", 1, "-map", 0, "-c", "copy", "-disposition:v:0", "attached_pic")
    path = ffmpeg(tmp_path / "a.mp4", "-i", plain, "-i", cover, *maps)
    path.write_bytes(with_tags_first(path.read_bytes()))

    assert corners((await show(path)).path) == list(CORNERS)


async def test_only_picture_and_sound_are_taken_along(tmp_path, show):
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHalo\n")
    inputs = (*colour("red", 1), *tone(440, 1), "-i", tmp_path / "a.srt")
    options = (*PLAIN, "-c:a", "aac", "-c:s", "mov_text", "-timecode", "10:00:00:00", "-metadata", "title=Rahasia")
    path = ffmpeg(tmp_path / "a.mov", *inputs, *options)

    for profile in (replace(SCREEN, with_sound=True), replace(SCREEN, with_sound=True, width=128)):  # remux, encode
        made = await show(path, profile)
        assert streams_of(made.path) == ["audio", "video"]
        assert b"Rahasia" not in made.path.read_bytes()


async def test_of_several_sounds_the_default_one_is_taken(tmp_path, settings, transcoder, asset_of):
    maps = ("-map", 0, "-map", 1, "-map", 2, "-disposition:a:0", 0, "-disposition:a:1", "default")
    encode = (*PLAIN, "-c:a", "pcm_s16le")
    path = ffmpeg(tmp_path / "a.mkv", *colour("red", 1), *tone(400, 1), *tone(2000, 1), *maps, *encode)
    asset = await asset_of(path)

    radio, screen = await transcoder.make(asset, [AudioProfile(), replace(SCREEN, with_sound=True)])

    assert asset.media.audio_track == 1
    assert [pitch_of(made.path) for made in (radio, screen)] == [pytest.approx(2000, rel=0.02)] * 2


@pytest.mark.parametrize("with_sound", [True, False])
async def test_the_last_picture_stays_while_the_sound_goes_on(tmp_path, show, with_sound):
    path = ffmpeg(tmp_path / "a.mp4", *colour("white", 0.4), *tone(440, 1.6), *PLAIN, "-c:a", "aac")

    made = await show(path, replace(SCREEN, with_sound=with_sound))

    assert (frames_of(made.path), made.media.duration_s) == (40, pytest.approx(1.6, abs=0.05))
    assert nearest(picture(made.path, 1.5)[32, 96]) == WHITE


async def test_the_picture_goes_on_when_the_sound_ends(tmp_path, show):
    path = ffmpeg(tmp_path / "a.mp4", *colour("white", 1.6), *tone(440, 0.4), *PLAIN, "-c:a", "aac")

    made = await show(path, replace(SCREEN, with_sound=True))

    assert (frames_of(made.path), made.media.duration_s) == (40, pytest.approx(1.6, abs=0.05))


@pytest.mark.parametrize("with_sound", [True, False])
async def test_a_picture_that_starts_late_stands_from_the_beginning(tmp_path, show, with_sound):
    inputs = ("-itsoffset", 0.8, *colour("white", 0.8), *tone(440, 1.6))
    path = ffmpeg(tmp_path / "a.mkv", *inputs, *PLAIN, "-c:a", "aac")

    made = await show(path, replace(SCREEN, with_sound=with_sound))

    assert made.media.duration_s == pytest.approx(1.62, abs=0.05)
    assert frames_of(made.path) == round(made.media.duration_s * 25)
    assert nearest(picture(made.path)[32, 96]) == WHITE


@pytest.mark.parametrize("container", ["mp4", "mkv"])
async def test_a_video_of_a_single_picture_is_held_like_a_still(tmp_path, show, container):
    made = await show(film(tmp_path / f"a.{container}", *PLAIN, "-frames:v", 1), replace(SCREEN, still_s=0.8))

    assert frames_of(made.path) == 20
    assert corners(made.path, 0.7) == list(CORNERS)


@pytest.mark.parametrize(
    ("container", "offset"), [("mkv", 1000), ("ts", 20000), ("mp4", 5), ("mp4", -0.2)], ids=lambda value: str(value)
)
async def test_it_does_not_matter_when_a_recording_thinks_it_began(tmp_path, show, container, offset):
    path = film(tmp_path / f"a.{container}", *PLAIN, "-output_ts_offset", offset, seconds=0.8)

    made = await show(path)

    assert frames_of(made.path) == pytest.approx(20, abs=5 if offset < 0 else 0)
    assert corners(made.path) == list(CORNERS)


async def test_a_change_of_size_on_the_way_changes_nothing_on_the_screen(tmp_path, show):
    """A television recorder that passes from one programme to the next."""
    ffmpeg(tmp_path / "1.ts", *colour("0xDC1E1E", 1), *PLAIN)
    ffmpeg(tmp_path / "2.ts", *colour("0x1EB43C", 1, "96x96"), *PLAIN, "-output_ts_offset", 1)
    path = ffmpeg(tmp_path / "a.ts", "-i", "concat:1.ts|2.ts", "-c", "copy", "-copyts")

    made = await show(path)

    assert [nearest(picture(made.path, at_s)[32, 150]) for at_s in (0.1, 0.7, 1.2, 1.8)] == [RED, RED, GREEN, GREEN]


async def test_a_still_a_page_and_a_film_are_the_same_to_a_player(tmp_path, show):
    pillow_heif.from_pillow(quarters()).save(tmp_path / "a.heic")
    quarters().save(tmp_path / "a.png")
    quarters().save(tmp_path / "a.gif", save_all=True, append_images=[quarters().rotate(180)], duration=200)
    paths = [tmp_path / "a.png", tmp_path / "a.heic", tmp_path / "a.gif", film(tmp_path / "a.mp4")]
    paths.append(samples.make_pdf(tmp_path / "a.pdf"))

    formats = {format_of((await show(path)).path) for path in paths}

    assert len(formats) == 1


@pytest.mark.parametrize(("size_pt", "wide"), [((300, 100), True), ((100, 300), False)])
async def test_a_page_stands_or_lies_as_it_was_made(tmp_path, show, size_pt, wide):
    made = await show(samples.make_pdf(tmp_path / "a.pdf", size_pt=size_pt), replace(SCREEN, fit=Fit.FIT))

    assert width_of(picture(made.path)) == pytest.approx(192 if wide else 22, abs=3)


@pytest.mark.parametrize("turn", [90, 180, 270])
async def test_a_page_turned_by_its_own_rotation_is_upright(tmp_path, settings, show, turn):
    path = samples.make_pdf(tmp_path / "a.pdf", size_pt=(300, 100))
    data = path.read_bytes().replace(b"/Contents", b"/Rotate %d /Contents" % turn)
    path.write_bytes(data)  # poppler finds the moved objects by itself

    info = await probe(path, settings=settings)
    made = await show(path, replace(SCREEN, fit=Fit.FIT))

    assert (info.width, info.height) == ((300, 100) if turn == 180 else (100, 300))
    assert width_of(picture(made.path)) == pytest.approx(192 if turn == 180 else 22, abs=3)


async def test_a_page_as_large_as_a_wall_is_drawn_no_larger_than_needed(tmp_path, show):
    """200 inches a side, the largest that PDF knows, and beyond."""
    for size_pt in ((14_400, 4_800), (144_000, 48_000)):
        made = await show(samples.make_pdf(tmp_path / "a.pdf", size_pt=size_pt))
        assert nearest(picture(made.path)[32, 180], 40) == (255, 0, 0) or picture(made.path)[32, 180][0] > 230


async def test_ten_pages_follow_each_other_in_their_order(tmp_path, show):
    """page-10 comes behind page-9, not behind page-1."""
    made = await show(samples.make_pdf(tmp_path / "a.pdf", 11, size_pt=(192, 64)), replace(SCREEN, pages=Pages.ALL))

    reds = [picture(made.path, 0.2 + 0.4 * page)[8, 160].argmax() for page in range(11)]
    assert reds == [page % 3 for page in range(11)]


async def test_of_a_page_for_the_print_shop_the_trimmed_part_is_shown(tmp_path, settings, show):
    """Beyond the crop box lie the bleed and the crop marks."""
    path = samples.make_pdf(tmp_path / "a.pdf", size_pt=(400, 400))
    path.write_bytes(path.read_bytes().replace(b"/Contents", b"/CropBox [0 0 300 100] /Contents"))

    info = await probe(path, settings=settings)
    made = await show(path, replace(SCREEN, fit=Fit.FIT))

    assert (info.width, info.height) == (300, 100)
    assert width_of(picture(made.path)) == pytest.approx(192, abs=3)


async def test_a_pdf_that_only_its_owner_may_change_is_shown(tmp_path, show):
    path = samples.make_pdf(tmp_path / "a.pdf", size_pt=(192, 64))
    path.write_bytes(locked_for_changes(path.read_bytes()))

    made = await show(path)

    assert picture(made.path)[8, 160].argmax() == 0  # red


async def test_a_pdf_without_pages_is_refused(tmp_path, settings):
    path = samples.make_pdf(tmp_path / "a.pdf", 0)

    with pytest.raises(Refusal, match="PDF is damaged"):
        await probe(path, settings=settings)


async def test_a_picture_is_no_use_to_the_radio(tmp_path, transcoder, asset_of):
    quarters().save(tmp_path / "a.gif", save_all=True, append_images=[quarters().rotate(180)], duration=200)

    screen, radio = await transcoder.make(await asset_of(tmp_path / "a.gif"), [SCREEN, AudioProfile()])

    assert isinstance(screen, Rendition)
    assert isinstance(radio, NotMade)
    assert "no sound" in str(radio.reason)


def with_matrix(data: bytes, matrix: Sequence[int]) -> bytes:
    """The MP4 with this display matrix in its track header (version 0: 40 bytes into the box)."""
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value * 65536 for value in matrix)
    values = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return data[:at] + b"".join(value.to_bytes(4, "big", signed=True) for value in values) + data[at + 36 :]


def with_tags_first(data: bytes) -> bytes:
    """The MP4 with `udta`, where the cover is, in front of the tracks."""
    at = data.index(b"moov") - 4
    end, place, parts = at + int.from_bytes(data[at : at + 4], "big"), at + 8, {}
    while place < end:
        size = int.from_bytes(data[place : place + 4], "big")
        parts[data[place + 4 : place + 8]] = data[place : place + size]
        place += size
    assert set(parts) == {b"mvhd", b"trak", b"udta"}
    return data[: at + 8] + parts[b"mvhd"] + parts[b"udta"] + parts[b"trak"] + data[end:]


def locked_for_changes(pdf: bytes) -> bytes:
    """Encrypted with an owner's password and none to open it (PDF 32000-1, 7.6.3: algorithms 1 to 4, revision 2)."""
    padding = bytes.fromhex("28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a")
    owner = rc4(md5(b"rahasia" + padding[:25])[:5], padding)
    rights, identity = (-44).to_bytes(4, "little", signed=True), b"0123456789abcdef"
    key = md5(padding + owner + rights + identity)[:5]
    entry = b"/Encrypt << /Filter /Standard /V 1 /R 2 /P -44 /O <%s> /U <%s> >> /ID [<%s> <%s>]"
    hexed = [part.hex().encode() for part in (owner, rc4(key, padding), identity, identity)]
    start = pdf.index(b"stream\n") + 7
    end = pdf.index(b"\nendstream")
    drawing = rc4(md5(key + (4).to_bytes(3, "little") + bytes(2))[:10], pdf[start:end])  # object 4
    return (pdf[:start] + drawing + pdf[end:]).replace(b"/Root 1 0 R", b"/Root 1 0 R " + entry % tuple(hexed))


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def rc4(key: bytes, data: bytes) -> bytes:
    box, j = list(range(256)), 0
    for i in range(256):
        j = (j + box[i] + key[i % len(key)]) % 256
        box[i], box[j] = box[j], box[i]
    out, j = bytearray(), 0
    for i, byte in enumerate(data, start=1):
        j = (j + box[i % 256]) % 256
        box[i % 256], box[j] = box[j], box[i % 256]
        out.append(byte ^ box[(box[i % 256] + box[j]) % 256])
    return bytes(out)


def width_of(shown: np.ndarray) -> int:
    """How many columns of the middle row are not black."""
    return int((shown[shown.shape[0] // 2 + 9].max(1) > 40).sum())


def pitch_of(path: Path) -> float:
    command = ["ffmpeg", "-v", "error", "-i", path, "-f", "f32le", "-ac", "1", "-ar", "48000", "-"]
    wave = np.frombuffer(subprocess.run(command, check=True, capture_output=True).stdout, np.float32)[12000:36000]
    return float(np.abs(np.fft.rfft(wave)).argmax() * 48000 / len(wave))


def streams_of(path: Path) -> list[str]:
    command = ["ffprobe", "-v", "error", "-show_entries", "stream=codec_type", "-of", "csv=p=0", path]
    return sorted(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def format_of(path: Path) -> str:
    entries = (
        "stream=codec_name,profile,pix_fmt,width,height,r_frame_rate,color_range,color_space,field_order,has_b_frames"
    )
    command = ["ffprobe", "-v", "error", "-show_entries", f"{entries}:format=format_name", "-of", "compact", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
