"""Each kind of picture, dropped and transcoded for a screen, judged by the colours of single points."""

import contextlib
import random
import zlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from hub.api import Fit, MediaKind, Pages, VideoProfile
from hub.media import drawing
from hub.media.pictures import draw, library
from hub.media.probe import probe
from hub.media.runner import run
from hub.media.sandbox import confinement
from hub.media.settings import MediaSettings
from hub.messages import Refusal
from tests.hub.media.looking import (
    BLUE,
    CORNERS,
    GREEN,
    GREY,
    RED,
    WHITE,
    corners,
    frames_of,
    nearest,
    picture,
    quarters,
)

SCREEN = VideoProfile(width=192, height=64, fit=Fit.FILL, still_s=0.4)


@pytest.fixture
def drawn(tmp_path: Path, settings: MediaSettings) -> Callable[[Path], Awaitable[Path]]:
    """What ffmpeg gets instead of a picture: quicker than a clip, and all that depends on the kind of picture."""

    async def make(path: Path) -> Path:
        info = await probe(path, settings=settings)
        return (await draw(path, tmp_path, info, cover=(192, 204), pages=1, settings=settings))[0]

    return make


KINDS: dict[str, tuple[str, dict[str, object]]] = {
    "a.jpg": ("RGB", {"quality": 95}),
    "progressive.jpg": ("RGB", {"quality": 95, "progressive": True}),
    "a.png": ("RGB", {}),
    "palette.png": ("P", {}),
    "alpha.png": ("RGBA", {}),
    "a.webp": ("RGB", {"quality": 95}),
    "lossless.webp": ("RGBA", {"lossless": True}),
    "a.gif": ("P", {}),
    "a.bmp": ("RGB", {}),
    "palette.bmp": ("P", {}),
    "a.tif": ("RGB", {}),
    "lzw.tif": ("RGB", {"compression": "tiff_lzw"}),
    "jpeg.tif": ("RGB", {"compression": "jpeg", "quality": 95}),
    "cmyk.tif": ("CMYK", {}),
    "a.avif": ("RGB", {"quality": 95}),
    "alpha.avif": ("RGBA", {"quality": 95}),
    "a.heic": ("RGB", {"quality": 95}),
    "alpha.heic": ("RGBA", {"quality": 95}),
}


def save(image: Image.Image, path: Path, **options: object) -> Path:
    pillow_heif.register_heif_opener()
    image.save(path, **options)
    return path


@pytest.mark.parametrize("name", KINDS)
async def test_every_kind_of_picture_shows_its_colours_where_they_belong(tmp_path, show, name):
    mode, options = KINDS[name]
    made = await show(save(quarters(mode=mode), tmp_path / name, **options))

    assert corners(made.path) == list(CORNERS)
    assert (made.media.width, made.media.height, made.media.sample_aspect) == (192, 64, "1:1")
    assert frames_of(made.path) == 10


@pytest.mark.parametrize(
    ("name", "container", "codec"),
    [("a.heic", "heic", "hevc"), ("a.avif", "avif", "av1"), ("a.webp", "webp", "webp"), ("a.jpg", "jpeg", "mjpeg")],
)
async def test_a_picture_is_measured_as_what_it_is(tmp_path, settings, name, container, codec):
    path = save(quarters((120, 80)), tmp_path / name).rename(tmp_path / "foto kantor.mp4")

    info = await probe(path, settings=settings)

    assert (info.kind, info.container, info.video_codec, info.width, info.height) == (
        MediaKind.IMAGE, container, codec, 120, 80,
    )  # fmt: skip
    assert (info.duration_s, info.fps, info.pages, info.pixel_format) == (None, None, None, "rgb24")


