from dataclasses import replace

import pytest

from hub.api import AudioProfile, MediaKind, Pages, VideoProfile
from hub.media.details import VideoDetails
from hub.media.planner import NO_PICTURE, NO_SOUND, ODD_SIZE, TOO_LONG, TOO_SHORT, Way, duration_of, plan
from hub.testing import make_asset, make_media

SCREEN = VideoProfile(width=1280, height=720)
OTHER = VideoProfile(width=768, height=384)
RADIO = AudioProfile()
GOOD = VideoDetails(
    h264_profile="High",
    level=31,
    progressive=True,
    bitrate_kbps=3000,
    longest_keyframe_gap_s=2.0,
    constant_rate=True,
    picture_s=60.0,
)


def only_step(media, profile=SCREEN, details=GOOD):
    (step,) = plan(make_asset(media=media), [profile], details).steps
    return step


def test_a_video_that_fits_the_screen_exactly_is_remuxed():
    step = only_step(make_media())

    assert step.way is Way.REMUX
    assert "H.264 High 3.1, 3000 kb/s, 1280x720 at 25 pictures a second, a keyframe each 2.0 s" in step.reasons


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
        ({"picture_s": 3.0}, "the sound longer"),
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


def loud_enough(**changes):
    base = make_media(MediaKind.AUDIO, container="wav", audio_codec="pcm_s16le", audio_channels=2, sample_rate_hz=48000)
    return replace(base, loudness_lufs=-16.2, true_peak_dbtp=-1.6, **changes)


def test_sound_that_is_as_the_air_needs_it_is_remuxed():
    """`Way.REMUX` of an audio profile is `-c:a copy`: no gain, no limiter, the same samples."""
    step = only_step(loud_enough(), RADIO)

    assert step.way is Way.REMUX
    assert step.reasons == (
        "already as the air needs it",
        "pcm_s16le, 48000 Hz, stereo, -16.2 LUFS, true peak -1.6 dBTP",
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"loudness_lufs": None}, "its loudness is not known"),
        ({"loudness_lufs": -16.4}, "loudness is -16.4 LUFS, not -16"),
        ({"true_peak_dbtp": -1.0}, "true peak is -1.0 dBTP, above -1.5"),
        ({"audio_codec": "flac"}, "sound is flac, not pcm_s16le"),
        ({"audio_channels": 1}, "1 channels, not 2"),
        ({"sample_rate_hz": 44100}, "44100 Hz, not 48000"),
    ],
)
def test_any_difference_of_a_sound_means_encoding_and_all_of_them_are_named(change, reason):
    step = only_step(replace(loud_enough(), **change), RADIO)

    assert step.way is Way.ENCODE
    assert reason in step.reasons
    assert "44100 Hz, not 48000" in only_step(replace(loud_enough(sample_rate_hz=44100), **change), RADIO).reasons


def test_where_remuxing_is_switched_off_neither_picture_nor_sound_passes():
    for media, profile in ((make_media(), SCREEN), (loud_enough(), RADIO)):
        (step,) = plan(make_asset(media=media), [profile], GOOD, remux=False).steps

        assert step.way is Way.ENCODE
        assert "remux_compliant = false" in step.reasons[-1]


def test_an_mp3_is_remuxed_only_below_the_profiles_bitrate():
    profile = replace(RADIO, container="mp3", bitrate_kbps=128)
    plain = replace(loud_enough(), container="mp3", audio_codec="mp3", duration_s=10.0)

    assert only_step(replace(plain, size_bytes=160_000), profile).way is Way.REMUX
    assert "256 kb/s, above 128" in only_step(replace(plain, size_bytes=320_000), profile).reasons
    assert "bitrate is not known" in " ".join(only_step(replace(plain, video_codec="mjpeg"), profile).reasons)


def test_all_that_is_encoded_shares_one_decode_and_a_remux_runs_alone():
    chosen = plan(make_asset(media=make_media()), [OTHER, SCREEN, RADIO], GOOD)

    assert [[step.profile for step in run] for run in chosen.runs] == [[SCREEN], [OTHER, RADIO]]
    assert 0 < chosen.expected_bytes <= chosen.most_bytes


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


@pytest.mark.parametrize(("fps", "seconds"), [(25.0, 8.0), (None, 0.04)])
def test_a_video_of_one_picture_is_held_like_a_still_and_one_of_unknown_rate_is_not(fps, seconds):
    info = replace(make_media(), duration_s=0.04, fps=fps)

    assert duration_of(info, replace(SCREEN, still_s=8.0)) == seconds
