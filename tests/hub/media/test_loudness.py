import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from hub.api import AudioProfile, Rendition
from hub.media import samples
from hub.media.loudness import check_audio
from hub.messages import Refusal

CLICKS = "sine=f=400:d=3,volume=-35dB,volume='if(lt(mod(t,1),0.002),50,1)':eval=frame"


def independent_measure(path: Path) -> float:
    """Integrated loudness by loudnorm's own meter, not the one that the code uses."""
    command = [
        "ffmpeg",
        "-hide_banner",
        "-nostats",
        "-i",
        path,
        "-af",
        "loudnorm=print_format=summary",
        "-f",
        "null",
        "-",
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return float(text.split("Input Integrated:")[1].split()[0])


@pytest.mark.parametrize(
    ("channels", "volume_db", "target"), [(2, -12.0, -16.0), (1, -12.0, -16.0), (2, -45.0, -16.0), (2, -6.0, -23.0)]
)
@pytest.mark.parametrize("container", ["wav", "mp3"])
async def test_every_sound_comes_to_the_loudness_of_its_profile(
    tmp_path, transcoder, asset_of, channels, volume_db, target, container
):
    path = samples.make_audio(tmp_path / "a.wav", 2, channels=channels, volume_db=volume_db)
    profile = AudioProfile(loudness_lufs=target, container=container)

    (made,) = await transcoder.make(await asset_of(path), [profile])

    assert made.loudness_lufs == pytest.approx(target, abs=0.3)
    assert independent_measure(made.path) == pytest.approx(target, abs=0.3)
    assert made.true_peak_dbtp <= profile.true_peak_dbtp
    assert made.limited_db == 0.0
    assert (made.media.audio_channels, made.media.sample_rate_hz) == (2, 48000)


async def test_much_limiting_is_told_and_the_peak_still_holds(tmp_path, transcoder, asset_of):
    _lavfi(CLICKS, tmp_path / "a.wav")

    (made,) = await transcoder.make(await asset_of(tmp_path / "a.wav"), [AudioProfile()])

    assert made.limited_db > 6
    assert made.true_peak_dbtp <= -1.5


async def test_silence_is_refused_before_acceptance(tmp_path, settings):
    with pytest.raises(Refusal, match="silent from beginning to end"):
        await check_audio(samples.make_silence(tmp_path / "a.wav"), settings=settings)


async def test_silence_is_not_made(tmp_path, transcoder, asset_of):
    (made,) = await transcoder.make(await asset_of(samples.make_silence(tmp_path / "a.wav")), [AudioProfile()])

    assert not isinstance(made, Rendition)
    assert "silent" in str(made.reason)


async def test_sound_that_can_be_heard_passes(tmp_path, settings):
    measured = await check_audio(samples.make_audio(tmp_path / "a.mp3", 2), settings=settings)

    assert measured.seconds == pytest.approx(2.0, abs=0.1)
    assert -40 < measured.integrated_lufs < -20


@pytest.mark.parametrize(
    ("sound", "ending", "clipped"),
    [
        ("anoisesrc=d=2:c=pink:a=0.9:seed=1,volume=16dB", "wav", True),
        ("anoisesrc=d=2:c=pink:a=0.9:seed=1,volume=16dB", "mp3", True),
        ("sine=d=2,volume=40dB", "wav", True),
        ("anoisesrc=d=2:c=pink:a=0.9:seed=1", "wav", False),
        ("sine=d=2,volume=20dB", "wav", False),
        ("sine=d=2,volume=20dB", "m4a", False),
    ],
)
async def test_sound_that_was_recorded_too_loud_is_known(tmp_path, asset_of, sound, ending, clipped):
    _lavfi(sound, tmp_path / f"a.{ending}")

    assert (await asset_of(tmp_path / f"a.{ending}")).media.clipped is clipped


async def test_a_video_with_a_silent_track_is_taken_and_known_to_be_silent(tmp_path, asset_of):
    _ffmpeg("-f", "lavfi", "-i", "testsrc2=d=1:s=128x72", "-f", "lavfi", "-i", "anullsrc=d=1", tmp_path / "a.mp4")

    media = (await asset_of(tmp_path / "a.mp4")).media

    assert media.is_silent
    assert not media.clipped


async def test_damaged_sound_beside_a_picture_leaves_its_loudness_unknown(tmp_path, asset_of, settings):
    path = samples.make_video(tmp_path / "a.mkv", 2)
    whole = tmp_path / "whole.mkv"
    _ffmpeg("-i", path, "-map", "0", "-c", "copy", "-bsf:a", "noise=amount=5", whole)

    media = (await asset_of(whole)).media

    assert media.has_sound
    assert media.loudness_lufs is None
    with pytest.raises(Refusal, match="damaged"):
        await check_audio(whole, settings=settings)


async def test_sound_that_fits_already_passes_through_bit_for_bit(tmp_path, transcoder, asset_of):
    path = samples.make_audio(tmp_path / "a.wav", 2, volume_db=-12.0)
    (first,) = await transcoder.make(await asset_of(path), [AudioProfile()])

    (again,) = await transcoder.make(await asset_of(first.path), [AudioProfile()])

    assert again.sha256 == first.sha256
    assert again.loudness_lufs == pytest.approx(-16.0, abs=0.3)


async def test_two_loudnesses_of_one_sound_are_not_mistaken_for_each_other(tmp_path, transcoder, asset_of):
    path = samples.make_audio(tmp_path / "a.wav", 2, volume_db=-12.0)

    made = await transcoder.make(await asset_of(path), [AudioProfile(loudness_lufs=-23.0), AudioProfile()])

    assert [one.loudness_lufs for one in made] == [pytest.approx(-23.0, abs=0.3), pytest.approx(-16.0, abs=0.3)]
    assert [independent_measure(one.path) for one in made] == [pytest.approx(-23, abs=0.3), pytest.approx(-16, abs=0.3)]


async def test_too_short_and_too_long_are_refused(tmp_path, settings):
    path = samples.make_audio(tmp_path / "a.wav", 2)

    for limits, text in (({"min_duration_s": 5.0}, "at least 5"), ({"max_duration_s": 1.0}, "at most 1")):
        with pytest.raises(Refusal, match=text):
            await check_audio(path, settings=settings, profile=replace(AudioProfile(), **limits))


async def test_a_file_without_sound_is_refused(tmp_path, settings):
    for path in (samples.make_video(tmp_path / "a.mp4", 1, tone_hz=None), samples.make_pdf(tmp_path / "a.pdf")):
        with pytest.raises(Refusal, match="has no sound"):
            await check_audio(path, settings=settings)


def _lavfi(source: str, path: Path) -> None:
    _ffmpeg("-f", "lavfi", "-i", source, "-ac", "2", path)


def _ffmpeg(*words: str | Path) -> None:
    subprocess.run(
        [
            "ffmpeg",
            "-v",
            "error",
            *words,
        ],
        check=True,
    )
