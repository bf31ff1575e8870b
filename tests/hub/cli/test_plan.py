"""`siarhub plan FILE`: what would be made, how and why, without making it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from hub.api import Asset, Channel, Delivery, Draft, VideoProfile, Want
from hub.api.files import sha256_of
from hub.ledger import deliveries, items, renditions
from hub.ledger.database import open_for_writing, transaction
from hub.media.samples import make_audio, make_video
from hub.testing import NOON, make_media, make_rendition
from tests.hub.cli.conftest import Office
from tests.hub.world import WITA

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

WALLS = """from hub.api import Channel, Delivery, PluginSettings, VideoProfile, Want, hookimpl

SIZES = {"gate": (64, 48), "hall": (96, 64)}

class Walls:
    Settings = PluginSettings

    def __init__(self, context): ...

    @hookimpl
    async def hub_check_item(self, draft):
        return [f"There is no screen {one}." for one in draft.screens if one not in SIZES]

    @hookimpl
    async def hub_plan_deliveries(self, item):
        if Channel.VIDEOTRON not in item.channels:
            return [Delivery(key=f"{item.number}/file", item=item.number, destination="shelf")]
        return [
            Delivery(key=f"{item.number}/{name}", item=item.number, destination=name, wants=tuple(
                Want(asset=asset.sha256, profile=VideoProfile(width=w, height=h, fps=10, max_duration_s=5))
                for asset in item.assets
            ))
            for name, (w, h) in SIZES.items() if name in (item.screens or SIZES)
        ]
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


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("media") / "clip.mp4", 1.0, (96, 64), fps=10)


@pytest.fixture
def walls(office: Office) -> Office:
    with office.config.open("a") as file:
        for name in ("videotron", "radio", "archive"):
            file.write(f"[plugins.{name}]\nenabled = false\n")
    (office.folder / "plugins" / "walls.py").write_text(WALLS)
    return office


def beside(clip: Path, folder: Path, sidecar: str) -> Path:
    (folder / "clip.txt").write_text(sidecar)
    shutil.copyfile(clip, folder / "clip.mp4")
    return folder / "clip.mp4"


def test_every_output_has_its_reasons_sizes_and_time_and_shares_a_decode(walls: Office, clip: Path) -> None:
    value = walls.json("plan", clip)
    shown = walls.run("plan", clip).output

    assert [(one["destinations"], one["output"]) for one in value["renditions"]] == [
        (["hall"], "96x64 H.264"),
        (["gate"], "64x48 H.264"),
    ]
    assert [one["way"] for one in value["renditions"]] == ["remux", "encode"]
    assert value["renditions"][1]["why"] == ["size is 96x64, not 64x48"]
    assert all(0 < one["expected_bytes"] <= one["most_bytes"] for one in value["renditions"])
    assert value["expected_seconds"] > 0
    for text in ("about", "at most", "ready after", "remux: its coded picture", "never copied", "byte for byte"):
        assert text in " ".join(shown.split()), shown


def test_the_commands_shown_make_what_they_say(walls: Office, clip: Path, tmp_path: Path) -> None:
    commands = [line for line in walls.run("plan", "-v", clip).output.splitlines() if line.startswith("ffmpeg ")]

    assert len(commands) == 2
    assert [shlex.split(line)[:-1] for line in commands] == [
        run["command"][:-1] for run in walls.json("plan", clip)["runs"]
    ]
    for command in commands:
        here = command.replace(f"file:{Path.cwd()}/0.mp4", f"file:{tmp_path}/0.mp4")
        subprocess.run(shlex.split(here), check=True, cwd=tmp_path, capture_output=True)
        assert (tmp_path / "0.mp4").stat().st_size > 0


def test_a_sidecar_is_heeded(walls: Office, clip: Path, tmp_path: Path) -> None:
    dropped = beside(clip, tmp_path, "Judul: Siaga\nLayar: gate\nPrioritas: segera\n")

    value = walls.json("plan", dropped)

    assert (value["title"], value["screens"], value["priority"]) == ("Siaga", ["gate"], "urgent")
    assert [one["destinations"] for one in value["renditions"]] == [["gate"]]
    assert "Nomor persetujuan" in value["notes"][0]


