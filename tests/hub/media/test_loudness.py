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
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-ac", "2", path], check=True)
