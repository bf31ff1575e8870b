"""Transfers where something is against them: small brokers, costly links, players that flood."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from hub.api import HealthState, Priority
from plugins.videotron.local_broker import LocalBroker
from plugins.videotron.protocol import Report, ReportFlag, cid_of, encode_report
from plugins.videotron.settings import ScreenSettings

pytestmark = pytest.mark.timeout(60)

AWS_IOT = 131072  # what AWS IoT Core and the like take


@pytest.fixture
async def small_broker(broker: LocalBroker) -> LocalBroker:
    """One that takes no message above 128 KiB, and says so."""
    await broker.kill()
    path = broker.folder / "mosquitto.conf"
    path.write_text(path.read_text().replace("max_packet_size 1100000", f"max_packet_size {AWS_IOT}"))
    await broker.start()
    return broker


def film(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


async def test_blocks_of_120_kib_pass_a_broker_that_takes_128(
    small_broker: LocalBroker, tools: Any, tmp_path: Path
) -> None:
    player, data = tools.SmallPlayer("gate-1", small_broker), film(300_000)
    async with tools.make_station(
        small_broker, tmp_path, screens=("gate-1",), changed={"block_bytes": 122_880}
    ).running() as station:
        async with tools.on(player):
            rendition = await station.deliver(data)
            await tools.until(lambda: station.delivered())

        health = await station.plugin.hub_health()

    assert player.file(cid_of(rendition.sha256)) == data
    assert player.lists == {}
    assert "cannot carry" not in health.summary


async def test_a_broker_that_cannot_carry_the_blocks_is_named_and_what_to_do_and_the_session_lasts(
    small_broker: LocalBroker, tools: Any, tmp_path: Path
) -> None:
    player = tools.SmallPlayer("gate-1", small_broker)
    async with (
        tools.make_station(
            small_broker, tmp_path, screens=("gate-1",), changed={"block_bytes": 262_144}
        ).running() as station,
        tools.on(player),
    ):
        await tools.until(lambda: station.exchange.broker.link)
        link = station.exchange.broker.link
        await station.deliver(film(600_000))
        await tools.until(lambda: station.exchange.sender.fetching())

        health = await station.plugin.hub_health()
        assert station.exchange.broker.link is link

    assert health.state is HealthState.DEGRADED
    assert "cannot carry" in health.summary
    assert "block_bytes = 130048" in health.details["broker"]
    assert player.blocks == 0


async def test_a_player_that_floods_the_hub_is_named_and_the_others_get_their_films(station: Any, tools: Any) -> None:
    good, bad = tools.SmallPlayer("gate-1", station.broker), tools.SmallPlayer("gate-2", station.broker)
    unknown = encode_report(
        Report(flags=ReportFlag.IN_GROUP, blocks=8, group_sequence=0, unicast_sequence=0, boot=1, have=0)
    )
    async with bad.connection() as client:
        for number in range(6000):
            await client.publish(bad.topics.report(f"{number % 100:032x}", "gate-2"), unknown, qos=0)
        for _ in range(20):
            await client.publish(bad.topics.state("gate-2"), b"x" * 900_000, qos=0)
        async with tools.on(good):
            await station.deliver(film(50_000), screens=("gate-1",))
            await tools.until(lambda: station.delivered())

    told = station.exchange.complaints.recent()
    assert "more than its share" in told["gate-2"]
    assert "nobody was given" in told["gate-2 report"]
    assert len(told) <= 3
    health = await station.plugin.hub_health()
    assert "gate-2" in health.summary


async def test_what_is_larger_than_any_document_does_not_reach_the_hub(station: Any, tools: Any) -> None:
    bad = tools.SmallPlayer("gate-2", station.broker)
    async with bad.connection() as client:
        await client.publish(bad.topics.state("gate-2"), b"x" * 1_050_000, qos=1)
        await client.publish(bad.topics.state("gate-2"), b"rubbish", qos=1)
        await tools.until(lambda: station.exchange.complaints.recent())

    [told] = station.exchange.complaints.recent().values()
    assert "(1 refused)" in told


async def test_a_screen_outside_its_window_is_sent_what_is_urgent_and_nothing_else(
    broker: LocalBroker, tools: Any, tmp_path: Path
) -> None:
    opens, closes = (datetime.now(ZoneInfo("Asia/Makassar")) + timedelta(hours=hours) for hours in (2, 3))
    screen = ScreenSettings(width=64, height=32, download_window=f"{opens:%H:%M}-{closes:%H:%M}")
    player = tools.SmallPlayer("gate-1", broker)
    station = tools.make_station(broker, tmp_path, screens=("gate-1",), changed={"screens": {"gate-1": screen}})
    async with station.running(), tools.on(player):
        usual = await station.deliver(film(40_000))
        await tools.until(lambda: cid_of(usual.sha256) in player.lists)  # it reports, against what its manifest says

        urgent = await station.deliver(film(30_000, seed=2), number="IP-2026-11-0002")
        current = station.current("IP-2026-11-0002/gate-1")
        station.hub.current[-1] = replace(current, item=replace(current.item, priority=Priority.URGENT))
        station.exchange.wake()
        await tools.until(lambda: "IP-2026-11-0002/gate-1" in station.delivered())

        after = {item.cid: item.fetch_after for item in player.manifest.items}
        assert after[cid_of(usual.sha256)] == opens.replace(second=0, microsecond=0).astimezone(UTC)
        assert after[cid_of(urgent.sha256)] is None
        assert player.parts[cid_of(usual.sha256)] == {}
        assert "IP-2026-11-0001/gate-1" not in station.delivered()
