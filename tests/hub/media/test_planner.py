from dataclasses import replace

import pytest

from hub.api import AudioProfile, MediaKind, Pages, VideoProfile
from hub.media.details import VideoDetails
from hub.media.planner import NO_PICTURE, NO_SOUND, ODD_SIZE, TOO_LONG, TOO_SHORT, Way, plan
from hub.testing import make_asset, make_media

SCREEN = VideoProfile(width=1280, height=720)
OTHER = VideoProfile(width=768, height=384)
RADIO = AudioProfile()
GOOD = VideoDetails(
    h264_profile="High", level=31, progressive=True, bitrate_kbps=3000, longest_keyframe_gap_s=2.0, constant_rate=True
)


def only_step(media, profile=SCREEN, details=GOOD):
    (step,) = plan(make_asset(media=media), [profile], details).steps
    return step


def test_a_video_that_fits_the_screen_exactly_is_remuxed():
    assert only_step(make_media()).way is Way.REMUX


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"video_codec": "hevc"}, "codec is hevc"),
        ({"width": 1920}, "size is 1920x720"),
        ({"rotation": 90}, "turned by 90"),
        ({"sample_aspect": "64:45"}, "not square"),
        ({"pixel_format": "yuv444p"}, "yuv444p"),
        ({"color_transfer": "smpte2084"}, "HDR"),
        ({"fps": 29.97}, "29.97 pictures"),
    ],
)
def test_any_difference_means_encoding_and_is_named(change, reason):
    step = only_step(make_media(**change))

    assert step.way is Way.ENCODE
    assert reason in " ".join(step.reasons)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"h264_profile": "High 4:4:4 Predictive"}, "4:4:4"),
        ({"level": 51}, "level is 5.1"),
        ({"progressive": False}, "interlaced"),
        ({"color_range": "pc"}, "full range"),
        ({"color_space": "bt2020nc"}, "bt2020nc"),
        ({"constant_rate": False}, "not constant"),
        ({"bitrate_kbps": 20_000}, "20000 kb/s"),
        ({"longest_keyframe_gap_s": 10.0}, "10.0 s apart"),
        ({"longest_keyframe_gap_s": 0.0}, "keyframes"),
    ],
)
def test_what_only_the_packets_tell_counts_too(change, reason):
    step = only_step(make_media(), details=replace(GOOD, **change))

    assert step.way is Way.ENCODE
    assert reason in " ".join(step.reasons)


def test_without_its_details_nothing_is_passed_through():
    assert only_step(make_media(), details=None).way is Way.ENCODE


def test_sound_is_never_passed_through():
    assert only_step(make_media(MediaKind.AUDIO), RADIO).way is Way.ENCODE


def test_all_that_is_encoded_shares_one_decode_and_a_remux_runs_alone():
    chosen = plan(make_asset(media=make_media()), [OTHER, SCREEN, RADIO], GOOD)

    assert [[step.profile for step in run] for run in chosen.runs] == [[SCREEN], [OTHER, RADIO]]
    assert chosen.expected_bytes > 0
    assert chosen.expected_seconds > 0


@pytest.mark.parametrize(
    ("media", "profile", "why"),
    [
        (make_media(MediaKind.AUDIO), SCREEN, NO_PICTURE),
        (make_media(MediaKind.IMAGE), RADIO, NO_SOUND),
        (make_media(), replace(SCREEN, width=641), ODD_SIZE),
        (make_media(), replace(SCREEN, max_duration_s=3), TOO_LONG),
        (make_media(), replace(RADIO, min_duration_s=10), TOO_SHORT),
    ],
)
def test_what_cannot_be_is_told_before_anything_runs(media, profile, why):
    chosen = plan(make_asset(media=media), [profile], GOOD)

    assert chosen.impossible == ((profile, why),)
    assert chosen.steps == ()


def test_pages_are_held_one_after_the_other():
    poster = make_media(MediaKind.DOCUMENT, pages=3)

    assert only_step(poster, replace(SCREEN, still_s=5)).duration_s == 5
    assert only_step(poster, replace(SCREEN, still_s=5, pages=Pages.ALL)).duration_s == 15
