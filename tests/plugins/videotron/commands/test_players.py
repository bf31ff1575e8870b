"""`siarhub videotron players`, as a technician types it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from plugins.videotron.commands import videotron
from plugins.videotron.screens.condition import unheard
from plugins.videotron.screens.snapshot import write_snapshot
from plugins.videotron.settings import ScreenSettings, VideotronSettings

SCREENS = {"gate-1": ScreenSettings(width=768, height=384), "hall-1": ScreenSettings(width=64, height=32)}


class Commands:
    """What the hub gives a plugin's commands."""

    zone = ZoneInfo("Asia/Makassar")

    def __init__(self, folder: Path, screens: dict[str, ScreenSettings]) -> None:
        self._folder = folder
        self._settings = VideotronSettings(screens=screens)

    def settings(self, plugin: str, model: type) -> VideotronSettings:
        return self._settings

    def state_dir(self, plugin: str) -> Path:
        return self._folder


@pytest.fixture
def ask(tmp_path: Path):  # type: ignore[no-untyped-def]
    """What the command answers, with these rows written by the hub just now."""

    def invoke(*words: str, rows: list[dict[str, Any]] | None = None, screens: Any = SCREENS) -> Result:
        if rows is not None:
            write_snapshot(tmp_path, datetime.now(UTC), rows)
        return CliRunner().invoke(
            videotron, ["players", *words], obj=Commands(tmp_path, screens), catch_exceptions=False
        )

    return invoke


def well(player: str, **changes: Any) -> dict[str, Any]:
    followed = {"epoch_followed": 0, "seq_followed": 0, "shows": "items"}
    now = {"online": True, "last_seen": datetime.now(UTC).isoformat(), "problems": []}
    return unheard(player, SCREENS[player]) | now | followed | changes


def test_screens_that_are_well_are_no_reason_to_act(ask):
    result = ask(rows=[well("gate-1"), well("hall-1")])

    assert result.exit_code == 0, result.output
    assert result.output.count(" ok ") == 2


def test_who_is_dark_is_shown_with_what_to_do_and_exits_with_1(ask):
    problem = {"code": "disk full", "text": "5 MB are free", "remedy": "Kosongkan.", "remedy_en": "Make room."}
    gone = unheard("hall-1", SCREENS["hall-1"]) | {"last_seen": "2026-11-22T04:00:00.123456+00:00"}

    result = ask(rows=[well("gate-1", problems=[problem], wanted=2), gone])

    assert result.exit_code == 1
    for part in ("trouble", "0 of 2", "disk full: 5 MB are free", "→ Kosongkan.", "OFFLINE"):
        assert part in result.output, part
    assert "22-11 12:00" in result.output  # the people's time


def test_a_wrong_picture_exits_with_1_though_the_player_is_there(ask):
    shot = {
        "at": "2026-11-22T04:00:00Z",
        "verdict": "mismatch",
        "alarm": "wrong picture",
        "picture": "",
        "approved": "",
    }

    result = ask(rows=[well("gate-1", shot=shot), well("hall-1")])

    assert result.exit_code == 1
    assert "WRONG PICTURE" in result.output


def test_a_configured_screen_is_listed_before_the_hub_has_written_of_it(ask):
    result, rows = ask(), json.loads(ask("--json").output)

    assert result.exit_code == 1
    assert result.output.count("NEVER HEARD") == 2
    assert [(row["player"], row["width"], row["online"]) for row in rows] == [
        ("gate-1", 768, False),
        ("hall-1", 64, False),
    ]


def test_what_an_older_hub_wrote_is_still_shown(ask):
    old = {"player": "gate-1", "online": True, "last_seen": "2026-11-22T04:00:00+00:00", "serial": 4, "errors": ["x"]}

    assert ask(rows=[old]).exit_code == 1
    assert ask("gate-1", rows=[old]).exit_code == 0


def test_one_screen_is_shown_alone_with_all_about_it(ask):
    result = ask("gate-1", rows=[well("gate-1", software="siarhub-player 9"), well("hall-1")])

    assert "siarhub-player 9" in result.output
    assert "hall-1" not in result.output
    assert [row["player"] for row in json.loads(ask("gate-1", "--json").output)] == ["gate-1"]


def test_a_screen_that_is_not_there_is_wrong_usage_and_names_those_that_are(ask):
    result = ask("gate-9")

    assert result.exit_code == 2
    assert "gate-1, hall-1" in result.output


def test_without_a_screen_it_says_where_to_name_them(ask):
    assert "[plugins.videotron.screens.<id>]" in ask(screens={}).output


def test_watching_goes_on_until_ctrl_c(ask, monkeypatch):
    looks = []

    def wait(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", wait)

    result = ask("--watch", rows=[well("gate-1"), well("hall-1")])

    assert result.exit_code == 0
    assert len(looks) == 3
    assert "gate-1" in result.output
