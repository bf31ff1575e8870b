"""Displays that are switched on late, change or go: told by name, and mpv begun anew when there is one again."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugins.videotron.player.display import Connector, Displays, connectors, on_drm
from plugins.videotron.player.settings import MpvSettings

DRM = MpvSettings(vo="gpu", gpu_context="drm", drm_connector="HDMI-A-1")
WINDOW = MpvSettings(vo="gpu")
ON = Connector(name="HDMI-A-1", connected=True, modes=("1920x1080", "1280x720"))
OFF = Connector(name="HDMI-A-1", connected=False)
MUTE = Connector(name="HDMI-A-1", connected=True)
SMALLER = Connector(name="HDMI-A-1", connected=True, modes=("1024x768",))
OTHER = Connector(name="DP-1", connected=True, modes=("1920x1080",))


def seen_twice(displays: Displays, *states: tuple[Connector, ...]) -> list[tuple[str, str]]:
    """What is told when each of these states lasts: its trouble, and whether mpv begins anew."""
    told = []
    for state in states:
        first, second = displays.note(state), displays.note(state)
        told.append((second.trouble, first.relaunch or second.relaunch))
        assert displays.note(state).relaunch == ""  # told once
    return told


def test_a_display_that_is_switched_on_after_the_player_begins_mpv_anew() -> None:
    before, after = seen_twice(Displays(DRM), (OFF,), (ON,))

    assert before == ("no display is connected at HDMI-A-1: check its cable and power", "")
    assert after == ("", "the display at HDMI-A-1 was connected anew, or has other modes")


def test_a_display_that_goes_is_told_by_name_until_it_is_back() -> None:
    good, gone, back = seen_twice(Displays(DRM), (ON,), (OFF,), (ON,))

    assert good == ("", "")
    assert gone == ("the display at HDMI-A-1 is disconnected: check its cable and power", "")
    assert back[0] == ""
    assert back[1]


def test_other_modes_begin_mpv_anew() -> None:
    _, changed = seen_twice(Displays(DRM), (ON,), (SMALLER,))

    assert changed[1]


def test_a_display_that_tells_no_modes_is_told() -> None:
    assert "tells no modes" in seen_twice(Displays(DRM), (MUTE,))[0][0]


def test_what_is_seen_once_only_changes_nothing() -> None:
    displays = Displays(DRM)
    seen_twice(displays, (ON,))

    assert [displays.note(state) for state in ((OFF,), (ON,))] == [displays.note((ON,))] * 2


def test_another_connector_than_the_named_one_does_not_matter() -> None:
    told = seen_twice(Displays(DRM), (ON, OTHER), (ON,))

    assert told == [("", ""), ("", "")]


def test_any_connector_will_do_when_none_is_named() -> None:
    assert seen_twice(Displays(WINDOW), (OFF, OTHER))[0] == ("", "")


def test_a_machine_without_connectors_is_no_fault_but_for_an_mpv_that_needs_one() -> None:
    assert seen_twice(Displays(WINDOW), ())[0] == ("", "")
    assert seen_twice(Displays(DRM), ())[0] == ("this machine has no display connector HDMI-A-1", "")


@pytest.mark.parametrize(
    ("mpv", "takes_it"),
    [(DRM, True), (WINDOW, False), (MpvSettings(vo="drm"), True), (MpvSettings(vo="x11"), False)],
)
def test_knows_who_takes_the_display_itself(mpv: MpvSettings, takes_it: bool) -> None:
    assert on_drm(mpv) is takes_it


def test_reads_the_connectors_of_the_machine(tmp_path: Path) -> None:
    for name, status, modes in (
        ("card0-HDMI-A-1", "connected\n", "1920x1080\n1280x720\n"),
        ("card1-DP-1", "disconnected\n", ""),
        ("card0-Writeback-1", "unknown\n", ""),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "status").write_text(status)
        (tmp_path / name / "modes").write_text(modes)
    (tmp_path / "card0").mkdir()
    (tmp_path / "version").write_text("drm 1.1.0\n")

    assert connectors(tmp_path) == (ON, Connector(name="DP-1", connected=False))
    assert connectors(tmp_path / "none") == ()
