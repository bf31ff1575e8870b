"""From the screen to the alarm: a real mpv on a real X server, the player, the broker, and the hub's verdict."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from PIL import Image

from hub.api import HealthState, Order, Outcome
from hub.testing import NOON
from plugins.videotron.player import shots as player_shots
from plugins.videotron.player.agent import Agent
from plugins.videotron.player.agent import SystemClock as PlayersClock
from plugins.videotron.player.settings import BrokerSettings, MpvSettings, PlayerSettings, ScreenSettings
from plugins.videotron.screenshots import shots as hub_shots

pytestmark = pytest.mark.timeout(90)
WIDTH, HEIGHT = 128, 96


@pytest.fixture(scope="module")
def display() -> Iterator[str]:
    """The DISPLAY of an X server without a monitor."""
    ours, its = os.pipe()
    command = ["Xvfb", "-displayfd", str(its), "-screen", "0", "320x240x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, pass_fds=(its,), stderr=subprocess.DEVNULL) as server:
        os.close(its)
        try:
            with os.fdopen(ours) as told:
                number = told.readline().strip()
            assert number, "Xvfb did not start: apt install xvfb"
            yield f":{number}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder, made = tmp_path_factory.mktemp("films"), {}
    for name in ("testsrc2", "mandelbrot"):
        path = folder / f"{name}.mp4"
        source = ["-f", "lavfi", "-i", f"{name}=s={WIDTH}x{HEIGHT}:r=25", "-t", "3", "-c:v", "libx264"]
        subprocess.run(["ffmpeg", "-v", "error", *source, "-pix_fmt", "yuv420p", str(path)], check=True)
        made[name] = path.read_bytes()
    return made


class Street:
    """A screen and its hub."""

    def __init__(self, station: Any, agent: Agent) -> None:
        self.station = station
        self.agent = agent

    async def screenshot(self) -> Outcome:
        args = {"screen": "gate-1"}
        order = Order(id=1, name="videotron.screenshot", args=args, who="a test", why="", given_at=NOON)
        return await self.station.plugin.hub_order(order=order)

    @property
    def truth(self) -> Any:
        return self.station.exchange.shots.truths.get("gate-1")

    async def plays(self, data: bytes, tools: Any) -> None:
        """The file behind the film on the player's disk becomes this one, as if somebody had swapped the card."""
        [film] = (self.agent.settings.state_dir / "media").glob("*.mp4")
        swapped = film.with_name("swapped")
        swapped.write_bytes(data)
        swapped.replace(film)
        before = self.agent.playback.showing_since
        await tools.until(lambda: self.agent.playback.showing_since not in (None, before), within_s=20)
        began = self.agent.playback.showing_since  # mpv may have opened the old one before
        await tools.until(lambda: self.agent.playback.showing_since not in (None, began), within_s=20)


@pytest.fixture
async def street(broker, tools, tmp_path, display, films, monkeypatch) -> AsyncIterator[Street]:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.setenv("SDL_VIDEODRIVER", "x11")
    monkeypatch.setattr(player_shots, "AT_MOST_EVERY_S", 0.2)
    monkeypatch.setattr(hub_shots, "NEWEST_ENOUGH", NOON - NOON)
    monkeypatch.setattr(hub_shots, "RARE_S", 0.0)
    settings = PlayerSettings(
        player="gate-1",
        state_dir=tmp_path / "player",
        broker=BrokerSettings(port=broker.port, password=broker.passwords["gate-1"]),
        screen=ScreenSettings(width=WIDTH, height=HEIGHT, fullscreen=False),
        mpv=MpvSettings(vo="sdl", stalled_after_s=15),
    )
    settings.state_dir.mkdir()
    station = tools.make_station(broker, tmp_path, screens=("gate-1",))
    keys = station.plugin._context.state_dir / "keys"
    (settings.state_dir / "keychain.json").write_bytes((keys / "keychain.json").read_bytes())
    agent = Agent(settings, clock=PlayersClock(), log=structlog.get_logger())
    station.plugin._enrolments.enrol("gate-1", agent.identity.public, at=PlayersClock().now(), who="a test")
    async with station.running(), asyncio.TaskGroup() as group:
        running = group.create_task(agent.run())
        await station.deliver(films["testsrc2"])
        await tools.until(lambda: agent.playback.condition == "playing", within_s=30)
        yield Street(station, agent)
        running.cancel()


async def test_the_hub_is_told_how_the_machine_at_the_screen_is(street, tools):
    def machine() -> Any:
        state = street.station.exchange.roster.state("gate-1")
        return state.machine if state else None

    await tools.until(lambda: machine() and machine().memory_mb and machine().output, within_s=75)

    assert machine().output == f"sdl {WIDTH}x{HEIGHT}"
    assert machine().mpv_memory_mb > 10
    assert machine().uptime_s > 0
    health = await street.station.plugin.hub_health()
    assert health.summary == "gate-1: wrong screen size"  # the hub of these tests believes it is smaller


async def test_what_stands_on_the_screen_is_compared_with_what_was_approved(street, tools, films):
    outcome = await street.screenshot()

    answer = hub_shots.Answer.read(outcome.message)
    assert outcome.done
    assert answer.verdict in {"match", "cannot tell"}  # it may have been taken where the film begins anew
    assert Image.open(io.BytesIO(await asyncio.to_thread(Path(answer.picture).read_bytes))).size == (WIDTH, HEIGHT)

    await street.plays(films["mandelbrot"], tools)
    async with asyncio.timeout(30):
        while street.truth.alarm != "wrong picture":
            await street.screenshot()
    health = await street.station.plugin.hub_health()
    assert health.state is HealthState.DEGRADED
    assert f"wrong picture at gate-1: {street.truth.picture}, approved: {street.truth.approved}" in health.summary

    await street.plays(films["testsrc2"], tools)
    async with asyncio.timeout(30):
        while street.truth.alarm:
            await street.screenshot()
    assert "picture" not in (await street.station.plugin.hub_health()).summary
