"""`siarhub videotron screenshot`, as a technician types it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hub.api import Outcome
from plugins.videotron.commands import videotron
from plugins.videotron.screenshots.shots import Answer
from plugins.videotron.settings import ScreenSettings, VideotronSettings


class Commands:
    """What the hub gives a plugin's commands; its daemon answers what a test says."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome
        self.ordered: list[tuple[str, Mapping[str, str]]] = []

    def settings(self, plugin: str, model: type) -> VideotronSettings:
        return VideotronSettings(screens={"gate-1": ScreenSettings(width=64, height=32)})

    def order(self, name: str, args: Mapping[str, str], why: str) -> Outcome:
        self.ordered.append((name, args))
        return self._outcome


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "20261122T040000Z.jpg"
    path.write_bytes(b"a picture")
    return path


def ask(*words: str, outcome: Outcome) -> tuple[Result, Commands]:
    hub = Commands(outcome)
    return CliRunner().invoke(videotron, ["screenshot", *words], obj=hub, catch_exceptions=False), hub


def told(picture: Path, verdict: str, text: str) -> Outcome:
    return Outcome(done=True, message=Answer(picture=str(picture), verdict=verdict, text=text).write())


def test_the_path_and_the_verdict_are_told(picture):
    result, hub = ask("gate-1", outcome=told(picture, "match", "it shows what was approved"))

    assert result.exit_code == 0
    assert result.output == f"{picture}\nit shows what was approved\n"
    assert hub.ordered == [("videotron.screenshot", {"screen": "gate-1"})]


@pytest.mark.parametrize(("verdict", "code"), [("match", 0), ("cannot tell", 0), ("mismatch", 1), ("black", 1)])
def test_a_wrong_picture_exits_with_1(picture, verdict, code):
    assert ask("gate-1", outcome=told(picture, verdict, "..."))[0].exit_code == code


def test_the_picture_is_copied_to_where_it_is_wanted(picture, tmp_path):
    out = tmp_path / "now.jpg"

    result, _ = ask("gate-1", "--out", str(out), "--json", outcome=told(picture, "match", "fine"))

    assert out.read_bytes() == b"a picture"
    answer: dict[str, Any] = json.loads(result.output)
    assert answer == {"screen": "gate-1", "picture": str(out), "verdict": "match", "text": "fine"}


def test_a_picture_that_cannot_be_copied_is_said_with_where_it_is(picture, tmp_path):
    result, _ = ask("gate-1", "--out", str(tmp_path / "no" / "x.jpg"), outcome=told(picture, "match", "fine"))

    assert result.exit_code == 1
    assert str(picture) in result.output


def test_a_player_that_is_offline_exits_with_1_and_says_so():
    result, _ = ask("gate-1", outcome=Outcome(done=False, message="gate-1 is offline: it was never heard"))

    assert (result.exit_code, result.output) == (1, "gate-1 is offline: it was never heard\n")


def test_a_screen_that_is_not_there_is_wrong_usage():
    result, hub = ask("gate-9", outcome=Outcome(done=True, message=""))

    assert result.exit_code == 2
    assert "gate-1" in result.output
    assert hub.ordered == []
