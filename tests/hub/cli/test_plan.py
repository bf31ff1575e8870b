"""`siarhub plan FILE`: what would be made, how and why, without making it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from hub.media.samples import make_audio
from tests.hub.cli.conftest import Office

BROKEN = """from hub.api import PluginSettings, hookimpl

class Broken:
    Settings = PluginSettings

    def __init__(self, context): ...

    @hookimpl
    async def hub_plan_deliveries(self, item):
        raise KeyError("[/bug]")
"""
RECORDER = """from hub.api import AudioProfile, Delivery, PluginSettings, Want, hookimpl

class Recorder:
    Settings = PluginSettings

    def __init__(self, context): ...

    @hookimpl
    async def hub_plan_deliveries(self, item):
        want = Want(asset=item.assets[0].sha256, profile=AudioProfile())
        return [Delivery(key="k", item=item.number, destination="[tape]", wants=(want,))]
"""


@pytest.fixture
def studio(office: Office) -> Office:
    with office.config.open("a") as file:
        for name in ("videotron", "radio", "archive"):
            file.write(f"[plugins.{name}]\nenabled = false\n")
    (office.folder / "plugins" / "recorder.py").write_text(RECORDER)
    return office


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_audio(tmp_path_factory.mktemp("media") / "tone.wav", 1.0, 440)


def test_a_plan_says_what_how_and_why(studio: Office, tone: Path) -> None:
    value = studio.json("plan", tone)

    (rendition,) = value["renditions"]
    assert value["file"] == "tone.wav"
    assert value["media"]["kind"] == "audio"
    assert rendition["destinations"] == ["[tape]"]
    assert {"way", "why", "profile", "duration_s", "expected_bytes"} <= rendition.keys()
    assert (value["impossible"], value["problems"]) == ([], [])
    assert "[tape]" in studio.run("plan", tone).output


def test_a_plugin_that_breaks_is_named_and_the_others_answer(studio: Office, tone: Path) -> None:
    (studio.folder / "plugins" / "broken.py").write_text(BROKEN)

    value = studio.json("plan", tone)

    assert len(value["renditions"]) == 1
    assert "broken" in value["problems"][0]
    assert "[/bug]" in studio.run("plan", tone).output


def test_a_file_that_is_no_media_is_a_no_in_the_offices_language(studio: Office, tmp_path: Path) -> None:
    text = tmp_path / "a.mp4"
    text.write_text("no video")

    result = studio.run("plan", text)

    assert result.exit_code == 1
    assert "bukan video" in result.stderr


def test_a_missing_file_is_wrong_usage(studio: Office) -> None:
    assert studio.run("plan", "/nowhere.mp4").exit_code == 2


def test_a_name_that_looks_like_an_option_can_be_planned(studio: Office, tone: Path, tmp_path: Path) -> None:
    odd = tmp_path / "-i.wav"
    shutil.copyfile(tone, odd)

    assert studio.run("plan", "--", odd).exit_code == 0
