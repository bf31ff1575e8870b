from dataclasses import replace
from pathlib import Path

from hub.api import AudioProfile, VideoProfile
from hub.media.details import VideoDetails
from hub.media.pace import Pace, expect
from hub.media.planner import plan
from hub.testing import make_asset, make_media

CAMERA = replace(make_media(), width=1920, height=1080, duration_s=60.0, size_bytes=90_000_000)
SCREEN = VideoProfile(width=1920, height=1080)
GOOD = VideoDetails(
    h264_profile="High",
    level=31,
    progressive=True,
    bitrate_kbps=3000,
    longest_keyframe_gap_s=2.0,
    constant_rate=True,
    picture_s=60.0,
)


def seconds(*profiles, media=CAMERA, cores=2, details=None, factor=1.0) -> float:
    chosen = plan(make_asset(media=media), profiles, details)
    return expect(media, chosen, cores=cores, factor=factor).seconds


def test_more_work_takes_longer_and_more_cores_less():
    once = seconds(SCREEN)

    assert seconds(replace(SCREEN, preset="medium")) > 1.4 * once
    assert seconds(SCREEN, media=replace(CAMERA, duration_s=120.0)) > 1.8 * once
    assert seconds(SCREEN, cores=8) < 0.5 * once
    assert seconds(SCREEN, factor=3.0) > 2.9 * once


def test_one_decode_for_two_screens_is_expected_to_be_cheaper_than_two():
    other = replace(SCREEN, width=768, height=384)

    assert seconds(SCREEN, other) < 0.9 * (seconds(SCREEN) + seconds(other))


def test_a_remux_is_expected_to_take_a_fraction_of_an_encode():
    assert seconds(SCREEN, details=GOOD) < 0.3 * seconds(SCREEN)


def test_each_run_has_its_share_of_the_making():
    chosen = plan(make_asset(media=CAMERA), [SCREEN, replace(SCREEN, width=768, height=384), AudioProfile()], GOOD)

    remux, encode = expect(CAMERA, chosen).shares

    assert remux < 0.3 < encode
    assert abs(remux + encode - 1) < 1e-9


def test_what_was_really_seen_corrects_it_and_outlives_a_restart(tmp_path: Path):
    pace = Pace(tmp_path / "pace.json")
    for took in (20.0, 30.0, 9000.0):
        pace.note(expected_s=10.0, took_s=took)

    assert pace.factor == 3.0
    assert Pace(tmp_path / "pace.json").factor == 3.0


def test_a_damaged_file_is_no_more_than_a_forgotten_pace(tmp_path: Path):
    (tmp_path / "pace.json").write_text('{"no": "list"}')

    assert Pace(tmp_path / "pace.json").factor == 1.0
