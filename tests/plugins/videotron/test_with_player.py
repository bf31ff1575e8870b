"""The hub's side and the real player, with real mpv, meet at the broker."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest
import structlog

from hub.api import HealthState, Played
from plugins.videotron.player.agent import Agent
from plugins.videotron.player.agent import SystemClock as PlayersClock
from plugins.videotron.player.settings import BrokerSettings, MpvSettings, PlayerSettings, ScreenSettings

pytestmark = pytest.mark.timeout(60)


def make_clip(folder: Path) -> bytes:
    path = folder / "clip.mp4"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc=s=64x32:r=25:d=1", "-c:v", "libx264"]
    subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
    return path.read_bytes()


async def test_an_item_is_delivered_played_and_then_withdrawn(broker, tools, tmp_path):
    clip = await asyncio.to_thread(make_clip, tmp_path)
    (tmp_path / "player").mkdir()
    settings = PlayerSettings(
        player="gate-1",
        state_dir=tmp_path / "player",
        broker=BrokerSettings(port=broker.port, password=broker.passwords["gate-1"]),
        screen=ScreenSettings(width=64, height=32),
        mpv=MpvSettings(vo="null", stalled_after_s=5),
    )
    station = tools.make_station(broker, tmp_path, screens=("gate-1",))
    keys = station.plugin._context.state_dir / "keys"
    (settings.state_dir / "keychain.json").write_bytes((keys / "keychain.json").read_bytes())
    agent = Agent(settings, clock=PlayersClock(), log=structlog.get_logger())
    enrolments = station.plugin._enrolments
    enrolments.enrol("gate-1", agent.identity.public, at=PlayersClock().now(), who="a test")
    async with station.running(), asyncio.TaskGroup() as group:
        player = group.create_task(agent.run())

        rendition = await station.deliver(clip)
        await tools.until(lambda: station.delivered())
        await tools.until(lambda: station.hub.facts(Played), within_s=30)
        health = await station.plugin.hub_health()
        await station.plugin.hub_withdraw(item=station.hub.current[0].item, reason="salah")
        await tools.until(lambda: agent.trusted.manifest and not agent.trusted.manifest.items)

        player.cancel()

    played = station.hub.facts(Played)[0]
    assert (played.delivery, played.rendition) == ("IP-2026-11-0001/gate-1", rendition.sha256)
    assert played.complete
    assert 0.8 <= played.seconds <= 2.5
    assert health.state is HealthState.OK, health