@pytest.mark.parametrize(
    ("ending", "orientation"),
    [
        *(("jpg", number) for number in range(1, 9)),
        ("png", 6),
        ("png", 7),
        ("webp", 6),
        ("webp", 3),
        ("tif", 6),
        ("tif", 2),
    ],
)
async def test_a_photo_is_shown_as_it_was_seen_however_it_was_held(tmp_path, settings, drawn, ending, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = quarters((96, 64))
    back = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # the turn that undoes each orientation
    stored = upright.transpose(Image.Transpose(back[orientation])) if orientation > 1 else upright
    path = save(stored, tmp_path / f"a.{ending}", exif=exif.tobytes())

    info = await probe(path, settings=settings)
    made = await drawn(path)

    assert (info.width, info.height) == (96, 64)
    assert info.rotation in ((0, 180) if orientation < 5 or ending == "tif" else (90, 270))  # libtiff turns it itself
    assert corners(made) == list(CORNERS)


@pytest.mark.parametrize("orientation", [3, 6, 7])
@pytest.mark.parametrize("ending", ["heic", "avif"])
async def test_a_photo_of_a_telephone_is_turned_once_and_not_twice(tmp_path, settings, drawn, ending, orientation):
    """HEIC and AVIF say the turn twice, in the container and in EXIF; only one of them counts."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    back = {3: 3, 6: 2, 7: 6}
    path = save(
        quarters((96, 64)).transpose(Image.Transpose(back[orientation])), tmp_path / f"a.{ending}", exif=exif.tobytes()
    )

    info = await probe(path, settings=settings)
    made = await drawn(path)

    assert (info.width, info.height) == (96, 64)
    assert corners(made) == list(CORNERS)


@pytest.mark.parametrize("ending", ["png", "webp", "avif", "heic", "tif", "gif"])
async def test_what_is_transparent_stands_on_white(tmp_path, drawn, ending):
    image = quarters(mode="RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 48, 32))
    path = save(image, tmp_path / f"a.{ending}")

    assert corners(await drawn(path)) == [WHITE, *CORNERS[1:]]


async def test_grey_with_alpha_and_a_transparent_palette_stand_on_white(tmp_path, drawn):
    grey = Image.new("LA", (96, 64), (128, 255))
    grey.paste((0, 0), (0, 0, 48, 32))
    palette = quarters(mode="P")
    palette.info["transparency"] = palette.getpixel((10, 10))

    assert corners(await drawn(save(grey, tmp_path / "a.png"))) == [WHITE, GREY, GREY, GREY]
    assert corners(await drawn(save(palette, tmp_path / "b.png", transparency=palette.getpixel((10, 10))))) == [
        WHITE, *CORNERS[1:],
    ]  # fmt: skip


async def test_half_transparent_is_mixed_with_white(tmp_path, drawn):
    made = await drawn(save(Image.new("RGBA", (96, 64), (0, 0, 0, 127)), tmp_path / "a.png"))

    assert nearest(picture(made)[32, 48]) == GREY


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("colour", [0, 2, 6])  # grey, RGB, RGBA
async def test_a_png_of_any_depth_keeps_its_tones(tmp_path, drawn, depth, colour):
    made = await drawn(flat_png(tmp_path / "a.png", 0x80, depth, colour))

    assert nearest(picture(made)[32, 48], 5) == GREY


async def test_tiffs_of_one_bit_and_of_sixteen_are_drawn(tmp_path, drawn):
    one = Image.new("1", (96, 64), 1)
    sixteen = Image.fromarray(np.full((64, 96), 0x8080, np.uint16))

    for image, name, options in ((one, "g4.tif", {"compression": "group4"}), (sixteen, "a.tif", {})):
        shown = picture(await drawn(save(image, tmp_path / name, **options)))
        assert nearest(shown[32, 48], 5) == (WHITE if image is one else GREY)


async def test_a_fax_with_oblong_dots_is_not_squashed(tmp_path, settings, drawn):
    path = save(quarters((204, 98)), tmp_path / "fax.tif", dpi=(204, 98))

    info = await probe(path, settings=settings)
    made = await drawn(path)

    assert (info.width, info.height) == (204, 204)
    assert picture(made).shape == (204, 204, 3)


async def test_cmyk_of_a_print_shop_has_its_colours(tmp_path, drawn):
    """Adobe stores the four inks inverted; Pillow writes them so, too."""
    made = await drawn(save(quarters(mode="CMYK"), tmp_path / "a.jpg", quality=95))

    assert corners(made) == list(CORNERS)


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif", "heic", "avif"])
async def test_a_colour_profile_is_followed(tmp_path, drawn, ending):
    """In this profile red and blue have changed places: whoever ignores it shows them wrong."""
    stored = Image.merge("RGB", quarters().split()[::-1])
    made = await drawn(save(stored, tmp_path / f"a.{ending}", icc_profile=exchanged_profile(), quality=95))

    assert corners(made) == list(CORNERS)


@pytest.mark.parametrize(("transfer", "name"), [(16, "smpte2084"), (18, "arib-std-b67")])
async def test_an_hdr_photo_is_brought_to_the_screens_range(tmp_path, settings, show, transfer, name):
    """A code of 148 is paper white in PQ: far from it when taken for what a screen shows."""
    photo = Image.new("RGB", (96, 64), (148, 148, 148))
    photo.paste(WHITE, (48, 0, 96, 64))
    colours = {"color_primaries": 9, "transfer_characteristics": transfer, "matrix_coefficients": 9}
    path = save(photo, tmp_path / "a.heic", quality=95, full_range_flag=1, **colours)

    info = await probe(path, settings=settings)
    shown = picture((await show(path)).path)

    assert info.color_transfer == name
    assert 160 < shown[32, 48].min() < 240
    assert nearest(shown[32, 150]) == WHITE


@pytest.mark.parametrize("profile", [b"rubbish", b"\x00" * 200], ids=["text", "zeros"])
async def test_a_broken_colour_profile_does_no_harm(tmp_path, drawn, profile):
    made = await drawn(save(quarters(), tmp_path / "a.png", icc_profile=profile))

    assert corners(made) == list(CORNERS)


async def test_a_grey_profile_and_a_profile_of_other_colours_do_no_harm(tmp_path, drawn):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    grey, inks = Image.new("L", (96, 64), 128), quarters(mode="CMYK")

    shown = picture(await drawn(save(grey, tmp_path / "a.png", icc_profile=srgb)))
    assert nearest(shown[32, 48], 5) == GREY
    assert corners(await drawn(save(inks, tmp_path / "b.jpg", icc_profile=srgb, quality=95))) == list(CORNERS)


ANIMATIONS = ["gif", "webp", "png", "avif"]


@pytest.mark.parametrize("ending", ANIMATIONS)
async def test_an_animation_keeps_its_time_and_is_repeated_until_a_stills_time_is_full(
    tmp_path, settings, show, ending
):
    path = animation(tmp_path / f"a.{ending}", [(RED, 400), (GREEN, 200), (BLUE, 400)])

    info = await probe(path, settings=settings)
    made = await show(path, replace(SCREEN, still_s=2.5))

    assert (info.kind, info.duration_s, info.fps) == (MediaKind.VIDEO, 1.0, 3.0)
    assert made.media.duration_s == pytest.approx(3.0, abs=0.02)  # three whole times
    assert frames_of(made.path) == 75
    for at_s, colour in ((0.1, RED), (0.5, GREEN), (0.8, BLUE), (1.1, RED), (1.5, GREEN), (2.9, BLUE)):
        assert nearest(picture(made.path, at_s)[32, 96]) == colour, at_s


async def test_an_animation_longer_than_a_still_is_shown_once(tmp_path, show):
    path = animation(tmp_path / "a.webp", [(RED, 500), (GREEN, 700)])

    made = await show(path, replace(SCREEN, still_s=1.0))

    assert made.media.duration_s == pytest.approx(1.2, abs=0.02)
    assert nearest(picture(made.path, 1.1)[32, 96]) == GREEN


async def test_an_animation_in_a_hurry_is_shown_at_the_pace_of_a_browser(tmp_path, settings):
    path = animation(tmp_path / "a.gif", [(RED, 10), (GREEN, 10)])

    assert (await probe(path, settings=settings)).duration_s == 0.2


async def test_frames_that_change_only_a_part_are_whole_pictures(tmp_path, show):
    first, second = Image.new("RGB", (96, 64), RED), Image.new("RGB", (96, 64), RED)
    second.paste(GREEN, (48, 0, 96, 64))
    path = tmp_path / "a.gif"
    first.save(path, save_all=True, append_images=[second], duration=400, optimize=False)

    made = await show(path)

    assert corners(made.path, 0.6) == [RED, GREEN, RED, GREEN]


async def test_a_transparent_animation_moves_on_white(tmp_path, show):
    frames = [Image.new("RGBA", (96, 64), (0, 0, 0, 0)) for _ in range(2)]
    frames[0].paste((*RED, 255), (0, 0, 48, 64))
    frames[1].paste((*GREEN, 255), (48, 0, 96, 64))
    for frame in frames:  # else the writer of WebP stores the opaque part alone
        frame.putpixel((30, 2), (0, 0, 0, 0))
        frame.putpixel((70, 2), (0, 0, 0, 0))

    for name in ("a.webp", "a.png", "a.gif"):
        path = tmp_path / name
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=400, disposal=2, lossless=True)
        made = await show(path)
        assert corners(made.path, 0.1) == [RED, WHITE, RED, WHITE], name
        assert corners(made.path, 0.6) == [WHITE, GREEN, WHITE, GREEN], name


async def test_the_pages_of_a_scanned_tiff_follow_each_other(tmp_path, settings, show):
    pages = [Image.new("RGB", (96, 64), colour) for colour in (RED, GREEN, BLUE)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])

    info = await probe(tmp_path / "a.tif", settings=settings)
    first, every = await show(tmp_path / "a.tif"), await show(tmp_path / "a.tif", replace(SCREEN, pages=Pages.ALL))

    assert (info.kind, info.pages) == (MediaKind.IMAGE, 3)
    assert (frames_of(first.path), frames_of(every.path)) == (10, 30)
    assert [nearest(picture(every.path, at_s)[32, 96]) for at_s in (0.2, 0.6, 1.0)] == [RED, GREEN, BLUE]


async def test_limits_on_pictures_come_from_the_settings(tmp_path, settings):
    pages = [Image.new("L", (8, 8)) for _ in range(4)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    clip = animation(tmp_path / "a.gif", [(RED, 400), (GREEN, 800)])
    still = save(quarters(), tmp_path / "a.jpg")

    for path, change, expected in (
        (tmp_path / "a.tif", {"max_pages": 3}, "more than 3 pages"),
        (clip, {"max_duration_s": 1.0}, "This recording lasts"),
        (clip, {"max_pixels": 1024}, "too large"),
        (still, {"max_still_pixels": 1024}, "too large"),
        (still, {"probe_within_s": 0.001}, "took longer"),
    ):
        with pytest.raises(Refusal, match=expected):
            await probe(path, settings=settings.model_copy(update=change))


async def test_of_several_photos_in_one_jpeg_the_first_is_shown(tmp_path, settings, drawn):
    """Telephones append the depth, the brightness, or the other eye (MPO)."""
    other = Image.new("RGB", (48, 32), BLUE)
    quarters().save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[other], quality=95)

    info = await probe(tmp_path / "a.jpg", settings=settings)

    assert (info.kind, info.pages, info.width) == (MediaKind.IMAGE, None, 96)
    assert corners(await drawn(tmp_path / "a.jpg")) == list(CORNERS)


async def test_a_photo_larger_than_any_video_is_taken(tmp_path, settings, drawn):
    path = save(Image.new("L", (6200, 6000), 128), tmp_path / "a.jpg")

    made = await drawn(path)

    assert nearest(picture(made)[32, 48], 5) == GREY


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.gif", "a.bmp", "a.tif", "a.avif", "a.heic"])
@pytest.mark.parametrize("share", [0.5, 0.95])
async def test_a_part_of_a_picture_is_no_picture(tmp_path, settings, name, share):
    data = save(noise(), tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(len(data) * share)])

    with pytest.raises(Refusal, match=r"damaged|its end is missing"):
        await probe(tmp_path / name, settings=settings)


async def test_a_photo_damaged_inside_is_found(tmp_path, settings):
    """libjpeg fills the hole with grey, and says nothing that Pillow would hear."""
    data = bytearray(save(noise().resize((480, 320)), tmp_path / "a.jpg").read_bytes())
    del data[len(data) // 2 : len(data) // 2 + 2000]
    (tmp_path / "a.jpg").write_bytes(data)

    with pytest.raises(Refusal, match="damaged"):
        await probe(tmp_path / "a.jpg", settings=settings)


async def test_no_damage_ends_in_anything_but_a_refusal_or_a_measurement(tmp_path, settings):
    """Bytes changed, cut and put in at random, the same every time."""
    dice = random.Random(104.7)
    seeds = [
        save(noise(), tmp_path / f"s.{ending}").read_bytes() for ending in ("webp", "gif", "bmp", "tif", "avif", "heic")
    ]
    seeds += [animation(tmp_path / f"m.{ending}", [(RED, 99), (BLUE, 99)]).read_bytes() for ending in ANIMATIONS]

    for data in (bytearray(seed) for seed in seeds * 2):
        start, length = dice.randrange(len(data)), dice.randrange(1, 200)
        data[start : start + length] = dice.randbytes(dice.randrange(200))
        (tmp_path / "x").write_bytes(data)
        with contextlib.suppress(Refusal):
            assert (await probe(tmp_path / "x", settings=settings)).size_bytes == len(data)


async def test_what_draws_sees_its_picture_and_nothing_else(tmp_path, settings):
    seen, hidden = save(quarters(), tmp_path / "seen.png"), save(quarters(), tmp_path / "hidden.png")
    limits = replace(confinement(settings, within_s=20, read=[seen]), entry=Path(drawing.__file__))

    said = {}
    for path in (seen, hidden):
        words = [*(f"library={where}" for where in library()), "container=png", f"path={path}", "pixels=9999"]
        said[path] = await run(words, limits, folder=tmp_path, within_s=20)

    assert said[seen].ok
    assert "Permission denied" in said[hidden].tail
    assert not said[hidden].output


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(1047).integers(0, 255, (80, 120, 3), np.uint8))


def animation(path: Path, parts: Sequence[tuple[tuple[int, int, int], int]]) -> Path:
    frames = [Image.new("RGB", (96, 64), colour) for colour, _ in parts]
    for number, frame in enumerate(frames):
        frame.putpixel((number, 0), WHITE)  # no two alike: a writer joins those
    times = [milliseconds for _, milliseconds in parts]
    options = {"quality": 90} if path.suffix in (".webp", ".avif") else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=times, **options)
    return path


def flat_png(path: Path, value: int, depth: int, colour: int) -> Path:
    """A PNG of one grey, by the PNG specification: no library writes 16-bit RGB."""
    sample = bytes([value]) * (depth // 8)
    opaque = b"\xff" * (depth // 8)
    pixel = {0: sample, 2: sample * 3, 6: sample * 3 + opaque}[colour]
    header = bytes([0, 0, 0, 96, 0, 0, 0, 64, depth, colour, 0, 0, 0])
    rows = zlib.compress((b"\x00" + pixel * 96) * 64)
    chunks = ((b"IHDR", header), (b"IDAT", rows), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks))
    return path


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def exchanged_profile() -> bytes:
    """sRGB with the places of its red and blue primaries exchanged (ICC.1:2022, 7.3: the tag table)."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"????", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"????", b"bXYZ", 1)
