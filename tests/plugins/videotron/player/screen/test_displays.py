"""The playback follows the displays that the machine names."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from plugins.videotron.player import display as displays


def plug(root: Path, status: str, modes: str = "") -> None:
    folder = root / "card0-HDMI-A-1"
    folder.mkdir(exist_ok=True)
    (folder / "modes").write_text(modes)
    (folder / "status").write_text(status + "\n")


async def test_mpv_begins_anew_when_the_display_is_back(
    display: Any, stage: Any, colours: Any, clip: Any, eventually: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(displays, "LOOK_EVERY_S", 0.1)
    plug(tmp_path, "connected", "320x180\n")
    on = stage("x11", connectors=tmp_path)

    async with on.playing(clip(colours["white"])) as playback:
        first = playback.pid
        plug(tmp_path, "disconnected")
        await eventually(lambda: playback.trouble)
        assert playback.trouble == "the display at HDMI-A-1 is disconnected: check its cable and power"
        assert playback.pid == first  # it plays on: somebody may have switched the sender off for a moment

        plug(tmp_path, "connected", "320x180\n")
        await eventually(lambda: playback.pid not in (first, None) and playback.showing)

    assert (await on.plays.get()).reason == "the display at HDMI-A-1 was connected anew, or has other modes"
    assert on.playback.trouble.startswith("the picture was lost and came back: the display at HDMI-A-1")
    assert on.broken.empty()


@pytest.mark.parametrize(("status", "blamed"), [("connected", True), ("disconnected", False)])
async def test_a_film_is_blamed_for_the_ends_of_mpv_only_while_there_is_a_display(
    status: str,
    blamed: bool,
    display: Any,
    stage: Any,
    colours: Any,
    clip: Any,
    eventually: Any,
    tmp_path: Path,
) -> None:
    plug(tmp_path, status, "320x180\n")
    on = stage("x11", connectors=tmp_path)

    async with on.playing(clip(colours["white"])) as playback:
        for ends in (1, 2, 3):
            await eventually(lambda: playback.showing)
            os.kill(playback.pid, signal.SIGKILL)
            await eventually(lambda ends=ends: playback.restarts == ends)

    assert on.broken.empty() is not blamed
