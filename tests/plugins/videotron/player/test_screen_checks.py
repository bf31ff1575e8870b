"""`siarhub-player check` says what is between the player and its picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.player.screen_checks import screen_problems
from plugins.videotron.player.settings import MpvSettings, PlayerSettings, ScreenSettings


def player(screen: ScreenSettings | None = None, **mpv: Any) -> PlayerSettings:
    return PlayerSettings(
        player="gate-1", screen=screen or ScreenSettings(width=1920, height=540), mpv=MpvSettings(**mpv)
    )


def plug(root: Path, name: str, status: str, modes: str = "") -> None:
    (root / f"card0-{name}").mkdir()
    (root / f"card0-{name}" / "status").write_text(status)
    (root / f"card0-{name}" / "modes").write_text(modes)


def test_an_mpv_without_a_screen_needs_none(tmp_path: Path) -> None:
    assert screen_problems(player(vo="null"), tmp_path) == []


def test_an_mpv_that_is_not_there_is_named() -> None:
    assert screen_problems(player(program="no-such-mpv", vo="null")) == [
        "mpv.program: no-such-mpv is not installed: apt install mpv"
    ]


@pytest.mark.parametrize("settings", [{"vo": "x11"}, {"vo": "gpu", "gpu_context": "x11egl"}])
def test_a_window_needs_an_x_server(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    assert "DISPLAY is not set" in screen_problems(player(**settings))[0]

    monkeypatch.setenv("DISPLAY", ":0")
    assert screen_problems(player(**settings)) == []


def test_a_connector_that_is_not_there_or_has_no_display_is_named_with_the_others(tmp_path: Path) -> None:
    plug(tmp_path, "DP-1", "disconnected")
    wanted = {"vo": "gpu", "gpu_context": "drm", "drm_connector": "HDMI-A-1"}

    assert screen_problems(player(**wanted), tmp_path) == [
        "mpv.drm_connector: this machine has no display connector HDMI-A-1 (there are DP-1)"
    ]
    plug(tmp_path, "HDMI-A-1", "disconnected")
    assert "no display is connected at HDMI-A-1" in screen_problems(player(**wanted), tmp_path)[0]


def test_a_mode_that_is_too_small_for_the_picture_is_told(tmp_path: Path) -> None:
    plug(tmp_path, "HDMI-A-1", "connected", "1920x1080\n1280x720\n")
    low = ScreenSettings(width=1920, height=540, y=600)

    assert screen_problems(player(vo="drm"), tmp_path) == []
    assert "lies beyond it" in screen_problems(player(low, vo="drm"), tmp_path)[0]
    assert "1280x720" in screen_problems(player(vo="drm", drm_mode="1280x720@50"), tmp_path)[0]
