"""There is always something to show: made at the first start, checked at each, made again when it is spoiled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from plugins.videotron.player import fallback
from plugins.videotron.player.clips import Clip
from plugins.videotron.player.fallback import Fallback, fallback_clip
from plugins.videotron.player.settings import MpvSettings, PlayerSettings, ScreenSettings


@pytest.fixture
def settings(tmp_path: Path) -> PlayerSettings:
    screen = ScreenSettings(width=64, height=48)
    return PlayerSettings(player="gate-1", state_dir=tmp_path, screen=screen, mpv=MpvSettings(vo="null"))


@contextlib.asynccontextmanager
async def kept(settings: PlayerSettings) -> AsyncIterator[tuple[Fallback, asyncio.Queue[Clip]]]:
    ready: asyncio.Queue[Clip] = asyncio.Queue()
    keeper = Fallback(settings, log=structlog.get_logger(), on_ready=ready.put_nowait)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        task = group.create_task(keeper.run())
        yield keeper, ready
        task.cancel()


@pytest.mark.parametrize("spoil", ["film", "hash", "no hash"])
async def test_one_that_the_disk_has_spoiled_is_made_again(settings: PlayerSettings, spoil: str) -> None:
    made = await fallback_clip(settings)
    good, beside = made.path.read_bytes(), made.path.with_suffix(".sha256")
    if spoil == "film":
        made.path.write_bytes(b"\0" * len(good))
    elif spoil == "hash":
        beside.write_text("0" * 64)
    else:
        beside.unlink()

    again = await fallback_clip(settings)

    assert again == made
    assert again.path.read_bytes()[4:8] == b"ftyp"
    changed = again.path.stat().st_mtime_ns
    await fallback_clip(settings)
    assert again.path.stat().st_mtime_ns == changed  # and now it is right


async def test_one_that_cannot_be_shown_is_replaced_even_when_its_bytes_are_right(
    settings: PlayerSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fallback, "TRY_AGAIN_S", 0.1)
    bad = settings.state_dir / "bad.mp4"
    bad.write_text("no film")

    async with kept(settings.model_copy(update={"fallback": bad})) as (keeper, ready):
        first = await ready.get()
        keeper.spoiled()
        second = await ready.get()

    assert first.path == bad
    assert second.path.read_bytes()[4:8] == b"ftyp"


async def test_a_disk_that_takes_nothing_does_not_leave_the_screen_black(
    settings: PlayerSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(fallback.tempfile, "gettempdir", lambda: str(memory))
    gone: dict[str, Any] = {"state_dir": tmp_path / "not" / "there"}

    made = await fallback_clip(settings.model_copy(update=gone))

    assert made.path.parent == memory
    assert made.path.read_bytes()[4:8] == b"ftyp"
