"""The commands of an emergency: what they ask, what they order, and what they refuse before anybody is told."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from hub.api import Outcome
from plugins.videotron.commands import videotron
from plugins.videotron.emergency.reckoning import FILE
from plugins.videotron.settings import ScreenSettings, VideotronSettings

DONE = Outcome(done=True, message="Darurat banjir")
WITA = ZoneInfo("Asia/Makassar")
SCREEN = ScreenSettings(width=64, height=32, groups=("gates",))


@dataclass
class Hub:
    """What the hub lends a command; `answer` is the outcome of every order."""

    folder: Path
    answer: Outcome = DONE
    given: list[tuple[str, Mapping[str, str], str]] = field(default_factory=list)
    screens: Mapping[str, ScreenSettings] = field(default_factory=lambda: {"gate-1": SCREEN, "gate-2": SCREEN})
    caller: str = "root (ahmad)"
    zone: ZoneInfo = WITA

    @property
    def drop_folder(self) -> Path:
        return self.folder / "Disetujui"

    def settings(self, plugin: str, model: Any) -> VideotronSettings:
        return VideotronSettings(screens=dict(self.screens))

    def state_dir(self, plugin: str) -> Path:
        return self.folder

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        self.given.append((name, args, why))
        return self.answer

    def run(self, *words: str, says: str = "") -> Result:
        return CliRunner().invoke(videotron, words, obj=self, input=says)


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    (tmp_path / "Disetujui").mkdir()
    return Hub(tmp_path)


BANJIR = ("emergency", "banjir", "--screens", "gates", "--why", "meluap")


def test_a_template_is_ordered_for_the_screens_that_were_named_in_the_question(hub: Hub) -> None:
    result = hub.run(*BANJIR, "--until", "3h", says="y\n")

    [(name, args, why)] = hub.given
    assert (name, args["template"], args["screens"], why) == (
        "videotron.emergency",
        "banjir",
        "gate-1,gate-2",
        "meluap",
    )
    assert (
        timedelta(hours=2, minutes=59) < datetime.fromisoformat(args["until"]) - datetime.now(UTC) < timedelta(hours=3)
    )
    assert "EMERGENCY banjir on 2 screens (gate-1, gate-2), until" in result.stderr
    assert (result.exit_code, "Darurat banjir" in result.stdout) == (0, True)


@pytest.mark.parametrize("says", ["n\n", "", "\n"])
def test_without_a_yes_nothing_is_ordered(hub: Hub, says: str) -> None:
    assert hub.run(*BANJIR, says=says).exit_code == 1
    assert hub.given == []


@pytest.mark.parametrize(
    "words",
    [
        ("emergency", "banjir", "--screens", "gates", "--why", "x", "--until", "soon"),
        ("emergency", "banjir", "--screens", "gates", "--why", " "),
        ("emergency", "banjir", "--screens", "gates"),
        ("blackout", "--why", "x"),
    ],
)
def test_what_is_asked_wrongly_is_answered_with_2(hub: Hub, words: tuple[str, ...]) -> None:
    assert hub.run(*words, "--yes").exit_code == 2
    assert hub.given == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("blackout", "--screens", "gate-3", "--why", "x"), "Did you mean gate-"),
        (("emergency", "./nowhere.mp4", "--screens", "all", "--why", "x"), "there is no such file"),
    ],
)
def test_what_cannot_be_is_answered_with_1(hub: Hub, words: tuple[str, ...], said: str) -> None:
    result = hub.run(*words, "--yes")

    assert (result.exit_code, said in result.stderr, hub.given) == (1, True, [])


def test_a_refusal_is_the_answer_no(hub: Hub) -> None:
    hub.answer = Outcome(done=False, message="daemon tidak berwenang")

    result = hub.run("clear", "--screens", "all", "--yes")
    as_json = hub.run("clear", "--screens", "all", "--yes", "--json")

    assert (result.exit_code, result.stderr) == (1, "daemon tidak berwenang\n")
    assert (as_json.exit_code, json.loads(as_json.stdout)["done"]) == (1, False)


def test_who_may_not_order_an_emergency_drops_nothing(hub: Hub) -> None:
    hub.answer = Outcome(done=False, message="daemon tidak berwenang")
    (hub.folder / "film.mp4").write_bytes(b"film")

    result = hub.run("emergency", str(hub.folder / "film.mp4"), "--screens", "all", "--why", "x", "--yes")

    assert result.exit_code == 1
    assert list(hub.drop_folder.iterdir()) == []


def test_a_file_is_ordered_by_its_hash_dropped_and_followed_to_the_screen(hub: Hub) -> None:
    film = hub.folder / "film.mp4"
    film.write_bytes(b"film")

    class Daemon(Hub):
        def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
            row = {
                "screen": "gate-1", "state": "in force", "mode": "emergency", "reference": args["reference"],
                "part": None, "left_s": None, "blocks": None, "offline_since": None, "reason": "",
            }  # fmt: skip
            (self.folder / FILE).write_text(json.dumps({"screens": [row, row | {"reference": "another"}]}))
            return super().order(name, args, why)

    daemon = Daemon(hub.folder)
    result = daemon.run("emergency", str(film), "--screens", "gates", "--why", "x", "--until", "1h", "--yes", "--json")

    [(_, args, _)] = daemon.given
    answer = json.loads(result.stdout)
    sidecar = json.loads((hub.drop_folder / f"{args['reference']}.json").read_text())
    assert (result.exit_code, answer["done"], len(answer["screens"])) == (0, True, 1)
    assert (sidecar["Layar"], sidecar["Penyetuju"], sidecar["Prioritas"]) == (["gates"], "root (ahmad)", "segera")
    assert (sidecar["Nomor persetujuan"], sidecar["Selesai"]) == (args["reference"], args["until"])
    assert (hub.drop_folder / f"{args['reference']}.mp4").read_bytes() == b"film"