def test_a_channel_of_the_sidecar_is_heeded_and_the_original_is_said_to_be_copied(
    walls: Office, clip: Path, tmp_path: Path
) -> None:
    dropped = beside(clip, tmp_path, "Saluran: arsip\n")

    value = walls.json("plan", dropped)

    assert (value["renditions"], value["originals"]) == ([], ["shelf"])
    assert "copy" in walls.run("plan", dropped).output


@pytest.mark.parametrize(("line", "reason"), [("Layar: roof", "There is no screen roof."), ("Warna: merah", "Warna")])
def test_what_would_be_refused_is_a_no_with_the_reason(
    walls: Office, clip: Path, tmp_path: Path, line: str, reason: str
) -> None:
    result = walls.run("plan", beside(clip, tmp_path, line + "\n"))

    assert (result.exit_code, reason in result.stderr) == (1, True)


def test_a_folder_is_one_item_of_several_files(walls: Office, clip: Path, tmp_path: Path) -> None:
    shutil.copyfile(clip, tmp_path / "a.mp4")
    make_video(tmp_path / "b.mp4", 1.0, (64, 48), fps=10)
    (tmp_path / "info.txt").write_text("Judul: Dua\nLayar: gate\n")

    value = walls.json("plan", tmp_path)

    assert [one["name"] for one in value["files"]] == ["a.mp4", "b.mp4"]
    assert [(one["file"], one["way"]) for one in value["renditions"]] == [("a.mp4", "encode"), ("b.mp4", "remux")]
    assert value["title"] == "Dua"


def test_the_bad_file_of_a_folder_is_named(walls: Office, clip: Path, tmp_path: Path) -> None:
    shutil.copyfile(clip, tmp_path / "a.mp4")
    (tmp_path / "b.mp4").write_text("no video")

    result = walls.run("plan", tmp_path)

    assert (result.exit_code, result.stderr.startswith("b.mp4: ")) == (1, True)


def test_what_is_impossible_says_why_with_its_numbers(walls: Office, tmp_path: Path) -> None:
    long = make_video(tmp_path / "long.mp4", 6.0, (64, 48), fps=10)

    (gate, _) = walls.json("plan", long)["impossible"]

    assert gate["output"] == "64x48 H.264"
    assert "5" in gate["why"]
    assert "{limit}" not in gate["why"]


def test_a_pipe_is_refused_and_not_waited_for(walls: Office, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")

    assert walls.run("plan", tmp_path / "pipe.mp4").exit_code == 1


def test_planning_changes_nothing(walls: Office, clip: Path, tmp_path: Path) -> None:
    dropped = beside(clip, tmp_path, "Judul: Siaga\n")
    before = {one: sha256_of(one) for one in tmp_path.iterdir()}

    walls.json("plan", dropped)

    assert {one: sha256_of(one) for one in tmp_path.iterdir()} == before
    assert list(walls.state.iterdir()) == []


def test_what_is_made_already_costs_nothing_and_the_item_is_named(walls: Office, clip: Path) -> None:
    first = walls.json("plan", clip)
    profile = VideoProfile(width=64, height=48, fps=10, max_duration_s=5)
    asset = Asset(sha256=sha256_of(clip), path=clip, original_name="clip.mp4", media=make_media())
    db = open_for_writing(walls.ledger)
    draft = Draft(
        title="Siaga", assets=(asset,), channels=frozenset(Channel), start=NOON, end=NOON + timedelta(days=30)
    )
    with transaction(db):
        item = items.accept(db, draft, name="clip.mp4", sidecar="", plugins=(), now=NOON, zone=WITA)
        want = Want(asset=asset.sha256, profile=profile)
        delivery = Delivery(key="k", item=item.number, destination="gate", wants=(want,))
        deliveries.plan(db, item, "walls", [delivery], now=NOON, transcode_at=NOON)
        renditions.made(db, make_rendition(clip, asset, profile))
    db.close()

    value = walls.json("plan", clip)

    assert value["same_bytes_as"] == [item.number]
    assert [(one["destinations"], one["way"]) for one in value["renditions"]] == [
        (["hall"], "remux"),
        (["gate"], "made"),
    ]
    assert value["expected_seconds"] < first["expected_seconds"]
    assert item.number in walls.run("plan", clip).output
