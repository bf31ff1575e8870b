from dataclasses import replace

import pytest

from hub.api import AudioProfile, MediaKind, VideoProfile
from hub.media.sizes import likely_bytes, most_bytes
from hub.testing import make_media

SCREEN = VideoProfile(width=1280, height=720)
CAMERA = replace(make_media(), width=1920, height=1080, duration_s=60.0, size_bytes=90_000_000)


def kbps(profile: VideoProfile, media=CAMERA) -> float:
    return likely_bytes(media, profile, 60.0) / 60 / 125


def test_ordinary_content_is_expected_far_below_the_greatest_bitrate():
    assert 1500 < kbps(SCREEN) < 2500
    assert most_bytes(SCREEN, 60.0) > 60 * 6000 * 125


def test_a_better_quality_more_pictures_and_a_larger_screen_are_expected_to_be_larger():
    assert kbps(replace(SCREEN, crf=17)) > 1.8 * kbps(SCREEN)
    assert kbps(replace(SCREEN, fps=50)) > 1.4 * kbps(SCREEN)
    assert kbps(replace(SCREEN, width=1920, height=1080)) > 1.5 * kbps(SCREEN)


def test_a_source_that_needed_few_bits_needs_few_again():
    slides = replace(CAMERA, size_bytes=1_500_000)

    assert kbps(SCREEN, slides) < 400


def test_it_never_expects_more_than_there_can_be():
    tight = replace(SCREEN, max_bitrate_kbps=300)

    assert likely_bytes(CAMERA, tight, 60.0) <= most_bytes(tight, 60.0)


@pytest.mark.parametrize(("container", "size"), [("wav", 192_000), ("mp3", 24_000)])
def test_the_size_of_a_sound_follows_from_its_length(container, size):
    profile = AudioProfile(container=container)

    assert 0 <= likely_bytes(make_media(MediaKind.AUDIO), profile, 10.0) - 10 * size < 100_000


def test_a_still_is_small():
    assert likely_bytes(make_media(MediaKind.IMAGE), SCREEN, 10.0) < 400_000
