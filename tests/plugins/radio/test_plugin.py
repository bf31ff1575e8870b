from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import Channel, HealthState, MediaKind, RetryLater
from hub.messages import catalogue
from hub.testing import NOON, make_asset, make_context, make_item, make_media, make_rendition
from plugins.radio import plugin as module
from plugins.radio.check import make_tone
from plugins.radio.media import SoundDamaged, place, sweep
from plugins.radio.plugin import RadioPlugin
from plugins.radio.settings import RadioSettings

AUDIO = make_asset(media=make_media(MediaKind.AUDIO), name="spot.wav")
SILENT = make_asset(media=make_media(MediaKind.VIDEO, audio_codec=""), name="bisu.mp4")


@pytest.fixture
def radio(tmp_path: Path) -> RadioPlugin:
    return RadioPlugin(make_context(RadioSettings(socket=tmp_path / "none.sock"), tmp_path, name="radio"))


async def test_the_audio_file_airs_rather_than_the_sound_of_the_video(radio: RadioPlugin) -> None:
    item = make_item(assets=(make_asset(), AUDIO))

    (delivery,) = await radio.hub_plan_deliveries(item)

    assert (delivery.key, delivery.destination) == ("IP-2026-11-0001/radio", "Radio Abdi Persada")
    assert delivery.wants[0].asset == AUDIO.sha256
    assert [delivery] == list(await radio.hub_plan_deliveries(item))


async def test_no_radio_channel_means_no_delivery_and_no_objection(radio: RadioPlugin) -> None:
    item = make_item(assets=(SILENT,), channels=frozenset({Channel.VIDEOTRON}))

    assert await radio.hub_plan_deliveries(item) == []
    assert await radio.hub_check_item(item) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"assets": (SILENT,)}, "no sound"),
        ({"assets": (make_asset(media=make_media(MediaKind.AUDIO, duration_s=9999.0)),)}, "at most 900"),
        ({"assets": (make_asset(media=make_media(MediaKind.AUDIO, duration_s=0.2)),)}, "at least 0.5"),
        ({"assets": (AUDIO,), "end": NOON + timedelta(seconds=3)}, "shorter than the sound"),
    ],
)
async def test_what_can_not_air_is_objected_to(radio: RadioPlugin, changes: dict[str, object], problem: str) -> None:
    (said,) = await radio.hub_check_item(make_item(**changes))

    assert problem in said


def test_every_sentence_for_the_office_is_translated() -> None:
    indonesian = catalogue("id", Path(module.__file__).parent)

    assert "antrean siaran" in indonesian("Held in the radio queue.")
    assert "paling lama 900 detik" in indonesian(
        "The sound lasts {seconds:.0f} s; the radio takes at most {limit:g} s. Shorten it.", seconds=9999.0, limit=900.0
    )


def test_a_folder_that_can_not_be_made_is_a_problem_and_a_missing_executor_is_not(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bad = RadioSettings(media_folder=tmp_path / "file" / "media", socket=tmp_path / "none.sock")

    assert list(RadioPlugin(make_context(RadioSettings(), tmp_path, name="a")).hub_check_environment()) == []
    (problem,) = RadioPlugin(make_context(bad, tmp_path, name="b")).hub_check_environment()
    assert str(tmp_path / "file" / "media") in problem


def test_an_executor_that_does_not_answer_is_named_by_the_check(radio: RadioPlugin, tmp_path: Path) -> None:
    (problem,) = radio.hub_check_reachable()

    assert str(tmp_path / "none.sock") in problem


async def test_withdrawing_what_was_never_held_succeeds(radio: RadioPlugin) -> None:
    await radio.hub_withdraw(make_item(), "keliru")
    assert (await radio.hub_health()).state is HealthState.DOWN


async def test_a_rendition_that_changed_is_not_put_on_air(radio: RadioPlugin, tmp_path: Path) -> None:
    item = make_item(assets=(AUDIO,))
    (delivery,) = await radio.hub_plan_deliveries(item)
    sound = tmp_path / f"{make_tone(tmp_path)}.wav"
    rendition = make_rendition(sound, AUDIO, delivery.wants[0].profile, make_media(MediaKind.AUDIO))
    sound.write_bytes(b"other")

    with pytest.raises(RetryLater, match="changed"):
        await radio.hub_deliver(delivery, item, [rendition])


def test_sound_stands_under_its_hash_and_only_ours_is_swept(tmp_path: Path) -> None:
    source, folder = tmp_path / "a b;c.wav", tmp_path / "media"
    digest = make_tone(tmp_path, seconds=0.2)
    (tmp_path / f"{digest}.wav").rename(source)

    placed = place(source, digest, folder)
    placed.with_name("siaran.wav").write_text("somebody's own")

    assert placed.name == f"{digest}.wav"
    assert place(source, digest, folder) == placed
    assert placed.samefile(source)
    assert sweep(folder, frozenset({placed.name})) == []
    assert sweep(folder, frozenset()) == [placed.name]
    assert [path.name for path in folder.iterdir()] == ["siaran.wav"]


def test_a_link_in_the_media_folder_is_replaced_never_followed(tmp_path: Path) -> None:
    digest = make_tone(tmp_path, seconds=0.2)
    folder = tmp_path / "media"
    folder.mkdir()
    target = folder / f"{digest}.wav"
    target.symlink_to(tmp_path / f"{digest}.wav")

    place(tmp_path / f"{digest}.wav", digest, folder)

    assert not target.is_symlink()
    with pytest.raises(SoundDamaged):
        place(tmp_path / f"{digest}.wav", "0" * 64, folder)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong", [{"every": "sometimes"}, {"station": "Abdi Persada"}, {"max_attempts": 0}, {"evry": "1 h"}]
)
def test_wrong_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        RadioSettings(**wrong)  # type: ignore[arg-type]


def test_every_setting_is_described() -> None:
    assert not [
        name for name, field in RadioSettings.model_fields.items() if not field.description and name != "enabled"
    ]
