import asyncio
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hub.api import AudioProfile, Fit, Pages, Rendition, VideoProfile
from hub.api.files import sha256_of
from hub.media import samples
from hub.media.transcoder import NotMade, Transcoder

WIDE = VideoProfile(width=192, height=64, still_s=1.0)
RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)


def picture(path: Path, at_s: float = 0.0) -> np.ndarray:
    """One picture of a clip as a player shows it: rows, columns, RGB."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-ss",
        str(at_s),
        "-i",
        path,
        "-frames:v",
        "1",
        "-f",
        "image2pipe",
        "-c:v",
        "ppm",
        "-",
    ]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    size, pixels = data.split(b"\n", 3)[1], data.split(b"\n", 3)[3]
    width, height = map(int, size.split())
    return np.frombuffer(pixels, np.uint8).reshape(height, width, 3).astype(int)


def is_colour(pixel, colour, tolerance: int = 12) -> bool:
    return bool(np.abs(np.array(pixel) - np.array(colour)).max() <= tolerance)


async def test_one_video_becomes_what_each_screen_and_the_radio_need(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))
    profiles = [WIDE, AudioProfile(), replace(WIDE, fit=Fit.CROP, with_sound=True), AudioProfile(container="mp3")]
    told = []

    made = await transcoder.make(asset, profiles, on_progress=told.append)

    assert [one.profile for one in made] == profiles
    assert all(isinstance(one, Rendition) for one in made)
    assert [(one.media.width, one.media.height, one.media.has_sound) for one in made] == [
        (192, 64, False), (None, None, True), (192, 64, True), (None, None, True),
    ]  # fmt: skip
    assert told == sorted(told)
    assert 0 < told[-1] <= 1


async def test_a_rendition_is_named_by_its_hash_read_only_and_alone(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))

    (made,) = await transcoder.make(asset, [WIDE])

    assert made.path == tmp_path / "renditions" / made.sha256[:2] / f"{made.sha256}.mp4"
    assert sha256_of(made.path) == made.sha256
    assert made.path.stat().st_mode & 0o777 == 0o444
    assert made.path.stat().st_size == made.media.size_bytes
    assert made.asset == asset.sha256
    assert os.listdir(tmp_path / "renditions" / ".work") == []  # noqa: PTH208


async def test_making_it_again_gives_the_same_file(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))

    (first,) = await transcoder.make(asset, [WIDE])
    inode = first.path.stat().st_ino
    (again,) = await transcoder.make(asset, [WIDE])

    assert again == first
    assert again.path.stat().st_ino == inode


async def test_a_spoilt_rendition_is_replaced(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))
    (first,) = await transcoder.make(asset, [WIDE])
    first.path.chmod(0o644)
    first.path.write_bytes(b"spoilt")

    (again,) = await transcoder.make(asset, [WIDE])

    assert sha256_of(again.path) == again.sha256 == first.sha256


async def test_fit_shows_the_whole_picture_between_black_bars(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_poster(tmp_path / "a.png", (64, 64), picture="color=red"))

    (made,) = await transcoder.make(asset, [replace(WIDE, fit=Fit.FIT)])

    shown = picture(made.path)
    assert shown.shape == (64, 192, 3)
    assert is_colour(shown[32, 96], (255, 0, 0), 20)
    assert is_colour(shown[32, 10], BLACK)
    assert is_colour(shown[32, 181], BLACK)


@pytest.mark.parametrize("fit", [Fit.FILL, Fit.CROP])
async def test_fill_and_crop_leave_no_bars(tmp_path, transcoder, asset_of, fit):
    asset = await asset_of(samples.make_poster(tmp_path / "a.png", (64, 64), picture="color=red"))

    (made,) = await transcoder.make(asset, [replace(WIDE, fit=fit)])

    shown = picture(made.path)
    assert all(is_colour(shown[y, x], RED, 20) for y, x in ((1, 1), (62, 190), (32, 96)))


async def test_fill_stretches_and_crop_cuts(tmp_path, transcoder, asset_of):
    """rgbtestsrc: red above, green in the middle, blue below, each from black to full."""
    asset = await asset_of(samples.make_poster(tmp_path / "a.png", (96, 96)))

    filled, cropped = await transcoder.make(asset, [replace(WIDE, fit=Fit.FILL), replace(WIDE, fit=Fit.CROP)])

    rows = picture(filled.path)[:, 190]
    assert [is_colour(rows[y], colour, 40) for y, colour in ((4, RED), (32, GREEN), (60, BLUE))] == [True] * 3
    assert all(is_colour(row, GREEN, 40) for row in picture(cropped.path)[4:60, 190])


async def test_colours_and_greys_keep_their_value_on_the_screen(tmp_path, transcoder, asset_of):
    for name, colour, expected in (
        ("a.png", "white", WHITE),
        ("b.jpg", "white", WHITE),
        ("c.png", "0x808080", (128,) * 3),
    ):
        asset = await asset_of(samples.make_poster(tmp_path / name, (192, 64), picture=f"color={colour}"))
        (made,) = await transcoder.make(asset, [WIDE])

        assert is_colour(picture(made.path)[32, 96], expected, 6), colour
        assert _colour_labels(made.path) == "tv,bt709,bt709,bt709"


async def test_a_transparent_poster_stands_on_white(tmp_path, transcoder, asset_of):
    Image.new("RGBA", (192, 64), (0, 0, 0, 0)).save(tmp_path / "a.png")

    (made,) = await transcoder.make(await asset_of(tmp_path / "a.png"), [WIDE])

    assert is_colour(picture(made.path)[32, 96], WHITE, 4)


async def test_a_phone_video_held_upright_is_not_stretched(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1, (128, 64), rotation=90, picture="color=red"))

    (made,) = await transcoder.make(asset, [WIDE])

    shown = picture(made.path)
    assert is_colour(shown[32, 96], RED, 20)
    assert is_colour(shown[32, 70], BLACK)  # 32 columns of picture, 80 of black on either side
    assert (made.media.rotation, made.media.sample_aspect) == (0, "1:1")


async def test_stored_oblong_pixels_are_made_square(tmp_path, transcoder, asset_of):
    path = samples.make_video(
        tmp_path / "a.mp4", 1, (64, 64), picture="color=red", video_options=("-vf", "setsar=2/1", "-pix_fmt", "yuv420p")
    )

    (made,) = await transcoder.make(await asset_of(path), [WIDE])

    shown = picture(made.path)
    assert is_colour(shown[32, 40], RED, 20)
    assert is_colour(shown[32, 20], BLACK)


async def test_hdr_is_tone_mapped(tmp_path, transcoder, asset_of):
    hdr = ("-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc")
    path = samples.make_video(tmp_path / "a.mp4", 1, (64, 64), video_options=("-pix_fmt", "yuv420p10le", *hdr))

    (made,) = await transcoder.make(await asset_of(path), [WIDE])

    assert (made.media.color_transfer, made.media.pixel_format) == ("bt709", "yuv420p")


async def test_odd_sizes_and_strange_pixels_become_what_a_screen_decodes(tmp_path, transcoder, asset_of):
    path = samples.make_video(tmp_path / "a.mp4", 1, (65, 49), 10, video_options=("-pix_fmt", "yuv444p"))

    (made,) = await transcoder.make(await asset_of(path), [WIDE])

    assert (made.media.width, made.media.height, made.media.pixel_format, made.media.fps) == (192, 64, "yuv420p", 25.0)


async def test_the_pages_of_a_pdf_follow_each_other(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_pdf(tmp_path / "a.pdf", 3, size_pt=(192, 64)))

    first, every = await transcoder.make(asset, [WIDE, replace(WIDE, pages=Pages.ALL)])

    assert (first.media.duration_s, every.media.duration_s) == (1.0, 3.0)
    shown = [picture(every.path, at_s)[8, 160] for at_s in (0.4, 1.4, 2.4)]
    assert [is_colour(pixel, colour, 25) for pixel, colour in zip(shown, (RED, GREEN, BLUE), strict=True)] == [True] * 3


async def test_a_fitting_video_keeps_its_pictures_bit_for_bit(tmp_path, transcoder, asset_of):
    path = samples.make_video(tmp_path / "a.mp4", 1, (192, 64))

    (made,) = await transcoder.make(await asset_of(path), [WIDE])

    assert _stream_hash(made.path) == _stream_hash(path)
    assert not made.media.has_sound


async def test_what_cannot_be_made_harms_no_other(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1, tone_hz=None))
    odd, unknown = replace(WIDE, width=191), replace(WIDE, preset="no-such-preset")

    made = await transcoder.make(asset, [odd, WIDE, unknown, AudioProfile()])

    assert [type(one) for one in made] == [NotMade, Rendition, NotMade, NotMade]
    assert not any(one.transient for one in made if isinstance(one, NotMade))
    assert "even width" in str(made[0].reason)
    assert "no sound" in str(made[3].reason)


async def test_too_little_disk_space_is_told_before_and_may_be_tried_again(tmp_path, settings, asset_of):
    greedy = Transcoder(settings.model_copy(update={"keep_free_mib": 1 << 40}), tmp_path / "renditions")
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))

    (made,) = await greedy.make(asset, [WIDE])

    assert made.transient
    assert "too little disk space" in str(made.reason)


async def test_a_run_over_its_deadline_is_told_and_leaves_nothing(tmp_path, settings, asset_of):
    hasty = Transcoder(settings.model_copy(update={"transcode_within_s": 0.01}), tmp_path / "renditions")
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))

    (made,) = await hasty.make(asset, [WIDE])

    assert "took longer" in str(made.reason)
    assert os.listdir(tmp_path / "renditions" / ".work") == []  # noqa: PTH208


async def test_a_file_damaged_inside_is_not_made(tmp_path, transcoder, asset_of):
    """ffmpeg alone would return 0 and a clip with rubbish in it."""
    path = samples.make_video(tmp_path / "a.mp4", 1, tone_hz=None)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 3000
    data[start : start + 2000] = bytes(2000)
    path.write_bytes(data)

    (made,) = await transcoder.make(await asset_of(path), [WIDE])

    assert isinstance(made, NotMade)
    assert not made.transient


async def test_a_missing_original_is_the_machines_fault_not_the_files(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 1))
    asset.path.unlink()

    with pytest.raises(FileNotFoundError):
        await transcoder.make(asset, [WIDE])


async def test_cancelling_leaves_no_half_made_file(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 3))
    slow = VideoProfile(width=1920, height=1080, preset="veryslow")

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await transcoder.make(asset, [slow])

    assert [path for path in (tmp_path / "renditions").rglob("*") if path.is_file()] == []


async def test_leftovers_of_a_killed_hub_are_swept(tmp_path, transcoder):
    left = tmp_path / "renditions" / ".work" / "abc"
    left.mkdir(parents=True)
    (left / "0.mp4").touch()

    transcoder.sweep()

    assert not left.exists()


def _colour_labels(path: Path) -> str:
    entries = "stream=color_range,color_space,color_transfer,color_primaries"
    command = ["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", entries, "-of", "csv=p=0", path]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _stream_hash(path: Path) -> bytes:
    command = ["ffmpeg", "-v", "error", "-i", path, "-map", "0:v:0", "-c", "copy", "-f", "hash", "-"]
    return subprocess.run(command, check=True, capture_output=True).stdout
