from dataclasses import replace

import pytest

from hub.api import AudioProfile, Fit, Pages, ThumbnailProfile, VideoProfile
from hub.api.profiles import profile_digest, profile_from_json, profile_to_json

PROFILES = [
    VideoProfile(width=768, height=384),
    VideoProfile(width=1920, height=540, fit=Fit.CROP, pages=Pages.ALL, with_sound=True),
    AudioProfile(),
    AudioProfile(container="mp3", loudness_lufs=-23),
    ThumbnailProfile(width=320, height=180),
]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_survives_the_way_through_json(profile):
    assert profile_from_json(profile_to_json(profile)) == profile


def test_equal_profiles_have_equal_digests_even_when_a_float_was_written_as_an_integer():
    assert profile_digest(AudioProfile(loudness_lufs=-16)) == profile_digest(AudioProfile(loudness_lufs=-16.0))


def test_every_difference_gives_another_digest():
    base = VideoProfile(width=768, height=384)
    others = [replace(base, height=386), replace(base, fit=Fit.FILL), replace(base, with_sound=True), AudioProfile()]

    assert len({profile_digest(profile) for profile in [base, *others]}) == 5


def test_the_digest_is_the_same_for_ever():
    """Golden value: a change here makes every rendition in every ledger again."""
    assert profile_to_json(AudioProfile()) == (
        '{"bitrate_kbps":192,"container":"wav","kind":"audio","loudness_lufs":-16.0,"max_duration_s":3600.0,'
        '"min_duration_s":0.5,"sample_rate_hz":48000,"true_peak_dbtp":-1.5}'
    )


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"kind":"smell"}', '{"kind":"audio","colour":1}', '{"kind":"video"}']
)
def test_anything_else_is_refused(text):
    with pytest.raises(ValueError, match="not a profile"):
        profile_from_json(text)
