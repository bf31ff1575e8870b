import subprocess

import pytest
from PIL import Image

from hub.api import AudioProfile, Rendition, ThumbnailProfile, VideoProfile
from hub.media import samples


async def test_a_thumbnail_shows_a_video_a_tenth_into_it_inside_its_box(tmp_path, transcoder, asset_of):
    _film(tmp_path / "a.mp4", "color=black:s=320x240:r=25:d=0.3[a];color=red:s=320x240:r=25:d=4.7[b];[a][b]concat")

    (made,) = await transcoder.make(await asset_of(tmp_path / "a.mp4"), [ThumbnailProfile(width=160, height=90)])

    with Image.open(made.path) as picture:
        assert (picture.format, picture.size, picture.info.get("exif")) == ("JPEG", (120, 90), None)
        red, green, blue = picture.convert("RGB").getpixel((60, 45))
    assert red > 200
    assert max(green, blue) < 60
    assert (made.media.width, made.media.height) == (120, 90)


async def test_a_thumbnail_shares_the_decode_of_the_screens_and_the_radio(tmp_path, transcoder, asset_of):
    asset = await asset_of(samples.make_video(tmp_path / "a.mp4", 2.0))
    profiles = [VideoProfile(width=192, height=96), AudioProfile(), ThumbnailProfile()]

    plan = await transcoder.plan(asset, profiles)
    made = await transcoder.make(asset, profiles)

    assert len(plan.runs) == 1
    assert all(isinstance(one, Rendition) for one in made)


@pytest.mark.parametrize(("make", "name"), [(samples.make_poster, "a.png"), (samples.make_pdf, "a.pdf")])
async def test_pictures_and_pages_have_thumbnails_too(tmp_path, transcoder, asset_of, make, name):
    path = make(tmp_path / name)

    (made,) = await transcoder.make(await asset_of(path), [ThumbnailProfile(width=100, height=100)])

    with Image.open(made.path) as picture:
        assert max(picture.size) == 100


async def test_a_sound_has_no_thumbnail(tmp_path, transcoder, asset_of):
    (made,) = await transcoder.make(await asset_of(samples.make_audio(tmp_path / "a.wav", 1)), [ThumbnailProfile()])

    assert "has no picture" in str(made.reason)


def _film(path, graph):
    subprocess.run(["ffmpeg", "-v", "error", "-filter_complex", graph, "-pix_fmt", "yuv420p", path], check=True)
